//! Prints the tables of `docs/statistics.md`, from many runs:
//! `cargo run --release -p messnetz-sites --example interval_grid`.

mod random;
mod simulation;

use simulation::{grid, power, run};

/// Runs of each cell; the standard error of a share of 5 % is then 0.05 %.
const RUNS: usize = 200_000;
const SEED: u64 = 20_260_101;

fn main() {
    println!(
        "| Percentile | Days | Samples a day | Correlation | Both bounds | Held | Lower too high | Upper too low |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for cell in grid() {
        let outcome = run(cell, RUNS, SEED);
        println!(
            "| p{} | {} | {} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} |",
            cell.percent,
            cell.days,
            cell.per_day,
            cell.correlation,
            100.0 * outcome.both,
            100.0 * outcome.covered,
            100.0 * outcome.too_high,
            100.0 * outcome.too_low,
        );
    }
    println!("\n| Samples a day | Correlation | Decided |");
    println!("|---|---|---|");
    for per_day in [1, 2, 12] {
        for correlation in [0.0, 0.3, 0.6] {
            let decided = 100.0 * power(per_day, correlation, RUNS / 4, SEED);
            println!("| {per_day} | {correlation:.1} | {decided:.1} |");
        }
    }
}
