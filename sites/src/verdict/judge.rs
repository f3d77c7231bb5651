//! Holding a series against a target.

use messnetz_metric::{Better, Layer, Metric, Quantity, Rate, Segment, Unit, UnixMillis, Value};

use super::bounds::Limited;
use super::{
    Bounds, ContractCheck, DaysReached, Disturbed, Interval, Judgement, Layers, More, NoData,
    Query, Series, Undecided, Verdict, VerdictKind,
};
use crate::blocks::Blocks;
use crate::judging::Judging;
use crate::quantile::Statistic;
use crate::share::clopper_pearson;
use crate::site::{School, Site};
use crate::target::{Target, Threshold};

/// Judges one target at one site. For many, a [`Judge`] keeps its room.
#[must_use]
pub fn judge(
    target: &Target,
    school: &School,
    site: &Site,
    series: &Series,
    bounds: Bounds,
    judging: &Judging,
) -> Judgement {
    Judge::default().judge(target, school, site, series, bounds, judging)
}

/// Judges, with room for the work on the samples that is used again for the next series.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    blocks: Blocks,
}

impl Judge {
    /// Judges one target at one site.
    ///
    /// `bounds` is what bounds what the agent can show. In this order:
    /// 1. no samples, or no threshold for this school: no data;
    /// 2. the agent cannot show the threshold and gave all it can: undecided, however many samples there are;
    /// 3. fewer samples or days than asked for: undecided;
    /// 4. the whole interval on the good side: met; on the bad side: missed; else undecided.
    #[must_use]
    pub fn judge(
        &mut self,
        target: &Target,
        school: &School,
        site: &Site,
        series: &Series,
        bounds: Bounds,
        judging: &Judging,
    ) -> Judgement {
        let demand = Demand::of(target, judging);
        let threshold = target.threshold(&school.facts_at(site, target.scope));
        let mut values = Values::of(&mut self.blocks, target, series, demand.independent);
        let interval = match &mut values {
            Ok(values) => values.interval(target.decisive(), demand.confidence),
            Err(_) => Interval {
                lower: None,
                upper: None,
                confidence: demand.confidence,
            },
        };
        let (verdict, strict) = match (&mut values, &threshold) {
            (_, Err(because)) => no_data(NoData::NotAssessable {
                because: because.clone(),
            }),
            (Err(why), _) => no_data(why.clone()),
            (Ok(values), Ok(threshold)) => {
                let look = Look {
                    target,
                    interval: &interval,
                    bounds,
                    demand,
                };
                let verdict = look.verdict(values, threshold.tolerated);
                (verdict, look.kind(values, threshold.strict))
            }
        };
        let besides = Besides::of(site, target.metric, series);
        let measured = target.metric.quantity.layer();
        let values = values.ok();
        let days_reached =
            threshold
                .as_ref()
                .ok()
                .zip(values.as_ref())
                .and_then(|(threshold, values)| {
                    values.days_reached(target, threshold.tolerated, demand)
                });
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
            interval,
            samples: series.samples.len(),
            rolled_up: series.rolled_up.values().sum(),
            days: values.as_ref().map_or(0, |values| values.days),
            effective: values.map_or(0, |values| values.effective(target.decisive())),
            days_reached,
            window: series.window.clone(),
            period: None,
            standing: None,
            failures: series.failures.len(),
            query: besides.query,
            ceiling: bounds.ceiling(target),
            disturbed: besides.disturbed,
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
}

fn no_data(why: NoData) -> (Verdict, VerdictKind) {
    (Verdict::NoData { why }, VerdictKind::NoData)
}

/// What the samples tell besides their values, in one pass over them.
struct Besides {
    query: Option<Query>,
    disturbed: Option<Disturbed>,
}

impl Besides {
    fn of(site: &Site, metric: Metric, series: &Series) -> Self {
        let (mut from, mut to) = (i64::MAX, i64::MIN);
        let (mut of, mut disturbed) = (0, 0);
        for sample in &series.samples {
            from = from.min(sample.at.0);
            to = to.max(sample.at.0);
            of += usize::from(sample.disturbed.is_some());
            disturbed += usize::from(sample.disturbed == Some(true));
        }
        Self {
            query: (!series.samples.is_empty()).then(|| Query {
                site: site.id.clone(),
                metric,
                from: UnixMillis(from),
                to: UnixMillis(to),
                window: series.window.clone(),
                peer: series.peer.clone(),
            }),
            disturbed: (of > 0).then(|| Disturbed {
                disturbed,
                of,
                share: disturbed as f64 / of as f64,
            }),
        }
    }
}

/// How much evidence is asked for.
#[derive(Clone, Copy)]
struct Demand {
    confidence: f64,
    min_samples: usize,
    min_days: usize,
    independent: bool,
    is_shortened: bool,
}

impl Demand {
    fn of(target: &Target, judging: &Judging) -> Self {
        let confidence = judging.confidence.unwrap_or(target.confidence);
        let or = |own: Option<u32>, targets: usize| own.map_or(targets, |n| n as usize);
        let min_samples = or(judging.min_samples, target.min_samples);
        let independent = judging.independent;
        // Where days do not count, none are asked for unless somebody does.
        let min_days = or(
            judging.min_days,
            if independent { 1 } else { target.min_days },
        );
        let is_shortened = (judging.all_hours && target.window.is_some())
            || confidence < target.confidence
            || min_samples < target.min_samples
            || min_days < target.min_days
            || independent;
        Self {
            confidence,
            min_samples,
            min_days,
            independent,
            is_shortened,
        }
    }
}

/// The samples of a series, grouped by day; at least one.
pub(super) struct Values<'a> {
    /// In units of the target's metric; of a target that counts days, the best of each.
    blocks: &'a mut Blocks,
    unit: Unit,
    samples: usize,
    days: usize,
    pub(super) observed: Value,
}

impl<'a> Values<'a> {
    pub(super) fn of(
        blocks: &'a mut Blocks,
        target: &Target,
        series: &Series,
        independent: bool,
    ) -> Result<Self, NoData> {
        let unit = target.metric.quantity.unit();
        let samples = &series.samples;
        if let Some(odd) = samples.iter().find(|sample| sample.value.unit() != unit) {
            return Err(NoData::WrongUnit {
                expected: unit,
                found: odd.value.unit(),
            });
        }
        blocks.fill(
            samples
                .iter()
                .map(|sample| (sample.day, sample.value.number())),
        );
        let (samples, days) = (blocks.n(), blocks.days());
        if target.statistic.is_of_days() {
            let better = target.op.better();
            blocks.reduce_days(|day| match better {
                Better::Higher => day.iter().copied().max(),
                Better::Lower => day.iter().copied().min(),
            });
        } else if independent {
            blocks.split();
        }
        match (blocks.quantile(target.decisive()), series.failures.len()) {
            (Some(observed), _) => Ok(Self {
                blocks,
                unit,
                samples,
                days,
                observed: Value::new(unit, observed),
            }),
            (None, 0) => Err(NoData::NoSamples),
            (None, failures) => Err(NoData::OnlyFailures { failures }),
        }
    }

    fn interval(&mut self, statistic: Statistic, confidence: f64) -> Interval {
        let bounds = self.blocks.bounds(statistic, confidence);
        let value = |number| Value::new(self.unit, number);
        Interval {
            lower: bounds.lower.map(value),
            upper: bounds.upper.map(value),
            confidence,
        }
    }

    fn effective(self, statistic: Statistic) -> usize {
        self.blocks.effective(statistic)
    }

    fn days_reached(
        &self,
        target: &Target,
        threshold: Value,
        demand: Demand,
    ) -> Option<DaysReached> {
        if !target.statistic.is_of_days() {
            return None;
        }
        let is_good = |day: &&[i64]| day.iter().any(|n| target.op.holds(*n, threshold.number()));
        let reached = self.blocks.each_day().filter(is_good).count();
        Some(DaysReached {
            reached,
            of: self.days,
            share: clopper_pearson(reached, self.days, demand.confidence),
        })
    }
}

/// Rows 2 to 4 of [`Judge::judge`].
struct Look<'a> {
    target: &'a Target,
    interval: &'a Interval,
    bounds: Bounds,
    demand: Demand,
}

impl Look<'_> {
    /// The side of the threshold that the whole interval lies on.
    fn side(&self, threshold: Value) -> Option<VerdictKind> {
        let holds = |value: Value| self.target.op.holds(value.number(), threshold.number());
        let (bad_end, good_end) = match self.target.op.better() {
            Better::Higher => (self.interval.lower, self.interval.upper),
            Better::Lower => (self.interval.upper, self.interval.lower),
        };
        if bad_end.is_some_and(holds) {
            Some(VerdictKind::Met)
        } else if good_end.is_some_and(|end| !holds(end)) {
            Some(VerdictKind::Missed)
        } else {
            None
        }
    }

    fn kind(&self, values: &Values<'_>, threshold: Value) -> VerdictKind {
        let is_enough =
            values.samples >= self.demand.min_samples && values.days >= self.demand.min_days;
        match self.side(threshold).filter(|_| is_enough) {
            Some(VerdictKind::Missed) if self.limited(values, threshold).is_some() => {
                VerdictKind::Undecided
            }
            Some(side) => side,
            None => VerdictKind::Undecided,
        }
    }

    fn verdict(&self, values: &mut Values<'_>, threshold: Value) -> Verdict {
        match self.kind(values, threshold) {
            VerdictKind::Met => Verdict::Met,
            VerdictKind::Missed => Verdict::Missed,
            VerdictKind::Undecided | VerdictKind::NoData => Verdict::Undecided {
                why: self.why_undecided(values, threshold),
            },
        }
    }

    fn limited(&self, values: &Values<'_>, threshold: Value) -> Option<Limited> {
        (self.bounds).limited(self.target, values.observed, threshold)
    }

    fn why_undecided(&self, values: &mut Values<'_>, threshold: Value) -> Undecided {
        let Demand {
            min_samples,
            min_days,
            ..
        } = self.demand;
        match self.limited(values, threshold) {
            Some(Limited::Port(full)) => return Undecided::PortTooSmall(full),
            Some(Limited::Box(slow)) => return Undecided::BoxTooSlow(slow),
            None => {}
        }
        let more = self.more(values, threshold);
        if values.samples < min_samples {
            Undecided::TooFew {
                have: values.samples,
                need: min_samples,
                more,
            }
        } else if values.days < min_days {
            Undecided::TooFewDays {
                have: values.days,
                need: min_days,
                more,
            }
        } else {
            Undecided::Straddles { more }
        }
    }

    /// What would decide: what the interval lacks, and what the target asks for besides.
    fn more(&self, values: &mut Values<'_>, threshold: Value) -> More {
        let Demand {
            confidence,
            min_samples,
            min_days,
            independent,
            ..
        } = self.demand;
        let is_bad = |number| !self.target.op.holds(number, threshold.number());
        let for_the_interval = if self.side(threshold).is_some() {
            Some(0)
        } else {
            let bad_share = self.target.bad_share();
            (values.blocks).days_to_decide(is_bad, bad_share, confidence)
        };
        let missing = min_samples.saturating_sub(values.samples);
        let missing_days = min_days.saturating_sub(values.days);
        if independent {
            // Each sample was a day of its own.
            return More {
                samples: for_the_interval.map(|samples| samples.max(missing)),
                days: (missing_days > 0).then_some(missing_days),
            };
        }
        let in_a_day = values.samples.div_ceil(values.days);
        let at_least = missing_days.max(missing.div_ceil(in_a_day));
        let days = for_the_interval.map(|days| days.max(at_least));
        More {
            samples: days.map(|days| days * in_a_day),
            days,
        }
    }
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
        satisfied: contract >= Rate::new(needed),
    })
}
