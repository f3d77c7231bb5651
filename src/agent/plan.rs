//! What an agent is going to do within a day, and why: the schedule that its collector signed, held against its own
//! limits, what its tests have cost, and the slots that they were done in. Pure, but for [`Plan::of`].

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::civil::DateTime;
use messnetz_metric::{Direction, Failure, UnixMillis};
use messnetz_probes::dns::system_resolvers;
use messnetz_probes::link;
use serde::Serialize;
use thiserror::Error;

use super::budget::Ledger;
use super::due::{Turn, UsedSlots};
use super::limits::{Limits, not_within};
use super::state::{StateDirectory, StateError};
use crate::clock;
use crate::measure::{Reaches, default_route};
use crate::pinned::host_of;
use crate::wire::{Assignment, AssignmentError, Budget, Kind, Peer, Probe, Slot, Task};

/// How far a plan reaches.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// The plan of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// When it begins.
    pub from_unix_ms: u64,
    /// When it ends: 24 hours later.
    pub until_unix_ms: u64,
    /// Which schedule it follows.
    pub serial: u64,
    /// When that was signed, by the collector's clock.
    pub issued_at: UnixMillis,
    /// Its tasks, in the order of the schedule.
    pub tasks: Vec<Planned>,
}

/// What becomes of one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// What is done.
    pub probe: Kind,
    /// Whom it speaks to.
    pub to: String,
    /// Through which interface; through whichever the routing table chooses where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// When it is done next; `None` where it is not done within the day.
    pub next_unix_ms: Option<u64>,
    /// How often within the day.
    pub times: u64,
    /// The slots of a test within the day that were not used yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Slot>,
    /// Why then.
    pub why: String,
    /// Why not, where it is left out, or would be if it were due now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// There is nothing to plan from.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The agent's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its schedule.
    #[error(
        "the schedule that is kept is not followed, and nothing is measured until the collector sends another"
    )]
    Assignment(#[from] AssignmentError),
}

/// What a plan is made from, beside schedule and limits.
pub(super) struct Known<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) used: &'a UsedSlots,
    /// Which addresses the limits leave to tasks, in the networks that this box is in.
    pub(super) reaches: &'a Reaches,
    /// The interface that the default route goes through.
    pub(super) port: Option<&'a str>,
    pub(super) now: UnixMillis,
    /// The same on the clock of this place.
    pub(super) local: DateTime,
}

impl Plan {
    /// The plan of an agent, as things are now.
    ///
    /// # Errors
    /// Where its directory holds no enrolment, or no schedule that verifies.
    pub fn of(state: &StateDirectory, limits: &Limits) -> Result<Self, PlanError> {
        let assignment = state.enrolment()?.assignment()?;
        let resolvers = system_resolvers().unwrap_or_default();
        let resolvers: Vec<IpAddr> = resolvers.iter().map(SocketAddr::ip).collect();
        let own = link::networks();
        let reaches = own.map_or_else(
            |_| Reaches::nowhere(),
            |own| limits.reaches(&own, &resolvers),
        );
        let port = default_route().map(|route| route.interface);
        let known = Known {
            ledger: &state.ledger(),
            used: &state.used_slots(),
            reaches: &reaches,
            port: port.as_deref(),
            now: clock::now(),
            local: clock::local(),
        };
        Ok(Self::from(&assignment, limits, &known))
    }

    pub(super) fn from(assignment: &Assignment, limits: &Limits, known: &Known<'_>) -> Self {
        let from_unix_ms = known.now.0.max(0).cast_unsigned();
        let until_unix_ms = from_unix_ms.saturating_add(DAY_MS);
        let schedule = &assignment.schedule;
        let mut budgets = vec![limits.budget()];
        budgets.extend_from_slice(&schedule.budgets);
        let tasks = limits.admit(schedule).map(|(task, admitted)| {
            let within = admitted.and_then(|()| in_reach(task, known.reaches));
            match within {
                Ok(()) => planned(task, &budgets, known, until_unix_ms),
                Err(failure) => Planned {
                    left_out: Some(printable(&failure.detail)),
                    ..never(task)
                },
            }
        });
        Self {
            from_unix_ms,
            until_unix_ms,
            serial: assignment.serial,
            issued_at: assignment.issued_at,
            tasks: tasks.collect(),
        }
    }

    /// Whether anything is left out.
    #[must_use]
    pub fn leaves_out(&self) -> bool {
        self.tasks.iter().any(|task| task.left_out.is_some())
    }
}

fn never(task: &Task) -> Planned {
    Planned {
        probe: task.probe.kind(),
        to: printable(&whom(&task.probe)),
        interface: task.interface.as_deref().map(printable),
        next_unix_ms: None,
        times: 0,
        slots: Vec::new(),
        why: format!("every {} s, as the schedule says", seconds(task.every_ms)),
        left_out: None,
    }
}

fn planned(task: &Task, budgets: &[Budget], known: &Known<'_>, until_ms: u64) -> Planned {
    let now_ms = known.now.0.max(0).cast_unsigned();
    let leased = task.slots.as_ref().filter(|_| task.probe.is_leased());
    let plan = if let Some(slots) = leased {
        in_slots(task, slots, known.used, (now_ms, until_ms))
    } else {
        let next = Turn::next(task, now_ms).due_ms;
        let times = until_ms.saturating_sub(next).div_ceil(task.every_ms.max(1));
        Planned {
            next_unix_ms: (times > 0).then_some(next),
            times,
            ..never(task)
        }
    };
    let Some(length) = task.probe.saturates_for() else {
        return plan;
    };
    let barred = barred(task, budgets, known, length);
    Planned {
        left_out: plan.left_out.clone().or(barred),
        ..plan
    }
}

fn in_slots(task: &Task, slots: &[Slot], used: &UsedSlots, (now, until): (u64, u64)) -> Planned {
    let within = |slot: &&Slot| (now..until).contains(&slot.at_ms) && !used.contains(slot);
    let mut slots: Vec<Slot> = slots.iter().filter(within).cloned().collect();
    slots.sort_by_key(|slot| slot.at_ms);
    for slot in &mut slots {
        slot.token = printable(&slot.token);
    }
    let left_out = slots.is_empty().then(|| {
        "no slot is leased for it within the day: it rests until the collector sends some"
            .to_owned()
    });
    let hours = task.hours.map(|hours| format!(", within {hours}"));
    Planned {
        next_unix_ms: slots.first().map(|slot| slot.at_ms),
        times: slots.len() as u64,
        why: format!(
            "in slots that the collector leased, one every {} s{}; later within its slot while others use the line",
            seconds(task.every_ms),
            hours.unwrap_or_default()
        ),
        slots,
        left_out,
        ..never(task)
    }
}

/// What would keep a test from beginning now.
fn barred(task: &Task, budgets: &[Budget], known: &Known<'_>, length: Duration) -> Option<String> {
    let interface = task.interface.as_deref().or(known.port);
    let allowed = known.ledger.allows(budgets, interface, known.local, length);
    let failure: Failure = allowed.err()?;
    Some(format!("at present: {}", printable(&failure.detail)))
}

/// Whether the address of a task lies within, where it is one and no name.
fn in_reach(task: &Task, reaches: &Reaches) -> Result<(), Failure> {
    let (address, reach) = match &task.probe {
        Probe::Dns { server, .. } => (*server, &reaches.resolvers),
        Probe::Tcp { target } => (host_of(target).parse().ok(), &reaches.services),
        Probe::Http { url: Some(url) } => {
            let url: Option<http::Uri> = url.parse().ok();
            let host = url.and_then(|url| Some(url.host()?.trim_matches(['[', ']']).to_owned()));
            (host.and_then(|host| host.parse().ok()), &reaches.services)
        }
        Probe::Iperf3 {
            endpoint: Some(endpoint),
            ..
        } => {
            let alone = endpoint.trim_matches(['[', ']']).parse().ok();
            let address = alone.or_else(|| host_of(endpoint).parse().ok());
            (address, &reaches.endpoints)
        }
        _ => return Ok(()),
    };
    match address {
        Some(address) if !reach.includes(address) => Err(not_within(format_args!(
            "{}: {address} is no address that it may speak to (`targets`)",
            task.probe.name()
        ))),
        _ => Ok(()),
    }
}

fn whom(probe: &Probe) -> String {
    let collector = || Peer::Collector.name().to_owned();
    match probe {
        Probe::Icmp { peer, .. } => peer.name().to_owned(),
        Probe::Stamp { .. } => collector(),
        Probe::Ndt7 { direction, .. } | Probe::Responsiveness { direction } => {
            format!("collector, {}", way(*direction))
        }
        Probe::Iperf3 {
            endpoint,
            direction,
            ..
        } => {
            let endpoint = endpoint.as_deref().unwrap_or("no endpoint");
            format!("{endpoint}, {}", way(*direction))
        }
        Probe::Dns { name, server } => match server {
            Some(server) => format!("{server} for {name}"),
            None => format!("this system's resolver for {name}"),
        },
        Probe::Tcp { target } => target.clone(),
        Probe::Http { url } => url.clone().unwrap_or_else(collector),
        Probe::Link => "this box".to_owned(),
    }
}

const fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Down => "down",
        Direction::Up => "up",
    }
}

/// The text of a schedule as it may stand on a terminal.
fn printable(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(200).map(visible).collect()
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{AgentId, CollectorId, SCHEDULE_FORMAT, Schedule};

    const NOW: u64 = 1_795_392_000_000;

    fn task(every_ms: u64, probe: Probe) -> Task {
        Task {
            every_ms,
            phase_ms: 0,
            interface: None,
            hours: None,
            slots: None,
            probe,
        }
    }

    fn test(slots: Option<Vec<Slot>>) -> Task {
        let probe = Probe::Ndt7 {
            direction: Direction::Down,
            duration_ms: 10_000,
            congestion: None,
        };
        Task {
            slots,
            ..task(21_600_000, probe)
        }
    }

    fn slot(after_ms: u64) -> Slot {
        Slot {
            at_ms: NOW + after_ms,
            until_ms: NOW + after_ms + 60_000,
            token: after_ms.to_string(),
        }
    }

    fn plan(tasks: Vec<Task>, used: &UsedSlots, budgets: Vec<Budget>) -> Plan {
        let assignment = Assignment {
            format: SCHEDULE_FORMAT.to_owned(),
            collector: CollectorId::of_key(&[1; 32]),
            agent: AgentId::of_key(&[2; 32]),
            site: "XX-1/x".to_owned(),
            serial: 3,
            issued_at: UnixMillis(4),
            schedule: Schedule {
                budgets,
                tasks,
                ..Schedule::default()
            },
        };
        let limits = Limits::default();
        let known = Known {
            ledger: &Ledger::default(),
            used,
            reaches: &limits.reaches(&["10.1.2.3/24".parse().unwrap()], &[]),
            port: Some("eth0"),
            now: UnixMillis(NOW.cast_signed()),
            local: jiff::civil::date(2026, 11, 23).at(9, 0, 0, 0),
        };
        Plan::from(&assignment, &limits, &known)
    }

    #[test]
    fn a_day_has_every_task_with_its_times_and_its_slots() {
        let mut used = UsedSlots::default();
        used.take(&slot(5_000));
        let slots = [80_000, 5_000, 40_000_000, DAY_MS + 1].map(slot).to_vec();
        let tasks = vec![task(60_000, Probe::Link), test(Some(slots)), test(None)];
        let plan = plan(tasks, &used, Vec::new());
        let [link, leased, periodic] = &plan.tasks[..] else {
            panic!("three tasks")
        };
        assert_eq!((link.times, link.next_unix_ms), (1_440, Some(NOW)));
        assert_eq!((leased.times, leased.next_unix_ms), (2, Some(NOW + 80_000)));
        assert_eq!(
            (leased.to.as_str(), &leased.left_out),
            ("collector, down", &None)
        );
        assert_eq!(periodic.times, 4);
        assert!(!plan.leaves_out());
    }

    #[test]
    fn what_is_left_out_says_why() {
        let tcp = |target: &str| {
            let target = target.to_owned();
            task(60_000, Probe::Tcp { target })
        };
        let iperf3 = task(
            600_000,
            Probe::Iperf3 {
                endpoint: Some("10.9.9.9".to_owned()),
                direction: Direction::Up,
                duration_ms: 1_000,
                streams: 1,
            },
        );
        let night = Budget {
            hours: "20:00-06:00".to_owned().try_into().ok(),
            ..Budget::default()
        };
        let tasks = vec![
            tcp("10.1.2.9:22"),
            iperf3,
            task(1, Probe::Link),
            test(Some(Vec::new())),
            test(Some(vec![slot(5_000)])),
            tcp("x\u{1b}[31m.example:443"),
        ];
        let plan = plan(tasks, &UsedSlots::default(), vec![night]);
        let why = |index: usize| plan.tasks[index].left_out.clone().unwrap_or_default();
        for (index, expected) in [
            (0, "10.1.2.9 is no address"),
            (1, "10.9.9.9 is no address"),
            (2, "`every_ms`"),
            (3, "no slot is leased"),
            (4, "at present: the capacity test through eth0"),
        ] {
            assert!(why(index).contains(expected), "{}", why(index));
            assert_eq!(plan.tasks[index].times, u64::from(index == 4));
        }
        assert_eq!(plan.tasks[5].to, "x\u{fffd}[31m.example:443");
        assert!(plan.leaves_out());
    }

    proptest! {
        #[test]
        fn a_plan_never_reaches_out_of_its_day(every_ms: u64, phase_ms: u64) {
            let task = Task { phase_ms, ..task(every_ms.max(100), Probe::Link) };
            let plan = plan(vec![task], &UsedSlots::default(), Vec::new());
            let planned = &plan.tasks[0];
            if let Some(next) = planned.next_unix_ms {
                prop_assert!((plan.from_unix_ms..plan.until_unix_ms).contains(&next));
                let last = next + (planned.times - 1) * every_ms.max(100);
                prop_assert!(last < plan.until_unix_ms);
            }
        }
    }
}
