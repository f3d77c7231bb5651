//! The ledger: a batch is stored once.

use messnetz_metric::{Medium, Observation, Outcome, UnixMillis};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Store, StoreError};
use crate::wire::AgentId;
use crate::wire::batch::{Batch, Digest, Header};

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored now.
    New,
    /// The same batch was stored before: acknowledged again, stored once.
    Duplicate {
        /// When it was stored.
        received_at: UnixMillis,
    },
    /// Another batch was stored under the same number, or one before or after it that is not of the same
    /// chain: a cloned card or a restored backup. Nothing of the batch was stored, but that it came was.
    Fork,
}

/// That an agent's numbers came twice with different content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forked {
    /// Where it measures.
    pub site: String,
    /// Whose numbers.
    pub agent: AgentId,
    /// How often.
    pub times: u64,
    /// When last.
    pub last: UnixMillis,
}

impl Store {
    /// Stores a verified batch with all its observations, or nothing of it.
    ///
    /// # Errors
    /// Where the database refuses; then nothing is stored.
    pub fn store_batch(&mut self, batch: &Batch, now: UnixMillis) -> Result<Stored, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let (header, hash) = (batch.header(), batch.hash());
        // No batch has larger numbers.
        let (epoch, sequence) = (header.epoch.cast_signed(), header.sequence.cast_signed());
        let known: Option<(Vec<u8>, i64)> = transaction
            .query_row(
                "SELECT hash, received_at FROM batch
                 WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND sequence = ?4",
                params![header.site, header.agent.as_str(), epoch, sequence],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let is_fork = match known {
            Some((known, received_at)) if known == hash.as_bytes() => {
                let received_at = UnixMillis(received_at);
                return Ok(Stored::Duplicate { received_at });
            }
            Some(_) => true,
            None => breaks_the_chain(&transaction, header, &hash)?,
        };
        if is_fork {
            transaction.execute(
                "INSERT INTO fork (site, agent, times, last_at) VALUES (?1, ?2, 1, ?3)
                 ON CONFLICT (site, agent)
                 DO UPDATE SET times = times + 1, last_at = excluded.last_at",
                params![header.site, header.agent.as_str(), now.0],
            )?;
            transaction.commit()?;
            return Ok(Stored::Fork);
        }
        store_evidence(&transaction, batch, now)?;
        for (position, observation) in batch.observations().enumerate() {
            let series = series_id(&transaction, header, observation)?;
            let (value, failure, detail) = match &observation.outcome {
                Outcome::Value(value) => (Some(value.number()), None, None),
                Outcome::Failed(failure) => (
                    None,
                    Some(failure.reason.name()),
                    Some(failure.detail.as_str()),
                ),
            };
            transaction
                .prepare_cached(
                    "INSERT INTO sample (site, series, at, agent, epoch, sequence, position, value, failure, detail)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    header.site,
                    series,
                    observation.at.0,
                    header.agent.as_str(),
                    epoch,
                    sequence,
                    position.cast_signed() as i64,
                    value,
                    failure,
                    detail
                ])?;
        }
        transaction.commit()?;
        Ok(Stored::New)
    }

    /// A batch as it came, without what was pruned since; `None` where there is no such batch, or only in
    /// a form that left no evidence.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub fn batch(
        &self,
        site: &str,
        agent: &AgentId,
        epoch: u64,
        sequence: u64,
    ) -> Result<Option<Batch>, StoreError> {
        let key = params![
            site,
            agent.as_str(),
            epoch.cast_signed(),
            sequence.cast_signed()
        ];
        let header: Option<(String, Vec<u8>)> = self
            .connection
            .query_row(
                "SELECT header, signature FROM batch
                 WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND sequence = ?4
                 AND header IS NOT NULL AND signature IS NOT NULL",
                key,
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let Some((header, signature)) = header else {
            return Ok(None);
        };
        let chunks: Vec<([u8; 32], Option<String>)> = self
            .connection
            .prepare_cached(
                "SELECT digest, content FROM chunk
                 WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND sequence = ?4 ORDER BY position",
            )?
            .query_map(key, |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let chunks: Vec<_> = chunks
            .iter()
            .map(|(digest, content)| (Digest::from_bytes(*digest), content.as_deref()))
            .collect();
        Batch::of_parts(&header, &signature, &chunks)
            .map(Some)
            .map_err(|error| StoreError::Damaged {
                what: "a batch",
                why: error.to_string(),
            })
    }

    /// Every agent whose numbers came twice with different content: each is an alarm.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub fn forks(&self) -> Result<Vec<Forked>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT site, agent, times, last_at FROM fork ORDER BY site, agent")?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, i64>(3)?,
            ))
        })?;
        rows.map(|row| {
            let (site, agent, times, last) = row?;
            let agent = AgentId::try_from(agent).map_err(|why| StoreError::Damaged {
                what: "an agent's name",
                why,
            })?;
            Ok(Forked {
                site,
                agent,
                times: times.unsigned_abs(),
                last: UnixMillis(last),
            })
        })
        .collect()
    }
}

/// Whether a batch that is known names another one before it, or is named by the one after it otherwise.
fn breaks_the_chain(
    transaction: &Transaction<'_>,
    header: &Header,
    hash: &Digest,
) -> Result<bool, StoreError> {
    let previous = header.previous.as_ref().map(Digest::as_bytes);
    // What was taken in an older form names nothing, and is named by nothing.
    let breaks = transaction
        .prepare_cached(
            "SELECT EXISTS (
                 SELECT 1 FROM batch WHERE site = ?1 AND agent = ?2 AND epoch = ?3
                 AND header IS NOT NULL
                 AND ((sequence = ?4 - 1 AND hash IS NOT ?5) OR (sequence = ?4 + 1 AND previous IS NOT ?6)))",
        )?
        .query_row(
            params![
                header.site,
                header.agent.as_str(),
                header.epoch.cast_signed(),
                header.sequence.cast_signed(),
                previous,
                hash.as_bytes()
            ],
            |row| row.get(0),
        )?;
    Ok(breaks)
}

/// Stores the header of a batch and its chunks as they came.
fn store_evidence(
    transaction: &Transaction<'_>,
    batch: &Batch,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let header = batch.header();
    let (epoch, sequence) = (header.epoch.cast_signed(), header.sequence.cast_signed());
    transaction
        .prepare_cached(
            "INSERT INTO batch (site, agent, epoch, sequence, hash, received_at, previous, header, signature)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            header.site,
            header.agent.as_str(),
            epoch,
            sequence,
            batch.hash().as_bytes(),
            now.0,
            header.previous.as_ref().map(Digest::as_bytes),
            batch.header_text(),
            batch.signature()
        ])?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO chunk (site, agent, epoch, sequence, position, digest, content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for (position, chunk) in batch.chunks().iter().enumerate() {
        statement.execute(params![
            header.site,
            header.agent.as_str(),
            epoch,
            sequence,
            position.cast_signed() as i64,
            chunk.digest.as_bytes(),
            chunk.text()
        ])?;
    }
    Ok(())
}

/// The series that an observation belongs to; made where it is the first of its kind.
fn series_id(
    transaction: &Transaction<'_>,
    header: &Header,
    observation: &Observation,
) -> Result<i64, StoreError> {
    let metric = observation.metric.to_string();
    let interface = observation.vantage.interface.as_deref().unwrap_or_default();
    let medium = medium_name(observation.vantage.medium);
    let key = params![
        header.site,
        header.agent.as_str(),
        metric,
        observation.peer,
        interface,
        medium
    ];
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO series (site, agent, metric, peer, interface, medium)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(key)?;
    Ok(transaction
        .prepare_cached(
            "SELECT id FROM series
             WHERE site = ?1 AND agent = ?2 AND metric = ?3 AND peer = ?4 AND interface = ?5 AND medium = ?6",
        )?
        .query_row(key, |row| row.get(0))?)
}

/// The name of a medium in the store.
pub(super) const fn medium_name(medium: Medium) -> &'static str {
    match medium {
        Medium::Wired => "wired",
        Medium::Wlan => "wlan",
        Medium::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use messnetz_metric::{
        BitRate, Direction, Failure, FailureReason, Metric, Quantity, Segment, Value, Vantage,
    };

    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;
    use crate::store::tests::store;
    use crate::wire::CollectorId;
    use crate::wire::batch::{Link, Standing};

    const EVER: RangeInclusive<UnixMillis> = UnixMillis(0)..=UnixMillis(i64::MAX);
    const SITE: &str = "XX-100001/main";

    fn key() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap()
    }

    fn agent() -> AgentId {
        AgentId::of_key(key().public_key().as_ref())
    }

    /// A batch with a value and a failure, after `previous`; `mbps` tells it from others of the number.
    fn batch_after(previous: Option<&Batch>, mbps: u64) -> Batch {
        let metric = Metric::new(Segment::Line, Quantity::Goodput(Direction::Down));
        let observation = |at, outcome| {
            Observation::new(
                metric,
                UnixMillis(at),
                Vantage::default(),
                "collector",
                outcome,
            )
        };
        let link = Link {
            collector: CollectorId::of_key(&[9; 32]),
            agent: agent(),
            site: SITE.to_owned(),
            epoch: 1,
            sequence: previous.map_or(0, |batch| batch.header().sequence) + 1,
            previous: previous.map(Batch::hash),
        };
        let value = Value::Rate(BitRate::from_bps(mbps * 1_000_000));
        let failure = Failure::new(FailureReason::Timeout, "no answer");
        let observations = [
            observation(1, Outcome::Value(value)),
            observation(2, Outcome::Failed(failure)),
        ];
        Batch::new(&link, &observations)
            .unwrap()
            .signed_with(&key())
    }

    fn keep(store: &mut Store, batch: &Batch, now: i64) -> Stored {
        store.store_batch(batch, UnixMillis(now)).unwrap()
    }

    #[test]
    fn a_batch_that_comes_twice_is_stored_once() {
        let (_folder, mut store) = store();
        let batch = batch_after(None, 95);
        assert_eq!(keep(&mut store, &batch, 5), Stored::New);
        let received_at = UnixMillis(5);
        assert_eq!(
            keep(&mut store, &batch, 6),
            Stored::Duplicate { received_at }
        );
        let series = store.series_of_site(SITE, EVER).unwrap();
        assert_eq!(series.len(), 1);
        assert_eq!((series[0].samples.len(), series[0].failures.len()), (1, 1));
    }

    #[test]
    fn another_batch_under_the_same_number_is_a_fork_and_is_not_stored() {
        let (_folder, mut store) = store();
        keep(&mut store, &batch_after(None, 95), 5);
        assert_eq!(keep(&mut store, &batch_after(None, 96), 6), Stored::Fork);
        let series = store.series_of_site(SITE, EVER).unwrap();
        assert_eq!(series[0].samples.len(), 1);
    }

    #[test]
    fn a_batch_of_another_chain_is_a_fork_whichever_comes_first() {
        let (first, other) = (batch_after(None, 95), batch_after(None, 96));
        let second = batch_after(Some(&other), 97);
        for (one, after) in [(&first, &second), (&second, &first)] {
            let (_folder, mut store) = store();
            assert_eq!(keep(&mut store, one, 5), Stored::New);
            assert_eq!(keep(&mut store, after, 6), Stored::Fork);
        }
    }

    #[test]
    fn late_batches_of_one_chain_are_taken_in_any_order() {
        let (_folder, mut store) = store();
        let first = batch_after(None, 95);
        let second = batch_after(Some(&first), 96);
        let third = batch_after(Some(&second), 97);
        for batch in [&third, &first, &second] {
            assert_eq!(keep(&mut store, batch, 5), Stored::New);
        }
        assert_eq!(store.forks().unwrap(), []);
    }

    #[test]
    fn a_refused_fork_is_kept_as_an_alarm() {
        let (_folder, mut store) = store();
        assert_eq!(store.forks().unwrap(), []);
        for (mbps, at) in [(1, 5), (2, 6), (3, 7), (1, 8)] {
            keep(&mut store, &batch_after(None, mbps), at);
        }
        let forked = Forked {
            site: SITE.to_owned(),
            agent: agent(),
            times: 2,
            last: UnixMillis(7),
        };
        assert_eq!(store.forks().unwrap(), [forked]);
    }

    #[test]
    fn a_batch_comes_back_as_it_came_and_what_is_left_of_it_verifies_when_a_chunk_is_gone() {
        let (_folder, mut store) = store();
        let batch = batch_after(None, 95);
        keep(&mut store, &batch, 5);
        let back = |store: &Store| store.batch(SITE, &agent(), 1, 1).unwrap().unwrap();
        assert_eq!(back(&store), batch);
        assert_eq!(store.batch(SITE, &agent(), 1, 2).unwrap(), None);
        let prune = "UPDATE chunk SET content = NULL";
        store.connection.execute(prune, []).unwrap();
        let left = back(&store);
        assert_eq!(left.chunks()[0].standing(), Standing::Pruned);
        assert!(left.root_holds() && left.is_signed_by(key().public_key().as_ref()));
    }

    #[test]
    fn what_was_taken_in_an_older_form_stays_and_has_no_evidence() {
        let (_folder, mut store) = store();
        let old = "INSERT INTO batch (site, agent, epoch, sequence, hash, received_at)
                   VALUES (?1, ?2, 1, 1, x'00', 1)";
        let agent = agent();
        store
            .connection
            .execute(old, params![SITE, agent.as_str()])
            .unwrap();
        assert_eq!(store.batch(SITE, &agent, 1, 1).unwrap(), None);
        let second = batch_after(Some(&batch_after(None, 95)), 96);
        assert_eq!(keep(&mut store, &second, 5), Stored::New);
    }
}
