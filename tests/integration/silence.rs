//! Agents that fall silent: a dead agent is told from a dead line, and what is missing is told.

use std::path::Path;
use std::time::{Duration, Instant};

use messnetz::lab::Namespace;
use messnetz::store::{SqliteStore, Store as _};
use messnetz::wire::CollectorId;
use messnetz::wire::batch::{Batch, Link};
use messnetz_metric::UnixMillis;
use serde_json::Value;

use crate::lab::enter;
use crate::program::{RunningCollector, messnetz, run, stderr, stdout, write_config};

const HOUR_MS: i64 = 3_600_000;

fn json(folder: &Path, arguments: &[&str]) -> (Value, Option<i32>) {
    let output = run(folder, &[&["collector"], arguments, &["--json"]].concat());
    let said = serde_json::from_slice(&output.stdout);
    (
        said.unwrap_or_else(|_| panic!("{}", stderr(&output))),
        output.status.code(),
    )
}

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("data/store.db")).unwrap()
}

/// An empty batch of the agent of a site, as if it had come so long ago.
fn heard(store: &SqliteStore, site: &str, number: (u64, u64), hours_ago: i64) {
    let agents = store.agents().unwrap();
    let agent = agents.iter().find(|agent| agent.site == site).unwrap();
    let mut link = Link {
        collector: CollectorId::of_key(&[1; 32]),
        agent: agent.id.clone(),
        site: site.to_owned(),
        epoch: number.0,
        sequence: 1,
        previous: None,
    };
    if number.1 > 1 {
        link.previous = Some(Batch::new(&link, &[]).unwrap().hash());
        link.sequence = number.1;
    }
    let now = messnetz::clock::now().0;
    let at = UnixMillis(now - hours_ago * HOUR_MS);
    let batch = Batch::new(&link, &[]).unwrap();
    store.store_batch(&batch, at).unwrap();
}

/// The town hall and a school with a cable between them.
fn town() -> (Namespace, Namespace) {
    let lab = enter();
    let [hall, school] = ["hall", "school"].map(|name| lab.namespace(name).unwrap());
    Namespace::cable((&hall, "out"), (&school, "in")).unwrap();
    hall.ip("addr add 10.1.0.1/24 dev out\nlink set out up\nlink set lo up\n")
        .unwrap();
    school
        .ip("addr add 10.1.0.2/24 dev in\nlink set in up\n")
        .unwrap();
    (hall, school)
}

#[test]
fn a_dead_agent_is_told_from_a_dead_line_and_where_nobody_can_look_that_is_said() {
    let (hall, _school) = town();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Nobody has 10.1.0.3; nobody listens on the port of 10.1.0.2, whose host refuses.
    let reach = "[reach]\n\"XX-100001/main\" = \"10.1.0.2\"\n\"XX-100002/main\" = \"10.1.0.3\"\n";
    let addresses = "agents = \"127.0.0.1:8443\"\ndashboard = \"127.0.0.1:0\"\n";
    write_config(folder, &format!("{addresses}{reach}"));
    let collector = RunningCollector::start(folder, Some(&hall));
    let sites = ["XX-100001/main", "XX-100002/main", "XX-100003/main"];
    for site in sites {
        let ticket = collector.ticket(site).to_string();
        let state = site.replace('/', "-");
        let enrol = messnetz(folder, &["agent", "enrol", &ticket, "--state", &state]);
        let output = hall.command(enrol).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    drop(collector);
    let store = open(folder);
    heard(&store, sites[0], (1, 1), 25);
    heard(&store, sites[1], (1, 1), 24 * 8);
    drop(store);

    let _collector = RunningCollector::start(folder, Some(&hall));
    let end = Instant::now() + Duration::from_mins(1);
    let agents = loop {
        let (agents, _) = json(folder, &["agents"]);
        let words = [0, 1].map(|index| agents[index]["line"]["reason"] == "not-asked");
        if words == [false, false] {
            break agents;
        }
        assert!(Instant::now() < end, "{agents}");
        std::thread::sleep(Duration::from_millis(100));
    };
    let told: Vec<_> = agents
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&agent["liveness"]), text(&agent["line"]["word"]))
        })
        .collect();
    let expected = [
        ("at-risk", "answers"),
        ("lost", "silent"),
        ("never", "not-available"),
    ];
    assert_eq!(told, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let said = stdout(&run(folder, &["collector", "agents"]));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains("at risk; last batch"), "{said}");
    assert!(lines[0].contains("agent silent, line answers"), "{said}");
    assert!(lines[1].contains("lost; last batch"), "{said}");
    assert!(lines[1].contains("line does not answer"), "{said}");
    assert!(lines[2].contains("nothing ever came"), "{said}");
    assert!(
        lines[2].contains("view not available: no address"),
        "{said}"
    );
}

#[test]
fn what_an_agent_never_sent_is_told_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let port = crate::doors::free_port();
    write_config(
        folder,
        &format!("agents = \"127.0.0.1:{port}\"\ndashboard = \"127.0.0.1:0\"\n"),
    );
    let collector = RunningCollector::start(folder, None);
    let site = "XX-100001/main";
    let ticket = collector.ticket(site).to_string();
    let output = run(folder, &["agent", "enrol", &ticket, "--state", "agent"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let store = open(folder);
    let agent = store.agents().unwrap()[0].id.to_string();
    let (gaps, code) = json(folder, &["gaps", &agent]);
    assert_eq!((&gaps["gaps"], code), (&Value::Array(Vec::new()), Some(0)));
    for (number, hours_ago) in [((1, 1), 9), ((1, 4), 7), ((2, 1), 8)] {
        heard(&store, site, number, hours_ago);
    }
    let (gaps, code) = json(folder, &["gaps", &agent]);
    assert_eq!(code, Some(1), "{gaps}");
    let gap = &gaps["gaps"][0];
    assert_eq!(
        (&gap["from"], &gap["to"]),
        (&Value::from(2), &Value::from(3))
    );
    assert_eq!(gaps["gaps"].as_array().unwrap().len(), 1, "{gaps}");
    assert_eq!(gaps["epochs"][0]["beside_a_later"], true, "{gaps}");
    let said = stdout(&run(folder, &["collector", "gaps", &agent]));
    assert!(said.contains("numbers 2 to 3 are missing"), "{said}");
    let (agents, _) = json(folder, &["agents"]);
    assert_eq!(agents[0]["gaps"], 1, "{agents}");
    assert_eq!(agents[0]["missing"], 2, "{agents}");
    assert_eq!(agents[0]["liveness"], "live", "{agents}");
    let page = |lang: &str| crate::doors::get(&collector, &format!("/?lang={lang}"), &[]).1;
    assert!(page("en").contains("one gap (2 batches missing)"));
    assert!(page("de").contains("eine Lücke (2 Lieferungen fehlen)"));
}
