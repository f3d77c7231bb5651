//! Bursts of packets: ICMP echo and STAMP.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use messnetz_metric::{Direction, Failure, Ppm, Value};
use messnetz_probes::icmp::{self, EchoReport};
use messnetz_probes::stamp::{self, Distance, Distances, StampReport};
use messnetz_probes::{Binding, Stamps};
use serde::Serialize;

use super::{Look, ending_of, resolve, resolve_host, seconds, split, tell, times, words};
use crate::cli::{Ending, stamp_key};
use crate::clock;

/// How packets are sent.
#[derive(Debug, Args)]
struct Pace {
    /// Packets to send
    #[arg(long, short, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,
    /// Seconds between two packets
    #[arg(long, short, default_value = "0.2", value_parser = seconds)]
    interval: Duration,
    /// Seconds that an answer may take; what comes later is lost
    #[arg(long, default_value = "2", value_parser = seconds)]
    timeout: Duration,
}

impl Pace {
    /// How long a burst takes if all goes well.
    fn time(&self) -> Duration {
        self.interval * u32::from(self.count - 1)
    }

    /// Counts down on a terminal while the burst is under way.
    async fn show<T>(&self, look: &Look, burst: impl Future<Output = T>) -> T {
        let bar = look.progress("{wide_bar} {elapsed}/{msg}");
        let whole = self.time().max(Duration::from_millis(1));
        bar.set_length(whole.as_millis() as u64);
        bar.set_message(format!("{:.1} s", whole.as_secs_f64()));
        let mut burst = std::pin::pin!(burst);
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tokio::select! {
                done = &mut burst => {
                    bar.finish_and_clear();
                    return done;
                }
                _ = tick.tick() => bar.set_position(bar.elapsed().as_millis() as u64),
            }
        }
    }
}

/// Sends a burst and tells what it came to, `shown` for people.
async fn run<R: Serialize>(
    named: (&'static str, &str),
    pace: &Pace,
    look: &Look,
    burst: impl AsyncFnOnce(Binding) -> Result<R, Failure>,
    shown: impl Fn(&R) -> String,
    is_good: impl Fn(&R) -> bool,
) -> anyhow::Result<Ending> {
    let binding = look.binding()?;
    let at = clock::now();
    let result = pace.show(look, burst(binding)).await;
    tell(named, look, at, &result, shown)?;
    match &result {
        Ok(report) if is_good(report) => Ok(Ending::Well),
        Ok(_) => Ok(Ending::Findings),
        Err(failure) => ending_of(failure),
    }
}

/// Round trips and loss by ICMP echo
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz probe icmp 192.168.1.1\n  messnetz probe icmp collector.example --count 100 --interval 0.05 --json\n\nNeeds CAP_NET_RAW, or a group in net.ipv4.ping_group_range."
)]
pub(super) struct Icmp {
    /// Name or address of who is to answer
    target: String,
    #[command(flatten)]
    pace: Pace,
    /// Data bytes of a request
    #[arg(long, default_value_t = 56, value_parser = clap::value_parser!(u16).range(8..=65_000))]
    size: u16,
    #[command(flatten)]
    look: Look,
}

impl Icmp {
    pub(super) async fn run(&self) -> anyhow::Result<Ending> {
        let named = ("icmp", self.target.as_str());
        let is_good = |report: &EchoReport| report.received > 0;
        let burst = async |binding| self.measure(binding).await;
        run(named, &self.pace, &self.look, burst, echoes, is_good).await
    }

    async fn measure(&self, binding: Binding) -> Result<EchoReport, Failure> {
        let target = resolve_host(&self.target).await?;
        icmp::measure(&icmp::Echo {
            target,
            binding,
            count: self.pace.count,
            interval: self.pace.interval,
            timeout: self.pace.timeout,
            payload: self.size.into(),
        })
        .await
    }
}

fn echoes(report: &EchoReport) -> String {
    let EchoReport {
        target,
        sent,
        received,
        ..
    } = report;
    let mut lines = vec![format!(
        "{target}: {sent} sent, {received} answered, loss {}",
        share(report.loss())
    )];
    for (count, what) in [
        (u32::from(report.late), "answered too late, counted as lost"),
        (
            u32::from(report.unreachable),
            "reported undeliverable, counted as lost",
        ),
        (report.duplicates, "answers beyond the first"),
        (
            u32::from(report.unsent),
            "that this machine did not send, not counted",
        ),
        (
            report.own_drops,
            "dropped by our own socket, their fate unknown",
        ),
    ] {
        if count > 0 {
            lines.push(format!("  {count} {what}"));
        }
    }
    if let Some(rtt) = &report.rtt {
        let stamps = match report.stamps {
            Stamps::Kernel => "stamped by the kernel",
            Stamps::User => "stamped by this program",
        };
        lines.push(format!("  round trip {} ({stamps})", times(rtt)));
    }
    lines.extend(jitter(report.jitter));
    lines.join("\n")
}

/// Loss by direction and round trips by STAMP (RFC 8762)
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz probe stamp collector.example\n  messnetz probe stamp collector.example:8862 --count 1000 --interval 0.01 --json\n  messnetz probe stamp 192.168.1.10:8862 --key stamp.key\n\nThe far end has to be a stateful reflector, such as a collector or 'messnetz serve'."
)]
pub(super) struct Stamp {
    /// Reflector: HOST or HOST:PORT [default port: 862]
    #[arg(value_parser = |target: &str| split(target, stamp::PORT))]
    target: (String, u16),
    #[command(flatten)]
    pace: Pace,
    /// File with the key that the reflector has too, 16 octets or more: what is not sealed with it counts as
    /// lost (HMAC-SHA-256, RFC 8762)
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    look: Look,
}

impl Stamp {
    pub(super) async fn run(&self) -> anyhow::Result<Ending> {
        let target = format!("{}:{}", self.target.0, self.target.1);
        let key = self.key.as_deref().map(stamp_key::read).transpose()?;
        let burst = async |binding| self.measure(binding, key).await;
        let named = ("stamp", target.as_str());
        run(named, &self.pace, &self.look, burst, reflections, |_| true).await
    }

    async fn measure(
        &self,
        binding: Binding,
        key: Option<stamp::Key>,
    ) -> Result<StampReport, Failure> {
        let (host, port) = &self.target;
        stamp::measure(&stamp::Session {
            reflector: resolve(host, *port).await?,
            binding,
            count: self.pace.count,
            interval: self.pace.interval,
            timeout: self.pace.timeout,
            key,
        })
        .await
    }
}

fn reflections(report: &StampReport) -> String {
    let StampReport {
        reflector,
        sent,
        reflected,
        received,
        ..
    } = report;
    let loss = |direction| share(report.loss(direction));
    let mut lines = vec![
        format!("{reflector}: {sent} sent, {reflected} reflected, {received} came back"),
        format!(
            "  loss up {} ({} packets), down {} ({} packets)",
            loss(Direction::Up),
            report.lost_up,
            loss(Direction::Down),
            report.lost_down
        ),
    ];
    lines.extend(
        report
            .rtt
            .as_ref()
            .map(|rtt| format!("  round trip {}", times(rtt))),
    );
    lines.extend(jitter(report.jitter));
    lines.push(format!("  {}", ways(report.hops)));
    lines.join("\n")
}

/// How far it is each way.
pub(super) fn ways(hops: Distances) -> String {
    let far = |way: Option<Distance>| match way {
        None => "an unknown number of hops".to_owned(),
        Some(Distance { fewest: 1, most: 1 }) => "1 hop".to_owned(),
        Some(Distance { fewest, most }) if fewest == most => format!("{most} hops"),
        Some(Distance { fewest, most }) => format!("{fewest} to {most} hops (the way changed)"),
    };
    let differ = if hops.differ() == Some(true) {
        ": the ways differ"
    } else {
        ""
    };
    format!("{} there, {} back{differ}", far(hops.up), far(hops.down))
}

/// A share, as people read it.
pub(super) fn share(share: Option<Ppm>) -> String {
    share.map_or_else(
        || "unknown".to_owned(),
        |share| words().value(Value::Share(share)),
    )
}

fn jitter(jitter: Option<messnetz_metric::Micros>) -> Option<String> {
    let jitter = words().value(Value::Time(jitter?));
    Some(format!("  jitter {jitter} (RFC 3550)"))
}
