//! The time of day, asked for in one place; only stamps of packets are taken elsewhere, by the drivers
//! that send and receive them.

#[cfg(feature = "agent")]
mod synchronised;

#[cfg(feature = "agent")]
use std::sync::OnceLock;
#[cfg(feature = "agent")]
use std::time::Duration;
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

/// Milliseconds since this machine was booted, sleep included (`clock_gettime(2)`, `CLOCK_BOOTTIME`): nobody can
/// set this clock.
#[cfg(feature = "agent")]
#[must_use]
pub fn uptime_ms() -> i64 {
    let read = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    let since = read.map(Duration::from).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What [`steady`] adds to the time since the boot: what the wall clock said when this program first asked.
#[cfg(feature = "agent")]
#[must_use]
pub fn anchor_ms() -> i64 {
    static ANCHOR: OnceLock<i64> = OnceLock::new();
    *ANCHOR.get_or_init(|| now().0.saturating_sub(uptime_ms()))
}

/// Now, by a clock that nobody sets while this program runs: between two of these has passed what lies between them.
#[cfg(feature = "agent")]
#[must_use]
pub fn steady() -> UnixMillis {
    UnixMillis(anchor_ms().saturating_add(uptime_ms()))
}

/// What the clocks of this machine say at one moment.
#[cfg(feature = "agent")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// As [`uptime_ms`].
    pub up_ms: i64,
    /// As [`now`].
    pub wall_ms: i64,
    /// Whether the kernel was told by a time service that the wall clock is right.
    pub synchronised: bool,
    /// Seconds since it last was told so; `None` where that is not known.
    pub since_sync_s: Option<u32>,
}

/// Looks at all clocks.
#[cfg(feature = "agent")]
#[must_use]
pub fn look() -> Look {
    let wall = now();
    let synchronised = synchronised::by_kernel();
    Look {
        up_ms: uptime_ms(),
        wall_ms: wall.0,
        synchronised,
        since_sync_s: synchronised
            .then(|| synchronised::seconds_since(wall))
            .flatten(),
    }
}

#[cfg(all(test, feature = "agent"))]
mod tests {
    use super::*;

    #[test]
    fn the_steady_clock_goes_on_and_agrees_with_the_wall_while_nobody_sets_it() {
        let (first, wall) = (steady(), now());
        assert!(first.0.abs_diff(wall.0) < 1_000, "{first:?} {wall:?}");
        std::thread::sleep(Duration::from_millis(20));
        let passed = steady().0 - first.0;
        assert!((20..5_000).contains(&passed), "{passed}");
        assert!(look().up_ms >= uptime_ms() - 5_000);
    }
}
