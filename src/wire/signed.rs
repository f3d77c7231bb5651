//! A statement with its signature, over the exact bytes as they stand in the document.

use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use thiserror::Error;

use super::PublicKey;
use super::batch::signed_bytes;

/// What can be signed. The format separates its signature from signatures over anything else.
pub trait Statement: Serialize + DeserializeOwned {
    /// The line before the bytes that are signed.
    const FORMAT: &'static str;
}

/// A statement as it was signed: Ed25519 over its format, a line feed, and its bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
pub struct Signed<T> {
    statement: Box<RawValue>,
    signature: String,
    #[serde(skip)]
    of: PhantomData<T>,
}

/// A statement that is nobody's word.
#[derive(Debug, Error)]
pub enum SignedError {
    /// Not signed with the key that it should be.
    #[error("the signature is not that of the key over this statement")]
    Signature,
    /// It says something else than what it should be about.
    #[error("the statement cannot be read")]
    Form(#[source] serde_json::Error),
}

impl<T: Statement> Signed<T> {
    /// The statement, signed.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub fn by(key: &Ed25519KeyPair, statement: &T) -> Result<Self, serde_json::Error> {
        let statement = to_raw_value(statement)?;
        let signature = key.sign(&signed_bytes(T::FORMAT, statement.get()));
        Ok(Self {
            statement,
            signature: STANDARD.encode(signature),
            of: PhantomData,
        })
    }

    /// What it says, whoever signed it.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn stated(&self) -> Result<T, SignedError> {
        serde_json::from_str(self.statement.get()).map_err(SignedError::Form)
    }

    /// What it says, once it is known who says so.
    ///
    /// # Errors
    /// Where it is not signed with this key, or is something else.
    pub fn verified(&self, key: &PublicKey) -> Result<T, SignedError> {
        let signature = STANDARD.decode(&self.signature).unwrap_or_default();
        UnparsedPublicKey::new(&ED25519, key.octets())
            .verify(&signed_bytes(T::FORMAT, self.statement.get()), &signature)
            .map_err(|_| SignedError::Signature)?;
        self.stated()
    }
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.statement.get() == other.statement.get() && self.signature == other.signature
    }
}

impl<T> Eq for Signed<T> {}
