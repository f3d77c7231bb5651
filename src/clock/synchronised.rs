//! Whether a time service keeps the wall clock, and since when. Unsafe code is confined here: no safe wrapper of
//! adjtimex(2) is among the libraries.

use std::fs;
use std::time::UNIX_EPOCH;

use messnetz_metric::UnixMillis;

/// What systemd-timesyncd touches whenever it has set the clock (systemd-timesyncd.service(8)).
const TOUCHED: &str = "/run/systemd/timesync/synchronized";

/// Whether the kernel takes its clock to be synchronised (adjtimex(2)): every time service says so to it.
#[allow(unsafe_code)]
pub(super) fn by_kernel() -> bool {
    // SAFETY: all bytes zero are a `timex` whose `modes` ask for nothing to be changed; the kernel writes into it
    // while the call lasts, and keeps no pointer.
    let (state, status) = unsafe {
        let mut asked: libc::timex = std::mem::zeroed();
        let state = libc::adjtimex(&raw mut asked);
        (state, asked.status)
    };
    state >= 0 && state != libc::TIME_ERROR && status & libc::STA_UNSYNC == 0
}

/// Seconds since the clock was last set by systemd-timesyncd; `None` where another service keeps it, which does
/// not tell.
pub(super) fn seconds_since(now: UnixMillis) -> Option<u32> {
    let touched = fs::metadata(TOUCHED).ok()?.modified().ok()?;
    let touched = touched.duration_since(UNIX_EPOCH).ok()?;
    let touched = i64::try_from(touched.as_millis()).ok()?;
    u32::try_from(now.0.checked_sub(touched)? / 1000).ok()
}
