//! How long to wait after an upload that failed. Pure: chance is passed in.
//!
//! After an outage all agents fail at the same moment. Were they to come again at the same moment too, the
//! next failure would be the collector's; so each waits a while of its own.

use std::time::Duration;

/// First and longest pause that an agent chooses by itself.
const OWN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// Longest pause that a collector can ask for: one that has lost its senses must not silence an agent for days.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// The pauses of one row of failures.
#[derive(Debug)]
pub(super) struct BackOff {
    next: Duration,
}

impl BackOff {
    pub(super) const fn new() -> Self {
        Self { next: OWN.0 }
    }

    /// Something arrived: the next failure is a first one.
    pub(super) const fn reset(&mut self) {
        self.next = OWN.0;
    }

    /// The pause after a failure: twice the last one, never less than the collector `asked` for, and up to half
    /// as long again by `chance`, which is anything from 0 to 1.
    pub(super) fn pause(&mut self, asked: Option<Duration>, chance: f64) -> Duration {
        let own = self.next;
        self.next = (own * 2).min(OWN.1);
        let least = own.max(asked.unwrap_or_default().min(LONGEST_ASKED));
        least.mul_f64(1.0 + chance / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_an_upload() {
        let mut back_off = BackOff::new();
        let pauses: Vec<u64> = (0..11)
            .map(|_| back_off.pause(None, 0.0).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        back_off.reset();
        assert_eq!(back_off.pause(None, 0.0), SECOND);
    }

    #[test]
    fn nobody_comes_earlier_than_asked_and_nobody_is_sent_away_for_days() {
        let pause = |asked, chance| BackOff::new().pause(Some(asked), chance);
        assert_eq!(pause(SECOND * 40, 0.0), SECOND * 40);
        assert_eq!(pause(SECOND * 40, 1.0), SECOND * 60);
        assert_eq!(pause(Duration::ZERO, 0.0), SECOND);
        assert_eq!(pause(Duration::MAX, 1.0), Duration::from_mins(90));
    }

    #[test]
    fn ten_thousand_that_were_told_the_same_come_evenly() {
        let mut seconds = [0; 20];
        for index in 0..10_000_u32 {
            let chance = f64::from(index) / 10_000.0;
            let pause = BackOff::new().pause(Some(SECOND * 40), chance);
            seconds[usize::try_from(pause.as_secs()).unwrap() - 40] += 1;
        }
        assert!(
            seconds.iter().all(|count| (450..=550).contains(count)),
            "{seconds:?}"
        );
    }
}
