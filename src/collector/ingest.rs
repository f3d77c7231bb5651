//! Taking a batch in: bounded, verified, stored once.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use messnetz_metric::UnixMillis;
use ring::signature::{ED25519, UnparsedPublicKey};
use thiserror::Error;

use crate::store::{Store, StoreError, Stored};
use crate::wire::{BATCH_FORMAT, Batch, MAX_BATCH_BYTES, MAX_OBSERVATIONS};

/// Why a batch was not taken.
#[derive(Debug, Error)]
pub enum BatchRefused {
    /// Larger than is accepted.
    #[error("the batch is larger than {MAX_BATCH_BYTES} bytes")]
    TooLarge,
    /// Not what the format asks for.
    #[error("the batch is no {BATCH_FORMAT}: {0}")]
    Malformed(String),
    /// Not signed by an agent that is enrolled for this site. One answer for all cases: whoever tries
    /// names learns nothing.
    #[error("the batch is not signed by an agent that is enrolled for its site")]
    NotAuthentic,
    /// Another batch has this number.
    #[error(
        "another batch with this number was taken before: this agent's state was copied or restored; enrol it anew"
    )]
    Fork,
    /// The store failed; the agent shall try again.
    #[error("the store could not take the batch")]
    Store(#[from] StoreError),
}

/// Unpacks a zstd body, never beyond the bound.
///
/// # Errors
/// Where it is no zstd or too large.
pub(super) fn decompress(body: &[u8]) -> Result<Vec<u8>, BatchRefused> {
    let malformed = |error: std::io::Error| BatchRefused::Malformed(error.to_string());
    let reader = zstd::stream::read::Decoder::new(body).map_err(malformed)?;
    let mut unpacked = Vec::new();
    reader
        .take(MAX_BATCH_BYTES as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(malformed)?;
    if unpacked.len() > MAX_BATCH_BYTES {
        Err(BatchRefused::TooLarge)
    } else {
        Ok(unpacked)
    }
}

/// Verifies a batch as it was signed, and stores it with all its observations or nothing of it.
///
/// # Errors
/// Why it was not taken.
pub(super) fn take_batch(
    store: &mut Store,
    body: &[u8],
    signature: &str,
    now: UnixMillis,
) -> Result<(Batch, Stored), BatchRefused> {
    if body.len() > MAX_BATCH_BYTES {
        return Err(BatchRefused::TooLarge);
    }
    let batch: Batch =
        serde_json::from_slice(body).map_err(|error| BatchRefused::Malformed(error.to_string()))?;
    if batch.format != BATCH_FORMAT {
        let format: String = batch.format.chars().take(40).collect();
        return Err(BatchRefused::Malformed(format!("its format is '{format}'")));
    }
    if batch.observations.len() > usize::from(MAX_OBSERVATIONS) {
        return Err(BatchRefused::TooLarge);
    }
    let agent = store
        .agent(&batch.agent)?
        .filter(|agent| agent.site == batch.site)
        .ok_or(BatchRefused::NotAuthentic)?;
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| BatchRefused::NotAuthentic)?;
    UnparsedPublicKey::new(&ED25519, &agent.public_key)
        .verify(&Batch::signed_bytes(body), &signature)
        .map_err(|_| BatchRefused::NotAuthentic)?;
    match store.store_batch(&batch, &Batch::hash(body), now)? {
        Stored::Fork => Err(BatchRefused::Fork),
        stored => Ok((batch, stored)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;
    use crate::wire::{AgentId, TicketSecret};

    const SITE: &str = "XX-100001/main";

    fn key() -> Ed25519KeyPair {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()
    }

    fn store_with(key: &Ed25519KeyPair) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.db")).unwrap();
        let secret = TicketSecret::random().unwrap();
        store
            .add_ticket(&secret, SITE, UnixMillis(0), Duration::from_mins(1))
            .unwrap();
        let public_key = key.public_key().as_ref();
        store
            .redeem_ticket(&secret, SITE, public_key, UnixMillis(1))
            .unwrap()
            .unwrap();
        (folder, store)
    }

    fn body(key: &Ed25519KeyPair, site: &str) -> Vec<u8> {
        serde_json::to_vec(&Batch {
            format: BATCH_FORMAT.to_owned(),
            agent: AgentId::of_key(key.public_key().as_ref()),
            site: site.to_owned(),
            epoch: 1,
            sequence: 1,
            observations: Vec::new(),
        })
        .unwrap()
    }

    fn sign(key: &Ed25519KeyPair, body: &[u8]) -> String {
        STANDARD.encode(key.sign(&Batch::signed_bytes(body)))
    }

    #[test]
    fn a_signed_batch_is_taken_once_and_acknowledged_twice() {
        let key = key();
        let (_folder, mut store) = store_with(&key);
        let body = body(&key, SITE);
        let signature = sign(&key, &body);
        let (_, first) = take_batch(&mut store, &body, &signature, UnixMillis(2)).unwrap();
        let (_, second) = take_batch(&mut store, &body, &signature, UnixMillis(3)).unwrap();
        assert_eq!((first, second), (Stored::New, Stored::Duplicate));
    }

    #[test]
    fn a_flipped_bit_is_not_authentic() {
        let key = key();
        let (_folder, mut store) = store_with(&key);
        let mut body = body(&key, SITE);
        let signature = sign(&key, &body);
        let sequence = body
            .windows(12)
            .position(|w| w == b"\"sequence\":1")
            .unwrap()
            + 11;
        body[sequence] = b'2';
        let refused = take_batch(&mut store, &body, &signature, UnixMillis(2)).unwrap_err();
        assert!(matches!(refused, BatchRefused::NotAuthentic), "{refused}");
    }

    #[test]
    fn an_agent_cannot_speak_for_another_site() {
        let key = key();
        let (_folder, mut store) = store_with(&key);
        let body = body(&key, "XX-100002/main");
        let refused = take_batch(&mut store, &body, &sign(&key, &body), UnixMillis(2)).unwrap_err();
        assert!(matches!(refused, BatchRefused::NotAuthentic), "{refused}");
    }

    #[test]
    fn a_signature_without_the_domain_is_not_authentic() {
        let key = key();
        let (_folder, mut store) = store_with(&key);
        let body = body(&key, SITE);
        let bare = STANDARD.encode(key.sign(&body));
        let refused = take_batch(&mut store, &body, &bare, UnixMillis(2)).unwrap_err();
        assert!(matches!(refused, BatchRefused::NotAuthentic), "{refused}");
    }

    #[test]
    fn a_zip_bomb_is_too_large() {
        let bomb = zstd::encode_all(&vec![0_u8; 64 * 1024 * 1024][..], 1).unwrap();
        assert!(bomb.len() < 100_000);
        assert!(matches!(
            decompress(&bomb).unwrap_err(),
            BatchRefused::TooLarge
        ));
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body: Vec<u8>, signature in ".{0,100}") {
            let folder = tempfile::tempdir().unwrap();
            let mut store = Store::open(&folder.path().join("store.db")).unwrap();
            let _ = decompress(&body);
            let _ = take_batch(&mut store, &body, &signature, UnixMillis(0));
        }
    }
}
