//! Units as types: a rate cannot be passed where a time is meant, and nothing is a float on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A data rate in bit/s.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct BitRate(u64);

impl BitRate {
    /// The rate of so many bit/s.
    #[must_use]
    pub const fn from_bps(bps: u64) -> Self {
        Self(bps)
    }

    /// The rate of so many Mbit/s (10^6 bit/s), rounded to whole bit/s; negative values count as 0.
    #[must_use]
    pub fn from_mbps(mbps: f64) -> Self {
        Self((mbps * 1e6).round().max(0.0) as u64)
    }

    /// What `bytes` in `micros` amount to; `None` where no time has passed.
    #[must_use]
    pub fn from_transfer(bytes: u64, micros: Micros) -> Option<Self> {
        let time = u128::from(micros.as_micros());
        let bits = u128::from(bytes) * 8 * 1_000_000;
        bits.checked_div(time)
            .map(|bps| Self(bps.min(u128::from(u64::MAX)) as u64))
    }

    /// In bit/s.
    #[must_use]
    pub const fn as_bps(self) -> u64 {
        self.0
    }

    /// In Mbit/s.
    #[must_use]
    pub fn as_mbps(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl FromStr for BitRate {
    type Err = NotARate;

    /// Reads a rate as people write it: `400 Mbit/s`, `2.5 Gbit/s`, `50000 kbit/s`.
    ///
    /// A decimal comma is refused: `1,000 Mbit/s` is one gigabit to an English and one megabit to a
    /// German reader.
    fn from_str(text: &str) -> Result<Self, NotARate> {
        let refused = || NotARate(text.chars().take(40).collect());
        let text = text.trim();
        let unit_at = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(refused)?;
        let (number, unit) = text.split_at(unit_at);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits_only = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits_only(whole) || !digits_only(fraction) {
            return Err(refused());
        }
        let factor = match unit.trim_start() {
            "bit/s" => 1e0,
            "kbit/s" => 1e3,
            "Mbit/s" => 1e6,
            "Gbit/s" => 1e9,
            _ => return Err(refused()),
        };
        let bps = (number.parse::<f64>().map_err(|_| refused())? * factor).round();
        // Whole numbers up to 2^53 are exact in a float; no line carries more than 9 Pbit/s.
        if bps > 9_007_199_254_740_992.0 {
            return Err(refused());
        }
        Ok(Self(bps as u64))
    }
}

/// A text that is no data rate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "'{0}' is no data rate (write a number with a decimal point, then bit/s, kbit/s, Mbit/s or Gbit/s, such as \"400 Mbit/s\" or \"2.5 Gbit/s\")"
)]
pub struct NotARate(pub String);

/// A duration in whole microseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(u64);

impl Micros {
    /// The duration of so many microseconds.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// In microseconds.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// In milliseconds.
    #[must_use]
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e3
    }
}

impl From<std::time::Duration> for Micros {
    /// Rounded to the nearest microsecond.
    fn from(duration: std::time::Duration) -> Self {
        Self(((duration.as_nanos() + 500) / 1000).min(u128::from(u64::MAX)) as u64)
    }
}

/// A share in parts per million: 10 000 ppm are 1 %.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Ppm(u32);

impl Ppm {
    /// The share of so many parts per million; more than the whole is cut to the whole.
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Self {
        Self(if ppm > 1_000_000 { 1_000_000 } else { ppm })
    }

    /// `part` of `whole`, rounded to the nearest ppm; `None` where the whole is 0.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        let ppm = (u128::from(part) * 1_000_000 + u128::from(whole) / 2)
            .checked_div(u128::from(whole))?;
        Some(Self(ppm.min(1_000_000) as u32))
    }

    /// In parts per million.
    #[must_use]
    pub const fn as_ppm(self) -> u32 {
        self.0
    }

    /// In percent.
    #[must_use]
    pub fn as_percent(self) -> f64 {
        f64::from(self.0) / 1e4
    }
}

/// The unit a quantity is measured in; the wire names it beside every value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// Data rate.
    #[serde(rename = "bit/s")]
    BitPerSecond,
    /// Duration.
    #[serde(rename = "us")]
    Microsecond,
    /// Share.
    #[serde(rename = "ppm")]
    PartPerMillion,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BitPerSecond => "bit/s",
            Self::Microsecond => "us",
            Self::PartPerMillion => "ppm",
        })
    }
}

/// A measured or required value with its unit; written as `{"unit": "bit/s", "value": 400000000}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "WrittenValue", into = "WrittenValue")]
pub enum Value {
    /// A data rate.
    Rate(BitRate),
    /// A duration.
    Time(Micros),
    /// A share.
    Share(Ppm),
}

impl Value {
    /// The unit of this value.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Rate(_) => Unit::BitPerSecond,
            Self::Time(_) => Unit::Microsecond,
            Self::Share(_) => Unit::PartPerMillion,
        }
    }

    /// The whole number of [`Value::unit`]s: bit/s, microseconds or ppm.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Rate(rate) => rate.as_bps(),
            Self::Time(time) => time.as_micros(),
            Self::Share(share) => share.as_ppm() as u64,
        }
    }

    /// The rate, where it is one.
    #[must_use]
    pub const fn as_rate(self) -> Option<BitRate> {
        match self {
            Self::Rate(rate) => Some(rate),
            Self::Time(_) | Self::Share(_) => None,
        }
    }

    /// The value of `number` whole `unit`s; a share over the whole is cut to the whole.
    #[must_use]
    pub const fn new(unit: Unit, number: u64) -> Self {
        match unit {
            Unit::BitPerSecond => Self::Rate(BitRate::from_bps(number)),
            Unit::Microsecond => Self::Time(Micros::from_micros(number)),
            Unit::PartPerMillion => {
                let ppm = if number > 1_000_000 {
                    1_000_000
                } else {
                    number as u32
                };
                Self::Share(Ppm::from_ppm(ppm))
            }
        }
    }

    /// Compares two values of one unit.
    ///
    /// # Errors
    /// [`UnitMismatch`] where the units differ: a rate is neither more nor less than a time.
    pub fn compare(self, other: Self) -> Result<std::cmp::Ordering, UnitMismatch> {
        if self.unit() == other.unit() {
            Ok(self.number().cmp(&other.number()))
        } else {
            Err(UnitMismatch {
                left: self.unit(),
                right: other.unit(),
            })
        }
    }
}

/// A value as it is written: readable without this program.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenValue {
    unit: Unit,
    value: u64,
}

impl From<Value> for WrittenValue {
    fn from(value: Value) -> Self {
        Self {
            unit: value.unit(),
            value: value.number(),
        }
    }
}

impl From<WrittenValue> for Value {
    fn from(written: WrittenValue) -> Self {
        Self::new(written.unit, written.value)
    }
}

/// Two values of different units were held against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("cannot compare a value in {left} with a value in {right}")]
pub struct UnitMismatch {
    /// Unit on the left.
    pub left: Unit,
    /// Unit on the right.
    pub right: Unit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_over_no_time_has_no_rate() {
        assert_eq!(BitRate::from_transfer(1000, Micros::from_micros(0)), None);
    }

    #[test]
    fn a_megabyte_in_a_second_is_eight_megabit() {
        assert_eq!(
            BitRate::from_transfer(1_000_000, Micros::from_micros(1_000_000)),
            Some(BitRate::from_bps(8_000_000))
        );
    }

    #[test]
    fn a_share_of_nothing_is_no_share() {
        assert_eq!(Ppm::of(0, 0), None);
        assert_eq!(Ppm::of(1, 100), Some(Ppm::from_ppm(10_000)));
    }

    #[test]
    fn rates_and_times_are_not_comparable() {
        let rate = Value::Rate(BitRate::from_bps(1));
        let time = Value::Time(Micros::from_micros(1));
        assert!(rate.compare(time).is_err());
    }

    #[test]
    fn a_rate_is_read_as_people_write_it() {
        for (text, bps) in [
            ("400 Mbit/s", 400_000_000),
            ("1 Gbit/s", 1_000_000_000),
            ("2.5 Gbit/s", 2_500_000_000),
            (" 16Mbit/s ", 16_000_000),
            ("64 kbit/s", 64_000),
            ("0 bit/s", 0),
        ] {
            assert_eq!(text.parse(), Ok(BitRate::from_bps(bps)), "{text}");
        }
    }

    #[test]
    fn what_could_mean_two_rates_is_refused_with_the_accepted_forms() {
        for text in [
            "",
            "400",
            "Mbit/s",
            "1,000 Mbit/s",
            "400 MB/s",
            "-1 Mbit/s",
            "1e3 Mbit/s",
            "1. Mbit/s",
            ".5 Gbit/s",
            "1.2.3 Mbit/s",
            "999999999999 Gbit/s",
            "400 Mbit/s down",
        ] {
            let error = text.parse::<BitRate>().expect_err(text).to_string();
            assert!(error.contains("400 Mbit/s"), "{error}");
        }
    }

    #[test]
    fn a_written_value_names_its_unit() {
        let value = Value::Rate(BitRate::from_bps(390_000_000));
        let text = serde_json::to_string(&value).unwrap();
        assert_eq!(text, r#"{"unit":"bit/s","value":390000000}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    proptest::proptest! {
        #[test]
        fn a_value_survives_the_way_through_its_number(number: u64) {
            for unit in [Unit::BitPerSecond, Unit::Microsecond] {
                proptest::prop_assert_eq!(Value::new(unit, number).number(), number);
            }
        }

        #[test]
        fn a_transfer_never_overflows(bytes: u64, micros: u64) {
            let _ = BitRate::from_transfer(bytes, Micros::from_micros(micros));
        }
    }
}
