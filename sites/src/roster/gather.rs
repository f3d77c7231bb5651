//! Rows brought together: those that share a number are sites of one school, where the list tells sites
//! apart, and repetitions where it does not.

use std::collections::{HashMap, HashSet};

use super::counts::{COUNTS, Count};
use super::entry::Entry;
use super::mapping::Columns;
use super::{Finding, Grade, Reason, shown};
use crate::facts::Fact;
use crate::site::SchoolId;

/// The schools of a list, row by row.
#[derive(Default)]
pub(super) struct Schools {
    entries: Vec<Entry>,
    positions_by_id: HashMap<SchoolId, usize>,
    lines_by_site: HashMap<(SchoolId, Option<String>), usize>,
    /// Schools of which a row was not understood.
    incomplete: HashSet<SchoolId>,
}

impl Schools {
    /// What the rows before said about a school.
    pub(super) fn get(&self, id: &SchoolId) -> Option<&Entry> {
        self.entries.get(*self.positions_by_id.get(id)?)
    }

    /// Notes that a row about a school was not understood: its sites do not add up to it.
    pub(super) fn lacks_a_row(&mut self, id: SchoolId) {
        self.incomplete.insert(id);
    }

    /// Takes a row as a school of its own or as a further site of one.
    pub(super) fn take(&mut self, row: Entry, findings: &mut Vec<Finding>) {
        let line = row.line;
        let part = row.sites.first().and_then(|site| site.part.clone());
        let key = (row.id.clone(), part);
        if let Some(first) = self.lines_by_site.get(&key) {
            let first = *first;
            let reason = match key {
                (id, Some(part)) => Reason::site_twice(&id, &part, first),
                (school, None) => Reason::SchoolTwice { school, first },
            };
            findings.push(Finding::row(line, reason));
            return;
        }
        self.lines_by_site.insert(key, line);
        let first = self.positions_by_id.get(&row.id).copied();
        if let Some(school) = first.and_then(|at| self.entries.get_mut(at)) {
            join(school, row, findings);
        } else {
            let at = self.entries.len();
            self.positions_by_id.insert(row.id.clone(), at);
            self.entries.push(row);
        }
    }

    /// The schools, once all rows are taken: with what their sites count together, where the list does not
    /// count whole schools.
    pub(super) fn settled(self, columns: &Columns, findings: &mut Vec<Finding>) -> Vec<Entry> {
        let mut entries = self.entries;
        let of_sites_alone: Vec<(Count, String)> = COUNTS
            .into_iter()
            .filter_map(|count| match count.columns(columns) {
                [None, Some(of_site)] if columns.site.is_some() => Some((count, of_site)),
                _ => None,
            })
            .collect();
        let incomplete = self.incomplete;
        let whole = entries
            .iter_mut()
            .filter(|entry| !incomplete.contains(&entry.id));
        for entry in whole {
            for (count, column) in &of_sites_alone {
                add_up(entry, *count, column, findings);
            }
        }
        entries
    }
}

/// Adds the site of a further row to its school. What the rows before have stated counts.
fn join(school: &mut Entry, row: Entry, findings: &mut Vec<Finding>) {
    let (line, first) = (row.line, school.line);
    let mut differs = |field: &'static str, has: &str, says: &str| {
        findings.push(Finding {
            line,
            column: None,
            grade: Grade::Doubted,
            reason: Reason::Contradiction {
                school: row.id.clone(),
                field,
                has: shown(has),
                says: shown(says),
                first,
            },
        });
    };
    if school.name != row.name {
        differs("name", &school.name, &row.name);
    }
    let other_form = school.form != row.form && !school.form_guessed && !row.form_guessed;
    if other_form {
        differs("form", school.form.name(), row.form.name());
    } else if school.form_guessed && !row.form_guessed {
        (school.form, school.form_guessed) = (row.form, false);
    }
    let (mine, other) = (&mut school.register, row.register);
    for (what, mine, other) in [
        ("land_form", &mut mine.land_form, other.land_form),
        ("municipality", &mut mine.municipality, other.municipality),
        (
            "municipality_key",
            &mut mine.municipality_key,
            other.municipality_key,
        ),
        (
            "authority_number",
            &mut mine.authority_number,
            other.authority_number,
        ),
    ] {
        match (&*mine, &other) {
            // The Land's name goes with the form, which was reported.
            (Some(_), Some(_)) if what == "land_form" && other_form => {}
            (Some(has), Some(says)) if has != says => differs(what, has, says),
            (None, Some(_)) => *mine = other,
            _ => {}
        }
    }
    for count in COUNTS {
        match (count.of(school.facts), count.of(row.facts)) {
            (Some(has), Some(says)) if has != says => {
                differs(count.fact.name(), &has.to_string(), &says.to_string());
            }
            (None, says) => count.set(&mut school.facts, says),
            _ => {}
        }
    }
    school.sites.extend(row.sites);
}

/// The count of a school from those of its sites: that of its only one, or their sum where it is one and
/// all of them state their part.
fn add_up(entry: &mut Entry, count: Count, column: &str, findings: &mut Vec<Finding>) {
    if let [only] = entry.sites.as_mut_slice() {
        count.set(&mut entry.facts, count.of(only.facts));
        count.set(&mut only.facts, None);
        return;
    }
    let parts: Option<Vec<u32>> = entry
        .sites
        .iter()
        .map(|site| count.of(site.facts))
        .collect();
    let Some(parts) = parts.filter(|_| count.adds_up) else {
        return;
    };
    let sum = parts
        .iter()
        .fold(0_u32, |sum, part| sum.saturating_add(*part));
    let mut doubt = |reason: Reason| {
        findings.push(Finding {
            line: entry.line,
            column: Some(column.to_owned()),
            grade: Grade::Doubted,
            reason,
        });
    };
    let most = count.fact.largest_plausible();
    if sum > most {
        doubt(Reason::SumTooLarge {
            school: entry.id.clone(),
            sites: parts.len(),
            fact: count.fact,
            sum,
            most,
        });
        return;
    }
    if let [pupils, others @ ..] = parts.as_slice()
        && count.fact == Fact::Pupils
        && *pupils > 0
        && others.iter().all(|other| other == pupils)
    {
        doubt(Reason::SamePupils {
            school: entry.id.clone(),
            sites: parts.len(),
            pupils: *pupils,
        });
    }
    count.set(&mut entry.facts, Some(sum));
}
