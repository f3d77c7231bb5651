//! The receiver's account of one stream of datagrams: what was lost, what came late, and how evenly the rest
//! came. No socket and no clock.

use std::time::Duration;

use super::codec::DatagramHead;

/// What one receiver knows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Account {
    /// The highest number received.
    pub(super) highest: u64,
    /// Numbers that were skipped and have not come since.
    pub(super) lost: u64,
    /// Datagrams that came after a higher number.
    pub(super) out_of_order: u64,
    /// Interarrival jitter in seconds.
    pub(super) jitter: f64,
    /// The last difference between arrival and departure, in seconds. The clocks are not the same: only the
    /// change of it means something.
    transit: Option<f64>,
}

impl Account {
    /// A datagram came at `arrived`. Gaps count as loss until what is missing comes, as stock iperf3 counts
    /// them; the jitter is that of RFC 1889, section 6.3.1 and appendix A.8.
    pub(super) fn arrived(&mut self, head: DatagramHead, arrived: Duration) {
        if head.sequence > self.highest {
            self.lost = self.lost.saturating_add(head.sequence - self.highest - 1);
            self.highest = head.sequence;
        } else {
            self.out_of_order += 1;
            self.lost = self.lost.saturating_sub(1);
        }
        let transit = arrived.as_secs_f64() - head.sent.as_secs_f64();
        let change = (transit - self.transit.unwrap_or(transit)).abs();
        self.transit = Some(transit);
        self.jitter += (change - self.jitter) / 16.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(arrivals: &[(u64, u64, u64)]) -> Account {
        let mut account = Account::default();
        for &(sequence, sent_ms, arrived_ms) in arrivals {
            let sent = Duration::from_millis(sent_ms);
            account.arrived(
                DatagramHead { sent, sequence },
                Duration::from_millis(arrived_ms),
            );
        }
        account
    }

    #[test]
    fn a_gap_is_loss_until_what_is_missing_comes() {
        let gap = account(&[(1, 0, 0), (4, 3, 3)]);
        assert_eq!((gap.highest, gap.lost, gap.out_of_order), (4, 2, 0));
        let late = account(&[(1, 0, 0), (4, 3, 3), (2, 1, 4)]);
        assert_eq!((late.highest, late.lost, late.out_of_order), (4, 1, 1));
    }

    #[test]
    fn what_is_lost_at_the_start_is_lost() {
        assert_eq!(account(&[(3, 0, 0)]).lost, 2);
    }

    #[test]
    fn an_even_stream_has_no_jitter_however_far_the_clocks_are_apart() {
        let even: Vec<_> = (1..100).map(|n| (n, 1_000_000 + n, n)).collect();
        assert!(account(&even).jitter < 1e-9);
    }

    #[test]
    fn jitter_grows_by_a_sixteenth_of_each_difference() {
        // Transit times of 0 and 16 ms: the first estimate is 16 / 16 = 1 ms.
        let jitter = account(&[(1, 0, 0), (2, 1, 17)]).jitter;
        assert!((jitter - 1e-3).abs() < 1e-9, "{jitter}");
    }

    #[test]
    fn a_number_at_the_end_of_the_range_does_no_harm() {
        let account = account(&[(u64::MAX, 0, 0), (u64::MAX, 0, 0), (0, 0, 0)]);
        assert_eq!(account.highest, u64::MAX);
    }
}
