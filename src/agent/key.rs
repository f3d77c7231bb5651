//! The agent's key pair, which is its identity.

use ring::error::{KeyRejected, Unspecified};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::wire::batch::Batch;
use crate::wire::{AgentId, EnrolRequest, Signed, Statement, Ticket};

/// An Ed25519 key pair (RFC 8032) that this agent made itself.
pub(super) struct AgentKey(Ed25519KeyPair);

impl AgentKey {
    /// A new key pair as a PKCS #8 document (RFC 8410), to be kept in a file.
    pub(super) fn generate() -> Result<Vec<u8>, Unspecified> {
        Ok(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())?
            .as_ref()
            .to_vec())
    }

    /// The key pair of a PKCS #8 document.
    pub(super) fn from_pkcs8(document: &[u8]) -> Result<Self, KeyRejected> {
        Ok(Self(Ed25519KeyPair::from_pkcs8(document)?))
    }

    /// The name that the key gives its holder.
    pub(super) fn id(&self) -> AgentId {
        AgentId::of_key(self.0.public_key().as_ref())
    }

    /// The request that redeems a ticket for the holder of this key.
    pub(super) fn redeem(&self, ticket: &Ticket) -> Result<EnrolRequest, serde_json::Error> {
        EnrolRequest::of(ticket, &self.0)
    }

    /// What this agent states, signed.
    pub(super) fn state<T: Statement>(
        &self,
        statement: &T,
    ) -> Result<Signed<T>, serde_json::Error> {
        Signed::by(&self.0, statement)
    }

    /// The batch, signed.
    pub(super) fn sign(&self, batch: Batch) -> Batch {
        batch.signed_with(&self.0)
    }
}
