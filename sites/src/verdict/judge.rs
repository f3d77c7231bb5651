//! Holding a series against a target.

use messnetz_metric::{Better, BitRate, Layer, Metric, Quantity, Segment, Unit, UnixMillis, Value};

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
    let interval = match &values {
        Ok(values) => values.interval(target.statistic, demand.confidence),
        Err(_) => Interval {
            lower: None,
            upper: None,
            confidence: demand.confidence,
        },
    };
    let (verdict, strict) = match (&values, &threshold) {
        (_, Err(because)) => no_data(NoData::NotAssessable {
            because: because.clone(),
        }),
        (Err(why), _) => no_data(why.clone()),
        (Ok(values), Ok(threshold)) => {
            let against = |threshold| {
                decide(
                    target,
                    values,
                    &interval,
                    threshold,
                    port,
                    demand.min_samples,
                )
            };
            (
                against(threshold.tolerated),
                against(threshold.strict).kind(),
            )
        }
    };
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
        observed: values.ok().map(|values| values.observed),
        interval,
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
        exception: None,
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
    /// In units of the target's metric.
    ascending: Vec<i64>,
    unit: Unit,
    pub(super) observed: Value,
}

impl Values {
    pub(super) fn of(target: &Target, series: &Series) -> Result<Self, NoData> {
        let unit = target.metric.quantity.unit();
        let values = || series.samples.iter().map(|sample| sample.value);
        if let Some(odd) = values().find(|value| value.unit() != unit) {
            return Err(NoData::WrongUnit {
                expected: unit,
                found: odd.unit(),
            });
        }
        let mut ascending: Vec<i64> = values().map(Value::number).collect();
        ascending.sort_unstable();
        let rank = target.statistic.rank(ascending.len());
        match (at(&ascending, rank), series.failures) {
            (Some(observed), _) => Ok(Self {
                ascending,
                unit,
                observed: Value::new(unit, observed),
            }),
            (None, 0) => Err(NoData::NoSamples),
            (None, failures) => Err(NoData::OnlyFailures { failures }),
        }
    }

    fn interval(&self, statistic: Statistic, confidence: f64) -> Interval {
        let ranks = statistic.bounds(self.ascending.len(), confidence);
        let value = |rank| at(&self.ascending, rank).map(|number| Value::new(self.unit, number));
        Interval {
            lower: value(ranks.lower),
            upper: value(ranks.upper),
            confidence,
        }
    }
}

/// The number at a rank, from 1.
fn at(ascending: &[i64], rank: Option<usize>) -> Option<i64> {
    ascending.get(rank?.checked_sub(1)?).copied()
}

/// Rows 2 to 4 of [`judge`], for one threshold.
fn decide(
    target: &Target,
    values: &Values,
    interval: &Interval,
    threshold: Value,
    port: Option<BitRate>,
    min_samples: usize,
) -> Verdict {
    let n = values.ascending.len();
    let holds = |value: Value| target.op.holds(value.number(), threshold.number());
    let undecided = |why| Verdict::Undecided { why };
    let (worst, best) = match target.op.better() {
        Better::Higher => (interval.lower, interval.upper),
        Better::Lower => (interval.upper, interval.lower),
    };
    let verdict = if n < min_samples {
        let need = min_samples;
        undecided(Undecided::TooFew { have: n, need })
    } else if worst.is_some_and(holds) {
        Verdict::Met
    } else if best.is_some_and(|best| !holds(best)) {
        Verdict::Missed
    } else {
        let at_least_more = more_samples(target, &values.ascending, threshold, interval.confidence);
        undecided(Undecided::Straddles { at_least_more })
    };
    match full_port(target, values.observed, threshold, port) {
        Some(full) if verdict != Verdict::Met => undecided(Undecided::PortTooSmall(full)),
        _ => verdict,
    }
}

fn more_samples(
    target: &Target,
    ascending: &[i64],
    threshold: Value,
    confidence: f64,
) -> Option<usize> {
    let holds = |number: &&i64| target.op.holds(**number, threshold.number());
    let good = ascending.iter().filter(holds).count();
    let bad = ascending.len() - good;
    samples_to_decide(good, bad, target.bad_share(), confidence)
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
