//! How many hops a packet and its reply made, by the TTL or hop limit that each arrived with.
//!
//! Our own packets leave with 255, so what the reflector saw tells the hops there. Those back rest on an
//! assumption: a reply left with one of the usual values, 64, 128 or 255 (our reflector: 255).

use serde::Serialize;

/// With how much packets usually leave.
const USUAL: [u8; 3] = [64, 128, u8::MAX];

/// A path of more hops than this is none that is believed: a traceroute gives up at 30.
const MOST: u8 = 32;

/// How far it is, counted as a traceroute counts: the far end is the last hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Distance {
    /// Hops of the packet that made the fewest.
    pub fewest: u8,
    /// Hops of the packet that made the most: more where the way changed during the session.
    pub most: u8,
}

/// How far it is each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Distances {
    /// From sender to reflector; `None` where the reflector does not tell, or what it tells makes no sense.
    pub up: Option<Distance>,
    /// From reflector to sender; `None` where the TTL that replies arrived with fits no usual one.
    pub down: Option<Distance>,
}

impl Distances {
    /// Whether the ways differ; `None` where one is unknown or changed during the session.
    #[must_use]
    pub fn differ(&self) -> Option<bool> {
        let steady = |way: Option<Distance>| way.filter(|way| way.fewest == way.most);
        Some(steady(self.up)?.most != steady(self.down)?.most)
    }
}

/// What was seen of one way: the least and the greatest hops, or something that makes no sense.
#[derive(Clone, Copy, Debug, Default)]
enum Way {
    #[default]
    Unseen,
    Seen(Distance),
    Senseless,
}

impl Way {
    fn enter(&mut self, hops: Option<u8>) {
        *self = match (*self, hops) {
            (_, None) | (Self::Senseless, _) => Self::Senseless,
            (Self::Unseen, Some(hops)) => Self::Seen(Distance {
                fewest: hops,
                most: hops,
            }),
            (Self::Seen(seen), Some(hops)) => Self::Seen(Distance {
                fewest: seen.fewest.min(hops),
                most: seen.most.max(hops),
            }),
        };
    }

    const fn distance(self) -> Option<Distance> {
        match self {
            Self::Seen(distance) => Some(distance),
            Self::Unseen | Self::Senseless => None,
        }
    }
}

/// The books of one session.
#[derive(Debug, Default)]
pub(super) struct Hops {
    up: Way,
    down: Way,
}

impl Hops {
    /// A reply arrived with `own`, to a packet that had arrived with `told`.
    pub(super) fn enter(&mut self, told: u8, own: Option<u8>) {
        self.up.enter(hops(u8::MAX, told));
        let down = own.and_then(|own| {
            let left_with = USUAL.into_iter().find(|usual| own <= *usual)?;
            hops(left_with, own)
        });
        self.down.enter(down);
    }

    pub(super) fn found(&self) -> Distances {
        let down = self.down.distance();
        let up = self.up.distance().filter(|up| {
            // A reflector whose system does not tell it the TTL says 255 (RFC 5357, section 4.2.1): believed
            // only where the way back has no router either.
            up.fewest > 1 || down.is_some_and(|down| down.most == 1)
        });
        Distances { up, down }
    }
}

/// The hops of a packet that left with one TTL and arrived with another; the last hop takes nothing off.
fn hops(left: u8, arrived: u8) -> Option<u8> {
    let hops = left.checked_sub(arrived)?.saturating_add(1);
    (arrived > 0 && hops <= MOST).then_some(hops)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(seen: &[(u8, Option<u8>)]) -> Distances {
        let mut hops = Hops::default();
        for (told, own) in seen {
            hops.enter(*told, *own);
        }
        hops.found()
    }

    const fn steady(hops: u8) -> Distance {
        Distance {
            fewest: hops,
            most: hops,
        }
    }

    #[test]
    fn hops_follow_from_the_usual_values_that_packets_leave_with() {
        for (told, own, up, down, differ) in [
            (253, 252, Some(steady(3)), Some(steady(4)), Some(true)),
            (253, 62, Some(steady(3)), Some(steady(3)), Some(false)),
            (250, 120, Some(steady(6)), Some(steady(9)), Some(true)),
            (255, 64, Some(steady(1)), Some(steady(1)), Some(false)),
        ] {
            let found = found(&[(told, Some(own)); 2]);
            assert_eq!((found.up, found.down), (up, down), "{told} {own}");
            assert_eq!(found.differ(), differ);
        }
    }

    #[test]
    fn what_is_not_told_or_makes_no_sense_is_unknown() {
        for (told, own, up, down) in [
            (253, None, Some(steady(3)), None),
            (0, Some(64), None, Some(steady(1))),
            (64, Some(62), None, Some(steady(3))),
            (255, Some(62), None, Some(steady(3))),
            (253, Some(200), Some(steady(3)), None),
            (253, Some(0), Some(steady(3)), None),
        ] {
            let found = found(&[(told, own)]);
            assert_eq!((found.up, found.down), (up, down), "{told} {own:?}");
            assert_eq!(found.differ(), None);
        }
        assert_eq!(found(&[]), Distances::default());
    }

    #[test]
    fn a_way_that_changes_in_the_session_has_two_lengths_and_is_not_compared() {
        let found = found(&[(253, Some(252)), (251, Some(252))]);
        assert_eq!(found.up, Some(Distance { fewest: 3, most: 5 }));
        assert_eq!(found.differ(), None);
    }
}
