//! The two kinds of socket that the kernel has for ICMP echo, and how their packets differ.

use std::io;

use messnetz_metric::{Failure, FailureReason};
use socket2::{Domain, Protocol, Socket, Type};

use super::codec::{self, EchoReply, Filter, Version};
use crate::failure::from_io;
use crate::{random, socket};

/// `linux/icmp.h` and `linux/icmpv6.h`; not in the libc crate.
const ICMP_FILTER: libc::c_int = 1;
const ICMP6_FILTER: libc::c_int = 1;

/// What kind of socket it is, and of which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) version: Version,
    /// A raw socket, and not one for datagrams of ICMP (icmp(7)).
    pub(crate) raw: bool,
}

impl Form {
    /// Opens the socket that needs the least rights.
    pub(crate) fn open(version: Version, attempt: &str) -> Result<(Socket, Self), Failure> {
        let (domain, protocol) = match version {
            Version::V4 => (Domain::IPV4, Protocol::ICMPV4),
            Version::V6 => (Domain::IPV6, Protocol::ICMPV6),
        };
        if let Ok(socket) = Socket::new(domain, Type::DGRAM, Some(protocol)) {
            return Ok((
                socket,
                Self {
                    version,
                    raw: false,
                },
            ));
        }
        match Socket::new(domain, Type::RAW, Some(protocol)) {
            Ok(socket) => Ok((socket, Self { version, raw: true })),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Failure::new(
                FailureReason::Permission,
                format_args!(
                    "{attempt}: needs the group in net.ipv4.ping_group_range, or the capability \
                     CAP_NET_RAW: {error}"
                ),
            )),
            Err(error) => Err(from_io(attempt, &error)),
        }
    }

    /// Keeps everything but echo replies out of a raw socket; the other kind gets nothing else.
    pub(crate) fn let_replies_in(self, socket: &Socket) -> io::Result<()> {
        if !self.raw {
            return Ok(());
        }
        match codec::only_replies(self.version) {
            Filter::V4(words) => socket::set_words(socket, libc::SOL_RAW, ICMP_FILTER, words),
            Filter::V6(words) => {
                socket::set_words(socket, libc::IPPROTO_ICMPV6, ICMP6_FILTER, words)
            }
        }
    }

    /// The identifier of the requests of a socket that is bound or connected. For a datagram socket the
    /// kernel writes it: its local "port" (icmp(7)).
    pub(crate) fn identifier(self, socket: &Socket, attempt: &str) -> Result<u16, Failure> {
        if self.raw {
            return Ok(u16::from_be_bytes(random::octets(attempt)?));
        }
        let local = socket
            .local_addr()
            .map_err(|error| from_io(attempt, &error))?;
        Ok(local.as_socket().map_or(0, |address| address.port()))
    }

    /// The echo reply that a received packet is, if it is one. Raw IPv4 packets come with their IP header.
    pub(crate) fn reply(self, bytes: &[u8]) -> Option<EchoReply<'_>> {
        let message = if self.raw && self.version == Version::V4 {
            codec::inside_ipv4(bytes)?
        } else {
            bytes
        };
        codec::reply(self.version, message)
    }
}
