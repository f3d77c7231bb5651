//! Sealing: batches move out of the tail into segments, a run of one agent at a time.

use std::collections::HashMap;

use messnetz_metric::UnixMillis;
use rusqlite::{OptionalExtension as _, TransactionBehavior, params};

use super::numbers::Numbers;
use super::samples::medium_name;
use super::segment::{self, Beginning, Kept, Sealed};
use super::{Compacted, Connected, StoreError, tail};
use crate::wire::batch::{Chunk, Digest, Series};

/// A run whose longest series has so many samples is sealed.
const ENOUGH: i64 = 512;

/// The longest series of a segment has no more than this, unless one batch has.
const MOST: i64 = 1_024;

/// A segment has no more samples than this, unless one batch has.
const MOST_OBSERVATIONS: i64 = 200_000;

/// What has waited so long is sealed, however little it is, in milliseconds.
const OLD_MS: i64 = 24 * 60 * 60 * 1_000;

/// Batches of the tail that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    site: String,
    agent: String,
    epoch: i64,
    from: i64,
    to: i64,
    longest: i64,
    observations: i64,
    oldest: i64,
    /// Whether its samples have a date; `None` where it has none. Those without are judged for no time, and
    /// have segments of their own.
    is_dated: Option<bool>,
}

/// A run with its batches, and the segment that they are sealed together with.
#[derive(Debug)]
pub(super) struct Loaded {
    run: Stretch,
    beginning: Beginning,
    batches: Vec<Kept>,
    /// Where the segment before begins, where that is small.
    replaced: Option<i64>,
}

impl Stretch {
    /// Whether it can take one batch more.
    fn takes(&self, next: &Self) -> bool {
        let is_next = self.to + 1 == next.from && self.epoch == next.epoch;
        is_next
            && self.agent == next.agent
            && self.site == next.site
            && self.longest + next.longest <= MOST
            && self.observations + next.observations <= MOST_OBSERVATIONS
            && (self.is_dated == next.is_dated
                || self.is_dated.is_none()
                || next.is_dated.is_none())
    }

    fn take(&mut self, next: &Self) {
        self.to = next.to;
        self.longest += next.longest;
        self.observations += next.observations;
        self.oldest = self.oldest.min(next.oldest);
        self.is_dated = self.is_dated.or(next.is_dated);
    }

    const fn is_due(&self, now: UnixMillis) -> bool {
        self.longest >= ENOUGH || now.0.saturating_sub(self.oldest) >= OLD_MS
    }
}

impl Connected {
    /// What of the tail is to be sealed now; all of it where that is asked for.
    pub(super) fn due(&self, now: UnixMillis, all: bool) -> Result<Vec<Stretch>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT site, agent, epoch, sequence, longest, observations, received_at,
                    CASE WHEN observations > 0 THEN first_at IS NOT NULL END
             FROM tail ORDER BY site, agent, epoch, sequence",
        )?;
        let runs = statement.query_map([], |row| {
            let sequence = row.get(3)?;
            Ok(Stretch {
                site: row.get(0)?,
                agent: row.get(1)?,
                epoch: row.get(2)?,
                from: sequence,
                to: sequence,
                longest: row.get(4)?,
                observations: row.get(5)?,
                oldest: row.get(6)?,
                is_dated: row.get(7)?,
            })
        })?;
        let mut due: Vec<Stretch> = Vec::new();
        let mut open: Option<Stretch> = None;
        for next in runs {
            let next = next?;
            match &mut open {
                Some(run) if run.takes(&next) => run.take(&next),
                _ => due.extend(open.replace(next).filter(|run| all || run.is_due(now))),
            }
        }
        due.extend(open.filter(|run| all || run.is_due(now)));
        Ok(due)
    }

    /// The batches of a run, and those of the segment before where that has room for them.
    pub(super) fn load(&self, run: Stretch) -> Result<Loaded, StoreError> {
        let _view = self.connection.unchecked_transaction()?;
        let mut batches = Vec::new();
        let before: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT from_sequence FROM (
                     SELECT from_sequence, to_sequence, longest, observations, first_at FROM segment
                     WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND from_sequence <= ?4
                     ORDER BY from_sequence DESC LIMIT 1) AS before
                 WHERE to_sequence = ?4 AND longest + ?5 <= ?6 AND observations + ?7 <= ?8
                 AND NOT EXISTS (
                     SELECT 1 FROM pruned WHERE site = ?1 AND agent = ?2 AND epoch = ?3
                     AND pruned.from_sequence = before.from_sequence)
                 AND (observations = 0 OR ?9 IS NULL OR (first_at IS NOT NULL) = ?9)",
            )?
            .query_row(
                params![
                    run.site,
                    run.agent,
                    run.epoch,
                    run.from - 1,
                    run.longest,
                    MOST,
                    run.observations,
                    MOST_OBSERVATIONS,
                    run.is_dated
                ],
                |row| row.get(0),
            )
            .optional()?;
        let mut beginning = None;
        if let Some(from) = before {
            let (at, _) = self.open_segment(&run.site, &run.agent, run.epoch, from, |kept| {
                batches.push(kept);
                true
            })?;
            beginning = Some(at);
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT packed, received_at FROM tail JOIN document USING (site, agent, epoch, sequence)
             WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND sequence BETWEEN ?4 AND ?5
             ORDER BY sequence",
        )?;
        let mut rows =
            statement.query(params![run.site, run.agent, run.epoch, run.from, run.to])?;
        while let Some(row) = rows.next()? {
            let packed = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            batches.push(Kept {
                batch: tail::read(packed)?,
                received_at: row.get(1)?,
            });
        }
        let first = batches.first().map(|kept| kept.batch.header());
        let beginning = beginning.or_else(|| {
            first.map(|header| Beginning {
                sequence: header.sequence,
                previous: header.previous,
            })
        });
        Ok(Loaded {
            beginning: beginning.ok_or_else(gone)?,
            batches,
            replaced: before,
            run,
        })
    }

    /// Hands each batch of a segment over until `go_on` says no. Gives where it begins, and whether all were
    /// handed over.
    pub(super) fn open_segment(
        &self,
        site: &str,
        agent: &str,
        epoch: i64,
        from: i64,
        go_on: impl FnMut(Kept) -> bool,
    ) -> Result<(Beginning, bool), StoreError> {
        let numbers = self.numbers(site, agent)?;
        let (previous, sealed): (Option<[u8; 32]>, Sealed) = self
            .connection
            .prepare_cached(
                "SELECT previous, evidence, samples FROM segment
                 WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND from_sequence = ?4",
            )?
            .query_row(params![site, agent, epoch, from], |row| {
                let sealed = Sealed {
                    evidence: row.get(1)?,
                    samples: row.get(2)?,
                };
                Ok((row.get(0)?, sealed))
            })?;
        let beginning = Beginning {
            sequence: from.cast_unsigned(),
            previous: previous.map(Digest::from_bytes),
        };
        let all = segment::each(&sealed, beginning, |number| numbers.series(number), go_on);
        let all = all.ok_or_else(|| StoreError::Damaged {
            what: "a segment",
            why: format!(
                "that of agent {agent} from {from} of epoch {epoch} gives back no batches"
            ),
        })?;
        Ok((beginning, all))
    }

    /// The numbers of an agent's series at a site, after one was given to each series of a run that had none.
    pub(super) fn numbers_for(&mut self, loaded: &Loaded) -> Result<Numbers, StoreError> {
        let run = &loaded.run;
        let mut numbers = self.numbers(&run.site, &run.agent)?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let chunks = loaded.batches.iter().flat_map(|kept| kept.batch.chunks());
        for series in chunks.filter_map(Chunk::series) {
            if numbers.number(&series).is_some() {
                continue;
            }
            let key = params![
                run.site,
                run.agent,
                series.metric.to_string(),
                series.peer,
                series.vantage.interface.as_deref().unwrap_or_default(),
                medium_name(series.vantage.medium)
            ];
            // Another program may have numbered it meanwhile.
            transaction.execute(
                "INSERT OR IGNORE INTO series (id, site, agent, metric, peer, interface, medium)
                 VALUES ((SELECT coalesce(max(id), 0) + 1 FROM series), ?1, ?2, ?3, ?4, ?5, ?6)",
                key,
            )?;
            let number = transaction.query_row(
                "SELECT id FROM series WHERE site = ?1 AND agent = ?2 AND metric = ?3
                 AND peer = ?4 AND interface = ?5 AND medium = ?6",
                key,
                |row| row.get(0),
            )?;
            numbers.insert(number, series);
        }
        transaction.commit()?;
        Ok(numbers)
    }

    /// Puts a segment in the place of its batches; whether they were still there.
    pub(super) fn replace(&mut self, loaded: &Loaded, sealed: &Sealed) -> Result<bool, StoreError> {
        let run = &loaded.run;
        let key = params![run.site, run.agent, run.epoch, run.from, run.to];
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "DELETE FROM document
             WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND sequence BETWEEN ?4 AND ?5",
            key,
        )?;
        let moved = transaction.execute(
            "DELETE FROM tail
             WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND sequence BETWEEN ?4 AND ?5",
            key,
        )?;
        let mut are_there = Ok(moved) == usize::try_from(run.to - run.from + 1);
        if let Some(from) = loaded.replaced {
            let replaced = transaction.execute(
                "DELETE FROM segment WHERE site = ?1 AND agent = ?2 AND epoch = ?3
                 AND from_sequence = ?4 AND to_sequence = ?5
                 AND NOT EXISTS (SELECT 1 FROM pruned WHERE site = ?1 AND agent = ?2 AND epoch = ?3
                                 AND from_sequence = ?4)",
                params![run.site, run.agent, run.epoch, from, run.from - 1],
            )?;
            are_there &= replaced == 1;
        }
        let last = loaded.batches.last();
        let (Some(last), true) = (last, are_there) else {
            // Somebody else sealed or pruned them; the transaction is rolled back.
            return Ok(false);
        };
        let times = || {
            let batches = loaded.batches.iter();
            batches.filter_map(|kept| tail::times(&kept.batch))
        };
        let (longest, observations) = loaded.size();
        transaction.execute(
            "INSERT INTO segment (site, agent, epoch, from_sequence, to_sequence, previous, hash,
                                  received_at, first_at, last_at, observations, longest, evidence, samples)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            params![
                run.site,
                run.agent,
                run.epoch,
                loaded.replaced.unwrap_or(run.from),
                run.to,
                loaded.beginning.previous.as_ref().map(Digest::as_bytes),
                last.batch.hash().as_bytes(),
                last.received_at,
                times().map(|(first, _)| first).min(),
                times().map(|(_, last)| last).max(),
                observations,
                longest,
                sealed.evidence,
                sealed.samples,
            ],
        )?;
        transaction.commit()?;
        Ok(true)
    }
}

impl Loaded {
    /// Seals the batches; what was sealed has been found to give them back, byte for byte.
    pub(super) fn seal(&self, numbers: &Numbers) -> Result<Sealed, StoreError> {
        segment::seal(
            &self.batches,
            self.beginning,
            |series| numbers.number(series),
            |number| numbers.series(number),
        )
        .ok_or_else(|| StoreError::Damaged {
            what: "batches",
            why: format!(
                "sealed, those of agent {} from {} of epoch {} would not come back as they came",
                self.run.agent, self.run.from, self.run.epoch
            ),
        })
    }

    /// Adds what was moved.
    pub(super) fn count(&self, sealed: &Sealed, compacted: &mut Compacted) {
        let (_, samples) = self.size();
        compacted.segments += 1;
        compacted.batches += self.batches.len();
        compacted.samples += usize::try_from(samples).unwrap_or_default();
        compacted.bytes += sealed.evidence.len() + sealed.samples.len();
    }

    /// Samples of the longest series, at most, and of all.
    fn size(&self) -> (i64, i64) {
        let mut of_series: HashMap<Series, i64> = HashMap::new();
        for chunk in self.batches.iter().flat_map(|kept| kept.batch.chunks()) {
            if let Some(series) = chunk.series() {
                *of_series.entry(series).or_default() += chunk.len().cast_signed() as i64;
            }
        }
        let longest = of_series.values().copied().max();
        (longest.unwrap_or_default(), of_series.values().sum())
    }
}

fn gone() -> StoreError {
    StoreError::Damaged {
        what: "a run of batches",
        why: "it is empty".to_owned(),
    }
}

#[cfg(test)]
mod tests;
