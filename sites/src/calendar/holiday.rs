//! School holidays as periods of whole days.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use serde::Serialize;

use super::land::Land;

/// Longer than any school holidays: a longer period is a mistake.
pub const LONGEST_DAYS: i32 = 100;

/// Days without lessons, from the first to the last one, both included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Holiday {
    /// The first day off.
    #[serde(rename = "from")]
    pub first: Date,
    /// The last day off.
    #[serde(rename = "to")]
    pub last: Date,
    /// What people call it.
    pub name: String,
    /// The Land whose schools it is for; none for all schools of the authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub land: Option<Land>,
}

impl Holiday {
    /// Whether a day belongs to it.
    #[must_use]
    pub fn holds(&self, date: Date) -> bool {
        self.first <= date && date <= self.last
    }

    /// Whether it is for the schools of a Land.
    #[must_use]
    pub fn is_for(&self, land: Option<Land>) -> bool {
        self.land.is_none() || self.land == land
    }

    /// How many days it has.
    #[must_use]
    pub fn days(&self) -> i32 {
        days_until(self.first, self.last).saturating_add(1)
    }

    /// What keeps this from being a holiday.
    pub(super) fn flaw(&self) -> Option<String> {
        let Self {
            first, last, name, ..
        } = self;
        if name.trim().is_empty() {
            return Some("a holiday needs a name".to_owned());
        }
        if name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Some("a holiday's name has at most 100 printable characters".to_owned());
        }
        if last < first {
            return Some(format!(
                "the holiday ends ({last}) before it begins ({first})"
            ));
        }
        let days = self.days();
        (days > LONGEST_DAYS).then(|| {
            format!("{days} days from {first} to {last} are more than any school holidays ({LONGEST_DAYS})")
        })
    }
}

/// Days from one date to another; negative where that lies before it.
pub(super) fn days_until(from: Date, to: Date) -> i32 {
    from.until(to).map_or(i32::MAX, |span| span.get_days())
}

/// A date as `2026-10-17`, or as Germans write it, `17.10.2026`.
pub(crate) fn date(text: &str) -> Option<Date> {
    let text = text.trim();
    // A file that is cut off must not turn the 17th into the 1st: what comes last has all its digits.
    let (year, month, day, digits) = if let [day, month, year] = parts(text, '.')[..] {
        (year, month, day, 1..=2)
    } else if let [year, month, day] = parts(text, '-')[..] {
        (year, month, day, 2..=2)
    } else {
        return None;
    };
    let number = |text: &str, digits: RangeInclusive<usize>| {
        let sound = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        sound.then(|| text.parse::<i16>().ok()).flatten()
    };
    let (month, day) = (
        number(month, digits.clone())? as i8,
        number(day, digits)? as i8,
    );
    Date::new(number(year, 4..=4)?, month, day).ok()
}

/// Cut at `at`; never more than four parts, so that a long text costs nothing.
fn parts(text: &str, at: char) -> Vec<&str> {
    text.splitn(4, at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_in_both_spellings() {
        let expected = jiff::civil::date(2026, 10, 7);
        for text in ["2026-10-07", "07.10.2026", "7.10.2026", " 2026-10-07 "] {
            assert_eq!(date(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "07.10.26",
            "2026-13-01",
            "2026-10-1",
            "2026-02-29",
            "10/07/2026",
            "-2026-10-07",
            "1.2.3.4",
            "ä",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn a_holiday_that_cannot_be_is_refused() {
        let holiday = |first: &str, last: &str, name: &str| Holiday {
            first: date(first).unwrap(),
            last: date(last).unwrap(),
            name: name.to_owned(),
            land: None,
        };
        assert_eq!(
            holiday("2026-07-20", "2026-09-01", "Sommerferien").flaw(),
            None
        );
        assert_eq!(holiday("2026-07-20", "2026-07-20", "x").flaw(), None);
        for (first, last, name, part) in [
            ("2026-07-20", "2026-07-19", "x", "before it begins"),
            ("2026-07-20", "2027-07-20", "x", "more than any"),
            ("2026-07-20", "2026-07-20", " ", "needs a name"),
        ] {
            let flaw = holiday(first, last, name).flaw().unwrap();
            assert!(flaw.contains(part), "{flaw}");
        }
    }
}
