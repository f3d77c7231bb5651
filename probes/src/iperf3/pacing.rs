//! When the next piece may be sent at a set rate: a token bucket in virtual time.

use std::time::Duration;

use messnetz_metric::BitRate;

use crate::stamps::Moment;

/// What was not sent while the sender was held up is caught up with, but no more than this much of it: else a
/// stall would end in a burst that is no measurement.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Sends at a rate, on average.
#[derive(Clone, Debug)]
pub(super) struct Pacer {
    rate: BitRate,
    /// When what was sent so far has been paid for.
    due: Moment,
}

impl Pacer {
    pub(super) const fn new(rate: BitRate, start: Moment) -> Self {
        Self { rate, due: start }
    }

    /// How long to wait before the next piece; zero where it may go at once.
    pub(super) fn wait(&mut self, now: Moment) -> Duration {
        self.due = self.due.max(now.saturating_sub(CATCH_UP));
        self.due.saturating_sub(now)
    }

    /// So many bytes were sent.
    pub(super) fn sent(&mut self, bytes: u64) {
        let nanos = u128::from(bytes) * 8 * 1_000_000_000;
        let cost = nanos.checked_div(u128::from(self.rate.as_bps()));
        let cost = cost.map_or(u64::MAX, |nanos| nanos.min(u128::from(u64::MAX)) as u64);
        self.due = self.due.saturating_add(Duration::from_nanos(cost));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes sent in pieces of `piece` within `time`, by a sender that is asleep from `gap` for `gap_length`.
    fn sent(rate: BitRate, piece: u64, time: Duration, gap: Moment, gap_length: Duration) -> u64 {
        let mut pacer = Pacer::new(rate, Moment::ZERO);
        let (mut now, mut total) = (Moment::ZERO, 0);
        while now < time {
            if now >= gap && now < gap + gap_length {
                now = gap + gap_length;
            }
            let wait = pacer.wait(now);
            if wait.is_zero() {
                pacer.sent(piece);
                total += piece;
            }
            now += wait;
        }
        total
    }

    #[test]
    fn the_rate_is_kept_whatever_the_size_of_the_pieces() {
        let second = Duration::from_secs(1);
        for piece in [100, 1460, 131_072] {
            let bytes = sent(BitRate::from_mbps(80.0), piece, second, second, second);
            assert!(bytes.abs_diff(10_000_000) <= piece, "{piece}: {bytes}");
        }
    }

    #[test]
    fn a_stall_is_caught_up_with_in_part() {
        let (second, half) = (Duration::from_secs(1), Duration::from_millis(500));
        let bytes = sent(
            BitRate::from_mbps(80.0),
            1000,
            second,
            Duration::from_millis(100),
            half,
        );
        // 0.5 s of 1 s were awake, and 0.1 s of what was missed is sent.
        assert!(bytes.abs_diff(6_000_000) <= 2000, "{bytes}");
    }

    #[test]
    fn no_rate_at_all_never_sends_twice() {
        let mut pacer = Pacer::new(BitRate::from_bps(0), Moment::ZERO);
        assert!(pacer.wait(Moment::ZERO).is_zero());
        pacer.sent(1);
        assert!(pacer.wait(Duration::from_hours(24)) > Duration::from_hours(24));
    }
}
