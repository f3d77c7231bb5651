//! Taking turns: the same schedule for every agent, each at its own phase, so that no two of them
//! fill the town hall's uplink, a school's line or the test server at once. Pure.

use crate::wire::{Probe, Schedule, Task};

/// One of several that share a period: number `index` (from 0) of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) index: usize,
    pub(super) of: usize,
}

/// Where an agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stand<'a> {
    /// Its site's turn among the sites.
    pub(super) site: Turn,
    /// What there is at the site to test against.
    pub(super) endpoint: Option<&'a str>,
}

/// The schedule of an agent. Sites share the period evenly, and the agents of a site its share. Tests against
/// the site's endpoint are for those sites that have one. Nobody measures for a site that is in the site file
/// no longer: `None` has no tasks.
pub(super) fn schedule_for(template: &Schedule, stand: Option<Stand<'_>>, agent: Turn) -> Schedule {
    let tasks = stand.map_or_else(Vec::new, |stand| {
        let task = |task: &Task| {
            let phase = shift(task.every_ms, stand.site, agent);
            Some(Task {
                phase_ms: task.phase_ms.wrapping_add(phase),
                probe: at_site(&task.probe, stand.endpoint)?,
                ..task.clone()
            })
        };
        template.tasks.iter().filter_map(task).collect()
    });
    Schedule {
        tasks,
        ..template.clone()
    }
}

/// A probe with the site's endpoint where it needs one; `None` where the site has none.
fn at_site(probe: &Probe, of_site: Option<&str>) -> Option<Probe> {
    let mut probe = probe.clone();
    if let Probe::Iperf3 {
        endpoint: endpoint @ None,
        ..
    } = &mut probe
    {
        *endpoint = Some(of_site?.to_owned());
    }
    Some(probe)
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
    use messnetz_metric::Direction;

    fn template() -> Schedule {
        let task = Task {
            every_ms: 24_000,
            phase_ms: 500,
            interface: None,
            hours: None,
            slots: None,
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
                let stand = Stand {
                    site: Turn {
                        index: of_site,
                        of: 3,
                    },
                    endpoint: None,
                };
                let agent = Turn { index, of: agents };
                schedule_for(&template(), Some(stand), agent).tasks[0].phase_ms
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

    #[test]
    fn tests_inside_a_school_go_to_its_own_endpoint_and_nowhere_where_there_is_none() {
        let mut template = template();
        let inside = |endpoint: Option<&str>| Probe::Iperf3 {
            endpoint: endpoint.map(str::to_owned),
            direction: Direction::Down,
            duration_ms: 5_000,
            streams: 1,
        };
        let task = |probe| Task {
            every_ms: 24_000,
            phase_ms: 0,
            interface: Some("wlan0".to_owned()),
            hours: None,
            slots: None,
            probe,
        };
        template.tasks = vec![task(inside(None)), task(inside(Some("10.0.0.9")))];
        let probes = |endpoint| {
            let one = Turn { index: 0, of: 1 };
            let stand = Stand {
                site: one,
                endpoint,
            };
            let schedule = schedule_for(&template, Some(stand), one);
            let probes = schedule.tasks.into_iter().map(|task| task.probe);
            probes.collect::<Vec<_>>()
        };
        assert_eq!(probes(None), [inside(Some("10.0.0.9"))]);
        let own = Some("10.1.2.3:5202");
        assert_eq!(probes(own), [inside(own), inside(Some("10.0.0.9"))]);
    }
}
