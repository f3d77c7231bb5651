//! What no agent can measure: rooms, cabling, devices, support. Each fact carries the day on which it was
//! true and where it comes from, because such facts age.
//!
//! The types are part of the site file. Templates to collect the facts with, and their way back into the
//! site file, need the feature `roster`.

#[cfg(feature = "roster")]
mod enter;
#[cfg(feature = "roster")]
mod sheet;
#[cfg(feature = "roster")]
mod template;
#[cfg(feature = "roster")]
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Day;

#[cfg(feature = "roster")]
pub use enter::{EnterError, Entered, FactChange, enter};
#[cfg(feature = "roster")]
pub use sheet::{Sheet, SheetFact, What};
#[cfg(feature = "roster")]
pub use template::{template_csv, template_xlsx};

/// A fact of which a school or a site has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InventoryFact {
    /// Rooms of all kinds.
    Rooms,
    /// Rooms in which lessons are given.
    RoomsTeaching,
    /// Access points.
    AccessPoints,
    /// Teaching rooms with an access point of their own.
    RoomsWithAccessPoint,
    /// Double sockets of the network in a teaching room, on average.
    SocketsPerRoom,
    /// The class of most of the copper, or fibre.
    Cabling,
    /// Teaching rooms with a display: projector, screen, board.
    RoomsWithDisplay,
    /// People for support, in full-time equivalents.
    SupportFte,
    /// Hours within which a fault is to be mended, as agreed.
    ServiceHoursAgreed,
    /// Share of faults mended within the agreed time, in percent.
    ServiceKeptPercent,
    /// Whether the core of the network has an uninterruptible supply.
    Ups,
    /// Whether there is a second line.
    SecondLine,
    /// Teachers who took part in training for digital media in the last two years.
    TeachersTrained,
}

/// What kind of value a fact has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueKind {
    /// A whole number, at most so many.
    Count(u32),
    /// A number, at most so much.
    Decimal(f64),
    /// Yes or no.
    YesNo,
    /// A class of cabling.
    Cabling,
}

/// The value of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FactValue {
    /// A whole number.
    Count(u32),
    /// A number.
    Decimal(f64),
    /// Yes or no.
    YesNo(bool),
    /// A class of cabling.
    Cabling(Cabling),
}

/// Classes of cabling (ISO/IEC 11801 categories).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cabling {
    /// Category 5: 100 Mbit/s.
    Cat5,
    /// Category 5e: 1 Gbit/s.
    Cat5e,
    /// Category 6.
    Cat6,
    /// Category 6A: 10 Gbit/s.
    Cat6a,
    /// Category 7.
    Cat7,
    /// Category 8.
    Cat8,
    /// Fibre to the rooms.
    Fibre,
}

/// A fact with its day and its origin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stated {
    /// The value.
    pub value: FactValue,
    /// The day on which it was true.
    pub on: Day,
    /// Who says so, or how it was found out.
    pub from: String,
}

/// Devices of one kind, bought in one year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceLot {
    /// What they are.
    pub kind: DeviceKind,
    /// The year of purchase, where it is known.
    pub bought: Option<u16>,
    /// How many.
    pub count: u32,
    /// The day on which it was true.
    pub on: Day,
    /// Who says so, or how it was found out.
    pub from: String,
}

/// Kinds of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// Tablets.
    Tablet,
    /// Notebooks.
    Notebook,
    /// Desktop computers.
    Desktop,
    /// Projectors, screens and boards.
    Display,
    /// Printers.
    Printer,
    /// Servers.
    Server,
    /// Switches.
    Switch,
    /// Access points.
    AccessPoint,
    /// Anything else.
    Other,
}

/// How many years equipment of a kind lives until it is to be replaced, as the authority plans it.
pub type LifeYears = BTreeMap<DeviceKind, u8>;

/// The facts of a school or of a site; what nobody has looked at is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Inventory {
    /// Facts of which there is one each.
    #[serde(flatten)]
    pub facts: BTreeMap<InventoryFact, Stated>,
    /// Devices by kind and year.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceLot>,
    /// Items of inventory targets, by their names, as numbers or as yes or no.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub items: BTreeMap<&'static str, Stated>,
}

impl Inventory {
    /// Whether nothing is stated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.devices.is_empty() && self.items.is_empty()
    }

    /// A count, where it is stated.
    #[must_use]
    pub fn count(&self, fact: InventoryFact) -> Option<u32> {
        match self.facts.get(&fact)?.value {
            FactValue::Count(count) => Some(count),
            FactValue::Decimal(_) | FactValue::YesNo(_) | FactValue::Cabling(_) => None,
        }
    }
}

/// The most devices of one lot.
pub(crate) const MOST_DEVICES: u32 = 100_000;

/// Years of purchase that can be meant.
pub(crate) const YEARS: std::ops::RangeInclusive<u16> = 1980..=2100;

impl InventoryFact {
    /// All facts, in the order of the template.
    pub const ALL: [Self; 13] = [
        Self::Rooms,
        Self::RoomsTeaching,
        Self::AccessPoints,
        Self::RoomsWithAccessPoint,
        Self::SocketsPerRoom,
        Self::Cabling,
        Self::RoomsWithDisplay,
        Self::SupportFte,
        Self::ServiceHoursAgreed,
        Self::ServiceKeptPercent,
        Self::Ups,
        Self::SecondLine,
        Self::TeachersTrained,
    ];

    /// Its key in site files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rooms => "rooms",
            Self::RoomsTeaching => "rooms_teaching",
            Self::AccessPoints => "access_points",
            Self::RoomsWithAccessPoint => "rooms_with_access_point",
            Self::SocketsPerRoom => "sockets_per_room",
            Self::Cabling => "cabling",
            Self::RoomsWithDisplay => "rooms_with_display",
            Self::SupportFte => "support_fte",
            Self::ServiceHoursAgreed => "service_hours_agreed",
            Self::ServiceKeptPercent => "service_kept_percent",
            Self::Ups => "ups",
            Self::SecondLine => "second_line",
            Self::TeachersTrained => "teachers_trained",
        }
    }

    /// What values it can have. The largest are far beyond any school (project default).
    #[must_use]
    pub const fn kind(self) -> ValueKind {
        match self {
            Self::Rooms
            | Self::RoomsTeaching
            | Self::RoomsWithAccessPoint
            | Self::RoomsWithDisplay => ValueKind::Count(1_000),
            Self::AccessPoints | Self::TeachersTrained => ValueKind::Count(5_000),
            Self::SocketsPerRoom | Self::SupportFte | Self::ServiceKeptPercent => {
                ValueKind::Decimal(100.0)
            }
            Self::ServiceHoursAgreed => ValueKind::Decimal(8_760.0),
            Self::Ups | Self::SecondLine => ValueKind::YesNo,
            Self::Cabling => ValueKind::Cabling,
        }
    }

    /// Its value in a site file.
    ///
    /// # Errors
    /// What would be accepted.
    pub(crate) fn value(self, written: &toml::Value) -> Result<FactValue, String> {
        let number = match written {
            toml::Value::Integer(whole) => Some(*whole as f64),
            toml::Value::Float(number) => Some(*number),
            _ => None,
        };
        let value = match self.kind() {
            ValueKind::Count(_) => written
                .as_integer()
                .and_then(|count| u32::try_from(count).ok())
                .map(FactValue::Count),
            ValueKind::Decimal(_) => number.map(FactValue::Decimal),
            ValueKind::YesNo => written.as_bool().map(FactValue::YesNo),
            ValueKind::Cabling => written
                .as_str()
                .and_then(|word| Cabling::ALL.into_iter().find(|class| class.name() == word))
                .map(FactValue::Cabling),
        };
        value
            .filter(|value| self.allows(*value))
            .ok_or_else(|| self.accepted())
    }

    fn allows(self, value: FactValue) -> bool {
        match (self.kind(), value) {
            (ValueKind::Count(most), FactValue::Count(count)) => count <= most,
            (ValueKind::Decimal(most), FactValue::Decimal(number)) => {
                (0.0..=most).contains(&number)
            }
            (ValueKind::YesNo, FactValue::YesNo(_))
            | (ValueKind::Cabling, FactValue::Cabling(_)) => true,
            _ => false,
        }
    }

    /// The values that it can have, in words.
    pub(crate) fn accepted(self) -> String {
        let name = self.name();
        match self.kind() {
            ValueKind::Count(most) => format!("{name} is a whole number up to {most}"),
            ValueKind::Decimal(most) => format!("{name} is a number from 0 to {most}"),
            ValueKind::YesNo => format!("{name} is true or false"),
            ValueKind::Cabling => {
                let names = Cabling::ALL.map(Cabling::name);
                format!("{name} is one of {}", names.join(", "))
            }
        }
    }
}

impl Cabling {
    /// All classes.
    pub const ALL: [Self; 7] = [
        Self::Cat5,
        Self::Cat5e,
        Self::Cat6,
        Self::Cat6a,
        Self::Cat7,
        Self::Cat8,
        Self::Fibre,
    ];

    /// Its word in site files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cat5 => "cat5",
            Self::Cat5e => "cat5e",
            Self::Cat6 => "cat6",
            Self::Cat6a => "cat6a",
            Self::Cat7 => "cat7",
            Self::Cat8 => "cat8",
            Self::Fibre => "fibre",
        }
    }
}

impl DeviceKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Tablet,
        Self::Notebook,
        Self::Desktop,
        Self::Display,
        Self::Printer,
        Self::Server,
        Self::Switch,
        Self::AccessPoint,
        Self::Other,
    ];

    /// Its word in site files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tablet => "tablet",
            Self::Notebook => "notebook",
            Self::Desktop => "desktop",
            Self::Display => "display",
            Self::Printer => "printer",
            Self::Server => "server",
            Self::Switch => "switch",
            Self::AccessPoint => "access-point",
            Self::Other => "other",
        }
    }
}
