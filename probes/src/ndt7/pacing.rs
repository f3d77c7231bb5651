//! How large the next message is, when the next measurement is due and what the payload consists of.
//! Pure: the randomness is passed in.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use bytes::Bytes;

use crate::random;

/// The size that a test starts with (ndt7, "Protocol description").
pub const FIRST_MESSAGE_SIZE: usize = 1 << 13;

/// The size at which messages stop growing, as in the reference server.
pub const LAST_MESSAGE_SIZE: usize = 1 << 20;

/// The largest message that a peer may send (ndt7, "Protocol description").
pub const MAX_MESSAGE_SIZE: usize = 1 << 24;

/// A message is doubled once it is smaller than this fraction of what has been sent.
const SCALING_FRACTION: u64 = 16;

/// The size of the message after one of `size`, once `sent` bytes have been sent: small at first, so
/// that a slow line is not filled with one message, then large enough to be cheap.
#[must_use]
pub const fn next_message_size(size: usize, sent: u64) -> usize {
    if size < LAST_MESSAGE_SIZE && (size as u64) < sent / SCALING_FRACTION {
        size * 2
    } else {
        size
    }
}

/// Time until the next measurement: exponentially distributed about a mean of 250 ms and cut to
/// 25 to 625 ms, as in the reference server. Sampling at Poisson times cannot fall into step with what
/// it samples (RFC 2330, section 11.1.1).
#[must_use]
pub fn next_measurement(random: &mut SplitMix64) -> Duration {
    const MEAN: f64 = 0.250;
    const MIN: f64 = 0.025;
    const MAX: f64 = 0.625;
    // In (0, 1], so that the logarithm is finite.
    let uniform = 1.0 - random.next_fraction();
    Duration::from_secs_f64((-uniform.ln() * MEAN).clamp(MIN, MAX))
}

/// Random bytes for messages of every size up to [`LAST_MESSAGE_SIZE`]. Sent over and over: no link
/// compresses across the megabyte between two equal bytes.
#[must_use]
pub fn payload(random: &mut SplitMix64) -> Bytes {
    let mut bytes = Vec::with_capacity(LAST_MESSAGE_SIZE);
    while bytes.len() < LAST_MESSAGE_SIZE {
        bytes.extend_from_slice(&random.next_u64().to_ne_bytes());
    }
    Bytes::from(bytes)
}

/// The `SplitMix64` generator (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
/// generators"). Not for secrets.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The sequence that `seed` begins.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence that nobody can foretell from the program's start or address.
    #[must_use]
    pub fn from_process() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        random::mix(self.0)
    }

    /// The next number of [0, 1).
    pub fn next_fraction(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_message_is_not_outgrown_before_sixteen_of_it_are_sent() {
        assert_eq!(next_message_size(8192, 16 * 8192), 8192);
        assert_eq!(next_message_size(8192, 17 * 8192), 16384);
    }

    #[test]
    fn messages_stop_growing_at_a_mebibyte() {
        assert_eq!(next_message_size(1 << 20, u64::MAX), 1 << 20);
    }

    #[test]
    fn the_mean_interval_is_a_quarter_of_a_second() {
        let mut random = SplitMix64::new(1);
        let n_samples = 10_000;
        let sum: Duration = (0..n_samples).map(|_| next_measurement(&mut random)).sum();
        // The cut takes 8 % off the long end and adds under 1 % at the short one.
        let mean = sum / n_samples;
        assert!(
            mean > Duration::from_millis(220) && mean < Duration::from_millis(250),
            "{mean:?}"
        );
    }

    #[test]
    fn the_generator_is_the_published_one() {
        // First outputs for seed 1234567, as in the reference implementation's test vector.
        let mut random = SplitMix64::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn the_payload_does_not_compress_to_a_pattern() {
        let payload = payload(&mut SplitMix64::new(7));
        assert_eq!(payload.len(), LAST_MESSAGE_SIZE);
        let mut counts = [0_usize; 256];
        payload
            .iter()
            .for_each(|&byte| counts[usize::from(byte)] += 1);
        let even = LAST_MESSAGE_SIZE / 256;
        assert!(counts.iter().all(|&n| n > even / 2 && n < even * 2));
    }

    proptest! {
        #[test]
        fn a_size_is_a_power_of_two_within_the_allowed_ones(sent: Vec<u32>) {
            let mut size = FIRST_MESSAGE_SIZE;
            let mut total = 0;
            for bytes in sent {
                total += u64::from(bytes);
                size = next_message_size(size, total);
                prop_assert!(size.is_power_of_two() && size <= LAST_MESSAGE_SIZE);
            }
        }

        #[test]
        fn an_interval_keeps_within_its_bounds(seed: u64) {
            let interval = next_measurement(&mut SplitMix64::new(seed));
            prop_assert!(interval >= Duration::from_millis(25));
            prop_assert!(interval <= Duration::from_millis(625));
        }
    }
}
