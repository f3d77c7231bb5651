//! `cargo xtask bench`: how long the work takes that has to be quick, and what measuring costs.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

mod goodput;
pub(crate) mod judging;
pub(crate) mod roster;
mod sweep;

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

/// The middle one of an odd number of values, which are sorted by this.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What measuring yields and costs beside the stock tools; all comparisons are made before one that was
/// missed ends it.
pub(crate) fn measuring() -> Result<()> {
    let missed: Vec<String> = [goodput::run(), sweep::run()]
        .into_iter()
        .filter_map(|ended| ended.err().map(|error| format!("{error:#}")))
        .collect();
    if !missed.is_empty() {
        bail!("{}", missed.join("; "));
    }
    Ok(())
}
