//! Asking a school's line from the collector's side, while its agent is silent: so a dead agent and a dead
//! line are told apart.
//!
//! A few packets every few minutes, and none to a school whose agents speak.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use messnetz_metric::FailureReason;
use messnetz_probes::{Binding, icmp, tcp};
use messnetz_sites::site::SiteId;
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior};

use super::opened::Collector;
use crate::clock;
use crate::judging::agents::LineView;
use crate::store::{LineSeen, StoreError};

/// How often silent schools are asked.
const ROUND: Duration = Duration::from_mins(5);

/// Longest time between two that are asked: a round with many is spread over its time.
const APART: Duration = Duration::from_secs(1);

/// Most that are asked at one time.
const AT_ONCE: usize = 8;

/// How often one that does not answer is asked in a round, and how long each time.
const ECHOES: usize = 3;
const ECHO: Duration = Duration::from_secs(2);

/// Longest time for a name to become an address, and for a connection.
const DEADLINE: Duration = Duration::from_secs(5);

/// What of a school's line can be asked from the collector's side.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Reach {
    host: String,
    /// A TCP port; echo requests where there is none.
    port: Option<u16>,
}

impl FromStr for Reach {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = |host: String, port| Ok(Self { host, port });
        if let Ok(address) = text.parse::<IpAddr>() {
            return host(address.to_string(), None);
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return host(address.ip().to_string(), Some(address.port()));
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, port.parse::<u16>().ok().filter(|port| *port > 0)),
            None => (text, None),
        };
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_name = (1..=253).contains(&name.len()) && name.chars().all(letter);
        if is_name && (port.is_some() || name.len() == text.len()) {
            host(name.to_owned(), port)
        } else {
            Err(format!(
                "'{text}' is no address, such as 198.51.100.7, school.example or school.example:443"
            ))
        }
    }
}

impl TryFrom<String> for Reach {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Reach {
    /// Whether anything answers there, or why that cannot be asked from here.
    async fn answers(&self) -> Result<bool, String> {
        let target = (self.host.as_str(), self.port.unwrap_or_default());
        let found = tokio::time::timeout(DEADLINE, tokio::net::lookup_host(target)).await;
        let target = match found {
            Ok(Ok(mut addresses)) => addresses.next(),
            Ok(Err(error)) => return Err(format!("looking {} up: {error}", self.host)),
            Err(_) => None,
        };
        let target = target.ok_or_else(|| format!("{} has no address", self.host))?;
        if self.port.is_some() {
            connects(target).await
        } else {
            echoes(target.ip()).await
        }
    }
}

async fn echoes(target: IpAddr) -> Result<bool, String> {
    for _ in 0..ECHOES {
        let is_up = icmp::is_up(target, &Binding::any(), ECHO).await;
        if is_up.map_err(|failure| failure.to_string())? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn connects(target: SocketAddr) -> Result<bool, String> {
    let connect = tcp::Connect {
        target,
        binding: Binding::any(),
        deadline: DEADLINE,
    };
    match tcp::connect(&connect).await {
        Ok(_) => Ok(true),
        Err(failure) => match failure.reason {
            // Whoever refuses is there.
            FailureReason::Refused => Ok(true),
            FailureReason::Timeout | FailureReason::Unreachable => Ok(false),
            _ => Err(failure.to_string()),
        },
    }
}

/// Asks the lines of silent agents, round after round, until the task is dropped.
pub(super) async fn watch(collector: Arc<Collector>) {
    if collector.reach.is_empty() {
        return std::future::pending().await;
    }
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        if let Err(error) = round(&collector).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "which agents are silent could not be read; their lines are not asked this time"
            );
        }
    }
}

async fn round(collector: &Arc<Collector>) -> Result<(), StoreError> {
    let this = Arc::clone(collector);
    let agents = collector
        .off_the_sockets(move || this.agents(clock::now()))
        .await?;
    let silent: BTreeMap<SiteId, Reach> = agents
        .iter()
        .filter(|agent| agent.line != LineView::NotNeeded)
        .filter_map(|agent| collector.reach.get_key_value(&agent.site.parse().ok()?))
        .map(|(site, reach)| (site.clone(), reach.clone()))
        .collect();
    let apart = (ROUND / u32::try_from(silent.len().max(1)).unwrap_or(u32::MAX)).min(APART);
    let begin = Instant::now();
    let asking = silent.into_iter().zip(0_u32..);
    stream::iter(asking)
        .for_each_concurrent(AT_ONCE, |((site, reach), index)| async move {
            tokio::time::sleep_until(begin + apart * index).await;
            let answers = reach.answers().await;
            tracing::debug!(%site, ?answers, "asked a silent agent's line");
            let seen = LineSeen {
                site: site.to_string(),
                asked_at: clock::now(),
                answers,
            };
            let kept = collector
                .with_store(move |store| store.keep_line_seen(&seen))
                .await;
            if let Err(error) = kept {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "what was seen of a line could not be kept"
                );
            }
        })
        .await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(host: &str, port: Option<u16>) -> Reach {
        let host = host.to_owned();
        Reach { host, port }
    }

    #[test]
    fn an_address_is_a_host_with_or_without_a_port() {
        for (text, host, port) in [
            ("198.51.100.7", "198.51.100.7", None),
            ("198.51.100.7:443", "198.51.100.7", Some(443)),
            ("2001:db8::7", "2001:db8::7", None),
            ("[2001:db8::7]:443", "2001:db8::7", Some(443)),
            ("school.example", "school.example", None),
            ("school.example:443", "school.example", Some(443)),
        ] {
            assert_eq!(text.parse(), Ok(reach(host, port)), "{text}");
        }
        for text in [
            "",
            ":443",
            "school.example:",
            "school.example:0",
            "a b",
            "a;b",
            "x:y",
        ] {
            assert!(text.parse::<Reach>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn whoever_listens_or_refuses_is_there() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let there = reach("127.0.0.1", Some(port));
        assert_eq!(there.answers().await, Ok(true));
        drop(listener);
        assert_eq!(there.answers().await, Ok(true));
    }
}
