//! Going on from what the collector has: it may have lost what it acknowledged, or know more than this file does.

use messnetz_metric::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::counters::{EPOCH, SEQUENCE, read_counter};
use super::{Spool, SpoolError, start_epoch};
use crate::wire::{Answer, Known, MAX_EPOCHS};

/// Most batches, and most of their bytes, that are kept after they were acknowledged: a few days of one every five
/// minutes.
const MAX_SENT: i64 = 2_000;
const MAX_SENT_BYTES: i64 = 8 * 1024 * 1024;

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS sent (
        id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL
    ) STRICT;
";

/// What became of a comparison with the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Resumed {
    /// It has what was acknowledged, and nothing else.
    Agreed,
    /// It has more: numbers are given in this new epoch.
    BeganAnew {
        /// Which.
        epoch: u64,
    },
    /// It has less.
    Again {
        /// So many batches are sent again.
        batches: u64,
        /// So many that it had acknowledged are here no more.
        missing: u64,
    },
}

/// Keeps an acknowledged batch for a while.
pub(super) fn keep_sent(
    transaction: &Transaction<'_>,
    epoch: u64,
    sequence: u64,
    body: &[u8],
) -> Result<(), rusqlite::Error> {
    transaction.execute(
        "INSERT INTO sent (epoch, sequence, body) VALUES (?1, ?2, ?3)",
        params![epoch.cast_signed(), sequence.cast_signed(), body],
    )?;
    transaction.execute(
        "DELETE FROM sent WHERE id <= (SELECT max(id) FROM sent) - ?1
         OR id IN (SELECT id FROM (
             SELECT id, sum(length(body)) OVER (ORDER BY id DESC) AS bytes FROM sent)
             WHERE bytes > ?2)",
        params![MAX_SENT, MAX_SENT_BYTES],
    )?;
    Ok(())
}

/// Lets all go that was acknowledged: what waits needs the room. Says whether there was any.
pub(super) fn forget_sent(connection: &Connection) -> Result<bool, rusqlite::Error> {
    Ok(connection.execute("DELETE FROM sent", [])? > 0)
}

/// The number and the hash that the next batch goes on from.
fn head(connection: &Connection) -> Result<(u64, u64, Option<[u8; 32]>), rusqlite::Error> {
    let epoch = read_counter(connection, EPOCH)?.unwrap_or_default();
    let sequence = read_counter(connection, SEQUENCE)?.unwrap_or_default();
    let hash = connection
        .query_row(
            "SELECT hash FROM chain_head WHERE epoch = ?1",
            [epoch],
            |row| row.get(0),
        )
        .optional()?;
    Ok((epoch.cast_unsigned(), sequence.cast_unsigned(), hash))
}

impl Spool {
    /// The epochs that the collector is to be asked for: this one, and those of batches that could be sent again.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(in super::super) fn epochs(&self) -> Result<Vec<u64>, SpoolError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT epoch FROM (
                 SELECT epoch FROM sent UNION SELECT value FROM counter WHERE name = ?1)
             ORDER BY epoch DESC LIMIT ?2",
        )?;
        let limit = i64::try_from(MAX_EPOCHS).unwrap_or(i64::MAX);
        let epochs = statement.query_map(params![EPOCH, limit], |row| row.get::<_, i64>(0))?;
        Ok(epochs
            .map(|epoch| epoch.map(i64::cast_unsigned))
            .collect::<Result<_, _>>()?)
    }

    /// Goes on from what the collector has: sends again what it lost and is still here; begins an epoch where it knows
    /// of numbers that this file has not given. What waits keeps its numbers: it may have come already.
    ///
    /// # Errors
    /// Where the file cannot be read or written; then everything is as before.
    pub(in super::super) fn resume(
        &mut self,
        answer: &Answer,
        now: UnixMillis,
    ) -> Result<Resumed, SpoolError> {
        let (epoch, sequence, hash) = head(&self.connection)?;
        let of_epoch = answer.epochs.iter().find(|known| known.epoch == epoch);
        let is_ahead = |known: &Known| {
            let differs = known
                .head
                .is_some_and(|head| Some(*head.as_bytes()) != hash);
            known.last() > sequence || (known.last() == sequence && sequence > 0 && differs)
        };
        let latest = answer.latest_epoch.unwrap_or_default();
        if latest > epoch || of_epoch.is_some_and(is_ahead) {
            let later = latest.saturating_add(1).cast_signed().max(now.0);
            let epoch =
                self.durably(|transaction| Ok(start_epoch(transaction, UnixMillis(later))?))?;
            return Ok(Resumed::BeganAnew { epoch });
        }
        let (batches, missing) = self.durably(|transaction| {
            let (mut batches, mut missing) = (0, 0);
            for known in &answer.epochs {
                let (again, gone) = send_again(transaction, known)?;
                batches += again;
                missing += gone;
            }
            Ok((batches, missing))
        })?;
        if batches == 0 && missing == 0 {
            return Ok(Resumed::Agreed);
        }
        Ok(Resumed::Again { batches, missing })
    }
}

/// Lets wait again what was acknowledged of an epoch and is not there; says how many batches, and how many more were
/// acknowledged and are gone.
fn send_again(transaction: &Transaction<'_>, known: &Known) -> Result<(u64, u64), SpoolError> {
    let epoch = known.epoch.cast_signed();
    let numbers: Vec<i64> = transaction
        .prepare_cached("SELECT DISTINCT sequence FROM receipt WHERE epoch = ?1 ORDER BY sequence")?
        .query_map([epoch], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let (mut again, mut gone) = (0, 0);
    for number in numbers {
        if known.has(number.cast_unsigned()) {
            continue;
        }
        let moved = transaction.execute(
            "INSERT OR IGNORE INTO sealed (epoch, sequence, body)
             SELECT epoch, sequence, body FROM sent WHERE epoch = ?1 AND sequence = ?2 LIMIT 1",
            params![epoch, number],
        )?;
        transaction.execute(
            "DELETE FROM sent WHERE epoch = ?1 AND sequence = ?2",
            params![epoch, number],
        )?;
        let waits = "SELECT count(*) FROM sealed WHERE epoch = ?1 AND sequence = ?2";
        let waits: i64 = transaction.query_row(waits, params![epoch, number], |row| row.get(0))?;
        match (moved, waits) {
            (0, 0) => gone += 1,
            (0, _) => {}
            _ => again += 1,
        }
    }
    Ok((again, gone))
}
