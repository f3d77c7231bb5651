//! Single attempts, one after another: connections, names, pages.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::Uri;
use messnetz_metric::{Failure, FailureReason, Micros, UnixMillis, Value};
use messnetz_probes::proxy::Proxy;
use messnetz_probes::reach::Reach;
use messnetz_probes::tls::{Fingerprint, Trust};
use messnetz_probes::{Binding, RttSummary, dns, http as page, tcp};
use serde::Serialize;

use super::proxy::Through;
use super::{Came, Look, ending_of, resolve, seconds, split, words};
use crate::cli::{Ending, asked_to_stop, print, print_json};
use crate::clock;

/// Largest page that is read to its end.
const MAX_PAGE: u64 = 64 * 1024 * 1024;

/// How often something is tried.
#[derive(Debug, Args)]
struct Pace {
    /// How often to try
    #[arg(long, short, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Seconds from one attempt to the next
    #[arg(long, short, default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// Seconds that an attempt may take
    #[arg(long, default_value = "5", value_parser = seconds)]
    timeout: Duration,
}

/// What is tried, how often, and from where.
#[derive(Debug, Args)]
pub(super) struct Tries<A: Args> {
    #[command(flatten)]
    attempt: A,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    look: Look,
}

/// Something that is tried by single attempts.
pub(super) trait Attempt: Args {
    /// What one attempt reports.
    type Report: Serialize;

    /// The probe, as it is called on the command line.
    const NAME: &'static str;

    fn target(&self) -> String;
    /// Refuses what no attempt could be made with.
    fn check(&self) -> anyhow::Result<()> {
        Ok(())
    }
    async fn once(&self, binding: &Binding, deadline: Duration) -> Result<Self::Report, Failure>;
    /// The time that the summary is about; `None` where the attempt was no success.
    fn time(report: &Self::Report) -> Option<Micros>;
    fn shown(report: &Self::Report) -> String;
}

#[derive(Serialize)]
struct One<R> {
    #[serde(rename = "at_unix_ms")]
    at: UnixMillis,
    #[serde(flatten)]
    outcome: Came<R>,
}

#[derive(Serialize)]
struct All<'a, R> {
    probe: &'static str,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a str>,
    attempts: &'a [One<R>],
    succeeded: usize,
    time: Option<RttSummary>,
}

/// Tries as often as asked for, or until somebody presses Ctrl-C; each attempt is shown as it ends.
pub(super) async fn run<A: Attempt>(tries: &Tries<A>) -> anyhow::Result<Ending> {
    let Tries {
        attempt,
        pace,
        look,
    } = tries;
    let binding = look.binding()?;
    attempt.check()?;
    let mut done: Vec<One<A::Report>> = Vec::new();
    let mut tick = tokio::time::interval(pace.interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stop = std::pin::pin!(asked_to_stop());
    while done.len() < pace.count as usize {
        let one = async {
            tick.tick().await;
            (clock::now(), attempt.once(&binding, pace.timeout).await)
        };
        let (at, result) = tokio::select! {
            one = one => one,
            () = &mut stop => break,
        };
        if !look.json {
            print(&match &result {
                Ok(report) => A::shown(report),
                Err(failure) => failure.to_string(),
            })?;
        }
        let outcome = match result {
            Ok(report) => Came::Report(report),
            Err(failure) => {
                ending_of(&failure)?;
                Came::Failure(failure)
            }
        };
        done.push(One { at, outcome });
    }
    let times: Vec<Duration> = done.iter().filter_map(time::<A>).collect();
    let summary = RttSummary::of(&times);
    if look.json {
        print_json(&All {
            probe: A::NAME,
            target: attempt.target(),
            interface: look.interface.as_deref(),
            attempts: &done,
            succeeded: times.len(),
            time: summary,
        })?;
    } else if done.len() > 1 {
        let mut line = format!("{} of {} succeeded", times.len(), done.len());
        if let Some(summary) = &summary {
            let _ = write!(line, ", {}", super::times(summary));
        }
        print(&line)?;
    }
    Ok(if times.len() == done.len() {
        Ending::Well
    } else {
        Ending::Findings
    })
}

fn time<A: Attempt>(one: &One<A::Report>) -> Option<Duration> {
    match &one.outcome {
        Came::Report(report) => A::time(report),
        Came::Failure(_) => None,
    }
    .map(|time| Duration::from_micros(time.as_micros()))
}

/// With whom a connection is tried.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz probe tcp school-cloud.example\n  messnetz probe tcp 10.0.0.5:5432 --count 10 --interval 0.5 --json"
)]
pub(super) struct Tcp {
    /// With whom: HOST or HOST:PORT [default port: 443]
    #[arg(value_parser = |target: &str| split(target, 443))]
    target: (String, u16),
}

impl Attempt for Tcp {
    type Report = tcp::ConnectReport;

    const NAME: &'static str = "tcp";

    fn target(&self) -> String {
        format!("{}:{}", self.target.0, self.target.1)
    }

    async fn once(&self, binding: &Binding, deadline: Duration) -> Result<Self::Report, Failure> {
        let (host, port) = &self.target;
        tcp::connect(&tcp::Connect {
            target: resolve(host, *port).await?,
            binding: binding.clone(),
            deadline,
        })
        .await
    }

    fn time(report: &Self::Report) -> Option<Micros> {
        Some(report.time)
    }

    fn shown(report: &Self::Report) -> String {
        format!(
            "{}: connected after {}",
            report.target,
            time_of(report.time)
        )
    }
}

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Record {
    /// IPv4
    A,
    /// IPv6
    Aaaa,
}

/// What a resolver is asked.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz probe dns www.example.org\n  messnetz probe dns www.example.org --server 10.0.0.2 --record aaaa --json"
)]
pub(super) struct Dns {
    /// Name to ask for
    name: String,
    /// Resolver to ask [default: the first one of this machine]
    #[arg(long, value_name = "ADDRESS")]
    server: Option<IpAddr>,
    /// Port of the resolver
    #[arg(long, default_value_t = 53)]
    port: u16,
    /// Addresses to ask for
    #[arg(long, value_enum, default_value_t = Record::A)]
    record: Record,
}

impl Attempt for Dns {
    type Report = dns::DnsReport;

    const NAME: &'static str = "dns";

    fn target(&self) -> String {
        self.name.clone()
    }

    async fn once(&self, binding: &Binding, deadline: Duration) -> Result<Self::Report, Failure> {
        let server = match self.server {
            Some(server) => SocketAddr::new(server, self.port),
            None => *dns::system_resolvers()?.first().ok_or_else(|| {
                Failure::new(
                    FailureReason::NameResolution,
                    "this machine has no resolver configured (name one with --server)",
                )
            })?,
        };
        dns::resolve(&dns::Query {
            server,
            name: self.name.clone(),
            record: match self.record {
                Record::A => dns::Record::A,
                Record::Aaaa => dns::Record::Aaaa,
            },
            dnssec: false,
            binding: binding.clone(),
            deadline,
        })
        .await
    }

    /// An error can be quick, too, and is no good time.
    fn time(report: &Self::Report) -> Option<Micros> {
        let is_answer = report.rcode == 0 && !report.addresses.is_empty();
        is_answer.then_some(report.time)
    }

    fn shown(report: &Self::Report) -> String {
        let answer = match report.rcode {
            0 if report.addresses.is_empty() => "no address of this kind".to_owned(),
            0 => {
                let addresses: Vec<String> =
                    report.addresses.iter().map(ToString::to_string).collect();
                addresses.join(", ")
            }
            2 => "the resolver failed (SERVFAIL)".to_owned(),
            3 => "there is no such name (NXDOMAIN)".to_owned(),
            5 => "the resolver refused (REFUSED)".to_owned(),
            rcode => format!("response code {rcode}"),
        };
        let cut = if report.truncated { ", over TCP" } else { "" };
        let time = time_of(report.time);
        format!("{}: {answer} after {time}{cut}", report.server)
    }
}

/// Which page is fetched.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz probe http https://www.example.org/\n  messnetz probe http https://messnetz.example:8443/v1/hello --fingerprint 3f… --json\n  messnetz probe http https://www.example.org/ --proxy proxy.school.example:3128\n\nNo redirect is followed and no cache is used."
)]
pub(super) struct Http {
    /// The page: https://… or http://…
    #[arg(value_parser = url)]
    url: Uri,
    /// SHA-256 fingerprint of the server's certificate, where no public authority vouches for it
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<Fingerprint>,
    #[command(flatten)]
    through: Through,
}

impl Http {
    fn proxy(&self) -> anyhow::Result<Option<Proxy>> {
        let tls = self.url.scheme_str() == Some("https");
        self.through.to(tls, self.url.host().unwrap_or_default())
    }
}

fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match (url.scheme_str(), url.host()) {
        (Some("http" | "https"), Some(_)) => Ok(url),
        _ => Err("it is no page (https://… or http://…)".to_owned()),
    }
}

impl Attempt for Http {
    type Report = page::Report;

    const NAME: &'static str = "http";

    fn target(&self) -> String {
        self.url.to_string()
    }

    fn check(&self) -> anyhow::Result<()> {
        self.proxy().map(drop)
    }

    async fn once(&self, binding: &Binding, deadline: Duration) -> Result<Self::Report, Failure> {
        page::Fetch {
            url: self.url.clone(),
            address: None,
            proxy: self
                .proxy()
                .map_err(|error| Failure::new(FailureReason::Protocol, error))?,
            reach: Reach::Anywhere,
            binding: binding.clone(),
            trust: self.fingerprint.map_or(Trust::Web, Trust::Pinned),
            deadline,
            max_body: MAX_PAGE,
        }
        .run()
        .await
    }

    fn time(report: &Self::Report) -> Option<Micros> {
        Some(report.total)
    }

    fn shown(report: &Self::Report) -> String {
        let phases: Vec<String> = [
            ("name", report.resolve),
            ("connect", Some(report.connect)),
            ("tunnel", report.tunnel),
            ("TLS", report.tls),
            ("first byte", Some(report.first_byte)),
        ]
        .into_iter()
        .filter_map(|(phase, time)| Some(format!("{phase} {}", time_of(time?))))
        .collect();
        let page::Report {
            peer,
            status,
            body_bytes,
            ..
        } = report;
        format!(
            "{peer}: status {status}, {body_bytes} bytes after {} ({})",
            time_of(report.total),
            phases.join(", ")
        )
    }
}

fn time_of(time: Micros) -> String {
    words().value(Value::Time(time))
}
