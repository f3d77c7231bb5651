//! What there is of a site, series by series: how much, from when to when, between which values. Of what is sealed
//! no block is opened for it.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use messnetz_metric::{Metric, Outcome, UnixMillis, Value, Vantage};
use serde::Serialize;

use super::segment::Samples;
use super::{Connected, StoreError};
use crate::wire::batch::Series;

/// All times that anything can be of.
const EVER: RangeInclusive<UnixMillis> = UnixMillis(i64::MIN)..=UnixMillis(i64::MAX);

/// One series of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeriesSeen {
    /// What was measured.
    pub metric: Metric,
    /// Who measured.
    pub agent: String,
    /// From where.
    #[serde(flatten)]
    pub vantage: Vantage,
    /// Against what.
    pub peer: String,
    /// How many values there are.
    pub values: u64,
    /// How many attempts yielded none.
    pub failures: u64,
    /// How many values and failures are there as roll-ups by the hour alone.
    pub pruned: u64,
    /// When the oldest was measured; of a roll-up, when its hour began.
    #[serde(rename = "first_at_unix_ms")]
    pub first_at: UnixMillis,
    /// When the newest was.
    #[serde(rename = "last_at_unix_ms")]
    pub last_at: UnixMillis,
    /// The lowest value; of roll-ups within 1/256.
    pub lowest: Option<Value>,
    /// The highest value; of roll-ups within 1/256.
    pub highest: Option<Value>,
}

impl SeriesSeen {
    fn of(agent: &str, series: Series, at: UnixMillis) -> Self {
        Self {
            metric: series.metric,
            agent: agent.to_owned(),
            vantage: series.vantage,
            peer: series.peer,
            values: 0,
            failures: 0,
            pruned: 0,
            first_at: at,
            last_at: at,
            lowest: None,
            highest: None,
        }
    }

    fn span(&mut self, first: UnixMillis, last: UnixMillis) {
        self.first_at = self.first_at.min(first);
        self.last_at = self.last_at.max(last);
    }

    fn value(&mut self, value: Value) {
        let number = value.number();
        if self.lowest.is_none_or(|lowest| number < lowest.number()) {
            self.lowest = Some(value);
        }
        if self.highest.is_none_or(|highest| number > highest.number()) {
            self.highest = Some(value);
        }
    }

    fn outcome(&mut self, at: UnixMillis, outcome: &Outcome) {
        self.span(at, at);
        match outcome {
            Outcome::Value(value) => {
                self.values += 1;
                self.value(*value);
            }
            Outcome::Failed(_) => self.failures += 1,
        }
    }
}

/// What was found so far.
#[derive(Default)]
struct Overview(HashMap<(String, Series), SeriesSeen>);

impl Overview {
    fn series(&mut self, agent: &str, series: Series, at: UnixMillis) -> &mut SeriesSeen {
        let key = (agent.to_owned(), series.clone());
        let new = || SeriesSeen::of(agent, series, at);
        self.0.entry(key).or_insert_with(new)
    }
}

impl Connected {
    /// What there is of a site, by agent and metric: nothing of what has no date.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub(super) fn overview(&self, site: &str) -> Result<Vec<SeriesSeen>, StoreError> {
        let _view = self.connection.unchecked_transaction()?;
        let mut found = Overview::default();
        let mut numbers = self.numbers_of_site(site);
        self.each_old(site, &EVER, |agent, series, at, outcome| {
            found.series(agent, series, at).outcome(at, &outcome);
        })?;
        let mut statement = self.connection.prepare_cached(
            "SELECT agent, samples FROM segment WHERE site = ?1 AND first_at IS NOT NULL",
        )?;
        let mut rows = statement.query([site])?;
        while let Some(row) = rows.next()? {
            let agent: String = row.get(0)?;
            let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let damaged = || StoreError::Damaged {
                what: "a segment",
                why: format!("one of agent {agent} holds no blocks"),
            };
            for (number, extent) in Samples::extents(bytes).ok_or_else(damaged)? {
                let series = numbers.series(&agent, number)?;
                let unit = series.metric.quantity.unit();
                let (first, last) = (UnixMillis(extent.first_at), UnixMillis(extent.last_at));
                let seen = found.series(&agent, series, first);
                seen.span(first, last);
                seen.values += extent.values.unsigned_abs();
                seen.failures += extent.failures.unsigned_abs();
                if extent.values > 0 {
                    seen.value(Value::new(unit, extent.lowest));
                    seen.value(Value::new(unit, extent.highest));
                }
            }
        }
        self.each_rolled(site, &EVER, |agent, rolled| {
            for (number, hours) in rolled.into_hours(&EVER) {
                let series = numbers.series(agent, number)?;
                let unit = series.metric.quantity.unit();
                for hour in hours(unit) {
                    let seen = found.series(agent, series.clone(), hour.begin);
                    seen.span(hour.begin, hour.begin);
                    seen.pruned += u64::from(hour.failures);
                    for (value, count) in hour.values {
                        seen.pruned += u64::from(count);
                        seen.value(value);
                    }
                }
            }
            Ok(())
        })?;
        self.each_of_tail(site, &EVER, |batch| {
            let agent = batch.header().agent.as_str();
            for chunk in batch.chunks() {
                let Some(series) = chunk.series() else {
                    continue;
                };
                for (at, outcome) in chunk.outcomes() {
                    found
                        .series(agent, series.clone(), at)
                        .outcome(at, &outcome);
                }
            }
        })?;
        let mut all: Vec<SeriesSeen> = found.0.into_values().collect();
        all.sort_by_cached_key(|seen| {
            let metric = seen.metric.to_string();
            (
                metric,
                seen.peer.clone(),
                seen.vantage.interface.clone(),
                seen.agent.clone(),
            )
        });
        Ok(all)
    }
}
