//! Numbers that nobody can guess, so that nobody can answer in another's place.

use messnetz_metric::{Failure, FailureReason};
use ring::rand::{SecureRandom, SystemRandom};

/// Random octets for `attempt`ing something.
pub(crate) fn octets<const N: usize>(attempt: &str) -> Result<[u8; N], Failure> {
    let mut octets = [0; N];
    SystemRandom::new().fill(&mut octets).map_err(|_| {
        let detail = format_args!("{attempt}: the system gives no random numbers");
        Failure::new(FailureReason::Permission, detail)
    })?;
    Ok(octets)
}

/// Spreads a number over all bits (the finalizer of `SplitMix64`; Steele, Lea & Flood, OOPSLA 2014).
pub(crate) const fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
