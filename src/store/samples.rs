//! Reading the samples of one site back.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use messnetz_metric::{
    Failure, FailureReason, Medium, Metric, Outcome, UnixMillis, Value, Vantage,
};
use rusqlite::{Row, params};

use super::ledger::Near;
use super::segment::Samples;
use super::{Connected, Role, RolledHour, StoreError};
use crate::wire::batch::{Batch, Series};

/// One series of a site with its samples of some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteSeries {
    /// What was measured.
    pub metric: Metric,
    /// Who measured.
    pub agent: String,
    /// From where.
    pub vantage: Vantage,
    /// Against what.
    pub peer: String,
    /// The values, oldest first.
    pub samples: Vec<(UnixMillis, Value)>,
    /// The failures, oldest first.
    pub failures: Vec<(UnixMillis, Failure)>,
    /// What was pruned, of the hours that lie in the window as a whole, oldest first; an hour may have several
    /// roll-ups.
    pub rolled: Vec<RolledHour>,
}

/// What came late of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateSeries {
    /// All of it.
    pub all: Vec<SiteSeries>,
    /// What of it is older than what came before it, though no gap was left for it.
    pub behind: Vec<SiteSeries>,
    /// When the last of it came.
    pub received_at: UnixMillis,
}

impl SiteSeries {
    fn new(agent: String, series: Series) -> Self {
        Self {
            metric: series.metric,
            agent,
            vantage: series.vantage,
            peer: series.peer,
            samples: Vec::new(),
            failures: Vec::new(),
            rolled: Vec::new(),
        }
    }

    fn push(&mut self, at: UnixMillis, outcome: Outcome) {
        match outcome {
            Outcome::Value(value) => self.samples.push((at, value)),
            Outcome::Failed(failure) => self.failures.push((at, failure)),
        }
    }
}

/// The series of a site while they are gathered.
#[derive(Default)]
struct Gathered {
    places: HashMap<(String, Series), usize>,
    found: Vec<SiteSeries>,
}

impl Gathered {
    fn series(&mut self, agent: &str, series: Series) -> Option<&mut SiteSeries> {
        let key = (agent.to_owned(), series);
        let place = *self
            .places
            .entry(key)
            .or_insert_with_key(|(agent, series)| {
                self.found
                    .push(SiteSeries::new(agent.clone(), series.clone()));
                self.found.len() - 1
            });
        self.found.get_mut(place)
    }

    fn take(&mut self, batch: &Batch, window: &RangeInclusive<UnixMillis>) {
        let agent = batch.header().agent.as_str();
        for chunk in batch.chunks() {
            let series = chunk.series().and_then(|series| self.series(agent, series));
            let Some(series) = series else { continue };
            for (at, outcome) in chunk.outcomes() {
                if window.contains(&at) {
                    series.push(at, outcome);
                }
            }
        }
    }

    /// Each series that has anything and is of none of these agents, oldest first.
    fn finish(mut self, others: &HashSet<String>) -> Vec<SiteSeries> {
        self.found.retain(|series| {
            let has_samples = !series.samples.is_empty() || !series.failures.is_empty();
            let has_any = has_samples || !series.rolled.is_empty();
            has_any && !others.contains(&series.agent)
        });
        for series in &mut self.found {
            // Batches may come late, and an agent's clock may step: mostly this has nothing to do.
            series.samples.sort_by_key(|(at, _)| *at);
            series.failures.sort_by_key(|(at, _)| *at);
            series.rolled.sort_by_key(|hour| hour.begin);
        }
        self.found
    }
}

impl Connected {
    /// All series of a site with what was measured within `window`, by agents of this role.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub(super) fn series_by(
        &self,
        role: Role,
        site: &str,
        window: RangeInclusive<UnixMillis>,
    ) -> Result<Vec<SiteSeries>, StoreError> {
        // One view of all tables: what is moved between them meanwhile is seen once.
        let _view = self.connection.unchecked_transaction()?;
        let mut gathered = Gathered::default();
        self.each_old(site, &window, |agent, series, at, outcome| {
            if let Some(series) = gathered.series(agent, series) {
                series.push(at, outcome);
            }
        })?;
        self.gather_sealed(site, &window, &mut gathered)?;
        self.gather_rolled(site, &window, &mut gathered)?;
        self.each_of_tail(site, &window, |batch| gathered.take(batch, &window))?;
        Ok(gathered.finish(&self.others_than(role)?))
    }

    /// The agents that are for something else.
    fn others_than(&self, role: Role) -> Result<HashSet<String>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM agent WHERE visits <> ?1")?;
        let names = statement.query_map([role == Role::Visitor], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// What was measured at a site within `window`, of the late batches that came after `received_after`;
    /// `None` where there is none.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub(super) fn late_series_of_site(
        &self,
        site: &str,
        window: &RangeInclusive<UnixMillis>,
        received_after: UnixMillis,
    ) -> Result<Option<LateSeries>, StoreError> {
        let _view = self.connection.unchecked_transaction()?;
        let mut statement = self.connection.prepare_cached(
            "SELECT agent, epoch, sequence, received_at, behind FROM late
             WHERE site = ?1 AND last_at >= ?2 AND first_at <= ?3 AND received_at > ?4
             ORDER BY agent, epoch, sequence",
        )?;
        let (first, last) = (window.start().0, window.end().0);
        let mut rows = statement.query(params![site, first, last, received_after.0])?;
        let (mut all, mut behind) = (Gathered::default(), Gathered::default());
        let mut newest = None;
        let mut near = Near::default();
        while let Some(row) = rows.next()? {
            let (agent, epoch): (String, i64) = (row.get(0)?, row.get(1)?);
            // What was pruned meanwhile counts no more.
            let batch = self.batch_near(&mut near, site, &agent, epoch, row.get(2)?)?;
            let Some(batch) = batch else {
                continue;
            };
            all.take(&batch, window);
            if row.get(4)? {
                behind.take(&batch, window);
            }
            newest = newest.max(Some(UnixMillis(row.get(3)?)));
        }
        let others = self.others_than(Role::Resident)?;
        Ok(newest.map(|received_at| LateSeries {
            all: all.finish(&others),
            behind: behind.finish(&others),
            received_at,
        }))
    }

    /// What was sealed.
    fn gather_sealed(
        &self,
        site: &str,
        window: &RangeInclusive<UnixMillis>,
        gathered: &mut Gathered,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT agent, samples FROM segment
             WHERE site = ?1 AND last_at >= ?2 AND first_at <= ?3 ORDER BY agent, epoch, from_sequence",
        )?;
        let mut rows = statement.query(params![site, window.start().0, window.end().0])?;
        let mut numbers = self.numbers_of_site(site);
        while let Some(row) = rows.next()? {
            let agent: String = row.get(0)?;
            let damaged = || StoreError::Damaged {
                what: "a segment",
                why: format!("one of agent {agent} holds no blocks"),
            };
            let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            for (number, block) in Samples::within(bytes, window).ok_or_else(damaged)?.blocks {
                let series = numbers.series(&agent, number)?;
                let unit = series.metric.quantity.unit();
                let Some(series) = gathered.series(&agent, series) else {
                    continue;
                };
                if let Some(values) = block.values(unit) {
                    let within = |(at, _): &(UnixMillis, Value)| window.contains(at);
                    if block.is_within(window) {
                        series.samples.extend(values);
                    } else {
                        series.samples.extend(values.filter(within));
                    }
                    continue;
                }
                for (at, outcome) in block.outcomes(unit) {
                    if window.contains(&at) {
                        series.push(at, outcome);
                    }
                }
            }
        }
        Ok(())
    }

    /// What was pruned.
    fn gather_rolled(
        &self,
        site: &str,
        window: &RangeInclusive<UnixMillis>,
        gathered: &mut Gathered,
    ) -> Result<(), StoreError> {
        let mut numbers = self.numbers_of_site(site);
        self.each_rolled(site, window, |agent, rolled| {
            for (number, hours) in rolled.into_hours(window) {
                let series = numbers.series(agent, number)?;
                let unit = series.metric.quantity.unit();
                if let Some(series) = gathered.series(agent, series) {
                    series.rolled.extend(hours(unit));
                }
            }
            Ok(())
        })
    }

    /// What was taken before batches were kept as they came: a row for each sample.
    pub(super) fn each_old(
        &self,
        site: &str,
        window: &RangeInclusive<UnixMillis>,
        mut take: impl FnMut(&str, Series, UnixMillis, Outcome),
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT series.agent, metric, interface, medium, peer, at, value, failure, detail
             FROM series JOIN sample ON sample.site = series.site AND sample.series = series.id
             WHERE series.site = ?1 AND at BETWEEN ?2 AND ?3
             ORDER BY series.id, at",
        )?;
        let mut rows = statement.query(params![site, window.start().0, window.end().0])?;
        while let Some(row) = rows.next()? {
            let series = series_of(row, 1)?;
            let unit = series.metric.quantity.unit();
            let agent: String = row.get(0)?;
            let outcome = if let Some(number) = row.get::<_, Option<i64>>(6)? {
                Outcome::Value(Value::new(unit, number))
            } else {
                let reason = reason(&row.get::<_, String>(7)?)?;
                let detail: Option<String> = row.get(8)?;
                Outcome::Failed(Failure::new(reason, detail.unwrap_or_default()))
            };
            take(&agent, series, UnixMillis(row.get(5)?), outcome);
        }
        Ok(())
    }
}

/// The series whose metric, interface, medium and peer are in a row from this column on.
pub(super) fn series_of(row: &Row<'_>, from: usize) -> Result<Series, StoreError> {
    let metric =
        row.get::<_, String>(from)?
            .parse()
            .map_err(
                |error: messnetz_metric::UnknownMetric| StoreError::Damaged {
                    what: "a metric",
                    why: error.to_string(),
                },
            )?;
    let interface: String = row.get(from + 1)?;
    Ok(Series {
        metric,
        vantage: Vantage {
            interface: (!interface.is_empty()).then_some(interface),
            medium: medium(&row.get::<_, String>(from + 2)?)?,
        },
        peer: row.get(from + 3)?,
    })
}

/// The name of a medium in the store.
pub(super) const fn medium_name(medium: Medium) -> &'static str {
    match medium {
        Medium::Wired => "wired",
        Medium::Wlan => "wlan",
        Medium::Unknown => "unknown",
    }
}

fn medium(name: &str) -> Result<Medium, StoreError> {
    [Medium::Wired, Medium::Wlan, Medium::Unknown]
        .into_iter()
        .find(|medium| medium_name(*medium) == name)
        .ok_or_else(|| StoreError::Damaged {
            what: "a medium",
            why: format!("'{name}' is none"),
        })
}

fn reason(name: &str) -> Result<FailureReason, StoreError> {
    FailureReason::ALL
        .into_iter()
        .find(|reason| reason.name() == name)
        .ok_or_else(|| StoreError::Damaged {
            what: "a reason of failure",
            why: format!("'{name}' is none"),
        })
}
