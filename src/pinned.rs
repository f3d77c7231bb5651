//! Talking to a collector that is known by the fingerprint of its certificate.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use messnetz_metric::{Failure, FailureReason};
use messnetz_probes::Binding;
use messnetz_probes::connection::{Dial, Tls};
use messnetz_probes::http::exchange as exchange_over;
use messnetz_probes::tls::{Fingerprint, Trust};

/// The name that a pinned collector is asked for: fingerprints are compared, names are not.
pub(crate) const SERVER_NAME: &str = "messnetz-collector";

/// TLS that accepts the one certificate.
#[must_use]
pub(crate) fn tls(fingerprint: Fingerprint) -> Tls {
    Tls {
        trust: Trust::Pinned(fingerprint),
        server_name: SERVER_NAME.to_owned(),
    }
}

/// The first address of `HOST:PORT`.
///
/// # Errors
/// [`FailureReason::NameResolution`] where the name has none.
pub(crate) async fn resolve(peer: &str) -> Result<SocketAddr, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(
            FailureReason::NameResolution,
            format_args!("resolving {peer}: {why}"),
        )
    };
    tokio::net::lookup_host(peer)
        .await
        .map_err(|error| failed(&error))?
        .next()
        .ok_or_else(|| failed(&"the name has no address"))
}

/// One request and its answer over a connection of its own.
///
/// # Errors
/// Where the collector cannot be reached, is another one, or does not answer in time.
pub(crate) async fn exchange(
    collector: &str,
    fingerprint: Fingerprint,
    request: Request<Full<Bytes>>,
    deadline: Duration,
    max_answer: usize,
) -> Result<Response<Bytes>, Failure> {
    let dial = Dial {
        address: resolve(collector).await?,
        tls: Some(tls(fingerprint)),
        binding: Binding::any(),
        congestion: None,
        deadline,
    };
    exchange_over(dial.connect().await?, request, deadline, max_answer).await
}
