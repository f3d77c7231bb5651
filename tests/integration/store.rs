//! What an operator does with the store: check, seal, copy, bring back.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use messnetz::store::{Admission, SqliteStore, Store as _};
use messnetz::wire::batch::{Batch, Link};
use messnetz::wire::{AgentId, CollectorId, TicketSecret};
use messnetz_metric::{
    Metric, Observation, Outcome, Quantity, Segment, UnixMillis, Value, Vantage,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::Value as Json;

use crate::doors::{batches_by_epoch, end, enrolled, start_agent, wait_until};
use crate::program::{RunningCollector, run, stderr, stdout};

const SITE: &str = "XX-100001/main";

/// When the first sample of [`measured`] was.
const BEGIN: i64 = 1_795_370_000_000;

/// A collector's directory with five batches of an enrolled agent; gives its name and public key.
fn measured(folder: &Path) -> (AgentId, String) {
    let output = run(folder, &["collector", "init"]);
    assert!(output.status.success(), "{}", stderr(&output));
    fs::create_dir(folder.join("data")).unwrap();
    measured_at(folder, SITE, &CollectorId::of_key(&[9; 32]), BEGIN)
}

/// Five batches of an agent that is enrolled for it, of this time, which came when they were measured.
fn measured_at(
    folder: &Path,
    site: &str,
    collector: &CollectorId,
    begin: i64,
) -> (AgentId, String) {
    let store = SqliteStore::open(&folder.join("data/store.db")).unwrap();
    let key = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
    let secret = TicketSecret::random().unwrap();
    let (now, hour) = (UnixMillis(1), std::time::Duration::from_hours(1));
    store
        .add_ticket(&secret, site, Admission::AtOnce, now, hour)
        .unwrap();
    let public_key = key.public_key().as_ref();
    let agent = store
        .redeem_ticket(&secret, site, public_key, now)
        .unwrap()
        .unwrap()
        .id;
    let metric = Metric::new(Segment::Line, Quantity::Rtt);
    let mut last: Option<Batch> = None;
    for number in 1..=5 {
        let link = Link {
            collector: collector.clone(),
            agent: agent.clone(),
            site: site.to_owned(),
            epoch: 1,
            sequence: number,
            previous: last.as_ref().map(Batch::hash),
        };
        let observation = |at| {
            let outcome = Outcome::Value(Value::new(metric.quantity.unit(), 9_000 + at % 99));
            Observation::new(
                metric,
                UnixMillis(at),
                Vantage::default(),
                "collector",
                outcome,
            )
        };
        let begin = begin + number.cast_signed() * 300_000;
        let observations: Vec<_> = (0..5).map(|i| observation(begin + i * 60_000)).collect();
        let batch = Batch::new(&link, &observations).unwrap().signed_with(&key);
        store
            .store_batch(&batch, UnixMillis(begin + 300_000))
            .unwrap();
        last = Some(batch);
    }
    (agent, STANDARD.encode(public_key))
}

fn json(folder: &Path, arguments: &[&str], code: i32) -> Json {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_was_sealed_still_verifies_outside_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (agent, public_key) = measured(folder);
    let take = |out: &str| {
        let number = [
            "collector",
            "batch",
            SITE,
            agent.as_str(),
            "1",
            "3",
            "--out",
            out,
        ];
        let output = run(folder, &number);
        assert!(output.status.success(), "{}", stderr(&output));
        fs::read_to_string(folder.join(out)).unwrap()
    };
    let before = take("before.json");
    let sealed = json(folder, &["collector", "store", "compact", "--json"], 0);
    assert_eq!(
        (&sealed["batches"], &sealed["samples"]),
        (&Json::from(5), &Json::from(25))
    );
    assert_eq!(take("after.json"), before);
    let verified = run(
        folder,
        &["batch", "verify", "after.json", "--key", &public_key],
    );
    assert!(verified.status.success(), "{}", stdout(&verified));
}

#[test]
fn a_check_proves_what_is_there_and_names_what_was_changed_or_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (agent, _) = measured(folder);
    let check = ["collector", "store", "check", "--json"];
    let found = json(folder, &check, 0);
    assert_eq!(found["holds"], true);
    assert_eq!(found["agents"][0]["agent"], agent.as_str());
    assert_eq!(found["agents"][0]["samples"], 25);
    let file = rusqlite::Connection::open(folder.join("data/store.db")).unwrap();
    file.execute("DELETE FROM tail WHERE sequence = 2", [])
        .unwrap();
    let found = json(folder, &check, 1);
    assert_eq!(
        found["agents"][0]["gaps"],
        serde_json::json!([{"epoch": 1, "from": 2, "to": 2}])
    );
    json(folder, &["collector", "store", "compact", "--json"], 0);
    file.execute("UPDATE series SET peer = 'another'", [])
        .unwrap();
    let output = run(folder, &["collector", "store", "check"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stdout(&output);
    assert!(said.contains("MISSING 2 to 2 of epoch 1"), "{said}");
    assert!(
        said.contains("DOES NOT HOLD 3 of epoch 1: its agent did not sign this"),
        "{said}"
    );
}

#[test]
fn a_backup_is_made_while_the_collector_has_the_store_and_restored_where_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    measured(folder);
    let open = SqliteStore::open(&folder.join("data/store.db")).unwrap();
    json(
        folder,
        &["collector", "store", "backup", "copy.db", "--json"],
        0,
    );
    drop(open);
    let restore = ["collector", "store", "restore", "copy.db"];
    let refused = run(folder, &restore);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("there is a store already"),
        "{}",
        stderr(&refused)
    );
    fs::rename(folder.join("data"), folder.join("lost")).unwrap();
    let restored = run(folder, &restore);
    assert!(restored.status.success(), "{}", stderr(&restored));
    let found = json(folder, &["collector", "store", "check", "--json"], 0);
    assert_eq!(found["agents"][0]["batches"], 5);
}

#[test]
fn a_backup_has_no_key_and_with_the_keys_beside_it_the_collector_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (collector, town, school) = enrolled(folder.path());
    let running = start_agent(&school);
    wait_until("a batch", || !batches_by_epoch(&town).is_empty());
    end(running);
    let well = |arguments: &[&str]| {
        let output = run(&town, arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    well(&["collector", "store", "backup", "backup.db"]);
    let exported = well(&["collector", "keys", "export", "keys.json"]);
    drop(collector);
    let backup = fs::read(town.join("backup.db")).unwrap();
    let pem = fs::read_to_string(town.join("data/keys/certificate.pem")).unwrap();
    let receipts = fs::read(town.join("data/keys/receipts.pk8")).unwrap();
    let line = pem.lines().rev().nth(1).unwrap();
    for secret in [line.as_bytes(), &receipts[16..48]] {
        let mut windows = backup.windows(secret.len());
        assert!(!windows.any(|window| window == secret));
    }

    fs::remove_dir_all(town.join("data")).unwrap();
    well(&["collector", "store", "restore", "backup.db"]);
    well(&["collector", "store", "check"]);
    well(&["collector", "agents"]);
    let refused = run(&town, &["collector", "run"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = stderr(&refused);
    assert!(said.contains("collector keys import"), "{said}");
    let imported = well(&["collector", "keys", "import", "keys.json"]);
    let id = imported.trim().rsplit(' ').next().unwrap();
    assert!(exported.contains(id), "{exported}");
    let _collector = RunningCollector::start(&town, None);
    let before = batches_by_epoch(&town);
    let running = start_agent(&school);
    wait_until("a batch more", || batches_by_epoch(&town) != before);
    end(running);
}

#[test]
fn a_cut_at_the_end_is_found_by_a_report_that_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (agent, _) = measured(folder);
    let report = json(folder, &["collector", "report", "--json"], 0);
    let head = &report["chains"][0];
    assert_eq!(
        (&head["agent"], &head["sequence"]),
        (&Json::from(agent.as_str()), &Json::from(5))
    );
    let printed = stdout(&run(folder, &["collector", "report", "--lang", "en"]));
    assert!(
        printed.contains(head["hash"].as_str().unwrap()),
        "{printed}"
    );
    fs::write(folder.join("report.json"), report.to_string()).unwrap();
    json(folder, &["collector", "store", "compact", "--json"], 0);
    let against = ["--against", "report.json", "--json"];
    let check = [&["collector", "store", "check"][..], &against].concat();
    assert_eq!(json(folder, &check, 0)["cut"], serde_json::json!([]));

    let without = tempfile::tempdir().unwrap();
    let without = without.path();
    measured(without);
    let file = rusqlite::Connection::open(without.join("data/store.db")).unwrap();
    file.execute("DELETE FROM tail WHERE sequence = 5", [])
        .unwrap();
    let alone = json(without, &["collector", "store", "check", "--json"], 0);
    assert_eq!(alone["holds"], true, "by itself it cannot be seen");
    fs::copy(folder.join("report.json"), without.join("report.json")).unwrap();
    let found = json(without, &check, 1);
    assert_eq!(found["cut"][0], *head);
}

#[test]
fn what_is_older_than_it_is_kept_is_pruned_by_command_and_everything_says_so() {
    const KNOWN: &str = "NW-100001/main";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let output = run(folder, &["collector", "init"]);
    assert!(output.status.success(), "{}", stderr(&output));
    // The first command makes the keys.
    assert!(run(folder, &["collector", "agents"]).status.success());
    let key = fs::read(folder.join("data/keys/receipts.pk8")).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(&key).unwrap();
    let collector = CollectorId::of_key(key.public_key().as_ref());
    // Tuesday, 4 March 2025, 10:00 in Germany: an hour without a break.
    let begin = 1_741_078_800_000;
    let (agent, public_key) = measured_at(folder, KNOWN, &collector, begin);
    json(folder, &["collector", "store", "compact", "--json"], 0);

    let prune = ["collector", "store", "prune", "--json"];
    let refused = |why: &str| {
        let output = run(folder, &prune);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    };
    refused("keeps samples for ever");
    let config = fs::read_to_string(folder.join("collector.toml")).unwrap();
    let keep = |line: &str| {
        let config = format!("{config}\n[retention]\n{line}\n");
        fs::write(folder.join("collector.toml"), config).unwrap();
    };
    keep("raw_days = 399");
    refused("raw_days = 399 is too few");
    keep("raw_day = 400");
    refused("did you mean `raw_days`");
    keep("raw_days = 36_500");
    assert_eq!(json(folder, &prune, 0)["removed"]["segments"], 0);
    keep("raw_days = 400");
    let found = json(folder, &[&prune[..], &["--dry-run"]].concat(), 0);
    assert_eq!(found["prunable"]["samples"], 25);
    let series = ["collector", "series", KNOWN, "--json"];
    assert_eq!(json(folder, &series, 0)[0]["values"], 25, "nothing is gone");
    assert_eq!(json(folder, &prune, 0)["removed"]["samples"], 25);

    let checked = json(folder, &["collector", "store", "check", "--json"], 0);
    let of_agent = &checked["agents"][0];
    assert_eq!(
        (&of_agent["batches"], &of_agent["pruned"]),
        (&Json::from(5), &Json::from(25))
    );
    let seen = &json(folder, &series, 0)[0];
    assert_eq!(
        (&seen["values"], &seen["pruned"]),
        (&Json::from(0), &Json::from(25))
    );
    let times = [begin - 3_600_000, begin + 7_200_000].map(|at| at.to_string());
    let samples = [
        "collector",
        "samples",
        KNOWN,
        "line.rtt",
        "--from",
        &times[0],
        "--to",
        &times[1],
        "--json",
    ];
    let rolled = json(folder, &samples, 0);
    let counts = rolled.as_array().unwrap().iter();
    let count: u64 = counts.map(|one| one["count"].as_u64().unwrap()).sum();
    assert_eq!(count, 25, "{rolled}");
    let take = [
        "collector",
        "batch",
        KNOWN,
        agent.as_str(),
        "1",
        "3",
        "--out",
        "bare.json",
        "--json",
    ];
    assert_eq!(json(folder, &take, 0)["header_alone"], true);
    let verify = [
        "batch",
        "verify",
        "bare.json",
        "--key",
        &public_key,
        "--json",
    ];
    let verified = json(folder, &verify, 0);
    assert_eq!(
        (&verified["signature"], &verified["root"]),
        (&Json::from("holds"), &Json::from("pruned"))
    );
    let trend = run(
        folder,
        &["collector", "trend", "--months", "120", "--lang", "en"],
    );
    assert!(
        stdout(&trend).contains("rest on hourly roll-ups"),
        "{}",
        stdout(&trend)
    );
}
