//! Who answers in whole networks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use ipnetwork::IpNetwork;
use messnetz_metric::{Failure, Ppm, Value};
use messnetz_probes::icmp::sweep::{self, Progress, SweepReport, Targets};
use serde::Serialize;

use super::{Look, ending_of, seconds, tell, times, words};
use crate::cli::{Ending, asked_to_stop};
use crate::clock;

/// Largest list of known devices.
const MAX_LIST: u64 = 16 * 1024 * 1024;

/// Who answers in whole networks, by ICMP echo at a set rate
///
/// Addresses are counted, not named: only devices of your own infrastructure, which you list, are told one
/// by one.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz probe sweep 10.20.0.0/16 --rate 2000\n  messnetz probe sweep 10.20.0.0/16 --known 10.20.0.2=switch-1 --known 10.20.0.3=ap-201 --json\n  messnetz probe sweep 10.20.0.0/16 --known-file devices.txt\n\nA list of devices has a line each: the address, then a name.\n\nExit codes: 0 something answered, and each known device did; 1 not so; 2 it could not be tried from here.\nNeeds CAP_NET_RAW, or a group in net.ipv4.ping_group_range."
)]
pub(super) struct Sweep {
    /// Networks, such as 10.20.0.0/16; at most 1,048,576 addresses
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<IpNetwork>,
    /// Requests a second; `max` for as many as this machine can send
    #[arg(long, default_value = "1000", value_parser = rate)]
    rate: Rate,
    /// How often an address is asked that does not answer
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=i64::from(sweep::MAX_ROUNDS)))]
    tries: u8,
    /// Seconds that answers are waited for after each round
    #[arg(long, default_value = "1", value_parser = seconds)]
    timeout: Duration,
    /// A device of your own that is told by name: ADDRESS=NAME; may be given several times
    #[arg(long, value_name = "ADDRESS=NAME", value_parser = known)]
    known: Vec<(IpAddr, String)>,
    /// A list of such devices
    #[arg(long, value_name = "FILE")]
    known_file: Option<PathBuf>,
    #[command(flatten)]
    look: Look,
}

#[derive(Clone, Copy, Debug)]
struct Rate(Option<NonZeroU32>);

fn rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate(None));
    }
    match text.parse::<NonZeroU32>() {
        Ok(rate) if rate.get() <= 1_000_000 => Ok(Rate(Some(rate))),
        _ => Err("it is neither a number from 1 to 1000000 nor 'max'".to_owned()),
    }
}

fn known(text: &str) -> Result<(IpAddr, String), String> {
    let (address, name) = text
        .split_once('=')
        .ok_or("it is not ADDRESS=NAME, such as 10.20.0.2=switch-1")?;
    let address = address
        .parse()
        .map_err(|_| format!("'{address}' is no address"))?;
    Ok((address, name.to_owned()))
}

/// What a sweep came to, and how each known device fared.
#[derive(Serialize)]
struct Swept {
    #[serde(flatten)]
    report: SweepReport,
    known: Vec<Device>,
}

#[derive(Serialize)]
struct Device {
    address: IpAddr,
    name: String,
    /// Whether it answered.
    up: bool,
}

impl Sweep {
    pub(super) async fn run(&self) -> anyhow::Result<Ending> {
        let targets = Targets::of(&self.networks)?;
        let known = self.known_devices()?;
        if let Some((address, name)) = known
            .iter()
            .find(|(address, _)| targets.index_of(**address).is_none())
        {
            bail!(
                "the known device {name} ({address}) lies in none of the networks that are swept"
            );
        }
        let sweep = sweep::Sweep {
            targets,
            binding: self.look.binding()?,
            rate: self.rate.0,
            rounds: self.tries,
            timeout: self.timeout,
        };
        let at = clock::now();
        let result = self.swept(sweep).await?.map(|report| {
            let devices = known.into_iter().map(|(address, name)| Device {
                up: report.is_up(address) == Some(true),
                address,
                name,
            });
            Swept {
                known: devices.collect(),
                report,
            }
        });
        let networks: Vec<String> = self.networks.iter().map(ToString::to_string).collect();
        tell(
            ("sweep", &networks.join(" ")),
            &self.look,
            at,
            &result,
            shown,
        )?;
        match &result {
            Ok(swept) if swept.report.answered > 0 && swept.known.iter().all(|one| one.up) => {
                Ok(Ending::Well)
            }
            Ok(_) => Ok(Ending::Findings),
            Err(failure) => ending_of(failure),
        }
    }

    /// Sweeps on a thread of its own: it keeps a processor busy where the rate is high.
    async fn swept(&self, sweep: sweep::Sweep) -> anyhow::Result<Result<SweepReport, Failure>> {
        let stop = Arc::new(AtomicBool::new(false));
        let bar = self.look.progress("{wide_bar} {pos}/{len} {msg}");
        let (stopped, live) = (Arc::clone(&stop), bar.clone());
        let mut working = tokio::task::spawn_blocking(move || {
            sweep::run(&sweep, &stopped, |progress: Progress| {
                live.set_length(progress.to_ask as u64);
                live.set_position(progress.asked as u64);
                live.set_message(format!(
                    "round {}, {} answered",
                    progress.round, progress.answered
                ));
            })
        });
        let result = tokio::select! {
            result = &mut working => result,
            () = asked_to_stop() => {
                stop.store(true, Ordering::Relaxed);
                working.await
            }
        };
        bar.finish_and_clear();
        Ok(result?)
    }

    fn known_devices(&self) -> anyhow::Result<BTreeMap<IpAddr, String>> {
        let mut devices: BTreeMap<IpAddr, String> = self.known.iter().cloned().collect();
        if let Some(path) = &self.known_file {
            let shown = path.display();
            let length = std::fs::metadata(path)
                .with_context(|| format!("reading {shown}"))?
                .len();
            if length > MAX_LIST {
                bail!("{shown} has {length} bytes: a list of devices has at most {MAX_LIST}");
            }
            let text = std::fs::read_to_string(path).with_context(|| format!("reading {shown}"))?;
            for (number, line) in text.lines().enumerate() {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let (address, name) = line.split_once(char::is_whitespace).unwrap_or((line, line));
                let address = address.parse().with_context(|| {
                    let number = number + 1;
                    format!(
                        "{shown}, line {number}: '{address}' is no address (a line is ADDRESS NAME)"
                    )
                })?;
                devices.insert(address, name.trim().to_owned());
            }
        }
        Ok(devices)
    }
}

fn shown(swept: &Swept) -> String {
    let SweepReport {
        targets,
        answered,
        sent,
        replies,
        ..
    } = &swept.report;
    let report = &swept.report;
    let share = Ppm::of(*answered as u64, *targets as u64)
        .map(|share| format!(" ({})", words().value(Value::Share(share))))
        .unwrap_or_default();
    let seconds = report.elapsed.as_millis_f64() / 1e3;
    let mut lines = vec![
        format!("{answered} of {targets} addresses answered{share}"),
        format!("  {sent} requests sent, {replies} answered, in {seconds:.1} s"),
    ];
    for (count, what) in [
        (report.duplicates, "answers beyond the first"),
        (report.unreachable, "reported undeliverable"),
        (report.unsent, "that this machine could not send"),
        (
            u64::from(report.own_drops),
            "dropped by our own socket: as many answers may be missing",
        ),
    ] {
        if count > 0 {
            lines.push(format!("  {count} {what}"));
        }
    }
    lines.extend(
        report
            .rtt
            .as_ref()
            .map(|rtt| format!("  round trip {}", times(rtt))),
    );
    if report.stopped {
        lines.push("  stopped before it was complete".to_owned());
    }
    for device in &swept.known {
        let (sign, word) = if device.up {
            ("✔", "answered")
        } else {
            ("✘", "did not answer")
        };
        lines.push(format!(
            "{sign} {} ({}) {word}",
            device.name, device.address
        ));
    }
    lines.join("\n")
}
