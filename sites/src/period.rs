//! The periods that verdicts are closed for.
//!
//! A verdict that is computed again every day is a new look at the same question every day, and sooner or
//! later one of them is wrong. So a verdict is final only for a period that is over, and looked at once:
//! the running period's is provisional. Days are numbers, counted from 1970-01-01 in local time.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde::{Serialize, Serializer};

use crate::verdict::{Sample, Series};

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cycle {
    /// A calendar month.
    Month,
    /// A school year, from 1 August (Hamburger Abkommen of 1964, § 1).
    SchoolYear,
}

/// One period. Periods of one cycle follow each other in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// A calendar month.
    Month {
        /// The year.
        year: i32,
        /// The month, from 1.
        month: u8,
    },
    /// A school year.
    SchoolYear {
        /// The year of the August in which it begins.
        begins: i32,
    },
}

/// Whether a period is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is over: its verdict is final.
    Closed,
    /// It runs: its verdict may still change.
    Provisional,
}

impl Period {
    /// The period that a day is in.
    #[must_use]
    pub const fn of(cycle: Cycle, day: i32) -> Self {
        let (year, month) = year_and_month(day);
        match cycle {
            Cycle::Month => Self::Month { year, month },
            Cycle::SchoolYear if month >= 8 => Self::SchoolYear { begins: year },
            Cycle::SchoolYear => Self::SchoolYear { begins: year - 1 },
        }
    }

    /// Its days.
    #[must_use]
    pub const fn days(self) -> RangeInclusive<i32> {
        let (first, next) = match self {
            Self::Month { year, month } => {
                let (after, month_after) = if month >= 12 {
                    (year + 1, 1)
                } else {
                    (year, month + 1)
                };
                (first_of(year, month), first_of(after, month_after))
            }
            Self::SchoolYear { begins } => (first_of(begins, 8), first_of(begins + 1, 8)),
        };
        first..=next - 1
    }

    /// The one before it.
    #[must_use]
    pub const fn previous(self) -> Self {
        match self {
            Self::Month { year, month: 1 } => Self::Month {
                year: year - 1,
                month: 12,
            },
            Self::Month { year, month } => Self::Month {
                year,
                month: month - 1,
            },
            Self::SchoolYear { begins } => Self::SchoolYear { begins: begins - 1 },
        }
    }

    /// Whether it is over on the day `today`.
    #[must_use]
    pub const fn standing(self, today: i32) -> Standing {
        if today > *self.days().end() {
            Standing::Closed
        } else {
            Standing::Provisional
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Month { year, month } => write!(f, "{year:04}-{month:02}"),
            Self::SchoolYear { begins } => {
                write!(f, "{begins:04}/{:02}", (begins + 1).rem_euclid(100))
            }
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The periods up to today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// How long each is.
    pub cycle: Cycle,
    /// The number of the day that it is today.
    pub today: i32,
    /// How many, the running one included.
    pub count: u16,
}

impl Recent {
    /// They, the oldest first.
    #[must_use]
    pub fn periods(self) -> Vec<Period> {
        let running = Period::of(self.cycle, self.today);
        let back = |period: &Period| Some(period.previous());
        let mut periods: Vec<Period> = std::iter::successors(Some(running), back)
            .take(self.count.into())
            .collect();
        periods.reverse();
        periods
    }
}

/// The samples and failures of each period, in the order of the periods; each period keeps the order of
/// the samples.
#[must_use]
pub fn split(series: &Series, cycle: Cycle) -> BTreeMap<Period, Series> {
    let mut parts: BTreeMap<Period, Series> = BTreeMap::new();
    // Samples mostly come day after day: the calendar is asked once for each run of one period.
    let mut samples = series.samples.as_slice();
    while let Some(first) = samples.first() {
        let period = Period::of(cycle, first.day);
        let days = period.days();
        let is_other = |sample: &Sample| !days.contains(&sample.day);
        let end = samples.iter().position(is_other).unwrap_or(samples.len());
        let part = parts.entry(period).or_insert_with(|| series.emptied());
        part.samples.extend_from_slice(&samples[..end]);
        samples = &samples[end..];
    }
    for day in &series.failures {
        let period = Period::of(cycle, *day);
        let part = parts.entry(period).or_insert_with(|| series.emptied());
        part.failures.push(*day);
    }
    for (day, number) in &series.rolled_up {
        let period = Period::of(cycle, *day);
        let part = parts.entry(period).or_insert_with(|| series.emptied());
        part.rolled_up.insert(*day, *number);
    }
    parts
}

/// Days from 1970-01-01 to the first of a month (Hinnant, *chrono-compatible low-level date algorithms*,
/// 2014: years are counted from March, so that the leap day is the last).
const fn first_of(year: i32, month: u8) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = (month as i32 + 9) % 12;
    let of_year = (153 * month + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year and month of a day, by the same algorithm backwards.
const fn year_and_month(day: i32) -> (i32, u8) {
    let day = day.saturating_add(719_468);
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let year = year + era * 400;
    if month < 10 {
        (year, month as u8 + 3)
    } else {
        (year + 1, month as u8 - 9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_school::mbps;

    #[test]
    fn a_day_is_in_its_month_and_in_its_school_year() {
        for (day, month, school_year) in [
            (0, "1970-01", "1969/70"),
            (-1, "1969-12", "1969/70"),
            // 29 February and 1 March 2024.
            (19_782, "2024-02", "2023/24"),
            (19_783, "2024-03", "2023/24"),
            // 31 July and 1 August 2026.
            (20_665, "2026-07", "2025/26"),
            (20_666, "2026-08", "2026/27"),
            (10_956, "1999-12", "1999/00"),
        ] {
            assert_eq!(Period::of(Cycle::Month, day).to_string(), month, "{day}");
            let period = Period::of(Cycle::SchoolYear, day);
            assert_eq!(period.to_string(), school_year, "{day}");
        }
    }

    #[test]
    fn periods_follow_each_other_without_a_gap() {
        for cycle in [Cycle::Month, Cycle::SchoolYear] {
            let mut day = *Period::of(cycle, -200_000).days().start();
            while day < 200_000 {
                let period = Period::of(cycle, day);
                assert_eq!(*period.days().start(), day, "{period}");
                day = *period.days().end();
                assert_eq!(Period::of(cycle, day), period);
                day += 1;
            }
        }
    }

    #[test]
    fn a_period_is_closed_on_the_day_after_its_last() {
        let month = Period::Month {
            year: 2026,
            month: 9,
        };
        let last = *month.days().end();
        assert_eq!(month.standing(last), Standing::Provisional);
        assert_eq!(month.standing(last + 1), Standing::Closed);
    }

    #[test]
    fn samples_and_failures_go_to_their_month() {
        let mut series = mbps([1.0; 90]);
        series.failures = vec![30, 31, 58, 200];
        let counts: Vec<_> = split(&series, Cycle::Month)
            .into_iter()
            .map(|(period, part)| (period.to_string(), part.samples.len(), part.failures.len()))
            .collect();
        let expected = [
            ("1970-01", 31, 1),
            ("1970-02", 28, 2),
            ("1970-03", 31, 0),
            ("1970-07", 0, 1),
        ];
        assert_eq!(counts, expected.map(|(p, n, f)| (p.to_owned(), n, f)));
    }

    #[test]
    fn the_recent_periods_end_with_the_running_one() {
        for (cycle, expected) in [
            (Cycle::Month, ["1969-12", "1970-01", "1970-02"]),
            (Cycle::SchoolYear, ["1967/68", "1968/69", "1969/70"]),
        ] {
            let recent = Recent {
                cycle,
                today: 40,
                count: 3,
            };
            let periods = recent.periods();
            assert_eq!(
                periods.iter().map(ToString::to_string).collect::<Vec<_>>(),
                expected
            );
            for pair in periods.windows(2) {
                assert_eq!(*pair[0].days().end() + 1, *pair[1].days().start());
            }
        }
    }
}
