//! Whether a line is quiet enough for a test that fills it: who is at work on it would be disturbed, and would
//! disturb the measurement. Pure: counters and time are passed in.

use std::time::Duration;

use messnetz_metric::BitRate;
use messnetz_probes::link::Counters;

/// How long the counters of the interface are looked at before a test.
pub(super) const LOOK: Duration = Duration::from_secs(2);

/// A line that carries more than one part in so many of what it can is busy.
const PARTS: u64 = 10;

/// What a line is taken to carry of which nothing is known.
const ASSUMED: BitRate = BitRate::from_bps(50_000_000);

/// A line that is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy {
    /// What it carries, in the direction that carries more.
    pub(super) carries: BitRate,
    /// What it may carry at most when a test begins.
    pub(super) at_most: BitRate,
}

/// Holds what an interface carried for a while against what it can: the most that a test saw of it, or else the rate
/// of its port.
pub(super) fn look(
    (before, after): (&Counters, &Counters),
    during: Duration,
    (best, port): (Option<BitRate>, Option<BitRate>),
) -> Result<(), Busy> {
    let millis = u64::try_from(during.as_millis()).unwrap_or(u64::MAX).max(1);
    // Counters that begin anew have counted at least what they show.
    let since = |before: u64, after: u64| after.checked_sub(before).unwrap_or(after);
    let bytes = since(before.rx_bytes, after.rx_bytes).max(since(before.tx_bytes, after.tx_bytes));
    let carries = BitRate::from_bps(bytes.saturating_mul(8_000) / millis);
    let most = best.or(port).unwrap_or(ASSUMED);
    let at_most = BitRate::from_bps(most.as_bps() / PARTS);
    if carries > at_most {
        return Err(Busy { carries, at_most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(rx_bytes: u64, tx_bytes: u64) -> Counters {
        Counters {
            rx_bytes,
            tx_bytes,
            ..Counters::default()
        }
    }

    fn mbps(mbps: u64) -> BitRate {
        BitRate::from_bps(mbps * 1_000_000)
    }

    #[test]
    fn a_line_is_busy_above_a_tenth_of_what_it_carried_best() {
        let quiet = counters(1_000, 1_000);
        let after = |rx: u64| counters(1_000 + rx, 1_000);
        let second = Duration::from_secs(1);
        let of = |rx, best, port| look((&quiet, &after(rx)), second, (best, port));
        // 1.25 MB in a second are 10 Mbit/s.
        assert_eq!(of(1_250_000, Some(mbps(100)), Some(mbps(1_000))), Ok(()));
        let busy = of(1_250_125, Some(mbps(100)), Some(mbps(1_000))).unwrap_err();
        assert_eq!(
            (busy.carries.as_bps(), busy.at_most),
            (10_001_000, mbps(10))
        );
        assert_eq!(of(1_250_125, None, Some(mbps(1_000))), Ok(()));
        assert!(of(700_000, None, None).is_err() && of(600_000, None, None).is_ok());
    }

    #[test]
    fn counters_that_began_anew_and_no_time_at_all_are_no_panic() {
        let (before, after) = (counters(u64::MAX, 5), counters(10, 5));
        assert!(look((&before, &after), Duration::ZERO, (None, None)).is_ok());
    }
}
