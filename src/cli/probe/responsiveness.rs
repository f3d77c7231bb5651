//! Responsiveness: round trips per minute on a loaded path.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http::uri::Authority;
use messnetz_metric::{Direction, Failure, Micros, Value};
use messnetz_probes::connection::{Dial, Tls};
use messnetz_probes::responsiveness::client::Test;
use messnetz_probes::responsiveness::{
    Class, Confidence, Interval, Order, Parameters, Report, Rpm, Way,
};
use messnetz_probes::tls::{Fingerprint, Trust};

use super::ndt7::Ways;
use super::proxy::Through;
use super::{Look, ending_of, resolve, split, tell, way, words};
use crate::cli::Ending;
use crate::clock;

/// Time for each connection to stand, and for each answer of a probe.
const DEADLINE: Duration = Duration::from_secs(10);

/// Round trips per minute while the line is full (draft-ietf-ippm-responsiveness-09), and its goodput
#[derive(Debug, Args)]
#[command(
    after_help = "Below 300 round trips a minute are poor, below 1,000 fair, up to 6,000 good, above excellent. How sure a\nfigure is says its confidence: low, medium or high.\n\nExamples:\n  messnetz probe responsiveness collector.example:8443 --fingerprint 3f…\n  messnetz probe responsiveness 192.168.1.10:4443 --fingerprint 3f… --concurrent --json"
)]
pub(super) struct Responsiveness {
    /// Server: HOST or HOST:PORT [default port: 443]
    #[arg(value_parser = |target: &str| split(target, 443))]
    target: (String, u16),
    /// Which way
    #[arg(long, short, value_enum, default_value_t = Ways::Both)]
    direction: Ways,
    /// Load both ways at once: a figure of its own, which does not compare with the one of each way
    #[arg(long, conflicts_with = "direction")]
    concurrent: bool,
    /// Seconds between two looks at the state: the draft's 5, with which a test may take 100 s each way, or the 1 of shipped clients, with which it takes 20 s
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    interval: u8,
    /// SHA-256 fingerprint of the server's certificate, where no public authority vouches for it
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<Fingerprint>,
    #[command(flatten)]
    through: Through,
    #[command(flatten)]
    look: Look,
}

impl Responsiveness {
    pub(super) async fn run(&self) -> anyhow::Result<Ending> {
        let binding = self.look.binding()?;
        let (host, port) = &self.target;
        let proxy = self.through.to(true, host)?;
        let bare = host.trim_matches(['[', ']']);
        let server: Authority = format!("{host}:{port}")
            .parse()
            .with_context(|| format!("{host}:{port} names no server"))?;
        let target = server.to_string();
        let at = clock::now();
        let bar = self.look.progress("{spinner} {msg}");
        let run = async {
            let address = match &proxy {
                Some(proxy) => resolve(proxy.host(), proxy.port()).await?,
                None => resolve(host, *port).await?,
            };
            let test = Test {
                dial: Dial {
                    address,
                    tunnel: proxy.as_ref().map(|proxy| proxy.tunnel(bare, *port)),
                    tls: Some(self.tls(bare)),
                    binding,
                    congestion: None,
                    deadline: DEADLINE,
                },
                server,
                order: self.order(),
                parameters: Parameters {
                    interval: Duration::from_secs(self.interval.into()),
                    ..Parameters::DRAFT
                },
            };
            let live = bar.clone();
            test.run(move |interval: Interval| {
                let rate = words().value(Value::Rate(interval.goodput));
                live.set_message(format!("{} {rate}", way(interval.direction)));
                live.tick();
            })
            .await
        };
        let result: Result<Report, Failure> = Box::pin(run).await;
        bar.finish_and_clear();
        tell(("responsiveness", &target), &self.look, at, &result, shown)?;
        match &result {
            Ok(_) => Ok(Ending::Well),
            Err(failure) => ending_of(failure),
        }
    }

    const fn order(&self) -> Order {
        match self.direction {
            Ways::Down => Order::Only(Direction::Down),
            Ways::Up => Order::Only(Direction::Up),
            Ways::Both if self.concurrent => Order::Concurrent,
            Ways::Both => Order::Sequential,
        }
    }

    fn tls(&self, host: &str) -> Tls {
        match self.fingerprint {
            Some(fingerprint) => crate::pinned::tls(fingerprint),
            None => Tls {
                trust: Trust::Web,
                server_name: host.to_owned(),
            },
        }
    }
}

fn shown(report: &Report) -> String {
    let order = match report.order {
        Order::Sequential | Order::Only(_) => "one way after the other",
        Order::Concurrent => "both ways at once",
    };
    let parameters = &report.parameters;
    let mut lines: Vec<String> = report.ways.iter().map(one_way).collect();
    lines.push(format!(
        "{order}; looked at each {} s, averaged over {}, at most {} connections",
        parameters.interval.as_secs(),
        parameters.averaged,
        parameters.flows
    ));
    lines.join("\n")
}

fn one_way(one: &Way) -> String {
    let rpm = match (one.rpm, one.class) {
        (Some(Rpm(rpm)), Some(class)) => format!(
            "{rpm:.0} round trips a minute, {} (confidence {})",
            class_name(class),
            confidence(one.rpm_confidence)
        ),
        _ => "no figure: probes of a kind did not come back".to_owned(),
    };
    let time = |time: Option<Micros>| {
        time.map_or_else(
            || "unknown".to_owned(),
            |time| words().value(Value::Time(time)),
        )
    };
    format!(
        "{}: {rpm}\n  {} over {} connections (confidence {}), after {} intervals\n  \
         fresh connection {}, TLS {}, answer {}; answer on a loaded connection {}",
        way(one.direction),
        words().value(Value::Rate(one.goodput)),
        one.flows,
        confidence(one.goodput_confidence),
        one.intervals,
        time(one.tcp),
        time(one.tls),
        time(one.http),
        time(one.loaded),
    )
}

const fn class_name(class: Class) -> &'static str {
    match class {
        Class::Poor => "poor",
        Class::Fair => "fair",
        Class::Good => "good",
        Class::Excellent => "excellent",
    }
}

const fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}
