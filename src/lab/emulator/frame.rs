//! A frame as a packet socket with `PACKET_VNET_HDR` hands it over: what is in it, byte by byte.

/// `virtio_net_hdr`: what the kernel knows about a frame's checksum and segmentation beside its
/// bytes. Layout and values after the Virtual I/O Device specification 1.2, 5.1.6, in the byte
/// order of the machine as the kernel uses it here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct VnetHeader {
    pub(super) flags: u8,
    pub(super) gso_type: u8,
    pub(super) hdr_len: u16,
    pub(super) gso_size: u16,
    pub(super) csum_start: u16,
    pub(super) csum_offset: u16,
}

impl VnetHeader {
    pub(super) const LEN: usize = 10;
    /// The checksum holds the pseudo header's sum only; whoever puts the frame on a wire completes it.
    pub(super) const NEEDS_CSUM: u8 = 1;
    pub(super) const GSO_NONE: u8 = 0;
    pub(super) const GSO_TCPV4: u8 = 1;
    pub(super) const GSO_TCPV6: u8 = 4;
    pub(super) const GSO_UDP_L4: u8 = 5;
    /// Set beside a TCP type where the flow uses ECN.
    pub(super) const GSO_ECN: u8 = 0x80;

    pub(super) fn decode(bytes: [u8; Self::LEN]) -> Self {
        let word = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        Self {
            flags: bytes[0],
            gso_type: bytes[1],
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        }
    }

    pub(super) fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        bytes[2..4].copy_from_slice(&self.hdr_len.to_ne_bytes());
        bytes[4..6].copy_from_slice(&self.gso_size.to_ne_bytes());
        bytes[6..8].copy_from_slice(&self.csum_start.to_ne_bytes());
        bytes[8..10].copy_from_slice(&self.csum_offset.to_ne_bytes());
        bytes
    }
}

/// Bytes of an Ethernet header; the IP header starts here.
pub(super) const L3: usize = 14;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION_OPTIONS: u8 = 60;
const ICMPV6: u8 = 58;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// Version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

/// Where things are in an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ip {
    pub(super) version: Version,
    /// Protocol of the transport header.
    pub(super) protocol: u8,
    /// Where the transport header starts in the frame.
    pub(super) l4: usize,
    /// Where the packet ends in the frame: padding after it is not of the packet.
    pub(super) end: usize,
}

impl Ip {
    /// The IP packet in `frame`; `None` where there is none that can be read to its transport header.
    pub(super) fn read(frame: &[u8]) -> Option<Self> {
        match u16_at(frame, L3 - 2)? {
            ETHERTYPE_IPV4 => Self::read_v4(frame),
            ETHERTYPE_IPV6 => Self::read_v6(frame),
            _ => None,
        }
    }

    fn read_v4(frame: &[u8]) -> Option<Self> {
        let first = *frame.get(L3)?;
        let header = usize::from(first & 0xf) * 4;
        let total = usize::from(u16_at(frame, L3 + 2)?);
        let protocol = *frame.get(L3 + 9)?;
        let valid = first >> 4 == 4 && header >= 20 && total >= header;
        (valid && frame.len() >= L3 + total).then_some(Self {
            version: Version::V4,
            protocol,
            l4: L3 + header,
            end: L3 + total,
        })
    }

    fn read_v6(frame: &[u8]) -> Option<Self> {
        let payload = usize::from(u16_at(frame, L3 + 4)?);
        let end = L3 + 40 + payload;
        if frame.get(L3)? >> 4 != 6 || frame.len() < end {
            return None;
        }
        let (mut protocol, mut l4) = (*frame.get(L3 + 6)?, L3 + 40);
        while matches!(protocol, HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS) {
            protocol = *frame.get(l4)?;
            l4 += 8 * (1 + usize::from(*frame.get(l4 + 1)?));
        }
        (l4 <= end).then_some(Self {
            version: Version::V6,
            protocol,
            l4,
            end,
        })
    }

    /// Bytes of the packet, IP header included.
    pub(super) fn len(self) -> usize {
        self.end - L3
    }
}

/// Whether `frame` keeps the link itself going: non-IP (ARP, spanning tree), IPv6 neighbour
/// discovery (RFC 4861: types 133 to 137) or multicast listener discovery (RFC 2710, RFC 3810:
/// types 130 to 132 and 143).
pub(super) fn is_upkeep(frame: &[u8]) -> bool {
    match u16_at(frame, L3 - 2) {
        Some(ETHERTYPE_IPV4) => false,
        Some(ETHERTYPE_IPV6) => Ip::read(frame).is_some_and(|ip| {
            ip.protocol == ICMPV6 && matches!(frame.get(ip.l4), Some(130..=137 | 143))
        }),
        _ => true,
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend(ethertype.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn icmpv6(kind: u8, hop_by_hop: bool) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 8, ICMPV6, 255];
        packet.extend([0; 32]);
        if hop_by_hop {
            packet[5] = 16;
            packet[6] = HOP_BY_HOP;
            packet.extend([ICMPV6, 0, 5, 2, 0, 0, 1, 0]);
        }
        packet.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
        ethernet(ETHERTYPE_IPV6, &packet)
    }

    #[test]
    fn upkeep_is_told_from_traffic() {
        assert!(is_upkeep(&ethernet(0x0806, &[0; 28])), "ARP");
        assert!(is_upkeep(&icmpv6(135, false)), "neighbour solicitation");
        assert!(is_upkeep(&icmpv6(143, true)), "listener report");
        assert!(!is_upkeep(&icmpv6(128, false)), "echo request");
        assert!(!is_upkeep(&ethernet(ETHERTYPE_IPV4, &[0x45; 20])), "IPv4");
    }

    #[test]
    fn padding_is_not_of_the_packet() {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, UDP, 0, 0];
        packet.extend([0; 8 + 8 + 18]);
        let ip = Ip::read(&ethernet(ETHERTYPE_IPV4, &packet)).unwrap();
        assert_eq!((ip.len(), ip.l4, ip.protocol), (28, L3 + 20, UDP));
    }

    #[test]
    fn a_header_survives_the_way_to_bytes_and_back() {
        let header = VnetHeader {
            flags: 1,
            gso_type: 4,
            hdr_len: 86,
            gso_size: 1428,
            csum_start: 54,
            csum_offset: 16,
        };
        assert_eq!(VnetHeader::decode(header.encode()), header);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, ethertype in 0..3usize) {
            let ethertype = [ETHERTYPE_IPV4, ETHERTYPE_IPV6, 0x0806][ethertype];
            let frame = ethernet(ethertype, &bytes);
            let _ = (is_upkeep(&frame), is_upkeep(&bytes));
            if let Some(ip) = Ip::read(&frame) {
                proptest::prop_assert!(ip.l4 <= ip.end && ip.end <= frame.len());
            }
        }
    }
}
