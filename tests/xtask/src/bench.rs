//! `cargo xtask bench`: how long the work takes that has to be quick.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{Call, target_dir};

const RUNS: usize = 5;

/// Judges a town for a year, five times, and prints the medians of wall time and CPU time.
pub(crate) fn judging() -> Result<()> {
    Call::new("cargo build --release --locked -p messnetz-sites --example judging").run()?;
    let program = target_dir()?.join("release/examples/judging");
    let (mut wall, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let output = Command::new(&program)
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{} failed: {errors}", program.display());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let mut times = text.split_whitespace().map(str::parse::<f64>);
        let (Some(Ok(wall_ns)), Some(Ok(cpu_ns))) = (times.next(), times.next()) else {
            bail!("{} printed no times: {text}", program.display());
        };
        wall.push(wall_ns);
        cpu.push(cpu_ns);
    }
    println!(
        "155 schools x 20 targets x 14,400 samples, median of {RUNS}: {:.0} ms wall time, {:.0} ms CPU time",
        median(&mut wall) / 1e6,
        median(&mut cpu) / 1e6
    );
    Ok(())
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
