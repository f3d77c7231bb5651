//! How far this machine's clock is off: one question to a time server by SNTP (RFC 4330, and RFC 5905 for
//! the packet).
//!
//! The clock is not set, only compared. What a school box measures one way, and when it was, is as right as
//! its clock.

use std::time::{Duration, Instant, SystemTime};

use messnetz_metric::{Failure, FailureReason, Micros};
use serde::Serialize;

use crate::datagram::Peer;
use crate::random;

/// The port that IANA assigned to NTP.
pub const PORT: u16 = 123;

/// Length of a packet without extensions (RFC 5905, section 7.3).
const LENGTH: usize = 48;

/// Leap indicator 0, version 4, mode 3: a client.
const CLIENT: u8 = 4 << 3 | 3;

/// Seconds from the start of NTP's time, 1900, to that of Unix's.
const UNIX_EPOCH: u64 = 2_208_988_800;

/// How this machine's clock compares to a server's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// How far the server's clock is ahead of this machine's, in microseconds.
    pub offset_us: i64,
    /// The round trip without the time that the server took. The offset is wrong by up to half of it.
    #[serde(rename = "delay_us")]
    pub delay: Micros,
    /// The server's distance from an exact clock: 1 has one itself.
    pub stratum: u8,
    /// The server's own round trip to the exact clock.
    #[serde(rename = "root_delay_us")]
    pub root_delay: Micros,
    /// How wrong the server thinks it may be.
    #[serde(rename = "root_dispersion_us")]
    pub root_dispersion: Micros,
}

/// Compares this machine's clock with a server's, once.
///
/// # Errors
/// [`FailureReason::Timeout`] and [`FailureReason::Refused`] as the network answers;
/// [`FailureReason::Busy`] and [`FailureReason::Refused`] where the server asks not to be asked (RFC 5905,
/// section 7.4); [`FailureReason::Protocol`] where it does not know the time itself.
pub async fn compare(server: &Peer) -> Result<Comparison, Failure> {
    let attempt = format!("asking {} for the time", server.address);
    // Our own time is nobody's business, and a number that nobody can guess is what tells the answer.
    let nonce = u64::from_be_bytes(random::octets(&attempt)?);
    let (left, start) = (SystemTime::now(), Instant::now());
    let (answer, back) = server
        .ask(&attempt, &question(nonce), |bytes| {
            // The way there and back is taken from the clock that nobody sets.
            let back = left + start.elapsed();
            Some((Answer::decode(bytes, nonce)?, back))
        })
        .await?;
    answer
        .compared(since_1900(left), since_1900(back))
        .map_err(|refusal| refusal.failure(&attempt))
}

/// A client's question, with a number in place of its time.
fn question(nonce: u64) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[0] = CLIENT;
    packet[40..].copy_from_slice(&nonce.to_be_bytes());
    packet
}

/// NTP's time: seconds since 1900 with 32 bits of fraction, modulo 2^64.
fn since_1900(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    (since.as_secs().wrapping_add(UNIX_EPOCH) << 32) | fraction
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    leap: u8,
    stratum: u8,
    root_delay: u32,
    root_dispersion: u32,
    reference: [u8; 4],
    received: u64,
    sent: u64,
}

/// Why an answer gives no time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The kiss of death: the server asks not to be asked, and says why in four letters.
    Kiss([u8; 4]),
    /// The server does not know the time.
    Unsynchronised,
    /// The times contradict one another.
    Contradiction,
}

impl Refusal {
    fn failure(&self, attempt: &str) -> Failure {
        match self {
            Self::Kiss(code) => {
                let reason = match code {
                    b"RATE" => FailureReason::Busy,
                    b"DENY" | b"RSTR" => FailureReason::Refused,
                    _ => FailureReason::Protocol,
                };
                let code = code.escape_ascii();
                let detail = format_args!("{attempt}: the server asks not to be asked ({code})");
                Failure::new(reason, detail)
            }
            Self::Unsynchronised => Failure::new(
                FailureReason::Protocol,
                format_args!("{attempt}: the server does not know the time itself"),
            ),
            Self::Contradiction => Failure::new(
                FailureReason::Protocol,
                format_args!("{attempt}: the answer contradicts itself"),
            ),
        }
    }
}

impl Answer {
    /// The answer that `bytes` are, if they are one to the question with this number (RFC 4330, section 5).
    #[must_use]
    pub fn decode(bytes: &[u8], nonce: u64) -> Option<Self> {
        let packet: &[u8; LENGTH] = bytes.first_chunk()?;
        let long = |at: usize| -> Option<u64> {
            Some(u64::from_be_bytes(*packet.get(at..)?.first_chunk()?))
        };
        let short = |at: usize| -> Option<u32> {
            Some(u32::from_be_bytes(*packet.get(at..)?.first_chunk()?))
        };
        let (mode, version) = (packet[0] & 7, packet[0] >> 3 & 7);
        let is_answer = mode == 4 && (3..=4).contains(&version) && long(24)? == nonce;
        is_answer.then_some(Self {
            leap: packet[0] >> 6,
            stratum: packet[1],
            root_delay: short(4)?,
            root_dispersion: short(8)?,
            reference: short(12)?.to_be_bytes(),
            received: long(32)?,
            sent: long(40)?,
        })
    }

    /// Compares the server's clock with that of a client whose question left at `left` and whose answer
    /// was `back` then, both in NTP's time (RFC 5905, section 8).
    ///
    /// # Errors
    /// Where the answer gives no time.
    pub fn compared(&self, left: u64, back: u64) -> Result<Comparison, Refusal> {
        if self.stratum == 0 {
            return Err(Refusal::Kiss(self.reference));
        }
        if self.leap == 3 || self.stratum > 15 || self.sent == 0 {
            return Err(Refusal::Unsynchronised);
        }
        // Differences modulo 2^64: right within 68 years, whatever the era (RFC 5905, section 6).
        let difference = |a: u64, b: u64| i128::from(a.wrapping_sub(b).cast_signed());
        let there = difference(self.received, left);
        let home = difference(self.sent, back);
        let delay = difference(back, left) - difference(self.sent, self.received);
        if difference(self.sent, self.received) < 0 {
            return Err(Refusal::Contradiction);
        }
        // Clocks of different speed can make a short delay come out below zero (RFC 5905, section 8).
        let delay = u64::try_from(micros(delay)).unwrap_or(0);
        Ok(Comparison {
            offset_us: i64::try_from(micros(there.midpoint(home))).unwrap_or(i64::MAX),
            delay: Micros::from_micros(delay),
            stratum: self.stratum,
            root_delay: short_micros(self.root_delay),
            root_dispersion: short_micros(self.root_dispersion),
        })
    }
}

/// From units of 2^-32 seconds.
const fn micros(fixed: i128) -> i128 {
    (fixed * 1_000_000) >> 32
}

/// From units of 2^-16 seconds.
fn short_micros(fixed: u32) -> Micros {
    Micros::from_micros((u64::from(fixed) * 1_000_000) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Binding;
    use proptest::prelude::*;
    use tokio::net::UdpSocket;

    const SECOND: u64 = 1 << 32;
    const NONCE: u64 = 0x0123_4567_89ab_cdef;

    /// A server's packet that answers `question`.
    fn packet(question: &[u8], received: u64, sent: u64) -> Vec<u8> {
        let mut packet = vec![0; LENGTH];
        packet[0] = 4 << 3 | 4;
        packet[1] = 2;
        packet[4..8].copy_from_slice(&0x0000_8000_u32.to_be_bytes());
        packet[8..12].copy_from_slice(&0x0000_4000_u32.to_be_bytes());
        packet[24..32].copy_from_slice(&question[40..48]);
        packet[32..40].copy_from_slice(&received.to_be_bytes());
        packet[40..48].copy_from_slice(&sent.to_be_bytes());
        packet
    }

    fn answer(change: impl FnOnce(&mut [u8])) -> Option<Answer> {
        let mut bytes = packet(&question(NONCE), 110 * SECOND, 111 * SECOND);
        change(&mut bytes);
        Answer::decode(&bytes, NONCE)
    }

    #[test]
    fn offset_and_delay_follow_from_four_times() {
        // Left at 100, arrived there at 110, sent at 111, back at 105: 4 s on the way, 8 s ahead.
        let compared = answer(|_| {}).unwrap().compared(100 * SECOND, 105 * SECOND);
        let compared = compared.unwrap();
        assert_eq!(compared.offset_us, 8_000_000);
        assert_eq!(compared.delay, Micros::from_micros(4_000_000));
        assert_eq!(compared.stratum, 2);
        assert_eq!(compared.root_delay, Micros::from_micros(500_000));
        assert_eq!(compared.root_dispersion, Micros::from_micros(250_000));
    }

    #[test]
    fn the_end_of_an_era_is_no_jump() {
        // The era ends in 2036, between question and answer.
        let bytes = packet(&question(NONCE), 2 * SECOND, 2 * SECOND);
        let answer = Answer::decode(&bytes, NONCE).unwrap();
        let left = 0_u64.wrapping_sub(SECOND);
        let compared = answer.compared(left, SECOND).unwrap();
        assert_eq!(compared.offset_us, 2_000_000);
    }

    #[test]
    fn what_answers_another_question_is_foreign() {
        assert_eq!(answer(|bytes| bytes[24] ^= 1), None);
        assert_eq!(answer(|bytes| bytes[0] = CLIENT), None);
        assert_eq!(Answer::decode(&question(NONCE)[..47], NONCE), None);
    }

    #[test]
    fn a_server_that_gives_no_time_says_why() {
        let refused = |change: fn(&mut [u8])| {
            let answer = answer(change).unwrap();
            answer.compared(100 * SECOND, 105 * SECOND).unwrap_err()
        };
        let kiss = refused(|bytes| {
            bytes[1] = 0;
            bytes[12..16].copy_from_slice(b"RATE");
        });
        assert_eq!(kiss, Refusal::Kiss(*b"RATE"));
        assert_eq!(kiss.failure("asking").reason, FailureReason::Busy);
        assert_eq!(
            Refusal::Kiss(*b"DENY").failure("asking").reason,
            FailureReason::Refused
        );
        assert_eq!(refused(|bytes| bytes[0] |= 3 << 6), Refusal::Unsynchronised);
        assert_eq!(refused(|bytes| bytes[1] = 16), Refusal::Unsynchronised);
        let before = |bytes: &mut [u8]| bytes[40..44].copy_from_slice(&9_u32.to_be_bytes());
        assert_eq!(refused(before), Refusal::Contradiction);
    }

    #[test]
    fn unix_time_is_written_as_rfc_5905_has_it() {
        // RFC 5905, figure 4: the first day of Unix.
        assert_eq!(since_1900(SystemTime::UNIX_EPOCH), 2_208_988_800 << 32);
        let half = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(since_1900(half), 2_208_988_801 << 32 | 1 << 31);
    }

    #[tokio::test]
    async fn a_server_ten_seconds_ahead_is_seen_so() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let peer = Peer {
            address: socket.local_addr().unwrap(),
            binding: Binding::any(),
            deadline: Duration::from_secs(10),
        };
        tokio::spawn(async move {
            let mut buffer = [0; 100];
            let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
            let now = since_1900(SystemTime::now() + Duration::from_secs(10));
            // What somebody forges does not know the number.
            let forged = packet(&question(1), now, now);
            socket.send_to(&forged, client).await.unwrap();
            let answer = packet(&buffer[..length], now, now);
            socket.send_to(&answer, client).await.unwrap();
        });
        let compared = compare(&peer).await.unwrap();
        let wrong = (compared.offset_us - 10_000_000).unsigned_abs();
        assert!(
            wrong <= compared.delay.as_micros() / 2 + 1_000,
            "{compared:?}"
        );
    }

    #[tokio::test]
    async fn silence_ends_with_the_deadline_and_a_closed_port_refuses() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let peer = Peer {
            address: silent.local_addr().unwrap(),
            binding: Binding::any(),
            deadline: Duration::from_millis(50),
        };
        assert_eq!(
            compare(&peer).await.unwrap_err().reason,
            FailureReason::Timeout
        );
        // A datagram to a socket that is connected elsewhere is as undeliverable as to none.
        silent.connect("127.0.0.1:9").await.unwrap();
        assert_eq!(
            compare(&peer).await.unwrap_err().reason,
            FailureReason::Refused
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), left: u64, back: u64) {
            if let Some(answer) = Answer::decode(&bytes, NONCE) {
                let _ = answer.compared(left, back);
            }
            let mut ours = bytes;
            ours.resize(LENGTH, 0);
            ours[0] = 4 << 3 | 4;
            ours[24..32].copy_from_slice(&NONCE.to_be_bytes());
            let _ = Answer::decode(&ours, NONCE).unwrap().compared(left, back);
        }
    }
}
