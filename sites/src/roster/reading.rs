//! A whole list: its schools, what was left out by rule, and what a person should look at.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::entry::{Entry, RowReader};
use super::filter::Filter;
use super::gather::Schools;
use super::known::List;
use super::mapping::Mapping;
use super::table::{Format, Row, Table};
use super::{Encoding, Finding, Grade, RosterError, doubt};
use crate::site::{SchoolId, SiteId};

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
    /// The same by site, where the list tells sites apart.
    #[serde(skip)]
    pub left_out_by_site: HashMap<SiteId, LeftOut>,
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
            left_out_by_site: HashMap::new(),
            findings: table.findings.clone(),
            entries: Vec::new(),
        };
        let refused_rows = |finding: &&Finding| finding.grade == Grade::RowRefused;
        roster.rows += table.findings.iter().filter(refused_rows).count();
        let mut schools = Schools::default();
        for row in &table.rows {
            let named = |id: &SchoolId| Some(schools.get(id)?.name.clone());
            match reader.read(row, named, &mut roster.findings) {
                Ok(entry) => schools.take(entry, &mut roster.findings),
                Err(Some(rule)) => {
                    *roster.left_out.entry(rule).or_default() += 1;
                    roster.leave_out(&reader, row, rule);
                }
                Err(None) => {
                    if let Ok(id) = reader.id(row) {
                        schools.lacks_a_row(id);
                    }
                }
            }
        }
        roster.entries = schools.settled(&mapping.columns, &mut roster.findings);
        roster.forms_guessed = roster
            .entries
            .iter()
            .filter(|entry| entry.form_guessed)
            .count();
        doubt::far_coordinates(&mut roster.entries, &mut roster.findings);
        roster.findings.sort_by_key(|finding| finding.line);
        Ok(roster)
    }

    /// Remembers whose row a rule left out.
    fn leave_out(&mut self, reader: &RowReader<'_>, row: &Row, rule: LeftOut) {
        let Ok(id) = reader.id(row) else {
            return;
        };
        let part = reader.part(row).ok().flatten();
        if let Some(site) = part.and_then(|part| SiteId::new(&id, &part).ok()) {
            self.left_out_by_site.insert(site, rule);
        }
        self.left_out_by_id.insert(id, rule);
    }

    /// Whether the list tells the sites of a school apart.
    #[must_use]
    pub fn tells_sites_apart(&self) -> bool {
        let mut sites = self.entries.iter().flat_map(|entry| &entry.sites);
        sites.any(|site| site.part.is_some())
    }

    /// Forgets findings about schools that nobody asked for. Rows that gave no school stay: whose they are
    /// cannot be known.
    pub fn look_only_at(&mut self, filter: &Filter) {
        let unwanted: HashSet<usize> = self
            .entries
            .iter()
            .filter(|entry| !filter.keeps(entry))
            .flat_map(|entry| entry.sites.iter().map(|site| site.line))
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
