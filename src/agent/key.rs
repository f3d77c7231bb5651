//! The agent's key pair, which is its identity.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::error::{KeyRejected, Unspecified};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::wire::{AgentId, Batch};

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

    /// The public half in base64.
    pub(super) fn public_base64(&self) -> String {
        STANDARD.encode(self.0.public_key().as_ref())
    }

    /// The name that the key gives its holder.
    pub(super) fn id(&self) -> AgentId {
        AgentId::of_key(self.0.public_key().as_ref())
    }

    /// The signature of a batch's bytes, base64.
    pub(super) fn sign_batch(&self, body: &[u8]) -> String {
        STANDARD.encode(self.0.sign(&Batch::signed_bytes(body)).as_ref())
    }
}
