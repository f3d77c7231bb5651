//! The time of day, asked for in one place; only stamps of packets are taken elsewhere, by the drivers
//! that send and receive them.

use std::time::{SystemTime, UNIX_EPOCH};

use messnetz_metric::UnixMillis;

/// Now.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
