//! What a collector takes and how fast it is, under the load of many agents.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cargo::{Call, target_dir};
use crate::packages::{self, VICTORIA_METRICS};

/// What can be measured, in this order.
const PARTS: [&str; 4] = ["ingest", "disk", "verdicts", "reconnect"];

/// Builds the program and its load as they are released, and measures all parts or one; all are measured before one
/// whose limits were missed ends it.
pub(crate) fn run(part: Option<&str>) -> Result<()> {
    let wanted: Vec<_> = PARTS
        .into_iter()
        .filter(|name| part.is_none_or(|part| part == *name))
        .collect();
    if wanted.is_empty() {
        bail!("there is no such part; there are {}", PARTS.join(", "));
    }
    if wanted.contains(&"ingest") {
        packages::provide_for_bench(&VICTORIA_METRICS)?;
    }
    Call::new("cargo build --release --locked -p messnetz -p load").run()?;
    let release = target_dir()?.join("release");
    let mut missed = Vec::new();
    for name in wanted {
        println!("\n=== {name} ===");
        let status = Command::new(release.join("load"))
            .arg(release.join("messnetz"))
            .arg(name)
            // What the collector tells of its agents is no part of the figures.
            .env("MESSNETZ_LOG", "error")
            .status()
            .context("cannot run the load")?;
        if !status.success() {
            missed.push(name);
        }
    }
    if !missed.is_empty() {
        bail!("of {}: see above", missed.join(", "));
    }
    Ok(())
}
