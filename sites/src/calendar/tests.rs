//! Days, windows and intervals of schools, the days included on which the clock changes.

use super::*;
use crate::sample_school::school;
use crate::site::{Authority, SchoolForm, SchoolId};
use jiff::Timestamp;
use jiff::civil::date;
use proptest::prelude::*;

const SITES: &str = r#"
[authority]
name = "A"
[calendar]
land = "NW"
[[calendar.holiday]]
name = "Herbstferien"
from = "2026-10-17"
to = "2026-10-31"
[[calendar.holiday]]
name = "Brauchtum"
from = "2027-02-08"
[[calendar.window]]
name = "night"
hours = ["02:15-02:45"]
[[calendar.window]]
name = "evening"
days = "school"
weekdays = ["mon", "thu"]
hours = ["17:00-20:00"]
[[calendar.window]]
name = "empty-building"
days = "free"
hours = ["05:00-06:30"]
[[calendar.lessons]]
forms = ["vocational"]
hours = ["07:30-12:45", "13:30-16:30"]
[[school]]
id = "NW-1"
name = "S"
form = "primary"
calendar = { days_off = ["2026-11-20", "16.11.2026"] }
site = [{ id = "main", name = "x" }]
[[school]]
id = "NW-2"
name = "B"
form = "vocational"
site = [{ id = "main", name = "x" }]
[[school]]
id = "NW-3"
name = "own"
form = "vocational"
calendar = { hours = ["08:00-12:00"], breaks = ["10:00-10:20"] }
site = [{ id = "main", name = "x" }]
"#;

fn authority() -> Authority {
    Authority::parse("s.toml", SITES).unwrap()
}

/// An instant written as the clock on the wall of UTC.
fn utc(text: &str) -> UnixMillis {
    UnixMillis(text.parse::<Timestamp>().unwrap().as_millisecond())
}

fn intervals(window: &str, from: &str, to: &str) -> Vec<(String, String)> {
    let authority = authority();
    let window = authority.calendar.window(window).unwrap();
    let period = Interval {
        from: utc(from),
        to: utc(to),
    };
    let shown = |at: UnixMillis| Timestamp::from_millisecond(at.0).unwrap().to_string();
    authority
        .calendar
        .intervals(&window, period, &authority.schools[0])
        .into_iter()
        .map(|interval| (shown(interval.from), shown(interval.to)))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[test]
fn a_day_is_free_for_the_reason_that_most_people_share() {
    let authority = authority();
    for (day, expected) in [
        (date(2026, 11, 17), DayKind::School),
        (date(2026, 11, 16), DayKind::DayOff),
        (date(2026, 11, 20), DayKind::DayOff),
        (date(2026, 11, 21), DayKind::Weekend),
        (date(2026, 10, 16), DayKind::School),
        (date(2026, 10, 17), DayKind::Weekend),
        (
            date(2026, 10, 19),
            DayKind::Holiday("Herbstferien".to_owned()),
        ),
        (
            date(2026, 10, 30),
            DayKind::Holiday("Herbstferien".to_owned()),
        ),
        (date(2026, 11, 2), DayKind::School),
        (date(2027, 2, 8), DayKind::Holiday("Brauchtum".to_owned())),
        (
            date(2027, 5, 6),
            DayKind::PublicHoliday("Christi Himmelfahrt".to_owned()),
        ),
        (
            date(2027, 5, 27),
            DayKind::PublicHoliday("Fronleichnam".to_owned()),
        ),
    ] {
        assert_eq!(
            authority.calendar.day(day, &authority.schools[0]),
            expected,
            "{day}"
        );
    }
}

#[test]
fn german_public_holidays_need_a_land_or_the_german_clock() {
    let unity = date(2025, 10, 3);
    let mut school = school(None, None);
    let kind = |zone: &str, land: Option<&str>, school: &School| {
        let calendar = Calendar {
            zone: Zone::named(zone).unwrap(),
            land: land.map(|land| land.parse().unwrap()),
            ..Calendar::default()
        };
        calendar.day(unity, school)
    };
    let holiday = DayKind::PublicHoliday("Tag der Deutschen Einheit".to_owned());
    assert_eq!(kind("Europe/London", None, &school), holiday, "NW-…");
    school.id = SchoolId::new("GB-100000").unwrap();
    assert_eq!(kind("Europe/London", None, &school), DayKind::School);
    assert_eq!(kind("Europe/London", Some("SN"), &school), holiday);
    assert_eq!(kind("Europe/Berlin", None, &school), holiday);
}

#[test]
fn the_land_is_that_of_the_schools_number() {
    let calendar = Calendar {
        land: "SN".parse().ok(),
        ..Calendar::default()
    };
    let mut school = school(None, None);
    assert_eq!(calendar.land_of(&school).unwrap().code(), "NW");
    school.id = SchoolId::new("GB-1").unwrap();
    assert_eq!(calendar.land_of(&school).unwrap().code(), "SN");
}

#[test]
fn hours_come_from_the_school_then_from_the_authority_then_from_the_defaults() {
    let authority = authority();
    let first = |index: usize| {
        let hours = authority
            .calendar
            .hours_of(&authority.schools[index])
            .unwrap();
        hours.school()[0].to_string()
    };
    assert_eq!(
        (first(0), first(1), first(2)),
        (
            "07:45-13:15".into(),
            "07:30-12:45".into(),
            "08:00-12:00".into()
        )
    );
    let rule = authority
        .calendar
        .lesson_rule(&authority.schools[0])
        .unwrap();
    assert_eq!(rule.source.as_ref().unwrap().mark.letter(), "P");
    let mut evening = school(None, None);
    evening.form = SchoolForm::AdultEducation;
    assert_eq!(
        authority
            .calendar
            .hours_of(&evening)
            .unwrap()
            .school()
            .len(),
        2
    );
}

#[test]
fn an_instant_is_in_the_lesson_in_a_break_or_off_lesson() {
    let authority = authority();
    let calendar = &authority.calendar;
    // 17 November is a Tuesday with lessons, in winter time: the clock is an hour ahead of UTC.
    for (at, lesson, off) in [
        ("2026-11-17T06:44:59.999Z", false, true),
        ("2026-11-17T06:45:00Z", true, false),
        ("2026-11-17T08:19:59.999Z", true, false),
        ("2026-11-17T08:20:00Z", false, false),
        ("2026-11-17T08:40:00Z", true, false),
        ("2026-11-17T12:14:59.999Z", true, false),
        ("2026-11-17T12:15:00Z", false, true),
        // In summer time it is two hours ahead.
        ("2026-10-06T05:45:00Z", true, false),
        ("2026-10-06T05:44:59Z", false, true),
        // Holidays, weekends and movable days have no lessons at any hour.
        ("2026-10-20T08:00:00Z", false, true),
        ("2026-11-21T08:00:00Z", false, true),
        ("2026-11-20T08:00:00Z", false, true),
    ] {
        let school = &authority.schools[0];
        let is_in = |window: &Window| calendar.locate(window, utc(at), school).is_some();
        assert_eq!(
            (is_in(&Window::LessonHours), is_in(&Window::OffLesson)),
            (lesson, off),
            "{at}"
        );
        assert!(is_in(&Window::Any));
    }
}

#[test]
fn a_window_of_the_site_file_is_on_its_days_and_hours() {
    let authority = authority();
    let is_in = |window: &str, at: &str| {
        let window = authority.calendar.window(window).unwrap();
        authority
            .calendar
            .locate(&window, utc(at), &authority.schools[0])
            .is_some()
    };
    assert!(is_in("evening", "2026-11-12T16:00:00Z"), "a Thursday");
    assert!(!is_in("evening", "2026-11-13T16:00:00Z"), "a Friday");
    assert!(
        !is_in("evening", "2026-11-16T16:00:00Z"),
        "a Monday, but a movable day"
    );
    assert!(is_in("empty-building", "2026-11-16T04:30:00Z"));
    assert!(!is_in("empty-building", "2026-11-17T04:30:00Z"));
    let unknown = authority.calendar.window("evning").unwrap_err();
    assert_eq!(unknown.suggestion.as_deref(), Some("evening"));
    assert_eq!(
        unknown.to_string(),
        "there is no window 'evning' (known: lesson-hours, off-lesson, any, night, evening, empty-building)"
    );
}

#[test]
fn the_hour_that_spring_skips_has_no_window() {
    assert_eq!(
        intervals("night", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"),
        []
    );
    // The whole day has 23 hours.
    assert_eq!(
        intervals("any", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        pairs(&[("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")])
    );
}

#[test]
fn the_hour_that_autumn_repeats_has_the_window_twice() {
    assert_eq!(
        intervals("night", "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"),
        pairs(&[
            ("2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z"),
            ("2026-10-25T01:15:00Z", "2026-10-25T01:45:00Z"),
        ])
    );
}

#[test]
fn lessons_stay_at_their_hour_of_the_wall_when_the_clock_changes() {
    // Friday before and Monday after the last Sunday of March 2026.
    assert_eq!(
        intervals(
            "lesson-hours",
            "2026-03-27T00:00:00Z",
            "2026-03-31T00:00:00Z"
        ),
        pairs(&[
            ("2026-03-27T06:45:00Z", "2026-03-27T08:20:00Z"),
            ("2026-03-27T08:40:00Z", "2026-03-27T10:15:00Z"),
            ("2026-03-27T10:35:00Z", "2026-03-27T12:15:00Z"),
            ("2026-03-30T05:45:00Z", "2026-03-30T07:20:00Z"),
            ("2026-03-30T07:40:00Z", "2026-03-30T09:15:00Z"),
            ("2026-03-30T09:35:00Z", "2026-03-30T11:15:00Z"),
        ])
    );
}

#[test]
fn off_lesson_goes_on_through_nights_and_weekends() {
    assert_eq!(
        intervals("off-lesson", "2026-11-13T08:00:00Z", "2026-11-17T08:00:00Z"),
        pairs(&[("2026-11-13T12:15:00Z", "2026-11-17T06:45:00Z")])
    );
}

#[test]
fn school_days_are_counted_without_weekends_holidays_and_days_off() {
    let authority = authority();
    let count = |first, last| {
        authority
            .calendar
            .school_days(first, last, &authority.schools[0])
    };
    // October 2026: 22 weekdays, 10 of them in the holidays. The 3rd is a Saturday.
    assert_eq!(count(date(2026, 10, 1), date(2026, 10, 31)), 12);
    // November: 21 weekdays and two days off. All Saints' is a Sunday.
    assert_eq!(count(date(2026, 11, 1), date(2026, 11, 30)), 19);
    assert_eq!(count(date(2026, 11, 17), date(2026, 11, 17)), 1);
    assert_eq!(count(date(2026, 11, 17), date(2026, 11, 16)), 0);
}

#[test]
fn holidays_are_for_the_schools_of_their_land() {
    let of = |code: &str| Holiday {
        first: date(2026, 10, 19),
        last: date(2026, 10, 19),
        name: code.to_owned(),
        land: code.parse().ok(),
    };
    let calendar = Calendar {
        holidays: vec![of("BY"), of("NW")],
        ..Calendar::default()
    };
    let mut school = school(None, None);
    let day = |school: &School| calendar.day(date(2026, 10, 19), school);
    assert_eq!(day(&school), DayKind::Holiday("NW".to_owned()));
    school.id = SchoolId::new("BY-1").unwrap();
    assert_eq!(day(&school), DayKind::Holiday("BY".to_owned()));
    school.id = SchoolId::new("HH-1").unwrap();
    assert_eq!(day(&school), DayKind::School);
}

/// The holidays of North Rhine-Westphalia from autumn 2025 to summer 2026.
fn school_year() -> Calendar {
    let holiday = |first, last| Holiday {
        first,
        last,
        name: "x".to_owned(),
        land: "NW".parse().ok(),
    };
    Calendar {
        holidays: vec![
            holiday(date(2025, 10, 13), date(2025, 10, 25)),
            holiday(date(2025, 12, 22), date(2026, 1, 6)),
            holiday(date(2026, 3, 30), date(2026, 4, 11)),
            holiday(date(2026, 5, 26), date(2026, 5, 26)),
            holiday(date(2026, 7, 20), date(2026, 9, 1)),
            // A single day of the year after says nothing about its holidays.
            holiday(date(2027, 2, 8), date(2027, 2, 8)),
        ],
        ..Calendar::default()
    }
}

#[test]
fn a_day_without_holidays_before_and_after_it_is_known_as_such() {
    let (calendar, school) = (school_year(), school(None, None));
    for (day, known) in [
        (date(2025, 10, 10), false),
        (date(2025, 10, 13), true),
        (date(2025, 12, 1), true),
        (date(2026, 1, 1), true),
        (date(2026, 2, 16), true),
        (date(2026, 6, 30), true),
        (date(2026, 9, 1), true),
        (date(2026, 9, 2), false),
        (date(2027, 2, 1), false),
    ] {
        assert_eq!(calendar.knows_holidays_around(day, &school), known, "{day}");
    }
    // Without Easter there is a hole that no Land leaves.
    let mut torn = calendar;
    torn.holidays.remove(2);
    assert!(!torn.knows_holidays_around(date(2026, 2, 16), &school));
    let mut elsewhere = school;
    elsewhere.id = SchoolId::new("BY-1").unwrap();
    assert!(!school_year().knows_holidays_around(date(2026, 2, 16), &elsewhere));
}

#[test]
fn what_is_wrong_in_the_calendar_is_reported_with_its_line() {
    let text = r#"
[authority]
name = "A"
[calendar]
zone = "Europe/Musterstadt"
land = "NRW"
[[calendar.holiday]]
name = "x"
from = "2026-02-30"
[[calendar.holiday]]
name = "y"
from = "2026-02-20"
to = "2026-02-10"
[[calendar.window]]
name = "any"
hours = ["10:00-09:00"]
[[calendar.lessons]]
hours = ["08:00-12:00"]
breaks = ["12:00-12:10"]
[[school]]
id = "NW-1"
name = "S"
form = "primary"
calendar = { breaks = ["09:00-09:10"], days_off = ["tomorrow"] }
[[school.site]]
id = "main"
name = "x"
line = { provider = "p", product = "q", medium = "dsl", contract = { down = "100 Mbit/s", up = "40 Mbit/s", down_normal = "200 Mbit/s", up_minimum = "fast" } }
"#;
    let problems = Authority::parse("s.toml", text).unwrap_err();
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_timetable_cuts_samples_into_those_of_each_day() {
    let authority = authority();
    let period = Interval {
        from: utc("2026-11-13T00:00:00Z"),
        to: utc("2026-11-18T00:00:00Z"),
    };
    // Every five minutes.
    let step = 300_000;
    let samples: Vec<i64> = (period.from.0..period.to.0).step_by(step).collect();
    let school = &authority.schools[0];
    let timetable = |window| authority.calendar.timetable(&window, period, school);
    let mut of_day = std::collections::BTreeMap::new();
    let lessons = timetable(Window::LessonHours);
    for (day, of_slot) in lessons.cut(&samples, |at| UnixMillis(*at)) {
        *of_day.entry(day).or_insert(0) += of_slot.len();
    }
    // Friday and Tuesday with 290 minutes of lessons; Monday is a movable day.
    let day = |date, school_day| LocalDay { date, school_day };
    let (friday, tuesday) = (date(2026, 11, 13), date(2026, 11, 17));
    assert_eq!(
        of_day.into_iter().collect::<Vec<_>>(),
        [(day(friday, true), 58), (day(tuesday, true), 58)]
    );
    // Off-lesson goes on through midnight, but every sample keeps its day.
    let off = timetable(Window::OffLesson);
    let saturday = day(date(2026, 11, 14), false);
    assert_eq!(
        off.locate(utc("2026-11-13T22:59:59Z")),
        Some(day(friday, true))
    );
    assert_eq!(off.locate(utc("2026-11-13T23:00:00Z")), Some(saturday));
    assert_eq!(off.locate(utc("2026-11-17T08:00:00Z")), None);
    assert_eq!(
        off.locate(UnixMillis(period.to.0)),
        None,
        "not in the period"
    );
    assert_eq!(lessons.locate(UnixMillis(0)), None);
}

proptest! {
    /// Whatever the instant: the three ways to ask about it tell the same.
    #[test]
    fn one_instant_a_timetable_and_intervals_agree(minutes in 0i64..527_040, index in 0usize..3, which in 0usize..6) {
        let authority = authority();
        let at = UnixMillis(utc("2026-03-01T00:00:00Z").0 + minutes * 60_000);
        let school = &authority.schools[index];
        let name = ["lesson-hours", "off-lesson", "any", "night", "evening", "empty-building"][which];
        let window = authority.calendar.window(name).unwrap();
        let hour = 3_600_000;
        let period = Interval { from: UnixMillis(at.0 - hour), to: UnixMillis(at.0 + hour) };
        let found = authority.calendar.intervals(&window, period, school);
        let by_interval = found.iter().any(|interval| interval.contains(at));
        let day = authority.calendar.locate(&window, at, school);
        prop_assert_eq!(by_interval, day.is_some());
        let timetable = authority.calendar.timetable(&window, period, school);
        prop_assert_eq!(timetable.locate(at), day);
        let cut: Vec<_> = timetable.cut(&[at], |at| *at).map(|(day, _)| day).collect();
        prop_assert_eq!(cut, Vec::from_iter(day));
        prop_assert!(found.windows(2).all(|pair| pair[0].to < pair[1].from));
    }

    #[test]
    fn no_instant_makes_the_calendar_panic(at in any::<i64>(), length in 0i64..1_000_000_000) {
        let authority = authority();
        let school = &authority.schools[0];
        let period = Interval { from: UnixMillis(at), to: UnixMillis(at.saturating_add(length)) };
        let _ = authority.calendar.locate(&Window::LessonHours, UnixMillis(at), school);
        let _ = authority.calendar.intervals(&Window::OffLesson, period, school);
    }
}
