//! Places joined by cables: network namespaces, for what the loopback interface cannot stand for.
//!
//! None has a name in the file system. A shell keeps each until its standard input ends, and what runs in
//! one is killed with the thread that started it: nothing is left, however this process ends.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Running;
use crate::cargo::is_root;

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);

/// A network namespace whose loopback is up.
pub(super) struct Place(Running);

impl Place {
    pub(super) fn new() -> Result<Self> {
        if !is_root()? {
            bail!("network namespaces need root: run this as root");
        }
        let mut keeper = Running::start(
            Command::new("unshare")
                .args(["--net", "sh", "-c"])
                .arg("ip link set lo up && echo made && exec cat")
                .stdin(Stdio::piped()),
        )?;
        let said = keeper.0.stdout.take().context("the shell is mute")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        if line.trim() != "made" {
            bail!(
                "cannot make a network namespace (Linux with `unshare` and `ip`, and not refused?)"
            );
        }
        Ok(Self(keeper))
    }

    /// `program`, to be started in this place from the main thread: it dies with that.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "nsenter"])
            .arg(format!("--net=/proc/{}/ns/net", self.0.0.id()))
            .arg(program);
        command
    }

    /// Runs a command line in this place, which must succeed; no word of it contains a space.
    pub(super) fn run(&self, line: &str) -> Result<()> {
        let mut words = line.split_whitespace();
        let program = words.next().context("an empty command line")?;
        let output = self.command(program).args(words).output()?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("`{line}` failed: {}", errors.trim());
        }
        Ok(())
    }

    /// Joins this place and `far` by a veth pair: names and addresses (with prefix) of the two ends.
    pub(super) fn join(&self, near: [&str; 2], far: &Self, end: [&str; 2]) -> Result<()> {
        let [(near, here), (end, there)] = [near, end].map(|[name, address]| (name, address));
        let keeper = far.0.0.id();
        self.run(&format!(
            "ip link add {near} type veth peer name {end} netns {keeper}"
        ))?;
        for (place, name, address) in [(self, near, here), (far, end, there)] {
            place.run(&format!("ip address add {address} dev {name}"))?;
            place.run(&format!("ip link set {name} up"))?;
        }
        Ok(())
    }

    /// Waits until something in this place has the port: listens on it (`tcp`) or is bound to it (`udp`).
    pub(super) fn wait_for(&self, protocol: &str, port: u16) -> Result<()> {
        let state = if protocol == "tcp" { " 0A " } else { " 07 " };
        let port_in_hex = format!(":{port:04X} ");
        let end = Instant::now() + START;
        while Instant::now() < end {
            let table = ["", "6"]
                .map(|version| {
                    let path = format!("/proc/{}/net/{protocol}{version}", self.0.0.id());
                    fs::read_to_string(path).unwrap_or_default()
                })
                .concat();
            if table
                .lines()
                .any(|line| line.contains(&port_in_hex) && line.contains(state))
            {
                return Ok(());
            }
            sleep(Duration::from_millis(10));
        }
        bail!("nothing came to listen on {protocol} port {port}")
    }
}

/// The CPU time that a running process has taken: `utime` and `stime` of proc(5), in hundredths of a second.
pub(super) fn cpu_of(process: &Child) -> Result<Duration> {
    let path = format!("/proc/{}/stat", process.id());
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    super::cpu_in(&stat, 11)
}
