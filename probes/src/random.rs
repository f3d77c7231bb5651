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
