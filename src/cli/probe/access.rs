//! What the access lets through, and what stands in the way.

mod line;
mod server;
mod service;
mod since;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use http::Uri;
use messnetz_metric::{Failure, FailureReason, UnixMillis};
use messnetz_probes::Binding;
use messnetz_probes::certificate::{Inspection, Shown, Verdict};
use messnetz_probes::connection::Dial;
use messnetz_probes::proxy::Proxy;
use messnetz_probes::tls::Fingerprint;
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;

use super::proxy::Through;
use super::{Look, resolve, seconds};
use crate::cli::{Ending, print, print_json};
use crate::clock;
use crate::services::{self, Service, Usual};
use server::Kind;
use since::Since;

/// What this access lets through: line, portal, filter, resolvers, clock, ports, services
///
/// Without --only, it looks at the line, the web, the resolvers and the clock, and at the server and the
/// services that are named. A few known hosts are asked; docs/access.md names them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz probe access\n  messnetz probe access --server collector.example --fingerprint 3f… --json\n  messnetz probe access --only server --server 192.168.1.10 --port https=4443 --port ndt7=4443 --port stamp=8862 --port dns=off\n  messnetz probe access --only services --service all --service iserv=school.example\n  messnetz probe access --only line --since yesterday.json\n\nExit codes: 0 all that was tried is let through, 1 something is not, 2 it could not be tried from here."
)]
pub(super) struct Access {
    /// Look at this part only; may be given several times
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Host whose ports are tried, such as a collector or a machine that runs `messnetz serve`
    #[arg(long, value_name = "HOST")]
    server: Option<String>,
    /// SHA-256 fingerprint of the server's certificate, where no public authority vouches for it
    #[arg(long, value_name = "HEX", requires = "server")]
    fingerprint: Option<Fingerprint>,
    /// Another port of the server for one kind, such as stamp=8862, or `off`; may be given several times
    #[arg(long, value_name = "KIND=PORT", value_parser = server::port)]
    port: Vec<(Kind, Option<u16>)>,
    /// Resolver to examine as well: ADDRESS or ADDRESS:PORT; may be given several times
    #[arg(long, value_name = "ADDRESS", value_parser = resolver)]
    resolver: Vec<SocketAddr>,
    /// Page that answers with status 204, for portals and filters
    #[arg(long, value_name = "URL")]
    page: Option<Uri>,
    /// Time server to compare the clock with
    #[arg(long, value_name = "HOST")]
    time_server: Option<String>,
    /// STUN server that tells the public address
    #[arg(long, value_name = "HOST")]
    stun: Option<String>,
    /// Service to try: NAME, NAME=HOST or `all`; may be given several times
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,
    /// File with further services
    #[arg(long, value_name = "FILE")]
    services: Option<PathBuf>,
    /// Earlier output of this command with --json: tells whether the way out has changed since (fail-over)
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// Print the services that are known, and try nothing
    #[arg(long)]
    list_services: bool,
    /// Seconds that each attempt may take
    #[arg(long, default_value = "3", value_parser = seconds)]
    timeout: Duration,
    #[command(flatten)]
    through: Through,
    #[command(flatten)]
    look: Look,
}

/// A part of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// Addresses, routes and translation
    Line,
    /// Portals and filters
    Web,
    /// The resolvers of this machine
    Resolvers,
    /// How far the clock is off
    Clock,
    /// The ports of --server
    Server,
    /// The services of --service
    Services,
}

fn resolver(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<IpAddr>().ok();
    let address = address.map(|address| SocketAddr::new(address, 53));
    let whole = address.or_else(|| text.parse().ok());
    whole.ok_or_else(|| "it is neither ADDRESS nor ADDRESS:PORT".to_owned())
}

/// What one attempt came to.
#[derive(Serialize)]
struct Row {
    part: Part,
    what: String,
    target: String,
    outcome: Outcome,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Value>,
}

/// What an attempt came to, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// It is let through, and as it should be.
    Passed,
    /// A fact that is neither good nor bad.
    Fact,
    /// The far end, a firewall or a proxy refuses.
    Refused,
    /// Nothing came back.
    NoAnswer,
    /// Somebody answers in the far end's place.
    Intercepted,
    /// A portal wants to be agreed to first.
    Portal,
    /// A filter answers.
    Filtered,
    /// It is let through, but is not as it should be.
    Faulty,
    /// This machine could not try.
    NotTried,
}

impl Outcome {
    const fn of(failure: &Failure) -> Self {
        match failure.reason {
            FailureReason::Timeout | FailureReason::Unreachable => Self::NoAnswer,
            FailureReason::Refused => Self::Refused,
            FailureReason::Permission | FailureReason::Interface | FailureReason::Budget => {
                Self::NotTried
            }
            FailureReason::NameResolution
            | FailureReason::Tls
            | FailureReason::Protocol
            | FailureReason::Busy => Self::Faulty,
        }
    }

    const fn is_well(self) -> bool {
        matches!(self, Self::Passed | Self::Fact)
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Fact => "is so",
            Self::Refused => "refused",
            Self::NoAnswer => "no answer",
            Self::Intercepted => "intercepted",
            Self::Portal => "portal",
            Self::Filtered => "filtered",
            Self::Faulty => "faulty",
            Self::NotTried => "not tried",
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Passed => "✔",
            Self::Fact => "·",
            Self::NotTried => "?",
            _ => "✘",
        }
    }
}

impl Row {
    /// The row of an attempt: `told` makes outcome and detail of what came back.
    fn of<R: Serialize>(
        (part, what, target): (Part, &str, String),
        result: Result<R, Failure>,
        told: impl FnOnce(&R) -> (Outcome, String),
    ) -> Self {
        let report = match result {
            Ok(report) => report,
            Err(failure) => return Self::failed((part, what, target), failure),
        };
        let (outcome, detail) = told(&report);
        Self {
            part,
            what: what.to_owned(),
            target,
            outcome,
            detail,
            report: serde_json::to_value(&report).ok(),
        }
    }

    fn failed((part, what, target): (Part, &str, String), failure: Failure) -> Self {
        Self {
            part,
            what: what.to_owned(),
            target,
            outcome: Outcome::of(&failure),
            detail: failure.detail,
            report: None,
        }
    }
}

/// Where attempts are made from.
#[derive(Clone, Debug)]
struct Place {
    binding: Binding,
    deadline: Duration,
}

impl Place {
    /// The way to a host and port: through the proxy where there is one.
    async fn dial(&self, host: &str, port: u16, proxy: Option<&Proxy>) -> Result<Dial, Failure> {
        Ok(Dial {
            address: match proxy {
                Some(proxy) => resolve(proxy.host(), proxy.port()).await?,
                None => resolve(host, port).await?,
            },
            tunnel: proxy.map(|proxy| proxy.tunnel(host, port)),
            tls: None,
            binding: self.binding.clone(),
            congestion: None,
            deadline: self.deadline,
        })
    }

    async fn inspect(
        &self,
        host: &str,
        port: u16,
        proxy: Option<&Proxy>,
        expected: Option<Fingerprint>,
    ) -> Result<Shown, Failure> {
        Inspection {
            dial: self.dial(host, port, proxy).await?,
            server_name: host.to_owned(),
            expected,
        }
        .run()
        .await
    }
}

/// What a certificate means for the access.
fn certified(shown: &Shown) -> (Outcome, String) {
    let Shown {
        issuer,
        subject,
        days_left,
        first_to_end: (place, first),
        ..
    } = shown;
    let by = format!("certificate issued by '{issuer}'");
    match shown.verdict {
        Verdict::Trusted if *first < *days_left && *place > 0 => (
            Outcome::Passed,
            format!("{by}, {days_left} days left, {first} of the authority's own"),
        ),
        Verdict::Trusted => (Outcome::Passed, format!("{by}, {days_left} days left")),
        Verdict::Intercepted => (
            Outcome::Intercepted,
            format!("the connection is intercepted: {by}"),
        ),
        Verdict::SelfSigned => (
            Outcome::Faulty,
            format!("the server vouches for itself ('{subject}'): give its fingerprint"),
        ),
        Verdict::WrongName => (
            Outcome::Faulty,
            format!("the certificate is another name's ('{subject}')"),
        ),
        Verdict::Expired => (
            Outcome::Faulty,
            format!("the certificate ended {} days ago", -days_left.min(first)),
        ),
        Verdict::NotYetValid => (
            Outcome::Faulty,
            "the certificate has not begun: is this machine's clock right?".to_owned(),
        ),
        Verdict::Untrusted => (Outcome::Faulty, format!("not to be believed: {by}")),
    }
}

/// All rows as JSON.
#[derive(Serialize)]
struct All<'a> {
    probe: &'static str,
    #[serde(rename = "at_unix_ms")]
    at: UnixMillis,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<Proxy>,
    attempts: &'a [Row],
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Since>,
}

impl Access {
    pub(super) async fn run(&self) -> anyhow::Result<Ending> {
        let usual = services::built_in()?;
        let mut known = usual.services.clone();
        if let Some(path) = &self.services {
            known.extend(services::read(path)?);
        }
        if self.list_services {
            self.list(&known)?;
            return Ok(Ending::Well);
        }
        let chosen = services::chosen(&known, &self.service)?;
        if self.is_asked(Part::Services) && !self.only.is_empty() && chosen.is_empty() {
            bail!("no service is named: name one with --service (see --list-services)");
        }
        if self.only.contains(&Part::Server) && self.server.is_none() {
            bail!("no server is named: name one with --server HOST");
        }
        if self.since.is_some() && !self.is_asked(Part::Line) {
            bail!("--since compares the way out, which --only leaves out: add --only line");
        }
        let earlier = self.since.as_deref().map(since::read).transpose()?;
        let place = Place {
            binding: self.look.binding()?,
            deadline: self.timeout,
        };
        let at = clock::now();
        let rows = self.rows(&place, &usual, chosen).await?;
        let since = earlier.map(|earlier| earlier.compare(&rows)).transpose()?;
        if self.look.json {
            print_json(&All {
                probe: "access",
                at,
                interface: self.look.interface.as_deref(),
                proxy: self.through.to(true, "")?,
                attempts: &rows,
                since,
            })?;
        } else {
            print(&shown(&rows))?;
            if let Some(since) = since {
                print(&since.shown())?;
            }
        }
        if !rows.is_empty() && rows.iter().all(|row| row.outcome == Outcome::NotTried) {
            bail!("nothing could be tried from here");
        }
        Ok(if rows.iter().all(|row| row.outcome.is_well()) {
            Ending::Well
        } else {
            Ending::Findings
        })
    }

    fn is_asked(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// Tries everything at once; the rows keep their order.
    async fn rows(
        &self,
        place: &Place,
        usual: &Usual,
        chosen: Vec<Service>,
    ) -> anyhow::Result<Vec<Row>> {
        let mut tasks = JoinSet::new();
        let mut number = 0;
        let mut spawn = |work: Attempt| {
            tasks.spawn(async move { (number, work.await) });
            number += 1;
        };
        if self.is_asked(Part::Line) {
            let stun = self.stun.clone().or_else(|| self.server.clone());
            let place = place.clone();
            spawn(Box::pin(async move { line::facts(&place, stun).await }));
        }
        if self.is_asked(Part::Web) {
            let page = match &self.page {
                Some(page) => page.clone(),
                None => usual.page.parse()?,
            };
            let tls = page.scheme_str() == Some("https");
            let proxy = self.through.to(tls, page.host().unwrap_or_default())?;
            let place = place.clone();
            spawn(Box::pin(async move {
                vec![line::web(&place, page, proxy).await]
            }));
        }
        if self.is_asked(Part::Resolvers) {
            let (place, names) = (place.clone(), usual.names.clone());
            let others = self.resolver.clone();
            spawn(Box::pin(async move {
                line::resolvers(&place, names, others).await
            }));
        }
        if self.is_asked(Part::Clock) {
            let server = self.time_server.clone();
            let server = server.unwrap_or_else(|| usual.time.clone());
            let place = place.clone();
            spawn(Box::pin(async move {
                vec![line::clock(&place, Part::Clock, &server, messnetz_probes::ntp::PORT).await]
            }));
        }
        if let Some(host) = self.server.as_ref().filter(|_| self.is_asked(Part::Server)) {
            let host = host.trim_matches(['[', ']']).to_owned();
            let server = Arc::new(server::Server {
                proxy: self.through.to(true, &host)?,
                host,
                fingerprint: self.fingerprint,
                place: place.clone(),
            });
            for &kind in Kind::value_variants() {
                let named = self.port.iter().find(|(named, _)| *named == kind);
                let Some(port) = named.map_or_else(|| Some(kind.port()), |(_, port)| *port) else {
                    continue;
                };
                let server = Arc::clone(&server);
                spawn(Box::pin(
                    async move { vec![server.tried(kind, port).await] },
                ));
            }
        }
        if self.is_asked(Part::Services) {
            for one in chosen {
                let host = one.host.clone().unwrap_or_default();
                let proxy = self.through.to(true, &host)?;
                let place = place.clone();
                spawn(Box::pin(async move {
                    vec![service::tried(&place, &one, proxy.as_ref()).await]
                }));
            }
        }
        let mut done = Vec::new();
        while let Some(finished) = tasks.join_next().await {
            done.push(finished?);
        }
        done.sort_by_key(|(number, _)| *number);
        Ok(done.into_iter().flat_map(|(_, rows)| rows).collect())
    }

    fn list(&self, known: &[Service]) -> anyhow::Result<()> {
        if self.look.json {
            return print_json(&known);
        }
        for service in known {
            let host = service.host.as_deref().unwrap_or("HOST");
            let source = service.source.as_deref().unwrap_or("no source named");
            let transport = service.transport.name();
            let (name, port) = (&service.name, service.port);
            print(&format!("{name}: {host}:{port} by {transport} ({source})"))?;
        }
        Ok(())
    }
}

type Attempt = std::pin::Pin<Box<dyn Future<Output = Vec<Row>> + Send>>;

/// A line for each attempt, in columns.
fn shown(rows: &[Row]) -> String {
    let width = |cell: fn(&Row) -> &str| {
        let widths = rows.iter().map(|row| cell(row).chars().count());
        widths.max().unwrap_or_default()
    };
    let (what, target) = (width(|row| &row.what), width(|row| &row.target));
    let outcome = width(|row| row.outcome.words());
    let lines = rows.iter().map(|row| {
        format!(
            "{} {:what$}  {:target$}  {:outcome$}  {}",
            row.outcome.sign(),
            row.what,
            row.target,
            row.outcome.words(),
            row.detail
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
