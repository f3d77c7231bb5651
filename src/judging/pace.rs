//! How soon each target can be decided with the schedule that the agents have.

use std::collections::BTreeSet;

use messnetz_metric::{Direction, Metric, Quantity, Segment, UnixMillis};
use messnetz_probes::{dns, icmp, link, stamp, tcp, under_load};
use messnetz_sites::Bilingual;
use messnetz_sites::calendar::{LocalDay, Slot};
use messnetz_sites::decision::{TimeToDecision, time_to_decision};
use messnetz_sites::quantile::Statistic;
use messnetz_sites::site::{Authority, School};
use messnetz_sites::target::{Target, TargetId};
use serde::Serialize;

use super::measured::{timetable, window_of};
use crate::wire::{Peer, Probe, Schedule};

const DAY_MS: f64 = 24.0 * 3_600_000.0;

/// A target against a schedule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pace {
    /// The target.
    pub target: TargetId,
    /// What a planner calls it.
    pub title: Bilingual,
    /// What has to be measured for it.
    pub metric: Metric,
    /// What of it is compared.
    pub statistic: Statistic,
    /// How often the schedule measures it, in samples a day.
    pub samples_a_day: f64,
    /// How many days it takes at least.
    #[serde(flatten)]
    pub time: TimeToDecision,
    /// Whether both words can fall within [`LONGEST_DAYS`](messnetz_sites::decision::LONGEST_DAYS).
    pub is_short: bool,
}

/// How soon the targets of an authority can be decided with a schedule, each target once.
#[must_use]
pub fn paces(authority: &Authority, schedule: &Schedule, now: UnixMillis) -> Vec<Pace> {
    let mut targets: Vec<(&School, &Target)> = Vec::new();
    for school in &authority.schools {
        let of_school = authority
            .known
            .targets_for(authority.profiles_of(school), school);
        for target in of_school {
            if !targets.iter().any(|(_, known)| known.id == target.id) {
                targets.push((school, target));
            }
        }
    }
    let pace = |(school, target)| {
        let share = share_of_day(authority, school, target, now);
        Pace::of(target, schedule, share)
    };
    targets.into_iter().map(pace).collect()
}

/// The share of a day that the target's window has at a school, on the days of the last year on which it
/// is at all.
fn share_of_day(authority: &Authority, school: &School, target: &Target, now: UnixMillis) -> f64 {
    let year = UnixMillis(now.0.saturating_sub(365 * DAY_MS as i64))..=now;
    let timetable = timetable(authority, school, window_of(target, authority), &year);
    let length = |slot: &Slot| slot.interval.to.0 - slot.interval.from.0;
    let all: i64 = timetable.slots().iter().map(length).sum();
    let days: BTreeSet<LocalDay> = timetable.slots().iter().map(|slot| slot.day).collect();
    if days.is_empty() {
        return 0.0;
    }
    (all as f64 / DAY_MS / days.len() as f64).min(1.0)
}

impl Pace {
    /// How soon one target can be decided with a schedule, where its window has this share of its days.
    #[must_use]
    pub fn of(target: &Target, schedule: &Schedule, share: f64) -> Self {
        let yields = |task: &&crate::wire::Task| metrics(&task.probe).contains(&target.metric);
        let samples_a_day: f64 = schedule
            .tasks
            .iter()
            .filter(yields)
            .map(|task| DAY_MS / task.every_ms.max(1) as f64)
            .sum();
        let samples_a_day = samples_a_day * share;
        let time = time_to_decision(target, samples_a_day);
        Self {
            target: target.id.clone(),
            title: target.title.clone(),
            metric: target.metric,
            statistic: target.statistic,
            samples_a_day,
            time,
            is_short: time.is_short(),
        }
    }
}

/// What a probe measures. What lies between agent and gateway is cable or radio: it is counted as both,
/// since the schedule does not know the agents' ports.
fn metrics(probe: &Probe) -> Vec<Metric> {
    const INSIDE: &[Segment] = &[Segment::Lan, Segment::Wlan];
    let (capacity, responsiveness);
    let (segments, quantities): (&[Segment], &[Quantity]) = match probe {
        Probe::Icmp { peer, .. } => match peer {
            Peer::Collector => (&[Segment::Line], icmp::QUANTITIES),
            Peer::Gateway => (INSIDE, icmp::QUANTITIES),
        },
        Probe::Stamp { .. } => (&[Segment::Line], stamp::QUANTITIES),
        Probe::Ndt7 { direction, .. } => {
            capacity = of_capacity(*direction);
            (&[Segment::Line], &capacity)
        }
        Probe::Iperf3 { direction, .. } => {
            capacity = of_capacity(*direction);
            (INSIDE, &capacity)
        }
        Probe::Responsiveness { direction } => {
            responsiveness = [Quantity::Responsiveness(*direction)];
            (&[Segment::Line], &responsiveness)
        }
        Probe::Dns { .. } => (&[Segment::Service], dns::QUANTITIES),
        Probe::Tcp { .. } => (&[Segment::Service], tcp::QUANTITIES),
        Probe::Http { url: Some(_) } => (&[Segment::Service], &PAGE),
        Probe::Http { url: None } => (&[Segment::Line], &PAGE),
        Probe::Link => (INSIDE, link::QUANTITIES),
    };
    let of_segment = |segment: &Segment| {
        let segment = *segment;
        (quantities.iter()).map(move |quantity| Metric::new(segment, *quantity))
    };
    segments.iter().flat_map(of_segment).collect()
}

/// What a capacity test yields: the rate, and what it does to round trips.
const fn of_capacity(direction: Direction) -> [Quantity; 4] {
    let [idle, loaded, added] = under_load::quantities(direction);
    [Quantity::Goodput(direction), idle, loaded, added]
}

/// What a page over TLS yields.
const PAGE: [Quantity; 4] = [
    Quantity::ConnectTime,
    Quantity::TlsTime,
    Quantity::FirstByteTime,
    Quantity::HttpTime,
];

#[cfg(test)]
mod tests {
    use messnetz_metric::Direction;

    use super::*;
    use crate::wire::Task;

    fn test_of(direction: Direction) -> Task {
        Task {
            every_ms: 21_600_000,
            phase_ms: 0,
            interface: None,
            hours: None,
            slots: None,
            probe: Probe::Ndt7 {
                direction,
                duration_ms: 10_000,
                congestion: None,
            },
        }
    }

    #[test]
    fn a_rarer_test_takes_longer_and_one_that_nobody_does_for_ever() {
        let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
        let mut schedule = Schedule {
            upload_every_ms: 30_000,
            budgets: Vec::new(),
            tasks: [Direction::Down, Direction::Up].map(test_of).to_vec(),
        };
        let down = |schedule: &Schedule| {
            let paces = paces(&authority, schedule, UnixMillis(1_780_000_000_000));
            let is_down = |pace: &&Pace| pace.target.as_str() == "de-gigabit/down";
            let found: Vec<&Pace> = paces.iter().filter(is_down).collect();
            assert_eq!(found.len(), 1, "each target once");
            let hundredths = (found[0].samples_a_day * 100.0).round();
            (hundredths, found[0].time.met)
        };
        // Four a day, of which lessons take a part, and 20 samples: six days.
        assert_eq!(down(&schedule), (337.0, Some(6)));
        for task in &mut schedule.tasks {
            task.every_ms *= 16;
        }
        assert_eq!(down(&schedule), (21.0, Some(96)));
        let is_down = |probe: &Probe| matches!(probe, Probe::Ndt7 { direction, .. } if *direction == Direction::Down);
        schedule.tasks.retain(|task| !is_down(&task.probe));
        assert_eq!(down(&schedule), (0.0, None));
    }
}
