//! The schedule as the operator writes it: strict, where the wire is lenient, because a misspelt key or a
//! figure in the wrong unit would fill a school's line all day.

use std::net::IpAddr;
use std::time::Duration;

use messnetz_metric::Direction;
use messnetz_probes::tcp_info::Congestion;
use serde::Deserialize;

use crate::wire::{Budget, Burst, Hours, Kind, MAX_TASKS, Peer, Probe, Schedule, Task};

/// A saturating test may take this part of its period at most.
const LARGEST_SHARE: u64 = 6;

/// Longest saturating test in milliseconds (ndt7 spec v0.11: up to 10 s).
const LONGEST_TEST_MS: u32 = 10_000;

/// Most TCP streams of a test inside a school.
const MOST_STREAMS: u8 = 16;

/// Shortest period in milliseconds.
const SHORTEST_PERIOD_MS: u64 = 100;

/// Longest burst in milliseconds: while it lasts nothing else is measured.
const LONGEST_BURST_MS: u32 = 60_000;

/// Longest burst of a watch, beside which everything else is measured: it is told of when it is over.
const LONGEST_WATCH_MS: u32 = 600_000;

/// Most budgets in a schedule.
const MAX_BUDGETS: usize = 16;

/// Longest name or address in a task, in characters.
const LONGEST_TEXT: usize = 200;

/// A schedule from a configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSchedule {
    #[serde(default = "default_upload_every_ms")]
    upload_every_ms: u64,
    #[serde(default)]
    task: Vec<ConfiguredTask>,
    #[serde(default)]
    budget: Vec<WrittenBudget>,
}

/// A budget as the operator writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBudget {
    interface: Option<String>,
    bytes_a_day: Option<u64>,
    bytes_a_month: Option<u64>,
    seconds_a_day: Option<u32>,
    hours: Option<Hours>,
}

impl From<WrittenBudget> for Budget {
    fn from(written: WrittenBudget) -> Self {
        let WrittenBudget {
            interface,
            bytes_a_day,
            bytes_a_month,
            seconds_a_day,
            hours,
        } = written;
        Self {
            interface,
            bytes_a_day,
            bytes_a_month,
            seconds_a_day,
            hours,
        }
    }
}

fn default_upload_every_ms() -> u64 {
    30_000
}

impl WrittenSchedule {
    /// The schedule for an authority of which so many sites test one after another.
    ///
    /// # Errors
    /// Where the sites' capacity tests cannot take turns, or there are too many tasks: what is wrong, and
    /// what would be right.
    pub(super) fn check(self, sites: usize) -> Result<Schedule, String> {
        let tasks: Vec<Task> = self.task.into_iter().map(|task| task.0).collect();
        if self.budget.len() > MAX_BUDGETS {
            return Err(format!(
                "{} budgets are more than {MAX_BUDGETS}",
                self.budget.len()
            ));
        }
        if tasks.len() > MAX_TASKS {
            return Err(format!("{} tasks are more than {MAX_TASKS}", tasks.len()));
        }
        let tests: Vec<(u64, u64)> = tasks
            .iter()
            .filter(|task| task.probe.is_leased())
            .filter_map(|task| {
                Some((
                    task.every_ms,
                    task.probe.saturates_for()?.as_millis() as u64,
                ))
            })
            .collect();
        // Slots are as long as the longest test.
        let longest = tests.iter().map(|(_, duration)| *duration).max();
        let together = longest.unwrap_or_default() * tests.len() as u64;
        let needed = together.saturating_mul(sites as u64);
        match tests.iter().map(|(every, _)| *every).min() {
            Some(every) if needed > every => Err(format!(
                "the capacity tests of {sites} sites take {needed} ms one after another, which does not fit into their every_ms of {every}"
            )),
            _ => Ok(Schedule {
                upload_every_ms: self.upload_every_ms,
                budgets: self.budget.into_iter().map(Budget::from).collect(),
                tasks,
            }),
        }
    }
}

/// A task whose keys belong to its probe and whose figures are possible.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "WrittenTask")]
struct ConfiguredTask(Task);

/// All keys of all probes, so that an unknown one is refused where it stands.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTask {
    probe: Kind,
    every_ms: u64,
    #[serde(default)]
    phase_ms: u64,
    interface: Option<String>,
    hours: Option<Hours>,
    peer: Option<Peer>,
    count: Option<u16>,
    interval_ms: Option<u32>,
    timeout_ms: Option<u32>,
    direction: Option<Direction>,
    duration_ms: Option<u32>,
    congestion: Option<Congestion>,
    endpoint: Option<String>,
    streams: Option<u8>,
    name: Option<String>,
    server: Option<IpAddr>,
    target: Option<String>,
    url: Option<String>,
}

impl TryFrom<WrittenTask> for ConfiguredTask {
    type Error = String;

    fn try_from(written: WrittenTask) -> Result<Self, String> {
        written.only_keys_of_its_probe()?;
        let WrittenTask {
            every_ms,
            phase_ms,
            ref interface,
            hours,
            ..
        } = written;
        if every_ms < SHORTEST_PERIOD_MS {
            return Err(format!(
                "every_ms = {every_ms} is below {SHORTEST_PERIOD_MS}"
            ));
        }
        let interface = interface.clone();
        let probe = written.probe()?;
        Ok(Self(Task {
            every_ms,
            phase_ms,
            interface,
            hours,
            slots: None,
            probe,
        }))
    }
}

impl WrittenTask {
    /// The keys that stand here, beside those that every task has.
    fn own_keys(&self) -> impl Iterator<Item = &'static str> {
        [
            ("hours", self.hours.is_some()),
            ("peer", self.peer.is_some()),
            ("count", self.count.is_some()),
            ("interval_ms", self.interval_ms.is_some()),
            ("timeout_ms", self.timeout_ms.is_some()),
            ("direction", self.direction.is_some()),
            ("duration_ms", self.duration_ms.is_some()),
            ("congestion", self.congestion.is_some()),
            ("endpoint", self.endpoint.is_some()),
            ("streams", self.streams.is_some()),
            ("name", self.name.is_some()),
            ("server", self.server.is_some()),
            ("target", self.target.is_some()),
            ("url", self.url.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, stands_here)| stands_here.then_some(key))
    }

    fn only_keys_of_its_probe(&self) -> Result<(), String> {
        let allowed: &[&str] = match self.probe {
            Kind::Icmp => &["peer", "count", "interval_ms", "timeout_ms"],
            Kind::Stamp => &["count", "interval_ms", "timeout_ms"],
            Kind::Ndt7 => &["hours", "direction", "duration_ms", "congestion"],
            Kind::Iperf3 => &["hours", "endpoint", "direction", "duration_ms", "streams"],
            Kind::Responsiveness => &["hours", "direction"],
            Kind::Dns => &["name", "server"],
            Kind::Tcp => &["target"],
            Kind::Http => &["url"],
            Kind::Link => &[],
        };
        match self.own_keys().find(|key| !allowed.contains(key)) {
            Some(key) => Err(format!(
                "`{key}` does not belong to this probe; it takes {allowed:?}"
            )),
            None => Ok(()),
        }
    }

    fn probe(self) -> Result<Probe, String> {
        let needs = |key: &str| format!("this probe needs `{key}`");
        Ok(match self.probe {
            Kind::Icmp => Probe::Icmp {
                peer: self.peer.ok_or_else(|| needs("peer"))?,
                burst: self.burst()?,
            },
            Kind::Stamp => Probe::Stamp {
                burst: self.burst()?,
            },
            Kind::Ndt7 => Probe::Ndt7 {
                duration_ms: self.saturating()?,
                direction: self.direction.ok_or_else(|| needs("direction"))?,
                congestion: self.congestion,
            },
            Kind::Iperf3 => {
                let streams = self.streams.unwrap_or(1);
                if !(1..=MOST_STREAMS).contains(&streams) {
                    return Err(format!(
                        "streams = {streams} is not between 1 and {MOST_STREAMS}"
                    ));
                }
                Probe::Iperf3 {
                    duration_ms: self.saturating()?,
                    direction: self.direction.ok_or_else(|| needs("direction"))?,
                    endpoint: self.endpoint.map(short).transpose()?,
                    streams,
                }
            }
            Kind::Responsiveness => {
                let direction = self.direction.ok_or_else(|| needs("direction"))?;
                let probe = Probe::Responsiveness { direction };
                self.seldom(probe.saturates_for().unwrap_or_default())?;
                probe
            }
            Kind::Dns => Probe::Dns {
                name: short(self.name.ok_or_else(|| needs("name"))?)?,
                server: self.server,
            },
            Kind::Tcp => Probe::Tcp {
                target: short(self.target.ok_or_else(|| needs("target"))?)?,
            },
            Kind::Http => Probe::Http {
                url: self.url.map(short).transpose()?,
            },
            Kind::Link => Probe::Link,
        })
    }

    /// How long a saturating test takes, in milliseconds.
    fn saturating(&self) -> Result<u32, String> {
        let duration_ms = self.duration_ms.ok_or("this probe needs `duration_ms`")?;
        if duration_ms == 0 || duration_ms > LONGEST_TEST_MS {
            return Err(format!(
                "duration_ms = {duration_ms} is not between 1 and {LONGEST_TEST_MS}"
            ));
        }
        self.seldom(Duration::from_millis(duration_ms.into()))?;
        Ok(duration_ms)
    }

    /// A test that fills the line for so long may not do so too often.
    fn seldom(&self, duration: Duration) -> Result<(), String> {
        let duration_ms = duration.as_millis() as u64;
        let shortest = duration_ms * LARGEST_SHARE;
        if self.every_ms < shortest {
            return Err(format!(
                "every_ms = {} would fill the line: a test of {duration_ms} ms may come every {shortest} ms at most",
                self.every_ms
            ));
        }
        Ok(())
    }

    fn burst(&self) -> Result<Burst, String> {
        let needs = |key: &str| format!("this probe needs `{key}`");
        let count = self.count.ok_or_else(|| needs("count"))?;
        let interval_ms = self.interval_ms.ok_or_else(|| needs("interval_ms"))?;
        if count == 0 || interval_ms == 0 {
            return Err("count and interval_ms are at least 1".to_owned());
        }
        let length = u32::from(count).saturating_mul(interval_ms);
        let longest = if interval_ms < Burst::WATCH_INTERVAL_MS {
            LONGEST_BURST_MS
        } else {
            LONGEST_WATCH_MS
        };
        if length > longest {
            return Err(format!(
                "a burst of {count} packets every {interval_ms} ms takes {length} ms; {longest} are possible"
            ));
        }
        let timeout_ms = self.timeout_ms.unwrap_or(Burst::DEFAULT_TIMEOUT_MS);
        Ok(Burst {
            count,
            interval_ms,
            timeout_ms,
        })
    }
}

fn short(text: String) -> Result<String, String> {
    let length = text.chars().count();
    if length > LONGEST_TEXT {
        return Err(format!("{length} characters are more than {LONGEST_TEXT}"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use messnetz_sites::toml_file;

    use super::*;

    fn read(task: &str) -> Result<WrittenSchedule, String> {
        toml_file::read("collector.toml", &format!("[[task]]\n{task}"))
            .map_err(|problem| problem.to_string())
    }

    const TEST: &str = "probe = \"ndt7\"\ndirection = \"down\"\nduration_ms = 10_000\n";

    #[test]
    fn what_would_disturb_a_school_is_refused_by_name() {
        for (task, expected) in [
            (
                "probe = \"link\"\nevery_ms = 0\n".to_owned(),
                "every_ms = 0",
            ),
            (
                "probe = \"link\"\nevery_ms = 1000\nphas_ms = 3\n".to_owned(),
                "did you mean `phase_ms`",
            ),
            (
                "probe = \"link\"\nevery_ms = 1000\ncount = 3\n".to_owned(),
                "`count` does not belong",
            ),
            (format!("{TEST}every_ms = 21_600\n"), "would fill the line"),
            (
                "probe = \"stamp\"\nevery_ms = 9000\ncount = 50\ninterval_ms = 20_000\n".to_owned(),
                "takes 1000000 ms",
            ),
            (
                "probe = \"icmp\"\nevery_ms = 9000\ncount = 5\ninterval_ms = 20\n".to_owned(),
                "needs `peer`",
            ),
            (
                "probe = \"iperf3\"\nevery_ms = 90000\nduration_ms = 5000\ndirection = \"up\"\nstreams = 17\n"
                    .to_owned(),
                "streams = 17 is not between",
            ),
        ] {
            let said = read(&task).unwrap_err();
            assert!(said.contains(expected), "{said}");
            assert!(said.contains("collector.toml:"), "{said}");
        }
    }

    #[test]
    fn schools_that_cannot_take_turns_are_refused() {
        let schedule = read(&format!("{TEST}every_ms = 3_600_000\n")).unwrap();
        assert!(schedule.clone().check(360).is_ok());
        let said = schedule.check(361).unwrap_err();
        assert!(said.contains("361 sites take 3610000 ms"), "{said}");
    }
}
