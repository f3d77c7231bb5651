//! Which day it is at a school: the one place where times become local days.

use std::sync::LazyLock;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use messnetz_metric::UnixMillis;
use messnetz_sites::Day;

/// Central European Time with the summer time that has been in force since 1996 (directive 2000/84/EC), in
/// the form of POSIX: the rule itself, so that a machine without a time-zone database counts the same days.
const GERMANY: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

static ZONE: LazyLock<TimeZone> =
    LazyLock::new(|| TimeZone::posix(GERMANY).unwrap_or(TimeZone::UTC));

const FIRST_DAY: Date = Date::constant(1970, 1, 1);

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The number of the local day that a time falls on, counted from 1970-01-01.
#[must_use]
pub fn local_day(at: UnixMillis) -> i32 {
    let days = match Timestamp::from_millisecond(at.0) {
        Ok(time) => {
            let since = ZONE.to_datetime(time).date().duration_since(FIRST_DAY);
            since.as_hours() / 24
        }
        // Beyond the year 9999 there is no local time.
        Err(_) => at.0.div_euclid(DAY_MS),
    };
    i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX })
}

/// The date of a day; `None` beyond the years that dates are written for.
#[must_use]
pub fn date(day: i32) -> Option<Day> {
    let days = Span::new().try_days(day).ok()?;
    let date = FIRST_DAY.checked_add(days).ok()?;
    Day::new(
        u16::try_from(date.year()).ok()?,
        u8::try_from(date.month()).ok()?,
        u8::try_from(date.day()).ok()?,
    )
}

/// When a local day begins.
#[must_use]
pub fn begin_of(day: i32) -> UnixMillis {
    let begin = Span::new()
        .try_days(day)
        .and_then(|days| FIRST_DAY.checked_add(days))
        .and_then(|date| date.to_zoned(ZONE.clone()));
    UnixMillis(begin.map_or(i64::from(day) * DAY_MS, |begin| {
        begin.timestamp().as_millisecond()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(utc: &str) -> UnixMillis {
        UnixMillis(utc.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn a_day_begins_at_local_midnight_in_winter_and_in_summer() {
        for (before, begin, day) in [
            ("2026-01-14T22:59:59Z", "2026-01-14T23:00:00Z", 20_468),
            ("2026-07-14T21:59:59Z", "2026-07-14T22:00:00Z", 20_649),
            // The days on which the clock changes have 23 and 25 hours.
            ("2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", 20_541),
            ("2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z", 20_542),
            ("2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", 20_751),
            ("2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z", 20_752),
        ] {
            assert_eq!(local_day(at(before)), day - 1, "{before}");
            assert_eq!(local_day(at(begin)), day, "{begin}");
            assert_eq!(begin_of(day), at(begin), "{begin}");
        }
    }

    #[test]
    fn no_time_is_too_far_away_for_a_day() {
        assert_eq!(local_day(UnixMillis(0)), 0);
        assert_eq!(local_day(UnixMillis(i64::MAX)), i32::MAX);
        assert_eq!(local_day(UnixMillis(i64::MIN)), i32::MIN);
        assert_eq!(begin_of(i32::MAX).0, i64::from(i32::MAX) * DAY_MS);
        assert!(begin_of(i32::MIN).0 < 0);
    }
}
