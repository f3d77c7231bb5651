//! The most that an agent can show, whatever the network carries: in one place, for verdicts and visits alike.

use messnetz_metric::{BitRate, EachWay, Layer, Nominal, Quantity, Rate, Tester, Value};
use serde::Serialize;

use crate::target::Target;

/// A limit counts as reached from this share of it: the demand that one flow fills a port entirely would never
/// be met (project default, after the 90 % of Vfg 99/2021).
const REACHED: f64 = 0.9;

/// What bounds what an agent can show; nothing where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Nominal rate of the port that it measures through.
    pub port: Option<Rate<Nominal, EachWay>>,
    /// What its ndt7 carries over its own loopback.
    pub ndt7: Option<BitRate>,
    /// What its iperf3 carries over its own loopback.
    pub iperf3: Option<BitRate>,
}

/// The most that an agent can show of one metric: the lowest of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ceiling {
    /// Nominal rate of the port that bounds; absent where the box itself carries less than its port.
    #[serde(rename = "port_bps", skip_serializing_if = "Option::is_none")]
    pub port: Option<Rate<Nominal, EachWay>>,
    /// What can be shown on the layer that is measured.
    #[serde(rename = "ceiling_bps")]
    pub ceiling: BitRate,
}

/// A port that was full and carries less than a target needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FullPort {
    /// Nominal rate of the port.
    #[serde(rename = "port_bps")]
    pub port: Rate<Nominal, EachWay>,
    /// The layer that is measured.
    pub layer: Layer,
    /// What the port can carry on that layer.
    #[serde(rename = "ceiling_bps")]
    pub ceiling: BitRate,
    /// What would have to be measured to meet the target.
    #[serde(rename = "needed_bps")]
    pub needed: BitRate,
}

/// A box that gave all it had, which is less than a target needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SlowBox {
    /// With which protocol it measures.
    pub tester: Tester,
    /// What it carries by that over its own loopback.
    #[serde(rename = "ceiling_bps")]
    pub ceiling: BitRate,
    /// What would have to be measured to meet the target.
    #[serde(rename = "needed_bps")]
    pub needed: BitRate,
}

/// Why a low value says nothing about the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limited {
    Port(FullPort),
    Box(SlowBox),
}

impl Bounds {
    /// Those of an agent of which only the port is known.
    #[must_use]
    pub fn of_port(port: Option<Rate<Nominal, EachWay>>) -> Self {
        Self {
            port,
            ..Self::default()
        }
    }

    /// What the box carries by itself in tests of this target's metric.
    fn of_box(self, target: &Target) -> Option<(Tester, BitRate)> {
        let Quantity::Goodput(_) = target.metric.quantity else {
            return None;
        };
        let tester = Tester::of(target.metric.segment)?;
        let ceiling = match tester {
            Tester::Ndt7 => self.ndt7,
            Tester::Iperf3 => self.iperf3,
        };
        Some((tester, ceiling?))
    }

    /// The lowest bound on this target's metric; `None` for what is no rate, and where no bound is known.
    #[must_use]
    pub fn ceiling(self, target: &Target) -> Option<Ceiling> {
        let layer = target.metric.quantity.layer()?;
        let of_port = self.port.map(|port| Ceiling {
            port: Some(port),
            ceiling: port.carries(layer),
        });
        let of_box = self.of_box(target).map(|(_, ceiling)| Ceiling {
            port: None,
            ceiling,
        });
        of_port
            .into_iter()
            .chain(of_box)
            .min_by_key(|one| one.ceiling)
    }

    /// What keeps `observed` from reaching `threshold`, where that is the agent's own ceiling.
    pub(super) fn limited(
        self,
        target: &Target,
        observed: Value,
        threshold: Value,
    ) -> Option<Limited> {
        let Ceiling { port, ceiling } = self.ceiling(target)?;
        let Value::Rate(needed) = threshold else {
            return None;
        };
        let was_reached = observed.number() as f64 >= REACHED * ceiling.as_bps() as f64;
        if ceiling >= needed || !was_reached {
            return None;
        }
        Some(match port {
            Some(port) => Limited::Port(FullPort {
                port,
                layer: target.metric.quantity.layer()?,
                ceiling,
                needed,
            }),
            None => Limited::Box(SlowBox {
                tester: Tester::of(target.metric.segment)?,
                ceiling,
                needed,
            }),
        })
    }
}
