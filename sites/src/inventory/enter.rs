//! The facts of a sheet into the site file. A newer fact replaces an older one and never the other way
//! round; comments and everything else of the file stay.

use std::collections::HashMap;

use serde::Serialize;
use thiserror::Error;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::sheet::{Sheet, SheetFact, What};
use super::{Cabling, DeviceLot, FactValue, Stated};
use crate::Day;
use crate::roster::{Finding, Grade, Reason};
use crate::site::Authority;
use crate::target::Profiles;
use crate::toml_file::Problem;

/// What a sheet did, or would do, to a site file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entered {
    /// The site file afterwards.
    #[serde(skip)]
    pub text: String,
    /// Facts that the file did not have, or had older.
    pub entered: Vec<FactChange>,
    /// Facts that the file has newer: they stay.
    pub kept: Vec<FactChange>,
    /// Facts that the file has already.
    pub unchanged: usize,
    /// Rows about schools or sites that the file does not have.
    pub findings: Vec<Finding>,
}

/// A fact of which file and sheet differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FactChange {
    /// The school, or the site.
    pub at: String,
    /// The fact.
    pub fact: String,
    /// What the file said, with its day.
    pub was: Option<String>,
    /// What the sheet says, with its day.
    pub sheet: String,
}

/// Why nothing can be entered; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EnterError {
    /// The file cannot be used as it is, or could not afterwards.
    #[error("the site file cannot be used")]
    SiteFile(Vec<Problem>),
    /// It is written in a way that cannot be added to.
    #[error(
        "the site file writes its schools or sites in a way that cannot be added to: [[school]] and [[school.site]] tables are needed"
    )]
    Shape,
}

/// Enters the facts of a sheet into the site file `text`; `file` is its name for problems, and
/// `profiles` are those that it may name.
///
/// # Errors
/// Where the file cannot be used or would not be usable afterwards.
pub fn enter(
    file: &str,
    text: &str,
    profiles: &Profiles,
    sheet: &Sheet,
) -> Result<Entered, EnterError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Authority::parse_against(file, text, profiles).map_err(EnterError::SiteFile)?;
    let mut document: DocumentMut = text.parse().map_err(|_| EnterError::Shape)?;
    let schools = document
        .get_mut("school")
        .and_then(Item::as_array_of_tables_mut)
        .ok_or(EnterError::Shape)?;
    let mut positions: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, school) in schools.iter().enumerate() {
        let id = school.get("id").and_then(Item::as_str).unwrap_or_default();
        positions.entry(id.to_owned()).or_default().push(at);
        if let Some((_, number)) = id.split_once('-') {
            positions.entry(number.to_owned()).or_default().push(at);
        }
    }
    let mut entered = Entered {
        text: String::new(),
        entered: Vec::new(),
        kept: Vec::new(),
        unchanged: 0,
        findings: Vec::new(),
    };
    for fact in &sheet.facts {
        let mut refuse = |column: &str, reason: Reason| {
            entered.findings.push(Finding {
                line: fact.line,
                column: Some(column.to_owned()),
                grade: Grade::RowRefused,
                reason,
            });
        };
        let school = match positions.get(&fact.school).map(Vec::as_slice) {
            Some([at]) => schools.get_mut(*at).ok_or(EnterError::Shape)?,
            Some(_) => {
                let school = shown_word(&fact.school);
                refuse("Schulnummer", Reason::SeveralSchools { school });
                continue;
            }
            None => {
                let school = shown_word(&fact.school);
                refuse("Schulnummer", Reason::UnknownSchool { school });
                continue;
            }
        };
        let Some(place) = place(school, fact)? else {
            let site = shown_word(fact.site.as_deref().unwrap_or_default());
            refuse("Standort", Reason::UnknownSite { site });
            continue;
        };
        let inventory = place
            .entry("inventory")
            .or_insert_with(|| Item::Table(Table::new()))
            .as_table_like_mut()
            .ok_or(EnterError::Shape)?;
        put(inventory, fact, &mut entered)?;
    }
    entered.text = document.to_string();
    Authority::parse_against(file, &entered.text, profiles).map_err(EnterError::SiteFile)?;
    Ok(entered)
}

/// The table of the school or of its site.
fn place<'a>(
    school: &'a mut Table,
    fact: &SheetFact,
) -> Result<Option<&'a mut dyn TableLike>, EnterError> {
    let Some(wanted) = &fact.site else {
        return Ok(Some(school));
    };
    let sites = school
        .get_mut("site")
        .and_then(Item::as_array_of_tables_mut)
        .ok_or(EnterError::Shape)?;
    let site = sites
        .iter_mut()
        .find(|site| site.get("id").and_then(Item::as_str) == Some(wanted));
    Ok(site.map(|site| site as &mut dyn TableLike))
}

fn put(
    inventory: &mut dyn TableLike,
    fact: &SheetFact,
    entered: &mut Entered,
) -> Result<(), EnterError> {
    let (name, new, on) = match &fact.what {
        What::Fact(kind, stated) => (kind.name().to_owned(), written(stated), stated.on),
        What::Devices(lot) => {
            let year = lot
                .bought
                .map_or_else(String::new, |year| format!(" {year}"));
            (
                format!("devices {}{year}", lot.kind.name()),
                lot_written(lot),
                lot.on,
            )
        }
    };
    let old: Option<&mut Value> = match &fact.what {
        What::Fact(kind, _) => inventory.get_mut(kind.name()).and_then(Item::as_value_mut),
        What::Devices(lot) => inventory
            .entry("devices")
            .or_insert_with(|| toml_edit::value(Array::new()))
            .as_array_mut()
            .ok_or(EnterError::Shape)?
            .iter_mut()
            .find(|old| is_lot(old, lot)),
    };
    let change = |was: Option<&InlineTable>| FactChange {
        at: match &fact.site {
            Some(site) => format!("{}/{site}", fact.school),
            None => fact.school.clone(),
        },
        fact: name,
        was: was.map(shown),
        sheet: shown(&new),
    };
    if let Some(old) = old {
        let table = old.as_inline_table().ok_or(EnterError::Shape)?;
        if shown(table) == shown(&new) {
            entered.unchanged += 1;
        } else if day_of(table).is_some_and(|day| day > on) {
            entered.kept.push(change(Some(table)));
        } else {
            entered.entered.push(change(Some(table)));
            let decor = old.decor().clone();
            *old = Value::InlineTable(new);
            *old.decor_mut() = decor;
        }
        return Ok(());
    }
    entered.entered.push(change(None));
    match &fact.what {
        What::Fact(kind, _) => {
            inventory.insert(kind.name(), toml_edit::value(new));
        }
        What::Devices(_) => {
            let lots = inventory
                .get_mut("devices")
                .and_then(Item::as_array_mut)
                .ok_or(EnterError::Shape)?;
            // A line each.
            let mut value = Value::InlineTable(new);
            value.decor_mut().set_prefix("\n    ");
            lots.push_formatted(value);
            lots.set_trailing("\n");
            lots.set_trailing_comma(true);
        }
    }
    Ok(())
}

fn written(stated: &Stated) -> InlineTable {
    let value = match stated.value {
        FactValue::Count(count) => Value::from(i64::from(count)),
        FactValue::Decimal(number) => Value::from(number),
        FactValue::YesNo(flag) => Value::from(flag),
        FactValue::Cabling(class) => Value::from(Cabling::name(class)),
    };
    let mut table = InlineTable::new();
    table.insert("value", value);
    table.insert("on", stated.on.to_string().into());
    table.insert("from", stated.from.as_str().into());
    table
}

fn lot_written(lot: &DeviceLot) -> InlineTable {
    let mut table = InlineTable::new();
    table.insert("kind", lot.kind.name().into());
    if let Some(year) = lot.bought {
        table.insert("bought", Value::from(i64::from(year)));
    }
    table.insert("count", Value::from(i64::from(lot.count)));
    table.insert("on", lot.on.to_string().into());
    table.insert("from", lot.from.as_str().into());
    table
}

fn is_lot(value: &Value, lot: &DeviceLot) -> bool {
    let Some(table) = value.as_inline_table() else {
        return false;
    };
    table.get("kind").and_then(Value::as_str) == Some(lot.kind.name())
        && table.get("bought").and_then(Value::as_integer) == lot.bought.map(i64::from)
}

fn day_of(table: &InlineTable) -> Option<Day> {
    table.get("on")?.as_str()?.parse().ok()
}

/// The first characters of a word of the sheet.
fn shown_word(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Value, day and origin in a line.
fn shown(table: &InlineTable) -> String {
    let value = table.get("value").or_else(|| table.get("count"));
    let value = match value {
        Some(Value::String(text)) => text.value().clone(),
        Some(Value::Integer(whole)) => whole.value().to_string(),
        Some(Value::Float(number)) => number.value().to_string(),
        Some(Value::Boolean(flag)) => flag.value().to_string(),
        _ => String::new(),
    };
    let text = |key| table.get(key).and_then(Value::as_str).unwrap_or_default();
    format!("{value} ({}, {})", text("on"), text("from"))
}
