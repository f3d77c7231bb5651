//! `messnetz agent start`: pick the version that runs, and become it. `messnetz agent run`'s arguments are its own.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::super::probe::proxy::Through;
use super::super::{Ending, asked_to_stop, block_on};
use crate::agent::{self, Launch, Launched, RELEASE_KEYS, StateDirectory};
use crate::release::ReleaseKeys;

/// What an agent at work is told.
#[derive(Debug, Args)]
pub(super) struct AtWork {
    /// Directory for key, enrolment and spool
    #[arg(long, default_value = "messnetz-agent")]
    state: PathBuf,
    /// What no schedule may exceed; limits.toml in the directory where not given
    #[arg(long, value_name = "FILE")]
    limits: Option<PathBuf>,
    /// Keys that may sign releases, one a line; without one no release is taken
    #[arg(long, value_name = "FILE", default_value = RELEASE_KEYS)]
    release_keys: PathBuf,
    #[command(flatten)]
    through: Through,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  messnetz agent start --state /var/lib/messnetz-agent\n\nRuns the release that was confirmed last, or this program where there is none. A release that is new runs on trial: it stays if a batch of its own is acknowledged within a quarter of an hour; otherwise the version before runs again, and that release is never tried again (docs/agent.md)."
)]
pub(super) struct Start {
    #[command(flatten)]
    at_work: AtWork,
    /// How long a release has to show that it reports, in seconds
    #[arg(long, hide = true, default_value_t = 900)]
    trial_seconds: u64,
}

impl AtWork {
    /// Measures and uploads until stopped.
    pub(super) fn run(self) -> anyhow::Result<Ending> {
        let state = StateDirectory::new(&self.state);
        let limits = state.limits(self.limits.as_deref())?;
        let way_out = self.through.way_out();
        let keys = ReleaseKeys::load(&self.release_keys).unwrap_or_else(|error| {
            // A box measures, whoever has spoilt this file.
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "no release is trusted, and none is taken"
            );
            ReleaseKeys::default()
        });
        block_on(async { Ok(agent::run(state, limits, keys, way_out, asked_to_stop()).await?) })?;
        Ok(Ending::Well)
    }

    /// What `messnetz agent run` is told so that it does the same.
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["agent", "run", "--state"].map(OsString::from).into();
        arguments.push(self.state.clone().into());
        arguments.push("--release-keys".into());
        arguments.push(self.release_keys.clone().into());
        if let Some(limits) = &self.limits {
            arguments.push("--limits".into());
            arguments.push(limits.clone().into());
        }
        if let Some(proxy) = self.through.said() {
            arguments.push("--proxy".into());
            arguments.push(proxy.into());
        }
        arguments
    }
}

impl Start {
    pub(super) fn run(&self) -> anyhow::Result<Ending> {
        let launch = Launch {
            state: self.at_work.state.clone(),
            keys: self.at_work.release_keys.clone(),
            arguments: self.at_work.arguments(),
            trial: Duration::from_secs(self.trial_seconds),
        };
        match block_on(async { Ok(launch.pick(asked_to_stop()).await?) })? {
            Launched::Stopped => Ok(Ending::Well),
            Launched::Become(mut command) => {
                let program = command.get_program().to_owned();
                // It comes back only where that failed.
                let error = command.exec();
                Err(error).with_context(|| format!("starting {}", program.display()))
            }
        }
    }
}
