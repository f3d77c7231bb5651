//! A server in a process of its own: what it costs, and its end.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a server may take until it listens, and until it has ended.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server that does not outlive its test.
#[derive(Debug)]
pub(crate) struct Server(Child);

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) fn start(command: &mut Command, address: SocketAddr) -> Result<Self> {
        let name = command.get_program().display().to_string();
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        let mut server = Self(child);
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.0.try_wait()? {
                bail!("{name} ended before it listened ({status})");
            }
            if Instant::now() > end {
                bail!("{name} did not come to listen on {address}");
            }
            sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// The CPU time that it has taken: `utime` and `stime` of proc(5), in hundredths of a second.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.read("stat")?;
        // The name of the program, in parentheses, may hold spaces.
        let (_, rest) = stat.rsplit_once(')').context("a stat file is cut off")?;
        let ticks: u64 = rest
            .split_whitespace()
            .skip(11)
            .take(2)
            .map_while(|ticks| ticks.parse::<u64>().ok())
            .sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    /// The memory that is its own or its share of what others use too, in bytes (`Pss` of proc(5)).
    pub(crate) fn memory(&self) -> Result<f64> {
        kilobytes(&self.read("smaps_rollup")?, "Pss:")
    }

    /// The most memory that it has ever had, in bytes (`VmHWM` of proc(5)).
    pub(crate) fn highest_memory(&self) -> Result<f64> {
        kilobytes(&self.read("status")?, "VmHWM:")
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0.id());
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }

    /// Ends it as its service manager would.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = Pid::from_raw(self.0.id().cast_signed());
        kill(id, Signal::SIGTERM)?;
        let end = Instant::now() + PATIENCE;
        while self.0.try_wait()?.is_none() {
            if Instant::now() > end {
                bail!("a server did not end in time");
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The bytes of a line that is in kB.
fn kilobytes(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    let number: u32 = number
        .with_context(|| format!("no {name}"))?
        .trim()
        .parse()?;
    Ok(f64::from(number) * 1024.0)
}

/// Runs a command to its end, which must be a good one; gives what it said and the CPU time that it took.
pub(crate) fn run(command: &mut Command) -> Result<(String, Duration)> {
    let name = command.get_program().display().to_string();
    let before = cpu_of_children()?;
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed: {errors}");
    }
    let took = cpu_of_children()?.saturating_sub(before);
    Ok((String::from_utf8(output.stdout)?, took))
}

/// Of all processes that this one has waited for.
fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()).unsigned_abs())
    };
    Ok(micros(usage.user_time()) + micros(usage.system_time()))
}
