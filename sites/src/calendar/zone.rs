//! Time zones by name, from the zone data that is part of the program: the machine's own may be missing
//! or old, and reading it would be I/O.

use std::fmt;
use std::sync::LazyLock;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};
use messnetz_metric::UnixMillis;
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::Interval;
use super::hours::Stretch;

/// The zone of all sixteen Länder.
pub const GERMANY: &str = "Europe/Berlin";

/// A time zone of the IANA data base.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of this name.
    ///
    /// # Errors
    /// [`UnknownZone`] where the data base has none.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
        let found = DATABASE.get(name).map(Self);
        found.map_err(|_| UnknownZone(name.chars().take(60).collect()))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What the clock on the wall shows at an instant; `None` outside of the years that have one.
    #[must_use]
    pub fn clock(&self, at: UnixMillis) -> Option<DateTime> {
        let at = Timestamp::from_millisecond(at.0).ok()?;
        Some(self.0.to_datetime(at))
    }

    /// How far the clock is ahead of UTC at an instant, in seconds.
    #[must_use]
    pub fn offset_seconds(&self, at: UnixMillis) -> i32 {
        let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
        self.0.to_offset(at).seconds()
    }

    /// An instant as RFC 3339 writes it, with the offset of the clock: `2026-11-23T07:45:00+01:00`.
    #[must_use]
    pub fn rfc3339(&self, at: UnixMillis) -> String {
        let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
        at.display_with_offset(self.0.to_offset(at)).to_string()
    }

    /// The instant at which the clock shows `clock`.
    #[must_use]
    pub fn instant(&self, clock: DateTime) -> Instant {
        let Ok(at) = self.0.to_timestamp(clock).map(millis) else {
            return Instant::Never;
        };
        match self.0.to_ambiguous_timestamp(clock).offset() {
            AmbiguousOffset::Unambiguous { .. } => Instant::Once(at),
            AmbiguousOffset::Gap { .. } => Instant::Never,
            AmbiguousOffset::Fold { .. } => Instant::Twice { first: at },
        }
    }

    /// When a day begins: its midnight, or the first instant after it where the clock skips midnight.
    #[must_use]
    pub fn day_begins(&self, date: Date) -> Option<UnixMillis> {
        self.0.to_timestamp(date.at(0, 0, 0, 0)).ok().map(millis)
    }

    /// The number of the day that the clock shows at an instant, counted from 1970-01-01. Outside of the
    /// years that have a clock it is the day in UTC.
    #[must_use]
    pub fn day_number(&self, at: UnixMillis) -> i32 {
        let day = match self.clock(at) {
            Some(clock) => return number_of(clock.date()),
            None => at.0.div_euclid(DAY_MS),
        };
        i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
    }

    /// When the day of a number begins.
    #[must_use]
    pub fn numbered_day_begins(&self, day: i32) -> UnixMillis {
        let begins = date_of(day).and_then(|date| self.day_begins(date));
        begins.unwrap_or(UnixMillis(i64::from(day) * DAY_MS))
    }

    /// The instants of `date` at which the clock shows a time within `stretches`.
    ///
    /// Exact on the days on which the clock changes: a stretch that the clock skips is not there, and
    /// one that it shows twice is there twice.
    pub(super) fn intervals(&self, date: Date, stretches: &[Stretch]) -> Vec<Interval> {
        let midnight = |date: Date| self.0.to_timestamp(date.at(0, 0, 0, 0)).ok();
        let day = midnight(date).zip(date.tomorrow().ok().and_then(midnight));
        let Some((begin, end)) = day else {
            return Vec::new();
        };
        let changes = self.0.following(begin).map(|change| change.timestamp());
        let mut cuts = vec![begin];
        cuts.extend(changes.take_while(|change| *change < end));
        cuts.push(end);
        let mut found: Vec<Interval> = Vec::new();
        for piece in cuts.windows(2) {
            let offset = self.0.to_offset(piece[0]);
            for stretch in stretches {
                let at = |clock: DateTime| utc(offset, clock).clamp(piece[0], piece[1]);
                let (from, to) = (at(stretch.begin_on(date)), at(stretch.end_on(date)));
                if from < to {
                    let next = Interval {
                        from: millis(from),
                        to: millis(to),
                    };
                    match found.last_mut() {
                        Some(last) if last.to == next.from => last.to = next.to,
                        _ => found.push(next),
                    }
                }
            }
        }
        found
    }
}

impl Default for Zone {
    fn default() -> Self {
        // The data base is part of the program; a test holds that it knows this zone.
        Self::named(GERMANY).unwrap_or(Self(TimeZone::UTC))
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const FIRST_DAY: Date = Date::constant(1970, 1, 1);

const DAY_MS: i64 = 24 * 3_600_000;

/// The number of a day, counted from 1970-01-01.
#[must_use]
pub fn number_of(date: Date) -> i32 {
    // Dates reach from -9999 to 9999, which are under eight million days.
    (date.duration_since(FIRST_DAY).as_hours() / 24) as i32
}

/// The date of a day's number; `None` beyond the years that have dates.
#[must_use]
pub fn date_of(day: i32) -> Option<Date> {
    let days = Span::new().try_days(day).ok()?;
    FIRST_DAY.checked_add(days).ok()
}

/// When a clock shows a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    /// At this instant.
    Once(UnixMillis),
    /// In the hour that autumn repeats: first at this instant, and again later.
    Twice {
        /// The first one.
        first: UnixMillis,
    },
    /// In the hour that spring skips.
    Never,
}

fn utc(offset: Offset, clock: DateTime) -> Timestamp {
    offset.to_timestamp(clock).unwrap_or(Timestamp::MAX)
}

fn millis(at: Timestamp) -> UnixMillis {
    UnixMillis(at.as_millisecond())
}

/// The data base has no such zone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no time zone '{0}' (that of Germany is {GERMANY})")]
pub struct UnknownZone(pub String);

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_zone_of_germany_is_known_without_the_machines_help() {
        assert_eq!(Zone::named(GERMANY).unwrap(), Zone::default());
        assert_eq!(Zone::default().name(), GERMANY);
        assert!(Zone::named("Europe/Musterstadt").is_err());
    }

    #[test]
    fn a_day_begins_at_local_midnight_in_winter_and_in_summer() {
        let zone = Zone::default();
        let at = |text: &str| UnixMillis(text.parse::<Timestamp>().unwrap().as_millisecond());
        for (before, begin, day) in [
            ("2026-01-14T22:59:59Z", "2026-01-14T23:00:00Z", 20_468),
            ("2026-07-14T21:59:59Z", "2026-07-14T22:00:00Z", 20_649),
            // The days on which the clock changes have 23 and 25 hours.
            ("2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", 20_541),
            ("2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z", 20_542),
            ("2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", 20_751),
            ("2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z", 20_752),
        ] {
            assert_eq!(zone.day_number(at(before)), day - 1, "{before}");
            assert_eq!(zone.day_number(at(begin)), day, "{begin}");
            assert_eq!(zone.numbered_day_begins(day), at(begin), "{begin}");
            assert_eq!(number_of(date_of(day).unwrap()), day);
        }
    }

    #[test]
    fn no_time_is_too_far_away_for_a_day() {
        let zone = Zone::default();
        assert_eq!(zone.day_number(UnixMillis(0)), 0);
        assert_eq!(zone.day_number(UnixMillis(i64::MAX)), i32::MAX);
        assert_eq!(zone.day_number(UnixMillis(i64::MIN)), i32::MIN);
        assert_eq!(
            zone.numbered_day_begins(i32::MAX).0,
            i64::from(i32::MAX) * DAY_MS
        );
        assert!(zone.numbered_day_begins(i32::MIN).0 < 0);
    }

    #[test]
    fn a_time_of_day_may_be_there_once_twice_or_never() {
        let zone = Zone::default();
        let at = |text: &str| UnixMillis(text.parse::<Timestamp>().unwrap().as_millisecond());
        for (clock, expected) in [
            (
                date(2026, 3, 29).at(1, 59, 59, 0),
                Instant::Once(at("2026-03-29T00:59:59Z")),
            ),
            (date(2026, 3, 29).at(2, 0, 0, 0), Instant::Never),
            (date(2026, 3, 29).at(2, 59, 59, 0), Instant::Never),
            (
                date(2026, 3, 29).at(3, 0, 0, 0),
                Instant::Once(at("2026-03-29T01:00:00Z")),
            ),
            (
                date(2026, 10, 25).at(1, 59, 59, 0),
                Instant::Once(at("2026-10-24T23:59:59Z")),
            ),
            (
                date(2026, 10, 25).at(2, 0, 0, 0),
                Instant::Twice {
                    first: at("2026-10-25T00:00:00Z"),
                },
            ),
            (
                date(2026, 10, 25).at(3, 0, 0, 0),
                Instant::Once(at("2026-10-25T02:00:00Z")),
            ),
        ] {
            assert_eq!(zone.instant(clock), expected, "{clock}");
        }
        let shown = ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"];
        for shown in shown {
            assert_eq!(zone.rfc3339(at(shown)), shown);
        }
    }
}
