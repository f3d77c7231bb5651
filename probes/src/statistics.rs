//! What the times of one burst amount to: order statistics and jitter, with stated definitions.
//!
//! Everything here is pure. Times come in as they were measured (nanoseconds) and are rounded to
//! microseconds once, at the end.

use std::time::Duration;

use messnetz_metric::Micros;
use serde::Serialize;

/// The round-trip times of one burst, in four numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RttSummary {
    /// The smallest.
    #[serde(rename = "min_us")]
    pub min: Micros,
    /// The median: the middle one, or the mean of the two middle ones of an even count.
    #[serde(rename = "median_us")]
    pub median: Micros,
    /// The 95th percentile by nearest rank: the smallest time that at least 95 % of all times do not
    /// exceed. It is always a time that was measured.
    #[serde(rename = "p95_us")]
    pub p95: Micros,
    /// The largest.
    #[serde(rename = "max_us")]
    pub max: Micros,
}

impl RttSummary {
    /// The summary of `times`, in any order; `None` where there are none.
    #[must_use]
    pub fn of(times: &[Duration]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self {
            min: min.into(),
            median: ((lower + upper) / 2).into(),
            p95: (*sorted.get(nearest_rank(sorted.len(), 95))?).into(),
            max: max.into(),
        })
    }
}

/// Index of the `percent`th percentile among `count` sorted values: rank `ceil(percent/100 * count)`,
/// counted from 1.
fn nearest_rank(count: usize, percent: usize) -> usize {
    (count * percent).div_ceil(100).max(1) - 1
}

/// The interarrival jitter after the last of `times`, which are in the order of arrival; `None` for
/// fewer than two.
///
/// RFC 3550, section 6.4.1: `J(i) = J(i-1) + (|D(i-1,i)| - J(i-1)) / 16`, where D is the difference of
/// the transit times of two successive packets. The RFC speaks of one-way transit times; here D is
/// the difference of two round-trip times, so the variation of both ways enters, but neither clock
/// offset nor time-stamp units do.
pub(crate) fn jitter(times: &[Duration]) -> Option<Micros> {
    if times.len() < 2 {
        return None;
    }
    let nanos = times.windows(2).fold(0.0_f64, |jitter, pair| {
        let difference = pair[0].abs_diff(pair[1]).as_nanos() as f64;
        jitter + (difference - jitter) / 16.0
    });
    Some(Duration::from_nanos(nanos as u64).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(times: &[u64]) -> Vec<Duration> {
        times.iter().copied().map(Duration::from_millis).collect()
    }

    fn micros(millis: u64) -> Micros {
        Micros::from_micros(millis * 1000)
    }

    #[test]
    fn nothing_measured_has_no_summary_and_no_jitter() {
        assert_eq!(RttSummary::of(&[]), None);
        assert_eq!(jitter(&[]), None);
        assert_eq!(jitter(&millis(&[5])), None);
    }

    #[test]
    fn the_median_of_an_even_count_is_the_mean_of_the_two_middle_ones() {
        let summary = RttSummary::of(&millis(&[40, 10, 20, 30])).unwrap();
        assert_eq!(summary.median, micros(25));
        assert_eq!((summary.min, summary.max), (micros(10), micros(40)));
    }

    #[test]
    fn p95_is_the_nearest_rank() {
        let upto = |n: u64| RttSummary::of(&millis(&(1..=n).collect::<Vec<_>>())).unwrap();
        assert_eq!(upto(1).p95, micros(1));
        assert_eq!(upto(10).p95, micros(10));
        assert_eq!(upto(20).p95, micros(19));
        assert_eq!(upto(21).p95, micros(20));
        assert_eq!(upto(100).p95, micros(95));
    }

    #[test]
    fn jitter_follows_the_recursion_of_rfc_3550() {
        // D = 16, 0, 16: J = 1, then 15/16, then 15/16 + (16 - 15/16)/16.
        let expected = 15.0 / 16.0 + (16.0 - 15.0 / 16.0) / 16.0;
        let found = jitter(&millis(&[16, 32, 32, 16])).unwrap();
        assert!(
            (found.as_millis_f64() - expected).abs() < 0.001,
            "{found:?}"
        );
    }

    #[test]
    fn a_steady_path_has_no_jitter() {
        assert_eq!(jitter(&millis(&[7; 50])), Some(Micros::from_micros(0)));
    }

    proptest! {
        #[test]
        fn a_summary_is_ordered_and_p95_was_measured(
            nanos in prop::collection::vec(0_u64..5_000_000_000, 1..200)
        ) {
            let times: Vec<_> = nanos.into_iter().map(Duration::from_nanos).collect();
            let summary = RttSummary::of(&times).unwrap();
            prop_assert!(summary.min <= summary.median && summary.median <= summary.max);
            prop_assert!(summary.min <= summary.p95 && summary.p95 <= summary.max);
            prop_assert!(times.iter().any(|&t| Micros::from(t) == summary.p95));
            let covered = times.iter().filter(|&&t| Micros::from(t) <= summary.p95).count();
            prop_assert!(covered * 100 >= times.len() * 95);
        }

        #[test]
        fn jitter_never_exceeds_the_largest_difference(
            nanos in prop::collection::vec(0_u64..5_000_000_000, 2..200)
        ) {
            let times: Vec<_> = nanos.into_iter().map(Duration::from_nanos).collect();
            let largest = times.windows(2).map(|p| p[0].abs_diff(p[1])).max().unwrap();
            prop_assert!(jitter(&times).unwrap() <= Micros::from(largest));
        }
    }
}
