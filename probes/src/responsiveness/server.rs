//! What a server of responsiveness answers: its configuration, an object of one byte, one that does not end
//! before the test does, and a place to send to. Over whatever speaks HTTP.

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue};
use ::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, timeout_at};

use super::PIECE;
use super::configuration::{Configuration, Paths};
use crate::places::{Place, Places};

pub use super::configuration::WELL_KNOWN;

/// The object that probes ask for: its body is one byte.
pub const SMALL: &str = "/nq/small";
/// The object that loads the way down.
pub const LARGE: &str = "/nq/large";
/// Where to send what loads the way up.
pub const UPLOAD: &str = "/nq/upload";

/// Length of the large object, and most that one upload may carry: 8 GB, as the draft wants at least.
pub const LARGE_OCTETS: u64 = 8_000_000_000;

/// Most large objects and uploads at one time: those of four clients with all their flows.
const MOST_LOADS: usize = 64;

/// Most of them of one source: all flows of a test that loads both ways at once.
const MOST_LOADS_OF_SOURCE: usize = 32;

/// What all requests of one server share.
#[derive(Clone, Debug)]
pub struct Loads {
    places: Places,
    longest: Duration,
}

impl Loads {
    /// Each large object and each upload ends after so long.
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        Self {
            places: Places::new(MOST_LOADS, MOST_LOADS_OF_SOURCE),
            longest,
        }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub enum Payload {
    /// This.
    Whole(Bytes),
    /// So many bytes more, but none after the time.
    Load {
        /// Bytes still to come.
        left: u64,
        /// When it is cut.
        end: Instant,
        /// Given back with the end.
        place: Place,
    },
}

impl Body for Payload {
    type Data = Bytes;
    type Error = TimeIsOver;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TimeIsOver>>> {
        let piece = match self.get_mut() {
            Self::Whole(bytes) => std::mem::take(bytes),
            Self::Load { end, .. } if *end <= Instant::now() => {
                return Poll::Ready(Some(Err(TimeIsOver)));
            }
            Self::Load { left, .. } => {
                let length = (*left).min(PIECE.len() as u64);
                *left -= length;
                Bytes::from_static(PIECE.get(..length as usize).unwrap_or_default())
            }
        };
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Load { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Load { left, .. } => *left,
        })
    }
}

/// A large object was cut since its client took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time for this object is over")]
pub struct TimeIsOver;

/// Answers a request for one of the paths of this module; any other is not found.
pub async fn answer<B>(request: Request<B>, peer: IpAddr, loads: &Loads) -> Response<Payload>
where
    B: Body<Data = Bytes>,
{
    let end = Instant::now() + loads.longest;
    match (request.method(), request.uri().path()) {
        (&Method::GET, WELL_KNOWN) => configuration(&request),
        (&Method::GET, SMALL) => whole(StatusCode::OK, "application/octet-stream", b"x"),
        (&Method::GET, LARGE) => match loads.places.take(peer) {
            Some(place) => {
                let left = LARGE_OCTETS;
                let mut response = Response::new(Payload::Load { left, end, place });
                let headers = response.headers_mut();
                headers.insert(CONTENT_LENGTH, HeaderValue::from(left));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
            None => busy(),
        },
        (&Method::POST, UPLOAD) => match loads.places.take(peer) {
            Some(_place) => discard(request.into_body(), end).await,
            None => busy(),
        },
        (_, WELL_KNOWN | SMALL | LARGE | UPLOAD) => whole(
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            b"not this method",
        ),
        _ => whole(StatusCode::NOT_FOUND, "text/plain", b"nothing is here"),
    }
}

/// Whether [`answer`] knows the path.
#[must_use]
pub fn knows(path: &str) -> bool {
    matches!(path, WELL_KNOWN | SMALL | LARGE | UPLOAD)
}

fn configuration<B>(request: &Request<B>) -> Response<Payload> {
    let named = request
        .uri()
        .authority()
        .map(::http::uri::Authority::as_str);
    let host = || request.headers().get(HOST)?.to_str().ok();
    let Some(authority) = named.or_else(host) else {
        return whole(StatusCode::BAD_REQUEST, "text/plain", b"no host is named");
    };
    let paths = Paths {
        large: LARGE.to_owned(),
        small: SMALL.to_owned(),
        upload: UPLOAD.to_owned(),
    };
    let Ok(json) = serde_json::to_vec(&Configuration::of(authority, &paths)) else {
        return whole(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", b"");
    };
    respond(StatusCode::OK, "application/json", Bytes::from(json))
}

/// Takes what comes until its end, or until it is too much or takes too long.
async fn discard<B: Body<Data = Bytes>>(body: B, end: Instant) -> Response<Payload> {
    let mut body = pin!(body);
    let mut taken = 0_u64;
    let all = async {
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let Ok(frame) = frame else { break };
            taken += frame.data_ref().map_or(0, |data| data.len() as u64);
            if taken > LARGE_OCTETS {
                return false;
            }
        }
        true
    };
    match timeout_at(end, all).await {
        Ok(true) => whole(StatusCode::OK, "text/plain", b""),
        Ok(false) => whole(
            StatusCode::PAYLOAD_TOO_LARGE,
            "text/plain",
            b"8 GB are enough",
        ),
        Err(_) => whole(
            StatusCode::REQUEST_TIMEOUT,
            "text/plain",
            b"the time is over",
        ),
    }
}

fn busy() -> Response<Payload> {
    let text = b"the test server is busy; try again later";
    whole(StatusCode::SERVICE_UNAVAILABLE, "text/plain", text)
}

fn whole(status: StatusCode, kind: &'static str, body: &'static [u8]) -> Response<Payload> {
    respond(status, kind, Bytes::from_static(body))
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Payload> {
    let mut response = Response::new(Payload::Whole(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
