//! An agent that sends more than it may is sent away, and loses nothing.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::doors::free_port;
use crate::program::{RunningCollector, messnetz, run, stderr, write_config};

const SITE: &str = "XX-100001/main";

/// A collector for an agent that measures and uploads many times a second.
fn configure(town: &Path, port: u16, quota: &str) {
    let schedule =
        "[schedule]\nupload_every_ms = 100\n[[schedule.task]]\nprobe = \"http\"\nevery_ms = 100\n";
    let addresses = format!("agents = \"127.0.0.1:{port}\"\ndashboard = \"127.0.0.1:0\"\n");
    write_config(town, &format!("{addresses}{quota}{schedule}"));
}

fn sequences(store: &rusqlite::Connection) -> Vec<i64> {
    let mut statement = store
        .prepare("SELECT first, last FROM run ORDER BY first")
        .unwrap();
    let runs = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let runs: Vec<(i64, i64)> = runs.unwrap().collect::<Result<_, _>>().unwrap();
    runs.into_iter()
        .flat_map(|(first, last)| first..=last)
        .collect()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_agent_beyond_its_quota_is_told_when_to_come_again_heeds_it_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (town, school) = (folder.path().join("town"), folder.path().join("school"));
    fs::create_dir(&school).unwrap();
    let port = free_port();
    configure(&town, port, "[quota]\nbatches_a_day = 1\n");
    let collector = RunningCollector::start(&town, None);
    let ticket = collector.ticket(SITE).to_string();
    let enrolled = run(&school, &["agent", "enrol", &ticket, "--state", "agent"]);
    assert!(enrolled.status.success(), "{}", stderr(&enrolled));
    let store = rusqlite::Connection::open(town.join("data/store.db")).unwrap();

    let work = || {
        let log = fs::File::create(school.join("log")).unwrap();
        messnetz(&school, &["agent", "run", "--state", "agent"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    };
    let log = || fs::read_to_string(school.join("log")).unwrap();
    let mut agent = work();
    wait_until("a refusal", || log().contains("429"));
    // It keeps measuring, and does not ask again: its pause is an hour at least.
    std::thread::sleep(Duration::from_secs(3));
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(log().matches("429").count(), 1, "{}", log());
    assert_eq!(sequences(&store).len(), 30);
    drop(collector);

    configure(&town, port, "");
    let _collector = RunningCollector::start(&town, None);
    let mut agent = work();
    wait_until("what waited", || sequences(&store).len() > 31);
    agent.kill().unwrap();
    agent.wait().unwrap();
    let taken = sequences(&store);
    let expected: Vec<i64> = (1..).take(taken.len()).collect();
    assert_eq!(taken, expected, "each once, and none is missing");
}
