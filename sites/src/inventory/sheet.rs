//! The sheet that schools fill in: one fact a row, under German headers.

use serde::Serialize;

use super::{
    Cabling, DeviceKind, DeviceLot, FactValue, InventoryFact, MOST_DEVICES, Stated, ValueKind,
    YEARS,
};
use crate::roster::{Finding, Grade, Reason, RosterError, Row, Table};
use crate::{Day, nearest};

/// The columns, in the order of the template.
pub(super) const COLUMNS: [&str; 9] = [
    "Schulnummer",
    "Standort",
    "Angabe",
    "Art",
    "Anschaffungsjahr",
    "Wert",
    "Stand",
    "Herkunft",
    "Bemerkung",
];

/// Rows with this word in place of a school's number are examples.
pub(super) const EXAMPLE: &str = "Beispiel";

/// The fact of which there may be many: devices of one kind and year.
pub(super) const DEVICES: &str = "Geräte";

/// A sheet as it was filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sheet {
    /// Rows with something in them.
    pub rows: usize,
    /// Rows that were the template's own examples.
    pub examples: usize,
    /// What a person should look at.
    pub findings: Vec<Finding>,
    /// The facts.
    #[serde(skip)]
    pub facts: Vec<SheetFact>,
}

/// A fact with the school it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct SheetFact {
    /// Its row.
    pub line: usize,
    /// The school's number, with its state or without.
    pub school: String,
    /// The site, where it is about one.
    pub site: Option<String>,
    /// The fact.
    pub what: What,
}

/// One fact of a sheet.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// One of which there is one.
    Fact(InventoryFact, Stated),
    /// Devices.
    Devices(DeviceLot),
}

impl Sheet {
    /// Whether a table is such a sheet and no list of schools.
    #[must_use]
    pub fn is_one(table: &Table) -> bool {
        ["Angabe", "Wert", "Stand", "Herkunft"]
            .iter()
            .all(|name| table.header.iter().any(|header| header == name))
    }

    /// Reads a filled template, CSV or XLSX.
    ///
    /// # Errors
    /// Where it is no such table. Rows that are not understood are findings.
    pub fn read(bytes: &[u8]) -> Result<Self, RosterError> {
        let table = Table::read(bytes)?;
        let mut columns = [None; COLUMNS.len()];
        for (column, name) in columns.iter_mut().zip(COLUMNS) {
            *column = table
                .header
                .iter()
                .position(|header| header.eq_ignore_ascii_case(name));
            if column.is_none() && !matches!(name, "Standort" | "Bemerkung") {
                return Err(RosterError::Mapping(format!(
                    "the sheet has no column `{name}`: begin with `messnetz sites template`"
                )));
            }
        }
        let mut sheet = Self {
            rows: table.rows.len(),
            examples: 0,
            findings: table.findings.clone(),
            facts: Vec::new(),
        };
        for row in &table.rows {
            let cells = columns.map(|column| {
                column
                    .and_then(|at| row.cells.get(at))
                    .map_or("", String::as_str)
            });
            if cells[0].eq_ignore_ascii_case(EXAMPLE) {
                sheet.examples += 1;
                continue;
            }
            match fact(row, cells) {
                Ok(fact) => sheet.facts.push(fact),
                Err((column, reason)) => sheet.findings.push(Finding {
                    line: row.line,
                    column: Some(COLUMNS[column].to_owned()),
                    grade: Grade::RowRefused,
                    reason,
                }),
            }
        }
        Ok(sheet)
    }
}

/// One row; an error names the column.
fn fact(row: &Row, cells: [&str; COLUMNS.len()]) -> Result<SheetFact, (usize, Reason)> {
    let [school, site, what, kind, year, value, on, from, _] = cells;
    if school.is_empty() {
        return Err((0, Reason::NoSchoolNamed));
    }
    if from.is_empty() || from.chars().count() > 200 {
        return Err((7, Reason::NoOrigin));
    }
    let on = day(on).ok_or_else(|| (6, Reason::NoDay { text: shown(on) }))?;
    let from = from.to_owned();
    let what = if what.eq_ignore_ascii_case(DEVICES) || what == "devices" {
        What::Devices(DeviceLot {
            kind: device_kind(kind)
                .ok_or_else(|| (3, Reason::NoDeviceKind { text: shown(kind) }))?,
            bought: year_of(year)?,
            count: value
                .parse()
                .ok()
                .filter(|count| *count <= MOST_DEVICES)
                .ok_or_else(|| {
                    let (text, most) = (shown(value), MOST_DEVICES);
                    (5, Reason::NoDeviceCount { text, most })
                })?,
            on,
            from,
        })
    } else {
        let fact = named(what).ok_or_else(|| (2, unknown(what)))?;
        let value = fact.read_german(value).ok_or_else(|| {
            let text = shown(value);
            (5, Reason::NoFactValue { text, fact })
        })?;
        What::Fact(fact, Stated { value, on, from })
    };
    Ok(SheetFact {
        line: row.line,
        school: school.to_owned(),
        site: (!site.is_empty()).then(|| site.to_owned()),
        what,
    })
}

fn named(what: &str) -> Option<InventoryFact> {
    let what = what.to_lowercase();
    InventoryFact::ALL
        .into_iter()
        .find(|fact| fact.german().to_lowercase() == what || fact.name() == what)
}

fn unknown(what: &str) -> Reason {
    let known = InventoryFact::ALL.map(InventoryFact::german);
    let near = nearest(what, known.into_iter().chain([DEVICES]));
    Reason::UnknownFact {
        text: shown(what),
        meant: near.map(ToString::to_string),
    }
}

fn device_kind(word: &str) -> Option<DeviceKind> {
    let word = word.to_lowercase();
    DeviceKind::ALL
        .into_iter()
        .find(|kind| kind.german().to_lowercase() == word || kind.name() == word)
}

fn year_of(text: &str) -> Result<Option<u16>, (usize, Reason)> {
    if text.is_empty() {
        return Ok(None);
    }
    let year = text.parse().ok().filter(|year| YEARS.contains(year));
    year.map(Some)
        .ok_or_else(|| (4, Reason::NoYear { text: shown(text) }))
}

/// A day as spreadsheets (2025-12-31) and people (31.12.2025) write it.
fn day(text: &str) -> Option<Day> {
    if let Ok(day) = text.parse() {
        return Some(day);
    }
    let mut parts = text.split('.');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    format!("{year}-{month:0>2}-{day:0>2}").parse().ok()
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

impl InventoryFact {
    /// Its name in the sheet.
    #[must_use]
    pub const fn german(self) -> &'static str {
        match self {
            Self::Rooms => "Räume",
            Self::RoomsTeaching => "Unterrichtsräume",
            Self::AccessPoints => "Access Points",
            Self::RoomsWithAccessPoint => "Unterrichtsräume mit Access Point",
            Self::SocketsPerRoom => "Doppeldosen je Unterrichtsraum",
            Self::Cabling => "Verkabelung",
            Self::RoomsWithDisplay => "Unterrichtsräume mit Anzeigegerät",
            Self::SupportFte => "IT-Betreuung in Vollzeitstellen",
            Self::ServiceHoursAgreed => "Servicezeit vereinbart (Stunden)",
            Self::ServiceKeptPercent => "Servicezeit eingehalten (Prozent)",
            Self::Ups => "USV vorhanden",
            Self::SecondLine => "Zweite Leitung vorhanden",
            Self::TeachersTrained => "Fortgebildete Lehrkräfte",
        }
    }

    /// A value as people in Germany write it: `1,5`, `ja`, `Cat 6A`.
    fn read_german(self, text: &str) -> Option<FactValue> {
        let value = match self.kind() {
            ValueKind::Count(_) => FactValue::Count(text.parse().ok()?),
            ValueKind::Decimal(_) => {
                let number = text.trim_end_matches('%').trim().replace(',', ".");
                FactValue::Decimal(number.parse().ok()?)
            }
            ValueKind::YesNo => FactValue::YesNo(match text.to_lowercase().as_str() {
                "ja" | "j" | "x" | "true" | "yes" => true,
                "nein" | "n" | "false" | "no" => false,
                _ => return None,
            }),
            ValueKind::Cabling => {
                let word: String = text
                    .to_lowercase()
                    .replace("kat", "cat")
                    .chars()
                    .filter(|c| c.is_alphanumeric())
                    .collect();
                let word = match word.as_str() {
                    "glasfaser" | "lwl" => "fibre",
                    other => other,
                };
                let class = Cabling::ALL
                    .into_iter()
                    .find(|class| class.name() == word)?;
                FactValue::Cabling(class)
            }
        };
        self.allows(value).then_some(value)
    }

    /// What can be filled in, for people.
    pub(super) fn accepted_german(self) -> String {
        match self.kind() {
            ValueKind::Count(most) => format!("ganze Zahl bis {most}"),
            ValueKind::Decimal(most) => format!("Zahl von 0 bis {most}"),
            ValueKind::YesNo => "ja oder nein".to_owned(),
            ValueKind::Cabling => {
                "Cat 5, Cat 5e, Cat 6, Cat 6A, Cat 7, Cat 8 oder Glasfaser".to_owned()
            }
        }
    }
}

impl DeviceKind {
    /// Its name in the sheet.
    #[must_use]
    pub const fn german(self) -> &'static str {
        match self {
            Self::Tablet => "Tablet",
            Self::Notebook => "Notebook",
            Self::Desktop => "Desktop-PC",
            Self::Display => "Anzeigegerät",
            Self::Printer => "Drucker",
            Self::Server => "Server",
            Self::Switch => "Switch",
            Self::AccessPoint => "Access Point",
            Self::Other => "Sonstiges",
        }
    }
}
