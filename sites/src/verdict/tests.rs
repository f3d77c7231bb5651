//! Claims about verdicts and snapshots, on the built-in profiles.

mod days;
mod monotonic;

use messnetz_metric::{BitRate, Micros, Ppm, Tester, Value};

use super::*;
use crate::facts::{Fact, Facts};
use crate::judging::Judging;
use crate::period::{Cycle, Recent};
use crate::sample_school::{mbps, rate, school, series, several_a_day, target};
use crate::site::{School, Site};
use crate::target::Target;

fn judged(id: &str, school: &School, series: &Series, port: Option<f64>) -> Judgement {
    let port = Bounds::of_port(port.map(Rate::from_mbps));
    judge(
        target(id),
        school,
        &school.sites[0],
        series,
        port,
        &Judging::default(),
    )
}

const CLASSES: &str = "de-aufgreifschwelle-30/down";

#[test]
fn the_class_rule_gives_the_published_thresholds() {
    for (classes, expected, workings, is_capped) in [
        (12, 390.0, "30 × (12 + 1) = 390", false),
        (28, 870.0, "30 × (28 + 1) = 870", false),
        (30, 930.0, "30 × (30 + 1) = 930", false),
        (32, 990.0, "30 × (32 + 1) = 990", false),
        (33, 1000.0, "30 × (33 + 1) = 1020", true),
        (100, 1000.0, "30 × (100 + 1) = 3030", true),
    ] {
        let facts = Facts {
            classes: Some(classes),
            ..Facts::default()
        };
        let threshold = target(CLASSES).threshold(&facts).unwrap();
        assert_eq!(threshold.strict, rate(expected), "{classes} classes");
        assert_eq!(
            threshold.tolerated,
            rate(expected * 0.9),
            "{classes} classes"
        );
        assert_eq!(threshold.workings, workings);
        assert_eq!(
            threshold.capped_at.is_some(),
            is_capped,
            "{classes} classes"
        );
    }
}

#[test]
fn a_contract_of_400_satisfies_390_and_its_382_of_payload_only_within_the_tolerance() {
    let judgement = judged(
        CLASSES,
        &school(Some(12), Some(400)),
        &mbps([382.0; 20]),
        None,
    );
    assert_eq!(judgement.verdict, Verdict::Met);
    assert_eq!(judgement.strict, VerdictKind::Missed);
    assert_eq!(
        judgement.contract,
        Some(ContractCheck {
            contract: Rate::from_mbps(400.0),
            satisfied: true
        })
    );
    let threshold = judgement.threshold.as_ref().unwrap();
    assert_eq!(
        (threshold.strict, threshold.tolerated),
        (rate(390.0), rate(351.0))
    );
    insta::assert_json_snapshot!(judgement);
}

#[test]
fn a_verdict_needs_the_whole_interval_on_one_side() {
    let half = |below: usize, n: usize| (0..n).map(move |i| if i < below { 340.0 } else { 360.0 });
    // Ranks 6 and 15 bound the median of 20 at 95 %; the tolerated threshold is 351.
    for (below, expected) in [
        (0, VerdictKind::Met),
        (5, VerdictKind::Met),
        (6, VerdictKind::Undecided),
        (14, VerdictKind::Undecided),
        (15, VerdictKind::Missed),
        (20, VerdictKind::Missed),
    ] {
        let judgement = judged(
            CLASSES,
            &school(Some(12), None),
            &mbps(half(below, 20)),
            None,
        );
        assert_eq!(judgement.verdict.kind(), expected, "{below} of 20 below");
    }
}

#[test]
fn an_undecided_verdict_says_what_is_missing() {
    let few = judged(CLASSES, &school(Some(12), None), &mbps([382.0; 19]), None);
    let more = |n| More {
        samples: Some(n),
        days: Some(n),
    };
    let too_few = Undecided::TooFew {
        have: 19,
        need: 20,
        more: more(1),
    };
    assert_eq!(few.verdict, Verdict::Undecided { why: too_few });
    let close = mbps((0..20).map(|i| if i < 6 { 340.0 } else { 360.0 }));
    let close = judged(CLASSES, &school(Some(12), None), &close, None);
    let straddles = Undecided::Straddles { more: more(1) };
    assert_eq!(close.verdict, Verdict::Undecided { why: straddles });
}

#[test]
fn what_was_not_measured_or_cannot_be_computed_has_no_data() {
    let empty = Series::default();
    let failed = Series {
        samples: Vec::new(),
        failures: vec![0, 0, 1],
        rolled_up: BTreeMap::new(),
        window: None,
        peer: None,
    };
    let delays = series([Value::Time(Micros::from_micros(1)); 20]);
    for (classes, series, expected) in [
        (Some(12), &empty, NoData::NoSamples),
        (Some(12), &failed, NoData::OnlyFailures { failures: 3 }),
        (
            None,
            &mbps([382.0; 20]),
            NoData::NotAssessable {
                because: NotAssessable::MissingFact {
                    fact: Fact::Classes,
                },
            },
        ),
        (
            Some(12),
            &delays,
            NoData::WrongUnit {
                expected: Unit::BitPerSecond,
                found: Unit::Microsecond,
            },
        ),
    ] {
        let judgement = judged(CLASSES, &school(classes, Some(400)), series, None);
        assert_eq!(judgement.verdict, Verdict::NoData { why: expected });
        assert_eq!(judgement.strict, VerdictKind::NoData);
    }
}

#[test]
fn a_full_port_that_is_too_small_leaves_the_verdict_open() {
    let grammar = school(Some(12), Some(400));
    for (port, measured, expected) in [
        // 100 Mbit/s carry 94.1 Mbit/s of payload, less than 351.
        (Some(100.0), 94.0, VerdictKind::Undecided),
        (Some(100.0), 85.0, VerdictKind::Undecided),
        // Not full: something else limits.
        (Some(100.0), 80.0, VerdictKind::Missed),
        (Some(1000.0), 94.0, VerdictKind::Missed),
        (None, 94.0, VerdictKind::Missed),
    ] {
        let judgement = judged(CLASSES, &grammar, &mbps([measured; 20]), port);
        assert_eq!(judgement.verdict.kind(), expected, "{port:?} {measured}");
    }
    let judgement = judged(CLASSES, &grammar, &mbps([94.0; 3]), Some(100.0));
    let full = FullPort {
        port: Rate::from_mbps(100.0),
        layer: Layer::TcpPayload,
        ceiling: BitRate::from_bps(94_148_244),
        needed: BitRate::from_mbps(351.0),
    };
    let why = Undecided::PortTooSmall(full);
    assert_eq!(
        judgement.verdict,
        Verdict::Undecided { why },
        "more samples would not help"
    );
}

#[test]
fn a_box_that_gave_all_it_had_leaves_the_verdict_open_and_the_lower_bound_is_the_ceiling() {
    let grammar = school(Some(12), Some(400));
    let judged = |port: f64, ndt7: f64, measured: f64| {
        let bounds = Bounds {
            port: Some(Rate::from_mbps(port)),
            ndt7: Some(BitRate::from_mbps(ndt7)),
            // What is measured with iperf3 is not the line.
            iperf3: Some(BitRate::from_mbps(1.0)),
        };
        let (series, judging) = (mbps([measured; 20]), Judging::default());
        let site = &grammar.sites[0];
        judge(target(CLASSES), &grammar, site, &series, bounds, &judging)
    };
    let slow = judged(1000.0, 200.0, 185.0);
    let why = Undecided::BoxTooSlow(SlowBox {
        tester: Tester::Ndt7,
        ceiling: BitRate::from_mbps(200.0),
        needed: BitRate::from_mbps(351.0),
    });
    assert_eq!(slow.verdict, Verdict::Undecided { why });
    let ceiling = slow.ceiling.unwrap();
    assert_eq!((ceiling.port, ceiling.ceiling.as_mbps()), (None, 200.0));
    // It had more to give: the line is slow.
    let had_more = judged(1000.0, 200.0, 150.0).verdict;
    assert_eq!(had_more, Verdict::Missed);
    // The port bounds before the box does.
    let port = judged(100.0, 200.0, 94.0);
    assert_eq!(port.ceiling.unwrap().port, Some(Rate::from_mbps(100.0)));
    assert!(matches!(
        port.verdict,
        Verdict::Undecided {
            why: Undecided::PortTooSmall(_)
        }
    ));
    // A box that can show the threshold bounds nothing.
    assert_eq!(judged(1000.0, 360.0, 340.0).verdict, Verdict::Missed);
}

#[test]
fn a_gigabit_port_can_tell_a_gigabit_within_the_tolerance_but_not_without() {
    let judgement = judged(
        "de-gigabit/down",
        &school(None, None),
        &mbps([940.0; 20]),
        Some(1000.0),
    );
    assert_eq!(judgement.verdict, Verdict::Met);
    assert_eq!(judgement.strict, VerdictKind::Undecided);
}

#[test]
fn a_delay_is_judged_by_its_upper_end() {
    let delays = |slow: usize, n: usize| {
        series((0..n).map(move |i| {
            let ms = if i < slow { 120 } else { 20 };
            Value::Time(Micros::from_micros(ms * 1000))
        }))
    };
    for (slow, n, expected) in [
        (0, 58, VerdictKind::Undecided),
        (0, 59, VerdictKind::Met),
        (1, 59, VerdictKind::Undecided),
        (6, 59, VerdictKind::Undecided),
        (7, 59, VerdictKind::Missed),
    ] {
        let judgement = judged(
            "voice-video/rtt",
            &school(None, None),
            &delays(slow, n),
            None,
        );
        assert_eq!(judgement.verdict.kind(), expected, "{slow} of {n} slow");
    }
    // Exactly at the threshold is not below it.
    let at = series([Value::Share(Ppm::from_ppm(10_000)); 59]);
    let judgement = judged("voice-video/loss", &school(None, None), &at, None);
    assert_eq!(judgement.verdict, Verdict::Missed);
}

#[test]
fn a_judgement_of_all_hours_is_marked_where_the_target_is_about_some() {
    let school = school(Some(12), Some(400));
    let all_hours = Judging {
        all_hours: true,
        ..Judging::default()
    };
    let marked = |target: &Target| {
        let (site, series) = (&school.sites[0], mbps([382.0; 20]));
        judge(
            target,
            &school,
            site,
            &series,
            Bounds::default(),
            &all_hours,
        )
        .shortened
    };
    let mut target = target(CLASSES).clone();
    assert!(target.window.is_some() && marked(&target));
    target.window = None;
    assert!(!marked(&target));
}

#[test]
fn a_judgement_on_less_evidence_than_the_target_asks_for_is_marked() {
    let school = school(Some(12), None);
    for (confidence, min_samples, expected) in [
        (None, None, false),
        (None, Some(8), true),
        (Some(0.8), None, true),
        (Some(0.99), Some(40), false),
    ] {
        let judging = Judging {
            confidence,
            min_samples,
            shortened: Some("test".to_owned()),
            ..Judging::default()
        };
        let series = mbps([382.0; 8]);
        let judgement = judge(
            target(CLASSES),
            &school,
            &school.sites[0],
            &series,
            Bounds::default(),
            &judging,
        );
        assert_eq!(judgement.shortened, expected, "{judging:?}");
        let kind = judgement.verdict.kind();
        assert_eq!(
            kind == VerdictKind::Met,
            min_samples == Some(8),
            "{judging:?}"
        );
    }
}

#[test]
fn a_site_among_several_is_not_judged_by_the_classes_of_the_whole_school() {
    let mut school = school(Some(36), None);
    let mut annex = school.sites[0].clone();
    annex.id = SiteId::new(&school.id, "annex").unwrap();
    annex.facts = Some(Facts {
        classes: Some(8),
        ..Facts::default()
    });
    school.sites.push(annex);
    let judged = |site: &Site| {
        let series = mbps([382.0; 20]);
        judge(
            target(CLASSES),
            &school,
            site,
            &series,
            Bounds::default(),
            &Judging::default(),
        )
    };
    assert_eq!(judged(&school.sites[0]).verdict.kind(), VerdictKind::NoData);
    let threshold = judged(&school.sites[1]).threshold.unwrap();
    assert_eq!(threshold.strict, rate(270.0));
}

#[test]
fn a_snapshot_says_above_or_below_today_and_nothing_more() {
    let grammar = school(Some(12), Some(400));
    let at = |id, series: &Series, port| {
        let port = Bounds::of_port(Option::map(port, Rate::from_mbps));
        let snapshot = snapshot(target(id), &grammar, &grammar.sites[0], series, port);
        (snapshot.standing, snapshot.favourable)
    };
    let ms = |ms: u64| series([Value::Time(Micros::from_micros(ms * 1000)); 3]);
    assert_eq!(
        at(CLASSES, &mbps([351.0]), None),
        (Standing::Above, Some(true))
    );
    assert_eq!(
        at(CLASSES, &mbps([350.9]), None),
        (Standing::Below, Some(false))
    );
    assert_eq!(
        at("voice-video/rtt", &ms(99), None),
        (Standing::Below, Some(true))
    );
    assert_eq!(
        at("voice-video/rtt", &ms(100), None),
        (Standing::Above, Some(false))
    );
    let (standing, favourable) = at(CLASSES, &mbps([94.0]), Some(100.0));
    assert!(matches!(
        standing,
        Standing::NotMeasured {
            why: NotMeasured::PortTooSmall(_)
        }
    ));
    assert_eq!(favourable, None);
    let (standing, _) = at(CLASSES, &Series::default(), None);
    let why = NotMeasured::NoData {
        why: NoData::NoSamples,
    };
    assert_eq!(standing, Standing::NotMeasured { why });
}

#[test]
fn the_written_forms_of_open_results_are_stable() {
    let school = school(Some(12), Some(400));
    let none = judged(CLASSES, &self::school(None, None), &Series::default(), None);
    let port = judged(CLASSES, &school, &mbps([94.0; 3]), Some(100.0));
    let visit = snapshot(
        target(CLASSES),
        &school,
        &school.sites[0],
        &mbps([382.0; 3]),
        Bounds::default(),
    );
    insta::assert_json_snapshot!((none.verdict, port.verdict, visit));
}

#[test]
fn a_month_that_is_over_is_closed_and_the_running_one_provisional() {
    let school = school(Some(12), None);
    let judgements = judge_periods(
        &mut Judge::default(),
        target(CLASSES),
        &school,
        &school.sites[0],
        &mbps([382.0; 45]),
        |_| Bounds::default(),
        &Judging::default(),
        Recent {
            cycle: Cycle::Month,
            today: 44,
            count: 2,
        },
    );
    let told: Vec<_> = judgements
        .iter()
        .map(|j| (j.standing.unwrap(), j.verdict.kind()))
        .collect();
    assert_eq!(
        told,
        [
            (PeriodStanding::Closed, VerdictKind::Met),
            (PeriodStanding::Provisional, VerdictKind::Undecided)
        ]
    );
}

#[test]
fn a_judgement_says_what_finds_its_samples_and_what_the_agent_could_see() {
    let school = school(Some(12), None);
    let mut series = mbps([382.0; 20]);
    series.samples.reverse();
    series.window = Some("lesson-hours".to_owned());
    let judgement = judged(CLASSES, &school, &series, Some(1000.0));
    assert_eq!(judgement.window.as_deref(), Some("lesson-hours"));
    let expected = Query {
        site: school.sites[0].id.clone(),
        metric: judgement.metric,
        from: UnixMillis(0),
        to: UnixMillis(19 * 86_400_000),
        window: judgement.window.clone(),
        peer: None,
    };
    assert_eq!(judgement.query, Some(expected));
    let ceiling = Ceiling {
        port: Some(Rate::from_mbps(1000.0)),
        ceiling: BitRate::from_bps(941_482_445),
    };
    assert_eq!(judgement.ceiling, Some(ceiling));
    let without = judged(CLASSES, &school, &Series::default(), None);
    assert_eq!((without.query, without.ceiling), (None, None));
    // A delay has no ceiling.
    let delay = series_of_delays(59);
    let delay = judged("voice-video/rtt", &school, &delay, Some(1000.0));
    assert_eq!(delay.ceiling, None);
}

fn series_of_delays(n: usize) -> Series {
    series(vec![Value::Time(Micros::from_micros(20_000)); n])
}

#[test]
fn tests_that_other_traffic_disturbed_are_counted_beside_the_verdict_and_in_it() {
    let school = school(Some(12), None);
    let mut series = mbps([382.0; 20]);
    let unknown = judged(CLASSES, &school, &series, None);
    assert_eq!(unknown.disturbed, None, "nobody looked");
    for (number, sample) in series.samples.iter_mut().enumerate().skip(4) {
        sample.disturbed = Some(number % 4 == 0);
    }
    let known = judged(CLASSES, &school, &series, None);
    let expected = Disturbed {
        disturbed: 4,
        of: 16,
        share: 0.25,
    };
    assert_eq!(known.disturbed, Some(expected));
    assert_eq!((known.verdict, known.samples), (unknown.verdict, 20));
}

#[test]
fn too_few_samples_that_straddle_need_more_than_the_missing_ones() {
    let school = school(Some(12), None);
    let rates = (0..19).map(|i| if i < 9 { 340.0 } else { 360.0 });
    let judgement = judged(CLASSES, &school, &mbps(rates), None);
    let Verdict::Undecided {
        why: Undecided::TooFew { more, .. },
    } = judgement.verdict
    else {
        panic!("{:?}", judgement.verdict);
    };
    // As many more good ones as let ten bad fall below the lower rank: 9 bad of 27, 0.0261 ≤ 0.05.
    assert!(more.days > Some(1), "{more:?}");
    let enough = (0..19 + more.days.unwrap()).map(|i| if i < 9 { 340.0 } else { 360.0 });
    let decided = judged(CLASSES, &school, &mbps(enough), None);
    assert_eq!(decided.verdict, Verdict::Met);
}

#[test]
fn a_month_in_which_nothing_was_measured_has_its_judgement() {
    let school = school(Some(12), None);
    let mut series = mbps([382.0; 28]);
    series.failures = vec![31, 40];
    let months = judge_periods(
        &mut Judge::default(),
        target(CLASSES),
        &school,
        &school.sites[0],
        &series,
        |_| Bounds::default(),
        &Judging::default(),
        Recent {
            cycle: Cycle::Month,
            today: 70,
            count: 3,
        },
    );
    let words: Vec<_> = months.into_iter().map(|month| month.verdict).collect();
    let no_data = |why| Verdict::NoData { why };
    assert_eq!(
        words,
        [
            Verdict::Met,
            no_data(NoData::OnlyFailures { failures: 2 }),
            no_data(NoData::NoSamples),
        ]
    );
}

#[test]
fn an_exception_stands_beside_a_verdict_and_expires_on_the_day_after_its_last() {
    let mut school = school(Some(12), None);
    let exception = |until: &str| Exception {
        target: CLASSES.parse().unwrap(),
        by: "Schulausschuss".to_owned(),
        reason: "rebuilding".to_owned(),
        until: until.parse().unwrap(),
    };
    school.exceptions = vec![exception("2026-07-31"), exception("2027-07-31")];
    let judgement = judged(CLASSES, &school, &mbps([100.0; 20]), None);
    assert_eq!(judgement.exception, None);
    for (today, expired) in [("2027-07-31", false), ("2027-08-01", true)] {
        let mut excepted = judgement.clone();
        excepted.except(&school, today.parse().unwrap());
        assert_eq!(excepted.verdict, Verdict::Missed);
        let beside = excepted.exception.unwrap();
        assert_eq!(
            (beside.expired, beside.exception.until.to_string().as_str()),
            (expired, "2027-07-31")
        );
    }
    let mut other = judged("de-gigabit/down", &school, &mbps([100.0; 20]), None);
    other.except(&school, "2026-01-01".parse().unwrap());
    assert_eq!(other.exception, None);
}
