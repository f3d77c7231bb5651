//! The HTTP probe and the exchange.

use std::net::SocketAddr;
use std::time::Duration;

use ::http::{Request, Uri};
use bytes::Bytes;
use http_body_util::Full;
use messnetz_metric::{FailureReason, Quantity};
use messnetz_probes::Binding;
use messnetz_probes::connection::Dial;
use messnetz_probes::http::{Fetch, exchange};
use messnetz_probes::ndt7::server::Limits;
use messnetz_probes::reach::{Reach, Within};
use messnetz_probes::tls::{Fingerprint, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use crate::server::{self, Server};

const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn fetch(server: &Server, path: &str) -> Fetch {
    let scheme = if server.tls.is_some() {
        "https"
    } else {
        "http"
    };
    Fetch {
        url: format!("{scheme}://messnetz.example{path}")
            .parse()
            .unwrap(),
        address: Some(server.address),
        proxy: None,
        reach: Reach::Anywhere,
        binding: Binding::any(),
        trust: server
            .tls
            .as_ref()
            .map_or(Trust::Web, |tls| tls.trust.clone()),
        deadline: DEADLINE,
        max_body: 10_000,
    }
}

fn quantities(fetch: &Fetch, report: &messnetz_probes::http::Report) {
    let read: Vec<Quantity> = report.readings().iter().map(|r| r.quantity).collect();
    assert_eq!(read, fetch.quantities());
}

#[tokio::test]
async fn the_phases_of_a_plain_page_add_up() {
    let server = server::plain(Limits::default()).await;
    let fetch = fetch(&server, "/page");
    let report = fetch.run().await.unwrap();
    assert_eq!((report.status, report.body_bytes), (200, 5000));
    assert_eq!((report.resolve, report.tls), (None, None));
    assert!(
        report.connect.as_micros() + report.first_byte.as_micros() <= report.total.as_micros() + 2
    );
    quantities(&fetch, &report);
}

#[tokio::test]
async fn the_handshake_of_a_page_over_tls_is_a_phase_of_its_own() {
    let server = server::with_tls(Limits::default()).await;
    let fetch = fetch(&server, "/page");
    let report = fetch.run().await.unwrap();
    let tls = report.tls.unwrap();
    assert!(tls.as_micros() > 0 && tls < report.total);
    quantities(&fetch, &report);
}

#[tokio::test]
async fn a_name_is_resolved_where_no_address_is_given() {
    let server = server::plain(Limits::default()).await;
    let port = server.address.port();
    let fetch = Fetch {
        // An address in the place of the name: no resolver is asked, but the phase is there.
        url: format!("http://127.0.0.1:{port}/host").parse().unwrap(),
        address: None,
        ..fetch(&server, "/")
    };
    let report = fetch.run().await.unwrap();
    assert!(report.resolve.is_some());
    assert_eq!(report.peer, server.address);
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let server = server::plain(Limits::default()).await;
    assert_eq!(fetch(&server, "/moved").run().await.unwrap().status, 302);
}

#[tokio::test]
async fn a_page_whose_name_leads_out_of_reach_is_not_spoken_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let outside = Reach::Within(Within {
        public: true,
        ..Within::default()
    });
    let server = server::plain(Limits::default()).await;
    let direct = Fetch {
        url: format!("http://localhost:{port}/").parse().unwrap(),
        address: None,
        reach: outside,
        ..fetch(&server, "/")
    };
    let proxied = Fetch {
        proxy: Some(format!("http://{}", server.address).parse().unwrap()),
        ..direct.clone()
    };
    for fetch in [direct, proxied] {
        let failure = fetch.run().await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::Permission, "{failure}");
        assert!(
            failure.detail.starts_with("localhost leads to"),
            "{failure}"
        );
    }
    let knocked = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(knocked.is_err());
}

#[tokio::test]
async fn an_error_of_the_server_is_a_failure_that_names_it() {
    let server = server::plain(Limits::default()).await;
    let failure = fetch(&server, "/broken").run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol);
    assert!(failure.detail.contains("HTTP 503"), "{failure}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_failure() {
    let server = server::plain(Limits::default()).await;
    let fetch = Fetch {
        max_body: 4999,
        ..fetch(&server, "/page")
    };
    let failure = fetch.run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol);
}

#[tokio::test]
async fn a_silent_server_ends_in_a_timeout() {
    let server = server::plain(Limits::default()).await;
    let fetch = Fetch {
        deadline: Duration::from_millis(300),
        ..fetch(&server, "/silent")
    };
    let failure = fetch.run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Timeout);
}

#[tokio::test]
async fn a_wrong_certificate_is_told_with_both_fingerprints() {
    let server = server::with_tls(Limits::default()).await;
    let expected = Fingerprint::of(b"another certificate");
    let fetch = Fetch {
        trust: Trust::Pinned(expected),
        ..fetch(&server, "/page")
    };
    let failure = fetch.run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Tls);
    let Some(Trust::Pinned(seen)) = server.tls.map(|tls| tls.trust) else {
        panic!("the server is pinned");
    };
    assert!(failure.detail.contains(&seen.to_string()), "{failure}");
    assert!(failure.detail.contains(&expected.to_string()), "{failure}");
}

#[tokio::test]
async fn the_web_does_not_vouch_for_a_self_signed_certificate() {
    let server = server::with_tls(Limits::default()).await;
    let fetch = Fetch {
        trust: Trust::Web,
        ..fetch(&server, "/page")
    };
    let failure = fetch.run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Tls);
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let (_held, address) = closed_port();
    let failure = Fetch {
        address: Some(address),
        proxy: None,
        reach: Reach::Anywhere,
        url: Uri::from_static("http://messnetz.example/"),
        binding: Binding::any(),
        trust: Trust::Web,
        deadline: DEADLINE,
        max_body: 0,
    }
    .run()
    .await
    .unwrap_err();
    assert_eq!(failure.reason, FailureReason::Refused);
}

#[tokio::test]
async fn a_server_that_speaks_no_http_is_a_failure_of_the_protocol() {
    let failure = fetch_from_peer(b"220 mail.example ESMTP\r\n").await;
    assert_eq!(failure.reason, FailureReason::Protocol);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure() {
    let failure = fetch_from_peer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort").await;
    assert_eq!(failure.reason, FailureReason::Protocol);
}

/// Fetches from a peer that answers `bytes` and hangs up.
async fn fetch_from_peer(bytes: &'static [u8]) -> messnetz_metric::Failure {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(bytes).await.unwrap();
    });
    let fetch = Fetch {
        url: Uri::from_static("http://messnetz.example/"),
        address: Some(address),
        proxy: None,
        reach: Reach::Anywhere,
        binding: Binding::any(),
        trust: Trust::Web,
        deadline: DEADLINE,
        max_body: 1000,
    };
    fetch.run().await.unwrap_err()
}

#[tokio::test]
async fn an_exchange_carries_a_body_there_and_back() {
    for server in [
        server::plain(Limits::default()).await,
        server::with_tls(Limits::default()).await,
    ] {
        let response = post(&server, "/echo", 100_000).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.body().len(), 100_000);
    }
}

#[tokio::test]
async fn an_exchange_names_the_host_of_its_address() {
    let server = server::plain(Limits::default()).await;
    let response = post(&server, "/host", 100).await.unwrap();
    assert_eq!(response.body().as_ref(), b"collector.example:8443");
}

#[tokio::test]
async fn an_exchange_hands_over_an_error_of_the_server_as_it_came() {
    let server = server::plain(Limits::default()).await;
    assert_eq!(post(&server, "/broken", 100).await.unwrap().status(), 503);
}

#[tokio::test]
async fn an_exchange_reads_no_more_than_it_is_allowed() {
    let server = server::plain(Limits::default()).await;
    let failure = post(&server, "/echo", 99_999).await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol);
}

async fn post(
    server: &Server,
    path: &str,
    max_body: usize,
) -> Result<::http::Response<Bytes>, messnetz_metric::Failure> {
    let connection = Dial {
        address: server.address,
        tunnel: None,
        tls: server.tls.clone(),
        binding: Binding::any(),
        congestion: None,
        deadline: DEADLINE,
    }
    .connect()
    .await
    .unwrap();
    let request = Request::post(format!("https://collector.example:8443{path}"))
        .body(Full::new(Bytes::from(vec![7; 100_000])))
        .unwrap();
    exchange(connection, request, DEADLINE, max_body).await
}

/// A port where nothing listens. The socket holds it, so that nothing else of these tests comes to listen
/// there meanwhile.
pub(crate) fn closed_port() -> (TcpSocket, SocketAddr) {
    let held = TcpSocket::new_v4().unwrap();
    held.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = held.local_addr().unwrap();
    (held, address)
}
