//! One test per row of the decision table.

use messnetz_metric::Unit;

use super::*;
use crate::judging::Judging;
use crate::sample_school::{mbps, rate, school, series, target};
use crate::site::School;
use crate::target::Target;
use crate::verdict::{Series, VerdictKind, judge};

const CLASSES: &str = "de-aufgreifschwelle-30/down";

/// What was measured besides: metric and value in bit/s, microseconds or ppm.
fn situation(school: &School, medians: &[(&str, i64)]) -> Situation {
    let median = |(metric, number): &(&str, i64)| {
        let metric: Metric = metric.parse().unwrap();
        (metric, Value::new(metric.quantity.unit(), *number))
    };
    Situation {
        line: school.sites[0].line.clone(),
        medians: medians.iter().map(median).collect(),
    }
}

fn judged(target: &Target, school: &School, series: &Series, port: Option<f64>) -> Judgement {
    let port = port.map(BitRate::from_mbps);
    judge(
        target,
        school,
        &school.sites[0],
        series,
        port,
        &Judging::default(),
    )
}

/// The cause of 12 classes (threshold 390, tolerated 351) that get `measured`.
fn of_rate(contract: Option<u64>, measured: f64, medians: &[(&str, i64)]) -> Option<Cause> {
    let school = school(Some(12), contract);
    let judgement = judged(target(CLASSES), &school, &mbps([measured; 20]), None);
    cause(&judgement, &situation(&school, medians))
}

/// The cause of a missed target of another metric than the built-in profiles have.
fn of(metric: &str, limit: i64, measured: i64, medians: &[(&str, i64)]) -> Option<Cause> {
    let metric: Metric = metric.parse().unwrap();
    let unit = metric.quantity.unit();
    let base = match unit {
        Unit::BitPerSecond => CLASSES,
        Unit::Microsecond => "voice-video/rtt",
        Unit::PartPerMillion => "voice-video/loss",
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
    };
    target.formula = (limit / per_unit).to_string().parse().unwrap();
    let judgement = judged(
        &target,
        &school,
        &series([Value::new(unit, measured); 60]),
        None,
    );
    assert_eq!(judgement.verdict, Verdict::Missed);
    cause(&judgement, &situation(&school, medians))
}

const CLEAN_LAN: [(&str, i64); 2] = [("lan.loss", 0), ("lan.rtt", 400)];

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

#[test]
fn row_1_a_contract_below_the_threshold_comes_first_whatever_else_is_wrong() {
    let too_small = Cause::ContractTooSmall {
        contract: BitRate::from_mbps(100.0),
        needed: BitRate::from_mbps(390.0),
        medium: LineMedium::Fibre,
    };
    for medians in [&CLEAN_LAN[..], &[("lan.loss", 50_000)], &[]] {
        assert_eq!(of_rate(Some(100), 94.0, medians), Some(too_small.clone()));
    }
    // Through a port of 100 Mbit/s nothing can be told, but the contract already tells.
    assert_eq!(through_a_small_port(100), Some(too_small));
}

#[test]
fn row_2_a_port_that_is_too_small_is_named_where_the_contract_would_do() {
    let found = through_a_small_port(400).unwrap();
    assert_eq!(found.kind(), CauseKind::AgentPort);
}

fn through_a_small_port(contract: u64) -> Option<Cause> {
    let school = school(Some(12), Some(contract));
    let judgement = judged(target(CLASSES), &school, &mbps([94.0; 20]), Some(100.0));
    assert_eq!(judgement.verdict.kind(), VerdictKind::Undecided);
    cause(&judgement, &situation(&school, &CLEAN_LAN))
}

#[test]
fn row_3_a_lan_that_loses_or_delays_is_to_blame_before_the_line() {
    let losing = [("lan.loss", 1_000), ("lan.rtt", 400)];
    assert_eq!(
        of_rate(Some(400), 200.0, &losing),
        Some(lan("lan.loss", 1_000, 1_000))
    );
    let slow = [("lan.loss", 999), ("lan.rtt", 10_000)];
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
fn row_4_without_a_contract_there_is_nothing_to_hold_the_line_against() {
    let found = of_rate(None, 200.0, &CLEAN_LAN);
    assert_eq!(found, Some(undecidable([Unknown::Contract])));
}

#[test]
fn row_5_a_line_that_delivers_its_contract_needs_a_larger_one() {
    // Without tolerance: 940 of a contract of 1000 are all that it can give.
    let school = school(None, Some(1000));
    let mut target = target("de-gigabit/down").clone();
    target.tolerance = None;
    let judgement = judged(&target, &school, &mbps([940.0; 20]), None);
    let found = cause(&judgement, &situation(&school, &CLEAN_LAN)).unwrap();
    assert_eq!(found.kind(), CauseKind::ContractTooSmall);
}

#[test]
fn row_6_a_lan_that_nobody_measured_is_not_cleared() {
    assert_eq!(
        of_rate(Some(400), 200.0, &[]),
        Some(next(&["lan.loss", "lan.rtt"]))
    );
    assert_eq!(
        of_rate(Some(400), 200.0, &[("lan.loss", 0)]),
        Some(next(&["lan.rtt"]))
    );
}

#[test]
fn row_7_a_sufficient_contract_behind_a_clean_lan_is_not_delivered() {
    let mut medians = CLEAN_LAN.to_vec();
    medians.push(("line.loss", 10_000));
    let found = of_rate(Some(400), 200.0, &medians);
    assert_eq!(
        found,
        Some(Cause::LineUnderDelivers {
            contract: BitRate::from_mbps(400.0),
            measured: rate(200.0),
            medium: LineMedium::Fibre,
            loss: Some(Value::Share(Ppm::from_ppm(10_000))),
        })
    );
    insta::assert_json_snapshot!(found);
}

#[test]
fn rows_8_to_10_a_delay_belongs_to_the_lan_where_the_rest_would_hold() {
    let of_rtt = |medians: &[(&str, i64)]| of("line.rtt", 100_000, 120_000, medians);
    assert_eq!(
        of_rtt(&[("lan.rtt", 30_000)]),
        Some(lan("lan.rtt", 30_000, 100_000))
    );
    assert_eq!(of_rtt(&[]), Some(next(&["lan.rtt"])));
    let found = of_rtt(&[("lan.rtt", 20_000)]).unwrap();
    assert_eq!(
        found.kind(),
        CauseKind::LineQuality,
        "100 ms are not below 100 ms"
    );
    let found = of("line.loss", 10_000, 12_000, &[("lan.loss", 0)]).unwrap();
    assert_eq!(found.kind(), CauseKind::LineQuality);
}

#[test]
fn rows_11_to_13_wi_fi_is_to_blame_only_where_the_cable_holds() {
    let of_rtt = |medians: &[(&str, i64)]| of("wlan.rtt", 20_000, 50_000, medians);
    assert_eq!(
        of_rtt(&[("lan.rtt", 25_000)]),
        Some(lan("lan.rtt", 25_000, 20_000))
    );
    assert_eq!(of_rtt(&[]), Some(next(&["lan.rtt"])));
    assert_eq!(of_rtt(&[("lan.rtt", 400)]).unwrap().kind(), CauseKind::Wlan);
    let of_down = |medians: &[(&str, i64)]| of("wlan.down", 50_000_000, 10_000_000, medians);
    assert_eq!(
        of_down(&[("lan.down", 900_000_000)]).unwrap().kind(),
        CauseKind::Wlan
    );
    assert_eq!(
        of_down(&[("lan.down", 9_000_000)]).unwrap().kind(),
        CauseKind::Lan
    );
}

#[test]
fn rows_14_to_16_a_service_is_to_blame_only_where_the_line_is_clean() {
    let of_dns = |medians: &[(&str, i64)]| of("service.dns", 50_000, 90_000, medians);
    let losing = [("line.loss", 10_000), ("line.rtt", 4_000)];
    assert_eq!(of_dns(&losing).unwrap().kind(), CauseKind::LineQuality);
    assert_eq!(of_dns(&[("line.loss", 0)]), Some(next(&["line.rtt"])));
    let clean = [("line.loss", 0), ("line.rtt", 4_000)];
    assert_eq!(of_dns(&clean).unwrap().kind(), CauseKind::Service);
}

#[test]
fn row_17_what_is_missed_in_the_lan_is_the_lan() {
    assert_eq!(
        of("lan.rtt", 10_000, 12_000, &[]),
        Some(lan("lan.rtt", 12_000, 10_000))
    );
}

#[test]
fn what_is_met_or_open_has_no_cause() {
    assert_eq!(of_rate(Some(400), 382.0, &CLEAN_LAN), None);
    let school = school(Some(12), Some(400));
    for series in [Series::default(), mbps([100.0; 3])] {
        let judgement = judged(target(CLASSES), &school, &series, None);
        assert_eq!(cause(&judgement, &situation(&school, &CLEAN_LAN)), None);
    }
}
