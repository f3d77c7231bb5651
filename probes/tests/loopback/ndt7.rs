//! The throughput test, both sides.

use std::time::{Duration, Instant};

use ::http::Request;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use messnetz_metric::{Direction, Failure, FailureReason, Micros, Outcome, Quantity, Value};
use messnetz_probes::Binding;
use messnetz_probes::connection::Tls;
use messnetz_probes::ndt7::client::{Report, Test};
use messnetz_probes::ndt7::messages::Measurement;
use messnetz_probes::ndt7::server::Limits;
use messnetz_probes::ndt7::{SUBPROTOCOL, path};
use messnetz_probes::tcp_info::Congestion;
use messnetz_probes::tls::{Fingerprint, Trust};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::server as handshake;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

use crate::http::closed_port;
use crate::server::{self, Server};

/// Short, so that a run of all tests stays short; none of them asserts a speed.
const DURATION: Duration = Duration::from_millis(1500);

const LIMITS: Limits = Limits {
    duration: Duration::from_secs(10),
    hard: Duration::from_secs(15),
    congestion: Some(Congestion::Reno),
};

pub(crate) fn test(direction: Direction, address: std::net::SocketAddr, tls: Option<Tls>) -> Test {
    Test {
        direction,
        address,
        tunnel: None,
        host: address.to_string(),
        query: "client_name=messnetz".to_owned(),
        tls,
        binding: Binding::any(),
        duration: DURATION,
        deadline: Duration::from_mins(1),
        congestion: Some(Congestion::Reno),
    }
}

async fn run(direction: Direction, server: &Server) -> Result<Report, Failure> {
    test(direction, server.address, server.tls.clone())
        .run()
        .await
}

fn check(report: &Report, direction: Direction, tls: bool) {
    assert_eq!((report.direction, report.tls), (direction, tls));
    assert!(report.bytes > 0 && report.elapsed > Micros::default());
    assert_eq!(report.congestion.as_deref(), Some("reno"));
    let sender = report.sender.unwrap();
    assert!(sender.bytes_sent.unwrap() > 0);
    assert!(sender.min_rtt.is_some() && sender.rtt.is_some() && sender.bytes_retrans.is_some());
    let readings = report.readings();
    assert_eq!(readings.len(), 1);
    assert_eq!(readings[0].quantity, Quantity::Goodput(direction));
    assert_eq!(
        readings[0].outcome,
        Outcome::Value(Value::Rate(report.goodput))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_is_counted_by_the_client() {
    for tls in [false, true] {
        let mut server = if tls {
            server::with_tls(LIMITS).await
        } else {
            server::plain(LIMITS).await
        };
        let report = run(Direction::Down, &server).await.unwrap();
        check(&report, Direction::Down, tls);
        // The client ended the test, and no sooner than it was asked to.
        assert!(report.elapsed >= Micros::from(DURATION));

        let summary = server.outcome().await.unwrap();
        assert_eq!(summary.direction, Direction::Down);
        assert_eq!(report.server_uuid, Some(summary.uuid));
        assert_eq!(summary.congestion.as_deref(), Some("reno"));
        assert!(!summary.cut_off);
        // Nobody receives what nobody sent; framing and the head of the answer are small.
        assert!(
            report.bytes < summary.bytes + (2 << 20),
            "{} {}",
            report.bytes,
            summary.bytes
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_counted_by_the_server() {
    for tls in [false, true] {
        let mut server = if tls {
            server::with_tls(LIMITS).await
        } else {
            server::plain(LIMITS).await
        };
        let report = run(Direction::Up, &server).await.unwrap();
        check(&report, Direction::Up, tls);

        let summary = server.outcome().await.unwrap();
        assert_eq!(summary.direction, Direction::Up);
        assert_eq!(report.server_uuid, Some(summary.uuid));
        // A measurement on the way speaks of no more than the server had in the end, and of nothing
        // that the client only had in its queue.
        let received = summary.tcp.unwrap().bytes_received.unwrap();
        assert!(report.bytes <= received, "{} {received}", report.bytes);
        assert!(summary.bytes > 0 && summary.bytes <= received);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_that_the_server_ends_is_a_whole_test() {
    let limits = Limits {
        duration: Duration::from_millis(300),
        ..LIMITS
    };
    for direction in [Direction::Down, Direction::Up] {
        let mut server = server::plain(limits).await;
        let whole = Test {
            duration: Duration::from_secs(10),
            ..test(direction, server.address, None)
        };
        let report = whole.run().await.unwrap();
        check(&report, direction, false);
        assert!(report.elapsed < Micros::from(Duration::from_secs(10)));
        assert!(!server.outcome().await.unwrap().cut_off);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_exit_ends_a_download_after_250_megabytes() {
    let mut server = server::plain(LIMITS).await;
    let early = Test {
        query: "early_exit=250".to_owned(),
        duration: Duration::from_secs(10),
        ..test(Direction::Down, server.address, None)
    };
    let report = early.run().await.unwrap();
    let summary = server.outcome().await.unwrap();
    // Where ten seconds were not enough for it, the time ended the test.
    let acked = summary.tcp.unwrap().bytes_acked.unwrap();
    assert!(acked >= 250_000_000 || report.elapsed >= Micros::from(Duration::from_secs(10)));
    assert!(summary.elapsed < Micros::from(LIMITS.hard));
}

#[tokio::test]
async fn a_bad_query_is_refused_by_name() {
    let server = server::plain(LIMITS).await;
    let bad = Test {
        query: "early_exit=1".to_owned(),
        ..test(Direction::Down, server.address, None)
    };
    let failure = bad.run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol);
    assert!(failure.detail.contains("HTTP 400"), "{failure}");
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let (_held, address) = closed_port();
    let failure = test(Direction::Down, address, None)
        .run()
        .await
        .unwrap_err();
    assert_eq!(failure.reason, FailureReason::Refused);
}

#[tokio::test]
async fn an_interface_that_is_not_there_is_named() {
    let (_held, address) = closed_port();
    let bound = Test {
        binding: Binding::interface("absent0"),
        ..test(Direction::Down, address, None)
    };
    let failure = bound.run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Interface);
    assert!(failure.detail.contains("absent0"), "{failure}");
}

#[tokio::test]
async fn a_wrong_certificate_ends_the_test_before_it_begins() {
    let mut server = server::with_tls(LIMITS).await;
    if let Some(tls) = &mut server.tls {
        tls.trust = Trust::Pinned(Fingerprint::of(b"another"));
    }
    let failure = run(Direction::Up, &server).await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Tls);
}

#[tokio::test]
async fn a_server_that_says_nothing_ends_in_a_timeout() {
    // The kernel accepts, nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for tls in [None, Some(web())] {
        let waiting = Test {
            deadline: Duration::from_millis(300),
            ..test(Direction::Down, address, tls)
        };
        let failure = waiting.run().await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::Timeout);
    }
}

fn web() -> Tls {
    Tls {
        trust: Trust::Web,
        server_name: "messnetz.example".to_owned(),
    }
}

/// A server of which only the upgrade is right; what happens then is the test's to say.
async fn misbehaving<F, Fut>(behave: F) -> std::net::SocketAddr
where
    F: FnOnce(WebSocketStream<TcpStream>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        #[allow(clippy::result_large_err, reason = "tungstenite's callback")]
        let agree = |_: &handshake::Request, mut response: handshake::Response| {
            let headers = response.headers_mut();
            headers.insert("sec-websocket-protocol", SUBPROTOCOL.parse().unwrap());
            Ok(response)
        };
        behave(accept_hdr_async(stream, agree).await.unwrap()).await;
    });
    address
}

#[tokio::test]
async fn a_stalled_download_ends_when_its_time_is_over() {
    let address = misbehaving(|websocket| async move {
        let _held_open = websocket;
        std::future::pending::<()>().await;
    })
    .await;
    let failure = test(Direction::Down, address, None)
        .run()
        .await
        .unwrap_err();
    assert_eq!(failure.reason, FailureReason::Timeout);
}

#[tokio::test]
async fn a_download_that_breaks_off_in_a_message_counts_what_came() {
    let address = misbehaving(|mut websocket| async move {
        let message = Message::Binary(Bytes::from(vec![1; 8192]));
        websocket.send(message).await.unwrap();
        // The header of 8192 bytes (RFC 6455, section 5.2) and 1000 of them.
        let mut stream = websocket.into_inner();
        let mut part = vec![0x82, 126, 0x20, 0x00];
        part.resize(1004, 2);
        tokio::io::AsyncWriteExt::write_all(&mut stream, &part)
            .await
            .unwrap();
    })
    .await;
    let report = test(Direction::Down, address, None).run().await.unwrap();
    assert!(report.bytes >= 9192, "{}", report.bytes);
    assert_eq!((report.sender, report.congestion), (None, None));
}

#[tokio::test]
async fn a_download_without_data_is_a_failure() {
    let address = misbehaving(|mut websocket| async move {
        websocket.close(None).await.unwrap();
        while let Some(Ok(_)) = websocket.next().await {}
    })
    .await;
    let failure = test(Direction::Down, address, None)
        .run()
        .await
        .unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol);
}

#[tokio::test]
async fn an_upload_of_which_the_server_tells_nothing_is_a_failure() {
    let address = misbehaving(|mut websocket| async move {
        for text in ["{}", "no json", r#"{"TCPInfo":{"BytesReceived":-1}}"#] {
            websocket.send(Message::text(text)).await.unwrap();
        }
        for _ in 0..20 {
            let _ = websocket.next().await;
        }
    })
    .await;
    let failure = test(Direction::Up, address, None).run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol);
}

#[tokio::test]
async fn an_upload_to_a_server_that_only_listens_ends_with_its_deadline() {
    let address =
        misbehaving(
            |mut websocket| async move { while let Some(Ok(_)) = websocket.next().await {} },
        )
        .await;
    let waiting = Test {
        deadline: Duration::from_secs(1),
        ..test(Direction::Up, address, None)
    };
    let start = Instant::now();
    let failure = waiting.run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol);
    // Far from the 13 seconds after which a test without that deadline is cut off.
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn data_from_the_server_in_an_upload_is_a_failure() {
    let address = misbehaving(|mut websocket| async move {
        let message = Message::Binary(Bytes::from(vec![1; 100]));
        websocket.send(message).await.unwrap();
        while let Some(Ok(_)) = websocket.next().await {}
    })
    .await;
    let failure = test(Direction::Up, address, None).run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol);
    assert!(failure.detail.contains("wrong direction"), "{failure}");
}

#[tokio::test]
async fn a_download_that_dies_half_way_tells_what_came_until_then_and_no_diluted_rate() {
    let address = misbehaving(|mut websocket| async move {
        for _ in 0..5 {
            let message = Message::Binary(Bytes::from(vec![1; 100_000]));
            websocket.send(message).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        std::future::pending::<()>().await;
    })
    .await;
    let failure = test(Direction::Down, address, None)
        .run()
        .await
        .unwrap_err();
    assert_eq!(failure.reason, FailureReason::Timeout, "{failure}");
    // 500 kB within about 0.4 s, and not within the 1.5 s of the test.
    let rate = failure.detail.rsplit("bytes at ").next().unwrap();
    let rate: f64 = rate.trim_end_matches(" Mbit/s").parse().unwrap();
    assert!((4.0..11.0).contains(&rate), "{failure}");
    assert!(failure.detail.contains("nothing more came"), "{failure}");
}

#[tokio::test]
async fn an_upload_of_which_no_more_arrives_is_none() {
    let address = misbehaving(|mut websocket| async move {
        let told = r#"{"TCPInfo":{"BytesReceived":1000000,"ElapsedTime":100000}}"#;
        loop {
            websocket.send(Message::text(told)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let failure = test(Direction::Up, address, None).run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Timeout, "{failure}");
    assert!(failure.detail.contains("1000000 bytes"), "{failure}");
}

#[tokio::test]
async fn an_upload_that_the_server_breaks_off_keeps_what_it_told() {
    let address = misbehaving(|mut websocket| async move {
        let told = r#"{"TCPInfo":{"BytesReceived":1000000,"ElapsedTime":100000}}"#;
        websocket.send(Message::text(told)).await.unwrap();
        for _ in 0..20 {
            let _ = websocket.next().await;
        }
    })
    .await;
    let report = test(Direction::Up, address, None).run().await.unwrap();
    assert_eq!(report.bytes, 1_000_000);
    assert_eq!(report.goodput.as_bps(), 80_000_000);
}

/// A client of which only the upgrade is right.
async fn misbehaving_client(server: &Server, direction: Direction) -> WebSocketStream<TcpStream> {
    let address = server.address;
    let request = Request::get(format!("ws://{address}{}", path(direction)))
        .header("Host", address.to_string())
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header("Sec-WebSocket-Protocol", SUBPROTOCOL)
        .body(())
        .unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    client_async(request, stream).await.unwrap().0
}

#[tokio::test]
async fn data_from_the_client_in_a_download_ends_it() {
    let mut server = server::plain(LIMITS).await;
    let mut client = misbehaving_client(&server, Direction::Down).await;
    client
        .send(Message::Binary(Bytes::from(vec![1; 100])))
        .await
        .unwrap();
    while let Some(Ok(_)) = client.next().await {}
    let failure = server.outcome().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol);
    assert!(failure.detail.contains("wrong direction"), "{failure}");
}

#[tokio::test]
async fn a_client_that_stalls_is_cut_off() {
    let limits = Limits {
        duration: Duration::from_millis(300),
        hard: Duration::from_millis(600),
        congestion: None,
    };
    for direction in [Direction::Down, Direction::Up] {
        let mut server = server::plain(limits).await;
        // Held open without reading or writing anything.
        let _client = misbehaving_client(&server, direction).await;
        let summary = server.outcome().await.unwrap();
        assert!(summary.cut_off);
        assert!(summary.elapsed >= Micros::from(limits.hard));
    }
}

#[tokio::test]
async fn a_client_that_vanishes_ends_its_test() {
    for direction in [Direction::Down, Direction::Up] {
        let mut server = server::plain(LIMITS).await;
        drop(misbehaving_client(&server, direction).await);
        assert!(!server.outcome().await.unwrap().cut_off);
    }
}

#[tokio::test]
async fn what_is_no_websocket_ends_an_upload() {
    let mut server = server::plain(LIMITS).await;
    let client = misbehaving_client(&server, Direction::Up).await;
    let mut stream = client.into_inner();
    // Reserved bits and opcode (RFC 6455, section 5.2).
    tokio::io::AsyncWriteExt::write_all(&mut stream, &[0xff; 64])
        .await
        .unwrap();
    let failure = server.outcome().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol);
}

#[tokio::test]
async fn the_servers_measurements_name_test_and_connection() {
    let mut server = server::plain(LIMITS).await;
    let mut client = misbehaving_client(&server, Direction::Up).await;
    let from = client.get_ref().local_addr().unwrap();
    let first = client.next().await.unwrap().unwrap();
    let Message::Text(text) = first else {
        panic!("only measurements are expected, not {first:?}");
    };
    let told = Measurement::parse(&text).unwrap();
    let connection = told.connection_info.unwrap();
    assert_eq!(connection.client, from.to_string());
    assert_eq!(connection.server, server.address.to_string());
    drop(client);
    assert_eq!(server.outcome().await.unwrap().uuid, connection.uuid);
}
