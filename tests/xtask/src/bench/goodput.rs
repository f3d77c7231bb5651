//! What a TCP test yields and costs, beside the stock iperf3 in the same minutes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Running, cpu_of_children, median};
use crate::cargo::{Call, target_dir};

/// How often each pair of ends is measured, turn by turn with the others.
const ROUNDS: usize = 7;

/// How long each test takes, in seconds.
const SECONDS: &str = "3";

/// The congestion controls under which the ends are compared, where the kernel has them.
const CONGESTIONS: [&str; 2] = ["cubic", "bbr"];

/// Our goodput in that of the stock iperf3, at least.
const LEAST_GOODPUT: f64 = 1.3;

/// Our CPU time for a gigabyte in that of the stock iperf3, at most; both ends together.
const MOST_CPU: f64 = 0.6;

/// Two ends of one test.
struct Ends {
    name: &'static str,
    kind: Kind,
}

enum Kind {
    /// Ours, with these words to both sides.
    Ours(&'static [&'static str]),
    /// The stock iperf3, with these arguments to its client.
    Stock(&'static [&'static str]),
}

/// The first is held against the second.
const ENDS: [Ends; 4] = [
    Ends {
        name: "messnetz",
        kind: Kind::Ours(&[]),
    },
    Ends {
        name: "iperf3",
        kind: Kind::Stock(&[]),
    },
    Ends {
        name: "iperf3 -Z",
        kind: Kind::Stock(&["-Z"]),
    },
    Ends {
        name: "messnetz, copying",
        kind: Kind::Ours(&["copying"]),
    },
];

/// One test.
#[derive(Clone, Copy)]
struct Measured {
    gbps: f64,
    cpu_s_per_gb: f64,
}

/// Measures one TCP stream over the loopback interface with each of [`ENDS`] in turn, prints medians, and
/// holds ours against the limits.
pub(crate) fn run() -> Result<()> {
    Call::new("cargo build --release --locked -p messnetz-probes --example iperf3").run()?;
    let program = target_dir()?.join("release/examples/iperf3");
    let available = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control")
        .context("cannot read the congestion controls of this kernel")?;
    let mut missed = Vec::new();
    println!(
        "One TCP stream over loopback, {SECONDS} s, median of {ROUNDS} in turn; CPU of both ends; ratios to iperf3 in the same round"
    );
    println!(
        "{:<7} {:<18} {:>7} {:>15} {:>11} {:>9} {:>9}",
        "control", "ends", "Gbit/s", "(from to)", "CPU s/GB", "x Gbit/s", "x CPU"
    );
    for congestion in CONGESTIONS {
        if !available.split_whitespace().any(|name| name == congestion) {
            println!("{congestion:<7} this kernel does not have it");
            continue;
        }
        let rounds = (0..ROUNDS)
            .map(|round| measure(&program, congestion, round))
            .collect::<Result<Vec<_>>>()?;
        for (at, ends) in ENDS.iter().enumerate() {
            let of = |value: fn(&Measured) -> f64| {
                rounds
                    .iter()
                    .map(|round| value(&round[at]))
                    .collect::<Vec<f64>>()
            };
            let ratio = |value: fn(&Measured) -> f64| {
                let mut ratios: Vec<f64> = rounds
                    .iter()
                    .map(|round| value(&round[at]) / value(&round[1]))
                    .collect();
                median(&mut ratios)
            };
            let (mut gbps, mut cpu) = (of(|m| m.gbps), of(|m| m.cpu_s_per_gb));
            let (goodput, cost) = (ratio(|m| m.gbps), ratio(|m| m.cpu_s_per_gb));
            let middle = median(&mut gbps);
            println!(
                "{congestion:<7} {:<18} {middle:>7.1} {:>15} {:>11.3} {goodput:>9.2} {cost:>9.2}",
                ends.name,
                format!("({:.1} {:.1})", gbps[0], gbps[ROUNDS - 1]),
                median(&mut cpu),
            );
            if at == 0 && goodput < LEAST_GOODPUT {
                missed.push(format!(
                    "goodput under {congestion}: x {goodput:.2} < {LEAST_GOODPUT}"
                ));
            }
            if at == 0 && cost > MOST_CPU {
                missed.push(format!("CPU under {congestion}: x {cost:.2} > {MOST_CPU}"));
            }
        }
    }
    if !missed.is_empty() {
        bail!("limits missed: {}", missed.join("; "));
    }
    Ok(())
}

/// One test of each of the ends; every other round backwards, so that none is always first.
fn measure(program: &Path, congestion: &str, round: usize) -> Result<[Measured; ENDS.len()]> {
    let nothing = Measured {
        gbps: 0.0,
        cpu_s_per_gb: 0.0,
    };
    let mut measured = [nothing; ENDS.len()];
    for step in 0..ENDS.len() {
        let at = if round.is_multiple_of(2) {
            step
        } else {
            ENDS.len() - 1 - step
        };
        let before = cpu_of_children()?;
        let (bytes, bps) = match ENDS[at].kind {
            Kind::Ours(words) => ours(program, congestion, words),
            Kind::Stock(arguments) => stock(congestion, arguments),
        }
        .with_context(|| format!("{} under {congestion}", ENDS[at].name))?;
        let cpu = cpu_of_children()?.saturating_sub(before);
        measured[at] = Measured {
            gbps: bps / 1e9,
            cpu_s_per_gb: cpu.as_secs_f64() / (bytes / 1e9),
        };
    }
    Ok(measured)
}

/// Bytes received and their rate, between two processes of ours.
fn ours(program: &Path, congestion: &str, words: &[&str]) -> Result<(f64, f64)> {
    let mut server = Running::start(
        Command::new(program)
            .args(["serve", "127.0.0.1:0"])
            .args(words),
    )?;
    let mut said = BufReader::new(server.0.stdout.take().context("the server is mute")?);
    let mut address = String::new();
    said.read_line(&mut address)?;
    let client = Command::new(program)
        .args(["run", address.trim(), SECONDS, congestion])
        .args(words)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !client.status.success() {
        bail!("{}", String::from_utf8_lossy(&client.stderr).trim());
    }
    let mut rest = String::new();
    said.read_to_string(&mut rest)?;
    server.ended()?;
    let client: Value = serde_json::from_slice(&client.stdout)?;
    let server: Value = serde_json::from_str(&rest)?;
    let used = [&client, &server].map(|side| side["report"]["congestion"]["own"].clone());
    check(&used, congestion)?;
    let received = &client["report"]["up"]["received"];
    numbers(&received["bytes"], &received["rate_bps"])
}

/// Bytes received and their rate, between two stock processes.
fn stock(congestion: &str, arguments: &[&str]) -> Result<(f64, f64)> {
    // Free a moment ago, and from those that the kernel gives to nobody twice in a row.
    let port = TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port()
        .to_string();
    let mut server = Running::start(Command::new("iperf3").args(["-s", "-1", "-p", &port]))?;
    wait_until_listening(&port)?;
    let client = Command::new("iperf3")
        .args([
            "-J",
            "-c",
            "127.0.0.1",
            "-p",
            &port,
            "-t",
            SECONDS,
            "-C",
            congestion,
        ])
        .args(arguments)
        .output()
        .context("cannot run iperf3")?;
    let said: Value = serde_json::from_slice(&client.stdout)?;
    if let Some(error) = said["error"].as_str() {
        bail!("{error}");
    }
    server.ended()?;
    let end = &said["end"];
    let used = ["sender_tcp_congestion", "receiver_tcp_congestion"].map(|side| end[side].clone());
    check(&used, congestion)?;
    let received = &end["sum_received"];
    numbers(&received["bytes"], &received["bits_per_second"])
}

/// A connection would be the one test of the server: whether it listens is seen from outside.
fn wait_until_listening(port: &str) -> Result<()> {
    let port: u16 = port.parse()?;
    let (end, listening) = (format!(":{port:04X} "), " 0A ");
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        let table = ["/proc/net/tcp", "/proc/net/tcp6"]
            .map(|table| fs::read_to_string(table).unwrap_or_default())
            .concat();
        if table
            .lines()
            .any(|line| line.contains(&end) && line.contains(listening))
        {
            return Ok(());
        }
        sleep(Duration::from_millis(10));
    }
    bail!("iperf3 does not listen on port {port}")
}

/// Whether both sides really used what they were asked to.
fn check(used: &[Value; 2], wanted: &str) -> Result<()> {
    if used.iter().any(|name| name != wanted) {
        bail!(
            "{wanted} was asked for, and {} and {} were used",
            used[0],
            used[1]
        );
    }
    Ok(())
}

fn numbers(bytes: &Value, bps: &Value) -> Result<(f64, f64)> {
    match (bytes.as_f64(), bps.as_f64()) {
        (Some(bytes), Some(bps)) if bytes > 0.0 && bps > 0.0 => Ok((bytes, bps)),
        _ => bail!("nothing was measured: {bytes} bytes, {bps} bit/s"),
    }
}
