//! Which clock a round trip was measured with, and when that clock is believed.

use std::time::{Duration, SystemTime};

use serde::Serialize;

/// Time on the driver's monotonic clock, counted from the start of one measurement. Engines see
/// nothing but this, so that tests can run them in virtual time.
pub(crate) type Moment = Duration;

/// Where the arrivals of a burst were stamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stamps {
    /// All of them by the kernel, before this process was woken.
    Kernel,
    /// At least one by this process, so that its own scheduling is part of the round trip.
    User,
}

/// The round trip between two stamps of the wall clock, if it lies inside `user`, the same round trip
/// as this process saw it on its monotonic clock; `user` otherwise.
///
/// This process stamps before the kernel sends and after the kernel has received, so its interval
/// encloses the kernel's. Where it does not, the wall clock was stepped or a stamp belongs to another
/// packet, and the kernel's number is no measurement.
pub(crate) fn round_trip(
    kernel: Option<(SystemTime, SystemTime)>,
    user: Duration,
) -> (Duration, Stamps) {
    kernel
        .and_then(|(sent, received)| received.duration_since(sent).ok())
        .filter(|&interval| interval <= user + allowed_skew(user))
        .map_or((user, Stamps::User), |interval| (interval, Stamps::Kernel))
}

/// How much longer than the monotonic clock's the wall clock's interval may be: adjtimex(2) slews by
/// at most 500 ppm, and reading the two clocks takes a moment.
fn allowed_skew(interval: Duration) -> Duration {
    interval / 2000 + Duration::from_micros(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + ms(millis)
    }

    #[test]
    fn the_kernel_is_believed_inside_the_interval_that_the_process_saw() {
        let found = round_trip(Some((at(1000), at(1020))), ms(25));
        assert_eq!(found, (ms(20), Stamps::Kernel));
    }

    #[test]
    fn a_wall_clock_stepped_forward_is_not_a_long_round_trip() {
        let found = round_trip(Some((at(1000), at(3_600_000))), ms(25));
        assert_eq!(found, (ms(25), Stamps::User));
    }

    #[test]
    fn a_wall_clock_stepped_back_is_not_a_negative_round_trip() {
        assert_eq!(
            round_trip(Some((at(1000), at(10))), ms(25)),
            (ms(25), Stamps::User)
        );
    }

    #[test]
    fn without_kernel_stamps_the_process_measures() {
        assert_eq!(round_trip(None, ms(25)), (ms(25), Stamps::User));
    }
}
