//! Who answers in whole networks: ICMP echo to many addresses at a set rate.
//!
//! Every address is asked once; those that did not answer in time are asked again, round by round. A reply
//! counts only where it repeats what was asked: it names its own address, its round and when it was asked
//! for, under a key of this sweep, so that no reply is taken for another and nobody answers for a stranger.
//!
//! The accounts are exact: each request was sent, or this host refused it; each reply is the first to its
//! request, or a duplicate.
//!
//! Layers: `targets` numbers the addresses, `accounts` keeps the books in virtual time, `driver` owns the
//! socket and the clock.

mod accounts;
mod driver;
mod targets;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use messnetz_metric::Micros;
use serde::Serialize;

pub use accounts::Progress;
pub use driver::run;
pub use targets::{MAX_TARGETS, Targets, TargetsRefused};

use crate::Binding;
use crate::statistics::RttSummary;

/// Most rounds of one sweep.
pub const MAX_ROUNDS: u8 = 8;

/// One sweep.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Who is asked.
    pub targets: Targets,
    /// From which interface.
    pub binding: Binding,
    /// Requests a second, at most; as fast as this host can where there is none.
    pub rate: Option<NonZeroU32>,
    /// How often an address is asked that does not answer; at least once, at most [`MAX_ROUNDS`] times.
    pub rounds: u8,
    /// How long the answers of a round are waited for after its last request.
    pub timeout: Duration,
}

/// What a sweep came to. Single addresses are told of on request only ([`Self::is_up`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Addresses that were to be asked.
    pub targets: usize,
    /// Addresses that answered.
    pub answered: usize,
    /// Requests that the kernel accepted for sending.
    pub sent: u64,
    /// Requests that this host refused to send: no route, no neighbour.
    pub unsent: u64,
    /// Requests that were answered, each counted once.
    pub replies: u64,
    /// Replies beyond the first to a request.
    pub duplicates: u64,
    /// ICMP errors that came back for requests.
    pub unreachable: u64,
    /// Packets that our own socket dropped for want of buffer space: so many replies may be missing.
    pub own_drops: u32,
    /// How long it took.
    #[serde(rename = "elapsed_us")]
    pub elapsed: Micros,
    /// Whether it was ended before it was complete.
    pub stopped: bool,
    /// Round-trip times of the first replies, as this process saw them.
    pub rtt: Option<RttSummary>,
    #[serde(skip)]
    up: Vec<bool>,
    #[serde(skip)]
    of: Targets,
}

impl SweepReport {
    /// Whether an address answered; `None` where it was not among those asked.
    #[must_use]
    pub fn is_up(&self, address: IpAddr) -> Option<bool> {
        self.up.get(self.of.index_of(address)?).copied()
    }
}
