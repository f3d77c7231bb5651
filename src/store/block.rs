//! The samples of one series in columns: times, values, and the failures between them.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use messnetz_metric::{Failure, FailureReason, Outcome, Unit, UnixMillis, Value};

use super::column::{self, read_number, take, write_number};
use super::rolled::HOUR_MS;
use crate::zstandard;

/// Most samples that a block is read with: no segment holds more.
const MAX_SAMPLES: usize = 1 << 22;

/// How hard is tried to make a block smaller still.
const LEVEL: i32 = 3;

/// Samples of one series, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    at: Vec<i64>,
    values: Vec<i64>,
    /// Which of the samples are failures, ascending.
    failed: Vec<usize>,
    failures: Vec<Failure>,
}

/// What a block holds, in the numbers of its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Samples that have a value.
    pub(super) values: i64,
    /// Samples that have none.
    pub(super) failures: i64,
    /// When the oldest was measured.
    pub(super) first_at: i64,
    /// When the newest was.
    pub(super) last_at: i64,
    /// The lowest value; 0 where there is none.
    pub(super) lowest: i64,
    /// The highest value; 0 where there is none.
    pub(super) highest: i64,
}

impl Block {
    /// What it holds; nothing where it is empty.
    pub(super) fn extent(&self) -> Extent {
        let least = |numbers: &[i64]| numbers.iter().min().copied().unwrap_or_default();
        let most = |numbers: &[i64]| numbers.iter().max().copied().unwrap_or_default();
        Extent {
            values: self.values.len().cast_signed() as i64,
            failures: self.failed.len().cast_signed() as i64,
            first_at: least(&self.at),
            last_at: most(&self.at),
            lowest: least(&self.values),
            highest: most(&self.values),
        }
    }

    pub(super) fn push(&mut self, at: UnixMillis, outcome: Outcome) {
        match outcome {
            Outcome::Value(value) => self.values.push(value.number()),
            Outcome::Failed(failure) => {
                self.failed.push(self.at.len());
                self.failures.push(failure);
            }
        }
        self.at.push(at.0);
    }

    /// All samples in the order in which they came.
    pub(super) fn outcomes(&self, unit: Unit) -> impl Iterator<Item = (UnixMillis, Outcome)> + '_ {
        let mut values = self.values.iter();
        let mut failed = self.failed.iter().zip(&self.failures).peekable();
        self.at.iter().enumerate().filter_map(move |(place, at)| {
            let failure = failed.next_if(|(failed, _)| **failed == place);
            let outcome = match failure {
                Some((_, failure)) => Outcome::Failed(failure.clone()),
                None => Outcome::Value(Value::new(unit, *values.next()?)),
            };
            Some((UnixMillis(*at), outcome))
        })
    }

    /// When each was measured, and its value in the numbers of the unit, where it has one.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (i64, Option<i64>)> + '_ {
        let mut values = self.values.iter();
        let mut failed = self.failed.iter().peekable();
        self.at.iter().enumerate().map(move |(place, at)| {
            let is_failed = failed.next_if(|failed| **failed == place).is_some();
            let value = if is_failed { None } else { values.next() };
            (*at, value.copied())
        })
    }

    pub(super) const fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there is no more than one sample an hour, on the average over the hours that there are any of: so
    /// few that a roll-up would tell less and take no less.
    pub(super) fn is_rare(&self) -> bool {
        let hours: HashSet<i64> = self.at.iter().map(|at| at.div_euclid(HOUR_MS)).collect();
        self.at.len() <= hours.len()
    }

    /// The same where none of them is a failure, for less.
    pub(super) fn values(&self, unit: Unit) -> Option<impl Iterator<Item = (UnixMillis, Value)>> {
        let value = move |(at, number): (&i64, &i64)| (UnixMillis(*at), Value::new(unit, *number));
        let values = self.at.iter().zip(&self.values).map(value);
        self.failed.is_empty().then_some(values)
    }

    /// Whether all samples are of these times.
    pub(super) fn is_within(&self, window: &RangeInclusive<UnixMillis>) -> bool {
        let (first, last) = (window.start().0, window.end().0);
        let outside = |at: &i64| u32::from(*at < first) | u32::from(*at > last);
        self.at.iter().map(outside).max().unwrap_or_default() == 0
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_number(self.at.len() as u64, out);
        let mut bytes = Vec::new();
        column::write(&self.at, &mut bytes);
        write_number(self.failed.len() as u64, &mut bytes);
        column::write(&self.values, &mut bytes);
        if !self.failed.is_empty() {
            self.write_failures(&mut bytes);
        }
        write_packed(&bytes, out);
    }

    fn write_failures(&self, out: &mut Vec<u8>) {
        let mut kinds: Vec<&Failure> = Vec::new();
        let mut of_kind = Vec::with_capacity(self.failures.len());
        for failure in &self.failures {
            let place = kinds.iter().position(|kind| *kind == failure);
            of_kind.push(place.unwrap_or(kinds.len()).cast_signed() as i64);
            if place.is_none() {
                kinds.push(failure);
            }
        }
        let places: Vec<i64> = self
            .failed
            .iter()
            .map(|place| place.cast_signed() as i64)
            .collect();
        column::write(&places, out);
        column::write(&of_kind, out);
        write_number(kinds.len() as u64, out);
        for kind in kinds {
            write_text(kind.reason.name(), out);
            write_text(&kind.detail, out);
        }
    }

    /// Takes a block off the front; `None` where it is none.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let count = usize::try_from(read_number(bytes)?).ok()?;
        if count > MAX_SAMPLES {
            return None;
        }
        let unpacked = read_packed(bytes)?;
        let mut bytes = &unpacked[..];
        let at = column::read(&mut bytes, count)?;
        let n_failed = usize::try_from(read_number(&mut bytes)?).ok()?;
        let values = column::read(&mut bytes, count.checked_sub(n_failed)?)?;
        let mut block = Self {
            at,
            values,
            ..Self::default()
        };
        if n_failed > 0 {
            block.read_failures(&mut bytes, n_failed)?;
        }
        Some(block)
    }

    /// Takes a block off the front without opening it.
    pub(super) fn skip(bytes: &mut &[u8]) -> Option<()> {
        read_number(bytes)?;
        skip_packed(bytes)
    }

    fn read_failures(&mut self, bytes: &mut &[u8], n_failed: usize) -> Option<()> {
        let places = column::read(bytes, n_failed)?;
        let of_kind = column::read(bytes, n_failed)?;
        let n_kinds = read_number(bytes)?;
        let mut kinds = Vec::new();
        for _ in 0..n_kinds {
            let name = read_text(bytes)?;
            let mut reasons = FailureReason::ALL.into_iter();
            let reason = reasons.find(|reason| reason.name() == name)?;
            kinds.push(Failure::new(reason, read_text(bytes)?));
        }
        let place = |place: i64| usize::try_from(place).ok();
        self.failed = places.into_iter().map(place).collect::<Option<_>>()?;
        let failure = |kind: i64| kinds.get(usize::try_from(kind).ok()?).cloned();
        self.failures = of_kind.into_iter().map(failure).collect::<Option<_>>()?;
        Some(())
    }
}

/// Appends bytes with their length: packed with zstd where that makes them smaller.
pub(super) fn write_packed(bytes: &[u8], out: &mut Vec<u8>) {
    let packed = zstandard::pack(bytes, LEVEL).ok();
    if let Some(packed) = packed.filter(|packed| packed.len() < bytes.len()) {
        write_number((packed.len() as u64) << 1 | 1, out);
        write_number(bytes.len() as u64, out);
        out.extend(packed);
    } else {
        write_number((bytes.len() as u64) << 1, out);
        out.extend(bytes);
    }
}

/// Takes what [`write_packed`] wrote off the front.
pub(super) fn read_packed(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    /// Larger than the evidence or a block of any segment that this program writes.
    const MOST: usize = 1 << 28;
    let head = read_number(bytes)?;
    let length = usize::try_from(head >> 1).ok()?;
    if head & 1 == 0 {
        return Some(take(bytes, length)?.to_vec());
    }
    let unpacked = usize::try_from(read_number(bytes)?).ok()?;
    let packed = take(bytes, length)?;
    zstandard::unpack_to(packed, unpacked.min(MOST)).ok()
}

/// Takes the same off the front without unpacking it.
fn skip_packed(bytes: &mut &[u8]) -> Option<()> {
    let head = read_number(bytes)?;
    if head & 1 == 1 {
        read_number(bytes)?;
    }
    take(bytes, usize::try_from(head >> 1).ok()?)?;
    Some(())
}

pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    write_number(text.len() as u64, out);
    out.extend(text.as_bytes());
}

pub(super) fn read_text(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(read_number(bytes)?).ok()?;
    String::from_utf8(take(bytes, length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_and_failures_come_back_in_their_order(
            samples in prop::collection::vec((0..i64::MAX, prop::option::of(0..i64::MAX), 0..10_usize, "[a-c]{0,3}"), 0..200)
        ) {
            let mut block = Block::default();
            let outcome = |value: Option<i64>, reason: usize, detail: &str| match value {
                Some(value) => Outcome::Value(Value::new(Unit::Microsecond, value)),
                None => Outcome::Failed(Failure::new(FailureReason::ALL[reason], detail)),
            };
            let samples: Vec<_> = samples
                .into_iter()
                .map(|(at, value, reason, detail)| (UnixMillis(at), outcome(value, reason, &detail)))
                .collect();
            for (at, outcome) in &samples {
                block.push(*at, outcome.clone());
            }
            let mut bytes = Vec::new();
            block.write(&mut bytes);
            let mut left = &bytes[..];
            let back = Block::read(&mut left).unwrap();
            prop_assert!(left.is_empty());
            prop_assert_eq!(back.outcomes(Unit::Microsecond).collect::<Vec<_>>(), samples.clone());
            let values = samples.iter().map(|(at, outcome)| match outcome {
                Outcome::Value(value) => Some((*at, *value)),
                Outcome::Failed(_) => None,
            });
            let values: Option<Vec<_>> = values.collect();
            let found = back.values(Unit::Microsecond).map(Iterator::collect::<Vec<_>>);
            prop_assert_eq!(found, values);
            let times = UnixMillis(1_000)..=UnixMillis(i64::MAX / 2);
            let within = samples.iter().all(|(at, _)| times.contains(at));
            prop_assert_eq!(back.is_within(&times), within);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Block::read(&mut &bytes[..]);
        }
    }
}
