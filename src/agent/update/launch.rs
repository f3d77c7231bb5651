//! Picking the version that runs: the first thing that starts on a box, and always the packaged program, so that no
//! release can keep it from going back.
//!
//! A confirmed release takes this process over. One on trial runs beneath it, until it has a receipt or its time is
//! over.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::process::Child;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::super::causes::with_causes;
use super::book::{Book, Choice, Placed};
use super::shelf::Shelf;
use super::{PACKAGE, RECEIPT_VARIABLE, RELEASE_VARIABLE};
use crate::release::{ReleaseKeys, digest_of};
use crate::sd_notify::Notifier;

/// How often it is looked whether the release on trial has its receipt.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a program may take to end that was asked to.
const TO_END: Duration = Duration::from_secs(20);

/// Pause before a release on trial that ended is started again.
const AGAIN: Duration = Duration::from_secs(2);

/// What is to be launched.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The agent's directory.
    pub state: PathBuf,
    /// The file of keys that may sign releases.
    pub keys: PathBuf,
    /// What whichever version runs is started with.
    pub arguments: Vec<OsString>,
    /// How long a release has to show that it reports.
    pub trial: Duration,
}

/// What came of launching.
#[derive(Debug)]
pub enum Launched {
    /// This program is to take the process over.
    Become(Box<Command>),
    /// It was asked to stop while a release was on trial.
    Stopped,
}

/// Nothing can be launched.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// The program that runs cannot be named.
    #[error("finding the program that this is")]
    OwnProgram(#[source] io::Error),
}

/// How a trial came out.
enum Outcome {
    Receipt,
    TimeOver,
    Ended(ExitStatus),
    NotStarted(io::Error),
    Stopped,
}

/// What is picked from.
struct Picking<'a> {
    launch: &'a Launch,
    versions: Shelf,
    keys: ReleaseKeys,
    book: Book,
}

impl Launch {
    /// Tries what is to be tried, and gives the program that is to run then.
    ///
    /// # Errors
    /// Where this program does not know its own file. Whatever else fails, there is one that runs.
    pub async fn pick(&self, stop: impl Future<Output = ()>) -> Result<Launched, LaunchError> {
        tokio::pin!(stop);
        let own = std::env::current_exe().map_err(LaunchError::OwnProgram)?;
        let package = || self.become_program(&own, PACKAGE);
        let keys = ReleaseKeys::load(&self.keys).unwrap_or_else(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "no release is trusted: the packaged program runs"
            );
            ReleaseKeys::default()
        });
        if keys.is_empty() {
            return Ok(package());
        }
        let mut picking = Picking::beside(self, &own, keys);
        loop {
            let picked = match picking.book.choose() {
                Choice::Package => return Ok(package()),
                Choice::Confirmed(placed) => picking.confirmed(&placed.clone()),
                Choice::Trial(placed) => picking.on_trial(&placed.clone(), stop.as_mut()).await,
            };
            if let Some(launched) = picked {
                return Ok(launched);
            }
        }
    }

    /// Runs a release beneath this process until it is known what becomes of it.
    async fn attempt(
        &self,
        program: &Path,
        serial: u64,
        receipt: &Path,
        stop: impl Future<Output = ()>,
    ) -> Outcome {
        let mut command = tokio::process::Command::new(program);
        command
            .args(&self.arguments)
            .env(RELEASE_VARIABLE, serial.to_string())
            .env(RECEIPT_VARIABLE, receipt)
            // The service manager hears from this process, which has the time in hand.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .kill_on_drop(true);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Outcome::NotStarted(error),
        };
        let end = Instant::now() + self.trial;
        let service_manager = Notifier::from_environment();
        service_manager.ready();
        let has_receipt = async {
            while !receipt.exists() {
                sleep(LOOK_EVERY).await;
            }
        };
        let outcome = tokio::select! {
            () = service_manager.keep_telling() => Outcome::Stopped,
            status = child.wait() => match status {
                // It may have ended because it had done its work.
                Ok(_) if receipt.exists() => return Outcome::Receipt,
                Ok(status) => return Outcome::Ended(status),
                Err(error) => Outcome::NotStarted(error),
            },
            () = has_receipt => Outcome::Receipt,
            () = sleep_until(end) => Outcome::TimeOver,
            () = stop => Outcome::Stopped,
        };
        end_it(&mut child).await;
        outcome
    }

    /// The program that takes this process over.
    fn become_program(&self, program: &Path, release: &str) -> Launched {
        let mut command = Command::new(program);
        command
            .args(&self.arguments)
            .env(RELEASE_VARIABLE, release)
            .env_remove(RECEIPT_VARIABLE);
        Launched::Become(Box::new(command))
    }
}

impl<'a> Picking<'a> {
    /// What is known beside the packaged program `own`.
    fn beside(launch: &'a Launch, own: &Path, keys: ReleaseKeys) -> Self {
        let versions = Shelf::of(&launch.state);
        let kept = versions.book();
        let mut book = kept.clone();
        match std::fs::File::open(own).and_then(|mut file| digest_of(&mut file)) {
            Ok((_, digest)) => book.beside(digest),
            Err(error) => tracing::warn!(%error, "the packaged program cannot be read"),
        }
        if let Some(trial) = &book.trial
            && versions.receipt_file(trial.release.serial).exists()
        {
            // The power went before that was written down.
            book.confirm();
        }
        book.settle();
        let is_new = book != kept;
        let mut picking = Self {
            launch,
            versions,
            keys,
            book,
        };
        if is_new {
            picking.keep();
        }
        picking
    }

    /// The confirmed release, where it can be run; otherwise something else is to be picked.
    fn confirmed(&mut self, placed: &Placed) -> Option<Launched> {
        let Placed { serial, version } = placed;
        match self.versions.verified(*serial, &self.keys) {
            Ok(program) => {
                tracing::info!(version, serial, "a release runs");
                Some(self.launch.become_program(&program, &serial.to_string()))
            }
            Err(error) => {
                tracing::error!(
                    version,
                    serial,
                    error = &error as &dyn std::error::Error,
                    "the confirmed release cannot be run any more: the packaged program runs"
                );
                self.book.lose();
                self.keep();
                None
            }
        }
    }

    /// Tries a release; nothing where it is known what becomes of it, or it is to be tried again.
    async fn on_trial(
        &mut self,
        placed: &Placed,
        stop: impl Future<Output = ()>,
    ) -> Option<Launched> {
        let Placed { serial, version } = placed;
        let program = match self.versions.verified(*serial, &self.keys) {
            Ok(program) => program,
            Err(error) => {
                self.roll_back(with_causes(&error));
                return None;
            }
        };
        self.book.start();
        if !self.keep() {
            return None;
        }
        tracing::info!(version, serial, trial = ?self.launch.trial, "a release is tried");
        let receipt = self.versions.receipt_file(*serial);
        match self.launch.attempt(&program, *serial, &receipt, stop).await {
            Outcome::Stopped => return Some(Launched::Stopped),
            Outcome::Receipt => {
                tracing::info!(version, serial, "the release has reported, and stays");
                self.book.confirm();
                self.keep();
            }
            Outcome::TimeOver => {
                let seconds = self.launch.trial.as_secs();
                self.roll_back(format_args!("it got no receipt within {seconds} s"));
            }
            Outcome::NotStarted(error) => {
                self.roll_back(format_args!("it cannot be started: {error}"));
            }
            Outcome::Ended(status) => {
                tracing::warn!(version, serial, %status, "the release on trial ended");
                self.book.ended(status);
                if self.book.trial.is_some() {
                    sleep(AGAIN).await;
                } else {
                    self.tell();
                    self.keep();
                }
            }
        }
        None
    }

    fn roll_back(&mut self, why: impl std::fmt::Display) {
        self.book.roll_back(why);
        self.tell();
        self.keep();
    }

    fn tell(&self) {
        if let Some(failed) = self.book.failed.last() {
            tracing::error!(
                version = failed.version,
                serial = failed.serial,
                why = failed.why,
                "the release is rolled back, and the one before runs"
            );
        }
    }

    /// Writes the book down; whether it could be. Where it could not, nothing is tried: what was not counted could be
    /// tried for ever.
    fn keep(&mut self) -> bool {
        let kept = self.versions.keep(&self.book);
        if let Err(error) = &kept {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "the book of versions cannot be written: nothing is tried"
            );
            self.book.trial = None;
        }
        kept.is_ok()
    }
}

/// Asks a program to end, and ends it where it does not.
async fn end_it(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if timeout(TO_END, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
