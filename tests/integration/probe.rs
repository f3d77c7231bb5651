//! One measurement at a time, from the command line.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use messnetz::lab::Namespace;
use serde_json::Value;

use crate::lab::enter;
use crate::program::{RunningCollector, messnetz, stderr, stdout, write_config};
use crate::quiet::quiet;

const AGENTS: &str = "127.0.0.1:8443";

pub(crate) struct Place {
    pub(crate) namespace: Namespace,
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    /// What the program says in JSON, and its exit code.
    pub(crate) fn probe(&self, arguments: &[&str]) -> (Value, Option<i32>) {
        let (said, code) = self.say(&[arguments, &["--json"]].concat());
        (serde_json::from_str(&said).expect(&said), code)
    }

    pub(crate) fn say(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let all = [&["probe"], arguments].concat();
        let output = self
            .namespace
            .command(messnetz(self.folder.path(), &all))
            .output()
            .unwrap();
        let said = stdout(&output) + &stderr(&output);
        (said, output.status.code())
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[test]
fn each_probe_measures_against_a_collector_and_says_so_in_json() {
    let _quiet = quiet();
    let lab = enter();
    let place = Place {
        namespace: lab.namespace("here").unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    let lines = format!("agents = \"{AGENTS}\"\ndashboard = \"127.0.0.1:0\"");
    write_config(place.path(), &lines);
    let collector = RunningCollector::start(place.path(), Some(&place.namespace));
    let fingerprint = collector.ticket("XX-100001/main").fingerprint.to_string();

    let (echo, code) = place.probe(&["icmp", "127.0.0.1", "--count", "4"]);
    assert_eq!(code, Some(0), "{echo}");
    assert_eq!(echo["report"]["received"], 4, "{echo}");
    assert!(echo["report"]["rtt"]["median_us"].is_u64(), "{echo}");

    let (stamp, code) = place.probe(&["stamp", AGENTS, "--count", "5", "--interval", "0.01"]);
    assert_eq!(code, Some(0), "{stamp}");
    assert_eq!(stamp["report"]["lost_up"], 0, "{stamp}");
    assert!(stamp["report"]["sent"].as_u64() >= Some(5), "{stamp}");

    let (tcp, code) = place.probe(&["tcp", AGENTS, "--count", "2", "--interval", "0.05"]);
    assert_eq!(code, Some(0), "{tcp}");
    assert_eq!(tcp["succeeded"], 2, "{tcp}");

    let page = format!("https://{AGENTS}/v1/hello");
    let (http, code) = place.probe(&["http", &page, "--count", "1", "--fingerprint", &fingerprint]);
    assert_eq!(code, Some(0), "{http}");
    assert_eq!(http["attempts"][0]["report"]["status"], 200, "{http}");
    let (stranger, code) = place.probe(&["http", &page, "--count", "1"]);
    assert_eq!(code, Some(1), "{stranger}");
    assert_eq!(
        stranger["attempts"][0]["failure"]["reason"], "tls",
        "{stranger}"
    );

    let (ndt7, code) = place.probe(&["ndt7", AGENTS, "--time", "2", "--fingerprint", &fingerprint]);
    assert_eq!(code, Some(0), "{ndt7}");
    for (test, direction) in [(&ndt7["tests"][0], "down"), (&ndt7["tests"][1], "up")] {
        assert_eq!(test["direction"], direction, "{ndt7}");
        let report = &test["report"];
        let intervals = report["intervals"].as_array().unwrap();
        assert!(intervals.len() >= 2, "{ndt7}");
        let bytes = intervals.iter().map(|one| one["bytes"].as_u64().unwrap());
        assert_eq!(
            bytes.sum::<u64>(),
            report["bytes"].as_u64().unwrap(),
            "{ndt7}"
        );
    }
}

#[test]
fn what_cannot_be_reached_ends_with_1_and_what_cannot_be_tried_with_2() {
    let lab = enter();
    let place = Place {
        namespace: lab.namespace("nowhere").unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    let (refused, code) = place.probe(&["tcp", "127.0.0.1:1", "--count", "1"]);
    assert_eq!(code, Some(1), "{refused}");
    assert_eq!(
        refused["attempts"][0]["failure"]["reason"], "refused",
        "{refused}"
    );

    let (unreachable, code) = place.probe(&["icmp", "192.0.2.1", "--count", "1"]);
    assert_eq!(code, Some(1), "{unreachable}");
    assert_eq!(
        unreachable["failure"]["reason"], "unreachable",
        "{unreachable}"
    );

    let (said, code) = place.say(&["icmp", "127.0.0.1", "--interface", "eth99"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no interface 'eth99'; it has lo"), "{said}");

    let (said, code) = place.say(&["dns", "www.example.org", "--server", "127.0.0.1", "-c", "1"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("127.0.0.1:53"), "{said}");
}

#[test]
fn a_sweep_counts_who_answers_and_names_known_devices_only() {
    let lab = enter();
    let place = Place {
        namespace: lab.namespace("swept").unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    let (swept, code) = place.probe(&["sweep", "127.1.0.0/20", "--rate", "max"]);
    assert_eq!(code, Some(0), "{swept}");
    for (count, expected) in [
        ("targets", 4094),
        ("answered", 4094),
        ("sent", 4094),
        ("replies", 4094),
    ] {
        assert_eq!(swept["report"][count], expected, "{swept}");
    }
    assert!(!swept.to_string().contains("127.1.0.9"), "{swept}");

    // Half of these addresses lead nowhere.
    let networks = ["sweep", "127.1.0.8/30", "192.0.2.0/30", "--timeout", "0.1"];
    let known = [
        "--known",
        "127.1.0.9=printer",
        "--known",
        "192.0.2.2=switch-1",
    ];
    let (some, code) = place.probe(&[&networks[..], &known].concat());
    assert_eq!(code, Some(1), "{some}");
    let report = &some["report"];
    assert_eq!(
        (&report["targets"], &report["answered"]),
        (&4.into(), &2.into()),
        "{some}"
    );
    assert_eq!(
        (&report["sent"], &report["unsent"]),
        (&2.into(), &4.into()),
        "{some}"
    );
    let devices = report["known"].as_array().unwrap();
    let up: Vec<bool> = devices
        .iter()
        .map(|one| one["up"].as_bool().unwrap())
        .collect();
    assert_eq!(up, [true, false], "{some}");

    let (said, code) = place.say(&["sweep", "127.1.0.0/24", "--known", "10.0.0.1=ap-1"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("ap-1 (10.0.0.1) lies in none of the networks"),
        "{said}"
    );
}

/// `messnetz serve`, until it is dropped.
pub(crate) struct Serving {
    child: std::process::Child,
    said: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
}

impl Serving {
    pub(crate) fn start(place: &Place, arguments: &[&str]) -> (Self, Value) {
        let all = [&["serve", "--json"], arguments].concat();
        let mut command = messnetz(place.path(), &all);
        command.stdout(Stdio::piped());
        let mut child = place.namespace.spawn(command).unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = said.next().unwrap().unwrap();
        (Self { child, said }, serde_json::from_str(&first).unwrap())
    }

    pub(crate) fn next(&mut self) -> Value {
        serde_json::from_str(&self.said.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_served_machine_is_the_far_end_of_our_probes_and_of_stock_iperf3() {
    let _quiet = quiet();
    let lab = enter();
    let place = Place {
        namespace: lab.namespace("served").unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    let (mut serving, serves) = Serving::start(&place, &["--listen", "127.0.0.1"]);
    assert_eq!(serves["event"], "serves", "{serves}");
    let fingerprint = serves["fingerprint"].as_str().unwrap();

    let (ndt7, code) = place.probe(&[
        "ndt7",
        "127.0.0.1:4443",
        "--time",
        "1",
        "--fingerprint",
        fingerprint,
    ]);
    assert_eq!(code, Some(0), "{ndt7}");
    let (down, up) = (serving.next(), serving.next());
    assert_eq!(
        (&down["protocol"], &up["protocol"]),
        (&"ndt7".into(), &"ndt7".into())
    );
    assert!(
        down["down_bps"].as_u64() > Some(0) && up["up_bps"].as_u64() > Some(0),
        "{down} {up}"
    );

    let (stamp, code) = place.probe(&["stamp", "127.0.0.1:8862", "--count", "3", "-i", "0.01"]);
    assert_eq!(
        (code, &stamp["report"]["lost_down"]),
        (Some(0), &0.into()),
        "{stamp}"
    );

    let (iperf3, code) = place.probe(&["iperf3", "127.0.0.1", "--time", "1", "--reverse"]);
    assert_eq!(code, Some(0), "{iperf3}");
    let received = iperf3["report"]["down"]["received"]["bytes"]
        .as_u64()
        .unwrap();
    let sent = iperf3["report"]["down"]["sent"]["bytes"].as_u64().unwrap();
    assert!(received > 0 && received <= sent, "{iperf3}");
    assert_eq!(serving.next()["protocol"], "iperf3");

    let mut stock = std::process::Command::new("iperf3");
    stock.args(["-c", "127.0.0.1", "-t", "1", "-J"]);
    let output = place.namespace.command(stock).output().unwrap();
    assert!(output.status.success(), "{}", stdout(&output));
    assert!(serving.next()["up_bps"].as_u64() > Some(0));
}

#[test]
fn who_is_not_on_the_list_is_served_by_nobody() {
    let lab = enter();
    let place = Place {
        namespace: lab.namespace("listed").unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    let listen = ["--listen", "127.0.0.1", "--plain", "--allow", "10.9.0.0/16"];
    let (_serving, serves) = Serving::start(&place, &listen);
    assert_eq!(serves["allowed"][0], "10.9.0.0/16", "{serves}");
    let (iperf3, code) = place.probe(&["iperf3", "127.0.0.1", "--time", "1"]);
    assert_eq!(
        (code, &iperf3["failure"]["reason"]),
        (Some(1), &"busy".into()),
        "{iperf3}"
    );
    let plain = ["ndt7", "127.0.0.1:4443", "--plain", "-t", "1"];
    let (said, code) = place.say(&plain);
    assert_eq!(code, Some(1), "{said}");
    let (said, code) = place.say(&["stamp", "127.0.0.1:8862", "-c", "2", "--timeout", "0.2"]);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn a_reflector_with_a_key_answers_only_those_who_have_it() {
    let lab = enter();
    let place = Place {
        namespace: lab.namespace("sealed").unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    std::fs::write(place.path().join("stamp.key"), "a key of the school\n").unwrap();
    std::fs::write(place.path().join("other.key"), "a key of somebody\n").unwrap();
    std::fs::write(place.path().join("short.key"), "short\n").unwrap();
    let only_stamp = ["--iperf3", "off", "--ndt7", "off", "--listen", "127.0.0.1"];
    let sealed = [&only_stamp[..], &["--stamp-key", "stamp.key"]].concat();
    let (_serving, _) = Serving::start(&place, &sealed);
    let session = ["stamp", "127.0.0.1:8862", "-c", "3", "-i", "0.01"];
    let asked = |key| place.probe(&[&session[..], &["--timeout", "0.2"], key].concat());

    let (stamp, code) = asked(&["--key", "stamp.key"]);
    assert_eq!(code, Some(0), "{stamp}");
    assert_eq!(stamp["report"]["lost_up"], 0, "{stamp}");
    for key in [&[][..], &["--key", "other.key"]] {
        let (stamp, code) = asked(key);
        assert_eq!(code, Some(1), "{stamp}");
        assert_eq!(stamp["failure"]["reason"], "timeout", "{stamp}");
    }
    let (said, code) = place.say(&[&session[..], &["--key", "short.key"]].concat());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("short.key: a key of 5 octets"), "{said}");
}

#[test]
fn a_served_machine_sends_no_faster_than_it_is_told_and_ends_in_time() {
    let _quiet = quiet();
    let lab = enter();
    let place = Place {
        namespace: lab.namespace("capped").unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    // 0.003 h are 10.8 s.
    let options = [
        "--listen",
        "127.0.0.1",
        "--plain",
        "--rate",
        "40 Mbit/s",
        "--for",
        "0.003",
    ];
    let (mut serving, serves) = Serving::start(&place, &options);
    assert!(serves["fingerprint"].is_null(), "{serves}");
    let ndt7 = ["ndt7", "127.0.0.1:4443", "--plain", "-d", "down", "-t", "2"];
    let (ndt7, code) = place.probe(&ndt7);
    assert_eq!(code, Some(0), "{ndt7}");
    let iperf3 = ["iperf3", "127.0.0.1", "--time", "2", "--reverse"];
    let (iperf3, code) = place.probe(&iperf3);
    assert_eq!(code, Some(0), "{iperf3}");
    for rate in [
        &ndt7["tests"][0]["report"]["goodput_bps"],
        &iperf3["report"]["down"]["received"]["rate_bps"],
    ] {
        let mbps = rate.as_f64().unwrap() / 1e6;
        assert!(
            (20.0..=45.0).contains(&mbps),
            "{mbps} Mbit/s: {ndt7} {iperf3}"
        );
    }
    assert!(serving.child.wait().unwrap().success());
}
