//! The agents' door: enrolment, batches and the test servers of ndt7 and responsiveness, over TLS on one port.
//!
//! Everything that a stranger can do here is bounded: what the listener bounds, and the size, time and
//! memory of bodies, and the number of tests. What a stranger causes is logged for debugging only, so
//! that nobody can fill the log.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use messnetz_probes::ndt7::server as ndt7;
use messnetz_probes::places::{Places, Source};
use messnetz_probes::responsiveness::server::{self as responsiveness, Loads};
use messnetz_probes::tcp_info::TcpHandle;
use tokio::net::TcpListener;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;

use super::body::{Arrived, Bodies, BodyRefused, Bound};
use super::come_again::come_again;
use super::enrolment::{self, EnrolmentRefused};
use super::ingest::{BatchRefused, Taken, Unverified, quoted};
use super::opened::Collector;
use super::rate::{Rate, Turnstile};
use super::resume::{self, ResumeRefused};
use crate::clock;
use crate::listener::{self, MAX_CONNECTIONS};
use crate::store::{Arrival, StoreError};
use crate::wire::{
    Acknowledgement, BATCH_PATH, ENROL_PATH, MAX_BATCH_BYTES, PINS_HEADER, PINS_PATH, PROGRAM_PATH,
    PinsAnswer, RESUME_PATH, Refusal, Standing, UPDATE_PATH,
};

/// What a request needs to know of the connection it came over.
#[derive(Clone)]
struct Connection {
    peer: SocketAddr,
    tcp: TcpHandle,
}

/// What strangers may take.
#[derive(Clone, Copy)]
struct Bounds {
    connections: usize,
    enrolment: Bound,
    batch: Bound,
    report: Bound,
    /// How often one source, and all, may try to enrol.
    each: Rate,
    all: Rate,
}

/// Most ndt7 tests at one time; more are told to come again. Each moves up to a gigabit per second.
const MAX_TESTS: usize = 4;

/// Longest time that one connection is filled by a test of responsiveness.
const LONGEST_LOAD: Duration = Duration::from_secs(30);

/// When to come again after the store failed, and when more arrived than it could write, in seconds.
const RETRY_FAILED: u64 = 60;
const RETRY_FULL: u64 = 5;

const BOUNDS: Bounds = Bounds {
    connections: MAX_CONNECTIONS,
    enrolment: Bound {
        size: 4 * 1024,
        time: Duration::from_secs(10),
    },
    // The largest batch within a minute is what a line of 600 kbit/s can do.
    batch: Bound {
        size: MAX_BATCH_BYTES,
        time: Duration::from_mins(1),
    },
    report: programs::REPORT,
    // A source may be a depot in which all boxes are set up, each of which asks again while it waits for approval.
    each: Rate {
        burst: 200,
        every: Duration::from_millis(100),
    },
    all: Rate {
        burst: 2_000,
        every: Duration::from_millis(10),
    },
};

/// What the door's handlers share.
#[derive(Clone)]
struct Door {
    collector: Arc<Collector>,
    places: Places,
    bodies: Bodies,
    bounds: Bounds,
    loads: Loads,
    enrolments: Arc<Mutex<Turnstile>>,
}

impl Door {
    /// Whether this peer may try to enrol now; otherwise when.
    fn may_enrol(&self, peer: IpAddr) -> Result<(), Duration> {
        let mut enrolments = self
            .enrolments
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        enrolments.pass(Source::from(peer), Instant::now())
    }
}

/// Serves agents until the task is dropped.
pub(super) async fn serve(listener: TcpListener, tls: TlsAcceptor, collector: Arc<Collector>) {
    serve_within(listener, Some(tls), collector, BOUNDS).await;
}

async fn serve_within(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    collector: Arc<Collector>,
    bounds: Bounds,
) {
    let door = Door {
        collector,
        places: Places::new(MAX_TESTS, 1),
        bodies: Bodies::new(),
        bounds,
        loads: Loads::new(LONGEST_LOAD),
        enrolments: Arc::new(Mutex::new(Turnstile::new(bounds.each, bounds.all))),
    };
    let router = Router::new()
        .route("/v1/hello", get(|| async { "messnetz collector\n" }))
        .route(PINS_PATH, get(pins))
        .route(RESUME_PATH, post(resume))
        .route(ENROL_PATH, post(enrol))
        .route(BATCH_PATH, post(batch))
        .route(UPDATE_PATH, post(programs::report))
        .route(PROGRAM_PATH, post(programs::program))
        .route("/ndt/v7/{direction}", get(ndt7_test))
        .route(responsiveness::WELL_KNOWN, get(responsiveness_part))
        .route(responsiveness::SMALL, get(responsiveness_part))
        .route(responsiveness::LARGE, get(responsiveness_part))
        .route(responsiveness::UPLOAD, post(responsiveness_part))
        .with_state(door)
        .layer(middleware::from_fn(only_responsiveness_over_http2));
    listener::serve(listener, tls, bounds.connections, move |peer, tcp| {
        let router = router.clone().layer(Extension(Connection { peer, tcp }));
        Some(TowerToHyperService::new(router))
    })
    .await;
}

/// Over HTTP/2 a connection may leave much unread, which loads are for and nothing else: they read what comes at once.
async fn only_responsiveness_over_http2(request: Request, next: Next) -> Response {
    if request.version() == Version::HTTP_2 && !responsiveness::knows(request.uri().path()) {
        return refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "over HTTP/2 only responsiveness is measured; this is served over HTTP/1.1",
        );
    }
    next.run(request).await
}

/// The collector's certificates, for everybody: whoever was away while they were exchanged knows none of them.
async fn pins(State(door): State<Door>) -> Response {
    match (door.collector.receipts(), door.collector.pins()) {
        (Ok(receipts), Some(vouched)) => Json(PinsAnswer {
            receipt_key: receipts.public_half(),
            pins: vouched.signed.clone(),
        })
        .into_response(),
        _ => refuse(StatusCode::NOT_FOUND, "there is no list of certificates"),
    }
}

/// What is there of an agent, for whoever holds its key.
async fn resume(State(door): State<Door>, body: Body) -> Response {
    let body = match door.bodies.read(body, door.bounds.enrolment).await {
        Ok(body) => body,
        Err(refused) => return refuse_body(&refused),
    };
    let this = Arc::clone(&door.collector);
    let answered = door
        .collector
        .with_store(move |store| resume::answer(&this, store, &body.bytes));
    match answered.await {
        Ok(answer) => Json(answer).into_response(),
        Err(ResumeRefused::Store(error)) => store_failed(&error),
        Err(refused) => refuse(refused.status(), refused),
    }
}

async fn enrol(
    State(door): State<Door>,
    Extension(connection): Extension<Connection>,
    body: Body,
) -> Response {
    let peer = connection.peer;
    if let Err(wait) = door.may_enrol(peer.ip()) {
        tracing::debug!(%peer, "an enrolment came too soon");
        let why = "too many enrolments are tried; try again later";
        let seconds = wait.as_secs().saturating_add(1);
        return later(StatusCode::TOO_MANY_REQUESTS, seconds, why);
    }
    let body = match door.bodies.read(body, door.bounds.enrolment).await {
        Ok(body) => body,
        Err(refused) => return refuse_body(&refused),
    };
    let this = Arc::clone(&door.collector);
    let enrolled = door.collector.with_store(move |store| {
        let (request, application) = enrolment::read(&this, &body.bytes)?;
        enrolment::enrol(&this, store, (&request, &application), clock::now())
    });
    match enrolled.await {
        Ok((response, agent)) => {
            let (fingerprint, site) = (agent.id.in_groups(), quoted(&agent.site));
            let status = if response.standing == Standing::Pending {
                tracing::info!(fingerprint, site, %peer, "an agent waits for approval");
                StatusCode::ACCEPTED
            } else {
                tracing::info!(fingerprint, site, %peer, "an agent enrolled");
                StatusCode::OK
            };
            (status, Json(response)).into_response()
        }
        Err(EnrolmentRefused::Store(error)) => store_failed(&error),
        Err(refused) => {
            tracing::debug!(%peer, %refused, "an enrolment was refused");
            refuse(refused.status(), refused)
        }
    }
}

async fn batch(
    State(door): State<Door>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let packed = match text(header::CONTENT_ENCODING.as_str()) {
        Some("zstd") => true,
        None | Some("identity") => false,
        Some(_) => {
            return refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content-encoding is zstd or identity",
            );
        }
    };
    let arrived = door.bodies.read(body, door.bounds.batch).await;
    let place = door.bodies.place_to_work().await;
    let (body, place) = match arrived.and_then(|body| Ok((body, place?))) {
        Ok(arrived) => arrived,
        Err(refused) => return refuse_body(&refused),
    };
    let has = text(PINS_HEADER).and_then(|number| number.parse().ok());
    let taken = take(&door.collector, (body, packed), has, place).await;
    let peer = connection.peer;
    match taken {
        Ok(acknowledgement) => Json(acknowledgement).into_response(),
        Err(refused) => {
            let status = match &refused {
                BatchRefused::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                BatchRefused::Malformed(_) | BatchRefused::Left => StatusCode::UNPROCESSABLE_ENTITY,
                BatchRefused::NotAuthentic => StatusCode::UNAUTHORIZED,
                BatchRefused::NotIn(standing) => {
                    let (standing, error) = (Some(*standing), refused.to_string());
                    let refusal = Json(Refusal { error, standing });
                    return (StatusCode::FORBIDDEN, refusal).into_response();
                }
                BatchRefused::Fork { agent, site } => {
                    // Signed by the agent itself: no stranger can cause this.
                    tracing::warn!(%agent, site, %peer, "an agent's numbers came twice: its state was copied or restored; it is in quarantine until an operator releases or revokes it");
                    StatusCode::CONFLICT
                }
                BatchRefused::Store(error) => return store_failed(error),
                BatchRefused::Full(full) => {
                    return later(StatusCode::SERVICE_UNAVAILABLE, RETRY_FULL, full);
                }
                BatchRefused::Quota(exceeded) => {
                    let seconds = exceeded.wait.as_secs().saturating_add(1);
                    return later(StatusCode::TOO_MANY_REQUESTS, seconds, exceeded);
                }
                BatchRefused::Receipt(_) | BatchRefused::Keys(_) => {
                    StatusCode::INTERNAL_SERVER_ERROR
                }
            };
            tracing::debug!(%peer, %refused, "a batch was refused");
            refuse(status, refused)
        }
    }
}

/// Reads and verifies a body, and acknowledges the batch once it is on the disk. The place is held while there
/// is work, and not while the disk is waited for: what waits there has bounds of its own.
async fn take(
    collector: &Arc<Collector>,
    (body, packed): (Arrived, bool),
    has: Option<u64>,
    place: OwnedSemaphorePermit,
) -> Result<Acknowledgement, BatchRefused> {
    let this = Arc::clone(collector);
    let now = clock::now();
    let vouched = collector.pins();
    let latest = vouched.as_ref().map_or(0, |vouched| vouched.number);
    // What is said of a list that there is not yet is not kept.
    let has = has.filter(|number| *number <= latest);
    let (batch, arrival, sealed, schedule, load) = collector
        .off_the_sockets(move || {
            // Held here, and not where the stranger waits: the work goes on when he has left.
            let _place = place;
            let unverified = Unverified::read(&body.bytes, packed)?;
            let (batch, agent) = unverified.verify(this.store(), &this.id()?, |site| this.knows(site))?;
            if let Some(number) = has.filter(|number| *number != agent.pins) {
                this.store().keep_pins(&agent.id, number)?;
            }
            let load = this.scales.weigh(&batch, body.bytes.len());
            let arrival = if packed {
                Arrival::packed(&batch, body.bytes, now)
            } else {
                Arrival::of(&batch, now)?
            };
            let header = batch.header();
            // Where it measures now: a moved agent learns so from the site of its schedule.
            let schedule = this.assignment(this.store(), this.receipts()?, (&agent.site, &agent.id))?;
            let allowed = this.quotas().take(&header.agent, &load, now);
            if let Err(exceeded) = &allowed
                && exceeded.first_today
            {
                // Signed by the agent itself, and once a day.
                let agent = &header.agent;
                tracing::warn!(%agent, site = header.site, %exceeded, "an agent is beyond its quota");
            }
            allowed?;
            let sealed = this.store().sealed(&arrival)?;
            Ok::<_, BatchRefused>((batch, arrival, sealed, schedule, load))
        })
        .await?;
    let stored = match sealed {
        Some(stored) => Ok(stored),
        None => match collector.store().submit(arrival) {
            Ok(pending) => pending.stored().await.map_err(BatchRefused::from),
            Err(full) => Err(full.into()),
        },
    };
    if stored.is_err() {
        let agent = &batch.header().agent;
        collector.quotas().give_back(agent, &load);
    }
    let stored = stored?;
    let taken = Taken::of(&batch, stored, now)?;
    let vouched = vouched.filter(|vouched| has.is_some_and(|number| number < vouched.number));
    Ok(Acknowledgement {
        receipt: collector
            .receipts()?
            .receipt(&batch, taken.received_at)
            .map_err(BatchRefused::Receipt)?,
        duplicate: taken.duplicate,
        schedule: Some(schedule),
        pins: vouched.map(|vouched| vouched.signed.clone()),
    })
}

/// What a test of responsiveness asks for.
async fn responsiveness_part(
    State(door): State<Door>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Response {
    // Its body discards what comes, and bounds it itself.
    responsiveness::answer(request, connection.peer.ip(), &door.loads)
        .await
        .map(Body::new)
}

/// The upgrade to an ndt7 test (spec v0.11, "Protocol description").
async fn ndt7_test(
    State(door): State<Door>,
    Extension(connection): Extension<Connection>,
    mut request: Request,
) -> Response {
    let uri = request.uri();
    let test = match ndt7::Request::parse(uri.path(), uri.query(), request.headers()) {
        Ok(test) => test,
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
            return refuse(status, refusal.message);
        }
    };
    let Some(place) = door.places.take(connection.peer.ip()) else {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the test server is busy, perhaps with another test from this address; try again later",
        );
    };
    let limits = door.collector.test_limits();
    let upgrade = hyper::upgrade::on(&mut request);
    let response_headers = test.response_headers();
    tokio::spawn(async move {
        let _place = place;
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(peer = %connection.peer, %error, "an ndt7 upgrade failed");
                return;
            }
        };
        match ndt7::serve(TokioIo::new(upgraded), connection.tcp, &test, &limits).await {
            Ok(summary) => tracing::debug!(peer = %connection.peer, ?summary, "an ndt7 test ended"),
            Err(failure) => {
                tracing::debug!(peer = %connection.peer, %failure, "an ndt7 test failed");
            }
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    response.headers_mut().extend(response_headers);
    response
}

fn refuse(status: StatusCode, error: impl std::fmt::Display) -> Response {
    (
        status,
        Json(Refusal {
            error: error.to_string(),
            standing: None,
        }),
    )
        .into_response()
}

/// What was not read of the body must not be taken for the next request: the connection ends.
fn refuse_body(refused: &BodyRefused) -> Response {
    let mut response = match refused {
        BodyRefused::Busy => later(refused.status(), RETRY_FULL, refused),
        _ => refuse(refused.status(), refused),
    };
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

fn store_failed(error: &StoreError) -> Response {
    tracing::error!(
        error = error as &(dyn std::error::Error + 'static),
        "the store failed"
    );
    later(
        StatusCode::SERVICE_UNAVAILABLE,
        RETRY_FAILED,
        "the collector cannot store anything at present",
    )
}

/// Sends an agent away for so many seconds at least, and others that come with it for others.
fn later(status: StatusCode, seconds: u64, why: impl std::fmt::Display) -> Response {
    let retry = [(header::RETRY_AFTER, come_again(seconds).to_string())];
    (retry, refuse(status, why)).into_response()
}

mod programs;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;
    use crate::collector::Config;

    /// Places for half-sent bodies, and for nobody else as long as they are held.
    const CONNECTIONS: usize = 8;

    fn collector(directory: &std::path::Path) -> Arc<Collector> {
        let file = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
        file("authority.toml", messnetz_sites::site::EXAMPLE);
        file("collector.toml", crate::collector::EXAMPLE);
        let config = Config::load(&directory.join("collector.toml")).unwrap();
        Arc::new(Collector::open(config).unwrap())
    }

    /// The answer to a request, read to the end of the connection.
    fn answer(mut stream: TcpStream) -> String {
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn half_sent(address: SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{"
        )
        .unwrap();
        stream
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn half_sent_bodies_do_not_keep_agents_out() {
        let folder = tempfile::tempdir().unwrap();
        let time = Duration::from_millis(300);
        let bounds = Bounds {
            connections: CONNECTIONS,
            enrolment: Bound {
                time,
                ..BOUNDS.enrolment
            },
            batch: Bound {
                time,
                ..BOUNDS.batch
            },
            ..BOUNDS
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = serve_within(listener, None, collector(folder.path()), bounds);
        let serving = tokio::spawn(serving);
        let asking = tokio::task::spawn_blocking(move || {
            let held: Vec<TcpStream> = [ENROL_PATH, BATCH_PATH]
                .into_iter()
                .cycle()
                .take(CONNECTIONS)
                .map(|path| half_sent(address, path))
                .collect();
            let mut honest = TcpStream::connect(address).unwrap();
            write!(
                honest,
                "GET /v1/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            let greeted = answer(honest);
            assert!(greeted.contains("messnetz collector"), "{greeted}");
            for stream in held {
                let refused = answer(stream);
                assert!(refused.starts_with("HTTP/1.1 408"), "{refused}");
            }
        });
        asking.await.unwrap();
        serving.abort();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_tries_to_enrol_too_often_is_told_when_to_come_again() {
        let folder = tempfile::tempdir().unwrap();
        let each = Rate {
            burst: 2,
            every: Duration::from_secs(50),
        };
        let bounds = Bounds { each, ..BOUNDS };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = serve_within(listener, None, collector(folder.path()), bounds);
        let serving = tokio::spawn(serving);
        let asking = tokio::task::spawn_blocking(move || {
            for status in ["422", "422", "429"] {
                let mut stream = TcpStream::connect(address).unwrap();
                let head = "Host: x\r\nContent-Length: 2\r\nConnection: close";
                write!(stream, "POST {ENROL_PATH} HTTP/1.1\r\n{head}\r\n\r\n{{}}").unwrap();
                let answer = answer(stream);
                assert!(
                    answer.starts_with(&format!("HTTP/1.1 {status}")),
                    "{answer}"
                );
                assert_eq!(
                    answer.contains("retry-after: "),
                    status == "429",
                    "{answer}"
                );
            }
        });
        asking.await.unwrap();
        serving.abort();
    }
}
