//! Claims about what a check finds.

use messnetz_metric::UnixMillis;

use super::*;
use crate::store::ledger::tests::{SITE, batch_after, enrolled};
use crate::store::{Extent, SqliteStore, Store as _};

/// A store with so many batches of an enrolled agent, without those numbers.
fn store_with(count: usize, without: &[usize]) -> (tempfile::TempDir, SqliteStore) {
    let (folder, store) = enrolled();
    let mut last = None;
    for number in 1..=count {
        let batch = batch_after(last.as_ref(), 90 + number as u64);
        if !without.contains(&number) {
            store.store_batch(&batch, UnixMillis(5)).unwrap();
        }
        last = Some(batch);
    }
    (folder, store)
}

fn seal(store: &SqliteStore) {
    store.compact(UnixMillis(0), Extent::All).unwrap();
}

fn execute(store: &SqliteStore, statement: &str) {
    assert_eq!(
        store.writing().connection.execute(statement, []).unwrap(),
        1
    );
}

fn checked(store: &SqliteStore) -> Checked {
    let mut all = store.check().unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn an_untouched_chain_holds_sealed_and_not() {
    let (_folder, store) = store_with(6, &[]);
    for sealed in [false, true] {
        let found = checked(&store);
        assert!(found.holds(), "{found:?}");
        assert_eq!((found.batches, found.samples), (6, 12), "sealed: {sealed}");
        assert_eq!(found.head.unwrap().sequence, 6);
        seal(&store);
    }
}

#[test]
fn missing_numbers_are_named() {
    let (_folder, store) = store_with(9, &[1, 4, 5]);
    let gap = |from, to| Gap { epoch: 1, from, to };
    assert_eq!(checked(&store).gaps, [gap(1, 1), gap(4, 5)]);
    seal(&store);
    let found = checked(&store);
    assert_eq!(found.gaps, [gap(1, 1), gap(4, 5)]);
    assert_eq!((found.batches, found.n_faults), (6, 0));
    assert!(!found.holds());
}

/// Every byte of a segment that is judged is proved by a signature: whatever is changed is found.
#[test]
fn no_changed_byte_of_a_segment_passes() {
    let (_folder, store) = store_with(4, &[]);
    seal(&store);
    let connection = || store.writing();
    let samples: Vec<u8> = connection()
        .connection
        .query_row("SELECT samples FROM segment", [], |row| row.get(0))
        .unwrap();
    let judged = |store: &SqliteStore| {
        let ever = UnixMillis(i64::MIN)..=UnixMillis(i64::MAX);
        store.series_of_site(SITE, ever).ok()
    };
    let before = judged(&store);
    let mut n_changed = 0;
    for place in 0..samples.len() {
        for bit in [0, 3, 7] {
            let mut changed = samples.clone();
            changed[place] ^= 1 << bit;
            let update = "UPDATE segment SET samples = ?1";
            connection().connection.execute(update, [&changed]).unwrap();
            if judged(&store) != before {
                n_changed += 1;
                assert!(!checked(&store).holds(), "byte {place}, bit {bit}");
            }
        }
    }
    assert!(n_changed > samples.len(), "{n_changed}");
}

#[test]
fn what_somebody_changed_in_the_file_is_found() {
    for (statement, said) in [
        ("UPDATE series SET peer = 'elsewhere'", "did not sign"),
        ("UPDATE agent SET public_key = x'00'", "key of its agent"),
        ("DELETE FROM agent", "key of its agent"),
        ("UPDATE segment SET hash = zeroblob(32)", "was noted"),
        ("UPDATE segment SET last_at = first_at - 1", "its times"),
        (
            "UPDATE segment SET from_sequence = 2, to_sequence = 5",
            "cannot be read",
        ),
        ("UPDATE segment SET evidence = x'00'", "cannot be read"),
    ] {
        let (_folder, store) = store_with(4, &[]);
        seal(&store);
        execute(&store, statement);
        let found = checked(&store);
        assert!(!found.holds(), "{statement}");
        let why: Vec<&str> = found.faults.iter().map(|fault| fault.why).collect();
        assert!(
            why.iter().any(|why| why.contains(said)),
            "{statement}: {why:?}"
        );
    }
}

#[test]
fn a_batch_of_the_tail_that_was_changed_or_taken_out_is_found() {
    let (_folder, store) = store_with(4, &[]);
    let other = super::super::packed::pack(&batch_after(None, 7).document()).unwrap();
    let swap = "UPDATE document SET packed = ?1 WHERE sequence = 1";
    store.writing().connection.execute(swap, [&other]).unwrap();
    let found = checked(&store);
    // It is the agent's own batch under the same number, and yet not the one that the next one names.
    assert!(
        found
            .faults
            .iter()
            .any(|fault| fault.why.contains("was noted")),
        "{found:?}"
    );
    assert!(
        found
            .faults
            .iter()
            .any(|fault| fault.why.contains("before it")),
        "{found:?}"
    );
    execute(&store, "DELETE FROM tail WHERE sequence = 3");
    assert_eq!(
        checked(&store).gaps,
        [Gap {
            epoch: 1,
            from: 3,
            to: 3
        }]
    );
}
