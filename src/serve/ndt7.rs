//! The HTTP of ndt7 and of responsiveness: one request, which asks for a test or a part of one, or is refused.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use messnetz_metric::BitRate;
use messnetz_probes::ndt7::server::{self as ndt7, Limits};
use messnetz_probes::responsiveness::server::{self as responsiveness, Loads, Payload};
use messnetz_probes::tcp_info::TcpHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::{Config, Served};
use crate::listener::{self, MAX_CONNECTIONS};

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
    loads: Loads,
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
        loads: Loads::new(config.duration),
    };
    let service = |peer: SocketAddr, tcp: TcpHandle| {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let room = room.clone();
        config.allowed.includes(peer.ip()).then(|| {
            service_fn(move |request: Request<Incoming>| {
                let (tcp, room) = (tcp.clone(), room.clone());
                async move { Ok::<_, Infallible>(answer(request, peer, &tcp, &room).await) }
            })
        })
    };
    listener::serve(listener, tls, MAX_CONNECTIONS, service).await;
}

/// Connections of one test of responsiveness that carry load at most, of which each gets its share of the rate.
const FLOWS: u64 = 16;

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    tcp: &TcpHandle,
    room: &Room,
) -> Response<Either<Full<Bytes>, Payload>> {
    if !responsiveness::knows(request.uri().path()) {
        return begin(request, peer, tcp, room).map(Either::Left);
    }
    let share = room
        .rate
        .map(|rate| BitRate::from_bps(rate.as_bps() / FLOWS));
    if let Some(error) = share.and_then(|rate| tcp.limit_rate(rate).err()) {
        tracing::debug!(%peer, %error, "limiting the rate of a test of responsiveness");
        let message = "the rate cannot be limited";
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, message).map(Either::Left);
    }
    let response = responsiveness::answer(request, peer.ip(), &room.loads).await;
    response.map(Either::Right)
}

/// Agrees on a test, which then begins, or refuses it.
fn begin(
    mut request: Request<Incoming>,
    peer: SocketAddr,
    tcp: &TcpHandle,
    room: &Room,
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
    if let Some(error) = room.rate.and_then(|rate| tcp.limit_rate(rate).err()) {
        tracing::debug!(%peer, %error, "limiting the rate of an ndt7 test");
        return refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the rate cannot be limited",
        );
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().extend(test.response_headers());
    let upgrade = hyper::upgrade::on(&mut request);
    let (tcp, room) = (tcp.clone(), room.clone());
    tokio::spawn(async move {
        let _place = place;
        let outcome = match upgrade.await {
            Ok(stream) => ndt7::serve(TokioIo::new(stream), tcp, &test, &room.limits).await,
            Err(error) => {
                tracing::debug!(%peer, %error, "an ndt7 upgrade failed");
                return;
            }
        };
        (room.told)(Served {
            protocol: "ndt7",
            peer,
            outcome: outcome.map(|summary| {
                let rate = BitRate::from_transfer(summary.bytes, summary.elapsed);
                vec![(summary.direction, rate)]
            }),
        });
    });
    response
}

fn refuse(status: StatusCode, message: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(message));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
