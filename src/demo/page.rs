//! Asking the demo's collector for a page, as a reader's browser would.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use messnetz_metric::{Failure, FailureReason};
use messnetz_probes::Binding;
use messnetz_probes::connection::Dial;
use messnetz_probes::http::exchange;

const DEADLINE: Duration = Duration::from_secs(10);
const MAX_PAGE: usize = 16 * 1024 * 1024;

/// The body of a page of the dashboard.
pub(super) async fn get(dashboard: SocketAddr, path: &str) -> Result<Vec<u8>, Failure> {
    let dial = Dial {
        address: dashboard,
        tunnel: None,
        tls: None,
        binding: Binding::any(),
        congestion: None,
        deadline: DEADLINE,
    };
    let request = Request::get(path)
        .header(header::HOST, dashboard.to_string())
        .body(Full::new(Bytes::new()))
        .map_err(|error| Failure::new(FailureReason::Protocol, error))?;
    let response = exchange(dial.connect().await?, request, DEADLINE, MAX_PAGE).await?;
    if response.status().is_success() {
        Ok(response.into_body().to_vec())
    } else {
        Err(Failure::new(
            FailureReason::Protocol,
            format_args!("HTTP {}", response.status()),
        ))
    }
}
