//! Which measurements make a campaign: the rules of validity, and the readings of what they leave open.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use serde::Serialize;

use super::{DAYS, Measurement, PER_DAY};
use crate::calendar::{Instant, Zone};

/// A campaign lies within so many calendar days.
const WITHIN_DAYS: i32 = 14;

/// Seconds between two measurements.
const APART: i64 = 5 * 60;

/// Seconds between the fifth and the sixth of a day.
const LONG_BREAK: i64 = 3 * 60 * 60;

/// More than a measurement takes: where a pause counts from the end of one to the begin of the next, it
/// is at most so much shorter than between their time stamps.
const TEST_SECONDS: i64 = 60;

/// A rule that a campaign broke, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "rule")]
pub enum BrokenRule {
    /// Not on three calendar days.
    Days {
        /// On so many.
        have: usize,
    },
    /// Not ten on one of its days.
    PerDay {
        /// The day.
        day: Date,
        /// So many.
        have: usize,
    },
    /// No calendar day between two measuring days.
    NoDayBetween {
        /// The first.
        first: Date,
        /// The next.
        second: Date,
    },
    /// Not within fourteen calendar days.
    TooLong {
        /// The first measuring day.
        first: Date,
        /// The last.
        last: Date,
        /// Calendar days from one to the other, both counted.
        days: i32,
    },
    /// Less than five minutes between two measurements.
    TooSoon {
        /// The earlier.
        first: DateTime,
        /// The later.
        second: DateTime,
        /// The pause.
        seconds: i64,
    },
    /// Less than three hours between the fifth and the sixth of a day.
    NoLongBreak {
        /// The fifth.
        fifth: DateTime,
        /// The sixth.
        sixth: DateTime,
        /// The pause.
        seconds: i64,
    },
    /// A time that the clock never showed: it lies in the hour that spring skips.
    NoSuchTime {
        /// The time.
        at: DateTime,
    },
}

/// A boundary that the text leaves open, with the reading taken. Each is the one that neither lengthens
/// nor shortens what stands there, so that neither side is favoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// "Within 14 calendar days" counts the first and the last measuring day. Otherwise fourteen days
    /// would follow the first one.
    FourteenDaysWithBothEnds,
    /// Pauses count from time stamp to time stamp, of which a measurement has one. Otherwise they would
    /// count from the end of one measurement to the begin of the next.
    PausesBetweenTimeStamps,
    /// A day with more than ten measurements is no measuring day, and no campaign has more than three days:
    /// to choose among them would favour whoever chooses. Otherwise the first ten of a day would count, and
    /// the first three days that have ten.
    NoChoiceAmongSurplus,
    /// A time in the hour that autumn repeats is taken for its first showing, as the file does not say
    /// which. Otherwise for its second.
    FirstOfTheRepeatedHour,
}

impl Reading {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::FourteenDaysWithBothEnds,
        Self::PausesBetweenTimeStamps,
        Self::NoChoiceAmongSurplus,
        Self::FirstOfTheRepeatedHour,
    ];
}

/// The measurements of each calendar day; they are in order.
pub(super) fn by_day<'a>(campaign: &[&'a Measurement]) -> BTreeMap<Date, Vec<&'a Measurement>> {
    let mut days: BTreeMap<Date, Vec<&Measurement>> = BTreeMap::new();
    for one in campaign {
        days.entry(one.at.date()).or_default().push(one);
    }
    days
}

/// The readings that decide whether a campaign is valid: each by itself, or where it takes several, those
/// together.
pub(super) fn deciding(campaign: &[&Measurement], zone: &Zone) -> Vec<Reading> {
    let is_valid = broken(campaign, zone, &[]).is_empty();
    let mut sets = vec![Vec::new()];
    for reading in Reading::ALL {
        let with: Vec<Vec<Reading>> = sets
            .iter()
            .map(|set| [&set[..], &[reading]].concat())
            .collect();
        sets.extend(with);
    }
    sets.sort_by_key(Vec::len);
    let mut smallest: Vec<Vec<Reading>> = Vec::new();
    for set in sets {
        let holds_another = |found: &Vec<Reading>| found.iter().all(|one| set.contains(one));
        if !smallest.iter().any(holds_another)
            && broken(campaign, zone, &set).is_empty() != is_valid
        {
            smallest.push(set);
        }
    }
    let is_named = |reading: &Reading| smallest.iter().any(|set| set.contains(reading));
    Reading::ALL.into_iter().filter(is_named).collect()
}

/// The rules that a campaign breaks, where the readings `otherwise` are read in their other way.
pub(super) fn broken(
    campaign: &[&Measurement],
    zone: &Zone,
    otherwise: &[Reading],
) -> Vec<BrokenRule> {
    let is_otherwise = |reading| otherwise.contains(&reading);
    let mut days = by_day(campaign);
    if is_otherwise(Reading::NoChoiceAmongSurplus) {
        for of_day in days.values_mut() {
            of_day.truncate(PER_DAY);
        }
        if days.len() > DAYS {
            let full = days
                .into_iter()
                .filter(|(_, of_day)| of_day.len() == PER_DAY);
            days = full.take(DAYS).collect();
        }
    }
    let mut broken = Vec::new();
    if days.len() != DAYS {
        broken.push(BrokenRule::Days { have: days.len() });
    }
    for (day, of_day) in &days {
        if of_day.len() != PER_DAY {
            let have = of_day.len();
            broken.push(BrokenRule::PerDay { day: *day, have });
        }
    }
    let dates: Vec<Date> = days.keys().copied().collect();
    for pair in dates.windows(2) {
        if days_after(pair[0], pair[1]) < 2 {
            let (first, second) = (pair[0], pair[1]);
            broken.push(BrokenRule::NoDayBetween { first, second });
        }
    }
    if let (Some(first), Some(last)) = (dates.first().copied(), dates.last().copied()) {
        let days = days_after(first, last) + 1;
        let within = WITHIN_DAYS + i32::from(is_otherwise(Reading::FourteenDaysWithBothEnds));
        if days > within {
            broken.push(BrokenRule::TooLong { first, last, days });
        }
    }
    let longer = if is_otherwise(Reading::PausesBetweenTimeStamps) {
        TEST_SECONDS
    } else {
        0
    };
    let second_showing = is_otherwise(Reading::FirstOfTheRepeatedHour);
    for of_day in days.values() {
        pauses(of_day, zone, longer, second_showing, &mut broken);
    }
    broken
}

/// The rules about pauses within a day. Between days there are more than 24 hours, or a rule about days
/// is broken already.
fn pauses(
    of_day: &[&Measurement],
    zone: &Zone,
    longer: i64,
    second_showing: bool,
    broken: &mut Vec<BrokenRule>,
) {
    // In the hour that autumn repeats the order of the clock is not that of time.
    let mut timed = Vec::new();
    for one in of_day {
        match zone.instant(one.at) {
            Instant::Once(at) => timed.push((at.0, one.at)),
            Instant::Twice { first } if second_showing => timed.push((first.0 + 3_600_000, one.at)),
            Instant::Twice { first } => timed.push((first.0, one.at)),
            Instant::Never => broken.push(BrokenRule::NoSuchTime { at: one.at }),
        }
    }
    timed.sort_unstable();
    for (index, pair) in timed.windows(2).enumerate() {
        let [(from, first), (to, second)] = [pair[0], pair[1]];
        // Down to whole seconds: what lacks a millisecond of five minutes lacks it.
        let seconds = (to - from).div_euclid(1_000);
        if seconds < APART + longer {
            broken.push(BrokenRule::TooSoon {
                first,
                second,
                seconds,
            });
        }
        if index + 1 == PER_DAY / 2 && timed.len() >= PER_DAY && seconds < LONG_BREAK + longer {
            broken.push(BrokenRule::NoLongBreak {
                fifth: first,
                sixth: second,
                seconds,
            });
        }
    }
}

fn days_after(first: Date, last: Date) -> i32 {
    first
        .until(last)
        .map_or(i32::MAX - 1, |span| span.get_days())
}
