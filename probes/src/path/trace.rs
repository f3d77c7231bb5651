//! The books of one traceroute: which packets are under way, what was answered, what is next.
//!
//! Packets have numbers, which their answers tell, if the router quotes enough of the packet: RFC 792
//! asks for eight bytes only, RFC 1812 (section 4.3.2.3) for as much as fits. Once an answer comes that
//! tells no number, one packet at a time is sent, and whose number was not told is asked again.

use std::net::IpAddr;
use std::time::SystemTime;

use super::{Answer, End, Hop, PathProbe, Says};
use crate::stamps::{Moment, round_trip};

/// Packets under way at a time: enough for a path to be known within seconds, and few enough not to be
/// taken for a flood, or to use up what a target grants on error messages before its turn has come.
const IN_FLIGHT: usize = 16;

/// A packet that is to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transmit {
    pub(super) number: u16,
    pub(super) ttl: u8,
}

/// What came back for a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Response {
    /// Which packet it was, where that was told.
    pub(super) number: Option<u16>,
    pub(super) from: IpAddr,
    pub(super) says: Says,
    /// When the kernel saw it.
    pub(super) stamp: Option<SystemTime>,
}

/// What became of one packet.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Waiting,
    Sent {
        at: Moment,
        wall: SystemTime,
        /// Whether it is asked again where nothing comes.
        again: bool,
    },
    /// This host could not send it.
    Unsent,
    Answered(Answer),
    Silent,
}

/// The books.
#[derive(Debug)]
pub(super) struct Trace {
    queries: u8,
    timeout: Moment,
    /// By number: all of the first hop, then all of the second.
    fates: Vec<Fate>,
    /// The hop at which the path ends, as far as is known.
    last: u8,
    /// Whether one packet at a time is sent, since answers do not tell their numbers.
    one_by_one: bool,
    /// Until when nothing is sent.
    quiet_until: Moment,
    /// How many hops have been told.
    told: u8,
}

impl Trace {
    pub(super) fn new(probe: &PathProbe) -> Self {
        let queries = probe.queries.clamp(1, super::MAX_QUERIES);
        let last = probe.max_hops.clamp(1, super::MAX_HOPS);
        Self {
            queries,
            timeout: probe.timeout,
            fates: vec![Fate::Waiting; usize::from(queries) * usize::from(last)],
            last,
            one_by_one: false,
            quiet_until: Moment::ZERO,
            told: 0,
        }
    }

    /// The next packet, if one is due.
    pub(super) fn poll_transmit(&mut self, now: Moment) -> Option<Transmit> {
        self.expire(now);
        let limit = if self.one_by_one { 1 } else { IN_FLIGHT };
        if now < self.quiet_until || self.under_way().count() >= limit {
            return None;
        }
        let waiting = |fate: &Fate| matches!(fate, Fate::Waiting);
        let number = self.relevant().iter().position(waiting)?;
        Some(Transmit {
            number: number as u16,
            ttl: self.ttl(number),
        })
    }

    /// Packet `number` has left.
    pub(super) fn sent(&mut self, number: u16, now: Moment, wall: SystemTime) {
        if let Some(fate) = self.fates.get_mut(usize::from(number)) {
            *fate = Fate::Sent {
                at: now,
                wall,
                again: false,
            };
        }
    }

    /// This host could not send packet `number`.
    pub(super) fn refused(&mut self, number: u16) {
        if let Some(fate) = self.fates.get_mut(usize::from(number)) {
            *fate = Fate::Unsent;
        }
    }

    /// Enters an answer. The first one to each packet counts, and none that comes too late.
    pub(super) fn handle(&mut self, response: Response, now: Moment) {
        self.expire(now);
        let number = match response.number {
            Some(number) => Some(usize::from(number)),
            None => self.only_one(),
        };
        let Some(number) = number else {
            return;
        };
        let ttl = self.ttl(number);
        let Some(fate) = self.fates.get_mut(number) else {
            return;
        };
        let Fate::Sent { at, wall, .. } = *fate else {
            return;
        };
        let user = now.saturating_sub(at);
        let (rtt, _) = round_trip(response.stamp.map(|stamp| (wall, stamp)), user);
        *fate = Fate::Answered(Answer {
            from: response.from,
            rtt: rtt.into(),
            says: response.says,
        });
        if response.says != Says::Expired {
            self.last = self.last.min(ttl);
        }
    }

    /// Whose answer one without a number must be, if only one packet can be meant.
    fn only_one(&mut self) -> Option<usize> {
        let under_way: Vec<usize> = self.under_way().collect();
        if self.one_by_one {
            return under_way.first().copied().filter(|_| under_way.len() == 1);
        }
        self.one_by_one = true;
        for number in under_way {
            if let Some(Fate::Sent { at, again, .. }) = self.fates.get_mut(number) {
                *again = true;
                self.quiet_until = self.quiet_until.max(*at + self.timeout);
            }
        }
        None
    }

    /// When something is due, unless an answer comes first.
    pub(super) fn poll_timeout(&self, now: Moment) -> Moment {
        let quiet = Some(self.quiet_until).filter(|until| *until > now);
        let expiries = self.fates.iter().filter_map(|fate| match fate {
            Fate::Sent { at, .. } => Some(*at + self.timeout),
            _ => None,
        });
        expiries.chain(quiet).min().unwrap_or(now)
    }

    /// The next hop in order, once all about it is known.
    pub(super) fn poll_hop(&mut self) -> Option<Hop> {
        let hop = self.told + 1;
        if hop > self.last {
            return None;
        }
        let first = usize::from(self.told) * usize::from(self.queries);
        let fates = self
            .fates
            .get(first..first + usize::from(self.queries))?
            .to_vec();
        if fates
            .iter()
            .any(|fate| matches!(fate, Fate::Waiting | Fate::Sent { .. }))
        {
            return None;
        }
        self.told = hop;
        let sent = fates.iter().filter(|fate| !matches!(fate, Fate::Unsent));
        let answers = fates.iter().filter_map(|fate| match fate {
            Fate::Answered(answer) => Some(*answer),
            _ => None,
        });
        Some(Hop {
            hop,
            sent: sent.count() as u8,
            answers: answers.collect(),
        })
    }

    /// Whether all hops have been told.
    pub(super) const fn is_complete(&self) -> bool {
        self.told >= self.last
    }

    /// Gives up on what was not answered in time.
    fn expire(&mut self, now: Moment) {
        for fate in &mut self.fates {
            if let Fate::Sent { at, again, .. } = *fate
                && now >= at + self.timeout
            {
                *fate = if again { Fate::Waiting } else { Fate::Silent };
            }
        }
    }

    /// The packets to the hops that count.
    fn relevant(&self) -> &[Fate] {
        let count = usize::from(self.last) * usize::from(self.queries);
        self.fates.get(..count).unwrap_or(&self.fates)
    }

    fn under_way(&self) -> impl Iterator<Item = usize> {
        let sent =
            |(number, fate): (usize, &Fate)| matches!(fate, Fate::Sent { .. }).then_some(number);
        self.fates.iter().enumerate().filter_map(sent)
    }

    fn ttl(&self, number: usize) -> u8 {
        (number / usize::from(self.queries) + 1) as u8
    }
}

/// Where the path ends that has these hops.
pub(super) fn end(hops: &[Hop]) -> End {
    let says = hops.last().into_iter().flat_map(|hop| &hop.answers);
    let mut end = End::Unknown;
    for answer in says {
        match answer.says {
            Says::Reached => return End::Reached,
            Says::Refused(why) => end = End::Refused(why),
            Says::Expired => {}
        }
    }
    end
}

#[cfg(test)]
mod tests;
