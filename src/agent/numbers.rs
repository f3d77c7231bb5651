//! Which numbers of schedules and lists a collector can have reached by today: they follow its clock. A thief of its key
//! could use up all of them otherwise, and the box would never listen to its collector again.

/// How far the collector's clock may be ahead of this box's, in milliseconds.
const AHEAD_MS: u64 = 24 * 3_600_000;

/// The time by which numbers are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Today {
    /// Milliseconds since 1970, by this box's clock.
    pub(super) now_ms: u64,
    /// Whether a time service has confirmed that.
    pub(super) is_sure: bool,
}

impl Today {
    /// The highest number that is believed after the one that is known. By a clock that nobody confirmed, and that may
    /// be years late, a step of a day is always possible.
    pub(super) fn latest(self, known: u64) -> u64 {
        let now = if self.is_sure {
            self.now_ms
        } else {
            self.now_ms.max(known)
        };
        now.saturating_add(AHEAD_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_370_000_000;

    #[test]
    fn no_number_keeps_a_box_whose_clock_is_right_from_its_collector_for_longer_than_a_day() {
        let sure = Today {
            now_ms: NOW,
            is_sure: true,
        };
        for known in [0, NOW, u64::MAX] {
            assert_eq!(sure.latest(known), NOW + AHEAD_MS);
        }
    }

    #[test]
    fn a_clock_that_is_late_takes_what_follows_what_it_knows() {
        let late = Today {
            now_ms: 5,
            is_sure: false,
        };
        assert_eq!(late.latest(NOW), NOW + AHEAD_MS);
        assert_eq!(late.latest(u64::MAX), u64::MAX);
    }
}
