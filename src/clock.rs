//! The time of day, asked for in one place; only stamps of packets are taken elsewhere, by the drivers
//! that send and receive them.

use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(feature = "agent")]
use jiff::{Zoned, civil::DateTime};
use messnetz_metric::UnixMillis;

/// Now.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Now, on the calendar and the clocks of where this machine stands; UTC where it does not know its time zone.
#[cfg(feature = "agent")]
#[must_use]
pub fn local() -> DateTime {
    Zoned::now().datetime()
}
