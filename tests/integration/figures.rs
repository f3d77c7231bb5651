//! The numbers an agent reports against what is known of the line, in namespaces.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use messnetz::demo::network::{Network, Town, TownSchool};
use messnetz::lab::{Counters, Direction as Way, Lab, Namespace};
use messnetz::measure::{Surroundings, TestServer, measure};
use messnetz::wire::{Burst, Probe, Task};
use messnetz_metric::{Direction, Metric, Observation, Outcome, Quantity, Segment, Value};
use messnetz_probes::connection::Tls;
use messnetz_probes::tcp_info::Congestion;
use messnetz_probes::tls::Trust;
use messnetz_probes::{Binding, ndt7};

use crate::program::{RunningCollector, write_config};
use crate::quiet::quiet;

const GRUNDSCHULE: usize = 0;
const GYMNASIUM: usize = 1;
const BERUFSKOLLEG: usize = 2;

/// The town of the demo with a collector for each congestion control.
struct Measuring {
    town: Town,
    _folder: tempfile::TempDir,
    collectors: Vec<(Congestion, RunningCollector, TestServer)>,
}

impl Measuring {
    fn start(congestions: &[Congestion]) -> Self {
        let lab = Lab::enter().unwrap_or_else(|error| {
            panic!("{error}\nrun the tests as root or within `unshare --user --map-root-user`")
        });
        let town = Town::build(&lab, &Network::built_in().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let server = &town.server.namespace;
        let collectors = congestions
            .iter()
            .zip(8443..)
            .map(|(congestion, port)| {
                let directory = folder.path().join(congestion.name());
                let address = format!("{}:{port}", town.server.address);
                write_config(
                    &directory,
                    &format!(
                        "agents = \"{address}\"\ndashboard = \"127.0.0.1:0\"\ncongestion = \"{}\"",
                        congestion.name()
                    ),
                );
                let collector = RunningCollector::start(&directory, Some(server));
                let ticket = collector.ticket("XX-100001/main");
                let trust = Trust::Pinned(ticket.fingerprint);
                (*congestion, collector, TestServer { address, trust })
            })
            .collect();
        Self {
            town,
            _folder: folder,
            collectors,
        }
    }

    fn school(&self, index: usize) -> &TownSchool {
        &self.town.schools[index]
    }

    /// Lets the agent's own code do a task at a school.
    fn measure(&self, school: usize, congestion: Congestion, probe: Probe) -> Vec<Observation> {
        let (_, _, server) = self
            .collectors
            .iter()
            .find(|(c, _, _)| *c == congestion)
            .unwrap();
        let around = Arc::new(Surroundings {
            server: Some(server.clone()),
            ..Surroundings::default()
        });
        let task = Task {
            every_ms: 0,
            phase_ms: 0,
            interface: None,
            hours: None,
            slots: None,
            probe,
        };
        in_namespace(&self.school(school).agent, async move || {
            measure(&task, &around).await
        })
    }

    /// What the sender of a short test really used, as its end of the connection says.
    fn congestion_of_a_test(&self, congestion: Congestion, direction: Direction) -> Option<String> {
        let (_, _, server) = self
            .collectors
            .iter()
            .find(|(c, _, _)| *c == congestion)
            .unwrap();
        let Trust::Pinned(fingerprint) = server.trust else {
            panic!("not pinned")
        };
        let tls = Tls {
            trust: Trust::Pinned(fingerprint),
            server_name: "collector".to_owned(),
        };
        let test = ndt7::client::Test {
            direction,
            address: server.address.parse().unwrap(),
            tunnel: None,
            host: server.address.clone(),
            query: String::new(),
            tls: Some(tls),
            binding: Binding::any(),
            duration: Duration::from_secs(1),
            deadline: Duration::from_secs(10),
            congestion: Some(congestion),
        };
        let place = &self.school(GYMNASIUM).agent;
        in_namespace(place, async move || test.run().await.unwrap().congestion)
    }

    fn goodput(&self, school: usize, congestion: Congestion, direction: Direction) -> f64 {
        let duration_ms = TEST_MS;
        let probe = Probe::Ndt7 {
            direction,
            duration_ms,
            congestion: Some(congestion),
        };
        let observations = self.measure(school, congestion, probe);
        let metric = Metric::new(Segment::Line, Quantity::Goodput(direction));
        match value(&observations, metric) {
            Value::Rate(rate) => rate.as_mbps(),
            other => panic!("{other:?} is no rate"),
        }
    }
}

/// How long a capacity test of these figures lasts.
const TEST_MS: u32 = 8_000;

fn in_namespace<T: Send>(place: &Namespace, work: impl AsyncFnOnce() -> T + Send) -> T {
    place
        .on(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(work())
        })
        .unwrap()
}

fn value(observations: &[Observation], metric: Metric) -> Value {
    let found = observations
        .iter()
        .find(|observation| observation.metric == metric);
    match found.map(|observation| &observation.outcome) {
        Some(Outcome::Value(value)) => *value,
        other => panic!("{metric}: {other:?}"),
    }
}

#[test]
fn goodput_on_clean_lines_is_between_88_and_97_percent_of_the_rate() {
    let _quiet = quiet();
    let congestions = [Congestion::Cubic, Congestion::Bbr];
    let measuring = Measuring::start(&congestions);
    let rates = [(GRUNDSCHULE, 100.0, 40.0), (GYMNASIUM, 1000.0, 1000.0)];
    for congestion in congestions {
        for direction in [Direction::Down, Direction::Up] {
            let used = measuring.congestion_of_a_test(congestion, direction);
            assert_eq!(used.as_deref(), Some(congestion.name()), "{direction:?}");
        }
    }
    let mut wrong = Vec::new();
    for (school, down, up) in rates {
        for congestion in congestions {
            for (direction, rate) in [(Direction::Down, down), (Direction::Up, up)] {
                let measure = || measuring.goodput(school, congestion, direction);
                let is_right = |goodput: f64| (0.88..=0.97).contains(&(goodput / rate));
                // Slow start now and then takes seconds of a test of eight (RFC 9406): where one does, the
                // median of three speaks.
                let mut tests = vec![measure()];
                if !is_right(tests[0]) {
                    tests.extend([measure(), measure()]);
                    tests.sort_by(f64::total_cmp);
                }
                let goodput = tests[tests.len() / 2];
                let line = format!(
                    "{rate} Mbit/s {direction:?} {}: {goodput:.1} Mbit/s, {:.1} % (tests: {tests:.1?})",
                    congestion.name(),
                    goodput / rate * 100.0
                );
                println!("{line}");
                if !is_right(goodput) {
                    wrong.push(line);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn goodput_on_the_lossy_line_is_within_10_percent_of_iperf3_in_the_same_run() {
    let _quiet = quiet();
    let measuring = Measuring::start(&[Congestion::Bbr]);
    let place = &measuring.town.server.namespace;
    let mut server = Command::new("iperf3");
    server.arg("-s").stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = place
        .spawn(server)
        .unwrap_or_else(|error| panic!("{error}\nthis test needs iperf3: apt-get install iperf3"));
    wait_for_port(&measuring.school(BERUFSKOLLEG).agent, &measuring.town, 5201);
    for direction in [Direction::Down, Direction::Up] {
        let (mut ours_in_all, mut theirs_in_all) = (0.0, 0.0);
        for _ in 0..3 {
            let theirs = iperf3(&measuring, direction);
            let ours = measuring.goodput(BERUFSKOLLEG, Congestion::Bbr, direction);
            println!("lossy {direction:?} bbr: ndt7 {ours:.1}, iperf3 {theirs:.1} Mbit/s");
            ours_in_all += ours;
            theirs_in_all += theirs;
        }
        let ratio = ours_in_all / theirs_in_all;
        assert!((0.9..=1.1).contains(&ratio), "{direction:?}: {ratio}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

/// What stock iperf3 received over the lossy line, in Mbit/s.
fn iperf3(measuring: &Measuring, direction: Direction) -> f64 {
    let mut client = Command::new("iperf3");
    let server = measuring.town.server.address.to_string();
    let seconds = (TEST_MS / 1_000).to_string();
    client.args(["-c", &server, "-t", &seconds, "-C", "bbr", "-J"]);
    if direction == Direction::Down {
        client.arg("-R");
    }
    let output = measuring
        .school(BERUFSKOLLEG)
        .agent
        .command(client)
        .output()
        .unwrap();
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    result["end"]["sum_received"]["bits_per_second"]
        .as_f64()
        .unwrap_or_else(|| panic!("iperf3 did not measure: {result}"))
        / 1e6
}

fn wait_for_port(from: &Namespace, town: &Town, port: u16) {
    let address = (town.server.address, port);
    for _ in 0..100 {
        if from
            .on(|| std::net::TcpStream::connect(address))
            .unwrap()
            .is_ok()
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nothing listens on {address:?}");
}

#[test]
fn the_loss_that_is_reported_per_direction_is_what_the_emulator_dropped() {
    let _quiet = quiet();
    let measuring = Measuring::start(&[Congestion::Cubic]);
    let link = &measuring.school(BERUFSKOLLEG).link;
    let counters = || (link.counters(Way::Down), link.counters(Way::Up));
    let probe = || Probe::Stamp {
        burst: Burst {
            count: 1_000,
            interval_ms: 2,
            timeout_ms: 500,
        },
    };
    // Whatever has to be looked up on the way is looked up before anything is counted.
    measuring.measure(BERUFSKOLLEG, Congestion::Cubic, probe());
    let mut lost_in_all = 0;
    for _ in 0..3 {
        let before = counters();
        let observations = measuring.measure(BERUFSKOLLEG, Congestion::Cubic, probe());
        let after = counters();
        for (direction, before, after) in [
            (Direction::Down, before.0, after.0),
            (Direction::Up, before.1, after.1),
        ] {
            let metric = Metric::new(Segment::Line, Quantity::LossOneWay(direction));
            let Value::Share(reported) = value(&observations, metric) else {
                panic!("no share")
            };
            let (sent, dropped) = since(before, after);
            let expected = messnetz_metric::Ppm::of(dropped, sent).unwrap();
            println!("{direction:?}: reported {reported:?}, emulator dropped {dropped} of {sent}");
            assert_eq!(reported, expected, "{direction:?}");
            lost_in_all += dropped;
        }
    }
    assert!(
        lost_in_all > 0,
        "a line that loses 1 % lost nothing of 6 000 packets"
    );
}

/// Packets that came to the emulator, and packets that it dropped.
fn since(before: Counters, after: Counters) -> (u64, u64) {
    assert_eq!(
        before.kernel_drops, after.kernel_drops,
        "the emulator's own socket dropped"
    );
    assert_eq!(
        before.overflowed, after.overflowed,
        "the emulator's queue overflowed"
    );
    (after.packets - before.packets, after.lost - before.lost)
}
