//! A test for each row of the decision table.

use messnetz_metric::{Medium, Unit, UnixMillis};

use super::*;
use crate::judging::Judging;
use crate::sample_school::{mbps, rate, school, series, target};
use crate::site::School;
use crate::target::Target;
use crate::verdict::{Bounds, Series, VerdictKind, judge};

const CLASSES: &str = "de-aufgreifschwelle-30/down";

/// A metric, against whom, how long after each sample of the missed one (ms), and its number in bit/s,
/// microseconds, ppm or hundredths of a dB.
#[derive(Clone, Copy)]
struct Other {
    metric: &'static str,
    peer: &'static str,
    after: i64,
    number: i64,
}

/// A number measured together with the missed metric.
const fn other(metric: &'static str, number: i64) -> Other {
    Other {
        metric,
        peer: "gateway",
        after: 15_000,
        number,
    }
}

const CLEAN_LAN: [Other; 2] = [other("lan.loss", 0), other("lan.rtt", 400)];

fn judged(target: &Target, school: &School, series: &Series, port: Option<f64>) -> Judgement {
    let port = Bounds::of_port(port.map(Rate::from_mbps));
    judge(
        target,
        school,
        &school.sites[0],
        series,
        port,
        &Judging::default(),
    )
}

/// The cause of a judgement whose series was measured with these others beside it.
fn explained(
    judgement: &Judgement,
    school: &School,
    series: &Series,
    others: &[Other],
) -> Option<Cause> {
    let own: Vec<(UnixMillis, Value)> = series.samples.iter().map(|s| (s.at, s.value)).collect();
    let recorded: Vec<_> = others
        .iter()
        .map(|other| {
            let metric: Metric = other.metric.parse().unwrap();
            let value = Value::new(metric.quantity.unit(), other.number);
            let at = |(at, _): &(UnixMillis, Value)| (UnixMillis(at.0 + other.after), value);
            (other, metric, own.iter().map(at).collect::<Vec<_>>())
        })
        .collect();
    let mut seen = vec![Seen {
        metric: judgement.metric,
        medium: Medium::Unknown,
        peer: "collector",
        samples: &own,
    }];
    seen.extend(recorded.iter().map(|(other, metric, samples)| Seen {
        metric: *metric,
        medium: Medium::Unknown,
        peer: other.peer,
        samples,
    }));
    let situation = Situation {
        line: school.sites[0].line.as_ref(),
        seen,
    };
    cause(judgement, &series.samples, &situation)
}

/// The cause of 12 classes (threshold 390, tolerated 351) that get `measured`.
fn of_rate(contract: Option<u64>, measured: f64, others: &[Other]) -> Option<Cause> {
    let school = school(Some(12), contract);
    let series = mbps([measured; 20]);
    let judgement = judged(target(CLASSES), &school, &series, None);
    explained(&judgement, &school, &series, others)
}

/// A clean LAN and these as well.
fn clean_lan_and(others: &[Other]) -> Vec<Other> {
    [&CLEAN_LAN, others].concat()
}

/// The cause of a missed target of another metric than the built-in profiles have.
fn of(metric: &str, limit: i64, measured: i64, others: &[Other]) -> Option<Cause> {
    let metric: Metric = metric.parse().unwrap();
    let unit = metric.quantity.unit();
    let base = match unit {
        Unit::BitPerSecond => CLASSES,
        Unit::Microsecond => "voice-video/rtt",
        Unit::PartPerMillion => "voice-video/loss",
        Unit::PerMinute => unreachable!("no cause is tried on a frequency"),
        Unit::MillibelMilliwatt | Unit::Millibel => "wlan-voice-grade/rssi",
    };
    let school = school(Some(12), Some(400));
    let mut target = target(base).clone();
    target.metric = metric;
    target.tolerance = None;
    target.cap = None;
    let per_unit = match unit {
        Unit::BitPerSecond => 1_000_000,
        Unit::Microsecond => 1_000,
        Unit::PartPerMillion => 10_000,
        Unit::MillibelMilliwatt | Unit::Millibel => 100,
        Unit::PerMinute => 1,
    };
    target.formula = (limit / per_unit).to_string().parse().unwrap();
    let series = series([Value::new(unit, measured); 60]);
    let judgement = judged(&target, &school, &series, None);
    assert_eq!(judgement.verdict, Verdict::Missed);
    explained(&judgement, &school, &series, others)
}

fn kind(cause: Option<Cause>) -> CauseKind {
    cause.unwrap().kind()
}

fn next(metrics: &[&str]) -> Cause {
    let unknown = |metric: &&str| Unknown::Metric(metric.parse().unwrap());
    undecidable(metrics.iter().map(unknown).collect::<Vec<_>>())
}

fn lan(metric: &str, measured: i64, limit: i64) -> Cause {
    let metric: Metric = metric.parse().unwrap();
    let value = |number| Value::new(metric.quantity.unit(), number);
    Cause::Lan {
        metric,
        measured: value(measured),
        limit: value(limit),
    }
}

fn through_a_small_port(contract: u64, others: &[Other]) -> Option<Cause> {
    let school = school(Some(12), Some(contract));
    let series = mbps([94.0; 20]);
    let judgement = judged(target(CLASSES), &school, &series, Some(100.0));
    assert_eq!(judgement.verdict.kind(), VerdictKind::Undecided);
    explained(&judgement, &school, &series, others)
}

#[test]
fn row_1_a_contract_below_the_threshold_comes_first_whatever_else_is_wrong() {
    let too_small = Cause::ContractTooSmall {
        contract: Rate::from_mbps(100.0),
        needed: Rate::from_mbps(390.0),
        medium: LineMedium::Fibre,
    };
    for others in [
        &CLEAN_LAN[..],
        &[other("lan.loss", 50_000)],
        &[other("lan.half-duplex", 1_000_000)],
        &[],
    ] {
        assert_eq!(of_rate(Some(100), 94.0, others), Some(too_small.clone()));
    }
    // Through a port of 100 Mbit/s nothing can be told, but the contract already tells.
    assert_eq!(through_a_small_port(100, &CLEAN_LAN), Some(too_small));
}

#[test]
fn row_2_a_port_slower_than_the_box_is_the_switchs_with_what_both_ends_can_do() {
    let speed = Rate::from_mbps;
    let own = other("lan.own-speed", 1_000_000_000);
    let switch = other("lan.peer-speed", 100_000_000);
    for (others, peer) in [(vec![own], None), (vec![own, switch], Some(speed(100.0)))] {
        let slow = PortFault::Slow {
            port: speed(100.0),
            own: speed(1_000.0),
            peer,
        };
        let found = through_a_small_port(400, &others);
        assert_eq!(found, Some(Cause::SwitchPort(slow)));
    }
}

#[test]
fn row_3_a_box_that_can_do_no_more_than_its_port_is_named_itself() {
    let own = other("lan.own-speed", 100_000_000);
    for others in [&CLEAN_LAN[..], &[own]] {
        assert_eq!(
            kind(through_a_small_port(400, others)),
            CauseKind::AgentPort
        );
    }
}

#[test]
fn row_4_a_port_at_half_duplex_or_with_broken_frames_is_to_blame_before_all_behind_it() {
    let losing = other("lan.loss", 50_000);
    let half = [other("lan.half-duplex", 1_000_000), losing];
    assert_eq!(
        of_rate(Some(400), 200.0, &half),
        Some(Cause::SwitchPort(PortFault::HalfDuplex))
    );
    let broken = [other("lan.frame-errors", 1_000), losing];
    let share = Value::Share(Ppm::from_ppm(1_000));
    assert_eq!(
        of_rate(Some(400), 200.0, &broken),
        Some(Cause::SwitchPort(PortFault::BrokenFrames { share }))
    );
    let whole = [
        other("lan.half-duplex", 0),
        other("lan.frame-errors", 999),
        losing,
    ];
    assert_eq!(kind(of_rate(Some(400), 200.0, &whole)), CauseKind::Lan);
}

#[test]
fn row_5_a_lan_that_loses_or_delays_is_to_blame_before_the_line() {
    let losing = [other("lan.loss", 1_000), other("lan.rtt", 400)];
    assert_eq!(
        of_rate(Some(400), 200.0, &losing),
        Some(lan("lan.loss", 1_000, 1_000))
    );
    let slow = [other("lan.loss", 999), other("lan.rtt", 10_000)];
    assert_eq!(
        of_rate(Some(400), 200.0, &slow),
        Some(lan("lan.rtt", 10_000, 10_000))
    );
    assert_eq!(
        of_rate(None, 200.0, &losing),
        Some(lan("lan.loss", 1_000, 1_000))
    );
}

#[test]
fn row_6_a_program_that_had_no_more_processor_is_to_blame_itself() {
    let busy = clean_lan_and(&[other("agent.cpu", 900_000)]);
    assert_eq!(kind(of_rate(Some(400), 200.0, &busy)), CauseKind::Agent);
    let idle = clean_lan_and(&[other("agent.cpu", 899_999)]);
    assert_ne!(kind(of_rate(Some(400), 200.0, &idle)), CauseKind::Agent);
}

#[test]
fn row_7_a_test_that_shared_its_port_tells_nothing_of_the_line() {
    let shared = clean_lan_and(&[other("lan.other-traffic", 100_000)]);
    let down = "line.down".parse().unwrap();
    assert_eq!(
        of_rate(Some(400), 200.0, &shared),
        Some(undecidable([Unknown::QuietPort(down)]))
    );
}

#[test]
fn row_8_without_a_contract_there_is_nothing_to_hold_the_line_against() {
    let found = of_rate(None, 200.0, &CLEAN_LAN);
    assert_eq!(found, Some(undecidable([Unknown::Contract])));
}

#[test]
fn row_9_a_line_that_delivers_its_contract_needs_a_larger_one() {
    // Without tolerance: 940 of a contract of 1000 are all that it can give.
    let school = school(None, Some(1000));
    let mut target = target("de-gigabit/down").clone();
    target.tolerance = None;
    let series = mbps([940.0; 20]);
    let judgement = judged(&target, &school, &series, None);
    let found = explained(&judgement, &school, &series, &CLEAN_LAN);
    assert!(matches!(found, Some(Cause::ContractExhausted { .. })));
    assert_eq!(kind(found), CauseKind::ContractTooSmall);
}

#[test]
fn row_10_a_lan_that_nobody_measured_at_the_same_time_is_not_cleared() {
    assert_eq!(
        of_rate(Some(400), 200.0, &[]),
        Some(next(&["lan.loss", "lan.rtt"]))
    );
    assert_eq!(
        of_rate(Some(400), 200.0, &CLEAN_LAN[..1]),
        Some(next(&["lan.rtt"]))
    );
    let later = CLEAN_LAN.map(|other| Other {
        after: 60_001,
        ..other
    });
    // The samples lie a minute or a day apart; after the last one, a minute is too late.
    let after_the_last = |other: Other| {
        let school = school(Some(12), Some(400));
        let series = mbps([200.0]);
        let mut judgement = judged(target(CLASSES), &school, &series, None);
        judgement.verdict = Verdict::Missed;
        explained(&judgement, &school, &series, &[other, CLEAN_LAN[1]])
    };
    assert_eq!(after_the_last(later[0]), Some(next(&["lan.loss"])));
    assert_ne!(after_the_last(CLEAN_LAN[0]), Some(next(&["lan.loss"])));
}

#[test]
fn row_11_a_far_end_is_to_blame_where_another_is_reached_at_full_rate() {
    let elsewhere = |number| Other {
        peer: "test.example",
        ..other("line.down", number)
    };
    let found = of_rate(Some(400), 200.0, &clean_lan_and(&[elsewhere(380_000_000)]));
    assert_eq!(
        found,
        Some(Cause::FarEnd {
            metric: "line.down".parse().unwrap(),
            measured: rate(200.0),
            other: "test.example".to_owned(),
            against_other: rate(380.0),
        })
    );
    let both_low = clean_lan_and(&[elsewhere(210_000_000), other("line.loss", 0)]);
    assert_eq!(
        kind(of_rate(Some(400), 200.0, &both_low)),
        CauseKind::ProviderUnderDelivers
    );
}

#[test]
fn row_12_a_line_whose_loss_nobody_measured_is_neither_cleared_nor_accused() {
    assert_eq!(
        of_rate(Some(400), 200.0, &CLEAN_LAN),
        Some(next(&["line.loss"]))
    );
}

#[test]
fn rows_13_and_14_what_is_not_delivered_is_the_lines_fault_where_it_loses_and_else_the_providers() {
    let loss = |ppm| Value::Share(Ppm::from_ppm(ppm));
    let under = |loss| UnderDelivered {
        contract: Rate::from_mbps(400.0),
        measured: rate(200.0),
        medium: LineMedium::Fibre,
        loss,
    };
    let losing = clean_lan_and(&[other("line.loss", 1_000)]);
    let found = of_rate(Some(400), 200.0, &losing);
    assert_eq!(found, Some(Cause::LineUnderDelivers(under(loss(1_000)))));
    insta::assert_json_snapshot!(found);
    let clean = clean_lan_and(&[other("line.loss", 999)]);
    assert_eq!(
        of_rate(Some(400), 200.0, &clean),
        Some(Cause::ProviderUnderDelivers(under(loss(999))))
    );
    // One burst in two loses 0.3 %: the median would be nothing.
    let half = clean_lan_and(&[other("line.loss", 3_000), other("line.loss", 0)]);
    assert_eq!(
        of_rate(Some(400), 200.0, &half),
        Some(Cause::LineUnderDelivers(under(loss(1_500))))
    );
}

#[test]
fn rows_15_to_18_a_delay_belongs_to_the_lan_where_the_rest_would_hold() {
    let of_rtt = |others: &[Other]| of("line.rtt", 100_000, 120_000, others);
    assert_eq!(
        of_rtt(&[other("lan.rtt", 30_000)]),
        Some(lan("lan.rtt", 30_000, 100_000))
    );
    assert_eq!(of_rtt(&[]), Some(next(&["lan.rtt"])));
    let elsewhere = |number| Other {
        peer: "test.example",
        ..other("line.rtt", number)
    };
    let far = of_rtt(&[other("lan.rtt", 400), elsewhere(9_000)]);
    assert_eq!(kind(far), CauseKind::FarEnd);
    assert_eq!(
        kind(of_rtt(&[other("lan.rtt", 20_000), elsewhere(130_000)])),
        CauseKind::LineQuality,
        "100 ms are not below 100 ms"
    );
    let found = of("line.loss", 10_000, 12_000, &[other("lan.loss", 0)]);
    assert_eq!(kind(found), CauseKind::LineQuality);
}

#[test]
fn row_19_a_weak_signal_is_the_access_points_and_says_what_else_the_radio_showed() {
    let busy = other("wlan.utilisation", 800_000);
    assert_eq!(
        of("wlan.rssi", -6_500, -7_200, &[busy]),
        Some(Cause::AccessPoint {
            metric: "wlan.rssi".parse().unwrap(),
            measured: Value::new(Unit::MillibelMilliwatt, -7_200),
            lan: None,
            radio: vec![(
                "wlan.utilisation".parse().unwrap(),
                Value::Share(Ppm::from_ppm(800_000))
            )],
        })
    );
}

#[test]
fn rows_20_to_22_an_access_point_is_to_blame_only_where_the_cable_holds_at_the_same_time() {
    let of_rtt = |others: &[Other]| of("wlan.rtt", 20_000, 50_000, others);
    assert_eq!(
        of_rtt(&[other("lan.rtt", 25_000)]),
        Some(lan("lan.rtt", 25_000, 20_000))
    );
    assert_eq!(of_rtt(&[]), Some(next(&["lan.rtt"])));
    let Some(Cause::AccessPoint { lan, .. }) = of_rtt(&[other("lan.rtt", 400)]) else {
        panic!("the cable holds");
    };
    assert_eq!(lan, Some(Value::Time(Micros::from_micros(400))));
    let of_down = |number| {
        let cable = other("lan.down", number);
        kind(of("wlan.down", 50_000_000, 10_000_000, &[cable]))
    };
    assert_eq!(of_down(900_000_000), CauseKind::AccessPoint);
    assert_eq!(of_down(9_000_000), CauseKind::Lan);
}

#[test]
fn rows_23_to_26_a_service_is_to_blame_only_where_lan_and_line_are_clean() {
    let of_dns = |others: &[Other]| of("service.dns", 50_000, 90_000, others);
    let losing = [other("line.loss", 10_000), other("line.rtt", 4_000)];
    assert_eq!(of_dns(&losing), Some(next(&["lan.loss", "lan.rtt"])));
    let behind_a_clean_lan = clean_lan_and(&losing);
    assert_eq!(kind(of_dns(&behind_a_clean_lan)), CauseKind::LineQuality);
    let lan_loses = [&losing[..], &[other("lan.loss", 50_000)]].concat();
    assert_eq!(of_dns(&lan_loses), Some(lan("lan.loss", 50_000, 1_000)));
    assert_eq!(of_dns(&[other("line.loss", 0)]), Some(next(&["line.rtt"])));
    let clean = [other("line.loss", 0), other("line.rtt", 4_000)];
    assert_eq!(kind(of_dns(&clean)), CauseKind::Service);
}

#[test]
fn rows_27_and_28_what_is_missed_in_the_lan_is_the_port_or_the_lan() {
    let of_rtt = |others: &[Other]| of("lan.rtt", 10_000, 12_000, others);
    assert_eq!(of_rtt(&[]), Some(lan("lan.rtt", 12_000, 10_000)));
    assert_eq!(
        of_rtt(&[other("lan.half-duplex", 1_000_000)]),
        Some(Cause::SwitchPort(PortFault::HalfDuplex))
    );
}

#[test]
fn row_29_what_the_box_misses_is_the_box() {
    assert_eq!(
        kind(of("agent.cpu", 500_000, 600_000, &[])),
        CauseKind::Agent
    );
}

#[test]
fn what_a_radio_saw_of_cable_and_line_neither_clears_nor_accuses_them() {
    let school = school(Some(12), Some(400));
    let series = mbps([200.0; 20]);
    let judgement = judged(target(CLASSES), &school, &series, None);
    let own: Vec<(UnixMillis, Value)> = series.samples.iter().map(|s| (s.at, s.value)).collect();
    let losing: Vec<(UnixMillis, Value)> = own
        .iter()
        .map(|(at, _)| (*at, Value::Share(Ppm::from_ppm(500_000))))
        .collect();
    let seen = |metric: &str, medium, samples| Seen {
        metric: metric.parse().unwrap(),
        medium,
        peer: "gateway",
        samples,
    };
    let situation = Situation {
        line: school.sites[0].line.as_ref(),
        seen: vec![
            seen("line.down", Medium::Wired, &own),
            seen("lan.loss", Medium::Wlan, &losing),
        ],
    };
    assert_eq!(
        cause(&judgement, &series.samples, &situation),
        Some(next(&["lan.loss", "lan.rtt"]))
    );
}

#[test]
fn what_is_met_or_open_has_no_cause() {
    assert_eq!(of_rate(Some(400), 382.0, &CLEAN_LAN), None);
    let school = school(Some(12), Some(400));
    for series in [Series::default(), mbps([100.0; 3])] {
        let judgement = judged(target(CLASSES), &school, &series, None);
        assert_eq!(explained(&judgement, &school, &series, &CLEAN_LAN), None);
    }
}
