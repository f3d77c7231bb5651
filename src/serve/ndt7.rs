//! The HTTP in front of ndt7: one request, which asks for a test, or is refused.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use messnetz_metric::BitRate;
use messnetz_probes::ndt7::server::{self as ndt7, Limits};
use messnetz_probes::tcp_info::TcpHandle;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::{Config, Served};

/// Connections at one time, those that have not asked for a test included.
const CONNECTIONS: usize = 256;

/// Longest time for a TLS handshake, and for the head of a request.
const GREETING: Duration = Duration::from_secs(10);

/// Largest head of a request.
const MAX_HEAD: usize = 64 * 1024;

/// How long after the end of a test the connection is cut.
const GRACE: Duration = Duration::from_secs(5);

type Told = dyn Fn(Served) + Send + Sync;

/// What every connection shares.
#[derive(Clone)]
struct Room {
    places: Arc<Semaphore>,
    limits: Limits,
    rate: Option<BitRate>,
    told: Arc<Told>,
}

/// Serves until it is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    config: &Config,
    told: Arc<Told>,
) {
    let usual = Limits::default();
    let duration = usual.duration.min(config.duration);
    let room = Room {
        places: Arc::new(Semaphore::new(config.parallel)),
        limits: Limits {
            duration,
            hard: duration + GRACE,
            ..usual
        },
        rate: config.rate,
        told,
    };
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut serving = tokio::task::JoinSet::new();
    loop {
        while serving.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let accepted = listener.accept().await.and_then(|(stream, peer)| {
            stream.set_nodelay(true)?;
            let tcp = TcpHandle::of(&stream)?;
            Ok((
                stream,
                SocketAddr::new(peer.ip().to_canonical(), peer.port()),
                tcp,
            ))
        });
        let (stream, peer, tcp) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: let some be closed before the next try.
                tracing::debug!(%error, "accepting a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if !config.allowed.includes(peer.ip()) {
            tracing::debug!(%peer, "ndt7 client is not on the list");
            continue;
        }
        let (tls, room) = (tls.clone(), room.clone());
        serving.spawn(async move {
            let _place = place;
            if let Err(error) = greet(stream, tls, peer, tcp, room).await {
                tracing::debug!(%peer, %error, "a connection ended");
            }
        });
    }
}

type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

async fn greet(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    peer: SocketAddr,
    tcp: TcpHandle,
    room: Room,
) -> Result<(), ConnectionError> {
    match tls {
        Some(tls) => {
            let stream = tokio::time::timeout(GREETING, tls.accept(stream)).await??;
            converse(stream, peer, tcp, room).await
        }
        None => converse(stream, peer, tcp, room).await,
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    tcp: TcpHandle,
    room: Room,
) -> Result<(), ConnectionError> {
    let (sender, mut upgraded) = tokio::sync::mpsc::channel(1);
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(request, &room, &sender);
        async move { Ok::<_, Infallible>(response) }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(GREETING)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await?;
    let Ok(Agreed {
        test,
        upgrade,
        _place,
    }) = upgraded.try_recv()
    else {
        return Ok(());
    };
    if let Some(rate) = room.rate {
        tcp.limit_rate(rate)?;
    }
    let stream = TokioIo::new(upgrade.await?);
    let outcome = ndt7::serve(stream, tcp, &test, &room.limits).await;
    (room.told)(Served {
        protocol: "ndt7",
        peer,
        outcome: outcome.map(|summary| {
            let rate = BitRate::from_transfer(summary.bytes, summary.elapsed);
            vec![(summary.direction, rate)]
        }),
    });
    Ok(())
}

/// A test that was agreed on; its place is free again when this is dropped.
struct Agreed {
    test: ndt7::Request,
    upgrade: hyper::upgrade::OnUpgrade,
    _place: tokio::sync::OwnedSemaphorePermit,
}

fn answer(
    mut request: Request<Incoming>,
    room: &Room,
    agreed: &tokio::sync::mpsc::Sender<Agreed>,
) -> Response<Full<Bytes>> {
    let uri = request.uri();
    let test = match ndt7::Request::parse(uri.path(), uri.query(), request.headers()) {
        Ok(test) => test,
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
            return refuse(status, refusal.message);
        }
    };
    let Ok(place) = Arc::clone(&room.places).try_acquire_owned() else {
        let message = "the test server is busy; try again later";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, message);
    };
    let headers = test.response_headers();
    let agreed = agreed.try_send(Agreed {
        test,
        upgrade: hyper::upgrade::on(&mut request),
        _place: place,
    });
    if agreed.is_err() {
        return refuse(StatusCode::BAD_REQUEST, "one test over one connection");
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().extend(headers);
    response
}

fn refuse(status: StatusCode, message: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(message));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
