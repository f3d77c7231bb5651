//! What this agent has done lately, held against its limits: however often a collector changes the schedule, no
//! more is done than the limits allow. Pure: time and costs are passed in.

use std::collections::BTreeMap;
use std::time::Duration;

use messnetz_metric::Failure;

use super::limits::{Limits, Subject, not_within};
use crate::wire::Task;

/// A target counts for so long after it was last spoken to.
const DAY: Duration = Duration::from_hours(24);

/// Most different things that are done within their periods.
const MAX_SUBJECTS: usize = 1_024;

/// What was done. All times are since some instant that no clock step moves.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    /// For each thing that was done: when it may be done again, were it done evenly (the theoretical arrival time
    /// of the generic cell rate algorithm, ITU-T I.371).
    next: BTreeMap<Subject, Duration>,
    /// The targets of the last 24 hours, and when each was last spoken to.
    targets: BTreeMap<String, Duration>,
}

impl Conduct {
    /// Whether a task may be done now through this interface; it is then taken to be done.
    ///
    /// A task that comes early once, because the one before was late, is done: within any time that is n of its
    /// shortest periods long it is done n + 2 times at most.
    ///
    /// # Errors
    /// The limit that stands in the way.
    pub(super) fn begin(
        &mut self,
        limits: &Limits,
        task: &Task,
        interface: Option<&str>,
        now: Duration,
    ) -> Result<(), Failure> {
        limits.check(task)?;
        let subject = Subject::of(task);
        let kind = subject.kind.name();
        if !interface.is_none_or(|name| limits.is_open(name)) {
            let name = interface.unwrap_or_default();
            return Err(not_within(format_args!(
                "{kind}: the way out is {name}, which is not among its `interfaces`"
            )));
        }
        let shortest = Duration::from_millis(limits.shortest(&subject));
        self.next.retain(|_, next| *next > now);
        let next = self.next.get(&subject).copied().unwrap_or(now);
        if next > now + shortest {
            return Err(not_within(format_args!(
                "{kind}: it was done less than {} ms ago (`every_ms`)",
                shortest.as_millis()
            )));
        }
        if self.next.len() >= MAX_SUBJECTS && !self.next.contains_key(&subject) {
            return Err(not_within(format_args!(
                "{kind}: {MAX_SUBJECTS} other things were done lately"
            )));
        }
        if let Some(target) = subject.counted() {
            self.targets
                .retain(|_, last| now.saturating_sub(*last) < DAY);
            if self.targets.len() >= limits.targets.a_day && !self.targets.contains_key(&target) {
                return Err(not_within(format_args!(
                    "{kind}: {} other targets were spoken to within 24 hours (`targets.a_day`)",
                    self.targets.len()
                )));
            }
            self.targets.insert(target, now);
        }
        self.next.insert(subject, next + shortest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use messnetz_metric::Direction;
    use proptest::prelude::*;

    use super::*;
    use crate::agent::budget::{Cost, Ledger};
    use crate::agent::limits::{Periods, Tests};
    use crate::wire::{Burst, Kind, Peer, Probe};

    fn direction() -> impl Strategy<Value = Direction> {
        prop_oneof![Just(Direction::Up), Just(Direction::Down)]
    }

    fn probe() -> impl Strategy<Value = Probe> {
        let burst = || {
            (1..2_000_u16, 0..50_u32).prop_map(|(count, interval_ms)| Burst {
                count,
                interval_ms,
                timeout_ms: 1_500,
            })
        };
        let host = || (0..12_u8).prop_map(|host| format!("h{host}.example"));
        let icmp = burst().prop_map(|burst| Probe::Icmp {
            peer: Peer::Gateway,
            burst,
        });
        let ndt7 = (direction(), 0..40_000_u32).prop_map(|(direction, duration_ms)| Probe::Ndt7 {
            direction,
            duration_ms,
            congestion: None,
        });
        let iperf3 = (host(), direction()).prop_map(|(host, direction)| Probe::Iperf3 {
            endpoint: Some(host),
            direction,
            duration_ms: 5_000,
            streams: 1,
        });
        let tcp = host().prop_map(|host| Probe::Tcp {
            target: format!("{host}:80"),
        });
        let http = proptest::option::of(host()).prop_map(|host| Probe::Http {
            url: host.map(|host| format!("https://{host}/")),
        });
        let dns = host().prop_map(|name| Probe::Dns { name, server: None });
        let responsiveness = direction().prop_map(|direction| Probe::Responsiveness { direction });
        let stamp = burst().prop_map(|burst| Probe::Stamp { burst });
        prop_oneof![
            icmp,
            stamp,
            ndt7,
            iperf3,
            responsiveness,
            dns,
            tcp,
            http,
            Just(Probe::Link)
        ]
    }

    /// What a hostile collector asks for next, and how long after the one before.
    fn wish() -> impl Strategy<Value = (Task, Duration)> {
        let interface = prop_oneof![
            Just(None),
            Just(Some("eth0".to_owned())),
            Just(Some("wlan0".to_owned()))
        ];
        let waits = prop_oneof![0..50_u64, 0..5_000_u64, 0..4_000_000_u64];
        (probe(), 0..2_000_000_u64, interface, waits).prop_map(
            |(probe, every_ms, interface, wait)| {
                let task = Task {
                    every_ms,
                    phase_ms: 0,
                    interface,
                    hours: None,
                    slots: None,
                    probe,
                };
                (task, Duration::from_millis(wait))
            },
        )
    }

    fn limits() -> Limits {
        let mut limits = Limits {
            interfaces: Some(BTreeSet::from(["eth0".to_owned()])),
            every_ms: Periods {
                near: 200,
                services: 1_000,
                tests: 20_000,
            },
            tests: Tests {
                longest_ms: 20_000,
                seconds_a_day: 60,
                bytes_a_day: 1_000,
            },
            ..Limits::default()
        };
        limits.probes.remove(&Kind::Stamp);
        limits.targets.a_day = 5;
        limits.targets.hosts = Some((0..9).map(|host| format!("h{host}.example")).collect());
        limits
    }

    /// Everything that was done of these wishes, and when.
    fn done(limits: &Limits, wishes: &[(Task, Duration)]) -> Vec<(Task, Duration)> {
        let (mut conduct, mut ledger) = (Conduct::default(), Ledger::default());
        let midnight = jiff::civil::date(2026, 11, 23).at(0, 0, 0, 0);
        let (mut now, mut done) = (Duration::ZERO, Vec::new());
        for (task, wait) in wishes {
            now += *wait;
            let clock = midnight + jiff::SignedDuration::try_from(now).unwrap();
            if let Some(length) = task.probe.saturates_for()
                && ledger
                    .allows(&[limits.budget()], Some("eth0"), clock, length)
                    .is_err()
            {
                continue;
            }
            if conduct.begin(limits, task, Some("eth0"), now).is_ok() {
                if let Some(length) = task.probe.saturates_for() {
                    ledger.spend("eth0", clock.date(), Cost::new(120, length));
                }
                done.push((task.clone(), now));
            }
        }
        done
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_what_is_done_stays_within_the_limits(
            wishes in proptest::collection::vec(wish(), 1..200)
        ) {
            let limits = limits();
            let done = done(&limits, &wishes);
            for (task, _) in &done {
                prop_assert!(task.probe.kind() != Kind::Stamp);
                prop_assert!(task.interface.as_deref() != Some("wlan0"));
                if let Some(length) = task.probe.saturates_for() {
                    prop_assert!(length <= Duration::from_secs(20));
                }
                if let Probe::Icmp { burst, .. } = task.probe {
                    prop_assert!(burst.interval_ms >= 5);
                }
                for closed in ["h9.", "h10.", "h11."] {
                    let target = match &task.probe {
                        Probe::Tcp { target } => target.clone(),
                        Probe::Http { url } => url.clone().unwrap_or_default(),
                        _ => String::new(),
                    };
                    prop_assert!(!target.contains(closed), "{target}");
                }
            }
            for (index, (task, at)) in done.iter().enumerate() {
                let subject = Subject::of(task);
                let shortest = Duration::from_millis(limits.shortest(&subject));
                let same = || done[..=index].iter().filter(|(other, _)| Subject::of(other) == subject);
                for (nth, (_, before)) in same().rev().enumerate() {
                    let times = u32::try_from(nth + 1).unwrap();
                    prop_assert!(*before + shortest * times <= *at + shortest * 2, "{subject:?}");
                }
                let day = || done[..=index].iter().filter(|(_, before)| *at < *before + DAY);
                let targets: BTreeSet<String> =
                    day().filter_map(|(task, _)| Subject::of(task).counted()).collect();
                prop_assert!(targets.len() <= 5, "{targets:?}");
            }
            let mut days: BTreeMap<u64, (Duration, u64)> = BTreeMap::new();
            for (task, at) in &done {
                if let Some(length) = task.probe.saturates_for() {
                    let day = days.entry(at.as_secs() / 86_400).or_default();
                    *day = (day.0 + length, day.1 + 120);
                }
            }
            for (seconds, bytes) in days.into_values() {
                prop_assert!(seconds <= Duration::from_mins(1) && bytes <= 1_000);
            }
        }
    }

    #[test]
    fn what_the_limits_allow_is_done_though_one_of_them_came_late() {
        let task = Task {
            every_ms: 1_000,
            phase_ms: 0,
            interface: None,
            hours: None,
            slots: None,
            probe: Probe::Link,
        };
        let limits = Limits {
            every_ms: Periods {
                near: 1_000,
                ..Periods::default()
            },
            ..Limits::default()
        };
        let mut conduct = Conduct::default();
        for at in [0, 1_400, 2_000, 3_000, 4_000] {
            let now = Duration::from_millis(at);
            conduct.begin(&limits, &task, None, now).unwrap();
        }
    }
}
