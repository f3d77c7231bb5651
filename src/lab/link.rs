//! A line between two namespaces with its rate, delay, jitter and loss, both ways.

use std::time::Duration;

use messnetz_metric::{BitRate, Ppm};

use super::emulator::{Conditions, Counters, Direction, Emulator};
use super::{Lab, LabError, Namespace};

/// What one direction of a line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bits per second, Ethernet headers included: TCP carries 95.7 % of it as payload (1448 of
    /// 1514 bytes).
    pub rate: BitRate,
    /// From end to end, one way.
    pub delay: Duration,
    /// Up to this much more per frame, evenly distributed, order kept.
    pub jitter: Duration,
    /// Share of the packets that are lost, each independent of the others.
    pub loss: Ppm,
    /// Bytes that wait in front of the line when more comes than it carries; what comes beyond is
    /// dropped by the router, as at a real line, and is not among the line's counters.
    pub queue: u64,
}

impl Shape {
    /// A clean line: neither jitter nor loss, and a queue of 50 ms.
    #[must_use]
    pub fn clean(rate: BitRate, delay: Duration) -> Self {
        Self {
            rate,
            delay,
            jitter: Duration::ZERO,
            loss: Ppm::from_ppm(0),
            queue: carried(rate, DEFAULT_QUEUE).max(SMALLEST_BURST),
        }
    }

    /// How much the router may send at once.
    ///
    /// The token bucket fills while its timer is late, and what does not fit is rate lost for ever:
    /// 2 ms hold the lateness of a busy machine without loss up to 1 Gbit/s. Below, ten full frames
    /// keep a slow line from sending in one go what it should take long over. As a share of a
    /// ten-second measurement the bucket is 0.02 %.
    fn burst(&self) -> u64 {
        carried(self.rate, Duration::from_millis(2)).max(SMALLEST_BURST)
    }

    /// What the line itself must be able to hold: what is under way for the longest delay, plus
    /// what a router late by a tenth of a second would catch up with. So it overflows only where
    /// the emulator is not given the time to run.
    fn conditions(&self) -> Conditions {
        let under_way = self.delay + self.jitter + Duration::from_millis(100);
        Conditions {
            delay: self.delay,
            jitter: self.jitter,
            loss: self.loss,
            capacity: (carried(self.rate, under_way) + self.burst()) as usize,
        }
    }

    fn tbf(&self, interface: &str) -> String {
        format!(
            "qdisc add dev {interface} root tbf rate {}bit burst {} limit {}\n",
            self.rate.as_bps(),
            self.burst(),
            self.queue
        )
    }
}

const DEFAULT_QUEUE: Duration = Duration::from_millis(50);
const SMALLEST_BURST: u64 = 10 * 1514;

/// Bytes that `rate` carries in `time`.
fn carried(rate: BitRate, time: Duration) -> u64 {
    let bytes = u128::from(rate.as_bps()) * time.as_nanos() / 8 / 1_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Both directions of a line and the seed of its chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// From the near end to the far end.
    pub down: Shape,
    /// From the far end to the near end.
    pub up: Shape,
    /// The same seed loses the same packets: the n-th of a direction, by the order in which they
    /// reach the line. (Hosts that still ask for their neighbour's address send the first few out
    /// of order; permanent neighbours avoid that.)
    pub seed: u64,
}

impl LinkSpec {
    fn check(&self, link: &str) -> Result<(), LabError> {
        for (way, shape) in [("down", self.down), ("up", self.up)] {
            let wrong = if shape.rate < BitRate::from_bps(8_000) {
                "the rate is under 8 kbit/s, less than the shaper can hold"
            } else if shape.queue < 1514 {
                "the queue is under 1514 bytes, so no full frame fits"
            } else if shape.delay + shape.jitter > Duration::from_secs(10) {
                "the delay with jitter is over 10 s"
            } else {
                continue;
            };
            return Err(LabError::Shape {
                link: link.to_owned(),
                reason: format!("{way}: {wrong}"),
            });
        }
        Ok(())
    }
}

/// A line that joins two namespaces, running.
///
/// The routers at both ends hold the rate (`tbf` on their outgoing interface), the line between
/// them delays and loses. A host that sends through a `tbf` of its own is held back instead of
/// suffering drops, so hosts that measure belong behind the routers, not into them.
///
/// Dropping it stops its threads; its interfaces vanish from both namespaces a moment later.
#[derive(Debug)]
pub struct Link {
    emulator: Emulator,
}

impl Link {
    /// Joins `near` and `far` (namespace and name of the interface that it gets) by the line `spec`.
    /// Both interfaces are up, without addresses.
    ///
    /// # Errors
    /// [`LabError::Shape`] for figures that no line can have, otherwise what the kernel or
    /// iproute2 refused.
    pub fn join(
        lab: &Lab,
        near: (&Namespace, &str),
        far: (&Namespace, &str),
        spec: &LinkSpec,
    ) -> Result<Self, LabError> {
        let name = format!("{}-{}", near.0.name(), far.0.name());
        spec.check(&name)?;
        let middle = lab.namespace(&name)?;
        if super::has_ipv6() {
            // The line has no addresses and must not speak up by itself.
            middle.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        }
        middle.ip_with(
            &format!(
                "link add near type veth peer name {} netns {}\n\
                 link add far type veth peer name {} netns {}\n\
                 link set near up arp off\n\
                 link set far up arp off\n",
                near.1,
                near.0.reference(),
                far.1,
                far.0.reference()
            ),
            &[near.0, far.0],
        )?;
        let conditions = [spec.down.conditions(), spec.up.conditions()];
        // The line runs before the ends come up: their first neighbour discovery is not lost.
        let emulator = Emulator::start(middle, "near", "far", conditions, spec.seed)?;
        for ((namespace, interface), shape) in [(near, spec.down), (far, spec.up)] {
            namespace.tc(&shape.tbf(interface))?;
            namespace.ip(&format!("link set {interface} up\n"))?;
        }
        Ok(Self { emulator })
    }

    /// What the line has done in one direction so far.
    #[must_use]
    pub fn counters(&self, direction: Direction) -> Counters {
        self.emulator.counters(direction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(mbps: f64) -> Shape {
        Shape::clean(BitRate::from_mbps(mbps), Duration::from_millis(6))
    }

    #[test]
    fn the_bucket_holds_two_milliseconds_but_ten_frames_at_least() {
        assert_eq!(shape(1000.0).burst(), 250_000);
        assert_eq!(shape(10.0).burst(), 15_140);
    }

    #[test]
    fn the_line_holds_what_its_delay_needs() {
        let conditions = shape(100.0).conditions();
        assert_eq!(conditions.capacity, 100_000_000 / 8 * 106 / 1000 + 25_000);
    }

    #[test]
    fn impossible_figures_are_refused_with_the_direction() {
        let spec = LinkSpec {
            down: shape(100.0),
            up: Shape {
                rate: BitRate::from_bps(0),
                ..shape(100.0)
            },
            seed: 1,
        };
        let error = spec.check("hall-school").unwrap_err().to_string();
        assert!(
            error.contains("`hall-school`") && error.contains("up: the rate"),
            "{error}"
        );
    }
}
