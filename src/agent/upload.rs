//! Sending a batch: compressed, over TLS to the pinned collector.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use messnetz_metric::{Failure, FailureReason};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::pins::AnotherCertificate;
use super::spool::SpoolError;
use super::state::{Enrolment, StateError};
use crate::way_out::WayOut;
use crate::wire::{Acknowledgement, BATCH_PATH, PINS_HEADER, ReceiptError, Refusal, Standing};
use messnetz_probes::tls::Fingerprint;

/// Longest time for one exchange with the collector.
const DEADLINE: Duration = Duration::from_secs(30);

/// Largest answer that is read.
const MAX_ANSWER: usize = 256 * 1024;

/// Why an upload did not come to an acknowledgement. The batch stays in the spool.
#[derive(Debug, Error)]
pub enum UploadError {
    /// The collector could not be reached or did not answer.
    #[error("the collector {collector} did not answer")]
    NoAnswer {
        /// Its address.
        collector: String,
        /// Why.
        #[source]
        source: Failure,
    },
    /// Somebody else answered, or the collector with a certificate that it vouches for in no list.
    #[error(
        "another certificate than that of the collector {collector} came, and nothing was sent"
    )]
    Another {
        /// Its address.
        collector: String,
        /// Who answered.
        #[source]
        source: Box<AnotherCertificate>,
    },
    /// The collector answered, but took nothing.
    #[error("the collector {collector} refused with {status}: {error}")]
    Refused {
        /// Its address.
        collector: String,
        /// Its status.
        status: StatusCode,
        /// Its reason.
        error: String,
        /// After which time it wants to be asked again.
        asked: Option<Duration>,
        /// This agent's standing, where that is why.
        standing: Option<Standing>,
    },
    /// The collector's answer is none.
    #[error("the collector {collector} gave an answer that is none")]
    Answer {
        /// Its address.
        collector: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The collector acknowledged the batch, and did not prove it.
    #[error(
        "the collector's receipt for batch number {sequence} does not verify, so that the batch is kept"
    )]
    Receipt {
        /// The batch that was sent.
        sequence: u64,
        /// Why.
        #[source]
        source: ReceiptError,
    },
    /// The spool failed.
    #[error("the spool")]
    Spool(#[from] SpoolError),
    /// The new schedule could not be kept.
    #[error("keeping the new schedule")]
    State(#[from] StateError),
}

impl UploadError {
    /// Whether no handshake came about: with another certificate, or none.
    pub(super) fn is_of_tls(&self) -> bool {
        matches!(self, Self::NoAnswer { source, .. } if source.reason == FailureReason::Tls)
    }

    /// After which time the collector wants to be asked again, where it says so.
    pub(super) const fn asked(&self) -> Option<Duration> {
        match self {
            Self::Refused { asked, .. } => *asked,
            _ => None,
        }
    }
}

/// What `Retry-After` asks for in seconds (RFC 9110, section 10.2.3); a date is not read, since this machine's
/// clock may be wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// Sends one batch and gives the collector's acknowledgement.
pub(super) async fn send(
    enrolment: &Enrolment,
    way_out: &WayOut,
    batch: &[u8],
) -> Result<Acknowledgement, UploadError> {
    // The encoder of pure Rust has one level that it fills in, about zstd's first.
    let body = compress_to_vec(batch, CompressionLevel::Fastest);
    let headers = [
        (header::CONTENT_ENCODING.as_str(), "zstd".to_owned()),
        (PINS_HEADER, enrolment.pins_number().to_string()),
    ];
    post(
        (&enrolment.collector, &enrolment.accepted()),
        way_out,
        BATCH_PATH,
        &headers,
        body,
    )
    .await
}

/// Posts JSON to the collector that has one of these certificates, and reads its JSON answer.
pub(super) async fn post<Answer: DeserializeOwned>(
    (collector, accepted): (&str, &[Fingerprint]),
    way_out: &WayOut,
    path: &str,
    headers: &[(&str, String)],
    body: Vec<u8>,
) -> Result<Answer, UploadError> {
    let no_answer = |source| UploadError::NoAnswer {
        collector: collector.to_owned(),
        source,
    };
    let request = headers
        .iter()
        .fold(
            http::Request::builder().method(Method::POST).uri(path),
            |request, (name, value)| request.header(*name, value),
        )
        .header(header::HOST, collector)
        .header(header::CONTENT_TYPE, "application/json")
        .body(http_body_util::Full::new(Bytes::from(body)))
        .map_err(|error| no_answer(Failure::new(FailureReason::Protocol, error)))?;
    let response =
        crate::pinned::exchange(collector, accepted, way_out, request, DEADLINE, MAX_ANSWER)
            .await
            .map_err(no_answer)?;
    let status = response.status();
    if !status.is_success() {
        let text = response.body();
        let refusal = serde_json::from_slice(text).unwrap_or_else(|_| Refusal {
            error: String::from_utf8_lossy(text).into_owned(),
            standing: None,
        });
        return Err(UploadError::Refused {
            collector: collector.to_owned(),
            status,
            error: refusal.error.chars().take(200).collect(),
            asked: retry_after(response.headers()),
            standing: refusal.standing,
        });
    }
    serde_json::from_slice(response.body()).map_err(|source| UploadError::Answer {
        collector: collector.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn seconds_are_honoured_and_anything_else_is_as_if_nothing_was_asked() {
        let asked = |value| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
            retry_after(&headers)
        };
        assert_eq!(asked("120"), Some(Duration::from_mins(2)));
        for other in [
            "-1",
            "1.5",
            "Wed, 21 Oct 2026 07:28:00 GMT",
            "99999999999999999999",
        ] {
            assert_eq!(asked(other), None, "{other}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
