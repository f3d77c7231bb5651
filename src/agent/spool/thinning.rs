//! Making room: the oldest bulk of light probes is thinned first, capacity tests and failures go last, and what
//! goes is written down.

use std::collections::HashMap;

use messnetz_metric::{Observation, Outcome, Quantity, UnixMillis};
use rusqlite::{Connection, Transaction, params};

use super::omissions::Tally;
use super::{SpoolError, UNREADABLE, count, final_time, resuming};
use crate::wire::batch::Why;

/// What a spool may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of the file that are in use.
    pub(super) bytes: i64,
    /// The longest that an observation waits, in milliseconds.
    pub(super) age_ms: i64,
    /// Observations that are looked at in one go.
    pub(super) at_once: i64,
}

/// 256 MiB hold some 900,000 observations: a month of twenty a minute. After a quarter of a year nobody asks for
/// what was not sent.
pub(super) const BOUNDS: Bounds = Bounds {
    bytes: 256 * 1024 * 1024,
    age_ms: 90 * 24 * 60 * 60 * 1_000,
    at_once: 20_000,
};

/// Of each series one in so many stays when it is thinned.
const ONE_IN: u32 = 4;

/// How often an observation can be spared: then all of its level go.
const LAST_LEVEL: i64 = 3;

/// What goes last: whatever has no level.
const PRECIOUS: i64 = 0;

/// Most goes in which room is made at one time.
const MOST_GOES: usize = 32;

/// How soon an observation can be spared.
pub(super) const fn level(observation: &Observation) -> i64 {
    match (&observation.outcome, observation.metric.quantity) {
        (Outcome::Failed(_), _)
        | (_, Quantity::Goodput(_) | Quantity::Responsiveness(_) | Quantity::AddedDelay(_)) => {
            PRECIOUS
        }
        _ => 1,
    }
}

/// Gives up what waits too long, where the time is known, and makes room where there is too much.
pub(super) fn keep_within(
    transaction: &Transaction<'_>,
    bounds: Bounds,
    now: Option<UnixMillis>,
) -> Result<(), SpoolError> {
    if let Some(now) = now {
        for _ in 0..MOST_GOES {
            if !give_up_old(transaction, bounds, now)? {
                break;
            }
        }
    }
    for _ in 0..MOST_GOES {
        if used_bytes(transaction)? <= bounds.bytes || thin(transaction, bounds)? == 0 {
            break;
        }
    }
    Ok(())
}

/// Bytes of the file that are in use.
pub(super) fn used_bytes(connection: &Connection) -> Result<i64, SpoolError> {
    let of = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let (pages, free) = (of("PRAGMA page_count")?, of("PRAGMA freelist_count")?);
    Ok((pages - free).saturating_mul(of("PRAGMA page_size")?))
}

/// An observation as it lies in the spool.
struct Row {
    id: i64,
    /// `None` where it cannot be read.
    content: Option<(Observation, UnixMillis)>,
}

fn rows(transaction: &Transaction<'_>, level: i64, limit: i64) -> Result<Vec<Row>, SpoolError> {
    let mut select = transaction.prepare_cached(
        "SELECT observation.id, json, boot.clock_offset FROM observation
         LEFT JOIN boot ON boot.id = observation.boot
         WHERE level = ?1 ORDER BY observation.id LIMIT ?2",
    )?;
    let rows = select.query_map(params![level, limit], |row| {
        let json = row.get_ref(1)?.as_bytes().unwrap_or_default();
        let offset: Option<i64> = row.get(2)?;
        let content = serde_json::from_slice::<Observation>(json).ok();
        Ok(Row {
            id: row.get(0)?,
            content: content.map(|observation| {
                let at = final_time(&observation, offset);
                (observation, at)
            }),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Thins the oldest of what can be spared soonest; gives how many observations went.
pub(super) fn thin(transaction: &Transaction<'_>, bounds: Bounds) -> Result<usize, SpoolError> {
    if resuming::forget_sent(transaction)? {
        return Ok(1);
    }
    for level in (1..=LAST_LEVEL).chain([PRECIOUS]) {
        let oldest = rows(transaction, level, bounds.at_once)?;
        if oldest.is_empty() {
            continue;
        }
        let one_in = if (1..LAST_LEVEL).contains(&level) {
            Some(ONE_IN)
        } else {
            None
        };
        return let_go(transaction, oldest, one_in, Why::Full);
    }
    Ok(0)
}

/// Lets observations go, but one in so many of each series.
fn let_go(
    transaction: &Transaction<'_>,
    rows: Vec<Row>,
    one_in: Option<u32>,
    why: Why,
) -> Result<usize, SpoolError> {
    let mut tally = Tally::default();
    let mut turns: HashMap<_, u32> = HashMap::new();
    let (mut gone, mut unreadable) = (0, 0);
    for Row { id, content } in rows {
        if let (Some(one_in), Some((observation, _))) = (one_in, &content) {
            let series = (
                observation.metric,
                observation.vantage.clone(),
                observation.peer.clone(),
            );
            let turn = turns.entry(series).or_default();
            *turn += 1;
            if *turn % one_in == 1 {
                transaction
                    .prepare_cached("UPDATE observation SET level = level + 1 WHERE id = ?1")?
                    .execute(params![id])?;
                continue;
            }
        }
        transaction
            .prepare_cached("DELETE FROM observation WHERE id = ?1")?
            .execute(params![id])?;
        gone += 1;
        match content {
            Some((observation, at)) => tally.add(&observation, at, why)?,
            None => unreadable += 1,
        }
    }
    tally.note(transaction)?;
    if unreadable > 0 {
        count(transaction, UNREADABLE, unreadable)?;
    }
    tracing::warn!(gone, ?why, "the spool let measurements go");
    Ok(gone)
}

/// Lets the oldest go as far as they are too old; says whether there may be more.
fn give_up_old(
    transaction: &Transaction<'_>,
    bounds: Bounds,
    now: UnixMillis,
) -> Result<bool, SpoolError> {
    let too_old = now.0.saturating_sub(bounds.age_ms);
    let is_old = |json: &[u8], offset| {
        let observation = serde_json::from_slice::<Observation>(json).ok();
        observation
            .map(|observation| (final_time(&observation, offset), observation))
            .filter(|(at, _)| at.0 < too_old)
    };
    let mut select = transaction.prepare_cached(
        "SELECT observation.id, json, boot.clock_offset, coalesce(boot.dated, 1) FROM observation
         LEFT JOIN boot ON boot.id = observation.boot ORDER BY observation.id LIMIT ?1",
    )?;
    let mut old = Vec::new();
    let mut found = select.query(params![bounds.at_once])?;
    while let Some(row) = found.next()? {
        let json = row.get_ref(1)?.as_bytes().unwrap_or_default();
        let dated: bool = row.get(3)?;
        let Some((at, observation)) = is_old(json, row.get(2)?).filter(|_| dated) else {
            break;
        };
        old.push(Row {
            id: row.get(0)?,
            content: Some((observation, at)),
        });
    }
    if old.is_empty() {
        return Ok(false);
    }
    let_go(transaction, old, None, Why::Age).map(|_| true)
}
