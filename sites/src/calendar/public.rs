//! Public holidays of the Länder, computed from rules: fixed days, days counted from Easter, and the
//! Wednesday of Buß- und Bettag.

use std::sync::LazyLock;

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use serde::Deserialize;

use super::land::Land;
use crate::source::Source;

/// The rules.
const BUILT_IN: &str = include_str!("../../calendar/public-holidays.toml");

/// The public holiday on `date` in `land`; without a Land, those of the whole of Germany.
pub(super) fn public_holiday(date: Date, land: Option<Land>) -> Option<&'static str> {
    let easter = easter(date.year())?;
    rules()
        .holiday
        .iter()
        .find(|rule| rule.falls_on(date, easter, land))
        .map(|rule| rule.name.as_str())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the file must name it; no output shows it yet")
    )]
    source: Option<Source>,
    holiday: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    on: Option<MonthDay>,
    after_easter: Option<i32>,
    wednesday_before: Option<MonthDay>,
    #[serde(default)]
    laender: Vec<Land>,
    since: Option<i16>,
    until: Option<i16>,
}

/// A day of every year: `05-01`.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct MonthDay(i8, i8);

impl TryFrom<String> for MonthDay {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (month, day) = text.split_once('-').ok_or("write a day as 05-01")?;
        match (month.parse(), day.parse()) {
            (Ok(month), Ok(day)) if Date::new(2024, month, day).is_ok() => Ok(Self(month, day)),
            _ => Err("no day of the year"),
        }
    }
}

impl MonthDay {
    fn of(self, year: i16) -> Option<Date> {
        Date::new(year, self.0, self.1).ok()
    }
}

impl Rule {
    fn falls_on(&self, date: Date, easter: Date, land: Option<Land>) -> bool {
        let here = self.laender.is_empty() || land.is_some_and(|land| self.laender.contains(&land));
        let now = self.since.is_none_or(|since| since <= date.year())
            && self.until.is_none_or(|until| date.year() <= until);
        here && now && self.day(date.year(), easter) == Some(date)
    }

    fn day(&self, year: i16, easter: Date) -> Option<Date> {
        if let Some(day) = self.on {
            day.of(year)
        } else if let Some(days) = self.after_easter {
            easter.checked_add(days.days()).ok()
        } else {
            let before = self.wednesday_before?.of(year)?;
            before.nth_weekday(-1, Weekday::Wednesday).ok()
        }
    }
}

fn rules() -> &'static Rules {
    static RULES: LazyLock<Rules> = LazyLock::new(|| {
        // The file is part of the program; a test reads it.
        toml::from_str(BUILT_IN).unwrap_or(Rules {
            source: None,
            holiday: Vec::new(),
        })
    });
    &RULES
}

/// Easter Sunday of a Gregorian year, after Meeus, Astronomical Algorithms, chapter 8 (the "anonymous
/// Gregorian" computus of 1876).
fn easter(year: i16) -> Option<Date> {
    let year = i32::from(year);
    let (century, of_century) = (year.div_euclid(100), year.rem_euclid(100));
    let golden = year.rem_euclid(19);
    let correction =
        (century - century / 4 - (century - (century + 8) / 25 + 1) / 3 + 19 * golden + 15)
            .rem_euclid(30);
    let weekday =
        (32 + 2 * (century % 4) + 2 * (of_century / 4) - correction - of_century % 4).rem_euclid(7);
    let late = (golden + 11 * correction + 22 * weekday) / 451;
    let count = correction + weekday - 7 * late + 114;
    Date::new(year as i16, (count / 31) as i8, (count % 31 + 1) as i8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_rules_name_their_source_and_each_has_one_day() {
        let rules: Rules = toml::from_str(BUILT_IN).unwrap();
        assert!(rules.source.unwrap().flaw().is_none());
        for rule in rules.holiday {
            let ways = [
                rule.on.is_some(),
                rule.after_easter.is_some(),
                rule.wednesday_before.is_some(),
            ];
            assert_eq!(
                ways.into_iter().filter(|way| *way).count(),
                1,
                "{}",
                rule.name
            );
        }
    }

    #[test]
    fn easter_falls_where_the_church_says() {
        for expected in [
            date(2000, 4, 23),
            date(2024, 3, 31),
            date(2025, 4, 20),
            date(2026, 4, 5),
            date(2027, 3, 28),
            date(2028, 4, 16),
            // The earliest and the latest of the years near us.
            date(2008, 3, 23),
            date(2038, 4, 25),
        ] {
            assert_eq!(easter(expected.year()), Some(expected));
        }
    }

    #[test]
    fn a_public_holiday_holds_in_its_laender() {
        for (day, land, expected) in [
            (date(2026, 1, 1), "NW", Some("Neujahr")),
            (date(2026, 1, 6), "NW", None),
            (date(2026, 1, 6), "BY", Some("Heilige Drei Könige")),
            (date(2026, 4, 3), "HH", Some("Karfreitag")),
            (date(2026, 4, 6), "HH", Some("Ostermontag")),
            (date(2026, 5, 14), "SN", Some("Christi Himmelfahrt")),
            (date(2026, 5, 25), "SN", Some("Pfingstmontag")),
            (date(2026, 6, 4), "NW", Some("Fronleichnam")),
            (date(2026, 6, 4), "NI", None),
            (date(2022, 3, 8), "MV", None),
            (date(2023, 3, 8), "MV", Some("Frauentag")),
            (date(2025, 5, 8), "BE", Some("80. Jahrestag der Befreiung")),
            (date(2026, 5, 8), "BE", None),
            (date(2026, 11, 18), "SN", Some("Buß- und Bettag")),
            (date(2022, 11, 16), "SN", Some("Buß- und Bettag")),
            (date(2023, 11, 22), "SN", Some("Buß- und Bettag")),
            (date(2026, 11, 18), "NW", None),
        ] {
            let land = Some(land.parse().unwrap());
            assert_eq!(public_holiday(day, land), expected, "{day} {land:?}");
        }
        assert_eq!(public_holiday(date(2026, 11, 1), None), None);
        assert_eq!(
            public_holiday(date(2026, 10, 3), None),
            Some("Tag der Deutschen Einheit")
        );
    }
}
