//! What no schedule may exceed on this box: the agent's own file, which only its operator writes. A captured
//! collector can ask for anything, and gets what lies within. Pure: networks and resolvers are passed in.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use ipnetwork::{IpNetwork, Ipv6Network};
use messnetz_metric::{Failure, FailureReason};
use messnetz_probes::reach::{Reach, Within};
use messnetz_sites::toml_file::{self, Problem};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::measure::Reaches;
use crate::wire::{Budget, Burst, Kind, MAX_TASKS, Probe, Schedule, Task};

/// A site's IPv6 addresses begin alike as far as this (RFC 6177: a site gets a /48 to a /56).
const SITE_PREFIX: u8 = 48;

/// Largest file of limits, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// The limits of one agent. What the file does not say is as [`Limits::default`] has it, which is enough for the
/// schedule that a collector comes with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Which kinds of probe are done at all.
    pub probes: BTreeSet<Kind>,
    /// Through which interfaces; through all where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<BTreeSet<String>>,
    /// Most tasks of a schedule; what comes after them is left out.
    pub tasks: usize,
    /// Shortest time between two uploads, in milliseconds.
    pub upload_every_ms: u64,
    /// Shortest distance of the packets of a burst, in milliseconds.
    pub packet_interval_ms: u32,
    /// Shortest period of a task, by what it speaks to.
    pub every_ms: Periods,
    /// What tests may cost that fill line or LAN.
    pub tests: Tests,
    /// Whom tasks may speak to beside the collector, the default gateway and the resolvers of this system.
    pub targets: Targets,
}

/// Shortest periods, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Periods {
    /// Of what speaks to nobody but the collector, the default gateway and this box: `icmp`, `stamp`, `link`, and
    /// `http` without an address.
    pub near: u64,
    /// Of questions, connections and pages: `dns`, `tcp`, `http`.
    pub services: u64,
    /// Of tests that fill line or LAN: `ndt7`, `iperf3`, `responsiveness`.
    pub tests: u64,
}

/// What tests may cost that fill line or LAN, through one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tests {
    /// Longest test, in milliseconds.
    pub longest_ms: u64,
    /// Most seconds of testing in a day.
    pub seconds_a_day: u32,
    /// Most bytes in a day, counted as budgets of a schedule are.
    pub bytes_a_day: u64,
}

/// Whom tasks may speak to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Targets {
    /// Whether `dns`, `tcp` and `http` may speak to public addresses outside this site.
    pub public: bool,
    /// Whether `iperf3` may speak to the networks that this box has an address in.
    pub own_networks: bool,
    /// Further networks that `dns`, `tcp`, `http` and `iperf3` may speak to.
    pub networks: Vec<IpNetwork>,
    /// Where given, the only names that `tcp` and `http` may ask for; `*.example.org` stands for all names below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<BTreeSet<String>>,
    /// Most different targets of `dns`, `tcp`, `http` and `iperf3` within 24 hours.
    pub a_day: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            probes: Kind::ALL.into(),
            interfaces: None,
            tasks: MAX_TASKS,
            upload_every_ms: 100,
            packet_interval_ms: 5,
            every_ms: Periods::default(),
            tests: Tests::default(),
            targets: Targets::default(),
        }
    }
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            near: 100,
            services: 10_000,
            tests: 600_000,
        }
    }
}

impl Default for Tests {
    fn default() -> Self {
        Self {
            longest_ms: 20_000,
            seconds_a_day: 900,
            bytes_a_day: 30_000_000_000,
        }
    }
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            public: true,
            own_networks: true,
            networks: Vec::new(),
            hosts: None,
            a_day: 64,
        }
    }
}

/// A file of limits cannot be used. The agent does not start then: it must not do what its operator has forbidden.
#[derive(Debug, Error)]
pub enum LimitsError {
    /// It cannot be read.
    #[error("reading the limits {path}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It does not say what it should.
    #[error(transparent)]
    Problem(#[from] Problem),
}

/// Whom a task speaks to, as far as this tells it from another: two of them share a shortest period.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    pub(super) target: Option<String>,
    upwards: bool,
    interface: Option<String>,
}

impl Subject {
    pub(super) fn of(task: &Task) -> Self {
        let (target, direction) = match &task.probe {
            Probe::Icmp { peer, .. } => (Some(peer.name().to_owned()), None),
            Probe::Stamp { .. } | Probe::Link => (None, None),
            Probe::Ndt7 { direction, .. } | Probe::Responsiveness { direction } => {
                (None, Some(*direction))
            }
            Probe::Iperf3 {
                endpoint,
                direction,
                ..
            } => (endpoint.clone(), Some(*direction)),
            Probe::Dns { name, server } => {
                let server = server.map_or_else(String::new, |server| server.to_string());
                (Some(format!("{name} of {server}")), None)
            }
            Probe::Tcp { target } => (Some(target.clone()), None),
            Probe::Http { url } => (url.clone(), None),
        };
        Self {
            kind: task.probe.kind(),
            target,
            upwards: direction == Some(messnetz_metric::Direction::Up),
            interface: task.interface.clone(),
        }
    }

    /// What counts as one of the day's targets; `None` for what every agent speaks to.
    pub(super) fn counted(&self) -> Option<String> {
        match self.kind {
            Kind::Dns | Kind::Tcp | Kind::Http | Kind::Iperf3 => self.target.clone(),
            Kind::Icmp | Kind::Stamp | Kind::Ndt7 | Kind::Responsiveness | Kind::Link => None,
        }
    }
}

impl Limits {
    /// The limits of a file; those that hold without one where there is none and none was asked for by name.
    ///
    /// # Errors
    /// Where the file cannot be read or does not say what it should.
    pub fn load(path: &Path, must_be: bool) -> Result<Self, LimitsError> {
        let name = path.display().to_string();
        let failed = |source| LimitsError::File {
            path: name.clone(),
            source,
        };
        let text = match fs::metadata(path) {
            Ok(about) if about.len() > MAX_FILE => {
                let why = format!("{} bytes are more than {MAX_FILE}", about.len());
                return Err(failed(io::Error::other(why)));
            }
            Ok(_) => fs::read_to_string(path).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_be => {
                return Ok(Self::default());
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(toml_file::read(&name, &text)?)
    }

    /// Shortest period of what a task speaks to, in milliseconds.
    pub(super) fn shortest(&self, subject: &Subject) -> u64 {
        let Periods {
            near,
            services,
            tests,
        } = self.every_ms;
        match subject.kind {
            Kind::Icmp | Kind::Stamp | Kind::Link => near,
            Kind::Http if subject.target.is_none() => near,
            Kind::Dns | Kind::Tcp | Kind::Http => services,
            Kind::Ndt7 | Kind::Iperf3 | Kind::Responsiveness => tests,
        }
    }

    /// What the budgets of a schedule are held to beside themselves.
    pub(super) fn budget(&self) -> Budget {
        Budget {
            interface: None,
            bytes_a_day: Some(self.tests.bytes_a_day),
            bytes_a_month: None,
            seconds_a_day: Some(self.tests.seconds_a_day),
            hours: None,
        }
    }

    /// Whether a task lies within, as far as its words tell. Where a name leads to is held against the limits when
    /// the probe begins.
    ///
    /// # Errors
    /// [`FailureReason::Permission`] with the limit that stands in the way.
    pub fn check(&self, task: &Task) -> Result<(), Failure> {
        let subject = Subject::of(task);
        let kind = subject.kind.name();
        let refused = |why: String| Err(not_within(format_args!("{kind}: {why}")));
        if !self.probes.contains(&subject.kind) {
            return refused("this kind is not among its `probes`".to_owned());
        }
        if let Some(name) = &task.interface
            && !self.is_open(name)
        {
            return refused(format!("{name} is not among its `interfaces`"));
        }
        let shortest = self.shortest(&subject);
        if task.every_ms < shortest {
            return refused(format!(
                "every {} ms is more often than every {shortest} ms (`every_ms`)",
                task.every_ms
            ));
        }
        if let Some(length) = task.probe.saturates_for()
            && length.as_millis() > u128::from(self.tests.longest_ms)
        {
            return refused(format!(
                "{} ms are longer than {} ms (`tests.longest_ms`)",
                length.as_millis(),
                self.tests.longest_ms
            ));
        }
        if let Probe::Icmp { burst, .. } | Probe::Stamp { burst } = &task.probe {
            let Burst { interval_ms, .. } = *burst;
            if interval_ms < self.packet_interval_ms {
                return refused(format!(
                    "packets every {interval_ms} ms are closer than {} ms (`packet_interval_ms`)",
                    self.packet_interval_ms
                ));
            }
        }
        let host = match &task.probe {
            Probe::Tcp { target } => Some(crate::pinned::host_of(target).to_owned()),
            Probe::Http { url: Some(url) } => Some(host_of_page(url)),
            _ => None,
        };
        match (&self.targets.hosts, host) {
            (Some(hosts), Some(host)) if !hosts.iter().any(|known| stands_for(known, &host)) => {
                refused(format!("{host} is not among its `targets.hosts`"))
            }
            _ => Ok(()),
        }
    }

    /// Whether tasks may go through this interface.
    pub(super) fn is_open(&self, interface: &str) -> bool {
        let listed = |names: &BTreeSet<String>| names.contains(interface);
        self.interfaces.as_ref().is_none_or(listed)
    }

    /// The tasks of a schedule that this program looks at, each with what stands in its way.
    pub fn admit<'a>(
        &'a self,
        schedule: &'a Schedule,
    ) -> impl Iterator<Item = (&'a Task, Result<(), Failure>)> {
        let tasks = schedule.tasks.iter().take(MAX_TASKS).enumerate();
        tasks.map(|(index, task)| {
            let result = if index < self.tasks {
                self.check(task)
            } else {
                Err(not_within(format_args!(
                    "{}: {} tasks came before it (`tasks`)",
                    task.probe.name(),
                    self.tasks
                )))
            };
            (task, result)
        })
    }

    /// Which addresses tasks may speak to, for a box in these networks that asks these resolvers.
    #[must_use]
    pub fn reaches(&self, own: &[IpNetwork], resolvers: &[IpAddr]) -> Reaches {
        let Targets {
            public,
            own_networks,
            networks,
            ..
        } = &self.targets;
        let inside: Vec<IpNetwork> = own.iter().copied().map(site_of).collect();
        let services = Within {
            public: *public,
            inside,
            networks: networks.clone(),
        };
        let mut of_resolvers = services.clone();
        let hosts = resolvers.iter().copied().map(IpNetwork::from);
        of_resolvers.networks.extend(hosts);
        let near: &[IpNetwork] = if *own_networks { own } else { &[] };
        let endpoints = Within {
            public: false,
            inside: Vec::new(),
            networks: near.iter().chain(networks).copied().collect(),
        };
        Reaches {
            services: Reach::Within(services),
            resolvers: Reach::Within(of_resolvers),
            endpoints: Reach::Within(endpoints),
        }
    }
}

/// A task that the limits leave out.
pub(super) fn not_within(why: impl std::fmt::Display) -> Failure {
    Failure::new(
        FailureReason::Permission,
        format_args!("left out, the limits of this agent do not allow it: {why}"),
    )
}

/// All addresses that a site's own may begin with: the school's other networks are inside as well.
fn site_of(network: IpNetwork) -> IpNetwork {
    match network {
        IpNetwork::V6(v6) if v6.prefix() > SITE_PREFIX => {
            let bits = v6.ip().to_bits() >> (128 - SITE_PREFIX) << (128 - SITE_PREFIX);
            Ipv6Network::new(Ipv6Addr::from_bits(bits), SITE_PREFIX).map_or(network, IpNetwork::V6)
        }
        _ => network,
    }
}

/// The host of a page; what is none has no host that anybody listed.
fn host_of_page(url: &str) -> String {
    let url: Result<http::Uri, _> = url.parse();
    let host = url.ok().and_then(|url| url.host().map(str::to_owned));
    let host = host.unwrap_or_default();
    host.trim_matches(['[', ']']).to_owned()
}

fn stands_for(known: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let known = known.to_ascii_lowercase();
    match known.strip_prefix("*.") {
        Some(parent) => host
            .strip_suffix(parent)
            .is_some_and(|label| label.len() > 1 && label.ends_with('.')),
        None => host == known,
    }
}

#[cfg(test)]
mod tests;
