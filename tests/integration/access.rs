//! What an access lets through, as the command line tells it.

use std::collections::BTreeMap;
use std::process::Command;

use messnetz::lab::Namespace;
use serde_json::{Value, json};

use crate::lab::enter;
use crate::probe::{Place, Serving};
use crate::quiet::quiet;

/// The ports of `messnetz serve`, which needs no right to open low ones.
const PORTS: [&str; 10] = [
    "--only",
    "server",
    "--server",
    "127.0.0.1",
    "--port",
    "https=4443",
    "--port",
    "ndt7=4443",
    "--port",
    "stamp=8862",
];

/// What each attempt came to, by what was tried.
fn outcomes(said: &Value) -> BTreeMap<&str, &str> {
    let attempts = said["attempts"].as_array().unwrap().iter();
    attempts
        .filter_map(|one| Some((one["what"].as_str()?, one["outcome"].as_str()?)))
        .collect()
}

fn place(lab: &messnetz::lab::Lab, name: &str) -> Place {
    Place {
        namespace: lab.namespace(name).unwrap(),
        folder: tempfile::tempdir().unwrap(),
    }
}

#[test]
fn each_kind_is_tried_and_a_path_for_port_443_alone_is_told_as_such() {
    let _quiet = quiet();
    let lab = enter();
    let place = place(&lab, "access");
    let (_serving, serves) = Serving::start(&place, &["--listen", "127.0.0.1"]);
    let fingerprint = serves["fingerprint"].as_str().unwrap();
    let arguments = [&["access"], &PORTS[..], &["--fingerprint", fingerprint]].concat();

    let (open, code) = place.probe(&[&arguments[..], &["--port", "dns=off"]].concat());
    assert_eq!(code, Some(0), "{open}");
    let through = outcomes(&open);
    assert_eq!(through.len(), 6, "{open}");
    assert!(through.values().all(|one| *one == "passed"), "{open}");
    let stun = &open["attempts"][5]["report"]["address"];
    assert!(stun.as_str().unwrap().starts_with("127.0.0.1:"), "{open}");

    // A path that takes nothing but TCP to the port of HTTPS.
    for rule in [
        "add pref 100 lookup local",
        "del pref 0",
        "add pref 10 ipproto udp unreachable",
        "add pref 11 ipproto icmp unreachable",
        "add pref 12 ipproto tcp dport 5201 unreachable",
    ] {
        let mut ip = Command::new("ip");
        ip.args(["-4", "rule"]).args(rule.split(' '));
        let output = place.namespace.command(ip).output().unwrap();
        assert!(output.status.success(), "{rule}: {output:?}");
    }
    let (shut, code) = place.probe(&arguments);
    assert_eq!(code, Some(1), "{shut}");
    let outcomes = outcomes(&shut);
    for (what, expected) in [
        ("HTTPS", "passed"),
        ("ndt7 over wss", "passed"),
        ("DNS over UDP", "no-answer"),
        ("ICMP echo", "no-answer"),
        ("STAMP over UDP", "no-answer"),
        ("iperf3 over TCP", "no-answer"),
        ("STUN over UDP", "no-answer"),
    ] {
        assert_eq!(outcomes.get(what), Some(&expected), "{what}: {shut}");
    }
}

#[test]
fn another_certificate_than_the_known_one_is_told_as_an_interception() {
    let lab = enter();
    let place = place(&lab, "intercepted");
    let (_serving, _) = Serving::start(&place, &["--listen", "127.0.0.1"]);
    let other = "0".repeat(64);
    let (said, code) = place.probe(&[&["access"], &PORTS[..], &["--fingerprint", &other]].concat());
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(outcomes(&said)["HTTPS"], "intercepted", "{said}");
    let detail = said["attempts"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("certificate issued by"), "{said}");
}

#[test]
fn services_of_a_file_are_tried_and_its_mistakes_are_placed() {
    let lab = enter();
    let place = place(&lab, "services");
    let (_serving, _) = Serving::start(&place, &["--listen", "127.0.0.1"]);
    let path = place.path().join("own.toml");
    let text = "[[service]]\nname = \"cloud\"\nhost = \"127.0.0.1\"\nport = 4443\ntransport = \"tcp\"\n\
                [[service]]\nname = \"voice\"\nport = 3478\ntransport = \"stun\"\n";
    std::fs::write(&path, text).unwrap();
    let file = ["access", "--only", "services", "--services"];
    let file = [&file[..], &[path.to_str().unwrap()]].concat();
    let both = ["--service", "cloud", "--service", "voice=127.0.0.1"];
    let (said, code) = place.probe(&[&file[..], &both].concat());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(outcomes(&said).len(), 2, "{said}");

    let (said, code) = place.say(&[&file[..], &["--service", "clout"]].concat());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("did you mean 'cloud'?"), "{said}");

    std::fs::write(&path, text.replace("host", "hots")).unwrap();
    let (said, code) = place.say(&[&file[..], &["--service", "cloud"]].concat());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("own.toml:3:1"), "{said}");
    assert!(said.contains("did you mean `host`?"), "{said}");
}

#[test]
fn a_line_that_leads_nowhere_is_an_outcome() {
    let lab = enter();
    let place = place(&lab, "nowhere");
    let (said, code) = place.probe(&["access", "--timeout", "0.5", "--resolver", "127.0.0.1:5353"]);
    assert_eq!(code, Some(1), "{said}");
    let outcomes = outcomes(&said);
    assert_eq!(outcomes["IPv4"], "fact", "{said}");
    assert_ne!(outcomes["web"], "passed", "{said}");
    assert_ne!(outcomes["resolver"], "passed", "{said}");

    let through = ["access", "--only", "web", "--proxy", "127.0.0.1:1"];
    let (said, code) = place.probe(&through);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said["attempts"][0]["outcome"], "refused", "{said}");
    let (said, code) = place.say(&["access", "--proxy", "socks5://127.0.0.1:1"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("socks5"), "{said}");
}

#[test]
fn another_router_since_an_earlier_run_is_told_as_a_fail_over_and_is_no_fault() {
    let lab = enter();
    let place = place(&lab, "fail-over");
    let router = lab.namespace("routers").unwrap();
    Namespace::cable((&place.namespace, "ahead"), (&router, "behind")).unwrap();
    let cable =
        "addr add 10.9.0.5/24 dev ahead\nlink set ahead up\nroute add default via 10.9.0.1\n";
    place.namespace.ip(cable).unwrap();
    router.ip("link set behind up\n").unwrap();
    let earlier = place.path().join("earlier.json");
    let first = ["access", "--only", "line"];
    let (said, code) = place.probe(&first);
    assert_eq!(code, Some(0), "{said}");
    std::fs::write(&earlier, said.to_string()).unwrap();
    let since = [&first[..], &["--since", earlier.to_str().unwrap()]].concat();

    let (same, code) = place.probe(&since);
    assert_eq!(code, Some(0), "{same}");
    let way = &same["since"]["ways"][0];
    assert_eq!(
        (&way["what"], &way["change"]),
        (&json!("IPv4"), &Value::Null),
        "{same}"
    );
    assert_eq!(same["since"]["at_unix_ms"], said["at_unix_ms"], "{same}");

    let second = "route replace default via 10.9.0.2\n";
    place.namespace.ip(second).unwrap();
    let (other, code) = place.probe(&since);
    assert_eq!(code, Some(0), "{other}");
    let way = &other["since"]["ways"][0];
    assert_eq!(way["change"], "gateway", "{other}");
    assert_eq!(way["before"]["gateway"], "10.9.0.1", "{other}");
    assert_eq!(way["now"]["gateway"], "10.9.0.2", "{other}");
    let (said, code) = place.say(&since);
    assert_eq!(code, Some(0), "{said}");
    let expected = "the way out has changed: another router (fail-over, or back)";
    assert!(said.contains(expected), "{said}");

    std::fs::write(&earlier, "\n{\"probe\":\"path\"}").unwrap();
    let (said, code) = place.say(&since);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("earlier.json:2") && said.contains("`probe`"),
        "{said}"
    );
}
