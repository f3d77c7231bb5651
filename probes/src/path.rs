//! Which way packets take: every router between here and a target, and what becomes of packets there.
//!
//! A traceroute of our own. All its packets belong to one flow, as those of Paris traceroute do
//! (Augustin et al., IMC 2006), so that routers that share load among several ways send all of them the
//! same way: the ports (UDP), or the identifier and the checksum (ICMP), never change. The default,
//! UDP, needs no rights, because the kernel hands each socket the ICMP errors about its own packets
//! (`IP_RECVERR`, ip(7)).
//!
//! A router that does not answer has lost nothing: it need not answer, and many limit how often they do. Loss
//! of the path is what its target loses (`standing`).
//!
//! Layers: `trace` and `mtu` keep the books in virtual time, `standing` judges them, `quote` reads what errors quote, `marking`
//! listens to them, `wire` knows the sockets, `driver` owns them and the clock.

mod driver;
mod marking;
mod mtu;
mod quote;
mod standing;
mod trace;
mod wire;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use messnetz_metric::{Failure, Micros, Ppm};
use serde::Serialize;

pub use driver::measure;
pub use marking::{Marking, Seen};
pub use mtu::{Limit, PathMtu};
pub use quote::Quote;
pub use standing::{Certainty, HopReport, PathLoss, Standing};

use crate::{Binding, RttSummary};

/// What a path is asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Datagrams to a port on which hardly anything listens.
    Udp,
    /// Echo requests.
    Icmp,
}

/// A path to be asked.
#[derive(Clone, Debug)]
pub struct PathProbe {
    /// Where it leads.
    pub target: IpAddr,
    /// From which interface.
    pub binding: Binding,
    /// With which packets.
    pub method: Method,
    /// Packets to each hop; at most [`MAX_QUERIES`].
    pub queries: u8,
    /// Hops after which it is given up; at most [`MAX_HOPS`].
    pub max_hops: u8,
    /// How long each packet waits for its answer.
    pub timeout: Duration,
    /// Whether the largest packet that passes is searched for.
    pub mtu: bool,
    /// Whether it is seen what becomes of the class that packets are marked with.
    pub dscp: bool,
}

impl PathProbe {
    /// The hop that packet `number` goes to: all packets to the first hop come first.
    pub(crate) const fn ttl_of(&self, number: u16) -> u8 {
        (number / self.queries as u16 + 1) as u8
    }
}

/// Largest number of packets to each hop.
pub const MAX_QUERIES: u8 = 10;

/// Largest number of hops.
pub const MAX_HOPS: u8 = 64;

/// A path as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathReport {
    /// Where it leads.
    pub target: IpAddr,
    /// With which packets it was asked.
    pub method: Method,
    /// The hops in their order, from the nearest to where it ends.
    pub hops: Vec<HopReport>,
    /// Where it ends.
    pub end: End,
    /// What is lost between here and the target; `None` where the target did not answer.
    pub loss: Option<PathLoss>,
    /// The largest packet that passes, where it was searched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Finding<PathMtu>>,
    /// What became of each class that packets were marked with, where that was asked for.
    #[serde(rename = "dscp", skip_serializing_if = "Vec::is_empty")]
    pub markings: Vec<Marking>,
}

/// A part of a report that may have failed alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding<T> {
    /// What was found.
    Found(T),
    /// Why nothing was.
    Failed(Failure),
}

/// Where a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// At the target, which answered.
    Reached,
    /// At a host that said that it goes no further there.
    Refused(Refusal),
    /// Nobody said where. The target may still be there, behind a filter.
    Unknown,
}

/// One hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// Its distance, counted from 1.
    pub hop: u8,
    /// Packets that were sent to it.
    pub sent: u8,
    /// What was answered, in the order of sending.
    pub answers: Vec<Answer>,
}

impl Hop {
    /// Who answered. There are several where load is shared packet by packet, or the path changes.
    #[must_use]
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        self.answers.iter().map(|answer| answer.from).collect()
    }

    /// How many packets were answered.
    #[must_use]
    pub fn answered(&self) -> u8 {
        self.answers.len().min(usize::from(self.sent)) as u8
    }

    /// The share of packets that were not; `None` where none was sent.
    #[must_use]
    pub fn loss(&self) -> Option<Ppm> {
        let lost = self.sent - self.answered();
        Ppm::of(lost.into(), self.sent.into())
    }

    /// Best, median and worst round trip; `None` where nothing was answered.
    #[must_use]
    pub fn rtt(&self) -> Option<RttSummary> {
        let times = self.answers.iter();
        let times: Vec<_> = times
            .map(|one| Duration::from_micros(one.rtt.as_micros()))
            .collect();
        RttSummary::of(&times)
    }
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Who gave it.
    pub from: IpAddr,
    /// How long it took.
    #[serde(rename = "rtt_us")]
    pub rtt: Micros,
    /// What it says.
    pub says: Says,
}

/// What an answer says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Says {
    /// It was under way for as many hops as it was allowed.
    Expired,
    /// It arrived at the target.
    Reached,
    /// It goes no further.
    Refused(Refusal),
}

/// Why a packet goes no further (RFC 792 and RFC 1812, section 5.2.7.1; RFC 4443, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// No way to the network: `!N`.
    Network,
    /// The host does not answer in its network: `!H`.
    Host,
    /// The host does not speak the protocol: `!P`.
    Protocol,
    /// A rule forbids it: `!A`.
    Prohibited,
    /// The packet is too big for the next line: `!F`.
    TooBig,
    /// Anything else, by its ICMP code.
    Other(u8),
}

impl Refusal {
    /// As traceroute shows it.
    #[must_use]
    pub fn mark(self) -> String {
        match self {
            Self::Network => "!N".to_owned(),
            Self::Host => "!H".to_owned(),
            Self::Protocol => "!P".to_owned(),
            Self::Prohibited => "!A".to_owned(),
            Self::TooBig => "!F".to_owned(),
            Self::Other(code) => format!("!{code}"),
        }
    }
}
