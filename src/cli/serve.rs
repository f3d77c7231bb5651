//! `messnetz serve`: the far end of a test on the spot.

use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use ipnetwork::IpNetwork;
use messnetz_metric::{BitRate, Direction, Value};
use serde::Serialize;

use super::{Ending, asked_to_stop, print, stamp_key};
use crate::identity::{self, Identity};
use crate::serve::{Allowed, Config, Doors, Served};
use crate::text::{Language, Text};

/// Largest file with a certificate or a key.
const MAX_PEM: u64 = 1024 * 1024;

/// Be the far end of tests: iperf3, ndt7, responsiveness, STAMP and STUN on one machine.
///
/// For the school's server, a second box or a laptop on the other side of the switch. Stock iperf3 and ndt7
/// clients may test, too. Only private addresses are let in unless --allow says otherwise, and it ends by
/// itself.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz serve\n  messnetz serve --allow 10.20.0.0/16 --for 2 --parallel 30\n  messnetz serve --listen 192.168.1.10 --ndt7 off --rate \"500 Mbit/s\" --json\n\nOn the other machine: messnetz probe ndt7 ADDRESS:4443 --fingerprint HEX, messnetz probe stamp ADDRESS:8862,\niperf3 -c ADDRESS.\n\nExit codes: 0 it ended as asked or in time, 2 it could not serve."
)]
pub(super) struct Arguments {
    /// Address to listen on
    #[arg(long, default_value = "::", value_name = "ADDRESS")]
    listen: IpAddr,
    /// Port of iperf3, TCP and UDP; `off` for none
    #[arg(long, default_value = "5201", value_name = "PORT", value_parser = port)]
    iperf3: Port,
    /// Port of the STAMP reflector; `off` for none. The assigned one, 862, needs the right to open low ports
    #[arg(long, default_value = "8862", value_name = "PORT", value_parser = port)]
    stamp: Port,
    /// File with a key of 16 octets or more: STAMP answers only what is sealed with it (RFC 8762)
    #[arg(long, value_name = "FILE")]
    stamp_key: Option<PathBuf>,
    /// Port of STUN, which tells what an address looks like from here; `off` for none
    #[arg(long, default_value = "3478", value_name = "PORT", value_parser = port)]
    stun: Port,
    /// Port of ndt7 and, over TLS, of responsiveness; `off` for none
    #[arg(long, default_value = "4443", value_name = "PORT", value_parser = port)]
    ndt7: Port,
    /// ndt7 without TLS (ws instead of wss), and no responsiveness: the data is random bytes
    #[arg(long, conflicts_with = "certificate")]
    plain: bool,
    /// Certificate for ndt7 and responsiveness, PEM [default: one made for this run]
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Network that may test; may be given several times [default: private addresses]
    #[arg(long = "allow", value_name = "NETWORK")]
    allow: Vec<IpNetwork>,
    /// Tests at once, of iperf3 and of ndt7 each; more wait or are told to come again
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=512))]
    parallel: u16,
    /// Longest test in seconds (ndt7: never more than 10)
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    longest: u32,
    /// Most that one test may be sent, such as "500 Mbit/s"
    #[arg(long, value_name = "RATE")]
    rate: Option<BitRate>,
    /// Hours until it ends by itself
    #[arg(long = "for", default_value_t = 8.0, value_name = "HOURS", value_parser = hours)]
    hours: f64,
    /// Print each test as a line of JSON
    #[arg(long)]
    json: bool,
}

/// A port to listen on, or none.
#[derive(Clone, Copy, Debug)]
struct Port(Option<u16>);

fn port(text: &str) -> Result<Port, String> {
    if text == "off" {
        return Ok(Port(None));
    }
    let port = text.parse().map(Some).map(Port);
    port.map_err(|_| "it is neither a port nor 'off'".to_owned())
}

fn hours(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(hours) if hours > 0.0 && hours <= 24.0 * 366.0 => Ok(hours),
        _ => Err("it is no number of hours above 0, and at most a year".to_owned()),
    }
}

/// One line of `--json`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line {
    Serves {
        #[serde(skip_serializing_if = "Option::is_none")]
        iperf3: Option<SocketAddr>,
        #[serde(skip_serializing_if = "Option::is_none")]
        stamp: Option<SocketAddr>,
        #[serde(skip_serializing_if = "Option::is_none")]
        stun: Option<SocketAddr>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ndt7: Option<SocketAddr>,
        #[serde(skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
        allowed: Vec<String>,
    },
    Test {
        protocol: &'static str,
        peer: SocketAddr,
        #[serde(skip_serializing_if = "Option::is_none")]
        down_bps: Option<BitRate>,
        #[serde(skip_serializing_if = "Option::is_none")]
        up_bps: Option<BitRate>,
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<messnetz_metric::Failure>,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let Arguments {
        iperf3,
        stamp,
        stun,
        ndt7,
        ..
    } = arguments;
    let ports = [iperf3, stamp, stun, ndt7];
    if ports.iter().all(|Port(port)| port.is_none()) {
        bail!("nothing is left to serve");
    }
    let identity = if arguments.plain || arguments.ndt7.0.is_none() {
        None
    } else {
        Some(identity(arguments)?)
    };
    let allowed = if arguments.allow.is_empty() {
        Allowed::private()
    } else {
        Allowed::only(arguments.allow.clone())
    };
    let key = arguments.stamp_key.as_deref().map(stamp_key::read);
    let config = Config {
        address: arguments.listen,
        iperf3: arguments.iperf3.0,
        stamp: arguments.stamp.0,
        stamp_key: key.transpose()?,
        stun: arguments.stun.0,
        ndt7: arguments.ndt7.0,
        tls: identity.as_ref().map(Identity::http2_server),
        allowed,
        parallel: arguments.parallel.into(),
        duration: Duration::from_secs(arguments.longest.into()),
        rate: arguments.rate,
    };
    let json = arguments.json;
    // Payload is moved by several threads where there are several tests.
    let threads = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    threads.block_on(async {
        let networks = config.allowed.networks().iter().map(ToString::to_string);
        let allowed: Vec<String> = networks.collect();
        let doors = Doors::open(config).await?;
        greet(arguments, &doors, identity.as_ref(), allowed)?;
        let end = Duration::from_secs_f64(arguments.hours * 3_600.0);
        tokio::select! {
            ended = doors.serve(move |served| told(&served, json)) => ended?,
            () = tokio::time::sleep(end) => tracing::info!("the time is over"),
            () = asked_to_stop() => {}
        }
        Ok(Ending::Well)
    })
}

fn greet(
    arguments: &Arguments,
    doors: &Doors,
    identity: Option<&Identity>,
    allowed: Vec<String>,
) -> anyhow::Result<()> {
    let addresses = doors.addresses();
    let fingerprint = identity.map(|identity| identity.fingerprint.to_string());
    if arguments.json {
        let line = Line::Serves {
            iperf3: addresses.iperf3,
            stamp: addresses.stamp,
            stun: addresses.stun,
            ndt7: addresses.ndt7,
            fingerprint,
            allowed,
        };
        return Ok(print(&serde_json::to_string(&line)?)?);
    }
    let mut lines = Vec::new();
    for (protocol, address) in [
        ("iperf3", addresses.iperf3),
        ("STAMP", addresses.stamp),
        ("STUN", addresses.stun),
        ("ndt7", addresses.ndt7),
    ] {
        lines.extend(address.map(|address| format!("{protocol:<6} on {address}")));
    }
    lines.extend(fingerprint.map(|fingerprint| format!("ndt7 fingerprint {fingerprint}")));
    lines.push(format!("for {}", allowed.join(", ")));
    lines.push(format!("ends after {} h, or with Ctrl-C", arguments.hours));
    Ok(print(&lines.join("\n"))?)
}

fn identity(arguments: &Arguments) -> anyhow::Result<Identity> {
    let (Some(certificate), Some(key)) = (&arguments.certificate, &arguments.key) else {
        let pem = identity::self_signed().context("making a certificate")?;
        return Ok(Identity::of_pem(&pem, &pem)?);
    };
    let identity = Identity::of_pem(&read(certificate)?, &read(key)?);
    identity.with_context(|| {
        format!(
            "serving with {} and {}",
            certificate.display(),
            key.display()
        )
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut pem = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_PEM).read_to_end(&mut pem))
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(pem)
}

fn told(served: &Served, json: bool) {
    let rate = |wanted| {
        let rates = served.outcome.as_ref().ok()?;
        let (_, rate) = rates.iter().find(|(direction, _)| *direction == wanted)?;
        *rate
    };
    let line = if json {
        let line = Line::Test {
            protocol: served.protocol,
            peer: served.peer,
            down_bps: rate(Direction::Down),
            up_bps: rate(Direction::Up),
            failure: served.outcome.as_ref().err().cloned(),
        };
        serde_json::to_string(&line).unwrap_or_default()
    } else {
        shown(served, rate(Direction::Down), rate(Direction::Up))
    };
    // Whoever closed the pipe does not read on, and the service goes on for the others.
    let _ = print(&line);
}

fn shown(served: &Served, down: Option<BitRate>, up: Option<BitRate>) -> String {
    let Served {
        protocol,
        peer,
        outcome,
    } = served;
    if let Err(failure) = outcome {
        return format!("{protocol} {peer}: {failure}");
    }
    let text = Text::new(Language::En);
    let rates: Vec<String> = [("down", down), ("up", up)]
        .into_iter()
        .filter_map(|(way, rate)| Some(format!("{way} {}", text.value(Value::Rate(rate?)))))
        .collect();
    format!("{protocol} {peer}: {}", rates.join(", "))
}
