//! The spool: keeps what was measured until the collector has committed it.
//!
//! Observations are written at once, so that they survive the end of the program, and flushed to the medium by
//! [`Spool::tend`] soon after, so that they survive the end of the power. When they are to be uploaded they are
//! sealed into a numbered signed batch, byte for byte as it will be sent, so that every attempt sends the same
//! bytes under the same number. A batch leaves the spool only for the collector's receipt, or is set aside
//! because the collector will never take it. The spool owns the numbers and the chain: the epoch is the time at
//! which it was made or last renewed, the sequence counts from 1 within it, and each batch names the one before.
//!
//! What was left out, lost or thinned is told by a later batch.

mod boots;
mod contents;
mod counters;
mod error;
mod file;
mod journal;
mod omissions;
#[cfg(test)]
mod power_cut;
mod resuming;
mod sealing;
mod thinning;

use std::path::{Path, PathBuf};

use messnetz_metric::{Observation, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::timeline::{Timeline, Turn};
use crate::clock::Look;
use crate::sqlite::open_shared;
use crate::wire::SignedReceipt;
use crate::wire::batch::{Batch, Beside, Why};
use boots::Current;
use counters::{
    BYTES_A_DAY, CUT, DISK_FULL, EPOCH, FLUSHED, FLUSHED_ID, GIVEN_UP, PAST, REFUSED, RUNNING,
    SEQUENCE, SET_ASIDE, UNREADABLE, count, read_counter, set,
};
use omissions::Tally;
use sealing::{Waiting, delete_sealed, seal, sealed_batches, set_aside, take_waiting};
use thinning::{BOUNDS, Bounds};

pub use contents::Contents;
pub use error::SpoolError;
pub(super) use resuming::Resumed;
pub(super) use sealing::{SealedBatch, Sealer};

/// What was written is flushed so long after it was first seen to be unflushed. With the pause between two looks
/// this stays below half a minute.
const FLUSH_AFTER_MS: i64 = 15_000;

/// Most receipts that are kept; beyond it the oldest are given up. With a batch every five minutes this is
/// a month, in some 5 MB.
const MAX_RECEIPTS: i64 = 10_000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS observation (
        id INTEGER PRIMARY KEY, json TEXT NOT NULL, boot INTEGER, level INTEGER NOT NULL DEFAULT 0
    ) STRICT;
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

/// What files of older programs lack: whose clock the time is of, which then counts from the boot, and how soon
/// the observation can be spared.
const LATER_COLUMNS: &str = "
    ALTER TABLE observation ADD COLUMN boot INTEGER;
    ALTER TABLE observation ADD COLUMN level INTEGER NOT NULL DEFAULT 0;
";

/// An open spool.
#[derive(Debug)]
pub struct Spool {
    connection: Connection,
    path: PathBuf,
    bounds: Bounds,
    /// By which clock it is measured; `None` until that was said.
    current: Option<Current>,
    /// The latest time of an observation.
    latest: UnixMillis,
    /// Whether something waits to be flushed, and since when, after the boot, that is known.
    unflushed: bool,
    unflushed_since_ms: Option<i64>,
    /// Frames at the end of its journal that were not as they had been written.
    cut: u64,
    /// Whether the disk is full, and what could not be written meanwhile.
    disk_full: bool,
    unwritten: Tally,
}

impl Spool {
    /// Opens the spool in this file; makes it where it is missing, and then its first epoch is `now`. A file that
    /// is damaged is set aside, and a new one begins.
    ///
    /// # Errors
    /// Where the file cannot be opened or is no spool.
    pub fn open(path: &Path, now: UnixMillis) -> Result<Self, SpoolError> {
        let file::Opened {
            connection,
            cut,
            salvage,
        } = file::open(path)?;
        let mut spool = Self::opened(connection, path);
        spool.cut = cut;
        spool.prepare()?;
        spool.latest = read_counter(&spool.connection, FLUSHED)?.map_or(now, UnixMillis);
        if let Some(salvage) = salvage {
            spool.begin_anew(salvage, now)?;
        }
        // A file of an older program has numbers and no chain.
        let has_chain = read_counter(&spool.connection, SEQUENCE)?.is_none()
            || (spool.connection)
                .query_row("SELECT count(*) FROM chain_head", [], |row| row.get(0))?;
        if !has_chain || read_counter(&spool.connection, EPOCH)?.is_none() {
            spool.durably(|transaction| Ok(start_epoch(transaction, now)?))?;
        }
        Ok(spool)
    }

    fn opened(connection: Connection, path: &Path) -> Self {
        Self {
            connection,
            path: path.to_owned(),
            bounds: BOUNDS,
            current: None,
            latest: UnixMillis(0),
            unflushed: false,
            unflushed_since_ms: None,
            cut: 0,
            disk_full: false,
            unwritten: Tally::default(),
        }
    }

    /// Makes what is missing in a file that holds together.
    fn prepare(&mut self) -> Result<(), SpoolError> {
        // A killed agent loses nothing; a power cut costs the observations that were not flushed yet. Syncing each
        // of them would wear a flash card out. What must not be undone once it has been sent is committed by
        // `durably`.
        self.connection
            .pragma_update(None, "synchronous", "NORMAL")?;
        self.connection.execute_batch(SCHEMA)?;
        self.connection.execute_batch(resuming::SCHEMA)?;
        self.connection.execute_batch(boots::SCHEMA)?;
        self.connection.execute_batch(omissions::SCHEMA)?;
        let is_old =
            "SELECT count(*) = 0 FROM pragma_table_info('observation') WHERE name = 'boot'";
        if self.connection.query_row(is_old, [], |row| row.get(0))? {
            self.connection.execute_batch(LATER_COLUMNS)?;
        }
        // An agent that was killed while it sealed may have left a batch that is not on the disk yet:
        // a checkpoint syncs it before it can be sent.
        self.checkpoint()
    }

    fn checkpoint(&self) -> Result<(), SpoolError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Begins a new file in the place of one that was set aside.
    fn begin_anew(&mut self, salvage: file::Salvage, now: UnixMillis) -> Result<(), SpoolError> {
        self.durably(|transaction| {
            let later = salvage.epoch.map_or(now.0, |epoch| now.0.max(epoch.saturating_add(1)));
            start_epoch(transaction, UnixMillis(later))?;
            count(transaction, SET_ASIDE, 1)?;
            transaction.execute(
                "INSERT INTO omitted (series, why, since, until) VALUES ('', '\"damaged\"', ?1, ?2)",
                params![salvage.flushed.unwrap_or_default().min(now.0), now.0],
            )?;
            Ok(())
        })
    }

    /// Says in which boot, by the kernel's name of it, and by which clocks it is measured from now on; `anchor_ms`
    /// is what the times of observations are ahead of the time since the boot. Where an agent measured before, did
    /// not stop, and the machine was booted since, the time between is noted as lost with the power; where the end of
    /// the journal was torn then, it is cut there, and a new epoch begins.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub(super) fn begin(
        &mut self,
        kernel: &str,
        look: Look,
        anchor_ms: i64,
    ) -> Result<(), SpoolError> {
        let cut = std::mem::take(&mut self.cut);
        let (id, timeline) = self.durably(|transaction| {
            let flushed = read_counter(transaction, FLUSHED)?.unwrap_or_default();
            let known = boots::of_kernel(transaction, kernel)?;
            let was_running = read_counter(transaction, RUNNING)? == Some(1);
            set(transaction, RUNNING, 1)?;
            // Without a boot between, the kernel has what was written: what looks torn was never committed.
            if let Some(known) = known {
                return Ok(known);
            }
            if cut > 0 {
                tracing::warn!(
                    frames = cut,
                    "the end of the spool's journal was torn and is cut off: a new epoch begins"
                );
                count(transaction, CUT, i64::try_from(cut).unwrap_or(i64::MAX))?;
                start_epoch(transaction, UnixMillis(look.wall_ms))?;
            }
            let timeline = Timeline::begin(look, boots::past(transaction)?);
            let id = boots::add(transaction, kernel, &timeline)?;
            if was_running {
                omissions::note_gap(transaction, Why::PowerLoss, flushed, (id, look.up_ms))?;
            }
            Ok((id, timeline))
        })?;
        self.current = Some(Current {
            id,
            kernel: kernel.to_owned(),
            timeline,
            look,
            anchor_ms,
        });
        Ok(())
    }

    /// What is added to the time since the boot to have the time of day; `None` before [`Spool::begin`].
    pub(super) fn offset_ms(&self) -> Option<i64> {
        let current = self.current.as_ref()?;
        Some(current.timeline.offset_ms)
    }

    /// Whether a time service has confirmed the time of day.
    pub(super) fn is_synchronised(&self) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| current.timeline.synchronised)
    }

    /// What has to be done every few seconds: takes a look at the clocks, and flushes what has waited for long
    /// enough. `bytes_a_day` is what this process writes, as far as that is known.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub(super) fn tend(&mut self, look: Look, bytes_a_day: Option<u64>) -> Result<(), SpoolError> {
        self.look(look)?;
        if !self.unflushed {
            self.unflushed_since_ms = None;
            return Ok(());
        }
        let since = *self.unflushed_since_ms.get_or_insert(look.up_ms);
        if look.up_ms.saturating_sub(since) < FLUSH_AFTER_MS {
            return Ok(());
        }
        self.durably(|transaction| {
            if let Some(bytes) = bytes_a_day {
                set(
                    transaction,
                    BYTES_A_DAY,
                    i64::try_from(bytes).unwrap_or(i64::MAX),
                )?;
            }
            Ok(())
        })
    }

    /// Flushes everything, and notes that it is no longer measured: what comes after was not lost.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub(super) fn stop(&mut self) -> Result<(), SpoolError> {
        self.durably(|transaction| Ok(set(transaction, RUNNING, 0)?))
    }

    fn look(&mut self, look: Look) -> Result<(), SpoolError> {
        let Some(mut current) = self.current.clone() else {
            return Ok(());
        };
        let past = boots::past(&self.connection)?;
        let turn = current.timeline.look(look, past);
        let before = self.current.as_ref().map(|before| before.timeline);
        if before != Some(current.timeline) {
            tracing::info!(timeline = ?current.timeline, ?turn, "the clocks of this machine changed");
            self.durably(|transaction| {
                if turn == Turn::Anew {
                    let id = boots::add(transaction, &current.kernel, &current.timeline)?;
                    transaction.execute(
                        "UPDATE observation SET boot = ?2 WHERE boot = ?1",
                        params![current.id, id],
                    )?;
                    return Ok(id);
                }
                boots::keep(transaction, current.id, &current.timeline)?;
                Ok(current.id)
            })
            .map(|id| current.id = id)?;
        }
        current.look = look;
        self.current = Some(current);
        Ok(())
    }

    /// Keeps observations. Where the disk is full they are counted in the place of being kept, and room is made for
    /// the next ones.
    ///
    /// # Errors
    /// Where the file cannot be written; then none of them is kept.
    pub fn keep(&mut self, observations: &[Observation]) -> Result<(), SpoolError> {
        let mut kept = self.try_keep(observations);
        if kept.as_ref().is_err_and(SpoolError::is_damage) {
            self.replace_damaged()?;
            kept = self.try_keep(observations);
        }
        if kept.as_ref().is_err_and(SpoolError::is_full) {
            let bounds = self.bounds;
            let thinned =
                self.transact(|transaction| thinning::thin(transaction, bounds).map(drop));
            kept = thinned.and_then(|()| self.try_keep(observations));
        }
        match kept {
            Err(error) if error.is_full() => {
                if !std::mem::replace(&mut self.disk_full, true) {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the disk is full: what is measured is counted and not kept until there is room"
                    );
                }
                for observation in observations {
                    let at = self.final_time_of(observation);
                    self.unwritten.add(observation, at, Why::DiskFull)?;
                }
                Ok(())
            }
            Ok(()) => {
                self.unwritten.clear();
                if std::mem::replace(&mut self.disk_full, false) {
                    tracing::info!("the disk has room again");
                }
                Ok(())
            }
            other => other,
        }
    }

    fn try_keep(&mut self, observations: &[Observation]) -> Result<(), SpoolError> {
        let bounds = self.bounds;
        let boot = self.current.as_ref().map(|current| current.id);
        let anchor_ms = self.current.as_ref().map_or(0, |current| current.anchor_ms);
        let times = observations.iter().map(|one| self.final_time_of(one));
        let latest = times.max().unwrap_or(self.latest);
        // By a clock that nobody confirmed nothing is too old.
        let is_sure = |current: &Current| current.timeline.synchronised;
        let sure_now = self.current.as_ref().is_none_or(is_sure).then_some(latest);
        let unwritten = std::mem::take(&mut self.unwritten);
        let was_full = self.disk_full;
        let kept = self.transact(|transaction| {
            for observation in observations {
                let level = thinning::level(observation);
                let at = UnixMillis(observation.at.0.saturating_sub(anchor_ms));
                let json = serde_json::to_string(&Observation {
                    at,
                    ..observation.clone()
                })?;
                transaction
                    .prepare_cached(
                        "INSERT INTO observation (json, boot, level) VALUES (?1, ?2, ?3)",
                    )?
                    .execute(params![json, boot, level])?;
            }
            if was_full || !unwritten.is_empty() {
                unwritten.note(transaction)?;
                set(transaction, DISK_FULL, 0)?;
            }
            thinning::keep_within(transaction, bounds, sure_now)
        });
        self.unwritten = unwritten;
        kept?;
        self.latest = latest;
        self.unflushed = true;
        Ok(())
    }

    /// When it was measured, as far as that is known now.
    fn final_time_of(&self, observation: &Observation) -> UnixMillis {
        self.current.as_ref().map_or(observation.at, |current| {
            let up_ms = observation.at.0.saturating_sub(current.anchor_ms);
            current.timeline.at(up_ms)
        })
    }

    /// Goes on with a new file where this one turned out to be damaged.
    fn replace_damaged(&mut self) -> Result<(), SpoolError> {
        let why = SpoolError::Damaged("it was found while it was written".to_owned());
        let salvage = file::replace(&self.path, &why)?;
        self.connection = open_shared(&self.path)?;
        self.prepare()?;
        self.begin_anew(salvage, self.latest)?;
        if let Some(Current {
            kernel,
            look,
            anchor_ms,
            ..
        }) = self.current.take()
        {
            self.begin(&kernel, look, anchor_ms)?;
        }
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
        let held = self
            .current
            .as_ref()
            .filter(|current| !current.timeline.may_be_told(current.look.up_ms))
            .map(|current| current.id);
        self.seal_waiting(sealer, held)
    }

    /// Seals observations into a batch, as many as one holds; none of the boot `held`, and none after it. `None` where
    /// nothing waits.
    fn seal_waiting(
        &mut self,
        sealer: &Sealer<'_>,
        held: Option<i64>,
    ) -> Result<Option<SealedBatch>, SpoolError> {
        let current = self.current.clone();
        let made = self.durably(|transaction| {
            let Waiting { boot, observations } = take_waiting(transaction, held)?;
            if observations.is_empty() {
                return Ok(None);
            }
            let mut clock = match boot {
                Some(boot) => boots::clock(transaction, boot)?,
                None => None,
            };
            let is_of = |current: &&Current| Some(current.id) == boot;
            let told = current.as_ref().filter(is_of);
            if let Some(current) = told {
                if let Some(clock) = &mut clock {
                    clock.since_sync = current.look.since_sync_s;
                }
                let timeline = Timeline {
                    told: true,
                    ..current.timeline
                };
                if timeline != current.timeline {
                    boots::keep(transaction, current.id, &timeline)?;
                }
            }
            let omitted = omissions::take(transaction)?;
            let batch = seal(
                transaction,
                sealer,
                &observations,
                Beside { clock, omitted },
            )?;
            Ok(Some((batch, told.is_some())))
        })?;
        let Some((batch, is_told)) = made else {
            return Ok(None);
        };
        if let Some(current) = &mut self.current {
            current.timeline.told |= is_told;
        }
        Ok(Some(batch))
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
        let received_at = receipt.stated().map(|stated| stated.received_at).ok();
        let acknowledge = |transaction: &Transaction<'_>, is_kept: bool| {
            if let Some(received_at) = received_at {
                set(transaction, PAST, received_at.0)?;
            }
            delete_sealed(transaction, batch)?;
            if is_kept {
                // The collector may be set back to a backup that does not have it.
                resuming::keep_sent(transaction, batch.epoch, batch.sequence, &batch.body)?;
            }
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
        };
        match self.transact(|transaction| acknowledge(transaction, true)) {
            Err(error) if error.is_full() => {
                self.transact(|transaction| acknowledge(transaction, false))
            }
            done => done,
        }
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
        self.transact(|transaction| Ok(set_aside(transaction, batch, error)?))
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
                        let observations: Vec<_> = batch.observations().collect();
                        delete_sealed(transaction, &old)?;
                        // An agent that was moved measured this somewhere else.
                        let site = &batch.header().site;
                        let sealer = &Sealer {
                            site,
                            ..sealer.clone()
                        };
                        seal(transaction, sealer, &observations, batch.header().beside())?;
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

    /// Seals all that waits, as measured where it was until now, and starts a new epoch for what comes. Gives the
    /// new epoch.
    ///
    /// # Errors
    /// Where the file cannot be written; then the old epoch goes on.
    pub(super) fn leave(
        &mut self,
        sealer: &Sealer<'_>,
        now: UnixMillis,
    ) -> Result<u64, SpoolError> {
        while self.seal_waiting(sealer, None)?.is_some() {}
        self.durably(|transaction| Ok(start_epoch(transaction, now)?))
    }

    /// Commits a transaction that is on the disk when this returns, and with it all that was written before.
    fn durably<T>(
        &mut self,
        work: impl Fn(&Transaction<'_>) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        let latest = self.latest;
        // In WAL mode only FULL syncs at every commit, and with it all commits before.
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let done = self.transact(|transaction| {
            let done = work(transaction)?;
            set(transaction, FLUSHED, latest.0)?;
            transaction.execute(
                "INSERT INTO counter (name, value)
                 SELECT ?1, coalesce(max(id), 0) FROM observation WHERE true
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                params![FLUSHED_ID],
            )?;
            Ok(done)
        });
        self.connection
            .pragma_update(None, "synchronous", "NORMAL")?;
        if done.is_ok() {
            self.unflushed = false;
            self.unflushed_since_ms = None;
        }
        done
    }

    /// Commits a transaction. Where there is no room for it, room that was freed is made usable, and it is tried
    /// once more.
    fn transact<T>(
        &mut self,
        work: impl Fn(&Transaction<'_>) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        let done = transact(&mut self.connection, &work);
        if done.as_ref().is_err_and(SpoolError::is_full) {
            // The journal grows until it begins anew.
            self.checkpoint()?;
            return transact(&mut self.connection, &work);
        }
        done
    }
}

fn transact<T>(
    connection: &mut Connection,
    work: impl Fn(&Transaction<'_>) -> Result<T, SpoolError>,
) -> Result<T, SpoolError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// When an observation of the spool was made: what was stamped within a boot counts from there.
fn final_time(observation: &Observation, offset_ms: Option<i64>) -> UnixMillis {
    UnixMillis(
        observation
            .at
            .0
            .saturating_add(offset_ms.unwrap_or_default()),
    )
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

#[cfg(test)]
mod tests;
