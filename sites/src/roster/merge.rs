//! Bringing a list into a site file: what is new is added, what the list changed is changed, and what a
//! person entered stays.
//!
//! Each school and each site of the file remembers in `imported` what the list said last time. A value
//! that still reads as it was imported follows the list; any other was entered by hand, is kept, and the
//! difference is reported. No school and no site is ever removed.

mod site;
mod slot;

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use thiserror::Error;
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike};

use slot::{Slot, Stated};

use super::entry::Entry;
use super::reading::{LeftOut, Roster};
use crate::site::{Authority, SchoolId, SiteId};
use crate::target::Profiles;
use crate::toml_file::Problem;

/// What an import did, or would do, to a site file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Merged {
    /// The site file afterwards.
    #[serde(skip)]
    pub text: String,
    /// Schools that the file did not have.
    pub new: Vec<New>,
    /// Sites that the file did not have, of schools that it had.
    pub new_sites: Vec<NewSite>,
    /// Values that follow the list.
    pub changed: Vec<Change>,
    /// Values entered by hand that the list contradicts: they stay.
    pub kept: Vec<Change>,
    /// Schools of the file that the list does not have any more: they stay.
    pub gone: Vec<Gone>,
    /// Sites of the file that the list does not have although it has their school and tells its sites
    /// apart: they stay.
    pub gone_sites: Vec<GoneSite>,
    /// Schools in which nothing changed.
    pub unchanged: usize,
    /// Whether the site file is as it was.
    #[serde(skip)]
    same: bool,
}

impl Merged {
    /// Whether the site file needs not be written.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.same
    }
}

/// A school that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct New {
    /// Its number.
    pub id: SchoolId,
    /// Its name.
    pub name: String,
}

/// A site that was added to a school.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewSite {
    /// Its id.
    pub id: SiteId,
    /// Its name.
    pub name: String,
}

/// A value of which file and list differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The school.
    pub id: SchoolId,
    /// The site, where the list tells sites apart and the value is of one.
    pub site: Option<String>,
    /// Its key in the site file.
    pub field: &'static str,
    /// What the file said.
    pub was: Option<String>,
    /// What the list says.
    pub list: String,
}

/// A school that the list has no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// Its number.
    pub id: SchoolId,
    /// Its name in the file.
    pub name: String,
    /// The rule that left it out; absent where its number is not in the list.
    pub rule: Option<LeftOut>,
}

/// A site that the list has no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GoneSite {
    /// Its id.
    pub id: SiteId,
    /// Its name in the file.
    pub name: String,
    /// The rule that left it out; absent where the list does not name it.
    pub rule: Option<LeftOut>,
}

/// Why a list cannot be brought into a site file; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MergeError {
    /// The file cannot be used as it is, or could not afterwards.
    #[error("the site file cannot be used")]
    SiteFile(Vec<Problem>),
    /// It is written in a way that cannot be added to.
    #[error("{0}")]
    Shape(&'static str),
    /// There is nothing to write.
    #[error("the list has no school that was asked for: a site file needs at least one")]
    NoSchool,
}

/// What cannot be added to.
const SHAPE: MergeError =
    MergeError::Shape("a school of the site file is written in a way that cannot be added to");

/// Brings `entries` of a list into the site file `text`; `file` is its name for problems. An empty text
/// becomes a file of an authority called `authority`. `profiles` are those that the file may name.
///
/// # Errors
/// Where the file cannot be used or would not be usable afterwards.
pub fn merge(
    file: &str,
    text: &str,
    authority: &str,
    profiles: &Profiles,
    roster: &Roster,
    entries: &[&Entry],
) -> Result<Merged, MergeError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Ok(mut document) = text.parse::<DocumentMut>() else {
        return Err(MergeError::SiteFile(problems(file, text, profiles)));
    };
    if text.trim().is_empty() {
        let mut table = Table::new();
        table.insert("name", toml_edit::value(authority));
        table.insert("profiles", toml_edit::value(toml_edit::Array::new()));
        if let Some(mut profiles) = table.key_mut("profiles") {
            let comment =
                "# What the schools are held against: ids of profiles, such as \"de-gigabit\".\n";
            profiles.leaf_decor_mut().set_prefix(comment);
        }
        document.insert("authority", Item::Table(table));
    }
    let schools = document
        .entry("school")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
        .as_array_of_tables_mut()
        .ok_or(MergeError::Shape(
            "the site file writes its schools as one value: an import needs [[school]] tables",
        ))?;
    let mut merged = Merged {
        text: String::new(),
        new: Vec::new(),
        new_sites: Vec::new(),
        changed: Vec::new(),
        kept: Vec::new(),
        gone: gone(schools, roster),
        gone_sites: Vec::new(),
        unchanged: 0,
        same: false,
    };
    let positions_by_id: HashMap<String, usize> = schools
        .iter()
        .enumerate()
        .filter_map(|(at, school)| Some((school.get("id")?.as_str()?.to_owned(), at)))
        .collect();
    for entry in entries {
        if let Some(at) = positions_by_id.get(entry.id.as_str()) {
            if let Some(school) = schools.get_mut(*at) {
                update(school, entry, roster, &mut merged)?;
            }
        } else {
            schools.push(written(entry));
            merged.new.push(New {
                id: entry.id.clone(),
                name: entry.name.clone(),
            });
        }
    }
    if schools.is_empty() {
        return Err(MergeError::NoSchool);
    }
    merged.text = document.to_string();
    merged.same = merged.text == text;
    Authority::parse_against(file, &merged.text, profiles).map_err(MergeError::SiteFile)?;
    Ok(merged)
}

fn problems(file: &str, text: &str, profiles: &Profiles) -> Vec<Problem> {
    Authority::parse_against(file, text, profiles)
        .err()
        .unwrap_or_default()
}

/// A school as a new table of the file.
fn written(entry: &Entry) -> Table {
    let mut school = Table::new();
    school.decor_mut().set_prefix("\n");
    school.insert("id", toml_edit::value(entry.id.as_str()));
    let mut facts = Table::new();
    let mut imported = InlineTable::new();
    for slot in Slot::of_school(entry) {
        let value = slot.value.to_value();
        imported.insert(slot.field, value.clone());
        let table = if slot.group.is_some() {
            &mut facts
        } else {
            &mut school
        };
        table.insert(slot.field, Item::Value(value));
    }
    school.insert("imported", toml_edit::value(imported));
    if !facts.is_empty() {
        school.insert("facts", Item::Table(facts));
    }
    let sites: ArrayOfTables = entry
        .sites
        .iter()
        .map(|listed| site::written(entry, listed))
        .collect();
    school.insert("site", Item::ArrayOfTables(sites));
    school
}

/// Holds a school of the file against the list: its own values, then its sites.
fn update(
    school: &mut Table,
    entry: &Entry,
    roster: &Roster,
    merged: &mut Merged,
) -> Result<(), MergeError> {
    let reports =
        |merged: &Merged| merged.changed.len() + merged.kept.len() + merged.new_sites.len();
    let before = reports(merged);
    hold(school, &Slot::of_school(entry), (&entry.id, None), merged)?;
    site::update(school, entry, roster, merged)?;
    if reports(merged) == before {
        merged.unchanged += 1;
    }
    Ok(())
}

/// Holds the table of a school or a site against the list, value by value.
fn hold(
    table: &mut dyn TableLike,
    slots: &[Slot],
    (id, site): (&SchoolId, Option<&str>),
    merged: &mut Merged,
) -> Result<(), MergeError> {
    let mut imported = table
        .get("imported")
        .and_then(Item::as_table_like)
        .map(|table| {
            table
                .iter()
                .filter_map(|(key, item)| Some((key.to_owned(), Stated::of(item)?)))
                .collect::<Vec<_>>()
        })
        .unwrap_or_default();
    let mut noted = false;
    for slot in slots {
        let mine = slot.read(table);
        let base = imported
            .iter()
            .find(|(key, _)| key == slot.field)
            .map(|(_, value)| value.clone());
        let change = |was: Option<&Stated>| Change {
            id: id.clone(),
            site: site.map(str::to_owned),
            field: slot.field,
            was: was.map(Stated::shown),
            list: slot.value.shown(),
        };
        let list_is_as_before = base.as_ref().is_some_and(|base| base.says(&slot.value));
        match (&mine, &base) {
            (Some(mine), _) if mine.says(&slot.value) => {}
            _ if list_is_as_before => {}
            (Some(mine), Some(base)) if mine.says(base) => {
                merged.changed.push(change(Some(mine)));
                slot.write(table)?;
            }
            (None, None) => {
                merged.changed.push(change(None));
                slot.write(table)?;
            }
            // Entered, or taken out, by hand.
            (mine, _) => merged.kept.push(change(mine.as_ref())),
        }
        if !list_is_as_before {
            imported.retain(|(key, _)| key != slot.field);
            imported.push((slot.field.to_owned(), slot.value.clone()));
            noted = true;
        }
    }
    if noted {
        let mut written = InlineTable::new();
        for (key, value) in imported {
            written.insert(&key, value.to_value());
        }
        table.insert("imported", toml_edit::value(written));
    }
    Ok(())
}

/// Schools of the file whose state the list counts, and which it has no more.
fn gone(schools: &ArrayOfTables, roster: &Roster) -> Vec<Gone> {
    let state = |id: &str| id.split('-').next().map(str::to_owned);
    let listed: HashSet<&str> = roster
        .entries
        .iter()
        .map(|entry| entry.id.as_str())
        .collect();
    let states: HashSet<String> = listed.iter().filter_map(|id| state(id)).collect();
    let mut gone = Vec::new();
    for school in schools {
        let text = |key| school.get(key).and_then(Item::as_str);
        let Some(id) = text("id").and_then(|id| id.parse::<SchoolId>().ok()) else {
            continue;
        };
        let of_the_list = state(id.as_str()).is_some_and(|state| states.contains(&state));
        if of_the_list && !listed.contains(id.as_str()) {
            gone.push(Gone {
                rule: roster.left_out_by_id.get(&id).copied(),
                name: text("name").unwrap_or_default().to_owned(),
                id,
            });
        }
    }
    gone
}
