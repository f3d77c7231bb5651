//! The books of one burst: which request is due, which were answered, and what it all amounts to.
//!
//! No socket and no clock: every call carries the time. Requests are told apart by their sequence
//! number, which counts from 0.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::{Echo, EchoReport};
use crate::stamps::{Moment, Stamps, round_trip};
use crate::statistics::{RttSummary, jitter};

/// The state of one burst.
pub(super) struct Accounts {
    target: IpAddr,
    count: u16,
    interval: Duration,
    timeout: Duration,
    /// One per request that was handed to the kernel or refused by it, in the order of sequence.
    requests: Vec<Request>,
    last_attempt: Option<Moment>,
    /// Sequence numbers in the order of their first replies.
    arrivals: Vec<u16>,
    /// Which request the kernel's n-th departure stamp belongs to.
    departures: Vec<u16>,
    departures_trusted: bool,
    duplicates: u32,
}

#[derive(Default)]
struct Request {
    sent: Option<Departure>,
    reply: Option<Reply>,
    unreachable: bool,
}

#[derive(Clone, Copy)]
struct Departure {
    user: Moment,
    wall: SystemTime,
}

#[derive(Clone, Copy)]
struct Reply {
    user: Moment,
    kernel: Option<SystemTime>,
}

impl Accounts {
    pub(super) fn new(echo: &Echo) -> Self {
        Self {
            target: echo.target,
            count: echo.count,
            interval: echo.interval,
            timeout: echo.timeout,
            requests: Vec::with_capacity(usize::from(echo.count)),
            last_attempt: None,
            arrivals: Vec::new(),
            departures: Vec::new(),
            departures_trusted: true,
            duplicates: 0,
        }
    }

    /// The sequence number of the request that is due at `now`; its fate is then told by
    /// [`Self::sent`] or [`Self::refused`].
    ///
    /// The next one is due an interval after the last one really went, so that a process that was not
    /// scheduled for a while does not catch up with a burst that no queue on the way was meant to hold.
    pub(super) fn poll_transmit(&self, now: Moment) -> Option<u16> {
        let next = self.next_sequence()?;
        self.next_due().is_none_or(|due| due <= now).then_some(next)
    }

    /// The kernel took the next request. `now` and `wall` were read just before.
    pub(super) fn sent(&mut self, now: Moment, wall: SystemTime) {
        if let Some(sequence) = self.next_sequence() {
            self.departures.push(sequence);
            self.last_attempt = Some(now);
            self.requests.push(Request {
                sent: Some(Departure { user: now, wall }),
                ..Request::default()
            });
        }
    }

    /// The kernel did not take the next request.
    pub(super) fn refused(&mut self, now: Moment) {
        // Whether a refused packet uses up one of the kernel's departure numbers depends on how far it
        // got, so later departure stamps could belong to another request.
        self.departures_trusted = false;
        self.last_attempt = Some(now);
        self.requests.push(Request::default());
    }

    /// The kernel's stamp of its `key`th departure.
    pub(super) fn handle_departure(&mut self, key: u32, at: SystemTime) {
        if !self.departures_trusted {
            return;
        }
        let sequence = usize::try_from(key)
            .ok()
            .and_then(|key| self.departures.get(key).copied());
        let departure = sequence
            .and_then(|sequence| self.requests.get_mut(usize::from(sequence)))
            .and_then(|request| request.sent.as_mut());
        if let Some(departure) = departure {
            // A packet leaves after it was handed over; anything else is another packet's stamp.
            departure.wall = departure.wall.max(at);
        }
    }

    /// A reply arrived. One to a request that was never sent is ignored: it is not ours.
    pub(super) fn handle_reply(&mut self, sequence: u16, now: Moment, kernel: Option<SystemTime>) {
        match self.requests.get_mut(usize::from(sequence)) {
            Some(request) if request.reply.is_some() => self.duplicates += 1,
            Some(request) if request.sent.is_some() => {
                request.reply = Some(Reply { user: now, kernel });
                self.arrivals.push(sequence);
            }
            _ => {}
        }
    }

    /// The network reported that a request cannot arrive.
    pub(super) fn handle_unreachable(&mut self, sequence: u16) {
        if let Some(request) = self.requests.get_mut(usize::from(sequence)) {
            request.unreachable = true;
        }
    }

    /// When something is to be done if nothing arrives before.
    pub(super) fn poll_timeout(&self) -> Moment {
        let last = self.last_attempt.unwrap_or_default();
        match self.next_sequence() {
            Some(_) => self.next_due().unwrap_or_default(),
            None => last.saturating_add(self.timeout),
        }
    }

    /// Whether all that can be known is known: all requests are sent, and each has its reply or its
    /// time is over.
    pub(super) fn is_complete(&self, now: Moment) -> bool {
        let settled = |r: &Request| r.sent.is_none() || r.reply.is_some() || r.unreachable;
        self.next_sequence().is_none()
            && (now >= self.poll_timeout() || self.requests.iter().all(settled))
    }

    /// Closes the books.
    pub(super) fn finish(self, own_drops: u32) -> EchoReport {
        let sent = self.requests.iter().filter(|r| r.sent.is_some()).count();
        let times: Vec<_> = self
            .arrivals
            .iter()
            .filter_map(|&sequence| self.requests.get(usize::from(sequence)))
            .filter_map(Request::round_trip)
            .collect();
        let in_time: Vec<_> = times
            .iter()
            .filter(|(time, _)| *time <= self.timeout)
            .map(|(time, _)| *time)
            .collect();
        let unreachable = |r: &&Request| r.unreachable && r.reply.is_none();
        let by_kernel = !times.is_empty() && times.iter().all(|(_, at)| *at == Stamps::Kernel);
        EchoReport {
            target: self.target,
            sent: sent as u16,
            unsent: (self.requests.len() - sent) as u16,
            received: in_time.len() as u16,
            duplicates: self.duplicates,
            late: (times.len() - in_time.len()) as u16,
            unreachable: self.requests.iter().filter(unreachable).count() as u16,
            own_drops,
            rtt: RttSummary::of(&in_time),
            jitter: jitter(&in_time),
            stamps: if by_kernel {
                Stamps::Kernel
            } else {
                Stamps::User
            },
        }
    }

    fn next_sequence(&self) -> Option<u16> {
        u16::try_from(self.requests.len())
            .ok()
            .filter(|&next| next < self.count)
    }

    fn next_due(&self) -> Option<Moment> {
        self.last_attempt
            .map(|last| last.saturating_add(self.interval))
    }
}

impl Request {
    fn round_trip(&self) -> Option<(Duration, Stamps)> {
        let (sent, reply) = (self.sent?, self.reply?);
        let kernel = reply.kernel.map(|received| (sent.wall, received));
        Some(round_trip(kernel, reply.user.saturating_sub(sent.user)))
    }
}

#[cfg(test)]
mod tests;
