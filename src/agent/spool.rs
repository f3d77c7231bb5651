//! The spool: keeps what was measured until the collector has committed it.
//!
//! Observations are written at once. When they are to be uploaded they are sealed into a numbered
//! batch, byte for byte as it will be sent, so that every attempt sends the same bytes under the same
//! number. A batch leaves the spool only when it has been acknowledged.

use std::path::Path;
use std::time::Duration;

use messnetz_metric::Observation;
use rusqlite::{Connection, OptionalExtension as _, params};
use thiserror::Error;

use crate::wire::{AgentId, BATCH_FORMAT, Batch, MAX_OBSERVATIONS};

/// Most observations that wait unsealed; beyond it the oldest are given up, and counted. At one
/// observation a second this is a week without the collector.
const MAX_WAITING: i64 = 600_000;

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS observation (id INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS sealed (
        epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (epoch, sequence)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
";

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
    /// An observation cannot be written as JSON, or read back.
    #[error("an observation in the spool")]
    Json(#[from] serde_json::Error),
}

/// A batch that waits for its acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBatch {
    /// Epoch of the batch.
    pub epoch: u64,
    /// Its number.
    pub sequence: u64,
    /// The exact bytes to send.
    pub body: Vec<u8>,
}

impl Spool {
    /// Opens the spool in this file; makes it where it is missing.
    ///
    /// # Errors
    /// Where the file cannot be opened or is no spool.
    pub fn open(path: &Path) -> Result<Self, SpoolError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A killed agent loses nothing; a power cut costs what the operating system had not written
        // yet. Syncing each observation would wear a flash card out.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(SCHEMA)?;
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
            count(&transaction, "given-up", given_up.cast_signed() as i64)?;
            tracing::warn!(
                given_up,
                "the spool is full: the oldest observations were given up"
            );
        }
        transaction.commit()?;
        Ok(())
    }

    /// The oldest batch that is not acknowledged; seals waiting observations into one where there is
    /// none. `None` where nothing waits.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn next_batch(
        &mut self,
        agent: &AgentId,
        site: &str,
        epoch: u64,
    ) -> Result<Option<SealedBatch>, SpoolError> {
        let transaction = self.connection.transaction()?;
        let sealed = transaction
            .query_row(
                "SELECT epoch, sequence, body FROM sealed ORDER BY epoch, sequence LIMIT 1",
                [],
                |row| {
                    Ok(SealedBatch {
                        epoch: row.get::<_, i64>(0)?.cast_unsigned(),
                        sequence: row.get::<_, i64>(1)?.cast_unsigned(),
                        body: row.get(2)?,
                    })
                },
            )
            .optional()?;
        if sealed.is_some() {
            return Ok(sealed);
        }

        let mut last_id = 0_i64;
        let mut observations: Vec<Observation> = Vec::new();
        {
            let mut statement = transaction
                .prepare_cached("SELECT id, json FROM observation ORDER BY id LIMIT ?1")?;
            let mut rows = statement.query(params![MAX_OBSERVATIONS])?;
            while let Some(row) = rows.next()? {
                last_id = row.get(0)?;
                observations.push(serde_json::from_str(&row.get::<_, String>(1)?)?);
            }
        }
        if observations.is_empty() {
            return Ok(None);
        }
        let sequence = count(&transaction, "sequence", 1)?.cast_unsigned();
        let batch = Batch {
            format: BATCH_FORMAT.to_owned(),
            agent: agent.clone(),
            site: site.to_owned(),
            epoch,
            sequence,
            observations,
        };
        let body = serde_json::to_vec(&batch)?;
        transaction.execute(
            "INSERT INTO sealed (epoch, sequence, body) VALUES (?1, ?2, ?3)",
            params![epoch.cast_signed(), sequence.cast_signed(), body],
        )?;
        transaction.execute("DELETE FROM observation WHERE id <= ?1", params![last_id])?;
        transaction.commit()?;
        Ok(Some(SealedBatch {
            epoch,
            sequence,
            body,
        }))
    }

    /// Lets go of a batch that the collector has committed.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn acknowledged(&self, epoch: u64, sequence: u64) -> Result<(), SpoolError> {
        self.connection.execute(
            "DELETE FROM sealed WHERE epoch = ?1 AND sequence = ?2",
            params![epoch.cast_signed(), sequence.cast_signed()],
        )?;
        Ok(())
    }

    /// How many observations and how many sealed batches wait.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn waiting(&self) -> Result<(u64, u64), SpoolError> {
        Ok(self.connection.query_row(
            "SELECT (SELECT count(*) FROM observation), (SELECT count(*) FROM sealed)",
            [],
            |row| {
                Ok((
                    row.get::<_, i64>(0)?.cast_unsigned(),
                    row.get::<_, i64>(1)?.cast_unsigned(),
                ))
            },
        )?)
    }
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
mod tests {
    use messnetz_metric::{Metric, Micros, Outcome, Quantity, Segment, UnixMillis, Value, Vantage};

    use super::*;

    const SITE: &str = "XX-100001/main";

    fn observation(at: i64) -> Observation {
        Observation {
            metric: Metric::new(Segment::Line, Quantity::Rtt),
            at: UnixMillis(at),
            vantage: Vantage::default(),
            peer: "collector".to_owned(),
            outcome: Outcome::Value(Value::Time(Micros::from_micros(12_000))),
        }
    }

    fn spool() -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(&folder.path().join("spool.db")).unwrap();
        (folder, spool)
    }

    #[test]
    fn every_attempt_sends_the_same_bytes_under_the_same_number() {
        let (_folder, mut spool) = spool();
        let agent = AgentId::of_key(&[1; 32]);
        spool.keep(&[observation(1)]).unwrap();
        let first = spool.next_batch(&agent, SITE, 1).unwrap().unwrap();
        spool.keep(&[observation(2)]).unwrap();
        assert_eq!(spool.next_batch(&agent, SITE, 1).unwrap().unwrap(), first);
    }

    #[test]
    fn a_batch_leaves_only_when_it_is_acknowledged() {
        let (folder, mut spool) = spool();
        let agent = AgentId::of_key(&[1; 32]);
        spool.keep(&[observation(1), observation(2)]).unwrap();
        let batch = spool.next_batch(&agent, SITE, 1).unwrap().unwrap();
        drop(spool);
        let mut spool = Spool::open(&folder.path().join("spool.db")).unwrap();
        assert_eq!(spool.waiting().unwrap(), (0, 1));
        spool.acknowledged(batch.epoch, batch.sequence).unwrap();
        assert_eq!(spool.next_batch(&agent, SITE, 1).unwrap(), None);
    }

    #[test]
    fn numbers_go_on_without_gaps_after_a_restart() {
        let (folder, mut spool) = spool();
        let agent = AgentId::of_key(&[1; 32]);
        for expected in 1..=3 {
            spool.keep(&[observation(expected)]).unwrap();
            let batch = spool.next_batch(&agent, SITE, 1).unwrap().unwrap();
            assert_eq!(batch.sequence, expected as u64);
            spool.acknowledged(batch.epoch, batch.sequence).unwrap();
            drop(spool);
            spool = Spool::open(&folder.path().join("spool.db")).unwrap();
        }
    }
}
