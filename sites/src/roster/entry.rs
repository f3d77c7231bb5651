//! A school as a list states it, and one row of a list turned into one with a single site.

use std::collections::BTreeMap;

use serde::Serialize;

use super::counts::COUNTS;
use super::form::{self, Meaning};
use super::known::List;
use super::mapping::{FormOrNone, Mapping, position};
use super::table::{Row, Table};
use super::{Finding, Grade, Grid, LeftOut, Reason, folded, shown};
use crate::facts::{Fact, Facts};
use crate::ident::is_slug;
use crate::site::{Address, Coordinates, Register, SchoolForm, SchoolId};

/// Longer names are no names; the site file refuses them too.
const NAME_LIMIT: usize = 200;

/// Longer ids are none (`ident::is_slug`).
const SLUG_LIMIT: usize = 64;

/// Words, folded, for the site that is called `main` in site files.
const MAIN: [&str; 3] = ["hauptstandort", "hauptstelle", "stammschule"];

/// A school of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Where it stands in the list first.
    pub line: usize,
    /// Its number with the state.
    pub id: SchoolId,
    /// Its name.
    pub name: String,
    /// Its form.
    pub form: SchoolForm,
    /// Whether the form was read from the name or the number, because the list does not state it.
    pub form_guessed: bool,
    /// Municipality, authority and the Land's name for the form.
    #[serde(flatten)]
    pub register: Register,
    /// What is counted in the whole school.
    pub facts: Facts,
    /// Its sites; at least one.
    pub sites: Vec<ListedSite>,
}

/// A site of a school of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListedSite {
    /// Where it stands in the list.
    pub line: usize,
    /// Its id within the school; absent where the list does not tell sites apart and means the school's
    /// first one.
    pub part: Option<String>,
    /// What the list calls it.
    pub name: Option<String>,
    /// Its address.
    pub address: Address,
    /// Where it stands; absent where the list does not say or cannot be right.
    pub coordinates: Option<Coordinates>,
    /// What is counted at this site alone.
    pub facts: Facts,
}

/// The columns of a mapping as positions in the rows of a table.
pub(super) struct RowReader<'a> {
    header: &'a [String],
    mapping: &'a Mapping,
    number: Option<usize>,
    name: Vec<usize>,
    form: Vec<usize>,
    street: Vec<usize>,
    operating: Option<usize>,
    single: Single,
    /// Of each count the column of the school and that of the site.
    counts: [[Option<usize>; 2]; COUNTS.len()],
    keep: Vec<String>,
    forms_by_word: BTreeMap<String, FormOrNone>,
    sites_by_word: BTreeMap<String, &'a str>,
}

/// Columns of one value each.
struct Single {
    authority_number: Option<usize>,
    municipality: Option<usize>,
    municipality_key: Option<usize>,
    postcode: Option<usize>,
    place: Option<usize>,
    east: Option<usize>,
    north: Option<usize>,
    epsg: Option<usize>,
    land_form: Option<usize>,
    site: Option<usize>,
    site_name: Option<usize>,
}

impl<'a> RowReader<'a> {
    pub(super) fn new(table: &'a Table, mapping: &'a Mapping) -> Self {
        let header = table.header.as_slice();
        let at = |name: &String| position(header, name);
        let one = |name: &Option<String>| name.as_ref().and_then(at);
        let columns = &mapping.columns;
        let operating = mapping.operating.as_ref();
        Self {
            header,
            mapping,
            number: at(&columns.number),
            name: columns.name.iter().filter_map(at).collect(),
            form: columns.form.iter().filter_map(at).collect(),
            street: columns.street.iter().filter_map(at).collect(),
            operating: operating.and_then(|rule| at(&rule.column)),
            single: Single {
                authority_number: one(&columns.authority_number),
                municipality: one(&columns.municipality),
                municipality_key: one(&columns.municipality_key),
                postcode: one(&columns.postcode),
                place: one(&columns.place),
                east: one(&columns.east),
                north: one(&columns.north),
                epsg: one(&columns.epsg),
                land_form: one(&columns.land_form),
                site: one(&columns.site),
                site_name: one(&columns.site_name),
            },
            counts: COUNTS.map(|count| count.columns(columns).map(|name| one(&name))),
            keep: operating
                .map(|rule| rule.keep.iter().map(|value| folded(value)).collect())
                .unwrap_or_default(),
            forms_by_word: mapping
                .forms
                .iter()
                .map(|(word, form)| (folded(word), *form))
                .collect(),
            sites_by_word: mapping
                .sites
                .iter()
                .map(|(word, id)| (folded(word), id.as_str()))
                .collect(),
        }
    }

    /// One row as a school with one site, or why there is none. A further row of a school needs not repeat
    /// its name: `named` knows those of the rows before.
    pub(super) fn read(
        &self,
        row: &Row,
        named: impl Fn(&SchoolId) -> Option<String>,
        findings: &mut Vec<Finding>,
    ) -> Result<Entry, Option<LeftOut>> {
        if let Some(column) = self.operating
            && !self.keep.contains(&folded(cell(row, column)))
        {
            return Err(Some(LeftOut::Closed));
        }
        let mut refuse = |column: Option<usize>, grade, reason: Reason| {
            findings.push(Finding {
                line: row.line,
                column: column.and_then(|at| self.header.get(at).cloned()),
                grade,
                reason,
            });
        };
        let id = match self.id(row) {
            Ok(id) => id,
            Err(reason) => {
                refuse(self.number, Grade::RowRefused, reason);
                return Err(None);
            }
        };
        let mut name = joined(row, &self.name);
        if name.is_empty() && self.single.site.is_some() {
            name = named(&id).unwrap_or_default();
        }
        let first_of_name = self.name.first().copied();
        if name.is_empty() {
            refuse(first_of_name, Grade::RowRefused, Reason::NoName);
            return Err(None);
        }
        if name.chars().count() > NAME_LIMIT {
            let reason = Reason::NameTooLong { most: NAME_LIMIT };
            refuse(first_of_name, Grade::RowRefused, reason);
            return Err(None);
        }
        let part = match self.part(row) {
            Ok(part) => part,
            Err(reason) => {
                refuse(self.single.site, Grade::RowRefused, reason);
                return Err(None);
            }
        };
        let (form, land_form, form_guessed) = match self.form(row, &id, &name) {
            Some((Meaning::School(form), land, guessed)) => (form, land, guessed),
            Some((Meaning::NoSchool, ..)) => return Err(Some(LeftOut::NoSchool)),
            None => (SchoolForm::Other, self.form_words(row), true),
        };
        let (mut facts, mut at_site) = (Facts::default(), Facts::default());
        for (count, columns) in COUNTS.into_iter().zip(self.counts) {
            for (column, facts) in columns.into_iter().zip([&mut facts, &mut at_site]) {
                let text = column.map_or("", |at| cell(row, at));
                match counted(text, count.fact) {
                    Ok(number) => count.set(facts, number),
                    Err(reason) => refuse(column, Grade::ValueRefused, reason),
                }
            }
        }
        let coordinates = self.coordinates(row).unwrap_or_else(|reason| {
            refuse(self.single.north, Grade::Doubted, reason);
            None
        });
        let german = id.as_str().split('-').next() != Some("GB");
        Ok(Entry {
            line: row.line,
            name,
            form,
            form_guessed,
            register: Register {
                land_form: match self.single.land_form {
                    Some(_) => text(row, self.single.land_form),
                    None => land_form,
                },
                municipality: text(row, self.single.municipality),
                municipality_key: text(row, self.single.municipality_key)
                    .map(|key| with_zero(key, 7, german)),
                authority_number: text(row, self.single.authority_number),
            },
            facts,
            sites: vec![ListedSite {
                line: row.line,
                name: self.site_name(row, part.as_deref()),
                part,
                address: self.address(row, german),
                coordinates,
                facts: at_site,
            }],
            id,
        })
    }

    fn address(&self, row: &Row, german: bool) -> Address {
        let street = joined(row, &self.street);
        Address {
            street: (!street.is_empty() && street.chars().count() <= NAME_LIMIT).then_some(street),
            postcode: text(row, self.single.postcode).map(|code| with_zero(code, 4, german)),
            place: text(row, self.single.place),
        }
    }

    /// The id of the row's site within its school, where the list tells sites apart. A row that names none
    /// is about the main one.
    pub(super) fn part(&self, row: &Row) -> Result<Option<String>, Reason> {
        let Some(at) = self.single.site else {
            return Ok(None);
        };
        let written = cell(row, at);
        let word = folded(written);
        if let Some(id) = self.sites_by_word.get(&word) {
            return Ok(Some((*id).to_owned()));
        }
        if written.is_empty() || MAIN.contains(&word.as_str()) {
            return Ok(Some("main".to_owned()));
        }
        let part = slug(written);
        if part.is_empty() {
            return Err(Reason::NoSite {
                text: shown(written),
            });
        }
        Ok(Some(part))
    }

    /// What the list calls the row's site: its name, or the text that tells it apart where that is more
    /// than a key.
    fn site_name(&self, row: &Row, part: Option<&str>) -> Option<String> {
        text(row, self.single.site_name)
            .or_else(|| text(row, self.single.site).filter(|text| Some(text.as_str()) != part))
            .filter(|name| name.chars().any(char::is_alphabetic))
    }

    pub(super) fn id(&self, row: &Row) -> Result<SchoolId, Reason> {
        let number = self.number.map_or("", |at| cell(row, at));
        if number.is_empty() {
            return Err(Reason::NoNumber);
        }
        let Some(state) = &self.mapping.state else {
            return number.parse().map_err(|_| Reason::NoState {
                number: shown(number),
            });
        };
        let bare = number
            .strip_prefix(state.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .unwrap_or(number);
        if let Some(digits) = self.mapping.number_digits
            && (bare.len() != digits || !bare.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(Reason::NotSoManyDigits {
                number: shown(bare),
                digits,
            });
        }
        format!("{state}-{bare}")
            .parse()
            .map_err(|_| Reason::NoSchoolNumber {
                number: shown(bare),
            })
    }

    /// The form with the Land's name, and whether it had to be guessed.
    fn form(
        &self,
        row: &Row,
        id: &SchoolId,
        name: &str,
    ) -> Option<(Meaning, Option<String>, bool)> {
        let words = || {
            self.form
                .iter()
                .map(|at| cell(row, *at))
                .filter(|word| !word.is_empty())
        };
        for word in words() {
            if let Some(own) = self.forms_by_word.get(&folded(word)) {
                let meaning = match own {
                    FormOrNone::Form(form) => Meaning::School(*form),
                    FormOrNone::None(_) => Meaning::NoSchool,
                };
                return Some((meaning, self.form_words(row), false));
            }
            if self.mapping.list == List::NrwSchuldaten
                && let Some((land, meaning)) = form::nrw(word)
            {
                return Some((meaning, Some(land.to_owned()), false));
            }
        }
        if let Some(meaning) = words().find_map(form::in_words) {
            return Some((meaning, self.form_words(row), false));
        }
        let number = id.as_str().split_once('-').map_or("", |(_, number)| number);
        let by_number = (self.mapping.list == List::Berlin)
            .then(|| form::berlin(number))
            .flatten();
        let form = by_number.or_else(|| form::in_name(name))?;
        Some((Meaning::School(form), self.form_words(row), true))
    }

    /// The list's own words for the form.
    fn form_words(&self, row: &Row) -> Option<String> {
        let words: Vec<&str> = self
            .form
            .iter()
            .map(|at| cell(row, *at))
            .filter(|word| !word.is_empty())
            .collect();
        let words = words.join(", ");
        (!words.is_empty() && words.chars().count() <= NAME_LIMIT).then_some(words)
    }

    fn coordinates(&self, row: &Row) -> Result<Option<Coordinates>, Reason> {
        let (Some(east), Some(north)) = (self.single.east, self.single.north) else {
            return Ok(None);
        };
        let (east, north) = (cell(row, east), cell(row, north));
        if east.is_empty() || north.is_empty() {
            return Ok(None);
        }
        let grid = self
            .single
            .epsg
            .and_then(|at| Grid::of_epsg(cell(row, at)))
            .unwrap_or(self.mapping.grid);
        let degrees = |text: &str| text.replace(',', ".").parse::<f64>().ok();
        degrees(east)
            .zip(degrees(north))
            .and_then(|(east, north)| grid.place(east, north))
            .map(Some)
            .ok_or_else(|| Reason::NoPlace {
                north: shown(north),
                east: shown(east),
            })
    }
}

fn cell(row: &Row, at: usize) -> &str {
    row.cells.get(at).map_or("", String::as_str)
}

/// The cell of a column that has one value, where it is one.
fn text(row: &Row, column: Option<usize>) -> Option<String> {
    column
        .map(|at| cell(row, at))
        .filter(|text| !text.is_empty() && text.chars().count() <= NAME_LIMIT)
        .map(str::to_owned)
}

/// A text as an id: what is one stays, `Dépendance Süd 2` becomes `d-pendance-sued-2`.
fn slug(text: &str) -> String {
    if is_slug(text) {
        return text.to_owned();
    }
    let mut slug = String::new();
    for c in text.chars() {
        let letters = folded(c.encode_utf8(&mut [0; 4]));
        if !letters.is_empty() && letters.is_ascii() {
            slug.push_str(&letters);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(SLUG_LIMIT);
    slug.trim_end_matches('-').to_owned()
}

fn joined(row: &Row, columns: &[usize]) -> String {
    let parts: Vec<&str> = columns
        .iter()
        .map(|at| cell(row, *at))
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(" ")
}

/// A German key that a spreadsheet has taken for a number and robbed of its leading zero.
fn with_zero(key: String, robbed: usize, german: bool) -> String {
    if german && key.len() == robbed && key.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("0{key}")
    } else {
        key
    }
}

/// A count as lists write it: `1200`, `1.200`, `1200.0`.
pub(super) fn counted(text: &str, fact: Fact) -> Result<Option<u32>, Reason> {
    if text.is_empty() {
        return Ok(None);
    }
    let whole = text.strip_suffix(".0").unwrap_or(text);
    let groups: Vec<&str> = whole.split('.').collect();
    let grouped = groups[1..].iter().all(|group| group.len() == 3)
        && (groups.len() == 1 || groups[0].len() <= 3);
    let digits: String = groups.concat();
    if !grouped || digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Reason::NoCount {
            text: shown(text),
            fact,
        });
    }
    let most = fact.largest_plausible();
    match digits.parse::<u32>() {
        Ok(count) if count <= most => Ok(Some(count)),
        _ => Err(Reason::CountTooLarge {
            text: shown(text),
            fact,
            most,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_calls_a_site_becomes_an_id_and_an_id_stays() {
        for (text, id) in [
            ("annex", "annex"),
            ("a--b", "a--b"),
            ("1", "1"),
            ("Haus Süd / Bachstraße 2", "haus-sued-bachstrasse-2"),
            ("-A-", "a"),
            ("東", ""),
            ("…", ""),
        ] {
            assert_eq!(slug(text), id, "{text}");
        }
        let long = slug(&"Ü ".repeat(100));
        assert!(is_slug(&long), "{long}");
    }
}
