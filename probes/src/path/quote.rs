//! What ICMP errors quote of the packets that they are about: the IP header as it arrived where the error
//! was made, and the beginning of what follows (RFC 792; RFC 4443, section 3).

use std::net::IpAddr;

use crate::icmp::codec::{self, Version};

/// Bytes of the header of an ICMP error.
const ERROR: usize = 8;

/// Bytes of the smallest IPv4 header, and of the IPv6 header.
const V4: usize = 20;
const V6: usize = 40;

/// A quoted packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote<'a> {
    /// Its class (RFC 2474), 0 to 63.
    pub dscp: u8,
    /// Where it was going.
    pub destination: IpAddr,
    /// The protocol of its data, or what the first header of the data is (IPv6).
    pub protocol: u8,
    /// Its data, as far as quoted.
    pub data: &'a [u8],
}

impl<'a> Quote<'a> {
    /// The packet that is quoted by `bytes`, which a raw ICMP socket has delivered: for IPv4 with the IP
    /// header of the error itself (raw(7)).
    #[must_use]
    pub fn in_ipv4(bytes: &'a [u8]) -> Option<Self> {
        let message = codec::inside_ipv4(bytes)?;
        let is_error = matches!(message.first(), Some(3 | 11));
        let packet = message.get(ERROR..).filter(|_| is_error)?;
        let header = packet.first_chunk::<V4>()?;
        let length = usize::from(header[0] & 0x0f) * 4;
        if header[0] >> 4 != 4 || length < V4 {
            return None;
        }
        let [.., a, b, c, d] = *header;
        Some(Self {
            dscp: header[1] >> 2,
            destination: [a, b, c, d].into(),
            protocol: header[9],
            data: packet.get(length..)?,
        })
    }

    /// The packet that is quoted by `bytes`, which a raw socket for `ICMPv6` has delivered (RFC 3542, section 3).
    #[must_use]
    pub fn in_ipv6(bytes: &'a [u8]) -> Option<Self> {
        let is_error = matches!(bytes.first(), Some(1 | 3));
        let packet = bytes.get(ERROR..).filter(|_| is_error)?;
        let (header, data) = packet.split_first_chunk::<V6>()?;
        let destination: &[u8; 16] = header.last_chunk()?;
        if header[0] >> 4 != 6 {
            return None;
        }
        Some(Self {
            dscp: ((header[0] & 0x0f) << 2) | (header[1] >> 6),
            destination: (*destination).into(),
            protocol: header[6],
            data,
        })
    }

    /// As it comes from a socket of this version.
    pub(super) fn read(version: Version, bytes: &'a [u8]) -> Option<Self> {
        match version {
            Version::V4 => Self::in_ipv4(bytes),
            Version::V6 => Self::in_ipv6(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Time exceeded about a datagram of class EF to 10.3.0.2, with IP options in the header of the error.
    fn expired() -> Vec<u8> {
        let mut bytes = vec![0; 24];
        bytes[0] = 0x46;
        bytes.extend([11, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([0x45, 46 << 2, 0, 60, 0, 0, 0x40, 0, 1, 17, 0, 0]);
        bytes.extend([10, 1, 0, 1, 10, 3, 0, 2]);
        bytes.extend(b"datagram");
        bytes
    }

    #[test]
    fn an_ipv4_error_quotes_the_class_with_which_the_packet_arrived() {
        let bytes = expired();
        let quote = Quote::in_ipv4(&bytes).unwrap();
        assert_eq!((quote.dscp, quote.protocol), (46, 17));
        assert_eq!(quote.destination, IpAddr::from([10, 3, 0, 2]));
        assert_eq!(quote.data, b"datagram");
    }

    #[test]
    fn an_ipv6_error_quotes_it_across_two_bytes() {
        let mut bytes = vec![3, 0, 0, 0, 0, 0, 0, 0];
        // Version 6, traffic class 34 << 2, flow label.
        bytes.extend([0x68, 0x8f, 0xff, 0xff, 0, 12, 58, 1]);
        bytes.extend([0; 31]);
        bytes.extend(*b"\x01echo");
        let quote = Quote::in_ipv6(&bytes).unwrap();
        assert_eq!((quote.dscp, quote.protocol), (34, 58));
        assert_eq!(
            quote.destination,
            IpAddr::from(std::net::Ipv6Addr::LOCALHOST)
        );
        assert_eq!(quote.data, b"echo");
    }

    #[test]
    fn what_is_no_error_or_is_cut_off_quotes_nothing() {
        let bytes = expired();
        assert!((0..24 + 8 + 20).all(|length| Quote::in_ipv4(&bytes[..length]).is_none()));
        let mut reply = bytes;
        reply[24] = 0;
        assert_eq!(Quote::in_ipv4(&reply), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            let _ = (Quote::in_ipv4(&bytes), Quote::in_ipv6(&bytes));
        }
    }
}
