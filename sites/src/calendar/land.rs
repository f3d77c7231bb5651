//! The sixteen Länder, by the codes of ISO 3166-2:DE.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A Land of Germany: what decides on public holidays and on school holidays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Land(u8);

/// Their codes.
const CODES: [&str; 16] = [
    "BB", "BE", "BW", "BY", "HB", "HE", "HH", "MV", "NI", "NW", "RP", "SH", "SL", "SN", "ST", "TH",
];

impl Land {
    /// Its code: `NW`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        CODES[self.0 as usize]
    }

    /// All sixteen, in the order of their codes.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CODES.len() as u8).map(Self)
    }
}

impl FromStr for Land {
    type Err = NotALand;

    fn from_str(text: &str) -> Result<Self, NotALand> {
        let code = text.strip_prefix("DE-").unwrap_or(text);
        Self::all()
            .find(|land| land.code() == code)
            .ok_or_else(|| NotALand(text.chars().take(20).collect()))
    }
}

impl TryFrom<String> for Land {
    type Error = NotALand;

    fn try_from(text: String) -> Result<Self, NotALand> {
        text.parse()
    }
}

impl From<Land> for String {
    fn from(land: Land) -> Self {
        land.code().to_owned()
    }
}

impl fmt::Display for Land {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A text that is no Land.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is no Land ({all})", all = CODES.join(", "))]
pub struct NotALand(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_a_land_and_no_other_text_is() {
        assert_eq!(Land::all().count(), 16);
        for land in Land::all() {
            assert_eq!(land.code().parse(), Ok(land));
        }
        assert_eq!("DE-NW".parse::<Land>().unwrap().code(), "NW");
        for text in ["nw", "NRW", "", "GB", "XX"] {
            assert!(text.parse::<Land>().is_err(), "{text}");
        }
    }
}
