//! Samples of one day are no days, and where days count they are what is counted.

use super::*;

/// Twelve tests a day, all of one day alike.
fn daily(rates: &[f64]) -> Series {
    let values = rates.iter().flat_map(|mbps| [rate(*mbps); 12]);
    several_a_day(12, values)
}

#[test]
fn twelve_tests_of_one_day_are_not_twelve_days() {
    let school = school(Some(12), None);
    let one_day = judged(
        CLASSES,
        &school,
        &several_a_day(60, [rate(382.0); 60]),
        None,
    );
    let why = Undecided::TooFewDays {
        have: 1,
        need: 5,
        more: More {
            samples: Some(4 * 60),
            days: Some(4),
        },
    };
    assert_eq!(one_day.verdict, Verdict::Undecided { why });
    assert_eq!(
        (one_day.samples, one_day.days, one_day.effective),
        (60, 1, 1)
    );
    // Two bad days of nine: as many as nine samples would tell, and not 108.
    let mut rates = [360.0; 9];
    rates[2] = 340.0;
    rates[5] = 340.0;
    let nine = judged(CLASSES, &school, &daily(&rates), None);
    assert_eq!(nine.verdict.kind(), VerdictKind::Undecided);
    assert_eq!((nine.samples, nine.days), (108, 9));
    let Verdict::Undecided {
        why: Undecided::Straddles {
            more: More { samples, days },
        },
    } = nine.verdict
    else {
        panic!("{:?}", nine.verdict);
    };
    assert_eq!(samples, days.map(|days| days * 12));
    // What is said to decide does.
    let mut more = rates.to_vec();
    more.extend(vec![360.0; days.unwrap()]);
    let met = judged(CLASSES, &school, &daily(&more), None);
    assert_eq!(met.verdict, Verdict::Met);
    more.pop();
    let not_yet = judged(CLASSES, &school, &daily(&more), None);
    assert_eq!(not_yet.verdict.kind(), VerdictKind::Undecided);
}

#[test]
fn days_in_any_order_give_the_same_judgement() {
    let school = school(Some(12), None);
    let rates = [
        360.0, 340.0, 362.0, 351.0, 370.0, 366.0, 349.0, 371.0, 380.0,
    ];
    let mut series = daily(&rates);
    let ordered = judged(CLASSES, &school, &series, None);
    series.samples.reverse();
    series.samples.swap(3, 77);
    assert_eq!(judged(CLASSES, &school, &series, None), ordered);
}

#[test]
fn a_demonstration_may_take_one_days_samples_as_independent_and_says_so() {
    let school = school(Some(12), None);
    let judging = Judging {
        independent: true,
        ..Judging::default()
    };
    let series = several_a_day(20, [rate(382.0); 20]);
    let site = &school.sites[0];
    let judgement = judge(
        target(CLASSES),
        &school,
        site,
        &series,
        Bounds::default(),
        &judging,
    );
    assert_eq!(judgement.verdict, Verdict::Met);
    assert!(judgement.shortened);
    assert_eq!((judgement.days, judgement.effective), (1, 20));
}

/// The target of the classes, asking for a share of days.
fn of_days() -> Target {
    let mut target = target(CLASSES).clone();
    target.statistic = Statistic::share_of_days(90).unwrap();
    target.min_days = 29;
    target
}

#[test]
fn a_share_of_days_counts_the_best_test_of_each_day() {
    let school = school(Some(12), None);
    // Of three tests a day one reaches 351, on all but `bad` days.
    let series = |days: usize, bad: usize| {
        let day = |day| {
            [
                rate(100.0),
                rate(if day < bad { 350.0 } else { 351.0 }),
                rate(90.0),
            ]
        };
        several_a_day(3, (0..days).flat_map(day))
    };
    let judged = |days, bad| {
        let site = &school.sites[0];
        let judging = Judging::default();
        judge(
            &of_days(),
            &school,
            site,
            &series(days, bad),
            Bounds::default(),
            &judging,
        )
    };
    for (days, bad, expected) in [
        // 0.9^28 = 0.052, 0.9^29 = 0.047.
        (28, 0, VerdictKind::Undecided),
        (29, 0, VerdictKind::Met),
        (29, 1, VerdictKind::Undecided),
        (46, 1, VerdictKind::Met),
        // P(B ≥ 6) of binomial(29, 0.1) = 0.064, P(B ≥ 7) = 0.022.
        (29, 6, VerdictKind::Undecided),
        (29, 7, VerdictKind::Missed),
    ] {
        assert_eq!(
            judged(days, bad).verdict.kind(),
            expected,
            "{bad} of {days}"
        );
    }
    let judgement = judged(29, 1);
    assert_eq!(
        (judgement.samples, judgement.days, judgement.effective),
        (87, 29, 29)
    );
    let reached = judgement.days_reached.unwrap();
    assert_eq!((reached.reached, reached.of), (28, 29));
    // Both are the binomial's: the exact interval of the share decides as the ranks do.
    assert!(reached.share.lower < 0.9 && judged(29, 0).days_reached.unwrap().share.lower > 0.9);
    assert!(judged(29, 7).days_reached.unwrap().share.upper < 0.9);
    let Verdict::Undecided {
        why: Undecided::Straddles { more },
    } = judgement.verdict
    else {
        panic!("{:?}", judgement.verdict);
    };
    // By seven more bad days: P(B ≥ 8) of binomial(36, 0.1) = 0.024, but P(B ≥ 7) of 35 is 0.054.
    assert_eq!(more.days, Some(7));
}
