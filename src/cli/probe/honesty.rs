//! What a capacity test says of the machine that ran it: how busy it was, what its port carried beside the test,
//! and which of its own limits were reached.

use clap::Args;
use messnetz_metric::{BitRate, Direction, Failure, Tester, Value};
use messnetz_probes::witness::{Limit, Testimony, Traffic};
use serde::Serialize;

use super::{Came, way, words};
use crate::self_test;

/// Whether the machine itself is tried first.
#[derive(Debug, Args)]
pub(super) struct Itself {
    /// First find out what this machine itself carries over its loopback: about 2 seconds
    #[arg(long)]
    self_test: bool,
}

/// A test's account of the machine that ran it.
#[derive(Serialize)]
pub(super) struct Account {
    #[serde(flatten)]
    seen: Testimony,
    limits: Vec<Limit>,
}

/// What this machine itself carries.
#[derive(Clone, Serialize)]
pub(super) struct Ceiling {
    #[serde(rename = "ceiling_bps")]
    ceiling: BitRate,
}

impl Itself {
    /// What this machine itself carries, where that was asked for.
    pub(super) async fn ceiling(&self, tester: Tester) -> Option<Came<Ceiling>> {
        if !self.self_test {
            return None;
        }
        Some(match self_test::ceiling(tester).await {
            Ok(ceiling) => Came::Report(Ceiling { ceiling }),
            Err(failure) => Came::Failure(failure),
        })
    }
}

impl Account {
    /// Of a test with this goodput in its faster direction.
    pub(super) fn new(
        seen: Testimony,
        goodput: Option<BitRate>,
        ceiling: Option<&Came<Ceiling>>,
    ) -> Self {
        let ceiling = match ceiling {
            Some(Came::Report(Ceiling { ceiling })) => Some(*ceiling),
            Some(Came::Failure(_)) | None => None,
        };
        let limits = seen.limits(goodput, ceiling);
        Self { seen, limits }
    }

    /// For people: what was seen, and each limit in a line of its own.
    pub(super) fn shown(&self) -> String {
        let text = words();
        let Testimony {
            interface,
            link_speed,
            frame_errors,
            traffic,
            process,
            thread,
            core,
            ..
        } = &self.seen;
        let share = |share| text.value(Value::Share(share));
        let mut machine: Vec<String> = Vec::new();
        machine.extend(core.map(|core| format!("core {} busy {}", core.core, share(core.busy))));
        machine.extend(thread.map(|busy| format!("busiest thread here {}", share(busy))));
        machine.extend(process.map(|used| format!("all of them {} of a core", share(used))));
        let mut lines = Vec::new();
        if !machine.is_empty() {
            lines.push(format!("  this machine: {}", machine.join(", ")));
        }
        if let Some(interface) = interface {
            let mut port = vec![match link_speed {
                Some(speed) => format!("{interface} ({})", rate(*speed)),
                None => interface.clone(),
            }];
            port.extend(traffic.iter().map(beside));
            let errors = frame_errors.filter(|errors| errors.as_percent() > 0.0);
            port.extend(errors.map(|errors| format!("{} of the frames broken", share(errors))));
            lines.push(format!("  through {}", port.join("; ")));
        }
        lines.extend(
            self.limits
                .iter()
                .map(|limit| format!("  {}", said(*limit))),
        );
        lines.join("\n")
    }
}

/// What the self-test came to, for people.
pub(super) fn ceiling_shown(ceiling: &Came<Ceiling>) -> String {
    match ceiling {
        Came::Report(Ceiling { ceiling }) => {
            format!("this machine itself carries {}", rate(*ceiling))
        }
        Came::Failure(failure) => not_tested(failure),
    }
}

fn not_tested(failure: &Failure) -> String {
    format!("what this machine itself carries is not known: {failure}")
}

/// What was available and what others used is what the path carried.
fn beside(traffic: &Traffic) -> String {
    let way = match traffic.direction {
        Direction::Down => "received",
        Direction::Up => "sent",
    };
    format!(
        "{way} {} of the test + {} of others = {}",
        rate(traffic.test),
        rate(traffic.other),
        rate(traffic.together)
    )
}

fn said(limit: Limit) -> String {
    let share = |share| words().value(Value::Share(share));
    match limit {
        Limit::Core(core) => {
            let busy = share(core.busy);
            format!(
                "limited by this machine: core {} was busy {busy}",
                core.core
            )
        }
        Limit::Thread { busy } => {
            let busy = share(busy);
            format!("limited by this machine: one thread of this program was busy {busy}")
        }
        Limit::Link { speed } => format!("limited by the link of {}", rate(speed)),
        Limit::SelfTest { ceiling } => format!(
            "limited by this machine: it carries {} by itself",
            rate(ceiling)
        ),
        Limit::OtherTraffic {
            direction,
            share: others,
        } => format!(
            "disturbed: {} of what went {} was not the test's",
            share(others),
            way(direction)
        ),
    }
}

fn rate(rate: BitRate) -> String {
    words().value(Value::Rate(rate))
}
