//! Where a number comes from: no target and no price is shown without it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How a number was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Mark {
    /// Seen in the source itself.
    Seen,
    /// Second-hand: another publisher reports the source.
    Reported,
    /// Calculated from seen or reported numbers.
    Calculated,
    /// The project's own default, with no outside authority.
    ProjectDefault,
}

impl Mark {
    /// The letter used in files.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Seen => "S",
            Self::Reported => "S2",
            Self::Calculated => "C",
            Self::ProjectDefault => "P",
        }
    }
}

/// No mark has this letter, or it may not ship.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RefusedMark {
    /// From memory: nobody has looked at the original.
    #[error("a number from memory (mark M) cannot be used: check the original first")]
    FromMemory,
    /// Not a mark.
    #[error(
        "there is no mark '{0}' (S seen in the source, S2 reported by another, C calculated, P project default)"
    )]
    Unknown(String),
}

impl FromStr for Mark {
    type Err = RefusedMark;

    fn from_str(text: &str) -> Result<Self, RefusedMark> {
        match text {
            "S" => Ok(Self::Seen),
            "S2" => Ok(Self::Reported),
            "C" => Ok(Self::Calculated),
            "P" => Ok(Self::ProjectDefault),
            "M" => Err(RefusedMark::FromMemory),
            _ => Err(RefusedMark::Unknown(text.chars().take(20).collect())),
        }
    }
}

impl TryFrom<String> for Mark {
    type Error = RefusedMark;

    fn try_from(text: String) -> Result<Self, RefusedMark> {
        text.parse()
    }
}

impl From<Mark> for String {
    fn from(mark: Mark) -> Self {
        mark.letter().to_owned()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letter())
    }
}

/// A document that states a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Title of the document, with its number where it has one.
    pub document: String,
    /// Who published it.
    pub publisher: String,
    /// Year of publication; absent where the document states none.
    pub year: Option<u16>,
    /// Where it was read.
    pub url: Option<String>,
    /// How the number was come by.
    pub mark: Mark,
    /// Who reports it, where the document itself was not seen.
    pub reported_by: Option<String>,
}

impl Source {
    /// What keeps this from being a source: a number that is second-hand has to say whose.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        if self.document.trim().is_empty() || self.publisher.trim().is_empty() {
            Some("a source needs a document and a publisher")
        } else if self.mark == Mark::Reported && self.reported_by.is_none() {
            Some("a source with mark S2 needs `reported_by`: who reports the number")
        } else {
            None
        }
    }
}

/// A day of the calendar, written `2017-07-17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day {
    year: u16,
    month: u8,
    of_month: u8,
}

impl Day {
    /// Its year.
    #[must_use]
    pub const fn year(self) -> u16 {
        self.year
    }

    /// The day of a number, counted from 1970-01-01; `None` beyond the years that are written so.
    #[must_use]
    pub fn numbered(number: i32) -> Option<Self> {
        let date = crate::calendar::date_of(number)?;
        Self::new(
            u16::try_from(date.year()).ok()?,
            u8::try_from(date.month()).ok()?,
            u8::try_from(date.day()).ok()?,
        )
    }
}

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let refused = || NotADay(text.chars().take(20).collect());
        let shaped = text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if !shaped {
            return Err(refused());
        }
        let part = |range: std::ops::Range<usize>| text[range].parse().map_err(|_| refused());
        let (year, month, day): (u16, u16, u16) = (part(0..4)?, part(5..7)?, part(8..10)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => return Err(refused()),
        };
        if (1..=days).contains(&day) {
            Ok(Self {
                year,
                month: month as u8,
                of_month: day as u8,
            })
        } else {
            Err(refused())
        }
    }
}

impl Day {
    /// The day of a calendar date; `None` where there is no such day.
    #[must_use]
    pub fn new(year: u16, month: u8, of_month: u8) -> Option<Self> {
        format!("{year:04}-{month:02}-{of_month:02}").parse().ok()
    }
}

impl TryFrom<String> for Day {
    type Error = NotADay;

    fn try_from(text: String) -> Result<Self, NotADay> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.of_month)
    }
}

/// A text that is no day.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is no day of the calendar (write it as \"2017-07-17\")")]
pub struct NotADay(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_from_memory_has_no_mark() {
        assert_eq!("M".parse::<Mark>(), Err(RefusedMark::FromMemory));
        assert!("s".parse::<Mark>().is_err());
        for mark in [
            Mark::Seen,
            Mark::Reported,
            Mark::Calculated,
            Mark::ProjectDefault,
        ] {
            assert_eq!(mark.letter().parse(), Ok(mark));
        }
    }

    #[test]
    fn only_days_of_the_calendar_are_days() {
        for text in ["2017-07-17", "2024-02-29", "2000-02-29", "2023-12-31"] {
            assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
        }
        for text in [
            "2023-02-29",
            "1900-02-29",
            "2023-13-01",
            "2023-00-01",
            "2023-04-31",
            "23-4-1",
            "2017-7-17",
            "2017-07-1ä",
        ] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }
}
