//! What the agent takes the time to be. Pure: what the clocks say is passed in.
//!
//! Measurements are stamped by the time since the boot, which nobody can set. What is added to it to make a time
//! of day is settled once: as soon as a time service says that the wall clock is right, or else as it stood. So a
//! step of the wall clock neither reorders measurements nor makes a gap between them. A *stretch* is a time within
//! one boot in which the same was added; another begins only where the clock became known after something had been
//! sent without.

use messnetz_metric::UnixMillis;

use crate::clock::Look;

/// A time that has passed for whoever runs this program (2026-01-01): an earlier clock has no battery.
pub(super) const HAS_PASSED: UnixMillis = UnixMillis(1_767_225_600_000);

/// Clocks that differ by less are not told apart: time services slew what is less.
const STEP_MS: u64 = 1_000;

/// So long after a boot a time service gets to set the clock before anything is sent with a time that it has not
/// confirmed.
const SETTLING_MS: i64 = 180_000;

/// So long after a boot is waited for a clock that is certainly wrong; then what was measured is sent as undated.
const LONGEST_WAIT_MS: i64 = 3_600_000;

/// How the time since the boot becomes a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeline {
    /// What is added to the time since the boot.
    pub(super) offset_ms: i64,
    /// Whether a time service has confirmed it.
    pub(super) synchronised: bool,
    /// Whether it can be right: what lies before a time that has passed cannot.
    pub(super) dated: bool,
    /// Whether something with this offset has been sent.
    pub(super) told: bool,
    /// How far the wall clock has been set away since; 0 where it was not.
    pub(super) stepped_ms: i64,
}

/// What a look at the clocks changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing of what was measured so far.
    Same,
    /// All that was measured in this boot has the new offset, and nothing of it was sent before.
    Corrected,
    /// The same, and what was sent before had another offset: this is another stretch.
    Anew,
}

impl Timeline {
    /// As the clocks say in the beginning; `past` is a time that has certainly passed.
    pub(super) fn begin(look: Look, past: UnixMillis) -> Self {
        Self {
            offset_ms: look.wall_ms.saturating_sub(look.up_ms),
            synchronised: look.synchronised,
            dated: look.synchronised || look.wall_ms >= past.0,
            told: false,
            stepped_ms: 0,
        }
    }

    /// The time of day at a time since the boot.
    pub(super) fn at(&self, up_ms: i64) -> UnixMillis {
        UnixMillis(up_ms.saturating_add(self.offset_ms))
    }

    /// Takes a later look at the clocks.
    pub(super) fn look(&mut self, look: Look, past: UnixMillis) -> Turn {
        let offset_ms = look.wall_ms.saturating_sub(look.up_ms);
        let is_possible = look.synchronised || look.wall_ms >= past.0;
        let becomes_known =
            (look.synchronised && !self.synchronised) || (is_possible && !self.dated);
        let stepped_ms = offset_ms.saturating_sub(self.offset_ms);
        let has_stepped = stepped_ms.unsigned_abs() >= STEP_MS;
        if !becomes_known {
            self.stepped_ms = if has_stepped { stepped_ms } else { 0 };
            return Turn::Same;
        }
        self.synchronised |= look.synchronised;
        self.dated = true;
        self.stepped_ms = 0;
        if !has_stepped {
            return Turn::Same;
        }
        self.offset_ms = offset_ms;
        if std::mem::replace(&mut self.told, false) {
            Turn::Anew
        } else {
            Turn::Corrected
        }
    }

    /// Whether what was measured may be sent with the times that it has now.
    pub(super) fn may_be_told(&self, up_ms: i64) -> bool {
        self.told
            || self.synchronised
            || (self.dated && up_ms >= SETTLING_MS)
            || up_ms >= LONGEST_WAIT_MS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;
    const TODAY: i64 = 1_795_370_000_000;

    fn look(up_ms: i64, wall_ms: i64, synchronised: bool) -> Look {
        Look {
            up_ms,
            wall_ms,
            synchronised,
            since_sync_s: None,
        }
    }

    #[test]
    fn a_box_without_a_battery_dates_what_it_measured_before_the_first_synchronisation() {
        let mut timeline = Timeline::begin(look(10_000, 12_000, false), HAS_PASSED);
        assert!(!timeline.dated && !timeline.may_be_told(SETTLING_MS));
        let turn = timeline.look(look(70_000, TODAY, true), HAS_PASSED);
        assert_eq!(turn, Turn::Corrected);
        assert_eq!(timeline.at(10_000), UnixMillis(TODAY - 60_000));
        assert!(timeline.dated && timeline.may_be_told(70_000));
    }

    #[test]
    fn a_clock_that_never_becomes_known_is_waited_for_an_hour_and_then_told_as_undated() {
        let mut timeline = Timeline::begin(look(0, 5, false), HAS_PASSED);
        assert!(!timeline.may_be_told(HOUR - 1));
        assert_eq!(
            timeline.look(look(HOUR, HOUR, false), HAS_PASSED),
            Turn::Same
        );
        assert!(timeline.may_be_told(HOUR) && !timeline.dated);
    }

    #[test]
    fn a_clock_that_becomes_known_after_something_was_sent_begins_another_stretch() {
        let mut timeline = Timeline::begin(look(0, TODAY - HOUR, false), HAS_PASSED);
        assert!(!timeline.may_be_told(SETTLING_MS - 1) && timeline.may_be_told(SETTLING_MS));
        timeline.told = true;
        let turn = timeline.look(look(HOUR, TODAY + HOUR, true), HAS_PASSED);
        assert_eq!(
            (turn, timeline.at(HOUR)),
            (Turn::Anew, UnixMillis(TODAY + HOUR))
        );
    }

    #[test]
    fn a_step_of_a_clock_that_was_known_is_told_and_changes_no_time() {
        let mut timeline = Timeline::begin(look(0, TODAY, true), HAS_PASSED);
        for step in [30 * 24 * HOUR, -HOUR, 900] {
            let turn = timeline.look(look(60_000, TODAY + 60_000 + step, true), HAS_PASSED);
            assert_eq!(turn, Turn::Same);
            assert_eq!(timeline.at(60_000), UnixMillis(TODAY + 60_000));
            let told = if step == 900 { 0 } else { step };
            assert_eq!(timeline.stepped_ms, told);
        }
    }

    proptest! {
        /// Whoever sets the clock however, and whenever something is sent: within a stretch, between two
        /// measurements lies what passed between them, so that none goes back and no gap is longer than it was.
        #[test]
        fn within_a_stretch_the_times_that_are_sent_differ_by_what_passed(
            steps in proptest::collection::vec(
                (0..10 * HOUR, any::<bool>(), prop_oneof![Just(0), -3 * TODAY..3 * TODAY, -2_000..2_000_i64], any::<bool>()),
                1..60,
            ),
            starts_at in 0..2 * TODAY,
        ) {
            let mut up = 0;
            let mut wall = starts_at;
            let mut timeline = Timeline::begin(look(up, wall, false), HAS_PASSED);
            let (mut waiting, mut sent) = (Vec::new(), Vec::new());
            for (passed, synchronised, step, is_sent) in steps {
                up += passed;
                wall = (wall + passed + step).max(0);
                waiting.push(up);
                if timeline.look(look(up, wall, synchronised), HAS_PASSED) == Turn::Anew {
                    sent.clear();
                }
                if is_sent && timeline.may_be_told(up) {
                    sent.extend(waiting.drain(..).map(|up| (up, timeline.at(up).0)));
                    timeline.told = true;
                }
                for pair in sent.windows(2) {
                    let [(up_before, before), (up_after, after)] = *pair else { continue };
                    prop_assert!(after >= before);
                    prop_assert_eq!(after - before, up_after - up_before);
                }
            }
        }
    }
}
