//! How a test went on from second to second. Pure: counts and times come in.

use messnetz_metric::{BitRate, Micros};
use serde::Serialize;

/// How long an interval is, at least.
const SECOND: Micros = Micros::from_micros(1_000_000);

/// Most intervals of one test: far more than a test has seconds, for a server that tells nonsense.
const MOST: usize = 100;

/// A part of a test, of about a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// When it ended, from the start of the test.
    #[serde(rename = "end_us")]
    pub end: Micros,
    /// Bytes that the receiver got in it.
    pub bytes: u64,
    /// The rate that this is.
    #[serde(rename = "goodput_bps")]
    pub goodput: BitRate,
}

/// The receiver's count, cut into parts of a second and told part by part.
pub(super) struct Intervals<T> {
    tell: T,
    told: Vec<Interval>,
    /// Bytes and time at the end of the last part.
    last: (u64, Micros),
}

impl<T: FnMut(&Interval)> Intervals<T> {
    pub(super) const fn telling(tell: T) -> Self {
        Self {
            tell,
            told: Vec::new(),
            last: (0, Micros::from_micros(0)),
        }
    }

    /// So many bytes had come after so long a time. The part ends with the first count after a second.
    pub(super) fn seen(&mut self, bytes: u64, at: Micros) {
        if at.as_micros().saturating_sub(self.last.1.as_micros()) >= SECOND.as_micros() {
            self.end(bytes, at);
        }
    }

    fn end(&mut self, bytes: u64, at: Micros) {
        let (bytes_before, before) = self.last;
        let bytes_since = bytes.saturating_sub(bytes_before);
        let time = Micros::from_micros(at.as_micros().saturating_sub(before.as_micros()));
        if let Some(goodput) = BitRate::from_transfer(bytes_since, time)
            && self.told.len() < MOST
        {
            let interval = Interval {
                end: at,
                bytes: bytes_since,
                goodput,
            };
            (self.tell)(&interval);
            self.told.push(interval);
            self.last = (bytes, at);
        }
    }

    /// All parts, the last one as short as it is.
    pub(super) fn all(mut self, bytes: u64, at: Micros) -> Vec<Interval> {
        self.end(bytes, at);
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(seconds: f64) -> Micros {
        Micros::from_micros((seconds * 1e6) as u64)
    }

    #[test]
    fn the_parts_of_a_test_add_up_to_all_of_it() {
        let mut told = Vec::new();
        let mut intervals = Intervals::telling(|one: &Interval| told.push(*one));
        for (bytes, at) in [(100, 0.4), (300, 1.1), (350, 1.5), (900, 2.3)] {
            intervals.seen(bytes, micros(at));
        }
        let all = intervals.all(1_000, micros(2.5));
        assert_eq!(told, all);
        assert_eq!(all.iter().map(|one| one.bytes).sum::<u64>(), 1_000);
        let ends: Vec<Micros> = all.iter().map(|one| one.end).collect();
        assert_eq!(ends, [1.1, 2.3, 2.5].map(micros));
        assert_eq!(all[1].goodput.as_bps(), 600 * 8 * 10 / 12);
    }

    #[test]
    fn a_server_that_tells_nonsense_fills_no_memory() {
        let mut intervals = Intervals::telling(|_: &Interval| ());
        for second in 0..10_000_u64 {
            intervals.seen(second, micros(second as f64));
            intervals.seen(0, Micros::from_micros(u64::MAX - second));
        }
        assert!(intervals.all(u64::MAX, Micros::from_micros(0)).len() <= MOST);
    }
}
