//! The socket that a path is asked through.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::SystemTime;

use messnetz_metric::Failure;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::quote::Quote;
use super::{Method, PathProbe, Refusal, Says};
use crate::failure::from_io;
use crate::icmp::codec::{self, Label, Version};
use crate::icmp::form::Form;
use crate::socket::{self, Arrival, Notice, Origin, Report};

/// The port that traceroute has always begun with.
const PORT: u16 = 33434;

/// Bytes of the header of UDP, and of an echo request.
const TRANSPORT: usize = 8;

/// What is read of a packet that comes in: the number stands in front.
const READ: usize = 512;

/// Packets taken from one queue before the clock is looked at again.
const PACKETS_PER_TURN: usize = 128;

/// Something that came in about a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// Which packet, where that is told.
    pub(super) number: Option<u16>,
    pub(super) from: IpAddr,
    pub(super) says: Says,
    /// The size that would fit, where it was too big and that was told.
    pub(super) mtu: u32,
    pub(super) stamp: Option<SystemTime>,
}

/// An open socket of one flow.
pub(super) struct Wire {
    socket: AsyncFd<Socket>,
    attempt: String,
    target: IpAddr,
    kind: Kind,
}

enum Kind {
    /// From this port.
    Udp(u16),
    Echo {
        form: Form,
        identifier: u16,
    },
}

impl Wire {
    pub(super) fn open(probe: &PathProbe) -> Result<Self, Failure> {
        let target = probe.target;
        let attempt = attempt(target);
        let (socket, form) = match probe.method {
            Method::Udp => {
                let domain = match target {
                    IpAddr::V4(_) => Domain::IPV4,
                    IpAddr::V6(_) => Domain::IPV6,
                };
                let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP));
                (socket.map_err(|error| from_io(&attempt, &error))?, None)
            }
            Method::Icmp => {
                let (socket, form) = Form::open(Version::of(target), &attempt)?;
                (socket, Some(form))
            }
        };
        probe.binding.apply(&socket)?;
        let configure = || -> io::Result<()> {
            socket.set_nonblocking(true)?;
            socket::stamp_arrival(&socket)?;
            socket::receive_errors(&socket, &target)?;
            socket::never_fragment(&socket, &target)?;
            if let Some(form) = form {
                form.let_replies_in(&socket)?;
            }
            // Connected, the socket has one port throughout, and gets what is about this target only.
            let port = if form.is_some() { 0 } else { PORT };
            socket.connect(&SocketAddr::new(target, port).into())
        };
        configure().map_err(|error| from_io(&attempt, &error))?;
        let kind = match form {
            None => {
                let local = socket.local_addr();
                let local = local.map_err(|error| from_io(&attempt, &error))?;
                Kind::Udp(local.as_socket().map_or(0, |address| address.port()))
            }
            Some(form) => Kind::Echo {
                form,
                identifier: form.identifier(&socket, &attempt)?,
            },
        };
        let socket = socket::watch(socket).map_err(|error| from_io(&attempt, &error))?;
        Ok(Self {
            socket,
            attempt,
            target,
            kind,
        })
    }

    /// What is being done, for error messages.
    pub(super) fn attempt(&self) -> &str {
        &self.attempt
    }

    /// Sends packet `number`, which is `size` bytes long with its IP header, for `ttl` hops.
    pub(super) fn send(&self, number: u16, ttl: u8, size: usize) -> io::Result<()> {
        let socket = self.socket.get_ref();
        let header = match self.target {
            IpAddr::V4(_) => {
                socket.set_ttl_v4(ttl.into())?;
                20
            }
            IpAddr::V6(_) => {
                socket.set_unicast_hops_v6(ttl.into())?;
                40
            }
        };
        let length = size.saturating_sub(header + TRANSPORT);
        match self.kind {
            Kind::Udp(_) => socket.send(&datagram(number, length))?,
            Kind::Echo { form, identifier } => {
                let label = Label {
                    identifier,
                    sequence: number,
                };
                let data = echo_data(number, length);
                socket.send(&codec::request(form.version, label, &data))?
            }
        };
        Ok(())
    }

    /// Waits until something has come in, and hands it over.
    pub(super) async fn receive(&self, mut each: impl FnMut(Event)) -> Result<(), Failure> {
        let interest = Interest::READABLE | Interest::ERROR;
        let ready = self.socket.ready(interest).await;
        let mut ready = ready.map_err(|error| from_io(&self.attempt, &error))?;
        if self.take(&mut each) {
            ready.clear_ready();
        }
        Ok(())
    }

    /// Hands over what has come in; whether that was all.
    pub(super) fn take(&self, each: &mut impl FnMut(Event)) -> bool {
        let descriptor = self.socket.get_ref().as_raw_fd();
        let mut buffer = [0; READ];
        let (mut no_notices, mut no_packets) = (false, false);
        for _ in 0..PACKETS_PER_TURN {
            match socket::receive_notice(descriptor, &mut buffer) {
                Ok(Notice::Reported { length, report }) => {
                    let quoted = buffer.get(..length).unwrap_or(&buffer);
                    if let Some(event) = self.reported(quoted, &report) {
                        each(event);
                    }
                }
                Ok(_) => {}
                Err(_) => {
                    no_notices = true;
                    break;
                }
            }
        }
        for _ in 0..PACKETS_PER_TURN {
            match socket::receive(descriptor, &mut buffer) {
                Ok(arrival) => {
                    let bytes = buffer.get(..arrival.length).unwrap_or(&buffer);
                    if let Some(event) = self.replied(bytes, &arrival) {
                        each(event);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    no_packets = true;
                    break;
                }
                // What the error queue has told already.
                Err(_) => {}
            }
        }
        no_notices && no_packets
    }

    /// The MTU of the interface, which this host tells when a packet is too big for it.
    pub(super) fn interface_mtu(&self) -> Option<u32> {
        let mut told = None;
        while let Ok(notice) =
            socket::receive_notice(self.socket.get_ref().as_raw_fd(), &mut [0; 8])
        {
            if let Notice::Reported { report, .. } = notice
                && report.origin == Origin::Local
            {
                told = Some(report.mtu);
            }
        }
        told
    }

    /// Marks packets with a class from now on (RFC 2474).
    pub(super) fn mark(&self, dscp: u8) -> io::Result<()> {
        let class = u32::from(dscp) << 2;
        match self.target {
            IpAddr::V4(_) => self.socket.get_ref().set_tos_v4(class),
            IpAddr::V6(_) => self.socket.get_ref().set_tclass_v6(class),
        }
    }

    /// The number of a quoted packet, if it is ours and tells it.
    pub(super) fn number_of(&self, quote: &Quote<'_>) -> Option<u16> {
        match self.kind {
            Kind::Udp(port) => {
                let (header, data) = quote.data.split_first_chunk::<TRANSPORT>()?;
                let ours = i32::from(quote.protocol) == libc::IPPROTO_UDP
                    && header.starts_with(&port.to_be_bytes());
                marked(data).filter(|_| ours)
            }
            Kind::Echo { form, identifier } => {
                let label = codec::quoted_request(form.version, quote.data)?;
                (label.identifier == identifier).then_some(label.sequence)
            }
        }
    }

    fn reported(&self, quoted: &[u8], report: &Report) -> Option<Event> {
        let number = match self.kind {
            Kind::Udp(_) => marked(quoted),
            Kind::Echo { form, identifier } => {
                let label = codec::quoted_request(form.version, quoted)?;
                if label.identifier != identifier {
                    return None;
                }
                Some(label.sequence)
            }
        };
        Some(Event {
            number,
            from: report.from?,
            says: meaning(report)?,
            mtu: report.mtu,
            stamp: report.at,
        })
    }

    /// What a packet says that the target has sent in answer to one of ours.
    fn replied(&self, bytes: &[u8], arrival: &Arrival) -> Option<Event> {
        let number = match self.kind {
            Kind::Udp(_) => marked(bytes),
            Kind::Echo { form, identifier } => {
                let label = form.reply(bytes)?.label;
                Some((label.identifier == identifier).then_some(label.sequence)?)
            }
        };
        (arrival.source?.ip() == self.target).then_some(Event {
            number,
            from: self.target,
            says: Says::Reached,
            mtu: 0,
            stamp: arrival.stamp,
        })
    }
}

/// What is being done, for error messages.
pub(super) fn attempt(target: IpAddr) -> String {
    format!("path to {target}")
}

/// The data of datagram `number`: the number, after its complement, by which it is known for one.
fn datagram(number: u16, length: usize) -> Vec<u8> {
    in_front(&[!number, number], length)
}

/// The data of echo request `number`: the complement of its sequence number, so that the checksum is
/// the same for all (RFC 1071: a word and its complement add nothing).
fn echo_data(number: u16, length: usize) -> Vec<u8> {
    in_front(&[!number], length)
}

/// Writes numbers in front: as many as fit.
fn in_front(numbers: &[u16], length: usize) -> Vec<u8> {
    let mut data: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
    data.resize(length, 0);
    data
}

/// The number that quoted data begin with, if they do: some routers quote only eight bytes of a packet,
/// and some pad that with zeros.
fn marked(data: &[u8]) -> Option<u16> {
    let (complement, rest) = data.split_first_chunk()?;
    let (number, _) = rest.split_first_chunk()?;
    let number = u16::from_be_bytes(*number);
    (!u16::from_be_bytes(*complement) == number).then_some(number)
}

/// What an ICMP error says of the packet that it is about (RFC 792; RFC 1812, section 5.2.7.1; RFC 4443,
/// section 3); `None` where it says nothing about the path.
fn meaning(report: &Report) -> Option<Says> {
    let refusal = match (report.origin, report.kind, report.code) {
        (Origin::Icmp, 11, 0) | (Origin::Icmpv6, 3, 0) => return Some(Says::Expired),
        (Origin::Icmp, 3, 3) | (Origin::Icmpv6, 1, 4) => return Some(Says::Reached),
        (Origin::Icmp, 3, 0 | 6 | 11) | (Origin::Icmpv6, 1, 0) => Refusal::Network,
        (Origin::Icmp, 3, 1 | 7 | 12) | (Origin::Icmpv6, 1, 2 | 3) => Refusal::Host,
        (Origin::Icmp, 3, 2) => Refusal::Protocol,
        (Origin::Icmp, 3, 9 | 10 | 13) | (Origin::Icmpv6, 1, 1 | 5 | 6) => Refusal::Prohibited,
        (Origin::Icmp, 3, 4) | (Origin::Icmpv6, 2, _) => Refusal::TooBig,
        (Origin::Icmp, 3, code) | (Origin::Icmpv6, 1, code) => Refusal::Other(code),
        _ => return None,
    };
    Some(Says::Refused(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_quoted_of_a_datagram_tells_its_number_and_padding_tells_none() {
        let data = datagram(7, 32);
        assert_eq!(data.len(), 32);
        assert_eq!(marked(&data), Some(7));
        assert_eq!(marked(&data[..4]), Some(7));
        assert_eq!(marked(&data[..3]), None);
        assert_eq!(marked(&[0; 32]), None);
    }

    #[test]
    fn no_number_changes_the_checksum_of_an_echo_request() {
        let sum = |number| {
            let label = Label {
                identifier: 99,
                sequence: number,
            };
            let packet = codec::request(Version::V4, label, &echo_data(number, 32));
            [packet[2], packet[3]]
        };
        assert!((1..300).all(|number| sum(number) == sum(0)));
    }

    #[test]
    fn only_the_end_of_a_path_is_told_as_its_end() {
        let says = |origin, kind, code| {
            meaning(&Report {
                origin,
                kind,
                code,
                mtu: 0,
                from: None,
                at: None,
            })
        };
        assert_eq!(says(Origin::Icmp, 11, 0), Some(Says::Expired));
        assert_eq!(says(Origin::Icmp, 3, 3), Some(Says::Reached));
        assert_eq!(says(Origin::Icmpv6, 3, 0), Some(Says::Expired));
        assert_eq!(says(Origin::Icmpv6, 1, 4), Some(Says::Reached));
        let prohibited = Some(Says::Refused(Refusal::Prohibited));
        assert_eq!(says(Origin::Icmp, 3, 13), prohibited);
        assert_eq!(says(Origin::Icmpv6, 1, 1), prohibited);
        // Of reassembly; a redirect.
        assert_eq!(says(Origin::Icmp, 11, 1), None);
        assert_eq!(says(Origin::Icmp, 5, 1), None);
        assert_eq!(says(Origin::Local, 3, 3), None);
    }

    proptest! {
        #[test]
        fn no_quoted_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..16)) {
            let _ = marked(&bytes);
        }
    }
}
