//! Making batches of what waits, and setting aside what is never taken.

use messnetz_metric::Observation;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::super::key::AgentKey;
use super::{EPOCH, REFUSED, SEQUENCE, SpoolError, UNREADABLE, count, final_time};
use crate::wire::batch::{Batch, Beside, Digest, Link};
use crate::wire::{CollectorId, MAX_BATCH_BYTES, MAX_OBSERVATIONS};

/// Most refused batches that are kept to be looked at; beyond it the oldest are given up. They are
/// still counted.
pub(super) const MAX_REFUSED: i64 = 20;

/// What an observation that is alone in its series needs in a batch beyond its own JSON: the digest of its
/// chunk, and the names of columns.
const CHUNK_BYTES: usize = 160;

/// Most bytes of observations in one batch: what surrounds them, and what is told beside them, needs room too.
const MAX_SEALED_BYTES: usize = MAX_BATCH_BYTES - 512 * 1024;

/// A batch that waits for its acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct SealedBatch {
    /// Epoch of the batch.
    pub(in super::super) epoch: u64,
    /// Its number.
    pub(in super::super) sequence: u64,
    /// The exact bytes to send.
    pub(in super::super) body: Vec<u8>,
}

/// Whose batches the spool seals, and for whom.
#[derive(Clone)]
pub(in super::super) struct Sealer<'a> {
    /// What they are signed with.
    pub(in super::super) key: &'a AgentKey,
    /// The collector that they are for.
    pub(in super::super) collector: CollectorId,
    /// Where it is measured.
    pub(in super::super) site: &'a str,
}

/// The oldest sealed batches, at most `limit`; all where it is negative.
pub(super) fn sealed_batches(
    connection: &Connection,
    limit: i64,
) -> Result<Vec<SealedBatch>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT epoch, sequence, body FROM sealed ORDER BY epoch, sequence LIMIT ?1",
        )?
        .query_map(params![limit], |row| {
            Ok(SealedBatch {
                epoch: row.get::<_, i64>(0)?.cast_unsigned(),
                sequence: row.get::<_, i64>(1)?.cast_unsigned(),
                body: row.get(2)?,
            })
        })?
        .collect()
}

/// Observations that wait, of one clock.
#[derive(Default)]
pub(super) struct Waiting {
    /// By which clock they were stamped; `None` where an older program kept them.
    pub(super) boot: Option<i64>,
    pub(super) observations: Vec<Observation>,
}

/// Takes the oldest observations out, as many as one batch holds; none of the boot `held`, and none after it.
pub(super) fn take_waiting(
    transaction: &Transaction<'_>,
    held: Option<i64>,
) -> Result<Waiting, SpoolError> {
    loop {
        let mut last_id = None;
        let (mut bytes, mut unreadable) = (0, 0);
        let mut waiting = Waiting::default();
        {
            let mut statement = transaction.prepare_cached(
                "SELECT observation.id, json, observation.boot, boot.clock_offset FROM observation
                 LEFT JOIN boot ON boot.id = observation.boot ORDER BY observation.id LIMIT ?1",
            )?;
            let mut rows = statement.query(params![MAX_OBSERVATIONS])?;
            while let Some(row) = rows.next()? {
                let boot: Option<i64> = row.get(2)?;
                let is_held = held.is_some() && boot == held;
                if is_held || (last_id.is_some() && boot != waiting.boot) {
                    break;
                }
                waiting.boot = boot;
                let json = row.get_ref(1)?.as_bytes().unwrap_or_default();
                bytes += json.len() + CHUNK_BYTES;
                if bytes > MAX_SEALED_BYTES && !waiting.observations.is_empty() {
                    break;
                }
                last_id = Some(row.get::<_, i64>(0)?);
                let read = serde_json::from_slice::<Observation>(json);
                let offset: Option<i64> = row.get(3)?;
                match read.map(|one| (final_time(&one, offset), one)) {
                    // What a batch cannot hold would keep all others back.
                    Ok((at, _)) if at.0 < 0 => {
                        unreadable += 1;
                        tracing::warn!(at = at.0, "an observation from before 1970 is left out");
                    }
                    Ok((at, one)) => waiting.observations.push(Observation { at, ..one }),
                    Err(error) => {
                        unreadable += 1;
                        tracing::warn!(%error, "an observation in the spool cannot be read and is left out");
                    }
                }
            }
        }
        let Some(last_id) = last_id else {
            return Ok(waiting);
        };
        transaction.execute("DELETE FROM observation WHERE id <= ?1", params![last_id])?;
        if unreadable > 0 {
            count(transaction, UNREADABLE, unreadable)?;
        }
        if !waiting.observations.is_empty() {
            return Ok(waiting);
        }
    }
}

/// Makes a batch with the next number, which names the one before, and keeps its bytes.
pub(super) fn seal(
    transaction: &Transaction<'_>,
    sealer: &Sealer<'_>,
    observations: &[Observation],
    beside: Beside,
) -> Result<SealedBatch, SpoolError> {
    let epoch = count(transaction, EPOCH, 0)?;
    let sequence = count(transaction, SEQUENCE, 1)?;
    let previous: Option<[u8; 32]> = transaction
        .query_row(
            "SELECT hash FROM chain_head WHERE epoch = ?1",
            params![epoch],
            |row| row.get(0),
        )
        .optional()?;
    let link = Link {
        collector: sealer.collector.clone(),
        agent: sealer.key.id(),
        site: sealer.site.to_owned(),
        epoch: epoch.cast_unsigned(),
        sequence: sequence.cast_unsigned(),
        previous: previous.map(Digest::from_bytes),
    };
    let batch = sealer.key.sign(Batch::with(&link, observations, beside)?);
    let body = batch.document();
    transaction.execute(
        "INSERT INTO sealed (epoch, sequence, body) VALUES (?1, ?2, ?3)",
        params![epoch, sequence, body],
    )?;
    transaction.execute(
        "INSERT INTO chain_head (epoch, hash) VALUES (?1, ?2)
         ON CONFLICT (epoch) DO UPDATE SET hash = excluded.hash",
        params![epoch, batch.hash().as_bytes()],
    )?;
    Ok(SealedBatch {
        epoch: link.epoch,
        sequence: link.sequence,
        body,
    })
}

pub(super) fn delete_sealed(
    transaction: &Transaction<'_>,
    batch: &SealedBatch,
) -> Result<(), rusqlite::Error> {
    transaction.execute(
        "DELETE FROM sealed WHERE epoch = ?1 AND sequence = ?2",
        params![batch.epoch.cast_signed(), batch.sequence.cast_signed()],
    )?;
    Ok(())
}

pub(super) fn set_aside(
    transaction: &Transaction<'_>,
    batch: &SealedBatch,
    error: &str,
) -> Result<(), rusqlite::Error> {
    delete_sealed(transaction, batch)?;
    transaction.execute(
        "INSERT INTO refused (epoch, sequence, body, error) VALUES (?1, ?2, ?3, ?4)",
        params![
            batch.epoch.cast_signed(),
            batch.sequence.cast_signed(),
            batch.body,
            error
        ],
    )?;
    transaction.execute(
        "DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?1",
        params![MAX_REFUSED],
    )?;
    count(transaction, REFUSED, 1)?;
    Ok(())
}
