//! Sending a batch: compressed, over TLS to the pinned collector.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use messnetz_metric::Failure;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::spool::SpoolError;
use super::state::{Enrolment, StateError};
use crate::way_out::WayOut;
use crate::wire::{Acknowledgement, BATCH_PATH, ReceiptError, Refusal};
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
    /// The collector answered, but took nothing.
    #[error("the collector {collector} refused with {status}: {error}")]
    Refused {
        /// Its address.
        collector: String,
        /// Its status.
        status: StatusCode,
        /// Its reason.
        error: String,
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

/// Sends one batch and gives the collector's acknowledgement.
pub(super) async fn send(
    enrolment: &Enrolment,
    way_out: &WayOut,
    batch: &[u8],
) -> Result<Acknowledgement, UploadError> {
    // The encoder of pure Rust has one level that it fills in, about zstd's first.
    let body = compress_to_vec(batch, CompressionLevel::Fastest);
    let headers = [(header::CONTENT_ENCODING.as_str(), "zstd".to_owned())];
    post(
        (&enrolment.collector, enrolment.fingerprint),
        way_out,
        BATCH_PATH,
        &headers,
        body,
    )
    .await
}

/// Posts JSON to the collector that has this certificate, and reads its JSON answer.
pub(super) async fn post<Answer: DeserializeOwned>(
    (collector, fingerprint): (&str, Fingerprint),
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
        .map_err(|error| {
            no_answer(Failure::new(
                messnetz_metric::FailureReason::Protocol,
                error,
            ))
        })?;
    let response = crate::pinned::exchange(
        collector,
        fingerprint,
        way_out,
        request,
        DEADLINE,
        MAX_ANSWER,
    )
    .await
    .map_err(no_answer)?;
    let status = response.status();
    if !status.is_success() {
        let text = response.body();
        let error = serde_json::from_slice::<Refusal>(text).map_or_else(
            |_| String::from_utf8_lossy(text).into_owned(),
            |refusal| refusal.error,
        );
        return Err(UploadError::Refused {
            collector: collector.to_owned(),
            status,
            error: error.chars().take(200).collect(),
        });
    }
    serde_json::from_slice(response.body()).map_err(|source| UploadError::Answer {
        collector: collector.to_owned(),
        source,
    })
}
