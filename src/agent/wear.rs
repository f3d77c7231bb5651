//! What this process writes to the medium: a flash card wears out by it.

use std::fs;
use std::time::{Duration, Instant};

/// Before this has passed a rate says little.
const SHORTEST: Duration = Duration::from_mins(10);

/// Counts from its making on.
pub(super) struct Wear {
    began: Instant,
    before: Option<u64>,
}

impl Wear {
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
            before: written(),
        }
    }

    /// Bytes a day; `None` in the first minutes and where the kernel does not count.
    pub(super) fn bytes_a_day(&self) -> Option<u64> {
        let passed = self.began.elapsed();
        if passed < SHORTEST {
            return None;
        }
        let bytes = written()?.checked_sub(self.before?)?;
        let day = Duration::from_hours(24);
        Some((bytes as f64 * day.as_secs_f64() / passed.as_secs_f64()) as u64)
    }
}

/// Bytes that this process made the kernel write to storage (proc(5), `/proc/pid/io`, `write_bytes`).
pub(super) fn written() -> Option<u64> {
    let counters = fs::read_to_string("/proc/self/io").ok()?;
    let line = |line: &str| line.strip_prefix("write_bytes: ")?.parse().ok();
    counters.lines().find_map(line)
}
