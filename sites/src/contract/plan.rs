//! Lays a campaign into the calendar of a school, so that no lesson is disturbed.
//!
//! Whoever measures has to be there, so only weekdays between 8:00 and 21:00 are used; weekends and
//! public holidays are not. That frame and the spare minutes are this project's choice, and keep the
//! plan valid under every [`Reading`](super::Reading).

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use messnetz_metric::UnixMillis;
use serde::Serialize;
use thiserror::Error;

use super::{DAYS, PER_DAY};
use crate::calendar::{Calendar, DayKind, Instant, Interval, Window, days};
use crate::site::School;

const MINUTE: i64 = 60_000;

/// Between two measurements: five minutes, and one for the measurement itself.
const STEP: i64 = 6 * MINUTE;

/// Between the fifth and the sixth: three hours, and five minutes for whoever is late.
const LONG_STEP: i64 = 185 * MINUTE;

/// From the first to the end of the fifth.
const BLOCK: i64 = 5 * STEP;

/// Kept free between school and a measurement.
const MARGIN: i64 = 5 * MINUTE;

/// The hours in which somebody can be there.
const FRAME: [i8; 2] = [8, 21];

/// Days between the first and the last measuring day: fourteen calendar days with both.
const SPAN: i32 = 13;

/// Days that are looked at for a first measuring day.
const SEARCHED: i32 = 90;

/// A campaign that is to be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Its days.
    pub days: Vec<PlannedDay>,
    /// Whether the calendar knows the holidays of its days. Where it does not, a day may be free that is
    /// planned as one with lessons, which disturbs nobody.
    pub holidays_known: bool,
}

/// A day of the campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedDay {
    /// The day.
    pub day: Date,
    /// Whether lessons are held on it.
    #[serde(flatten)]
    pub kind: DayKind,
    /// When to measure.
    pub times: Vec<UnixMillis>,
}

/// No campaign fits.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "from {from} no three days fit within {SEARCHED} days: each needs two blocks of half an hour without school, three hours apart, between {}:00 and {}:00 of a weekday",
    FRAME[0],
    FRAME[1]
)]
pub struct NoPlan {
    /// The first day that was looked at.
    pub from: Date,
}

/// The earliest campaign from a day on.
///
/// # Errors
/// [`NoPlan`] where no three days fit within a quarter of a year.
pub fn plan(calendar: &Calendar, school: &School, from: Date) -> Result<Plan, NoPlan> {
    let none = || NoPlan { from };
    let far = from.checked_add(SEARCHED.days()).map_err(|_| none())?;
    let possible: Vec<PlannedDay> = days(from, far)
        .filter_map(|day| {
            let times = times(calendar, school, day)?;
            let kind = calendar.day(day, school);
            Some(PlannedDay { day, kind, times })
        })
        .collect();
    let apart = |a: &PlannedDay, b: &PlannedDay| {
        a.day.until(b.day).map_or(i32::MAX, |span| span.get_days())
    };
    for (index, first) in possible.iter().enumerate() {
        let mut chosen = vec![first.clone()];
        for next in &possible[index + 1..] {
            let far_enough = chosen.last().is_some_and(|last| apart(last, next) >= 2);
            if far_enough && chosen.len() < DAYS && apart(first, next) <= SPAN {
                chosen.push(next.clone());
            }
        }
        if chosen.len() == DAYS {
            let known = |planned: &PlannedDay| calendar.knows_holidays_around(planned.day, school);
            return Ok(Plan {
                holidays_known: chosen.iter().all(known),
                days: chosen,
            });
        }
    }
    Err(none())
}

/// The ten times of a day, where they fit.
fn times(calendar: &Calendar, school: &School, day: Date) -> Option<Vec<UnixMillis>> {
    let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    if weekend || matches!(calendar.day(day, school), DayKind::PublicHoliday(_)) {
        return None;
    }
    let at = |hour: i8| match calendar.zone.instant(day.at(hour, 0, 0, 0)) {
        Instant::Once(at) => Some(at),
        Instant::Twice { .. } | Instant::Never => None,
    };
    let frame = Interval {
        from: at(FRAME[0])?,
        to: at(FRAME[1])?,
    };
    let free = calendar.intervals(&Window::OffLesson, frame, school);
    let first = block(&free, frame, frame.from.0)?;
    let second = block(&free, frame, first + 4 * STEP + LONG_STEP)?;
    let begins = |begin: i64| std::iter::successors(Some(begin), |at| Some(at + STEP));
    let five = |begin| begins(begin).take(PER_DAY / 2).map(UnixMillis);
    Some(five(first).chain(five(second)).collect())
}

/// The earliest begin of five measurements, not before `earliest`, on a full five minutes.
fn block(free: &[Interval], frame: Interval, earliest: i64) -> Option<i64> {
    free.iter().find_map(|interval| {
        let margin = |edge: UnixMillis, of_frame: UnixMillis| {
            if edge == of_frame { 0 } else { MARGIN }
        };
        let from = interval.from.0 + margin(interval.from, frame.from);
        let to = interval.to.0 - margin(interval.to, frame.to);
        let full = 5 * MINUTE;
        let begin = from.max(earliest);
        let begin = begin + (full - begin.rem_euclid(full)) % full;
        (begin + BLOCK <= to).then_some(begin)
    })
}
