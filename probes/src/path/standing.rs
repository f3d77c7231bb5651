//! What unanswered packets say of a path, and what they do not.
//!
//! A router forwards in hardware and answers in software, and limits how often (RFC 1812, section 4.3.2.8;
//! RFC 4443, section 2.4 (f)). So only loss that goes on to the target is loss of the path: what passed
//! a hop to be answered further on was not lost there.

use messnetz_metric::Ppm;
use serde::Serialize;

use super::{End, Hop, Method};
use crate::statistics::RttSummary;

/// What a hop's unanswered packets say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Every packet was answered.
    Whole,
    /// It answers a smaller share than a hop behind it: it limits its answers, or gives none, and the packets
    /// passed all the same.
    RateLimitedAnswers,
    /// No hop behind it answers a greater share, up to the target: packets or answers are lost, here or
    /// before.
    Losing,
    /// It did not answer all, and no answer of the target tells whether packets passed.
    Unknown,
}

/// A hop, and what its answers amount to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HopReport {
    /// The hop.
    #[serde(flatten)]
    pub hop: Hop,
    /// How many packets were answered.
    pub answered: u8,
    /// The share of packets that were not; `None` where none was sent.
    #[serde(rename = "loss_ppm")]
    pub loss: Option<Ppm>,
    /// Best, median and worst round trip; `None` where nothing was answered.
    pub rtt: Option<RttSummary>,
    /// What the unanswered ones say.
    pub standing: Standing,
}

/// How far the loss of a path is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// The target answers every packet that it gets.
    Measured,
    /// At most so much: the target answers with error messages, which hosts limit (`icmp_ratelimit`, icmp(7)).
    AtMost,
}

/// What is lost on the way to the target and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PathLoss {
    /// Packets to the target.
    pub sent: u8,
    /// Those that were not answered.
    pub lost: u8,
    /// Their share.
    #[serde(rename = "share_ppm")]
    pub share: Ppm,
    /// The nearest hop from which on as much is lost up to the target, or more: the loss begins there or just
    /// before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_hop: Option<u8>,
    /// Whether it may be less.
    pub certainty: Certainty,
}

/// What a hop's packets came to.
#[derive(Clone, Copy, Debug)]
struct Count {
    sent: u8,
    lost: u8,
}

impl Count {
    fn of(hop: &Hop) -> Self {
        Self {
            sent: hop.sent,
            lost: hop.sent - hop.answered(),
        }
    }

    /// Whether a greater share is lost than of the other, in whole numbers.
    fn loses_more_than(self, other: Self) -> bool {
        u16::from(self.lost) * u16::from(other.sent) > u16::from(other.lost) * u16::from(self.sent)
    }
}

/// The hops with what their answers amount to, and what the path loses. That is what its target loses; `None` where
/// the target did not answer at all.
pub(super) fn judge(
    hops: Vec<Hop>,
    end: End,
    method: Method,
) -> (Vec<HopReport>, Option<PathLoss>) {
    // From the far end: the hop that loses the smallest share of those behind.
    let mut least: Option<Count> = None;
    let mut from_hop = None;
    let mut told = Vec::with_capacity(hops.len());
    for hop in hops.into_iter().rev() {
        let count = Count::of(&hop);
        let standing = match least {
            _ if count.lost == 0 => Standing::Whole,
            Some(behind) if count.loses_more_than(behind) => Standing::RateLimitedAnswers,
            _ if end != End::Reached => Standing::Unknown,
            _ => Standing::Losing,
        };
        if standing == Standing::Losing {
            from_hop = Some(hop.hop);
        }
        if count.sent > 0 && least.is_none_or(|least| least.loses_more_than(count)) {
            least = Some(count);
        }
        told.push(HopReport {
            answered: hop.answered(),
            loss: hop.loss(),
            rtt: hop.rtt(),
            standing,
            hop,
        });
    }
    told.reverse();
    let target = told.last().filter(|_| end == End::Reached);
    let loss = target.and_then(|last| {
        let count = Count::of(&last.hop);
        Some(PathLoss {
            sent: count.sent,
            lost: count.lost,
            share: last.loss?,
            from_hop,
            certainty: match method {
                Method::Udp if count.lost > 0 => Certainty::AtMost,
                Method::Udp | Method::Icmp => Certainty::Measured,
            },
        })
    });
    (told, loss)
}

#[cfg(test)]
mod tests;
