//! The ledger: a batch is stored once.

use messnetz_metric::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::agents::Closed;
use super::segment::Kept;
use super::{Arrival, Connected, StoreError, agents, runs, tail};
use crate::wire::AgentId;
use crate::wire::batch::{Batch, Digest};

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

/// The batches of the segment that was opened last.
#[derive(Debug, Default)]
pub(super) struct Near {
    segment: Option<(String, i64, i64)>,
    batches: Vec<Batch>,
}

impl Connected {
    /// Stores verified batches in one transaction, each with all that it holds, or nothing of any.
    ///
    /// # Errors
    /// Where the database refuses; then nothing is stored.
    pub(super) fn append(&self, arrivals: &[Arrival]) -> Result<Vec<Stored>, StoreError> {
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let stored = arrivals
            .iter()
            .map(|arrival| self.append_within(arrival))
            .collect::<Result<_, _>>()?;
        transaction.commit()?;
        Ok(stored)
    }

    /// The same for one batch.
    ///
    /// # Errors
    /// Where the database refuses; then nothing is stored.
    pub(super) fn append_one(&self, arrival: &Arrival) -> Result<Stored, StoreError> {
        let stored = self.append(std::slice::from_ref(arrival))?;
        stored.first().copied().ok_or(StoreError::Closed)
    }

    /// Stores one batch within a transaction, unless it is known or breaks its chain.
    fn append_within(&self, arrival: &Arrival) -> Result<Stored, StoreError> {
        let connection = &self.connection;
        let is_fork = match self.known(arrival)? {
            Some((hash, received_at)) if hash == arrival.hash.as_bytes() => {
                let received_at = UnixMillis(received_at);
                return Ok(Stored::Duplicate { received_at });
            }
            Some(_) => true,
            None => {
                let closed = agents::closed(connection, &arrival.agent, arrival.epoch)?;
                if closed == Closed::Unheard {
                    return Ok(Stored::Fork);
                }
                closed == Closed::Left || breaks_the_chain(connection, arrival)?
            }
        };
        if is_fork {
            let (site, agent) = (&arrival.site, arrival.agent.as_str());
            // The very batch that was refused before: its sender has not heard of that.
            let told = connection.execute(
                "INSERT INTO fork (site, agent, times, last_at, refused) VALUES (?1, ?2, 1, ?3, ?4)
                 ON CONFLICT (site, agent)
                 DO UPDATE SET times = times + 1, last_at = excluded.last_at, refused = excluded.refused
                 WHERE refused IS NOT excluded.refused",
                params![site, agent, arrival.received_at.0, arrival.hash.as_bytes()],
            )?;
            if told > 0 {
                agents::quarantine(connection, &arrival.agent)?;
            }
            return Ok(Stored::Fork);
        }
        tail::append(connection, arrival)?;
        runs::note(connection, arrival)?;
        Ok(Stored::New)
    }

    /// The hash of the batch that has this number already, and when it came.
    fn known(&self, arrival: &Arrival) -> Result<Option<(Vec<u8>, i64)>, StoreError> {
        let (site, agent) = (&arrival.site, arrival.agent.as_str());
        let (epoch, sequence) = (arrival.epoch, arrival.sequence);
        let known = self
            .connection
            .prepare_cached(
                "SELECT hash, received_at FROM tail
                 WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND sequence = ?4
                 UNION ALL SELECT hash, received_at FROM batch
                 WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND sequence = ?4",
            )?
            .query_row(params![site, agent, epoch, sequence], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        if known.is_some() {
            return Ok(known);
        }
        let sealed = self.sealed_batch(site, agent, epoch, sequence)?;
        Ok(sealed.map(|kept| (kept.batch.hash().as_bytes().to_vec(), kept.received_at)))
    }

    /// What becomes of a batch that was sealed before; `None` where it was not, or another one was under its number.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub(super) fn sealed(&self, arrival: &Arrival) -> Result<Option<Stored>, StoreError> {
        let (site, agent) = (&arrival.site, arrival.agent.as_str());
        let sealed = self.sealed_batch(site, agent, arrival.epoch, arrival.sequence)?;
        let same = sealed.filter(|kept| kept.batch.hash() == arrival.hash);
        Ok(same.map(|kept| Stored::Duplicate {
            received_at: UnixMillis(kept.received_at),
        }))
    }

    /// A batch as it came, without what was pruned since; `None` where there is no such batch, or only in
    /// a form that left no evidence.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub(super) fn batch(
        &self,
        site: &str,
        agent: &AgentId,
        epoch: u64,
        sequence: u64,
    ) -> Result<Option<Batch>, StoreError> {
        let (epoch, sequence) = (epoch.cast_signed(), sequence.cast_signed());
        if let Some(batch) = self.batch_of_tail(site, agent.as_str(), epoch, sequence)? {
            return Ok(Some(batch));
        }
        let sealed = self.sealed_batch(site, agent.as_str(), epoch, sequence)?;
        Ok(sealed.map(|kept| kept.batch))
    }

    /// A batch, of several that are asked for by number: a segment is opened once for all that are in it.
    pub(super) fn batch_near(
        &self,
        near: &mut Near,
        site: &str,
        agent: &str,
        epoch: i64,
        sequence: i64,
    ) -> Result<Option<Batch>, StoreError> {
        if let Some(batch) = self.batch_of_tail(site, agent, epoch, sequence)? {
            return Ok(Some(batch));
        }
        let Some(from) = segment_with(&self.connection, site, agent, epoch, sequence)? else {
            return Ok(None);
        };
        let segment = Some((agent.to_owned(), epoch, from));
        if near.segment != segment {
            near.batches.clear();
            near.segment = segment;
            self.open_segment(site, agent, epoch, from, |kept| {
                near.batches.push(kept.batch);
                true
            })?;
        }
        let place = usize::try_from(sequence - from).ok();
        Ok(place.and_then(|place| near.batches.get(place).cloned()))
    }

    /// A batch that was sealed, with the time when it came.
    fn sealed_batch(
        &self,
        site: &str,
        agent: &str,
        epoch: i64,
        sequence: i64,
    ) -> Result<Option<Kept>, StoreError> {
        let from = segment_with(&self.connection, site, agent, epoch, sequence)?;
        let Some(from) = from else {
            return Ok(None);
        };
        let mut found = None;
        self.open_segment(site, agent, epoch, from, |kept| {
            let is_before = kept.batch.header().sequence < sequence.cast_unsigned();
            found = Some(kept);
            is_before
        })?;
        Ok(found)
    }

    /// Every agent whose numbers came twice with different content: each is an alarm.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub(super) fn forks(&self) -> Result<Vec<Forked>, StoreError> {
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

/// The number with which the segment begins that has this one.
fn segment_with(
    connection: &Connection,
    site: &str,
    agent: &str,
    epoch: i64,
    sequence: i64,
) -> Result<Option<i64>, StoreError> {
    let from = connection
        .prepare_cached(
            "SELECT from_sequence FROM (
                 SELECT from_sequence, to_sequence FROM segment
                 WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND from_sequence <= ?4
                 ORDER BY from_sequence DESC LIMIT 1)
             WHERE to_sequence >= ?4",
        )?
        .query_row(params![site, agent, epoch, sequence], |row| row.get(0))
        .optional()?;
    Ok(from)
}

/// Whether a batch that is known names another one before it, or is named by the one after it otherwise.
fn breaks_the_chain(connection: &Connection, arrival: &Arrival) -> Result<bool, StoreError> {
    // What was taken in an older form names nothing, and is named by nothing.
    let breaks = connection
        .prepare_cached(
            "SELECT EXISTS (
                 SELECT 1 FROM tail WHERE site = ?1 AND agent = ?2 AND epoch = ?3
                 AND ((sequence = ?4 - 1 AND hash IS NOT ?5) OR (sequence = ?4 + 1 AND previous IS NOT ?6)))
             OR EXISTS (
                 SELECT 1 FROM (
                     SELECT to_sequence, hash FROM segment
                     WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND from_sequence < ?4
                     ORDER BY from_sequence DESC LIMIT 1)
                 WHERE to_sequence = ?4 - 1 AND hash IS NOT ?5)
             OR EXISTS (
                 SELECT 1 FROM segment WHERE site = ?1 AND agent = ?2 AND epoch = ?3
                 AND from_sequence = ?4 + 1 AND previous IS NOT ?6)
",
        )?
        .query_row(
            params![
                arrival.site,
                arrival.agent.as_str(),
                arrival.epoch,
                arrival.sequence,
                arrival.previous.as_ref().map(Digest::as_bytes),
                arrival.hash.as_bytes()
            ],
            |row| row.get(0),
        )?;
    Ok(breaks)
}

#[cfg(test)]
pub(super) mod tests {
    use std::ops::RangeInclusive;

    use messnetz_metric::{
        BitRate, Direction, Failure, FailureReason, Metric, Observation, Outcome, Quantity,
        Segment, Value, Vantage,
    };

    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;
    use crate::store::tests::store;
    use crate::store::{Role, SqliteStore};
    use crate::wire::CollectorId;
    use crate::wire::batch::Link;

    pub(in crate::store) const EVER: RangeInclusive<UnixMillis> =
        UnixMillis(0)..=UnixMillis(i64::MAX);
    pub(in crate::store) const SITE: &str = "XX-100001/main";

    pub(in crate::store) fn key() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap()
    }

    pub(in crate::store) fn agent() -> AgentId {
        AgentId::of_key(key().public_key().as_ref())
    }

    /// A store that knows the agent.
    pub(in crate::store) fn enrolled() -> (tempfile::TempDir, SqliteStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
        let enrol = "INSERT INTO agent (id, site, public_key, enrolled_at) VALUES (?1, ?2, ?3, 1)";
        let (agent, key) = (agent(), key());
        let enrolled = params![agent.as_str(), SITE, key.public_key().as_ref()];
        store.writing().connection.execute(enrol, enrolled).unwrap();
        (folder, store)
    }

    /// A batch with a value and a failure, after `previous`; `mbps` tells it from others of the number.
    pub(in crate::store) fn batch_after(previous: Option<&Batch>, mbps: u64) -> Batch {
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

    fn keep(store: &mut Connected, batch: &Batch, now: i64) -> Stored {
        let arrival = Arrival::of(batch, UnixMillis(now)).unwrap();
        store.append_one(&arrival).unwrap()
    }

    #[test]
    fn what_has_no_date_is_kept_as_evidence_and_counts_for_no_time() {
        use crate::wire::batch::{Beside, Clock};
        let (_folder, store) = store();
        let dated = batch_after(None, 95);
        let undated = |boot: &str, is_dated| {
            let observations: Vec<Observation> = dated.observations().collect();
            let clock = Clock {
                boot: boot.to_owned(),
                offset: 0,
                synchronised: false,
                since_sync: None,
                stepped: 0,
                dated: is_dated,
            };
            let link = Link {
                collector: CollectorId::of_key(&[9; 32]),
                agent: agent(),
                site: SITE.to_owned(),
                epoch: u64::from(is_dated) + 2,
                sequence: 1,
                previous: None,
            };
            let beside = Beside {
                clock: Some(clock),
                omitted: Vec::new(),
            };
            let batch = Batch::with(&link, &observations, beside).unwrap();
            batch.signed_with(&key())
        };
        for (batch, expected) in [
            (undated("0123456789abcdef", false), None),
            (undated("0123456789abcdef", true), Some((1, 2))),
        ] {
            let arrival = Arrival::of(&batch, UnixMillis(5)).unwrap();
            assert_eq!(arrival.times, expected);
            assert_eq!(store.append_one(&arrival).unwrap(), Stored::New);
        }
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
        let series = store.series_by(Role::Resident, SITE, EVER).unwrap();
        assert_eq!(series.len(), 1);
        assert_eq!((series[0].samples.len(), series[0].failures.len()), (1, 1));
    }

    #[test]
    fn another_batch_under_the_same_number_is_a_fork_and_is_not_stored() {
        let (_folder, mut store) = store();
        keep(&mut store, &batch_after(None, 95), 5);
        assert_eq!(keep(&mut store, &batch_after(None, 96), 6), Stored::Fork);
        let series = store.series_by(Role::Resident, SITE, EVER).unwrap();
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
    fn a_batch_comes_back_as_it_came() {
        let (_folder, mut store) = store();
        let batch = batch_after(None, 95);
        keep(&mut store, &batch, 5);
        let back = store.batch(SITE, &agent(), 1, 1).unwrap().unwrap();
        assert_eq!(back, batch);
        assert_eq!(store.batch(SITE, &agent(), 1, 2).unwrap(), None);
    }

    /// What an older program left in a file.
    pub(in crate::store) struct Old {
        batch: Batch,
    }

    /// Fills a file as the program of that schema did.
    pub(in crate::store) fn fill_old(old: &Connection, version: usize) -> Old {
        let batch = batch_after(None, 95);
        let (agent_id, hash) = (agent(), batch.hash());
        let agent_name = agent_id.as_str();
        let chunk = &batch.chunks()[0];
        if version > 3 {
            let packed = super::super::packed::pack(&batch.document()).unwrap();
            let mut column = rusqlite::types::Value::Blob(packed);
            if version > 8 {
                old.execute(
                    "INSERT INTO document (id, packed) VALUES (7, ?1)",
                    [&column],
                )
                .unwrap();
                column = rusqlite::types::Value::Integer(7);
            }
            let row = "INSERT INTO tail VALUES (?1, ?2, 1, 1, ?3, NULL, 1, 1, 2, 2, 2, ?4)";
            let row_of = params![SITE, agent_name, hash.as_bytes(), column];
            old.execute(row, row_of).unwrap();
            if version > 5 {
                let run = "INSERT INTO run VALUES (?1, ?2, 1, 1, 1, 1, 2, 1, 1)";
                old.execute(run, params![SITE, agent_name]).unwrap();
            }
            return Old { batch };
        }
        let row = "INSERT INTO batch (site, agent, epoch, sequence, hash, received_at)
                   VALUES (?1, ?2, 1, 1, ?3, 1)";
        old.execute(row, params![SITE, agent_name, hash.as_bytes()])
            .unwrap();
        let series =
            "INSERT INTO series VALUES (1, ?1, ?2, 'line.down', 'collector', '', 'unknown')";
        old.execute(series, params![SITE, agent_name]).unwrap();
        let samples = "INSERT INTO sample VALUES (?1, 1, 1, ?2, 1, 1, 0, 95000000, NULL, NULL),
                       (?1, 1, 2, ?2, 1, 1, 1, NULL, 'timeout', 'no answer')";
        old.execute(samples, params![SITE, agent_name]).unwrap();
        if version > 2 {
            let evidence = "UPDATE batch SET header = ?1, signature = ?2";
            old.execute(evidence, params![batch.header_text(), batch.signature()])
                .unwrap();
            let part = "INSERT INTO chunk VALUES (?1, ?2, 1, 1, 0, ?3, ?4)";
            let part_of = params![SITE, agent_name, chunk.digest.as_bytes(), chunk.text()];
            old.execute(part, part_of).unwrap();
        }
        Old { batch }
    }

    impl Old {
        /// All of it is in a file that was brought up to date, once, and the chain goes on.
        pub(in crate::store) fn is_in(&self, store: &Connected, version: usize) {
            let series = store.series_by(Role::Resident, SITE, EVER).unwrap();
            assert_eq!(series.len(), 1, "from schema {version}");
            let expected: Vec<_> = self.batch.chunks()[0].outcomes().collect();
            let [(value_at, value)] = series[0].samples[..] else {
                panic!("from schema {version}: {series:?}");
            };
            let (failed_at, failure) = series[0].failures[0].clone();
            let found = [
                (value_at, Outcome::Value(value)),
                (failed_at, Outcome::Failed(failure)),
            ];
            assert_eq!(found[..], expected[..], "from schema {version}");
            let kept = store.batch(SITE, &agent(), 1, 1).unwrap();
            assert_eq!(kept.is_some(), version > 2, "from schema {version}");
            assert!(kept.is_none_or(|kept| kept == self.batch));
            let again = Arrival::of(&self.batch, UnixMillis(5)).unwrap();
            let received_at = UnixMillis(1);
            let known = store.append_one(&again).unwrap();
            assert_eq!(known, Stored::Duplicate { received_at });
            let next = Arrival::of(&batch_after(Some(&self.batch), 96), UnixMillis(6)).unwrap();
            assert_eq!(store.append_one(&next).unwrap(), Stored::New);
            let found = store.check().unwrap();
            let without = if version > 2 { 0 } else { 2 };
            assert_eq!(found[0].without_evidence, without, "from schema {version}");
        }
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
