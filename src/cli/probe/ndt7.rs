//! Throughput by ndt7.

use std::time::Duration;

use clap::{Args, ValueEnum};
use messnetz_metric::{BitRate, Direction, Failure, Micros, Value};
use messnetz_probes::Binding;
use messnetz_probes::connection::Tls;
use messnetz_probes::ndt7::client::{Interval, Report, SenderTcp, Test};
use messnetz_probes::tcp_info::Congestion;
use messnetz_probes::tls::{Fingerprint, Trust};
use serde::Serialize;

use super::{Came, Look, ending_of, resolve, split, way, words};
use crate::cli::{Ending, print, print_json};
use crate::clock;

/// Time for everything besides the data: connecting, TLS, taking leave.
const AROUND: Duration = Duration::from_secs(10);

/// Throughput of one TCP connection with an ndt7 server, such as a collector
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz probe ndt7 collector.example:8443 --fingerprint 3f…\n  messnetz probe ndt7 127.0.0.1:8080 --plain --direction down --time 5 --json"
)]
pub(super) struct Ndt7 {
    /// Server: HOST or HOST:PORT [default port: 443]
    #[arg(value_parser = |target: &str| split(target, 443))]
    target: (String, u16),
    /// Which way
    #[arg(long, short, value_enum, default_value_t = Ways::Both)]
    direction: Ways,
    /// Seconds that data flows each way
    #[arg(long, short, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=10))]
    time: u8,
    /// Congestion control to send with [default: the system's]
    #[arg(long, value_enum)]
    congestion: Option<CongestionName>,
    /// SHA-256 fingerprint of the server's certificate, where no public authority vouches for it
    #[arg(long, value_name = "HEX", conflicts_with = "plain")]
    fingerprint: Option<Fingerprint>,
    /// Without TLS (ws instead of wss)
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    look: Look,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ways {
    /// Towards this machine
    Down,
    /// Away from it
    Up,
    /// One after the other
    Both,
}

impl Ways {
    const fn directions(self) -> &'static [Direction] {
        match self {
            Self::Down => &[Direction::Down],
            Self::Up => &[Direction::Up],
            Self::Both => &[Direction::Down, Direction::Up],
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CongestionName {
    Bbr,
    Cubic,
    Reno,
}

/// All tests of one call.
#[derive(Serialize)]
struct All<'a> {
    probe: &'static str,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a str>,
    tests: Vec<One>,
}

#[derive(Serialize)]
struct One {
    direction: Direction,
    #[serde(rename = "at_unix_ms")]
    at: messnetz_metric::UnixMillis,
    #[serde(flatten)]
    outcome: Came<Report>,
}

impl Ndt7 {
    pub(super) async fn run(&self) -> anyhow::Result<Ending> {
        let binding = self.look.binding()?;
        let mut tests = Vec::new();
        let mut ending = Ending::Well;
        for &direction in self.direction.directions() {
            let at = clock::now();
            let outcome = match self.test(direction, &binding).await {
                Ok(report) => {
                    if !self.look.json {
                        print(&shown(&report))?;
                    }
                    Came::Report(report)
                }
                Err(failure) => {
                    ending = ending_of(&failure)?;
                    if !self.look.json {
                        print(&failure.to_string())?;
                    }
                    Came::Failure(failure)
                }
            };
            tests.push(One {
                direction,
                at,
                outcome,
            });
        }
        if self.look.json {
            print_json(&All {
                probe: "ndt7",
                target: format!("{}:{}", self.target.0, self.target.1),
                interface: self.look.interface.as_deref(),
                tests,
            })?;
        }
        Ok(ending)
    }

    async fn test(&self, direction: Direction, binding: &Binding) -> Result<Report, Failure> {
        let (host, port) = &self.target;
        let duration = Duration::from_secs(self.time.into());
        let test = Test {
            direction,
            address: resolve(host, *port).await?,
            host: format!("{host}:{port}"),
            query: String::new(),
            tls: (!self.plain).then(|| self.tls()),
            binding: binding.clone(),
            duration,
            deadline: duration + AROUND,
            congestion: self.congestion.map(|name| match name {
                CongestionName::Bbr => Congestion::Bbr,
                CongestionName::Cubic => Congestion::Cubic,
                CongestionName::Reno => Congestion::Reno,
            }),
        };
        let bar = self.look.progress("{wide_bar} {msg}");
        bar.set_length(duration.as_millis() as u64);
        let live = bar.clone();
        let result = test
            .run_telling(move |interval: &Interval| {
                live.set_position(interval.end.as_micros() / 1_000);
                let way = way(direction);
                live.set_message(format!("{way} {}", rate(interval.goodput)));
            })
            .await;
        bar.finish_and_clear();
        result
    }

    fn tls(&self) -> Tls {
        let host = &self.target.0;
        match self.fingerprint {
            Some(fingerprint) => crate::pinned::tls(fingerprint),
            None => Tls {
                trust: Trust::Web,
                server_name: host.trim_matches(['[', ']']).to_owned(),
            },
        }
    }
}

fn rate(rate: BitRate) -> String {
    words().value(Value::Rate(rate))
}

fn shown(report: &Report) -> String {
    let seconds = report.elapsed.as_millis_f64() / 1e3;
    let way = way(report.direction);
    let mut line = format!(
        "{way}: {} over {seconds:.1} s, {} bytes",
        rate(report.goodput),
        report.bytes
    );
    if let Some(name) = &report.congestion {
        line.push_str(", sent with ");
        line.push_str(name);
    }
    if let Some(SenderTcp {
        min_rtt,
        rtt,
        bytes_retrans,
        ..
    }) = report.sender
    {
        let time = |time: Micros| words().value(Value::Time(time));
        let told = [
            min_rtt.map(|min| format!("least round trip {}", time(min))),
            rtt.map(|rtt| format!("under load {}", time(rtt))),
            bytes_retrans.map(|bytes| format!("{bytes} bytes sent again")),
        ];
        let told: Vec<String> = told.into_iter().flatten().collect();
        if !told.is_empty() {
            line.push_str("\n  ");
            line.push_str(&told.join(", "));
        }
    }
    line
}
