//! Whether the class that packets are marked with (DSCP, RFC 2474) survives the path.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use messnetz_metric::{Failure, FailureReason};
use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};

use super::quote::Quote;
use super::wire::{Wire, attempt};
use crate::Binding;
use crate::failure::from_io;
use crate::icmp::codec::Version;
use crate::socket;

/// The classes that are tried: nothing special, video conferences (AF41, RFC 4594, section 4.3) and
/// telephony (EF, RFC 3246).
pub(super) const CLASSES: [u8; 3] = [0, 34, 46];

/// Room for an error with what it quotes; more is cut off.
const READ: usize = 512;

/// Packets taken from the queue at most: many times what one look along a path brings.
const MOST: usize = 4096;

/// What became of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Marking {
    /// The class that packets were sent with, 0 to 63.
    pub dscp: u8,
    /// With which class they came to each hop that quoted them.
    pub seen: Vec<Seen>,
    /// The first hop that they came to with another class: it was changed there, or on the way there from
    /// the hop before.
    pub changed: Option<Seen>,
}

/// A class that was seen at a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The hop's distance.
    pub hop: u8,
    /// The class, 0 to 63.
    pub dscp: u8,
}

impl Marking {
    /// What became of class `dscp`, which was `seen` in any order.
    pub(super) fn of(dscp: u8, seen: &BTreeMap<u8, u8>) -> Self {
        let seen: Vec<Seen> = seen
            .iter()
            .map(|(&hop, &dscp)| Seen { hop, dscp })
            .collect();
        Self {
            changed: seen.iter().find(|one| one.dscp != dscp).copied(),
            dscp,
            seen,
        }
    }
}

/// A raw socket that hears the ICMP errors that come to this host: the kernel hands no other one the IP
/// header that they quote.
pub(super) struct Listener {
    socket: Socket,
    version: Version,
    target: IpAddr,
}

impl Listener {
    pub(super) fn open(target: IpAddr, binding: &Binding) -> Result<Self, Failure> {
        let attempt = attempt(target);
        let version = Version::of(target);
        let (domain, protocol) = match version {
            Version::V4 => (Domain::IPV4, Protocol::ICMPV4),
            Version::V6 => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = match Socket::new(domain, Type::RAW, Some(protocol)) {
            Ok(socket) => socket,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(Failure::new(
                    FailureReason::Permission,
                    format_args!(
                        "{attempt}: seeing what becomes of DSCP needs the capability CAP_NET_RAW: {error}"
                    ),
                ));
            }
            Err(error) => return Err(from_io(attempt, &error)),
        };
        binding.apply(&socket)?;
        socket
            .set_nonblocking(true)
            .map_err(|error| from_io(&attempt, &error))?;
        Ok(Self {
            socket,
            version,
            target,
        })
    }

    /// With which class the numbered packets of `wire` came to where errors about them were made, of those
    /// errors that have come in since this was last asked.
    pub(super) fn heard(&self, wire: &Wire) -> BTreeMap<u16, u8> {
        let mut heard = BTreeMap::new();
        let mut buffer = [0; READ];
        for _ in 0..MOST {
            let arrival = match socket::receive(self.socket.as_raw_fd(), &mut buffer) {
                Ok(arrival) => arrival,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => continue,
            };
            let bytes = buffer.get(..arrival.length).unwrap_or(&buffer);
            if let Some(quote) = Quote::read(self.version, bytes)
                && quote.destination == self.target
                && let Some(number) = wire.number_of(&quote)
            {
                heard.insert(number, quote.dscp);
            }
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hop_with_another_class_is_where_it_was_changed() {
        let seen = BTreeMap::from([(4, 0), (1, 46), (3, 0)]);
        let changed = Some(Seen { hop: 3, dscp: 0 });
        assert_eq!(Marking::of(46, &seen).changed, changed);
        let kept = BTreeMap::from([(1, 46), (3, 46)]);
        assert_eq!(Marking::of(46, &kept).changed, None);
    }
}
