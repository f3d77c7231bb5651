//! Stretches of a day on the clock on the wall, and the hours of a school made of them.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// From one time of day (included) to another (excluded): `07:45-13:15`. A day ends at `24:00`; what
/// goes on after midnight is two stretches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Stretch {
    /// Minutes since midnight.
    from: u16,
    /// Minutes since midnight, above `from`.
    to: u16,
}

impl Stretch {
    /// The whole day.
    pub const WHOLE_DAY: Self = Self { from: 0, to: DAY };

    /// Whether the clock shows a time within it.
    #[must_use]
    pub fn contains(self, time: Time) -> bool {
        let minute = time.hour() as u16 * 60 + time.minute() as u16;
        self.from <= minute && minute < self.to
    }

    /// What the clock shows at its begin on `date`.
    #[must_use]
    pub fn begin_on(self, date: Date) -> DateTime {
        at(date, self.from)
    }

    /// What the clock shows at its end on `date`.
    #[must_use]
    pub fn end_on(self, date: Date) -> DateTime {
        at(date, self.to)
    }

    fn holds(self, other: Self) -> bool {
        self.from <= other.from && other.to <= self.to
    }
}

/// The clock so many minutes after midnight; a day of the largest year has no day after it.
fn at(date: Date, minutes: u16) -> DateTime {
    if minutes == DAY {
        let next = date.tomorrow();
        return next.map_or_else(
            |_| date.at(23, 59, 59, 999_999_999),
            |next| next.at(0, 0, 0, 0),
        );
    }
    date.at((minutes / 60) as i8, (minutes % 60) as i8, 0, 0)
}

/// All of a day that is in none of `taken`, which are in order and do not overlap.
pub(super) fn rest_of_day(taken: &[Stretch]) -> Vec<Stretch> {
    without(Stretch::WHOLE_DAY, taken)
}

/// `whole` less `taken`, which are in order and do not overlap.
fn without(whole: Stretch, taken: &[Stretch]) -> Vec<Stretch> {
    let mut left = Vec::new();
    let mut from = whole.from;
    for hole in taken.iter().filter(|hole| whole.holds(**hole)) {
        if from < hole.from {
            left.push(Stretch {
                from,
                to: hole.from,
            });
        }
        from = hole.to;
    }
    if from < whole.to {
        left.push(Stretch { from, to: whole.to });
    }
    left
}

impl FromStr for Stretch {
    type Err = NotAStretch;

    fn from_str(text: &str) -> Result<Self, NotAStretch> {
        let read = || {
            let (from, to) = text.split_once('-')?;
            let (from, to) = (minutes(from)?, minutes(to)?);
            (from < to).then_some(Self { from, to })
        };
        read().ok_or_else(|| NotAStretch(text.chars().take(20).collect()))
    }
}

/// `07:45` as minutes.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY).then_some(minutes)
}

impl TryFrom<String> for Stretch {
    type Error = NotAStretch;

    fn try_from(text: String) -> Result<Self, NotAStretch> {
        text.parse()
    }
}

impl From<Stretch> for String {
    fn from(stretch: Stretch) -> Self {
        stretch.to_string()
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        let (from_h, from_m, to_h, to_m) = (from / 60, from % 60, to / 60, to % 60);
        write!(f, "{from_h:02}:{from_m:02}-{to_h:02}:{to_m:02}")
    }
}

/// A text that is no stretch of a day.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "'{0}' is no stretch of a day (write \"07:45-13:15\"; a day ends at 24:00, and what goes on after midnight is two stretches)"
)]
pub struct NotAStretch(pub String);

/// The hours of a school day: when school is held, and its breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hours {
    school: Vec<Stretch>,
    breaks: Vec<Stretch>,
    #[serde(skip)]
    lessons: Vec<Stretch>,
}

impl Hours {
    /// School in these stretches, with these breaks.
    ///
    /// # Errors
    /// [`UnsoundHours`] where stretches overlap, or a break lies outside of school.
    pub fn new(mut school: Vec<Stretch>, mut breaks: Vec<Stretch>) -> Result<Self, UnsoundHours> {
        if school.is_empty() {
            return Err(UnsoundHours::None);
        }
        for stretches in [&mut school, &mut breaks] {
            stretches.sort_unstable();
            if let Some(pair) = stretches.windows(2).find(|pair| pair[1].from < pair[0].to) {
                return Err(UnsoundHours::Overlap(pair[0], pair[1]));
            }
        }
        let outside = |pause: &Stretch| !school.iter().any(|hours| hours.holds(*pause));
        if let Some(pause) = breaks.iter().copied().find(outside) {
            return Err(UnsoundHours::BreakOutside(pause));
        }
        let lessons = school
            .iter()
            .flat_map(|hours| without(*hours, &breaks))
            .collect();
        Ok(Self {
            school,
            breaks,
            lessons,
        })
    }

    /// When school is held, breaks included.
    #[must_use]
    pub fn school(&self) -> &[Stretch] {
        &self.school
    }

    /// The breaks.
    #[must_use]
    pub fn breaks(&self) -> &[Stretch] {
        &self.breaks
    }

    /// When lessons are held.
    #[must_use]
    pub fn lessons(&self) -> &[Stretch] {
        &self.lessons
    }
}

/// Why stretches are no school hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UnsoundHours {
    /// Nothing.
    #[error("school hours need at least one stretch: hours = [\"07:45-13:15\"]")]
    None,
    /// Two at once.
    #[error("{0} and {1} overlap")]
    Overlap(Stretch, Stretch),
    /// A break when there is no school.
    #[error("the break {0} does not lie within the hours")]
    BreakOutside(Stretch),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stretches(texts: &[&str]) -> Vec<Stretch> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_stretch_lies_within_one_day() {
        for text in ["07:45-13:15", "00:00-24:00", "23:59-24:00"] {
            assert_eq!(text.parse::<Stretch>().unwrap().to_string(), text);
        }
        for text in [
            "7:45-13:15",
            "13:15-07:45",
            "10:00-10:00",
            "23:00-24:01",
            "10:60-11:00",
            "10:00",
            "+1:00-02:00",
            "",
        ] {
            assert!(text.parse::<Stretch>().is_err(), "{text}");
        }
    }

    #[test]
    fn lessons_are_the_hours_less_the_breaks() {
        let hours = Hours::new(
            stretches(&["13:30-15:00", "08:00-12:00"]),
            stretches(&["09:30-09:50", "11:45-12:00"]),
        )
        .unwrap();
        assert_eq!(
            hours.lessons(),
            stretches(&["08:00-09:30", "09:50-11:45", "13:30-15:00"])
        );
        assert_eq!(
            rest_of_day(hours.school()),
            stretches(&["00:00-08:00", "12:00-13:30", "15:00-24:00"])
        );
    }

    #[test]
    fn hours_that_contradict_themselves_are_refused() {
        let refused = |hours: &[&str], breaks: &[&str]| {
            Hours::new(stretches(hours), stretches(breaks)).unwrap_err()
        };
        assert_eq!(refused(&[], &[]), UnsoundHours::None);
        assert!(matches!(
            refused(&["08:00-12:00", "11:00-13:00"], &[]),
            UnsoundHours::Overlap(..)
        ));
        assert!(matches!(
            refused(&["08:00-12:00"], &["11:50-12:10"]),
            UnsoundHours::BreakOutside(_)
        ));
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "[0-9:ä+ -]{0,14}") {
            let _ = text.parse::<Stretch>();
        }
    }
}
