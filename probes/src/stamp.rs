//! Packet loss by direction: STAMP, RFC 8762, with base packets of 44 octets, or of 112 where both ends share
//! a key.
//!
//! A round trip cannot say which way lost a packet, and a line's two directions fail for different
//! reasons. A *stateful* reflector (RFC 8762, section 4.3) numbers its own replies, so the sender learns
//! how many of its packets arrived. [`measure`] is the sender, which sits in the school, and
//! [`reflect`] is the reflector, which sits with the collector: up is from sender to reflector.
//!
//! The accounts are exact because they end on a packet that made it both ways. After its `count`
//! packets the sender goes on with closing packets until one of those is answered. Let `s` be the
//! highest sender's number that was answered and `r` the highest reflector's number that was seen,
//! both counted from 0. Then of `s + 1` packets sent, `r + 1` arrived, and of `r + 1` replies sent,
//! those that were received arrived. Packets after `s`, of which nothing is known, are not counted.
//!
//! Reordering does not disturb this as long as the replies of the packets that overtook one another
//! near the end arrive within the grace time. A packet that the network duplicated on the way up shows
//! as two replies to one packet, and is taken off again. Not seen is a duplicate of which one reply is
//! lost: it hides one packet lost upwards. A *stateless* reflector copies the sender's number, so all
//! losses would seem to be downwards: this needs a stateful one, such as ours.
//!
//! Layers: `codec` for the packets, `sender` and `reflector` as engines in virtual time, `driver` for
//! sockets and clocks.

mod codec;
mod driver;
mod hops;
mod key;
mod reflector;
mod sender;

use std::net::SocketAddr;
use std::time::Duration;

use messnetz_metric::{Direction, Failure, FailureReason, Micros, Ppm, Quantity, Reading, Value};
use serde::Serialize;

pub use driver::{measure, reflect};
pub use hops::{Distance, Distances};
pub use key::{Key, KeyLength};
pub use reflector::Limits;

use crate::Binding;
use crate::statistics::RttSummary;

/// The port that IANA assigned to STAMP (RFC 8762, section 4.1).
pub const PORT: u16 = 862;

/// One test session with one reflector.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who reflects.
    pub reflector: SocketAddr,
    /// From which interface.
    pub binding: Binding,
    /// How many packets before the closing ones.
    pub count: u16,
    /// Time between two packets.
    pub interval: Duration,
    /// How long to wait for a reply after the last closing packet.
    pub timeout: Duration,
    /// The key that the reflector has too; without one the session is unauthenticated.
    pub key: Option<Key>,
}

/// What [`measure`] tells about, in the order of [`StampReport::readings`].
pub const QUANTITIES: &[Quantity] = &[
    Quantity::LossOneWay(Direction::Up),
    Quantity::LossOneWay(Direction::Down),
];

/// What became of the packets of one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StampReport {
    /// Who reflected.
    pub reflector: SocketAddr,
    /// Packets sent, up to the last one that is accounted for; closing packets included.
    pub sent: u32,
    /// Of those, how many the reflector received.
    pub reflected: u32,
    /// Different replies that came back.
    pub received: u32,
    /// Packets lost between sender and reflector.
    pub lost_up: u32,
    /// Replies lost between reflector and sender, without those that our own socket dropped.
    pub lost_down: u32,
    /// Packets or replies that arrived more than once.
    pub duplicates: u32,
    /// Replies that our own socket dropped for want of buffer space.
    pub own_drops: u32,
    /// Round-trip times without the time that the reflector took: `(T4 - T1) - (T3 - T2)`; `None` where
    /// no reply's stamps make sense.
    pub rtt: Option<RttSummary>,
    /// Interarrival jitter by RFC 3550, section 6.4.1, applied to these round trips in the order of
    /// arrival; `None` for fewer than two.
    #[serde(rename = "jitter_us")]
    pub jitter: Option<Micros>,
    /// How far it is each way, by the TTL of packets.
    pub hops: Distances,
}

impl StampReport {
    /// The share of packets lost in one direction (RFC 7680); up is from sender to reflector. `None`
    /// where no packet's fate is known.
    #[must_use]
    pub fn loss(&self, direction: Direction) -> Option<Ppm> {
        match direction {
            Direction::Up => Ppm::of(self.lost_up.into(), self.sent.into()),
            Direction::Down => Ppm::of(
                self.lost_down.into(),
                u64::from(self.received) + u64::from(self.lost_down),
            ),
        }
    }

    /// One reading for each of [`QUANTITIES`].
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        [Direction::Up, Direction::Down]
            .into_iter()
            .map(|direction| {
                let quantity = Quantity::LossOneWay(direction);
                match self.loss(direction) {
                    Some(loss) => Reading::value(quantity, Value::Share(loss)),
                    None => Reading {
                        quantity,
                        outcome: messnetz_metric::Outcome::Failed(Failure::new(
                            FailureReason::Timeout,
                            format_args!("STAMP session with {}: no packets", self.reflector),
                        )),
                    },
                }
            })
            .collect()
    }
}
