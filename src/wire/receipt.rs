//! The receipt for a batch: what the collector signs once it has committed one, so that an agent's operator
//! can show later that it was there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use messnetz_metric::UnixMillis;
use ring::signature::{
    ED25519, ED25519_PUBLIC_KEY_LEN, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use thiserror::Error;

use super::batch::{Batch, Digest, signed_bytes};
use super::{AgentId, CollectorId};

/// Names the form of a receipt, and separates its signature from signatures over anything else.
pub const RECEIPT_FORMAT: &str = "messnetz-receipt-1";

/// An Ed25519 public key (RFC 8032), written in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// The key whose octets these are; `None` where they are none.
    #[must_use]
    pub fn of(octets: &[u8]) -> Option<Self> {
        (octets.len() == ED25519_PUBLIC_KEY_LEN).then(|| Self(octets.to_vec()))
    }

    /// Its octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl From<&Ed25519KeyPair> for PublicKey {
    fn from(pair: &Ed25519KeyPair) -> Self {
        Self(pair.public_key().as_ref().to_vec())
    }
}

impl TryFrom<String> for PublicKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let octets = STANDARD.decode(text).ok();
        octets
            .and_then(|octets| Self::of(&octets))
            .ok_or("this is no base64 of an Ed25519 public key")
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        STANDARD.encode(key.0)
    }
}

/// That a collector has committed a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// [`RECEIPT_FORMAT`].
    pub format: String,
    /// Who committed it.
    pub collector: CollectorId,
    /// Who measured.
    pub agent: AgentId,
    /// Where.
    pub site: String,
    /// Epoch of the batch.
    pub epoch: u64,
    /// Number of the batch.
    pub sequence: u64,
    /// [`Batch::hash`].
    pub batch: Digest,
    /// When it was committed first, however often it came.
    pub received_at: UnixMillis,
}

/// A receipt with its signature. The bytes that were signed are kept as they stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedReceipt {
    receipt: Box<RawValue>,
    signature: String,
}

/// A receipt that proves nothing.
#[derive(Debug, Error)]
pub enum ReceiptError {
    /// Not signed by the collector that the agent enrolled with.
    #[error("it is not signed with the collector's key")]
    Signature,
    /// Signed, and no receipt.
    #[error("it is no {RECEIPT_FORMAT}")]
    Form(#[source] serde_json::Error),
    /// A receipt for something else.
    #[error("it is for something else than this batch")]
    Other,
}

impl Receipt {
    /// The receipt for a batch that was committed at this time.
    #[must_use]
    pub fn of(batch: &Batch, received_at: UnixMillis) -> Self {
        let header = batch.header();
        Self {
            format: RECEIPT_FORMAT.to_owned(),
            collector: header.collector.clone(),
            agent: header.agent.clone(),
            site: header.site.clone(),
            epoch: header.epoch,
            sequence: header.sequence,
            batch: batch.hash(),
            received_at,
        }
    }

    /// Signs it.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub fn signed_with(&self, key: &Ed25519KeyPair) -> Result<SignedReceipt, serde_json::Error> {
        let receipt = to_raw_value(self)?;
        let signature = key.sign(&signed_bytes(RECEIPT_FORMAT, receipt.get()));
        Ok(SignedReceipt {
            receipt,
            signature: STANDARD.encode(signature),
        })
    }
}

impl SignedReceipt {
    /// What it says, whoever signed it.
    ///
    /// # Errors
    /// Where it is no receipt.
    pub fn stated(&self) -> Result<Receipt, serde_json::Error> {
        serde_json::from_str(self.receipt.get())
    }

    /// The receipt for this batch, once it is known to be the collector's.
    ///
    /// # Errors
    /// Where it is not signed with the collector's key, or is for something else.
    pub fn verified(&self, batch: &Batch, key: &PublicKey) -> Result<Receipt, ReceiptError> {
        let signature = STANDARD.decode(&self.signature).unwrap_or_default();
        UnparsedPublicKey::new(&ED25519, key.octets())
            .verify(
                &signed_bytes(RECEIPT_FORMAT, self.receipt.get()),
                &signature,
            )
            .map_err(|_| ReceiptError::Signature)?;
        let receipt = self.stated().map_err(ReceiptError::Form)?;
        let of_batch = Receipt::of(batch, receipt.received_at);
        let is_for_us = receipt.collector == CollectorId::of_key(key.octets());
        if receipt == of_batch && is_for_us {
            Ok(receipt)
        } else {
            Err(ReceiptError::Other)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::batch::Link;

    fn key(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn public(key: &Ed25519KeyPair) -> PublicKey {
        PublicKey::from(key)
    }

    fn batch(collector: &Ed25519KeyPair, epoch: u64) -> Batch {
        let link = Link {
            collector: CollectorId::of_key(collector.public_key().as_ref()),
            agent: AgentId::of_key(&[1; 32]),
            site: "XX-100001/main".to_owned(),
            epoch,
            sequence: 1,
            previous: None,
        };
        Batch::new(&link, &[]).unwrap()
    }

    #[test]
    fn a_receipt_is_for_one_batch_and_of_one_collector() {
        let (key, other) = (key(1), key(2));
        let (mine, next) = (batch(&key, 1), batch(&key, 2));
        let signed = Receipt::of(&mine, UnixMillis(5)).signed_with(&key).unwrap();
        let signed: SignedReceipt =
            serde_json::from_str(&serde_json::to_string(&signed).unwrap()).unwrap();
        let receipt = signed.verified(&mine, &public(&key)).unwrap();
        assert_eq!(receipt, Receipt::of(&mine, UnixMillis(5)));
        let refused = signed.verified(&next, &public(&key));
        assert!(matches!(refused, Err(ReceiptError::Other)));
        let refused = signed.verified(&mine, &public(&other));
        assert!(matches!(refused, Err(ReceiptError::Signature)));
        let foreign = batch(&other, 1);
        let signed = Receipt::of(&foreign, UnixMillis(5))
            .signed_with(&key)
            .unwrap();
        let refused = signed.verified(&foreign, &public(&key));
        assert!(
            matches!(refused, Err(ReceiptError::Other)),
            "named another collector"
        );
    }

    #[test]
    fn a_changed_receipt_does_not_verify() {
        let key = key(1);
        let batch = batch(&key, 1);
        let signed = Receipt::of(&batch, UnixMillis(5))
            .signed_with(&key)
            .unwrap();
        let text = serde_json::to_string(&signed).unwrap();
        for (from, to) in [
            ("\"received_at\":5", "\"received_at\":6"),
            ("messnetz-receipt-1", "messnetz-receipt-2"),
        ] {
            let changed: SignedReceipt = serde_json::from_str(&text.replace(from, to)).unwrap();
            let refused = changed.verified(&batch, &public(&key));
            assert!(matches!(refused, Err(ReceiptError::Signature)), "{to}");
        }
        let bare = SignedReceipt {
            signature: STANDARD.encode(key.sign(signed.receipt.get().as_bytes())),
            ..signed
        };
        assert!(bare.verified(&batch, &public(&key)).is_err());
    }
}
