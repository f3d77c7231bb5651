//! What an agent says of itself: what it carries, and what stands between it and the far end.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use messnetz::measure::{Surroundings, measure};
use messnetz::store::{SqliteStore, Store as _};
use messnetz::wire::{Probe, Task};
use messnetz_metric::{Direction, Outcome, Quantity, Segment, UnixMillis};
use messnetz_probes::iperf3;
use serde_json::Value;

use crate::lab::enter;
use crate::program::{RunningCollector, messnetz, run, stderr, write_config};

const SITE: &str = "XX-100001/main";

const EVER: RangeInclusive<UnixMillis> = UnixMillis(0)..=UnixMillis(i64::MAX);

/// A name that no resolver knows (RFC 6761, section 6.4): only the proxy can lead there.
const NAME: &str = "collector.invalid:8443";

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn collector(directory: &Path, port: u16, schedule: &str) -> RunningCollector {
    let doors = format!("agents = \"127.0.0.1:{port}\"\ndashboard = \"127.0.0.1:0\"\n");
    write_config(directory, &format!("{doors}[schedule]\n{schedule}"));
    RunningCollector::start(directory, None)
}

fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// An agent at work, until it is dropped.
struct Agent(Child);

impl Agent {
    fn start(directory: &Path, proxy: Option<SocketAddr>) -> Self {
        // Tests that come every few seconds are more than an agent allows by itself.
        let limits = "[every_ms]\ntests = 1_000\n";
        std::fs::write(directory.join("agent/limits.toml"), limits).unwrap();
        let mut command = messnetz(directory, &["agent", "run", "--state", "agent"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(proxy) = proxy {
            command.env("https_proxy", format!("http://{proxy}"));
        }
        Self(command.spawn().unwrap())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A proxy that leads every tunnel to the collector, whatever it is called.
fn proxy(collector: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            std::thread::spawn(move || lead(client, collector));
        }
    });
    address
}

fn lead(mut client: TcpStream, collector: SocketAddr) -> Option<()> {
    let mut head = BufReader::new(client.try_clone().ok()?);
    let mut line = String::new();
    head.read_line(&mut line).ok()?;
    assert!(line.starts_with(&format!("CONNECT {NAME} ")), "{line}");
    while line.trim() != "" {
        line.clear();
        head.read_line(&mut line).ok()?;
    }
    let mut server = TcpStream::connect(collector).ok()?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut back, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut back, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut head, &mut server);
    let _ = server.shutdown(Shutdown::Both);
    Some(())
}

#[test]
fn an_agent_behind_a_proxy_enrols_measures_and_uploads_and_does_not_call_it_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let (town, school) = (folder.path().join("town"), folder.path().join("school"));
    fs::create_dir(&school).unwrap();
    let port = free_port();
    let schedule = "upload_every_ms = 100\n[[schedule.task]]\nprobe = \"http\"\nevery_ms = 500\n\
                    [[schedule.task]]\nprobe = \"ndt7\"\ndirection = \"down\"\nduration_ms = 300\nevery_ms = 3000\n";
    let collector = collector(&town, port, schedule);
    let proxy = proxy(([127, 0, 0, 1], port).into());
    let mut ticket = collector.ticket(SITE);
    NAME.clone_into(&mut ticket.collector);
    let ticket = ticket.to_string();

    let enrol = ["agent", "enrol", &ticket, "--state", "agent", "--proxy"];
    let without = run(&school, &[&enrol[..], &["none"]].concat());
    assert_eq!(without.status.code(), Some(2), "{}", stderr(&without));
    let address = proxy.to_string();
    let through = run(&school, &[&enrol[..], &[&address]].concat());
    assert!(through.status.success(), "{}", stderr(&through));

    let _agent = Agent::start(&school, Some(proxy));
    let store = SqliteStore::open(&town.join("data/store.db")).unwrap();
    let seen = || -> BTreeSet<(String, String)> {
        let series = store.series_of_site(SITE, EVER).unwrap().into_iter();
        series
            .filter(|one| !one.samples.is_empty() && one.metric.segment != Segment::Agent)
            .map(|one| (one.metric.to_string(), one.peer))
            .collect()
    };
    let peer = format!("collector through {proxy}");
    wait_until("a page and a capacity through the proxy", || {
        let seen = seen();
        let has = |metric: &str| seen.contains(&(metric.to_owned(), peer.clone()));
        (has("service.http") && has("service.down")).then_some(())
    });
    let line: Vec<_> = seen()
        .into_iter()
        .filter(|one| one.0.starts_with("line."))
        .collect();
    assert_eq!(line, [], "what a proxy carries is not the line");
}

#[test]
fn an_agent_finds_out_what_it_carries_itself_once_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let (town, school) = (folder.path().join("town"), folder.path().join("school"));
    fs::create_dir(&school).unwrap();
    let schedule = "upload_every_ms = 100\n[[schedule.task]]\nprobe = \"ndt7\"\ndirection = \"down\"\n\
                    duration_ms = 300\nevery_ms = 15_000\n";
    let collector = collector(&town, free_port(), schedule);
    let ticket = collector.ticket(SITE).to_string();
    let enrolled = run(&school, &["agent", "enrol", &ticket, "--state", "agent"]);
    assert!(enrolled.status.success(), "{}", stderr(&enrolled));
    let book = school.join("agent/self-test.json");
    let kept = || -> Option<Value> { serde_json::from_slice(&fs::read(&book).ok()?).ok() };

    let agent = Agent::start(&school, None);
    let first = wait_until("a self-test", kept);
    assert!(first["ndt7_bps"].as_u64() > Some(20_000_000), "{first}");
    assert_eq!(first.get("iperf3_bps"), None, "nothing is measured with it");
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));

    // Each capacity test carries it, at the same time.
    let store = SqliteStore::open(&town.join("data/store.db")).unwrap();
    let told = wait_until("a capacity test with the ceiling", || {
        let all = store.series_of_site(SITE, EVER).unwrap();
        let of = |metric: &str| all.iter().find(|one| one.metric.to_string() == metric);
        let tests = &of("line.down")?.samples;
        let ceiling = of("agent.ceiling.ndt7").filter(|one| one.peer == "agent")?;
        let told = ceiling
            .samples
            .iter()
            .find(|told| tests.iter().any(|test| test.0 == told.0));
        told.map(|(_, value)| value.number())
    });
    assert_eq!(Some(told), first["ndt7_bps"].as_i64());

    drop(agent);
    let again = Agent::start(&school, None);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(kept(), Some(first), "a restart repeats nothing");
    drop(again);
}

/// In a queue, what others carry is no traffic beside the own test, which has not begun.
#[test]
fn waiting_for_a_turn_is_no_part_of_a_test() {
    let lab = enter();
    let place = lab.namespace("queue").unwrap();
    let observations = place.on(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let server = iperf3::Server::bind(iperf3::Config::new(any)).unwrap();
            let address = server.address().unwrap();
            tokio::spawn(server.run(|_| ()));
            let first = iperf3::Parameters::tcp(iperf3::Flow::Down, Duration::from_secs(3));
            let first = iperf3::Test::new(address, first);
            let (begun, begins) = tokio::sync::oneshot::channel();
            let mut begun = Some(begun);
            let first = tokio::spawn(async move {
                let tell = |progress: iperf3::Progress<'_>| {
                    if matches!(progress, iperf3::Progress::Running) {
                        begun.take().map(|begun| begun.send(()));
                    }
                };
                first.run(tell).await.unwrap();
            });
            begins.await.unwrap();
            let task = Task {
                every_ms: 0,
                phase_ms: 0,
                interface: Some("lo".to_owned()),
                hours: None,
                slots: None,
                probe: Probe::Iperf3 {
                    endpoint: Some(address.to_string()),
                    direction: Direction::Down,
                    duration_ms: 1_000,
                    streams: 1,
                },
            };
            let observations = measure(&task, &Surroundings::default()).await;
            first.await.unwrap();
            observations
        })
    });
    let observations = observations.unwrap();
    let of = |quantity| {
        let found = observations
            .iter()
            .find(|one| one.metric.quantity == quantity);
        match found.map(|one| &one.outcome) {
            Some(Outcome::Value(value)) => value.number(),
            other => panic!("{quantity:?}: {other:?}"),
        }
    };
    assert!(of(Quantity::Goodput(Direction::Down)) > 0);
    // Two thirds of all bytes came while it waited.
    let other = of(Quantity::OtherTraffic);
    assert!(other < 200_000, "{other} ppm of other traffic");
}
