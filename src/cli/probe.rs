//! `messnetz probe`: one measurement, now and from here, for whoever stands in front of the trouble.

mod access;
mod attempts;
mod burst;
mod honesty;
mod iperf3;
mod latency;
mod ndt7;
mod path;
pub(super) mod proxy;
mod responsiveness;
mod sizes;
mod sweep;

use std::io::{self, IsTerminal as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use messnetz_metric::{Direction, Failure, FailureReason, Micros, UnixMillis, Value};
use messnetz_probes::{Binding, RttSummary};
use serde::Serialize;

use super::{Ending, block_on, check_interface, print, print_json};
use crate::text::{Language, Text};

/// Measure one thing now, from here: round trips, connections, names, pages, loss by direction, the way packets take, throughput.
///
/// Nothing is stored and nothing is judged. What the far end or the path does not let through is an outcome
/// with its reason.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 measured, 1 the far end did not answer or refused, 2 it could not be tried from here."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    probe: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Icmp(burst::Icmp),
    Stamp(burst::Stamp),
    /// Time to connect by TCP
    Tcp(attempts::Tries<attempts::Tcp>),
    /// Time until a resolver answers
    Dns(attempts::Tries<attempts::Dns>),
    /// Time to fetch a page, phase by phase
    Http(attempts::Tries<attempts::Http>),
    Iperf3(Box<iperf3::Iperf3>),
    Ndt7(ndt7::Ndt7),
    Responsiveness(Box<responsiveness::Responsiveness>),
    Path(path::Path),
    Sweep(sweep::Sweep),
    Access(Box<access::Access>),
}

/// What all probes take.
#[derive(Debug, Args)]
struct Look {
    /// Measure from this interface only
    #[arg(long)]
    interface: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Look {
    fn binding(&self) -> anyhow::Result<Binding> {
        check_interface(self.interface.as_deref())?;
        let bound = self.interface.as_ref().map(Binding::interface);
        Ok(bound.unwrap_or_else(Binding::any))
    }

    /// A bar on stderr, where somebody looks.
    fn progress(&self, template: &str) -> ProgressBar {
        let bar = if io::stderr().is_terminal() && !self.json {
            ProgressBar::new(0)
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar
    }
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    block_on(async {
        match arguments.probe {
            Command::Icmp(icmp) => icmp.run().await,
            Command::Stamp(stamp) => stamp.run().await,
            Command::Tcp(tcp) => attempts::run(&tcp).await,
            Command::Dns(dns) => attempts::run(&dns).await,
            Command::Http(http) => attempts::run(&http).await,
            Command::Iperf3(iperf3) => iperf3.run().await,
            Command::Ndt7(ndt7) => ndt7.run().await,
            Command::Responsiveness(responsiveness) => responsiveness.run().await,
            Command::Path(path) => path.run().await,
            Command::Sweep(sweep) => sweep.run().await,
            Command::Access(access) => access.run().await,
        }
    })
}

/// A result as JSON: what was tried, when, and what it came to.
#[derive(Serialize)]
struct Tried<'a, R> {
    probe: &'static str,
    target: &'a str,
    #[serde(rename = "at_unix_ms")]
    at: UnixMillis,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a str>,
    #[serde(flatten)]
    outcome: Came<&'a R>,
}

/// What a probe came to.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Came<R> {
    Report(R),
    Failure(Failure),
}

/// Prints what a probe came to, `shown` for people.
fn tell<R: Serialize>(
    (probe, target): (&'static str, &str),
    look: &Look,
    at: UnixMillis,
    result: &Result<R, Failure>,
    shown: impl Fn(&R) -> String,
) -> anyhow::Result<()> {
    if look.json {
        return print_json(&Tried {
            probe,
            target,
            at,
            interface: look.interface.as_deref(),
            outcome: match result {
                Ok(report) => Came::Report(report),
                Err(failure) => Came::Failure(failure.clone()),
            },
        });
    }
    Ok(print(&match result {
        Ok(report) => shown(report),
        Err(failure) => failure.to_string(),
    })?)
}

/// What a failure means for scripts: an outcome of the network, or nothing that was tried.
fn ending_of(failure: &Failure) -> anyhow::Result<Ending> {
    match failure.reason {
        FailureReason::Permission | FailureReason::Interface => bail!("{failure}"),
        _ => Ok(Ending::Findings),
    }
}

/// The first address of a host and port.
async fn resolve(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let whole = if bare.contains(':') {
        format!("[{bare}]:{port}")
    } else {
        format!("{bare}:{port}")
    };
    crate::pinned::resolve(&whole).await
}

async fn resolve_host(host: &str) -> Result<IpAddr, Failure> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    crate::pinned::resolve_host(bare).await
}

/// A host with its port, or with the usual one where none is named.
fn split(target: &str, usual: u16) -> Result<(String, u16), String> {
    let wrong = || format!("'{target}' is neither HOST nor HOST:PORT");
    let is_bare_v6 = target.matches(':').count() > 1 && !target.starts_with('[');
    let port_at = target
        .rfind(':')
        .filter(|at| !is_bare_v6 && !target[*at..].contains(']'));
    let (host, port) = match port_at {
        Some(at) => match target[at + 1..].parse() {
            Ok(port @ 1..) => (&target[..at], port),
            _ => return Err(wrong()),
        },
        None => (target, usual),
    };
    if host.is_empty() {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

/// The words that results are said in.
fn words() -> Text {
    Text::new(Language::En)
}

fn times(rtt: &RttSummary) -> String {
    let text = words();
    let time = |time: Micros| text.value(Value::Time(time));
    format!(
        "min {}, median {}, p95 {}, max {}",
        time(rtt.min),
        time(rtt.median),
        time(rtt.p95),
        time(rtt.max)
    )
}

/// Seconds on the command line, with a decimal point.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| (Duration::from_millis(1)..=Duration::from_hours(1)).contains(time))
        .ok_or_else(|| "it is no number of seconds from 0.001 to 3600".to_owned())
}

const fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Down => "down",
        Direction::Up => "up",
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_target_is_a_host_with_or_without_a_port() {
        for (target, expected) in [
            ("example.org", Some(("example.org", 443))),
            ("example.org:8443", Some(("example.org", 8443))),
            ("10.0.0.1:1", Some(("10.0.0.1", 1))),
            ("fd00::1", Some(("fd00::1", 443))),
            ("[fd00::1]", Some(("[fd00::1]", 443))),
            ("[fd00::1]:53", Some(("[fd00::1]", 53))),
            ("example.org:0", None),
            ("example.org:99999", None),
            (":53", None),
            ("", None),
        ] {
            let found = split(target, 443).ok();
            let found = found.as_ref().map(|(host, port)| (host.as_str(), *port));
            assert_eq!(found, expected, "{target}");
        }
    }
}
