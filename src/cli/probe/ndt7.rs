//! Throughput by ndt7.

mod mlab;

use std::time::Duration;

use clap::{Args, ValueEnum};
use messnetz_metric::{BitRate, Direction, Failure, FailureReason, Micros, Tester, Value};
use messnetz_probes::connection::Tls;
use messnetz_probes::ndt7::client::{Interval, Report, SenderTcp, Test};
use messnetz_probes::ndt7::locate::{Place, Server};
use messnetz_probes::ndt7::streams::{self, Together};
use messnetz_probes::proxy::Proxy;
use messnetz_probes::tcp_info::Congestion;
use messnetz_probes::tls::{Fingerprint, Trust};
use messnetz_probes::under_load::UnderLoad;
use messnetz_probes::witness::{Carried, Testimony, Witness};
use messnetz_probes::{Binding, link};
use serde::Serialize;

use super::honesty::{self, Account, Ceiling, Itself};
use super::latency::{self, Beside, Seen};
use super::proxy::Through;
use super::{Came, Look, ending_of, resolve, split, way, words};
use crate::cli::{Ending, print, print_json};
use crate::clock;

/// Time for everything besides the data: connecting, TLS, taking leave.
const AROUND: Duration = Duration::from_secs(10);

/// Throughput of one TCP connection with an ndt7 server, such as a collector
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz probe ndt7 collector.example:8443 --fingerprint 3f…\n  messnetz probe ndt7 127.0.0.1:8080 --plain --direction down --time 5 --json\n  messnetz probe ndt7 192.168.1.10:4443 --fingerprint 3f… --streams 4\n  messnetz probe ndt7 --mlab --country DE\n\nM-Lab is a public research platform. It keeps and publishes what is measured with its servers, including the public address of the line (https://www.measurementlab.net/privacy/). Use --mlab only where who answers for the line agrees, and not around the clock: JSON says in next_in_s how long a script should wait."
)]
pub(super) struct Ndt7 {
    /// Server: HOST or HOST:PORT [default port: 443]
    #[arg(value_parser = |target: &str| split(target, 443), required_unless_present = "mlab")]
    target: Option<(String, u16)>,
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
    /// So many connections at once, 2 to 16: their sum is a figure of its own, not an ndt7 result. The server must take so many (messnetz serve --parallel N)
    #[arg(long, value_name = "N", conflicts_with = "mlab", value_parser = clap::value_parser!(u8).range(2..=streams::MOST_STREAMS as i64))]
    streams: Option<u8>,
    #[command(flatten)]
    public: mlab::Public,
    #[command(flatten)]
    beside: Beside,
    #[command(flatten)]
    itself: Itself,
    #[command(flatten)]
    through: Through,
    #[command(flatten)]
    look: Look,
}

/// Which way a capacity test goes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Ways {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mlab: Option<Came<mlab::Found>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_test: Option<Came<Ceiling>>,
    tests: Vec<One>,
}

#[derive(Serialize)]
struct One {
    direction: Direction,
    #[serde(rename = "at_unix_ms")]
    at: messnetz_metric::UnixMillis,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server>,
    #[serde(flatten)]
    outcome: Came<Measured>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Came<UnderLoad>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<Account>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Measured {
    One(Report),
    Several(Together),
}

impl Measured {
    /// What went over the wire, the rate of it, and in what time.
    fn carried(&self) -> (Carried, BitRate, Micros) {
        let (direction, payload, again, goodput, during) = match self {
            Self::One(report) => {
                let again = report.sender.and_then(|sender| sender.bytes_retrans);
                let Report {
                    direction, bytes, ..
                } = *report;
                (direction, bytes, again, report.goodput, report.elapsed)
            }
            Self::Several(together) => {
                let streams = together.streams.iter();
                let again = streams
                    .filter_map(|one| one.sender?.bytes_retrans)
                    .reduce(u64::saturating_add);
                let Together {
                    direction, bytes, ..
                } = *together;
                (direction, bytes, again, together.goodput, together.common)
            }
        };
        // What the server sends again does not all arrive here.
        let again = again.filter(|_| direction == Direction::Up);
        let carried = Carried {
            direction,
            payload,
            again: again.unwrap_or_default(),
        };
        (carried, goodput, during)
    }
}

impl Ndt7 {
    pub(super) async fn run(&self) -> anyhow::Result<Ending> {
        let binding = self.look.binding()?;
        // A proxy that is none is said before anything is tried.
        let first = match &self.target {
            Some((host, _)) => host,
            None => self.public.host(),
        };
        let proxy = (self.through).to(self.target.is_none() || !self.plain, first)?;
        let mut ending = Ending::Well;
        let mut found = match &self.target {
            Some(_) => None,
            None => Some(self.public.find(&binding, proxy, self.trust()).await),
        };
        let mut tests = Vec::new();
        let self_test = self.itself.ceiling(Tester::Ndt7).await;
        if let Some(ceiling) = &self_test {
            self.say(&honesty::ceiling_shown(ceiling))?;
        }
        if let Some(Err(failure)) = &found {
            ending = self.failed(failure)?;
        } else {
            for &direction in self.direction.directions() {
                let at = clock::now();
                let test = async |place: &Place| {
                    let proxy = self.through.to(!self.plain, &place.host);
                    let proxy = proxy.map_err(|error| {
                        Failure::new(FailureReason::Protocol, format_args!("{error:#}"))
                    })?;
                    self.test(direction, place, &binding, proxy.as_ref()).await
                };
                let (server, measured) = match (&mut found, &self.target) {
                    (Some(Ok(found)), _) => found.test(direction, !self.plain, test).await,
                    (_, Some((host, port))) => (None, test(&named(host, *port)).await),
                    _ => continue,
                };
                let (outcome, latency, machine) = match measured {
                    Ok(Seen {
                        result: (result, seen),
                        latency,
                    }) => {
                        let goodput = Some(result.carried().1);
                        let machine = Account::new(seen, goodput, self_test.as_ref());
                        self.say(&shown(server.as_ref(), &result))?;
                        if let Some(latency) = &latency {
                            self.say(&latency::shown(latency))?;
                        }
                        self.say(&machine.shown())?;
                        (Came::Report(result), latency, Some(machine))
                    }
                    Err(failure) => {
                        ending = self.failed(&failure)?;
                        (Came::Failure(failure), None, None)
                    }
                };
                tests.push(One {
                    direction,
                    at,
                    server,
                    outcome,
                    latency,
                    machine,
                });
            }
        }
        if let Some(Ok(found)) = &found {
            self.say(&found.shown())?;
        }
        if self.look.json {
            let target = self.target.as_ref();
            print_json(&All {
                probe: "ndt7",
                target: target.map(|(host, port)| format!("{host}:{port}")),
                interface: self.look.interface.as_deref(),
                mlab: found.map(|found| match found {
                    Ok(found) => Came::Report(found),
                    Err(failure) => Came::Failure(failure),
                }),
                self_test,
                tests,
            })?;
        }
        Ok(ending)
    }

    /// Prints it for people, unless the result is wanted as JSON.
    fn say(&self, text: &str) -> anyhow::Result<()> {
        if self.look.json {
            return Ok(());
        }
        Ok(print(text)?)
    }

    fn failed(&self, failure: &Failure) -> anyhow::Result<Ending> {
        let ending = ending_of(failure)?;
        self.say(&failure.to_string())?;
        Ok(ending)
    }

    async fn test(
        &self,
        direction: Direction,
        place: &Place,
        binding: &Binding,
        proxy: Option<&Proxy>,
    ) -> Result<Seen<(Measured, Testimony)>, Failure> {
        let Place { host, port, query } = place;
        let bare = host.trim_matches(['[', ']']);
        let duration = Duration::from_secs(self.time.into());
        let test = Test {
            direction,
            address: match proxy {
                Some(proxy) => resolve(proxy.host(), proxy.port()).await?,
                None => resolve(host, *port).await?,
            },
            tunnel: proxy.map(|proxy| proxy.tunnel(bare, *port)),
            host: format!("{host}:{port}"),
            query: query.clone(),
            tls: (!self.plain).then(|| self.tls(host)),
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
        let port = self.look.interface.clone();
        let port = port.or_else(|| link::towards(test.address));
        let run = async {
            let witness = Witness::begin(port.as_deref());
            let look = &witness;
            let measured = match self.streams {
                Some(count) => streams::run(&test, count.into(), move |interval: &Interval| {
                    look.look();
                    live.set_position(interval.end.as_micros() / 1_000);
                    live.set_message(format!("{} {count} streams", way(direction)));
                })
                .await
                .map(Measured::Several),
                None => test
                    .run_telling(move |interval: &Interval| {
                        look.look();
                        live.set_position(interval.end.as_micros() / 1_000);
                        let way = way(direction);
                        live.set_message(format!("{way} {}", rate(interval.goodput)));
                    })
                    .await
                    .map(Measured::One),
            }?;
            let (carried, _, during) = measured.carried();
            let during = Duration::from_micros(during.as_micros());
            Ok((measured, witness.end(&[carried], during)))
        };
        // Beyond a proxy the server itself cannot be asked.
        let far_end = proxy.is_none().then(|| latency::connectable(test.address));
        let seen = self.beside.run(far_end, binding, duration, async {}, run);
        let result = Box::pin(seen).await;
        bar.finish_and_clear();
        result
    }

    /// Whose certificates are believed.
    fn trust(&self) -> Trust {
        self.fingerprint.map_or(Trust::Web, Trust::Pinned)
    }

    fn tls(&self, host: &str) -> Tls {
        match self.fingerprint {
            Some(fingerprint) => crate::pinned::tls(fingerprint),
            None => Tls {
                trust: Trust::Web,
                server_name: host.trim_matches(['[', ']']).to_owned(),
            },
        }
    }
}

/// A server that the user has named.
fn named(host: &str, port: u16) -> Place {
    Place {
        host: host.to_owned(),
        port,
        query: String::new(),
    }
}

fn rate(rate: BitRate) -> String {
    words().value(Value::Rate(rate))
}

fn shown(server: Option<&Server>, measured: &Measured) -> String {
    let result = match measured {
        Measured::One(report) => of_one(report),
        Measured::Several(together) => of_several(together),
    };
    match server {
        Some(server) => format!("{server}\n{result}"),
        None => result,
    }
}

fn of_several(together: &Together) -> String {
    let seconds = together.common.as_millis_f64() / 1e3;
    let mut lines = vec![format!(
        "{}: {} over the {seconds:.1} s in which all ran ({})",
        way(together.direction),
        rate(together.goodput),
        together.label
    )];
    lines.extend(
        together
            .streams
            .iter()
            .zip(1..)
            .map(|(report, number)| format!("  stream {number}, {}", of_one(report))),
    );
    lines.join("\n")
}

fn of_one(report: &Report) -> String {
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
