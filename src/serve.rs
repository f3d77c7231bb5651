//! The far end of a test on the spot: the school's server, a second box, a laptop on the other side of the
//! switch. Without it a measurement of LAN or Wi-Fi has nobody to measure against.
//!
//! Everything is bounded: who may test, how many at once, how long, how fast, and when all of it ends. Nobody
//! is sent more than came from him before his address is proven: answers of STAMP and STUN are no longer than
//! the question, and the others speak TCP first.

mod ndt7;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnetwork::IpNetwork;
use messnetz_metric::{BitRate, Direction, Failure, FailureReason};
use messnetz_probes::{iperf3, stamp, stun};
use rustls::ServerConfig;
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

/// Who may test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed(Vec<IpNetwork>);

impl Allowed {
    /// These networks, and nobody else.
    #[must_use]
    pub const fn only(networks: Vec<IpNetwork>) -> Self {
        Self(networks)
    }

    /// Whoever has a private address (RFC 1918, RFC 4193), one of a link (RFC 3927, RFC 4291) or of this
    /// machine.
    ///
    /// # Panics
    /// Never: the networks are well-formed.
    #[must_use]
    pub fn private() -> Self {
        const NETWORKS: [&str; 8] = [
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ];
        Self(NETWORKS.iter().filter_map(|one| one.parse().ok()).collect())
    }

    /// Whether this address is among them.
    #[must_use]
    pub fn includes(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// The networks.
    #[must_use]
    pub fn networks(&self) -> &[IpNetwork] {
        &self.0
    }
}

/// What is served, where and to whom.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on.
    pub address: IpAddr,
    /// Port of iperf3, TCP and UDP; `None` not to serve it.
    pub iperf3: Option<u16>,
    /// Port of the STAMP reflector.
    pub stamp: Option<u16>,
    /// The key that STAMP packets have to be sealed with.
    pub stamp_key: Option<stamp::Key>,
    /// Port of STUN, which tells who asks what his address looks like from here.
    pub stun: Option<u16>,
    /// Port of ndt7.
    pub ndt7: Option<u16>,
    /// What ndt7 is served with; `None` for `ws`, without TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// Who may test.
    pub allowed: Allowed,
    /// Tests at once, of iperf3 and of ndt7 each.
    pub parallel: usize,
    /// The longest test.
    pub duration: Duration,
    /// The most that one test may be sent, and may send by iperf3.
    pub rate: Option<BitRate>,
}

/// A test that was served.
#[derive(Clone, Debug)]
pub struct Served {
    /// By which protocol.
    pub protocol: &'static str,
    /// To whom.
    pub peer: SocketAddr,
    /// What this side counted: which way, and how fast; or why there is nothing.
    pub outcome: Result<Vec<(Direction, Option<BitRate>)>, Failure>,
}

/// Sockets that listen already.
#[derive(Debug)]
pub struct Doors {
    iperf3: Option<iperf3::Server>,
    stamp: Option<UdpSocket>,
    stun: Option<UdpSocket>,
    ndt7: Option<TcpListener>,
    config: Config,
}

/// Where everything listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// iperf3.
    pub iperf3: Option<SocketAddr>,
    /// STAMP.
    pub stamp: Option<SocketAddr>,
    /// STUN.
    pub stun: Option<SocketAddr>,
    /// ndt7.
    pub ndt7: Option<SocketAddr>,
}

impl Doors {
    /// Opens the sockets. To be called within a tokio runtime.
    ///
    /// # Errors
    /// Where an address is in use, is none of this host, or its port may not be used.
    pub async fn open(config: Config) -> Result<Self, Failure> {
        let at = |port: u16| SocketAddr::new(config.address, port);
        let iperf3 = config
            .iperf3
            .map(|port| {
                iperf3::Server::bind(iperf3::Config {
                    limits: iperf3::Limits {
                        duration: config.duration,
                        rate: config.rate,
                        ..iperf3::Limits::default()
                    },
                    parallel: config.parallel,
                    allowed: config.allowed.networks().to_vec(),
                    ..iperf3::Config::new(at(port))
                })
            })
            .transpose()?;
        let stamp = udp("STAMP", config.stamp.map(at)).await?;
        let stun = udp("STUN", config.stun.map(at)).await?;
        let ndt7 = match config.ndt7.map(at) {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|error| in_the_way("ndt7", address, &error))?,
            ),
            None => None,
        };
        Ok(Self {
            iperf3,
            stamp,
            stun,
            ndt7,
            config,
        })
    }

    /// Where everything listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses {
            iperf3: self.iperf3.as_ref().and_then(|one| one.address().ok()),
            stamp: self.stamp.as_ref().and_then(|one| one.local_addr().ok()),
            stun: self.stun.as_ref().and_then(|one| one.local_addr().ok()),
            ndt7: self.ndt7.as_ref().and_then(|one| one.local_addr().ok()),
        }
    }

    /// Serves until it is dropped, or until one of its sockets fails; tells `told` about every test.
    ///
    /// # Errors
    /// Where the socket of STAMP or STUN fails again and again.
    pub async fn serve(self, told: impl Fn(Served) + Send + Sync + 'static) -> Result<(), Failure> {
        let Self {
            iperf3,
            stamp,
            stun,
            ndt7,
            config,
        } = self;
        let told: Arc<dyn Fn(Served) + Send + Sync> = Arc::new(told);
        let by_iperf3 = async {
            let Some(server) = iperf3 else {
                return std::future::pending().await;
            };
            let told = Arc::clone(&told);
            server
                .run(move |served| {
                    told(Served {
                        protocol: "iperf3",
                        peer: served.peer,
                        outcome: served.outcome.map(|report| rates(&report)),
                    });
                })
                .await;
        };
        let allowed = config.allowed.clone();
        let by_stamp = async {
            let Some(socket) = stamp else {
                return std::future::pending().await;
            };
            let is_allowed = move |address| allowed.includes(address);
            let key = config.stamp_key.clone();
            stamp::reflect(socket, stamp::Limits::default(), key, is_allowed).await
        };
        let allowed = config.allowed.clone();
        let by_stun = async {
            let Some(socket) = stun else {
                return std::future::pending().await;
            };
            stun::serve(socket, move |address| allowed.includes(address)).await
        };
        let by_ndt7 = async {
            let Some(listener) = ndt7 else {
                return std::future::pending().await;
            };
            let tls = config.tls.clone().map(TlsAcceptor::from);
            ndt7::serve(listener, tls, &config, Arc::clone(&told)).await;
        };
        tokio::select! {
            () = by_iperf3 => Ok(()),
            ended = by_stamp => ended.map(|never| match never {}),
            ended = by_stun => ended.map(|never| match never {}),
            () = by_ndt7 => Ok(()),
        }
    }
}

async fn udp(protocol: &str, address: Option<SocketAddr>) -> Result<Option<UdpSocket>, Failure> {
    let Some(address) = address else {
        return Ok(None);
    };
    let socket = UdpSocket::bind(address).await;
    socket
        .map(Some)
        .map_err(|error| in_the_way(protocol, address, &error))
}

fn rates(report: &iperf3::Report) -> Vec<(Direction, Option<BitRate>)> {
    [Direction::Down, Direction::Up]
        .into_iter()
        .filter_map(|direction| {
            let summary = report.direction(direction)?;
            Some((direction, summary.received.rate))
        })
        .collect()
}

fn in_the_way(protocol: &str, address: SocketAddr, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::PermissionDenied => FailureReason::Permission,
        _ => FailureReason::Interface,
    };
    Failure::new(
        reason,
        format_args!("listening for {protocol} on {address}: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_may_test_and_public_ones_may_not() {
        let allowed = Allowed::private();
        assert_eq!(allowed.networks().len(), 8);
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.9",
            "fd00::1",
            "::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(allowed.includes(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!allowed.includes(address.parse().unwrap()), "{address}");
        }
    }
}
