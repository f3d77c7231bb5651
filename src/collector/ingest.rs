//! Taking a batch in: bounded, verified, stored once.

use std::fmt::Display;
use std::io::Read as _;
use std::sync::MutexGuard;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use messnetz_metric::UnixMillis;
use ring::signature::{ED25519, UnparsedPublicKey};
use thiserror::Error;

use crate::store::{EnrolledAgent, Store, StoreError, Stored};
use crate::wire::{AgentId, BATCH_FORMAT, Batch, MAX_BATCH_BYTES, MAX_OBSERVATIONS};

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
    Fork {
        /// Whose number.
        agent: AgentId,
        /// Where it measures.
        site: String,
    },
    /// The store failed; the agent shall try again.
    #[error("the store could not take the batch")]
    Store(#[from] StoreError),
}

/// Longest text of a stranger's that is repeated in an answer or a log.
const MAX_QUOTED: usize = 200;

/// Largest zstd window, as a power of two: what a body can make the decoder allocate. It is as large as
/// the largest batch.
const WINDOW_LOG_MAX: u32 = 22;

/// The beginning of a stranger's text.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}

fn malformed(why: impl Display) -> BatchRefused {
    BatchRefused::Malformed(quoted(&why.to_string()))
}

/// Unpacks a zstd body, never beyond the bound.
fn decompress(body: &[u8]) -> Result<Vec<u8>, BatchRefused> {
    let mut reader = zstd::stream::read::Decoder::new(body).map_err(malformed)?;
    reader.window_log_max(WINDOW_LOG_MAX).map_err(malformed)?;
    let mut unpacked = Vec::new();
    reader
        .take(MAX_BATCH_BYTES as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(malformed)?;
    Ok(unpacked)
}

/// A batch as it came: read, and not yet known to be anybody's.
pub(super) struct Unverified {
    batch: Batch,
    bytes: Vec<u8>,
}

impl Unverified {
    /// Unpacks a body and reads it. This needs no store, so that nobody waits while a stranger's body is
    /// looked at.
    ///
    /// # Errors
    /// Where it is no batch that could be stored, or too large.
    pub(super) fn read(body: &[u8], packed: bool) -> Result<Self, BatchRefused> {
        let bytes = if packed {
            decompress(body)?
        } else {
            body.to_vec()
        };
        if bytes.len() > MAX_BATCH_BYTES {
            return Err(BatchRefused::TooLarge);
        }
        let batch: Batch = serde_json::from_slice(&bytes).map_err(malformed)?;
        if batch.format != BATCH_FORMAT {
            let format: String = batch.format.chars().take(40).collect();
            return Err(malformed(format_args!("its format is '{format}'")));
        }
        if batch.observations.len() > usize::from(MAX_OBSERVATIONS) {
            return Err(BatchRefused::TooLarge);
        }
        // The store's integers are signed: such a batch would fail there however often it came.
        if let Some(large) = [batch.epoch, batch.sequence]
            .into_iter()
            .find(|number| i64::try_from(*number).is_err())
        {
            return Err(malformed(format_args!("{large} is too large a number")));
        }
        Ok(Self { batch, bytes })
    }

    fn is_signed_by(&self, agent: &EnrolledAgent, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &agent.public_key)
            .verify(&Batch::signed_bytes(&self.bytes), signature)
            .is_ok()
    }

    /// Verifies the batch as it was signed, and stores it with all its observations or nothing of it.
    /// The store is locked for looking the agent up and for storing, and for nothing between.
    ///
    /// # Errors
    /// Why it was not taken.
    pub(super) fn take<'store>(
        self,
        store: impl Fn() -> MutexGuard<'store, Store>,
        signature: &str,
        now: UnixMillis,
    ) -> Result<(Batch, Stored), BatchRefused> {
        let signature = STANDARD
            .decode(signature)
            .map_err(|_| BatchRefused::NotAuthentic)?;
        let agent = store().agent(&self.batch.agent)?;
        agent
            .filter(|agent| agent.site == self.batch.site && self.is_signed_by(agent, &signature))
            .ok_or(BatchRefused::NotAuthentic)?;
        let hash = Batch::hash(&self.bytes);
        match store().store_batch(&self.batch, &hash, now)? {
            Stored::Fork => Err(BatchRefused::Fork {
                agent: self.batch.agent,
                site: self.batch.site,
            }),
            stored => Ok((self.batch, stored)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use messnetz_metric::{BitRate, Direction, Metric, Observation, Outcome, Quantity, Segment};
    use messnetz_metric::{Value, Vantage};
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;
    use crate::wire::TicketSecret;

    const SITE: &str = "XX-100001/main";

    fn key() -> Ed25519KeyPair {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()
    }

    fn store_with(key: &Ed25519KeyPair) -> (tempfile::TempDir, Mutex<Store>) {
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
        (folder, Mutex::new(store))
    }

    fn take_batch(
        store: &Mutex<Store>,
        body: &[u8],
        signature: &str,
        now: UnixMillis,
    ) -> Result<(Batch, Stored), BatchRefused> {
        Unverified::read(body, false)?.take(|| store.lock().unwrap(), signature, now)
    }

    fn batch(key: &Ed25519KeyPair, site: &str) -> Batch {
        Batch {
            format: BATCH_FORMAT.to_owned(),
            agent: AgentId::of_key(key.public_key().as_ref()),
            site: site.to_owned(),
            epoch: 1,
            sequence: 1,
            observations: Vec::new(),
        }
    }

    fn body(key: &Ed25519KeyPair, site: &str) -> Vec<u8> {
        serde_json::to_vec(&batch(key, site)).unwrap()
    }

    fn sign(key: &Ed25519KeyPair, body: &[u8]) -> String {
        STANDARD.encode(key.sign(&Batch::signed_bytes(body)))
    }

    #[test]
    fn a_signed_batch_is_taken_once_and_acknowledged_twice() {
        let key = key();
        let (_folder, store) = store_with(&key);
        let body = body(&key, SITE);
        let signature = sign(&key, &body);
        let (_, first) = take_batch(&store, &body, &signature, UnixMillis(2)).unwrap();
        let (_, second) = take_batch(&store, &body, &signature, UnixMillis(3)).unwrap();
        assert_eq!((first, second), (Stored::New, Stored::Duplicate));
    }

    #[test]
    fn a_flipped_bit_is_not_authentic() {
        let key = key();
        let (_folder, store) = store_with(&key);
        let mut body = body(&key, SITE);
        let signature = sign(&key, &body);
        let sequence = body
            .windows(12)
            .position(|w| w == b"\"sequence\":1")
            .unwrap()
            + 11;
        body[sequence] = b'2';
        let refused = take_batch(&store, &body, &signature, UnixMillis(2)).unwrap_err();
        assert!(matches!(refused, BatchRefused::NotAuthentic), "{refused}");
    }

    #[test]
    fn an_agent_cannot_speak_for_another_site() {
        let key = key();
        let (_folder, store) = store_with(&key);
        let body = body(&key, "XX-100002/main");
        let refused = take_batch(&store, &body, &sign(&key, &body), UnixMillis(2)).unwrap_err();
        assert!(matches!(refused, BatchRefused::NotAuthentic), "{refused}");
    }

    #[test]
    fn a_signature_without_the_domain_is_not_authentic() {
        let key = key();
        let (_folder, store) = store_with(&key);
        let body = body(&key, SITE);
        let bare = STANDARD.encode(key.sign(&body));
        let refused = take_batch(&store, &body, &bare, UnixMillis(2)).unwrap_err();
        assert!(matches!(refused, BatchRefused::NotAuthentic), "{refused}");
    }

    #[test]
    fn numbers_beyond_the_store_are_malformed_and_not_a_failure_of_the_store() {
        // A rate that is nowhere else in a batch: the types hold no larger one, so the text is changed.
        const LEAST_LIKELY: u64 = 987_654_321_012_345;
        let key = key();
        let large = u64::try_from(i64::MAX).unwrap() + 1;
        let [mut epoch, mut sequence, mut value] = [(); 3].map(|()| batch(&key, SITE));
        epoch.epoch = large;
        sequence.sequence = u64::MAX;
        value.observations.push(Observation {
            metric: Metric::new(Segment::Line, Quantity::Goodput(Direction::Down)),
            at: UnixMillis(1),
            vantage: Vantage::default(),
            peer: "collector".to_owned(),
            outcome: Outcome::Value(Value::Rate(BitRate::from_bps(LEAST_LIKELY))),
        });
        let (_folder, store) = store_with(&key);
        for batch in [epoch, sequence, value] {
            let body = serde_json::to_string(&batch).unwrap();
            let body = body.replace(&LEAST_LIKELY.to_string(), &large.to_string());
            let signature = sign(&key, body.as_bytes());
            let refused = take_batch(&store, body.as_bytes(), &signature, UnixMillis(2));
            let refused = refused.unwrap_err();
            assert!(matches!(refused, BatchRefused::Malformed(_)), "{refused}");
        }
    }

    #[test]
    fn the_largest_numbers_that_the_store_holds_are_taken() {
        let key = key();
        let (_folder, store) = store_with(&key);
        let mut batch = batch(&key, SITE);
        (batch.epoch, batch.sequence) = (i64::MAX.unsigned_abs(), i64::MAX.unsigned_abs());
        let body = serde_json::to_vec(&batch).unwrap();
        take_batch(&store, &body, &sign(&key, &body), UnixMillis(2)).unwrap();
    }

    #[test]
    fn the_store_is_not_locked_while_a_body_is_unpacked_and_read() {
        let key = key();
        let (_folder, store) = store_with(&key);
        let body = body(&key, SITE);
        let packed = zstd::encode_all(&body[..], 3).unwrap();
        let locked = store.lock().unwrap();
        assert!(Unverified::read(b"{}", false).is_err());
        let read = Unverified::read(&packed, true).unwrap();
        drop(locked);
        let taken = read.take(|| store.lock().unwrap(), &sign(&key, &body), UnixMillis(2));
        assert_eq!(taken.unwrap().1, Stored::New);
    }

    #[test]
    fn a_refusal_repeats_only_the_beginning_of_what_a_stranger_sent() {
        let body = format!("{{\"format\":\"\",\"agent\":\"{}\"}}", "x".repeat(100_000));
        for body in [body.clone(), body.replace("agent", &"y".repeat(100_000))] {
            let refused = Unverified::read(body.as_bytes(), false).err().unwrap();
            assert!(refused.to_string().chars().count() < 250, "{refused}");
        }
        let unknown = format!(
            "{{\"format\":\"\",\"agent\":{{\"{}\":1}}}}",
            "z".repeat(9_999)
        );
        let refused = Unverified::read(unknown.as_bytes(), false).err().unwrap();
        assert!(refused.to_string().chars().count() < 250, "{refused}");
        assert_eq!(quoted(&"ä".repeat(300)).chars().count(), MAX_QUOTED);
    }

    #[test]
    fn a_zip_bomb_is_too_large() {
        let bomb = zstd::encode_all(&vec![0_u8; 64 * 1024 * 1024][..], 1).unwrap();
        assert!(bomb.len() < 100_000);
        assert!(matches!(
            Unverified::read(&bomb, true).err().unwrap(),
            BatchRefused::TooLarge
        ));
    }

    #[test]
    fn a_window_larger_than_any_batch_is_refused() {
        let packed_with = |window_log| {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(window_log).unwrap();
            std::io::Write::write_all(&mut encoder, &[b' '; 1_000]).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(decompress(&packed_with(22)).unwrap().len(), 1_000);
        let refused = decompress(&packed_with(27)).unwrap_err();
        assert!(matches!(refused, BatchRefused::Malformed(_)), "{refused}");
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body: Vec<u8>, packed: bool) {
            let _ = Unverified::read(&body, packed);
        }
    }
}
