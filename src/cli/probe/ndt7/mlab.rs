//! Servers of M-Lab, or of whoever else runs a locate service.

use std::time::Duration;

use clap::Args;
use http::Uri;
use messnetz_metric::{Direction, Failure, FailureReason};
use messnetz_probes::Binding;
use messnetz_probes::ndt7::locate::{
    Answer, Country, Locate, NEAREST, Place, Server, after_no_capacity, fair_gap,
};
use messnetz_probes::ndt7::pacing::SplitMix64;
use messnetz_probes::proxy::Proxy;
use messnetz_probes::tls::Trust;
use serde::Serialize;

/// Time for one question to the locate service.
const DEADLINE: Duration = Duration::from_secs(10);

/// A public server instead of one that is named.
#[derive(Debug, Args)]
pub(super) struct Public {
    /// Measure with a public server of M-Lab. M-Lab publishes every result, with the public address of this line
    #[arg(long, conflicts_with = "target")]
    pub(super) mlab: bool,
    /// Only servers in this country, by its two letters, such as DE
    #[arg(long, requires = "mlab", value_name = "CODE")]
    country: Option<Country>,
    /// Where there is no room now, come again so many times, after 1, 2, 4, 8, 16 minutes
    #[arg(long, requires = "mlab", default_value_t = 0, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(0..=5))]
    retries: u32,
    /// Ask another locate service than M-Lab's
    #[arg(long, requires = "mlab", default_value = NEAREST, value_name = "URL")]
    locate: Uri,
}

/// What the locate service came up with.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    /// Those that did not take a test, and why.
    passed_over: Vec<PassedOver>,
    /// How long a script should wait before it measures again: M-Lab's fair use.
    next_in_s: u64,
    #[serde(skip)]
    servers: Vec<Server>,
}

#[derive(Debug, Serialize)]
struct PassedOver {
    #[serde(flatten)]
    server: Server,
    failure: Failure,
}

impl Public {
    /// The host that knows the servers.
    pub(super) fn host(&self) -> &str {
        self.locate.host().unwrap_or_default()
    }

    /// Asks for servers, as often as is wanted.
    pub(super) async fn find(
        &self,
        binding: &Binding,
        proxy: Option<Proxy>,
        trust: Trust,
    ) -> Result<Found, Failure> {
        let locate = Locate {
            url: self.locate.clone(),
            country: self.country,
            proxy,
            binding: binding.clone(),
            trust,
            deadline: DEADLINE,
        };
        let mut random = SplitMix64::from_process();
        for nth in 0.. {
            if let Answer::Servers(servers) = locate.run().await? {
                return Ok(Found {
                    passed_over: Vec::new(),
                    next_in_s: fair_gap(&mut random).as_secs(),
                    servers,
                });
            }
            let wait = after_no_capacity(nth, &mut random);
            if nth >= self.retries {
                let wait = wait.as_secs();
                return Err(Failure::new(
                    FailureReason::Busy,
                    format_args!("no ndt7 server has room now; come again in {wait} s"),
                ));
            }
            tracing::info!(wait_s = wait.as_secs(), "no ndt7 server has room now");
            tokio::time::sleep(wait).await;
        }
        Err(nobody_left())
    }
}

impl Found {
    /// Lets the first server that takes it do a test; who does not take it is asked no more.
    pub(super) async fn test<R>(
        &mut self,
        direction: Direction,
        tls: bool,
        test: impl AsyncFn(&Place) -> Result<R, Failure>,
    ) -> (Option<Server>, Result<R, Failure>) {
        let mut last = nobody_left();
        while let Some(server) = self.servers.first() {
            let tested = match server.place(direction, tls) {
                Some(place) => test(&place).await,
                None => Err(Failure::new(
                    FailureReason::Protocol,
                    format_args!("{server} has no address for this test"),
                )),
            };
            match tested {
                Err(failure) if !is_of_this_machine(&failure) => {
                    let server = self.servers.remove(0);
                    last = failure.clone();
                    self.passed_over.push(PassedOver { server, failure });
                }
                done => return (Some(server.clone()), done),
            }
        }
        (None, Err(last))
    }

    /// What to tell people besides the results.
    pub(super) fn shown(&self) -> String {
        let mut lines: Vec<String> = self
            .passed_over
            .iter()
            .map(|PassedOver { server, failure }| format!("{server} did not take it: {failure}"))
            .collect();
        let minutes = self.next_in_s.div_ceil(60);
        lines.push(format!(
            "M-Lab asks those whom nobody attends to wait for the next: {minutes} min"
        ));
        lines.join("\n")
    }
}

/// Whether another server would fail in the same way.
fn is_of_this_machine(failure: &Failure) -> bool {
    matches!(
        failure.reason,
        FailureReason::Permission | FailureReason::Interface
    )
}

fn nobody_left() -> Failure {
    Failure::new(
        FailureReason::Busy,
        format_args!("no server is left that would take the test"),
    )
}
