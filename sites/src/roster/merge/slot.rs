//! What a list says about a school or a site, value by value, each with its place in a table of the site
//! file.

use toml_edit::{InlineTable, Item, TableLike, Value};

use super::{MergeError, SHAPE};
use crate::facts::Facts;
use crate::roster::counts::COUNTS;
use crate::roster::entry::{Entry, ListedSite};

/// A value of the list with the place that it has in the table of its school or site.
pub(super) struct Slot {
    /// Its key, in the file and in `imported`, and what people are told.
    pub(super) field: &'static str,
    /// The table within the table, where it is in one.
    pub(super) group: Option<&'static str>,
    pub(super) value: Stated,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stated {
    Text(String),
    Count(i64),
    Place { lat: f64, lon: f64 },
}

impl Stated {
    pub(super) fn of(item: &Item) -> Option<Self> {
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

    pub(super) fn to_value(&self) -> Value {
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
    pub(super) fn says(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Place { lat, lon }, Self::Place { lat: a, lon: b }) => {
                (lat - a).abs() < 1.5e-6 && (lon - b).abs() < 1.5e-6
            }
            _ => self == other,
        }
    }

    pub(super) fn shown(&self) -> String {
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

impl Slot {
    fn text(field: &'static str, group: Option<&'static str>, value: Option<&str>) -> Option<Self> {
        Some(Self {
            field,
            group,
            value: Stated::Text(value?.to_owned()),
        })
    }

    fn counts(facts: Facts) -> impl Iterator<Item = Self> {
        COUNTS.into_iter().filter_map(move |count| {
            Some(Self {
                field: count.fact.name(),
                group: Some("facts"),
                value: Stated::Count(i64::from(count.of(facts)?)),
            })
        })
    }

    /// All that the list says about a school, in the order of the site file.
    pub(super) fn of_school(entry: &Entry) -> Vec<Self> {
        let register = &entry.register;
        [
            ("name", Some(entry.name.as_str())),
            ("form", Some(entry.form.name())),
            ("land_form", register.land_form.as_deref()),
            ("municipality", register.municipality.as_deref()),
            ("municipality_key", register.municipality_key.as_deref()),
            ("authority_number", register.authority_number.as_deref()),
        ]
        .into_iter()
        .filter_map(|(field, value)| Self::text(field, None, value))
        .chain(Self::counts(entry.facts))
        .collect()
    }

    /// All that the list says about a site, in the order of the site file.
    pub(super) fn of_site(site: &ListedSite) -> Vec<Self> {
        let address =
            |field, value: &Option<String>| Self::text(field, Some("address"), value.as_deref());
        let coordinates = site.coordinates.map(|at| Self {
            field: "coordinates",
            group: None,
            value: Stated::Place {
                lat: at.lat,
                lon: at.lon,
            },
        });
        [
            Self::text("name", None, site.name.as_deref()),
            address("street", &site.address.street),
            address("postcode", &site.address.postcode),
            address("place", &site.address.place),
            coordinates,
        ]
        .into_iter()
        .flatten()
        .chain(Self::counts(site.facts))
        .collect()
    }

    /// What the file has in this place.
    pub(super) fn read(&self, table: &dyn TableLike) -> Option<Stated> {
        let item = match self.group {
            None => table.get(self.field),
            Some(group) => table.get(group)?.as_table_like()?.get(self.field),
        };
        Stated::of(item?)
    }

    /// Puts the list's value into its place and leaves the comments around it where they are.
    pub(super) fn write(&self, table: &mut dyn TableLike) -> Result<(), MergeError> {
        let table = match self.group {
            None => table,
            Some(group) => table
                .entry(group)
                .or_insert_with(|| toml_edit::value(InlineTable::new()))
                .as_table_like_mut()
                .ok_or(SHAPE)?,
        };
        let value = self.value.to_value();
        if let Some(old) = table.get_mut(self.field).and_then(Item::as_value_mut) {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        } else {
            table.insert(self.field, Item::Value(value));
        }
        Ok(())
    }
}
