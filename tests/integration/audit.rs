//! One visit, with and without a network.

use std::fs;
use std::path::Path;
use std::process::Output;

use messnetz::demo::network::{Network, Town};
use messnetz::lab::Namespace;

use crate::doors::{SITE, enrolled, free_port, get};
use crate::lab::enter;
use crate::program::{RunningCollector, messnetz, run, stderr, stdout, write_config};
use crate::quiet::quiet;

fn audit(place: &Namespace, directory: &Path, arguments: &[&str]) -> Output {
    let fixed = ["audit", "--lang", "en", "--runs", "1", "--seconds", "1"];
    let all: Vec<&str> = fixed.iter().chain(arguments).copied().collect();
    place.command(messnetz(directory, &all)).output().unwrap()
}

#[test]
fn without_any_network_an_audit_says_what_was_not_reachable() {
    let _quiet = quiet();
    let lab = enter();
    let place = lab.namespace("nowhere").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = audit(
        &place,
        folder.path(),
        &["--classes", "12", "--service", "10.9.9.9:443"],
    );
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{said}{}", stderr(&output));
    assert!(said.contains("no default route"), "{said}");
    assert!(
        said.contains("time to connect against 10.9.9.9:443: not reachable"),
        "{said}"
    );
    assert!(said.contains("not measured"), "{said}");
    let words: Vec<&str> = said.split(|c: char| !c.is_alphabetic()).collect();
    let lead = "it says above or below today, and never met or missed";
    assert!(said.contains(lead), "{said}");
    for verdict in ["met", "missed"] {
        let times = words.iter().filter(|word| **word == verdict).count();
        assert_eq!(times, 1, "a snapshot is never {verdict}: {said}");
    }
}

#[test]
fn in_a_school_an_audit_measures_every_segment_and_saves_a_file() {
    let _quiet = quiet();
    let lab = enter();
    let town = Town::build(&lab, &Network::built_in().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let address = format!("{}:8443", town.server.address);
    write_config(
        folder.path(),
        &format!("agents = \"{address}\"\ndashboard = \"127.0.0.1:0\""),
    );
    let collector = RunningCollector::start(folder.path(), Some(&town.server.namespace));
    let fingerprint = collector.ticket("XX-100001/main").fingerprint.to_string();
    let arguments = [
        "--sites",
        "authority.toml",
        "--site",
        "XX-100001/main",
        "--server",
        &address,
        "--fingerprint",
        &fingerprint,
        "--service",
        &address,
    ];
    let output = audit(&town.schools[0].agent, folder.path(), &arguments);
    let said = stdout(&output);
    assert_eq!(
        output.status.code(),
        Some(1),
        "a target is missed: {said}{}",
        stderr(&output)
    );
    for expected in [
        "LAN",
        "Line",
        "Services",
        "round-trip time against gateway",
        "the gateway answers",
        "below today (not good)",
    ] {
        assert!(said.contains(expected), "no '{expected}' in: {said}");
    }
    let named = said
        .lines()
        .find_map(|line| line.strip_prefix("saved: "))
        .unwrap();
    assert!(named.contains("XX-100001-main"), "{named}");
    let file = std::fs::read(folder.path().join(named)).unwrap();
    let saved: serde_json::Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(saved["format"], "messnetz-audit-1");
    assert_eq!(saved["site"], "XX-100001/main");
    // What a collector would read of it are observations like those of any batch.
    let read: Vec<messnetz_metric::Observation> =
        serde_json::from_value(saved["observations"].clone()).unwrap();
    assert!(read.len() > 10, "{}", read.len());
    let observations = saved["observations"].as_array().unwrap();
    let down = observations
        .iter()
        .find(|o| o["metric"] == "line.down")
        .unwrap();
    let rate = down["value"].as_u64().unwrap();
    assert!((50_000_000..100_000_000).contains(&rate), "{rate}");
}

#[test]
fn mistakes_of_the_command_line_are_told_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["--interface", "typo0"][..], "no interface 'typo0'"),
        (&["--server", "messnetz.example"], "not HOST:PORT"),
        (&["--service", "example.org"], "neither a page"),
        (
            &["--profile", "de-gigabyte"],
            "there is no profile 'de-gigabyte'",
        ),
    ] {
        let all: Vec<&str> = ["audit"].iter().chain(arguments).copied().collect();
        let output = crate::program::run(folder.path(), &all);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_box_that_stays_hands_no_visit_in() {
    let folder = tempfile::tempdir().unwrap();
    let (_collector, _, school) = enrolled(folder.path());
    let visit = serde_json::json!({
        "format": "messnetz-audit-1",
        "site": SITE,
        "began_at_unix_ms": 1_795_370_000_000_i64,
        "observations": [{"metric": "line.down", "at": 1_795_370_000_000_i64, "vantage": {"medium": "wired"},
            "peer": "collector", "unit": "bit/s", "value": 94_600_000}],
    });
    fs::write(school.join("visit.json"), visit.to_string()).unwrap();
    let output = run(
        &school,
        &["agent", "hand-in", "visit.json", "--state", "agent"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--visits"), "{}", stderr(&output));
}

#[test]
fn an_audit_is_handed_in_once_kept_apart_and_refused_when_it_was_changed_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_config(
        folder,
        &format!(
            "agents = \"127.0.0.1:{}\"\ndashboard = \"127.0.0.1:0\"",
            free_port()
        ),
    );
    let collector = RunningCollector::start(folder, None);
    let of_json = |arguments: &[&str]| -> serde_json::Value {
        let output = run(folder, arguments);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{arguments:?}: {}", stderr(&output)))
    };
    // It was measured at another site than the one that the ticket names.
    let measured = [
        "audit",
        "--runs",
        "1",
        "--sites",
        "authority.toml",
        "--site",
        "XX-100002/main",
        "--service",
        "127.0.0.1:9",
        "--out",
        "visit.json",
        "--json",
    ];
    let audit = of_json(&measured);
    let hand_in = [
        "agent",
        "hand-in",
        "visit.json",
        "--state",
        "laptop",
        "--json",
    ];

    let ticket = [
        "collector",
        "ticket",
        "XX-100001/main",
        "--visits",
        "--json",
    ];
    let ticket = of_json(&ticket)["ticket"].as_str().unwrap().to_owned();
    let enrol = [
        "agent", "enrol", &ticket, "--state", "laptop", "--wait", "0",
    ];
    assert_eq!(run(folder, &enrol).status.code(), Some(1));
    let waits = run(folder, &hand_in);
    assert_eq!(waits.status.code(), Some(2));
    let agent = of_json(&["collector", "agents", "--json"])[0]["agent"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        stderr(&waits).contains("collector approve"),
        "{}",
        stderr(&waits)
    );
    let approved = run(folder, &["collector", "approve", &agent]);
    assert!(approved.status.success(), "{}", stderr(&approved));

    let first = of_json(&hand_in);
    assert_eq!(first[0]["receipts"], of_json(&hand_in)[0]["receipts"]);
    let visits = of_json(&["collector", "visits", "--json"]);
    assert_eq!(visits.as_array().unwrap().len(), 1, "{visits}");
    let observations = audit["observations"].as_array().unwrap().len();
    assert_eq!(visits[0]["observations"], observations);
    assert_eq!(
        (&visits[0]["site"], &visits[0]["agent"]),
        (&"XX-100002/main".into(), &agent.clone().into())
    );
    let report = of_json(&["collector", "report", "--json"]);
    for row in report["rows"].as_array().unwrap() {
        assert_eq!(row["judgement"]["verdict"]["word"], "no-data", "{row}");
    }

    let text = fs::read_to_string(folder.join("visit.json")).unwrap();
    let changed = text.replacen("127.0.0.1:9", "127.0.0.1:8", 1);
    fs::write(folder.join("visit.json"), changed).unwrap();
    let refused = run(folder, &hand_in);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("quarantine"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(of_json(&["collector", "visits", "--json"]), visits);
    let shown = stdout(&run(folder, &["collector", "visits", "--lang", "en"]));
    assert!(shown.contains("A snapshot of one visit"), "{shown}");
    println!("{shown}");
    // The page says the same.
    let (status, page) = get(&collector, "/?lang=en", &[]);
    assert_eq!(status, 200);
    let head = shown.lines().next().unwrap();
    assert!(page.contains(head), "{head} is not on {page}");
    let (_, of_api) = get(&collector, "/api/v1/visits", &[]);
    let (_, body) = of_api.split_once("\r\n\r\n").unwrap_or(("", &of_api));
    let of_api: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(of_api, visits);
}
