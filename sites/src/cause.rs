//! Why a target was missed: which part of the way from the device to the service limits.
//!
//! The decision table; the first row that fits names the cause. Everything that is looked at beside the
//! missed metric was measured *together* with it: within [`TOGETHER`] of a sample that was on the wrong side
//! of the threshold. What was measured at other times clears and accuses nobody. Values are medians of what
//! was measured together; the loss of rows 13 and 14 is the mean, because a line that loses 1 % loses nothing
//! in most short bursts.
//!
//! *LAN bad* means that loss or round-trip time between the agent and the router reach [`LAN_LOSS_LIMIT`] or
//! [`LAN_RTT_LIMIT`]; *line bad* that those of the line reach [`LINE_LOSS_LIMIT`] or [`LINE_RTT_LIMIT`].
//!
//! | # | judgement | observations and contract | cause |
//! |---|---|---|---|
//! | 1 | `line.down`, `line.up` missed, or undecided for the port or the box | contract below the threshold | contract too small |
//! | 2 | undecided for the port | the box's interface could do more than the port does | switch port |
//! | 3 | | otherwise | agent's port |
//! | 4 | `line.down`, `line.up` missed | half duplex, or broken frames reach [`FRAME_ERROR_LIMIT`] | switch port |
//! | 5 | | LAN bad | LAN |
//! | 6 | | the program used [`CPU_LIMIT`] of a processor | agent |
//! | 7 | | other traffic reaches [`OTHER_TRAFFIC_LIMIT`] | undecidable: measure on a quiet port |
//! | 8 | | no contract stated | undecidable: state the contract |
//! | 9 | | measured ≥ 90 % of the contract | contract exhausted |
//! | 10 | | LAN not measured together | undecidable: measure the LAN |
//! | 11 | | the same against another far end holds | far end |
//! | 12 | | the line's loss not measured together | undecidable: measure it |
//! | 13 | | the line loses [`CLEAN_LINE_LOSS`] or more | line under-delivers |
//! | 14 | | otherwise | provider under-delivers |
//! | 15 | `line.*`, no rate, missed | without the LAN's own share the target would hold | LAN |
//! | 16 | | the same not measured together in the LAN | undecidable: measure it |
//! | 17 | | the same against another far end holds | far end |
//! | 18 | | otherwise | line quality |
//! | 19 | `wlan.*` missed, a quantity of the radio itself | | access point |
//! | 20 | `wlan.*` missed, no quantity of the radio | the same in the LAN misses as well | LAN |
//! | 21 | | the same not measured together in the LAN | undecidable: measure it |
//! | 22 | | otherwise | access point |
//! | 23 | `service.*` missed | LAN bad | LAN |
//! | 24 | | line bad, and the LAN measured together | line quality |
//! | 25 | | loss or round-trip time of the line, or of the LAN before a bad line, not measured together | undecidable: measure it |
//! | 26 | | otherwise | service |
//! | 27 | `lan.*` missed | half duplex, or broken frames reach their limit | switch port |
//! | 28 | | otherwise | LAN |
//! | 29 | `agent.*` missed | | agent |
//! | 30 | undecided for the box | | agent |
//!
//! A judgement that is met, has no data or is otherwise undecided has no cause: nothing is known to be
//! wrong.

mod situation;
#[cfg(test)]
mod tests;

use messnetz_metric::{
    Better, BitRate, Down, EachWay, Metric, Micros, Nominal, OneWay, Payload, Ppm, Quantity, Rate,
    Segment, Towards, Up, Value,
};
use serde::Serialize;

use crate::site::{Contract, LineMedium};
use crate::target::Operator;
use crate::verdict::{FullPort, Judgement, Sample, Undecided, Verdict};

use situation::Together;
pub use situation::{Seen, Situation, TOGETHER};

/// Loss to the own router from which the LAN is to blame: 0.1 %, the "edge" limit of Microsoft's
/// *Prepare your organization's network for Microsoft Teams* (older version), which no cabled LAN should
/// come near.
pub const LAN_LOSS_LIMIT: Ppm = Ppm::from_ppm(1_000);

/// Round-trip time to the own router from which the LAN is to blame (project default): idle switches
/// take well below a millisecond.
pub const LAN_RTT_LIMIT: Micros = Micros::from_micros(10_000);

/// What makes a LAN bad.
const LAN_LIMITS: [(Quantity, Value); 2] = [
    (Quantity::Loss, Value::Share(LAN_LOSS_LIMIT)),
    (Quantity::Rtt, Value::Time(LAN_RTT_LIMIT)),
];

/// Round-trip time of the line from which it, and not the service, is to blame: the "client" limit of
/// the same document.
pub const LINE_RTT_LIMIT: Micros = Micros::from_micros(100_000);

/// Loss of the line from which it is to blame, likewise: 1 %.
pub const LINE_LOSS_LIMIT: Ppm = Ppm::from_ppm(10_000);

/// Loss from which a line itself explains a low rate: the "edge" limit of the same document, 0.1 %.
pub const CLEAN_LINE_LOSS: Ppm = Ppm::from_ppm(1_000);

/// Share of broken frames from which the port or its cable is to blame (project default): a link of
/// IEEE 802.3 in order breaks less than one frame in a million.
pub const FRAME_ERROR_LIMIT: Ppm = Ppm::from_ppm(1_000);

/// Share of one processor from which the measuring program limits itself (project default).
pub const CPU_LIMIT: Ppm = Ppm::from_ppm(900_000);

/// Share of foreign bytes on the agent's own port from which a capacity test tells nothing of the line
/// (project default).
pub const OTHER_TRAFFIC_LIMIT: Ppm = Ppm::from_ppm(100_000);

/// A line delivers its contract from this share of the nominal rate: the 90 % of Vfg 99/2021 of the
/// Bundesnetzagentur.
const DELIVERS: f64 = 0.9;

/// What limits, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// The contract promises less than the target asks for.
    ContractTooSmall {
        /// Nominal rate of the contract.
        #[serde(rename = "contract_bps")]
        contract: Rate<Nominal, OneWay>,
        /// The target's threshold on the contract's layer.
        #[serde(rename = "needed_bps")]
        needed: Rate<Nominal, OneWay>,
        /// What the line is made of.
        medium: LineMedium,
    },
    /// The contract is delivered, and yet less than the target asks for is left of it.
    ContractExhausted {
        /// Nominal rate of the contract.
        #[serde(rename = "contract_bps")]
        contract: Rate<Nominal, OneWay>,
        /// What was measured.
        measured: Value,
        /// The target's threshold on the contract's layer.
        #[serde(rename = "needed_bps")]
        needed: Rate<Nominal, OneWay>,
        /// What the line is made of.
        medium: LineMedium,
    },
    /// The contract would do, the LAN is clean, and yet less arrives: the line itself loses packets.
    LineUnderDelivers(UnderDelivered),
    /// The contract would do, LAN and line are clean, and yet less arrives: the provider's network beyond
    /// the line.
    ProviderUnderDelivers(UnderDelivered),
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
    /// The port of the switch that the box hangs on, or the cable to it.
    SwitchPort(PortFault),
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
    AccessPoint {
        /// What shows it.
        metric: Metric,
        /// What was measured.
        measured: Value,
        /// The same in the LAN at the same time; absent for quantities of the radio itself.
        lan: Option<Value>,
        /// What else the radio showed at the same time.
        radio: Vec<(Metric, Value)>,
    },
    /// The agent measures through a port that is too small.
    AgentPort(FullPort),
    /// The box that measures had no more to give.
    Agent {
        /// What shows it.
        metric: Metric,
        /// What was measured.
        measured: Value,
    },
    /// The far end that was measured against: another one was reached better at the same time.
    FarEnd {
        /// What shows it.
        metric: Metric,
        /// What was measured.
        measured: Value,
        /// The other far end.
        other: String,
        /// What was measured against it.
        against_other: Value,
    },
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

/// A contract that is not delivered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnderDelivered {
    /// Nominal rate of the contract.
    #[serde(rename = "contract_bps")]
    pub contract: Rate<Nominal, OneWay>,
    /// What was measured.
    pub measured: Value,
    /// What the line is made of.
    pub medium: LineMedium,
    /// The line's mean loss at the same time.
    pub loss: Value,
}

/// What is wrong with a port or its cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum PortFault {
    /// Slower than the box's own interface.
    Slow {
        /// Nominal rate of the port.
        #[serde(rename = "port_bps")]
        port: Rate<Nominal, EachWay>,
        /// What the box's interface could do.
        #[serde(rename = "own_bps")]
        own: Rate<Nominal, EachWay>,
        /// What the switch offers; where it is as much, the cable is to blame. Absent where it does not say.
        #[serde(rename = "peer_bps")]
        peer: Option<Rate<Nominal, EachWay>>,
    },
    /// Both ends take turns to send.
    HalfDuplex,
    /// This share of the frames arrives broken.
    BrokenFrames {
        /// The share.
        share: Value,
    },
}

/// What has to be found out before a cause can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// What the contract promises: the site file states no line.
    Contract,
    /// This metric, at the same site and the same time.
    Metric(Metric),
    /// This metric, while nobody else uses the agent's port.
    QuietPort(Metric),
}

/// A cause without its evidence, as catalogues name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// See [`Cause::ContractTooSmall`].
    ContractTooSmall,
    /// See [`Cause::LineUnderDelivers`].
    LineUnderDelivers,
    /// See [`Cause::ProviderUnderDelivers`].
    ProviderUnderDelivers,
    /// See [`Cause::LineQuality`].
    LineQuality,
    /// See [`Cause::SwitchPort`].
    SwitchPort,
    /// See [`Cause::Lan`].
    Lan,
    /// See [`Cause::AccessPoint`].
    AccessPoint,
    /// See [`Cause::AgentPort`].
    AgentPort,
    /// See [`Cause::Agent`].
    Agent,
    /// See [`Cause::FarEnd`].
    FarEnd,
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
            Self::ContractTooSmall { .. } | Self::ContractExhausted { .. } => {
                CauseKind::ContractTooSmall
            }
            Self::LineUnderDelivers(_) => CauseKind::LineUnderDelivers,
            Self::ProviderUnderDelivers(_) => CauseKind::ProviderUnderDelivers,
            Self::LineQuality { .. } => CauseKind::LineQuality,
            Self::SwitchPort(_) => CauseKind::SwitchPort,
            Self::Lan { .. } => CauseKind::Lan,
            Self::AccessPoint { .. } => CauseKind::AccessPoint,
            Self::AgentPort(_) => CauseKind::AgentPort,
            Self::Agent { .. } => CauseKind::Agent,
            Self::FarEnd { .. } => CauseKind::FarEnd,
            Self::Service { .. } => CauseKind::Service,
            Self::Undecidable { .. } => CauseKind::Undecidable,
        }
    }
}

/// Names the cause of a judgement after the decision table of this module; `None` where nothing is known
/// to be wrong. `samples` are those that the judgement rests on.
#[must_use]
pub fn cause(
    judgement: &Judgement,
    samples: &[Sample],
    situation: &Situation<'_>,
) -> Option<Cause> {
    let (mut full_port, mut slow_box) = (None, None);
    match &judgement.verdict {
        Verdict::Missed => {}
        Verdict::Undecided {
            why: Undecided::PortTooSmall(full),
        } => full_port = Some(*full),
        Verdict::Undecided {
            why: Undecided::BoxTooSlow(slow),
        } => slow_box = Some(*slow),
        Verdict::Met | Verdict::Undecided { .. } | Verdict::NoData { .. } => return None,
    }
    // Both verdicts rest on a measured value and a threshold.
    let missed = Missed {
        metric: judgement.metric,
        op: judgement.op,
        measured: judgement.observed?,
        strict: judgement.threshold.as_ref()?.strict,
        tolerated: judgement.threshold.as_ref()?.tolerated,
    };
    let on_wrong_side = |value: Value| missed.missed_by(value);
    let together = situation.together(missed.metric, samples, on_wrong_side);
    let case = Case {
        missed,
        situation,
        together,
    };
    if let Some(too_small) = case.contract_below() {
        return Some(too_small);
    }
    if let Some(full) = full_port {
        return Some(case.of_full_port(full));
    }
    if let Some(slow) = slow_box {
        return Some(Cause::Agent {
            metric: Metric::new(Segment::Agent, Quantity::Ceiling(slow.tester)),
            measured: Value::Rate(slow.ceiling),
        });
    }
    Some(match (missed.metric.segment, missed.metric.quantity) {
        (Segment::Line, _) => case.of_line(),
        (Segment::Wlan, _) => case.of_wlan(),
        (Segment::Service, _) => case.of_service(),
        (Segment::Lan, _) => case.of_lan(),
        (Segment::Agent, _) => Cause::Agent {
            metric: missed.metric,
            measured: missed.measured,
        },
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

/// A missed target with all that may explain it.
struct Case<'a> {
    missed: Missed,
    situation: &'a Situation<'a>,
    together: Together<'a>,
}

impl Case<'_> {
    fn median(&self, segment: Segment, quantity: Quantity) -> Option<Value> {
        self.together.median(Metric::new(segment, quantity))
    }

    fn medium(&self) -> Option<LineMedium> {
        self.situation.line.map(|line| line.medium)
    }

    /// Row 1. What is not even promised needs no measurement to be missed.
    fn contract_below(&self) -> Option<Cause> {
        let metric = self.missed.metric;
        let (Segment::Line, Quantity::Goodput(direction)) = (metric.segment, metric.quantity)
        else {
            return None;
        };
        let line = self.situation.line?;
        let contract = line.contract.rate(direction);
        (contract < self.needed()).then_some(Cause::ContractTooSmall {
            contract,
            needed: self.needed(),
            medium: line.medium,
        })
    }

    /// What the contract would have to promise. Whatever layer the threshold is counted on, a contract of
    /// less cannot hold it: each layer carries less than the nominal rate.
    const fn needed(&self) -> Rate<Nominal, OneWay> {
        let threshold = self.missed.strict.number().unsigned_abs();
        Rate::new(BitRate::from_bps(threshold))
    }

    /// Rows 2 and 3.
    fn of_full_port(&self, full: FullPort) -> Cause {
        let speed = |quantity| Some(Rate::new(self.median(Segment::Lan, quantity)?.as_rate()?));
        match speed(Quantity::OwnSpeed) {
            Some(own) if own > full.port => Cause::SwitchPort(PortFault::Slow {
                port: full.port,
                own,
                peer: speed(Quantity::PeerSpeed),
            }),
            _ => Cause::AgentPort(full),
        }
    }

    /// Rows 4 to 18.
    fn of_line(&self) -> Cause {
        let Missed {
            metric, measured, ..
        } = self.missed;
        if let Some(down) = Rate::<Payload, Down>::of(metric.quantity, measured) {
            self.of_line_rate(down, |contract| contract.down)
        } else if let Some(up) = Rate::<Payload, Up>::of(metric.quantity, measured) {
            self.of_line_rate(up, |contract| contract.up)
        } else {
            self.of_line_quality()
        }
    }

    /// Rows 4 to 14.
    fn of_line_rate<D: Towards>(
        &self,
        measured: Rate<Payload, D>,
        promised: impl Fn(&Contract) -> Rate<Nominal, D>,
    ) -> Cause {
        if let Some(cause) = self.port_fault() {
            return cause;
        }
        if let Some((metric, measured, limit)) = self.over_limit(Segment::Lan, LAN_LIMITS) {
            return Cause::Lan {
                metric,
                measured,
                limit,
            };
        }
        let cpu = [(Quantity::Cpu, Value::Share(CPU_LIMIT))];
        if let Some((metric, measured, _)) = self.over_limit(Segment::Agent, cpu) {
            return Cause::Agent { metric, measured };
        }
        let other = [(Quantity::OtherTraffic, Value::Share(OTHER_TRAFFIC_LIMIT))];
        if self.over_limit(Segment::Lan, other).is_some() {
            return undecidable([Unknown::QuietPort(self.missed.metric)]);
        }
        let Some(line) = self.situation.line else {
            return undecidable([Unknown::Contract]);
        };
        let promised = promised(&line.contract);
        let contract = promised.one_way();
        if measured >= promised.taken_as().share(DELIVERS) {
            return Cause::ContractExhausted {
                contract,
                measured: self.missed.measured,
                needed: self.needed(),
                medium: line.medium,
            };
        }
        let unknown = self.unmeasured(Segment::Lan, LAN_LIMITS);
        if !unknown.is_empty() {
            return undecidable(unknown);
        }
        if let Some(far_end) = self.far_end() {
            return far_end;
        }
        let loss = Metric::new(Segment::Line, Quantity::Loss);
        let Some(loss) = self.together.mean(loss) else {
            return undecidable([Unknown::Metric(loss)]);
        };
        let under = UnderDelivered {
            contract,
            measured: self.missed.measured,
            medium: line.medium,
            loss,
        };
        if loss.number() >= Value::Share(CLEAN_LINE_LOSS).number() {
            Cause::LineUnderDelivers(under)
        } else {
            Cause::ProviderUnderDelivers(under)
        }
    }

    /// Rows 15 to 18. What is measured on the line has passed the LAN first; delays and losses of the two
    /// add up.
    fn of_line_quality(&self) -> Cause {
        let missed = self.missed;
        let Some(lan) = self.together.median(missed.lan_metric()) else {
            return undecidable([Unknown::Metric(missed.lan_metric())]);
        };
        let rest = missed.measured.number().saturating_sub(lan.number());
        let is_delay_or_loss = missed.metric.quantity.better() == Better::Lower;
        if is_delay_or_loss && !missed.missed_by(Value::new(lan.unit(), rest)) {
            return missed.in_lan(lan);
        }
        self.far_end().unwrap_or(Cause::LineQuality {
            metric: missed.metric,
            measured: missed.measured,
            limit: missed.tolerated,
            medium: self.medium(),
        })
    }

    /// Rows 19 to 22.
    fn of_wlan(&self) -> Cause {
        let missed = self.missed;
        let of_the_air = |lan| Cause::AccessPoint {
            metric: missed.metric,
            measured: missed.measured,
            lan,
            radio: self.radio(),
        };
        if missed.metric.quantity.is_radio() {
            return of_the_air(None);
        }
        match self.together.median(missed.lan_metric()) {
            None => undecidable([Unknown::Metric(missed.lan_metric())]),
            Some(lan) if missed.missed_by(lan) => missed.in_lan(lan),
            Some(lan) => of_the_air(Some(lan)),
        }
    }

    /// What the radio itself showed, but for the missed metric.
    fn radio(&self) -> Vec<(Metric, Value)> {
        Quantity::ALL
            .into_iter()
            .filter(|quantity| quantity.is_radio())
            .map(|quantity| Metric::new(Segment::Wlan, quantity))
            .filter(|metric| *metric != self.missed.metric)
            .filter_map(|metric| Some((metric, self.together.median(metric)?)))
            .collect()
    }

    /// Rows 23 to 26.
    fn of_service(&self) -> Cause {
        if let Some((metric, measured, limit)) = self.over_limit(Segment::Lan, LAN_LIMITS) {
            return Cause::Lan {
                metric,
                measured,
                limit,
            };
        }
        let line = [
            (Quantity::Loss, Value::Share(LINE_LOSS_LIMIT)),
            (Quantity::Rtt, Value::Time(LINE_RTT_LIMIT)),
        ];
        if let Some((metric, measured, limit)) = self.over_limit(Segment::Line, line) {
            // What is measured on the line has passed the LAN first.
            let unknown = self.unmeasured(Segment::Lan, LAN_LIMITS);
            if !unknown.is_empty() {
                return undecidable(unknown);
            }
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
            metric: self.missed.metric,
            measured: self.missed.measured,
        }
    }

    /// Rows 27 and 28.
    fn of_lan(&self) -> Cause {
        self.port_fault()
            .unwrap_or_else(|| self.missed.in_lan(self.missed.measured))
    }

    /// Rows 4 and 27.
    fn port_fault(&self) -> Option<Cause> {
        let broken = [(Quantity::FrameErrors, Value::Share(FRAME_ERROR_LIMIT))];
        let half = self.median(Segment::Lan, Quantity::HalfDuplex);
        let fault = if half.is_some_and(|share| share.number() > 0) {
            PortFault::HalfDuplex
        } else {
            let (_, share, _) = self.over_limit(Segment::Lan, broken)?;
            PortFault::BrokenFrames { share }
        };
        Some(Cause::SwitchPort(fault))
    }

    /// Rows 11 and 17.
    fn far_end(&self) -> Option<Cause> {
        let missed = self.missed;
        let others = self.together.medians_against_others(missed.metric);
        let (other, against_other) = others
            .into_iter()
            .find(|(_, value)| !missed.missed_by(*value))?;
        Some(Cause::FarEnd {
            metric: missed.metric,
            measured: missed.measured,
            other: other.to_owned(),
            against_other,
        })
    }

    /// The first quantity whose median reaches its limit.
    fn over_limit<const N: usize>(
        &self,
        segment: Segment,
        limits: [(Quantity, Value); N],
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
            .filter(|metric| self.together.median(*metric).is_none())
            .map(Unknown::Metric)
            .collect()
    }
}

fn undecidable(measure_next: impl Into<Vec<Unknown>>) -> Cause {
    Cause::Undecidable {
        measure_next: measure_next.into(),
    }
}
