//! Campaigns at the edge of every rule, and plans that keep them.

use super::*;
use crate::calendar::{Calendar, Holiday, Interval, Window};
use crate::sample_school::school;
use crate::site::SchoolForm;
use jiff::ToSpan as _;
use jiff::civil::date;
use messnetz_metric::{BitRate, Direction, Rate, UnixMillis};
use proptest::prelude::*;

const CONTRACT: Contract = Contract {
    down: Rate::new(BitRate::from_bps(100_000_000)),
    up: Rate::new(BitRate::from_bps(40_000_000)),
    down_normal: Some(Rate::new(BitRate::from_bps(80_000_000))),
    up_normal: None,
    down_minimum: Some(Rate::new(BitRate::from_bps(50_000_000))),
    up_minimum: None,
};

fn one(at: DateTime, down: f64) -> Measurement {
    Measurement {
        at,
        down: Rate::new(BitRate::from_mbps(down)),
        up: Rate::new(BitRate::from_mbps(38.0)),
        test: None,
        file: "m.csv".to_owned(),
        line: 0,
    }
}

/// Ten measurements from 14:00 on, with the shortest pauses allowed, all of this rate.
fn measuring_day(day: Date, down: f64) -> Vec<Measurement> {
    let minutes = [0, 5, 10, 15, 20, 200, 205, 210, 215, 220];
    minutes
        .map(|minutes: i64| one(day.at(14, 0, 0, 0) + minutes.minutes(), down))
        .to_vec()
}

/// A campaign on these days of November 2026, every measurement of this rate.
fn campaign(days: [i8; 3], down: f64) -> Vec<Measurement> {
    days.iter()
        .flat_map(|day| measuring_day(date(2026, 11, *day), down))
        .collect()
}

fn checked(measurements: &[Measurement]) -> Check {
    check(&CONTRACT, measurements, &Zone::default())
}

#[test]
fn three_days_with_a_day_between_and_the_shortest_pauses_are_valid() {
    for days in [[2, 4, 6], [2, 4, 15], [2, 9, 15]] {
        let check = checked(&campaign(days, 95.0));
        assert!(check.is_valid(), "{days:?}: {:?}", check.broken);
        assert_eq!(check.days.len(), 3);
    }
}

#[test]
fn days_without_a_calendar_day_between_are_named() {
    assert_eq!(
        checked(&campaign([2, 3, 5], 95.0)).broken,
        [BrokenRule::NoDayBetween {
            first: date(2026, 11, 2),
            second: date(2026, 11, 3)
        }]
    );
}

#[test]
fn fourteen_calendar_days_count_with_both_ends() {
    let check = checked(&campaign([2, 4, 16], 95.0));
    assert_eq!(
        check.broken,
        [BrokenRule::TooLong {
            first: date(2026, 11, 2),
            last: date(2026, 11, 16),
            days: 15
        }]
    );
    assert_eq!(check.readings, [Reading::FourteenDaysWithBothEnds]);
    assert_eq!(check.findings, None);
    let check = checked(&campaign([2, 4, 17], 95.0));
    assert!(!check.is_valid() && check.readings.is_empty());
}

#[test]
fn a_day_needs_ten_and_a_campaign_three_days() {
    let mut measurements = campaign([2, 4, 6], 95.0);
    let eleventh = one(date(2026, 11, 6).at(19, 0, 0, 0), 95.0);
    measurements.push(eleventh);
    let check = checked(&measurements);
    let day = date(2026, 11, 6);
    assert_eq!(check.broken, [BrokenRule::PerDay { day, have: 11 }]);
    assert_eq!(check.readings, [Reading::NoChoiceAmongSurplus]);
    measurements.truncate(29);
    assert_eq!(
        checked(&measurements).broken,
        [BrokenRule::PerDay { day, have: 9 }]
    );
    measurements.truncate(20);
    assert_eq!(
        checked(&measurements).broken,
        [BrokenRule::Days { have: 2 }]
    );
    assert_eq!(checked(&[]).broken, [BrokenRule::Days { have: 0 }]);
    let fourth = measuring_day(date(2026, 11, 8), 95.0);
    let four = [campaign([2, 4, 6], 95.0), fourth].concat();
    assert_eq!(checked(&four).broken, [BrokenRule::Days { have: 4 }]);
}

#[test]
fn a_surplus_day_is_an_open_boundary_too() {
    let surplus = [Reading::NoChoiceAmongSurplus];
    for stray in [1, 3, 8, 30] {
        let stray = one(date(2026, 11, stray).at(9, 0, 0, 0), 95.0);
        let check = checked(&[campaign([2, 4, 6], 95.0), vec![stray]].concat());
        assert!(check.broken.contains(&BrokenRule::Days { have: 4 }));
        assert_eq!(check.readings, surplus, "{:?}", check.broken);
    }
    let fourth = measuring_day(date(2026, 11, 8), 95.0);
    let four = [campaign([2, 4, 6], 95.0), fourth].concat();
    assert_eq!(checked(&four).readings, surplus);
    // Without three full days none of the readings helps.
    let stray = one(date(2026, 11, 8).at(9, 0, 0, 0), 95.0);
    let mut short = [campaign([2, 4, 6], 95.0), vec![stray]].concat();
    short.remove(0);
    assert_eq!(checked(&short).readings, []);
}

#[test]
fn readings_that_decide_only_together_are_all_named() {
    let stray = one(date(2026, 11, 8).at(9, 0, 0, 0), 95.0);
    let check = checked(&[campaign([2, 4, 16], 95.0), vec![stray]].concat());
    assert_eq!(
        check.readings,
        [
            Reading::FourteenDaysWithBothEnds,
            Reading::NoChoiceAmongSurplus
        ]
    );
}

#[test]
fn a_pause_a_second_too_short_is_named_with_its_place() {
    let mut measurements = campaign([2, 4, 6], 95.0);
    let (first, second) = (measurements[0].at, measurements[1].at - 1.second());
    measurements[1].at = second;
    assert_eq!(
        checked(&measurements).broken,
        [BrokenRule::TooSoon {
            first,
            second,
            seconds: 299
        }]
    );
    let mut measurements = campaign([2, 4, 6], 95.0);
    let (fifth, sixth) = (measurements[14].at, measurements[15].at - 1.second());
    measurements[15].at = sixth;
    assert_eq!(
        checked(&measurements).broken,
        [BrokenRule::NoLongBreak {
            fifth,
            sixth,
            seconds: 10_799
        }]
    );
}

#[test]
fn pauses_that_hold_only_between_time_stamps_are_said_to_decide() {
    let tight = checked(&campaign([2, 4, 6], 95.0));
    assert_eq!(tight.readings, [Reading::PausesBetweenTimeStamps]);
    let loose: Vec<Measurement> = [2, 4, 6]
        .into_iter()
        .flat_map(|day| {
            let minutes = [0, 6, 12, 18, 24, 210, 216, 222, 228, 234];
            let begin = date(2026, 11, day).at(14, 0, 0, 0);
            minutes.map(move |minutes: i64| one(begin + minutes.minutes(), 95.0))
        })
        .collect();
    assert_eq!(checked(&loose).readings, []);
}

#[test]
fn pauses_are_those_of_time_and_not_of_the_clock() {
    // 25 October 2026: the clock goes from 3:00 back to 2:00. From 1:50 to 3:55 it shows two hours and
    // five minutes, and three hours and five minutes pass.
    let day = date(2026, 10, 25);
    let early = [(1, 30), (1, 35), (1, 40), (1, 45), (1, 50)];
    let late = [(3, 55), (4, 0), (4, 5), (4, 10), (4, 15)];
    let mut measurements: Vec<Measurement> = early
        .into_iter()
        .chain(late)
        .map(|(hour, minute)| one(day.at(hour, minute, 0, 0), 95.0))
        .collect();
    for day in [date(2026, 10, 27), date(2026, 10, 29)] {
        measurements.extend(measuring_day(day, 95.0));
    }
    assert!(checked(&measurements).is_valid());
    // And what the clock never showed, nobody measured.
    let at = date(2026, 3, 29).at(2, 30, 0, 0);
    let check = checked(&[one(at, 95.0)]);
    assert!(check.broken.contains(&BrokenRule::NoSuchTime { at }));
}

#[test]
fn order_files_and_repeated_exports_do_not_matter() {
    let mut measurements = campaign([2, 4, 6], 95.0);
    let expected = checked(&measurements);
    measurements.reverse();
    measurements.extend(campaign([2, 4, 6], 95.0).into_iter().take(7));
    let check = checked(&measurements);
    assert_eq!(check.repeated, 7);
    assert_eq!(
        (check.broken, check.findings),
        (expected.broken, expected.findings)
    );
}

/// The findings for download, where the measurements of the three days have these rates.
fn down(of_day: impl Fn(usize, usize) -> f64) -> Findings {
    let mut measurements = campaign([2, 4, 6], 95.0);
    for (index, one) in measurements.iter_mut().enumerate() {
        one.down = Rate::new(BitRate::from_mbps(of_day(index / 10, index % 10)));
    }
    let check = checked(&measurements);
    check.findings.expect("a valid campaign")[0]
}

fn counted(finding: Finding) -> (usize, bool) {
    match finding {
        Finding::Assessed {
            count, deviates, ..
        } => (count, deviates),
        Finding::NotAssessable => panic!("not assessable"),
    }
}

#[test]
fn the_maximum_deviates_where_nine_tenths_are_reached_on_fewer_than_two_days() {
    let best = |days: usize, rate: f64| {
        down(move |day, nth| if nth == 0 && day < days { rate } else { 85.0 }).maximum
    };
    assert_eq!(counted(best(3, 90.0)), (3, false));
    assert_eq!(counted(best(2, 90.0)), (2, false));
    assert_eq!(counted(best(1, 90.0)), (1, true));
    assert_eq!(counted(best(3, 89.999_999)), (0, true));
}

#[test]
fn the_normal_rate_deviates_below_twenty_seven_of_thirty() {
    let slow = |count: usize, rate: f64| {
        down(move |day, nth| if day * 10 + nth < count { rate } else { 80.0 }).normal
    };
    assert_eq!(counted(slow(0, 80.0)), (30, false));
    assert_eq!(counted(slow(3, 79.999_999)), (27, false));
    assert_eq!(counted(slow(4, 79.999_999)), (26, true));
}

#[test]
fn the_minimum_deviates_where_it_is_undercut_on_two_days() {
    let slow = |days: usize, rate: f64| {
        down(move |day, nth| if nth == 0 && day < days { rate } else { 95.0 }).minimum
    };
    assert_eq!(counted(slow(3, 50.0)), (0, false));
    assert_eq!(counted(slow(1, 49.999_999)), (1, false));
    assert_eq!(counted(slow(2, 49.999_999)), (2, true));
    let all_of_one_day = down(|day, _| if day == 0 { 10.0 } else { 95.0 });
    assert_eq!(counted(all_of_one_day.minimum), (1, false));
}

#[test]
fn directions_are_judged_apart_and_what_is_not_stated_is_not_assessable() {
    let mut measurements = campaign([2, 4, 6], 95.0);
    for one in &mut measurements {
        one.up = Rate::new(BitRate::from_mbps(10.0));
    }
    let check = checked(&measurements);
    let [down, up] = check.findings.unwrap();
    assert_eq!(
        (down.direction, up.direction),
        (Direction::Down, Direction::Up)
    );
    assert!(!down.deviates() && up.deviates());
    assert!(down.is_whole() && !up.is_whole());
    assert_eq!(
        (up.normal, up.minimum),
        (Finding::NotAssessable, Finding::NotAssessable)
    );
    assert!(check.deviates());
}

fn calendar() -> Calendar {
    let holiday = |name: &str, first, last| Holiday {
        first,
        last,
        name: name.to_owned(),
        land: None,
    };
    Calendar {
        holidays: vec![
            holiday("Herbstferien", date(2026, 10, 17), date(2026, 10, 31)),
            holiday("Weihnachtsferien", date(2026, 12, 23), date(2027, 1, 6)),
        ],
        ..Calendar::default()
    }
}

/// The plan as the official program would save it.
fn as_measured(plan: &Plan, calendar: &Calendar) -> Vec<Measurement> {
    let times = plan.days.iter().flat_map(|day| &day.times);
    times
        .map(|at| one(calendar.zone.clock(*at).unwrap(), 95.0))
        .collect()
}

#[test]
fn a_plan_begins_after_the_last_lesson_and_before_the_evening() {
    let plan = plan(&calendar(), &school(None, None), date(2026, 11, 13)).unwrap();
    let dates: Vec<Date> = plan.days.iter().map(|day| day.day).collect();
    assert_eq!(
        dates,
        [date(2026, 11, 13), date(2026, 11, 16), date(2026, 11, 18)]
    );
    let clock = |at: UnixMillis| calendar().zone.clock(at).unwrap().time().to_string();
    let first: Vec<String> = plan.days[0].times.iter().map(|at| clock(*at)).collect();
    assert_eq!(
        first,
        [
            "13:20:00", "13:26:00", "13:32:00", "13:38:00", "13:44:00", "16:50:00", "16:56:00",
            "17:02:00", "17:08:00", "17:14:00"
        ]
    );
    assert!(plan.holidays_known);
}

#[test]
fn a_school_that_leaves_no_time_gets_no_plan() {
    let mut busy = school(None, None);
    let day = vec!["06:00-22:00".parse().unwrap()];
    busy.calendar.hours = Some(crate::calendar::Hours::new(day, Vec::new()).unwrap());
    assert!(plan(&Calendar::default(), &busy, date(2026, 11, 13)).is_err());
    // In the holidays it has.
    let plan = plan(&calendar(), &busy, date(2026, 10, 1)).unwrap();
    assert_eq!(plan.days[0].day, date(2026, 10, 19));
}

proptest! {
    /// Whatever the day, the school and its hours: a plan keeps every rule under every reading and
    /// touches no minute of school.
    #[test]
    fn every_plan_is_valid_and_disturbs_no_lesson(after in 0i32..800, all_day: bool, evening: bool) {
        let mut school = school(None, None);
        school.calendar.all_day = all_day;
        if evening {
            school.form = SchoolForm::AdultEducation;
        }
        let from = date(2026, 1, 1) + after.days();
        if let Ok(plan) = plan(&calendar(), &school, from) {
            let check = checked(&as_measured(&plan, &calendar()));
            prop_assert!(check.is_valid() && check.readings.is_empty(), "{check:?}");
            for at in plan.days.iter().flat_map(|day| &day.times) {
                let minute = Interval { from: *at, to: UnixMillis(at.0 + 60_000) };
                let free = calendar().intervals(&Window::OffLesson, minute, &school);
                prop_assert_eq!(free, vec![minute]);
            }
        } else {
            prop_assert!(evening, "only an evening school may find no three days");
        }
    }

    #[test]
    fn no_campaign_makes_the_check_panic(
        minutes in proptest::collection::vec(0i64..60_000, 0..45),
        rate in 0.0..200.0,
    ) {
        let begin = date(2026, 3, 20).at(0, 0, 0, 0);
        let campaign: Vec<_> = minutes.into_iter().map(|m| one(begin + m.minutes(), rate)).collect();
        let check = checked(&campaign);
        prop_assert_eq!(check.is_valid(), check.findings.is_some());
    }
}
