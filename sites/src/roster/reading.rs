//! A whole list: its schools, what was left out by rule, and what a person should look at.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::entry::{Entry, RowReader};
use super::filter::Filter;
use super::known::List;
use super::mapping::Mapping;
use super::table::{Format, Table};
use super::{Encoding, Finding, Grade, RosterError, doubt};
use crate::site::SchoolId;

/// The rule by which a row was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOut {
    /// Its key says that it does not teach: closed, dormant or yet to begin.
    Closed,
    /// Its form is none of a school: a seminar, an office.
    NoSchool,
}

/// A list of schools as it was read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Roster {
    /// The list it was taken for.
    pub list: List,
    /// How it is written.
    pub format: Format,
    /// Its code page.
    pub encoding: Option<Encoding>,
    /// Rows with something in them.
    pub rows: usize,
    /// Rows left out by rule.
    pub left_out: BTreeMap<LeftOut, usize>,
    /// Schools whose form the list does not state in known words.
    pub forms_guessed: usize,
    /// The numbers of those left out, which are in the list all the same.
    #[serde(skip)]
    pub left_out_by_id: HashMap<SchoolId, LeftOut>,
    /// What a person should look at, in the order of the list.
    pub findings: Vec<Finding>,
    /// The schools.
    #[serde(skip)]
    pub entries: Vec<Entry>,
}

impl Roster {
    /// Reads the rows of a table by a mapping.
    ///
    /// # Errors
    /// Where the mapping names columns that the table does not have. Rows that are not understood are
    /// findings.
    pub fn read(table: &Table, mapping: &Mapping) -> Result<Self, RosterError> {
        mapping.missing_from(&table.header)?;
        let reader = RowReader::new(table, mapping);
        let mut roster = Self {
            list: mapping.list,
            format: table.format,
            encoding: table.encoding,
            rows: table.rows.len(),
            left_out: BTreeMap::new(),
            forms_guessed: 0,
            left_out_by_id: HashMap::new(),
            findings: table.findings.clone(),
            entries: Vec::new(),
        };
        let refused_rows = |finding: &&Finding| finding.grade == Grade::RowRefused;
        roster.rows += table.findings.iter().filter(refused_rows).count();
        let mut lines_by_id: HashMap<SchoolId, usize> = HashMap::new();
        for row in &table.rows {
            let entry = match reader.read(row, &mut roster.findings) {
                Ok(entry) => entry,
                Err(rule) => {
                    if let Some(rule) = rule {
                        *roster.left_out.entry(rule).or_default() += 1;
                        roster
                            .left_out_by_id
                            .extend(reader.id(row).ok().map(|id| (id, rule)));
                    }
                    continue;
                }
            };
            if let Some(first) = lines_by_id.get(&entry.id) {
                let reason = format!("the school {} already stands in {first}", entry.id);
                roster.findings.push(Finding::row(row.line, reason));
                continue;
            }
            lines_by_id.insert(entry.id.clone(), row.line);
            roster.forms_guessed += usize::from(entry.form_guessed);
            roster.entries.push(entry);
        }
        doubt::far_coordinates(&mut roster.entries, &mut roster.findings);
        roster.findings.sort_by_key(|finding| finding.line);
        Ok(roster)
    }

    /// Forgets findings about schools that nobody asked for. Rows that gave no school stay: whose they are
    /// cannot be known.
    pub fn look_only_at(&mut self, filter: &Filter) {
        let unwanted: HashSet<usize> = self
            .entries
            .iter()
            .filter(|entry| !filter.keeps(entry))
            .map(|entry| entry.line)
            .collect();
        self.findings.retain(|finding| {
            finding.grade == Grade::RowRefused || !unwanted.contains(&finding.line)
        });
    }

    /// How many findings are of a grade.
    #[must_use]
    pub fn count(&self, grade: Grade) -> usize {
        let of_grade = |finding: &&Finding| finding.grade == grade;
        self.findings.iter().filter(of_grade).count()
    }

    /// Whether everything was understood; doubted coordinates aside.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.grade == Grade::Doubted)
    }
}
