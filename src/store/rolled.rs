//! Roll-ups: of samples that were pruned, how many of a series and hour had which value. They are kept for ever.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use messnetz_metric::{Unit, UnixMillis, Value};

use super::block::{Block, read_packed, write_packed};
use super::column::{self, read_number, write_number};

/// Length of an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// An hour with at most so many different values keeps each as it was.
const EXACT: usize = 16;

/// Of a value in an hour with more, so many bits are kept: it is within 1/256 of what it was.
const BITS: u32 = 8;

/// Most hours, and most values, that a roll-up is read with: no segment has more.
const MOST: u64 = 1 << 22;

/// What is left of one series in one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolledHour {
    /// When it begins: a whole hour of UTC.
    pub begin: UnixMillis,
    /// Each value with the number of samples that had it, ascending.
    pub values: Vec<(Value, u32)>,
    /// How many measurements yielded none.
    pub failures: u32,
}

/// One hour of a series, in the numbers of its unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hour {
    values: BTreeMap<i64, u32>,
    failures: u32,
}

/// The hours of a series, by their number since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hours(BTreeMap<i64, Hour>);

/// The roll-ups of a segment, each with the number of its series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rolled {
    series: Vec<(i64, Hours)>,
}

impl Rolled {
    /// Adds the samples of a series.
    pub(super) fn push(&mut self, number: i64, block: &Block) {
        let mut hours = Hours::default();
        for (at, value) in block.numbers() {
            let hour = hours.0.entry(at.div_euclid(HOUR_MS)).or_default();
            match value {
                Some(value) => *hour.values.entry(value).or_default() += 1,
                None => hour.failures += 1,
            }
        }
        hours.0.values_mut().for_each(Hour::round);
        self.series.push((number, hours));
    }

    /// The roll-ups of each series, by its number, of the hours that lie in the window as a whole.
    pub(super) fn into_hours(
        self,
        window: &RangeInclusive<UnixMillis>,
    ) -> impl Iterator<Item = (i64, impl Fn(Unit) -> Vec<RolledHour>)> {
        let (first, last) = (window.start().0, window.end().0);
        self.series.into_iter().map(move |(number, hours)| {
            let of_unit = move |unit| {
                let within = hours.0.iter().filter_map(|(hour, rolled)| {
                    let begin = hour.checked_mul(HOUR_MS)?;
                    let end = begin.checked_add(HOUR_MS - 1)?;
                    (begin >= first && end <= last).then_some((begin, rolled))
                });
                let rolled = within.map(|(begin, rolled)| RolledHour {
                    begin: UnixMillis(begin),
                    values: rolled
                        .values
                        .iter()
                        .map(|(number, count)| (Value::new(unit, *number), *count))
                        .collect(),
                    failures: rolled.failures,
                });
                rolled.collect()
            };
            (number, of_unit)
        })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_number(self.series.len() as u64, &mut bytes);
        for (number, hours) in &self.series {
            column::write(&[*number], &mut bytes);
            hours.write(&mut bytes);
        }
        let mut out = Vec::new();
        write_packed(&bytes, &mut out);
        out
    }

    /// What was written; `None` where this is none.
    pub(super) fn read(mut bytes: &[u8]) -> Option<Self> {
        let unpacked = read_packed(&mut bytes)?;
        let mut bytes = &unpacked[..];
        let count = read_number(&mut bytes)?;
        let mut series = Vec::new();
        for _ in 0..count {
            let number = column::read(&mut bytes, 1)?.first().copied()?;
            series.push((number, Hours::read(&mut bytes)?));
        }
        Some(Self { series })
    }
}

impl Hour {
    /// Leaves out what takes most of the room and says least: the last digits of values that scatter.
    fn round(&mut self) {
        if self.values.len() <= EXACT {
            return;
        }
        let mut rounded = BTreeMap::new();
        for (value, count) in &self.values {
            *rounded.entry(nearest(*value)).or_default() += count;
        }
        self.values = rounded;
    }
}

/// The nearest number that has no more than [`BITS`] bits before its zeros.
fn nearest(number: i64) -> i64 {
    // No unit counts below zero.
    let size = number.max(0).cast_unsigned();
    let spare = (u64::BITS - size.leading_zeros()).saturating_sub(BITS);
    let half = (1_u64 << spare) >> 1;
    let near = size.saturating_add(half) >> spare << spare;
    i64::try_from(near).unwrap_or(i64::MAX)
}

impl Hours {
    fn write(&self, out: &mut Vec<u8>) {
        let column = |numbers: &mut dyn Iterator<Item = i64>, out: &mut Vec<u8>| {
            column::write(&numbers.collect::<Vec<_>>(), out);
        };
        let hours = || self.0.values();
        let values = || hours().flat_map(|hour| &hour.values);
        write_number(self.0.len() as u64, out);
        write_number(values().count() as u64, out);
        column(&mut self.0.keys().copied(), out);
        column(&mut hours().map(|hour| i64::from(hour.failures)), out);
        column(
            &mut hours().map(|hour| hour.values.len().cast_signed() as i64),
            out,
        );
        column(&mut values().map(|(value, _)| *value), out);
        column(&mut values().map(|(_, count)| i64::from(*count)), out);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut count = || {
            let number = read_number(bytes).filter(|number| *number <= MOST)?;
            usize::try_from(number).ok()
        };
        let (n_hours, n_values) = (count()?, count()?);
        let numbers = column::read(bytes, n_hours)?;
        let failures = column::read(bytes, n_hours)?;
        let of_hour = column::read(bytes, n_hours)?;
        let values = column::read(bytes, n_values)?;
        let counts = column::read(bytes, n_values)?;
        let mut values = values.into_iter().zip(counts);
        let mut hours = BTreeMap::new();
        for ((number, failures), of_hour) in numbers.into_iter().zip(failures).zip(of_hour) {
            let mut hour = Hour {
                values: BTreeMap::new(),
                failures: u32::try_from(failures).ok()?,
            };
            for _ in 0..of_hour {
                let (value, count) = values.next()?;
                hour.values.insert(value, u32::try_from(count).ok()?);
            }
            hours.insert(number, hour);
        }
        values.next().is_none().then_some(Self(hours))
    }
}

#[cfg(test)]
mod tests {
    use messnetz_metric::{Failure, FailureReason, Outcome};
    use proptest::prelude::*;

    use super::*;

    const EVER: RangeInclusive<UnixMillis> = UnixMillis(i64::MIN)..=UnixMillis(i64::MAX);

    fn block(samples: &[(i64, Option<i64>)]) -> Block {
        let mut block = Block::default();
        for (at, value) in samples {
            let outcome = match value {
                Some(value) => Outcome::Value(Value::new(Unit::Microsecond, *value)),
                None => Outcome::Failed(Failure::new(FailureReason::Timeout, "")),
            };
            block.push(UnixMillis(*at), outcome);
        }
        block
    }

    fn rolled(
        samples: &[(i64, Option<i64>)],
        window: RangeInclusive<UnixMillis>,
    ) -> Vec<RolledHour> {
        let mut rolled = Rolled::default();
        rolled.push(7, &block(samples));
        let mut found: Vec<_> = Rolled::read(&rolled.write())
            .unwrap()
            .into_hours(&window)
            .map(|(number, hours)| (number, hours(Unit::Microsecond)))
            .collect();
        assert_eq!(found.len(), 1);
        let (number, hours) = found.remove(0);
        assert_eq!(number, 7);
        hours
    }

    #[test]
    fn an_hour_with_few_values_keeps_each_with_its_number_and_the_failures_beside() {
        let samples = [
            (0, Some(5)),
            (1, Some(9)),
            (2, Some(5)),
            (3, None),
            (HOUR_MS, Some(1)),
        ];
        let value = |number| Value::new(Unit::Microsecond, number);
        let hour = |begin, values: &[(i64, u32)], failures| RolledHour {
            begin: UnixMillis(begin),
            values: values
                .iter()
                .map(|(number, count)| (value(*number), *count))
                .collect(),
            failures,
        };
        let both = [hour(0, &[(5, 2), (9, 1)], 1), hour(HOUR_MS, &[(1, 1)], 0)];
        assert_eq!(rolled(&samples, EVER), both);
        let second = UnixMillis(1)..=UnixMillis(2 * HOUR_MS - 1);
        assert_eq!(
            rolled(&samples, second),
            both[1..],
            "an hour that began before is left out"
        );
        let first = UnixMillis(0)..=UnixMillis(2 * HOUR_MS - 2);
        assert_eq!(
            rolled(&samples, first),
            both[..1],
            "and one that ends after"
        );
    }

    #[test]
    fn round_trips_of_a_day_by_the_minute_take_less_than_a_byte_each() {
        let scatter = |i: i64| 9_000 + i * 7_919 % 1_024;
        let day: Vec<_> = (0..1_440).map(|i| (i * 60_000, Some(scatter(i)))).collect();
        let mut rolled = Rolled::default();
        rolled.push(1, &block(&day));
        let bytes = rolled.write().len();
        assert!(bytes < 1_440, "{bytes}");
    }

    proptest! {
        #[test]
        fn no_sample_is_lost_and_each_is_within_one_in_256(
            samples in prop::collection::vec((-3 * HOUR_MS..3 * HOUR_MS, prop::option::of(0..=i64::MAX)), 0..200)
        ) {
            let hours = rolled(&samples, EVER);
            for hour in &hours {
                let of_hour = |at: i64| UnixMillis(at.div_euclid(HOUR_MS) * HOUR_MS) == hour.begin;
                let own = || samples.iter().filter(|(at, _)| of_hour(*at));
                let mut values: Vec<i64> = own().filter_map(|(_, value)| *value).collect();
                values.sort_unstable();
                let kept = hour.values.iter().flat_map(|(value, count)| {
                    std::iter::repeat_n(value.number(), *count as usize)
                });
                let kept: Vec<i64> = kept.collect();
                prop_assert_eq!(kept.len(), values.len());
                for (kept, value) in kept.iter().zip(&values) {
                    let off = i128::from(*kept) - i128::from(*value);
                    prop_assert!(off.abs() * 256 <= i128::from(*value).abs(), "{} for {}", kept, value);
                }
                let failures = own().filter(|(_, value)| value.is_none()).count();
                prop_assert_eq!(hour.failures as usize, failures);
            }
            let all: usize = hours.iter().map(|hour| {
                hour.values.iter().map(|(_, count)| *count as usize).sum::<usize>() + hour.failures as usize
            }).sum();
            prop_assert_eq!(all, samples.len());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Rolled::read(&bytes);
        }
    }
}
