//! The two packets of RFC 8762, sections 4.2.1 and 4.3.1, with the SSID of RFC 8972, section 3, and
//! the time stamps in them.

use std::time::{Duration, SystemTime};

/// Octets of a base packet, either way.
pub(super) const LENGTH: usize = 44;

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
    /// Counts the reflector's packets of this session from 0.
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
    pub(super) fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.sent.0.to_be_bytes());
        bytes[12..14].copy_from_slice(&self.error.0.to_be_bytes());
        bytes[14..16].copy_from_slice(&self.ssid.0.to_be_bytes());
        bytes
    }

    /// The test packet in the first 44 octets; `None` where there are fewer.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.first_chunk()?;
        Some(Self {
            sequence: u32::from_be_bytes(field(bytes, 0)),
            sent: Timestamp(u64::from_be_bytes(field(bytes, 4))),
            error: ErrorEstimate(u16::from_be_bytes(field(bytes, 12))),
            ssid: Ssid(u16::from_be_bytes(field(bytes, 14))),
        })
    }
}

impl Reflected {
    pub(super) fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.sent.0.to_be_bytes());
        bytes[12..14].copy_from_slice(&self.error.0.to_be_bytes());
        bytes[14..16].copy_from_slice(&self.ssid.0.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.received.0.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.test.sequence.to_be_bytes());
        bytes[28..36].copy_from_slice(&self.test.sent.0.to_be_bytes());
        bytes[36..38].copy_from_slice(&self.test.error.0.to_be_bytes());
        bytes[40] = self.ttl;
        bytes
    }

    /// The reflected packet in the first 44 octets; `None` where there are fewer.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.first_chunk()?;
        let ssid = Ssid(u16::from_be_bytes(field(bytes, 14)));
        Some(Self {
            sequence: u32::from_be_bytes(field(bytes, 0)),
            sent: Timestamp(u64::from_be_bytes(field(bytes, 4))),
            error: ErrorEstimate(u16::from_be_bytes(field(bytes, 12))),
            ssid,
            received: Timestamp(u64::from_be_bytes(field(bytes, 16))),
            test: Test {
                sequence: u32::from_be_bytes(field(bytes, 24)),
                sent: Timestamp(u64::from_be_bytes(field(bytes, 28))),
                error: ErrorEstimate(u16::from_be_bytes(field(bytes, 36))),
                ssid,
            },
            ttl: bytes[40],
        })
    }
}

/// The `N` octets at `start`, a constant inside the packet.
fn field<const N: usize>(bytes: &[u8; LENGTH], start: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[start + i])
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

    #[test]
    fn a_test_packet_is_laid_out_as_rfc_8762_draws_it() {
        let mut expected = vec![
            1, 2, 3, 4, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x21, 0x22, 0x31, 0x32,
        ];
        expected.resize(44, 0);
        assert_eq!(test_packet().encode()[..], expected);
    }

    #[test]
    fn a_reflected_packet_is_laid_out_as_rfc_8762_draws_it() {
        let reflected = Reflected {
            sequence: 5,
            sent: Timestamp(6),
            error: ErrorEstimate(7),
            ssid: Ssid(0x3132),
            received: Timestamp(8),
            test: test_packet(),
            ttl: 63,
        };
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
        assert_eq!(reflected.encode(), expected);
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
            prop_assert_eq!(Test::decode(&test.encode()), Some(test));
            let reflected = Reflected {
                sequence: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
                sent: Timestamp(words[1]),
                error: ErrorEstimate(error ^ 0x5555),
                ssid: Ssid(ssid),
                received: Timestamp(words[2]),
                test,
                ttl: bytes[8],
            };
            prop_assert_eq!(Reflected::decode(&reflected.encode()), Some(reflected));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(Test::decode(&bytes).is_some(), bytes.len() >= LENGTH);
            if let Some(packet) = Reflected::decode(&bytes) {
                let _ = packet.sent.since(packet.received, packet.error.format());
            }
        }
    }
}
