//! Echo requests as bytes, and bytes as echo replies; RFC 792 and RFC 4443, sections 4.1 and 4.2.
//!
//! The layouts and checksums are those of `pnet_packet`. For IPv6 the checksum covers addresses of the IP
//! header, so there the kernel fills it in (RFC 3542, section 3.1); for IPv4 it checks those of
//! received packets on its own.

use std::net::IpAddr;

use pnet::packet::icmp::echo_reply::EchoReplyPacket;
use pnet::packet::icmp::echo_request::{self, EchoRequestPacket, MutableEchoRequestPacket};
use pnet::packet::icmp::{self, IcmpPacket, IcmpTypes};
use pnet::packet::icmpv6::{Icmpv6Types, echo_reply as reply_v6, echo_request as request_v6};
use pnet::packet::ipv4::Ipv4Packet;
use pnet::packet::{Packet, PrimitiveValues};

/// Bytes of an ICMP echo header.
pub(crate) const HEADER: usize = 8;

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

impl Version {
    pub(crate) const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// The part of an echo message that tells whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// Tells one sender from another.
    pub(crate) identifier: u16,
    /// Tells one request from another.
    pub(crate) sequence: u16,
}

/// An echo reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EchoReply<'a> {
    pub(crate) label: Label,
    pub(crate) data: &'a [u8],
}

/// An echo request with `data`.
pub(crate) fn request(version: Version, label: Label, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER + data.len()];
    match version {
        Version::V4 => {
            if let Some(mut packet) = MutableEchoRequestPacket::new(&mut bytes) {
                packet.set_icmp_type(IcmpTypes::EchoRequest);
                packet.set_icmp_code(echo_request::IcmpCodes::NoCode);
                packet.set_identifier(label.identifier);
                packet.set_sequence_number(label.sequence);
                packet.set_payload(data);
                let sum = IcmpPacket::new(packet.packet()).map(|p| icmp::checksum(&p));
                packet.set_checksum(sum.unwrap_or_default());
            }
        }
        Version::V6 => {
            if let Some(mut packet) = request_v6::MutableEchoRequestPacket::new(&mut bytes) {
                packet.set_icmpv6_type(Icmpv6Types::EchoRequest);
                packet.set_identifier(label.identifier);
                packet.set_sequence_number(label.sequence);
                packet.set_payload(data);
            }
        }
    }
    bytes
}

/// The ICMP message inside an IPv4 packet, as raw sockets deliver it (raw(7)); `None` where the header
/// does not fit into `bytes`.
pub(crate) fn inside_ipv4(bytes: &[u8]) -> Option<&[u8]> {
    let words = Ipv4Packet::new(bytes)?.get_header_length();
    bytes.get(usize::from(words.max(5)) * 4..)
}

/// The echo reply that `bytes` are, if they are one.
pub(crate) fn reply(version: Version, bytes: &[u8]) -> Option<EchoReply<'_>> {
    let label = match version {
        Version::V4 => {
            let packet = EchoReplyPacket::new(bytes)?;
            (packet.get_icmp_type() == IcmpTypes::EchoReply).then(|| Label {
                identifier: packet.get_identifier(),
                sequence: packet.get_sequence_number(),
            })
        }
        Version::V6 => {
            let packet = reply_v6::EchoReplyPacket::new(bytes)?;
            (packet.get_icmpv6_type() == Icmpv6Types::EchoReply).then(|| Label {
                identifier: packet.get_identifier(),
                sequence: packet.get_sequence_number(),
            })
        }
    }?;
    Some(EchoReply {
        label,
        data: bytes.get(HEADER..)?,
    })
}

/// Whose request an ICMP error quotes: at least the first eight bytes of it are there (RFC 792).
pub(crate) fn quoted_request(version: Version, bytes: &[u8]) -> Option<Label> {
    match version {
        Version::V4 => {
            let packet = EchoRequestPacket::new(bytes)?;
            (packet.get_icmp_type() == IcmpTypes::EchoRequest).then(|| Label {
                identifier: packet.get_identifier(),
                sequence: packet.get_sequence_number(),
            })
        }
        Version::V6 => {
            let packet = request_v6::EchoRequestPacket::new(bytes)?;
            (packet.get_icmpv6_type() == Icmpv6Types::EchoRequest).then(|| Label {
                identifier: packet.get_identifier(),
                sequence: packet.get_sequence_number(),
            })
        }
    }
}

/// The words of a filter that lets nothing but echo replies through, with the level and the number of
/// its socket option: a set bit keeps that type out (raw(7); RFC 3542, section 3.2).
pub(crate) fn only_replies(version: Version) -> Filter {
    match version {
        Version::V4 => Filter::V4([!(1 << IcmpTypes::EchoReply.to_primitive_values().0)]),
        Version::V6 => {
            let kind = Icmpv6Types::EchoReply.to_primitive_values().0;
            let mut words = [u32::MAX; 8];
            words[usize::from(kind / 32)] &= !(1 << (kind % 32));
            Filter::V6(words)
        }
    }
}

/// A filter as the kernel takes it: one bit per type, 32 types for IPv4, 256 for IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    V4([u32; 1]),
    V6([u32; 8]),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LABEL: Label = Label {
        identifier: 0x1234,
        sequence: 7,
    };

    #[test]
    fn a_request_is_written_as_rfc_792_draws_it() {
        let bytes = request(Version::V4, LABEL, b"abcd");
        // Type 8, code 0, checksum, identifier, sequence number, data.
        assert_eq!(bytes[..2], [8, 0]);
        assert_eq!(bytes[4..], *b"\x12\x34\x00\x07abcd");
        // RFC 1071: the sum over a message with its checksum is all ones.
        let sum: u32 = bytes
            .chunks(2)
            .map(|c| u32::from(u16::from_be_bytes([c[0], c[1]])))
            .sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }

    #[test]
    fn a_request_is_written_as_rfc_4443_draws_it() {
        let bytes = request(Version::V6, LABEL, b"");
        assert_eq!(bytes, [128, 0, 0, 0, 0x12, 0x34, 0, 7]);
    }

    #[test]
    fn a_request_is_not_taken_for_a_reply() {
        for version in [Version::V4, Version::V6] {
            assert_eq!(reply(version, &request(version, LABEL, b"")), None);
        }
    }

    #[test]
    fn options_in_the_ip_header_are_skipped() {
        let mut packet = vec![0; 24];
        packet[0] = 0x46;
        packet.extend(b"icmp");
        assert_eq!(inside_ipv4(&packet), Some(&b"icmp"[..]));
        assert_eq!(inside_ipv4(&packet[..20]), None);
    }

    #[test]
    fn the_filter_lets_only_echo_replies_pass() {
        assert_eq!(only_replies(Version::V4), Filter::V4([0xffff_fffe]));
        let Filter::V6(words) = only_replies(Version::V6) else {
            panic!("an filter for IPv6 has eight words");
        };
        let open: Vec<_> = (0..256_usize)
            .filter(|kind| words[kind / 32] & (1 << (kind % 32)) == 0)
            .collect();
        assert_eq!(open, [129]);
    }

    fn any_version() -> impl Strategy<Value = Version> {
        prop::sample::select(vec![Version::V4, Version::V6])
    }

    proptest! {
        #[test]
        fn a_reply_to_a_request_carries_its_label_and_data(
            version in any_version(), identifier: u16, sequence: u16,
            data in prop::collection::vec(any::<u8>(), 0..64)
        ) {
            let label = Label { identifier, sequence };
            let mut bytes = request(version, label, &data);
            prop_assert_eq!(quoted_request(version, &bytes), Some(label));
            bytes[0] = match version { Version::V4 => 0, Version::V6 => 129 };
            prop_assert_eq!(reply(version, &bytes), Some(EchoReply { label, data: &data }));
        }

        #[test]
        fn no_bytes_make_it_panic(
            version in any_version(),
            bytes in prop::collection::vec(any::<u8>(), 0..128)
        ) {
            let _ = (reply(version, &bytes), quoted_request(version, &bytes));
            if let Some(inner) = inside_ipv4(&bytes) {
                let _ = reply(version, inner);
            }
        }
    }
}
