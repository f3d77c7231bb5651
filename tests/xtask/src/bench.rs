//! `cargo xtask bench`: how long the work takes that has to be quick, and what measuring costs.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

pub(crate) mod collector;
mod goodput;
pub(crate) mod judging;
mod ndt7;
mod place;
pub(crate) mod roster;
mod rtt;
mod shaped;
mod stamp;
mod sweep;
pub(crate) mod watch;

/// A process that does not outlive its test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let name = PathBuf::from(command.get_program());
        command
            .stdout(Stdio::piped())
            .spawn()
            .map(Self)
            .with_context(|| format!("cannot run {}", name.display()))
    }

    fn ended(&mut self) -> Result<()> {
        let status = self.0.wait()?;
        if !status.success() {
            bail!("the server failed ({status})");
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The CPU time of all processes that this one has waited for: `cutime` and `cstime` of proc(5), which
/// Linux counts in hundredths of a second for every architecture.
fn cpu_of_children() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    cpu_in(&stat, 13)
}

/// The sum of two times of a `stat` file of proc(5), the first so many fields behind the program's name.
fn cpu_in(stat: &str, at: usize) -> Result<Duration> {
    // The name of the program, in parentheses, may hold spaces.
    let (_, rest) = stat
        .rsplit_once(')')
        .context("the stat file of a process is cut off")?;
    let ticks: u64 = rest
        .split_whitespace()
        .skip(at)
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

/// A comparison by its name.
type Part = (&'static str, fn() -> Result<()>);

/// The parts of [`measuring`].
const MEASURING: [Part; 7] = [
    ("goodput", goodput::run),
    ("ndt7", ndt7::run),
    ("sweep", sweep::run),
    ("shaped", shaped::run),
    ("rtt", rtt::run),
    ("stamp", stamp::run),
    ("watch", || watch::run(watch::MINUTES)),
];

/// What measuring yields and costs beside the stock tools, all of it or one part; all comparisons are made before
/// one that was missed ends it.
pub(crate) fn measuring(part: Option<&str>) -> Result<()> {
    let wanted: Vec<_> = MEASURING
        .into_iter()
        .filter(|(name, _)| part.is_none_or(|part| part == *name))
        .collect();
    if wanted.is_empty() {
        let names = MEASURING.map(|(name, _)| name).join(", ");
        bail!("there is no such part; there are {names}");
    }
    let missed: Vec<String> = wanted
        .into_iter()
        .filter_map(|(_, run)| run().err().map(|error| format!("{error:#}")))
        .collect();
    if !missed.is_empty() {
        bail!("{}", missed.join("; "));
    }
    Ok(())
}
