//! Shares with their intervals: of days that reached a rate, of minutes that a line was there.
//!
//! Each bound holds by itself with the confidence, as everywhere in this crate: two bounds at 95 % make an
//! interval at 90 %.

use serde::Serialize;

use crate::blocks::normal;
use crate::quantile::chance_at_most;

/// Where a true share lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ShareInterval {
    /// It is at or above this.
    pub lower: f64,
    /// It is at or below this.
    pub upper: f64,
}

impl ShareInterval {
    const UNKNOWN: Self = Self {
        lower: 0.0,
        upper: 1.0,
    };
}

/// The exact interval for `hits` of `n` independent cases (Clopper & Pearson, *The Use of Confidence or
/// Fiducial Limits*, Biometrika 26, 1934): never wrong more often than promised, for any n.
#[must_use]
pub fn clopper_pearson(hits: usize, n: usize, confidence: f64) -> ShareInterval {
    let error = 1.0 - confidence;
    // Not above `hits` becomes rarer as the share grows: bisect for where it is as rare as allowed.
    let largest = |hits: usize| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if chance_at_most(n, hits, middle) > error {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    };
    ShareInterval {
        lower: if hits == 0 {
            0.0
        } else {
            1.0 - largest(n - hits)
        },
        upper: if hits >= n { 1.0 } else { largest(hits) },
    }
}

/// Wilson's interval (*Probable Inference, the Law of Succession, and Statistical Inference*, Journal of the
/// American Statistical Association 22, 1927) for cases of which only `effective` are worth as much as
/// independent ones: the minutes of one outage are not.
#[must_use]
pub fn wilson(share: f64, effective: f64, confidence: f64) -> ShareInterval {
    if effective <= 0.0 {
        return ShareInterval::UNKNOWN;
    }
    let z = normal(confidence);
    let z2 = z * z / effective;
    let centre = (share + z2 / 2.0) / (1.0 + z2);
    let reach = (share * (1.0 - share) * z2 + z2 * z2 / 4.0).sqrt() / (1.0 + z2);
    ShareInterval {
        lower: (centre - reach).max(0.0),
        upper: (centre + reach).min(1.0),
    }
}

/// The share of hits over days, each with its hits and its cases, by Wilson's interval with the effective
/// number that the days show: what hangs together within a day counts as often as the days say, and never
/// as more than independent. `None` where there is no case.
#[must_use]
pub fn over_days(days: &[(u32, u32)], confidence: f64) -> Option<(f64, ShareInterval)> {
    let cases: f64 = days.iter().map(|day| f64::from(day.1)).sum();
    let hits: f64 = days.iter().map(|day| f64::from(day.0)).sum();
    if cases <= 0.0 {
        return None;
    }
    let share = hits / cases;
    let between: f64 = days
        .iter()
        .map(|&(hits, cases)| (f64::from(hits) - share * f64::from(cases)).powi(2))
        .sum();
    let count = days.iter().filter(|day| day.1 > 0).count() as f64;
    let effective = if between > 0.0 && count > 1.0 {
        // The spread between few days is itself uncertain: the divisor is one less.
        let widened = between * count / (count - 1.0);
        (cases * cases * share * (1.0 - share) / widened).min(cases)
    } else {
        count
    };
    Some((share, wilson(share, effective, confidence)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(interval: ShareInterval, lower: f64, upper: f64) {
        let is_near = |a: f64, b: f64| (a - b).abs() < 6e-4;
        assert!(
            is_near(interval.lower, lower) && is_near(interval.upper, upper),
            "{interval:?} is not {lower} to {upper}"
        );
    }

    /// Newcombe, *Two-sided confidence intervals for the single proportion*, Statistics in Medicine 17,
    /// 1998, table I: 95 % two-sided, which is 97.5 % for each bound.
    #[test]
    fn the_intervals_agree_with_published_ones() {
        for (hits, n, wilson_, exact) in [
            (81usize, 263usize, (0.2553, 0.3662), (0.2527, 0.3676)),
            (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
            (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
            (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
        ] {
            near(
                wilson(hits as f64 / n as f64, n as f64, 0.975),
                wilson_.0,
                wilson_.1,
            );
            near(clopper_pearson(hits, n, 0.975), exact.0, exact.1);
        }
    }

    #[test]
    fn no_case_says_nothing() {
        near(clopper_pearson(0, 0, 0.95), 0.0, 1.0);
        near(wilson(0.0, 0.0, 0.95), 0.0, 1.0);
        assert_eq!(over_days(&[(0, 0)], 0.95), None);
    }

    #[test]
    fn one_long_outage_weighs_less_than_the_same_minutes_over_all_days() {
        let mut one_day = vec![(300, 300); 20];
        one_day[7] = (120, 300);
        let mut all_days = [(291, 300); 20];
        all_days[3].0 += 1;
        all_days[4].0 -= 1;
        let (share, clustered) = over_days(&one_day, 0.95).unwrap();
        let (same, spread) = over_days(&all_days, 0.95).unwrap();
        assert!((share - same).abs() < 1e-12);
        assert!(clustered.lower < spread.lower, "{clustered:?} {spread:?}");
    }

    #[test]
    fn one_more_hit_never_lowers_a_bound() {
        for n in [1, 7, 40] {
            let all: Vec<_> = (0..=n).map(|hits| clopper_pearson(hits, n, 0.95)).collect();
            for pair in all.windows(2) {
                assert!(pair[0].lower <= pair[1].lower && pair[0].upper <= pair[1].upper);
            }
        }
    }
}
