//! Talking to a collector that is known by the fingerprints of its certificates.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use messnetz_metric::{Failure, FailureReason};
use messnetz_probes::Binding;
use messnetz_probes::connection::{Connection, Dial, Tls};
use messnetz_probes::http::exchange as exchange_over;
use messnetz_probes::proxy::{Proxy, Tunnel};
use messnetz_probes::reach::Reach;
use messnetz_probes::tls::{Fingerprint, Trust};

use crate::identity::SERVER_NAME;
use crate::way_out::WayOut;

/// Longest wait for a resolver. The host's own resolver may take half a minute before it gives up.
const LOOKUP: Duration = Duration::from_secs(3);

/// TLS that accepts the one certificate.
#[must_use]
pub(crate) fn tls(fingerprint: Fingerprint) -> Tls {
    tls_of_any(&[fingerprint])
}

/// TLS that accepts any of these certificates.
#[must_use]
pub(crate) fn tls_of_any(accepted: &[Fingerprint]) -> Tls {
    Tls {
        trust: Trust::OneOf(accepted.to_vec()),
        server_name: SERVER_NAME.to_owned(),
    }
}

/// The first address of `HOST:PORT`.
///
/// # Errors
/// As [`resolve_all`].
pub(crate) async fn resolve(peer: &str) -> Result<SocketAddr, Failure> {
    Ok(resolve_all(peer).await?.0)
}

/// The first address of `HOST:PORT` that may be spoken to.
///
/// # Errors
/// As [`resolve`]; [`FailureReason::Permission`] where none of them may be.
pub(crate) async fn resolve_within(peer: &str, reach: &Reach) -> Result<SocketAddr, Failure> {
    let (first, others) = resolve_all(peer).await?;
    let all = std::iter::once(first).chain(others);
    let nearest = reach.admitted(peer, all)?.into_iter().next();
    nearest.ok_or_else(|| {
        let why = format_args!("resolving {peer}: the name has no address");
        Failure::new(FailureReason::NameResolution, why)
    })
}

/// The first address of a host, for what knows no ports.
///
/// # Errors
/// As of [`resolve`].
pub(crate) async fn resolve_host(host: &str) -> Result<IpAddr, Failure> {
    let lookup = async { Ok(tokio::net::lookup_host((host, 0)).await?.collect()) };
    Ok(addresses(host, lookup, LOOKUP).await?.0.ip())
}

/// The addresses of `HOST:PORT` in the resolver's order: the first, and the others.
///
/// # Errors
/// [`FailureReason::NameResolution`] where the name has none, [`FailureReason::Timeout`] where the
/// resolver does not answer.
async fn resolve_all(peer: &str) -> Result<(SocketAddr, Vec<SocketAddr>), Failure> {
    let lookup = async { Ok(tokio::net::lookup_host(peer).await?.collect()) };
    addresses(peer, lookup, LOOKUP).await
}

async fn addresses(
    peer: &str,
    lookup: impl Future<Output = io::Result<Vec<SocketAddr>>>,
    limit: Duration,
) -> Result<(SocketAddr, Vec<SocketAddr>), Failure> {
    let failed = |reason, why: &dyn std::fmt::Display| {
        Failure::new(reason, format_args!("resolving {peer}: {why}"))
    };
    let mut addresses = tokio::time::timeout(limit, lookup)
        .await
        .map_err(|_| {
            let why = format_args!("no answer within {} ms", limit.as_millis());
            failed(FailureReason::Timeout, &why)
        })?
        .map_err(|error| failed(FailureReason::NameResolution, &error))?
        .into_iter();
    let first = addresses
        .next()
        .ok_or_else(|| failed(FailureReason::NameResolution, &"the name has no address"))?;
    Ok((first, addresses.collect()))
}

/// The host of `HOST:PORT`, without brackets.
pub(crate) fn host_of(peer: &str) -> &str {
    let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host);
    host.trim_matches(['[', ']'])
}

/// The tunnel through a proxy to `HOST:PORT`; `None` where there is no port.
pub(crate) fn tunnel(proxy: &Proxy, peer: &str) -> Option<Tunnel> {
    let port = peer.rsplit_once(':')?.1.parse().ok()?;
    Some(proxy.tunnel(host_of(peer), port))
}

/// One request and its answer over a connection of its own, to the first address that takes one.
///
/// # Errors
/// Where the collector, or the proxy on the way, cannot be reached, is another one, or does not answer in time.
pub(crate) async fn exchange(
    collector: &str,
    accepted: &[Fingerprint],
    way_out: &WayOut,
    request: Request<Full<Bytes>>,
    deadline: Duration,
    max_answer: usize,
) -> Result<Response<Bytes>, Failure> {
    let proxy = way_out.to(true, host_of(collector))?;
    let (tunnel, nearest) = match &proxy {
        Some(proxy) => (tunnel(proxy, collector), proxy.to_string()),
        None => (None, collector.to_owned()),
    };
    let (first, others) = resolve_all(&nearest).await?;
    let connection = dial((first, &others), tunnel, accepted, deadline).await?;
    exchange_over(connection, request, deadline, max_answer).await
}

/// Connects to the first of the addresses that works; each gets its share of the time that is left,
/// so that one that swallows packets does not keep the others from their turn.
async fn dial(
    (first, others): (SocketAddr, &[SocketAddr]),
    tunnel: Option<Tunnel>,
    accepted: &[Fingerprint],
    deadline: Duration,
) -> Result<Connection, Failure> {
    let end = Instant::now() + deadline;
    let connect = async |address, still: usize| {
        let left = end.saturating_duration_since(Instant::now());
        let dial = Dial {
            address,
            tunnel: tunnel.clone(),
            tls: Some(tls_of_any(accepted)),
            binding: Binding::any(),
            congestion: None,
            deadline: left / u32::try_from(still + 1).unwrap_or(u32::MAX),
        };
        dial.connect().await
    };
    let mut connection = connect(first, others.len()).await;
    for (index, &address) in others.iter().enumerate() {
        if connection.is_ok() {
            break;
        }
        connection = connect(address, others.len() - index - 1).await;
    }
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_resolver_that_does_not_answer_is_not_waited_for_for_ever() {
        let silent = std::future::pending();
        let failure = addresses("town:1", silent, Duration::from_millis(10))
            .await
            .unwrap_err();
        assert_eq!(failure.reason, FailureReason::Timeout);
        assert_eq!(failure.detail, "resolving town:1: no answer within 10 ms");
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_a_failure_of_resolution() {
        let none = std::future::ready(Ok(Vec::new()));
        let failure = addresses("town:1", none, LOOKUP).await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::NameResolution);
    }

    #[tokio::test]
    async fn the_second_address_is_tried_where_the_first_takes_no_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap()
        };
        let accepted = [Fingerprint::of(b"certificate")];
        let others = [open];
        let dialled = dial((closed, &others), None, &accepted, Duration::from_secs(5));
        // Whoever hangs up before the handshake was reached at least.
        let accepted = async { drop(listener.accept().await.unwrap()) };
        let (dialled, ()) = tokio::join!(dialled, accepted);
        let failure = dialled.unwrap_err();
        assert_eq!(failure.reason, FailureReason::Tls, "{failure}");
        assert!(failure.detail.contains(&open.to_string()), "{failure}");
    }
}
