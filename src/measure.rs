//! Doing one task: the probe, and what its readings speak about. The agent does the tasks of its
//! schedule this way, and an audit those of a visit.

mod capacity;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ::http::Uri;
use messnetz_metric::{
    Direction, Failure, FailureReason, Medium, Metric, Observation, Quantity, Reading, Segment,
    UnixMillis, Vantage,
};
use messnetz_probes::connection::{Dial, Tls};
use messnetz_probes::proxy::{Proxy, Tunnel};
use messnetz_probes::reach::{Reach, Within};
use messnetz_probes::tls::Trust;
use messnetz_probes::{Binding, dns, http, icmp, link, responsiveness, stamp, tcp};

use self::capacity::{Run, capacity, through_lan, through_line};
use crate::clock;
use crate::pinned;
use crate::self_test::Ceilings;
use crate::way_out::WayOut;
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

/// Largest page that is read.
const MAX_PAGE: u64 = 1024 * 1024;

/// The port of DNS (RFC 1035, section 4.2).
const DNS_PORT: u16 = 53;

/// The peer of what the box saw of itself.
const THIS_BOX: &str = "agent";

/// The peer of a test inside where there is none to test against.
const NO_ENDPOINT: &str = "endpoint";

/// The peer of a question where no resolver is known.
const RESOLVER: &str = "resolver";

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
            Trust::OneOf(fingerprints) => pinned::tls_of_any(fingerprints),
            trust @ Trust::Web => Tls {
                trust: trust.clone(),
                server_name: name.to_owned(),
            },
        }
    }
}

/// Which addresses tasks may speak to beside the far end and the default gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reaches {
    /// By connections and for pages.
    pub services: Reach,
    /// With questions for names.
    pub resolvers: Reach,
    /// With tests that fill LAN and Wi-Fi.
    pub endpoints: Reach,
}

impl Reaches {
    /// None at all.
    #[must_use]
    pub fn nowhere() -> Self {
        let nowhere = || Reach::Within(Within::default());
        Self {
            services: nowhere(),
            resolvers: nowhere(),
            endpoints: nowhere(),
        }
    }
}

/// What the peers of a task mean here.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The far end of the line, where there is one to measure against.
    pub server: Option<TestServer>,
    /// What this machine itself carries, as far as it was tried.
    pub ceilings: Ceilings,
    /// How pages and the far end are reached.
    pub way_out: WayOut,
    /// Whom else tasks may speak to.
    pub reaches: Reaches,
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

    /// The proxy on the way to the far end.
    fn proxy(&self) -> Result<Option<Proxy>, Failure> {
        let Some(server) = &self.server else {
            return Ok(None);
        };
        Ok(self.way_out.to(true, pinned::host_of(&server.address))?)
    }

    /// What a connection to the far end speaks about, and against what: one through a proxy shows what the proxy
    /// carries, and not the line.
    fn far_end(&self) -> (Segment, String) {
        let peer = Peer::Collector.name();
        match self.proxy() {
            Ok(Some(proxy)) => (Segment::Service, through(peer, Some(&proxy))),
            Ok(None) | Err(_) => (Segment::Line, peer.to_owned()),
        }
    }

    async fn collector(&self) -> Result<SocketAddr, Failure> {
        pinned::resolve(&self.server()?.address).await
    }

    /// Where to connect to for the far end, and what to ask for there where that is a proxy.
    async fn dialled(&self, server: &TestServer) -> Result<(SocketAddr, Option<Tunnel>), Failure> {
        Ok(match self.proxy()? {
            Some(proxy) => {
                let tunnel = pinned::tunnel(&proxy, &server.address);
                (pinned::resolve(&proxy.to_string()).await?, tunnel)
            }
            None => (self.collector().await?, None),
        })
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

/// Against what is measured where a proxy is on the way.
fn through(peer: &str, proxy: Option<&Proxy>) -> String {
    match proxy {
        Some(proxy) => format!("{peer} through {proxy}"),
        None => peer.to_owned(),
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
    let at = clock::steady();
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

/// What a task leaves behind that was not begun: its failure.
#[must_use]
pub fn left_out(task: &Task, around: &Surroundings, failure: &Failure) -> Vec<Observation> {
    let vantage = vantage(task.interface.as_deref());
    let inside = inside(&vantage);
    let collector = || (Segment::Line, Peer::Collector.name().to_owned());
    let ((segment, peer), quantities) = match &task.probe {
        Probe::Icmp { peer, .. } => {
            let segment = match peer {
                Peer::Collector => Segment::Line,
                Peer::Gateway => inside,
            };
            ((segment, peer.name().to_owned()), icmp::QUANTITIES.to_vec())
        }
        Probe::Stamp { .. } => (collector(), stamp::QUANTITIES.to_vec()),
        Probe::Ndt7 { direction, .. } => (around.far_end(), vec![Quantity::Goodput(*direction)]),
        Probe::Iperf3 {
            direction,
            endpoint,
            ..
        } => {
            let peer = endpoint.as_deref().unwrap_or(NO_ENDPOINT).to_owned();
            ((inside, peer), vec![Quantity::Goodput(*direction)])
        }
        Probe::Responsiveness { direction } => {
            (around.far_end(), vec![Quantity::Responsiveness(*direction)])
        }
        Probe::Dns { server, .. } => {
            let peer = server.map(|server| SocketAddr::new(server, DNS_PORT).to_string());
            let peer = peer.unwrap_or_else(|| RESOLVER.to_owned());
            ((Segment::Service, peer), dns::QUANTITIES.to_vec())
        }
        Probe::Tcp { target } => {
            let service = (Segment::Service, target.clone());
            (service, tcp::QUANTITIES.to_vec())
        }
        Probe::Http { url } => {
            let page = url.clone().map(|url| (Segment::Service, url));
            (page.unwrap_or_else(collector), vec![Quantity::HttpTime])
        }
        Probe::Link => {
            let name = vantage.interface.clone().unwrap_or_default();
            ((inside, name), link::QUANTITIES.to_vec())
        }
    };
    let measured = Measured::new(segment, peer, &quantities, Err(failure.clone()));
    observations(measured, clock::steady(), &vantage)
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
            let (segment, peer) = around.far_end();
            let way = (segment, *direction);
            return capacity(way, &peer, (vantage, around), test).await;
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
            let reach = &around.reaches.endpoints;
            let test = through_lan(run, endpoint.as_deref(), *streams, reach);
            let way = (inside(vantage), *direction);
            return capacity(way, peer, (vantage, around), test).await;
        }
        Probe::Responsiveness { direction } => {
            let readings = responsiveness(*direction, binding, around).await;
            let (segment, peer) = around.far_end();
            let quantities = [Quantity::Responsiveness(*direction)];
            Measured::new(segment, peer, &quantities, readings)
        }
        Probe::Dns { name, server } => {
            let reach = &around.reaches.resolvers;
            resolver(name, *server, binding, reach).await
        }
        Probe::Tcp { target } => {
            let readings = connection(target, binding, around).await;
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

/// Round trips per minute while the line is filled one way.
async fn responsiveness(
    direction: Direction,
    binding: &Binding,
    around: &Surroundings,
) -> Result<Vec<Reading>, Failure> {
    let server = around.server()?;
    let (address, tunnel) = around.dialled(server).await?;
    let name = server.address.parse().map_err(|error| {
        let detail = format_args!("responsiveness of {}: {error}", server.address);
        Failure::new(FailureReason::NameResolution, detail)
    })?;
    let test = responsiveness::client::Test {
        dial: Dial {
            address,
            tunnel,
            tls: Some(server.tls()),
            binding: binding.clone(),
            congestion: None,
            deadline: PAGE,
        },
        server: name,
        order: responsiveness::Order::Only(direction),
        parameters: responsiveness::Parameters::SHORT,
    };
    Ok(Box::pin(test.run(|_| ())).await?.readings())
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

async fn connection(
    target: &str,
    binding: &Binding,
    around: &Surroundings,
) -> Result<Vec<Reading>, Failure> {
    let connect = tcp::Connect {
        target: pinned::resolve_within(target, &around.reaches.services).await?,
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

async fn resolver(
    name: &str,
    server: Option<IpAddr>,
    binding: &Binding,
    reach: &Reach,
) -> Measured {
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
        Err(_) => RESOLVER.to_owned(),
    };
    let ask = async |resolver| {
        // The system's own resolvers are asked anyway.
        if server.is_some() {
            reach.admitted("the resolver", [resolver])?;
        }
        let query = dns::Query {
            server: resolver,
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
    let services = || around.reaches.services.clone();
    let (segment, peer, url, trust, reach) = match (url, around.server()) {
        (Some(url), _) => {
            let peer = url.to_owned();
            (
                Segment::Service,
                peer,
                url.to_owned(),
                Trust::Web,
                services(),
            )
        }
        (None, Ok(server)) => {
            let url = format!("https://{}/v1/hello", server.address);
            let collector = Peer::Collector.name().to_owned();
            let trust = server.trust.clone();
            (Segment::Line, collector, url, trust, Reach::Anywhere)
        }
        (None, Err(failure)) => {
            let peer = Peer::Collector.name();
            return Measured::new(Segment::Line, peer, &[Quantity::HttpTime], Err(failure));
        }
    };
    let fetch = || -> Result<http::Fetch, Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::new(FailureReason::Protocol, format_args!("'{url}': {error}"))
        };
        let url: Uri = url.parse().map_err(|error| wrong(&error))?;
        let tls = url.scheme_str() == Some("https");
        let proxy = around.way_out.to(tls, url.host().unwrap_or_default())?;
        Ok(http::Fetch {
            url,
            address: None,
            proxy,
            reach,
            binding: binding.clone(),
            trust,
            deadline: PAGE,
            max_body: MAX_PAGE,
        })
    };
    let fetch = match fetch() {
        Ok(fetch) => fetch,
        Err(failure) => {
            return Measured::new(segment, peer, &[Quantity::HttpTime], Err(failure));
        }
    };
    let proxy = fetch.proxy.as_ref();
    // Through a proxy, even the far end's page is no word on the line.
    let segment = proxy.map_or(segment, |_| Segment::Service);
    let readings = fetch.run().await.map(|report| report.readings());
    Measured::new(segment, through(&peer, proxy), fetch.quantities(), readings)
}
