//! Round trips by ICMP echo: RFC 792 (IPv4) and RFC 4443, section 4 (IPv6).
//!
//! [`measure`] is our own engine, because a number that a school authority is judged by must not
//! contain our own scheduling: the kernel stamps arrivals and, where it can, departures; requests are
//! paced; packets that our own socket dropped are not called network loss; "unreachable" is told from
//! "lost". [`is_up`] is the quick question whether somebody answers at all, and measures nothing.
//!
//! Layers: `codec` turns bytes into messages, `accounts` keeps the books of one burst in virtual
//! time, `form` knows the two kinds of socket, `driver` owns one and the clock.

mod accounts;
pub(crate) mod codec;
mod driver;
pub(crate) mod form;
pub mod sweep;
mod up;

use std::net::IpAddr;
use std::time::Duration;

use messnetz_metric::{Failure, FailureReason, Micros, Ppm, Quantity, Reading, Value};
use serde::Serialize;

pub use driver::measure;
pub use up::is_up;

use crate::Binding;
use crate::stamps::Stamps;
use crate::statistics::RttSummary;

/// One burst of echo requests to one target.
#[derive(Clone, Debug)]
pub struct Echo {
    /// Who is to answer.
    pub target: IpAddr,
    /// From which interface.
    pub binding: Binding,
    /// How many requests.
    pub count: u16,
    /// Time between two requests.
    pub interval: Duration,
    /// How long each request waits for its reply, and so how long the burst waits after the last one.
    /// RFC 7680, section 2.8.2, calls it the loss threshold: what comes later counts as lost.
    pub timeout: Duration,
    /// Bytes of data in each request, after the ICMP header. From 8 on, the first eight are random and
    /// must come back, so that no other program's reply is taken for ours.
    pub payload: usize,
}

/// What [`measure`] tells about, in the order of [`EchoReport::readings`].
pub const QUANTITIES: &[Quantity] = &[
    Quantity::Rtt,
    Quantity::RttMin,
    Quantity::RttP95,
    Quantity::Jitter,
    Quantity::Loss,
];

/// What came back from one burst.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EchoReport {
    /// Who was asked.
    pub target: IpAddr,
    /// Requests that the kernel accepted for sending.
    pub sent: u16,
    /// Requests that this host refused to send (no buffer, no route any more); not part of the loss.
    pub unsent: u16,
    /// Requests that were answered in time.
    pub received: u16,
    /// Replies beyond the first to a request.
    pub duplicates: u32,
    /// Requests whose reply came after [`Echo::timeout`]; they count as lost.
    pub late: u16,
    /// Requests that were not answered, but reported undeliverable by an ICMP error; they count as lost.
    pub unreachable: u16,
    /// Packets that our own socket dropped for want of buffer space. So many missing replies may have
    /// reached this host, so they count neither as received nor as lost.
    pub own_drops: u32,
    /// The round-trip times; `None` where no reply came in time.
    pub rtt: Option<RttSummary>,
    /// Interarrival jitter by RFC 3550, section 6.4.1, applied to the round trips in the order of
    /// arrival; `None` for fewer than two replies.
    #[serde(rename = "jitter_us")]
    pub jitter: Option<Micros>,
    /// Where the arrivals were stamped.
    pub stamps: Stamps,
}

impl EchoReport {
    /// The share of requests without an answer in time (RFC 7680, applied to the round trip); `None`
    /// where no request's fate is known.
    #[must_use]
    pub fn loss(&self) -> Option<Ppm> {
        let missing = u64::from(self.sent.saturating_sub(self.received));
        let unknown = u64::from(self.own_drops).min(missing);
        Ppm::of(missing - unknown, u64::from(self.sent) - unknown)
    }

    /// One reading for each of [`QUANTITIES`], but no jitter of a burst too short to have one.
    ///
    /// That nobody answered is a loss of 100 %, not a failed measurement of the loss; only the times
    /// are missing then.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        let times = self.rtt.map(|rtt| (rtt.median, rtt.min, rtt.p95));
        let mut readings = vec![
            self.time(Quantity::Rtt, times.map(|t| t.0)),
            self.time(Quantity::RttMin, times.map(|t| t.1)),
            self.time(Quantity::RttP95, times.map(|t| t.2)),
        ];
        if self.sent > 1 {
            readings.push(self.time(Quantity::Jitter, self.jitter));
        }
        readings.extend(match self.loss() {
            Some(loss) => vec![Reading::value(Quantity::Loss, Value::Share(loss))],
            None => Reading::failed(&[Quantity::Loss], &self.silence()),
        });
        readings
    }

    fn time(&self, quantity: Quantity, time: Option<Micros>) -> Reading {
        match time {
            Some(time) => Reading::value(quantity, Value::Time(time)),
            None => Reading {
                quantity,
                outcome: messnetz_metric::Outcome::Failed(self.silence()),
            },
        }
    }

    /// Why times are missing.
    fn silence(&self) -> Failure {
        let Self {
            target,
            sent,
            received,
            late,
            unreachable,
            own_drops,
            ..
        } = self;
        let reason = if *unreachable > 0 && *received == 0 {
            FailureReason::Unreachable
        } else {
            FailureReason::Timeout
        };
        Failure::new(
            reason,
            format_args!(
                "ICMP echo to {target}: {received} of {sent} requests answered in time, {late} late, \
                 {unreachable} reported unreachable, {own_drops} packets dropped by this host"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use messnetz_metric::Outcome;

    fn silent(sent: u16) -> EchoReport {
        EchoReport {
            target: IpAddr::from([192, 0, 2, 1]),
            sent,
            unsent: 0,
            received: 0,
            duplicates: 0,
            late: 0,
            unreachable: 0,
            own_drops: 0,
            rtt: None,
            jitter: None,
            stamps: Stamps::User,
        }
    }

    fn reason(readings: &[Reading], quantity: Quantity) -> Option<FailureReason> {
        match &readings.iter().find(|r| r.quantity == quantity)?.outcome {
            Outcome::Failed(failure) => Some(failure.reason),
            Outcome::Value(_) => None,
        }
    }

    #[test]
    fn no_answer_at_all_is_a_loss_of_100_percent_and_no_round_trip() {
        let readings = silent(10).readings();
        let quantities: Vec<_> = readings.iter().map(|r| r.quantity).collect();
        assert_eq!(quantities, QUANTITIES);
        assert_eq!(
            readings[4],
            Reading::value(Quantity::Loss, Value::Share(Ppm::from_ppm(1_000_000)))
        );
        assert_eq!(
            reason(&readings, Quantity::Rtt),
            Some(FailureReason::Timeout)
        );
    }

    #[test]
    fn a_reported_error_is_named_instead_of_a_timeout() {
        let report = EchoReport {
            unreachable: 3,
            ..silent(10)
        };
        let readings = report.readings();
        assert_eq!(
            reason(&readings, Quantity::RttP95),
            Some(FailureReason::Unreachable)
        );
    }

    #[test]
    fn what_our_own_socket_dropped_is_not_network_loss() {
        let report = EchoReport {
            received: 6,
            own_drops: 2,
            ..silent(10)
        };
        assert_eq!(report.loss(), Ppm::of(2, 8));
        let all_dropped = EchoReport {
            own_drops: 99,
            ..silent(10)
        };
        assert_eq!(all_dropped.loss(), None);
    }

    #[test]
    fn a_burst_of_one_request_has_no_jitter_to_fail() {
        let readings = silent(1).readings();
        assert!(readings.iter().all(|r| r.quantity != Quantity::Jitter));
    }
}
