//! What every store can do. Whoever takes batches in or judges knows this, and no database.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use messnetz_metric::UnixMillis;
use serde::Serialize;

use super::{
    Admission, Arrival, Came, ChainHead, Checked, Decision, DecisionRefused, EnrolledAgent, Forked,
    Former, Full, LateSeries, Lease, LineSeen, Offer, Pending, ProgramSeen, Prunable, Removed, Run,
    SeriesSeen, SiteSeries, StoreError, Stored, TicketRefused, TombstoneSigner,
};
use crate::wire::batch::Batch;
use crate::wire::{AgentId, TicketSecret};

/// What a collector keeps: tickets, agents, batches with their samples, and its own secrets. Each method is
/// one transaction, and may be called from any thread.
pub trait Store: Debug + Send + Sync {
    /// Keeps a ticket's hash until it is used or expires.
    ///
    /// # Errors
    /// Where the store fails.
    fn add_ticket(
        &self,
        secret: &TicketSecret,
        site: &str,
        admission: Admission,
        now: UnixMillis,
        valid_for: Duration,
    ) -> Result<(), StoreError>;

    /// Uses a ticket up and enrols the agent that holds `public_key`, in one step. Whoever used it may
    /// ask again as long as it is enrolled: the answer may have been lost on the way.
    ///
    /// # Errors
    /// The inner error says why the ticket opened nothing; the outer one where the store fails.
    fn redeem_ticket(
        &self,
        secret: &TicketSecret,
        site: &str,
        public_key: &[u8],
        now: UnixMillis,
    ) -> Result<Result<EnrolledAgent, TicketRefused>, StoreError>;

    /// Does what an operator decided about an agent, and gives the agent as it is then.
    ///
    /// # Errors
    /// The inner error says why that cannot be; the outer one where the store fails.
    fn decide(
        &self,
        id: &AgentId,
        decision: Decision<'_>,
        now: UnixMillis,
    ) -> Result<Result<EnrolledAgent, DecisionRefused>, StoreError>;

    /// What an agent has to do with a site that it measured at before it was moved.
    ///
    /// # Errors
    /// Where the store fails.
    fn former(&self, id: &AgentId, site: &str) -> Result<Former, StoreError>;

    /// Keeps which list of the collector's certificates an agent said it has.
    ///
    /// # Errors
    /// Where the store fails.
    fn keep_pins(&self, id: &AgentId, number: u64) -> Result<(), StoreError>;

    /// The agent of this name.
    ///
    /// # Errors
    /// Where the store fails.
    fn agent(&self, id: &AgentId) -> Result<Option<EnrolledAgent>, StoreError>;

    /// All agents, by site.
    ///
    /// # Errors
    /// Where the store fails.
    fn agents(&self) -> Result<Vec<EnrolledAgent>, StoreError>;

    /// The names of the agents that measure at a site, in an order that stays.
    ///
    /// # Errors
    /// Where the store fails.
    fn agents_of_site(&self, site: &str) -> Result<Vec<String>, StoreError>;

    /// The document that an agent was given last for a site, which says what it is to measure.
    ///
    /// # Errors
    /// Where the store fails.
    fn schedule(&self, site: &str, agent: &AgentId) -> Result<Option<String>, StoreError>;

    /// Keeps the document that an agent is given for a site, in the place of the one before.
    ///
    /// # Errors
    /// Where the store fails.
    fn keep_schedule(&self, site: &str, agent: &AgentId, document: &str) -> Result<(), StoreError>;

    /// Keeps leases, all or none.
    ///
    /// # Errors
    /// Where the store fails.
    fn keep_leases(&self, leases: &[Lease]) -> Result<(), StoreError>;

    /// The leases that are not over at this time, by site and agent.
    ///
    /// # Errors
    /// Where the store fails.
    fn leases(&self, now: UnixMillis) -> Result<Vec<Lease>, StoreError>;

    /// Forgets the leases that were over before this time.
    ///
    /// # Errors
    /// Where the store fails.
    fn forget_leases(&self, before: UnixMillis) -> Result<(), StoreError>;

    /// Keeps a named value.
    ///
    /// # Errors
    /// Where the store fails.
    fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), StoreError>;

    /// A named value.
    ///
    /// # Errors
    /// Where the store fails.
    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps a named value where there is none yet, and gives the one that is kept.
    ///
    /// # Errors
    /// Where the store fails.
    fn setting_or_insert(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Removes a named value so that none of its bytes stay in the file.
    ///
    /// # Errors
    /// Where the store fails.
    fn forget_setting(&self, name: &str) -> Result<(), StoreError>;

    /// What becomes of a batch that was sealed long ago and comes again; `None` of every other. A segment has to be
    /// opened for it, so it is asked first and nobody who writes waits meanwhile.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write.
    fn sealed(&self, arrival: &Arrival) -> Result<Option<Stored>, StoreError>;

    /// Hands a verified batch over to be stored, together with what others hand over meanwhile.
    ///
    /// # Errors
    /// Where too much waits already: the batch shall come again.
    fn submit(&self, arrival: Arrival) -> Result<Pending, Full>;

    /// Stores a verified batch now, or nothing of it.
    ///
    /// # Errors
    /// Where the store fails; then nothing is stored.
    fn store_batch(&self, batch: &Batch, now: UnixMillis) -> Result<Stored, StoreError>;

    /// A batch as it came, without what was pruned since; `None` where there is no such batch, or only in
    /// a form that left no evidence.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write.
    fn batch(
        &self,
        site: &str,
        agent: &AgentId,
        epoch: u64,
        sequence: u64,
    ) -> Result<Option<Batch>, StoreError>;

    /// Every agent whose numbers came twice with different content: each is an alarm.
    ///
    /// # Errors
    /// Where the store fails.
    fn forks(&self) -> Result<Vec<Forked>, StoreError>;

    /// All series of a site with what the agents that stay there measured within `window`.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write.
    fn series_of_site(
        &self,
        site: &str,
        window: RangeInclusive<UnixMillis>,
    ) -> Result<Vec<SiteSeries>, StoreError>;

    /// The same of the audits that were handed in: visits are kept apart, and no verdict rests on them.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write.
    fn visits_of_site(
        &self,
        site: &str,
        window: RangeInclusive<UnixMillis>,
    ) -> Result<Vec<SiteSeries>, StoreError>;

    /// What there is of a site, series by series, of visits too: how much, from when to when, between which values.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write.
    fn overview(&self, site: &str) -> Result<Vec<SeriesSeen>, StoreError>;

    /// What was measured at a site within `window` and came after `received_after`, of all that came late.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write.
    fn late_series_of_site(
        &self,
        site: &str,
        window: RangeInclusive<UnixMillis>,
        received_after: UnixMillis,
    ) -> Result<Option<LateSeries>, StoreError>;

    /// The last batch of every agent that stays or stayed at a site, by site.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write.
    fn heads(&self) -> Result<Vec<ChainHead>, StoreError>;

    /// What came of every agent, counted, by site.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write.
    fn came(&self) -> Result<Vec<Came>, StoreError>;

    /// The runs of an agent's numbers without a gap, by site, epoch and number.
    ///
    /// # Errors
    /// Where the store fails.
    fn runs(&self, agent: &AgentId) -> Result<Vec<Run>, StoreError>;

    /// Keeps what the collector saw of a line, in place of what it saw before.
    ///
    /// # Errors
    /// Where the store fails.
    fn keep_line_seen(&self, seen: &LineSeen) -> Result<(), StoreError>;

    /// What the collector saw of every line that it asked.
    ///
    /// # Errors
    /// Where the store fails.
    fn lines_seen(&self) -> Result<Vec<LineSeen>, StoreError>;

    /// Offers a release, in the place of the one before for such machines.
    ///
    /// # Errors
    /// Where the store fails.
    fn keep_offer(&self, offer: &Offer) -> Result<(), StoreError>;

    /// Takes the offer for such machines back; whether there was one.
    ///
    /// # Errors
    /// Where the store fails.
    fn withdraw_offer(&self, target: &str) -> Result<bool, StoreError>;

    /// All offers, by machine.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write.
    fn offers(&self) -> Result<Vec<Offer>, StoreError>;

    /// Keeps what an agent said of its program, in the place of what it said before.
    ///
    /// # Errors
    /// Where the store fails.
    fn keep_program(&self, seen: &ProgramSeen) -> Result<(), StoreError>;

    /// What an agent said last of its program.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write.
    fn program(&self, agent: &AgentId) -> Result<Option<ProgramSeen>, StoreError>;

    /// What all agents said last of their programs, or those that were given this release.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write.
    fn programs(&self, given: Option<u64>) -> Result<Vec<ProgramSeen>, StoreError>;

    /// Moves what was appended into its lasting form, as far as there is enough of it or it is old, or all of
    /// it. It takes a while and nobody waits for it.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write; then what is not moved stays as it is.
    fn compact(&self, now: UnixMillis, extent: Extent) -> Result<Compacted, StoreError>;

    /// What [`Self::prune`] would take out now.
    ///
    /// # Errors
    /// Where the store fails.
    fn prunable(&self, before: UnixMillis) -> Result<Prunable, StoreError>;

    /// Takes the samples out of what was sealed, and that nothing from this time on is in or came since: roll-ups by
    /// series and hour and a signed tombstone take their place. Headers stay, and whatever is measured no more
    /// than once an hour. What does not hold stays as it is. It takes a while and nobody waits for it.
    ///
    /// # Errors
    /// Where the store fails or holds what this program does not write; then what is not pruned stays as it is.
    fn prune(
        &self,
        before: UnixMillis,
        now: UnixMillis,
        by: &dyn TombstoneSigner,
    ) -> Result<Removed, StoreError>;

    /// Holds all that is stored against what agents signed, each agent at each site by itself.
    ///
    /// # Errors
    /// Where the store fails.
    fn check(&self) -> Result<Vec<Checked>, StoreError>;

    /// Copies what is committed now into a new file, while others go on.
    ///
    /// # Errors
    /// Where there is such a file, or it cannot be written.
    fn backup(&self, path: &Path) -> Result<(), StoreError>;
}

/// How much is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What is enough or old.
    Due,
    /// All.
    All,
}

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// Segments that were written.
    pub segments: usize,
    /// Batches in them.
    pub batches: usize,
    /// Samples in them.
    pub samples: usize,
    /// Their bytes, evidence and samples together.
    pub bytes: usize,
}
