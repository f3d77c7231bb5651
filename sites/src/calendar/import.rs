//! School holidays out of the files that others publish them in: iCalendar, the JSON of ferien-api, and
//! a table `from,to,name`.
//!
//! Periods are for the schools of the Land that was named, or else of the one that a ferien-api entry
//! names, or else for all schools of the authority.
//!
//! All or nothing: every entry that is not understood is reported with its line, and then no period
//! comes out, because a calendar with a hole in it is worse than none.

mod ics;
mod json;
mod table;

use jiff::civil::Date;

use super::holiday::Holiday;
use super::land::Land;
use super::zone::Zone;
use crate::toml_file::{Document, Problem};

/// More periods than sixteen Länder have in fifty years.
const MAX_PERIODS: usize = 10_000;

/// Reads the holidays of one Land out of a file of any of the three forms; which one it is, the content
/// says. `land` says for which Land it is, and chooses where a file holds several. `zone` is for the instants of an iCalendar file.
///
/// # Errors
/// All problems of meaning at once, or the first one of syntax.
pub fn holidays(
    file: &str,
    text: &str,
    land: Option<Land>,
    zone: &Zone,
) -> Result<Vec<Holiday>, Vec<Problem>> {
    let document = Document::new(file, text);
    let text = document.sized_text().map_err(|problem| vec![problem])?;
    let begin = text.trim_start();
    let mut found = Found::new(document, land);
    if begin
        .get(..6)
        .is_some_and(|word| word.eq_ignore_ascii_case("BEGIN:"))
    {
        ics::read(text, zone, &mut found);
    } else if begin.starts_with(['[', '{']) {
        json::read(text, land, &mut found);
    } else {
        table::read(text, &mut found);
    }
    found.finish()
}

/// What was read so far, and what was not understood.
struct Found<'a> {
    document: Document<'a>,
    land: Option<Land>,
    holidays: Vec<Holiday>,
    problems: Vec<Problem>,
}

impl<'a> Found<'a> {
    const fn new(document: Document<'a>, land: Option<Land>) -> Self {
        Self {
            document,
            land,
            holidays: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn refuse(&mut self, offset: usize, message: impl std::fmt::Display) {
        // A hostile file cannot fill a log.
        if self.problems.len() < 100 {
            self.problems
                .push(self.document.problem(offset, None, message));
        }
    }

    fn keep(&mut self, offset: usize, first: Date, last: Date, name: String) {
        let holiday = Holiday {
            first,
            last,
            name,
            land: self.land,
        };
        if let Some(flaw) = holiday.flaw() {
            self.refuse(offset, flaw);
        } else if self.holidays.len() == MAX_PERIODS {
            self.refuse(offset, format!("more than {MAX_PERIODS} periods"));
        } else {
            self.holidays.push(holiday);
        }
    }

    fn finish(mut self) -> Result<Vec<Holiday>, Vec<Problem>> {
        if self.problems.is_empty() && self.holidays.is_empty() {
            self.refuse(0, "the file holds no holidays");
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        self.holidays.sort();
        self.holidays.dedup();
        Ok(self.holidays)
    }
}

#[cfg(test)]
mod tests;
