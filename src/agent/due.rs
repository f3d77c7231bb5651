//! When a task is due, and until when it may begin. Pure: the time is passed in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::{Slot, Task};

/// A test without a slot that comes this late would run into another site's turn, in milliseconds.
const LATEST_START_MS: u64 = 2_000;

/// A test inside the school may be put off by this part of its period, and by a minute at most.
const PUT_OFF_SHARE: u64 = 20;
const LONGEST_PUT_OFF_MS: u64 = 60_000;

/// How often a test looks whether the line is quiet before it is left out.
const MOST_LOOKS: u8 = 5;

/// Most slots whose use is remembered: more than two days of them.
const MOST_USED: usize = 512;

/// When a task is due next: milliseconds since 1970, at or after `now`. A test of the line is due when its next
/// slot begins, and never where it has none left. Everything else is due at its phase plus a whole number of
/// periods. All agents count from the same instant, so that different phases never meet.
fn next_due(task: &Task, now_ms: u64) -> u64 {
    if let Some(slots) = slots_of(task) {
        let next = slots.iter().map(|slot| slot.at_ms);
        return next.filter(|at| *at >= now_ms).min().unwrap_or(u64::MAX);
    }
    let every = task.every_ms.max(1);
    let phase = task.phase_ms % every;
    let into_period = (now_ms % every + every - phase) % every;
    if into_period == 0 {
        now_ms
    } else {
        now_ms.saturating_add(every - into_period)
    }
}

fn slots_of(task: &Task) -> Option<&[Slot]> {
    task.slots.as_deref().filter(|_| task.probe.is_leased())
}

/// The next time that a task is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// When to begin, or to look again.
    pub(super) due_ms: u64,
    /// When it was due first.
    at_ms: u64,
    /// How often it was put off.
    looks: u8,
}

impl Turn {
    /// The first at or after `now`.
    pub(super) fn next(task: &Task, now_ms: u64) -> Self {
        let due_ms = next_due(task, now_ms);
        Self {
            due_ms,
            at_ms: due_ms,
            looks: 0,
        }
    }

    /// The slot that it is done in.
    pub(super) fn slot<'a>(&self, task: &'a Task) -> Option<&'a Slot> {
        let mut slots = slots_of(task)?.iter();
        slots.find(|slot| slot.at_ms == self.at_ms)
    }

    /// The latest time at which a test of this length may begin.
    pub(super) fn latest_ms(&self, task: &Task, length_ms: u64) -> u64 {
        let in_slot = self
            .slot(task)
            .map(|slot| slot.until_ms.saturating_sub(length_ms));
        let inside = || {
            let share = task.every_ms / PUT_OFF_SHARE;
            self.at_ms.saturating_add(share.min(LONGEST_PUT_OFF_MS))
        };
        let latest = in_slot.unwrap_or_else(|| if task.probe.is_leased() { 0 } else { inside() });
        latest.max(self.at_ms.saturating_add(LATEST_START_MS))
    }

    /// Puts a test off that may begin until `latest`, because the line is busy; `false` where it may not be put off
    /// any more.
    pub(super) fn put_off(&mut self, now_ms: u64, latest_ms: u64) -> bool {
        let left = latest_ms.saturating_sub(now_ms);
        let looks_left = u64::from(MOST_LOOKS.saturating_sub(self.looks + 1));
        if looks_left == 0 || left < LATEST_START_MS {
            return false;
        }
        self.looks += 1;
        self.due_ms = now_ms.saturating_add((left / looks_left).max(1));
        true
    }
}

/// The slots that were used: each is for one test, also after a restart and where the clock is set back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UsedSlots(BTreeMap<u64, String>);

impl UsedSlots {
    /// Whether a slot was used.
    pub(super) fn contains(&self, slot: &Slot) -> bool {
        self.0.values().any(|token| *token == slot.token)
    }

    /// Uses a slot up; `false` where it was used before.
    pub(super) fn take(&mut self, slot: &Slot) -> bool {
        if self.contains(slot) {
            return false;
        }
        self.0.insert(slot.until_ms, slot.token.clone());
        while self.0.len() > MOST_USED {
            self.0.pop_first();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Probe;
    use messnetz_metric::Direction;

    fn task(every_ms: u64, phase_ms: u64) -> Task {
        Task {
            every_ms,
            phase_ms,
            interface: None,
            hours: None,
            slots: None,
            probe: Probe::Link,
        }
    }

    fn slot(at_ms: u64, until_ms: u64) -> Slot {
        Slot {
            at_ms,
            until_ms,
            token: at_ms.to_string(),
        }
    }

    fn test(slots: Vec<Slot>) -> Task {
        Task {
            slots: Some(slots),
            probe: Probe::Ndt7 {
                direction: Direction::Down,
                duration_ms: 10_000,
                congestion: None,
            },
            ..task(3_600_000, 0)
        }
    }

    #[test]
    fn a_task_is_due_at_its_phase() {
        assert_eq!(next_due(&task(100, 30), 0), 30);
        assert_eq!(next_due(&task(100, 30), 30), 30);
        assert_eq!(next_due(&task(100, 30), 31), 130);
        assert_eq!(next_due(&task(100, 0), 1), 100);
    }

    #[test]
    fn a_period_of_zero_is_no_division_by_zero() {
        assert_eq!(next_due(&task(0, 7), 5), 5);
    }

    #[test]
    fn a_test_is_due_in_its_slots_and_rests_when_none_is_left() {
        let test = test(vec![slot(70_000, 110_000), slot(20_000, 60_000)]);
        assert_eq!(next_due(&test, 0), 20_000);
        assert_eq!(next_due(&test, 20_001), 70_000);
        assert_eq!(next_due(&test, 70_001), u64::MAX);
        let turn = Turn::next(&test, 0);
        assert_eq!(turn.slot(&test).unwrap().until_ms, 60_000);
        assert_eq!(turn.latest_ms(&test, 10_000), 50_000);
    }

    #[test]
    fn a_test_is_put_off_within_its_slot_and_not_for_ever() {
        let test = test(vec![slot(20_000, 60_000)]);
        let mut turn = Turn::next(&test, 0);
        let latest = turn.latest_ms(&test, 10_000);
        let mut now = 20_000;
        let mut times = 0;
        while turn.put_off(now, latest) {
            assert!(turn.due_ms > now && turn.due_ms <= latest, "{turn:?}");
            assert_eq!(turn.slot(&test).unwrap().at_ms, 20_000);
            now = turn.due_ms;
            times += 1;
        }
        assert!((2..5).contains(&times), "{times}");
    }

    #[test]
    fn a_test_without_a_slot_begins_at_once_or_not_at_all_and_one_inside_may_wait() {
        let test = Task {
            slots: None,
            ..test(Vec::new())
        };
        assert_eq!(Turn::next(&test, 0).latest_ms(&test, 10_000), 2_000);
        let inside = task(600_000, 0);
        assert_eq!(Turn::next(&inside, 0).latest_ms(&inside, 5_000), 30_000);
    }

    #[test]
    fn a_slot_is_used_once_also_after_a_restart() {
        let mut used = UsedSlots::default();
        assert!(used.take(&slot(1, 2)) && used.take(&slot(2, 3)));
        let text = serde_json::to_string(&used).unwrap();
        let mut used: UsedSlots = serde_json::from_str(&text).unwrap();
        assert!(!used.take(&slot(1, 2)) && !used.take(&slot(2, 3)) && used.take(&slot(3, 4)));
        for at in 10..2_000 {
            used.take(&slot(at, at + 1));
        }
        assert_eq!(used.0.len(), MOST_USED);
    }

    proptest::proptest! {
        #[test]
        fn the_next_time_lies_within_one_period(every in 1u64..1_000_000, phase: u64, now in 0..u64::MAX / 2) {
            let due = next_due(&task(every, phase), now);
            proptest::prop_assert!(due >= now && due - now < every);
            proptest::prop_assert_eq!(due % every, phase % every);
        }
    }
}
