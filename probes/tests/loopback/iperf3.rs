//! Our client and our server with each other and, in both roles, with the stock iperf3.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use messnetz_metric::{BitRate, Direction, Failure, FailureReason, Micros};
use messnetz_probes::iperf3::{
    Config, End, Flow, Limits, Parameters, Progress, Protocol, ReceivePath, Report, Served, Server,
    Test,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::http::closed_port;

/// As short as stock peers can be asked to test; none of the tests asserts a speed.
const SECOND: Duration = Duration::from_secs(1);

/// A server of ours, and what it tells about its clients.
struct Ours {
    address: SocketAddr,
    outcomes: mpsc::UnboundedReceiver<Served>,
    task: JoinHandle<()>,
}

impl Ours {
    fn start(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        change(&mut config);
        let server = Server::bind(config).unwrap();
        let address = server.address().unwrap();
        let (sender, outcomes) = mpsc::unbounded_channel();
        let task = tokio::spawn(server.run(move |client| {
            let _ = sender.send(client);
        }));
        Self {
            address,
            outcomes,
            task,
        }
    }

    async fn outcome(&mut self) -> Result<Report, Failure> {
        let outcome = timeout(Duration::from_secs(30), self.outcomes.recv()).await;
        outcome.unwrap().unwrap().outcome
    }

    /// A test of ours with this server.
    async fn test(&self, parameters: Parameters) -> Result<Report, Failure> {
        Test::new(self.address, parameters).run(|_| {}).await
    }

    /// What the stock client says about its test with this server.
    async fn stock_client(&self, arguments: &str) -> Value {
        let port = self.address.port().to_string();
        let output = Command::new("iperf3")
            .args(["-J", "-t", "1", "-c", "127.0.0.1", "-p", &port])
            .args(arguments.split_whitespace())
            .output();
        let output = timeout(Duration::from_secs(30), output).await.unwrap();
        let output = output.unwrap_or_else(|error| {
            panic!("{error}\nthis test needs iperf3: apt-get install iperf3")
        });
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A stock server that serves one test.
struct Stock {
    address: SocketAddr,
    program: Child,
}

impl Stock {
    async fn start() -> Self {
        // Each port is given out once, and from below those that Linux gives to connections by itself.
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let begin = 10_000 + (std::process::id() % 100) as u16 * 100;
        let port = loop {
            let port = begin + NEXT.fetch_add(1, Ordering::Relaxed);
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                break port;
            }
        };
        let program = Command::new("iperf3")
            .args(["-s", "-1", "-J", "-p", &port.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{error}\nthis test needs iperf3: apt-get install iperf3")
            });
        // A connection would be its one test: whether it listens is seen from outside.
        let listens = format!(":{port:04X} ");
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let table = ["/proc/net/tcp", "/proc/net/tcp6"]
                .map(|table| std::fs::read_to_string(table).unwrap_or_default())
                .concat();
            let is_there = table
                .lines()
                .any(|line| line.contains(&listens) && line.contains(" 0A "));
            if is_there {
                break;
            }
            assert!(Instant::now() < deadline, "iperf3 does not listen");
            sleep(Duration::from_millis(10)).await;
        }
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            program,
        }
    }

    async fn test(&self, parameters: Parameters) -> Result<Report, Failure> {
        Test::new(self.address, parameters).run(|_| {}).await
    }

    /// What the server says about its test.
    async fn said(self) -> Value {
        let output = self.program.wait_with_output();
        let output = timeout(Duration::from_secs(20), output).await.unwrap();
        serde_json::from_slice(&output.unwrap().stdout).unwrap()
    }
}

fn number(value: &Value) -> u64 {
    value.as_f64().map_or(0, |number| number as u64)
}

fn tcp(flow: Flow, streams: u8) -> Parameters {
    Parameters {
        streams,
        ..Parameters::tcp(flow, SECOND)
    }
}

fn udp(flow: Flow, wide_counters: bool) -> Parameters {
    Parameters {
        wide_counters,
        ..Parameters::udp(flow, SECOND, BitRate::from_mbps(20.0))
    }
}

/// What went one way, by stock iperf3: sent and received.
fn stock_sums(said: &Value, direction: Direction) -> (u64, u64) {
    let end = &said["end"];
    // In a test of both ways the second sum is that of the way from server to client.
    let is_second = direction == Direction::Down && !end["sum_sent_bidir_reverse"].is_null();
    let (sent, received) = if is_second {
        ("sum_sent_bidir_reverse", "sum_received_bidir_reverse")
    } else {
        ("sum_sent", "sum_received")
    };
    (number(&end[sent]["bytes"]), number(&end[received]["bytes"]))
}

fn check(report: &Report, direction: Direction, said: &Value) {
    let summary = report.direction(direction).unwrap();
    let ours = (summary.sent.bytes, summary.received.bytes);
    assert_eq!(ours, stock_sums(said, direction), "{said:#}");
    assert!(ours.1 > 0, "{ours:?}");
    // Each side begins to count by its own clock where something is left out at the start.
    let omits = !report.parameters.omit.is_zero();
    assert!(omits || ours.1 <= ours.0, "{ours:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_clients_and_our_server_count_the_same_bytes() {
    use Direction::{Down, Up};
    let mut server = Ours::start(|_| {});
    for (arguments, directions) in [
        ("", &[Up] as &[Direction]),
        ("-P 4", &[Up]),
        ("-P 128 -b 2M", &[Up]),
        ("-R", &[Down]),
        ("-R -P 4 -O 1", &[Down]),
        ("--bidir -P 2", &[Up, Down]),
        ("-O 1", &[Up]),
        ("-b 50M", &[Up]),
        ("-w 65536 -M 1000 -N", &[Up]),
        ("-Z -S 0x10", &[Up]),
        ("-n 20M", &[Up]),
        ("-k 50", &[Up]),
        ("-n 20M -R", &[Down]),
        ("--get-server-output", &[Up]),
    ] {
        let said = if arguments.starts_with("-n") || arguments.starts_with("-k") {
            // A test that bytes end must have no time.
            let port = server.address.port().to_string();
            let output = Command::new("iperf3")
                .args(["-J", "-c", "127.0.0.1", "-p", &port])
                .args(arguments.split_whitespace())
                .output();
            serde_json::from_slice(&output.await.unwrap().stdout).unwrap()
        } else {
            server.stock_client(arguments).await
        };
        assert!(said["error"].is_null(), "{arguments}: {}", said["error"]);
        let report = server.outcome().await.unwrap();
        for &direction in directions {
            check(&report, direction, &said);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_congestion_control_is_the_one_that_was_asked_for_on_both_sides() {
    let mut server = Ours::start(|_| {});
    let said = server.stock_client("-C cubic").await;
    assert_eq!(said["end"]["sender_tcp_congestion"], "cubic");
    assert_eq!(said["end"]["receiver_tcp_congestion"], "cubic");
    let report = server.outcome().await.unwrap();
    assert_eq!(report.congestion.own.as_deref(), Some("cubic"));

    let stock = Stock::start().await;
    let parameters = Parameters {
        congestion: Some("cubic".to_owned()),
        ..tcp(Flow::Up, 1)
    };
    let report = stock.test(parameters).await.unwrap();
    assert_eq!(report.congestion.own.as_deref(), Some("cubic"));
    assert_eq!(report.congestion.peer.as_deref(), Some("cubic"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_clients_and_our_server_count_the_same_datagrams() {
    let mut server = Ours::start(|_| {});
    for arguments in [
        "-u -b 20M",
        "-u -b 20M -R",
        "-u -b 20M --udp-counters-64bit",
        "-u -b 20M -R --udp-counters-64bit -P 3",
        "-u -b 5M --bidir -l 1000",
    ] {
        let said = server.stock_client(arguments).await;
        assert!(said["error"].is_null(), "{arguments}: {}", said["error"]);
        let report = server.outcome().await.unwrap();
        let sum = &said["end"]["sum"];
        let is_reverse = arguments.contains("-R");
        let direction = if is_reverse {
            Direction::Down
        } else {
            Direction::Up
        };
        let summary = report.direction(direction).unwrap();
        let datagrams = summary.datagrams.unwrap();
        let packets = number(&sum["packets"]);
        if is_reverse {
            // Stock clients count what the server says to have sent: the last ones are on the way.
            assert!(datagrams.packets <= packets, "{arguments}");
            assert!(packets - datagrams.packets < 50, "{arguments}: {packets}");
        } else {
            assert_eq!(datagrams.packets, packets, "{arguments}");
        }
        assert_eq!(datagrams.lost, number(&sum["lost_packets"]), "{arguments}");
        // On the loopback interface stock datagrams have 32 KiB.
        assert!(datagrams.packets > 50, "{arguments}: {datagrams:?}");
        if !is_reverse {
            let jitter_us = sum["jitter_ms"].as_f64().unwrap() * 1e3;
            let ours = datagrams.jitter.as_micros() as f64;
            assert!((jitter_us - ours).abs() <= 1.0, "{arguments}: {ours}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_and_stock_servers_count_the_same_bytes() {
    use Direction::{Down, Up};
    let shaped = Parameters {
        rate: Some(BitRate::from_mbps(50.0)),
        window: Some(65_536),
        mss: Some(1000),
        no_delay: true,
        tos: Some(0x10),
        ..tcp(Flow::Up, 2)
    };
    let omitting = Parameters {
        omit: SECOND,
        ..tcp(Flow::Down, 2)
    };
    let crowd = Parameters {
        rate: Some(BitRate::from_mbps(2.0)),
        ..tcp(Flow::Up, 128)
    };
    let volume = Parameters {
        end: End::Bytes(20_000_000),
        ..tcp(Flow::Up, 3)
    };
    for (parameters, directions) in [
        (tcp(Flow::Up, 1), &[Up] as &[Direction]),
        (tcp(Flow::Up, 4), &[Up]),
        (crowd, &[Up]),
        (tcp(Flow::Down, 1), &[Down]),
        (tcp(Flow::Down, 4), &[Down]),
        (tcp(Flow::Both, 2), &[Up, Down]),
        (shaped, &[Up]),
        (omitting, &[Down]),
        (volume, &[Up]),
    ] {
        let server = Stock::start().await;
        let report = server.test(parameters.clone()).await.unwrap();
        let said = server.said().await;
        for &direction in directions {
            let summary = report.direction(direction).unwrap();
            // The stock server's own report has the side that it counted itself.
            let (sent, received) = stock_sums(&said, direction);
            if direction == Up {
                assert_eq!(summary.received.bytes, received, "{parameters:?}");
            } else {
                assert_eq!(summary.sent.bytes, sent, "{parameters:?}");
            }
            assert!(summary.received.bytes > 0);
            let omits = !parameters.omit.is_zero();
            assert!(omits || summary.received.bytes <= summary.sent.bytes);
        }
        if let End::Bytes(bytes) = parameters.end {
            assert_eq!(report.up.unwrap().sent.bytes, bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_and_stock_servers_count_the_same_datagrams() {
    for (flow, wide) in [
        (Flow::Up, false),
        (Flow::Up, true),
        (Flow::Down, false),
        (Flow::Down, true),
    ] {
        let server = Stock::start().await;
        let report = server.test(udp(flow, wide)).await.unwrap();
        let said = server.said().await;
        let (summary, sum) = match flow {
            Flow::Up => (report.up.unwrap(), &said["end"]["sum"]),
            _ => (report.down.unwrap(), &said["end"]["sum"]),
        };
        let datagrams = summary.datagrams.unwrap();
        // 20 Mbit/s in datagrams of 1460 octets are 1712 a second.
        assert!(
            datagrams.packets.abs_diff(1712) < 170,
            "{flow:?} {wide}: {datagrams:?}"
        );
        if flow == Flow::Up {
            assert_eq!(datagrams.packets, number(&sum["packets"]), "{said:#}");
            assert_eq!(datagrams.lost, number(&sum["lost_packets"]));
        }
        assert!(datagrams.jitter < Micros::from_micros(100_000));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_two_ends_agree_in_every_way() {
    let mut server = Ours::start(|_| {});
    for parameters in [
        tcp(Flow::Up, 1),
        tcp(Flow::Both, 3),
        udp(Flow::Both, true),
        udp(Flow::Down, false),
    ] {
        let client = server.test(parameters.clone()).await.unwrap();
        let theirs = server.outcome().await.unwrap();
        assert_eq!(client.up, without_order(&client, &theirs, Direction::Up));
        assert_eq!(
            client.down,
            without_order(&client, &theirs, Direction::Down)
        );
        assert_eq!(client.streams.len(), parameters.all_streams());
        assert_eq!(client.congestion.own, theirs.congestion.peer);
        assert!(!client.intervals.is_empty() && !theirs.intervals.is_empty());
        let counted: u64 = client
            .intervals
            .iter()
            .flat_map(|interval| &interval.streams)
            .map(|stream| stream.transfer.bytes)
            .sum();
        assert!(counted > 0);
        for reading in client.readings() {
            assert!(matches!(
                reading.outcome,
                messnetz_metric::Outcome::Value(_)
            ));
        }
    }
}

/// The server's account of a direction as the client must have it: only the receiver knows what came out of
/// order.
fn without_order(
    client: &Report,
    theirs: &Report,
    direction: Direction,
) -> Option<messnetz_probes::iperf3::Summary> {
    let mut summary = theirs.direction(direction)?.clone();
    let own = client.direction(direction)?.datagrams;
    if let (Some(datagrams), Some(own)) = (&mut summary.datagrams, own) {
        datagrams.out_of_order = own.out_of_order;
    }
    Some(summary)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_copied_out_of_the_kernel_counts_as_what_is_not() {
    let receive = ReceivePath::Copy;
    let mut server = Ours::start(|config| config.receive = receive);
    let mut test = Test::new(server.address, tcp(Flow::Both, 1));
    test.receive = receive;
    let client = test.run(|_| {}).await.unwrap();
    let theirs = server.outcome().await.unwrap();
    assert_eq!((client.up, client.down), (theirs.up, theirs.down));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_client_is_refused_in_the_stock_way_and_ours_waits_for_its_turn() {
    let mut server = Ours::start(|_| {});
    let address = server.address;
    let long = Parameters::tcp(Flow::Up, 2 * SECOND);
    let first = tokio::spawn(Test::new(address, long).run_quietly());
    sleep(SECOND / 2).await;
    let said = server.stock_client("").await;
    let error = said["error"].as_str().unwrap();
    assert!(error.contains("server is busy"), "{error}");
    let refused = server.outcome().await.unwrap_err();
    assert_eq!(refused.reason, FailureReason::Busy);

    let mut places = Vec::new();
    let second = Test::new(address, tcp(Flow::Up, 1))
        .run(|progress| {
            if let Progress::Queued(place) = progress {
                places.push(place);
            }
        })
        .await
        .unwrap();
    assert!(first.await.unwrap().is_ok());
    let told = places.first().unwrap();
    assert_eq!(told.place, 1);
    assert!(told.wait > Micros::default() && told.wait <= Micros::from(3 * SECOND));
    assert!(second.waited > Micros::default());
    assert!(server.outcome().await.is_ok());
    let theirs = server.outcome().await.unwrap();
    assert!(theirs.waited > Micros::default());
    assert_eq!(theirs.up, second.up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_reports_a_busy_stock_server() {
    let stock = Stock::start().await;
    let long = Parameters::tcp(Flow::Up, 2 * SECOND);
    let first = tokio::spawn(Test::new(stock.address, long).run_quietly());
    sleep(SECOND).await;
    let failure = stock.test(tcp(Flow::Up, 1)).await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Busy, "{failure}");
    assert!(first.await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_tests_at_once_are_counted_apart() {
    let mut server = Ours::start(|config| config.parallel = 3);
    let (up, down, datagrams) = tokio::join!(
        server.test(Parameters {
            rate: Some(BitRate::from_mbps(8.0)),
            ..tcp(Flow::Up, 1)
        }),
        server.test(tcp(Flow::Down, 2)),
        server.test(udp(Flow::Up, true)),
    );
    let (up, down, datagrams) = (up.unwrap(), down.unwrap(), datagrams.unwrap());
    let sent = up.up.as_ref().unwrap().sent.bytes;
    assert!(sent.abs_diff(1_000_000) < 200_000, "{sent}");
    for _ in 0..3 {
        let theirs = server.outcome().await.unwrap();
        let client = match (theirs.parameters.protocol, theirs.parameters.flow) {
            (Protocol::Udp, _) => &datagrams,
            (_, Flow::Up) => &up,
            _ => &down,
        };
        assert_eq!(theirs.down, client.down);
        let received = |report: &Report| report.up.as_ref().map(|up| up.received);
        assert_eq!(received(&theirs), received(client));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_stock_clients_and_strangers_are_refused() {
    let mut server = Ours::start(|config| {
        config.limits = Limits {
            duration: 5 * SECOND,
            streams: 2,
            rate: Some(BitRate::from_mbps(40.0)),
        };
    });
    for (arguments, word) in [
        ("-P 3", "parallel streams"),
        ("-t 6", "duration"),
        ("-b 41M", "bandwidth"),
    ] {
        let said = server.stock_client(arguments).await;
        let error = said["error"].as_str().unwrap();
        assert!(error.contains(word), "{arguments}: {error}");
        assert!(server.outcome().await.is_err());
    }
    // Who asks for no rate is held to it in both directions.
    for (flow, direction) in [(Flow::Up, Direction::Up), (Flow::Down, Direction::Down)] {
        let report = server.test(tcp(flow, 1)).await.unwrap();
        let rate = report.direction(direction).unwrap().received.rate.unwrap();
        assert!(rate.as_mbps() < 48.0, "{direction:?}: {rate:?}");
    }
    let closed = Ours::start(|config| {
        config.allowed = vec!["192.0.2.0/24".parse().unwrap()];
    });
    let failure = closed.test(tcp(Flow::Up, 1)).await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Busy, "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_survives_whatever_clients_send_and_serves_the_next() {
    let mut server = Ours::start(|_| {});
    let cookie = b"abcdefghijklmnopqrstuvwxyz234567abcd\0";
    let bombs: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: a school\r\n\r\n",
        &[0xff; 64],
        &[cookie.as_slice(), &u32::MAX.to_be_bytes()].concat(),
        &[cookie.as_slice(), &[0, 0, 0x3f, 0], &[b'['; 0x3f00]].concat(),
        &[cookie.as_slice(), b"\0\0\0\x02{}"].concat(),
        &cookie[..20],
    ];
    for bomb in bombs {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(bomb).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        // Answered or not, it is closed at once.
        let closed = timeout(5 * SECOND, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "{bomb:?}");
    }
    let garbage = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..1000 {
        garbage.send_to(&[7; 100], server.address).unwrap();
    }
    while timeout(SECOND / 2, server.outcomes.recv()).await.is_ok() {}
    let report = server.test(udp(Flow::Up, true)).await.unwrap();
    assert!(report.up.unwrap().received.bytes > 0);
    garbage.set_nonblocking(true).unwrap();
    assert!(
        garbage.recv(&mut [0; 100]).is_err(),
        "strangers are answered"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_that_is_dropped_ends_at_the_server_too() {
    let mut server = Ours::start(|_| {});
    let test = Test::new(server.address, Parameters::tcp(Flow::Both, 60 * SECOND));
    let running = tokio::spawn(test.run_quietly());
    sleep(SECOND).await;
    running.abort();
    let failure = server.outcome().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol, "{failure}");
    assert!(server.test(tcp(Flow::Down, 1)).await.is_ok());
}

/// Runs in a process of its own: other tests open and close descriptors and threads as well.
#[test]
fn no_descriptor_and_no_thread_is_left_behind() {
    const CHILD: &str = "MESSNETZ_TEST_LEFT_BEHIND";
    if std::env::var_os(CHILD).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "iperf3::no_descriptor_and_no_thread_is_left_behind",
            ])
            .env(CHILD, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut server = Ours::start(|_| {});
        // The first round opens what stays open, such as the thread on which threads are joined.
        let mut before = None;
        for _ in 0..2 {
            for parameters in [tcp(Flow::Both, 8), udp(Flow::Both, true)] {
                server.test(parameters).await.unwrap();
                server.outcome().await.unwrap();
            }
            // Left in the middle by the client, and by a client that says nothing more.
            let test = Test::new(server.address, tcp(Flow::Both, 8));
            assert!(timeout(SECOND / 2, test.run(|_| {})).await.is_err());
            assert!(server.outcome().await.is_err());
            let mut silent = TcpStream::connect(server.address).await.unwrap();
            silent.write_all(&[b'a'; 36]).await.unwrap();
            drop(silent);
            sleep(SECOND).await;
            let counted = ["/proc/self/fd", "/proc/self/task"]
                .map(|folder| std::fs::read_dir(folder).unwrap().count());
            assert_eq!(*before.get_or_insert(counted), counted);
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_ends_in_a_reason_whatever_the_server_does() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for (said, reason) in [
        (&[] as &[u8], FailureReason::Protocol),
        (&[9, 10, 1, 2, 200], FailureReason::Protocol),
        (&[0xff], FailureReason::Busy),
        (&[113, 0xff, 0xff, 0xff, 0xff], FailureReason::Protocol),
        (
            &[9, 0xfe, 0, 0, 0, 142, 0, 0, 0, 0],
            FailureReason::Protocol,
        ),
    ] {
        let test = Test::new(address, tcp(Flow::Up, 1));
        let running = tokio::spawn(test.run_quietly());
        let (mut control, _) = listener.accept().await.unwrap();
        control.read_exact(&mut [0; 37]).await.unwrap();
        control.write_all(said).await.unwrap();
        let streams = async {
            // Whatever it opens is left alone.
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        };
        let _ = timeout(SECOND / 5, streams).await;
        drop(control);
        let failure = timeout(5 * SECOND, running).await.unwrap().unwrap();
        assert_eq!(failure.unwrap_err().reason, reason, "{said:?}");
    }
    let (_held, closed) = closed_port();
    let failure = Test::new(closed, tcp(Flow::Up, 1))
        .run(|_| {})
        .await
        .unwrap_err();
    assert_eq!(failure.reason, FailureReason::Refused);
}

/// Runs without anybody watching, on a task of its own.
trait Quietly {
    fn run_quietly(self) -> impl Future<Output = Result<Report, Failure>> + Send;
}

impl Quietly for Test {
    async fn run_quietly(self) -> Result<Report, Failure> {
        self.run(|_| {}).await
    }
}
