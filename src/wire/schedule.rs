//! What an agent measures, and when: sent by the collector, kept by the agent.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use messnetz_metric::{Direction, Tester};
use messnetz_probes::responsiveness::Parameters;
use messnetz_probes::tcp_info::Congestion;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// Most tasks that an agent accepts in one schedule.
pub const MAX_TASKS: usize = 64;

/// All tasks of one agent. It is read leniently, because the collector may be newer than the agent:
/// keys that this program does not know are ignored, and tasks that it cannot do are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// How often the agent uploads what it has measured, in milliseconds.
    #[serde(default = "Schedule::default_upload_every_ms")]
    pub upload_every_ms: u64,
    /// What saturating tests may cost. All of them apply that name the test's interface, or none.
    #[serde(default, rename = "budget", skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// The tasks, in order of preference where two are due at once.
    #[serde(default, rename = "task", deserialize_with = "known_tasks")]
    pub tasks: Vec<Task>,
}

impl Schedule {
    const fn default_upload_every_ms() -> u64 {
        30_000
    }
}

impl Default for Schedule {
    /// One without a task.
    fn default() -> Self {
        Self {
            upload_every_ms: Self::default_upload_every_ms(),
            budgets: Vec::new(),
            tasks: Vec::new(),
        }
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
    /// For tests that fill line or LAN: the hours of the day in which they may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// For tests that fill the line: the slots that were leased for them. Such a test is done in its slots alone;
    /// where not given, it is done in its turn, as everything else is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<Vec<Slot>>,
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

/// A time that was leased for one test: nobody else fills the same line, uplink or test server meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// When it begins, in milliseconds since 1970.
    pub at_ms: u64,
    /// When it is over.
    pub until_ms: u64,
    /// What tells it from every other slot: each is used once.
    pub token: String,
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

/// What saturating tests may cost on a line that is paid for by volume, such as a backup over LTE. What is not
/// given is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The interface that it is about; all of them where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Most bytes in a day, both directions, with headers and what was sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_a_day: Option<u64>,
    /// Most bytes in a calendar month, counted the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_a_month: Option<u64>,
    /// Most seconds of testing in a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_a_day: Option<u32>,
    /// The hours of the agent's day in which tests may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
}

/// A part of the day, over midnight where it ends before it begins: `20:00-06:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    /// Minutes from midnight at which it begins.
    from: u16,
    /// Minutes from midnight at which it is over.
    to: u16,
}

/// A text is no part of a day.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is no part of a day: write it like 20:00-06:00")]
pub struct NoHours(String);

impl Hours {
    /// Whether so many minutes after midnight lie within.
    #[must_use]
    pub const fn include(self, minute: u16) -> bool {
        if self.from < self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

impl TryFrom<String> for Hours {
    type Error = NoHours;

    fn try_from(text: String) -> Result<Self, NoHours> {
        let minute = |time: &str| {
            let (hour, minute) = time.split_once(':')?;
            let two = |digits: &str, below: u16| {
                let is_two =
                    digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
                let number = digits.parse::<u16>().ok().filter(|number| *number < below);
                number.filter(|_| is_two)
            };
            Some(two(hour, 24)? * 60 + two(minute, 60)?)
        };
        let hours = text.split_once('-').and_then(|(from, to)| {
            let (from, to) = (minute(from)?, minute(to)?);
            (from != to).then_some(Self { from, to })
        });
        hours.ok_or(NoHours(text))
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.to_string()
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        let (hour, minute) = (from / 60, from % 60);
        write!(
            formatter,
            "{hour:02}:{minute:02}-{:02}:{:02}",
            to / 60,
            to % 60
        )
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
    /// A saturating iperf3 test against a second endpoint inside the school: what LAN and Wi-Fi carry, without
    /// the line.
    Iperf3 {
        /// `HOST` or `HOST:PORT`; in a collector's own schedule that of the agent's site where not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// Towards the agent or away from it.
        direction: Direction,
        /// For how long, in milliseconds; at most 10 000.
        duration_ms: u32,
        /// TCP streams at once.
        #[serde(default = "one_stream")]
        streams: u8,
    },
    /// Round trips per minute to the collector while the line is full.
    Responsiveness {
        /// Which way is filled.
        direction: Direction,
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

/// The kinds of [`Probe`], as schedules write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// [`Probe::Icmp`].
    Icmp,
    /// [`Probe::Stamp`].
    Stamp,
    /// [`Probe::Ndt7`].
    Ndt7,
    /// [`Probe::Iperf3`].
    Iperf3,
    /// [`Probe::Responsiveness`].
    Responsiveness,
    /// [`Probe::Dns`].
    Dns,
    /// [`Probe::Tcp`].
    Tcp,
    /// [`Probe::Http`].
    Http,
    /// [`Probe::Link`].
    Link,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Icmp,
        Self::Stamp,
        Self::Ndt7,
        Self::Iperf3,
        Self::Responsiveness,
        Self::Dns,
        Self::Tcp,
        Self::Http,
        Self::Link,
    ];

    /// Its name, as schedules write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Icmp => "icmp",
            Self::Stamp => "stamp",
            Self::Ndt7 => "ndt7",
            Self::Iperf3 => "iperf3",
            Self::Responsiveness => "responsiveness",
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Link => "link",
        }
    }
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

    /// Packets that lie this far apart, in milliseconds, disturb no other measurement: a kilobit a second.
    pub const WATCH_INTERVAL_MS: u32 = 500;

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

const fn one_stream() -> u8 {
    1
}

const fn default_timeout_ms() -> u32 {
    Burst::DEFAULT_TIMEOUT_MS
}

impl Probe {
    /// Which kind it is of.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Icmp { .. } => Kind::Icmp,
            Self::Stamp { .. } => Kind::Stamp,
            Self::Ndt7 { .. } => Kind::Ndt7,
            Self::Iperf3 { .. } => Kind::Iperf3,
            Self::Responsiveness { .. } => Kind::Responsiveness,
            Self::Dns { .. } => Kind::Dns,
            Self::Tcp { .. } => Kind::Tcp,
            Self::Http { .. } => Kind::Http,
            Self::Link => Kind::Link,
        }
    }

    /// Its name, as schedules write it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// Whether it loads nothing, so that it runs beside other tasks: a burst of at most two packets a second.
    /// Repeated without a pause it is a watch around the clock.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        match self {
            Self::Icmp { burst, .. } | Self::Stamp { burst } => {
                burst.interval_ms >= Burst::WATCH_INTERVAL_MS
            }
            Self::Ndt7 { .. }
            | Self::Iperf3 { .. }
            | Self::Responsiveness { .. }
            | Self::Dns { .. }
            | Self::Tcp { .. }
            | Self::Http { .. }
            | Self::Link => false,
        }
    }

    /// With which protocol it finds a capacity; `None` where it finds none.
    #[must_use]
    pub const fn tester(&self) -> Option<Tester> {
        match self {
            Self::Ndt7 { .. } => Some(Tester::Ndt7),
            Self::Iperf3 { .. } => Some(Tester::Iperf3),
            Self::Icmp { .. }
            | Self::Stamp { .. }
            | Self::Responsiveness { .. }
            | Self::Dns { .. }
            | Self::Tcp { .. }
            | Self::Http { .. }
            | Self::Link => None,
        }
    }

    /// Whether it fills the line to the collector, so that its times are leased: what stays inside one school is
    /// nobody else's turn.
    #[must_use]
    pub const fn is_leased(&self) -> bool {
        matches!(self, Self::Ndt7 { .. } | Self::Responsiveness { .. })
    }

    /// For how long it fills line or LAN, so that nothing else may be measured beside it; `None` where it does
    /// not.
    #[must_use]
    pub fn saturates_for(&self) -> Option<Duration> {
        match self {
            Self::Ndt7 { duration_ms, .. } | Self::Iperf3 { duration_ms, .. } => {
                Some(Duration::from_millis((*duration_ms).into()))
            }
            Self::Responsiveness { .. } => Some(Parameters::SHORT.longest()),
            Self::Icmp { .. }
            | Self::Stamp { .. }
            | Self::Dns { .. }
            | Self::Tcp { .. }
            | Self::Http { .. }
            | Self::Link => None,
        }
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
    fn hours_may_go_over_midnight_and_nonsense_is_refused() {
        let hours = |text: &str| Hours::try_from(text.to_owned());
        let night = hours("20:00-06:00").unwrap();
        let within = [0, 359, 360, 719, 1_199, 1_200, 1_439].map(|minute| night.include(minute));
        assert_eq!(within, [true, true, false, false, false, true, true]);
        let noon = hours("11:30-12:15").unwrap();
        assert!(noon.include(690) && noon.include(734) && !noon.include(735));
        for text in [
            "",
            "20:00",
            "8:00-9:00",
            "24:00-06:00",
            "06:00-06:00",
            "20:60-21:00",
            "+1:00-02:00",
        ] {
            assert_eq!(hours(text), Err(NoHours(text.to_owned())));
        }
        assert_eq!(night.to_string(), "20:00-06:00");
    }

    #[test]
    fn a_watch_is_a_slow_burst() {
        let stamp = |interval_ms| Probe::Stamp {
            burst: Burst {
                count: 59,
                interval_ms,
                timeout_ms: 1_500,
            },
        };
        assert!(stamp(1_000).is_watch() && !stamp(100).is_watch());
        assert!(!Probe::Link.is_watch());
    }

    #[test]
    fn a_schedule_survives_json_and_toml() {
        let schedule: Schedule = toml::from_str(
            "[[task]]\nprobe = \"ndt7\"\ndirection = \"down\"\nduration_ms = 10_000\nevery_ms = 5\n\
             [[task]]\nprobe = \"stamp\"\ncount = 50\ninterval_ms = 20\nevery_ms = 6\n\
             [[budget]]\ninterface = \"wwan0\"\nbytes_a_month = 1_000\nhours = \"22:00-05:00\"\n",
        )
        .unwrap();
        assert_eq!((schedule.tasks.len(), schedule.budgets.len()), (2, 1));
        let json = serde_json::to_string(&schedule).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule);
    }
}
