//! Reading the samples of one site back.

use std::ops::RangeInclusive;

use messnetz_metric::{Failure, FailureReason, Medium, Metric, UnixMillis, Value, Vantage};
use rusqlite::params;

use super::{Store, StoreError};

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
}

impl Store {
    /// All series of a site with what was measured within `window`.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub fn series_of_site(
        &self,
        site: &str,
        window: RangeInclusive<UnixMillis>,
    ) -> Result<Vec<SiteSeries>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT series.id, metric, series.agent, peer, interface, medium, at, value, failure, detail
             FROM series JOIN sample ON sample.site = series.site AND sample.series = series.id
             WHERE series.site = ?1 AND at BETWEEN ?2 AND ?3
             ORDER BY series.id, at",
        )?;
        let mut rows = statement.query(params![site, window.start().0, window.end().0])?;
        let mut found: Vec<(i64, SiteSeries)> = Vec::new();
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if found.last().is_none_or(|(last, _)| *last != id) {
                let metric: Metric = row.get::<_, String>(1)?.parse().map_err(
                    |error: messnetz_metric::UnknownMetric| StoreError::Damaged {
                        what: "a metric",
                        why: error.to_string(),
                    },
                )?;
                let interface: String = row.get(4)?;
                let series = SiteSeries {
                    metric,
                    agent: row.get(2)?,
                    vantage: Vantage {
                        interface: (!interface.is_empty()).then_some(interface),
                        medium: medium(&row.get::<_, String>(5)?)?,
                    },
                    peer: row.get(3)?,
                    samples: Vec::new(),
                    failures: Vec::new(),
                };
                found.push((id, series));
            }
            let Some((_, series)) = found.last_mut() else {
                continue;
            };
            let at = UnixMillis(row.get(6)?);
            if let Some(number) = row.get::<_, Option<i64>>(7)? {
                series
                    .samples
                    .push((at, Value::new(series.metric.quantity.unit(), number)));
            } else {
                let reason = reason(&row.get::<_, String>(8)?)?;
                let detail: Option<String> = row.get(9)?;
                series
                    .failures
                    .push((at, Failure::new(reason, detail.unwrap_or_default())));
            }
        }
        Ok(found.into_iter().map(|(_, series)| series).collect())
    }
}

fn medium(name: &str) -> Result<Medium, StoreError> {
    [Medium::Wired, Medium::Wlan, Medium::Unknown]
        .into_iter()
        .find(|medium| super::ledger::medium_name(*medium) == name)
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
