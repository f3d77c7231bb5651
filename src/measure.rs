//! Doing one task: the probe, and what its readings speak about. The agent does the tasks of its
//! schedule this way, and an audit those of a visit.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use messnetz_metric::{
    Direction, Failure, FailureReason, Medium, Metric, Observation, Quantity, Reading, Segment,
    UnixMillis, Vantage,
};
use messnetz_probes::connection::Tls;
use messnetz_probes::iperf3::Progress;
use messnetz_probes::tcp_info::Congestion;
use messnetz_probes::tls::Trust;
use messnetz_probes::under_load::{self, FarEnd};
use messnetz_probes::witness::{Testimony, Witness};
use messnetz_probes::{Binding, dns, http, icmp, iperf3, link, ndt7, stamp, tcp};
use tokio::sync::Notify;

use crate::clock;
use crate::pinned;
use crate::wire::{Burst, Peer, Probe, Task};

/// Longest wait for an answer to one packet or request.
const ANSWER: Duration = Duration::from_secs(3);

/// Longest time for a page or a connection.
const PAGE: Duration = Duration::from_secs(10);

/// Most packets in a burst, whatever the schedule says.
const MAX_BURST: u16 = 1_000;

/// Shortest and longest distance of two packets, whatever the schedule says: 1 ms is 1 000 packets a
/// second.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(1));

/// Longest saturating test (ndt7 spec v0.11: up to 10 s).
const MAX_TEST: Duration = Duration::from_secs(10);

/// A capacity test that ended before this share of its time is no measurement.
const SHORTEST_SHARE: f64 = 0.8;

/// Payload of a full TCP segment over Ethernet, with time stamps (RFC 7323).
const SEGMENT: u64 = 1448;

/// Largest page that is read.
const MAX_PAGE: u64 = 1024 * 1024;

/// The port of DNS (RFC 1035, section 4.2).
const DNS_PORT: u16 = 53;

/// The peer of what the box saw of itself.
const THIS_BOX: &str = "agent";

/// The peer of a test inside where there is none to test against.
const NO_ENDPOINT: &str = "endpoint";

/// Data bytes of an echo request, as `ping` sends them.
const ECHO_PAYLOAD: usize = 56;

/// The far end of the line: the collector, or another server that speaks ndt7 and STAMP.
#[derive(Clone, Debug)]
pub struct TestServer {
    /// `HOST:PORT`.
    pub address: String,
    /// Whose certificate it has.
    pub trust: Trust,
}

impl TestServer {
    fn tls(&self) -> Tls {
        let name = self
            .address
            .rsplit_once(':')
            .map_or(self.address.as_str(), |(host, _)| host);
        let name = name.trim_start_matches('[').trim_end_matches(']');
        match &self.trust {
            Trust::Pinned(fingerprint) => pinned::tls(*fingerprint),
            trust @ Trust::Web => Tls {
                trust: trust.clone(),
                server_name: name.to_owned(),
            },
        }
    }
}

/// What the peers of a task mean here.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The far end of the line, where there is one to measure against.
    pub server: Option<TestServer>,
}

impl Surroundings {
    fn server(&self) -> Result<&TestServer, Failure> {
        self.server.as_ref().ok_or_else(|| {
            Failure::new(
                FailureReason::Unreachable,
                "no test server was named to measure against",
            )
        })
    }

    async fn collector(&self) -> Result<SocketAddr, Failure> {
        pinned::resolve(&self.server()?.address).await
    }

    async fn address(&self, peer: Peer) -> Result<IpAddr, Failure> {
        match peer {
            Peer::Collector => Ok(self.collector().await?.ip()),
            Peer::Gateway => default_route()
                .and_then(|route| route.gateway)
                .ok_or_else(|| {
                    Failure::new(
                        FailureReason::Unreachable,
                        "this host has no default gateway",
                    )
                }),
        }
    }
}

/// What a probe came to, and what that speaks about.
struct Measured {
    segment: Segment,
    peer: String,
    readings: Vec<Reading>,
}

impl Measured {
    /// The readings of a probe, or a failure for each quantity that it would have had.
    fn new(
        segment: Segment,
        peer: impl Into<String>,
        quantities: &[Quantity],
        result: Result<Vec<Reading>, Failure>,
    ) -> Self {
        let readings = result.unwrap_or_else(|failure| Reading::failed(quantities, &failure));
        Self {
            segment,
            peer: peer.into(),
            readings,
        }
    }
}

/// Does a task once. A probe that fails yields its failure.
pub async fn measure(task: &Task, around: &Surroundings) -> Vec<Observation> {
    let at = clock::now();
    let vantage = vantage(task.interface.as_deref());
    let binding = task
        .interface
        .as_ref()
        .map_or_else(Binding::any, Binding::interface);
    probe(&task.probe, &binding, &vantage, around)
        .await
        .into_iter()
        .flat_map(|measured| observations(measured, at, &vantage))
        .collect()
}

/// What a capacity test leaves behind that was not begun: its failure. Nothing for other tasks.
#[must_use]
pub fn left_out(task: &Task, failure: &Failure) -> Vec<Observation> {
    let vantage = vantage(task.interface.as_deref());
    let (way, peer) = match &task.probe {
        Probe::Ndt7 { direction, .. } => ((Segment::Line, *direction), Peer::Collector.name()),
        Probe::Iperf3 {
            direction,
            endpoint,
            ..
        } => {
            let peer = endpoint.as_deref().unwrap_or(NO_ENDPOINT);
            ((inside(&vantage), *direction), peer)
        }
        _ => return Vec::new(),
    };
    let quantities = [Quantity::Goodput(way.1)];
    let measured = Measured::new(way.0, peer, &quantities, Err(failure.clone()));
    observations(measured, clock::now(), &vantage)
}

fn observations(measured: Measured, at: UnixMillis, vantage: &Vantage) -> Vec<Observation> {
    let Measured {
        segment,
        peer,
        readings,
    } = measured;
    readings
        .into_iter()
        .map(|Reading { quantity, outcome }| {
            let metric = Metric::new(segment, quantity);
            Observation::new(metric, at, vantage.clone(), peer.clone(), outcome)
        })
        .collect()
}

/// From where a task looks out: its interface, or the one of the default route.
fn vantage(interface: Option<&str>) -> Vantage {
    let name = interface
        .map(str::to_owned)
        .or_else(|| default_route().map(|route| route.interface));
    let medium = name
        .as_deref()
        .and_then(|name| link::read(name).ok())
        .map(|state| state.medium)
        .unwrap_or_default();
    Vantage {
        interface: name,
        medium,
    }
}

async fn probe(
    probe: &Probe,
    binding: &Binding,
    vantage: &Vantage,
    around: &Surroundings,
) -> Vec<Measured> {
    let collector = Peer::Collector.name();
    let measured = match probe {
        Probe::Icmp { peer, burst } => {
            let segment = match peer {
                Peer::Collector => Segment::Line,
                Peer::Gateway => inside(vantage),
            };
            let readings = echo(*peer, *burst, binding, around).await;
            Measured::new(segment, peer.name(), icmp::QUANTITIES, readings)
        }
        Probe::Stamp { burst } => {
            let readings = one_way_loss(*burst, binding, around).await;
            Measured::new(Segment::Line, collector, stamp::QUANTITIES, readings)
        }
        Probe::Ndt7 {
            direction,
            duration_ms,
            congestion,
        } => {
            let duration = Duration::from_millis((*duration_ms).into()).min(MAX_TEST);
            let run = Run {
                direction: *direction,
                duration,
                binding,
                vantage,
            };
            let test = through_line(run, *congestion, around);
            let way = (Segment::Line, *direction);
            return capacity(way, collector, vantage, test).await;
        }
        Probe::Iperf3 {
            endpoint,
            direction,
            duration_ms,
            streams,
        } => {
            let duration = Duration::from_millis((*duration_ms).into()).min(MAX_TEST);
            let peer = endpoint.as_deref().unwrap_or(NO_ENDPOINT);
            let run = Run {
                direction: *direction,
                duration,
                binding,
                vantage,
            };
            let test = through_lan(run, endpoint.as_deref(), *streams);
            let way = (inside(vantage), *direction);
            return capacity(way, peer, vantage, test).await;
        }
        Probe::Dns { name, server } => resolver(name, *server, binding).await,
        Probe::Tcp { target } => {
            let readings = connection(target, binding).await;
            Measured::new(Segment::Service, target, tcp::QUANTITIES, readings)
        }
        Probe::Http { url } => page(url.as_deref(), binding, around).await,
        Probe::Link => {
            let name = vantage.interface.clone().unwrap_or_default();
            let readings = link::read(&name).map(|state| state.readings());
            Measured::new(inside(vantage), &name, link::QUANTITIES, readings)
        }
    };
    vec![measured]
}

/// What flowed in a capacity test.
struct Flowed {
    /// Bytes that arrived.
    bytes: u64,
    /// While the test ran.
    during: Duration,
    /// Bytes that this side sent again.
    again: u64,
    readings: Vec<Reading>,
}

/// What a capacity test came to, and what the box saw of itself meanwhile.
struct Carried {
    readings: Vec<Reading>,
    seen: Testimony,
}

/// A capacity test, and what the box saw of itself meanwhile.
async fn capacity(
    (segment, direction): (Segment, Direction),
    peer: &str,
    vantage: &Vantage,
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
        also.push(Measured::new(
            Segment::Agent,
            THIS_BOX,
            &[],
            Ok(seen.of_box()),
        ));
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
struct Run<'a> {
    direction: Direction,
    duration: Duration,
    binding: &'a Binding,
    vantage: &'a Vantage,
}

impl Run<'_> {
    /// A capacity test with what it does to the round trips to its server, and with what the box sees of itself
    /// from when the test begins: before, no data flows that could be held against its counters.
    async fn carry(
        &self,
        server: FarEnd,
        flows: impl Future<Output = ()>,
        test: impl Future<Output = Result<Flowed, Failure>>,
    ) -> Result<Carried, Failure> {
        let direction = self.direction;
        let test = async {
            let witness = Witness::begin(self.vantage.interface.as_deref());
            let Flowed {
                bytes,
                during,
                again,
                readings,
            } = test.await?;
            let seen = witness.end(direction, bytes, during, again);
            Ok(Carried { readings, seen })
        };
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
async fn through_line(
    run: Run<'_>,
    congestion: Option<Congestion>,
    around: &Surroundings,
) -> Result<Carried, Failure> {
    let test = async {
        let report = goodput(&run, congestion, around).await?;
        let again = match run.direction {
            Direction::Up => report.sender.and_then(|sender| sender.bytes_retrans),
            Direction::Down => None,
        };
        Ok(Flowed {
            bytes: report.bytes,
            during: Duration::from_micros(report.elapsed.as_micros()),
            again: again.unwrap_or_default(),
            readings: report.readings(),
        })
    };
    let server = FarEnd {
        address: around.collector().await?,
        takes_connections: true,
    };
    Box::pin(run.carry(server, async {}, test)).await
}

/// A test against a second endpoint inside.
async fn through_lan(
    run: Run<'_>,
    endpoint: Option<&str>,
    streams: u8,
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
        address: pinned::resolve(&with_port(endpoint, iperf3::PORT)).await?,
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
    let begun = |progress: Progress<'_>| {
        if matches!(progress, Progress::Running) {
            flows.notify_one();
        }
    };
    let test = async {
        let report = tokio::time::timeout(limit, test.run(begun)).await;
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
        Ok(Flowed {
            bytes: received.bytes,
            during,
            again: again.unwrap_or_default().saturating_mul(SEGMENT),
            readings: report.readings(),
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

async fn echo(
    peer: Peer,
    burst: Burst,
    binding: &Binding,
    around: &Surroundings,
) -> Result<Vec<Reading>, Failure> {
    let echo = icmp::Echo {
        target: around.address(peer).await?,
        binding: binding.clone(),
        count: burst.count.clamp(1, MAX_BURST),
        interval: burst.interval().clamp(INTERVAL.0, INTERVAL.1),
        timeout: burst.timeout().min(ANSWER),
        payload: ECHO_PAYLOAD,
    };
    Ok(icmp::measure(&echo).await?.readings())
}

async fn one_way_loss(
    burst: Burst,
    binding: &Binding,
    around: &Surroundings,
) -> Result<Vec<Reading>, Failure> {
    let session = stamp::Session {
        reflector: around.collector().await?,
        binding: binding.clone(),
        count: burst.count.clamp(1, MAX_BURST),
        interval: burst.interval().clamp(INTERVAL.0, INTERVAL.1),
        timeout: burst.timeout().min(ANSWER),
        key: None,
    };
    Ok(stamp::measure(&session).await?.readings())
}

async fn goodput(
    run: &Run<'_>,
    congestion: Option<Congestion>,
    around: &Surroundings,
) -> Result<ndt7::client::Report, Failure> {
    let server = around.server()?;
    let test = ndt7::client::Test {
        direction: run.direction,
        host: server.address.clone(),
        query: String::new(),
        address: around.collector().await?,
        tunnel: None,
        tls: Some(server.tls()),
        binding: run.binding.clone(),
        duration: run.duration,
        deadline: MAX_TEST + PAGE,
        congestion,
    };
    let report = test.run().await?;
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

async fn connection(target: &str, binding: &Binding) -> Result<Vec<Reading>, Failure> {
    let connect = tcp::Connect {
        target: pinned::resolve(target).await?,
        binding: binding.clone(),
        deadline: PAGE,
    };
    Ok(tcp::connect(&connect).await?.readings())
}

/// The way out of this network: over IPv4 where there is one, else over IPv6.
pub(crate) fn default_route() -> Option<link::Route> {
    let route = link::default_route().ok()?;
    route.v4.or(route.v6)
}

/// What lies between this interface and the router: the radio, or the cables.
const fn inside(vantage: &Vantage) -> Segment {
    match vantage.medium {
        Medium::Wlan => Segment::Wlan,
        Medium::Wired | Medium::Unknown => Segment::Lan,
    }
}

async fn resolver(name: &str, server: Option<IpAddr>, binding: &Binding) -> Measured {
    let resolver = match server {
        Some(server) => Ok(SocketAddr::new(server, DNS_PORT)),
        None => dns::system_resolvers().and_then(|resolvers| {
            resolvers.first().copied().ok_or_else(|| {
                Failure::new(
                    FailureReason::NameResolution,
                    "this host has no resolver configured",
                )
            })
        }),
    };
    let peer = match &resolver {
        Ok(resolver) => resolver.to_string(),
        Err(_) => "resolver".to_owned(),
    };
    let ask = async |server| {
        let query = dns::Query {
            server,
            name: name.to_owned(),
            record: dns::Record::A,
            dnssec: false,
            binding: binding.clone(),
            deadline: ANSWER,
        };
        Ok(dns::resolve(&query).await?.readings())
    };
    let readings = match resolver {
        Ok(resolver) => ask(resolver).await,
        Err(failure) => Err(failure),
    };
    Measured::new(Segment::Service, peer, dns::QUANTITIES, readings)
}

async fn page(url: Option<&str>, binding: &Binding, around: &Surroundings) -> Measured {
    let (segment, peer, url, trust) = match (url, around.server()) {
        (Some(url), _) => (Segment::Service, url.to_owned(), url.to_owned(), Trust::Web),
        (None, Ok(server)) => {
            let url = format!("https://{}/v1/hello", server.address);
            (
                Segment::Line,
                Peer::Collector.name().to_owned(),
                url,
                server.trust.clone(),
            )
        }
        (None, Err(failure)) => {
            let readings = Reading::failed(&[Quantity::HttpTime], &failure);
            return Measured {
                segment: Segment::Line,
                peer: Peer::Collector.name().to_owned(),
                readings,
            };
        }
    };
    let url = match url.parse() {
        Ok(url) => url,
        Err(error) => {
            let failure = Failure::new(FailureReason::Protocol, format_args!("'{url}': {error}"));
            let readings = Reading::failed(&[Quantity::HttpTime], &failure);
            return Measured {
                segment,
                peer,
                readings,
            };
        }
    };
    let fetch = http::Fetch {
        url,
        address: None,
        proxy: None,
        binding: binding.clone(),
        trust,
        deadline: PAGE,
        max_body: MAX_PAGE,
    };
    let readings = fetch.run().await.map(|report| report.readings());
    Measured::new(segment, peer, fetch.quantities(), readings)
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
