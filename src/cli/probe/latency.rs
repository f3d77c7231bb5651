//! Round trips beside a capacity test, as the commands show them.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use messnetz_metric::{Failure, Micros, Value};
use messnetz_probes::Binding;
use messnetz_probes::under_load::{self, FarEnd, Method, Phase, UnderLoad};

use super::{Came, words};

/// Whether round trips are asked for.
#[derive(Debug, Args)]
pub(super) struct Beside {
    /// Without the round trips before the test and beside it
    #[arg(long)]
    no_latency: bool,
}

/// A test and the round trips beside it, where they were asked for.
pub(super) struct Seen<T> {
    pub(super) result: T,
    pub(super) latency: Option<Came<UnderLoad>>,
}

impl Beside {
    /// Runs a test of this length with the round trips beside it. Nobody is asked where the far end cannot be
    /// reached by itself (`None`).
    pub(super) async fn run<T>(
        &self,
        far_end: Option<FarEnd>,
        binding: &Binding,
        length: Duration,
        flows: impl Future<Output = ()>,
        test: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Seen<T>, Failure> {
        let Some(far_end) = far_end.filter(|_| !self.no_latency) else {
            let result = test.await?;
            return Ok(Seen {
                result,
                latency: None,
            });
        };
        let (result, latency) = under_load::beside(far_end, binding, length, flows, test).await;
        Ok(Seen {
            result: result?,
            latency: Some(match latency {
                Ok(latency) => Came::Report(latency),
                Err(failure) => Came::Failure(failure),
            }),
        })
    }
}

/// A server that may be connected to besides the test: it tells a connection from a test.
pub(super) const fn connectable(address: SocketAddr) -> FarEnd {
    FarEnd {
        address,
        takes_connections: true,
    }
}

pub(super) fn shown(latency: &Came<UnderLoad>) -> String {
    let seen = match latency {
        Came::Report(seen) => seen,
        Came::Failure(failure) => return format!("  latency under load not seen: {failure}"),
    };
    let time = |time: Option<Micros>| {
        time.map_or_else(
            || "none".to_owned(),
            |time| words().value(Value::Time(time)),
        )
    };
    let median = |phase: &Phase| time(phase.rtt.map(|rtt| rtt.median));
    let by = match seen.method {
        Method::Icmp => "echo requests",
        Method::Tcp => "connecting",
    };
    format!(
        "  round trip idle {}, loaded {} (p95 {}), added {}; {} of {} answered under load, by {by}",
        median(&seen.idle),
        median(&seen.loaded),
        time(seen.loaded.rtt.map(|rtt| rtt.p95)),
        time(seen.added),
        seen.loaded.received,
        seen.loaded.sent,
    )
}
