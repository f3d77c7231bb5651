//! What an ndt7 download yields and costs, with our client and with M-Lab's, both from our server.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{ChildStdout, Command, Output};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Running, cpu_of_children, median};
use crate::cargo::{Call, root, target_dir};
use crate::peers;

/// How often each client is measured, turn by turn with the others.
const ROUNDS: usize = 5;

/// How long the server sends, in seconds.
const SECONDS: &str = "4";

/// The goodput of our client in that of M-Lab's over TLS, at least.
const LEAST_GOODPUT: f64 = 2.0;

/// Cores that our server may use to send 10 Gbit/s without TLS.
const MOST_CORES: f64 = 1.0;

/// Who downloads, and whether over TLS. The first is held against the second, the third against
/// [`MOST_CORES`].
const CLIENTS: [(&str, Client, bool); 3] = [
    ("messnetz", Client::Ours, true),
    ("@m-lab/ndt7", Client::Npm, true),
    ("messnetz", Client::Ours, false),
];

#[derive(Clone, Copy)]
enum Client {
    Ours,
    Npm,
}

/// One download.
#[derive(Clone, Copy)]
struct Measured {
    gbps: f64,
    client_cpu_s_per_gb: f64,
    server_cpu_s_per_gb: f64,
}

/// Downloads over the loopback interface with each of [`CLIENTS`] in turn, prints medians, and holds them against
/// the limits.
pub(crate) fn run() -> Result<()> {
    Call::new("cargo build --release --locked -p messnetz").run()?;
    let program = target_dir()?.join("release/messnetz");
    let modules = peers::provide()?;
    let rounds = (0..ROUNDS)
        .map(|round| measure(&program, &modules, round))
        .collect::<Result<Vec<_>>>()?;
    println!(
        "One ndt7 download over loopback from messnetz serve, {SECONDS} s, median of {ROUNDS} in turn; ratio to M-Lab's client in the same round"
    );
    println!(
        "{:<12} {:<4} {:>7} {:>15} {:>16} {:>16} {:>9} {:>20}",
        "client",
        "",
        "Gbit/s",
        "(from to)",
        "client CPU s/GB",
        "server CPU s/GB",
        "x Gbit/s",
        "server cores/10 Gb/s"
    );
    let mut missed = Vec::new();
    for (at, (name, _, tls)) in CLIENTS.into_iter().enumerate() {
        let of = |value: fn(&Measured) -> f64| -> Vec<f64> {
            rounds.iter().map(|round| value(&round[at])).collect()
        };
        let mut gbps = of(|m| m.gbps);
        let (mut client, mut server) =
            (of(|m| m.client_cpu_s_per_gb), of(|m| m.server_cpu_s_per_gb));
        let mut ratios: Vec<f64> = rounds
            .iter()
            .map(|round| round[at].gbps / round[1].gbps)
            .collect();
        let (middle, ratio) = (median(&mut gbps), median(&mut ratios));
        let server = median(&mut server);
        // 10 Gbit are 1.25 GB.
        let cores = server * 1.25;
        println!(
            "{name:<12} {:<4} {middle:>7.1} {:>15} {:>16.3} {server:>16.3} {ratio:>9.2} {cores:>20.2}",
            if tls { "wss" } else { "ws" },
            format!("({:.1} {:.1})", gbps[0], gbps[ROUNDS - 1]),
            median(&mut client),
        );
        if at == 0 && ratio < LEAST_GOODPUT {
            missed.push(format!(
                "goodput of ndt7 over TLS: x {ratio:.2} < {LEAST_GOODPUT}"
            ));
        }
        if !tls && cores > MOST_CORES {
            missed.push(format!(
                "cores of the ndt7 server for 10 Gbit/s: {cores:.2} > {MOST_CORES}"
            ));
        }
    }
    if !missed.is_empty() {
        bail!("limits missed: {}", missed.join("; "));
    }
    Ok(())
}

/// One download with each of the clients; every other round backwards, so that none is always first.
fn measure(program: &Path, modules: &Path, round: usize) -> Result<[Measured; CLIENTS.len()]> {
    let nothing = Measured {
        gbps: 0.0,
        client_cpu_s_per_gb: 0.0,
        server_cpu_s_per_gb: 0.0,
    };
    let mut measured = [nothing; CLIENTS.len()];
    for step in 0..CLIENTS.len() {
        let at = if round.is_multiple_of(2) {
            step
        } else {
            CLIENTS.len() - 1 - step
        };
        let (name, client, tls) = CLIENTS[at];
        let scheme = if tls { "wss" } else { "ws" };
        measured[at] = download(program, modules, client, tls)
            .with_context(|| format!("{name} over {scheme}"))?;
    }
    Ok(measured)
}

/// Between processes of their own, so that each side's CPU time is told apart: the client is waited for first.
fn download(program: &Path, modules: &Path, client: Client, tls: bool) -> Result<Measured> {
    let mut command = Command::new(program);
    command.args(["serve", "--json", "--listen", "127.0.0.1", "--ndt7", "0"]);
    command.args(["--iperf3", "off", "--stamp", "off", "--longest", SECONDS]);
    if !tls {
        command.arg("--plain");
    }
    let mut server = Running::start(&mut command)?;
    let said = server.0.stdout.take().context("the server is mute")?;
    let mut said = BufReader::new(said).lines();
    let hello = next(&mut said)?;
    let address = text(&hello["ndt7"])?;

    let before = cpu_of_children()?;
    let (bytes, bps) = match client {
        Client::Ours => ours(program, address, &hello["fingerprint"])?,
        Client::Npm => npm(modules, address, if tls { "wss" } else { "ws" })?,
    };
    let between = cpu_of_children()?;
    let counted = &next(&mut said)?["down_bps"];
    // Ended, and waited for.
    drop(server);
    let after = cpu_of_children()?;
    if counted
        .as_f64()
        .is_none_or(|counted| (counted / bps - 1.0).abs() > 0.25)
    {
        bail!("the client has got {bps} bit/s, and the server has sent {counted}");
    }
    let per_gb = |from: std::time::Duration, to: std::time::Duration| {
        to.saturating_sub(from).as_secs_f64() / (bytes / 1e9)
    };
    Ok(Measured {
        gbps: bps / 1e9,
        client_cpu_s_per_gb: per_gb(before, between),
        server_cpu_s_per_gb: per_gb(between, after),
    })
}

/// Bytes received by our client, and their rate.
fn ours(program: &Path, address: &str, fingerprint: &Value) -> Result<(f64, f64)> {
    let mut command = Command::new(program);
    command.args(["probe", "ndt7", address, "--direction", "down", "--json"]);
    match fingerprint.as_str() {
        Some(fingerprint) => command.args(["--fingerprint", fingerprint]),
        None => command.arg("--plain"),
    };
    let said = json(&command.output().context("cannot run our client")?)?;
    let report = &said["tests"][0]["report"];
    numbers(&report["bytes"], report["goodput_bps"].as_f64(), &said)
}

/// Bytes received by M-Lab's client, and their rate. That the certificate is not checked spares it work, if any.
fn npm(modules: &Path, address: &str, scheme: &str) -> Result<(f64, f64)> {
    let mut command = Command::new("node");
    command.arg("--no-warnings");
    command.arg(root().join("tests/peers/ndt7.js"));
    command.args([address, scheme, "download"]);
    command.env("NODE_PATH", modules);
    command.env("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    let said = json(&command.output().context("cannot run node")?)?;
    let client = &said["client"];
    let mbps = client["MeanClientMbps"].as_f64();
    numbers(&client["NumBytes"], mbps.map(|mbps| mbps * 1e6), &said)
}

fn numbers(bytes: &Value, bps: Option<f64>, said: &Value) -> Result<(f64, f64)> {
    match (bytes.as_f64(), bps) {
        (Some(bytes), Some(bps)) if bytes > 0.0 && bps > 0.0 => Ok((bytes, bps)),
        _ => bail!("nothing was measured: {said}"),
    }
}

fn json(output: &Output) -> Result<Value> {
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<Value> {
    let line = lines.next().context("the server has ended")??;
    Ok(serde_json::from_str(&line)?)
}

fn text(value: &Value) -> Result<&str> {
    value
        .as_str()
        .context("the server does not say where it is")
}
