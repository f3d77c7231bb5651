//! The intervals hold as often as `docs/statistics.md` says, and as often as they must.

#![allow(
    clippy::unwrap_used,
    reason = "a table that cannot be read is a failure"
)]

#[path = "../examples/interval_grid/random.rs"]
mod random;
#[path = "../examples/interval_grid/simulation.rs"]
mod simulation;

use simulation::{Cell, grid, power, run};

const PUBLISHED: &str = include_str!("../../docs/statistics.md");

/// Few, so that the test is quick; the published figures come from 200,000.
const RUNS: usize = 10_000;

/// Another seed than the published figures have: agreement is no accident of it.
const SEED: u64 = 4_711;

/// The rows of the published table with this many columns, in numbers.
fn rows(columns: usize) -> Vec<Vec<f64>> {
    let cells = |line: &str| -> Option<Vec<f64>> {
        let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let numbers = inner.split(" | ").map(|cell| {
            let digits = cell.strip_prefix('p').unwrap_or(cell);
            digits.parse().ok()
        });
        numbers.collect()
    };
    PUBLISHED
        .lines()
        .filter_map(cells)
        .filter(|row| row.len() == columns)
        .collect()
}

/// Whether a share of the reduced runs, in percent, can come from a true share.
fn agrees(seen: f64, published: f64) -> bool {
    let share = (published / 100.0).clamp(0.002, 0.998);
    let error = 100.0 * (share * (1.0 - share) / RUNS as f64).sqrt();
    (seen - published).abs() <= 4.0 * error
}

#[test]
fn the_published_intervals_hold_as_often_as_they_must() {
    let rows = rows(8);
    assert_eq!(rows.len(), grid().len());
    let mut of_both = Vec::new();
    for row in rows {
        let [both, held, too_high, too_low] = row[4..] else {
            panic!("{row:?}");
        };
        assert!(held >= 88.0, "{row:?}");
        // Exactly at the threshold, a lower bound above it is a wrong word, and an upper bound below it.
        assert!(too_high <= 5.0 && too_low <= 5.0, "{row:?}");
        if both > 50.0 {
            of_both.push(held);
        }
    }
    of_both.sort_by(f64::total_cmp);
    assert!(of_both.len() >= 36);
    assert!(of_both[of_both.len() / 2] <= 95.0, "{of_both:?}");
}

#[test]
fn a_simulation_agrees_with_the_published_intervals() {
    for (cell, row) in grid().into_iter().zip(rows(8)) {
        let as_row = [
            f64::from(cell.percent),
            cell.days as f64,
            cell.per_day as f64,
            cell.correlation,
        ];
        assert_eq!(row[..4], as_row);
        let outcome = run(cell, RUNS, SEED);
        let seen = [
            outcome.both,
            outcome.covered,
            outcome.too_high,
            outcome.too_low,
        ];
        for (seen, published) in seen.into_iter().zip(&row[4..]) {
            assert!(agrees(100.0 * seen, *published), "{cell:?}: {outcome:?}");
        }
    }
}

#[test]
fn ten_percent_beside_the_threshold_a_median_is_decided_within_twenty_days() {
    let rows = rows(3);
    assert_eq!(rows.len(), 9);
    for row in rows {
        assert!(row[2] >= 80.0, "{row:?}");
        let seen = 100.0 * power(row[0] as usize, row[1], RUNS, SEED);
        assert!(agrees(seen, row[2]), "{row:?}: {seen}");
    }
}

#[test]
fn a_fifth_percentile_needs_more_than_a_month_of_days() {
    let both = |days| {
        let cell = Cell {
            days,
            per_day: 12,
            correlation: 0.3,
            percent: 5,
        };
        run(cell, 200, SEED).both
    };
    assert!(
        both(28) < 0.01 && both(35) > 0.99,
        "{} {}",
        both(28),
        both(35)
    );
}
