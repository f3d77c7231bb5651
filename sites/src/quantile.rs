//! Quantiles and what a sample can say about them.
//!
//! The sample quantile is the nearest rank: of n values in ascending order the one at rank ⌈p·n⌉ (type 1
//! in Hyndman & Fan, *Sample Quantiles in Statistical Packages*, The American Statistician 50, 1996). It
//! is always a value that was measured.
//!
//! The confidence bounds are distribution-free, from order statistics (David & Nagaraja, *Order
//! Statistics*, 3rd ed. 2003, section 7.1): the number of samples at or below the true quantile is at least
//! binomial(n, p), whatever the distribution, so that ranks can be chosen whose values lie below or above
//! the true quantile with the wanted confidence. Ties make the bounds wider, never wrong. Here the samples
//! are taken as independent; [`blocks`](crate::blocks) is for samples of which several fall on one day.

use std::fmt;
use std::str::FromStr;

use messnetz_metric::Better;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Which value of a series a target speaks about: the median or another percentile of all samples, or the
/// share of days whose best sample has to reach the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Statistic {
    percent: u8,
    of_days: bool,
}

impl Statistic {
    /// The 50th percentile.
    pub const MEDIAN: Self = Self {
        percent: 50,
        of_days: false,
    };

    /// The percentile, for 1 to 99.
    #[must_use]
    pub const fn percentile(percent: u8) -> Option<Self> {
        if percent >= 1 && percent <= 99 {
            Some(Self {
                percent,
                of_days: false,
            })
        } else {
            None
        }
    }

    /// The share of days, in percent from 1 to 99, whose best sample has to reach the threshold.
    #[must_use]
    pub const fn share_of_days(percent: u8) -> Option<Self> {
        match Self::percentile(percent) {
            Some(Self { percent, .. }) => Some(Self {
                percent,
                of_days: true,
            }),
            None => None,
        }
    }

    /// Whether it is a share of days.
    #[must_use]
    pub const fn is_of_days(self) -> bool {
        self.of_days
    }

    /// The percentile that has to stand on the good side: of the samples, or of the best samples of the
    /// days. That 90 % of the days reach a rate says that the 10th percentile of their best rates does.
    #[must_use]
    pub const fn decisive(self, better: Better) -> Self {
        let percent = match (self.of_days, better) {
            (true, Better::Higher) => 100 - self.percent,
            (true, Better::Lower) | (false, _) => self.percent,
        };
        Self {
            percent,
            of_days: false,
        }
    }

    /// The share of values at or below it, or of the days that have to reach the threshold.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.percent) / 100.0
    }

    /// The nearest rank, from 1, among `n` values in ascending order; `None` where there is no value.
    #[must_use]
    pub fn rank(self, n: usize) -> Option<usize> {
        // ⌈percent · n / 100⌉ in whole numbers: a float would miss the exact multiples.
        (n > 0).then(|| (n as u128 * u128::from(self.percent)).div_ceil(100) as usize)
    }

    /// The ranks, from 1, whose values bound the true quantile, each on its own with `confidence`.
    #[must_use]
    pub fn bounds(self, n: usize, confidence: f64) -> Bounds {
        bounds(n, self.share(), 1.0 - confidence)
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.of_days, self.percent) {
            (true, percent) => write!(f, "share-of-days-{percent}"),
            (false, 50) => f.write_str("median"),
            (false, percent) => write!(f, "p{percent}"),
        }
    }
}

impl FromStr for Statistic {
    type Err = UnknownStatistic;

    fn from_str(text: &str) -> Result<Self, UnknownStatistic> {
        let unknown = || UnknownStatistic(text.chars().take(40).collect());
        if text == "median" {
            return Ok(Self::MEDIAN);
        }
        let number = |digits: &str| {
            let is_plain = digits.bytes().all(|b| b.is_ascii_digit());
            is_plain.then(|| digits.parse().ok()).flatten()
        };
        let of_days = text.strip_prefix("share-of-days-").map(number);
        let of_samples = text.strip_prefix('p').map(number);
        match (of_days, of_samples) {
            (Some(percent), _) => percent.and_then(Self::share_of_days),
            (None, Some(percent)) => percent.and_then(Self::percentile),
            (None, None) => None,
        }
        .ok_or_else(unknown)
    }
}

impl TryFrom<String> for Statistic {
    type Error = UnknownStatistic;

    fn try_from(text: String) -> Result<Self, UnknownStatistic> {
        text.parse()
    }
}

impl From<Statistic> for String {
    fn from(statistic: Statistic) -> Self {
        statistic.to_string()
    }
}

/// No statistic has this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no statistic '{0}' (write median, p1 to p99, or share-of-days-90)")]
pub struct UnknownStatistic(pub String);

/// Ranks, from 1, in a series in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The largest rank whose value is, with the wanted confidence, not above the true quantile; `None`
    /// where even the smallest value is not sure enough.
    pub lower: Option<usize>,
    /// The smallest rank whose value is, with the wanted confidence, not below the true quantile; `None`
    /// where even the largest value is not sure enough.
    pub upper: Option<usize>,
}

/// The chance that of `n` independent cases at most `k` are hits, each being one with the chance `share`.
pub(crate) fn chance_at_most(n: usize, k: usize, share: f64) -> f64 {
    let binomial = Binomial::new(n, share);
    let terms = (k + 1).saturating_sub(binomial.first);
    binomial.weights.iter().take(terms).sum()
}

/// Bounds for the `share` quantile of `n` values, each with `confidence`.
pub(crate) fn bounds_of_share(n: usize, share: f64, confidence: f64) -> Bounds {
    bounds(n, share, 1.0 - confidence)
}

/// Bounds for the `share` quantile of `n` values, each wrong with at most the probability `error`.
///
/// With B ~ binomial(n, share): the lower rank is the largest k with P(B ≤ k−1) ≤ error, the upper one the
/// smallest k with P(B ≥ k) ≤ error.
fn bounds(n: usize, share: f64, error: f64) -> Bounds {
    let binomial = Binomial::new(n, share);
    // Summed from the outside in, so that the small terms are not lost beside the large ones.
    let mut tail = 0.0;
    let mut lower = binomial.first;
    for weight in &binomial.weights {
        tail += weight;
        if tail > error {
            break;
        }
        lower += 1;
    }
    let mut tail = 0.0;
    let mut upper = binomial.first + binomial.weights.len();
    for weight in binomial.weights.iter().rev() {
        tail += weight;
        if tail > error {
            break;
        }
        upper -= 1;
    }
    Bounds {
        lower: (1..=n).contains(&lower).then_some(lower),
        upper: (1..=n).contains(&upper).then_some(upper),
    }
}

/// The probabilities of a binomial distribution around its mode.
struct Binomial {
    /// The outcome that the first weight belongs to.
    first: usize,
    weights: Vec<f64>,
}

impl Binomial {
    /// Terms smaller than this share of the largest are left out. Beyond it they fall faster than
    /// geometrically, so that all of them together change no probability in its 15th digit.
    const NEGLIGIBLE: f64 = 1e-22;

    /// Walks from the mode outwards by the ratio of neighbouring terms and divides by their sum: no
    /// factorial, no logarithm, no underflow, exact to rounding for every n, in about 20·√n steps.
    fn new(n: usize, share: f64) -> Self {
        let odds = share / (1.0 - share);
        let mode = (((n as f64 + 1.0) * share) as usize).min(n);
        let mut below = Vec::new();
        let mut term = 1.0;
        for k in (1..=mode).rev() {
            term *= k as f64 / ((n - k + 1) as f64 * odds);
            if term < Self::NEGLIGIBLE {
                break;
            }
            below.push(term);
        }
        let first = mode - below.len();
        let mut weights: Vec<f64> = below.into_iter().rev().collect();
        weights.push(1.0);
        let mut term = 1.0;
        for k in mode..n {
            term *= (n - k) as f64 * odds / (k + 1) as f64;
            if term < Self::NEGLIGIBLE {
                break;
            }
            weights.push(term);
        }
        let total: f64 = weights.iter().sum();
        for weight in &mut weights {
            *weight /= total;
        }
        Self { first, weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use proptest::prelude::*;

    fn statistic(text: &str) -> Statistic {
        text.parse().unwrap()
    }

    #[test]
    fn a_statistic_is_written_as_planners_say_it() {
        for text in ["median", "p5", "p95", "p1", "p99", "share-of-days-90"] {
            assert_eq!(statistic(text).to_string(), text);
        }
        assert_eq!(statistic("p50"), Statistic::MEDIAN);
        for text in [
            "",
            "p",
            "p0",
            "p100",
            "p+5",
            "mean",
            "p9.5",
            "share-of-days",
            "share-of-days-100",
        ] {
            assert!(text.parse::<Statistic>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_quantile_is_the_nearest_rank() {
        for (text, n, rank) in [
            ("median", 0, None),
            ("median", 1, Some(1)),
            ("median", 4, Some(2)),
            ("median", 5, Some(3)),
            ("p5", 20, Some(1)),
            ("p5", 21, Some(2)),
            ("p95", 20, Some(19)),
            ("p95", 100, Some(95)),
            ("p95", 59, Some(57)),
        ] {
            assert_eq!(statistic(text).rank(n), rank, "{text} of {n}");
        }
    }

    /// Ranks from tables of the sign test and of one-sided tolerance limits (Conover, *Practical
    /// Nonparametric Statistics*, 3rd ed. 1999, table A3): 0.5^5 = 0.031, 0.95^59 = 0.0485.
    #[test]
    fn the_bounds_agree_with_published_tables() {
        for (text, n, lower, upper) in [
            ("median", 0, None, None),
            ("median", 4, None, None),
            ("median", 5, Some(1), Some(5)),
            ("median", 8, Some(2), Some(7)),
            ("median", 10, Some(2), Some(9)),
            ("median", 20, Some(6), Some(15)),
            ("median", 25, Some(8), Some(18)),
            ("p5", 58, None, Some(7)),
            ("p5", 59, Some(1), Some(7)),
            ("p95", 58, Some(52), None),
            ("p95", 59, Some(53), Some(59)),
            ("p95", 1, Some(1), None),
        ] {
            let bounds = statistic(text).bounds(n, 0.95);
            assert_eq!(
                (bounds.lower, bounds.upper),
                (lower, upper),
                "{text} of {n}"
            );
        }
    }

    /// Exact probabilities by whole-number arithmetic, as far as 128 bits carry: C(n,k) < 2^127.
    #[test]
    fn the_weights_are_the_exact_probabilities() {
        for n in [1u8, 2, 7, 40, 120] {
            let exponent = i32::from(n);
            let n = usize::from(n);
            let binomial = Binomial::new(n, 0.5);
            let mut coefficient = 1u128;
            for k in 0..=n {
                let exact = coefficient as f64 / 2f64.powi(exponent);
                let at = k.checked_sub(binomial.first);
                let got = at.and_then(|at| binomial.weights.get(at)).copied();
                assert!(
                    (got.unwrap_or(0.0) - exact).abs() <= 1e-13 * exact + 1e-20,
                    "{n} {k}"
                );
                coefficient = coefficient * (n - k) as u128 / (k + 1) as u128;
            }
        }
    }

    /// For large n the ranks approach the normal ones: n·p ± 1.6449·√(n·p·(1−p)).
    #[test]
    fn a_hundred_thousand_samples_are_no_trouble() {
        for (text, n) in [
            ("median", 100_000usize),
            ("p95", 100_000),
            ("p5", 10_000_000),
        ] {
            let share = statistic(text).share();
            let bounds = statistic(text).bounds(n, 0.95);
            let spread = 1.644_85 * (n as f64 * share * (1.0 - share)).sqrt();
            let lower = bounds.lower.unwrap() as f64;
            let upper = bounds.upper.unwrap() as f64;
            assert!(
                (n as f64 * share - spread - lower).abs() < 2.0,
                "{text} {lower}"
            );
            assert!(
                (n as f64 * share + spread - upper).abs() < 2.0,
                "{text} {upper}"
            );
        }
    }

    #[test]
    fn the_bounds_hold_as_often_as_they_promise() {
        const RUNS: usize = 4_000;
        let mut random = SplitMix64::new(20_260_101);
        for (text, n) in [("median", 10), ("median", 60), ("p5", 80), ("p95", 200)] {
            let share = statistic(text).share();
            let bounds = statistic(text).bounds(n, 0.95);
            let (mut lower_holds, mut upper_holds) = (0, 0);
            for _ in 0..RUNS {
                // Of a uniform variable the quantile is the share itself.
                let mut values: Vec<f64> = (0..n).map(|_| random.unit()).collect();
                values.sort_by(f64::total_cmp);
                lower_holds += usize::from(values[bounds.lower.unwrap() - 1] <= share);
                upper_holds += usize::from(values[bounds.upper.unwrap() - 1] >= share);
            }
            for holds in [lower_holds, upper_holds] {
                let coverage = holds as f64 / RUNS as f64;
                // Three standard errors of 4 000 runs at 95 % are 1 %.
                assert!(
                    (0.94..=0.999).contains(&coverage),
                    "{text} of {n}: {coverage}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn the_bounds_enclose_the_nearest_rank(n in 1usize..3_000, percent in 1u8..=99) {
            let statistic = Statistic::percentile(percent).unwrap();
            let rank = statistic.rank(n).unwrap();
            let bounds = statistic.bounds(n, 0.95);
            prop_assert!(bounds.lower.is_none_or(|lower| lower <= rank));
            prop_assert!(bounds.upper.is_none_or(|upper| upper >= rank));
        }

        #[test]
        fn turning_the_scale_mirrors_the_bounds(n in 1usize..2_000, percent in 1u8..=99) {
            let there = Statistic::percentile(percent).unwrap().bounds(n, 0.9);
            let back = Statistic::percentile(100 - percent).unwrap().bounds(n, 0.9);
            prop_assert_eq!(there.lower.map(|k| n + 1 - k), back.upper);
        }
    }
}
