//! Holding what is judged against what agents signed: every chain from its first batch to its last.

use std::collections::HashMap;

use rusqlite::params;
use serde::Serialize;

use super::segment::Kept;
use super::{Connected, EnrolledAgent, StoreError, tail};
use crate::wire::batch::{Batch, Chunk, Digest};
use crate::wire::{AgentId, Tombstone};

/// Most faults of one agent that are named; all are counted.
const NAMED: usize = 20;

/// What was found of one agent at one site.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Where it measured.
    pub site: String,
    /// Who measured.
    pub agent: String,
    /// Batches that hold: signed by the agent, each naming the one before, their samples as they were signed.
    pub batches: u64,
    /// Samples in them.
    pub samples: u64,
    /// Samples that were pruned: the batches hold, and the collector signed what was taken out of them.
    pub pruned: u64,
    /// Samples that were taken in an older form, which left no evidence.
    pub without_evidence: u64,
    /// Numbers that are not there.
    pub gaps: Vec<Gap>,
    /// How many batches do not hold.
    pub n_faults: u64,
    /// The first of them.
    pub faults: Vec<Fault>,
    /// The last batch of the latest epoch.
    pub head: Option<Head>,
}

impl Checked {
    /// Whether all is there and holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.n_faults == 0 && self.gaps.is_empty() && self.without_evidence == 0
    }
}

/// Batches of an epoch that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The epoch.
    pub epoch: u64,
    /// The first number.
    pub from: u64,
    /// The last number.
    pub to: u64,
}

/// A batch that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its epoch.
    pub epoch: u64,
    /// Its number.
    pub sequence: u64,
    /// What does not hold.
    pub why: &'static str,
}

/// The last batch of a chain: whoever wrote its hash down knows all that is before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Its epoch.
    pub epoch: u64,
    /// Its number.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
}

/// One row that holds batches.
struct Piece {
    epoch: i64,
    from: i64,
    to: i64,
    hash: [u8; 32],
    /// By which it is found for a window.
    times: Option<(i64, i64)>,
    is_sealed: bool,
}

/// A chain while it is walked.
struct Walk<'a> {
    found: Checked,
    key: Option<&'a [u8]>,
}

impl Connected {
    /// Walks the chains of all agents at all sites.
    pub(super) fn check(&self) -> Result<Vec<Checked>, StoreError> {
        let _view = self.connection.unchecked_transaction()?;
        let keys: HashMap<AgentId, EnrolledAgent> = self
            .agents()?
            .into_iter()
            .map(|agent| (agent.id.clone(), agent))
            .collect();
        let mut statement = self.connection.prepare(
            "SELECT site, agent FROM segment UNION SELECT site, agent FROM tail
             UNION SELECT site, agent FROM series ORDER BY 1, 2",
        )?;
        let known = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let known: Vec<(String, String)> = known.collect::<Result<_, _>>()?;
        known
            .into_iter()
            .map(|(site, agent)| {
                let enrolled = AgentId::try_from(agent.clone()).ok();
                let enrolled = enrolled.and_then(|id| keys.get(&id));
                // A key that does not make the agent's name is none of his.
                let key = enrolled
                    .map(|agent| &agent.public_key[..])
                    .filter(|key| AgentId::of_key(key).as_str() == agent);
                self.walk(site, agent, key)
            })
            .collect()
    }

    fn walk(&self, site: String, agent: String, key: Option<&[u8]>) -> Result<Checked, StoreError> {
        let without_evidence: i64 = self.connection.query_row(
            "SELECT count(*) FROM sample WHERE site = ?1 AND agent = ?2",
            [&site, &agent],
            |row| row.get(0),
        )?;
        let pieces = self.pieces(&site, &agent)?;
        let mut walk = Walk {
            found: Checked {
                site,
                agent,
                batches: 0,
                samples: 0,
                pruned: 0,
                without_evidence: without_evidence.cast_unsigned(),
                gaps: Vec::new(),
                n_faults: 0,
                faults: Vec::new(),
                head: None,
            },
            key,
        };
        for piece in pieces {
            self.walk_piece(&mut walk, &piece)?;
        }
        Ok(walk.found)
    }

    fn pieces(&self, site: &str, agent: &str) -> Result<Vec<Piece>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT epoch, from_sequence, to_sequence, hash, first_at, last_at, 1 FROM segment
             WHERE site = ?1 AND agent = ?2
             UNION ALL SELECT epoch, sequence, sequence, hash, first_at, last_at, 0 FROM tail
             WHERE site = ?1 AND agent = ?2 ORDER BY 1, 2",
        )?;
        let pieces = statement.query_map([site, agent], |row| {
            Ok(Piece {
                epoch: row.get(0)?,
                from: row.get(1)?,
                to: row.get(2)?,
                hash: row.get(3)?,
                times: row.get::<_, Option<i64>>(4)?.zip(row.get(5)?),
                is_sealed: row.get(6)?,
            })
        })?;
        Ok(pieces.collect::<Result<_, _>>()?)
    }

    fn walk_piece(&self, walk: &mut Walk<'_>, piece: &Piece) -> Result<(), StoreError> {
        let (site, agent) = (walk.found.site.clone(), walk.found.agent.clone());
        walk.gap_before(piece);
        let record = if piece.is_sealed {
            self.prune_record(&site, &agent, piece.epoch, piece.from)?
        } else {
            None
        };
        let mut next = piece.from;
        let pruned_before = walk.found.pruned;
        let mut collector = None;
        let mut times: Option<(i64, i64)> = None;
        let mut take = |batch: &Batch| {
            walk.take(piece.epoch, next, batch, record.is_some());
            next += 1;
            collector = Some(batch.header().collector.clone());
            let of_batch = tail::times(batch);
            times = match (times, of_batch) {
                (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
                (one, other) => one.or(other),
            };
        };
        if piece.is_sealed {
            let opened = self.open_segment(&site, &agent, piece.epoch, piece.from, |kept: Kept| {
                take(&kept.batch);
                true
            });
            match opened {
                Ok(_) => {}
                Err(StoreError::Damaged { .. }) => {
                    walk.fault(piece.epoch, next, "its segment cannot be read from here on");
                }
                Err(error) => return Err(error),
            }
        } else {
            let packed: Vec<u8> = self.connection.query_row(
                "SELECT packed FROM document
                 WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND sequence = ?4",
                params![site, agent, piece.epoch, piece.from],
                |row| row.get(0),
            )?;
            match tail::read(&packed) {
                Ok(batch) => take(&batch),
                Err(_) => walk.fault(piece.epoch, piece.from, "its document cannot be read"),
            }
        }
        if let Some(record) = &record {
            let pruned = walk.found.pruned - pruned_before;
            let mut fits = |tombstone: Tombstone| {
                // Of what is gone only the tombstone knows.
                times =
                    (tombstone.first_at.zip(tombstone.last_at)).map(|(one, two)| (one.0, two.0));
                let about = (tombstone.site.as_str(), tombstone.agent.as_str());
                let numbers = [tombstone.epoch, tombstone.from, tombstone.to];
                let of = [piece.epoch, piece.from, piece.to].map(i64::cast_unsigned);
                let same = about == (site.as_str(), agent.as_str())
                    && numbers == of
                    && *tombstone.hash.as_bytes() == piece.hash;
                match (same, tombstone.observations == pruned) {
                    (false, _) => Err("its tombstone is of others"),
                    (_, false) => Err("other samples are gone than its tombstone names"),
                    _ => Ok(()),
                }
            };
            let collector = collector.ok_or("it has no batches");
            let holds = collector.and_then(|collector| record.tombstone(&collector));
            if let Err(why) = holds.and_then(&mut fits) {
                walk.fault(piece.epoch, piece.to, why);
            }
        }
        if times != piece.times {
            walk.fault(
                piece.epoch,
                piece.to,
                "its times are not those that were noted",
            );
        }
        if walk.found.head.as_ref().is_none_or(|head| {
            (head.epoch, head.sequence) != (piece.epoch.cast_unsigned(), piece.to.cast_unsigned())
                || *head.hash.as_bytes() != piece.hash
        }) {
            walk.fault(piece.epoch, piece.to, "it is not the one that was noted");
        }
        Ok(())
    }
}

impl Walk<'_> {
    /// Notes what is missing before a piece.
    fn gap_before(&mut self, piece: &Piece) {
        let epoch = piece.epoch.cast_unsigned();
        let head = self.found.head.as_ref();
        let expected = head
            .filter(|head| head.epoch == epoch)
            .map_or(1, |head| head.sequence + 1);
        let from = piece.from.cast_unsigned();
        if from > expected {
            self.found.gaps.push(Gap {
                epoch,
                from: expected,
                to: from - 1,
            });
        }
    }

    /// Holds a batch against its signature, its number and the one before. Of one that was pruned not all samples
    /// need to be there.
    fn take(&mut self, epoch: i64, sequence: i64, batch: &Batch, is_pruned: bool) {
        let header = batch.header();
        let at = (epoch.cast_unsigned(), sequence.cast_unsigned());
        let before = self.found.head.replace(Head {
            epoch: at.0,
            sequence: at.1,
            hash: batch.hash(),
        });
        let before = before.filter(|head| (head.epoch, head.sequence + 1) == at);
        let why = if (header.epoch, header.sequence) != at
            || header.site != self.found.site
            || header.agent.as_str() != self.found.agent
        {
            Some("it is another batch than this one")
        } else if self.key.is_none() {
            Some("the key of its agent is not there")
        } else if !self.key.is_some_and(|key| batch.is_signed_by(key)) {
            Some("its agent did not sign this")
        } else if !(batch.is_whole() || is_pruned && batch.what_is_there_holds()) {
            Some("its samples are not those that were signed")
        } else if before.is_some_and(|before| header.previous != Some(before.hash)) {
            Some("it does not name the batch before it")
        } else {
            None
        };
        if let Some(why) = why {
            self.fault(epoch, sequence, why);
        } else {
            self.found.batches += 1;
            let there: usize = batch.chunks().iter().map(Chunk::len).sum();
            self.found.samples += there as u64;
            self.found.pruned += u64::from(header.observations).saturating_sub(there as u64);
        }
    }

    fn fault(&mut self, epoch: i64, sequence: i64, why: &'static str) {
        self.found.n_faults += 1;
        if self.found.faults.len() < NAMED {
            self.found.faults.push(Fault {
                epoch: epoch.cast_unsigned(),
                sequence: sequence.cast_unsigned(),
                why,
            });
        }
    }
}

#[cfg(test)]
mod tests;
