//! The spool: keeps what was measured until the collector has committed it.
//!
//! Observations are written at once. When they are to be uploaded they are sealed into a numbered
//! signed batch, byte for byte as it will be sent, so that every attempt sends the same bytes under the
//! same number. A batch leaves the spool only for the collector's receipt, or is set aside because the
//! collector will never take it. The spool owns the numbers and the chain: the epoch is the time at which
//! it was made or last renewed, the sequence counts from 1 within it, and each batch names the one before.

use std::path::Path;

use messnetz_metric::{Observation, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use thiserror::Error;

use super::key::AgentKey;
use crate::sqlite::open_shared;
use crate::wire::batch::{Batch, Digest, Link, NotWritable};
use crate::wire::{CollectorId, MAX_BATCH_BYTES, MAX_OBSERVATIONS, SignedReceipt};

/// Most observations that wait unsealed; beyond it the oldest are given up, and counted. At one
/// observation a second this is a week without the collector.
const MAX_WAITING: i64 = 600_000;

/// Most refused batches that are kept to be looked at; beyond it the oldest are given up. They are
/// still counted.
const MAX_REFUSED: i64 = 20;

/// Most receipts that are kept; beyond it the oldest are given up. With a batch every five minutes this is
/// a month, in some 5 MB.
const MAX_RECEIPTS: i64 = 10_000;

/// Most bytes of observations in one batch: what surrounds them needs room too.
const MAX_SEALED_BYTES: usize = MAX_BATCH_BYTES - 4 * 1024;

/// What an observation that is alone in its series needs in a batch beyond its own JSON: the digest of its
/// chunk, and the names of columns.
const CHUNK_BYTES: usize = 160;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS observation (id INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS sealed (
        epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (epoch, sequence)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS refused (
        id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL,
        body BLOB NOT NULL, error TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS receipt (
        id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, json TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS chain_head (epoch INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
";

/// The counters.
const EPOCH: &str = "epoch";
const SEQUENCE: &str = "sequence";
const GIVEN_UP: &str = "given-up";
const UNREADABLE: &str = "unreadable";
const REFUSED: &str = "refused";

/// An open spool.
#[derive(Debug)]
pub struct Spool {
    connection: Connection,
}

/// The spool did not do what was asked.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The file cannot be used.
    #[error("reading or writing the spool")]
    Database(#[from] rusqlite::Error),
    /// An observation or a receipt cannot be written as JSON.
    #[error("writing into the spool")]
    Json(#[from] serde_json::Error),
    /// What waits makes no batch.
    #[error("making a batch of what waits in the spool")]
    Seal(#[from] NotWritable),
}

/// A batch that waits for its acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SealedBatch {
    /// Epoch of the batch.
    pub(super) epoch: u64,
    /// Its number.
    pub(super) sequence: u64,
    /// The exact bytes to send.
    pub(super) body: Vec<u8>,
}

/// Whose batches the spool seals, and for whom.
pub(super) struct Sealer<'a> {
    /// What they are signed with.
    pub(super) key: &'a AgentKey,
    /// The collector that they are for.
    pub(super) collector: CollectorId,
    /// Where it is measured.
    pub(super) site: &'a str,
}

/// What a spool holds, and what became of what it held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Observations that wait to be sealed.
    pub observations: u64,
    /// Sealed batches that wait for their acknowledgement.
    pub batches: u64,
    /// Batches that the collector refused for good, ever.
    pub refused: u64,
    /// How many of those are still kept in the file.
    pub refused_kept: u64,
    /// Observations that were given up because the spool was full, ever.
    pub given_up: u64,
    /// Observations that could not be read back and were left out, ever.
    pub unreadable: u64,
}

impl Spool {
    /// Opens the spool in this file; makes it where it is missing, and then its first epoch is `now`.
    ///
    /// # Errors
    /// Where the file cannot be opened or is no spool.
    pub fn open(path: &Path, now: UnixMillis) -> Result<Self, SpoolError> {
        let mut connection = open_shared(path)?;
        // A killed agent loses nothing; a power cut costs the observations that the operating system
        // had not written yet. Syncing each of them would wear a flash card out. What must not be
        // undone once it has been sent is committed by `durably`.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(SCHEMA)?;
        // An agent that was killed while it sealed may have left a batch that is not on the disk yet:
        // a checkpoint syncs it before it can be sent.
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        // A file of an older program has numbers and no chain.
        let has_chain = read_counter(&connection, SEQUENCE)?.is_none()
            || connection.query_row("SELECT count(*) FROM chain_head", [], |row| row.get(0))?;
        if read_counter(&connection, EPOCH)?.is_none() || !has_chain {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            start_epoch(&transaction, now)?;
            transaction.commit()?;
        }
        Ok(Self { connection })
    }

    /// Keeps observations.
    ///
    /// # Errors
    /// Where the file cannot be written; then none of them is kept.
    pub fn keep(&mut self, observations: &[Observation]) -> Result<(), SpoolError> {
        let transaction = self.connection.transaction()?;
        for observation in observations {
            transaction
                .prepare_cached("INSERT INTO observation (json) VALUES (?1)")?
                .execute(params![serde_json::to_string(observation)?])?;
        }
        let given_up = transaction.execute(
            "DELETE FROM observation WHERE id <= (SELECT max(id) FROM observation) - ?1",
            params![MAX_WAITING],
        )?;
        if given_up > 0 {
            count(&transaction, GIVEN_UP, given_up.cast_signed() as i64)?;
            tracing::warn!(
                given_up,
                "the spool is full: the oldest observations were given up"
            );
        }
        transaction.commit()?;
        Ok(())
    }

    /// The oldest batch that is not acknowledged; seals waiting observations into one where there is
    /// none. `None` where nothing waits. A new batch is on the disk when this returns: were its number
    /// lost in a power cut after it was sent, the number would be given to other bytes.
    ///
    /// An observation that cannot be read back is left out and counted; it must not keep the others.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub(super) fn next_batch(
        &mut self,
        sealer: &Sealer<'_>,
    ) -> Result<Option<SealedBatch>, SpoolError> {
        if let Some(batch) = sealed_batches(&self.connection, 1)?.pop() {
            return Ok(Some(batch));
        }
        self.durably(|transaction| {
            let observations = take_waiting(transaction)?;
            if observations.is_empty() {
                return Ok(None);
            }
            seal(transaction, sealer, &observations).map(Some)
        })
    }

    /// Lets go of a batch that the collector has committed, and keeps the receipt in its place. The receipt
    /// has been verified.
    ///
    /// # Errors
    /// Where the file cannot be written; then the batch waits as before.
    pub(super) fn acknowledged(
        &mut self,
        batch: &SealedBatch,
        receipt: &SignedReceipt,
    ) -> Result<(), SpoolError> {
        let json = serde_json::to_string(receipt)?;
        transact(&mut self.connection, |transaction| {
            delete_sealed(transaction, batch)?;
            transaction.execute(
                "INSERT INTO receipt (epoch, sequence, json) VALUES (?1, ?2, ?3)",
                params![
                    batch.epoch.cast_signed(),
                    batch.sequence.cast_signed(),
                    json
                ],
            )?;
            transaction.execute(
                "DELETE FROM receipt WHERE id <= (SELECT max(id) FROM receipt) - ?1",
                params![MAX_RECEIPTS],
            )?;
            Ok(())
        })
    }

    /// The receipt for the batch that was acknowledged last; `None` where there was none yet.
    ///
    /// # Errors
    /// Where the file cannot be read or does not hold what this program wrote.
    pub fn last_receipt(&self) -> Result<Option<SignedReceipt>, SpoolError> {
        let json: Option<String> = self
            .connection
            .query_row(
                "SELECT json FROM receipt ORDER BY id DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()?;
        Ok(json.as_deref().map(serde_json::from_str).transpose()?)
    }

    /// Sets a batch aside that the collector will never take, so that the later ones get their turn.
    /// The last few are kept with the collector's reason.
    ///
    /// # Errors
    /// Where the file cannot be written; then the batch waits as before.
    pub(super) fn refused(&mut self, batch: &SealedBatch, error: &str) -> Result<(), SpoolError> {
        let transaction = self.connection.transaction()?;
        set_aside(&transaction, batch, error)?;
        transaction.commit()?;
        Ok(())
    }

    /// Starts a new epoch after the collector found other bytes under a number of this one, and seals
    /// what waits for its acknowledgement anew under it. Gives the new epoch.
    ///
    /// # Errors
    /// Where the file cannot be written; then the old epoch goes on.
    pub(super) fn renew_epoch(
        &mut self,
        sealer: &Sealer<'_>,
        now: UnixMillis,
    ) -> Result<u64, SpoolError> {
        self.durably(|transaction| {
            let waiting = sealed_batches(transaction, -1)?;
            let epoch = start_epoch(transaction, now)?;
            for old in waiting {
                match Batch::read(&old.body) {
                    Ok(batch) => {
                        let observations: Vec<_> = batch.observations().cloned().collect();
                        delete_sealed(transaction, &old)?;
                        seal(transaction, sealer, &observations)?;
                    }
                    Err(error) => {
                        let why = format!("cannot be sealed anew: {error}");
                        tracing::error!(epoch = old.epoch, sequence = old.sequence, why);
                        set_aside(transaction, &old, &why)?;
                    }
                }
            }
            Ok(epoch)
        })
    }

    /// What the spool holds.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn contents(&self) -> Result<Contents, SpoolError> {
        let rows = |table: &str| -> Result<u64, rusqlite::Error> {
            self.connection
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                    row.get::<_, i64>(0).map(i64::cast_unsigned)
                })
        };
        let counted = |name| -> Result<u64, rusqlite::Error> {
            Ok(read_counter(&self.connection, name)?
                .unwrap_or_default()
                .cast_unsigned())
        };
        Ok(Contents {
            observations: rows("observation")?,
            batches: rows("sealed")?,
            refused: counted(REFUSED)?,
            refused_kept: rows("refused")?,
            given_up: counted(GIVEN_UP)?,
            unreadable: counted(UNREADABLE)?,
        })
    }

    /// Commits a transaction that is on the disk when this returns.
    fn durably<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        // In WAL mode only FULL syncs at every commit, and with it all commits before.
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let done = transact(&mut self.connection, work);
        self.connection
            .pragma_update(None, "synchronous", "NORMAL")?;
        done
    }
}

fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, SpoolError>,
) -> Result<T, SpoolError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// The oldest sealed batches, at most `limit`; all where it is negative.
fn sealed_batches(
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

/// Takes the oldest observations out, as many as one batch holds.
fn take_waiting(transaction: &Transaction<'_>) -> Result<Vec<Observation>, SpoolError> {
    loop {
        let mut last_id = None;
        let (mut bytes, mut unreadable) = (0, 0);
        let mut observations: Vec<Observation> = Vec::new();
        {
            let mut statement = transaction
                .prepare_cached("SELECT id, json FROM observation ORDER BY id LIMIT ?1")?;
            let mut rows = statement.query(params![MAX_OBSERVATIONS])?;
            while let Some(row) = rows.next()? {
                let json = row.get_ref(1)?.as_bytes().unwrap_or_default();
                bytes += json.len() + CHUNK_BYTES;
                if bytes > MAX_SEALED_BYTES && !observations.is_empty() {
                    break;
                }
                last_id = Some(row.get::<_, i64>(0)?);
                match serde_json::from_slice::<Observation>(json) {
                    // What a batch cannot hold would keep all others back.
                    Ok(observation) if observation.at.0 < 0 => {
                        unreadable += 1;
                        tracing::warn!(
                            at = observation.at.0,
                            "an observation from before 1970 is left out"
                        );
                    }
                    Ok(observation) => observations.push(observation),
                    Err(error) => {
                        unreadable += 1;
                        tracing::warn!(%error, "an observation in the spool cannot be read and is left out");
                    }
                }
            }
        }
        let Some(last_id) = last_id else {
            return Ok(observations);
        };
        transaction.execute("DELETE FROM observation WHERE id <= ?1", params![last_id])?;
        if unreadable > 0 {
            count(transaction, UNREADABLE, unreadable)?;
        }
        if !observations.is_empty() {
            return Ok(observations);
        }
    }
}

/// Makes a batch with the next number, which names the one before, and keeps its bytes.
fn seal(
    transaction: &Transaction<'_>,
    sealer: &Sealer<'_>,
    observations: &[Observation],
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
    let batch = sealer.key.sign(Batch::new(&link, observations)?);
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

fn delete_sealed(
    transaction: &Transaction<'_>,
    batch: &SealedBatch,
) -> Result<(), rusqlite::Error> {
    transaction.execute(
        "DELETE FROM sealed WHERE epoch = ?1 AND sequence = ?2",
        params![batch.epoch.cast_signed(), batch.sequence.cast_signed()],
    )?;
    Ok(())
}

fn set_aside(
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

/// Starts an epoch that is later than every one before, even where the clock was set back, and lets
/// its batches count from 1.
fn start_epoch(transaction: &Transaction<'_>, now: UnixMillis) -> Result<u64, rusqlite::Error> {
    let epoch: i64 = transaction.query_row(
        "INSERT INTO counter (name, value)
         VALUES (?1, max(?2, 1 + coalesce((SELECT max(epoch) FROM sealed), 0)))
         ON CONFLICT (name) DO UPDATE SET value = max(excluded.value, value + 1) RETURNING value",
        params![EPOCH, now.0],
        |row| row.get(0),
    )?;
    transaction.execute("DELETE FROM counter WHERE name = ?1", params![SEQUENCE])?;
    transaction.execute("DELETE FROM chain_head", [])?;
    Ok(epoch.cast_unsigned())
}

fn read_counter(connection: &Connection, name: &str) -> Result<Option<i64>, rusqlite::Error> {
    connection
        .query_row(
            "SELECT value FROM counter WHERE name = ?1",
            params![name],
            |row| row.get(0),
        )
        .optional()
}

/// Adds to a named counter and gives its new value.
fn count(connection: &Connection, name: &str, add: i64) -> Result<i64, rusqlite::Error> {
    connection.query_row(
        "INSERT INTO counter (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = value + ?2 RETURNING value",
        params![name, add],
        |row| row.get(0),
    )
}

#[cfg(test)]
mod tests;
