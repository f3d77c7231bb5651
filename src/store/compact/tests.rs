//! Claims about what moves out of the tail, and what comes back.

use messnetz_metric::{
    Failure, FailureReason, Metric, Observation, Outcome, Quantity, Segment, Value, Vantage,
};
use proptest::prelude::*;

use super::*;
use crate::store::ledger::tests::{EVER, SITE, agent, key};
use crate::store::{Arrival, Extent, SqliteStore, Store as _, Stored};
use crate::wire::CollectorId;
use crate::wire::batch::{Batch, Beside, Clock, Link};

const DAY_MS: i64 = 86_400_000;
const BEGIN: i64 = 1_795_370_000_000;

fn store() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    (folder, store)
}

/// Noise that is the same each time.
fn noise(seed: i64) -> i64 {
    let mixed = seed.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40).cast_signed()
}

/// A round trip in whole microseconds, as pings over a line scatter: most within a millisecond, some far off.
fn rtt(seed: i64) -> i64 {
    let spread: i64 = (0..4).map(|i| noise(seed * 4 + i) % 300).sum();
    let spike = if noise(seed + 77) % 100 == 0 {
        noise(seed) % 40_000
    } else {
        0
    };
    9_000 + spread + spike
}

/// What a round of pings to so many far ends yields.
fn round(number: i64, every_ms: i64, peers: i64) -> Vec<Observation> {
    let metric = Metric::new(Segment::Line, Quantity::Rtt);
    let observation = |peer: i64| {
        let at = BEGIN + number * every_ms + noise(number * 64 + peer) % 4;
        let seed = number * 64 + peer;
        let outcome = if noise(seed + 13) % 500 == 0 {
            Outcome::Failed(Failure::new(
                FailureReason::Timeout,
                "no answer within 1500 ms",
            ))
        } else {
            Outcome::Value(Value::new(metric.quantity.unit(), rtt(seed)))
        };
        Observation::new(
            metric,
            UnixMillis(at),
            Vantage::default(),
            format!("peer-{peer}"),
            outcome,
        )
    };
    (0..peers).map(observation).collect()
}

fn signed(previous: Option<&Batch>, observations: &[Observation]) -> Batch {
    let link = Link {
        collector: CollectorId::of_key(&[9; 32]),
        agent: agent(),
        site: SITE.to_owned(),
        epoch: 1_795_369_000_000,
        sequence: previous.map_or(0, |batch| batch.header().sequence) + 1,
        previous: previous.map(Batch::hash),
    };
    let beside = beside(link.sequence, true);
    let batch = Batch::with(&link, observations, beside).unwrap();
    batch.signed_with(&key())
}

/// What an agent tells of its clock, which is synchronised now and then.
fn beside(number: u64, dated: bool) -> Beside {
    let clock = Clock {
        boot: "0123456789abcdef".to_owned(),
        offset: BEGIN,
        synchronised: dated,
        since_sync: u32::try_from(number * 61 % 1_024).ok(),
        stepped: 0,
        dated,
    };
    Beside {
        clock: Some(clock),
        omitted: Vec::new(),
    }
}

/// A chain of rounds.
fn chain(rounds: i64, every_ms: i64, peers: i64) -> Vec<Batch> {
    let mut chain: Vec<Batch> = Vec::new();
    for number in 0..rounds {
        let batch = signed(chain.last(), &round(number, every_ms, peers));
        chain.push(batch);
    }
    chain
}

/// When a batch of a round comes.
fn arrival(number: usize, every_ms: i64) -> UnixMillis {
    let number = number.cast_signed() as i64;
    UnixMillis(BEGIN + number * every_ms + 700 + noise(number) % 100)
}

fn keep(store: &SqliteStore, batch: &Batch, at: UnixMillis) -> Stored {
    store.store_batch(batch, at).unwrap()
}

fn back(store: &SqliteStore, batch: &Batch) -> Option<Batch> {
    let header = batch.header();
    store
        .batch(SITE, &agent(), header.epoch, header.sequence)
        .unwrap()
}

fn rows(store: &SqliteStore, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    store
        .writing()
        .connection
        .query_row(&query, [], |row| row.get(0))
        .unwrap()
}

#[test]
fn what_was_sealed_is_judged_and_comes_back_as_before() {
    let (_folder, store) = store();
    let chain = chain(30, 60_000, 5);
    for (number, batch) in chain.iter().enumerate() {
        keep(&store, batch, arrival(number, 60_000));
    }
    let before = store.series_of_site(SITE, EVER).unwrap();
    let times = UnixMillis(BEGIN + 300_000)..=UnixMillis(BEGIN + 600_000);
    let within = store.series_of_site(SITE, times.clone()).unwrap();
    let compacted = store.compact(UnixMillis(0), Extent::All).unwrap();
    assert_eq!((compacted.batches, compacted.samples), (30, 150));
    assert_eq!(
        ["tail", "document", "segment"].map(|table| rows(&store, table)),
        [0, 0, 1]
    );
    assert_eq!(store.series_of_site(SITE, EVER).unwrap(), before);
    assert_eq!(store.series_of_site(SITE, times).unwrap(), within);
    for batch in &chain {
        assert_eq!(back(&store, batch).as_ref(), Some(batch));
    }
    let pieces = rows(&store, "segment WHERE instr(evidence, '\"root\"') > 0");
    assert_eq!(pieces, 0, "no header is kept as text");
}

#[test]
fn what_comes_again_after_it_was_sealed_is_known_and_what_does_not_fit_is_a_fork() {
    let (_folder, store) = store();
    let chain = chain(12, 60_000, 2);
    for (number, batch) in chain[..10].iter().enumerate() {
        keep(&store, batch, arrival(number, 60_000));
    }
    store.compact(UnixMillis(0), Extent::All).unwrap();
    for number in [0, 4, 9] {
        let received_at = arrival(number, 60_000);
        let again = keep(&store, &chain[number], UnixMillis(BEGIN + DAY_MS));
        assert_eq!(again, Stored::Duplicate { received_at });
    }
    let other = signed(Some(&chain[3]), &round(70, 60_000, 2));
    assert_eq!(keep(&store, &other, UnixMillis(BEGIN)), Stored::Fork);
    let of_another_chain = signed(Some(&signed(Some(&chain[8]), &[])), &[]);
    assert_eq!(of_another_chain.header().sequence, 11);
    assert_eq!(
        keep(&store, &of_another_chain, UnixMillis(BEGIN)),
        Stored::Fork
    );
    assert_eq!(keep(&store, &chain[10], UnixMillis(BEGIN)), Stored::New);
}

#[test]
fn a_late_batch_fits_between_segments_or_is_a_fork() {
    let (_folder, store) = store();
    let chain = chain(9, 60_000, 2);
    for number in [0, 1, 2, 4, 5, 6] {
        keep(&store, &chain[number], arrival(number, 60_000));
    }
    store.compact(UnixMillis(0), Extent::All).unwrap();
    assert_eq!(rows(&store, "segment"), 2);
    let stranger = signed(Some(&chain[2]), &[]);
    assert_eq!(keep(&store, &stranger, UnixMillis(1)), Stored::Fork);
    assert_eq!(keep(&store, &chain[3], UnixMillis(1)), Stored::New);
    store.compact(UnixMillis(0), Extent::All).unwrap();
    for batch in &chain[..7] {
        assert_eq!(back(&store, batch).as_ref(), Some(batch));
    }
    let all = store.series_of_site(SITE, EVER).unwrap();
    assert_eq!(all.len(), 2);
    let times = &all[0].samples;
    assert_eq!(times.len() + all[0].failures.len(), 7);
    assert!(times.is_sorted_by_key(|(at, _)| *at));
}

#[test]
fn a_batch_that_somebody_wrote_in_another_way_comes_back_as_it_was_written() {
    let (_folder, store) = store();
    let first = signed(None, &round(0, 60_000, 2));
    let spaced = signed(Some(&first), &round(1, 60_000, 2));
    let respaced =
        String::from_utf8(spaced.document())
            .unwrap()
            .replacen("\"at\":[", "\"at\": [", 1);
    let respaced = Batch::read(respaced.as_bytes()).unwrap();
    assert_ne!(respaced, spaced);
    let unsigned = {
        let text =
            String::from_utf8(signed(Some(&respaced), &round(2, 60_000, 2)).document()).unwrap();
        let (begin, rest) = text.split_once("\"signature\":").unwrap();
        let (_, end) = rest.split_once(",\n").unwrap();
        Batch::read(format!("{begin}{end}").as_bytes()).unwrap()
    };
    let last = signed(Some(&unsigned), &round(3, 60_000, 2));
    let all = [first, respaced, unsigned, last];
    for batch in &all {
        assert_eq!(keep(&store, batch, UnixMillis(5)), Stored::New);
    }
    let before = store.series_of_site(SITE, EVER).unwrap();
    store.compact(UnixMillis(0), Extent::All).unwrap();
    assert_eq!(rows(&store, "tail"), 0);
    for batch in &all {
        assert_eq!(back(&store, batch).as_ref(), Some(batch));
    }
    assert_eq!(store.series_of_site(SITE, EVER).unwrap(), before);
}

#[test]
fn enough_or_old_batches_are_sealed_and_small_segments_grow() {
    let (_folder, store) = store();
    let chain = chain(1_300, 60_000, 1);
    let seal = |now: i64| {
        store
            .compact(UnixMillis(now), Extent::Due)
            .unwrap()
            .segments
    };
    for (number, batch) in chain[..100].iter().enumerate() {
        keep(&store, batch, arrival(number, 60_000));
    }
    assert_eq!(seal(BEGIN + DAY_MS / 2), 0, "neither many nor old");
    assert_eq!(seal(BEGIN + DAY_MS * 2), 1, "old");
    for (number, batch) in chain.iter().enumerate().skip(100).take(511) {
        keep(&store, batch, arrival(number, 60_000));
    }
    assert_eq!(seal(BEGIN), 0);
    keep(&store, &chain[611], UnixMillis(BEGIN));
    assert_eq!(seal(BEGIN), 1, "512 of one series");
    assert_eq!(rows(&store, "segment"), 1, "both are one");
    for batch in &chain[612..] {
        keep(&store, batch, UnixMillis(BEGIN));
    }
    assert_eq!(seal(BEGIN), 1);
    assert_eq!(
        rows(&store, "segment"),
        2,
        "no segment holds more than 1,024"
    );
    for number in [0, 99, 100, 611, 612, 1_299] {
        assert_eq!(back(&store, &chain[number]).as_ref(), Some(&chain[number]));
    }
}

/// Bytes of the segments for each sample.
fn bytes_a_sample(rounds: i64, every_ms: i64) -> f64 {
    let (_folder, store) = store();
    for (number, batch) in chain(rounds, every_ms, 40).iter().enumerate() {
        keep(&store, batch, arrival(number, every_ms));
    }
    let compacted = store.compact(UnixMillis(0), Extent::All).unwrap();
    assert_eq!(compacted.samples.cast_signed() as i64, rounds * 40);
    compacted.bytes as f64 / compacted.samples as f64
}

#[test]
fn a_sample_with_its_evidence_takes_less_than_four_bytes() {
    let (minutes, days) = (bytes_a_sample(512, 60_000), bytes_a_sample(288, 300_000));
    println!("{minutes} and {days}");
    assert!(minutes < 4.0 && days < 4.0, "{minutes} and {days}");
}

#[test]
fn what_has_no_date_is_sealed_by_itself_and_judged_for_no_time() {
    let (_folder, store) = store();
    let mut chain: Vec<Batch> = Vec::new();
    for number in 0..6 {
        let observations = round(number, 60_000, 3);
        let next = signed(chain.last(), &observations);
        let header = next.header();
        let link = Link {
            collector: header.collector.clone(),
            agent: agent(),
            site: SITE.to_owned(),
            epoch: header.epoch,
            sequence: header.sequence,
            previous: header.previous,
        };
        let dated = !(2..4).contains(&number);
        let batch = Batch::with(&link, &observations, beside(header.sequence, dated)).unwrap();
        let batch = batch.signed_with(&key());
        assert_eq!(keep(&store, &batch, UnixMillis(BEGIN)), Stored::New);
        chain.push(batch);
    }
    let before = store.series_of_site(SITE, EVER).unwrap();
    assert_eq!(before[0].samples.len() + before[0].failures.len(), 4);
    for _ in 0..2 {
        store.compact(UnixMillis(0), Extent::All).unwrap();
        assert_eq!(rows(&store, "segment"), 3);
        assert_eq!(store.series_of_site(SITE, EVER).unwrap(), before);
    }
    for batch in &chain {
        assert_eq!(back(&store, batch).as_ref(), Some(batch));
    }
}

fn any_batch() -> impl Strategy<Value = Vec<Observation>> {
    let metric = prop::sample::select(Metric::all().take(5).collect::<Vec<_>>());
    let outcome = prop::option::of(0..5_000_000_000_i64);
    let one = (metric, 0..i64::MAX, outcome, "[a-z\u{1}\"]{0,2}").prop_map(
        |(metric, at, number, peer)| {
            let outcome = match number {
                Some(number) => Outcome::Value(Value::new(metric.quantity.unit(), number * 10)),
                None => Outcome::Failed(Failure::new(FailureReason::Refused, &peer)),
            };
            Observation::new(metric, UnixMillis(at), Vantage::default(), peer, outcome)
        },
    );
    prop::collection::vec(one, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_batches_come_back_out_of_a_segment(all in prop::collection::vec(any_batch(), 1..8)) {
        let (_folder, store) = store();
        let mut chain: Vec<Batch> = Vec::new();
        for observations in &all {
            let batch = signed(chain.last(), observations);
            store.writing().append_one(&Arrival::of(&batch, UnixMillis(5)).unwrap()).unwrap();
            chain.push(batch);
        }
        let before = store.series_of_site(SITE, EVER).unwrap();
        store.compact(UnixMillis(0), Extent::All).unwrap();
        prop_assert_eq!(rows(&store, "tail"), 0);
        for batch in &chain {
            prop_assert_eq!(back(&store, batch), Some(batch.clone()));
        }
        prop_assert_eq!(store.series_of_site(SITE, EVER).unwrap(), before);
    }
}
