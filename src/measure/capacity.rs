//! Capacity tests as tasks: through the line to the far end, or through LAN and Wi-Fi to an endpoint inside; with
//! what they do to round trips, and with what the box sees of itself meanwhile.

use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use messnetz_metric::{Direction, Failure, FailureReason, Quantity, Reading, Segment};
use messnetz_probes::iperf3::{self, Progress};
use messnetz_probes::reach::Reach;
use messnetz_probes::tcp_info::Congestion;
use messnetz_probes::under_load::{self, FarEnd};
use messnetz_probes::witness::{self, Testimony, Witness};
use messnetz_probes::{Binding, link, ndt7};
use tokio::sync::Notify;

use super::{MAX_TEST, Measured, PAGE, Surroundings, THIS_BOX, Vantage, inside};
use crate::pinned;

/// A capacity test that ended before this share of its time is no measurement.
const SHORTEST_SHARE: f64 = 0.8;

/// Payload of a full TCP segment over Ethernet, with time stamps (RFC 7323).
const SEGMENT: u64 = 1448;

/// What a capacity test came to, and what the box saw of itself meanwhile.
pub(super) struct Carried {
    readings: Vec<Reading>,
    seen: Testimony,
}

/// A capacity test, and what the box saw of itself meanwhile.
pub(super) async fn capacity(
    (segment, direction): (Segment, Direction),
    peer: &str,
    (vantage, around): (&Vantage, &Surroundings),
    test: impl Future<Output = Result<Carried, Failure>>,
) -> Vec<Measured> {
    let port = vantage.interface.as_deref();
    let state = port.map(link::read);
    let carried = test.await;
    let mut also = Vec::new();
    if let Ok(Carried { seen, .. }) = &carried {
        let mut of_port = seen.of_port();
        if let Some(Ok(state)) = state {
            of_port.extend(state.readings());
        }
        let port = port.unwrap_or_default();
        also.push(Measured::new(inside(vantage), port, &[], Ok(of_port)));
        let mut of_box = seen.of_box();
        of_box.extend(around.ceilings.reading(segment));
        also.push(Measured::new(Segment::Agent, THIS_BOX, &[], Ok(of_box)));
    }
    let mut measured = vec![Measured::new(
        segment,
        peer,
        &[Quantity::Goodput(direction)],
        carried.map(|carried| carried.readings),
    )];
    measured.append(&mut also);
    measured
}

/// How a capacity test runs.
pub(super) struct Run<'a> {
    pub(super) direction: Direction,
    pub(super) duration: Duration,
    pub(super) binding: &'a Binding,
    pub(super) vantage: &'a Vantage,
}

impl Run<'_> {
    /// Begins to look at the box, when data begins to flow: before, there is nothing that could be held against
    /// its counters.
    fn witness(&self) -> Witness {
        Witness::begin(self.vantage.interface.as_deref())
    }

    /// A capacity test with what it does to the round trips to its server.
    async fn carry(
        &self,
        server: FarEnd,
        flows: impl Future<Output = ()>,
        test: impl Future<Output = Result<Carried, Failure>>,
    ) -> Result<Carried, Failure> {
        let direction = self.direction;
        let beside = under_load::beside(server, self.binding, self.duration, flows, test);
        let (carried, latency) = beside.await;
        let mut carried = carried?;
        carried.readings.extend(match latency {
            Ok(latency) => latency.readings(direction),
            Err(failure) => Reading::failed(&under_load::quantities(direction), &failure),
        });
        Ok(carried)
    }
}

/// A test against the far end of the line.
pub(super) async fn through_line(
    run: Run<'_>,
    congestion: Option<Congestion>,
    around: &Surroundings,
) -> Result<Carried, Failure> {
    let test = async {
        let witness = run.witness();
        let report = goodput(&run, congestion, around, || witness.look()).await?;
        let again = match run.direction {
            Direction::Up => report.sender.and_then(|sender| sender.bytes_retrans),
            Direction::Down => None,
        };
        let carried = witness::Carried {
            direction: run.direction,
            payload: report.bytes,
            again: again.unwrap_or_default(),
        };
        let during = Duration::from_micros(report.elapsed.as_micros());
        Ok(Carried {
            readings: report.readings(),
            seen: witness.end(&[carried], during),
        })
    };
    // Beyond a proxy the server itself cannot be asked for round trips.
    if around.proxy()?.is_some() {
        return test.await;
    }
    let server = FarEnd {
        address: around.collector().await?,
        takes_connections: true,
    };
    Box::pin(run.carry(server, async {}, test)).await
}

/// A test against a second endpoint inside.
pub(super) async fn through_lan(
    run: Run<'_>,
    endpoint: Option<&str>,
    streams: u8,
    reach: &Reach,
) -> Result<Carried, Failure> {
    let endpoint = endpoint.ok_or_else(|| {
        Failure::new(
            FailureReason::Unreachable,
            "no endpoint inside was named to measure against: the site file names it (endpoint)",
        )
    })?;
    let flow = match run.direction {
        Direction::Up => iperf3::Flow::Up,
        Direction::Down => iperf3::Flow::Down,
    };
    let server = FarEnd {
        address: pinned::resolve_within(&with_port(endpoint, iperf3::PORT), reach).await?,
        takes_connections: false,
    };
    let parameters = iperf3::Parameters {
        streams,
        ..iperf3::Parameters::tcp(flow, run.duration)
    };
    let test = iperf3::Test {
        binding: run.binding.clone(),
        ..iperf3::Test::new(server.address, parameters)
    };
    let limit = test.patience.queue + run.duration + PAGE;
    let flows = Notify::new();
    let test = async {
        let witness = OnceCell::new();
        let goes_on = |progress: Progress<'_>| match progress {
            // Waiting for a turn is no part of the test.
            Progress::Queued(_) => {}
            Progress::Running => {
                witness.get_or_init(|| run.witness());
                flows.notify_one();
            }
            Progress::Interval(_) => {
                if let Some(witness) = witness.get() {
                    witness.look();
                }
            }
        };
        let report = tokio::time::timeout(limit, test.run(goes_on)).await;
        let report = report.unwrap_or_else(|_| {
            let detail = format_args!(
                "iperf3 test with {endpoint}: not over after {} s",
                limit.as_secs()
            );
            Err(Failure::new(FailureReason::Timeout, detail))
        })?;
        let summary = report.direction(run.direction);
        let received = summary.map(|summary| summary.received).unwrap_or_default();
        let during = Duration::from_micros(received.elapsed.as_micros());
        whole(during, run.duration, endpoint)?;
        let again = summary.filter(|_| run.direction == Direction::Up);
        let again = again.and_then(|summary| summary.retransmits);
        let carried = witness::Carried {
            direction: run.direction,
            payload: received.bytes,
            again: again.unwrap_or_default().saturating_mul(SEGMENT),
        };
        let seen = witness.into_inner();
        Ok(Carried {
            readings: report.readings(),
            seen: seen
                .map(|seen| seen.end(&[carried], during))
                .unwrap_or_default(),
        })
    };
    Box::pin(run.carry(server, flows.notified(), test)).await
}

/// `HOST` or `HOST:PORT` with its port; an IPv6 address alone needs no brackets.
fn with_port(host: &str, port: u16) -> String {
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return SocketAddr::new(address, port).to_string();
    }
    match host.rsplit_once(':') {
        Some((_, number)) if number.parse::<u16>().is_ok() => host.to_owned(),
        _ => format!("{host}:{port}"),
    }
}

async fn goodput(
    run: &Run<'_>,
    congestion: Option<Congestion>,
    around: &Surroundings,
    mut goes_on: impl FnMut() + Send,
) -> Result<ndt7::client::Report, Failure> {
    let server = around.server()?;
    let (address, tunnel) = around.dialled(server).await?;
    let test = ndt7::client::Test {
        direction: run.direction,
        host: server.address.clone(),
        query: String::new(),
        address,
        tunnel,
        tls: Some(server.tls()),
        binding: run.binding.clone(),
        duration: run.duration,
        deadline: MAX_TEST + PAGE,
        congestion,
    };
    let report = test.run_telling(|_| goes_on()).await?;
    let elapsed = Duration::from_micros(report.elapsed.as_micros());
    whole(elapsed, run.duration, &server.address)?;
    Ok(report)
}

/// Refuses a test that ended early: what ran that short is slow start, not the network.
fn whole(elapsed: Duration, wanted: Duration, server: &str) -> Result<(), Failure> {
    if elapsed >= wanted.mul_f64(SHORTEST_SHARE) {
        return Ok(());
    }
    let (elapsed, wanted) = (elapsed.as_millis(), wanted.as_millis());
    Err(Failure::new(
        FailureReason::Protocol,
        format_args!("the test against {server} ended after {elapsed} of {wanted} ms"),
    ))
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn an_endpoint_has_the_port_of_iperf3_unless_it_says_another() {
        for (written, meant) in [
            ("10.0.0.5", "10.0.0.5:5201"),
            ("10.0.0.5:5202", "10.0.0.5:5202"),
            ("server.school.example", "server.school.example:5201"),
            ("fd00::5", "[fd00::5]:5201"),
            ("[fd00::5]", "[fd00::5]:5201"),
            ("[fd00::5]:5202", "[fd00::5]:5202"),
        ] {
            assert_eq!(with_port(written, 5201), meant);
        }
    }
}
