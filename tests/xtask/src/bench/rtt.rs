//! Whether our round trips are those of ping from iputils, on the same idle cable in the same minutes.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::median;
use super::place::Place;
use crate::cargo::{Call, target_dir};

/// Interleaved pairs of bursts.
const PAIRS: usize = 7;

/// Packets of a burst, and the seconds between two of them.
const COUNT: u32 = 501;
const INTERVAL: &str = "0.01";

/// The medians lie no further apart, in microseconds.
const LARGEST_DIFFERENCE: f64 = 5.0;

const TARGET: &str = "10.77.0.2";

/// Sends bursts of both in turn over an idle veth pair, prints the medians of their medians, and holds the
/// difference against the limit.
pub(crate) fn run() -> Result<()> {
    Call::new("cargo build --release --locked -p messnetz").run()?;
    let program = target_dir()?.join("release/messnetz");
    let (near, far) = (Place::new()?, Place::new()?);
    near.join(["near", "10.77.0.1/24"], &far, ["far", "10.77.0.2/24"])?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..PAIRS {
        // In turn first, so that neither always meets the machine as the other has left it.
        let is_first = round.is_multiple_of(2);
        if is_first {
            ours.push(of_ours(&near, &program).context("messnetz")?);
        }
        theirs.push(of_ping(&near).context("ping")?);
        if !is_first {
            ours.push(of_ours(&near, &program).context("messnetz")?);
        }
    }
    let (our, their) = (median(&mut ours), median(&mut theirs));
    println!(
        "Round trips over an idle veth pair, {COUNT} packets each {INTERVAL} s, median of {PAIRS} medians in turn"
    );
    for (name, middle, sorted) in [("messnetz", our, &ours), ("ping", their, &theirs)] {
        println!(
            "  {name:<9} {middle:>6.1} µs (from {:.1} to {:.1})",
            sorted[0],
            sorted[PAIRS - 1]
        );
    }
    let apart = our - their;
    println!("  apart: {apart:+.1} µs; limit {LARGEST_DIFFERENCE} µs");
    if apart.abs() > LARGEST_DIFFERENCE {
        bail!(
            "our median round trip lies {apart:+.1} µs from ping's, and {LARGEST_DIFFERENCE} µs are allowed"
        );
    }
    Ok(())
}

/// The median of one burst of ours, in microseconds.
fn of_ours(place: &Place, program: &Path) -> Result<f64> {
    let output = place
        .command(program)
        .args(["probe", "icmp", TARGET, "--json"])
        .args(["--count", &COUNT.to_string(), "--interval", INTERVAL])
        .output()?;
    let said: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("no JSON: {}", String::from_utf8_lossy(&output.stderr)))?;
    if said["report"]["received"] != COUNT {
        bail!("not all of {COUNT} were answered: {said}");
    }
    said["report"]["rtt"]["median_us"]
        .as_f64()
        .with_context(|| format!("no round trip: {said}"))
}

/// The median of one burst of ping, in microseconds, from its lines: its summary has none.
fn of_ping(place: &Place) -> Result<f64> {
    let output = place
        .command("ping")
        .args(["-n", "-c", &COUNT.to_string(), "-i", INTERVAL, TARGET])
        .env("LC_ALL", "C")
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut times: Vec<f64> = text
        .lines()
        .filter_map(|line| {
            let (_, time) = line.split_once("time=")?;
            time.strip_suffix(" ms")?.parse::<f64>().ok()
        })
        .map(|milliseconds| milliseconds * 1e3)
        .collect();
    if times.len() != COUNT as usize {
        bail!("not all of {COUNT} were answered: {text}");
    }
    Ok(median(&mut times))
}
