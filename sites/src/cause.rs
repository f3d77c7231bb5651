//! Why a target was missed: which part of the way from the device to the service limits.
//!
//! The decision table; the first row that fits names the cause. *LAN bad* means that the median loss or
//! round-trip time between the agent and the router is over [`LAN_LOSS_LIMIT`] or [`LAN_RTT_LIMIT`].
//!
//! | # | judgement | observations and contract | cause |
//! |---|---|---|---|
//! | 1 | `line.down`, `line.up` missed, or undecided for the port | contract below the threshold | contract too small |
//! | 2 | any undecided for the port | otherwise | agent's port |
//! | 3 | `line.down`, `line.up` missed | LAN bad | LAN |
//! | 4 | | no contract stated | undecidable: state the contract |
//! | 5 | | measured ≥ 90 % of the contract | contract too small |
//! | 6 | | LAN not measured | undecidable: measure the LAN |
//! | 7 | | otherwise | line under-delivers |
//! | 8 | `line.*`, no rate, missed | without the LAN's own share the target would hold | LAN |
//! | 9 | | the same not measured in the LAN | undecidable: measure it |
//! | 10 | | otherwise | line quality |
//! | 11 | `wlan.*` missed, no quantity of the radio itself | the same in the LAN misses as well | LAN |
//! | 12 | | the same not measured in the LAN | undecidable: measure it |
//! | 13 | `wlan.*` missed | otherwise | Wi-Fi |
//! | 14 | `service.*` missed | line's loss or round-trip time over the limits of `voice-video` | line quality |
//! | 15 | | one of them not measured | undecidable: measure it |
//! | 16 | | otherwise | service |
//! | 17 | `lan.*` missed | | LAN |
//!
//! A judgement that is met, has no data or is otherwise undecided has no cause: nothing is known to be
//! wrong.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use messnetz_metric::{Better, BitRate, Direction, Metric, Micros, Ppm, Quantity, Segment, Value};
use serde::Serialize;

use crate::site::{Line, LineMedium};
use crate::target::Operator;
use crate::verdict::{FullPort, Judgement, Undecided, Verdict};

/// Loss to the own router above which the LAN is to blame: 0.1 %, the "edge" limit of Microsoft's
/// *Prepare your organization's network for Microsoft Teams* (older version), which no cabled LAN should
/// come near.
pub const LAN_LOSS_LIMIT: Ppm = Ppm::from_ppm(1_000);

/// Round-trip time to the own router above which the LAN is to blame (project default): idle switches
/// take well below a millisecond.
pub const LAN_RTT_LIMIT: Micros = Micros::from_micros(10_000);

/// Round-trip time of the line above which it, and not the service, is to blame: the "client" limit of
/// the same document.
pub const LINE_RTT_LIMIT: Micros = Micros::from_micros(100_000);

/// Loss of the line above which it is to blame, likewise: 1 %.
pub const LINE_LOSS_LIMIT: Ppm = Ppm::from_ppm(10_000);

/// A line delivers its contract from this share of the nominal rate: the 90 % of Vfg 99/2021 of the
/// Bundesnetzagentur.
const DELIVERS: f64 = 0.9;

/// What else is known of the same site at the same time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Situation {
    /// The line, where the authority has stated it.
    pub line: Option<Line>,
    /// Medians of all that was measured at the site.
    pub medians: BTreeMap<Metric, Value>,
}

/// What limits, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// The contract promises less than the target asks for.
    ContractTooSmall {
        /// Nominal rate of the contract.
        #[serde(rename = "contract_bps")]
        contract: BitRate,
        /// The target's threshold on the contract's layer.
        #[serde(rename = "needed_bps")]
        needed: BitRate,
        /// What the line is made of.
        medium: LineMedium,
    },
    /// The contract would do, the LAN is clean, and yet less arrives.
    LineUnderDelivers {
        /// Nominal rate of the contract.
        #[serde(rename = "contract_bps")]
        contract: BitRate,
        /// What was measured.
        measured: Value,
        /// What the line is made of.
        medium: LineMedium,
        /// The line's median loss, where it was measured: one reason for a low rate.
        loss: Option<Value>,
    },
    /// The line itself delays, jitters or loses too much.
    LineQuality {
        /// What shows it.
        metric: Metric,
        /// What was measured.
        measured: Value,
        /// What it should stay below.
        limit: Value,
        /// What the line is made of, where it is stated.
        medium: Option<LineMedium>,
    },
    /// Cables, switches or router inside the building.
    Lan {
        /// What shows it.
        metric: Metric,
        /// What was measured.
        measured: Value,
        /// What it should stay below, or above for rates.
        limit: Value,
    },
    /// The radio link: the LAN behind it is clean.
    Wlan {
        /// What shows it.
        metric: Metric,
        /// What was measured.
        measured: Value,
    },
    /// The agent measures through a port that is too small.
    AgentPort(FullPort),
    /// The service: the line to it is clean.
    Service {
        /// What shows it.
        metric: Metric,
        /// What was measured.
        measured: Value,
    },
    /// What is known does not name the part that limits.
    Undecidable {
        /// What would: each of these.
        measure_next: Vec<Unknown>,
    },
}

/// What has to be found out before a cause can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// What the contract promises: the site file states no line.
    Contract,
    /// This metric, at the same site in the same window.
    Metric(Metric),
}

/// A cause without its evidence, as catalogues name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// See [`Cause::ContractTooSmall`].
    ContractTooSmall,
    /// See [`Cause::LineUnderDelivers`].
    LineUnderDelivers,
    /// See [`Cause::LineQuality`].
    LineQuality,
    /// See [`Cause::Lan`].
    Lan,
    /// See [`Cause::Wlan`].
    Wlan,
    /// See [`Cause::AgentPort`].
    AgentPort,
    /// See [`Cause::Service`].
    Service,
    /// See [`Cause::Undecidable`].
    Undecidable,
}

impl Cause {
    /// The cause without its evidence.
    #[must_use]
    pub const fn kind(&self) -> CauseKind {
        match self {
            Self::ContractTooSmall { .. } => CauseKind::ContractTooSmall,
            Self::LineUnderDelivers { .. } => CauseKind::LineUnderDelivers,
            Self::LineQuality { .. } => CauseKind::LineQuality,
            Self::Lan { .. } => CauseKind::Lan,
            Self::Wlan { .. } => CauseKind::Wlan,
            Self::AgentPort(_) => CauseKind::AgentPort,
            Self::Service { .. } => CauseKind::Service,
            Self::Undecidable { .. } => CauseKind::Undecidable,
        }
    }
}

/// Names the cause of a judgement after the decision table of this module; `None` where nothing is known
/// to be wrong.
#[must_use]
pub fn cause(judgement: &Judgement, situation: &Situation) -> Option<Cause> {
    let full_port = match &judgement.verdict {
        Verdict::Missed => None,
        Verdict::Undecided {
            why: Undecided::PortTooSmall(full),
        } => Some(*full),
        Verdict::Met | Verdict::Undecided { .. } | Verdict::NoData { .. } => return None,
    };
    // Both verdicts rest on a measured value and a threshold.
    let missed = Missed {
        metric: judgement.metric,
        op: judgement.op,
        measured: judgement.observed?,
        strict: judgement.threshold.as_ref()?.strict,
        tolerated: judgement.threshold.as_ref()?.tolerated,
    };
    if let Some(too_small) = situation.contract_below(missed) {
        return Some(too_small);
    }
    if let Some(full) = full_port {
        return Some(Cause::AgentPort(full));
    }
    Some(match (missed.metric.segment, missed.metric.quantity) {
        (Segment::Line, Quantity::Goodput(direction)) => situation.of_line_rate(missed, direction),
        (Segment::Line, _) => situation.of_line_quality(missed),
        (Segment::Wlan, _) => situation.of_wlan(missed),
        (Segment::Service, _) => situation.of_service(missed),
        (Segment::Lan, _) => missed.in_lan(missed.measured),
    })
}

/// A judgement's numbers, taken out of their options.
#[derive(Clone, Copy)]
struct Missed {
    metric: Metric,
    op: Operator,
    measured: Value,
    strict: Value,
    tolerated: Value,
}

impl Missed {
    /// The same quantity, measured between the agent and the router.
    const fn lan_metric(self) -> Metric {
        Metric::new(Segment::Lan, self.metric.quantity)
    }

    const fn in_lan(self, measured: Value) -> Cause {
        Cause::Lan {
            metric: self.lan_metric(),
            measured,
            limit: self.tolerated,
        }
    }

    const fn missed_by(self, value: Value) -> bool {
        !self.op.holds(value.number(), self.tolerated.number())
    }
}

impl Situation {
    fn median(&self, segment: Segment, quantity: Quantity) -> Option<Value> {
        self.medians.get(&Metric::new(segment, quantity)).copied()
    }

    fn medium(&self) -> Option<LineMedium> {
        self.line.as_ref().map(|line| line.medium)
    }

    /// Row 1. What is not even promised needs no measurement to be missed.
    fn contract_below(&self, missed: Missed) -> Option<Cause> {
        let (Segment::Line, Quantity::Goodput(direction)) =
            (missed.metric.segment, missed.metric.quantity)
        else {
            return None;
        };
        let line = self.line.as_ref()?;
        let contract = line.contract.rate(direction);
        let needed = BitRate::from_bps(missed.strict.number().unsigned_abs());
        (contract < needed).then_some(Cause::ContractTooSmall {
            contract,
            needed,
            medium: line.medium,
        })
    }

    /// Rows 3 to 7.
    fn of_line_rate(&self, missed: Missed, direction: Direction) -> Cause {
        let lan = [
            (Quantity::Loss, Value::Share(LAN_LOSS_LIMIT)),
            (Quantity::Rtt, Value::Time(LAN_RTT_LIMIT)),
        ];
        if let Some((metric, measured, limit)) = self.over_limit(Segment::Lan, lan) {
            return Cause::Lan {
                metric,
                measured,
                limit,
            };
        }
        let Some(line) = &self.line else {
            return undecidable([Unknown::Contract]);
        };
        let contract = line.contract.rate(direction);
        if missed.measured.number() as f64 >= DELIVERS * contract.as_bps() as f64 {
            return Cause::ContractTooSmall {
                contract,
                needed: BitRate::from_bps(missed.strict.number().unsigned_abs()),
                medium: line.medium,
            };
        }
        let unknown = self.unmeasured(Segment::Lan, lan);
        if !unknown.is_empty() {
            return undecidable(unknown);
        }
        Cause::LineUnderDelivers {
            contract,
            measured: missed.measured,
            medium: line.medium,
            loss: self.median(Segment::Line, Quantity::Loss),
        }
    }

    /// Rows 8 to 10. What is measured on the line has passed the LAN first; delays and losses of the two
    /// add up.
    fn of_line_quality(&self, missed: Missed) -> Cause {
        let Some(lan) = self.medians.get(&missed.lan_metric()).copied() else {
            return undecidable([Unknown::Metric(missed.lan_metric())]);
        };
        let rest = missed.measured.number().saturating_sub(lan.number());
        let is_delay_or_loss = missed.metric.quantity.better() == Better::Lower;
        if is_delay_or_loss && !missed.missed_by(Value::new(lan.unit(), rest)) {
            return missed.in_lan(lan);
        }
        Cause::LineQuality {
            metric: missed.metric,
            measured: missed.measured,
            limit: missed.tolerated,
            medium: self.medium(),
        }
    }

    /// Rows 11 to 13.
    fn of_wlan(&self, missed: Missed) -> Cause {
        let of_the_air = Cause::Wlan {
            metric: missed.metric,
            measured: missed.measured,
        };
        if missed.metric.quantity.is_radio() {
            return of_the_air;
        }
        match self.medians.get(&missed.lan_metric()).copied() {
            None => undecidable([Unknown::Metric(missed.lan_metric())]),
            Some(lan) if missed.missed_by(lan) => missed.in_lan(lan),
            Some(_) => of_the_air,
        }
    }

    /// Rows 14 to 16.
    fn of_service(&self, missed: Missed) -> Cause {
        let line = [
            (Quantity::Loss, Value::Share(LINE_LOSS_LIMIT)),
            (Quantity::Rtt, Value::Time(LINE_RTT_LIMIT)),
        ];
        if let Some((metric, measured, limit)) = self.over_limit(Segment::Line, line) {
            return Cause::LineQuality {
                metric,
                measured,
                limit,
                medium: self.medium(),
            };
        }
        let unknown = self.unmeasured(Segment::Line, line);
        if !unknown.is_empty() {
            return undecidable(unknown);
        }
        Cause::Service {
            metric: missed.metric,
            measured: missed.measured,
        }
    }

    /// The first quantity whose median is over its limit.
    fn over_limit(
        &self,
        segment: Segment,
        limits: [(Quantity, Value); 2],
    ) -> Option<(Metric, Value, Value)> {
        limits.into_iter().find_map(|(quantity, limit)| {
            let median = self.median(segment, quantity)?;
            (median.number() >= limit.number()).then_some((
                Metric::new(segment, quantity),
                median,
                limit,
            ))
        })
    }

    fn unmeasured(&self, segment: Segment, limits: [(Quantity, Value); 2]) -> Vec<Unknown> {
        limits
            .into_iter()
            .map(|(quantity, _)| Metric::new(segment, quantity))
            .filter(|metric| !self.medians.contains_key(metric))
            .map(Unknown::Metric)
            .collect()
    }
}

fn undecidable(measure_next: impl Into<Vec<Unknown>>) -> Cause {
    Cause::Undecidable {
        measure_next: measure_next.into(),
    }
}
