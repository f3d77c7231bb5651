//! The agents' door: enrolment, batches and the ndt7 test server, over TLS on one port.
//!
//! Everything that a stranger can do here is bounded: what the listener bounds, and the size and time
//! of a body, and the number of tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use messnetz_probes::ndt7::server as ndt7;
use messnetz_probes::tcp_info::TcpHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::ingest::{self, BatchRefused};
use super::listener;
use super::run::Collector;
use crate::clock;
use crate::store::{StoreError, Stored};
use crate::wire::{
    Acknowledgement, BATCH_PATH, ENROL_PATH, EnrolRequest, EnrolResponse, MAX_BATCH_BYTES, Refusal,
    SIGNATURE_HEADER,
};

/// Most ndt7 tests at one time; more are told to come again.
const MAX_TESTS: usize = 4;

/// Longest time that a body may take.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// What a request needs to know of the connection it came over.
#[derive(Clone)]
struct Connection {
    peer: SocketAddr,
    tcp: TcpHandle,
}

/// What the door's handlers share.
#[derive(Clone)]
struct Door {
    collector: Arc<Collector>,
    tests: Arc<Semaphore>,
}

/// Serves agents until the task is dropped.
pub(super) async fn serve(listener: TcpListener, tls: TlsAcceptor, collector: Arc<Collector>) {
    let door = Door {
        collector,
        tests: Arc::new(Semaphore::new(MAX_TESTS)),
    };
    let router = Router::new()
        .route("/v1/hello", get(|| async { "messnetz collector\n" }))
        .route(ENROL_PATH, post(enrol))
        .route(BATCH_PATH, post(batch))
        .route("/ndt/v7/{direction}", get(ndt7_test))
        .layer(DefaultBodyLimit::max(MAX_BATCH_BYTES))
        .with_state(door);
    listener::serve(listener, Some(tls), move |peer, tcp| {
        router.clone().layer(Extension(Connection { peer, tcp }))
    })
    .await;
}

async fn enrol(
    State(door): State<Door>,
    Extension(connection): Extension<Connection>,
    body: Result<Json<EnrolRequest>, axum::extract::rejection::JsonRejection>,
) -> Response {
    let Json(request) = match body {
        Ok(request) => request,
        Err(rejection) => return refuse(rejection.status(), rejection.body_text()),
    };
    let public_key = STANDARD.decode(&request.public_key);
    let Ok(public_key) = public_key.map_err(drop).and_then(|key| {
        if key.len() == ring::signature::ED25519_PUBLIC_KEY_LEN {
            Ok(key)
        } else {
            Err(())
        }
    }) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "public_key is no base64 of an Ed25519 public key",
        );
    };
    let site = request.site.clone();
    let redeemed = door
        .collector
        .with_store(move |store| {
            store.redeem_ticket(&request.secret, &request.site, &public_key, clock::now())
        })
        .await;
    match redeemed {
        Ok(Ok(agent)) => {
            tracing::info!(%agent, site, peer = %connection.peer, "an agent enrolled");
            let schedule = door.collector.schedule_for(&site);
            Json(EnrolResponse { agent, schedule }).into_response()
        }
        Ok(Err(refused)) => {
            tracing::warn!(site, peer = %connection.peer, %refused, "an enrolment was refused");
            refuse(StatusCode::FORBIDDEN, refused)
        }
        Err(error) => store_failed(&error),
    }
}

async fn batch(State(door): State<Door>, headers: HeaderMap, body: Body) -> Response {
    let reading = axum::body::to_bytes(body, MAX_BATCH_BYTES);
    let body: Bytes = match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return refuse(StatusCode::PAYLOAD_TOO_LARGE, BatchRefused::TooLarge),
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
    };
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
    let signature = text(SIGNATURE_HEADER).unwrap_or_default().to_owned();
    let taken = door
        .collector
        .with_store(move |store| {
            let unpacked;
            let body: &[u8] = if packed {
                unpacked = ingest::decompress(&body)?;
                &unpacked
            } else {
                &body
            };
            ingest::take_batch(store, body, &signature, clock::now())
        })
        .await;
    match taken {
        Ok((batch, stored)) => Json(Acknowledgement {
            epoch: batch.epoch,
            sequence: batch.sequence,
            duplicate: stored == Stored::Duplicate,
            schedule: door.collector.schedule_for(&batch.site),
        })
        .into_response(),
        Err(refused) => {
            let status = match &refused {
                BatchRefused::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                BatchRefused::Malformed(_) => StatusCode::UNPROCESSABLE_ENTITY,
                BatchRefused::NotAuthentic => StatusCode::UNAUTHORIZED,
                BatchRefused::Fork => StatusCode::CONFLICT,
                BatchRefused::Store(error) => return store_failed(error),
            };
            tracing::warn!(%refused, "a batch was refused");
            refuse(status, refused)
        }
    }
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
    let Ok(place) = Arc::clone(&door.tests).try_acquire_owned() else {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the test server is busy; try again later",
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
            Ok(summary) => tracing::info!(peer = %connection.peer, ?summary, "an ndt7 test ended"),
            Err(failure) => {
                tracing::info!(peer = %connection.peer, %failure, "an ndt7 test failed");
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
        }),
    )
        .into_response()
}

fn store_failed(error: &StoreError) -> Response {
    tracing::error!(
        error = error as &(dyn std::error::Error + 'static),
        "the store failed"
    );
    let retry = [(header::RETRY_AFTER, "60")];
    let refusal = Refusal {
        error: "the collector cannot store anything at present".to_owned(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, retry, Json(refusal)).into_response()
}
