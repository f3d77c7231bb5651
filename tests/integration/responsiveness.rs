//! Round trips per minute under load: over lines with deep and with short queues, against stock ping and curl,
//! and with servers that do not keep to the draft.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use messnetz::lab::{Link, LinkSpec, Namespace, Shape};
use messnetz::measure::{Surroundings, TestServer, measure};
use messnetz::wire::{Probe, Task};
use messnetz_metric::{
    BitRate, Direction, Failure, FailureReason, Metric, Outcome, Quantity, Segment,
};
use messnetz_probes::Binding;
use messnetz_probes::connection::{Dial, Tls};
use messnetz_probes::responsiveness::client::Test;
use messnetz_probes::responsiveness::{Order, Parameters, Report};
use messnetz_probes::tls::{Fingerprint, Trust};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::lab::enter;
use crate::probe::{Place, Serving};
use crate::program::{RunningCollector, tls_of, write_config};
use crate::quiet::quiet;

const RATE: BitRate = BitRate::from_bps(20_000_000);

/// A school and a server, and between them a line with a router at each end: a host whose own interface is the
/// narrow one is held back by its kernel and fills no queue.
struct Line {
    school: Place,
    server: Place,
    _routers: [Namespace; 2],
    _link: Link,
}

const SERVER: &str = "10.3.0.1";

impl Line {
    /// Of [`RATE`] each way, in front of which so much waits.
    fn new(queue: Duration) -> Self {
        let lab = enter();
        let [near, far] = ["near", "far"].map(|name| lab.namespace(name).unwrap());
        let [school, server] = ["school", "server"].map(|name| Place {
            namespace: lab.namespace(name).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        });
        let mut shape = Shape::clean(RATE, Duration::from_millis(5));
        shape.queue = (RATE.as_bps() as f64 / 8.0 * queue.as_secs_f64()) as u64;
        let spec = LinkSpec {
            down: shape,
            up: shape,
            seed: 1,
        };
        let link = Link::join(&lab, (&near, "line"), (&far, "line"), &spec).unwrap();
        for (host, router, net, line, other) in
            [(&school, &near, 1, 1, 2), (&server, &far, 3, 2, 1)]
        {
            let host = &host.namespace;
            Namespace::cable((host, "lan"), (router, "lan")).unwrap();
            router.sysctl("net/ipv4/ip_forward", "1").unwrap();
            // Fills whatever queue there is, as most servers' congestion controls do.
            host.sysctl("net/ipv4/tcp_congestion_control", "reno")
                .unwrap();
            host.ip(&format!(
                "addr add 10.{net}.0.1/24 dev lan\nlink set lan up\nroute add default via 10.{net}.0.2\n"
            ))
            .unwrap();
            router
                .ip(&format!(
                    "addr add 10.{net}.0.2/24 dev lan\nlink set lan up\naddr add 10.2.0.{line}/24 dev line\n\
                     route add default via 10.2.0.{other}\n"
                ))
                .unwrap();
        }
        Self {
            school,
            server,
            _routers: [near, far],
            _link: link,
        }
    }
}

/// What the program measures over such a line, and the median of what stock ping sees meanwhile, in milliseconds.
fn measured(queue: Duration) -> (Value, f64) {
    let Line { school, server, .. } = &Line::new(queue);
    let (_serving, serves) = Serving::start(server, &["--listen", SERVER]);
    let fingerprint = serves["fingerprint"].as_str().unwrap();
    let target = serves["ndt7"].as_str().unwrap();
    let mut ping = Command::new("ping");
    // Until the queue has filled, and not after the test.
    ping.args(["-n", "-i", "0.1", "-c", "40", SERVER])
        .stdout(Stdio::piped());
    let (said, pinged) = std::thread::scope(|scope| {
        let pinged = scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(4));
            school.namespace.command(ping).output().unwrap()
        });
        let probe = ["responsiveness", target, "--fingerprint", fingerprint];
        let (said, code) = school.probe(&probe);
        assert_eq!(code, Some(0), "{said}");
        (said, pinged.join().unwrap())
    });
    let mut times: Vec<f64> = String::from_utf8(pinged.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once("time=")?.1.split_once(' '))
        .map(|(time, _)| time.parse().unwrap())
        .collect();
    times.sort_by(f64::total_cmp);
    assert!(times.len() >= 20, "{times:?}");
    (said, times[times.len() / 2])
}

fn ms(way: &Value, field: &str) -> f64 {
    way[field].as_f64().unwrap() / 1e3
}

#[test]
fn a_deep_queue_makes_a_line_poor_as_stock_ping_sees_it_and_a_short_one_leaves_it_good() {
    let _quiet = quiet();
    for (queue, class) in [
        (Duration::from_millis(400), "poor"),
        (Duration::from_millis(10), "good"),
    ] {
        let (said, pinged) = measured(queue);
        eprintln!("queue {queue:?}: ping {pinged} ms, {said}");
        let ways = said["report"]["ways"].as_array().unwrap();
        assert_eq!(said["report"]["order"], "sequential", "{said}");
        assert_eq!(said["report"]["parameters"]["interval_s"], 1.0, "{said}");
        assert_eq!((&ways[0]["direction"], ways.len()), (&"down".into(), 2));
        for way in ways {
            assert_eq!(way["class"], class, "ping {pinged} ms: {said}");
            // Ethernet, IP, TCP and TLS take 5 %; where many flows share a short queue, losses more.
            let goodput = way["goodput_bps"].as_f64().unwrap() / RATE.as_bps() as f64;
            assert!((0.75..1.02).contains(&goodput), "{goodput}: {said}");
            // The formula, from the parts that are told.
            let fresh = (ms(way, "tcp_us") + ms(way, "tls_us") + ms(way, "http_us")) / 3.0;
            let rpm = f64::midpoint(6e4 / fresh, 6e4 / ms(way, "loaded_us"));
            let told = way["rpm"].as_f64().unwrap();
            assert!((rpm / told - 1.0).abs() < 0.001, "{rpm}: {said}");
        }
        // Ping ran while the first way was loaded: a fresh connection waits in the same queue.
        let tcp = ms(&ways[0], "tcp_us");
        assert!((0.6..1.6).contains(&(tcp / pinged)), "{pinged}: {said}");
    }
}

#[test]
fn a_scheduled_test_goes_through_the_collectors_door() {
    let _quiet = quiet();
    let Line { school, server, .. } = &Line::new(Duration::from_millis(10));
    let address = format!("{SERVER}:8443");
    let lines = format!("agents = \"{address}\"\ndashboard = \"127.0.0.1:0\"");
    write_config(server.path(), &lines);
    let collector = RunningCollector::start(server.path(), Some(&server.namespace));
    let around = Surroundings {
        server: Some(TestServer {
            address,
            trust: Trust::Pinned(collector.ticket("XX-100001/main").fingerprint),
        }),
        ..Surroundings::default()
    };
    for direction in Direction::BOTH {
        let task = Task {
            every_ms: 600_000,
            phase_ms: 0,
            interface: None,
            hours: None,
            slots: None,
            probe: Probe::Responsiveness { direction },
        };
        let measured = school.namespace.on(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(measure(&task, &around))
        });
        let [observation] = &measured.unwrap()[..] else {
            panic!("one observation")
        };
        let metric = Metric::new(Segment::Line, Quantity::Responsiveness(direction));
        assert_eq!(
            (observation.metric, observation.peer.as_str()),
            (metric, "collector")
        );
        let Outcome::Value(value @ messnetz_metric::Value::Frequency(_)) = observation.outcome
        else {
            panic!("{observation:?}")
        };
        // Two round trips of 10 ms and the queue's 10: what a second has room for, and no more.
        assert!((300..6_000).contains(&value.number()), "{observation:?}");
    }
}

#[test]
fn a_load_that_nobody_reads_ends_before_its_time() {
    let _quiet = quiet();
    let lab = enter();
    let place = Place {
        namespace: lab.namespace("unread").unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    let options = ["--listen", "127.0.0.1", "--longest", "600"];
    let (_serving, serves) = Serving::start(&place, &options);
    let target = serves["ndt7"].as_str().unwrap();
    let mut unread = Command::new("openssl");
    unread
        .args(["s_client", "-quiet", "-connect", target])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut unread = place
        .namespace
        .spawn(unread)
        .expect("install openssl with `apt-get install -y openssl`");
    let request = b"GET /nq/large HTTP/1.1\r\nHost: x\r\n\r\n";
    unread.stdin.as_mut().unwrap().write_all(request).unwrap();
    let port = target.rsplit_once(':').unwrap().1;
    let holds = || {
        let mut ss = Command::new("ss");
        ss.args(["-tnH", "state", "established", &format!("sport = :{port}")]);
        let output = place.namespace.command(ss).output().unwrap();
        !output.stdout.is_empty()
    };
    let wait = |what: bool, longest: Duration| {
        let begun = Instant::now();
        while holds() != what {
            assert!(begun.elapsed() < longest, "{what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    wait(true, Duration::from_secs(10));
    // A stall may last 15 s; the object itself would have taken up to 600.
    wait(false, Duration::from_secs(40));
    unread.kill().unwrap();
    unread.wait().unwrap();
}

#[test]
fn stock_curl_gets_the_three_objects_over_http2() {
    let _quiet = quiet();
    let lab = enter();
    let place = Place {
        namespace: lab.namespace("nq").unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    let (_serving, serves) = Serving::start(&place, &["--listen", "127.0.0.1"]);
    let target = serves["ndt7"].as_str().unwrap();
    let curl = |arguments: &[&str], path: &str| {
        let mut curl = Command::new("curl");
        let url = format!("https://{target}{path}");
        curl.args(["--silent", "--insecure", "--http2", "--max-time", "10"])
            .args(["--write-out", "\n%{http_version} %{http_code}"])
            .args(arguments)
            .arg(url);
        let output = place.namespace.command(curl).output();
        let output = output.expect("install curl with `apt-get install -y curl`");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = curl(&[], "/.well-known/nq");
    let (configuration, version) = said.rsplit_once('\n').unwrap();
    assert_eq!(version, "2 200");
    let configuration: Value = serde_json::from_str(configuration).unwrap();
    assert_eq!(configuration["version"], 1);
    let path = |field: &str| {
        let url = configuration["urls"][field].as_str().unwrap();
        url.strip_prefix(&format!("https://{target}"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(curl(&[], &path("small_download_url")), "x\n2 200");
    // Only the head: the draft wants 8 GB at least.
    let head = curl(
        &[
            "--range",
            "0-0",
            "--dump-header",
            "-",
            "--max-filesize",
            "1",
        ],
        &path("large_download_url"),
    );
    assert!(head.contains("content-length: 8000000000"), "{head}");
    let sent = curl(
        &["--data-binary", &"x".repeat(100_000)],
        &path("upload_url"),
    );
    assert_eq!(sent, "\n2 200");
    // A browser's GET of where to send to.
    assert!(curl(&[], &path("upload_url")).ends_with("2 405"));
}

#[test]
fn agents_are_served_over_http1_and_only_loads_over_http2() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    write_config(
        folder.path(),
        &format!("agents = \"127.0.0.1:{port}\"\ndashboard = \"127.0.0.1:0\""),
    );
    let _collector = RunningCollector::start(folder.path(), None);
    let status = |version: &str, path: &str| {
        let output = Command::new("curl")
            .args(["--silent", "--insecure", "--max-time", "10", version])
            .args(["--output", "/dev/null", "--write-out", "%{http_code}"])
            .arg(format!("https://127.0.0.1:{port}{path}"))
            .output()
            .expect("install curl with `apt-get install -y curl`");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(status("--http1.1", "/v1/hello"), "200");
    assert_eq!(status("--http2", "/v1/hello"), "421");
    assert_eq!(status("--http2", "/nq/small"), "200");
    assert_eq!(status("--http1.1", "/nq/small"), "200");
}

/// How a server breaks the rules.
#[derive(Clone, Copy, Debug)]
enum Fault {
    SpeaksHttp1,
    HasNoConfiguration,
    NamesAnotherHost,
    SendsEmptyObjects,
    IsBusy,
    /// The connection is closed after so long.
    Leaves(Duration),
    AnswersNoLoad,
    AnswersNoProbe,
}

type Answer = Either<Full<Bytes>, Endless>;

/// A body without an end.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 16_384])))))
    }
}

async fn answer(request: Request<Incoming>, fault: Fault) -> Result<Response<Answer>, Infallible> {
    let whole = |status: u16, text: String| {
        let mut response = Response::new(Either::Left(Full::from(text)));
        *response.status_mut() = status.try_into().unwrap();
        response
    };
    let authority = request.uri().authority().unwrap().to_string();
    Ok(match (request.uri().path(), fault) {
        ("/.well-known/nq", Fault::HasNoConfiguration) => whole(404, String::new()),
        ("/.well-known/nq", _) => {
            let host = match fault {
                Fault::NamesAnotherHost => "elsewhere.example".to_owned(),
                _ => authority,
            };
            whole(
                200,
                format!(
                    r#"{{"version": 1, "urls": {{"large_download_url": "https://{host}/l",
                    "small_download_url": "https://{host}/s", "upload_url": "https://{host}/u"}}}}"#
                ),
            )
        }
        ("/s", Fault::AnswersNoProbe) | ("/l" | "/u", Fault::AnswersNoLoad) => {
            std::future::pending().await
        }
        ("/s", _) => whole(200, "x".to_owned()),
        (_, Fault::IsBusy) => whole(503, String::new()),
        ("/l", Fault::SendsEmptyObjects) => whole(200, String::new()),
        ("/l", _) => Response::new(Either::Right(Endless)),
        (_, _) => {
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            whole(200, String::new())
        }
    })
}

/// Serves with this fault until the runtime ends.
async fn serve(fault: Fault) -> (SocketAddr, Fingerprint) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let mut config = tls_of(&made);
    if !matches!(fault, Fault::SpeaksHttp1) {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = service_fn(move |request| answer(request, fault));
                let conversation = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                let longest = match fault {
                    Fault::Leaves(after) => after,
                    _ => Duration::from_mins(1),
                };
                let _ = tokio::time::timeout(longest, conversation).await;
            });
        }
    });
    (address, Fingerprint::of(made.cert.der()))
}

/// A short test of a server with this fault, which ends in time whatever it does.
fn tested(fault: Fault) -> Result<Report, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let begun = Instant::now();
    let result = runtime.block_on(async {
        let (address, fingerprint) = serve(fault).await;
        let test = Test {
            dial: Dial {
                address,
                tunnel: None,
                tls: Some(Tls {
                    trust: Trust::Pinned(fingerprint),
                    server_name: "127.0.0.1".to_owned(),
                }),
                binding: Binding::default(),
                congestion: None,
                deadline: Duration::from_secs(2),
            },
            server: address.to_string().parse().unwrap(),
            order: Order::Sequential,
            parameters: Parameters {
                interval: Duration::from_millis(100),
                ..Parameters::DRAFT
            },
        };
        test.run(|_| ()).await
    });
    assert!(begun.elapsed() < Duration::from_secs(15), "{fault:?}");
    result
}

#[test]
fn a_server_that_does_not_keep_to_the_draft_is_told_by_what_it_does() {
    let _quiet = quiet();
    for (fault, reason, told) in [
        (
            Fault::SpeaksHttp1,
            FailureReason::Protocol,
            "does not speak HTTP/2 over TLS 1.3",
        ),
        (
            Fault::HasNoConfiguration,
            FailureReason::Protocol,
            "HTTP 404",
        ),
        (
            Fault::NamesAnotherHost,
            FailureReason::Protocol,
            "large_download_url is not at https://127.0.0.1",
        ),
        (
            Fault::SendsEmptyObjects,
            FailureReason::Protocol,
            "an object carried nothing",
        ),
        (Fault::IsBusy, FailureReason::Protocol, "HTTP 503"),
        (
            Fault::AnswersNoLoad,
            FailureReason::Timeout,
            "nothing flowed",
        ),
    ] {
        let failure = tested(fault).unwrap_err();
        assert_eq!(failure.reason, reason, "{fault:?}: {failure}");
        assert!(failure.to_string().contains(told), "{fault:?}: {failure}");
    }
}

#[test]
fn a_server_that_leaves_in_the_middle_ends_the_test_with_a_reason() {
    let _quiet = quiet();
    let failure = tested(Fault::Leaves(Duration::from_millis(700))).unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol, "{failure}");
    assert!(
        failure.to_string().contains("loading 127.0.0.1"),
        "{failure}"
    );
}

#[test]
fn where_no_probe_is_answered_there_is_goodput_and_no_responsiveness() {
    let _quiet = quiet();
    let report = tested(Fault::AnswersNoProbe).unwrap();
    for way in &report.ways {
        assert!(way.goodput.as_bps() > 0, "{way:?}");
        assert_eq!((way.rpm, way.class), (None, None), "{way:?}");
    }
}
