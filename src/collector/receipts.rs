//! The key that the collector signs receipts and schedules with: made once. The collector is named after it, so that its
//! name outlives its certificate.

use messnetz_metric::UnixMillis;
use ring::error::KeyRejected;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use thiserror::Error;

use super::keys::{KeyDirectory, KeyError, RECEIPTS};
use crate::store::TombstoneSigner;
use crate::wire::batch::Batch;
use crate::wire::{
    Answer, Assignment, CollectorId, Pins, PublicKey, Receipt, Signed, SignedReceipt,
    SignedSchedule, SignedTombstone, Tombstone,
};

/// The key could not be made or read.
#[derive(Debug, Error)]
pub enum ReceiptKeyError {
    /// Making it.
    #[error("making the collector's key for receipts: the operating system gave no random numbers")]
    Make,
    /// Using it.
    #[error(
        "using the collector's key for receipts ({0}); bring it back with `messnetz collector keys import`"
    )]
    Use(KeyRejected),
}

/// What receipts are signed with.
#[derive(Debug)]
pub(super) struct ReceiptKey(Ed25519KeyPair);

impl TombstoneSigner for ReceiptKey {
    fn id(&self) -> CollectorId {
        Self::id(self)
    }

    fn sign(&self, tombstone: &Tombstone) -> Result<SignedTombstone, serde_json::Error> {
        Ok(SignedTombstone {
            receipt_key: self.public_half(),
            tombstone: Signed::by(&self.0, tombstone)?,
        })
    }
}

impl ReceiptKey {
    /// The key that is kept; made where there is none.
    ///
    /// # Errors
    /// Where it cannot be kept, made or used.
    pub(super) fn load_or_make(keys: &KeyDirectory) -> Result<Self, KeyError> {
        let document = match keys.read(RECEIPTS)? {
            Some(document) => document,
            None => keys.keep_first(RECEIPTS, &Self::generate()?)?,
        };
        Ok(Self::read(&document)?)
    }

    /// A new key as a PKCS #8 document (RFC 8410).
    ///
    /// # Errors
    /// Where the system gives no random numbers.
    pub(super) fn generate() -> Result<Vec<u8>, ReceiptKeyError> {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        Ok(made.map_err(|_| ReceiptKeyError::Make)?.as_ref().to_vec())
    }

    /// The key of a PKCS #8 document.
    ///
    /// # Errors
    /// Where it is none.
    pub(super) fn read(document: &[u8]) -> Result<Self, ReceiptKeyError> {
        Ed25519KeyPair::from_pkcs8(document)
            .map(Self)
            .map_err(ReceiptKeyError::Use)
    }

    /// The public half.
    pub(super) fn public_half(&self) -> PublicKey {
        PublicKey::from(&self.0)
    }

    /// The name that the key gives the collector.
    pub(super) fn id(&self) -> CollectorId {
        CollectorId::of_key(self.0.public_key().as_ref())
    }

    /// A list of certificates, signed.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub(super) fn vouch(&self, pins: &Pins) -> Result<Signed<Pins>, serde_json::Error> {
        Signed::by(&self.0, pins)
    }

    /// What is there of an agent, signed.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub(super) fn answer(&self, answer: &Answer) -> Result<Signed<Answer>, serde_json::Error> {
        Signed::by(&self.0, answer)
    }

    /// The assignment, signed.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub(super) fn assign(
        &self,
        assignment: &Assignment,
    ) -> Result<SignedSchedule, serde_json::Error> {
        assignment.signed_with(&self.0)
    }

    /// The receipt for a batch that was committed at this time: the same bytes, however often it is asked for.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub(super) fn receipt(
        &self,
        batch: &Batch,
        received_at: UnixMillis,
    ) -> Result<SignedReceipt, serde_json::Error> {
        Receipt::of(batch, received_at).signed_with(&self.0)
    }
}
