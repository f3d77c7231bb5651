//! What a ping costs: our sweep beside fping, in the same minutes, over the same addresses of loopback.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{cpu_of_children, median};
use crate::cargo::{Call, target_dir};

/// Interleaved pairs of each comparison.
const PAIRS: usize = 5;

/// As many targets per CPU second as fping's, times this, at its highest rate.
const AT_FULL_RATE: f64 = 1.6;

/// And no fewer where the rate is set.
const PACED: f64 = 1.0;

/// One comparison: the networks, and the requests a second.
struct Comparison {
    name: &'static str,
    networks: &'static [&'static str],
    targets: u32,
    rate: Option<u32>,
    limit: f64,
}

const COMPARISONS: [Comparison; 2] = [
    Comparison {
        name: "as fast as it goes",
        networks: &["127.1.0.0/16", "127.2.0.0/30"],
        targets: 65_536,
        rate: None,
        limit: AT_FULL_RATE,
    },
    Comparison {
        name: "2,000 a second",
        networks: &["127.1.0.0/19"],
        targets: 8_190,
        rate: Some(2_000),
        limit: PACED,
    },
];

/// What a run came to.
struct Run {
    answered: u64,
    wall: Duration,
    cpu: Duration,
}

/// Runs the comparisons, prints medians and ratio, and holds them against the limits.
pub(crate) fn run() -> Result<()> {
    Call::new("cargo build --release --locked -p messnetz").run()?;
    let program = target_dir()?.join("release/messnetz");
    let folder = target_dir()?.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut short = Vec::new();
    for comparison in &COMPARISONS {
        let list = list(comparison, &folder)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            ours.push(sweep(&program, comparison)?);
            theirs.push(fping(&list, comparison)?);
        }
        let least = |runs: &[Run]| runs.iter().map(|run| run.answered).min().unwrap_or(0);
        let wall = |runs: &[Run]| {
            let mut wall: Vec<f64> = runs.iter().map(|run| run.wall.as_secs_f64()).collect();
            median(&mut wall)
        };
        let per_ping = |runs: &[Run]| {
            let mut cpu: Vec<f64> = runs.iter().map(|run| run.cpu.as_secs_f64()).collect();
            median(&mut cpu) * 1e6 / f64::from(comparison.targets)
        };
        println!(
            "{} addresses, {}, {PAIRS} pairs",
            comparison.targets, comparison.name
        );
        for (name, runs) in [("messnetz", &ours), ("fping", &theirs)] {
            println!(
                "  {name:<9} {:>6.2} s wall time, {:>5.1} µs CPU time a ping, at least {} answered",
                wall(runs),
                per_ping(runs),
                least(runs),
            );
        }
        let ratio = per_ping(&theirs) / per_ping(&ours);
        println!(
            "  targets per CPU second: {ratio:.2} times fping's; limit {:.1}",
            comparison.limit
        );
        if ratio < comparison.limit {
            short.push(format!("{}: ratio {ratio:.2}", comparison.name));
        }
        if least(&ours) < least(&theirs) {
            short.push(format!("{}: replies lost that fping got", comparison.name));
        }
    }
    if !short.is_empty() {
        bail!("{}", short.join("; "));
    }
    Ok(())
}

/// A file with all addresses for fping, which leaves the same ones out.
fn list(comparison: &Comparison, folder: &Path) -> Result<PathBuf> {
    let mut text = String::new();
    for network in comparison.networks {
        let (base, prefix) = network.split_once('/').context("no prefix")?;
        let base: std::net::Ipv4Addr = base.parse()?;
        let hosts = (1_u32 << (32 - prefix.parse::<u32>()?)) - 2;
        for host in 1..=hosts {
            let address = std::net::Ipv4Addr::from_bits(base.to_bits() + host);
            let _ = writeln!(text, "{address}");
        }
    }
    let path = folder.join(format!("{}-addresses.txt", comparison.targets));
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn sweep(program: &Path, comparison: &Comparison) -> Result<Run> {
    let rate = comparison
        .rate
        .map_or_else(|| "max".to_owned(), |rate| rate.to_string());
    let mut command = Command::new(program);
    command
        .args(["probe", "sweep", "--tries", "1", "--json", "--rate", &rate])
        .args(comparison.networks);
    let (output, wall, cpu) = timed(&mut command)?;
    let said: Value = serde_json::from_slice(&output)
        .with_context(|| format!("no JSON: {}", String::from_utf8_lossy(&output)))?;
    let answered = said["report"]["answered"]
        .as_u64()
        .with_context(|| format!("no report: {said}"))?;
    Ok(Run {
        answered,
        wall,
        cpu,
    })
}

fn fping(list: &Path, comparison: &Comparison) -> Result<Run> {
    let interval = comparison.rate.map_or_else(
        || "0".to_owned(),
        |rate| format!("{}", 1e3 / f64::from(rate)),
    );
    let mut command = Command::new("fping");
    command
        .args(["-r", "0", "-t", "1000", "-a", "-i", &interval, "-f"])
        .arg(list);
    let (output, wall, cpu) = timed(&mut command)?;
    Ok(Run {
        answered: String::from_utf8_lossy(&output).lines().count() as u64,
        wall,
        cpu,
    })
}

fn timed(command: &mut Command) -> Result<(Vec<u8>, Duration, Duration)> {
    let before = cpu_of_children()?;
    let start = Instant::now();
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?} (Debian: apt-get install fping)"))?;
    let wall = start.elapsed();
    let cpu = cpu_of_children()?.saturating_sub(before);
    Ok((output.stdout, wall, cpu))
}
