//! Reading the bodies that strangers send: bounded in size, in time and in the memory of all together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most bodies that are larger than [`SMALL`], or are being unpacked and read, at one time.
const PLACES: usize = 16;

/// Bodies up to this size need no place while they arrive: strangers who send theirs slowly can hold all
/// places for large ones, and agents' packed batches, which are smaller, must pass all the same.
const SMALL: usize = 128 * 1024;

/// Longest time that a body waits to be unpacked and read: an agent waits half a minute for its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long and how far a body that is too large is read on and thrown away. A connection that is closed on what
/// was sent takes the answer with it, and who sent it would not learn why.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// What one kind of body may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// Bytes.
    pub(super) size: usize,
    /// From the end of the head to the end of the body.
    pub(super) time: Duration,
}

/// Why a body was not read.
#[derive(Debug, Error)]
pub(super) enum BodyRefused {
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body took longer than {0:?}")]
    TooSlow(Duration),
    #[error("the body broke off")]
    BrokenOff,
    #[error("too many batches are being read; send this one again in a few seconds")]
    Busy,
}

impl BodyRefused {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenOff => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The memory that all bodies share.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    large: Arc<Semaphore>,
    work: Arc<Semaphore>,
}

/// A body that has arrived whole. A large one has its place until this is dropped.
pub(super) struct Arrived {
    pub(super) bytes: Vec<u8>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    pub(super) fn new() -> Self {
        Self {
            large: Arc::new(Semaphore::new(PLACES)),
            work: Arc::new(Semaphore::new(PLACES)),
        }
    }

    /// Reads a body within its bound. Waiting for a place counts as time.
    pub(super) async fn read(&self, body: Body, bound: Bound) -> Result<Arrived, BodyRefused> {
        tokio::time::timeout(bound.time, self.collect(body, bound.size))
            .await
            .unwrap_or(Err(BodyRefused::TooSlow(bound.time)))
    }

    async fn collect(&self, mut body: Body, size: usize) -> Result<Arrived, BodyRefused> {
        let mut bytes = Vec::new();
        let mut place = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyRefused::BrokenOff)?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let length = bytes.len() + data.len();
            if length > size {
                drop((bytes, place));
                // Whether its end came or not, it is too large.
                let _ = tokio::time::timeout(LINGER, throw_away(body)).await;
                return Err(BodyRefused::TooLarge(size));
            }
            if length > SMALL && place.is_none() {
                place = Some(acquire(&self.large).await?);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Arrived {
            bytes,
            _place: place,
        })
    }

    /// A place to unpack and read a body that has arrived; held for no longer than that takes. Whoever waits for
    /// one too long is sent away before its own patience ends.
    pub(super) async fn place_to_work(&self) -> Result<OwnedSemaphorePermit, BodyRefused> {
        let place = tokio::time::timeout(PATIENCE, acquire(&self.work));
        place.await.unwrap_or(Err(BodyRefused::Busy))
    }
}

/// Reads a body to its end, or as far as it is read on.
async fn throw_away(mut body: Body) {
    let mut left = LINGER_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, bytes::Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// The semaphores are never closed; were they, nothing would be read.
async fn acquire(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, BodyRefused> {
    let place = Arc::clone(places).acquire_owned().await;
    place.map_err(|_| BodyRefused::BrokenOff)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::body::HttpBody;
    use bytes::Bytes;
    use hyper::body::Frame;

    use super::*;

    const BOUND: Bound = Bound {
        size: 4 * SMALL,
        time: Duration::from_millis(100),
    };

    /// A body that begins, and whose end never comes.
    struct HalfSent(Option<Bytes>);

    impl HttpBody for HalfSent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.take() {
                Some(beginning) => Poll::Ready(Some(Ok(Frame::data(beginning)))),
                None => Poll::Pending,
            }
        }
    }

    fn half_sent(size: usize) -> Body {
        Body::new(HalfSent(Some(Bytes::from(vec![b'x'; size]))))
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_given_up() {
        let refused = Bodies::new()
            .read(half_sent(10), BOUND)
            .await
            .err()
            .unwrap();
        assert_eq!(refused.status(), StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn a_body_beyond_its_size_is_given_up_before_its_end() {
        let bound = Bound {
            size: 1_000,
            time: Duration::from_hours(1),
        };
        let refused = Bodies::new().read(half_sent(1_001), bound).await.err();
        assert_eq!(refused.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn large_bodies_that_do_not_end_do_not_keep_small_ones_out() {
        let bodies = Bodies::new();
        let patient = Bound {
            time: Duration::from_hours(1),
            ..BOUND
        };
        let slow: Vec<_> = (0..PLACES + 4)
            .map(|_| {
                let bodies = bodies.clone();
                tokio::spawn(async move { bodies.read(half_sent(2 * SMALL), patient).await.err() })
            })
            .collect();
        while bodies.large.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let large = bodies.read(Body::from(vec![0; 2 * SMALL]), BOUND).await;
        assert!(large.is_err(), "there is no memory for another large body");
        let small = bodies.read(Body::from(vec![0; SMALL]), patient).await;
        assert_eq!(small.unwrap().bytes.len(), SMALL);
        drop(bodies.place_to_work().await.unwrap());
        slow.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_body_that_finds_no_place_to_be_read_is_sent_away_in_time() {
        let bodies = Bodies::new();
        let mut held = Vec::new();
        for _ in 0..PLACES {
            held.push(bodies.place_to_work().await.unwrap());
        }
        let refused = bodies.place_to_work().await.err().unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        held.pop();
        assert!(bodies.place_to_work().await.is_ok());
    }
}
