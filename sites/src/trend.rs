//! Where things are going: schools at target from month to month, and one school's value over the months.

use std::collections::BTreeMap;

use messnetz_metric::Better;
use serde::Serialize;

use crate::coverage::{Coverage, coverage};
use crate::period::Period;
use crate::target::Operator;
use crate::verdict::Judgement;

/// The schools at a target in one period: the form of Dortmund and Hannover ("so many of so many schools").
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeriodCoverage {
    /// The period.
    pub period: Period,
    /// The schools, counted by verdict.
    #[serde(flatten)]
    pub counts: Coverage,
    /// Schools that met the target, of all schools: those without data are not at the target either.
    pub share_met: f64,
}

/// Counts schools per target and period, in the order of the periods and of the targets' ids. Judgements
/// without a period are left out.
#[must_use]
pub fn coverage_by_period(judgements: &[Judgement]) -> Vec<PeriodCoverage> {
    let mut by_period: BTreeMap<Period, Vec<Judgement>> = BTreeMap::new();
    for judgement in judgements {
        if let Some(period) = judgement.period {
            by_period.entry(period).or_default().push(judgement.clone());
        }
    }
    let counted = |(period, judgements): (Period, Vec<Judgement>)| {
        coverage(&judgements)
            .into_iter()
            .map(move |counts| PeriodCoverage {
                period,
                share_met: counts.met as f64 / counts.schools() as f64,
                counts,
            })
    };
    by_period.into_iter().flat_map(counted).collect()
}

/// How a value changes per step of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Slope {
    /// The median of the slopes between all pairs of points.
    pub median: f64,
    /// The true slope is at or above this; absent where the points are too few to say.
    pub lower: Option<f64>,
    /// The true slope is at or below this; absent where the points are too few to say.
    pub upper: Option<f64>,
    /// Number of points.
    pub points: usize,
}

/// The slope of points (time, value) after Theil and Sen, with the distribution-free bounds of Sen
/// (*Estimates of the Regression Coefficient Based on Kendall's Tau*, Journal of the American Statistical
/// Association 63, 1968), each with `confidence`. One wild month does not turn it.
///
/// Points of one time tell nothing together. `None` where no two times differ. The points are taken as
/// independent beside the trend: months, not days.
#[must_use]
pub fn slope(points: &[(f64, f64)], confidence: f64) -> Option<Slope> {
    let mut slopes = Vec::new();
    for (at, earlier) in points.iter().enumerate() {
        for later in &points[at + 1..] {
            let time = later.0 - earlier.0;
            if time != 0.0 {
                slopes.push((later.1 - earlier.1) / time);
            }
        }
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let n = slopes.len();
    let median = f64::midpoint(*slopes.get(n.saturating_sub(1) / 2)?, *slopes.get(n / 2)?);
    // As many slopes as this may lie beyond a bound.
    let beyond = inversions_at_most(points.len(), 1.0 - confidence);
    let lower = beyond.and_then(|beyond| slopes.get(beyond)).copied();
    let upper = beyond
        .and_then(|beyond| n.checked_sub(beyond + 1))
        .and_then(|rank| slopes.get(rank))
        .copied();
    Some(Slope {
        median,
        lower,
        upper,
        points: points.len(),
    })
}

/// The largest k so that an ordering of n values drawn blindly has at most k inversions with a chance of at
/// most `error`: Kendall's distribution (*Rank Correlation Methods*, 1948), counted exactly.
fn inversions_at_most(n: usize, error: f64) -> Option<usize> {
    let mut chances = vec![1.0];
    for values in 2..=n {
        // The next value goes to one of `values` places and makes as many inversions as it passes.
        let mut next = vec![0.0; chances.len() + values - 1];
        for (inversions, chance) in chances.iter().enumerate() {
            for passed in 0..values {
                next[inversions + passed] += chance / values as f64;
            }
        }
        chances = next;
    }
    let mut sum = 0.0;
    let within = chances.iter().take_while(|chance| {
        sum += **chance;
        sum <= error
    });
    within.count().checked_sub(1)
}

/// What a trend says about a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum Outlook {
    /// The points do not tell whether there is a trend.
    NoTrend,
    /// The trend does not lead to the threshold, or not within [`FORESEEABLE_STEPS`].
    Stays,
    /// The target is reached now, and at this rate it is missed from `step` on.
    MissedFrom {
        /// The step of time, counted as the points are.
        step: i32,
    },
    /// The target is not reached now, and at this rate it is met from `step` on.
    MetFrom {
        /// The step of time, counted as the points are.
        step: i32,
    },
}

/// Steps further ahead than this nobody foresees: five years of months.
pub const FORESEEABLE_STEPS: i32 = 60;

/// Where the trend of points (step, value) leads: the whole interval of its slope has to lie on one side of
/// 0, else nothing is said. The line goes through the medians (Conover, *Practical Nonparametric
/// Statistics*, 3rd ed. 1999, section 5.5).
#[must_use]
pub fn outlook(points: &[(i32, f64)], op: Operator, threshold: f64, confidence: f64) -> Outlook {
    let as_floats: Vec<(f64, f64)> = points.iter().map(|p| (f64::from(p.0), p.1)).collect();
    let Some(slope) = slope(&as_floats, confidence) else {
        return Outlook::NoTrend;
    };
    let rises = slope.lower.is_some_and(|lower| lower > 0.0);
    let falls = slope.upper.is_some_and(|upper| upper < 0.0);
    if !rises && !falls {
        return Outlook::NoTrend;
    }
    let mut levels: Vec<f64> = as_floats.iter().map(|p| p.1 - slope.median * p.0).collect();
    levels.sort_unstable_by(f64::total_cmp);
    let middle = levels.len() / 2;
    let level = f64::midpoint(levels[(levels.len() - 1) / 2], levels[middle]);
    let Some(last) = points.iter().map(|point| point.0).max() else {
        return Outlook::NoTrend;
    };
    let is_reached = |step: i32| {
        let value = level + slope.median * f64::from(step);
        match op {
            Operator::AtLeast => value >= threshold,
            Operator::Below => value < threshold,
            Operator::AtMost => value <= threshold,
        }
    };
    let improves = rises == (op.better() == Better::Higher);
    let now = is_reached(last);
    let turn = (last + 1..=last + FORESEEABLE_STEPS).find(|step| is_reached(*step) != now);
    match turn {
        Some(step) if now && !improves => Outlook::MissedFrom { step },
        Some(step) if !now && improves => Outlook::MetFrom { step },
        _ => Outlook::Stays,
    }
}

/// The number of a month, one more for each month: what the points of [`outlook`] count. `None` for a
/// school year.
#[must_use]
pub const fn month_number(period: Period) -> Option<i32> {
    match period {
        Period::Month { year, month } => Some(year * 12 + month as i32 - 1),
        Period::SchoolYear { .. } => None,
    }
}

/// The month of a number.
#[must_use]
pub const fn month_of_number(number: i32) -> Period {
    Period::Month {
        year: number.div_euclid(12),
        month: number.rem_euclid(12) as u8 + 1,
    }
}

/// The outlook of one target at one site, from its months' judgements; those that have no value, and those
/// of a running month, tell nothing.
#[must_use]
pub fn outlook_of(months: &[Judgement], confidence: f64) -> Outlook {
    let closed = |judgement: &&Judgement| {
        judgement.standing == Some(crate::period::Standing::Closed) && judgement.observed.is_some()
    };
    let points: Vec<(i32, f64)> = months
        .iter()
        .filter(closed)
        .filter_map(|judgement| {
            let month = month_number(judgement.period?)?;
            Some((month, judgement.observed?.number() as f64))
        })
        .collect();
    let last = months.iter().rev().find_map(|judgement| {
        let threshold = judgement.threshold.as_ref()?;
        Some((judgement.op, threshold.tolerated.number() as f64))
    });
    match last {
        Some((op, threshold)) => outlook(&points, op, threshold, confidence),
        None => Outlook::NoTrend,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judging::Judging;
    use crate::period::Cycle;
    use crate::random::SplitMix64;
    use crate::sample_school::{mbps, school, target};
    use crate::verdict::{Judge, judge_periods};

    /// Kendall's tables: no inversion among 4 has the chance 1/24, at most one among 5 has 5/120, at most 6
    /// among 8 have 0.031.
    #[test]
    fn the_bounds_come_from_kendalls_distribution() {
        for (n, expected) in [
            (3, None),
            (4, Some(0)),
            (5, Some(1)),
            (6, Some(2)),
            (8, Some(6)),
        ] {
            assert_eq!(inversions_at_most(n, 0.05), expected, "{n}");
        }
    }

    #[test]
    fn one_wild_month_does_not_turn_the_slope() {
        let mut points: Vec<(f64, f64)> = (0..12)
            .map(|t| (f64::from(t), 500.0 - 5.0 * f64::from(t)))
            .collect();
        points[10].1 = 2_000.0;
        let slope = slope(&points, 0.95).unwrap();
        assert!((slope.median + 5.0).abs() < 1e-9, "{slope:?}");
        assert!(slope.upper.unwrap() < 0.0, "{slope:?}");
    }

    #[test]
    fn the_outlook_names_the_month_or_says_that_none_can_be_told() {
        let line = |slope: f64, points: i32| -> Vec<(i32, f64)> {
            (0..points)
                .map(|t| (t, 400.0 + slope * f64::from(t)))
                .collect()
        };
        let cases = [
            // 400 − 5·t is below 351 for the first time at t = 10.
            (
                line(-5.0, 6),
                Operator::AtLeast,
                351.0,
                Outlook::MissedFrom { step: 10 },
            ),
            (
                line(5.0, 6),
                Operator::AtLeast,
                451.0,
                Outlook::MetFrom { step: 11 },
            ),
            (
                line(5.0, 6),
                Operator::Below,
                450.0,
                Outlook::MissedFrom { step: 10 },
            ),
            (
                line(5.0, 6),
                Operator::AtMost,
                450.0,
                Outlook::MissedFrom { step: 11 },
            ),
            (line(5.0, 6), Operator::AtLeast, 351.0, Outlook::Stays),
            (line(-0.1, 6), Operator::AtLeast, 351.0, Outlook::Stays),
            (line(-5.0, 3), Operator::AtLeast, 351.0, Outlook::NoTrend),
            (line(0.0, 12), Operator::AtLeast, 351.0, Outlook::NoTrend),
            (Vec::new(), Operator::AtLeast, 351.0, Outlook::NoTrend),
        ];
        for (points, op, threshold, expected) in cases {
            assert_eq!(
                outlook(&points, op, threshold, 0.95),
                expected,
                "{points:?}"
            );
        }
    }

    #[test]
    fn noise_alone_is_rarely_called_a_trend() {
        let mut random = SplitMix64::new(7);
        let called = (0..2_000)
            .filter(|_| {
                let points: Vec<(i32, f64)> = (0..10).map(|t| (t, random.normal())).collect();
                outlook(&points, Operator::AtLeast, -1.0, 0.95) != Outlook::NoTrend
            })
            .count();
        // Each direction at most 5 %.
        assert!(called < 220, "{called}");
    }

    #[test]
    fn the_bounds_of_a_slope_hold_as_often_as_they_promise() {
        let mut random = SplitMix64::new(8);
        let (mut lower, mut upper) = (0, 0);
        for _ in 0..2_000 {
            let points: Vec<(f64, f64)> = (0..9)
                .map(|t| (f64::from(t), 0.3 * f64::from(t) + random.normal()))
                .collect();
            let slope = slope(&points, 0.95).unwrap();
            lower += usize::from(slope.lower.is_some_and(|lower| lower <= 0.3));
            upper += usize::from(slope.upper.is_some_and(|upper| upper >= 0.3));
        }
        assert!(lower >= 1_885 && upper >= 1_885, "{lower} {upper}");
    }

    #[test]
    fn schools_are_counted_month_by_month_and_the_running_month_tells_no_trend() {
        let school = school(Some(12), None);
        // Every month 8 Mbit/s less, from 420; the tolerated threshold is 351.
        let series = mbps((0..200).map(|day| 420.0 - f64::from(day / 30) * 8.0));
        let mut judge = Judge::default();
        let months = judge_periods(
            &mut judge,
            target("de-aufgreifschwelle-30/down"),
            &school,
            &school.sites[0],
            &series,
            None,
            &Judging::default(),
            (Cycle::Month, 199),
        );
        assert_eq!(months.len(), 7);
        let counted = coverage_by_period(&months);
        assert_eq!(counted[0].period.to_string(), "1970-01");
        assert!((counted[0].share_met - 1.0).abs() < 1e-12);
        assert!(matches!(
            outlook_of(&months, 0.95),
            Outlook::MissedFrom { .. }
        ));
        assert_eq!(outlook_of(&months[..3], 0.95), Outlook::NoTrend);
    }

    #[test]
    fn months_are_numbered_without_a_gap() {
        let december = Period::Month {
            year: 2026,
            month: 12,
        };
        let number = month_number(december).unwrap();
        assert_eq!(month_of_number(number), december);
        assert_eq!(month_of_number(number + 1).to_string(), "2027-01");
        assert_eq!(month_number(Period::of(Cycle::SchoolYear, 0)), None);
    }
}
