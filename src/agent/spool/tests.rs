//! What the spool keeps, whatever happens.

use messnetz_metric::{
    Failure, FailureReason, Metric, Micros, Outcome, Quantity, Segment, Value, Vantage,
};

use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::wire::{PublicKey, Receipt};

const SITE: &str = "XX-100001/main";

fn observation(at: i64) -> Observation {
    Observation {
        metric: Metric::new(Segment::Line, Quantity::Rtt),
        at: UnixMillis(at),
        vantage: Vantage::default(),
        peer: "collector".to_owned(),
        outcome: Outcome::Value(Value::Time(Micros::from_micros(12_000))),
    }
}

fn open(folder: &tempfile::TempDir, now: i64) -> Spool {
    Spool::open(&folder.path().join("spool.db"), UnixMillis(now)).unwrap()
}

fn spool() -> (tempfile::TempDir, Spool) {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder, 1_000);
    (folder, spool)
}

/// Seals for one collector, each time with another agent's key.
fn with_sealer<T>(work: impl FnOnce(&Sealer<'_>) -> T) -> T {
    let key = AgentKey::from_pkcs8(&AgentKey::generate().unwrap()).unwrap();
    work(&Sealer {
        key: &key,
        collector: CollectorId::of_key(collector_key().public_key().as_ref()),
        site: SITE,
    })
}

fn collector_key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap()
}

fn next_of(spool: &mut Spool) -> Option<SealedBatch> {
    with_sealer(|sealer| spool.next_batch(sealer)).unwrap()
}

fn next(spool: &mut Spool) -> SealedBatch {
    next_of(spool).unwrap()
}

fn renew(spool: &mut Spool, now: i64) -> u64 {
    with_sealer(|sealer| spool.renew_epoch(sealer, UnixMillis(now))).unwrap()
}

fn acknowledge(spool: &mut Spool, batch: &SealedBatch) {
    let receipt = Receipt::of(&read(batch), UnixMillis(1));
    let receipt = receipt.signed_with(&collector_key()).unwrap();
    spool.acknowledged(batch, &receipt).unwrap();
}

fn read(batch: &SealedBatch) -> Batch {
    Batch::read(&batch.body).unwrap()
}

fn observations(batch: &SealedBatch) -> Vec<Observation> {
    read(batch).observations().cloned().collect()
}

#[test]
fn every_attempt_sends_the_same_bytes_under_the_same_number() {
    let (_folder, mut spool) = spool();
    spool.keep(&[observation(1)]).unwrap();
    let first = next(&mut spool);
    spool.keep(&[observation(2)]).unwrap();
    assert_eq!(next(&mut spool), first);
}

#[test]
fn a_batch_leaves_only_when_it_is_acknowledged() {
    let (folder, mut spool) = spool();
    spool.keep(&[observation(1), observation(2)]).unwrap();
    let batch = next(&mut spool);
    drop(spool);
    let mut spool = open(&folder, 2_000);
    let contents = spool.contents().unwrap();
    assert_eq!((contents.observations, contents.batches), (0, 1));
    acknowledge(&mut spool, &batch);
    assert_eq!(next_of(&mut spool), None);
}

#[test]
fn epoch_and_numbers_go_on_without_gaps_after_a_restart() {
    let (folder, mut spool) = spool();
    for expected in 1..=3 {
        spool.keep(&[observation(expected)]).unwrap();
        let batch = next(&mut spool);
        assert_eq!((batch.epoch, batch.sequence), (1_000, expected as u64));
        acknowledge(&mut spool, &batch);
        drop(spool);
        spool = open(&folder, 5_000);
    }
}

#[test]
fn each_batch_names_the_one_before() {
    let (folder, mut spool) = spool();
    let mut before = None;
    for at in 1..=3 {
        spool.keep(&[observation(at)]).unwrap();
        let batch = next(&mut spool);
        assert_eq!(read(&batch).header().previous, before);
        before = Some(read(&batch).hash());
        acknowledge(&mut spool, &batch);
        drop(spool);
        spool = open(&folder, 5_000);
    }
}

#[test]
fn a_receipt_is_kept_in_the_place_of_its_batch() {
    let (_folder, mut spool) = spool();
    assert!(spool.last_receipt().unwrap().is_none());
    for at in 1..=2 {
        spool.keep(&[observation(at)]).unwrap();
        let batch = next(&mut spool);
        acknowledge(&mut spool, &batch);
        let kept = spool.last_receipt().unwrap().unwrap();
        let key = PublicKey::from(&collector_key());
        kept.verified(&read(&batch), &key).unwrap();
    }
}

#[test]
fn a_spool_of_an_older_program_starts_a_chain() {
    let (folder, mut spool) = spool();
    spool.keep(&[observation(1)]).unwrap();
    let old = next(&mut spool);
    acknowledge(&mut spool, &old);
    spool
        .connection
        .execute("DELETE FROM chain_head", [])
        .unwrap();
    drop(spool);
    let mut spool = open(&folder, 9_000);
    spool.keep(&[observation(2)]).unwrap();
    let new = next(&mut spool);
    assert_eq!((new.epoch, new.sequence), (9_000, 1));
}

#[test]
fn a_batch_is_synced_when_it_is_sealed_and_an_observation_is_not() {
    let (_folder, mut spool) = spool();
    spool
        .connection
        .execute_batch(
            "CREATE TEMP TABLE seen (what TEXT, level INTEGER);
             CREATE TEMP TRIGGER sealing AFTER INSERT ON main.sealed BEGIN
                 INSERT INTO seen SELECT 'sealed', synchronous FROM pragma_synchronous; END;
             CREATE TEMP TRIGGER keeping AFTER INSERT ON main.observation BEGIN
                 INSERT INTO seen SELECT 'kept', synchronous FROM pragma_synchronous; END;",
        )
        .unwrap();
    spool.keep(&[observation(1)]).unwrap();
    next(&mut spool);
    renew(&mut spool, 0);
    spool.keep(&[observation(2)]).unwrap();
    let seen: Vec<(String, i64)> = spool
        .connection
        .prepare("SELECT what, level FROM seen")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let (full, normal) = (2, 1);
    let expected = [
        ("kept", normal),
        ("sealed", full),
        ("sealed", full),
        ("kept", normal),
    ];
    assert_eq!(seen, expected.map(|(what, level)| (what.to_owned(), level)));
}

#[test]
fn a_refused_batch_is_kept_aside_and_the_next_one_gets_its_turn() {
    let (_folder, mut spool) = spool();
    for at in 1..=i64::from(u8::MAX) {
        spool.keep(&[observation(at)]).unwrap();
        let batch = next(&mut spool);
        assert_eq!(batch.sequence, at as u64);
        spool.refused(&batch, "no batch").unwrap();
    }
    let contents = spool.contents().unwrap();
    assert_eq!((contents.batches, contents.refused), (0, 255));
    assert_eq!(contents.refused_kept, MAX_REFUSED as u64);
    let (sequence, error): (i64, String) = spool
        .connection
        .query_row(
            "SELECT sequence, error FROM refused ORDER BY id DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!((sequence, error.as_str()), (255, "no batch"));
}

#[test]
fn after_a_fork_the_same_observations_go_out_under_a_later_epoch_and_count_from_one() {
    let (_folder, mut spool) = spool();
    spool.keep(&[observation(1)]).unwrap();
    let first = next(&mut spool);
    acknowledge(&mut spool, &first);
    spool.keep(&[observation(2), observation(3)]).unwrap();
    let forked = next(&mut spool);
    assert_eq!((forked.epoch, forked.sequence), (1_000, 2));
    assert_eq!(renew(&mut spool, 9_000), 9_000);
    let renewed = next(&mut spool);
    assert_eq!((renewed.epoch, renewed.sequence), (9_000, 1));
    let header = read(&renewed).header().clone();
    assert_eq!(
        (header.epoch, header.sequence, header.previous),
        (9_000, 1, None)
    );
    assert_eq!(observations(&renewed), observations(&forked));
    assert_eq!(spool.contents().unwrap().batches, 1);
}

#[test]
fn epochs_grow_even_where_the_clock_was_set_back() {
    let (_folder, mut spool) = spool();
    assert_eq!(renew(&mut spool, 5), 1_001);
    assert_eq!(renew(&mut spool, 5), 1_002);
    assert_eq!(renew(&mut spool, 2_000), 2_000);
}

#[test]
fn observations_that_cannot_be_read_are_left_out_and_counted_and_keep_nothing_back() {
    let (_folder, mut spool) = spool();
    let poison = |spool: &Spool, rows: u32| {
        for _ in 0..rows {
            spool
                .connection
                .execute(
                    "INSERT INTO observation (json) VALUES ('{\"metric\":1}')",
                    [],
                )
                .unwrap();
        }
    };
    poison(&spool, u32::from(MAX_OBSERVATIONS) + 1);
    spool.keep(&[observation(7)]).unwrap();
    poison(&spool, 1);
    spool.keep(&[observation(-7)]).unwrap();
    assert_eq!(observations(&next(&mut spool)), [observation(7)]);
    let contents = spool.contents().unwrap();
    assert_eq!(contents.unreadable, u64::from(MAX_OBSERVATIONS) + 3);
    assert_eq!(contents.observations, 0);
}

#[test]
fn a_batch_is_never_larger_than_the_collector_takes() {
    let (_folder, mut spool) = spool();
    let long = "\u{1}".repeat(200);
    let vantage = Vantage {
        interface: Some(long.clone()),
        ..Vantage::default()
    };
    // Each is a series of its own: a batch has most beside its observations then.
    let large = |number: u16| {
        Observation::new(
            Metric::new(Segment::Line, Quantity::Rtt),
            UnixMillis(i64::MAX),
            vantage.clone(),
            format!("{number}{long}"),
            Outcome::Failed(Failure::new(FailureReason::NameResolution, &long)),
        )
    };
    let all: Vec<_> = (0..MAX_OBSERVATIONS).map(large).collect();
    spool.keep(&all).unwrap();
    let mut n_observations = 0;
    while let Some(sealed) = next_of(&mut spool) {
        assert!(sealed.body.len() <= MAX_BATCH_BYTES);
        n_observations += observations(&sealed).len();
        acknowledge(&mut spool, &sealed);
    }
    assert_eq!(n_observations, usize::from(MAX_OBSERVATIONS));
}
