//! The agent at work: one loop measures, one uploads.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use messnetz_metric::{Failure, Observation, Tester};
use messnetz_probes::dns::system_resolvers;
use messnetz_probes::link;
use messnetz_probes::tls::{Fingerprint, Trust};
use thiserror::Error;
use tokio::sync::watch::error::RecvError;
use tokio::sync::{Mutex, watch};

use self::updating::keep_up_to_date;
use self::uploading::upload_for_ever;
use super::budget::Ledger;
use super::ceilings::{Machine, SelfTest};
use super::conduct::Conduct;
use super::due::{Turn, UsedSlots};
use super::enrolment::{EnrolError, until_let_in};
use super::key::AgentKey;
use super::limits::Limits;
use super::numbers::Today;
use super::spool::{Spool, SpoolError};
use super::state::{StateDirectory, StateError};
use super::update::Updates;
use super::wear::Wear;
use crate::clock;
use crate::measure::{Reaches, Surroundings, TestServer, default_route, left_out, measure};
use crate::release::ReleaseKeys;
use crate::sd_notify::Notifier;
use crate::way_out::WayOut;
use crate::wire::{Schedule, Task};

/// A self-test begins only where nothing else is due for so long: it takes a few seconds of all that this machine
/// has.
const ROOM: Duration = Duration::from_secs(10);

/// How long a loop with nothing to do sleeps before it looks again.
const IDLE: Duration = Duration::from_mins(1);

/// What the limits leave out is told as a failure so often, in milliseconds.
const TOLD_EVERY_MS: u64 = 3_600_000;

/// How often the clocks are looked at, and whether something waits to be flushed.
const TENDED_EVERY: Duration = Duration::from_secs(5);

/// How often an agent that found the disk full looks for room.
const ROOM_LOOKED_FOR_EVERY: Duration = Duration::from_secs(10);

/// The agent cannot work.
#[derive(Debug, Error)]
pub enum RunError {
    /// Its directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// It waited to be let in, and the collector refuses for good.
    #[error("waiting to be let in")]
    Enrol(#[from] EnrolError),
    /// Its spool.
    #[error("the agent's spool {path}")]
    Spool {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: SpoolError,
    },
}

/// What both loops share.
struct Agent {
    state: StateDirectory,
    key: AgentKey,
    spool: Mutex<Spool>,
    /// What is added to the time since the boot to have the time of day.
    offset_ms: watch::Sender<i64>,
    /// Held while the line is being filled, so that an upload does not disturb the test.
    line: Mutex<()>,
    /// Whether this agent itself fills the line.
    filled: watch::Sender<bool>,
    /// The certificates of the collector that are believed.
    accepted: watch::Sender<Vec<Fingerprint>>,
    /// What no schedule may exceed.
    limits: Limits,
    /// What was done lately, by the clock that began to run with `started`.
    conduct: Mutex<Conduct>,
    started: Instant,
    /// The slots that tests were done in.
    used_slots: Mutex<UsedSlots>,
    /// What tests have cost.
    ledger: Mutex<Ledger>,
    /// This program on this machine since it was booted.
    machine: Machine,
    /// What it carries itself.
    self_test: Mutex<SelfTest>,
    /// What is done about releases of this program.
    updates: Updates,
    /// Whether the collector has acknowledged a batch since this program began.
    received: watch::Sender<bool>,
}

impl Agent {
    fn new(
        state: StateDirectory,
        limits: Limits,
        keys: ReleaseKeys,
        spool: Spool,
    ) -> Result<Self, StateError> {
        Ok(Self {
            accepted: watch::Sender::default(),
            updates: Updates::of(state.path(), keys),
            received: watch::Sender::new(false),
            limits,
            conduct: Mutex::default(),
            started: Instant::now(),
            key: state.key()?,
            offset_ms: watch::Sender::new(spool.offset_ms().unwrap_or_else(clock::anchor_ms)),
            spool: Mutex::new(spool),
            line: Mutex::new(()),
            filled: watch::Sender::new(false),
            used_slots: Mutex::new(state.used_slots()),
            ledger: Mutex::new(state.ledger()),
            machine: Machine::this(),
            self_test: Mutex::new(state.self_test()),
            state,
        })
    }
}

/// Measures and uploads until `stop` resolves, or until a release that one of the keys has signed is to be tried.
///
/// # Errors
/// Where the directory holds no enrolment, another agent works in it, or state or spool cannot be used. A collector that cannot
/// be reached is no error: the measurements wait in the spool.
pub async fn run(
    state: StateDirectory,
    limits: Limits,
    release_keys: ReleaseKeys,
    way_out: WayOut,
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    tokio::pin!(stop);
    let waiting = match state.enrolment() {
        Err(StateError::NotEnrolled { .. }) => state.waiting_ticket()?,
        _ => None,
    };
    let service_manager = Notifier::from_environment();
    let _lock;
    let enrolment = if let Some(ticket) = waiting {
        _lock = state.lock()?;
        // Waiting for an operator, or for room, is work: a service manager that counts it as starting would end it.
        service_manager.ready();
        tracing::warn!(
            fingerprint = state.key()?.id().in_groups(),
            collector = ticket.collector,
            "this agent waits until the operator has compared its fingerprint; it asks again by itself"
        );
        tokio::select! {
            () = service_manager.keep_telling() => return Ok(()),
            enrolment = until_let_in(&ticket, &state, &way_out) => enrolment?,
            () = &mut stop => return Ok(()),
        }
    } else {
        let enrolment = state.enrolment()?;
        _lock = state.lock()?;
        service_manager.ready();
        enrolment
    };
    let path = state.spool_file();
    let spool = tokio::select! {
        () = service_manager.keep_telling() => return Ok(()),
        spool = once_there_is_room(&path) => spool?,
        () = &mut stop => return Ok(()),
    };
    let agent = Agent::new(state, limits, release_keys, spool)?;
    agent.accepted.send_replace(enrolment.accepted());
    tracing::info!(agent = %enrolment.agent, site = enrolment.site, collector = enrolment.collector, "the agent starts");
    let assigned = enrolment.assignment().map(|assignment| assignment.schedule);
    let assigned = assigned.unwrap_or_else(|error| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the kept schedule is not followed; nothing is measured until the collector sends one that it has signed"
        );
        Schedule::default()
    });
    let (new_schedule, schedule) = watch::channel(assigned);
    let server = TestServer {
        address: enrolment.collector.clone(),
        trust: Trust::OneOf(enrolment.accepted()),
    };
    let around = Surroundings {
        server: Some(server),
        way_out: way_out.clone(),
        ..Surroundings::default()
    };
    tokio::select! {
        () = service_manager.keep_telling() => {}
        () = measure_for_ever(&agent, &around, schedule) => {}
        () = upload_for_ever(&agent, enrolment, &way_out, &new_schedule) => {}
        () = tend_for_ever(&agent) => {}
        () = keep_up_to_date(&agent, &way_out) => {}
        () = stop => {}
    }
    if let Err(error) = agent.spool.lock().await.stop() {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the spool could not be flushed: a power cut would cost what was measured last"
        );
    }
    tracing::info!("the agent stops; what is not uploaded stays in the spool");
    Ok(())
}

/// Opens the spool. On a full disk it waits: an agent that ends helps nobody, and the next one would find the same.
///
/// # Errors
/// Where the file cannot be used for another reason.
async fn once_there_is_room(path: &Path) -> Result<Spool, RunError> {
    loop {
        let boot = Machine::this().boot;
        let spool = Spool::open(path, clock::now()).and_then(|mut spool| {
            spool.begin(&boot, clock::look(), clock::anchor_ms())?;
            Ok(spool)
        });
        match spool {
            Err(error) if error.is_full() => {
                tracing::error!(
                    spool = %path.display(),
                    again_in = ?ROOM_LOOKED_FOR_EVERY,
                    "the disk is full: nothing is measured until there is room for the spool"
                );
                tokio::time::sleep(ROOM_LOOKED_FOR_EVERY).await;
            }
            spool => {
                return spool.map_err(|source| RunError::Spool {
                    path: path.display().to_string(),
                    source,
                });
            }
        }
    }
}

/// Looks at the clocks, and has the spool flushed.
async fn tend_for_ever(agent: &Agent) {
    let wear = Wear::begin();
    loop {
        let mut spool = agent.spool.lock().await;
        if let Err(error) = spool.tend(clock::look(), wear.bytes_a_day()) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the spool could not be flushed: a power cut would cost what was measured since"
            );
        }
        if let Some(offset_ms) = spool.offset_ms() {
            agent.set_offset(offset_ms);
        }
        drop(spool);
        tokio::time::sleep(TENDED_EVERY).await;
    }
}

async fn measure_for_ever(
    agent: &Agent,
    around: &Surroundings,
    mut schedule: watch::Receiver<Schedule>,
) {
    loop {
        let current = schedule.borrow_and_update().clone();
        if follow(agent, around, &current, &schedule).await.is_err() {
            return;
        }
    }
}

/// A task of the schedule, and what the limits say of it.
struct Duty {
    task: Task,
    refused: Option<Failure>,
}

/// Works through one schedule until there is another. What loads nothing runs beside the rest; the rest runs
/// task by task, since each probe would disturb the other's numbers. What the limits do not allow is told as a
/// failure, once an hour at most.
async fn follow(
    agent: &Agent,
    around: &Surroundings,
    schedule: &Schedule,
    changes: &watch::Receiver<Schedule>,
) -> Result<(), RecvError> {
    let duty = |(task, admitted): (&Task, Result<(), Failure>)| {
        let mut task = task.clone();
        let refused = admitted.err();
        if let Some(failure) = &refused {
            tracing::warn!(?task, %failure);
            task.every_ms = task.every_ms.max(TOLD_EVERY_MS);
            task.slots = None;
        }
        Duty { task, refused }
    };
    let duties = agent.limits.admit(schedule).map(duty);
    let is_watch = |duty: &Duty| duty.refused.is_none() && duty.task.probe.is_watch();
    let (watches, others): (Vec<Duty>, Vec<Duty>) = duties.partition(is_watch);
    let lanes = watches.chunks(1).chain([others.as_slice()]);
    let lanes = lanes.map(|lane| work_through(agent, around, (schedule, lane), changes.clone()));
    try_join_all(lanes).await.map(drop)
}

/// Works through some tasks of a schedule, one after another, until there is another schedule. Whether there
/// is one is looked at between the tasks only, because a probe that is cut short loses what it measured.
async fn work_through(
    agent: &Agent,
    around: &Surroundings,
    (schedule, duties): (&Schedule, &[Duty]),
    mut changes: watch::Receiver<Schedule>,
) -> Result<(), RecvError> {
    let first_turn = |duty: &Duty| Turn::next(&duty.task, agent.now_ms());
    let mut set = agent.offset_ms.subscribe();
    let mut turns: Vec<Turn> = duties.iter().map(first_turn).collect();
    let admitted = duties.iter().filter(|duty| duty.refused.is_none());
    let mut testers: Vec<Tester> = admitted
        .filter_map(|duty| duty.task.probe.tester())
        .collect();
    testers.sort_unstable();
    testers.dedup();
    while !changes.has_changed()? {
        if set.has_changed()? {
            // It is another time of day: what would have been due between the two was not missed.
            set.mark_unchanged();
            turns = duties.iter().map(first_turn).collect();
        }
        let next = duties.iter().zip(&mut turns);
        let next = next.min_by_key(|(_, turn)| turn.due_ms);
        let Some((Duty { task, refused }, turn)) = next else {
            return changes.changed().await;
        };
        let wait = Duration::from_millis(turn.due_ms.saturating_sub(agent.now_ms()));
        if wait >= ROOM {
            agent.test_itself(&testers).await;
        }
        if !wait.is_zero() {
            tokio::select! {
                new = changes.changed() => return new,
                _ = set.changed() => set.mark_changed(),
                () = tokio::time::sleep(wait.min(IDLE)) => {}
            }
            if wait > IDLE {
                *turn = Turn::next(task, agent.now_ms());
            }
            continue;
        }
        let observations = if let Some(failure) = refused {
            *turn = Turn::next(task, agent.now_ms() + 1);
            left_out(task, around, failure)
        } else if let Some(length) = task.probe.saturates_for() {
            match agent.fill(schedule, (task, length), turn, around).await {
                Some(observations) => observations,
                // It is put off.
                None => continue,
            }
        } else {
            *turn = Turn::next(task, agent.now_ms() + 1);
            match agent.begin(task).await {
                Ok(()) if task.probe.is_watch() => agent.watch(task, around).await,
                Ok(()) => measure(task, &agent.within_reach(around)).await,
                Err(failure) => left_out(task, around, &failure),
            }
        };
        if let Err(error) = agent.spool.lock().await.keep(&observations) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "measurements could not be kept and are lost"
            );
        }
    }
    Ok(())
}

impl Agent {
    /// What is added to the time since the boot to have the time of day.
    fn offset_ms(&self) -> i64 {
        *self.offset_ms.borrow()
    }

    /// Takes over another time of day, where it is another one.
    fn set_offset(&self, offset_ms: i64) {
        self.offset_ms
            .send_if_modified(|known| std::mem::replace(known, offset_ms) != offset_ms);
    }

    /// Milliseconds since 1970, by a clock that follows no step once the time of day is known.
    fn now_ms(&self) -> u64 {
        let now = clock::uptime_ms().saturating_add(self.offset_ms());
        u64::try_from(now).unwrap_or_default()
    }

    /// By which clock numbers of the collector are believed.
    async fn clock_for_numbers(&self) -> Today {
        Today {
            now_ms: self.now_ms(),
            is_sure: self.spool.lock().await.is_synchronised(),
        }
    }

    /// Whether the limits let a task begin now.
    async fn begin(&self, task: &Task) -> Result<(), Failure> {
        let interface = port_of(task);
        let mut conduct = self.conduct.lock().await;
        let now = self.started.elapsed();
        conduct.begin(&self.limits, task, interface.as_deref(), now)
    }

    /// The surroundings of a probe that begins now: which addresses it may speak to depends on the networks that
    /// this box is in at present.
    fn within_reach(&self, around: &Surroundings) -> Surroundings {
        let resolvers = system_resolvers().unwrap_or_default();
        let resolvers: Vec<IpAddr> = resolvers.iter().map(SocketAddr::ip).collect();
        let reaches = match link::networks() {
            Ok(own) => self.limits.reaches(&own, &resolvers),
            Err(failure) => {
                tracing::warn!(%failure, "without the own networks nothing but the collector is spoken to");
                Reaches::nowhere()
            }
        };
        let trust = Trust::OneOf(self.accepted.borrow().clone());
        let server = around.server.clone();
        Surroundings {
            reaches,
            server: server.map(|server| TestServer { trust, ..server }),
            ..around.clone()
        }
    }

    /// Does a task beside others. Nothing comes of it where a saturating test begins meanwhile: what a packet
    /// meets in a line that this agent itself has filled says nothing about the line.
    async fn watch(&self, task: &Task, around: &Surroundings) -> Vec<Observation> {
        let mut filled = self.filled.subscribe();
        if filled.wait_for(|filled| !filled).await.is_err() {
            return Vec::new();
        }
        tokio::select! {
            observations = measure(task, around) => observations,
            _ = filled.wait_for(|filled| *filled) => Vec::new(),
        }
    }
}

/// The interface that a task goes through: its own, or that of the default route.
fn port_of(task: &Task) -> Option<String> {
    let own = task.interface.clone();
    own.or_else(|| default_route().map(|route| route.interface))
}

mod certificates;
mod filling;
mod heard;
mod refusal;
mod resuming;
mod updating;
mod uploading;

#[cfg(test)]
mod tests;
