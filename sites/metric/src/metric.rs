//! What can be measured: a segment of the path times a quantity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::observation::Medium;
use crate::units::Unit;

/// The part of the way from a device to a service that a measurement speaks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Segment {
    /// The radio link between the measuring box and its access point.
    Wlan,
    /// Cables, switches and router inside the building.
    Lan,
    /// The uplink with its contract, from the school's router to the collector.
    Line,
    /// A named service beyond the line: learning platform, resolver, identity service.
    Service,
    /// The measuring box itself.
    Agent,
}

impl Segment {
    /// All segments, from the device outwards, and last the box that measures.
    pub const ALL: [Self; 5] = [
        Self::Wlan,
        Self::Lan,
        Self::Line,
        Self::Service,
        Self::Agent,
    ];

    /// The name used in metric ids.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wlan => "wlan",
            Self::Lan => "lan",
            Self::Line => "line",
            Self::Service => "service",
            Self::Agent => "agent",
        }
    }
}

/// Towards the school (down) or away from it (up).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Towards the school.
    Down,
    /// Away from the school.
    Up,
}

impl Direction {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Down, Self::Up];
}

/// Where in the protocol stack a rate is counted. The same line has a different rate on each layer,
/// so two rates are comparable only within one layer or with a stated tolerance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The nominal rate that the contract or the port states.
    Contract,
    /// IP packets, headers included.
    Ip,
    /// Bytes that the application gets out of TCP.
    TcpPayload,
}

impl Layer {
    /// The name used in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contract => "contract",
            Self::Ip => "ip",
            Self::TcpPayload => "tcp-payload",
        }
    }

    /// The largest share of an Ethernet port's nominal rate that this layer can carry, for 1500-byte
    /// IP packets: 1448 payload bytes (TCP with time stamps) or 1500 IP bytes in the 1538 bytes that a
    /// frame takes on the wire with preamble and gap (IEEE 802.3, RFC 7323).
    #[must_use]
    pub fn share_of_ethernet(self) -> f64 {
        match self {
            Self::Contract => 1.0,
            Self::Ip => 1500.0 / 1538.0,
            Self::TcpPayload => 1448.0 / 1538.0,
        }
    }
}

/// Which end of the scale is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Better {
    /// Rates, signals and what was reached: more is better.
    Higher,
    /// Times, losses and use: less is better.
    Lower,
}

/// By which protocol a capacity test is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tester {
    /// ndt7 over TLS, through the line to the far end.
    Ndt7,
    /// iperf3, through LAN and Wi-Fi to an endpoint inside.
    Iperf3,
}

impl Tester {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ndt7, Self::Iperf3];

    /// What an agent measures the capacity of a segment with; `None` where it measures none.
    #[must_use]
    pub const fn of(segment: Segment) -> Option<Self> {
        match segment {
            Segment::Line => Some(Self::Ndt7),
            Segment::Lan | Segment::Wlan => Some(Self::Iperf3),
            Segment::Service | Segment::Agent => None,
        }
    }
}

/// What is measured or counted on a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// TCP payload rate that a saturating test reached.
    Goodput(Direction),
    /// Nominal rate of the interface, as its driver states it.
    LinkSpeed,
    /// Largest nominal rate that the interface itself can have, as its driver states it.
    OwnSpeed,
    /// Largest nominal rate that the other end of the cable offers (IEEE 802.3, clause 28).
    PeerSpeed,
    /// The whole where both ends take turns to send, nothing where both may at once: on a switched network
    /// the sign of a failed negotiation (IEEE 802.3, clause 28).
    HalfDuplex,
    /// Share of frames that the interface received broken while a capacity test ran (RFC 2863, ifInErrors).
    FrameErrors,
    /// Share of the bytes on the interface that were not the capacity test's while it ran, in its direction.
    OtherTraffic,
    /// Share of the time in which the busiest thread of the measuring program was at work while a capacity test
    /// ran: one saturated core of four is a limit too.
    Cpu,
    /// Share of the time in which the busiest processor of the measuring box was at work meanwhile, for whomever.
    BusiestCore,
    /// TCP payload rate that the measuring box reached over its own loopback, with nothing else to do: what a
    /// capacity test by that protocol can show at most, however fast the network is.
    Ceiling(Tester),
    /// Median round-trip time of one burst (RFC 2681).
    Rtt,
    /// Smallest round-trip time of one burst.
    RttMin,
    /// 95th percentile (nearest rank) of the round-trip times of one burst.
    RttP95,
    /// Median round-trip time just before a capacity test.
    RttIdle,
    /// Median round-trip time while a capacity test fills the path in this direction.
    RttLoaded(Direction),
    /// What a capacity test in this direction adds to the round-trip time: the difference of the two medians.
    AddedDelay(Direction),
    /// Round trips per minute while the path is filled in this direction, and in this one only
    /// (draft-ietf-ippm-responsiveness-09), where that has settled.
    Responsiveness(Direction),
    /// Interarrival jitter of one burst (RFC 3550, section 6.4.1).
    Jitter,
    /// Share of echo requests without an answer (RFC 7680, applied to the round trip).
    Loss,
    /// Share of packets lost in one direction (RFC 7680).
    LossOneWay(Direction),
    /// Time until a resolver answered (RFC 1035).
    DnsTime,
    /// Time from SYN to the established connection (RFC 9293).
    ConnectTime,
    /// Time of the TLS handshake (RFC 8446).
    TlsTime,
    /// Time from the request to the first byte of the answer.
    FirstByteTime,
    /// Time from the start of name resolution to the last byte of the answer.
    HttpTime,
    /// Share of one day's attempts that reached the far end. Attempts that the agent itself missed are none.
    Reachable,
    /// Received signal power of the own access point's beacons (IEEE 802.11).
    Rssi,
    /// Received signal power over the noise floor.
    Snr,
    /// Share of time in which the own channel was busy (IEEE 802.11, BSS load).
    Utilisation,
}

impl Quantity {
    /// All quantities, in the order of the documentation.
    pub const ALL: [Self; 35] = [
        Self::Goodput(Direction::Down),
        Self::Goodput(Direction::Up),
        Self::LinkSpeed,
        Self::OwnSpeed,
        Self::PeerSpeed,
        Self::HalfDuplex,
        Self::FrameErrors,
        Self::OtherTraffic,
        Self::Cpu,
        Self::BusiestCore,
        Self::Ceiling(Tester::Ndt7),
        Self::Ceiling(Tester::Iperf3),
        Self::Rtt,
        Self::RttMin,
        Self::RttP95,
        Self::RttIdle,
        Self::RttLoaded(Direction::Down),
        Self::RttLoaded(Direction::Up),
        Self::AddedDelay(Direction::Down),
        Self::AddedDelay(Direction::Up),
        Self::Responsiveness(Direction::Down),
        Self::Responsiveness(Direction::Up),
        Self::Jitter,
        Self::Loss,
        Self::LossOneWay(Direction::Down),
        Self::LossOneWay(Direction::Up),
        Self::DnsTime,
        Self::ConnectTime,
        Self::TlsTime,
        Self::FirstByteTime,
        Self::HttpTime,
        Self::Reachable,
        Self::Rssi,
        Self::Snr,
        Self::Utilisation,
    ];

    /// The name used in metric ids.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Goodput(Direction::Down) => "down",
            Self::Goodput(Direction::Up) => "up",
            Self::LinkSpeed => "link-speed",
            Self::OwnSpeed => "own-speed",
            Self::PeerSpeed => "peer-speed",
            Self::HalfDuplex => "half-duplex",
            Self::FrameErrors => "frame-errors",
            Self::OtherTraffic => "other-traffic",
            Self::Cpu => "cpu",
            Self::BusiestCore => "busiest-core",
            Self::Ceiling(Tester::Ndt7) => "ceiling.ndt7",
            Self::Ceiling(Tester::Iperf3) => "ceiling.iperf3",
            Self::Rtt => "rtt",
            Self::RttMin => "rtt.min",
            Self::RttP95 => "rtt.p95",
            Self::RttIdle => "rtt.idle",
            Self::RttLoaded(Direction::Down) => "rtt.loaded.down",
            Self::RttLoaded(Direction::Up) => "rtt.loaded.up",
            Self::AddedDelay(Direction::Down) => "added-delay.down",
            Self::AddedDelay(Direction::Up) => "added-delay.up",
            Self::Responsiveness(Direction::Down) => "responsiveness.down",
            Self::Responsiveness(Direction::Up) => "responsiveness.up",
            Self::Jitter => "jitter",
            Self::Loss => "loss",
            Self::LossOneWay(Direction::Down) => "loss.down",
            Self::LossOneWay(Direction::Up) => "loss.up",
            Self::DnsTime => "dns",
            Self::ConnectTime => "connect",
            Self::TlsTime => "tls",
            Self::FirstByteTime => "first-byte",
            Self::HttpTime => "http",
            Self::Reachable => "reachable",
            Self::Rssi => "rssi",
            Self::Snr => "snr",
            Self::Utilisation => "utilisation",
        }
    }

    /// The unit of its values.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Goodput(_)
            | Self::LinkSpeed
            | Self::OwnSpeed
            | Self::PeerSpeed
            | Self::Ceiling(_) => Unit::BitPerSecond,
            Self::Loss
            | Self::LossOneWay(_)
            | Self::Reachable
            | Self::Utilisation
            | Self::HalfDuplex
            | Self::FrameErrors
            | Self::OtherTraffic
            | Self::Cpu
            | Self::BusiestCore => Unit::PartPerMillion,
            Self::Rssi => Unit::MillibelMilliwatt,
            Self::Snr => Unit::Millibel,
            Self::Responsiveness(_) => Unit::PerMinute,
            _ => Unit::Microsecond,
        }
    }

    /// Which end of the scale is good.
    #[must_use]
    pub const fn better(self) -> Better {
        match self {
            Self::Goodput(_)
            | Self::LinkSpeed
            | Self::OwnSpeed
            | Self::PeerSpeed
            | Self::Ceiling(_)
            | Self::Responsiveness(_)
            | Self::Reachable
            | Self::Rssi
            | Self::Snr => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// Whether only a radio link has it: there is nothing of the kind in a cable.
    #[must_use]
    pub const fn is_radio(self) -> bool {
        matches!(self, Self::Rssi | Self::Snr | Self::Utilisation)
    }

    /// The layer its rates are counted on; `None` for what is no rate.
    #[must_use]
    pub const fn layer(self) -> Option<Layer> {
        match self {
            Self::Goodput(_) | Self::Ceiling(_) => Some(Layer::TcpPayload),
            Self::LinkSpeed | Self::OwnSpeed | Self::PeerSpeed => Some(Layer::Contract),
            _ => None,
        }
    }

    /// The direction it speaks about; `None` for round trips and states.
    #[must_use]
    pub const fn direction(self) -> Option<Direction> {
        match self {
            Self::Goodput(direction)
            | Self::LossOneWay(direction)
            | Self::RttLoaded(direction)
            | Self::Responsiveness(direction)
            | Self::AddedDelay(direction) => Some(direction),
            _ => None,
        }
    }
}

/// A quantity on a segment: `line.down`, `lan.rtt.p95`, `service.dns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Metric {
    /// Where.
    pub segment: Segment,
    /// What.
    pub quantity: Quantity,
}

impl Metric {
    /// The metric of `quantity` on `segment`.
    #[must_use]
    pub const fn new(segment: Segment, quantity: Quantity) -> Self {
        Self { segment, quantity }
    }

    /// Whether a box that looks out over `medium` can speak about this: what a radio saw says nothing about
    /// the cables or the line behind it.
    #[must_use]
    pub const fn is_seen_over(self, medium: Medium) -> bool {
        matches!(
            self.segment,
            Segment::Wlan | Segment::Service | Segment::Agent
        ) || !matches!(medium, Medium::Wlan)
    }

    /// All metrics there are.
    pub fn all() -> impl Iterator<Item = Self> {
        Segment::ALL.into_iter().flat_map(|segment| {
            Quantity::ALL
                .into_iter()
                .map(move |quantity| Self { segment, quantity })
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.segment.name(), self.quantity.name())
    }
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(id: &str) -> Result<Self, UnknownMetric> {
        let unknown = || UnknownMetric(id.chars().take(80).collect());
        let (segment, quantity) = id.split_once('.').ok_or_else(unknown)?;
        let segment = Segment::ALL
            .into_iter()
            .find(|s| s.name() == segment)
            .ok_or_else(unknown)?;
        let quantity = Quantity::ALL
            .into_iter()
            .find(|q| q.name() == quantity)
            .ok_or_else(unknown)?;
        Ok(Self { segment, quantity })
    }
}

impl TryFrom<String> for Metric {
    type Error = UnknownMetric;

    fn try_from(id: String) -> Result<Self, UnknownMetric> {
        id.parse()
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.to_string()
    }
}

/// No metric has this id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "there is no metric '{0}' (a metric is SEGMENT.QUANTITY, such as line.down or lan.rtt.p95)"
)]
pub struct UnknownMetric(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_found_again_by_its_id() {
        for metric in Metric::all() {
            assert_eq!(metric.to_string().parse::<Metric>(), Ok(metric));
        }
    }

    #[test]
    fn no_two_metrics_share_an_id() {
        let ids: std::collections::HashSet<String> = Metric::all().map(|m| m.to_string()).collect();
        assert_eq!(ids.len(), Segment::ALL.len() * Quantity::ALL.len());
    }

    #[test]
    fn what_a_radio_saw_does_not_speak_about_the_line() {
        let line = Metric::new(Segment::Line, Quantity::Rtt);
        assert!(line.is_seen_over(Medium::Wired) && !line.is_seen_over(Medium::Wlan));
        assert!(Metric::new(Segment::Wlan, Quantity::Rtt).is_seen_over(Medium::Wlan));
    }

    #[test]
    fn a_gigabit_port_carries_941_megabit_of_payload() {
        let payload = 1000.0 * Layer::TcpPayload.share_of_ethernet();
        assert!((payload - 941.5).abs() < 0.1, "{payload}");
    }
}
