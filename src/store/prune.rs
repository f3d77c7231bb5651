//! Pruning: what is older than the operator keeps gives way to roll-ups and a signed tombstone.

use std::ops::RangeInclusive;

use messnetz_metric::UnixMillis;
use rusqlite::{OptionalExtension as _, TransactionBehavior, params};
use serde::Serialize;

use super::rolled::Rolled;
use super::segment::{self, Beginning, Kept, Pruned};
use super::{Connected, StoreError};
use crate::wire::batch::Digest;
use crate::wire::{AgentId, CollectorId, SignedTombstone, Tombstone};

/// Who signs what is taken out.
pub trait TombstoneSigner {
    /// Its name: nothing is pruned that was sent to another collector.
    fn id(&self) -> CollectorId;

    /// A tombstone, signed.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    fn sign(&self, tombstone: &Tombstone) -> Result<SignedTombstone, serde_json::Error>;
}

/// What is old enough to be pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Prunable {
    /// Segments.
    pub segments: u64,
    /// All samples that they have: some of them may stay.
    pub samples: u64,
    /// Bytes of their evidence and samples.
    pub bytes: u64,
}

/// What was pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Segments.
    pub segments: u64,
    /// Samples that were taken out of them.
    pub samples: u64,
    /// Bytes of their evidence and samples before.
    pub bytes_before: u64,
    /// Bytes of their evidence, samples, roll-ups and tombstones after.
    pub bytes_after: u64,
    /// Segments that were left as they are, since they do not hold or are another collector's: see
    /// `messnetz collector store check`.
    pub left: u64,
}

/// A segment that is old enough.
#[derive(Clone, Debug)]
pub(super) struct Outdated {
    site: String,
    agent: String,
    epoch: i64,
    from: i64,
    to: i64,
    hash: [u8; 32],
    first_at: Option<i64>,
    last_at: Option<i64>,
    observations: i64,
    bytes: i64,
}

/// What is left of a segment, on its way into the store.
#[derive(Debug)]
pub(super) struct Replacement {
    old: Outdated,
    pruned: Pruned,
    tombstone: String,
}

/// What is written down of a segment that was pruned.
#[derive(Debug)]
pub(super) struct PruneRecord {
    rolled: Vec<u8>,
    tombstone: String,
}

impl Connected {
    /// The segments that nothing newer is in, nor came later, and that were not pruned yet.
    pub(super) fn outdated(&self, before: UnixMillis) -> Result<Vec<Outdated>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT site, agent, epoch, from_sequence, to_sequence, hash, first_at, last_at,
                    observations, length(evidence) + length(samples)
             FROM segment
             WHERE received_at < ?1 AND coalesce(last_at, received_at) < ?1
             AND NOT EXISTS (
                 SELECT 1 FROM pruned WHERE pruned.site = segment.site AND pruned.agent = segment.agent
                 AND pruned.epoch = segment.epoch AND pruned.from_sequence = segment.from_sequence)
             ORDER BY site, agent, epoch, from_sequence",
        )?;
        let old = statement.query_map([before.0], |row| {
            Ok(Outdated {
                site: row.get(0)?,
                agent: row.get(1)?,
                epoch: row.get(2)?,
                from: row.get(3)?,
                to: row.get(4)?,
                hash: row.get(5)?,
                first_at: row.get(6)?,
                last_at: row.get(7)?,
                observations: row.get(8)?,
                bytes: row.get(9)?,
            })
        })?;
        Ok(old.collect::<Result<_, _>>()?)
    }

    /// How much that is.
    pub(super) fn prunable(&self, before: UnixMillis) -> Result<Prunable, StoreError> {
        let mut found = Prunable::default();
        for old in self.outdated(before)? {
            found.segments += 1;
            found.samples += old.observations.unsigned_abs();
            found.bytes += old.bytes.unsigned_abs();
        }
        Ok(found)
    }

    /// What would be left of a segment; `None` where it does not hold, or is another collector's: whoever takes
    /// samples out vouches for them.
    pub(super) fn replacement(
        &self,
        old: Outdated,
        (before, now): (UnixMillis, UnixMillis),
        by: &dyn TombstoneSigner,
    ) -> Result<Option<Replacement>, StoreError> {
        let _view = self.connection.unchecked_transaction()?;
        let key: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT public_key FROM agent WHERE id = ?1")?
            .query_row([&old.agent], |row| row.get(0))
            .optional()?;
        let Some(key) = key.filter(|key| AgentId::of_key(key).as_str() == old.agent) else {
            return Ok(None);
        };
        let mut batches: Vec<Kept> = Vec::new();
        let ours = by.id();
        let opened = self.open_segment(&old.site, &old.agent, old.epoch, old.from, |kept| {
            let batch = &kept.batch;
            let holds = batch.is_whole()
                && batch.is_signed_by(&key)
                && batch.header().collector == ours
                && batch.header().site == old.site;
            batches.push(kept);
            holds
        });
        let beginning: Beginning = match opened {
            Ok((beginning, true)) => beginning,
            Ok((_, false)) | Err(StoreError::Damaged { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let last = batches.last();
        if last.is_none_or(|last| *last.batch.hash().as_bytes() != old.hash) {
            return Ok(None);
        }
        let numbers = self.numbers(&old.site, &old.agent)?;
        let pruned = segment::prune(
            &batches,
            beginning,
            |series| numbers.number(series),
            |number| numbers.series(number),
        );
        let pruned = pruned.ok_or_else(|| StoreError::Damaged {
            what: "a segment",
            why: format!(
                "that of agent {} from {} of epoch {} would not keep its headers as they are",
                old.agent, old.from, old.epoch
            ),
        })?;
        let signed = by.sign(&Tombstone {
            site: old.site.clone(),
            agent: AgentId::of_key(&key),
            epoch: old.epoch.cast_unsigned(),
            from: old.from.cast_unsigned(),
            to: old.to.cast_unsigned(),
            hash: Digest::from_bytes(old.hash),
            first_at: old.first_at.map(UnixMillis),
            last_at: old.last_at.map(UnixMillis),
            observations: pruned.observations,
            rolled: Digest::of(&pruned.rolled),
            before,
            pruned_at: now,
        });
        let written = signed.and_then(|signed| serde_json::to_string(&signed));
        let tombstone = written.map_err(|error| StoreError::Pack(error.into()))?;
        Ok(Some(Replacement {
            old,
            pruned,
            tombstone,
        }))
    }

    /// Puts what is left in the place of a segment; whether that was still there as it was.
    pub(super) fn put_in_place(&mut self, replacement: &Replacement) -> Result<bool, StoreError> {
        let Replacement {
            old,
            pruned,
            tombstone,
        } = replacement;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let replaced = transaction.execute(
            "UPDATE segment SET evidence = ?5, samples = ?6
             WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND from_sequence = ?4
             AND to_sequence = ?7 AND hash = ?8",
            params![
                old.site,
                old.agent,
                old.epoch,
                old.from,
                pruned.sealed.evidence,
                pruned.sealed.samples,
                old.to,
                old.hash
            ],
        )?;
        let noted = transaction.execute(
            "INSERT OR IGNORE INTO pruned VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                old.site,
                old.agent,
                old.epoch,
                old.from,
                pruned.rolled,
                tombstone
            ],
        )?;
        if (replaced, noted) != (1, 1) {
            // Somebody else pruned it; the transaction is rolled back.
            return Ok(false);
        }
        transaction.commit()?;
        Ok(true)
    }

    /// What was written down when this segment was pruned; `None` where it never was.
    pub(super) fn prune_record(
        &self,
        site: &str,
        agent: &str,
        epoch: i64,
        from: i64,
    ) -> Result<Option<PruneRecord>, StoreError> {
        let record = self
            .connection
            .prepare_cached(
                "SELECT rolled, tombstone FROM pruned
                 WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND from_sequence = ?4",
            )?
            .query_row(params![site, agent, epoch, from], |row| {
                Ok(PruneRecord {
                    rolled: row.get(0)?,
                    tombstone: row.get(1)?,
                })
            })
            .optional()?;
        Ok(record)
    }

    /// Hands the roll-ups of a site over, segment by segment, that have something of these times.
    pub(super) fn each_rolled(
        &self,
        site: &str,
        window: &RangeInclusive<UnixMillis>,
        mut take: impl FnMut(&str, Rolled) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT agent, rolled FROM segment JOIN pruned USING (site, agent, epoch, from_sequence)
             WHERE site = ?1 AND last_at >= ?2 AND first_at <= ?3 ORDER BY agent, epoch, from_sequence",
        )?;
        let mut rows = statement.query(params![site, window.start().0, window.end().0])?;
        while let Some(row) = rows.next()? {
            let agent: String = row.get(0)?;
            let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let rolled = Rolled::read(bytes).ok_or_else(|| StoreError::Damaged {
                what: "roll-ups",
                why: format!("some of agent {agent} hold none"),
            })?;
            take(&agent, rolled)?;
        }
        Ok(())
    }
}

impl Replacement {
    /// Adds what was taken out.
    pub(super) fn count(&self, removed: &mut Removed) {
        let after = [
            &self.pruned.sealed.evidence,
            &self.pruned.sealed.samples,
            &self.pruned.rolled,
        ];
        let after: usize = after.into_iter().map(Vec::len).sum();
        removed.segments += 1;
        removed.samples += self.pruned.observations;
        removed.bytes_before += self.old.bytes.unsigned_abs();
        removed.bytes_after += (after + self.tombstone.len()) as u64;
    }
}

impl PruneRecord {
    /// The tombstone, once it is known to be the word of this collector, and to be about these roll-ups.
    pub(super) fn tombstone(&self, collector: &CollectorId) -> Result<Tombstone, &'static str> {
        let signed: SignedTombstone =
            serde_json::from_str(&self.tombstone).map_err(|_| "its tombstone cannot be read")?;
        let tombstone = signed.verified(collector);
        let tombstone = tombstone.map_err(|_| "its collector did not sign its tombstone")?;
        if tombstone.rolled != Digest::of(&self.rolled) {
            return Err("its roll-ups are not those that its tombstone names");
        }
        Ok(tombstone)
    }
}

#[cfg(test)]
pub(super) mod tests;
