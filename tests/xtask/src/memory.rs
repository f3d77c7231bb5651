//! What an idle agent holds in memory: enrolled with a real collector on loopback, nothing to measure.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How long the agent is left alone before it is looked at.
const SETTLE: Duration = Duration::from_secs(10);

/// How long the collector may take to come up.
const START: Duration = Duration::from_secs(20);

/// A process that ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Proportional set size in bytes of an agent that has enrolled and has nothing to do.
pub(crate) fn of_an_idle_agent(agent: &Path, whole: &Path) -> Result<u64> {
    let folder = std::env::temp_dir().join(format!("messnetz-memory-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let result = measure(agent, whole, &folder);
    let removed = fs::remove_dir_all(&folder);
    let size = result?;
    removed?;
    Ok(size)
}

fn measure(agent: &Path, whole: &Path, folder: &Path) -> Result<u64> {
    let call = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let (agent, whole) = (absolute(agent)?, absolute(whole)?);
    let status = call(&whole, &["collector", "init"]).status()?;
    if !status.success() {
        bail!("`messnetz collector init` failed: {status}");
    }
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    fs::write(
        folder.join("collector.toml"),
        format!(
            "sites = \"authority.toml\"\nagents = \"127.0.0.1:{port}\"\ndashboard = \"127.0.0.1:0\"\n[schedule]\n"
        ),
    )?;
    let _collector = Running(call(&whole, &["collector", "run"]).spawn()?);
    let end = Instant::now() + START;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > end {
            bail!("the collector did not come up");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let ticket = Command::new(&whole)
        .args(["collector", "ticket", "NW-100001/main", "--no-approval"])
        .current_dir(folder)
        .output()?;
    let ticket = String::from_utf8(ticket.stdout)?;
    let status = call(
        &agent,
        &["agent", "enrol", ticket.trim(), "--state", "agent"],
    )
    .status()?;
    if !status.success() {
        bail!("the agent did not enrol: {status}");
    }
    let running = Running(call(&agent, &["agent", "run", "--state", "agent"]).spawn()?);
    std::thread::sleep(SETTLE);
    pss_of(&running.0)
}

/// Proportional set size of a process in bytes (proc(5), `smaps_rollup`).
pub(crate) fn pss_of(process: &Child) -> Result<u64> {
    let path = format!("/proc/{}/smaps_rollup", process.id());
    let rollup = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let kilobytes: u64 = rollup
        .lines()
        .find_map(|line| {
            line.strip_prefix("Pss:")?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse()
                .ok()
        })
        .with_context(|| format!("{path} states no Pss"))?;
    Ok(kilobytes * 1024)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("finding {}", path.display()))
}
