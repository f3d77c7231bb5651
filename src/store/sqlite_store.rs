//! The store in one SQLite file: one connection that writes, and several that read.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use messnetz_metric::UnixMillis;

use super::queue::Queue;
use super::{
    Admission, Arrival, Came, ChainHead, Checked, Compacted, Connected, Decision, DecisionRefused,
    EnrolledAgent, Extent, Forked, Former, Full, LateSeries, Lease, LineSeen, Offer, Pending,
    ProgramSeen, Prunable, Removed, Role, Run, SeriesSeen, SiteSeries, Store, StoreError, Stored,
    TicketRefused, TombstoneSigner,
};
use crate::wire::batch::Batch;
use crate::wire::{AgentId, TicketSecret};

/// Most connections that are kept open for the next reader.
const IDLE_READERS: usize = 8;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped first: its thread uses the connection that writes.
    queue: Queue,
    writing: Arc<Mutex<Connected>>,
    path: PathBuf,
    idle: Mutex<Vec<Connected>>,
}

impl SqliteStore {
    /// Opens the file, makes it where it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// Where the file cannot be opened, is no SQLite file, or was written by a newer program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let writing = Arc::new(Mutex::new(Connected::open(path)?));
        Ok(Self {
            queue: Queue::before(Arc::clone(&writing)),
            writing,
            path: path.to_owned(),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// The connection that writes, for as long as the answer is held.
    pub(super) fn writing(&self) -> MutexGuard<'_, Connected> {
        // Every change is a transaction: a panic in between leaves the store whole.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what was committed, and waits for no writer.
    fn reading<T>(
        &self,
        read: impl FnOnce(&Connected) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let free = idle().pop();
        let connected = match free {
            Some(connected) => connected,
            None => Connected::open_read_only(&self.path)?,
        };
        let found = read(&connected)?;
        let mut idle = idle();
        if idle.len() < IDLE_READERS {
            idle.push(connected);
        }
        Ok(found)
    }
}

impl Store for SqliteStore {
    fn add_ticket(
        &self,
        secret: &TicketSecret,
        site: &str,
        admission: Admission,
        now: UnixMillis,
        valid_for: Duration,
    ) -> Result<(), StoreError> {
        self.writing()
            .add_ticket(secret, site, admission, now, valid_for)
    }

    fn redeem_ticket(
        &self,
        secret: &TicketSecret,
        site: &str,
        public_key: &[u8],
        now: UnixMillis,
    ) -> Result<Result<EnrolledAgent, TicketRefused>, StoreError> {
        self.writing().redeem_ticket(secret, site, public_key, now)
    }

    fn decide(
        &self,
        id: &AgentId,
        decision: Decision<'_>,
        now: UnixMillis,
    ) -> Result<Result<EnrolledAgent, DecisionRefused>, StoreError> {
        self.writing().decide(id, decision, now)
    }

    fn former(&self, id: &AgentId, site: &str) -> Result<Former, StoreError> {
        self.reading(|store| store.former(id, site))
    }

    fn agent(&self, id: &AgentId) -> Result<Option<EnrolledAgent>, StoreError> {
        self.reading(|store| store.agent(id))
    }

    fn agents(&self) -> Result<Vec<EnrolledAgent>, StoreError> {
        self.reading(Connected::agents)
    }

    fn keep_pins(&self, id: &AgentId, number: u64) -> Result<(), StoreError> {
        self.writing().keep_pins(id, number)
    }

    fn agents_of_site(&self, site: &str) -> Result<Vec<String>, StoreError> {
        self.reading(|store| store.agents_of_site(site))
    }

    fn schedule(&self, site: &str, agent: &AgentId) -> Result<Option<String>, StoreError> {
        self.reading(|store| store.schedule(site, agent))
    }

    fn keep_schedule(&self, site: &str, agent: &AgentId, document: &str) -> Result<(), StoreError> {
        self.writing().keep_schedule(site, agent, document)
    }

    fn keep_leases(&self, leases: &[Lease]) -> Result<(), StoreError> {
        if leases.is_empty() {
            return Ok(());
        }
        self.writing().keep_leases(leases)
    }

    fn leases(&self, now: UnixMillis) -> Result<Vec<Lease>, StoreError> {
        self.reading(|store| store.leases(now))
    }

    fn forget_leases(&self, before: UnixMillis) -> Result<(), StoreError> {
        self.writing().forget_leases(before)
    }

    fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.writing().set_setting(name, value)
    }

    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.reading(|store| store.setting(name))
    }

    fn setting_or_insert(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.writing().setting_or_insert(name, value)
    }

    fn forget_setting(&self, name: &str) -> Result<(), StoreError> {
        self.writing().forget_setting(name)
    }

    fn sealed(&self, arrival: &Arrival) -> Result<Option<Stored>, StoreError> {
        self.reading(|store| store.sealed(arrival))
    }

    fn submit(&self, arrival: Arrival) -> Result<Pending, Full> {
        self.queue.submit(arrival)
    }

    fn store_batch(&self, batch: &Batch, now: UnixMillis) -> Result<Stored, StoreError> {
        let arrival = Arrival::of(batch, now)?;
        self.writing().append_one(&arrival)
    }

    fn batch(
        &self,
        site: &str,
        agent: &AgentId,
        epoch: u64,
        sequence: u64,
    ) -> Result<Option<Batch>, StoreError> {
        self.reading(|store| store.batch(site, agent, epoch, sequence))
    }

    fn forks(&self) -> Result<Vec<Forked>, StoreError> {
        self.reading(Connected::forks)
    }

    fn series_of_site(
        &self,
        site: &str,
        window: RangeInclusive<UnixMillis>,
    ) -> Result<Vec<SiteSeries>, StoreError> {
        self.reading(|store| store.series_by(Role::Resident, site, window))
    }

    fn visits_of_site(
        &self,
        site: &str,
        window: RangeInclusive<UnixMillis>,
    ) -> Result<Vec<SiteSeries>, StoreError> {
        self.reading(|store| store.series_by(Role::Visitor, site, window))
    }

    fn overview(&self, site: &str) -> Result<Vec<SeriesSeen>, StoreError> {
        self.reading(|store| store.overview(site))
    }

    fn late_series_of_site(
        &self,
        site: &str,
        window: RangeInclusive<UnixMillis>,
        received_after: UnixMillis,
    ) -> Result<Option<LateSeries>, StoreError> {
        self.reading(|store| store.late_series_of_site(site, &window, received_after))
    }

    fn heads(&self) -> Result<Vec<ChainHead>, StoreError> {
        self.reading(Connected::heads)
    }

    fn came(&self) -> Result<Vec<Came>, StoreError> {
        self.reading(Connected::came)
    }

    fn runs(&self, agent: &AgentId) -> Result<Vec<Run>, StoreError> {
        self.reading(|store| store.runs(agent))
    }

    fn keep_line_seen(&self, seen: &LineSeen) -> Result<(), StoreError> {
        self.writing().keep_line_seen(seen)
    }

    fn lines_seen(&self) -> Result<Vec<LineSeen>, StoreError> {
        self.reading(Connected::lines_seen)
    }

    fn keep_offer(&self, offer: &Offer) -> Result<(), StoreError> {
        self.writing().keep_offer(offer)
    }

    fn withdraw_offer(&self, target: &str) -> Result<bool, StoreError> {
        self.writing().withdraw_offer(target)
    }

    fn offers(&self) -> Result<Vec<Offer>, StoreError> {
        self.reading(Connected::offers)
    }

    fn keep_program(&self, seen: &ProgramSeen) -> Result<(), StoreError> {
        self.writing().keep_program(seen)
    }

    fn program(&self, agent: &AgentId) -> Result<Option<ProgramSeen>, StoreError> {
        self.reading(|store| store.program(agent))
    }

    fn programs(&self, given: Option<u64>) -> Result<Vec<ProgramSeen>, StoreError> {
        self.reading(|store| store.programs(given))
    }

    fn compact(&self, now: UnixMillis, extent: Extent) -> Result<Compacted, StoreError> {
        let due = self.reading(|store| store.due(now, extent == Extent::All))?;
        let mut compacted = Compacted::default();
        for run in due {
            // Nothing is locked while the batches are read, sealed and held against what was sealed.
            let loaded = self.reading(|store| store.load(run))?;
            let numbers = self.writing().numbers_for(&loaded)?;
            let sealed = loaded.seal(&numbers)?;
            if self.writing().replace(&loaded, &sealed)? {
                loaded.count(&sealed, &mut compacted);
            }
        }
        Ok(compacted)
    }

    fn prunable(&self, before: UnixMillis) -> Result<Prunable, StoreError> {
        self.reading(|store| store.prunable(before))
    }

    fn prune(
        &self,
        before: UnixMillis,
        now: UnixMillis,
        by: &dyn TombstoneSigner,
    ) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        for old in self.reading(|store| store.outdated(before))? {
            // Nothing is locked while it is read, pruned, and held against what was pruned.
            match self.reading(|store| store.replacement(old, (before, now), by))? {
                Some(replacement) => {
                    if self.writing().put_in_place(&replacement)? {
                        replacement.count(&mut removed);
                    }
                }
                None => removed.left += 1,
            }
        }
        Ok(removed)
    }

    fn check(&self) -> Result<Vec<Checked>, StoreError> {
        self.reading(Connected::check)
    }

    fn backup(&self, path: &Path) -> Result<(), StoreError> {
        self.reading(|store| store.copy_to(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ledger::tests::{EVER, SITE, batch_after};

    fn store() -> (tempfile::TempDir, SqliteStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
        (folder, store)
    }

    fn chain(length: usize) -> Vec<Batch> {
        let mut chain = vec![batch_after(None, 95)];
        while chain.len() < length {
            chain.push(batch_after(chain.last(), 95));
        }
        chain
    }

    #[tokio::test]
    async fn what_waits_together_is_answered_one_by_one_and_stored_once() {
        let (_folder, store) = store();
        let chain = chain(20);
        let fork = batch_after(None, 96);
        let all: Vec<&Batch> = chain.iter().chain(&chain).chain([&fork]).collect();
        let pending: Vec<Pending> = {
            let _writing = store.writing();
            let submit = |batch: &&Batch| {
                let arrival = Arrival::of(batch, UnixMillis(5)).unwrap();
                store.submit(arrival).unwrap()
            };
            all.iter().map(submit).collect()
        };
        let received_at = UnixMillis(5);
        for (index, pending) in pending.into_iter().enumerate() {
            let expected = match index {
                0..20 => Stored::New,
                20..40 => Stored::Duplicate { received_at },
                _ => Stored::Fork,
            };
            assert_eq!(pending.stored().await.unwrap(), expected, "{index}");
        }
        let series = store.series_of_site(SITE, EVER).unwrap();
        assert_eq!(
            (series[0].samples.len(), series[0].failures.len()),
            (20, 20)
        );
    }

    #[tokio::test]
    async fn what_is_more_than_can_wait_is_sent_away_and_all_that_waited_is_stored() {
        let (_folder, store) = store();
        let chain = chain(40);
        let mut waiting = Vec::new();
        let turned_away = {
            let _writing = store.writing();
            let mut turned_away = 0;
            for batch in &chain {
                let arrival = Arrival::packed(batch, vec![0; 1024 * 1024], UnixMillis(5));
                match store.submit(arrival) {
                    Ok(pending) => waiting.push(pending),
                    Err(Full) => turned_away += 1,
                }
            }
            turned_away
        };
        assert!(turned_away > 5, "{turned_away}");
        for pending in waiting {
            assert_eq!(pending.stored().await.unwrap(), Stored::New);
        }
        // There is room again.
        let arrival = Arrival::of(&chain[39], UnixMillis(6)).unwrap();
        assert!(store.submit(arrival).is_ok());
    }

    #[test]
    fn whoever_sends_again_what_was_sealed_long_ago_keeps_nobody_from_writing() {
        let (_folder, store) = store();
        let chain = chain(20);
        for batch in &chain[..19] {
            store.store_batch(batch, UnixMillis(5)).unwrap();
        }
        store.compact(UnixMillis(6), Extent::All).unwrap();
        let _writing = store.writing();
        let received_at = UnixMillis(5);
        for (number, batch) in chain.iter().enumerate() {
            let arrival = Arrival::of(batch, UnixMillis(7)).unwrap();
            let known = (number < 19).then_some(Stored::Duplicate { received_at });
            assert_eq!(store.sealed(&arrival).unwrap(), known, "{number}");
        }
        let fork = Arrival::of(&batch_after(None, 96), UnixMillis(7)).unwrap();
        assert_eq!(store.sealed(&fork).unwrap(), None);
    }

    #[test]
    fn readers_do_not_wait_for_whoever_writes() {
        let (_folder, store) = store();
        store.set_setting("x", b"old").unwrap();
        let writing = store.writing();
        assert_eq!(store.setting("x").unwrap().unwrap(), b"old");
        drop(writing);
    }
}
