//! The tail: batches as they came, each one row, until they are sealed.

use std::ops::RangeInclusive;

use messnetz_metric::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::packed::{pack, unpack};
use super::{Connected, StoreError};
use crate::wire::AgentId;
use crate::wire::batch::{Batch, Chunk, Digest};

/// A verified batch on its way into the store.
#[derive(Debug)]
pub struct Arrival {
    pub(super) site: String,
    pub(super) agent: AgentId,
    pub(super) epoch: i64,
    pub(super) sequence: i64,
    pub(super) hash: Digest,
    pub(super) previous: Option<Digest>,
    pub(super) received_at: UnixMillis,
    pub(super) times: Option<(i64, i64)>,
    pub(super) observations: u16,
    pub(super) longest: usize,
    /// The document, packed.
    pub(super) document: Vec<u8>,
}

impl Arrival {
    /// A batch that arrived at this time.
    ///
    /// # Errors
    /// Where it cannot be packed.
    pub fn of(batch: &Batch, received_at: UnixMillis) -> Result<Self, StoreError> {
        let packed = pack(&batch.document())?;
        Ok(Self::packed(batch, packed, received_at))
    }

    /// The same for a batch whose document came packed with zstd: it is kept as it came.
    #[must_use]
    pub fn packed(batch: &Batch, document: Vec<u8>, received_at: UnixMillis) -> Self {
        let header = batch.header();
        Self {
            site: header.site.clone(),
            agent: header.agent.clone(),
            // No batch has larger numbers.
            epoch: header.epoch.cast_signed(),
            sequence: header.sequence.cast_signed(),
            hash: batch.hash(),
            previous: header.previous,
            received_at,
            times: times(batch),
            observations: header.observations,
            longest: batch.chunks().iter().map(Chunk::len).max().unwrap_or(0),
            document,
        }
    }

    /// How much memory it takes, in bytes.
    pub(super) const fn size(&self) -> usize {
        size_of::<Self>() + self.document.len()
    }
}

/// When the oldest and the newest sample of a batch were measured. What has no date is evidence, and of no time
/// that anything could be judged for.
pub(super) fn times(batch: &Batch) -> Option<(i64, i64)> {
    let dated = || batch.chunks().iter().filter(|_| batch.header().is_dated());
    let measured = || dated().flat_map(Chunk::times);
    Some((measured().min()?.0, measured().max()?.0))
}

/// Appends a row.
pub(super) fn append(connection: &Connection, arrival: &Arrival) -> Result<(), StoreError> {
    let key = (&arrival.site, arrival.agent.as_str());
    connection
        .prepare_cached("INSERT INTO document VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            key.0,
            key.1,
            arrival.epoch,
            arrival.sequence,
            arrival.document
        ])?;
    connection
        .prepare_cached(
            "INSERT INTO tail (site, agent, epoch, sequence, hash, previous, received_at,
                               first_at, last_at, observations, longest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            key.0,
            key.1,
            arrival.epoch,
            arrival.sequence,
            arrival.hash.as_bytes(),
            arrival.previous.as_ref().map(Digest::as_bytes),
            arrival.received_at.0,
            arrival.times.map(|(first, _)| first),
            arrival.times.map(|(_, last)| last),
            arrival.observations,
            arrival.longest.cast_signed() as i64,
        ])?;
    Ok(())
}

impl Connected {
    /// A batch of the tail.
    pub(super) fn batch_of_tail(
        &self,
        site: &str,
        agent: &str,
        epoch: i64,
        sequence: i64,
    ) -> Result<Option<Batch>, StoreError> {
        let packed: Option<Vec<u8>> = self
            .connection
            .prepare_cached(
                "SELECT packed FROM tail JOIN document USING (site, agent, epoch, sequence)
                 WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND sequence = ?4",
            )?
            .query_row(params![site, agent, epoch, sequence], |row| row.get(0))
            .optional()?;
        packed.map(|packed| read(&packed)).transpose()
    }

    /// Hands each batch of a site's tail over that has samples of these times, by agent and number.
    pub(super) fn each_of_tail(
        &self,
        site: &str,
        window: &RangeInclusive<UnixMillis>,
        mut take: impl FnMut(&Batch),
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT packed FROM tail JOIN document USING (site, agent, epoch, sequence)
             WHERE site = ?1 AND last_at >= ?2 AND first_at <= ?3 ORDER BY agent, epoch, sequence",
        )?;
        let mut rows = statement.query(params![site, window.start().0, window.end().0])?;
        while let Some(row) = rows.next()? {
            let packed = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            take(&read(packed)?);
        }
        Ok(())
    }
}

/// Reads a packed document.
pub(super) fn read(packed: &[u8]) -> Result<Batch, StoreError> {
    Batch::read(&unpack(packed)?).map_err(|error| StoreError::Damaged {
        what: "a batch",
        why: error.to_string(),
    })
}
