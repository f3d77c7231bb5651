//! When a task is due. Pure: the time is passed in.

use crate::wire::Task;

/// Milliseconds since 1970 at which a task is due next, at or after `now`: its phase plus a whole
/// number of periods. All agents count from the same instant, so that different phases never meet.
pub(super) fn next_due(task: &Task, now_ms: u64) -> u64 {
    let every = task.every_ms.max(1);
    let phase = task.phase_ms % every;
    let into_period = (now_ms % every + every - phase) % every;
    if into_period == 0 {
        now_ms
    } else {
        now_ms.saturating_add(every - into_period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Probe;

    fn task(every_ms: u64, phase_ms: u64) -> Task {
        Task {
            every_ms,
            phase_ms,
            interface: None,
            probe: Probe::Link,
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

    proptest::proptest! {
        #[test]
        fn the_next_time_lies_within_one_period(every in 1u64..1_000_000, phase: u64, now in 0..u64::MAX / 2) {
            let due = next_due(&task(every, phase), now);
            proptest::prop_assert!(due >= now && due - now < every);
            proptest::prop_assert_eq!(due % every, phase % every);
        }
    }
}
