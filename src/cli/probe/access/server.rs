//! Which ports of one host the access lets through.

use std::time::Duration;

use clap::ValueEnum;
use messnetz_metric::{Direction, Failure};
use messnetz_probes::connection::Tls;
use messnetz_probes::icmp::{self, Echo};
use messnetz_probes::ndt7::client::Test;
use messnetz_probes::proxy::Proxy;
use messnetz_probes::tls::{Fingerprint, Trust};
use messnetz_probes::{Peer, dns, stamp, stun, tcp};

use super::line::time;
use super::{Outcome, Part, Place, Row, certified};
use crate::cli::probe::resolve;

/// How long data flows where it is only tried whether it does.
const FLOWS: Duration = Duration::from_millis(500);

/// What is tried with a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    Https,
    Ndt7,
    Dns,
    Icmp,
    Stamp,
    Iperf3,
    Stun,
}

impl Kind {
    /// The port where it usually is; ICMP has none.
    pub(super) const fn port(self) -> u16 {
        match self {
            Self::Https | Self::Ndt7 => 443,
            Self::Dns => 53,
            Self::Icmp => 0,
            Self::Stamp => stamp::PORT,
            Self::Iperf3 => 5201,
            Self::Stun => stun::PORT,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Https => "HTTPS",
            Self::Ndt7 => "ndt7 over wss",
            Self::Dns => "DNS over UDP",
            Self::Icmp => "ICMP echo",
            Self::Stamp => "STAMP over UDP",
            Self::Iperf3 => "iperf3 over TCP",
            Self::Stun => "STUN over UDP",
        }
    }
}

/// A kind and its port on the command line; `None` for a kind that is not to be tried.
pub(super) fn port(text: &str) -> Result<(Kind, Option<u16>), String> {
    let (kind, port) = text
        .split_once('=')
        .ok_or("it is not KIND=PORT, such as stamp=8862")?;
    let kind = Kind::from_str(kind, true).map_err(|_| {
        let kinds: Vec<String> = Kind::value_variants()
            .iter()
            .filter_map(|kind| Some(kind.to_possible_value()?.get_name().to_owned()))
            .collect();
        format!("'{kind}' is none of {}", kinds.join(", "))
    })?;
    match port.parse() {
        _ if port == "off" => Ok((kind, None)),
        Ok(port @ 1..) => Ok((kind, Some(port))),
        _ => Err(format!("'{port}' is neither a port nor 'off'")),
    }
}

/// The host whose ports are tried.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) proxy: Option<Proxy>,
    pub(super) place: Place,
}

impl Server {
    /// Tries one kind, with the protocol that belongs to it: an open port alone proves nothing where a
    /// firewall answers for everybody.
    pub(super) async fn tried(&self, kind: Kind, port: u16) -> Row {
        let Self { host, place, .. } = self;
        let target = match kind {
            Kind::Icmp => host.clone(),
            _ => format!("{host}:{port}"),
        };
        let name = (Part::Server, kind.words(), target);
        let passed = |after| (Outcome::Passed, format!("answered after {}", time(after)));
        match kind {
            Kind::Https => {
                let proxy = self.proxy.as_ref();
                let shown = place.inspect(host, port, proxy, self.fingerprint).await;
                Row::of(name, shown, certified)
            }
            Kind::Ndt7 => Row::of(name, self.flows(port).await, |report| {
                let bytes = report.bytes;
                (Outcome::Passed, format!("{bytes} bytes came"))
            }),
            Kind::Dns => Row::of(name, self.asked(port).await, |report| passed(report.time)),
            Kind::Icmp => Row::of(name, self.echoed().await, |report| match report.rtt {
                Some(rtt) => passed(rtt.median),
                None => (Outcome::NoAnswer, "no request was answered".to_owned()),
            }),
            Kind::Stamp => Row::of(name, self.reflected(port).await, |report| {
                let (sent, received) = (report.sent, report.received);
                let detail = format!("{received} of {sent} packets came back");
                (Outcome::Passed, detail)
            }),
            Kind::Iperf3 => Row::of(name, self.connected(port).await, |report| {
                passed(report.time)
            }),
            Kind::Stun => Row::of(name, self.mapped(port).await, |mapped| {
                let address = mapped.address;
                let detail = format!("seen as {address} after {}", time(mapped.time));
                (Outcome::Passed, detail)
            }),
        }
    }

    async fn flows(&self, port: u16) -> Result<messnetz_probes::ndt7::client::Report, Failure> {
        let Self { host, place, .. } = self;
        let dial = place.dial(host, port, self.proxy.as_ref()).await?;
        Test {
            direction: Direction::Down,
            address: dial.address,
            tunnel: dial.tunnel,
            host: format!("{host}:{port}"),
            query: String::new(),
            tls: Some(match self.fingerprint {
                Some(fingerprint) => crate::pinned::tls(fingerprint),
                None => Tls {
                    trust: Trust::Web,
                    server_name: host.clone(),
                },
            }),
            binding: place.binding.clone(),
            duration: FLOWS,
            deadline: place.deadline + FLOWS,
            congestion: None,
        }
        .run()
        .await
    }

    async fn asked(&self, port: u16) -> Result<dns::DnsReport, Failure> {
        dns::resolve(&dns::Query {
            server: resolve(&self.host, port).await?,
            name: "example.com".to_owned(),
            record: dns::Record::A,
            dnssec: false,
            binding: self.place.binding.clone(),
            deadline: self.place.deadline,
        })
        .await
    }

    async fn echoed(&self) -> Result<icmp::EchoReport, Failure> {
        icmp::measure(&Echo {
            target: resolve(&self.host, 443).await?.ip(),
            binding: self.place.binding.clone(),
            count: 3,
            interval: Duration::from_millis(200),
            timeout: self.place.deadline,
            payload: 56,
        })
        .await
    }

    async fn reflected(&self, port: u16) -> Result<stamp::StampReport, Failure> {
        stamp::measure(&stamp::Session {
            reflector: resolve(&self.host, port).await?,
            binding: self.place.binding.clone(),
            count: 3,
            interval: Duration::from_millis(50),
            timeout: self.place.deadline,
            key: None,
        })
        .await
    }

    async fn connected(&self, port: u16) -> Result<tcp::ConnectReport, Failure> {
        tcp::connect(&tcp::Connect {
            target: resolve(&self.host, port).await?,
            binding: self.place.binding.clone(),
            deadline: self.place.deadline,
        })
        .await
    }

    async fn mapped(&self, port: u16) -> Result<stun::Mapped, Failure> {
        stun::ask(&Peer {
            address: resolve(&self.host, port).await?,
            binding: self.place.binding.clone(),
            deadline: self.place.deadline,
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_belongs_to_a_kind() {
        assert_eq!(port("stamp=8862"), Ok((Kind::Stamp, Some(8862))));
        assert_eq!(port("dns=off"), Ok((Kind::Dns, None)));
        for wrong in ["stamp", "stamp=0", "stamp=x", "stomp=1"] {
            assert!(port(wrong).is_err(), "{wrong}");
        }
    }
}
