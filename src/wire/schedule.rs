//! What an agent measures, and when: sent by the collector, kept by the agent.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use messnetz_metric::Direction;
use messnetz_probes::tcp_info::Congestion;
use serde::{Deserialize, Deserializer, Serialize};

/// Most tasks that an agent accepts in one schedule.
pub const MAX_TASKS: usize = 64;

/// All tasks of one agent. It is read leniently, because the collector may be newer than the agent:
/// keys that this program does not know are ignored, and tasks that it cannot do are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// How often the agent uploads what it has measured, in milliseconds.
    #[serde(default = "Schedule::default_upload_every_ms")]
    pub upload_every_ms: u64,
    /// The tasks, in order of preference where two are due at once.
    #[serde(default, rename = "task", deserialize_with = "known_tasks")]
    pub tasks: Vec<Task>,
}

impl Schedule {
    const fn default_upload_every_ms() -> u64 {
        30_000
    }
}

/// The tasks that this program knows, in their order; it warns of the others.
fn known_tasks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Task>, D::Error> {
    let written = Vec::<serde_json::Value>::deserialize(deserializer)?;
    let known = written.into_iter().filter_map(|task| {
        let why = match Task::deserialize(&task) {
            Ok(task) => return Some(task),
            Err(why) => why,
        };
        warn_once(format!("{task}: {why}"));
        None
    });
    Ok(known.collect())
}

/// Warns of a task that is left out, once: the same schedule comes with every acknowledgement.
fn warn_once(task: String) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let Ok(mut told) = TOLD.lock() else { return };
    if told.len() < MAX_TASKS && !told.contains(&task) {
        tracing::warn!(
            task,
            "this messnetz cannot do a task of the schedule and leaves it out"
        );
        told.insert(task);
    }
}

/// One probe, again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// How often, in milliseconds.
    pub every_ms: u64,
    /// When within that time, counted from 1970-01-01T00:00:00Z: agents with different phases do not
    /// test at once.
    #[serde(default)]
    pub phase_ms: u64,
    /// Only through this interface; through whichever the routing table chooses where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// What to do.
    #[serde(flatten)]
    pub probe: Probe,
}

impl Task {
    /// How often.
    #[must_use]
    pub fn every(&self) -> Duration {
        Duration::from_millis(self.every_ms.max(1))
    }
}

/// Whom a probe speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// The collector and its test server, beyond the line.
    Collector,
    /// The default gateway, at the near end of the line.
    Gateway,
}

impl Peer {
    /// The peer's name in observations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::Gateway => "gateway",
        }
    }
}

/// A kind of measurement with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "lowercase")]
pub enum Probe {
    /// A burst of ICMP echo requests.
    Icmp {
        /// To whom.
        peer: Peer,
        /// How many, how far apart.
        #[serde(flatten)]
        burst: Burst,
    },
    /// A burst of STAMP packets to the collector's reflector: loss by direction.
    Stamp {
        /// How many, how far apart.
        #[serde(flatten)]
        burst: Burst,
    },
    /// A saturating ndt7 test against the collector.
    Ndt7 {
        /// Towards the school or away from it.
        direction: Direction,
        /// For how long, in milliseconds; at most 10 000.
        duration_ms: u32,
        /// Congestion control of the sender; the kernel's default where not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        congestion: Option<Congestion>,
    },
    /// One question to a resolver.
    Dns {
        /// The name to ask for.
        name: String,
        /// Which resolver to ask, instead of the host's first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<IpAddr>,
    },
    /// A TCP connection to a service.
    Tcp {
        /// `HOST:PORT`.
        target: String,
    },
    /// One HTTP(S) request to a service, or to the collector where no address is given.
    Http {
        /// The address; the collector's own page where not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// Speed and counters of the interface.
    Link,
}

/// A number of packets at even distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// How many.
    pub count: u16,
    /// How far apart, in milliseconds.
    pub interval_ms: u32,
    /// How long an answer may take, in milliseconds; what comes later counts as lost.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u32,
}

impl Burst {
    /// How long an answer may take where nothing is said, in milliseconds: far beyond any delay that
    /// lessons could live with.
    pub const DEFAULT_TIMEOUT_MS: u32 = 1_500;

    /// How far apart.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_millis(self.interval_ms.into())
    }

    /// How long an answer may take.
    #[must_use]
    pub fn timeout(self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }
}

const fn default_timeout_ms() -> u32 {
    Burst::DEFAULT_TIMEOUT_MS
}

impl Probe {
    /// Its name, as schedules write it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Icmp { .. } => "icmp",
            Self::Stamp { .. } => "stamp",
            Self::Ndt7 { .. } => "ndt7",
            Self::Dns { .. } => "dns",
            Self::Tcp { .. } => "tcp",
            Self::Http { .. } => "http",
            Self::Link => "link",
        }
    }

    /// Whether it fills the line, so that nothing else may be measured beside it.
    #[must_use]
    pub const fn saturates(&self) -> bool {
        matches!(self, Self::Ndt7 { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_collector_does_not_stop_an_older_agent() {
        let schedule: Schedule = serde_json::from_str(
            r#"{
                "upload_every_ms": 100,
                "quiet_hours": ["08:00", "13:00"],
                "task": [
                    {"probe": "telepathy", "every_ms": 1, "depth": 3},
                    {"probe": "link", "every_ms": 2, "colour": "blue"},
                    {"probe": "icmp", "peer": "neighbour", "every_ms": 3, "count": 1, "interval_ms": 1},
                    {"probe": "tcp", "every_ms": 4, "target": "x:1"},
                    "everything"
                ]
            }"#,
        )
        .unwrap();
        let every: Vec<u64> = schedule.tasks.iter().map(|task| task.every_ms).collect();
        assert_eq!(every, [2, 4]);
    }

    #[test]
    fn a_schedule_survives_json_and_toml() {
        let schedule: Schedule = toml::from_str(
            "[[task]]\nprobe = \"ndt7\"\ndirection = \"down\"\nduration_ms = 10_000\nevery_ms = 5\n\
             [[task]]\nprobe = \"stamp\"\ncount = 50\ninterval_ms = 20\nevery_ms = 6\n",
        )
        .unwrap();
        assert_eq!(schedule.tasks.len(), 2);
        let json = serde_json::to_string(&schedule).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule);
    }
}
