//! Which way packets take.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::{Args, ValueEnum};
use messnetz_metric::{Failure, Value};
use messnetz_probes::path::{
    self, Certainty, End, Finding, Hop, Limit, Marking, PathMtu, PathProbe, PathReport, Says,
    Standing,
};
use messnetz_probes::stamp::{self, Session, StampReport};
use serde::Serialize;

use super::{Look, burst, ending_of, resolve_host, seconds, tell, words};
use crate::cli::{Ending, print};
use crate::clock;

/// Packets of a STAMP session beside a trace, and the time between two: enough to see whether a way is steady.
const PACKETS: u16 = 10;
const INTERVAL: Duration = Duration::from_millis(50);

/// Which way packets take: every router up to the target, and what becomes of packets there
///
/// A router that does not answer is no fault: packets may pass it all the same. What the target loses is the
/// loss of the path.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz probe path collector.example\n  messnetz probe path 192.0.2.1 --method icmp --probes 10 --json\n  messnetz probe path collector.example --mtu --dscp\n  messnetz probe path collector.example --stamp=8862\n\nMarks: !N no way to the network, !H host does not answer, !P protocol not spoken, !A forbidden, !F too big.\nExit codes: 0 the target answered, and no black hole was found for big packets, and the reflector answered where it was asked; 1 not so; 2 it could not be tried from here.\nUDP needs no rights; ICMP needs CAP_NET_RAW, or a group in net.ipv4.ping_group_range."
)]
pub(super) struct Path {
    /// Name or address of where the path leads
    target: String,
    /// Packets to ask with
    #[arg(long, value_enum, default_value_t = Method::Udp)]
    method: Method,
    /// Packets to each hop; hosts answer about six by UDP at once
    #[arg(long, visible_alias = "probes", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=i64::from(path::MAX_QUERIES)))]
    queries: u8,
    /// Hops after which it is given up
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u8).range(1..=i64::from(path::MAX_HOPS)))]
    max_hops: u8,
    /// Seconds that an answer may take
    #[arg(long, default_value = "2", value_parser = seconds)]
    timeout: Duration,
    /// Search for the largest packet that passes, and for what keeps larger ones back
    #[arg(long)]
    mtu: bool,
    /// See at which hop the class of packets is changed (DSCP 0, AF41 and EF); needs the right to raw sockets
    #[arg(long)]
    dscp: bool,
    /// Ask the STAMP reflector there, too, how many hops it is each way [default port: 862]
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "862")]
    stamp: Option<u16>,
    #[command(flatten)]
    look: Look,
}

/// A path, and beside it what a STAMP reflector at its end tells of both ways.
#[derive(Serialize)]
struct Ways {
    #[serde(flatten)]
    there: PathReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    stamp: Option<Finding<StampReport>>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Method {
    Udp,
    Icmp,
}

impl Path {
    pub(super) async fn run(&self) -> anyhow::Result<Ending> {
        let binding = self.look.binding()?;
        let at = clock::now();
        let result = match resolve_host(&self.target).await {
            Ok(target) => {
                let probe = PathProbe {
                    target,
                    binding,
                    method: match self.method {
                        Method::Udp => path::Method::Udp,
                        Method::Icmp => path::Method::Icmp,
                    },
                    queries: self.queries,
                    max_hops: self.max_hops,
                    timeout: self.timeout,
                    mtu: self.mtu,
                    dscp: self.dscp,
                };
                self.measure(&probe).await
            }
            Err(failure) => Err(failure),
        };
        tell(("path", &self.target), &self.look, at, &result, shown)?;
        match &result {
            Ok(ways) if is_well(ways) => Ok(Ending::Well),
            Ok(_) => Ok(Ending::Findings),
            Err(failure) => ending_of(failure),
        }
    }

    /// Measures, and shows hops to people as they come.
    async fn measure(&self, probe: &PathProbe) -> Result<Ways, Failure> {
        let show = |hop: &Hop| {
            if !self.look.json {
                // Where nobody reads any more, the last line fails, too, and is told.
                let _ = print(&line(hop));
            }
        };
        let there = path::measure(probe, show).await?;
        let stamp = match self.stamp {
            Some(port) => Some(self.reflected(probe, port).await),
            None => None,
        };
        Ok(Ways { there, stamp })
    }

    async fn reflected(&self, probe: &PathProbe, port: u16) -> Finding<StampReport> {
        let session = Session {
            reflector: SocketAddr::new(probe.target, port),
            binding: probe.binding.clone(),
            count: PACKETS,
            interval: INTERVAL,
            timeout: self.timeout,
            key: None,
        };
        match stamp::measure(&session).await {
            Ok(report) => Finding::Found(report),
            Err(failure) => Finding::Failed(failure),
        }
    }
}

/// A hop, as a line: who, how many of how many packets were answered, and how long that took.
fn line(hop: &Hop) -> String {
    let mut line = format!("{:>2}", hop.hop);
    for address in hop.addresses() {
        let _ = write!(line, "  {address:<15}");
        let answers = hop.answers.iter().filter(|one| one.from == address);
        let mut marks: Vec<String> = answers
            .filter_map(|one| match one.says {
                Says::Refused(why) => Some(why.mark()),
                Says::Expired | Says::Reached => None,
            })
            .collect();
        marks.dedup();
        for mark in marks {
            let _ = write!(line, " {mark}");
        }
    }
    let (answered, sent) = (hop.answered(), hop.sent);
    let _ = match hop.rtt() {
        Some(rtt) => write!(
            line,
            "  {sent} sent, {answered} answered, loss {}, best {}, median {}, worst {}",
            burst::share(hop.loss()),
            words().value(Value::Time(rtt.min)),
            words().value(Value::Time(rtt.median)),
            words().value(Value::Time(rtt.max)),
        ),
        None => write!(line, "  {sent} sent, no answer"),
    };
    line
}

/// Which hops limit their answers, and what the path itself loses.
fn losses(report: &PathReport) -> Vec<String> {
    let limiting = report
        .hops
        .iter()
        .filter(|one| one.standing == Standing::RateLimitedAnswers);
    let mut lines: Vec<String> = limiting
        .map(|one| {
            format!(
                "Hop {} answers less than one behind it: it limits its answers, and packets pass it all the same",
                one.hop.hop
            )
        })
        .collect();
    lines.extend(report.loss.map(|loss| {
        let mut line = format!(
            "Loss to the target and back: {} ({} of {} packets)",
            burst::share(Some(loss.share)),
            loss.lost,
            loss.sent
        );
        if let Some(hop) = loss.from_hop {
            let _ = write!(line, ", from hop {hop} or just before");
        }
        if loss.certainty == Certainty::AtMost {
            line += "; it may be less, since hosts limit how often they answer UDP: --method icmp is exact";
        }
        line
    }));
    lines
}

fn is_well(
    Ways {
        there: report,
        stamp,
    }: &Ways,
) -> bool {
    let answered = !matches!(stamp, Some(Finding::Failed(_)));
    let whole = match &report.mtu {
        Some(Finding::Found(mtu)) => mtu.limit != Limit::BlackHole,
        Some(Finding::Failed(_)) => false,
        None => true,
    };
    whole && answered && report.end == End::Reached
}

/// What is to be said once all hops have been shown.
fn shown(
    Ways {
        there: report,
        stamp,
    }: &Ways,
) -> String {
    let mut lines = losses(report);
    lines.push(end(report));
    lines.extend(report.mtu.as_ref().map(|found| match found {
        Finding::Found(mtu) => largest(mtu),
        Finding::Failed(failure) => failure.to_string(),
    }));
    lines.extend(report.markings.iter().map(class));
    lines.extend(stamp.as_ref().map(|found| match found {
        Finding::Found(report) => format!("By STAMP: {}", burst::ways(report.hops)),
        Finding::Failed(failure) => failure.to_string(),
    }));
    lines.join("\n")
}

fn largest(found: &PathMtu) -> String {
    let PathMtu { mtu, to, .. } = found;
    let because = match found.limit {
        Limit::Interface => "as much as the interface takes".to_owned(),
        Limit::Router { by } => format!("{by} says that more does not fit"),
        Limit::BlackHole => {
            format!("what is larger is lost without a word (black hole above {mtu})")
        }
    };
    format!("Packets of up to {mtu} bytes pass to {to}: {because}")
}

fn class(marking: &Marking) -> String {
    let Marking { dscp, seen, .. } = marking;
    match (marking.changed, seen.last()) {
        (Some(change), _) => format!(
            "DSCP {dscp} comes to hop {} as {}: changed there or just before",
            change.hop, change.dscp
        ),
        (None, Some(last)) => format!("DSCP {dscp} is kept up to hop {}", last.hop),
        (None, None) => format!("DSCP {dscp}: no hop told what became of it"),
    }
}

fn end(report: &PathReport) -> String {
    let PathReport { target, hops, .. } = report;
    let count = match hops.len() {
        1 => "1 hop".to_owned(),
        count => format!("{count} hops"),
    };
    let last: Option<IpAddr> = hops
        .iter()
        .rev()
        .find_map(|one| one.hop.addresses().into_iter().next());
    match (report.end, last) {
        (End::Reached, _) => format!("{target} answered, {count} away"),
        (End::Refused(why), Some(by)) => {
            format!(
                "{target} is not reached: {by} refuses, {count} away ({})",
                why.mark()
            )
        }
        (_, Some(by)) => {
            format!("{target} did not answer within {count}; the last that did is {by}")
        }
        (_, None) => format!("{target} did not answer within {count}, nor did any router"),
    }
}
