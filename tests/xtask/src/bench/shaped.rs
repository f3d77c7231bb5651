//! What our iperf3 yields on a line of a known rate, beside the stock one, against the same stock server.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Running;
use super::median;
use super::place::Place;
use crate::cargo::{Call, target_dir};

/// Interleaved pairs at each rate and in each direction.
const PAIRS: usize = 5;

/// How long each test takes, in seconds.
const SECONDS: &str = "3";

/// The rates of the line, in Mbit/s.
const RATES: [u32; 3] = [100, 500, 1_000];

/// Our median goodput lies no further from that of the stock iperf3, in percent.
const LARGEST_DIFFERENCE: f64 = 1.0;

/// What both sides use, whatever the kernel's default.
const CONGESTION: &str = "cubic";

const SERVER: &str = "10.77.0.2";

/// Runs both clients in turn over a shaped cable, prints medians of the goodput that was received, and
/// holds ours against the stock one's.
pub(crate) fn run() -> Result<()> {
    Call::new("cargo build --release --locked -p messnetz").run()?;
    let program = target_dir()?.join("release/messnetz");
    let (near, far) = (Place::new()?, Place::new()?);
    near.join(["near", "10.77.0.1/24"], &far, ["far", "10.77.0.2/24"])?;
    let _server = Running::start(far.command("iperf3").arg("-s"))?;
    far.wait_for("tcp", 5201)?;
    println!(
        "One TCP stream under {CONGESTION} over a veth pair shaped by tbf, {SECONDS} s, medians of {PAIRS} in turn, in Mbit/s received"
    );
    println!(
        "{:>5} {:<8} {:>9} {:>19} {:>9} {:>19} {:>8}",
        "rate", "way", "messnetz", "(from to)", "iperf3", "(from to)", "apart"
    );
    let mut missed = Vec::new();
    for rate in RATES {
        for (place, interface) in [(&near, "near"), (&far, "far")] {
            place.run(&format!(
                "tc qdisc replace dev {interface} root tbf rate {rate}mbit burst 64kb latency 50ms"
            ))?;
        }
        for (way, reverse) in [("forward", false), ("reverse", true)] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..PAIRS {
                ours.push(of_ours(&near, &program, reverse).context("messnetz")?);
                theirs.push(of_stock(&near, reverse).context("iperf3")?);
            }
            let (our, their) = (median(&mut ours), median(&mut theirs));
            let apart = (our / their - 1.0) * 100.0;
            let span = |sorted: &[f64]| format!("({:.1} {:.1})", sorted[0], sorted[PAIRS - 1]);
            println!(
                "{rate:>5} {way:<8} {our:>9.1} {:>19} {their:>9.1} {:>19} {apart:>+7.2}%",
                span(&ours),
                span(&theirs),
            );
            if apart.abs() > LARGEST_DIFFERENCE {
                missed.push(format!(
                    "{rate} Mbit/s {way}: {apart:+.2} % from iperf3, and {LARGEST_DIFFERENCE} % is allowed"
                ));
            }
        }
    }
    if !missed.is_empty() {
        bail!("limits missed: {}", missed.join("; "));
    }
    Ok(())
}

/// Received goodput of our client, in Mbit/s.
fn of_ours(place: &Place, program: &Path, reverse: bool) -> Result<f64> {
    let mut command = place.command(program);
    command.args(["probe", "iperf3", SERVER, "--json", "--time", SECONDS]);
    command.args(["--congestion", CONGESTION]);
    command.args(reverse.then_some("--reverse"));
    let said = answer(&mut command)?;
    let report = &said["report"];
    let way = if reverse { "down" } else { "up" };
    let used = report["congestion"][if reverse { "peer" } else { "own" }].as_str();
    mbps(&report[way]["received"]["rate_bps"], used, &said)
}

/// Received goodput of the stock client, in Mbit/s.
fn of_stock(place: &Place, reverse: bool) -> Result<f64> {
    let mut command = place.command("iperf3");
    command.args(["-J", "-c", SERVER, "-t", SECONDS, "-C", CONGESTION]);
    command.args(reverse.then_some("-R"));
    let said = answer(&mut command)?;
    let end = &said["end"];
    let used = end["sender_tcp_congestion"].as_str();
    mbps(&end["sum_received"]["bits_per_second"], used, &said)
}

/// What a client says; the server is given a moment to be ready again first.
fn answer(command: &mut std::process::Command) -> Result<Value> {
    sleep(Duration::from_millis(200));
    let output = command.output().context("cannot run the client")?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("no JSON: {}", String::from_utf8_lossy(&output.stderr)))
}

fn mbps(bps: &Value, used: Option<&str>, said: &Value) -> Result<f64> {
    match (bps.as_f64(), used) {
        (Some(bps), Some(CONGESTION)) if bps > 0.0 => Ok(bps / 1e6),
        _ => bail!("nothing was measured, or not under {CONGESTION}: {said}"),
    }
}
