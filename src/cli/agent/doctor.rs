//! `messnetz agent doctor`: one screen that says what is wrong and what to do.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::probe::proxy::Through;
use super::super::{Ending, block_on, print, print_json};
use crate::agent::{Finding, Standing, StateDirectory, examine};

/// Say what is wrong with this box and what to do about it
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  messnetz agent doctor --state /var/lib/messnetz-agent\n\nRun it as root or as the user that the agent runs as; it changes nothing.\n\nExit codes: 0 all is ok, 1 something is not, 2 it could not look."
)]
pub(super) struct Doctor {
    /// Directory for key, enrolment and spool
    #[arg(long, default_value = "messnetz-agent")]
    state: PathBuf,
    /// What no schedule may exceed; limits.toml in the directory where not given
    #[arg(long, value_name = "FILE")]
    limits: Option<PathBuf>,
    #[command(flatten)]
    through: Through,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// All findings as JSON.
#[derive(Serialize)]
struct All<'a> {
    standing: Standing,
    findings: &'a [Finding],
}

impl Doctor {
    pub(super) fn run(&self) -> anyhow::Result<Ending> {
        let state = StateDirectory::new(&self.state);
        let way_out = self.through.way_out();
        let limits = self.limits.as_deref();
        let findings = block_on(async { Ok(examine(&state, limits, &way_out).await) })?;
        let worst = findings.iter().map(|finding| finding.standing).max();
        let standing = worst.unwrap_or(Standing::Ok);
        if self.json {
            let findings = &findings;
            print_json(&All { standing, findings })?;
        } else {
            print(&screen(&findings)?)?;
        }
        Ok(match standing {
            Standing::Ok => Ending::Well,
            Standing::Warn | Standing::Wrong => Ending::Findings,
        })
    }
}

/// A line for each finding, and one below it for what to do.
fn screen(findings: &[Finding]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for finding in findings {
        let (word, what, saw) = (finding.standing.word(), finding.what, &finding.saw);
        writeln!(text, "{word:<6} {what:<10} {saw}")?;
        if let Some(remedy) = &finding.remedy {
            writeln!(text, "{:18}do: {remedy}", "")?;
        }
    }
    Ok(text)
}
