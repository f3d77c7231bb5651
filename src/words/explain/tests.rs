//! The wording of a chain, from data made by hand.

use std::fmt::Write as _;

use messnetz_metric::{BitRate, Rate, UnixMillis};
use messnetz_sites::cause::Cause;
use messnetz_sites::site::{Authority, Exception, LineMedium};
use messnetz_sites::upgrade::{Catalogue, recommend};
use messnetz_sites::verdict::{Bounds, Sample, Series, judge};

use super::*;
use crate::judging::chain::StatedChain;
use crate::judging::{Report, Row};
use crate::text::Language;

const OCTOBER: Period = Period::Month {
    year: 2026,
    month: 10,
};

/// Tests in the evening of the first days of October 2026, one a day.
fn evenings(mbps: &[f64]) -> Vec<Sample> {
    let first = *OCTOBER.days().start();
    (first..)
        .zip(mbps)
        .map(|(day, mbps)| Sample {
            at: UnixMillis(i64::from(day) * 86_400_000 + 18 * 3_600_000),
            day,
            value: Value::Rate(BitRate::from_mbps(*mbps)),
            disturbed: Some(*mbps < 300.0),
        })
        .collect()
}

fn town() -> Authority {
    Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap()
}

/// One target of the first school, judged on these samples, with the cause that it may have.
fn row(authority: &Authority, target: &str, samples: &[Sample], cause: Option<Cause>) -> Row {
    let school = &authority.schools[0];
    let site = &school.sites[0];
    let target = authority
        .known
        .targets_for(authority.profiles_of(school), school)
        .find(|known| known.id.as_str() == target)
        .unwrap();
    let series = Series {
        samples: samples.to_vec(),
        failures: if samples.is_empty() {
            vec![]
        } else {
            vec![1, 2]
        },
        rolled_up: std::collections::BTreeMap::new(),
        window: target.window.as_ref().map(ToString::to_string),
        peer: None,
    };
    let port = Bounds::of_port(Some(Rate::from_mbps(1000.0)));
    let mut judgement = judge(target, school, site, &series, port, &authority.judging);
    judgement.period = Some(OCTOBER);
    judgement.standing = Some(Standing::Closed);
    judgement.except(school, Day::new(2026, 11, 22).unwrap());
    Row {
        school_name: school.name.clone(),
        site_name: site.name.clone(),
        target_title: target.title.clone(),
        source: target.source.clone(),
        judgement,
        running: None,
        reopened: None,
        cause,
    }
}

/// The chain of a row in both languages, as it is printed but for the layout.
fn told(authority: &Authority, row: Row, samples: &[Sample]) -> String {
    let finding = row
        .cause
        .clone()
        .map(|cause| (row.judgement.clone(), cause));
    let report = Report {
        authority: authority.name.clone(),
        made_at: UnixMillis(0),
        since: UnixMillis(0),
        shortened: None,
        recommendations: recommend(&Vec::from_iter(finding), Catalogue::built_in()),
        chains: vec![],
        rows: vec![row],
        stated: vec![],
        coverage: vec![],
    };
    let zone = &authority.calendar.zone;
    let mut chains = Chain::all(authority, &report, &authority.schools[0], None);
    let chain = &mut chains[0];
    chain.show_worst(samples.to_vec(), 2, zone);
    let command = (!samples.is_empty()).then_some("messnetz collector samples …");
    let mut said = String::new();
    for language in [Language::De, Language::En] {
        let text = Text::new(language);
        writeln!(
            said,
            "{}",
            text.explain_verdict(chain.row.judgement.verdict.kind())
        )
        .unwrap();
        for step in text.explain(chain, zone, command) {
            writeln!(said, "\n# {}", step.heading).unwrap();
            for line in step.paragraphs.iter().flatten().chain(&step.lines) {
                writeln!(said, "{line}").unwrap();
            }
        }
        writeln!(said, "\n========\n").unwrap();
    }
    said.replace('\u{a0}', " ")
}

#[test]
fn a_target_that_is_met_is_told_with_the_month_that_runs_beside_it() {
    let authority = town();
    let samples = evenings(&[382.0; 30]);
    let mut row = row(&authority, "de-aufgreifschwelle-30/down", &samples, None);
    let mut running = row.judgement.clone();
    running.period = Some(Period::Month {
        year: 2026,
        month: 11,
    });
    running.standing = Some(Standing::Provisional);
    (running.samples, running.days) = (1, 1);
    row.running = Some(running);
    insta::assert_snapshot!(told(&authority, row, &samples));
}

#[test]
fn a_target_that_is_missed_is_told_with_cause_upgrade_and_exception() {
    let mut authority = town();
    let samples = evenings(&[[380.0; 25].as_slice(), &[120.0; 3]].concat());
    let target = authority.known.target_ids();
    let target = target
        .into_iter()
        .find(|id| id.as_str() == "de-gigabit/down");
    let exception = Exception {
        target: target.unwrap().clone(),
        by: "Schulausschuss".to_owned(),
        reason: "Die Straße wird 2027 aufgerissen".to_owned(),
        until: Day::new(2027, 12, 31).unwrap(),
    };
    authority.schools[0].exceptions.push(exception);
    let cause = Cause::ContractTooSmall {
        contract: Rate::from_mbps(400.0),
        needed: Rate::from_mbps(1000.0),
        medium: LineMedium::Dsl,
    };
    let row = row(&authority, "de-gigabit/down", &samples, Some(cause));
    insta::assert_snapshot!(told(&authority, row, &samples));
}

#[test]
fn a_cause_that_is_not_known_says_what_to_find_out_and_recommends_nothing() {
    let unknown = [
        Unknown::Contract,
        Unknown::Metric("lan.loss".parse().unwrap()),
    ];
    let cause = Cause::Undecidable {
        measure_next: unknown.to_vec(),
    };
    let text = Text::new(Language::En);
    assert_eq!(
        text.blame(&cause),
        "Which part of the way is to blame cannot be told yet. To be found out next: what the contract promises; loss in the school's own network (LAN)."
    );
    assert_eq!(
        text.mend(&cause, &[]),
        [["As long as the cause is not known, nothing is recommended."]]
    );
}

#[test]
fn a_target_that_is_undecided_is_told_with_what_would_decide_it() {
    let authority = town();
    let straddling: Vec<f64> = (0..24).map(|n| 340.0 + f64::from(n)).collect();
    let mut said = String::new();
    for mbps in [&straddling[..], &[382.0; 4]] {
        let samples = evenings(mbps);
        let row = row(&authority, "de-aufgreifschwelle-30/down", &samples, None);
        said.push_str(&told(&authority, row, &samples));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_target_without_data_says_what_is_missing() {
    let mut authority = town();
    let lessons = row(&authority, "voice-video/loss", &[], None);
    let mut said = told(&authority, lessons, &[]);
    authority.schools[0].facts.classes = None;
    let samples = evenings(&[382.0; 30]);
    let uncounted = row(&authority, "de-aufgreifschwelle-30/down", &samples, None);
    said.push_str(&told(&authority, uncounted, &samples));
    insta::assert_snapshot!(said);
}

#[test]
fn the_worst_samples_are_those_on_the_bad_side_whichever_side_that_is() {
    let authority = town();
    let samples = evenings(&[3.0, 1.0, 2.0, 1.0]);
    for (target, worst) in [
        ("de-aufgreifschwelle-30/down", [1.0, 1.0]),
        ("voice-video/loss", [3.0, 2.0]),
    ] {
        let report = Report {
            authority: String::new(),
            made_at: UnixMillis(0),
            since: UnixMillis(0),
            shortened: None,
            rows: vec![row(&authority, target, &[], None)],
            stated: vec![],
            coverage: vec![],
            recommendations: vec![],
            chains: vec![],
        };
        let mut chains = Chain::all(&authority, &report, &authority.schools[0], None);
        chains[0].show_worst(samples.clone(), 2, &authority.calendar.zone);
        let shown: Vec<Value> = chains[0].worst.iter().map(|one| one.value).collect();
        let expected = worst.map(|mbps| Value::Rate(BitRate::from_mbps(mbps)));
        assert_eq!(shown, expected, "{target}");
    }
}

#[test]
fn a_formula_is_read_in_words_and_with_the_numbers_of_the_language() {
    let (de, en) = (Text::new(Language::De), Text::new(Language::En));
    for (written, german, english) in [
        (
            "30 * (classes + 1)",
            "30 × (Klassen + 1)",
            "30 × (classes + 1)",
        ),
        (
            "max(20, 0.05 * pupils)",
            "größter Wert aus (20; 0,05 × Schülerzahl)",
            "largest of (20, 0.05 × pupils)",
        ),
        (
            "below(authority_pupils, 1000, 2, 1.4)",
            "je nachdem (Schülerzahl aller Schulen des Trägers; 1000; 2; 1,4)",
            "depending (pupils of all schools of the authority, 1000, 2, 1.4)",
        ),
    ] {
        assert_eq!(de.formula(written), german);
        assert_eq!(en.formula(written), english);
    }
}

#[test]
fn a_bound_that_misses_by_little_is_not_rounded_to_what_is_needed() {
    let authority = town();
    let samples = evenings(&[350.6; 24]);
    let row = row(&authority, "de-aufgreifschwelle-30/down", &samples, None);
    let said = Text::new(Language::En).interval(&row.judgement);
    assert!(said.contains("not above 350.6\u{a0}Mbit/s"), "{said}");
}

#[test]
fn a_target_of_the_inventory_is_told_from_the_document_to_who_stated_it() {
    let seen = "on = \"2026-01-15\", from = \"Begehung\" }";
    let facts = format!(
        "[school.inventory]\naccess_points = {{ value = 12, {seen}\nrooms_teaching = {{ value = 16, {seen}\n"
    );
    let profiles = "profiles = [\"geraete-hamm-2020\", \"wlan-klassenraum\", \"support-gew\", ";
    let file = messnetz_sites::site::EXAMPLE
        .replacen("profiles = [", profiles, 1)
        .replacen("[school.inventory]\n", &facts, 1);
    let mut authority = Authority::parse("authority.toml", &file).unwrap();
    let exception = Exception {
        target: "wlan-klassenraum/ap-per-room".parse().unwrap(),
        by: "Schulausschuss".to_owned(),
        reason: "Der Altbau wird 2027 saniert".to_owned(),
        until: Day::new(2027, 12, 31).unwrap(),
    };
    authority.schools[0].exceptions.push(exception);
    let report = Report {
        authority: authority.name.clone(),
        made_at: UnixMillis(0),
        since: UnixMillis(0),
        shortened: None,
        rows: vec![],
        stated: crate::judging::stated(&authority, Day::new(2026, 11, 22)),
        coverage: vec![],
        recommendations: vec![],
        chains: vec![],
    };
    let chains = StatedChain::all(&authority, &report, &authority.schools[0], None);
    let mut said = String::new();
    for target in [
        "wlan-klassenraum/ap-per-room",
        "geraete-hamm-2020/pupils-per-device",
        "de-gigabit/full-fibre",
        "support-gew/devices-per-post",
    ] {
        let is_it = |chain: &&StatedChain<'_>| chain.target.id.as_str() == target;
        let chain = chains.iter().find(is_it).unwrap();
        for language in [Language::De, Language::En] {
            let text = Text::new(language);
            let kind = chain.row.judgement.verdict.kind();
            writeln!(said, "{target}\n{}", text.explain_verdict(kind)).unwrap();
            for step in text.explain_stated(chain) {
                writeln!(said, "\n# {}", step.heading).unwrap();
                for line in step.paragraphs.iter().flatten().chain(&step.lines) {
                    writeln!(said, "{line}").unwrap();
                }
            }
            writeln!(said, "\n========\n").unwrap();
        }
    }
    insta::assert_snapshot!(said.replace('\u{a0}', " "));
}
