//! The ledger: a batch is stored once.

use messnetz_metric::{Medium, Observation, Outcome, UnixMillis};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Store, StoreError};
use crate::wire::{AgentId, Batch};

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored now.
    New,
    /// The same bytes were stored before: acknowledged again, stored once.
    Duplicate,
    /// Other bytes were stored under the same number: a cloned card or a restored backup. Nothing of
    /// the batch was stored, but that it came was.
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
    pub fn store_batch(
        &mut self,
        batch: &Batch,
        hash: &[u8; 32],
        now: UnixMillis,
    ) -> Result<Stored, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let (epoch, sequence) = (
            sqlite_integer(batch.epoch)?,
            sqlite_integer(batch.sequence)?,
        );
        let key = params![batch.site, batch.agent.as_str(), epoch, sequence];
        let known: Option<Vec<u8>> = transaction
            .query_row(
                "SELECT hash FROM batch WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND sequence = ?4",
                key,
                |row| row.get(0),
            )
            .optional()?;
        match known {
            Some(known) if known == hash => return Ok(Stored::Duplicate),
            Some(_) => {
                transaction.execute(
                    "INSERT INTO fork (site, agent, times, last_at) VALUES (?1, ?2, 1, ?3)
                     ON CONFLICT (site, agent)
                     DO UPDATE SET times = times + 1, last_at = excluded.last_at",
                    params![batch.site, batch.agent.as_str(), now.0],
                )?;
                transaction.commit()?;
                return Ok(Stored::Fork);
            }
            None => {}
        }
        transaction.execute(
            "INSERT INTO batch (site, agent, epoch, sequence, hash, received_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                batch.site,
                batch.agent.as_str(),
                epoch,
                sequence,
                hash,
                now.0
            ],
        )?;
        for (position, observation) in batch.observations.iter().enumerate() {
            let series = series_id(&transaction, batch, observation)?;
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
                    batch.site,
                    series,
                    observation.at.0,
                    batch.agent.as_str(),
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

/// The series that an observation belongs to; made where it is the first of its kind.
fn series_id(
    transaction: &Transaction<'_>,
    batch: &Batch,
    observation: &Observation,
) -> Result<i64, StoreError> {
    let metric = observation.metric.to_string();
    let interface = observation.vantage.interface.as_deref().unwrap_or_default();
    let medium = medium_name(observation.vantage.medium);
    let key = params![
        batch.site,
        batch.agent.as_str(),
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

/// SQLite's integers are signed: a number beyond them is refused, not wrapped.
fn sqlite_integer(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Damaged {
        what: "a number",
        why: format!("{number} is too large"),
    })
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use messnetz_metric::{
        BitRate, Direction, Failure, FailureReason, Metric, Quantity, Segment, Value, Vantage,
    };

    use super::*;
    use crate::store::tests::store;
    use crate::wire::BATCH_FORMAT;

    const EVER: RangeInclusive<UnixMillis> = UnixMillis(0)..=UnixMillis(i64::MAX);

    fn batch(sequence: u64) -> Batch {
        let metric = Metric::new(Segment::Line, Quantity::Goodput(Direction::Down));
        let observation = |at, outcome| Observation {
            metric,
            at: UnixMillis(at),
            vantage: Vantage::default(),
            peer: "collector".to_owned(),
            outcome,
        };
        Batch {
            format: BATCH_FORMAT.to_owned(),
            agent: AgentId::of_key(&[1; 32]),
            site: "XX-100001/main".to_owned(),
            epoch: 1,
            sequence,
            observations: vec![
                observation(
                    1,
                    Outcome::Value(Value::Rate(BitRate::from_bps(95_000_000))),
                ),
                observation(
                    2,
                    Outcome::Failed(Failure::new(FailureReason::Timeout, "no answer")),
                ),
            ],
        }
    }

    #[test]
    fn a_batch_that_comes_twice_is_stored_once() {
        let (_folder, mut store) = store();
        let (batch, hash) = (batch(1), [1; 32]);
        assert_eq!(
            store.store_batch(&batch, &hash, UnixMillis(5)).unwrap(),
            Stored::New
        );
        assert_eq!(
            store.store_batch(&batch, &hash, UnixMillis(6)).unwrap(),
            Stored::Duplicate
        );
        let series = store.series_of_site("XX-100001/main", EVER).unwrap();
        assert_eq!(series.len(), 1);
        assert_eq!((series[0].samples.len(), series[0].failures.len()), (1, 1));
    }

    #[test]
    fn other_bytes_under_the_same_number_are_a_fork_and_are_not_stored() {
        let (_folder, mut store) = store();
        store
            .store_batch(&batch(1), &[1; 32], UnixMillis(5))
            .unwrap();
        assert_eq!(
            store
                .store_batch(&batch(1), &[2; 32], UnixMillis(6))
                .unwrap(),
            Stored::Fork
        );
        let series = store.series_of_site("XX-100001/main", EVER).unwrap();
        assert_eq!(series[0].samples.len(), 1);
    }

    #[test]
    fn a_refused_fork_is_kept_as_an_alarm() {
        let (_folder, mut store) = store();
        assert_eq!(store.forks().unwrap(), []);
        for (hash, at) in [(1, 5), (2, 6), (3, 7), (1, 8)] {
            store
                .store_batch(&batch(1), &[hash; 32], UnixMillis(at))
                .unwrap();
        }
        let forked = Forked {
            site: batch(1).site,
            agent: batch(1).agent,
            times: 2,
            last: UnixMillis(7),
        };
        assert_eq!(store.forks().unwrap(), [forked]);
    }

    #[test]
    fn a_number_beyond_the_store_is_refused_and_nothing_of_the_batch_is_kept() {
        let (_folder, mut store) = store();
        let mut large = batch(1);
        large.sequence = u64::MAX;
        assert!(store.store_batch(&large, &[1; 32], UnixMillis(5)).is_err());
        assert!(
            store
                .series_of_site("XX-100001/main", EVER)
                .unwrap()
                .is_empty()
        );
    }
}
