//! Taking a batch in: bounded, verified, stored once.

use std::fmt::Display;
use std::sync::Arc;

use messnetz_metric::UnixMillis;
use thiserror::Error;

use super::keys::KeyError;
use super::quota::Exceeded;
use crate::store::{EnrolledAgent, Former, Full, Role, Store, StoreError, Stored};
use crate::wire::batch::{self, Batch, BatchError, Chunk};
use crate::wire::{AgentId, BATCH_FORMAT, CollectorId, MAX_BATCH_BYTES, Standing};
use crate::zstandard;

/// Why a batch was not taken.
#[derive(Debug, Error)]
pub enum BatchRefused {
    /// Larger than is accepted.
    #[error("the batch is larger than {MAX_BATCH_BYTES} bytes")]
    TooLarge,
    /// Not what the format asks for.
    #[error("the batch is no {BATCH_FORMAT}: {0}")]
    Malformed(String),
    /// Not signed for this collector by an agent that is enrolled for this site. One answer for all cases:
    /// whoever tries names learns nothing.
    #[error("the batch is not signed for this collector by an agent that is enrolled for its site")]
    NotAuthentic,
    /// The agent's own, and nothing is taken from it at present, or ever again.
    #[error("{}", why_not_in(*.0))]
    NotIn(Standing),
    /// The agent measures somewhere else, and has said so itself.
    #[error("the agent was moved away from this site, and has sent of its new one since")]
    Left,
    /// Another batch has this number.
    #[error(
        "another batch with this number, or before or after it, was taken: this agent's state was copied or restored; it is in quarantine until the operator has looked"
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
    /// More arrives than can be written; the agent shall try again.
    #[error(transparent)]
    Full(#[from] Full),
    /// The agent has sent more than it may; it shall try again later.
    #[error(transparent)]
    Quota(#[from] Exceeded),
    /// The collector has no keys.
    #[error(transparent)]
    Keys(#[from] Arc<KeyError>),
    /// It was stored, and cannot be acknowledged.
    #[error("the receipt could not be written")]
    Receipt(#[source] serde_json::Error),
}

fn why_not_in(standing: Standing) -> &'static str {
    match standing {
        Standing::Pending => {
            "the agent waits for approval: the operator compares its fingerprint and runs `messnetz collector approve`"
        }
        Standing::Quarantined => {
            "the agent is in quarantine, because its numbers came twice with different content: the operator looks for a second box and runs `messnetz collector release`"
        }
        Standing::Revoked => "the agent's key was revoked for good",
        Standing::Approved => "the agent is in",
    }
}

/// What became of a batch that is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// It was there already.
    pub(super) duplicate: bool,
    /// When it came first.
    pub(super) received_at: UnixMillis,
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
    zstandard::unpack(body, MAX_BATCH_BYTES, WINDOW_LOG_MAX).map_err(malformed)
}

/// A batch as it came: read, and not yet known to be anybody's.
pub(super) struct Unverified(Batch);

impl Unverified {
    /// Unpacks a body and reads it. This needs no store, so that nobody waits while a stranger's body is
    /// looked at.
    ///
    /// # Errors
    /// Where it is no batch that could be stored, or too large, or not whole.
    pub(super) fn read(body: &[u8], packed: bool) -> Result<Self, BatchRefused> {
        let read = if packed {
            Batch::read(&decompress(body)?)
        } else {
            Batch::read(body)
        };
        let batch = read.map_err(|error| match error {
            BatchError::TooLarge => BatchRefused::TooLarge,
            BatchError::Malformed(wrong) => malformed(wrong),
        })?;
        if !batch.root_holds() {
            return Err(malformed("header.root: it is not that of the digests"));
        }
        let wrong = |standing| standing != batch::Standing::Holds;
        let mut standings = batch.chunks().iter().map(Chunk::standing);
        if let Some(index) = standings.position(wrong) {
            return Err(malformed(format_args!(
                "digests[{index}]: it is not that of the chunk"
            )));
        }
        Ok(Self(batch))
    }

    /// Verifies the batch as it was signed: for this collector, by an agent that measures at its site, or did
    /// before it was moved; or by one that visits, for any site that is known here. Gives the agent too.
    ///
    /// # Errors
    /// Why it is not taken.
    pub(super) fn verify(
        self,
        store: &dyn Store,
        collector: &CollectorId,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<(Batch, EnrolledAgent), BatchRefused> {
        let batch = self.0;
        let header = batch.header();
        let agent = store
            .agent(&header.agent)?
            .filter(|agent| *collector == header.collector && batch.is_signed_by(&agent.public_key))
            .ok_or(BatchRefused::NotAuthentic)?;
        let former = if agent.role == Role::Visitor || agent.site == header.site {
            None
        } else {
            Some(store.former(&agent.id, &header.site)?)
        };
        let is_elsewhere = agent.role == Role::Visitor && !is_known(&header.site);
        if is_elsewhere || former == Some(Former::Never) {
            return Err(BatchRefused::NotAuthentic);
        }
        // Only to whoever holds the key: others do not learn that there is such an agent.
        if agent.standing != Standing::Approved {
            return Err(BatchRefused::NotIn(agent.standing));
        }
        if former == Some(Former::Left) {
            return Err(BatchRefused::Left);
        }
        Ok((batch, agent))
    }
}

impl Taken {
    /// What became of a verified batch that came now.
    ///
    /// # Errors
    /// Where it is a fork.
    pub(super) fn of(batch: &Batch, stored: Stored, now: UnixMillis) -> Result<Self, BatchRefused> {
        let (duplicate, received_at) = match stored {
            Stored::New => (false, now),
            Stored::Duplicate { received_at } => (true, received_at),
            Stored::Fork => {
                return Err(BatchRefused::Fork {
                    agent: batch.header().agent.clone(),
                    site: batch.header().site.clone(),
                });
            }
        };
        Ok(Self {
            duplicate,
            received_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use messnetz_metric::{Metric, Observation, Outcome, Quantity, Segment, Value, Vantage};
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;
    use crate::store::{Admission, Decision, SqliteStore};
    use crate::wire::TicketSecret;
    use crate::wire::batch::Link;

    const SITE: &str = "XX-100001/main";

    /// A site that the collector does not know.
    const ELSEWHERE: &str = "XX-999999/main";

    fn key() -> Ed25519KeyPair {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()
    }

    fn store_with(key: &Ed25519KeyPair) -> (tempfile::TempDir, SqliteStore) {
        let (folder, store) = admitted(key, Admission::AtOnce);
        (folder, store)
    }

    fn admitted(key: &Ed25519KeyPair, admission: Admission) -> (tempfile::TempDir, SqliteStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
        let secret = TicketSecret::random().unwrap();
        store
            .add_ticket(
                &secret,
                SITE,
                admission,
                UnixMillis(0),
                Duration::from_mins(1),
            )
            .unwrap();
        let public_key = key.public_key().as_ref();
        store
            .redeem_ticket(&secret, SITE, public_key, UnixMillis(1))
            .unwrap()
            .unwrap();
        (folder, store)
    }

    fn here() -> CollectorId {
        CollectorId::of_key(&[9; 32])
    }

    fn take_batch(store: &SqliteStore, batch: &Batch, now: i64) -> Result<Taken, BatchRefused> {
        let (batch, _) =
            Unverified::read(&batch.document(), false)?
                .verify(store, &here(), |site| site != ELSEWHERE)?;
        let stored = store.store_batch(&batch, UnixMillis(now))?;
        Taken::of(&batch, stored, UnixMillis(now))
    }

    fn link(key: &Ed25519KeyPair) -> Link {
        Link {
            collector: here(),
            agent: AgentId::of_key(key.public_key().as_ref()),
            site: SITE.to_owned(),
            epoch: 1,
            sequence: 1,
            previous: None,
        }
    }

    fn observation() -> Observation {
        let metric = Metric::new(Segment::Line, Quantity::Rtt);
        let outcome = Outcome::Value(Value::new(metric.quantity.unit(), 12_345));
        Observation::new(
            metric,
            UnixMillis(1),
            Vantage::default(),
            "collector",
            outcome,
        )
    }

    fn batch(key: &Ed25519KeyPair) -> Batch {
        Batch::new(&link(key), &[observation()]).unwrap()
    }

    #[test]
    fn a_signed_batch_is_taken_once_and_acknowledged_twice_as_of_the_same_time() {
        let key = key();
        let (_folder, store) = store_with(&key);
        let batch = batch(&key).signed_with(&key);
        let first = take_batch(&store, &batch, 2).unwrap();
        let second = take_batch(&store, &batch, 3).unwrap();
        let received_at = UnixMillis(2);
        let taken = |duplicate| Taken {
            duplicate,
            received_at,
        };
        assert_eq!((first, second), (taken(false), taken(true)));
    }

    #[test]
    fn a_header_without_its_samples_is_no_batch_to_store() {
        let key = key();
        let (_folder, store) = store_with(&key);
        let whole = batch(&key).signed_with(&key);
        for left in [whole.clone().header_alone(), whole.pruned(|_| false)] {
            let refused = take_batch(&store, &left, 2).unwrap_err();
            assert!(matches!(refused, BatchRefused::Malformed(_)), "{refused}");
        }
    }

    #[test]
    fn what_is_signed_by_nobody_or_for_another_site_or_collector_is_not_authentic() {
        let (key, stranger) = (key(), key());
        let (_folder, store) = store_with(&key);
        let with = |link: Link| Batch::new(&link, &[]).unwrap().signed_with(&key);
        let another_site = Link {
            site: "XX-100002/main".to_owned(),
            ..link(&key)
        };
        let another_collector = Link {
            collector: CollectorId::of_key(&[8; 32]),
            ..link(&key)
        };
        for batch in [
            batch(&key),
            batch(&key).signed_with(&stranger),
            batch(&stranger).signed_with(&stranger),
            with(another_site),
            with(another_collector),
        ] {
            let refused = take_batch(&store, &batch, 2).unwrap_err();
            assert!(matches!(refused, BatchRefused::NotAuthentic), "{refused}");
        }
    }

    #[test]
    fn a_visitor_hands_in_what_it_measured_at_any_known_site_and_no_verdict_rests_on_it() {
        let key = key();
        let (_folder, store) = admitted(&key, Admission::Visitor);
        let id = AgentId::of_key(key.public_key().as_ref());
        let at = |site: &str| {
            let site = site.to_owned();
            let link = Link { site, ..link(&key) };
            Batch::new(&link, &[observation()])
                .unwrap()
                .signed_with(&key)
        };
        let refused = take_batch(&store, &at(SITE), 2).unwrap_err();
        assert!(
            matches!(refused, BatchRefused::NotIn(Standing::Pending)),
            "{refused}"
        );
        store
            .decide(&id, Decision::Approve, UnixMillis(2))
            .unwrap()
            .unwrap();
        let refused = take_batch(&store, &at(ELSEWHERE), 3).unwrap_err();
        assert!(matches!(refused, BatchRefused::NotAuthentic), "{refused}");
        let ever = UnixMillis(0)..=UnixMillis(i64::MAX);
        for site in [SITE, "XX-100002/main"] {
            take_batch(&store, &at(site), 3).unwrap();
            let visits = store.visits_of_site(site, ever.clone()).unwrap();
            assert_eq!(visits.len(), 1, "{site}");
            assert!(store.series_of_site(site, ever.clone()).unwrap().is_empty());
        }
        assert!(store.agents_of_site(SITE).unwrap().is_empty());
    }

    #[test]
    fn only_an_approved_agent_is_listened_to_and_only_its_own_key_is_told_why_not() {
        let (key, stranger) = (key(), key());
        let (_folder, store) = store_with(&key);
        let id = AgentId::of_key(key.public_key().as_ref());
        let other = Decision::Move("XX-100002/main");
        store.decide(&id, other, UnixMillis(2)).unwrap().unwrap();
        take_batch(&store, &batch(&key).signed_with(&key), 3).unwrap();
        store
            .decide(&id, Decision::Revoke, UnixMillis(4))
            .unwrap()
            .unwrap();
        let refused = take_batch(&store, &batch(&key).signed_with(&key), 5).unwrap_err();
        assert!(
            matches!(refused, BatchRefused::NotIn(Standing::Revoked)),
            "{refused}"
        );
        let refused = take_batch(&store, &batch(&key).signed_with(&stranger), 5).unwrap_err();
        assert!(matches!(refused, BatchRefused::NotAuthentic), "{refused}");
    }

    #[test]
    fn what_is_not_whole_is_malformed_at_its_place() {
        let key = key();
        let (_folder, store) = store_with(&key);
        let whole = batch(&key).signed_with(&key);
        let pruned = whole.clone().pruned(|_| false);
        let refused = take_batch(&store, &pruned, 2).unwrap_err().to_string();
        assert!(refused.contains("digests[0]: "), "{refused}");
        let document = String::from_utf8(whole.document()).unwrap();
        for (from, to, said) in [
            ("12345", "12346", "digests[0]: "),
            ("\"digests\":[\"", "\"digests\":[\"0", "the document: "),
            (
                "\"value\":[12345]",
                "\"value\":[9223372036854775808]",
                "chunks[0].value[0]: ",
            ),
            (
                "\"epoch\":1",
                "\"epoch\":9223372036854775808",
                "header.epoch: ",
            ),
        ] {
            let changed = document.replacen(from, to, 1);
            let refused = Unverified::read(changed.as_bytes(), false).err().unwrap();
            assert!(matches!(refused, BatchRefused::Malformed(_)), "{refused}");
            assert!(refused.to_string().contains(said), "{refused}");
        }
    }

    #[test]
    fn the_largest_numbers_that_the_store_holds_are_taken() {
        let key = key();
        let (_folder, store) = store_with(&key);
        let large = Link {
            epoch: i64::MAX.unsigned_abs(),
            ..link(&key)
        };
        let batch = Batch::new(&large, &[]).unwrap().signed_with(&key);
        take_batch(&store, &batch, 2).unwrap();
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

    /// What agents pack with: another implementation than the one that unpacks.
    #[cfg(feature = "agent")]
    fn packed(body: &[u8]) -> Vec<u8> {
        use ruzstd::encoding::{CompressionLevel, compress_to_vec};
        compress_to_vec(body, CompressionLevel::Fastest)
    }

    #[cfg(feature = "agent")]
    #[test]
    fn an_agent_packs_a_day_of_watching_into_a_third() {
        let key = key();
        let metric = Metric::new(Segment::Line, Quantity::Rtt);
        let rtt = |minute: i64| {
            // Round trips that differ, as round trips do.
            let micros = 9_000 + minute * 7_919 % 4_001;
            let outcome = Outcome::Value(Value::new(metric.quantity.unit(), micros));
            let at = UnixMillis(1_795_370_000_000 + minute * 60_000 + minute * 31 % 7);
            Observation::new(metric, at, Vantage::default(), "collector", outcome)
        };
        let day: Vec<_> = (0..1_440).map(rtt).collect();
        let body = Batch::new(&link(&key), &day).unwrap().document();
        let packed = packed(&body);
        assert!(packed.len() * 3 <= body.len(), "{}", packed.len());
        assert_eq!(decompress(&packed).unwrap(), body);
    }

    #[cfg(feature = "agent")]
    proptest::proptest! {
        #[test]
        fn what_an_agent_packs_is_unpacked(
            piece in proptest::collection::vec(0..=255_u8, 0..300),
            times in 1..2_000_usize,
        ) {
            let body = piece.repeat(times);
            proptest::prop_assert_eq!(decompress(&packed(&body)).unwrap(), body);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body: Vec<u8>, packed: bool) {
            let _ = Unverified::read(&body, packed);
        }
    }
}
