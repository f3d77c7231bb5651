//! How long judging takes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::median;
use crate::cargo::{Call, target_dir};

/// A town, and how often it is judged.
const TOWN: (u32, usize) = (155, 5);

/// All schools of a large Land, judged once.
const LAND: (u32, usize) = (5_500, 1);

/// Judges a town and a Land for a year, and prints the medians of wall time and CPU time and how much more
/// a school of the Land takes than one of the town.
pub(crate) fn run() -> Result<()> {
    Call::new("cargo build --release --locked -p messnetz-sites --example judging").run()?;
    let program = target_dir()?.join("release/examples/judging");
    println!("20 targets x 14,400 samples for each school");
    let mut cpu_of_a_school = Vec::new();
    for (schools, runs) in [TOWN, LAND] {
        let (mut wall, mut cpu) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let (wall_ns, cpu_ns) = judged(&program, schools)?;
            wall.push(wall_ns / 1e6);
            cpu.push(cpu_ns / 1e6);
        }
        let (wall, cpu) = (median(&mut wall), median(&mut cpu));
        println!(
            "{schools} schools, median of {runs}: {wall:.0} ms wall time, {cpu:.0} ms CPU time"
        );
        cpu_of_a_school.push(cpu / f64::from(schools));
    }
    if let [town, land] = cpu_of_a_school[..] {
        println!(
            "CPU time of a school: x {:.2} (linear: x 1.00)",
            land / town
        );
    }
    Ok(())
}

/// Wall time and CPU time of one run, in nanoseconds.
fn judged(program: &Path, schools: u32) -> Result<(f64, f64)> {
    let output = Command::new(program)
        .arg(schools.to_string())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed: {errors}", program.display());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut times = text.split_whitespace().map(str::parse::<f64>);
    match (times.next(), times.next()) {
        (Some(Ok(wall)), Some(Ok(cpu))) => Ok((wall, cpu)),
        _ => bail!("{} printed no times: {text}", program.display()),
    }
}
