//! Holding a series against a target.

use messnetz_metric::{Better, BitRate, Layer, Metric, Quantity, Segment, UnixMillis, Value};

use super::{
    ContractCheck, FullPort, Interval, Judgement, Layers, NoData, Series, Undecided, Verdict,
    VerdictKind,
};
use crate::judging::Judging;
use crate::quantile::{Statistic, samples_to_decide};
use crate::site::{School, Site};
use crate::target::{Target, Threshold};

/// A port counts as full from this share of what it can carry: the demand that one flow fills a port
/// entirely would never be met (project default, after the 90 % of Vfg 99/2021).
const FULL_PORT: f64 = 0.9;

/// Judges one target at one site.
///
/// `port` is the nominal rate of the port that the agent measures through. In this order:
/// 1. no samples, or no threshold for this school: no data;
/// 2. the port cannot carry the threshold and is full: undecided, however many samples there are;
/// 3. fewer samples than asked for: undecided;
/// 4. the whole interval on the good side: met; on the bad side: missed; else undecided.
#[must_use]
pub fn judge(
    target: &Target,
    school: &School,
    site: &Site,
    series: &Series,
    port: Option<BitRate>,
    judging: &Judging,
) -> Judgement {
    let demand = Demand::of(target, judging);
    let values = Values::of(target, series);
    let threshold = target.threshold(&school.facts_at(site, target.scope));
    let (verdict, strict) = match (&values, &threshold) {
        (_, Err(because)) => {
            let because = because.clone();
            no_data(NoData::NotAssessable { because })
        }
        (Err(why), _) => no_data(why.clone()),
        (Ok(values), Ok(threshold)) => (
            decide(target, values, threshold.tolerated, port, demand),
            decide(target, values, threshold.strict, port, demand).kind(),
        ),
    };
    let values = values.ok();
    let measured = target.metric.quantity.layer();
    Judgement {
        target: target.id.clone(),
        school: school.id.clone(),
        site: site.id.clone(),
        metric: target.metric,
        statistic: target.statistic,
        op: target.op,
        verdict,
        strict,
        observed: values.as_ref().map(|values| values.observed),
        interval: Interval {
            lower: values.as_ref().and_then(|v| v.bounds(demand).0),
            upper: values.as_ref().and_then(|v| v.bounds(demand).1),
            confidence: demand.confidence,
        },
        samples: series.samples.len(),
        failures: series.failures,
        first_at: times(series).min(),
        last_at: times(series).max(),
        layers: target
            .layer
            .zip(measured)
            .map(|(threshold, measured)| Layers {
                threshold,
                measured,
            }),
        contract: threshold
            .as_ref()
            .ok()
            .and_then(|threshold| contract_check(target, site, threshold)),
        threshold: threshold.ok(),
        shortened: demand.is_shortened,
    }
}

fn no_data(why: NoData) -> (Verdict, VerdictKind) {
    (Verdict::NoData { why }, VerdictKind::NoData)
}

fn times(series: &Series) -> impl Iterator<Item = UnixMillis> {
    series.samples.iter().map(|sample| sample.at)
}

/// How much evidence is asked for.
#[derive(Clone, Copy)]
struct Demand {
    confidence: f64,
    min_samples: usize,
    is_shortened: bool,
}

impl Demand {
    fn of(target: &Target, judging: &Judging) -> Self {
        let confidence = judging.confidence.unwrap_or(target.confidence);
        let min_samples = judging
            .min_samples
            .map_or(target.min_samples, |n| n as usize);
        Self {
            confidence,
            min_samples,
            is_shortened: confidence < target.confidence || min_samples < target.min_samples,
        }
    }
}

/// The samples of a series in ascending order; at least one.
pub(super) struct Values {
    ascending: Vec<Value>,
    statistic: Statistic,
    pub(super) observed: Value,
}

impl Values {
    pub(super) fn of(target: &Target, series: &Series) -> Result<Self, NoData> {
        let expected = target.metric.quantity.unit();
        let mut ascending: Vec<Value> = series.samples.iter().map(|s| s.value).collect();
        if let Some(odd) = ascending.iter().find(|value| value.unit() != expected) {
            let found = odd.unit();
            return Err(NoData::WrongUnit { expected, found });
        }
        ascending.sort_unstable_by_key(|value| value.number());
        let rank = target.statistic.rank(ascending.len());
        match rank.and_then(|rank| ascending.get(rank - 1)).copied() {
            Some(observed) => Ok(Self {
                ascending,
                statistic: target.statistic,
                observed,
            }),
            None if series.failures > 0 => Err(NoData::OnlyFailures {
                failures: series.failures,
            }),
            None => Err(NoData::NoSamples),
        }
    }

    fn bounds(&self, demand: Demand) -> (Option<Value>, Option<Value>) {
        let ranks = self
            .statistic
            .bounds(self.ascending.len(), demand.confidence);
        let at = |rank: Option<usize>| rank.and_then(|rank| self.ascending.get(rank - 1)).copied();
        (at(ranks.lower), at(ranks.upper))
    }
}

fn decide(
    target: &Target,
    values: &Values,
    threshold: Value,
    port: Option<BitRate>,
    demand: Demand,
) -> Verdict {
    let n = values.ascending.len();
    let holds = |value: Value| target.op.holds(value.number(), threshold.number());
    let undecided = |why| Verdict::Undecided { why };
    let verdict = if n < demand.min_samples {
        undecided(Undecided::TooFew {
            have: n,
            need: demand.min_samples,
        })
    } else {
        let (lower, upper) = values.bounds(demand);
        let (worst, best) = match target.op.better() {
            Better::Higher => (lower, upper),
            Better::Lower => (upper, lower),
        };
        if worst.is_some_and(holds) {
            Verdict::Met
        } else if best.is_some_and(|best| !holds(best)) {
            Verdict::Missed
        } else {
            let good = values.ascending.iter().filter(|v| holds(**v)).count();
            let bad_share = target.bad_share();
            undecided(Undecided::Straddles {
                at_least_more: samples_to_decide(good, n - good, bad_share, demand.confidence),
            })
        }
    };
    match full_port(target, values.observed, threshold, port) {
        Some(full) if verdict != Verdict::Met => undecided(Undecided::PortTooSmall(full)),
        _ => verdict,
    }
}

/// The agent's port, where it cannot carry the threshold and was full.
pub(super) fn full_port(
    target: &Target,
    observed: Value,
    threshold: Value,
    port: Option<BitRate>,
) -> Option<FullPort> {
    let port = port?;
    let ceiling = target.ceiling(port)?;
    let Value::Rate(needed) = threshold else {
        return None;
    };
    let was_full = observed.number() as f64 >= FULL_PORT * ceiling.as_bps() as f64;
    (ceiling < needed && was_full).then_some(FullPort {
        port,
        ceiling,
        needed,
    })
}

/// The contract against the strict threshold, where both are nominal rates of the same line.
fn contract_check(target: &Target, site: &Site, threshold: &Threshold) -> Option<ContractCheck> {
    let (
        Metric {
            segment: Segment::Line,
            quantity: Quantity::Goodput(direction),
        },
        Some(Layer::Contract),
        Value::Rate(needed),
    ) = (target.metric, target.layer, threshold.strict)
    else {
        return None;
    };
    let contract = site.line.as_ref()?.contract.rate(direction);
    Some(ContractCheck {
        contract,
        satisfied: contract >= needed,
    })
}
