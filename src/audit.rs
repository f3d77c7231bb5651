//! One person, one laptop, one visit: measures what can be reached from here and holds it against the
//! targets of one school. No collector is needed.
//!
//! A visit is a snapshot. What comes out says above or below today, and is a type of its own that never
//! becomes a verdict.

use std::net::IpAddr;
use std::time::Duration;

use messnetz_metric::{
    Direction, Metric, Observation, Outcome, Quantity, Rate, Segment, Tester, UnixMillis,
};
use messnetz_probes::{Binding, dns, icmp, link};
use messnetz_sites::calendar::Zone;
use messnetz_sites::site::{School, Site};
use messnetz_sites::target::Target;
use messnetz_sites::verdict::{Bounds, Sample, Series, Snapshot, snapshot};
use serde::Serialize;

use crate::clock;
use crate::measure::{Surroundings, TestServer, default_route, measure};
use crate::wire::{Burst, Peer, Probe, Task};

/// Names the form of an audit file.
pub const AUDIT_FORMAT: &str = "messnetz-audit-1";

/// A burst of a visit: 15 s, the window that limits of loss are stated for, fine enough for 1 %.
const BURST: Burst = Burst {
    count: 150,
    interval_ms: 100,
    timeout_ms: Burst::DEFAULT_TIMEOUT_MS,
};

/// What to measure on this visit.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Only from this interface.
    pub interface: Option<String>,
    /// The far end of the line, where there is one.
    pub server: Option<TestServer>,
    /// Pages and `HOST:PORT`s that the school needs.
    pub services: Vec<String>,
    /// The name that every resolver is asked for.
    pub name: String,
    /// How often bursts and capacity tests are repeated.
    pub runs: u32,
    /// Length of a capacity test in milliseconds.
    pub test_ms: u32,
}

/// What one visit found.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// [`AUDIT_FORMAT`].
    pub format: &'static str,
    /// The program that measured.
    pub version: &'static str,
    /// The school's name.
    pub school: String,
    /// The site, as `SCHOOL/SITE`.
    pub site: String,
    /// When the visit began.
    #[serde(rename = "began_at_unix_ms")]
    pub began_at: UnixMillis,
    /// When it ended.
    #[serde(rename = "ended_at_unix_ms")]
    pub ended_at: UnixMillis,
    /// The visit was ended before all was measured.
    pub interrupted: bool,
    /// Whether the gateway answered at all; `None` where this machine knows none.
    pub gateway_answers: Option<bool>,
    /// The interface that was measured from, as its driver describes it.
    pub link: Option<link::LinkState>,
    /// Everything that was measured, failures included.
    pub observations: Vec<Observation>,
    /// The targets of the school against it.
    pub snapshots: Vec<Finding>,
}

/// A target as one visit saw it.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What a planner calls the target.
    pub title: messnetz_sites::Bilingual,
    /// What was seen.
    #[serde(flatten)]
    pub snapshot: Snapshot,
}

impl Audit {
    /// Whether any target was on the wrong side today.
    #[must_use]
    pub fn has_unfavourable(&self) -> bool {
        self.snapshots
            .iter()
            .any(|finding| finding.snapshot.favourable == Some(false))
    }
}

/// The tasks of a visit, in the order in which they are done: from the own interface outwards, so that
/// the first failure names the nearest cause.
#[must_use]
pub fn tasks(visit: &Visit, resolvers: &[IpAddr]) -> Vec<Task> {
    let mut probes = vec![Probe::Link];
    let burst = |peer| Probe::Icmp { peer, burst: BURST };
    for _ in 0..visit.runs {
        probes.push(burst(Peer::Gateway));
    }
    let ask = |server| Probe::Dns {
        name: visit.name.clone(),
        server,
    };
    match resolvers {
        [] => probes.push(ask(None)),
        resolvers => probes.extend(resolvers.iter().map(|resolver| ask(Some(*resolver)))),
    }
    probes.extend(visit.services.iter().map(|service| {
        if service.contains("://") {
            Probe::Http {
                url: Some(service.clone()),
            }
        } else {
            Probe::Tcp {
                target: service.clone(),
            }
        }
    }));
    if visit.server.is_some() {
        for _ in 0..visit.runs {
            probes.push(burst(Peer::Collector));
            probes.push(Probe::Stamp { burst: BURST });
        }
        for _ in 0..visit.runs {
            for direction in [Direction::Down, Direction::Up] {
                let duration_ms = visit.test_ms;
                probes.push(Probe::Ndt7 {
                    direction,
                    duration_ms,
                    congestion: None,
                });
            }
        }
    }
    let task = |probe| Task {
        every_ms: 0,
        phase_ms: 0,
        interface: visit.interface.clone(),
        hours: None,
        slots: None,
        probe,
    };
    probes.into_iter().map(task).collect()
}

/// Does a visit: every task once, `done` called before each. When `stop` resolves, what was measured until
/// then is the result.
pub async fn audit(
    visit: &Visit,
    school: &School,
    site: &Site,
    targets: &[&Target],
    stop: impl Future<Output = ()>,
    mut done: impl FnMut(usize, usize, &Task),
) -> Audit {
    let began_at = clock::now();
    let around = Surroundings {
        server: visit.server.clone(),
        ..Surroundings::default()
    };
    let resolvers: Vec<IpAddr> = dns::system_resolvers()
        .map(|resolvers| resolvers.iter().map(std::net::SocketAddr::ip).collect())
        .unwrap_or_default();
    let tasks = tasks(visit, &resolvers);
    let mut observations = Vec::new();
    let mut gateway_answers = None;
    let everything = async {
        gateway_answers = gateway_answers_to(visit).await;
        for (index, task) in tasks.iter().enumerate() {
            done(index, tasks.len(), task);
            observations.extend(measure(task, &around).await);
        }
    };
    let interrupted = tokio::select! {
        () = everything => false,
        () = stop => true,
    };
    let name = visit
        .interface
        .clone()
        .or_else(|| default_route().map(|route| route.interface));
    Audit {
        format: AUDIT_FORMAT,
        version: env!("CARGO_PKG_VERSION"),
        school: school.name.clone(),
        site: site.id.to_string(),
        began_at,
        ended_at: clock::now(),
        interrupted,
        gateway_answers,
        link: name.and_then(|name| link::read(&name).ok()),
        snapshots: hold_against(&observations, school, site, targets),
        observations,
    }
}

/// The quick question before anything is measured: is there a way out at all?
async fn gateway_answers_to(visit: &Visit) -> Option<bool> {
    let gateway = default_route()?.gateway?;
    let binding = visit
        .interface
        .as_ref()
        .map_or_else(Binding::any, Binding::interface);
    icmp::is_up(gateway, &binding, Duration::from_secs(1))
        .await
        .ok()
}

/// The targets against what was measured.
fn hold_against(
    observations: &[Observation],
    school: &School,
    site: &Site,
    targets: &[&Target],
) -> Vec<Finding> {
    let last = |segment, quantity| {
        let series = series(observations, Metric::new(segment, quantity));
        series.samples.last()?.value.as_rate()
    };
    let of_box = |tester| last(Segment::Agent, Quantity::Ceiling(tester));
    let port = last(Segment::Lan, Quantity::LinkSpeed)
        .or_else(|| last(Segment::Wlan, Quantity::LinkSpeed));
    let bounds = Bounds {
        port: port.map(Rate::new),
        ndt7: of_box(Tester::Ndt7),
        iperf3: of_box(Tester::Iperf3),
    };
    targets
        .iter()
        .map(|target| Finding {
            title: target.title.clone(),
            snapshot: snapshot(
                target,
                school,
                site,
                &series(observations, target.metric),
                bounds,
            ),
        })
        .collect()
}

/// The samples of one metric.
pub(crate) fn series(observations: &[Observation], metric: Metric) -> Series {
    let zone = Zone::default();
    let mut series = Series::default();
    let speaks = |observation: &&Observation| {
        observation.metric == metric && metric.is_seen_over(observation.vantage.medium)
    };
    for observation in observations.iter().filter(speaks) {
        match &observation.outcome {
            Outcome::Value(value) => {
                series.samples.push(Sample {
                    at: observation.at,
                    day: zone.day_number(observation.at),
                    value: *value,
                    disturbed: None,
                });
            }
            Outcome::Failed(_) => series.failures.push(zone.day_number(observation.at)),
        }
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit() -> Visit {
        Visit {
            interface: None,
            server: None,
            services: vec![
                "https://lernplattform.example/".to_owned(),
                "example:443".to_owned(),
            ],
            name: "example".to_owned(),
            runs: 2,
            test_ms: 1_000,
        }
    }

    #[test]
    fn without_a_test_server_the_line_is_not_tried() {
        let tasks = tasks(&visit(), &[]);
        assert!(
            !tasks
                .iter()
                .any(|task| task.probe.saturates_for().is_some())
        );
        assert!(
            !tasks
                .iter()
                .any(|task| matches!(task.probe, Probe::Stamp { .. }))
        );
    }

    #[test]
    fn a_visit_goes_from_the_own_interface_outwards() {
        let tasks = tasks(&visit(), &["10.0.0.1".parse().unwrap()]);
        let kinds: Vec<&str> = tasks.iter().map(|task| task.probe.name()).collect();
        assert_eq!(kinds, ["link", "icmp", "icmp", "dns", "http", "tcp"]);
    }
}
