//! `messnetz agent`: enrol a box, and let it measure.

mod doctor;
mod hand_in;
mod plan;
mod start;
mod status;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::probe::proxy::Through;
use super::{Ending, block_on, print, print_json};
use crate::agent::{self, Enrolled, StateDirectory};
use crate::wire::{AgentId, Standing, Ticket};

/// Measure in a school and send what was measured to the collector.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enrol this box with a ticket from `messnetz collector ticket`
    #[command(
        after_help = "Example:\n  messnetz agent enrol messnetz2.eyJjb2xsZWN0b3I… --state /var/lib/messnetz\n\nThe box shows the fingerprint of its key and waits until the operator has compared it.\nExit code 1 where that did not happen in time: `messnetz agent run` goes on asking."
    )]
    Enrol {
        /// The ticket; `-` reads it from standard input
        ticket: String,
        /// Directory for key, enrolment and spool
        #[arg(long, default_value = "messnetz-agent")]
        state: PathBuf,
        #[command(flatten)]
        through: Through,
        /// How many minutes to wait for the operator
        #[arg(long, value_name = "MINUTES", default_value_t = 15)]
        wait: u64,
        /// Print the enrolment as JSON
        #[arg(long)]
        json: bool,
    },
    /// Measure and upload until stopped
    #[command(
        after_help = "Example:\n  messnetz agent run --state /var/lib/messnetz\n\nNo schedule of a collector exceeds the limits of this box (`messnetz agent limits`, docs/limits.md).\n\nICMP needs CAP_NET_RAW (setcap cap_net_raw+ep messnetz) or a net.ipv4.ping_group_range that holds this user's group.\n\nWhat is measured through a proxy is not the line: it is kept as service.* against \"… through PROXY\"."
    )]
    Run(start::AtWork),
    /// Measure and upload with the version of this program that is to run on this box
    Start(start::Start),
    /// Print what no schedule may exceed on this box, as the file that would say so
    #[command(
        after_help = "Example:\n  messnetz agent limits --state /var/lib/messnetz\n\nWithout a file these are the limits that hold without one; docs/limits.md explains each."
    )]
    Limits {
        /// Directory for key, enrolment and spool
        #[arg(long, default_value = "messnetz-agent")]
        state: PathBuf,
        /// The limits; limits.toml in the directory where not given
        #[arg(long, value_name = "FILE")]
        limits: Option<PathBuf>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what this agent does within the next 24 hours, and why
    #[command(
        after_help = "Example:\n  messnetz agent plan --state /var/lib/messnetz\n\nTimes are those of this machine's clock. What the limits leave out, and what budgets would at present, is told with its reason.\nExit code 1 where anything is left out."
    )]
    Plan(plan::Wanted),
    /// Say who this agent is, how it stands, which version runs, and what waits in its spool
    #[command(
        after_help = "Example:\n  messnetz agent status --state /var/lib/messnetz --json\n\nExit code 1 where the collector takes nothing from it: not let in yet, in quarantine, or revoked."
    )]
    Status {
        /// Directory for key, enrolment and spool
        #[arg(long, default_value = "messnetz-agent")]
        state: PathBuf,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    Doctor(doctor::Doctor),
    HandIn(hand_in::HandIn),
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    match arguments.command {
        Command::Enrol {
            ticket,
            state,
            through,
            wait,
            json,
        } => {
            return enrol(&ticket, &state, &through, wait, json);
        }
        Command::Run(at_work) => return at_work.run(),
        Command::Start(start) => return start.run(),
        Command::Limits {
            state,
            limits,
            json,
        } => {
            let limits = StateDirectory::new(&state).limits(limits.as_deref())?;
            if json {
                print_json(&limits)?;
            } else {
                print(toml::to_string(&limits)?.trim_end())?;
            }
        }
        Command::Doctor(doctor) => return doctor.run(),
        Command::HandIn(hand_in) => return hand_in.run(),
        Command::Plan(wanted) => return plan::run(&wanted),
        Command::Status { state, json } => return status::run(&state, json),
    }
    Ok(Ending::Well)
}

fn enrol(
    ticket: &str,
    state: &Path,
    through: &Through,
    wait: u64,
    json: bool,
) -> anyhow::Result<Ending> {
    let ticket: Ticket = if ticket == "-" {
        let text = std::io::read_to_string(std::io::stdin());
        text.context("reading the ticket")?.parse()?
    } else {
        ticket.parse()?
    };
    let state = StateDirectory::new(state);
    let way_out = through.way_out();
    let patience = Duration::from_secs(wait.saturating_mul(60));
    let waits = |id: &AgentId| {
        eprintln!(
            "waiting until the operator has compared this fingerprint and let the agent in:\n\n    {}\n",
            id.in_groups()
        );
    };
    let enrolled =
        block_on(async { Ok(agent::enrol(&ticket, &state, &way_out, patience, waits).await?) })?;
    match enrolled {
        Enrolled::In(enrolment) if json => print_json(&enrolment)?,
        Enrolled::In(enrolment) => print(&format!(
            "enrolled as {} for {}",
            enrolment.agent, enrolment.site
        ))?,
        Enrolled::Waiting(agent) => {
            if json {
                print_json(&serde_json::json!({ "agent": agent, "standing": Standing::Pending }))?;
            } else {
                print("not let in yet; `messnetz agent run` goes on asking")?;
            }
            return Ok(Ending::Findings);
        }
    }
    Ok(Ending::Well)
}
