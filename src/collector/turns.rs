//! Taking turns: the same schedule for every agent, each at its own phase, so that no two of them
//! fill the town hall's uplink, a school's line or the test server at once. Pure.

use crate::wire::{Schedule, Task};

/// One of several that share a period: number `index` (from 0) of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) index: usize,
    pub(super) of: usize,
}

/// The schedule of an agent. Sites share the period evenly, and the agents of a site its share. Nobody
/// measures for a site that is in the site file no longer: `None` has no tasks.
pub(super) fn schedule_for(template: &Schedule, site: Option<Turn>, agent: Turn) -> Schedule {
    let tasks = site.map_or_else(Vec::new, |site| {
        let task = |task: &Task| Task {
            phase_ms: task
                .phase_ms
                .wrapping_add(shift(task.every_ms, site, agent)),
            ..task.clone()
        };
        template.tasks.iter().map(task).collect()
    });
    Schedule {
        tasks,
        ..template.clone()
    }
}

fn shift(every_ms: u64, site: Turn, agent: Turn) -> u64 {
    let (sites, agents) = (site.of.max(1) as u128, agent.of.max(1) as u128);
    let turn = (site.index as u128 % sites) * agents + agent.index as u128 % agents;
    // Less than a period, which is a u64.
    (u128::from(every_ms) * turn / (sites * agents)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Probe;

    fn template() -> Schedule {
        let task = Task {
            every_ms: 24_000,
            phase_ms: 500,
            interface: None,
            probe: Probe::Link,
        };
        Schedule {
            upload_every_ms: 1,
            budgets: Vec::new(),
            tasks: vec![task],
        }
    }

    fn phases(of_site: usize, agents: usize) -> Vec<u64> {
        (0..agents)
            .map(|index| {
                let site = Turn {
                    index: of_site,
                    of: 3,
                };
                let agent = Turn { index, of: agents };
                schedule_for(&template(), Some(site), agent).tasks[0].phase_ms
            })
            .collect()
    }

    #[test]
    fn sites_take_turns_within_one_period() {
        let first: Vec<u64> = (0..3).flat_map(|site| phases(site, 1)).collect();
        assert_eq!(first, [500, 8_500, 16_500]);
    }

    #[test]
    fn agents_of_one_site_take_turns_within_its_share() {
        assert_eq!(phases(0, 2), [500, 4_500]);
        assert_eq!(phases(1, 1), [8_500]);
        assert_eq!(phases(2, 2), [16_500, 20_500]);
    }

    #[test]
    fn an_agent_of_a_site_that_is_gone_measures_nothing() {
        let schedule = schedule_for(&template(), None, Turn { index: 0, of: 1 });
        assert!(schedule.tasks.is_empty());
        assert_eq!(schedule.upload_every_ms, template().upload_every_ms);
    }
}
