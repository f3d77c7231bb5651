//! Tests that fill line or LAN: whether one may begin, that it does not meet lessons or others' turns, and what it
//! cost.

use std::time::{Duration, Instant};

use messnetz_metric::{Failure, FailureReason, Observation, Tester};
use messnetz_probes::link;

use super::{Agent, port_of};
use crate::agent::budget::Cost;
use crate::agent::ceilings::SelfTest;
use crate::agent::due::Turn;
use crate::agent::quiet::{self, Busy, LOOK};
use crate::clock;
use crate::measure::{Surroundings, left_out, measure};
use crate::self_test;
use crate::wire::{Budget, Schedule, Slot, Task};

/// What tests are accounted under where no interface is known that they go through.
const NO_PORT: &str = "?";

impl Agent {
    /// Does a test whose turn has come, or leaves its failure behind; `None` where it is put off, because somebody
    /// else is at work on the line.
    pub(super) async fn fill(
        &self,
        schedule: &Schedule,
        (task, length): (&Task, Duration),
        turn: &mut Turn,
        around: &Surroundings,
    ) -> Option<Vec<Observation>> {
        let _line = self.line.lock().await;
        let length_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let latest_ms = turn.latest_ms(task, length_ms);
        let looked = self.look(task, latest_ms).await;
        if looked.is_err() && turn.put_off(self.now_ms(), latest_ms) {
            return None;
        }
        let slot = turn.slot(task);
        *turn = Turn::next(task, self.now_ms() + 1);
        let may_begin = match looked {
            Ok(()) => {
                self.may_begin(schedule, (task, length), slot, latest_ms)
                    .await
            }
            Err(busy) => Err(busy),
        };
        Some(match may_begin {
            Ok(()) => self.saturate(task, &self.within_reach(around)).await,
            Err(failure) => {
                tracing::warn!(?task, %failure);
                left_out(task, around, &failure)
            }
        })
    }

    /// Looks for a while at what others send and receive through the interface, where there is time for that.
    async fn look(&self, task: &Task, latest_ms: u64) -> Result<(), Failure> {
        let left = Duration::from_millis(latest_ms.saturating_sub(self.now_ms()));
        let port = port_of(task).filter(|_| left > LOOK);
        let Some(port) = port else { return Ok(()) };
        let Ok(before) = link::counters(&port) else {
            return Ok(());
        };
        let began = Instant::now();
        tokio::time::sleep(LOOK).await;
        let Ok(after) = link::counters(&port) else {
            return Ok(());
        };
        let best = self.ledger.lock().await.best(&port, task.probe.is_leased());
        let nominal = link::read(&port).ok().and_then(|state| state.speed);
        let known = (best, nominal);
        let seen = quiet::look((&before, &after), began.elapsed(), known);
        seen.map_err(|Busy { carries, at_most }| {
            let mbps = |bits: messnetz_metric::BitRate| bits.as_bps() as f64 / 1e6;
            Failure::new(
                FailureReason::Busy,
                format_args!(
                    "the capacity test was put off and then left out: others use {:.1} Mbit/s of {port}, and {:.1} Mbit/s is the most beside which a test begins",
                    mbps(carries),
                    mbps(at_most)
                ),
            )
        })
    }

    /// Whether a test may begin now that may begin until `latest`.
    async fn may_begin(
        &self,
        schedule: &Schedule,
        (task, length): (&Task, Duration),
        slot: Option<&Slot>,
        latest_ms: u64,
    ) -> Result<(), Failure> {
        let late = self.now_ms().saturating_sub(latest_ms);
        if late > 0 {
            return Err(Failure::new(
                FailureReason::Busy,
                format_args!(
                    "the capacity test came {late} ms too late and was left out: it would have run into another site's turn"
                ),
            ));
        }
        let mut budgets = vec![self.limits.budget()];
        budgets.extend_from_slice(&schedule.budgets);
        if slot.is_none() {
            // Whoever leased a slot has looked at the clock of the site.
            budgets.push(Budget {
                hours: task.hours,
                ..Budget::default()
            });
        }
        let interface = port_of(task);
        let name = interface.as_deref().unwrap_or(NO_PORT);
        let ledger = self.ledger.lock().await;
        ledger.allows(&budgets, Some(name), clock::local(), length)?;
        drop(ledger);
        self.begin(task).await?;
        match slot {
            Some(slot) => self.use_up(slot).await,
            None => Ok(()),
        }
    }

    async fn use_up(&self, slot: &Slot) -> Result<(), Failure> {
        let mut used = self.used_slots.lock().await;
        if !used.take(slot) {
            let detail = "the capacity test was left out: its slot was used before";
            return Err(Failure::new(FailureReason::Busy, detail));
        }
        if let Err(error) = self.state.keep_used_slots(&used) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "which slots were used could not be kept: a restart forgets it"
            );
        }
        Ok(())
    }

    /// Finds out what this machine itself carries with these protocols, where that is not known.
    pub(super) async fn test_itself(&self, testers: &[Tester]) {
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
        // Counters that begin anew have counted at least what they show; without any, time is spent all the same.
        let bytes = before.zip(bytes());
        let bytes = bytes.map_or(0, |(before, after)| {
            after.checked_sub(before).unwrap_or(after)
        });
        let mut ledger = self.ledger.lock().await;
        let cost = Cost::new(bytes, began.elapsed());
        let interface = interface.as_deref().unwrap_or(NO_PORT);
        ledger.spend(interface, clock::local().date(), cost);
        ledger.note_rate(interface, task.probe.is_leased(), cost);
        if let Err(error) = self.state.keep_ledger(&ledger) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what a test has cost could not be kept: a restart forgets it"
            );
        }
        observations
    }
}

/// Bytes that an interface has sent and received so far.
fn bytes_through(interface: &str) -> Option<u64> {
    let counters = link::counters(interface).ok()?;
    Some(counters.rx_bytes.saturating_add(counters.tx_bytes))
}
