//! What else was measured at a site, and what of it was measured together with the trouble.

use std::collections::BTreeMap;
use std::time::Duration;

use messnetz_metric::{Medium, Metric, UnixMillis, Value};

use crate::quantile::Statistic;
use crate::site::Line;
use crate::verdict::Sample;

/// Two observations whose beginnings lie no further apart were made together. A minute is the period of the
/// small probes, so a capacity test has some of each of them beside it.
pub const TOGETHER: Duration = Duration::from_mins(1);

const TOGETHER_MS: i64 = TOGETHER.as_millis() as i64;

/// What was measured of one metric at one site, against one peer and over one kind of interface.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What was measured.
    pub metric: Metric,
    /// What the measuring interface is made of.
    pub medium: Medium,
    /// Against what.
    pub peer: &'a str,
    /// The values with their times, in any order.
    pub samples: &'a [(UnixMillis, Value)],
}

/// What else is known of the same site.
#[derive(Clone, Debug, Default)]
pub struct Situation<'a> {
    /// The line, where the authority has stated it.
    pub line: Option<&'a Line>,
    /// All that was measured there.
    pub seen: Vec<Seen<'a>>,
}

impl<'a> Situation<'a> {
    /// What was measured together with those of the judged `samples` of `metric` that `misses` is true of.
    pub(super) fn together(
        &self,
        metric: Metric,
        samples: &[Sample],
        misses: impl Fn(Value) -> bool,
    ) -> Together<'a> {
        let missing = samples.iter().filter(|sample| misses(sample.value));
        let mut moments: Vec<i64> = missing.map(|sample| sample.at.0).collect();
        moments.sort_unstable();
        // The far end that the trouble is with is the one with most of it.
        let mut peers: BTreeMap<&'a str, usize> = BTreeMap::new();
        for seen in self.of(metric) {
            let in_trouble = |(at, _): &&(UnixMillis, Value)| moments.binary_search(&at.0).is_ok();
            *peers.entry(seen.peer).or_default() += seen.samples.iter().filter(in_trouble).count();
        }
        let worst = peers.into_iter().max_by_key(|(_, count)| *count);
        Together {
            seen: self.seen.clone(),
            moments,
            peer: worst.map_or("", |(peer, _)| peer),
        }
    }

    fn of(&self, metric: Metric) -> impl Iterator<Item = &Seen<'a>> {
        self.seen.iter().filter(move |seen| speaks(seen, metric))
    }
}

fn speaks(seen: &Seen<'_>, metric: Metric) -> bool {
    seen.metric == metric && metric.is_seen_over(seen.medium)
}

/// What was measured while a metric missed its threshold.
pub(super) struct Together<'a> {
    seen: Vec<Seen<'a>>,
    /// When, ascending.
    moments: Vec<i64>,
    /// The far end that it was measured against.
    peer: &'a str,
}

impl<'a> Together<'a> {
    /// The median of `metric`, by nearest rank.
    pub(super) fn median(&self, metric: Metric) -> Option<Value> {
        median(self.values(|seen| speaks(seen, metric)))
    }

    /// The mean of `metric`.
    pub(super) fn mean(&self, metric: Metric) -> Option<Value> {
        let values = self.values(|seen| speaks(seen, metric));
        let sum: i128 = values.iter().map(|value| i128::from(value.number())).sum();
        let mean = sum.checked_div(i128::try_from(values.len()).ok()?)?;
        let unit = values.first()?.unit();
        Some(Value::new(unit, i64::try_from(mean).ok()?))
    }

    /// The medians of `metric` against each other far end.
    pub(super) fn medians_against_others(&self, metric: Metric) -> Vec<(&'a str, Value)> {
        let mut others: Vec<&'a str> = self
            .seen
            .iter()
            .filter(|seen| speaks(seen, metric) && seen.peer != self.peer)
            .map(|seen| seen.peer)
            .collect();
        others.sort_unstable();
        others.dedup();
        others
            .into_iter()
            .filter_map(|other| {
                let of_other = |seen: &Seen<'_>| speaks(seen, metric) && seen.peer == other;
                Some((other, median(self.values(of_other))?))
            })
            .collect()
    }

    fn values(&self, wanted: impl Fn(&Seen<'_>) -> bool) -> Vec<Value> {
        self.seen
            .iter()
            .filter(|seen| wanted(seen))
            .flat_map(|seen| seen.samples)
            .filter(|(at, _)| self.is_together(*at))
            .map(|(_, value)| *value)
            .collect()
    }

    fn is_together(&self, at: UnixMillis) -> bool {
        let from = at.0.saturating_sub(TOGETHER_MS);
        let next = self.moments.partition_point(|moment| *moment < from);
        self.moments
            .get(next)
            .is_some_and(|moment| *moment <= at.0.saturating_add(TOGETHER_MS))
    }
}

fn median(mut values: Vec<Value>) -> Option<Value> {
    values.sort_unstable_by_key(|value| value.number());
    let rank = Statistic::MEDIAN.rank(values.len())?;
    values.get(rank.checked_sub(1)?).copied()
}
