//! Units as types: a rate cannot be passed where a time is meant, and nothing is a float on the wire.
//!
//! ```compile_fail
//! use messnetz_metric::{BitRate, Micros};
//! // A rate is no time.
//! let late = BitRate::from_bps(1_000) < Micros::from_micros(1_000);
//! ```
//!
//! ```compile_fail
//! use messnetz_metric::{Metric, Quantity, Segment};
//! // A goodput has a direction.
//! let down = Metric::new(Segment::Line, Quantity::Goodput);
//! ```

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

/// A power level in hundredths of a dBm ("mBm", as nl80211 counts): -65 dBm are -6500.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct PowerLevel(i32);

impl PowerLevel {
    /// The level of so many hundredths of a dBm.
    #[must_use]
    pub const fn from_mbm(mbm: i32) -> Self {
        Self(mbm)
    }

    /// In hundredths of a dBm.
    #[must_use]
    pub const fn as_mbm(self) -> i32 {
        self.0
    }

    /// In dBm.
    #[must_use]
    pub fn as_dbm(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// A ratio of two powers in hundredths of a dB ("mB"): 25 dB are 2500. A ratio is no level: a
/// signal-to-noise ratio cannot be passed where a received power is meant.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct PowerRatio(i32);

impl PowerRatio {
    /// The ratio of so many hundredths of a dB.
    #[must_use]
    pub const fn from_mb(mb: i32) -> Self {
        Self(mb)
    }

    /// In hundredths of a dB.
    #[must_use]
    pub const fn as_mb(self) -> i32 {
        self.0
    }

    /// In dB.
    #[must_use]
    pub fn as_db(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// How often something goes through in a minute.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct PerMinute(u64);

impl PerMinute {
    /// So many a minute.
    #[must_use]
    pub const fn new(times: u64) -> Self {
        Self(times)
    }

    /// How many a minute.
    #[must_use]
    pub const fn times(self) -> u64 {
        self.0
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
    /// Power level.
    #[serde(rename = "mBm")]
    MillibelMilliwatt,
    /// Ratio of powers.
    #[serde(rename = "mB")]
    Millibel,
    /// Frequency.
    #[serde(rename = "1/min")]
    PerMinute,
}

impl Unit {
    /// All units.
    pub const ALL: [Self; 6] = [
        Self::BitPerSecond,
        Self::Microsecond,
        Self::PartPerMillion,
        Self::MillibelMilliwatt,
        Self::Millibel,
        Self::PerMinute,
    ];

    /// The smallest and the largest number that a value of this unit can have.
    #[must_use]
    pub const fn range(self) -> (i64, i64) {
        match self {
            Self::BitPerSecond | Self::Microsecond | Self::PerMinute => (0, i64::MAX),
            Self::PartPerMillion => (0, 1_000_000),
            Self::MillibelMilliwatt | Self::Millibel => (i32::MIN as i64, i32::MAX as i64),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BitPerSecond => "bit/s",
            Self::Microsecond => "us",
            Self::PartPerMillion => "ppm",
            Self::MillibelMilliwatt => "mBm",
            Self::Millibel => "mB",
            Self::PerMinute => "1/min",
        })
    }
}

/// A measured or required value with its unit; written as `{"unit": "bit/s", "value": 400000000}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "WrittenValue", into = "WrittenValue")]
pub enum Value {
    /// A data rate.
    Rate(BitRate),
    /// A duration.
    Time(Micros),
    /// A share.
    Share(Ppm),
    /// A power level.
    Level(PowerLevel),
    /// A ratio of powers.
    Ratio(PowerRatio),
    /// A frequency.
    Frequency(PerMinute),
}

impl Value {
    /// The unit of this value.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Rate(_) => Unit::BitPerSecond,
            Self::Time(_) => Unit::Microsecond,
            Self::Share(_) => Unit::PartPerMillion,
            Self::Level(_) => Unit::MillibelMilliwatt,
            Self::Ratio(_) => Unit::Millibel,
            Self::Frequency(_) => Unit::PerMinute,
        }
    }

    /// The whole number of [`Value::unit`]s. It is signed because power levels are; rates and times beyond
    /// 2^63 are cut.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Rate(rate) => cut(rate.as_bps()),
            Self::Time(time) => cut(time.as_micros()),
            Self::Share(share) => share.as_ppm() as i64,
            Self::Level(level) => level.as_mbm() as i64,
            Self::Ratio(ratio) => ratio.as_mb() as i64,
            Self::Frequency(frequency) => cut(frequency.times()),
        }
    }

    /// The rate, where it is one.
    #[must_use]
    pub const fn as_rate(self) -> Option<BitRate> {
        match self {
            Self::Rate(rate) => Some(rate),
            _ => None,
        }
    }

    /// The value of `number` whole `unit`s, cut to what the unit can have: no rate is below 0, no share over
    /// the whole.
    #[must_use]
    pub const fn new(unit: Unit, number: i64) -> Self {
        let (least, most) = unit.range();
        let number = if number < least {
            least
        } else if number > most {
            most
        } else {
            number
        };
        match unit {
            Unit::BitPerSecond => Self::Rate(BitRate::from_bps(number as u64)),
            Unit::Microsecond => Self::Time(Micros::from_micros(number as u64)),
            Unit::PartPerMillion => Self::Share(Ppm::from_ppm(number as u32)),
            Unit::MillibelMilliwatt => Self::Level(PowerLevel::from_mbm(number as i32)),
            Unit::Millibel => Self::Ratio(PowerRatio::from_mb(number as i32)),
            Unit::PerMinute => Self::Frequency(PerMinute::new(number as u64)),
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

const fn cut(number: u64) -> i64 {
    if number > i64::MAX as u64 {
        i64::MAX
    } else {
        number.cast_signed()
    }
}

/// A value as it is written: readable without this program.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenValue {
    unit: Unit,
    value: i64,
}

impl From<Value> for WrittenValue {
    fn from(value: Value) -> Self {
        Self {
            unit: value.unit(),
            value: value.number(),
        }
    }
}

impl TryFrom<WrittenValue> for Value {
    type Error = OutOfRange;

    fn try_from(written: WrittenValue) -> Result<Self, OutOfRange> {
        let value = Self::new(written.unit, written.value);
        if value.number() == written.value {
            Ok(value)
        } else {
            Err(OutOfRange(written))
        }
    }
}

/// A number that no value of its unit can have.
#[derive(Debug, Error)]
#[error("{} {} is no possible value", .0.value, .0.unit)]
struct OutOfRange(WrittenValue);

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

    #[test]
    fn a_power_level_is_below_zero_and_no_ratio() {
        let level = Value::Level(PowerLevel::from_mbm(-6_500));
        let text = serde_json::to_string(&level).unwrap();
        assert_eq!(text, r#"{"unit":"mBm","value":-6500}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), level);
        assert!(
            level
                .compare(Value::Ratio(PowerRatio::from_mb(2_500)))
                .is_err()
        );
    }

    proptest::proptest! {
        #[test]
        fn a_value_survives_the_way_through_its_number(number: i64) {
            for unit in Unit::ALL {
                let (least, most) = unit.range();
                let possible = number.clamp(least, most);
                proptest::prop_assert_eq!(Value::new(unit, number).number(), possible);
            }
        }

        #[test]
        fn a_transfer_never_overflows(bytes: u64, micros: u64) {
            let _ = BitRate::from_transfer(bytes, Micros::from_micros(micros));
        }
    }
}
