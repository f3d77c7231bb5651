//! Bringing a list into a site file: what is new is added, what the list changed is changed, and what a
//! person entered stays.
//!
//! The file remembers in `imported` what the list said last time. A value that still reads as it was
//! imported follows the list; any other was entered by hand, is kept, and the difference is reported. No
//! school is ever removed.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use thiserror::Error;
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::entry::Entry;
use super::reading::{LeftOut, Roster};
use crate::site::{Authority, SchoolId};
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
    /// Values that follow the list.
    pub changed: Vec<Change>,
    /// Values entered by hand that the list contradicts: they stay.
    pub kept: Vec<Change>,
    /// Schools of the file that the list does not have any more: they stay.
    pub gone: Vec<Gone>,
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

/// A value of which file and list differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The school.
    pub id: SchoolId,
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
        changed: Vec::new(),
        kept: Vec::new(),
        gone: gone(schools, roster),
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
                update(school, entry, &mut merged)?;
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

/// A value of the list with the place that it has in a site file.
struct Slot {
    /// The key in `imported`, and what people are told.
    field: &'static str,
    place: Place,
    value: Stated,
}

#[derive(Clone, Copy)]
enum Place {
    School,
    Facts,
    /// A key of the address of the school's first site.
    Address,
    /// A key of the school's first site.
    Site,
}

#[derive(Clone, Debug, PartialEq)]
enum Stated {
    Text(String),
    Count(i64),
    Place { lat: f64, lon: f64 },
}

impl Stated {
    fn of(item: &Item) -> Option<Self> {
        if let Some(text) = item.as_str() {
            return Some(Self::Text(text.to_owned()));
        }
        if let Some(count) = item.as_integer() {
            return Some(Self::Count(count));
        }
        let table = item.as_table_like()?;
        let degrees = |key| {
            let item = table.get(key)?;
            item.as_float()
                .or_else(|| item.as_integer().map(|whole| whole as f64))
        };
        Some(Self::Place {
            lat: degrees("lat")?,
            lon: degrees("lon")?,
        })
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Count(count) => Value::from(*count),
            Self::Place { lat, lon } => {
                let mut table = InlineTable::new();
                table.insert("lat", Value::from(rounded(*lat)));
                table.insert("lon", Value::from(rounded(*lon)));
                Value::InlineTable(table)
            }
        }
    }

    /// Whether two say the same; coordinates to 10 cm.
    fn says(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Place { lat, lon }, Self::Place { lat: a, lon: b }) => {
                (lat - a).abs() < 1.5e-6 && (lon - b).abs() < 1.5e-6
            }
            _ => self == other,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Place { lat, lon } => format!("{lat:.6} {lon:.6}"),
        }
    }
}

/// Six decimals of a degree are 11 cm.
fn rounded(degrees: f64) -> f64 {
    (degrees * 1e6).round() / 1e6
}

/// All that the list says about a school, in the order of the site file.
fn slots(entry: &Entry) -> Vec<Slot> {
    let mut slots = Vec::new();
    let mut text = |field, place, value: Option<&str>| {
        slots.extend(value.map(|value| Slot {
            field,
            place,
            value: Stated::Text(value.to_owned()),
        }));
    };
    let register = &entry.register;
    text("name", Place::School, Some(&entry.name));
    text("form", Place::School, Some(entry.form.name()));
    text("land_form", Place::School, register.land_form.as_deref());
    text(
        "municipality",
        Place::School,
        register.municipality.as_deref(),
    );
    text(
        "municipality_key",
        Place::School,
        register.municipality_key.as_deref(),
    );
    text(
        "authority_number",
        Place::School,
        register.authority_number.as_deref(),
    );
    text("street", Place::Address, entry.address.street.as_deref());
    text(
        "postcode",
        Place::Address,
        entry.address.postcode.as_deref(),
    );
    text("place", Place::Address, entry.address.place.as_deref());
    slots.extend(entry.coordinates.map(|at| Slot {
        field: "coordinates",
        place: Place::Site,
        value: Stated::Place {
            lat: at.lat,
            lon: at.lon,
        },
    }));
    for (field, count) in [
        ("classes", entry.facts.classes),
        ("pupils", entry.facts.pupils),
        ("teachers", entry.facts.teachers),
    ] {
        slots.extend(count.map(|count| Slot {
            field,
            place: Place::Facts,
            value: Stated::Count(i64::from(count)),
        }));
    }
    slots
}

/// A school as a new table of the file.
fn written(entry: &Entry) -> Table {
    let mut school = Table::new();
    school.decor_mut().set_prefix("\n");
    school.insert("id", toml_edit::value(entry.id.as_str()));
    let mut site = Table::new();
    site.insert("id", toml_edit::value("main"));
    let called = entry
        .address
        .street
        .as_deref()
        .or(entry.address.place.as_deref());
    site.insert("name", toml_edit::value(called.unwrap_or(&entry.name)));
    let mut facts = Table::new();
    let mut address = InlineTable::new();
    let mut imported = InlineTable::new();
    for slot in slots(entry) {
        let value = slot.value.to_value();
        imported.insert(slot.field, value.clone());
        match slot.place {
            Place::School => school.insert(slot.field, Item::Value(value)),
            Place::Facts => facts.insert(slot.field, Item::Value(value)),
            Place::Site => site.insert(slot.field, Item::Value(value)),
            Place::Address => {
                address.insert(slot.field, value);
                None
            }
        };
    }
    if !address.is_empty() {
        // Before the coordinates, as people write it.
        let coordinates = site.remove("coordinates");
        site.insert("address", toml_edit::value(address));
        if let Some(coordinates) = coordinates {
            site.insert("coordinates", coordinates);
        }
    }
    school.insert("imported", toml_edit::value(imported));
    if !facts.is_empty() {
        school.insert("facts", Item::Table(facts));
    }
    let mut sites = ArrayOfTables::new();
    sites.push(site);
    school.insert("site", Item::ArrayOfTables(sites));
    school
}

/// Holds a school of the file against the list, value by value.
fn update(school: &mut Table, entry: &Entry, merged: &mut Merged) -> Result<(), MergeError> {
    let mut imported = school
        .get("imported")
        .and_then(Item::as_table_like)
        .map(|table| {
            table
                .iter()
                .filter_map(|(key, item)| Some((key.to_owned(), Stated::of(item)?)))
                .collect::<Vec<_>>()
        })
        .unwrap_or_default();
    let reports = merged.changed.len() + merged.kept.len();
    let mut noted = false;
    for slot in slots(entry) {
        let mine = read(school, &slot);
        let base = imported
            .iter()
            .find(|(key, _)| key == slot.field)
            .map(|(_, value)| value.clone());
        let change = |was: Option<&Stated>| Change {
            id: entry.id.clone(),
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
                write(school, &slot)?;
            }
            (None, None) => {
                merged.changed.push(change(None));
                write(school, &slot)?;
            }
            // Entered, or taken out, by hand.
            (mine, _) => merged.kept.push(change(mine.as_ref())),
        }
        if !list_is_as_before {
            imported.retain(|(key, _)| key != slot.field);
            imported.push((slot.field.to_owned(), slot.value));
            noted = true;
        }
    }
    if noted {
        let mut table = InlineTable::new();
        for (key, value) in imported {
            table.insert(&key, value.to_value());
        }
        school.insert("imported", toml_edit::value(table));
    }
    if merged.changed.len() + merged.kept.len() == reports {
        merged.unchanged += 1;
    }
    Ok(())
}

fn first_site(school: &Table) -> Option<&dyn TableLike> {
    match school.get("site")? {
        Item::ArrayOfTables(sites) => sites.get(0).map(|site| site as &dyn TableLike),
        Item::Value(Value::Array(sites)) => {
            let site = sites.get(0)?.as_inline_table()?;
            Some(site as &dyn TableLike)
        }
        _ => None,
    }
}

fn read(school: &Table, slot: &Slot) -> Option<Stated> {
    let item = match slot.place {
        Place::School => school.get(slot.field),
        Place::Facts => school.get("facts")?.as_table_like()?.get(slot.field),
        Place::Site => first_site(school)?.get(slot.field),
        Place::Address => {
            let address = first_site(school)?.get("address")?;
            address.as_table_like()?.get(slot.field)
        }
    };
    Stated::of(item?)
}

/// Sets a value and leaves the comments around it where they are.
fn set(table: &mut dyn TableLike, key: &str, value: Value) {
    if let Some(old) = table.get_mut(key).and_then(Item::as_value_mut) {
        let decor = old.decor().clone();
        *old = value;
        *old.decor_mut() = decor;
    } else {
        table.insert(key, Item::Value(value));
    }
}

fn write(school: &mut Table, slot: &Slot) -> Result<(), MergeError> {
    const SHAPE: MergeError =
        MergeError::Shape("a school of the site file is written in a way that cannot be added to");
    let value = slot.value.to_value();
    match slot.place {
        Place::School => set(school, slot.field, value),
        Place::Facts => {
            let facts = school
                .entry("facts")
                .or_insert_with(|| Item::Table(Table::new()));
            set(facts.as_table_like_mut().ok_or(SHAPE)?, slot.field, value);
        }
        Place::Site | Place::Address => {
            let sites = school.get_mut("site").ok_or(SHAPE)?;
            let site: &mut dyn TableLike = match sites {
                Item::ArrayOfTables(sites) => sites.get_mut(0).ok_or(SHAPE)?,
                Item::Value(Value::Array(sites)) => sites
                    .get_mut(0)
                    .and_then(Value::as_inline_table_mut)
                    .ok_or(SHAPE)?,
                _ => return Err(SHAPE),
            };
            if matches!(slot.place, Place::Site) {
                set(site, slot.field, value);
            } else {
                let address = site
                    .entry("address")
                    .or_insert_with(|| toml_edit::value(InlineTable::new()));
                set(address.as_table_like_mut().ok_or(SHAPE)?, slot.field, value);
            }
        }
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
