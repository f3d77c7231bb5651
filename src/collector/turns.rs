//! Taking turns: the same schedule for every site, each at its own phase, so that no two schools
//! fill the town hall's uplink or the test server at once. Pure.

use crate::wire::{Schedule, Task};

/// The schedule of the site that is number `turn` (from 0) of `sites`.
pub(super) fn schedule_for(template: &Schedule, turn: usize, sites: usize) -> Schedule {
    let (turn, sites) = (turn as u64, (sites as u64).max(1));
    let tasks = template
        .tasks
        .iter()
        .map(|task| {
            let shift = u128::from(task.every_ms) * u128::from(turn % sites) / u128::from(sites);
            Task {
                phase_ms: task.phase_ms.wrapping_add(shift as u64),
                ..task.clone()
            }
        })
        .collect();
    Schedule {
        tasks,
        ..template.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Probe;

    #[test]
    fn sites_take_turns_within_one_period() {
        let task = Task {
            every_ms: 24_000,
            phase_ms: 500,
            interface: None,
            probe: Probe::Link,
        };
        let template = Schedule {
            upload_every_ms: 1,
            tasks: vec![task],
        };
        let phases: Vec<u64> = (0..3)
            .map(|turn| schedule_for(&template, turn, 3).tasks[0].phase_ms)
            .collect();
        assert_eq!(phases, [500, 8_500, 16_500]);
    }
}
