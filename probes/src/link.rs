//! The measuring interface itself: is it up, what is it made of, how fast does it claim to be.
//!
//! Everything is asked of the kernel for the network namespace of the calling thread: addresses and
//! flags by netlink (getifaddrs(3)), speed and duplex by ethtool, counters and routes from
//! `/proc/thread-self/net`. `/sys` is believed only where it shows the same interface, because it keeps
//! the namespace of whoever mounted it.

mod ethtool;
mod medium;
mod proc_net;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use ipnetwork::IpNetwork;
use messnetz_metric::{BitRate, Failure, FailureReason, Medium, Ppm, Quantity, Reading, Value};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;
use serde::Serialize;

pub use proc_net::{Counters, Route};

use crate::address::{Scope, scope};
use crate::failure::from_io;

/// What [`read`] tells about.
pub const QUANTITIES: &[Quantity] = &[Quantity::LinkSpeed];

/// Whether packets can pass (netdevice(7); RFC 2863, section 3.1.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Switched on, and the other end is there; or the driver cannot tell, as for loopback.
    Up,
    /// Switched on, but without a carrier or not yet admitted to the network.
    Down,
    /// Switched off by its administrator.
    Disabled,
}

/// Whether both ends may send at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplex {
    /// One at a time: on a switched network the sign of a failed negotiation.
    Half,
    /// Both.
    Full,
}

/// An interface as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkState {
    /// Its name.
    pub name: String,
    /// Its number in this network namespace.
    pub index: u32,
    /// Whether packets can pass.
    pub operation: Operation,
    /// What it is made of.
    pub medium: Medium,
    /// Nominal rate; `None` where the driver states none.
    pub speed: Option<BitRate>,
    /// `None` where the driver does not say.
    pub duplex: Option<Duplex>,
    /// The largest rate that the interface itself can have; `None` where the driver does not say.
    pub own_speed: Option<BitRate>,
    /// The largest rate that the other end of the cable offers; `None` where it is not known.
    pub peer_speed: Option<BitRate>,
    /// Largest IP packet, in bytes.
    pub mtu: u32,
    /// What it has carried since it was made.
    pub counters: Counters,
    /// Its IP addresses.
    pub addresses: Vec<IpAddr>,
}

impl LinkState {
    /// One reading for each of [`QUANTITIES`], a failed one where the link is down or its driver states
    /// no rate; and of what both ends can do, and whether they may send at once, as far as it is known.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        if self.operation == Operation::Up
            && let Some(speed) = self.speed
        {
            let rate = |quantity, rate| Some(Reading::value(quantity, Value::Rate(rate?)));
            let half_duplex = self.duplex.map(|duplex| match duplex {
                Duplex::Half => Ppm::from_ppm(1_000_000),
                Duplex::Full => Ppm::from_ppm(0),
            });
            return [
                rate(Quantity::LinkSpeed, Some(speed)),
                rate(Quantity::OwnSpeed, self.own_speed),
                rate(Quantity::PeerSpeed, self.peer_speed),
                half_duplex.map(|share| Reading::value(Quantity::HalfDuplex, Value::Share(share))),
            ]
            .into_iter()
            .flatten()
            .collect();
        }
        let why = match self.operation {
            Operation::Up => "its driver states no rate",
            Operation::Down => "it has no carrier",
            Operation::Disabled => "it is switched off",
        };
        let detail = format_args!("interface {}: {why}", self.name);
        Reading::failed(QUANTITIES, &Failure::new(FailureReason::Interface, detail))
    }
}

/// The default routes of both protocols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultRoute {
    /// Of IPv4; `None` where there is none.
    pub v4: Option<Route>,
    /// Of IPv6; `None` where there is none.
    pub v6: Option<Route>,
}

/// The interface `name` as it is now.
///
/// # Errors
/// [`FailureReason::Interface`] where there is none of that name.
pub fn read(name: &str) -> Result<LinkState, Failure> {
    let attempt = format!("reading interface {name}");
    let failed = |error: io::Error| match error.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => {
            Failure::new(FailureReason::Interface, format_args!("{attempt}: {error}"))
        }
        _ => from_io(&attempt, &error),
    };
    let index = if_nametoindex(name).map_err(|e| failed(e.into()))?;
    let mut flags = InterfaceFlags::empty();
    let (mut hardware, mut addresses) = (None, Vec::new());
    for entry in getifaddrs().map_err(|e| failed(e.into()))? {
        if entry.interface_name != name {
            continue;
        }
        flags = entry.flags;
        let Some(address) = entry.address else {
            continue;
        };
        if let Some(link) = address.as_link_addr() {
            hardware = Some(medium::Hardware::new(link.hatype(), link.addr()));
        } else if let Some(v4) = address.as_sockaddr_in() {
            addresses.push(IpAddr::V4(v4.ip()));
        } else if let Some(v6) = address.as_sockaddr_in6() {
            addresses.push(IpAddr::V6(v6.ip()));
        }
    }
    let settings = ethtool::link_settings(name).map_err(failed)?;
    let counters = proc_net::read("dev").map_err(failed)?;
    Ok(LinkState {
        name: name.to_owned(),
        index,
        operation: operation(flags),
        medium: medium::of(name, index, hardware),
        speed: settings.speed,
        duplex: settings.duplex,
        own_speed: settings.own,
        peer_speed: settings.peer,
        mtu: ethtool::mtu(name).map_err(failed)?,
        counters: proc_net::counters(&counters, name).unwrap_or_default(),
        addresses,
    })
}

/// What the interface `name` has carried since it was made.
///
/// # Errors
/// [`FailureReason::Interface`] where there is none of that name.
pub fn counters(name: &str) -> Result<Counters, Failure> {
    let attempt = format!("reading the counters of interface {name}");
    let dev = proc_net::read("dev").map_err(|error| from_io(&attempt, &error))?;
    proc_net::counters(&dev, name).ok_or_else(|| {
        let detail = format_args!("{attempt}: there is none of that name");
        Failure::new(FailureReason::Interface, detail)
    })
}

/// The names of all interfaces, in the order of their numbers.
///
/// # Errors
/// Where the kernel does not tell.
pub fn interfaces() -> Result<Vec<String>, Failure> {
    let failed = |error: nix::Error| from_io("listing the interfaces", &error.into());
    let mut names = BTreeMap::new();
    for entry in getifaddrs().map_err(failed)? {
        if let Ok(index) = if_nametoindex(entry.interface_name.as_str()) {
            names.insert(index, entry.interface_name);
        }
    }
    Ok(names.into_values().collect())
}

/// The networks that this machine has an address in, without loopback, tunnels and what holds on one link only.
///
/// # Errors
/// Where the kernel does not tell.
pub fn networks() -> Result<Vec<IpNetwork>, Failure> {
    let failed = |error: nix::Error| from_io("listing the networks", &error.into());
    let apart = InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_POINTOPOINT;
    let ip = |storage: SockaddrStorage| {
        let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or(storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    let entries = getifaddrs().map_err(failed)?;
    let of_networks = entries.filter(|entry| !entry.flags.intersects(apart));
    let networks = of_networks.filter_map(|entry| {
        let (address, mask) = (ip(entry.address?)?, ip(entry.netmask?)?);
        let network = IpNetwork::with_netmask(address, mask).ok()?;
        (scope(address) != Scope::Link).then_some(network)
    });
    Ok(networks.collect())
}

/// Where packets go that no other route knows.
///
/// # Errors
/// Where the routing tables cannot be read.
pub fn default_route() -> Result<DefaultRoute, Failure> {
    let failed = |error: io::Error| from_io("reading the routing tables", &error);
    // A kernel without one of the protocols has no table for it.
    let table = |name| match proc_net::read(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other,
    };
    Ok(DefaultRoute {
        v4: proc_net::default_route_v4(&table("route").map_err(failed)?),
        v6: proc_net::default_route_v6(&table("ipv6_route").map_err(failed)?),
    })
}

/// The interface through which packets to `address` leave; `None` where there is no way to it. Nothing is sent.
#[must_use]
pub fn towards(address: SocketAddr) -> Option<String> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Connecting a UDP socket chooses the route and with it the own address (udp(7)).
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(address).ok()?;
    let own = socket.local_addr().ok()?.ip();
    let mut entries = getifaddrs().ok()?;
    let holds = |storage: SockaddrStorage| {
        let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let v6 = storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
        v4.or(v6) == Some(own)
    };
    entries
        .find(|entry| entry.address.is_some_and(holds))
        .map(|entry| entry.interface_name)
}

fn operation(flags: InterfaceFlags) -> Operation {
    if !flags.contains(InterfaceFlags::IFF_UP) {
        Operation::Disabled
    } else if flags.contains(InterfaceFlags::IFF_RUNNING) {
        Operation::Up
    } else {
        Operation::Down
    }
}

#[cfg(test)]
mod tests;
