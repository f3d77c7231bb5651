//! What came of each agent's numbers: the runs without a gap, and the batches that came late.
//!
//! Both are kept up with each batch, so that nobody has to read the ledger to see a gap.

use messnetz_metric::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{Arrival, Connected, StoreError};
use crate::wire::AgentId;

/// From when on samples are late, in milliseconds between their measurement and their arrival: a day, as long
/// as a silent agent counts as live.
pub const LATE_MS: i64 = 24 * 3_600_000;

/// Most runs of one agent that are read.
const MAX_RUNS: i64 = 10_000;

/// Batches of an epoch whose numbers follow one another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Where the agent measured.
    pub site: String,
    /// The epoch.
    pub epoch: u64,
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
    /// When its oldest sample was measured.
    #[serde(rename = "first_at_unix_ms")]
    pub first_at: Option<UnixMillis>,
    /// When its newest sample was measured.
    #[serde(rename = "last_at_unix_ms")]
    pub last_at: Option<UnixMillis>,
    /// When a batch of it was received first.
    #[serde(rename = "began_at_unix_ms")]
    pub began_at: UnixMillis,
    /// When a batch of it was received last.
    #[serde(rename = "received_at_unix_ms")]
    pub received_at: UnixMillis,
}

/// What came of an agent at a site, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    /// Where it measured.
    pub site: String,
    /// Who.
    pub agent: AgentId,
    /// How many epochs.
    pub epochs: u64,
    /// How many of them went on after a later one had begun.
    pub beside: u64,
    /// How many batches.
    pub batches: u64,
    /// Between how many of them numbers are missing, or before the first of an epoch.
    pub gaps: u64,
    /// How many numbers are missing.
    pub missing: u64,
    /// When a batch was received last.
    pub received_at: UnixMillis,
    /// How many batches came late, see [`LATE_MS`].
    pub late: u64,
    /// How many of these are older than what came before them, though no gap was left for them.
    pub behind: u64,
}

struct Kept {
    first: i64,
    last: i64,
    first_at: Option<i64>,
    last_at: Option<i64>,
    began_at: i64,
    received_at: i64,
}

impl Kept {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            first: row.get(0)?,
            last: row.get(1)?,
            first_at: row.get(2)?,
            last_at: row.get(3)?,
            began_at: row.get(4)?,
            received_at: row.get(5)?,
        })
    }

    /// Both as one run; `self` comes first.
    fn and(self, next: &Self) -> Self {
        Self {
            first: self.first,
            last: next.last,
            first_at: self.first_at.into_iter().chain(next.first_at).min(),
            last_at: self.last_at.max(next.last_at),
            began_at: self.began_at.min(next.began_at),
            received_at: self.received_at.max(next.received_at),
        }
    }
}

/// Notes a batch that is new.
pub(super) fn note(connection: &Connection, arrival: &Arrival) -> Result<(), StoreError> {
    let (site, agent, epoch) = (&arrival.site, arrival.agent.as_str(), arrival.epoch);
    let received_at = arrival.received_at.0;
    let before = connection
        .prepare_cached(
            "SELECT first, last, first_at, last_at, began_at, received_at FROM run
             WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND first < ?4 ORDER BY first DESC LIMIT 1",
        )?
        .query_row(params![site, agent, epoch, arrival.sequence], Kept::of)
        .optional()?
        .filter(|run| run.last.checked_add(1) == Some(arrival.sequence));
    let after = connection
        .prepare_cached(
            "SELECT first, last, first_at, last_at, began_at, received_at FROM run
             WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND first = ?4",
        )?
        .query_row(
            params![site, agent, epoch, arrival.sequence.saturating_add(1)],
            Kept::of,
        )
        .optional()?;
    if let Some((first_at, last_at)) = arrival.times
        && received_at.saturating_sub(first_at) > LATE_MS
    {
        // The batch after it names its hash: it was there when that one was signed.
        let behind = after.is_none() && is_behind(connection, site, agent, first_at)?;
        connection
            .prepare_cached("INSERT INTO late VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(params![
                site,
                agent,
                epoch,
                arrival.sequence,
                received_at,
                first_at,
                last_at,
                behind
            ])?;
    }
    let own = Kept {
        first: arrival.sequence,
        last: arrival.sequence,
        first_at: arrival.times.map(|(first, _)| first),
        last_at: arrival.times.map(|(_, last)| last.min(received_at)),
        began_at: received_at,
        received_at,
    };
    let mut run = own;
    if let Some(after) = &after {
        run = run.and(after);
        connection
            .prepare_cached(
                "DELETE FROM run WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND first = ?4",
            )?
            .execute(params![site, agent, epoch, after.first])?;
    }
    if let Some(before) = before {
        run = before.and(&run);
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO run VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
        .execute(params![
            site,
            agent,
            epoch,
            run.first,
            run.last,
            run.first_at,
            run.last_at,
            run.began_at,
            run.received_at
        ])?;
    Ok(())
}

/// Whether samples of this time are more than a day older than the newest that came of the agent before.
fn is_behind(
    connection: &Connection,
    site: &str,
    agent: &str,
    first_at: i64,
) -> Result<bool, StoreError> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(last_at) FROM run WHERE site = ?1 AND agent = ?2")?
        .query_row(params![site, agent], |row| row.get(0))?;
    Ok(newest.is_some_and(|newest| newest.saturating_sub(first_at) > LATE_MS))
}

impl Connected {
    /// What came of every agent, by site.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub(super) fn came(&self) -> Result<Vec<Came>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "WITH epochs AS (
                 SELECT site, agent, epoch, count(*) AS runs, min(first) AS first, max(last) AS last,
                        sum(last - first + 1) AS batches, min(began_at) AS began_at,
                        max(received_at) AS received_at
                 FROM run GROUP BY site, agent, epoch),
             compared AS (
                 SELECT *, max(received_at) OVER earlier > began_at AS beside
                 FROM epochs
                 WINDOW earlier AS (PARTITION BY site, agent ORDER BY epoch
                                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
             belated AS (
                 SELECT site, agent, count(*) AS late, sum(behind) AS behind
                 FROM late GROUP BY site, agent)
             SELECT site, agent, count(*), coalesce(sum(beside), 0), sum(batches),
                    sum(runs - (first <= 1)), CAST(total(max(last - batches, 0)) AS INTEGER),
                    max(received_at), coalesce(late, 0), coalesce(behind, 0)
             FROM compared LEFT JOIN belated USING (site, agent)
             GROUP BY site, agent ORDER BY site, agent",
        )?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let count = |column| -> Result<u64, StoreError> {
                Ok(row.get::<_, i64>(column)?.unsigned_abs())
            };
            found.push(Came {
                site: row.get(0)?,
                agent: agent_id(row.get(1)?)?,
                epochs: count(2)?,
                beside: count(3)?,
                batches: count(4)?,
                gaps: count(5)?,
                missing: count(6)?,
                received_at: UnixMillis(row.get(7)?),
                late: count(8)?,
                behind: count(9)?,
            });
        }
        Ok(found)
    }

    /// The runs of an agent by epoch and number, at all its sites.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn runs(&self, agent: &AgentId) -> Result<Vec<Run>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT site, epoch, first, last, first_at, last_at, began_at, received_at FROM run
             WHERE agent = ?1
             ORDER BY site, epoch, first LIMIT ?2",
        )?;
        let rows = statement.query_map(params![agent.as_str(), MAX_RUNS], |row| {
            let number =
                |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.unsigned_abs());
            Ok(Run {
                site: row.get(0)?,
                epoch: number(1)?,
                first: number(2)?,
                last: number(3)?,
                first_at: row.get::<_, Option<i64>>(4)?.map(UnixMillis),
                last_at: row.get::<_, Option<i64>>(5)?.map(UnixMillis),
                began_at: UnixMillis(row.get(6)?),
                received_at: UnixMillis(row.get(7)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

pub(super) fn agent_id(name: String) -> Result<AgentId, StoreError> {
    AgentId::try_from(name).map_err(|why| StoreError::Damaged {
        what: "an agent's name",
        why,
    })
}

#[cfg(test)]
mod tests;
