//! How figures are put together, and which limits were missed.

use std::fs;

use anyhow::{Result, bail};

/// The middle one of an odd number of values.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Limits that did not hold.
#[derive(Debug, Default)]
pub(crate) struct Missed(Vec<String>);

impl Missed {
    /// Holds a figure against what it may be at most.
    pub(crate) fn at_most(&mut self, what: &str, found: f64, limit: f64) {
        // What is no number holds no limit.
        if found.is_nan() || found > limit {
            self.0.push(format!("{what}: {found:.3} > {limit}"));
        }
    }

    /// Holds a figure against what it must be at least.
    pub(crate) fn at_least(&mut self, what: &str, found: f64, limit: f64) {
        if found.is_nan() || found < limit {
            self.0.push(format!("{what}: {found:.0} < {limit}"));
        }
    }

    /// # Errors
    /// Where any limit was missed: all that were.
    pub(crate) fn end(self) -> Result<()> {
        if !self.0.is_empty() {
            bail!("limits missed: {}", self.0.join("; "));
        }
        Ok(())
    }
}

/// How busy the machine was, as proc(5) has it: what was measured beside other work is worth less.
pub(crate) fn load_of_machine() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = load.split_whitespace().take(3).collect();
    averages.join(" ")
}
