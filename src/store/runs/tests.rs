//! Claims about gaps, lateness and epochs beside one another.

use messnetz_metric::{Metric, Observation, Outcome, Quantity, Segment, Value, Vantage};

use super::*;
use crate::store::Stored;
use crate::store::ledger::tests::{SITE, agent, key};
use crate::store::tests::store;
use crate::wire::CollectorId;
use crate::wire::batch::{Batch, Link};

const DAY: i64 = 24 * 3_600_000;

/// Batches of one chain, each with a sample of one of these times.
fn chain(epoch: u64, times: &[i64]) -> Vec<Batch> {
    let mut chain: Vec<Batch> = Vec::new();
    for (index, at) in times.iter().enumerate() {
        let metric = Metric::new(Segment::Line, Quantity::Rtt);
        let outcome = Outcome::Value(Value::new(metric.quantity.unit(), 9));
        let at = UnixMillis(*at);
        let sample = Observation::new(metric, at, Vantage::default(), "collector", outcome);
        let link = Link {
            collector: CollectorId::of_key(&[9; 32]),
            agent: agent(),
            site: SITE.to_owned(),
            epoch,
            sequence: index as u64 + 1,
            previous: chain.last().map(Batch::hash),
        };
        chain.push(Batch::new(&link, &[sample]).unwrap().signed_with(&key()));
    }
    chain
}

fn take(store: &mut Connected, batch: &Batch, now: i64) {
    let arrival = Arrival::of(batch, UnixMillis(now)).unwrap();
    assert_eq!(store.append_one(&arrival).unwrap(), Stored::New);
}

fn numbers(store: &Connected) -> Vec<(u64, u64, u64)> {
    let runs = store.runs(&agent()).unwrap();
    runs.iter()
        .map(|run| (run.epoch, run.first, run.last))
        .collect()
}

fn came(store: &Connected) -> Came {
    let mut all = store.came().unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn a_gap_is_seen_until_the_last_of_its_batches_has_come() {
    let (_folder, mut store) = store();
    let chain = chain(1, &[10, 20, 30, 40, 50]);
    for (index, now, expected) in [
        (1, 100, vec![(1, 2, 2)]),
        (4, 101, vec![(1, 2, 2), (1, 5, 5)]),
        (2, 102, vec![(1, 2, 3), (1, 5, 5)]),
        (3, 103, vec![(1, 2, 5)]),
        (0, 104, vec![(1, 1, 5)]),
    ] {
        take(&mut store, &chain[index], now);
        assert_eq!(numbers(&store), expected);
    }
    let run = store.runs(&agent()).unwrap().remove(0);
    assert_eq!(run.first_at, Some(UnixMillis(10)));
    assert_eq!(run.last_at, Some(UnixMillis(50)));
    assert_eq!((run.began_at.0, run.received_at.0), (100, 104));
}

#[test]
fn gaps_and_what_is_missing_are_counted_also_before_the_first_of_an_epoch() {
    let (_folder, mut store) = store();
    let chain = chain(1, &[10, 20, 30, 40, 50, 60]);
    for index in [1, 2, 5] {
        take(&mut store, &chain[index], 100);
    }
    let came = came(&store);
    assert_eq!((came.epochs, came.batches), (1, 3));
    assert_eq!((came.gaps, came.missing), (2, 3));
    assert_eq!((came.late, came.behind, came.beside), (0, 0, 0));
}

#[test]
fn the_same_batch_again_changes_nothing() {
    let (_folder, mut store) = store();
    let chain = chain(1, &[10]);
    take(&mut store, &chain[0], 100);
    let before = (came(&store), store.runs(&agent()).unwrap());
    let again = Arrival::of(&chain[0], UnixMillis(900)).unwrap();
    assert!(matches!(
        store.append_one(&again).unwrap(),
        Stored::Duplicate { .. }
    ));
    assert_eq!((came(&store), store.runs(&agent()).unwrap()), before);
}

#[test]
fn an_epoch_after_another_is_not_beside_it_and_one_that_goes_on_is() {
    let (_folder, mut store) = store();
    let (old, new) = (chain(1, &[10, 20]), chain(2, &[30, 40]));
    take(&mut store, &old[0], 100);
    take(&mut store, &new[0], 200);
    assert_eq!((came(&store).epochs, came(&store).beside), (2, 0));
    take(&mut store, &old[1], 300);
    assert_eq!(came(&store).beside, 1);
}

#[test]
fn a_backlog_is_late_and_not_behind() {
    let (_folder, mut store) = store();
    let times: Vec<i64> = (0..30).map(|day| day * DAY).collect();
    for (batch, now) in chain(1, &times).iter().zip(40 * DAY..) {
        take(&mut store, batch, now);
    }
    assert_eq!((came(&store).late, came(&store).behind), (30, 0));
}

#[test]
fn what_fills_a_gap_is_late_and_not_behind() {
    let (_folder, mut store) = store();
    let chain = chain(1, &[0, DAY, 5 * DAY]);
    for (index, now) in [(0, 1), (2, 5 * DAY + 1), (1, 5 * DAY + 2)] {
        take(&mut store, &chain[index], now);
    }
    assert_eq!((came(&store).late, came(&store).behind), (1, 0));
}

#[test]
fn what_is_older_than_what_came_before_it_is_behind_whatever_its_epoch() {
    for epoch in [1, 2] {
        let (_folder, mut store) = store();
        let first = chain(1, &[20 * DAY, 3 * DAY]);
        take(&mut store, &first[0], 20 * DAY + 1);
        let back_dated = match epoch {
            1 => first[1].clone(),
            _ => chain(2, &[3 * DAY]).remove(0),
        };
        take(&mut store, &back_dated, 20 * DAY + 2);
        assert_eq!((came(&store).late, came(&store).behind), (1, 1), "{epoch}");
    }
}

#[test]
fn a_clock_that_is_ahead_makes_nothing_behind_later() {
    let (_folder, mut store) = store();
    let chain = chain(1, &[9_000 * DAY, 20 * DAY]);
    take(&mut store, &chain[0], 20 * DAY);
    take(&mut store, &chain[1], 21 * DAY + 1);
    assert_eq!((came(&store).late, came(&store).behind), (1, 0));
}

#[test]
fn the_largest_numbers_break_no_sum() {
    let (_folder, mut store) = store();
    for epoch in [1, 2, 3] {
        let link = Link {
            collector: CollectorId::of_key(&[9; 32]),
            agent: agent(),
            site: SITE.to_owned(),
            epoch,
            sequence: i64::MAX.unsigned_abs(),
            previous: Some(chain(1, &[1])[0].hash()),
        };
        let batch = Batch::new(&link, &[]).unwrap().signed_with(&key());
        take(&mut store, &batch, 1);
    }
    assert_eq!(came(&store).batches, 3);
    assert_eq!(came(&store).missing, i64::MAX.unsigned_abs());
}
