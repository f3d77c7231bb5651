//! Throughput by iperf3, with any stock server.

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use messnetz_metric::{BitRate, Direction, Failure, Tester, Value};
use messnetz_probes::iperf3::{
    DEFAULT_UDP_LENGTH, DEFAULT_UDP_RATE, Datagrams, End, Flow, Interval, MAX_STREAMS,
    MAX_TCP_LENGTH, Parameters, Patience, Progress, Protocol, Report, Summary, Test, Transfer,
};
use messnetz_probes::under_load::{FarEnd, UnderLoad};
use messnetz_probes::witness::{Carried, Testimony, Witness};
use messnetz_probes::{Binding, link};
use serde::Serialize;
use tokio::sync::Notify;

use super::honesty::{self, Account, Ceiling, Itself};
use super::latency::{self, Beside, Seen};
use super::sizes::{rate as rate_of, size};
use super::{Came, Look, ending_of, resolve, seconds, tell, way, words};
use crate::cli::{Ending, print};
use crate::clock;

/// Payload of a full TCP segment over Ethernet, with time stamps (RFC 7323).
const SEGMENT: u64 = 1448;

/// Throughput of TCP streams, or the fate of datagrams, with an iperf3 server
///
/// The options are called as those of iperf3, and take K, M, G and T as there: 1024 each in sizes, 1000 each in
/// rates. What counts is what the receiver got.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz probe iperf3 10.20.0.5\n  messnetz probe iperf3 10.20.0.5 --port 5201 --time 10 --reverse --parallel 4 --json\n  messnetz probe iperf3 10.20.0.5 --udp --bitrate \"20 Mbit/s\"\n\nWhere the server is busy, one of ours keeps a queue and says when it is your turn; a stock one refuses."
)]
pub(super) struct Iperf3 {
    /// Name or address of the server
    host: String,
    /// Port of the server
    #[arg(long, short, default_value_t = messnetz_probes::iperf3::PORT)]
    port: u16,
    /// Seconds that data flows
    #[arg(long, short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    time: u32,
    /// End after so many bytes instead, such as 1G
    #[arg(long, short = 'n', conflicts_with = "time", value_parser = size::<u64>)]
    bytes: Option<u64>,
    #[command(flatten)]
    ways: Ways,
    /// Streams in each direction
    #[arg(long, short = 'P', default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_STREAMS)))]
    parallel: u8,
    /// Seconds at the beginning that do not count
    #[arg(long, short = 'O', default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=60))]
    omit: u8,
    /// Datagrams instead of TCP: loss and jitter at a set rate
    #[arg(long, short)]
    udp: bool,
    /// Most that each stream sends, such as 20M or "20 Mbit/s" [default: as much as it can; 1 Mbit/s with --udp]
    #[arg(long, short, value_name = "RATE", value_parser = rate_of)]
    bitrate: Option<BitRate>,
    /// Bytes of a write or of a datagram, such as 128K
    #[arg(long, short, value_parser = size::<u32>)]
    length: Option<u32>,
    /// Size of the socket buffers in bytes, such as 512K
    #[arg(long, short, value_parser = size::<u32>)]
    window: Option<u32>,
    /// Largest segment in bytes
    #[arg(long, short = 'M', value_parser = size::<u16>)]
    mss: Option<u16>,
    /// Congestion control, by the kernel's name
    #[arg(long, short = 'C', value_name = "ALGORITHM")]
    congestion: Option<String>,
    /// Send small segments at once (`TCP_NODELAY`)
    #[arg(long, short = 'N')]
    no_delay: bool,
    /// Seconds from one report to the next
    #[arg(long, short, default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// Seconds to wait for a turn, where the server keeps a queue; 0 not to wait
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    wait: u16,
    #[command(flatten)]
    beside: Beside,
    #[command(flatten)]
    itself: Itself,
    #[command(flatten)]
    look: Look,
}

/// Who sends.
#[derive(Debug, Args)]
struct Ways {
    /// The server sends
    #[arg(long, short = 'R', conflicts_with = "bidir")]
    reverse: bool,
    /// Both send at once
    #[arg(long)]
    bidir: bool,
}

/// A test and the round trips beside it.
#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    report: Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Came<UnderLoad>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_test: Option<Came<Ceiling>>,
    machine: Account,
}

impl Iperf3 {
    fn parameters(&self) -> anyhow::Result<Parameters> {
        let flow = match (self.ways.reverse, self.ways.bidir) {
            (_, true) => Flow::Both,
            (true, false) => Flow::Down,
            (false, false) => Flow::Up,
        };
        let duration = Duration::from_secs(self.time.into());
        let (usual, length) = if self.udp {
            let rate = self.bitrate.unwrap_or(DEFAULT_UDP_RATE);
            (Parameters::udp(flow, duration, rate), DEFAULT_UDP_LENGTH)
        } else {
            (Parameters::tcp(flow, duration), MAX_TCP_LENGTH)
        };
        let parameters = Parameters {
            streams: self.parallel,
            end: self.bytes.map_or(usual.end, End::Bytes),
            omit: Duration::from_secs(self.omit.into()),
            length: self.length.unwrap_or(length),
            rate: self.bitrate.or(usual.rate),
            window: self.window,
            mss: self.mss,
            no_delay: self.no_delay,
            congestion: self.congestion.clone(),
            ..usual
        };
        if let Err(error) = parameters.check() {
            bail!("{error}");
        }
        Ok(parameters)
    }

    pub(super) async fn run(&self) -> anyhow::Result<Ending> {
        let binding = self.look.binding()?;
        let parameters = self.parameters()?;
        let at = clock::now();
        let result = self.test(parameters, binding).await;
        let target = format!("{}:{}", self.host, self.port);
        tell(("iperf3", &target), &self.look, at, &result, shown)?;
        result.map_or_else(|failure| ending_of(&failure), |_| Ok(Ending::Well))
    }

    async fn test(&self, parameters: Parameters, binding: Binding) -> Result<Done, Failure> {
        let server = resolve(&self.host, self.port).await?;
        let length = match parameters.end {
            End::After(duration) => Some(duration + parameters.omit),
            _ => None,
        };
        let test = Test {
            binding,
            interval: self.interval,
            patience: Patience {
                queue: Duration::from_secs(self.wait.into()),
                ..Patience::default()
            },
            ..Test::new(server, parameters)
        };
        let self_test = self.itself.ceiling(Tester::Iperf3).await;
        let port = self.look.interface.clone();
        let port = port.or_else(|| link::towards(server));
        let bar = self.look.progress("{spinner} {msg}");
        let flows = Notify::new();
        let witness = OnceCell::new();
        let run = test.run(|progress| match progress {
            Progress::Queued(place) => bar.set_message(format!("server busy, {place}")),
            Progress::Running => {
                witness.get_or_init(|| Witness::begin(port.as_deref()));
                flows.notify_one();
                bar.set_message("data flows");
            }
            Progress::Interval(interval) => {
                if let Some(witness) = witness.get() {
                    witness.look();
                }
                if !self.look.json {
                    // Whoever reads no more is told by the result.
                    bar.suspend(|| drop(print(&line(interval))));
                }
            }
        });
        // How long a test takes that bytes end is not known before.
        let far_end = length.map(|_| FarEnd {
            address: server,
            takes_connections: false,
        });
        let (length, begun) = (length.unwrap_or_default(), flows.notified());
        let seen = (self.beside).run(far_end, &test.binding, length, begun, run);
        let seen = Box::pin(seen).await;
        bar.finish_and_clear();
        let Seen { result, latency } = seen?;
        let seen = witness.into_inner().map(|witness| end(witness, &result));
        let rates = Direction::BOTH
            .into_iter()
            .filter_map(|direction| result.direction(direction)?.received.rate);
        let machine = Account::new(seen.unwrap_or_default(), rates.max(), self_test.as_ref());
        Ok(Done {
            report: result,
            latency,
            self_test,
            machine,
        })
    }
}

/// What was seen of this machine in a test.
fn end(witness: Witness, report: &Report) -> Testimony {
    let summaries = Direction::BOTH
        .into_iter()
        .filter_map(|direction| Some((direction, report.direction(direction)?)));
    let carried: Vec<Carried> = summaries
        .clone()
        .map(|(direction, summary)| Carried {
            direction,
            payload: summary.received.bytes,
            again: match (direction, summary.retransmits) {
                (Direction::Up, Some(segments)) => segments.saturating_mul(SEGMENT),
                _ => 0,
            },
        })
        .collect();
    let during = summaries.map(|(_, summary)| summary.received.elapsed).max();
    let during = Duration::from_micros(during.unwrap_or_default().as_micros());
    witness.end(&carried, during)
}

/// An interval as it is shown while the test runs: as this side sees it.
fn line(interval: &Interval) -> String {
    let time = |time: messnetz_metric::Micros| time.as_millis_f64() / 1e3;
    let mut line = format!("{:6.2}–{:.2} s", time(interval.from), time(interval.to));
    for direction in Direction::BOTH {
        if let Some(transfer) = interval.transfer(direction) {
            let _ = write!(line, "  {} {}", way(direction), rate(&transfer));
        }
    }
    if interval.omitted {
        line.push_str("  (left out)");
    }
    line
}

fn rate(transfer: &Transfer) -> String {
    let rate = transfer.rate.map(|rate| words().value(Value::Rate(rate)));
    rate.unwrap_or_else(|| "nothing".to_owned())
}

fn shown(done: &Done) -> String {
    let Done {
        report,
        latency,
        self_test,
        machine,
    } = done;
    let mut lines = Vec::new();
    lines.extend(self_test.as_ref().map(honesty::ceiling_shown));
    for direction in Direction::BOTH {
        if let Some(summary) = report.direction(direction) {
            lines.push(format!(
                "{}: {}",
                way(direction),
                result(report, direction, summary)
            ));
        }
    }
    let streams = match report.parameters.streams {
        1 => "one stream".to_owned(),
        streams => format!("{streams} streams each way"),
    };
    let cpu = &report.cpu;
    lines.push(format!(
        "  {streams}; processor {:.0} % here, {:.0} % there",
        cpu.own.total, cpu.peer.total
    ));
    lines.push(machine.shown());
    lines.extend(latency.as_ref().map(latency::shown));
    lines.join("\n")
}

fn result(report: &Report, direction: Direction, summary: &Summary) -> String {
    let received = &summary.received;
    let seconds = received.elapsed.as_millis_f64() / 1e3;
    let mut text = format!(
        "{} received over {seconds:.1} s, {} bytes",
        rate(received),
        received.bytes
    );
    if let Some(Datagrams {
        packets,
        lost,
        loss,
        jitter,
        ..
    }) = &summary.datagrams
    {
        let loss = loss.map(|loss| words().value(Value::Share(loss)));
        let _ = write!(
            text,
            ", {lost} of {packets} datagrams lost ({}), jitter {}",
            loss.unwrap_or_else(|| "unknown".to_owned()),
            words().value(Value::Time(*jitter))
        );
    }
    if let Some(again) = summary.retransmits {
        let _ = write!(text, ", {again} segments sent again");
    }
    if report.parameters.protocol == Protocol::Tcp {
        let sender = match direction {
            Direction::Up => &report.congestion.own,
            Direction::Down => &report.congestion.peer,
        };
        if let Some(name) = sender {
            text.push_str(", sent with ");
            text.push_str(name);
        }
    }
    text
}
