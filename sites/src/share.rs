//! Shares with their intervals: of days that reached a rate, of minutes that a line was there.
//!
//! Each bound holds by itself with the confidence, as everywhere in this crate: two bounds at 95 % make an
//! interval at 90 %.

use serde::Serialize;

use crate::quantile::chance_at_most;

/// Where a true share lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ShareInterval {
    /// It is at or above this.
    pub lower: f64,
    /// It is at or below this.
    pub upper: f64,
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
        for (hits, n, lower, upper) in [
            (81, 263, 0.2527, 0.3676),
            (15, 148, 0.0578, 0.1617),
            (0, 20, 0.0, 0.1684),
            (1, 29, 0.0009, 0.1776),
        ] {
            near(clopper_pearson(hits, n, 0.975), lower, upper);
        }
    }

    #[test]
    fn no_case_says_nothing() {
        near(clopper_pearson(0, 0, 0.95), 0.0, 1.0);
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
