//! `messnetz probe ndt7 --mlab` against a locate service made here, since the real one is not to be asked by
//! tests. Its answers are written after M-Lab's documentation (m-lab/locate, `USAGE.md`), not recorded.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::{Arc, Mutex};

use messnetz_probes::tls::Fingerprint;
use rustls::{ServerConnection, StreamOwned};
use serde_json::json;

use crate::lab::enter;
use crate::probe::{Place, Serving};
use crate::program::tls_of;
use crate::quiet::quiet;

const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.e30.geheim";

/// A locate service with its own certificate.
struct Locator {
    address: SocketAddr,
    /// The first lines of the requests that came.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Locator {
    /// Answers so whatever is asked.
    fn start(place: &Place, made: &rcgen::CertifiedKey<rcgen::KeyPair>, answer: String) -> Self {
        let config = tls_of(made);
        let config = Arc::new(config);
        let listener = place
            .namespace
            .on(|| TcpListener::bind("127.0.0.1:0"))
            .unwrap()
            .unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = BufReader::new(StreamOwned::new(server, stream));
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    // A client that does not believe the certificate leaves here.
                    if stream.read_line(&mut line).is_err() || line.trim().is_empty() {
                        break;
                    }
                    lines.push(line.trim().to_owned());
                }
                heard.lock().unwrap().extend(lines.into_iter().take(1));
                let stream = stream.get_mut();
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        Self { address, asked }
    }

    fn url(&self) -> String {
        format!("https://{}/v2/nearest/ndt/ndt7", self.address)
    }
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn server(machine: &str, city: &str, address: &str) -> serde_json::Value {
    let url = |test| format!("wss://{address}/ndt/v7/{test}?access_token={TOKEN}&index=0");
    json!({
        "machine": machine,
        "location": {"city": city, "country": "DE"},
        "urls": {"wss:///ndt/v7/download": url("download"), "wss:///ndt/v7/upload": url("upload")},
    })
}

#[test]
fn the_nearest_public_server_that_takes_the_test_is_measured_and_named() {
    let _quiet = quiet();
    let lab = enter();
    let place = Place {
        namespace: lab.namespace("public").unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    std::fs::write(place.path().join("certificate.pem"), certificate).unwrap();
    std::fs::write(place.path().join("key.pem"), key).unwrap();
    let fingerprint = Fingerprint::of(made.cert.der()).to_string();
    let options = ["--listen", "127.0.0.1", "--iperf3", "off", "--stamp", "off"];
    let identity = ["--certificate", "certificate.pem", "--key", "key.pem"];
    let (mut serving, serves) = Serving::start(&place, &[&options[..], &identity].concat());
    let address = serves["ndt7"].as_str().unwrap();

    // In this namespace nobody but the server above listens.
    let body = json!({"results": [
        server("mlab1-ber01.example", "Berlin", "127.0.0.2:1"),
        server("mlab2-fra03.example", "Frankfurt", address),
    ]});
    let locator = Locator::start(&place, &made, answer("200 OK", &body.to_string()));
    let url = locator.url();
    let probe = [
        "ndt7",
        "--mlab",
        "--country",
        "de",
        "--time",
        "1",
        "--locate",
        &url,
    ];
    let believed = [&probe[..], &["--fingerprint", &fingerprint]].concat();
    let (said, code) = place.probe(&believed);
    assert_eq!(code, Some(0), "{said}");
    for (test, direction) in [(&said["tests"][0], "down"), (&said["tests"][1], "up")] {
        assert_eq!(test["direction"], direction, "{said}");
        assert_eq!(test["server"]["machine"], "mlab2-fra03.example", "{said}");
        assert_eq!(test["server"]["city"], "Frankfurt", "{said}");
        assert!(test["report"]["goodput_bps"].as_u64() > Some(0), "{said}");
        assert_eq!(serving.next()["protocol"], "ndt7");
    }
    // Asked once, and no more after it was of no use.
    let passed_over = said["mlab"]["report"]["passed_over"].as_array().unwrap();
    assert_eq!(passed_over.len(), 1, "{said}");
    assert_eq!(passed_over[0]["machine"], "mlab1-ber01.example", "{said}");
    assert_eq!(passed_over[0]["failure"]["reason"], "refused", "{said}");
    let wait = said["mlab"]["report"]["next_in_s"].as_u64().unwrap();
    assert!((2_160..=54_000).contains(&wait), "{said}");
    assert!(!said.to_string().contains(TOKEN), "{said}");
    let asked = locator.asked.lock().unwrap().join("\n");
    assert!(asked.contains("client_name=messnetz"), "{asked}");
    assert!(asked.contains("country=DE&strict=true"), "{asked}");

    let (text, code) = place.say(&believed);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("mlab2-fra03.example (Frankfurt, DE)"),
        "{text}"
    );
    assert!(!text.contains(TOKEN), "{text}");

    let (strange, code) = place.probe(&probe);
    assert_eq!(code, Some(1), "{strange}");
    assert_eq!(strange["mlab"]["failure"]["reason"], "tls", "{strange}");
    assert_eq!(strange["tests"].as_array().unwrap().len(), 0, "{strange}");
}

#[test]
fn no_room_at_mlab_is_an_outcome_that_says_when_to_come_again() {
    let lab = enter();
    let place = Place {
        namespace: lab.namespace("full").unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let fingerprint = Fingerprint::of(made.cert.der()).to_string();
    for (status, body, reason, says) in [
        ("204 No Content", "", "busy", "come again in "),
        ("429 Too Many Requests", "{}", "busy", "asked too often"),
        ("200 OK", "{\"results\":", "protocol", "no list of servers"),
        ("200 OK", "{\"results\":[]}", "protocol", "has no server"),
    ] {
        let locator = Locator::start(&place, &made, answer(status, body));
        let url = locator.url();
        let probe = [
            "ndt7",
            "--mlab",
            "--locate",
            &url,
            "--fingerprint",
            &fingerprint,
        ];
        let (said, code) = place.probe(&probe);
        assert_eq!(code, Some(1), "{said}");
        let failure = &said["mlab"]["failure"];
        assert_eq!(failure["reason"], reason, "{said}");
        let detail = failure["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{said}");
    }
    let (text, code) = place.say(&["ndt7", "127.0.0.1", "--mlab"]);
    assert_eq!(code, Some(2), "{text}");
}

#[test]
fn several_streams_are_summed_under_a_name_of_their_own() {
    let _quiet = quiet();
    let lab = enter();
    let place = Place {
        namespace: lab.namespace("streams").unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    // Uploads have no cap of the server's: unshaped, the kernel drops what it cannot queue, and one of them may
    // stand still for seconds.
    let mut shape = Command::new("tc");
    shape.args("qdisc add dev lo root tbf rate 300mbit burst 512kb latency 200ms".split(' '));
    let shaped = place.namespace.command(shape).status().unwrap();
    assert!(shaped.success(), "tc: {shaped}");
    let options = [
        "--listen",
        "127.0.0.1",
        "--plain",
        "--parallel",
        "3",
        "--rate",
        "20 Mbit/s",
    ];
    let (mut serving, serves) = Serving::start(&place, &options);
    let address = serves["ndt7"].as_str().unwrap();
    let streams = |count| ["ndt7", address, "--plain", "-t", "2", "--streams", count];
    let (said, code) = place.probe(&streams("3"));
    assert_eq!(code, Some(0), "{said}");
    for (test, direction) in [(&said["tests"][0], "down"), (&said["tests"][1], "up")] {
        let report = &test["report"];
        assert_eq!(report["direction"], direction, "{said}");
        assert_eq!(report["label"], "3 streams, not an ndt7 result", "{said}");
        assert!(report["goodput_bps"].is_null(), "{said}");
        let streams = report["streams"].as_array().unwrap();
        let alone: Vec<u64> = streams
            .iter()
            .map(|one| one["goodput_bps"].as_u64().unwrap())
            .collect();
        assert_eq!(alone.len(), 3, "{said}");
        let (all, bytes) = (
            report["goodput_of_streams_bps"].as_f64().unwrap(),
            report["common_bytes"].as_f64().unwrap(),
        );
        let time = report["common_us"].as_f64().unwrap();
        assert!((all / (bytes * 8e6 / time) - 1.0).abs() < 0.001, "{said}");
        let sum = alone.iter().sum::<u64>() as f64;
        assert!((0.8..=1.25).contains(&(all / sum)), "{said}");
        for _ in 0..3 {
            assert_eq!(serving.next()["protocol"], "ndt7");
        }
    }
    // Each stream may be sent so much: three of them are sent three times as much.
    let down = &said["tests"][0]["report"]["goodput_of_streams_bps"];
    let mbps = down.as_f64().unwrap() / 1e6;
    assert!((40.0..=66.0).contains(&mbps), "{said}");

    let (text, code) = place.say(&streams("2"));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("(2 streams, not an ndt7 result)"), "{text}");
    assert!(text.contains("\n  stream 2, down: "), "{text}");

    // One more than the server has room for.
    let (refused, code) = place.probe(&streams("4"));
    assert_eq!(code, Some(1), "{refused}");
    let failure = &refused["tests"][0]["failure"];
    assert_eq!(failure["reason"], "busy", "{refused}");
}
