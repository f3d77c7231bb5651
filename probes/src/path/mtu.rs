//! The largest packet that passes, found by asking (after RFC 8899): one packet at a time, each whole or
//! not at all.
//!
//! A size is given up once a router says that it is too big, or once it was lost [`TRIES`] times in a row
//! while a packet of a size that passes is still answered: a network that drops big packets without a word
//! is a black hole (RFC 2923, section 2.1), and one that drops all of them is down.

use std::net::IpAddr;
use std::time::Duration;

use messnetz_metric::{Failure, FailureReason};
use serde::Serialize;

use crate::stamps::Moment;

/// Losses in a row after which a size is taken for lost, or the far end for gone.
const TRIES: u8 = 2;

/// Losses in a row of the size that passes after which nothing can be said.
const CONTROL_TRIES: u8 = 4;

/// Packets after which the search ends, whatever comes: many times what a search among 65,535 sizes takes.
const MAX_PACKETS: u16 = 200;

/// Rest after an answer. A target that runs Linux grants six error messages at once and one a second after
/// that (`icmp_ratelimit`, icmp(7)); it must not look like a black hole.
const REST: Duration = Duration::from_millis(1100);

/// The smallest size that is asked: what every IPv4 host takes in (RFC 791), and what every line carries
/// under IPv6 (RFC 8200, section 5).
pub(super) const fn smallest(target: &IpAddr) -> u16 {
    match target {
        IpAddr::V4(_) => 576,
        IpAddr::V6(_) => 1280,
    }
}

/// The largest packet that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PathMtu {
    /// Bytes, with the IP header.
    #[serde(rename = "mtu_bytes")]
    pub mtu: u16,
    /// How far it was seen to pass: to the target, or else to the last hop that answers.
    pub to: IpAddr,
    /// The MTU of the interface that it left through, where that was below the largest IP packet.
    #[serde(rename = "interface_bytes")]
    pub interface: Option<u16>,
    /// What keeps larger ones back.
    pub limit: Limit,
}

/// What keeps larger packets back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// This host's own interface: the path adds no limit of its own.
    Interface,
    /// A router that says so, as it must.
    Router {
        /// Which one.
        by: IpAddr,
    },
    /// Nobody says: larger ones are lost. Connections stall there whose ends do not find out by themselves.
    BlackHole,
}

/// A packet that is to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) number: u16,
    pub(super) size: u16,
}

/// The search for the largest size that passes.
#[derive(Debug)]
pub(super) struct Search {
    smallest: u16,
    timeout: Moment,
    /// The largest size that has passed.
    passed: Option<u16>,
    /// The largest size that is not ruled out, and what rules out larger ones.
    ceiling: u16,
    limit: Limit,
    interface: Option<u16>,
    /// A size worth asking before the middle: the ceiling, when somebody has named it.
    likely: bool,
    /// Losses in a row of the size in question.
    losses: u8,
    /// Losses in a row of the size that passes.
    control_losses: u8,
    under_way: Option<(Ask, Moment)>,
    asked: u16,
    not_before: Moment,
}

impl Search {
    /// A search whose packets wait for their answers for `timeout`.
    pub(super) fn new(target: &IpAddr, timeout: Moment) -> Self {
        Self {
            smallest: smallest(target),
            timeout,
            passed: None,
            ceiling: u16::MAX,
            limit: Limit::Interface,
            interface: None,
            likely: true,
            losses: 0,
            control_losses: 0,
            under_way: None,
            asked: 0,
            not_before: REST,
        }
    }

    /// The next packet, if one is due. It counts as sent.
    pub(super) fn poll_transmit(&mut self, now: Moment) -> Option<Ask> {
        self.handle_timeout(now);
        if self.under_way.is_some() || now < self.not_before || self.is_complete() {
            return None;
        }
        let ask = Ask {
            number: self.asked,
            size: self.next_size(),
        };
        self.asked += 1;
        self.under_way = Some((ask, now));
        Some(ask)
    }

    fn next_size(&self) -> u16 {
        match self.passed {
            None => self.smallest,
            Some(passed) if self.losses >= TRIES => passed,
            Some(_) if self.likely => self.ceiling,
            // Rounded up, so that it is never what has passed already.
            Some(passed) => passed + (self.ceiling - passed).div_ceil(2),
        }
    }

    /// The packet arrived.
    pub(super) fn passed(&mut self, number: Option<u16>, now: Moment) {
        let Some(ask) = self.answered(number, now) else {
            return;
        };
        match self.passed {
            Some(passed) if ask.size <= passed => {
                // The control: what was lost was lost for its size, unless the control was lost, too.
                if self.control_losses == 0 {
                    self.likely_lost();
                }
                self.losses = 0;
                self.control_losses = 0;
            }
            _ => {
                self.passed = Some(ask.size);
                self.losses = 0;
                self.control_losses = 0;
            }
        }
    }

    /// The size in question is ruled out: nobody said why it was lost.
    fn likely_lost(&mut self) {
        self.losses = 0;
        let size = self.next_size();
        self.rule_out(size, Limit::BlackHole);
    }

    fn rule_out(&mut self, size: u16, limit: Limit) {
        self.ceiling = size.saturating_sub(1).max(self.smallest);
        self.limit = limit;
        self.likely = false;
        self.losses = 0;
    }

    /// Somebody says that the packet is too big, and for which size it would not be.
    pub(super) fn too_big(&mut self, number: Option<u16>, by: IpAddr, mtu: u32, now: Moment) {
        if let Some(ask) = self.answered(number, now) {
            self.told(ask.size, mtu, Limit::Router { by });
        }
    }

    /// This host says so of its interface.
    pub(super) fn too_big_here(&mut self, mtu: u32) {
        if let Some((ask, _)) = self.under_way.take() {
            self.told(ask.size, mtu, Limit::Interface);
            self.interface = Some(self.ceiling);
        }
    }

    /// A size that is told is believed where it can be true: below what was lost, above what passed.
    fn told(&mut self, size: u16, mtu: u32, limit: Limit) {
        if self.passed.is_some_and(|passed| size <= passed) {
            return;
        }
        self.rule_out(size, limit);
        let known = self.passed.unwrap_or(self.smallest);
        if let Ok(mtu) = u16::try_from(mtu)
            && (known..size).contains(&mtu)
        {
            self.ceiling = mtu;
            self.likely = true;
        }
    }

    fn answered(&mut self, number: Option<u16>, now: Moment) -> Option<Ask> {
        self.handle_timeout(now);
        let (ask, _) = self.under_way?;
        if number.is_some_and(|number| number != ask.number) {
            return None;
        }
        self.under_way = None;
        self.not_before = now + REST;
        Some(ask)
    }

    /// Gives up on a packet that was not answered in time.
    pub(super) fn handle_timeout(&mut self, now: Moment) {
        let Some((ask, at)) = self.under_way else {
            return;
        };
        if now < at + self.timeout {
            return;
        }
        self.under_way = None;
        if self.passed.is_none_or(|passed| ask.size <= passed) {
            self.control_losses = self.control_losses.saturating_add(1);
            self.not_before = now + REST;
        } else {
            self.losses = self.losses.saturating_add(1);
        }
    }

    /// When something is due, unless an answer comes first.
    pub(super) fn poll_timeout(&self) -> Moment {
        self.under_way
            .map_or(self.not_before, |(_, at)| at + self.timeout)
    }

    /// Whether there is nothing more to ask.
    pub(super) fn is_complete(&self) -> bool {
        self.under_way.is_none()
            && (self.passed.is_some_and(|passed| passed >= self.ceiling)
                || self.control_losses >= CONTROL_TRIES
                || self.asked >= MAX_PACKETS)
    }

    /// What was found on the way `to` this address.
    pub(super) fn finish(&self, to: IpAddr) -> Result<PathMtu, Failure> {
        match self.passed {
            Some(mtu) if mtu >= self.ceiling => Ok(PathMtu {
                mtu,
                to,
                interface: self.interface,
                limit: self.limit,
            }),
            _ => Err(Failure::new(
                FailureReason::Timeout,
                format_args!(
                    "path MTU to {to}: of {} packets too few were answered to tell sizes that are lost \
                     from others; try again, or with --method icmp",
                    self.asked
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
