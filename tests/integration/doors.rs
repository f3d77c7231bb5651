//! Who gets in, what is lost, and what wrong input is told.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use messnetz::store::{SqliteStore, Store as _};
use messnetz_metric::{FailureReason, UnixMillis};

use crate::program::{RunningCollector, messnetz, run, stderr, stdout, write_config};

pub(crate) const SITE: &str = "XX-100001/main";

const EVER: RangeInclusive<UnixMillis> = UnixMillis(0)..=UnixMillis(i64::MAX);

/// A free port of loopback, for TCP and UDP alike.
pub(crate) fn free_port() -> u16 {
    // Each port is given out once, and from below those that Linux gives to connections by itself:
    // otherwise somebody could take it before the collector does.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 20_000 + (std::process::id() % 100) as u16 * 100;
    loop {
        let port = begin + NEXT.fetch_add(1, Ordering::Relaxed);
        let is_free = TcpListener::bind(("127.0.0.1", port)).is_ok()
            && std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok();
        if is_free {
            return port;
        }
    }
}

/// A schedule that measures something that needs no rights, often.
pub(crate) const SCHEDULE: &str =
    "[schedule]\nupload_every_ms = 100\n[[schedule.task]]\nprobe = \"http\"\nevery_ms = 100\n";

pub(crate) fn collector_in(directory: &std::path::Path, port: u16) -> RunningCollector {
    write_config(
        directory,
        &format!("agents = \"127.0.0.1:{port}\"\ndashboard = \"127.0.0.1:0\"\n{SCHEDULE}"),
    );
    RunningCollector::start(directory, None)
}

pub(crate) fn start_agent(directory: &std::path::Path) -> Child {
    messnetz(directory, &["agent", "run", "--state", "agent"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits until `condition` holds; the tests look at states, never at the clock.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn status(directory: &std::path::Path) -> serde_json::Value {
    let output = run(
        directory,
        &["agent", "status", "--state", "agent", "--json"],
    );
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)))
}

#[test]
fn measurements_wait_in_the_spool_while_the_collector_is_away_and_arrive_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (town, school) = (folder.path().join("town"), folder.path().join("school"));
    fs::create_dir(&school).unwrap();
    let port = free_port();
    let collector = collector_in(&town, port);
    let ticket = collector.ticket(SITE).to_string();
    let enrolled = run(&school, &["agent", "enrol", &ticket, "--state", "agent"]);
    assert!(enrolled.status.success(), "{}", stderr(&enrolled));
    drop(collector);

    let agent = start_agent(&school);
    wait_until("a measurement in the spool", || {
        status(&school)["waiting_observations"].as_u64() > Some(5)
    });
    end(agent);

    let collector = RunningCollector::start(&town, None);
    let agent = start_agent(&school);
    // That the collector was away is itself an observation. The spool is empty for a moment between any two
    // batches, so it is what arrived that is looked at.
    let path = town.join("data/store.db");
    let stored = SqliteStore::open(&path).unwrap();
    wait_until("what was measured meanwhile", || {
        let series = stored.series_of_site(SITE, EVER).unwrap();
        let failures = series.iter().flat_map(|series| &series.failures);
        failures
            .filter(|(_, failure)| failure.reason == FailureReason::Refused)
            .count()
            > 5
    });
    end(agent);
    let batches: Vec<i64> = rusqlite::Connection::open(&path)
        .unwrap()
        .prepare("SELECT sequence FROM tail ORDER BY sequence")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let expected: Vec<i64> = (1..).take(batches.len()).collect();
    assert_eq!(batches, expected, "batches arrive once each, without gaps");
    drop(collector);
}

/// A collector in `town` and an enrolled agent's directory in `school`.
pub(crate) fn enrolled(
    folder: &std::path::Path,
) -> (RunningCollector, std::path::PathBuf, std::path::PathBuf) {
    let (town, school) = (folder.join("town"), folder.join("school"));
    fs::create_dir(&school).unwrap();
    let collector = collector_in(&town, free_port());
    let ticket = collector.ticket(SITE).to_string();
    let output = run(&school, &["agent", "enrol", &ticket, "--state", "agent"]);
    assert!(output.status.success(), "{}", stderr(&output));
    (collector, town, school)
}

/// The batches that a collector took, by epoch.
pub(crate) fn batches_by_epoch(town: &std::path::Path) -> Vec<(i64, i64)> {
    rusqlite::Connection::open(town.join("data/store.db"))
        .unwrap()
        .prepare("SELECT epoch, count(*) FROM tail GROUP BY epoch ORDER BY epoch")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Makes the spool that an agent would make when it first runs.
pub(super) fn make_spool(school: &Path) {
    let now = messnetz::clock::now();
    messnetz::agent::Spool::open(&school.join("agent/spool.db"), now).unwrap();
}

#[test]
fn one_refused_batch_does_not_hold_up_the_later_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (_collector, town, school) = enrolled(folder.path());
    make_spool(&school);
    assert_eq!(status(&school)["refused_batches"], 0);
    rusqlite::Connection::open(school.join("agent/spool.db"))
        .unwrap()
        .execute("INSERT INTO sealed VALUES (1, 1, x'00')", [])
        .unwrap();
    let agent = start_agent(&school);
    wait_until("a batch at the collector", || {
        !batches_by_epoch(&town).is_empty()
    });
    end(agent);
    let status = status(&school);
    assert_eq!(status["refused_batches"], 1, "{status}");
    assert_eq!(status["refused_batches_kept"], 1, "{status}");
}

#[test]
fn a_second_agent_in_the_same_directory_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (_collector, town, school) = enrolled(folder.path());
    let agent = start_agent(&school);
    wait_until("an agent at work", || !batches_by_epoch(&town).is_empty());
    let second = run(&school, &["agent", "run", "--state", "agent"]);
    end(agent);
    assert_eq!(second.status.code(), Some(2));
    let said = stderr(&second);
    assert!(said.contains("in use by another process"), "{said}");
}

#[test]
fn a_ticket_lets_one_agent_in_and_no_second() {
    let folder = tempfile::tempdir().unwrap();
    let collector = collector_in(folder.path(), free_port());
    let ticket = collector.ticket(SITE).to_string();
    let first = run(
        folder.path(),
        &["agent", "enrol", &ticket, "--state", "first"],
    );
    assert!(first.status.success(), "{}", stderr(&first));
    let second = run(
        folder.path(),
        &["agent", "enrol", &ticket, "--state", "second"],
    );
    assert_eq!(second.status.code(), Some(2));
    assert!(
        stderr(&second).contains("this ticket was used already"),
        "{}",
        stderr(&second)
    );
    let again = run(
        folder.path(),
        &["agent", "enrol", &ticket, "--state", "first"],
    );
    assert!(
        stderr(&again).contains("is enrolled already"),
        "{}",
        stderr(&again)
    );
    let agents = run(folder.path(), &["collector", "agents"]);
    assert_eq!(stdout(&agents).lines().count(), 1);
}

#[test]
fn an_agent_whose_numbers_came_twice_is_shown_as_forked() {
    let folder = tempfile::tempdir().unwrap();
    let collector = collector_in(folder.path(), free_port());
    let ticket = collector.ticket(SITE).to_string();
    let enrolled = run(
        folder.path(),
        &["agent", "enrol", &ticket, "--state", "agent"],
    );
    assert!(enrolled.status.success(), "{}", stderr(&enrolled));
    let agents = || stdout(&run(folder.path(), &["collector", "agents"]));
    assert!(!agents().contains("FORKED"), "{}", agents());

    let store = SqliteStore::open(&folder.path().join("data/store.db")).unwrap();
    for key in [[1; 32], [2; 32]] {
        let link = messnetz::wire::batch::Link {
            collector: messnetz::wire::CollectorId::of_key(&key),
            agent: store.agents().unwrap()[0].id.clone(),
            site: SITE.to_owned(),
            epoch: 1,
            sequence: 1,
            previous: None,
        };
        let batch = messnetz::wire::batch::Batch::new(&link, &[]).unwrap();
        let now = UnixMillis(1);
        store.store_batch(&batch, now).unwrap();
    }
    assert!(agents().contains("FORKED once"), "{}", agents());
    let json = run(folder.path(), &["collector", "agents", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json[0]["forks"], 1);
}

#[test]
fn a_dashboard_socket_that_was_not_inherited_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), "agents = \"127.0.0.1:0\"");
    for (socket, complaint) in [("2", "3.."), ("99", "inherited socket 99")] {
        let arguments = ["collector", "run", "--dashboard-socket", socket];
        let output = run(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        assert!(said.contains(complaint), "{said}");
    }
}

#[test]
fn an_agent_does_not_speak_to_a_collector_with_another_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (real, false_one) = (folder.path().join("real"), folder.path().join("false"));
    let port = free_port();
    let collector = collector_in(&real, port);
    let ticket = collector.ticket(SITE).to_string();
    drop(collector);
    let _false_one = collector_in(&false_one, port);
    let output = run(
        folder.path(),
        &["agent", "enrol", &ticket, "--state", "agent"],
    );
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("another collector answers"), "{said}");
}

#[test]
fn a_second_collector_on_the_same_port_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let _first = collector_in(&folder.path().join("first"), port);
    let second = folder.path().join("second");
    write_config(
        &second,
        &format!("agents = \"127.0.0.1:{port}\"\ndashboard = \"127.0.0.1:0\""),
    );
    let output = run(&second, &["collector", "run"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains(&format!("listening for agents on 127.0.0.1:{port}")),
        "{said}"
    );
    assert!(said.contains("perhaps a second collector"), "{said}");
}

#[test]
fn a_dashboard_beyond_loopback_needs_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "agents = \"127.0.0.1:{}\"\ndashboard = \"0.0.0.0:0\"",
        free_port()
    );
    write_config(folder.path(), &config);
    let output = run(folder.path(), &["collector", "run"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("messnetz collector token"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn with_a_token_set_nobody_sees_the_dashboard_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "agents = \"127.0.0.1:{}\"\ndashboard = \"127.0.0.1:0\"",
        free_port()
    );
    write_config(folder.path(), &config);
    let token = stdout(&run(folder.path(), &["collector", "token"]));
    let token = token.lines().next().unwrap();
    let collector = RunningCollector::start(folder.path(), None);
    assert_eq!(status_of(&collector, "/", &[]), 401);
    assert_eq!(status_of(&collector, "/api/v1/report", &[]), 401);
    assert_eq!(
        status_of(
            &collector,
            "/",
            &[&format!("Authorization: Bearer {token}")]
        ),
        200
    );
    // Another one counts without a restart, and ends this one.
    let next = stdout(&run(folder.path(), &["collector", "token"]));
    let next = format!("Authorization: Bearer {}", next.lines().next().unwrap());
    wait_until("the next token", || {
        status_of(&collector, "/", &[&next]) == 200
    });
    let ended = format!("Authorization: Bearer {token}");
    assert_eq!(status_of(&collector, "/", &[&ended]), 401);
    let stored = fs::read(folder.path().join("data/store.db")).unwrap();
    assert!(
        !stored
            .windows(token.len())
            .any(|window| window == token.as_bytes())
    );
}

#[test]
fn a_page_from_elsewhere_cannot_make_a_browser_read_the_dashboard() {
    let folder = tempfile::tempdir().unwrap();
    let collector = collector_in(folder.path(), free_port());
    assert_eq!(status_of(&collector, "/", &["Host: evil.example"]), 403);
    assert_eq!(status_of(&collector, "/", &[]), 200);
}

#[test]
fn the_dashboard_needs_nothing_from_elsewhere_and_shows_no_markup_of_the_site_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "agents = \"127.0.0.1:{}\"\ndashboard = \"127.0.0.1:0\"",
        free_port()
    );
    write_config(folder.path(), &config);
    let path = folder.path().join("authority.toml");
    let authority = fs::read_to_string(&path).unwrap();
    let hostile = authority.replace("Gymnasium Nord", "<script>alert(1)</script>");
    fs::write(&path, hostile).unwrap();
    let collector = RunningCollector::start(folder.path(), None);
    let (status, page) = get(&collector, "/?lang=en", &[]);
    assert_eq!(status, 200);
    assert!(page.contains("no data"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    for reference in ["src=\"http", "href=\"http", "url(", "@import"] {
        assert!(!page.contains(reference), "the page asks for {reference}");
    }
}

#[test]
fn the_dashboard_shows_what_is_stated_and_counts_what_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let collector = collector_in(folder.path(), free_port());
    for (language, parts) in [
        (
            "de",
            [
                "Bestand: 1 erfüllt, 1 nicht erfüllt, 1 ohne Daten.",
                "Schulausschuss",
                "In einem Fall (Ziel und Schule) hat niemand etwas zum Bestand angegeben",
            ],
        ),
        (
            "en",
            [
                "Inventory: 1 met, 1 missed, 1 without data.",
                "Schulausschuss",
                "In one case (target and school) nobody has stated anything",
            ],
        ),
    ] {
        let (status, page) = get(&collector, &format!("/?lang={language}"), &[]);
        assert_eq!(status, 200);
        for part in parts {
            assert!(page.contains(part), "{part}\n{page}");
        }
    }
}

#[test]
fn misspelt_keys_are_named_with_file_line_and_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.toml");
    let authority = messnetz::demo::AUTHORITY.replacen("classes = 12", "clases = 12", 1);
    let line = 1 + authority
        .lines()
        .position(|line| line.contains("clases"))
        .unwrap();
    fs::write(&file, authority).unwrap();
    let output = run(folder.path(), &["sites", "check", "authority.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains(&format!("authority.toml:{line}:")), "{said}");
    assert!(said.contains("did you mean `classes`"), "{said}");
}

#[test]
fn garbage_and_silence_at_the_agents_door_do_not_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let collector = collector_in(folder.path(), port);
    let _silent: Vec<TcpStream> = (0..50)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    let mut loud = TcpStream::connect(("127.0.0.1", port)).unwrap();
    loud.write_all(&[0x16; 4_000]).unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for length in 0..200 {
        udp.send_to(&vec![0xff; length], ("127.0.0.1", port))
            .unwrap();
    }
    let ticket = collector.ticket(SITE).to_string();
    let output = run(
        folder.path(),
        &["agent", "enrol", &ticket, "--state", "agent"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
}

fn status_of(collector: &RunningCollector, path: &str, headers: &[&str]) -> u16 {
    get(collector, path, headers).0
}

pub(crate) fn get(collector: &RunningCollector, path: &str, headers: &[&str]) -> (u16, String) {
    let address = collector
        .dashboard
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    let own_host = format!("Host: {address}");
    let host = if headers.iter().any(|header| header.starts_with("Host:")) {
        ""
    } else {
        &own_host
    };
    let lines: Vec<&str> = headers
        .iter()
        .copied()
        .chain([host])
        .filter(|line| !line.is_empty())
        .collect();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\n{}\r\nConnection: close\r\n\r\n",
        lines.join("\r\n")
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}
