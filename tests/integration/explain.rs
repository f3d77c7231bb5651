//! `messnetz explain`: from the document that states a target to the single measurements.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use messnetz::store::{SqliteStore, Store as _};
use messnetz::wire::batch::{Batch, Link};
use messnetz::wire::{AgentId, CollectorId};
use messnetz_metric::{
    BitRate, Direction, Metric, Observation, Outcome, Quantity, Segment, UnixMillis, Value, Vantage,
};

use crate::calendar::json;
use crate::program::{run, stderr, stdout};

const SCHOOL: &str = "NW-100001";
const DAY_MS: i64 = 86_400_000;

/// A collector's directory as `init` leaves it.
fn collector() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["collector", "init"]);
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

/// Puts a test of each of the last 60 nights, at about three o'clock, into the store.
fn measure(folder: &Path, mbps: f64) {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = UnixMillis(since_1970.as_millis() as i64);
    let tonight = now.0 - now.0 % DAY_MS + 2 * 3_600_000;
    let observation = |nights| Observation {
        metric: Metric::new(Segment::Line, Quantity::Goodput(Direction::Down)),
        at: UnixMillis(tonight - nights * DAY_MS),
        vantage: Vantage::default(),
        peer: "collector".to_owned(),
        outcome: Outcome::Value(Value::Rate(BitRate::from_mbps(mbps))),
    };
    let link = Link {
        collector: CollectorId::of_key(&[9; 32]),
        agent: AgentId::of_key(&[1; 32]),
        site: format!("{SCHOOL}/main"),
        epoch: 1,
        sequence: 1,
        previous: None,
    };
    let observations: Vec<_> = (1..=60).map(observation).collect();
    let batch = Batch::new(&link, &observations).unwrap();
    let data = folder.join("data");
    fs::create_dir_all(&data).unwrap();
    let store = SqliteStore::open(&data.join("store.db")).unwrap();
    store.store_batch(&batch, now).unwrap();
}

#[test]
fn without_measurements_a_target_is_explained_as_far_as_it_goes() {
    let folder = collector();
    let target = "de-aufgreifschwelle-30/down";
    let output = run(folder.path(), &["explain", SCHOOL, target, "--lang", "en"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output).replace('\u{a0}', " ");
    for part in [
        "Grundschule am Beispielweg (NW-100001)",
        "Informationen Aufgreifschwelle Schulen",
        "30 × (classes + 1); with the numbers of this school: 30 × (12 + 1) = 390",
        "at least 351 Mbit/s",
        "outside lessons",
        "Without measurements nothing can be said.",
    ] {
        assert!(unwrapped(&said).contains(part), "{part}\n{said}");
    }
    assert!(
        !said.contains("de-gigabit"),
        "only the target that was named"
    );

    let all = stdout(&run(folder.path(), &["explain", SCHOOL]));
    assert!(all.contains("de-gigabit/up"), "{all}");
    assert!(all.contains("Woher das Ziel kommt"), "{all}");
}

/// Without the breaks of the lines.
fn unwrapped(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_missed_target_leads_to_the_samples_that_its_command_prints() {
    let folder = collector();
    measure(folder.path(), 100.0);
    let arguments = ["explain", SCHOOL, "de-gigabit/down", "--samples", "3"];
    let output = run(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stdout(&output);
    let command = said.lines().map(str::trim).find_map(|line| {
        line.strip_prefix("messnetz ")
            .map(|rest| rest.split(' ').collect::<Vec<_>>())
    });
    let printed = stdout(&run(folder.path(), &command.unwrap()));

    let found = json(folder.path(), &[&arguments[..], &["--json"]].concat());
    let told = &found["targets"][0];
    let samples = told["row"]["judgement"]["samples"].as_u64().unwrap();
    assert_eq!(printed.lines().count() as u64, samples);
    assert_eq!(told["worst"].as_array().unwrap().len(), 3);
    assert_eq!(told["row"]["judgement"]["verdict"]["word"], "missed");
    assert_eq!(told["row"]["cause"]["cause"], "contract-too-small");
    assert_eq!(told["workings"], "1000");
    // The upgrade is of this site and for this target.
    let upgrades = told["recommendations"].as_array().unwrap();
    assert!(!upgrades.is_empty());
    assert!(upgrades.iter().all(|one| one["site"] == "NW-100001/main"));

    // Of a target that is not shown the exit code says nothing.
    let other = run(folder.path(), &["explain", SCHOOL, "de-gigabit/up"]);
    assert_eq!(other.status.code(), Some(0));
}

#[test]
fn without_measurements_the_json_has_a_chain_for_each_target_and_site() {
    let folder = collector();
    let found = json(folder.path(), &["explain", "NW-100002", "--json"]);
    let chains = found["targets"].as_array().unwrap();
    let sites: Vec<_> = chains
        .iter()
        .map(|chain| &chain["row"]["judgement"]["site"])
        .collect();
    assert!(sites.contains(&&"NW-100002/main".into()), "{sites:?}");
    assert!(sites.contains(&&"NW-100002/annex".into()), "{sites:?}");
    assert!(
        chains
            .iter()
            .all(|chain| chain["samples_command"].is_null())
    );
}

#[test]
fn a_misspelt_school_or_target_is_suggested() {
    let folder = collector();
    for (arguments, part) in [
        (&["explain", "NW-10001"][..], "did you mean 'NW-100001'?"),
        (
            &["explain", SCHOOL, "de-gigabit/dwon"],
            "did you mean 'de-gigabit/down'?",
        ),
    ] {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

#[test]
fn an_inventory_target_leads_from_its_document_to_who_stated_it() {
    let folder = collector();
    let target = "de-gigabit/full-fibre";
    for (language, parts) in [
        (
            "de",
            [
                "Gigabitrichtlinie 2.0",
                "line.full-fibre = vorhanden, Stand 2026-01-15, Vertrag",
                "Darum ist das Ziel erfüllt.",
            ],
        ),
        (
            "en",
            [
                "Gigabitrichtlinie 2.0",
                "line.full-fibre = there, as of 2026-01-15, Vertrag",
                "So the target is met.",
            ],
        ),
    ] {
        let output = run(
            folder.path(),
            &["explain", SCHOOL, target, "--lang", language],
        );
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let said = unwrapped(&stdout(&output).replace('\u{a0}', " "));
        for part in parts {
            assert!(said.contains(part), "{part}\n{said}");
        }
    }
    let silent = ["explain", "NW-100002", "--lang", "en"];
    let said = unwrapped(&stdout(&run(folder.path(), &silent)));
    assert!(
        said.contains("About one more target that no measurement can find out nobody has stated"),
        "{said}"
    );
    let found = json(folder.path(), &["explain", SCHOOL, target, "--json"]);
    assert_eq!(found["targets"].as_array().unwrap().len(), 0);
    let judgement = &found["stated"][0]["row"]["judgement"];
    assert_eq!(judgement["verdict"]["word"], "met");
    assert_eq!(judgement["facts"][0]["from"], "Vertrag");
    assert_eq!(
        (&judgement["scope"], &judgement["school"]),
        (&"school".into(), &SCHOOL.into())
    );
}

#[test]
fn a_missing_item_is_missed_in_the_report_and_its_exception_stands_beside_it() {
    let folder = collector();
    let file = folder.path().join("authority.toml");
    let sites = fs::read_to_string(&file).unwrap();
    let exception = "[[school.exception]]\ntarget = \"de-gigabit/full-fibre\"\nby = \"Rat\"\n\
                     reason = \"Umbau\"\nuntil = \"2099-12-31\"\n\n[[school.site]]";
    let sites = sites
        .replacen(
            "full-fibre\" = { value = true",
            "full-fibre\" = { value = false",
            1,
        )
        .replacen("[[school.site]]", exception, 1);
    fs::write(&file, sites).unwrap();
    let output = run(folder.path(), &["collector", "report", "--lang", "en"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stdout(&output).replace('\u{a0}', " ");
    let line = said
        .lines()
        .find(|line| line.contains("Fibre into the building"))
        .unwrap();
    for part in [
        "missed",
        "not there",
        "2026-01-15, Vertrag",
        "Rat",
        "Umbau",
        "2099-12-31",
    ] {
        assert!(line.contains(part), "{part}\n{line}");
    }
    assert!(
        said.contains("In 2 cases (target and school) nobody has stated anything"),
        "{said}"
    );

    let report = json(folder.path(), &["collector", "report", "--json"]);
    let row = &report["stated"][0]["judgement"];
    assert_eq!(row["verdict"]["word"], "missed");
    assert_eq!(row["exception"]["by"], "Rat");
    let coverage = report["coverage"].as_array().unwrap();
    let fibre = coverage
        .iter()
        .find(|one| one["target"] == "de-gigabit/full-fibre");
    let fibre = fibre.unwrap();
    assert_eq!(
        (&fibre["basis"], &fibre["missed"], &fibre["no_data"]),
        (&"stated".into(), &1.into(), &2.into())
    );
    assert_eq!(coverage[0]["basis"], "measured");
}
