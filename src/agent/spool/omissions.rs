//! What was left out, until a batch tells of it.

use std::collections::BTreeMap;

use messnetz_metric::{Observation, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{GIVEN_UP, SpoolError, count};
use crate::wire::batch::{MAX_OMITTED, Omitted, Why};

/// Most entries that wait to be told; what is more is told without its series.
const MAX_ENTRIES: i64 = 1_000;

/// Most series that are told apart before they are written.
const MAX_SERIES: usize = 1_000;

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS omitted (
        id INTEGER PRIMARY KEY, series TEXT NOT NULL, why TEXT NOT NULL,
        since INTEGER NOT NULL, until INTEGER NOT NULL, until_boot INTEGER, number INTEGER
    ) STRICT;
";

/// Observations that are left out, by series.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<(String, Why), Span>);

#[derive(Clone, Copy, Debug)]
struct Span {
    since: i64,
    until: i64,
    number: i64,
}

/// What names a series: an entry about it that says nothing yet. Empty for all series together.
fn name_of(observation: &Observation) -> Result<String, SpoolError> {
    Ok(serde_json::to_string(&Omitted {
        metric: Some(observation.metric),
        interface: observation.vantage.interface.clone(),
        medium: Some(observation.vantage.medium),
        peer: Some(observation.peer.clone()),
        from: 0,
        to: 0,
        count: None,
        why: Why::Full,
    })?)
}

impl Tally {
    /// Adds one observation, which was made at this time.
    pub(super) fn add(
        &mut self,
        observation: &Observation,
        at: UnixMillis,
        why: Why,
    ) -> Result<(), SpoolError> {
        let mut key = (name_of(observation)?, why);
        if self.0.len() >= MAX_SERIES && !self.0.contains_key(&key) {
            key.0 = String::new();
        }
        let span = self.0.entry(key).or_insert(Span {
            since: at.0,
            until: at.0,
            number: 0,
        });
        span.since = span.since.min(at.0);
        span.until = span.until.max(at.0);
        span.number += 1;
        Ok(())
    }

    /// Writes it down, and counts it.
    pub(super) fn note(&self, connection: &Connection) -> Result<(), SpoolError> {
        for ((series, why), span) in &self.0 {
            note(connection, series, *why, *span)?;
            count(connection, GIVEN_UP, span.number)?;
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

fn word(why: Why) -> Result<String, SpoolError> {
    Ok(serde_json::to_string(&why)?)
}

/// Adds to what is known of a series, so that there is an entry of each.
fn note(connection: &Connection, series: &str, why: Why, span: Span) -> Result<(), SpoolError> {
    let entries: i64 =
        connection.query_row("SELECT count(*) FROM omitted", [], |row| row.get(0))?;
    let known = |series: &str| {
        connection
            .query_row(
                "SELECT id FROM omitted WHERE series = ?1 AND why = ?2 AND number IS NOT NULL",
                params![series, word(why)?],
                |row| row.get::<_, i64>(0),
            )
            .optional()
            .map_err(SpoolError::from)
    };
    let mut series = series;
    let mut id = known(series)?;
    if id.is_none() && entries >= MAX_ENTRIES {
        series = "";
        id = known(series)?;
    }
    match id {
        Some(id) => connection.execute(
            "UPDATE omitted SET since = min(since, ?2), until = max(until, ?3), number = number + ?4
             WHERE id = ?1",
            params![id, span.since, span.until, span.number],
        )?,
        None => connection.execute(
            "INSERT INTO omitted (series, why, since, until, number) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![series, word(why)?, span.since, span.until, span.number],
        )?,
    };
    Ok(())
}

/// Notes a time of which nothing is known: from a time of day on, until so long after the start of a boot.
pub(super) fn note_gap(
    connection: &Connection,
    why: Why,
    since: i64,
    (boot, until_up_ms): (i64, i64),
) -> Result<(), SpoolError> {
    // A box that loses its power every few minutes, and never reaches its collector.
    connection.execute(
        "DELETE FROM omitted WHERE number IS NULL AND id IN
             (SELECT id FROM omitted WHERE number IS NULL ORDER BY id DESC LIMIT -1 OFFSET ?1)",
        params![MAX_ENTRIES / 2],
    )?;
    connection.execute(
        "INSERT INTO omitted (series, why, since, until, until_boot) VALUES ('', ?1, ?2, ?3, ?4)",
        params![word(why)?, since, until_up_ms, boot],
    )?;
    Ok(())
}

/// Takes what the next batch shall tell out of the spool.
pub(super) fn take(connection: &Connection) -> Result<Vec<Omitted>, SpoolError> {
    let mut select = connection.prepare_cached(
        "SELECT omitted.id, series, why, since, until, coalesce(boot.clock_offset, 0), number
         FROM omitted LEFT JOIN boot ON boot.id = omitted.until_boot ORDER BY omitted.id LIMIT ?1",
    )?;
    let mut rows = select.query(params![i64::try_from(MAX_OMITTED).unwrap_or(i64::MAX)])?;
    let (mut taken, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        last = Some(row.get::<_, i64>(0)?);
        let (series, why): (String, String) = (row.get(1)?, row.get(2)?);
        // What cannot be read any more must not keep the rest back.
        let Ok(why) = serde_json::from_str::<Why>(&why) else {
            continue;
        };
        let of_series = serde_json::from_str::<Omitted>(&series).ok();
        let since: i64 = row.get(3)?;
        let until = row.get::<_, i64>(4)?.saturating_add(row.get(5)?);
        let number: Option<i64> = row.get(6)?;
        let (since, until) = (since.max(0), until.max(0));
        let named = of_series.unwrap_or(Omitted {
            metric: None,
            interface: None,
            medium: None,
            peer: None,
            from: 0,
            to: 0,
            count: None,
            why,
        });
        let omitted = Omitted {
            from: since.min(until).cast_unsigned(),
            to: since.max(until).cast_unsigned(),
            count: number.map(i64::unsigned_abs),
            why,
            ..named
        };
        if omitted.check().is_ok() {
            taken.push(omitted);
        }
    }
    if let Some(last) = last {
        connection.execute("DELETE FROM omitted WHERE id <= ?1", params![last])?;
    }
    Ok(taken)
}
