//! Aggregates split into the packets they stand for, and put together again.

use proptest::prelude::*;

use super::*;

const ETHERNET_IPV4: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
const ETHERNET_IPV6: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];

/// What an aggregate is built from.
#[derive(Clone, Debug)]
struct Recipe {
    version: Version,
    transport: Transport,
    /// Options of the TCP header in 4-byte words.
    options: usize,
    flags: u8,
    sequence: u32,
    id: u16,
    segment: usize,
    payload: Vec<u8>,
}

impl Recipe {
    fn build(&self) -> (VnetHeader, Vec<u8>) {
        let transport = match self.transport {
            Transport::Tcp => self.tcp(),
            Transport::Udp => {
                let len = (8 + self.payload.len()) as u16;
                [&[0x13, 0x88, 0x13, 0x89][..], &len.to_be_bytes(), &[0, 0]].concat()
            }
        };
        let len = transport.len() + self.payload.len();
        let mut frame = match self.version {
            Version::V4 => self.ipv4(len),
            Version::V6 => self.ipv6(len),
        };
        let l4 = frame.len();
        frame.extend(&transport);
        let hdr_len = frame.len() as u16;
        frame.extend(&self.payload);
        let gso_type = match (self.transport, self.version) {
            (Transport::Udp, _) => VnetHeader::GSO_UDP_L4,
            (Transport::Tcp, Version::V4) => VnetHeader::GSO_TCPV4,
            (Transport::Tcp, Version::V6) => VnetHeader::GSO_TCPV6,
        };
        let header = VnetHeader {
            flags: VnetHeader::NEEDS_CSUM,
            gso_type,
            hdr_len,
            gso_size: self.segment as u16,
            csum_start: l4 as u16,
            csum_offset: self.transport.checksum(),
        };
        (header, frame)
    }

    fn tcp(&self) -> Vec<u8> {
        let mut tcp = vec![0x13, 0x88, 0x13, 0x89];
        tcp.extend(self.sequence.to_be_bytes());
        tcp.extend([
            0,
            0,
            0,
            7,
            ((5 + self.options) << 4) as u8,
            self.flags,
            1,
            0,
            0,
            0,
            0,
            0,
        ]);
        tcp.extend(vec![1; 4 * self.options]);
        tcp
    }

    fn ipv4(&self, len: usize) -> Vec<u8> {
        let mut frame = ETHERNET_IPV4.to_vec();
        frame.extend([0x45, 0]);
        frame.extend(((20 + len) as u16).to_be_bytes());
        frame.extend(self.id.to_be_bytes());
        frame.extend([0x40, 0, 64, self.transport.protocol(), 0, 0]);
        frame.extend([10, 1, 0, 10, 10, 0, 0, 2]);
        frame
    }

    fn ipv6(&self, len: usize) -> Vec<u8> {
        let mut frame = ETHERNET_IPV6.to_vec();
        frame.extend([0x60, 0, 0, 0]);
        frame.extend((len as u16).to_be_bytes());
        frame.extend([self.transport.protocol(), 64]);
        frame.extend((0..32).map(|n| 0xa0 + n));
        frame
    }
}

fn recipe() -> impl Strategy<Value = Recipe> {
    (
        any::<(bool, bool, u8, u32, u16)>(),
        0..=10usize,
        1..1500usize,
        prop::collection::vec(any::<u8>(), 2..20_000),
    )
        .prop_filter_map(
            "one packet is no aggregate",
            |(any, options, segment, payload)| {
                let (v6, udp, flags, sequence, id) = any;
                (payload.len() > segment).then_some(Recipe {
                    version: if v6 { Version::V6 } else { Version::V4 },
                    transport: if udp { Transport::Udp } else { Transport::Tcp },
                    options,
                    flags,
                    sequence,
                    id,
                    segment,
                    payload,
                })
            },
        )
}

/// What a receiver reads out of one packet; checks on the way what a receiver would.
#[derive(Debug)]
struct Packet {
    id: Option<u16>,
    sequence: Option<u32>,
    flags: u8,
    payload: Vec<u8>,
}

fn receive(header: VnetHeader, frame: &[u8]) -> Packet {
    let ip = Ip::read(frame).expect("an IP packet");
    assert_eq!(ip.end, frame.len(), "the IP length covers the frame");
    assert_eq!(header.flags, VnetHeader::NEEDS_CSUM);
    if ip.version == Version::V4 {
        assert_eq!(
            fold(sum_words(&frame[L3..ip.l4])),
            0xffff,
            "IPv4 header checksum"
        );
    }
    let start = usize::from(header.csum_start);
    let addresses = match ip.version {
        Version::V4 => &frame[L3 + 12..L3 + 20],
        Version::V6 => &frame[L3 + 8..L3 + 40],
    };
    let pseudo = sum_words(addresses) + u64::from(ip.protocol) + (frame.len() - start) as u64;
    // What a device does with NEEDS_CSUM, then what a receiver verifies.
    let mut wire = frame.to_vec();
    let checksum = !fold(sum_words(&wire[start..]));
    set_u16(&mut wire, start + usize::from(header.csum_offset), checksum);
    assert_eq!(
        fold(pseudo + sum_words(&wire[start..])),
        0xffff,
        "transport checksum"
    );

    let id = (ip.version == Version::V4).then(|| u16_at(frame, L3 + 4).unwrap());
    let l4 = &frame[ip.l4..];
    if ip.protocol == UDP {
        assert_eq!(usize::from(u16_at(l4, 4).unwrap()), l4.len(), "UDP length");
        return Packet {
            id,
            sequence: None,
            flags: 0,
            payload: l4[8..].to_vec(),
        };
    }
    Packet {
        id,
        sequence: Some(u32::from_be_bytes([l4[4], l4[5], l4[6], l4[7]])),
        flags: l4[TCP_FLAGS],
        payload: l4[usize::from(l4[12] >> 4) * 4..].to_vec(),
    }
}

proptest! {
    /// Packet by packet nothing is missing, doubled or out of place.
    #[test]
    fn the_packets_of_an_aggregate_are_the_aggregate(recipe in recipe()) {
        let (header, frame) = recipe.build();
        let aggregate = Aggregate::read(header, &frame).unwrap();
        let n = aggregate.len();
        prop_assert_eq!(n, recipe.payload.len().div_ceil(recipe.segment));
        let mut payload = Vec::new();
        for index in 0..n {
            let (header, bytes) = aggregate.run(index..index + 1);
            prop_assert_eq!(header.gso_type, VnetHeader::GSO_NONE);
            prop_assert_eq!(aggregate.packet_len(index), bytes.len() - L3);
            let packet = receive(header, &bytes);
            if let Some(id) = packet.id {
                prop_assert_eq!(id, recipe.id.wrapping_add(index as u16));
            }
            if let Some(sequence) = packet.sequence {
                prop_assert_eq!(sequence, recipe.sequence.wrapping_add(payload.len() as u32));
                let mut flags = recipe.flags;
                if index + 1 < n { flags &= !(TCP_FIN | TCP_PSH); }
                if index > 0 { flags &= !TCP_CWR; }
                prop_assert_eq!(packet.flags, flags);
            }
            payload.extend(packet.payload);
        }
        prop_assert_eq!(payload, recipe.payload);
    }

    /// A run put together again is split into the same packets as the aggregate it was cut from.
    #[test]
    fn a_run_stands_for_the_packets_it_was_made_of(recipe in recipe(), cut: [prop::sample::Index; 2]) {
        let (header, frame) = recipe.build();
        let aggregate = Aggregate::read(header, &frame).unwrap();
        let start = cut[0].index(aggregate.len() - 1);
        let end = start + 2 + cut[1].index(aggregate.len() - start - 1);
        let (run_header, bytes) = aggregate.run(start..end);
        receive(run_header, &bytes);
        let run = Aggregate::read(run_header, &bytes).unwrap();
        prop_assert_eq!(run.len(), end - start);
        for index in 0..run.len() {
            prop_assert_eq!(run.run(index..index + 1), aggregate.run(start + index..start + index + 1));
        }
    }

    #[test]
    fn no_bytes_make_the_splitter_panic(
        recipe in recipe(),
        header: [u8; VnetHeader::LEN],
        cut: prop::sample::Index,
        spoilt: (prop::sample::Index, u8),
    ) {
        let (good_header, mut frame) = recipe.build();
        frame.truncate(cut.index(frame.len()) + 1);
        let at = spoilt.0.index(frame.len().min(80));
        frame[at] = spoilt.1;
        for header in [good_header, VnetHeader::decode(header)] {
            if let Some(aggregate) = Aggregate::read(header, &frame) {
                for index in 0..aggregate.len() {
                    let _ = aggregate.run(index..index + 1);
                }
            }
        }
    }
}

#[test]
fn one_packet_is_no_aggregate() {
    let recipe = Recipe {
        version: Version::V4,
        transport: Transport::Tcp,
        options: 3,
        flags: 0x18,
        sequence: 1,
        id: 1,
        segment: 1448,
        payload: vec![0; 1448],
    };
    let (header, frame) = recipe.build();
    assert!(Aggregate::read(header, &frame).is_none());
}

#[test]
fn an_aggregate_of_ecn_stays_one() {
    let recipe = Recipe {
        version: Version::V6,
        transport: Transport::Tcp,
        options: 3,
        flags: TCP_CWR | 0x10,
        sequence: u32::MAX - 100,
        id: 0,
        segment: 1000,
        payload: vec![0; 3500],
    };
    let (mut header, frame) = recipe.build();
    header.gso_type |= VnetHeader::GSO_ECN;
    let aggregate = Aggregate::read(header, &frame).unwrap();
    assert_eq!(
        aggregate.run(1..3).0.gso_type,
        VnetHeader::GSO_TCPV6 | VnetHeader::GSO_ECN
    );
}
