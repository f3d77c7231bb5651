//! `cargo xtask bench`: how long the work takes that has to be quick.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

pub(crate) mod judging;
pub(crate) mod roster;
pub(crate) mod sweep;

/// The CPU time of all processes that this one has waited for: `cutime` and `cstime` of proc(5), which
/// Linux counts in hundredths of a second for every architecture.
fn cpu_of_children() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    // The name of the program, in parentheses, may hold spaces.
    let (_, rest) = stat
        .rsplit_once(')')
        .context("/proc/self/stat is cut off")?;
    let ticks: u64 = rest
        .split_whitespace()
        .skip(13)
        .take(2)
        .map_while(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// The middle one; of an even number, the mean of the two in the middle; nothing of none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match (values.get(half), values.len() % 2) {
        (Some(middle), 1) => *middle,
        (Some(upper), _) => values
            .get(half - 1)
            .map_or(*upper, |lower| (lower + upper) / 2.0),
        (None, _) => f64::NAN,
    }
}
