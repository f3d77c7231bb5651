//! The key that the collector signs receipts and schedules with: made once, kept in the store. The collector is named after
//! it, so that its name outlives its certificate.

use messnetz_metric::UnixMillis;
use ring::error::KeyRejected;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use thiserror::Error;

use crate::store::{Store, StoreError};
use crate::wire::batch::Batch;
use crate::wire::{Assignment, CollectorId, PublicKey, Receipt, SignedReceipt, SignedSchedule};

const SETTING: &str = "receipt-key-pkcs8";

/// The key could not be made or read.
#[derive(Debug, Error)]
pub enum ReceiptKeyError {
    /// Keeping it.
    #[error("keeping the collector's key for receipts in the store")]
    Store(#[from] StoreError),
    /// Making it.
    #[error("making the collector's key for receipts: the operating system gave no random numbers")]
    Make,
    /// Using it.
    #[error(
        "using the collector's key for receipts from the store ({0}); restore the store from a backup"
    )]
    Use(KeyRejected),
}

/// What receipts are signed with.
#[derive(Debug)]
pub(super) struct ReceiptKey(Ed25519KeyPair);

impl ReceiptKey {
    /// The key kept in the store; made where there is none.
    ///
    /// # Errors
    /// Where it cannot be kept, made or used.
    pub(super) fn load_or_make(store: &dyn Store) -> Result<Self, ReceiptKeyError> {
        let document = if let Some(document) = store.setting(SETTING)? {
            document
        } else {
            let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                .map_err(|_| ReceiptKeyError::Make)?;
            store.setting_or_insert(SETTING, made.as_ref())?
        };
        Ed25519KeyPair::from_pkcs8(&document)
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
