//! Where things are going: schools at target from month to month, and one school's value over the months.

use std::collections::BTreeMap;

use messnetz_metric::Better;
use serde::Serialize;

use crate::coverage::{Coverage, Said, coverage};
use crate::period::{Period, Standing};
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
        coverage(&judgements.iter().map(Said::from).collect::<Vec<_>>())
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

/// Where one target at one site is going.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// How the value changes from month to month, in units of the metric; absent where fewer than two
    /// closed months have a value.
    pub slope: Option<Slope>,
    /// Where that leads.
    pub outlook: Outlook,
}

/// What a trend says about a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum Outlook {
    /// The points do not tell whether there is a trend, or end too long ago to tell where it leads.
    NoTrend,
    /// The trend does not lead to the threshold, or not within [`FORESEEABLE_MONTHS`].
    Stays,
    /// The target is reached now, and at this rate it is missed from this month on.
    MissedFrom {
        /// The month.
        month: Period,
    },
    /// The target is not reached now, and at this rate it is met from this month on.
    MetFrom {
        /// The month.
        month: Period,
    },
}

/// Months further ahead than this nobody foresees.
pub const FORESEEABLE_MONTHS: i32 = 60;

/// Where the trend of points (number of the month, value) leads: the whole interval of its slope has to lie on one side of
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
    let is_reached = |month: i32| {
        let value = level + slope.median * f64::from(month);
        match op {
            Operator::AtLeast => value >= threshold,
            Operator::Below => value < threshold,
            Operator::AtMost => value <= threshold,
        }
    };
    let improves = rises == (op.better() == Better::Higher);
    let now = is_reached(last);
    let turn = (last + 1..=last + FORESEEABLE_MONTHS).find(|month| is_reached(*month) != now);
    match turn.map(month_of_number) {
        Some(month) if now && !improves => Outlook::MissedFrom { month },
        Some(month) if !now && improves => Outlook::MetFrom { month },
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

/// The trend of one target at one site, from its months' judgements, at the confidence that they were made
/// with, the running month last. Months that have no value, and the running one, tell nothing. Where the
/// month before the last of the list has no value, nobody knows where things are going now: then there is
/// no outlook.
#[must_use]
pub fn trend(months: &[Judgement]) -> Trend {
    let points: Vec<(i32, f64)> = months
        .iter()
        .filter(|month| month.standing == Some(Standing::Closed))
        .filter_map(|month| {
            let number = month_number(month.period?)?;
            Some((number, month.observed?.number() as f64))
        })
        .collect();
    let last = months.iter().rev().find_map(|month| {
        let threshold = month.threshold.as_ref()?.tolerated.number() as f64;
        Some((month.op, threshold, month.interval.confidence))
    });
    let Some((op, threshold, confidence)) = last else {
        return Trend {
            slope: None,
            outlook: Outlook::NoTrend,
        };
    };
    let as_floats: Vec<(f64, f64)> = points.iter().map(|p| (f64::from(p.0), p.1)).collect();
    let running = months.last().and_then(|month| month_number(month.period?));
    let last_known = points.iter().map(|point| point.0).max();
    let is_recent = last_known
        .zip(running)
        .is_some_and(|(last, running)| last >= running - 1);
    Trend {
        slope: slope(&as_floats, confidence),
        outlook: if is_recent {
            outlook(&points, op, threshold, confidence)
        } else {
            Outlook::NoTrend
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judging::Judging;
    use crate::period::{Cycle, Recent};
    use crate::random::SplitMix64;
    use crate::sample_school::{mbps, school, target};
    use crate::verdict::{Bounds, Judge, Series, judge_periods};

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
                Outlook::MissedFrom {
                    month: month_of_number(10),
                },
            ),
            (
                line(5.0, 6),
                Operator::AtLeast,
                451.0,
                Outlook::MetFrom {
                    month: month_of_number(11),
                },
            ),
            (
                line(5.0, 6),
                Operator::Below,
                450.0,
                Outlook::MissedFrom {
                    month: month_of_number(10),
                },
            ),
            (
                line(5.0, 6),
                Operator::AtMost,
                450.0,
                Outlook::MissedFrom {
                    month: month_of_number(11),
                },
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
        let mut months = |count, series: &Series| {
            let recent = Recent {
                cycle: Cycle::Month,
                today: 199,
                count,
            };
            let (target, site) = (target("de-aufgreifschwelle-30/down"), &school.sites[0]);
            let judging = Judging::default();
            judge_periods(
                &mut judge,
                target,
                &school,
                site,
                series,
                |_| Bounds::default(),
                &judging,
                recent,
            )
        };
        let falling = months(7, &series);
        let shares: Vec<_> = coverage_by_period(&falling)
            .iter()
            .map(|counted| (counted.period.to_string(), counted.share_met))
            .collect();
        assert_eq!(shares.len(), 7);
        assert_eq!(shares[0], ("1970-01".to_owned(), 1.0));
        let Trend { slope, outlook } = trend(&falling);
        assert!(matches!(outlook, Outlook::MissedFrom { .. }), "{outlook:?}");
        let slope = slope.unwrap();
        let (lower, upper) = (slope.lower.unwrap(), slope.upper.unwrap());
        assert!(
            lower <= slope.median && slope.median <= upper && upper < 0.0,
            "{slope:?}"
        );
        assert_eq!(slope.points, 6, "the running month is not one of them");
        assert_eq!(trend(&falling[..3]).outlook, Outlook::NoTrend);
        assert_eq!(trend(&[]).slope, None);
        // Five falling months foretell nothing once a month without data lies between them and today.
        for (last_day, is_told) in [(160, true), (140, false)] {
            let mut ended = series.clone();
            ended.samples.retain(|sample| sample.day < last_day);
            let Trend { slope, outlook } = trend(&months(7, &ended));
            assert!(slope.unwrap().upper.unwrap() < 0.0, "{slope:?}");
            let is_missed = matches!(outlook, Outlook::MissedFrom { .. });
            assert_eq!(is_missed, is_told, "{last_day}: {outlook:?}");
        }
        // A school that is not measured any more is not at the target.
        let mut silent = series.clone();
        silent.samples.retain(|sample| sample.day < 100);
        let last = coverage_by_period(&months(2, &silent));
        assert_eq!(last.len(), 2);
        assert!(
            last.iter()
                .all(|counted| counted.counts.no_data == 1 && counted.share_met == 0.0)
        );
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
