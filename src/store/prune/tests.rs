//! Claims about what is left of samples that are not kept any more.

use messnetz_metric::{
    BitRate, Direction, Metric, Observation, Outcome, Quantity, Segment, Value, Vantage,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::store::ledger::tests::{EVER, SITE, agent, enrolled, key};
use crate::store::{Checked, Extent, HOUR_MS, SiteSeries, SqliteStore, Store as _, Stored};
use crate::wire::batch::{Batch, Link};
use crate::wire::{PublicKey, Signed};

const BEGIN: i64 = 1_700_000_000_000 / HOUR_MS * HOUR_MS;
const MINUTE: i64 = 60_000;
const LATER: UnixMillis = UnixMillis(BEGIN + 500 * 24 * HOUR_MS);

/// A collector's key.
pub(crate) struct Signer(Ed25519KeyPair);

impl Signer {
    pub(crate) fn numbered(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }
}

impl TombstoneSigner for Signer {
    fn id(&self) -> CollectorId {
        CollectorId::of_key(self.0.public_key().as_ref())
    }

    fn sign(&self, tombstone: &Tombstone) -> Result<SignedTombstone, serde_json::Error> {
        Ok(SignedTombstone {
            receipt_key: PublicKey::from(&self.0),
            tombstone: Signed::by(&self.0, tombstone)?,
        })
    }
}

fn rtt(minute: i64) -> i64 {
    9_000 + minute * 7_919 % 1_024
}

/// A round trip each minute, and a capacity test each third hour.
fn measured(minute: i64) -> Vec<Observation> {
    let observation = |metric, value| {
        let at = UnixMillis(BEGIN + minute * MINUTE);
        let outcome = Outcome::Value(value);
        Observation::new(metric, at, Vantage::default(), "collector", outcome)
    };
    let of_line = |quantity| Metric::new(Segment::Line, quantity);
    let delay = of_line(Quantity::Rtt);
    let delay = observation(delay, Value::new(delay.quantity.unit(), rtt(minute)));
    let rate = Value::Rate(BitRate::from_bps(95_000_000 + minute.unsigned_abs()));
    let test = observation(of_line(Quantity::Goodput(Direction::Down)), rate);
    if minute % 180 == 17 {
        vec![delay, test]
    } else {
        vec![delay]
    }
}

/// Batches of a minute each.
fn chain(minutes: i64) -> Vec<Batch> {
    let mut chain: Vec<Batch> = Vec::new();
    for minute in 0..minutes {
        let link = Link {
            collector: Signer::numbered(9).id(),
            agent: agent(),
            site: SITE.to_owned(),
            epoch: 1,
            sequence: minute.unsigned_abs() + 1,
            previous: chain.last().map(Batch::hash),
        };
        let batch = Batch::new(&link, &measured(minute)).unwrap();
        chain.push(batch.signed_with(&key()));
    }
    chain
}

/// A sealed store of so many minutes.
fn store_of(minutes: i64) -> (tempfile::TempDir, SqliteStore, Vec<Batch>) {
    let (folder, store) = enrolled();
    let chain = chain(minutes);
    for (minute, batch) in (0..).zip(&chain) {
        let at = UnixMillis(BEGIN + minute * MINUTE + 500);
        store.store_batch(batch, at).unwrap();
    }
    store.compact(LATER, Extent::All).unwrap();
    (folder, store, chain)
}

fn checked(store: &SqliteStore) -> Checked {
    store.check().unwrap().remove(0)
}

fn series_of(store: &SqliteStore, quantity: Quantity) -> SiteSeries {
    let all = store.series_of_site(SITE, EVER).unwrap();
    let mut all = all
        .into_iter()
        .filter(|series| series.metric.quantity == quantity);
    all.next().unwrap()
}

#[test]
fn what_is_pruned_leaves_every_header_the_rare_tests_and_roll_ups_that_a_tombstone_vouches_for() {
    let (_folder, store, chain) = store_of(1_500);
    let tests = series_of(&store, Quantity::Goodput(Direction::Down));
    assert_eq!(tests.samples.len(), 9);
    let found = store.prunable(LATER).unwrap();
    let removed = store.prune(LATER, LATER, &Signer::numbered(9)).unwrap();
    assert_eq!((removed.segments, removed.left), (found.segments, 0));
    assert_eq!((found.samples, removed.samples), (1_509, 1_500));
    assert_eq!(removed.bytes_before, found.bytes);

    let check = checked(&store);
    assert!(check.holds(), "{check:?}");
    assert_eq!(
        (check.batches, check.samples, check.pruned),
        (1_500, 9, 1_500)
    );
    assert_eq!(check.head.unwrap().hash, chain[1_499].hash());

    assert_eq!(series_of(&store, Quantity::Goodput(Direction::Down)), tests);
    let delays = series_of(&store, Quantity::Rtt);
    assert!(delays.samples.is_empty());
    let of_hour = |hour: i64| {
        let rolled = delays.rolled.iter();
        let own = rolled.filter(move |rolled| rolled.begin.0 == BEGIN + hour * HOUR_MS);
        own.flat_map(|rolled| &rolled.values)
    };
    for hour in 0..25 {
        let count: u32 = of_hour(hour).map(|(_, count)| count).sum();
        assert_eq!(count, 60, "{hour}");
        let largest = of_hour(hour)
            .map(|(value, _)| value.number())
            .max()
            .unwrap();
        let was = (hour * 60..hour * 60 + 60).map(rtt).max().unwrap();
        assert!((largest - was).abs() * 256 <= was, "{largest} for {was}");
    }
    assert_eq!(
        store.prune(LATER, LATER, &Signer::numbered(9)).unwrap(),
        Removed::default()
    );
}

#[test]
fn a_batch_without_samples_still_names_itself_and_one_that_keeps_a_test_still_proves_it() {
    let (_folder, store, chain) = store_of(60);
    store.prune(LATER, LATER, &Signer::numbered(9)).unwrap();
    for batch in &chain {
        let header = batch.header();
        let left = store
            .batch(SITE, &agent(), 1, header.sequence)
            .unwrap()
            .unwrap();
        assert_eq!(left.hash(), batch.hash());
        assert_eq!(left.signature(), batch.signature());
        let has_test = batch.chunks().len() == 2;
        assert_eq!(left.is_header_alone(), !has_test);
        assert_eq!(Batch::read(&left.document()).unwrap(), left);
        if has_test {
            assert!(left.root_holds() && left.what_is_there_holds());
            let proved = Batch::read(&left.document()).unwrap();
            assert_eq!(proved.observations().count(), 1);
        }
        // What came before comes again: it is known.
        let again = store.store_batch(batch, LATER).unwrap();
        assert!(matches!(again, Stored::Duplicate { .. }), "{again:?}");
    }
}

#[test]
fn what_is_newer_or_came_later_is_left() {
    let (_folder, store, _) = store_of(60);
    let by = Signer::numbered(9);
    let last = BEGIN + 59 * MINUTE;
    for before in [0, last, last + 500] {
        let removed = store.prune(UnixMillis(before), LATER, &by).unwrap();
        assert_eq!(removed, Removed::default(), "{before}");
    }
    let removed = store.prune(UnixMillis(last + 501), LATER, &by).unwrap();
    assert_eq!(removed.segments, 1);
}

#[test]
fn what_does_not_hold_or_was_sent_to_another_collector_is_vouched_for_by_nobody() {
    let (_folder, store, _) = store_of(60);
    let stranger = store.prune(LATER, LATER, &Signer::numbered(8)).unwrap();
    assert_eq!((stranger.segments, stranger.left), (0, 1));
    let samples: Vec<u8> = {
        let writing = store.writing();
        let select = "SELECT samples FROM segment";
        let read = writing.connection.query_row(select, [], |row| row.get(0));
        read.unwrap()
    };
    let mut n_changed = 0;
    for place in 0..samples.len() {
        let mut changed = samples.clone();
        changed[place] ^= 1;
        let update = "UPDATE segment SET samples = ?1";
        let execute = |store: &SqliteStore| store.writing().connection.execute(update, [&changed]);
        execute(&store).unwrap();
        if checked(&store).holds() {
            // A bit that fills a byte up is of no sample.
            continue;
        }
        n_changed += 1;
        let left = store.prune(LATER, LATER, &Signer::numbered(9)).unwrap();
        assert_eq!((left.segments, left.left), (0, 1), "{place}");
    }
    assert!(n_changed > samples.len() / 2, "{n_changed}");

    let (_folder, store, _) = store_of(60);
    let forget = "UPDATE agent SET public_key = x'00'";
    store.writing().connection.execute(forget, []).unwrap();
    let unknown = store.prune(LATER, LATER, &Signer::numbered(9)).unwrap();
    assert_eq!((unknown.segments, unknown.left), (0, 1));
}

#[test]
fn whatever_is_changed_after_pruning_is_found() {
    let (_folder, store, _) = store_of(600);
    store.prune(LATER, LATER, &Signer::numbered(9)).unwrap();
    let copies = tempfile::tempdir().unwrap();
    let saved = copies.path().join("saved.db");
    store.backup(&saved).unwrap();
    for (change, found) in [
        (
            "UPDATE pruned SET rolled = (SELECT evidence FROM segment)",
            "roll-ups",
        ),
        (
            "UPDATE pruned SET tombstone = replace(tombstone, '\"observations\":', '\"observations\":1')",
            "sign",
        ),
        ("UPDATE pruned SET tombstone = '{}'", "cannot be read"),
        ("DELETE FROM pruned", "not those that were signed"),
        ("UPDATE segment SET last_at = last_at + 1", "noted"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.db");
        std::fs::copy(&saved, &copy).unwrap();
        let store = SqliteStore::open(&copy).unwrap();
        assert!(checked(&store).holds());
        assert_eq!(store.writing().connection.execute(change, []).unwrap(), 1);
        let check = checked(&store);
        assert!(!check.holds(), "{change}");
        assert!(
            check.faults.iter().any(|fault| fault.why.contains(found)),
            "{change}: {check:?}"
        );
    }
}

#[test]
fn no_changed_byte_of_a_pruned_segment_passes() {
    let (_folder, store, _) = store_of(20);
    store.prune(LATER, LATER, &Signer::numbered(9)).unwrap();
    let read = |column: &str| -> Vec<u8> {
        let writing = store.writing();
        let select = format!("SELECT {column} FROM segment");
        writing
            .connection
            .query_row(&select, [], |row| row.get(0))
            .unwrap()
    };
    let judged = || store.series_of_site(SITE, EVER).ok();
    let before = judged();
    let samples = read("samples");
    for place in 0..samples.len() {
        for bit in [0, 3, 7] {
            let mut changed = samples.clone();
            changed[place] ^= 1 << bit;
            let set = |bytes: &[u8]| {
                let writing = store.writing();
                let update = "UPDATE segment SET samples = ?1";
                writing.connection.execute(update, [bytes]).unwrap();
            };
            set(&changed);
            assert!(
                !checked(&store).holds() || judged() == before,
                "{place} {bit}"
            );
            set(&samples);
        }
    }
    assert!(checked(&store).holds());
}

#[test]
fn what_comes_after_a_pruned_segment_is_sealed_beside_it() {
    let (_folder, store, _) = store_of(60);
    store.prune(LATER, LATER, &Signer::numbered(9)).unwrap();
    let chain = chain(90);
    for batch in &chain[60..] {
        assert_eq!(store.store_batch(batch, LATER).unwrap(), Stored::New);
    }
    store.compact(LATER, Extent::All).unwrap();
    let check = checked(&store);
    assert!(check.holds(), "{check:?}");
    assert_eq!(check.batches, 90);
    assert_eq!(series_of(&store, Quantity::Rtt).samples.len(), 30);
}

#[test]
fn what_there_is_of_a_site_is_told_alike_of_tail_segments_and_roll_ups() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    for batch in chain(300) {
        store.store_batch(&batch, UnixMillis(BEGIN)).unwrap();
    }
    let of_tail = store.overview(SITE).unwrap();
    let [tests, delays] = &of_tail[..] else {
        panic!("{of_tail:?}");
    };
    assert_eq!((tests.values, delays.values), (2, 300));
    assert_eq!(
        (tests.first_at.0, delays.first_at.0),
        (BEGIN + 17 * MINUTE, BEGIN)
    );
    assert_eq!(delays.last_at.0, BEGIN + 299 * MINUTE);
    let number = |value: Option<Value>| value.unwrap().number();
    let delay = |minute: i64| number(Some(Value::new(delays.metric.quantity.unit(), rtt(minute))));
    assert_eq!(number(delays.lowest), (0..300).map(delay).min().unwrap());
    assert_eq!(number(delays.highest), (0..300).map(delay).max().unwrap());
    store.compact(LATER, Extent::All).unwrap();
    assert_eq!(store.overview(SITE).unwrap(), of_tail);

    let (_folder, store, _) = store_of(300);
    store.prune(LATER, LATER, &Signer::numbered(9)).unwrap();
    let pruned = store.overview(SITE).unwrap();
    assert_eq!(pruned[0], *tests);
    assert_eq!((pruned[1].values, pruned[1].pruned), (0, 300));
    let near = |found: Option<Value>, was: Option<Value>| {
        (number(found) - number(was)).abs() * 256 <= number(was)
    };
    assert!(near(pruned[1].lowest, delays.lowest) && near(pruned[1].highest, delays.highest));
}

#[test]
fn what_is_pruned_while_it_is_sealed_together_with_more_stays_pruned() {
    let (_folder, store, _) = store_of(60);
    let chain = chain(61);
    store.store_batch(&chain[60], LATER).unwrap();
    let run = store.writing().due(LATER, true).unwrap().remove(0);
    let loaded = store.writing().load(run).unwrap();
    let numbers = store.writing().numbers_for(&loaded).unwrap();
    let sealed = loaded.seal(&numbers).unwrap();
    let removed = store.prune(LATER, LATER, &Signer::numbered(9)).unwrap();
    assert_eq!(removed.segments, 1);
    assert!(!store.writing().replace(&loaded, &sealed).unwrap());
    store.compact(LATER, Extent::All).unwrap();
    let check = checked(&store);
    assert!(check.holds(), "{check:?}");
    assert_eq!((check.batches, check.pruned), (61, 60));
}
