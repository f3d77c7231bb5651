//! Ways out through a proxy: one that is told of, and one that reads along.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use messnetz_metric::{Direction, FailureReason};
use messnetz_probes::Binding;
use messnetz_probes::certificate::{Inspection, Verdict};
use messnetz_probes::connection::Dial;
use messnetz_probes::http::Fetch;
use messnetz_probes::ndt7::server::Limits;
use messnetz_probes::proxy::{Proxy, Tunnel};
use messnetz_probes::reach::Reach;
use messnetz_probes::tls::{Fingerprint, Trust};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::server::{self, Server};
use crate::{http, ndt7};

/// A proxy that leads every tunnel to `server`, for whoever gives the password, and counts them.
async fn connecting(server: SocketAddr) -> (Proxy, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tunnels = Arc::new(AtomicUsize::new(0));
    let count = tunnels.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                if !head.contains("Proxy-Authorization: Basic dTpw\r\n") {
                    let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
                    client.write_all(answer).await.unwrap();
                    return;
                }
                assert!(
                    head.starts_with("CONNECT messnetz.example:443 HTTP/1.1"),
                    "{head}"
                );
                count.fetch_add(1, Ordering::Relaxed);
                let mut server = TcpStream::connect(server).await.unwrap();
                let answer = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n";
                client.write_all(answer).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (format!("http://u:p@{address}").parse().unwrap(), tunnels)
}

fn tunnel(proxy: &Proxy) -> Tunnel {
    proxy.tunnel("messnetz.example", 443)
}

fn address(proxy: &Proxy) -> SocketAddr {
    proxy.to_string().parse().unwrap()
}

#[tokio::test]
async fn a_page_comes_through_a_proxy_that_is_told_of() {
    let server = server::with_tls(Limits::default()).await;
    let (proxy, tunnels) = connecting(server.address).await;
    let through = Fetch {
        address: None,
        proxy: Some(proxy.clone()),
        ..http::fetch(&server, "/page")
    };
    let report = through.run().await.unwrap();
    assert_eq!((report.status, report.body_bytes), (200, 5000));
    assert_eq!(report.peer, address(&proxy));
    assert!(report.tunnel.is_some() && report.tls.is_some());
    assert_eq!(tunnels.load(Ordering::Relaxed), 1);

    let stranger = Fetch {
        proxy: Some(format!("http://{}", address(&proxy)).parse().unwrap()),
        ..through
    };
    let failure = stranger.run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Refused);
    assert!(failure.detail.contains("user and password"), "{failure}");
}

/// On threads of their own: proxy, server and client all move as much as they can.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn throughput_is_measured_through_a_proxy() {
    let server = server::with_tls(Limits::default()).await;
    let (proxy, tunnels) = connecting(server.address).await;
    for direction in [Direction::Down, Direction::Up] {
        let test = messnetz_probes::ndt7::client::Test {
            tunnel: Some(tunnel(&proxy)),
            ..ndt7::test(direction, address(&proxy), server.tls.clone())
        };
        let report = test.run().await.unwrap();
        assert!(report.bytes > 0 && report.tls);
    }
    assert_eq!(tunnels.load(Ordering::Relaxed), 2);
}

/// In the clear, the proxy is asked for the whole address.
#[tokio::test]
async fn a_page_in_the_clear_is_asked_for_at_the_proxy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy: Proxy = format!("u:p@{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let asked = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        client.write_all(answer).await.unwrap();
        String::from_utf8(head).unwrap()
    });
    let fetch = Fetch {
        url: "http://nowhere.example/page?x=1".parse().unwrap(),
        address: None,
        proxy: Some(proxy),
        reach: Reach::Anywhere,
        binding: Binding::any(),
        trust: Trust::Web,
        deadline: Duration::from_secs(10),
        max_body: 100,
    };
    assert_eq!(fetch.run().await.unwrap().body_bytes, 2);
    let asked = asked.await.unwrap().to_lowercase();
    assert!(
        asked.starts_with("get http://nowhere.example/page?x=1 http/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("proxy-authorization: basic dtpw\r\n"),
        "{asked}"
    );
}

/// A filter that reads along: it ends TLS itself, with a certificate that its own authority made for the
/// name that was asked for.
async fn reading_along() -> SocketAddr {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = &mut authority.distinguished_name;
    name.push(DnType::OrganizationName, "School Filter");
    name.push(DnType::CommonName, "Filter CA");
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(authority, key);
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["messnetz.example".to_owned()])
        .unwrap()
        .signed_by(&leaf_key, &issuer)
        .unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            leaf_key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not believe the certificate ends the handshake.
            let _ = acceptor.accept(stream).await;
        }
    });
    address
}

fn inspection(address: SocketAddr, expected: Option<Fingerprint>) -> Inspection {
    Inspection {
        dial: Dial {
            address,
            tunnel: None,
            tls: None,
            binding: Binding::any(),
            congestion: None,
            deadline: Duration::from_secs(10),
        },
        server_name: "messnetz.example".to_owned(),
        expected,
    }
}

#[tokio::test]
async fn a_filter_that_reads_along_is_named() {
    let filter = reading_along().await;
    let shown = inspection(filter, None).run().await.unwrap();
    assert_eq!(shown.verdict, Verdict::Intercepted);
    assert!(shown.issuer.contains("School Filter"), "{shown:?}");
    assert!(shown.issuer.contains("Filter CA"), "{shown:?}");

    let url = "https://messnetz.example/".parse().unwrap();
    let fetch = Fetch {
        url,
        address: Some(filter),
        proxy: None,
        reach: Reach::Anywhere,
        binding: Binding::any(),
        trust: Trust::Web,
        deadline: Duration::from_secs(10),
        max_body: 100,
    };
    let failure = fetch.run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Tls);
    assert!(failure.detail.contains("School Filter"), "{failure}");
}

#[tokio::test]
async fn another_certificate_than_the_known_one_is_an_interception() {
    let server: Server = server::with_tls(Limits::default()).await;
    let Some(Trust::Pinned(known)) = server.tls.as_ref().map(|tls| tls.trust.clone()) else {
        panic!("the server has no certificate");
    };
    let through = inspection(server.address, Some(known)).run().await.unwrap();
    assert_eq!(through.verdict, Verdict::Trusted);
    let filtered = inspection(reading_along().await, Some(known));
    assert_eq!(filtered.run().await.unwrap().verdict, Verdict::Intercepted);
    // Without the fingerprint, such a server vouches for itself.
    let unknown = inspection(server.address, None).run().await.unwrap();
    assert_eq!(unknown.verdict, Verdict::SelfSigned);
}

#[tokio::test]
async fn what_speaks_no_tls_is_a_failure_in_time() {
    let server = server::plain(Limits::default()).await;
    let failure = inspection(server.address, None).run().await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Tls);
}
