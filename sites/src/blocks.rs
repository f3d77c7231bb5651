//! What samples can say about a quantile when those of one day hang together.
//!
//! A day is the block: samples of different days count as independent, those of one day as hanging
//! together in any way at all. A bound must pass two tests, and the wider one counts:
//!
//! 1. the order statistics of [`quantile`](crate::quantile), exact for independent samples;
//! 2. a blockwise empirical likelihood over the days (Kitamura, *Empirical Likelihood Methods with Weakly
//!    Dependent Processes*, Annals of Statistics 25, 1997; Owen, *Empirical Likelihood*, 2001, chapters 2
//!    and 8), which takes the correlation within days from the days themselves.
//!
//! Where no day has two samples the first is exact and stands alone.
//!
//! For the second, let day i have mᵢ samples, bᵢ of them below a value v, and M be the largest mᵢ. If v
//! were above the true p quantile, the excess yᵢ = (p·mᵢ − bᵢ)/M would have an expectation of at most 0.
//! The evidence against it is the largest Σ ln(1 + λ·yᵢ) over 0 ≤ λ ≤ 1/(1−p): the largest λ is the one
//! that a day with nothing but samples below v would still bear, seen or not. For every λ a worse sample
//! lowers the sum, so it lowers the maximum too: no bound ever improves when a sample gets worse. A design
//! effect estimated from the same samples does not have this property, which is why there is none here.
//! Half the square of the normal quantile would be the limit for many days; for few days Student's
//! quantile takes its place, as it does for a mean. Counts are whole numbers: half a sample is counted to
//! the bad side, spread over the days (the usual correction for continuity).
//!
//! `docs/statistics.md` shows how often the bounds hold.

use crate::quantile::Statistic;

/// Values grouped by day, with room for the work on them: filled again, it allocates nothing new.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    /// The values, day after day.
    values: Vec<i64>,
    /// Where each day ends in `values`.
    ends: Vec<usize>,
    /// The values in another order.
    order: Vec<i64>,
    /// Only where the days come mixed: values with their days.
    mixed: Vec<(i32, i64)>,
    /// Values between two ranks, with their days' places.
    window: Vec<(i64, u32)>,
    /// How many samples of each day are below a value.
    base: Vec<u32>,
    below: Vec<u32>,
    /// Excess of each day.
    excess: Vec<f64>,
}

/// Values that the true quantile lies between, each bound with the wanted confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueBounds {
    /// Not above the true quantile; `None` where no value is sure enough.
    pub lower: Option<i64>,
    /// Not below the true quantile; `None` where no value is sure enough.
    pub upper: Option<i64>,
}

impl Blocks {
    /// Takes the values, each with the number of its day, in place of those from before.
    pub fn fill(&mut self, items: impl Iterator<Item = (i32, i64)> + Clone) {
        self.values.clear();
        self.ends.clear();
        let mut last = i32::MIN;
        for (day, value) in items.clone() {
            if day < last {
                return self.fill_mixed(items);
            }
            if day != last && !self.values.is_empty() {
                self.ends.push(self.values.len());
            }
            last = day;
            self.values.push(value);
        }
        self.close();
    }

    /// The same for days that come in any order.
    fn fill_mixed(&mut self, items: impl Iterator<Item = (i32, i64)>) {
        let mut mixed = std::mem::take(&mut self.mixed);
        mixed.clear();
        mixed.extend(items);
        mixed.sort_unstable();
        self.fill(mixed.iter().copied());
        self.mixed = mixed;
    }

    fn close(&mut self) {
        if !self.values.is_empty() {
            self.ends.push(self.values.len());
        }
    }

    /// Number of values.
    #[must_use]
    pub const fn n(&self) -> usize {
        self.values.len()
    }

    /// Number of days.
    #[must_use]
    pub const fn days(&self) -> usize {
        self.ends.len()
    }

    /// The values of each day.
    pub fn each_day(&self) -> impl Iterator<Item = &[i64]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| &self.values[start..end])
    }

    /// Puts one value in the place of each day's many.
    pub fn reduce_days(&mut self, chosen: impl Fn(&[i64]) -> Option<i64>) {
        let mut start = 0;
        let mut kept = 0;
        for day in 0..self.ends.len() {
            let end = self.ends[day];
            if let Some(value) = chosen(&self.values[start..end]) {
                self.values[kept] = value;
                kept += 1;
                self.ends[kept - 1] = kept;
            }
            start = end;
        }
        self.values.truncate(kept);
        self.ends.truncate(kept);
    }

    /// Lets each value stand for a day of its own: the samples are taken as independent.
    pub fn split(&mut self) {
        self.ends.clear();
        self.ends.extend(1..=self.values.len());
    }

    /// The value at the nearest rank.
    pub fn quantile(&mut self, statistic: Statistic) -> Option<i64> {
        let rank = statistic.rank(self.n())?;
        Some(self.value_at(rank, |value| value))
    }

    /// Bounds of the true quantile, each of which holds by itself with `confidence`.
    pub fn bounds(&mut self, statistic: Statistic, confidence: f64) -> ValueBounds {
        let ranks = statistic.bounds(self.n(), confidence);
        let (n, share) = (self.n(), statistic.share());
        let lower = ranks
            .lower
            .and_then(|rank| self.bound(rank, share, confidence, |value| value));
        // From above, a quantile is a lower one of the mirrored scale.
        let upper = ranks
            .upper
            .and_then(|rank| self.bound(n + 1 - rank, 1.0 - share, confidence, |value| !value));
        ValueBounds {
            lower,
            upper: upper.map(|value| !value),
        }
    }

    /// How many independent samples would tell as much: the samples over the design effect of the days at
    /// the sample quantile, between the number of days and the number of samples. It is shown, and decides
    /// nothing.
    pub fn effective(&mut self, statistic: Statistic) -> usize {
        let (n, days) = (self.n(), self.days());
        let Some(quantile) = self.quantile(statistic) else {
            return 0;
        };
        if n == days {
            return n;
        }
        let at_or_below = |day: &[i64]| day.iter().filter(|value| **value <= quantile).count();
        let share = at_or_below(&self.values) as f64 / n as f64;
        let between: f64 = self
            .each_day()
            .map(|day| (at_or_below(day) as f64 - share * day.len() as f64).powi(2))
            .sum();
        if between <= 0.0 {
            // All alike: nothing tells how far they hang together.
            return days;
        }
        let independent = n as f64 * share * (1.0 - share);
        let effective = (n as f64 * independent / between) as usize;
        effective.clamp(days, n)
    }

    /// How many more days could decide at the earliest, were all their samples alike and as many a day as
    /// now; `None` where no foreseeable number could. `is_bad` tells the samples on the bad side, of which
    /// the target allows `bad_share`.
    pub fn days_to_decide(
        &mut self,
        is_bad: impl Fn(i64) -> bool,
        bad_share: f64,
        confidence: f64,
    ) -> Option<usize> {
        let per_day = self.n().div_ceil(self.days().max(1)).max(1);
        self.below.clear();
        let mut bad = 0;
        let mut start = 0;
        for &end in &self.ends {
            let day = self.values[start..end].iter();
            let count = day.filter(|value| is_bad(**value)).count();
            self.below.push(count as u32);
            bad += count;
            start = end;
        }
        let (n, days) = (self.n(), self.days());
        let statistic = crate::quantile::bounds_of_share;
        let mut decides = |more: usize| {
            let all = n + more * per_day;
            let ranks = statistic(all, bad_share, confidence);
            let met = ranks.lower.is_some_and(|lower| bad < lower)
                && self.would_show(bad_share, confidence, more, per_day, false);
            let missed = ranks.upper.is_some_and(|upper| all - (n - bad) >= upper)
                && self.would_show(1.0 - bad_share, confidence, more, per_day, true);
            met || missed
        };
        fewest(FORESEEABLE_DAYS.saturating_sub(days), &mut decides)
    }

    /// Whether the counts in `below` and `more` days without any would be evidence enough; with `good` the
    /// counts are those of the other samples.
    fn would_show(
        &mut self,
        share: f64,
        confidence: f64,
        more: usize,
        per_day: usize,
        good: bool,
    ) -> bool {
        if self.n() == self.days() && per_day == 1 {
            return true;
        }
        let largest = self.largest_day().max(per_day) as f64;
        self.excess.clear();
        let mut start = 0;
        for (&end, &bad) in self.ends.iter().zip(&self.below) {
            let size = (end - start) as f64;
            let against = if good {
                size - f64::from(bad)
            } else {
                f64::from(bad)
            };
            self.excess.push((share * size - against) / largest);
            start = end;
        }
        let new = share * per_day as f64 / largest;
        self.excess.extend(std::iter::repeat_n(new, more));
        let needed = evidence_needed(self.excess.len(), confidence);
        needed.is_some_and(|needed| shows(&mut self.excess, share, largest, needed))
    }

    fn largest_day(&self) -> usize {
        self.each_day().map(<[i64]>::len).max().unwrap_or(0)
    }

    /// The value at a rank, from 1, on the scale of `turned`.
    fn value_at(&mut self, rank: usize, turned: impl Fn(i64) -> i64) -> i64 {
        self.order.clear();
        self.order
            .extend(self.values.iter().map(|value| turned(*value)));
        *self.order.select_nth_unstable(rank - 1).1
    }

    /// The largest value, on the scale of `turned`, that is sure not to be above the `share` quantile:
    /// at most the one at `rank`, which is as far as independent samples would go.
    fn bound(
        &mut self,
        rank: usize,
        share: f64,
        confidence: f64,
        turned: impl Fn(i64) -> i64 + Copy,
    ) -> Option<i64> {
        let farthest = self.value_at(rank, turned);
        let largest = self.largest_day();
        if largest == 1 {
            return Some(farthest);
        }
        let needed = evidence_needed(self.days(), confidence)?;
        let test = Test {
            share,
            needed,
            largest: largest as f64,
        };
        self.count_below(farthest, turned);
        if test.passes(&self.ends, &self.below, &mut self.excess) {
            return Some(farthest);
        }
        // `order` has the `rank − 1` smallest values in front. The bound is about as many standard errors
        // of the days below the quantile as the confidence asks for: look there first, in a window.
        let spread: f64 = self.excess.iter().map(|y| y * y).sum::<f64>().sqrt() * test.largest;
        let expected = self.n() as f64 * share - (2.0 * needed).sqrt() * spread;
        let low = (expected - 0.8 * spread) as usize;
        let high = ((expected + 0.5 * spread) as usize).clamp(1, rank);
        let at = |order: &mut Vec<i64>, rank: usize| *order.select_nth_unstable(rank - 1).1;
        let ceiling = at(&mut self.order, high);
        self.count_below(ceiling, turned);
        let (floor, ceiling) = if test.passes(&self.ends, &self.below, &mut self.excess) {
            (ceiling, farthest)
        } else if low >= 1 {
            let floor = at(&mut self.order, low);
            self.count_below(floor, turned);
            if test.passes(&self.ends, &self.below, &mut self.excess) {
                (floor, ceiling)
            } else {
                (i64::MIN, floor)
            }
        } else {
            (i64::MIN, ceiling)
        };
        self.count_below(floor, turned);
        std::mem::swap(&mut self.base, &mut self.below);
        self.gather(floor, ceiling, turned);
        self.search(test)
    }

    /// Counts for each day the values below `limit`.
    fn count_below(&mut self, limit: i64, turned: impl Fn(i64) -> i64) {
        self.below.clear();
        let mut start = 0;
        for &end in &self.ends {
            let day = &self.values[start..end];
            let count: u32 = day.iter().map(|v| u32::from(turned(*v) < limit)).sum();
            self.below.push(count);
            start = end;
        }
    }

    /// Puts the values from `floor` to below `ceiling` into the window, in ascending order.
    fn gather(&mut self, floor: i64, ceiling: i64, turned: impl Fn(i64) -> i64) {
        self.window.clear();
        let mut start = 0;
        for (day, &end) in (0u32..).zip(&self.ends) {
            for value in &self.values[start..end] {
                let value = turned(*value);
                if (floor..ceiling).contains(&value) {
                    self.window.push((value, day));
                }
            }
            start = end;
        }
        self.window.sort_unstable();
    }

    /// The largest value of the window that passes; `base` holds the counts below the window.
    fn search(&mut self, test: Test) -> Option<i64> {
        let (mut passed, mut failed) = (None, self.window.len());
        let mut counted = 0;
        while counted < failed {
            let middle = usize::midpoint(counted, failed);
            let value = self.window[middle].0;
            let first = self.window.partition_point(|entry| entry.0 < value);
            self.below.clone_from(&self.base);
            let from = counted.min(first);
            for (_, day) in &self.window[from..first] {
                self.below[*day as usize] += 1;
            }
            if test.passes(&self.ends, &self.below, &mut self.excess) {
                passed = Some(value);
                if first >= counted {
                    std::mem::swap(&mut self.base, &mut self.below);
                    // Those of the same value are not below it: the next search counts them.
                    let same = self.window.partition_point(|entry| entry.0 <= value);
                    for (_, day) in &self.window[first..same] {
                        self.base[*day as usize] += 1;
                    }
                    counted = same;
                }
            } else {
                failed = first;
            }
        }
        passed
    }
}

/// More days than this nobody will wait for: ten school years.
const FORESEEABLE_DAYS: usize = 2_048;

/// On how many days at least, each with so many samples, nothing but samples above the `share` quantile's
/// limit show that they are: the earliest that a lower bound can be good. `None` where no foreseeable
/// number could.
pub(crate) fn days_if_all_alike(share: f64, confidence: f64, per_day: usize) -> Option<usize> {
    let per_day = per_day.max(1);
    let mut excess = Vec::new();
    fewest(FORESEEABLE_DAYS, &mut |days| {
        let ranks = crate::quantile::bounds_of_share(days * per_day, share, confidence);
        if ranks.lower.is_none() || per_day == 1 {
            return ranks.lower.is_some();
        }
        excess.clear();
        excess.resize(days, share);
        let needed = evidence_needed(days, confidence);
        needed.is_some_and(|needed| shows(&mut excess, share, per_day as f64, needed))
    })
}

/// The fewest, from 1 to `limit`, that do, where whatever does is followed by nothing but what does too.
fn fewest(limit: usize, does: &mut impl FnMut(usize) -> bool) -> Option<usize> {
    let mut none = 0;
    let mut enough = 1;
    while !does(enough) {
        if enough >= limit {
            return None;
        }
        none = enough;
        enough = (enough * 2).min(limit);
    }
    while enough - none > 1 {
        let middle = usize::midpoint(none, enough);
        if does(middle) {
            enough = middle;
        } else {
            none = middle;
        }
    }
    Some(enough)
}

#[derive(Clone, Copy)]
struct Test {
    share: f64,
    needed: f64,
    largest: f64,
}

impl Test {
    /// Whether these counts are evidence that no more than `share` of the distribution is below.
    fn passes(self, ends: &[usize], below: &[u32], excess: &mut Vec<f64>) -> bool {
        excess.clear();
        let mut start = 0;
        for (&end, &below) in ends.iter().zip(below) {
            let size = (end - start) as f64;
            excess.push((self.share * size - f64::from(below)) / self.largest);
            start = end;
        }
        shows(excess, self.share, self.largest, self.needed)
    }
}

/// Fewest days that tell anything about how days differ.
const MIN_DAYS: usize = 5;

/// The evidence from which a bound holds; `None` where the days are too few.
fn evidence_needed(days: usize, confidence: f64) -> Option<f64> {
    if days < MIN_DAYS {
        return None;
    }
    let t = student(normal(confidence), (days - 1) as f64);
    Some(days as f64 / 2.0 * (t * t / (days - 1) as f64).ln_1p())
}

/// Whether these excesses, corrected for continuity, are evidence enough.
fn shows(excess: &mut [f64], share: f64, largest: f64, needed: f64) -> bool {
    let correction = 0.5 / (largest * excess.len() as f64);
    for y in &mut *excess {
        *y -= correction;
    }
    reaches(excess, 1.0 / (1.0 - share + correction), needed)
}

/// Whether the largest Σ ln(1 + λ·y) over 0 ≤ λ ≤ `end` is at least `needed`.
///
/// The sum is concave in λ: Newton's steps in a bracket, and out as soon as the value reached or the
/// tangent decides.
fn reaches(excess: &[f64], end: f64, needed: f64) -> bool {
    let (mut sum, mut squares) = (0.0, 0.0);
    for y in excess {
        sum += y;
        squares += y * y;
    }
    if sum <= 0.0 {
        return false;
    }
    let (mut low, mut high) = (0.0, end);
    let mut lambda = (sum / squares).min(0.9 * end);
    for _ in 0..60 {
        let (value, slope, curve) = likelihood(excess, lambda);
        if value >= needed {
            return true;
        }
        if value.is_finite() {
            let room = if slope > 0.0 {
                high - lambda
            } else {
                low - lambda
            };
            if value + slope * room < needed {
                return false;
            }
        }
        if slope > 0.0 {
            low = lambda;
        } else {
            high = lambda;
        }
        let step = lambda + slope / curve;
        lambda = if step > low && step < high {
            step
        } else if slope > 0.0 && step >= end && high >= end && lambda < end {
            end
        } else {
            f64::midpoint(low, high)
        };
    }
    false
}

/// Σ ln(1 + λ·y), its slope, and how fast the slope falls.
fn likelihood(excess: &[f64], lambda: f64) -> (f64, f64, f64) {
    let (mut value, mut slope, mut curve) = (0.0, 0.0, 0.0);
    // The logarithm of a product of few: each factor is below 100.
    for few in excess.chunks(8) {
        let mut product = 1.0;
        for y in few {
            let factor = (1.0 + lambda * y).max(f64::MIN_POSITIVE);
            let ratio = y / factor;
            product *= factor;
            slope += ratio;
            curve += ratio * ratio;
        }
        value += product.ln();
    }
    (value, slope, curve)
}

/// The quantile of the normal distribution, by Hastings' approximation (Abramowitz & Stegun 1964,
/// 26.2.23) and two of Newton's steps; for 0.5 < p < 1.
pub(crate) fn normal(p: f64) -> f64 {
    let t = (-2.0 * (1.0 - p).ln()).sqrt();
    let rough = t
        - (2.515_517 + t * (0.802_853 + t * 0.010_328))
            / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    // The tail above z by its continued fraction needs z well above 0; Simpson's rule from 0 does not.
    let above_half = |z: f64| {
        let steps = 200;
        let h = z / f64::from(steps);
        let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let inner: f64 = (1..steps)
            .map(|i| density(h * f64::from(i)) * if i % 2 == 1 { 4.0 } else { 2.0 })
            .sum();
        (density(0.0) + inner + density(z)) * h / 3.0
    };
    let mut z = rough;
    for _ in 0..2 {
        let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        z -= (above_half(z) - (p - 0.5)) / density;
    }
    z
}

/// Student's quantile from the normal one (Abramowitz & Stegun 1964, 26.7.5); within 1 % from 4 degrees of
/// freedom.
pub(crate) fn student(z: f64, degrees: f64) -> f64 {
    let z2 = z * z;
    let terms = [
        (z2 + 1.0) / 4.0,
        ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0,
        (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0,
        ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92_160.0,
    ];
    let series = terms
        .iter()
        .rev()
        .fold(0.0, |sum, term| (sum + term) / degrees);
    z * (1.0 + series)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use proptest::prelude::*;

    #[test]
    fn the_quantiles_of_normal_and_student_agree_with_tables() {
        for (p, z) in [
            (0.75, 0.674_490),
            (0.9, 1.281_552),
            (0.95, 1.644_854),
            (0.99, 2.326_348),
        ] {
            assert!((normal(p) - z).abs() < 1e-6, "{p}: {}", normal(p));
        }
        for (degrees, t) in [(4.0, 2.132), (9.0, 1.833), (19.0, 1.729), (59.0, 1.671)] {
            let got = student(normal(0.95), degrees);
            assert!((got / t - 1.0).abs() < 0.005, "{degrees}: {got}");
        }
    }

    #[test]
    fn the_fewest_are_found_up_to_the_limit_itself() {
        for limit in [1, 2, 5, 100, 2_048] {
            for first in 1..=limit + 1 {
                let found = fewest(limit, &mut |number| number >= first);
                assert_eq!(
                    found,
                    (first <= limit).then_some(first),
                    "{first} of {limit}"
                );
            }
        }
    }

    /// The bound as it is defined, over all values, without windows.
    fn plainly(blocks: &mut Blocks, statistic: Statistic, confidence: f64) -> Option<i64> {
        let rank = statistic.bounds(blocks.n(), confidence).lower?;
        let mut values = blocks.values.clone();
        values.sort_unstable();
        values.truncate(rank);
        let largest = blocks.largest_day();
        if largest == 1 {
            return values.last().copied();
        }
        let test = Test {
            share: statistic.share(),
            needed: evidence_needed(blocks.days(), confidence)?,
            largest: largest as f64,
        };
        let passes = |value: &&i64| {
            blocks.count_below(**value, |value| value);
            test.passes(&blocks.ends, &blocks.below, &mut blocks.excess)
        };
        values.iter().rev().find(passes).copied()
    }

    /// The largest sum, by looking at very many λ.
    fn evidence(excess: &[f64], end: f64) -> f64 {
        let at = |step: u32| likelihood(excess, end * f64::from(step) / 4_000.0).0;
        (0..=4_000).map(at).fold(0.0, f64::max)
    }

    proptest! {
        #[test]
        fn the_window_finds_the_bound_that_the_definition_has(
            seed in any::<u64>(),
            days in 1i32..40,
            per_day in 1usize..9,
            grain in prop::sample::select(vec![2i64, 20, 1_000_000]),
            percent in prop::sample::select(vec![5u8, 20, 50, 80]),
        ) {
            let mut random = SplitMix64::new(seed);
            let mut values = Vec::new();
            for day in 0..days {
                let shared = random.unit();
                // Not all days have the same number.
                for _ in 0..=random.bits() as usize % per_day {
                    let value = f64::midpoint(shared, random.unit()) * grain as f64;
                    values.push((day, value as i64));
                }
            }
            let mut blocks = Blocks::default();
            blocks.fill(values.into_iter());
            let statistic = Statistic::percentile(percent).unwrap();
            let expected = plainly(&mut blocks, statistic, 0.9);
            prop_assert_eq!(blocks.bounds(statistic, 0.9).lower, expected);
        }

        #[test]
        fn the_evidence_is_the_largest_sum(
            excess in prop::collection::vec(-0.5f64..0.5, 5..60),
            needed in 0.1f64..4.0,
        ) {
            let largest = evidence(&excess, 2.0);
            // Where the grid itself cannot tell, neither can the test.
            prop_assume!((largest - needed).abs() > 1e-3);
            prop_assert_eq!(reaches(&excess, 2.0, needed), largest > needed);
        }
    }
}
