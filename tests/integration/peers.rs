//! Clients of others against `messnetz serve`, over a line whose rates are known.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use messnetz::lab::Namespace;
use serde_json::Value;

use crate::lab::enter;
use crate::probe::{Place, Serving};
use crate::program::{stderr, stdout};
use crate::quiet::quiet;

/// The rates of the line, in Mbit/s.
const DOWN: f64 = 60.0;
const UP: f64 = 25.0;

const SERVER: &str = "10.9.7.2";

/// Two machines, each of which sends no faster than the line.
struct Line {
    client: Namespace,
    server: Place,
}

impl Line {
    fn new(name: &str) -> Self {
        let lab = enter();
        let client = lab.namespace(&format!("{name}-client")).unwrap();
        let server = lab.namespace(&format!("{name}-server")).unwrap();
        Namespace::cable((&client, "line"), (&server, "line")).unwrap();
        for (end, address, rate) in [(&client, "10.9.7.1", UP), (&server, SERVER, DOWN)] {
            end.ip(&format!(
                "addr add {address}/24 dev line\nlink set line up\n"
            ))
            .unwrap();
            let tbf = "burst 16kb latency 50ms";
            end.tc(&format!(
                "qdisc add dev line root tbf rate {rate}mbit {tbf}\n"
            ))
            .unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let namespace = server;
        Self {
            client,
            server: Place { namespace, folder },
        }
    }

    /// What M-Lab's client came to know by one test.
    fn ndt7(&self, protocol: &str, direction: &str, trusted: Option<&Path>) -> Output {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut node = Command::new("node");
        node.arg(here.join("tests/peers/ndt7.js"))
            .args([&format!("{SERVER}:4443"), protocol, direction])
            .env("NODE_PATH", modules());
        if let Some(certificate) = trusted {
            node.env("NODE_EXTRA_CA_CERTS", certificate);
        }
        self.client.command(node).output().unwrap()
    }
}

/// Where `cargo xtask test` puts what npm fetches.
fn modules() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let modules = target.join("peers/node_modules");
    assert!(
        modules.join("@m-lab/ndt7/package.json").is_file(),
        "M-Lab's ndt7 client is not in {}: `cargo xtask test` fetches it",
        modules.display()
    );
    modules
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

/// Whether the client's own figures, the server's, and the line's agree.
fn check(said: &Output, counted: &Value, direction: &str) {
    let all = format!("{}{}{counted}", stdout(said), stderr(said));
    assert!(said.status.success(), "{all}");
    let said: Value = serde_json::from_slice(&said.stdout).expect(&all);
    assert_eq!(said["code"], 0, "{all}");
    assert!(said["error"].is_null(), "{all}");
    let (client, server) = (&said["client"], &said["server"]);
    assert_eq!(server["Origin"], "server", "{all}");
    assert_eq!(server["Test"], direction, "{all}");
    let told = &server["TCPInfo"];
    let rate = |bytes: &Value, micros: &Value| number(bytes) * 8.0 / number(micros);
    let (line, kernel, counted) = if direction == "download" {
        let kernel = rate(&told["BytesAcked"], &told["ElapsedTime"]);
        // Few bytes come from who downloads: a request, and acknowledgements without payload.
        assert!(number(&told["BytesReceived"]) < 10_000.0, "{all}");
        (DOWN, kernel, &counted["down_bps"])
    } else {
        let kernel = rate(&told["BytesReceived"], &told["ElapsedTime"]);
        // What the server sends are measurements.
        assert!(number(&told["BytesAcked"]) < 200_000.0, "{all}");
        (UP, kernel, &counted["up_bps"])
    };
    // 4 % are headers; the first and the last quarter of a second may be missing.
    let near = |mbps: f64| (0.85..=1.0).contains(&(mbps / line));
    assert!(near(kernel), "{kernel} Mbit/s in the kernel: {all}");
    let counted = number(counted) / 1e6;
    assert!(
        near(counted),
        "{counted} Mbit/s counted by the server: {all}"
    );
    let client = number(&client["MeanClientMbps"]);
    if direction == "download" {
        assert!((client / counted - 1.0).abs() < 0.05, "{client} {all}");
    } else {
        // Counts what it handed over, queues included, by steps of whole messages.
        assert!((0.5..=1.5).contains(&(client / counted)), "{client} {all}");
    }
}

#[test]
fn mlabs_ndt7_client_measures_over_ws_what_the_server_counts() {
    let _quiet = quiet();
    let line = Line::new("ws");
    let (mut serving, _) = Serving::start(&line.server, &["--listen", SERVER, "--plain"]);
    for direction in ["download", "upload"] {
        let said = line.ndt7("ws", direction, None);
        check(&said, &serving.next(), direction);
    }
}

#[test]
fn mlabs_ndt7_client_believes_our_certificate_and_measures_over_wss() {
    let _quiet = quiet();
    let line = Line::new("wss");
    let made = rcgen::generate_simple_self_signed([SERVER.to_owned()]).unwrap();
    let (certificate, key) = (
        line.server.path().join("certificate.pem"),
        line.server.path().join("key.pem"),
    );
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let options = ["--listen", SERVER, "--longest", "4"];
    let identity = ["--certificate", "certificate.pem", "--key", "key.pem"];
    let (mut serving, _) = Serving::start(&line.server, &[&options[..], &identity].concat());

    let stranger = line.ndt7("wss", "download", None);
    assert!(stdout(&stranger).contains("error"), "{}", stdout(&stranger));
    assert!(
        stderr(&stranger).contains("self-signed"),
        "{}",
        stderr(&stranger)
    );

    for direction in ["download", "upload"] {
        let said = line.ndt7("wss", direction, Some(&certificate));
        check(&said, &serving.next(), direction);
    }
}
