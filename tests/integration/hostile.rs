//! Whoever is hostile at the agents' door is refused, changes nothing, and keeps nobody out.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use messnetz::store::{SqliteStore, Store as _};
use messnetz::wire::batch::{Batch, Link};
use messnetz::wire::{AgentId, CollectorId};
use messnetz_metric::{
    Failure, FailureReason, Medium, Metric, Observation, Outcome, Quantity, Segment, UnixMillis,
    Value, Vantage,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use tokio::net::TcpSocket;

use crate::doors::{free_port, get};
use crate::lab::enter;
use crate::program::{RunningCollector, messnetz, run, stderr, stdout, write_config};
use crate::quiet::quiet;

const SITE: &str = "XX-100001/main";
const OTHER_SITE: &str = "XX-100002/main";

/// A collector, and the key of an agent that is enrolled at it.
struct Scene {
    folder: tempfile::TempDir,
    collector: RunningCollector,
    port: u16,
    key: Ed25519KeyPair,
    id: CollectorId,
}

fn enrol(folder: &Path, collector: &RunningCollector, site: &str, state: &str) -> Ed25519KeyPair {
    let ticket = collector.ticket(site).to_string();
    let output = run(folder, &["agent", "enrol", &ticket, "--state", state]);
    assert!(output.status.success(), "{}", stderr(&output));
    let key = fs::read(folder.join(state).join("agent-key.pk8")).unwrap();
    Ed25519KeyPair::from_pkcs8(&key).unwrap()
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let addresses = format!("agents = \"127.0.0.1:{port}\"\ndashboard = \"127.0.0.1:0\"\n");
        write_config(folder.path(), &addresses);
        let collector = RunningCollector::start(folder.path(), None);
        let key = enrol(folder.path(), &collector, SITE, "agent");
        let enrolment = fs::read_to_string(folder.path().join("agent/enrolment.json")).unwrap();
        let enrolment: serde_json::Value = serde_json::from_str(&enrolment).unwrap();
        let receipt_key = enrolment["receipt_key"].as_str().unwrap();
        let id = CollectorId::of_key(&STANDARD.decode(receipt_key).unwrap());
        Self {
            folder,
            collector,
            port,
            key,
            id,
        }
    }

    fn link(&self, key: &Ed25519KeyPair) -> Link {
        Link {
            collector: self.id.clone(),
            agent: AgentId::of_key(key.public_key().as_ref()),
            site: SITE.to_owned(),
            epoch: 1,
            sequence: 1,
            previous: None,
        }
    }

    /// Status and text of the answer to a request at the agents' door.
    fn ask(&self, path: &str, body: Option<&[u8]>, headers: &[&str]) -> (u16, String) {
        let file: PathBuf = self.folder.path().join("body");
        let url = format!("https://127.0.0.1:{}{path}", self.port);
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--path-as-is", "--http1.1", "--max-time", "30"])
            .args(["-w", "\n%{http_code}", &url]);
        for header in headers {
            curl.args(["-H", header]);
        }
        if let Some(body) = body {
            fs::write(&file, body).unwrap();
            curl.arg("--data-binary")
                .arg(format!("@{}", file.display()));
        }
        let said = stdout(&curl.output().unwrap());
        let (text, status) = said.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), text.to_owned())
    }

    fn send(&self, batch: &Batch) -> (u16, String) {
        self.ask("/v1/batches", Some(&batch.document()), &[])
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.folder.path().join("data/store.db")).unwrap()
    }

    /// How many batches were taken.
    fn taken(&self) -> u64 {
        let came = self.store().came().unwrap();
        came.iter().map(|came| came.batches).sum()
    }
}

/// One value and one failure, with these texts wherever a text is sent.
fn observations(text: &str) -> Vec<Observation> {
    let vantage = || Vantage {
        interface: Some(text.chars().take(15).collect()),
        medium: Medium::Wired,
    };
    let metric = Metric::new(Segment::Line, Quantity::Rtt);
    let value = Outcome::Value(Value::new(metric.quantity.unit(), 9_000));
    let failure = Outcome::Failed(Failure::new(FailureReason::Timeout, text));
    let at = messnetz::clock::now();
    [value, failure]
        .into_iter()
        .map(|outcome| Observation::new(metric, at, vantage(), text, outcome))
        .collect()
}

#[test]
fn what_is_forged_or_meant_for_elsewhere_is_refused_alike_and_leaves_nothing() {
    let scene = Scene::new();
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let stranger = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let neighbour = enrol(scene.folder.path(), &scene.collector, OTHER_SITE, "other");
    let own = scene.link(&scene.key);
    let sealed = |link: &Link, key| {
        Batch::new(link, &observations("x"))
            .unwrap()
            .signed_with(key)
    };
    let honest = sealed(&own, &scene.key);
    let elsewhere = Link {
        collector: CollectorId::of_key(&[1; 32]),
        ..own.clone()
    };
    let at_another_site = Link {
        site: OTHER_SITE.to_owned(),
        ..own.clone()
    };
    let mut refusals = Vec::new();
    for (what, batch) in [
        ("signed by a stranger", sealed(&own, &stranger)),
        ("of a stranger", sealed(&scene.link(&stranger), &stranger)),
        ("in another agent's name", sealed(&own, &neighbour)),
        (
            "of an agent of another site",
            sealed(&scene.link(&neighbour), &neighbour),
        ),
        ("for another site", sealed(&at_another_site, &scene.key)),
        ("for another collector", sealed(&elsewhere, &scene.key)),
    ] {
        let (status, text) = scene.send(&batch);
        assert_eq!(status, 401, "{what}: {text}");
        refusals.push(text);
    }
    // A batch that was signed, under another epoch or number.
    let signed = String::from_utf8(honest.document()).unwrap();
    let replayed = signed.replacen("\"epoch\":1", "\"epoch\":2", 1);
    assert_ne!(signed, replayed);
    let (status, text) = scene.ask("/v1/batches", Some(replayed.as_bytes()), &[]);
    assert_eq!(status, 401, "{text}");
    refusals.push(text);
    refusals.dedup();
    assert_eq!(
        refusals.len(),
        1,
        "whoever tries learns nothing: {refusals:?}"
    );
    assert_eq!(scene.taken(), 0);
    assert_eq!(scene.send(&honest).0, 200);
    assert_eq!(scene.send(&honest).0, 200, "and again");
    assert_eq!(scene.taken(), 1);
}

#[test]
fn markup_and_sql_in_every_text_stay_texts() {
    let scene = Scene::new();
    let texts = [
        "<script>alert(1)</script>",
        "'); DROP TABLE tail; --",
        "\" onload=\"alert(1)",
    ];
    let mut previous: Option<Batch> = None;
    for text in texts {
        let link = Link {
            sequence: previous.as_ref().map_or(0, |it| it.header().sequence) + 1,
            previous: previous.as_ref().map(Batch::hash),
            ..scene.link(&scene.key)
        };
        let batch = Batch::new(&link, &observations(text))
            .unwrap()
            .signed_with(&scene.key);
        let (status, said) = scene.send(&batch);
        assert_eq!(status, 200, "{text}: {said}");
        previous = Some(batch);
    }
    assert_eq!(scene.taken(), 3);
    let ever = UnixMillis(0)..=UnixMillis(i64::MAX);
    let series = scene.store().series_of_site(SITE, ever).unwrap();
    let mut peers: Vec<&str> = series.iter().map(|series| series.peer.as_str()).collect();
    peers.sort_unstable();
    peers.dedup();
    let mut expected = texts;
    expected.sort_unstable();
    assert_eq!(peers, expected);
    for path in ["/", "/?lang=en", "/charts/coverage.svg"] {
        let (status, page) = get(&scene.collector, path, &[]);
        assert_eq!(status, 200, "{path}");
        for markup in ["<script", "onload=\"alert"] {
            assert!(!page.contains(markup), "{path}");
        }
    }
    // A site or an agent that is no name does not get as far as the store.
    for (from, to) in [
        (SITE, "'; DROP TABLE agent; --"),
        (SITE, "../../etc/passwd"),
    ] {
        let document = previous.as_ref().unwrap().document();
        let changed = String::from_utf8(document).unwrap().replacen(from, to, 1);
        let (status, said) = scene.ask("/v1/batches", Some(changed.as_bytes()), &[]);
        assert!(status == 401 || status == 422, "{to}: {status} {said}");
    }
    let (agents, code) = {
        let output = run(scene.folder.path(), &["collector", "agents"]);
        (stdout(&output), output.status.code())
    };
    assert_eq!((agents.lines().count(), code), (1, Some(0)), "{agents}");
}

#[test]
fn bombs_paths_and_rubbish_are_refused_and_agents_are_served_afterwards() {
    let scene = Scene::new();
    let bomb = zstd::encode_all(&vec![b' '; 64 * 1024 * 1024][..], 3).unwrap();
    assert!(bomb.len() < 100_000);
    let packed = ["Content-Encoding: zstd"];
    for _ in 0..20 {
        assert_eq!(scene.ask("/v1/batches", Some(&bomb), &packed).0, 413);
    }
    let large = vec![b'['; 5 * 1024 * 1024];
    assert_eq!(scene.ask("/v1/batches", Some(&large), &["Expect:"]).0, 413);
    let deep = vec![b'['; 1024 * 1024];
    assert_eq!(scene.ask("/v1/batches", Some(&deep), &["Expect:"]).0, 422);
    assert_eq!(scene.ask("/v1/batches", Some(b"\xff\x00"), &packed).0, 422);
    let gzip = ["Content-Encoding: gzip"];
    assert_eq!(scene.ask("/v1/batches", Some(b"x"), &gzip).0, 415);
    assert_eq!(scene.ask("/v1/enrol", Some(&deep), &["Expect:"]).0, 413);
    for path in [
        "/v1/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/batches/../../data/store.db",
        "/data/store.db",
        "//etc/passwd",
        "/api/v1/agents",
        "/",
    ] {
        let (status, said) = scene.ask(path, None, &[]);
        assert_eq!((status, said.as_str()), (404, ""), "{path}");
    }
    let own = scene.link(&scene.key);
    let honest = Batch::new(&own, &observations("x")).unwrap();
    let honest = honest.signed_with(&scene.key);
    let body = zstd::encode_all(&honest.document()[..], 3).unwrap();
    assert_eq!(scene.ask("/v1/batches", Some(&body), &packed).0, 200);
    assert_eq!(scene.taken(), 1);
}

/// Opens so many connections from an address, and sends a byte of a greeting over each every second, for so long;
/// how many were hung up at once.
fn flood(from: Ipv4Addr, to: SocketAddr, connections: usize, lasts: Duration) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async move {
        let mut open = Vec::new();
        for _ in 0..connections {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind((from, 0).into()).unwrap();
            if let Ok(stream) = socket.connect(to).await {
                open.push(stream);
            }
        }
        // The beginning of a TLS record that says it has 16 KiB.
        let mut greeting = [0x16, 3, 1, 0x40, 0].into_iter().cycle();
        let began = Instant::now();
        let mut hung_up = None;
        while began.elapsed() < lasts {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let byte = [greeting.next().unwrap()];
            open.retain(|stream| {
                let is_closed = matches!(stream.try_read(&mut [0]), Ok(0));
                !is_closed && stream.try_write(&byte).is_ok()
            });
            hung_up.get_or_insert(connections - open.len());
        }
        hung_up.unwrap_or_default()
    })
}

#[test]
fn a_flood_of_slow_connections_from_one_source_is_cut_to_its_share_and_keeps_nobody_else_out() {
    let _quiet = quiet();
    let lab = enter();
    let town = lab.namespace("town").unwrap();
    let addresses = [1, 2].map(|last| format!("addr add 10.77.0.{last}/24 dev lo\n"));
    town.ip(&addresses.concat()).unwrap();
    // Each connection is a descriptor of this process.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let address: SocketAddr = "10.77.0.1:8443".parse().unwrap();
    let addresses = format!("agents = \"{address}\"\ndashboard = \"127.0.0.1:0\"\n");
    write_config(folder.path(), &addresses);
    let collector = RunningCollector::start(folder.path(), Some(&town));
    let lasts = Duration::from_secs(25);
    let flooding = {
        let town = town.clone();
        let from = Ipv4Addr::new(10, 77, 0, 2);
        std::thread::spawn(move || town.on(|| flood(from, address, 1_500, lasts)).unwrap())
    };
    std::thread::sleep(Duration::from_secs(2));
    let began = Instant::now();
    for state in ["first", "second", "third"] {
        let ticket = collector.ticket(SITE).to_string();
        let enrol = ["agent", "enrol", &ticket, "--state", state];
        let enrol = messnetz(folder.path(), &enrol);
        let output = town.command(enrol).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert!(began.elapsed() < lasts, "it was over before they were in");
    let hung_up = flooding.join().unwrap();
    assert!(hung_up >= 1_500 - 512, "{hung_up} of 1500 were hung up");
}
