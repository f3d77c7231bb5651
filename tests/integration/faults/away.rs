//! A collector that is away for a month.

use std::time::Instant;

use super::keeper::Journal;
use super::numbered::observation;
use super::proof::Evidence;
use super::scene::{Part, Scene};
use crate::quiet::quiet;

/// What the schedule of `messnetz collector init` yields in a day: 19 observations a minute, and 5 every five
/// minutes.
const A_DAY: u64 = 19 * 1_440 + 5 * 288;

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

/// Observations that are kept in one go.
const AT_ONCE: u64 = 400;

#[test]
fn what_was_measured_in_days_without_a_collector_arrives_when_it_is_back() {
    let _quiet = quiet();
    let mut scene = Scene::enrolled("away");
    scene.kill(Part::Collector);
    let (mut spool, mut journal) = (scene.open_spool(), Journal::default());
    let (days, began) = (super::rounds(1), Instant::now());
    let numbers: Vec<u64> = (0..days * A_DAY).map(|n| n * (DAY / A_DAY)).collect();
    for numbers in numbers.chunks(usize::try_from(AT_ONCE).unwrap()) {
        let observations: Vec<_> = numbers.iter().copied().map(observation).collect();
        spool.keep(&observations).unwrap();
    }
    journal.tried.extend(&numbers);
    let fed = began.elapsed();
    journal.kept.extend(&numbers);
    drop(spool);

    let back = Instant::now();
    scene.drain();
    let took = back.elapsed();
    // What the spool had no room for is counted.
    let given_up = scene.given_up();
    let lost = Evidence::of(&scene).is_what_was_kept_but(&journal, given_up);
    assert_eq!(lost as u64, given_up);
    println!(
        "{days} days, {} observations: kept in {fed:?}, {given_up} given up, the others arrived within {took:?}",
        numbers.len()
    );
}
