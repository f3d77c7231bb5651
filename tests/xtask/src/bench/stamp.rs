//! What a STAMP session of a hundred packets a second costs at its two ends.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Running;
use super::place::{Place, cpu_of};
use super::{cpu_of_children, median};
use crate::cargo::{Call, target_dir};

/// Packets of the session, and the seconds between two of them: a minute.
const COUNT: u64 = 6_000;
const INTERVAL: &str = "0.01";

/// The session is looked at in so many windows of this length, and as a whole.
const WINDOWS: usize = 5;
const WINDOW: Duration = Duration::from_millis(11_500);

/// CPU time of each end, in percent of a core, at most.
const MOST_CPU: f64 = 1.0;

const REFLECTOR: &str = "10.77.0.2";

/// Runs one session over a veth pair, prints the CPU time of both ends, and holds each against the limit.
pub(crate) fn run() -> Result<()> {
    Call::new("cargo build --release --locked -p messnetz").run()?;
    let program = target_dir()?.join("release/messnetz");
    let (near, far) = (Place::new()?, Place::new()?);
    near.join(["near", "10.77.0.1/24"], &far, ["far", "10.77.0.2/24"])?;
    let reflector = Running::start(
        far.command(&program)
            .args(["serve", "--iperf3", "off", "--ndt7", "off"])
            .args(["--listen", REFLECTOR, "--json"]),
    )?;
    far.wait_for("udp", 8862)?;
    let (began, before) = (Instant::now(), cpu_of_children()?);
    let reflector_before = cpu_of(&reflector.0)?;
    let mut sender = Running::start(
        near.command(&program)
            .args(["probe", "stamp", &format!("{REFLECTOR}:8862"), "--json"])
            .args(["--count", &COUNT.to_string(), "--interval", INTERVAL])
            .stderr(Stdio::inherit()),
    )?;
    let mut windows = [Vec::new(), Vec::new()];
    for _ in 0..WINDOWS {
        let start = Instant::now();
        let earlier = [cpu_of(&sender.0)?, cpu_of(&reflector.0)?];
        sleep(WINDOW);
        let later = [cpu_of(&sender.0)?, cpu_of(&reflector.0)?];
        let wall = start.elapsed();
        for (window, (later, earlier)) in windows.iter_mut().zip(later.into_iter().zip(earlier)) {
            window.push(percent(later.saturating_sub(earlier), wall));
        }
    }
    let said: Value = serde_json::from_reader(sender.0.stdout.take().context("it is mute")?)?;
    sender.ended()?;
    let wall = began.elapsed();
    let received = &said["report"]["received"];
    let whole = [
        cpu_of_children()?.saturating_sub(before),
        cpu_of(&reflector.0)?.saturating_sub(reflector_before),
    ]
    .map(|cpu| percent(cpu, wall));
    println!(
        "STAMP, {COUNT} packets each {INTERVAL} s over a veth pair, {received} answered; CPU in percent of a core"
    );
    let mut missed = Vec::new();
    for ((name, whole), mut windows) in ["sender", "reflector"].into_iter().zip(whole).zip(windows)
    {
        println!(
            "  {name:<9} {whole:.2} % with its start; median of {WINDOWS} windows {:.2} %; limit {MOST_CPU} %",
            median(&mut windows)
        );
        if whole > MOST_CPU {
            missed.push(format!(
                "the {name} takes {whole:.2} % of a core, and {MOST_CPU} % is allowed"
            ));
        }
    }
    if received.as_u64().unwrap_or(0) < COUNT * 99 / 100 {
        missed.push(format!("only {received} of {COUNT} packets were answered"));
    }
    if !missed.is_empty() {
        bail!("limits missed: {}", missed.join("; "));
    }
    Ok(())
}

fn percent(cpu: Duration, wall: Duration) -> f64 {
    cpu.as_secs_f64() / wall.as_secs_f64() * 100.0
}
