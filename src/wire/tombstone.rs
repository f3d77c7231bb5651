//! What the collector says when it prunes: which samples it took out, of which batches, and what stands for them
//! since. It is signed with the key that the collector is named after.

use messnetz_metric::UnixMillis;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::batch::Digest;
use super::{AgentId, CollectorId, PublicKey, Signed, SignedError, Statement};

/// What was taken out of batches that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    /// Where it was measured.
    pub site: String,
    /// Who measured.
    pub agent: AgentId,
    /// The epoch of the batches.
    pub epoch: u64,
    /// The number of the first.
    pub from: u64,
    /// The number of the last.
    pub to: u64,
    /// The hash of the last, which covers all before it.
    pub hash: Digest,
    /// When the oldest sample was measured; none where no batch has a date.
    pub first_at: Option<UnixMillis>,
    /// When the newest one was.
    pub last_at: Option<UnixMillis>,
    /// How many samples were taken out.
    pub observations: u64,
    /// SHA-256 of the roll-ups that stand for them.
    pub rolled: Digest,
    /// All of them are from before this time, which the operator asked for.
    pub before: UnixMillis,
    /// When they were taken out.
    pub pruned_at: UnixMillis,
}

impl Statement for Tombstone {
    const FORMAT: &'static str = "messnetz-tombstone-1";
}

/// A tombstone as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedTombstone {
    /// What it is signed with; the collector's name is made of it.
    pub receipt_key: PublicKey,
    /// What was taken out.
    pub tombstone: Signed<Tombstone>,
}

/// A tombstone that is not to be believed.
#[derive(Debug, Error)]
pub enum TombstoneError {
    /// Nobody's word.
    #[error("the tombstone is not signed with the collector's key")]
    Signed(#[from] SignedError),
    /// Another collector's.
    #[error("the tombstone is of the collector {0}")]
    Other(CollectorId),
}

impl SignedTombstone {
    /// What it says, once it is known to be the word of this collector.
    ///
    /// # Errors
    /// Where it is not signed, or by another one.
    pub fn verified(&self, collector: &CollectorId) -> Result<Tombstone, TombstoneError> {
        let by = CollectorId::of_key(self.receipt_key.octets());
        if by != *collector {
            return Err(TombstoneError::Other(by));
        }
        Ok(self.tombstone.verified(&self.receipt_key)?)
    }
}
