//! An aggregate of segmentation offload as the packets that it stands for, and runs of those
//! packets as aggregates again.
//!
//! A sender with offload hands over up to 64 KB of one flow under one header and leaves the cutting
//! to the last device, which in a lab of veth pairs never comes. A line that drops must cut first,
//! or one throw would take 45 packets. What survives is put together again where it was together
//! before, so that the receiving host works as little as the sending one did.

use std::ops::Range;

use super::frame::{Ip, L3, TCP, UDP, Version, VnetHeader, u16_at};

const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;
/// Where the flags are in a TCP header.
const TCP_FLAGS: usize = 13;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    fn protocol(self) -> u8 {
        match self {
            Self::Tcp => TCP,
            Self::Udp => UDP,
        }
    }

    /// Where the checksum is in the transport header.
    fn checksum(self) -> u16 {
        match self {
            Self::Tcp => 16,
            Self::Udp => 6,
        }
    }
}

/// Several packets of one flow under one header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aggregate<'a> {
    header: VnetHeader,
    frame: &'a [u8],
    ip: Ip,
    transport: Transport,
    /// Where the payload starts in the frame.
    payload: usize,
    /// Payload bytes of each packet but the last, which may have fewer.
    segment: usize,
}

impl<'a> Aggregate<'a> {
    /// The aggregate in `frame`; `None` where it is one packet, or cannot be read as more than one.
    pub(super) fn read(header: VnetHeader, frame: &'a [u8]) -> Option<Self> {
        let transport = match header.gso_type & !VnetHeader::GSO_ECN {
            VnetHeader::GSO_TCPV4 | VnetHeader::GSO_TCPV6 => Transport::Tcp,
            VnetHeader::GSO_UDP_L4 => Transport::Udp,
            _ => return None,
        };
        let ip = Ip::read(frame)?;
        if ip.protocol != transport.protocol() {
            return None;
        }
        let transport_header = match transport {
            Transport::Tcp => usize::from(*frame.get(ip.l4 + 12)? >> 4) * 4,
            Transport::Udp => 8,
        };
        let least = if transport == Transport::Tcp { 20 } else { 8 };
        let payload = ip.l4 + transport_header;
        let segment = usize::from(header.gso_size);
        let valid = transport_header >= least && segment > 0 && payload + segment < ip.end;
        valid.then_some(Self {
            header,
            frame,
            ip,
            transport,
            payload,
            segment,
        })
    }

    /// How many packets it stands for.
    pub(super) fn len(&self) -> usize {
        (self.ip.end - self.payload).div_ceil(self.segment)
    }

    /// Bytes of the packet at `index`, IP header included.
    pub(super) fn packet_len(&self, index: usize) -> usize {
        self.payload - L3 + self.payload_of(index..index + 1).len()
    }

    /// The packets of `run` as one frame: an aggregate, or a plain packet where it is one.
    ///
    /// As the kernel's own segmentation does it: identification (IPv4) and sequence number go on
    /// from packet to packet, FIN and PSH stay with the last packet of the aggregate and CWR with
    /// the first (RFC 3168, 6.1.2 wants it answered once). Checksums of the transport stay partial:
    /// the sum of the pseudo header, for the length of the run.
    pub(super) fn run(&self, run: Range<usize>) -> (VnetHeader, Vec<u8>) {
        let payload = self.payload_of(run.clone());
        let mut frame = Vec::with_capacity(self.payload + payload.len());
        frame.extend_from_slice(&self.frame[..self.payload]);
        frame.extend_from_slice(&self.frame[payload]);
        if let Transport::Tcp = self.transport {
            self.set_tcp(&mut frame, &run);
        } else {
            let len = frame.len() - self.ip.l4;
            set_u16(&mut frame, self.ip.l4 + 4, len as u16);
        }
        self.set_ip(&mut frame, run.start);
        let sum = self.pseudo_header_sum(&frame);
        let checksum = self.ip.l4 + usize::from(self.transport.checksum());
        set_u16(&mut frame, checksum, sum);
        (self.run_header(run.len()), frame)
    }

    fn payload_of(&self, run: Range<usize>) -> Range<usize> {
        let at = |index: usize| (self.payload + index * self.segment).min(self.ip.end);
        at(run.start)..at(run.end)
    }

    fn set_tcp(&self, frame: &mut [u8], run: &Range<usize>) {
        let tcp = &mut frame[self.ip.l4..];
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let skipped = (run.start * self.segment) as u32;
        tcp[4..8].copy_from_slice(&sequence.wrapping_add(skipped).to_be_bytes());
        if run.end < self.len() {
            tcp[TCP_FLAGS] &= !(TCP_FIN | TCP_PSH);
        }
        if run.start > 0 {
            tcp[TCP_FLAGS] &= !TCP_CWR;
        }
    }

    fn set_ip(&self, frame: &mut [u8], first: usize) {
        match self.ip.version {
            Version::V4 => {
                let total = frame.len() - L3;
                set_u16(frame, L3 + 2, total as u16);
                let id = u16_at(frame, L3 + 4).unwrap_or_default();
                set_u16(frame, L3 + 4, id.wrapping_add(first as u16));
                set_u16(frame, L3 + 10, 0);
                let sum = !fold(sum_words(&frame[L3..self.ip.l4]));
                set_u16(frame, L3 + 10, sum);
            }
            Version::V6 => {
                let payload = frame.len() - L3 - 40;
                set_u16(frame, L3 + 4, payload as u16);
            }
        }
    }

    /// RFC 9293, 3.1 and RFC 8200, 8.1: addresses, protocol and length of the transport packet.
    fn pseudo_header_sum(&self, frame: &[u8]) -> u16 {
        let addresses = match self.ip.version {
            Version::V4 => &frame[L3 + 12..L3 + 20],
            Version::V6 => &frame[L3 + 8..L3 + 40],
        };
        let len = frame.len() - self.ip.l4;
        fold(sum_words(addresses) + u64::from(self.transport.protocol()) + len as u64)
    }

    fn run_header(&self, packets: usize) -> VnetHeader {
        let single = packets == 1;
        VnetHeader {
            flags: VnetHeader::NEEDS_CSUM,
            gso_type: if single {
                VnetHeader::GSO_NONE
            } else {
                self.header.gso_type
            },
            hdr_len: self.payload as u16,
            gso_size: if single { 0 } else { self.header.gso_size },
            csum_start: self.ip.l4 as u16,
            csum_offset: self.transport.checksum(),
        }
    }
}

fn set_u16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// The sum of `bytes` as 16-bit words (RFC 1071), an odd last byte padded with zero.
fn sum_words(bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let sum: u64 = pairs
        .iter()
        .map(|&pair| u64::from(u16::from_be_bytes(pair)))
        .sum();
    sum + rest.first().map_or(0, |&last| u64::from(last) << 8)
}

/// Adds the carries of a sum back in until it fits.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests;
