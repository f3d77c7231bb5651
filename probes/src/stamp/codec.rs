//! The two packets of RFC 8762, sections 4.2 and 4.3, unauthenticated and authenticated, with the SSID of
//! RFC 8972, section 3, and the time stamps in them.

use std::time::{Duration, SystemTime};

use super::key::{Key, TAG};

/// Octets of a base packet, either way.
pub(super) const LENGTH: usize = 44;

/// Octets of an authenticated base packet, either way; the last of them are the HMAC.
pub(super) const SEALED_LENGTH: usize = 112;

/// Octets of what a TWAMP-Light reflector answers at least (RFC 5357, section 4.2.1): up to the TTL.
pub(super) const TWAMP_LENGTH: usize = 41;

/// Octets of a TWAMP-Light sender's packet without its padding (RFC 4656, section 4.1.2).
const TWAMP_TEST_LENGTH: usize = 14;

/// Where the fields of both packets begin. The first field is the sequence number, and what the sender sends
/// has the first fields alone.
struct Layout {
    length: usize,
    sent: usize,
    error: usize,
    ssid: usize,
    received: usize,
    test_sequence: usize,
    test_sent: usize,
    test_error: usize,
    ttl: usize,
}

impl Layout {
    /// RFC 8762, sections 4.2.1 and 4.3.1.
    const OPEN: Self = Self {
        length: LENGTH,
        sent: 4,
        error: 12,
        ssid: 14,
        received: 16,
        test_sequence: 24,
        test_sent: 28,
        test_error: 36,
        ttl: 40,
    };

    /// RFC 8762, sections 4.2.2 and 4.3.2.
    const SEALED: Self = Self {
        length: SEALED_LENGTH,
        sent: 16,
        error: 24,
        ssid: 26,
        received: 32,
        test_sequence: 48,
        test_sent: 64,
        test_error: 72,
        ttl: 80,
    };

    const fn of(key: Option<&Key>) -> &'static Self {
        match key {
            None => &Self::OPEN,
            Some(_) => &Self::SEALED,
        }
    }
}

/// A base packet as it goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    octets: [u8; SEALED_LENGTH],
    length: usize,
}

impl Packet {
    fn new(layout: &Layout) -> Self {
        Self {
            octets: [0; SEALED_LENGTH],
            length: layout.length,
        }
    }

    /// The packet that these octets begin with; `None` where they are too few, or are not sealed with the
    /// key. What a TWAMP-Light peer leaves out at the end counts as zeros.
    fn read(octets: &[u8], key: Option<&Key>) -> Option<Self> {
        let layout = Layout::of(key);
        let base = &octets[..octets.len().min(layout.length)];
        match key {
            None => (base.len() >= TWAMP_LENGTH).then_some(())?,
            Some(key) => {
                let (text, tag) = base.split_last_chunk::<TAG>()?;
                (base.len() == SEALED_LENGTH && key.has_sealed(text, tag)).then_some(())?;
            }
        }
        let mut packet = Self::new(layout);
        packet
            .octets
            .iter_mut()
            .zip(base)
            .for_each(|(own, theirs)| *own = *theirs);
        Some(packet)
    }

    /// Its octets.
    pub(super) fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or(&self.octets)
    }

    fn put<const N: usize>(&mut self, start: usize, field: [u8; N]) {
        self.octets
            .iter_mut()
            .skip(start)
            .zip(field)
            .for_each(|(octet, value)| *octet = value);
    }

    fn field<const N: usize>(&self, start: usize) -> [u8; N] {
        std::array::from_fn(|i| self.octets.get(start + i).copied().unwrap_or_default())
    }

    /// The whole packet, with its HMAC where there is a key (RFC 8762, section 4.4).
    fn seal(mut self, key: Option<&Key>) -> Self {
        if let (Some(key), Some((text, _))) = (key, self.octets.split_last_chunk::<TAG>()) {
            let tag = key.seal(text);
            self.put(SEALED_LENGTH - TAG, tag);
        }
        self
    }
}

/// Tells the sessions of one address and port apart (RFC 8972, section 3); 0 stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ssid(pub(super) u16);

/// A 64-bit time stamp as it stands in a packet. Which of the two formats it has is told by the Z bit of
/// the error estimate beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamp(pub(super) u64);

/// Format of a [`Timestamp`] (RFC 8762, section 4.2.1: Z).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// 32 bits of seconds and 32 bits of their fraction (RFC 5905, section 6).
    Ntp,
    /// 32 bits of seconds and 32 bits of nanoseconds, the truncated `PTPv2` format of RFC 8186.
    Ptp,
}

impl Timestamp {
    /// Seconds from 1900 (NTP) to 1970 (Unix).
    const EPOCH: u64 = 2_208_988_800;

    /// The NTP time stamp of a wall-clock time. Its seconds start again every 136 years.
    pub(super) fn ntp(time: SystemTime) -> Self {
        let since = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let seconds = since.as_secs().wrapping_add(Self::EPOCH) & 0xffff_ffff;
        let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
        Self(seconds << 32 | fraction)
    }

    /// The time from `earlier` to this, both of the same clock and format; `None` where it is negative.
    /// Rollover does no harm.
    pub(super) fn since(self, earlier: Self, format: Format) -> Option<Duration> {
        match format {
            Format::Ntp => {
                let difference = self.0.wrapping_sub(earlier.0);
                let nanos = (u128::from(difference) * 1_000_000_000) >> 32;
                (difference < 1 << 63).then(|| Duration::from_nanos(nanos as u64))
            }
            Format::Ptp => {
                let nanos = |stamp: Self| (stamp.0 & 0xffff_ffff).cast_signed();
                let seconds = ((self.0 >> 32) as u32)
                    .wrapping_sub((earlier.0 >> 32) as u32)
                    .cast_signed();
                let total = i64::from(seconds) * 1_000_000_000 + nanos(self) - nanos(earlier);
                u64::try_from(total).ok().map(Duration::from_nanos)
            }
        }
    }
}

/// How far off a clock may be, as it stands in a packet (RFC 4656, section 4.1.2; RFC 8762,
/// section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ErrorEstimate(pub(super) u16);

impl ErrorEstimate {
    /// S = 0: not known to be synchronised; Z = 0: NTP format; 1 * 2^(22-32) s, about a millisecond.
    /// The multiplier must not be 0.
    pub(super) const OURS: Self = Self(22 << 8 | 1);

    /// The format of the time stamp beside it.
    pub(super) const fn format(self) -> Format {
        if self.0 & 1 << 14 == 0 {
            Format::Ntp
        } else {
            Format::Ptp
        }
    }
}

/// What the sender sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    /// Counts the sender's packets from 0.
    pub(super) sequence: u32,
    /// T1: when it was sent, on the sender's clock.
    pub(super) sent: Timestamp,
    pub(super) error: ErrorEstimate,
    pub(super) ssid: Ssid,
}

/// What the reflector answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reflected {
    /// Counts the reflector's packets of one STAMP session from 0.
    pub(super) sequence: u32,
    /// T3: when it was sent, on the reflector's clock.
    pub(super) sent: Timestamp,
    pub(super) error: ErrorEstimate,
    pub(super) ssid: Ssid,
    /// T2: when the test packet arrived, on the reflector's clock.
    pub(super) received: Timestamp,
    /// Sequence number, time stamp and error estimate of the test packet.
    pub(super) test: Test,
    /// TTL or hop limit that the test packet arrived with.
    pub(super) ttl: u8,
}

impl Test {
    /// The packet, sealed where there is a key.
    pub(super) fn encode(&self, key: Option<&Key>) -> Packet {
        let layout = Layout::of(key);
        let mut packet = Packet::new(layout);
        packet.put(0, self.sequence.to_be_bytes());
        packet.put(layout.sent, self.sent.0.to_be_bytes());
        packet.put(layout.error, self.error.0.to_be_bytes());
        packet.put(layout.ssid, self.ssid.0.to_be_bytes());
        packet.seal(key)
    }

    /// The test packet at the beginning of these octets; `None` where they are too few for it, or not sealed
    /// with the key that there is.
    ///
    /// A TWAMP-Light sender has padding where STAMP has the SSID and zeros (RFC 8762, section 4.6), and the
    /// padding may be random: a packet that has something else than zeros there is of no session by SSID.
    pub(super) fn decode(octets: &[u8], key: Option<&Key>) -> Option<Self> {
        let packet = Packet::read(octets, key)?;
        let layout = Layout::of(key);
        let after_ssid = packet.octets().get(TWAMP_TEST_LENGTH + 2..)?;
        let is_padded = key.is_none() && after_ssid.iter().any(|octet| *octet != 0);
        let ssid = if is_padded {
            Ssid(0)
        } else {
            Ssid(u16::from_be_bytes(packet.field(layout.ssid)))
        };
        Some(Self {
            sequence: u32::from_be_bytes(packet.field(0)),
            sent: Timestamp(u64::from_be_bytes(packet.field(layout.sent))),
            error: ErrorEstimate(u16::from_be_bytes(packet.field(layout.error))),
            ssid,
        })
    }
}

impl Reflected {
    /// The packet, sealed where there is a key.
    pub(super) fn encode(&self, key: Option<&Key>) -> Packet {
        let layout = Layout::of(key);
        let mut packet = Packet::new(layout);
        packet.put(0, self.sequence.to_be_bytes());
        packet.put(layout.sent, self.sent.0.to_be_bytes());
        packet.put(layout.error, self.error.0.to_be_bytes());
        packet.put(layout.ssid, self.ssid.0.to_be_bytes());
        packet.put(layout.received, self.received.0.to_be_bytes());
        packet.put(layout.test_sequence, self.test.sequence.to_be_bytes());
        packet.put(layout.test_sent, self.test.sent.0.to_be_bytes());
        packet.put(layout.test_error, self.test.error.0.to_be_bytes());
        packet.put(layout.ttl, [self.ttl]);
        packet.seal(key)
    }

    /// The reflected packet at the beginning of these octets; `None` where they are too few for it, or not
    /// sealed with the key that there is.
    pub(super) fn decode(octets: &[u8], key: Option<&Key>) -> Option<Self> {
        let packet = Packet::read(octets, key)?;
        let layout = Layout::of(key);
        let ssid = Ssid(u16::from_be_bytes(packet.field(layout.ssid)));
        let [ttl] = packet.field(layout.ttl);
        Some(Self {
            sequence: u32::from_be_bytes(packet.field(0)),
            sent: Timestamp(u64::from_be_bytes(packet.field(layout.sent))),
            error: ErrorEstimate(u16::from_be_bytes(packet.field(layout.error))),
            ssid,
            received: Timestamp(u64::from_be_bytes(packet.field(layout.received))),
            test: Test {
                sequence: u32::from_be_bytes(packet.field(layout.test_sequence)),
                sent: Timestamp(u64::from_be_bytes(packet.field(layout.test_sent))),
                error: ErrorEstimate(u16::from_be_bytes(packet.field(layout.test_error))),
                ssid,
            },
            ttl,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn test_packet() -> Test {
        Test {
            sequence: 0x0102_0304,
            sent: Timestamp(0x1112_1314_1516_1718),
            error: ErrorEstimate(0x2122),
            ssid: Ssid(0x3132),
        }
    }

    fn reflected_packet() -> Reflected {
        Reflected {
            sequence: 5,
            sent: Timestamp(6),
            error: ErrorEstimate(7),
            ssid: Ssid(0x3132),
            received: Timestamp(8),
            test: test_packet(),
            ttl: 63,
        }
    }

    #[test]
    fn a_test_packet_is_laid_out_as_rfc_8762_draws_it() {
        let mut expected = vec![
            1, 2, 3, 4, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x21, 0x22, 0x31, 0x32,
        ];
        expected.resize(44, 0);
        assert_eq!(test_packet().encode(None).octets(), expected);
    }

    #[test]
    fn a_reflected_packet_is_laid_out_as_rfc_8762_draws_it() {
        let reflected = reflected_packet();
        let expected = [
            0, 0, 0, 5, // sequence number
            0, 0, 0, 0, 0, 0, 0, 6, // T3
            0, 7, 0x31, 0x32, // error estimate, SSID
            0, 0, 0, 0, 0, 0, 0, 8, // T2
            1, 2, 3, 4, // sender's sequence number
            0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, // T1
            0x21, 0x22, 0, 0, // sender's error estimate
            63, 0, 0, 0, // sender's TTL
        ];
        assert_eq!(reflected.encode(None).octets(), expected);
    }

    #[test]
    fn an_authenticated_test_packet_is_laid_out_as_rfc_8762_draws_it() {
        let key = Key::new(b"a key of sixteen").unwrap();
        let packet = test_packet().encode(Some(&key));
        let mut expected = vec![1, 2, 3, 4];
        expected.resize(16, 0);
        expected.extend([
            0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x21, 0x22, 0x31, 0x32,
        ]);
        expected.resize(96, 0);
        let (text, tag) = packet.octets().split_at(96);
        assert_eq!(text, expected);
        assert_eq!(tag, key.seal(text));
    }

    #[test]
    fn an_authenticated_reflected_packet_is_laid_out_as_rfc_8762_draws_it() {
        let key = Key::new(b"a key of sixteen").unwrap();
        let reflected = reflected_packet();
        let packet = reflected.encode(Some(&key));
        let mut expected = vec![0; 96];
        expected[3] = 5; // sequence number
        expected[23] = 6; // T3
        expected[24..28].copy_from_slice(&[0, 7, 0x31, 0x32]); // error estimate, SSID
        expected[39] = 8; // T2
        expected[48..52].copy_from_slice(&[1, 2, 3, 4]); // sender's sequence number
        expected[64..72].copy_from_slice(&[0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18]); // T1
        expected[72..74].copy_from_slice(&[0x21, 0x22]); // sender's error estimate
        expected[80] = 63; // sender's TTL
        assert_eq!(&packet.octets()[..96], expected);
        assert_eq!(packet.octets().len(), 112);
    }

    #[test]
    fn the_padding_of_a_twamp_light_sender_is_no_session_number() {
        let mut packet = test_packet().encode(None).octets()[..TWAMP_LENGTH].to_vec();
        packet[14..].fill(0xa5);
        let test = Test::decode(&packet, None).unwrap();
        assert_eq!((test.sequence, test.ssid), (0x0102_0304, Ssid(0)));
        assert_eq!(Test::decode(&packet[..TWAMP_LENGTH - 1], None), None);
    }

    #[test]
    fn the_ntp_era_starts_in_1900() {
        let stamp = Timestamp::ntp(SystemTime::UNIX_EPOCH + Duration::from_millis(500));
        assert_eq!(stamp.0, 2_208_988_800 << 32 | 1 << 31);
    }

    #[test]
    fn a_time_across_the_rollover_of_2036_is_short() {
        let rollover = SystemTime::UNIX_EPOCH + Duration::from_secs((1 << 32) - Timestamp::EPOCH);
        let before = Timestamp::ntp(rollover - Duration::from_millis(250));
        let after = Timestamp::ntp(rollover + Duration::from_millis(250));
        let half = after.since(before, Format::Ntp).unwrap();
        assert_eq!(half.as_millis(), 500);
        assert_eq!(before.since(after, Format::Ntp), None);
    }

    #[test]
    fn a_reflector_may_stamp_in_ptp_format() {
        assert_eq!(ErrorEstimate(1 << 14 | 1).format(), Format::Ptp);
        assert_eq!(ErrorEstimate::OURS.format(), Format::Ntp);
        let earlier = Timestamp((1_000 << 32) + 999_999_999);
        let later = Timestamp((1_001 << 32) + 4);
        let five = Duration::from_nanos(5);
        assert_eq!(later.since(earlier, Format::Ptp), Some(five));
        assert_eq!(earlier.since(later, Format::Ptp), None);
    }

    proptest! {
        #[test]
        fn packets_survive_encoding(bytes: [u8; 22], words: [u64; 3], error: u16, ssid: u16) {
            let test = Test {
                sequence: u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
                sent: Timestamp(words[0]),
                error: ErrorEstimate(error),
                ssid: Ssid(ssid),
            };
            let key = Key::new(b"a key of sixteen").unwrap();
            let reflected = Reflected {
                sequence: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
                sent: Timestamp(words[1]),
                error: ErrorEstimate(error ^ 0x5555),
                ssid: Ssid(ssid),
                received: Timestamp(words[2]),
                test,
                ttl: bytes[8],
            };
            for key in [None, Some(&key)] {
                let packet = test.encode(key);
                prop_assert_eq!(Test::decode(packet.octets(), key), Some(test));
                let packet = reflected.encode(key);
                prop_assert_eq!(Reflected::decode(packet.octets(), key), Some(reflected));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(Test::decode(&bytes, None).is_some(), bytes.len() >= TWAMP_LENGTH);
            if let Some(packet) = Reflected::decode(&bytes, None) {
                let _ = packet.sent.since(packet.received, packet.error.format());
            }
        }

        #[test]
        fn what_is_not_sealed_with_the_key_is_no_packet(
            bytes in prop::collection::vec(any::<u8>(), 0..200), octet in 0..SEALED_LENGTH, bit in 0..8,
        ) {
            let key = Key::new(b"a key of sixteen").unwrap();
            prop_assert_eq!(Test::decode(&bytes, Some(&key)), None);
            prop_assert_eq!(Reflected::decode(&bytes, Some(&key)), None);
            let mut altered = test_packet().encode(Some(&key)).octets().to_vec();
            altered[octet] ^= 1_u8 << bit;
            prop_assert_eq!(Test::decode(&altered, Some(&key)), None);
        }
    }
}
