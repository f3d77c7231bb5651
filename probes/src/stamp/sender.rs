//! The sender's books of one session: what is due, what came back, and which way the rest was lost.
//!
//! No socket and no clock: every call carries the time.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use messnetz_metric::{Failure, FailureReason};

use super::codec::{ErrorEstimate, Packet, Reflected, Ssid, Test, Timestamp};
use super::hops::Hops;
use super::{Session, StampReport};
use crate::stamps::{Moment, Stamps, round_trip};
use crate::statistics::{RttSummary, jitter};

/// How many closing packets are sent at most.
pub(super) const CLOSING_PACKETS: u32 = 32;

/// Time between two closing packets, at least: together they outlast a queue that is full for three
/// seconds, at whatever rate the session ran.
pub(super) const CLOSING_INTERVAL: Duration = Duration::from_millis(100);

/// How long replies may still come in after the first reply to a closing packet: time for those that
/// were overtaken.
const GRACE: Duration = Duration::from_millis(250);

/// More replies than this per packet sent are no duplicates but an attack on our memory.
const REPLIES_PER_PACKET: usize = 4;

/// The state of one session.
pub(super) struct Sender {
    session: Session,
    ssid: Ssid,
    is_patient: bool,
    sent: Vec<Departure>,
    attempts: u32,
    last_attempt: Option<Moment>,
    /// Which of our packets carried each of the reflector's numbers.
    replies: HashMap<u32, u32>,
    /// Replies that came again, with the number they had before.
    repeated: u32,
    times: Vec<Duration>,
    hops: Hops,
    /// When the first reply to a closing packet came.
    closed: Option<Moment>,
}

struct Departure {
    user: Moment,
    wall: SystemTime,
    answered: bool,
}

impl Sender {
    /// Nothing is sent yet. Where `is_patient`, replies are handed over some time after they came, and only
    /// the kernel's stamps tell when that was.
    pub(super) fn new(session: &Session, ssid: Ssid, is_patient: bool) -> Self {
        Self {
            session: session.clone(),
            ssid,
            is_patient,
            sent: Vec::new(),
            attempts: 0,
            last_attempt: None,
            replies: HashMap::new(),
            repeated: 0,
            times: Vec::new(),
            hops: Hops::default(),
            closed: None,
        }
    }

    /// Whether a packet is due at `now`.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.next_due().is_some_and(|due| due <= now)
    }

    /// The next packet, stamped with `wall`.
    pub(super) fn packet(&self, wall: SystemTime) -> Packet {
        let test = Test {
            sequence: self.sent.len() as u32,
            sent: Timestamp::ntp(wall),
            error: ErrorEstimate::OURS,
            ssid: self.ssid,
        };
        test.encode(self.session.key.as_ref())
    }

    /// What arrived, where it is a reply that the session's key has sealed.
    pub(super) fn read(&self, octets: &[u8]) -> Option<Reflected> {
        Reflected::decode(octets, self.session.key.as_ref())
    }

    /// The kernel took [`Self::packet`]. `now` and `wall` were read just before.
    pub(super) fn sent(&mut self, now: Moment, wall: SystemTime) {
        self.sent.push(Departure {
            user: now,
            wall,
            answered: false,
        });
        self.attempted(now);
    }

    /// The kernel had no room for [`Self::packet`]: it was not sent, and its number is used again.
    pub(super) fn attempted(&mut self, now: Moment) {
        self.attempts += 1;
        self.last_attempt = Some(now);
    }

    /// A reply arrived. One that does not repeat the number and the time stamp of a packet of ours is
    /// ignored: it is forged or of another session. Reflectors without RFC 8972 leave the SSID empty.
    ///
    /// # Errors
    /// [`FailureReason::Protocol`] where the reflector's count cannot be relied upon.
    pub(super) fn handle_reply(
        &mut self,
        now: Moment,
        reply: &Reflected,
        kernel: Option<SystemTime>,
        ttl: Option<u8>,
    ) -> Result<(), Failure> {
        let sequence = reply.test.sequence;
        let limit = REPLIES_PER_PACKET * self.sent.len();
        let Some(departure) = self
            .sent
            .get_mut(sequence as usize)
            .filter(|d| Timestamp::ntp(d.wall) == reply.test.sent)
            .filter(|_| reply.ssid == self.ssid || reply.ssid == Ssid(0))
        else {
            return Ok(());
        };
        match self.replies.insert(reply.sequence, sequence) {
            Some(earlier) if earlier == sequence => {
                self.repeated = self.repeated.saturating_add(1);
                return Ok(());
            }
            Some(_) => return Err(self.broken("gave two packets the same number")),
            None if self.replies.len() > limit => {
                return Err(self.broken("answers far more than it is asked"));
            }
            None => {}
        }
        self.hops.enter(reply.ttl, ttl);
        if !departure.answered {
            departure.answered = true;
            let user = now.saturating_sub(departure.user);
            let (time, stamps) = round_trip(kernel.map(|at| (departure.wall, at)), user);
            let inside = reply.sent.since(reply.received, reply.error.format());
            // A reflector whose clock was stepped, or that claims to have worked longer than the
            // whole round took, gives no time.
            if stamps == Stamps::Kernel || !self.is_patient {
                self.times
                    .extend(inside.and_then(|inside| time.checked_sub(inside)));
            }
        }
        if sequence >= u32::from(self.session.count) {
            self.closed.get_or_insert(now);
        }
        Ok(())
    }

    /// When something is to be done if nothing arrives before.
    pub(super) fn poll_timeout(&self) -> Moment {
        let last = self.last_attempt.unwrap_or_default();
        match (self.closed, self.next_due()) {
            (Some(closed), _) => closed.saturating_add(GRACE.min(self.session.timeout)),
            (None, Some(due)) => due,
            (None, None) => last.saturating_add(self.session.timeout),
        }
    }

    /// Whether the session is over.
    pub(super) fn is_complete(&self, now: Moment) -> bool {
        self.next_due().is_none() && now >= self.poll_timeout()
    }

    /// Closes the books; see the parent module for the calculation.
    ///
    /// # Errors
    /// [`FailureReason::Timeout`] where no closing packet was answered, [`FailureReason::Refused`]
    /// where `refused` says that nothing listens there and nothing came back;
    /// [`FailureReason::Protocol`] where the reflector says to have received more than was sent.
    pub(super) fn finish(self, refused: bool, own_drops: u32) -> Result<StampReport, Failure> {
        let last_answered = self.sent.iter().rposition(|d| d.answered);
        let highest_reply = self.replies.keys().max();
        let (Some(last_answered), Some(&highest_reply), Some(_)) =
            (last_answered, highest_reply, self.closed)
        else {
            let reason = if refused && self.replies.is_empty() {
                FailureReason::Refused
            } else {
                FailureReason::Timeout
            };
            let detail = format_args!(
                "STAMP session with {}: {} of {} packets answered, none of the closing ones",
                self.session.reflector,
                self.replies.len(),
                self.sent.len()
            );
            return Err(Failure::new(reason, detail));
        };
        let answered = self.sent.iter().filter(|d| d.answered).count() as u64;
        let received = self.replies.len() as u64;
        let sent = last_answered as u64 + 1;
        let replies_sent = u64::from(highest_reply) + 1;
        // Two different replies to one packet: the network doubled the packet on its way up.
        let doubled_up = received - answered;
        let Some(lost_up) = (sent + doubled_up).checked_sub(replies_sent) else {
            return Err(self.broken("says to have received more than was sent"));
        };
        let missing_down = replies_sent.saturating_sub(received);
        let own_drops_down = u64::from(own_drops).min(missing_down);
        Ok(StampReport {
            reflector: self.session.reflector,
            sent: sent as u32,
            reflected: (sent - lost_up) as u32,
            received: received as u32,
            lost_up: lost_up as u32,
            lost_down: (missing_down - own_drops_down) as u32,
            duplicates: self.repeated.saturating_add(doubled_up as u32),
            own_drops,
            rtt: RttSummary::of(&self.times),
            jitter: jitter(&self.times),
            hops: self.hops.found(),
        })
    }

    /// When the next packet is due; `None` where no more are.
    fn next_due(&self) -> Option<Moment> {
        let count = u32::from(self.session.count);
        if self.closed.is_some() || self.attempts >= count.saturating_add(CLOSING_PACKETS) {
            return None;
        }
        let interval = if self.attempts <= count {
            self.session.interval
        } else {
            self.session.interval.max(CLOSING_INTERVAL)
        };
        Some(
            self.last_attempt
                .map_or(Moment::ZERO, |last| last.saturating_add(interval)),
        )
    }

    fn broken(&self, what: &str) -> Failure {
        let reflector = self.session.reflector;
        Failure::new(
            FailureReason::Protocol,
            format_args!("STAMP session with {reflector}: the reflector {what}"),
        )
    }
}

#[cfg(test)]
mod tests;
