//! Claims about the catalogue and the recommendations.

use messnetz_metric::{BitRate, Layer, Medium, Metric, Quantity, Segment, Value};

use super::*;
use crate::cause::{Cause, Seen, Situation, cause};
use crate::judging::Judging;
use crate::sample_school::{mbps, school, target};
use crate::source::Mark;
use crate::verdict::{Bounds, FullPort, Judgement, judge};

const CLASSES: &str = "de-aufgreifschwelle-30/down";

/// Judges targets on what a line of so many Mbit/s gives, and names the causes.
fn findings(
    medium: LineMedium,
    contract: u64,
    measured: &[(&str, f64)],
) -> Vec<(Judgement, Cause)> {
    let mut school = school(Some(33), Some(contract));
    for line in school
        .sites
        .iter_mut()
        .filter_map(|site| site.line.as_mut())
    {
        line.medium = medium;
    }
    let site = &school.sites[0];
    let finding = |(id, rate): &(&str, f64)| {
        let series = mbps([*rate; 20]);
        // A clean LAN, and a line that loses a little, at the same times.
        let beside: Vec<_> = [
            (Segment::Lan, Quantity::Loss, 0),
            (Segment::Lan, Quantity::Rtt, 0),
            (Segment::Line, Quantity::Loss, 5_000),
        ]
        .map(|(segment, quantity, number)| {
            let value = Value::new(quantity.unit(), number);
            let samples: Vec<_> = series.samples.iter().map(|s| (s.at, value)).collect();
            (Metric::new(segment, quantity), samples)
        })
        .into();
        let own: Vec<_> = series.samples.iter().map(|s| (s.at, s.value)).collect();
        let seen = |metric, samples| Seen {
            metric,
            medium: Medium::Wired,
            peer: "collector",
            samples,
        };
        let situation = Situation {
            line: site.line.as_ref(),
            seen: beside
                .iter()
                .map(|(metric, samples)| seen(*metric, samples.as_slice()))
                .chain([seen(target(id).metric, own.as_slice())])
                .collect(),
        };
        let judgement = judge(
            target(id),
            &school,
            site,
            &series,
            Bounds::default(),
            &Judging::default(),
        );
        let cause = cause(&judgement, &series.samples, &situation)?;
        Some((judgement, cause))
    };
    measured.iter().filter_map(finding).collect()
}

fn ids(recommendations: &[Recommendation]) -> Vec<&str> {
    recommendations.iter().map(|r| r.upgrade.as_str()).collect()
}

#[test]
fn every_price_of_the_built_in_catalogue_names_its_source() {
    let catalogue = Catalogue::built_in();
    let prices = catalogue
        .upgrades
        .iter()
        .flat_map(|u| [&u.once, &u.monthly]);
    for price in prices {
        if let Price::Range {
            source,
            from_cents,
            to_cents,
        } = price
        {
            assert!(source.flaw().is_none(), "{source:?}");
            let is_ours = source.mark == Mark::ProjectDefault;
            assert!(
                !is_ours || *to_cents == 0,
                "no price is invented: {source:?}"
            );
            assert!(from_cents <= to_cents);
        }
    }
}

#[test]
fn one_upgrade_that_mends_several_targets_is_recommended_once_with_all_reasons() {
    let findings = findings(
        LineMedium::Fibre,
        400,
        &[
            (CLASSES, 380.0),
            ("de-gigabit/down", 380.0),
            ("de-gigabit/up", 190.0),
        ],
    );
    let recommendations = recommend(&findings, Catalogue::built_in());
    assert_eq!(ids(&recommendations), ["gigabit-tariff"]);
    let targets: Vec<_> = recommendations[0]
        .reasons
        .iter()
        .map(|r| r.target.as_str())
        .collect();
    assert_eq!(targets, [CLASSES, "de-gigabit/down", "de-gigabit/up"]);
    insta::assert_json_snapshot!(recommendations);
}

#[test]
fn the_upgrade_follows_the_cause_and_the_medium() {
    for (medium, contract, measured, expected) in [
        (
            LineMedium::Dsl,
            100,
            94.0,
            vec!["fibre-connection", "gigabit-tariff"],
        ),
        (LineMedium::Fibre, 100, 94.0, vec!["gigabit-tariff"]),
        (LineMedium::Fibre, 1000, 300.0, vec!["provider-complaint"]),
        (
            LineMedium::Cable,
            1000,
            300.0,
            vec!["provider-complaint", "fibre-connection"],
        ),
        (LineMedium::Fibre, 1000, 940.0, vec![]),
    ] {
        let findings = findings(medium, contract, &[(CLASSES, measured)]);
        let recommendations = recommend(&findings, Catalogue::built_in());
        assert_eq!(
            ids(&recommendations),
            expected,
            "{medium:?} {contract} {measured}"
        );
    }
}

#[test]
fn a_tariff_mends_neither_what_needs_more_nor_what_has_as_much_already() {
    let mut findings = findings(LineMedium::Fibre, 100, &[(CLASSES, 94.0)]);
    for (stated, wanted, expected) in [
        (100.0, 1000.0, vec!["gigabit-tariff"]),
        (100.0, 2500.0, vec![]),
        (1000.0, 1000.0, vec![]),
    ] {
        findings[0].1 = Cause::ContractTooSmall {
            contract: Rate::from_mbps(stated),
            needed: Rate::from_mbps(wanted),
            medium: LineMedium::Fibre,
        };
        let recommendations = recommend(&findings, Catalogue::built_in());
        assert_eq!(ids(&recommendations), expected, "{stated} of {wanted}");
    }
}

#[test]
fn a_faster_port_has_to_carry_the_payload_that_is_asked_for() {
    let mut findings = findings(LineMedium::Fibre, 100, &[(CLASSES, 94.0)]);
    // A port of 2.5 Gbit/s carries 2353.7 Mbit/s of TCP payload.
    for (needed, expected) in [(2350.0, vec!["agent-port"]), (2400.0, vec![])] {
        findings[0].1 = Cause::AgentPort(FullPort {
            port: Rate::from_mbps(100.0),
            layer: Layer::TcpPayload,
            ceiling: BitRate::from_mbps(94.1),
            needed: BitRate::from_mbps(needed),
        });
        let recommendations = recommend(&findings, Catalogue::built_in());
        assert_eq!(ids(&recommendations), expected, "{needed}");
    }
}

const OWN: &str = r#"
[catalogue]
as_of = "2026-03-01"

[[upgrade]]
id = "access-switch"
title = { de = "Switch", en = "Switch" }
mends = [{ cause = "lan" }]
[upgrade.once]
from_cents = 120_000
to_cents = 150_000
source = { document = "Rahmenvertrag", publisher = "Musterstadt", year = 2026, mark = "S" }

[[upgrade]]
id = "second-line"
title = { de = "Zweite Leitung", en = "Second line" }
mends = [{ cause = "line-quality" }]
monthly = "your price"
"#;

#[test]
fn an_authority_puts_its_own_prices_in() {
    let own = Catalogue::parse("own.toml", OWN).unwrap();
    let catalogue = Catalogue::built_in().clone().with(own);
    let of = |id: &str| {
        let upgrade = catalogue.upgrades.iter().find(|u| u.id.as_str() == id);
        upgrade.unwrap().clone()
    };
    assert!(matches!(
        of("access-switch").once,
        Price::Range {
            from_cents: 120_000,
            ..
        }
    ));
    assert_eq!(of("second-line").once, Price::None);
    assert_eq!(of("second-line").monthly, Price::YourPrice);
    assert_eq!(
        catalogue.upgrades.len(),
        Catalogue::built_in().upgrades.len() + 1
    );
    assert_eq!(of("access-switch").prices_as_of.to_string(), "2026-03-01");
    let built_in = &Catalogue::built_in().upgrades[0];
    assert_eq!(catalogue.upgrades[0].prices_as_of, built_in.prices_as_of);
}

#[test]
fn a_wrong_catalogue_is_refused_where_it_is_wrong() {
    for (from, to, expected) in [
        (
            "second-line",
            "access-switch",
            "own.toml:15:6: the catalogue has two upgrades `access-switch`",
        ),
        (
            "120_000",
            "160_000",
            "own.toml:9:1: the price ends below its beginning",
        ),
        (
            "mark = \"S\"",
            "mark = \"S2\"",
            "own.toml:9:1: a source with mark S2 needs `reported_by`: who reports the number",
        ),
        (
            "\"your price\"",
            "\"cheap\"",
            "own.toml:18:11: invalid value: string \"cheap\", expected \"your price\", or from_cents, to_cents and source",
        ),
        (
            "\"line-quality\"",
            "\"line-qualty\"",
            "own.toml:17:20: unknown value `line-qualty` (known here: contract-too-small, line-under-delivers, provider-under-delivers, line-quality, switch-port, lan, access-point, agent-port, agent, far-end, service, undecidable); did you mean `line-quality`?",
        ),
        (
            "from_cents",
            "from_cent",
            "own.toml:10:1: unknown key `from_cent` (known here: from_cents, to_cents, source); did you mean `from_cents`?",
        ),
        (
            "\"2026-03-01\"",
            "\"2026-02-30\"",
            "own.toml:3:9: '2026-02-30' is no day of the calendar (write it as \"2017-07-17\")",
        ),
    ] {
        let text = OWN.replacen(from, to, 1);
        let problems = Catalogue::parse("own.toml", &text).expect_err(to);
        assert_eq!(problems[0].to_string(), expected, "{to}");
    }
}
