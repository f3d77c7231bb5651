//! A server for the tests: hyper with the ndt7 server behind it and a few pages.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use messnetz_metric::Failure;
use messnetz_probes::connection::Tls;
use messnetz_probes::ndt7::server::{self, Limits, Summary};
use messnetz_probes::tcp_info::TcpHandle;
use messnetz_probes::tls::{Fingerprint, Trust};
use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// What the test server came to know of a test, once it is over.
pub(crate) type Outcome = Result<Summary, Failure>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// How a client reaches it over TLS; `None` where it speaks plain TCP.
    pub(crate) tls: Option<Tls>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
}

impl Server {
    /// The server's side of the next test that ends.
    pub(crate) async fn outcome(&mut self) -> Outcome {
        tokio::time::timeout(Duration::from_mins(1), self.outcomes.recv())
            .await
            .expect("the server ends every test")
            .expect("the server is running")
    }
}

pub(crate) async fn plain(limits: Limits) -> Server {
    start(limits, None, None).await
}

pub(crate) async fn with_tls(limits: Limits) -> Server {
    let made = generate_simple_self_signed(vec!["messnetz.example".to_owned()]).unwrap();
    let fingerprint = Fingerprint::of(made.cert.der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![made.cert.der().clone()],
            made.signing_key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    let tls = Tls {
        trust: Trust::Pinned(fingerprint),
        server_name: "messnetz.example".to_owned(),
    };
    let acceptor = TlsAcceptor::from(Arc::new(config));
    start(limits, Some(acceptor), Some(tls)).await
}

async fn start(limits: Limits, acceptor: Option<TlsAcceptor>, tls: Option<Tls>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (report, outcomes) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (report, acceptor) = (report.clone(), acceptor.clone());
            tokio::spawn(async move {
                let tcp = TcpHandle::of(&stream).unwrap();
                match acceptor {
                    None => converse(stream, tcp, limits, report).await,
                    Some(acceptor) => {
                        // A client that does not believe the certificate ends the handshake.
                        if let Ok(stream) = acceptor.accept(stream).await {
                            converse(stream, tcp, limits, report).await;
                        }
                    }
                }
            });
        }
    });
    Server {
        address,
        tls,
        outcomes,
    }
}

async fn converse<S>(
    stream: S,
    tcp: TcpHandle,
    limits: Limits,
    report: mpsc::UnboundedSender<Outcome>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, tcp.clone(), limits, report.clone()));
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // Clients that break off are part of the tests.
    let _ = connection.await;
}

async fn answer(
    mut request: Request<Incoming>,
    tcp: TcpHandle,
    limits: Limits,
    report: mpsc::UnboundedSender<Outcome>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = |status| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        Ok(response)
    };
    match request.uri().path() {
        "/page" => Ok(Response::new(Full::from("x".repeat(5000)))),
        "/host" => {
            let host = request.headers()[::http::header::HOST].as_bytes().to_vec();
            Ok(Response::new(Full::from(host)))
        }
        "/echo" => {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Ok(Response::new(Full::new(body)))
        }
        "/moved" => status(StatusCode::FOUND),
        "/broken" => status(StatusCode::SERVICE_UNAVAILABLE),
        "/silent" => std::future::pending().await,
        _ => {
            let (uri, headers) = (request.uri(), request.headers());
            let parsed = server::Request::parse(uri.path(), uri.query(), headers);
            let test = match parsed {
                Ok(test) => test,
                Err(refusal) => return status(StatusCode::from_u16(refusal.status).unwrap()),
            };
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().extend(test.response_headers());
            tokio::spawn(async move {
                let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
                let io = TokioIo::new(upgraded);
                let outcome = server::serve(io, tcp, &test, &limits).await;
                let _ = report.send(outcome);
            });
            Ok(response)
        }
    }
}
