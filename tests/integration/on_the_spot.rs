//! A second endpoint inside a school: what LAN and Wi-Fi carry, without the line.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use messnetz::lab::{Lab, Namespace};
use messnetz::store::{SqliteStore, Store as _};
use messnetz_metric::UnixMillis;
use serde_json::Value;

use crate::lab::enter;
use crate::program::{RunningCollector, messnetz, stderr, stdout, write_config};
use crate::quiet::quiet;

/// What the two networks of the school carry at most, in Mbit/s.
const TEACHING: f64 = 200.0;
const GUESTS: f64 = 50.0;

/// Two networks of one box, each tested each way, all against the endpoint of its site; and a watch beside.
const SCHEDULE: &str = r#"
agents = "127.0.0.1:8443"
dashboard = "127.0.0.1:0"

[schedule]
upload_every_ms = 500

[[schedule.task]]
probe = "iperf3"
interface = "teach0"
direction = "down"
duration_ms = 1_000
every_ms = 8_000

[[schedule.task]]
probe = "iperf3"
interface = "guest0"
direction = "up"
duration_ms = 1_000
every_ms = 8_000
phase_ms = 4_000

[[schedule.task]]
probe = "stamp"
count = 2
interval_ms = 500
every_ms = 2_000

[[schedule.task]]
probe = "http"
every_ms = 500
"#;

/// A school with two networks, and a machine behind both that has one address, 10.0.9.9.
fn two_networks(lab: &Lab) -> (Namespace, Namespace) {
    let (school, server) = (
        lab.namespace("school").unwrap(),
        lab.namespace("server").unwrap(),
    );
    for (network, rate, name) in [(1, TEACHING, "teach0"), (2, GUESTS, "guest0")] {
        Namespace::cable((&school, name), (&server, name)).unwrap();
        school
            .ip(&format!("addr add 10.0.{network}.1/24 dev {name}\n"))
            .unwrap();
        server
            .ip(&format!("addr add 10.0.{network}.2/24 dev {name}\n"))
            .unwrap();
        // The only address of the endpoint lies behind both networks.
        school
            .ip(&format!(
                "route add 10.0.9.9/32 via 10.0.{network}.2 metric {network}\n"
            ))
            .unwrap();
        for place in [&school, &server] {
            let shape =
                format!("qdisc add dev {name} root tbf rate {rate}mbit burst 64kb latency 50ms\n");
            place.tc(&shape).unwrap();
        }
    }
    server.ip("addr add 10.0.9.9/32 dev lo\n").unwrap();
    // What came in by one network may be answered by the other: the box has two on purpose.
    for (place, names) in [
        (&school, ["teach0", "guest0"]),
        (&server, ["teach0", "guest0"]),
    ] {
        for name in ["all"].into_iter().chain(names) {
            place
                .sysctl(&format!("net/ipv4/conf/{name}/rp_filter"), "0")
                .unwrap();
        }
    }
    (school, server)
}

/// The endpoint is what a school has: a machine that serves, behind the cables of both networks.
#[test]
fn an_agent_measures_each_of_its_networks_against_the_endpoint_of_its_site() {
    let _quiet = quiet();
    let lab = enter();
    let (school, server) = two_networks(&lab);
    let folder = tempfile::tempdir().unwrap();
    let mut serve = messnetz(
        folder.path(),
        &["serve", "--listen", "0.0.0.0", "--plain", "--json"],
    );
    serve.stdout(Stdio::null());
    let serving = server.spawn(serve).unwrap();

    write_config(folder.path(), SCHEDULE);
    let sites = folder.path().join("authority.toml");
    let authority = fs::read_to_string(&sites).unwrap();
    let first = "id = \"main\"\n";
    let authority = authority.replacen(first, &format!("{first}endpoint = \"10.0.9.9\"\n"), 1);
    fs::write(&sites, authority).unwrap();
    let collector = RunningCollector::start(folder.path(), Some(&school));
    let ticket = collector.ticket("XX-100001/main").to_string();
    let enrolled = messnetz(
        folder.path(),
        &["agent", "enrol", &ticket, "--state", "agent"],
    );
    let enrolled = school.command(enrolled).output().unwrap();
    assert!(enrolled.status.success(), "{}", stderr(&enrolled));
    // The endpoint lies in no network of the agent's own.
    let limits = "[every_ms]\ntests = 8_000\n[targets]\nnetworks = [\"10.0.9.9/32\"]\n";
    fs::write(folder.path().join("limits.toml"), limits).unwrap();
    let mut agent = messnetz(
        folder.path(),
        &[
            "agent",
            "run",
            "--state",
            "agent",
            "--limits",
            "limits.toml",
        ],
    );
    agent.stderr(Stdio::null());
    let agent = school.spawn(agent).unwrap();

    let store = SqliteStore::open(&folder.path().join("data/store.db")).unwrap();
    let ever = UnixMillis(0)..=UnixMillis(i64::MAX);
    let all = || {
        store
            .series_of_site("XX-100001/main", ever.clone())
            .unwrap()
    };
    let median = |metric: &str, interface: &str| -> Option<f64> {
        let mut values: Vec<f64> = all()
            .iter()
            .filter(|one| one.metric.to_string() == metric)
            .filter(|one| one.vantage.interface.as_deref() == Some(interface))
            .flat_map(|one| {
                one.samples
                    .iter()
                    .map(|(_, value)| value.number() as f64 / 1e6)
            })
            .collect();
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then(|| values.swap_remove(values.len() / 2))
    };
    // Between the tests the watch goes on, though each test cuts it short.
    let watched = || -> usize {
        let all = all();
        let losses = all
            .iter()
            .filter(|one| one.metric.to_string() == "line.loss.up");
        let values = losses.flat_map(|one| &one.samples);
        values.filter(|(_, value)| value.number() == 0).count()
    };
    let end = Instant::now() + Duration::from_mins(1);
    let (down, up) = loop {
        let found = (median("lan.down", "teach0"), median("lan.up", "guest0"));
        if let (Some(down), Some(up)) = found
            && watched() > 0
        {
            break (down, up);
        }
        assert!(
            Instant::now() < end,
            "only {found:?} and {} of the watch arrived",
            watched()
        );
        std::thread::sleep(Duration::from_millis(200));
    };
    // The box answers through its own networks, so each test met the one that it was bound to.
    assert!((GUESTS * 1.1..TEACHING).contains(&down), "{down} Mbit/s");
    assert!((GUESTS * 0.5..GUESTS).contains(&up), "{up} Mbit/s");
    for mut child in [agent, serving] {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A cable that is pulled: every test that runs ends in a reason, long before anybody would kill it.
#[test]
fn an_interface_that_goes_down_during_a_test_ends_it_with_a_reason() {
    let _quiet = quiet();
    let lab = enter();
    let (school, server) = (
        lab.namespace("pulled").unwrap(),
        lab.namespace("far").unwrap(),
    );
    Namespace::cable((&school, "uplink0"), (&server, "uplink0")).unwrap();
    school.ip("addr add 10.0.1.1/24 dev uplink0\n").unwrap();
    server.ip("addr add 10.0.1.2/24 dev uplink0\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut serve = messnetz(
        folder.path(),
        &["serve", "--listen", "0.0.0.0", "--plain", "--json"],
    );
    serve.stdout(Stdio::piped());
    let mut serving = server.spawn(serve).unwrap();
    let mut first = String::new();
    let mut said = BufReader::new(serving.stdout.take().unwrap());
    said.read_line(&mut first).unwrap();

    let probes: [&[&str]; 5] = [
        &[
            "icmp",
            "10.0.1.2",
            "-c",
            "40",
            "-i",
            "0.1",
            "--timeout",
            "1",
        ],
        &[
            "stamp",
            "10.0.1.2:8862",
            "-c",
            "40",
            "-i",
            "0.1",
            "--timeout",
            "1",
        ],
        &["iperf3", "10.0.1.2", "--time", "4"],
        &["iperf3", "10.0.1.2", "--time", "4", "--reverse"],
        &["ndt7", "10.0.1.2:4443", "--plain", "--time", "4"],
    ];
    for probe in probes {
        let all = [&["probe"], probe, &["--json"]].concat();
        let mut command = messnetz(folder.path(), &all);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = school.spawn(command).unwrap();
        std::thread::sleep(Duration::from_millis(1_500));
        school.ip("link set uplink0 down\n").unwrap();
        let pulled = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!(
            pulled.elapsed() < Duration::from_secs(30),
            "{probe:?}: {:?}",
            pulled.elapsed()
        );
        let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
        if probe[0] == "icmp" {
            // What this machine could not send is counted, and is no loss of the network's.
            let unsent = told["report"]["unsent"].as_u64();
            assert!(unsent > Some(0), "{told}");
            assert_eq!(told["report"]["sent"], told["report"]["received"], "{told}");
        } else {
            assert_eq!(output.status.code(), Some(1), "{told}");
            // The download of ndt7 counts what came until its end; the upload finds no way out any more.
            let ended = told["tests"].get(1).unwrap_or(&told);
            let reason = ended["failure"]["reason"].as_str().unwrap_or_default();
            let reasons = ["timeout", "unreachable", "interface"];
            assert!(reasons.contains(&reason), "{probe:?}: {told}");
        }
        school.ip("link set uplink0 up\n").unwrap();
    }
    let _ = serving.kill();
    let _ = serving.wait();
}
