//! The agent at work: one loop measures, one uploads.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use http::StatusCode;
use messnetz_metric::{Failure, FailureReason, Observation, Tester};
use messnetz_probes::link;
use messnetz_probes::tls::Trust;
use thiserror::Error;
use tokio::sync::watch::error::RecvError;
use tokio::sync::{Mutex, watch};

use super::budget::{Cost, Ledger};
use super::ceilings::{Machine, SelfTest};
use super::due::next_due;
use super::key::AgentKey;
use super::spool::{SealedBatch, Sealer, Spool, SpoolError};
use super::state::{Enrolment, StateDirectory, StateError};
use super::upload::{self, UploadError};
use crate::clock;
use crate::measure::{Surroundings, TestServer, default_route, left_out, measure};
use crate::self_test;
use crate::way_out::WayOut;
use crate::wire::batch::Batch;
use crate::wire::{Acknowledgement, CollectorId, MAX_TASKS, ReceiptError, Schedule, Task};

/// A saturating test that comes this late would run into the next school's turn: it is left out.
const LATEST_START: Duration = Duration::from_secs(2);

/// First and longest pause after an upload that failed.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// A self-test begins only where nothing else is due for so long: it takes a few seconds of all that this machine
/// has.
const ROOM: Duration = Duration::from_secs(10);

/// How long a loop with nothing to do sleeps before it looks again.
const IDLE: Duration = Duration::from_mins(1);

/// The agent cannot work.
#[derive(Debug, Error)]
pub enum RunError {
    /// Its directory.
    #[error(transparent)]
    State(#[from] StateError),
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
    /// Held while the line is being filled, so that an upload does not disturb the test.
    line: Mutex<()>,
    /// Whether this agent itself fills the line.
    filled: watch::Sender<bool>,
    /// What tests have cost.
    ledger: Mutex<Ledger>,
    /// This program on this machine since it was booted.
    machine: Machine,
    /// What it carries itself.
    self_test: Mutex<SelfTest>,
}

impl Agent {
    fn new(state: StateDirectory, spool: Spool) -> Result<Self, StateError> {
        Ok(Self {
            key: state.key()?,
            spool: Mutex::new(spool),
            line: Mutex::new(()),
            filled: watch::Sender::new(false),
            ledger: Mutex::new(state.ledger()),
            machine: Machine::this(),
            self_test: Mutex::new(state.self_test()),
            state,
        })
    }
}

/// Measures and uploads until `stop` resolves.
///
/// # Errors
/// Where the directory holds no enrolment, another agent works in it, or state or spool cannot be used. A collector that cannot
/// be reached is no error: the measurements wait in the spool.
pub async fn run(
    state: StateDirectory,
    way_out: WayOut,
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let enrolment = state.enrolment()?;
    let _lock = state.lock()?;
    let spool_error = |source| RunError::Spool {
        path: state.spool_file().display().to_string(),
        source,
    };
    let spool = Spool::open(&state.spool_file(), clock::now()).map_err(spool_error)?;
    let agent = Agent::new(state, spool)?;
    tracing::info!(agent = %enrolment.agent, site = enrolment.site, collector = enrolment.collector, "the agent starts");
    let (new_schedule, schedule) = watch::channel(enrolment.schedule.clone());
    let server = TestServer {
        address: enrolment.collector.clone(),
        trust: Trust::Pinned(enrolment.fingerprint),
    };
    let around = Surroundings {
        server: Some(server),
        way_out: way_out.clone(),
        ..Surroundings::default()
    };
    tokio::select! {
        () = measure_for_ever(&agent, &around, schedule) => {}
        () = upload_for_ever(&agent, enrolment, &way_out, &new_schedule) => {}
        () = stop => {}
    }
    tracing::info!("the agent stops; what is not uploaded stays in the spool");
    Ok(())
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

/// Works through one schedule until there is another. What loads nothing runs beside the rest; the rest runs
/// task by task, since each probe would disturb the other's numbers.
async fn follow(
    agent: &Agent,
    around: &Surroundings,
    schedule: &Schedule,
    changes: &watch::Receiver<Schedule>,
) -> Result<(), RecvError> {
    let tasks = schedule.tasks.iter().take(MAX_TASKS);
    let (watches, others): (Vec<&Task>, Vec<&Task>) = tasks.partition(|task| task.probe.is_watch());
    let lanes = watches.chunks(1).chain([others.as_slice()]);
    let lanes = lanes.map(|lane| work_through(agent, around, (schedule, lane), changes.clone()));
    try_join_all(lanes).await.map(drop)
}

/// Works through some tasks of a schedule, one after another, until there is another schedule. Whether there
/// is one is looked at between the tasks only, because a probe that is cut short loses what it measured.
async fn work_through(
    agent: &Agent,
    around: &Surroundings,
    (schedule, tasks): (&Schedule, &[&Task]),
    mut changes: watch::Receiver<Schedule>,
) -> Result<(), RecvError> {
    let now = now_ms();
    let mut due: Vec<u64> = tasks.iter().map(|task| next_due(task, now)).collect();
    let mut testers: Vec<Tester> = tasks
        .iter()
        .filter_map(|task| task.probe.tester())
        .collect();
    testers.sort_unstable();
    testers.dedup();
    while !changes.has_changed()? {
        let next = tasks.iter().zip(&mut due).min_by_key(|(_, due)| **due);
        let Some((task, due)) = next else {
            return changes.changed().await;
        };
        let wait = Duration::from_millis(due.saturating_sub(now_ms()));
        // In steps, so that a clock that is set forward or back is noticed.
        if wait >= ROOM {
            agent.test_itself(&testers).await;
        }
        if !wait.is_zero() {
            if let Ok(changed) = tokio::time::timeout(wait.min(IDLE), changes.changed()).await {
                return changed;
            }
            if wait > IDLE {
                *due = next_due(task, now_ms());
            }
            continue;
        }
        let observations = if task.probe.is_watch() {
            *due = next_due(task, now_ms() + 1);
            agent.watch(task, around).await
        } else if let Some(length) = task.probe.saturates_for() {
            let _line = agent.line.lock().await;
            let late = Duration::from_millis(now_ms().saturating_sub(*due));
            *due = next_due(task, now_ms() + 1);
            match agent.may_begin(schedule, task, length, late).await {
                Ok(()) => agent.saturate(task, around).await,
                Err(failure) => {
                    tracing::warn!(?task, %failure);
                    left_out(task, around, &failure)
                }
            }
        } else {
            *due = next_due(task, now_ms() + 1);
            measure(task, around).await
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

    /// Whether a saturating test may begin that comes so late, and takes so long.
    async fn may_begin(
        &self,
        schedule: &Schedule,
        task: &Task,
        length: Duration,
        late: Duration,
    ) -> Result<(), Failure> {
        if late > LATEST_START {
            return Err(Failure::new(
                FailureReason::Busy,
                format_args!(
                    "the capacity test came {} ms too late and was left out: it would have run into another site's turn",
                    late.as_millis()
                ),
            ));
        }
        let interface = port_of(task);
        let ledger = self.ledger.lock().await;
        ledger.allows(
            &schedule.budgets,
            interface.as_deref(),
            clock::local(),
            length,
        )
    }

    /// Finds out what this machine itself carries with these protocols, where that is not known.
    async fn test_itself(&self, testers: &[Tester]) {
        let (mut book, at) = (self.self_test.lock().await, clock::now());
        if !book.is_due(&self.machine, testers, at) {
            return;
        }
        let _line = self.line.lock().await;
        self.filled.send_replace(true);
        *book = SelfTest {
            at: Some(at),
            machine: self.machine.clone(),
            ..SelfTest::default()
        };
        for &tester in testers {
            match self_test::ceiling(tester).await {
                Ok(ceiling) => book.ceilings.note(tester, ceiling),
                Err(failure) => tracing::warn!(?tester, %failure, "the self-test failed"),
            }
        }
        self.filled.send_replace(false);
        tracing::info!(ceilings = ?book.ceilings, "what this machine itself carries");
        if let Err(error) = self.state.keep_self_test(&book) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the self-test could not be kept: a restart repeats it"
            );
        }
    }

    /// Does a task that fills the line, and notes what it cost.
    async fn saturate(&self, task: &Task, around: &Surroundings) -> Vec<Observation> {
        let interface = port_of(task);
        let bytes = || interface.as_deref().and_then(bytes_through);
        let (began, before) = (Instant::now(), bytes());
        let around = Surroundings {
            ceilings: self.self_test.lock().await.of(&self.machine),
            ..around.clone()
        };
        self.filled.send_replace(true);
        let observations = measure(task, &around).await;
        self.filled.send_replace(false);
        if let (Some(interface), Some(before), Some(after)) = (&interface, before, bytes()) {
            // Counters that begin anew have counted at least what they show.
            let bytes = after.checked_sub(before).unwrap_or(after);
            let mut ledger = self.ledger.lock().await;
            let cost = Cost::new(bytes, began.elapsed());
            ledger.spend(interface, clock::local().date(), cost);
            if let Err(error) = self.state.keep_ledger(&ledger) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what a test has cost could not be kept: a restart forgets it"
                );
            }
        }
        observations
    }
}

/// The interface that a task goes through: its own, or that of the default route.
fn port_of(task: &Task) -> Option<String> {
    let own = task.interface.clone();
    own.or_else(|| default_route().map(|route| route.interface))
}

/// Bytes that an interface has sent and received so far.
fn bytes_through(interface: &str) -> Option<u64> {
    let counters = link::counters(interface).ok()?;
    Some(counters.rx_bytes.saturating_add(counters.tx_bytes))
}

async fn upload_for_ever(
    agent: &Agent,
    mut enrolment: Enrolment,
    way_out: &WayOut,
    new_schedule: &watch::Sender<Schedule>,
) {
    let mut pause = BACK_OFF.0;
    loop {
        match upload_waiting(agent, &mut enrolment, way_out, new_schedule).await {
            Ok(()) => {
                pause = BACK_OFF.0;
                let every = Duration::from_millis(enrolment.schedule.upload_every_ms.max(100));
                tokio::time::sleep(every).await;
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    again_in = ?pause,
                    "{}",
                    meaning(&error)
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(BACK_OFF.1);
            }
        }
    }
}

/// What a failed upload means for what was measured.
fn meaning(error: &UploadError) -> &'static str {
    match error {
        UploadError::Refused { status, .. } if *status == StatusCode::UNAUTHORIZED => {
            "the collector does not know this agent as one of its site; nothing was lost, the batch waits until that is repaired"
        }
        UploadError::Refused { status, .. } if *status == StatusCode::CONFLICT => {
            "the collector has other batches under this agent's new numbers too; nothing was lost, the batch waits under a later epoch"
        }
        UploadError::NoAnswer { .. }
        | UploadError::Refused { .. }
        | UploadError::Answer { .. }
        | UploadError::Receipt { .. } => {
            "the upload failed; nothing was lost, the batch waits in the spool"
        }
        UploadError::Spool(_) => {
            "the spool could not be read or written; what waits in it is not uploaded"
        }
        UploadError::State(_) => {
            "the batch arrived, but the new schedule could not be kept for the next start"
        }
    }
}

/// What a refusal asks of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// The batch will never be taken: let the others go first.
    SetAside,
    /// Its number is taken: number anew.
    RenewEpoch,
    /// The collector, or its operator, may think better of it.
    TryAgain,
}

fn remedy(status: StatusCode) -> Remedy {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => Remedy::SetAside,
        StatusCode::CONFLICT => Remedy::RenewEpoch,
        _ => Remedy::TryAgain,
    }
}

/// Uploads batch after batch until nothing waits.
async fn upload_waiting(
    agent: &Agent,
    enrolment: &mut Enrolment,
    way_out: &WayOut,
    new_schedule: &watch::Sender<Schedule>,
) -> Result<(), UploadError> {
    let mut renewed = false;
    loop {
        let site = enrolment.site.clone();
        let sealer = Sealer {
            key: &agent.key,
            collector: CollectorId::of_key(enrolment.receipt_key.octets()),
            site: &site,
        };
        let next = agent.spool.lock().await.next_batch(&sealer)?;
        let Some(batch) = next else { return Ok(()) };
        let sent = {
            let _line = agent.line.lock().await;
            upload::send(enrolment, way_out, &batch.body).await
        };
        let refusal = match sent {
            Ok(acknowledgement) => {
                check(&acknowledgement, &batch, enrolment)?;
                let mut spool = agent.spool.lock().await;
                spool.acknowledged(&batch, &acknowledgement.receipt)?;
                drop(spool);
                renewed = false;
                take_schedule(agent, enrolment, acknowledgement.schedule, new_schedule)?;
                continue;
            }
            Err(error) => error,
        };
        let UploadError::Refused { status, error, .. } = &refusal else {
            return Err(refusal);
        };
        let (epoch, sequence) = (batch.epoch, batch.sequence);
        match remedy(*status) {
            Remedy::SetAside => {
                let why = format!("{status}: {error}");
                agent.spool.lock().await.refused(&batch, &why)?;
                tracing::error!(
                    epoch,
                    sequence,
                    why,
                    "the collector will never take this batch: it is set aside in the spool, its observations are not uploaded, and later ones go on"
                );
            }
            Remedy::RenewEpoch => {
                let new_epoch = agent
                    .spool
                    .lock()
                    .await
                    .renew_epoch(&sealer, clock::now())?;
                tracing::warn!(
                    epoch,
                    sequence,
                    new_epoch,
                    "the collector has another batch under this number: this directory was copied or restored; what waits is numbered anew"
                );
                // Twice in a row it may be the collector that is wrong: that is given time.
                if std::mem::replace(&mut renewed, true) {
                    return Err(refusal);
                }
            }
            Remedy::TryAgain => return Err(refusal),
        }
    }
}

/// Goes over to the schedule of an acknowledgement, and keeps it for the next start.
fn take_schedule(
    agent: &Agent,
    enrolment: &mut Enrolment,
    schedule: Schedule,
    new_schedule: &watch::Sender<Schedule>,
) -> Result<(), StateError> {
    if schedule == enrolment.schedule {
        return Ok(());
    }
    new_schedule.send_if_modified(|current| {
        let other = *current != schedule;
        if other {
            current.clone_from(&schedule);
        }
        other
    });
    let renewed = Enrolment {
        schedule,
        ..enrolment.clone()
    };
    agent.state.keep_enrolment(&renewed)?;
    *enrolment = renewed;
    Ok(())
}

/// Without a receipt that holds, a batch would be let go that the collector never had, or can deny.
fn check(
    acknowledgement: &Acknowledgement,
    sealed: &SealedBatch,
    enrolment: &Enrolment,
) -> Result<(), UploadError> {
    let refused = |source| UploadError::Receipt {
        sequence: sealed.sequence,
        source,
    };
    // What cannot be read here cannot have been taken there.
    let batch = Batch::read(&sealed.body).map_err(|_| refused(ReceiptError::Other))?;
    acknowledgement
        .receipt
        .verified(&batch, &enrolment.receipt_key)
        .map(drop)
        .map_err(refused)
}

fn now_ms() -> u64 {
    u64::try_from(clock::now().0).unwrap_or_default()
}

#[cfg(test)]
mod tests;
