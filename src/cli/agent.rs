//! `messnetz agent`: enrol a box, and let it measure.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::probe::proxy::Through;
use super::{Ending, asked_to_stop, block_on, print, print_json};
use crate::agent::{self, Contents, Spool, StateDirectory};
use crate::clock;
use crate::wire::Ticket;

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
        after_help = "Example:\n  messnetz agent enrol messnetz1.eyJjb2xsZWN0b3I… --state /var/lib/messnetz"
    )]
    Enrol {
        /// The ticket; `-` reads it from standard input
        ticket: String,
        /// Directory for key, enrolment and spool
        #[arg(long, default_value = "messnetz-agent")]
        state: PathBuf,
        #[command(flatten)]
        through: Through,
        /// Print the enrolment as JSON
        #[arg(long)]
        json: bool,
    },
    /// Measure and upload until stopped
    #[command(
        after_help = "Example:\n  messnetz agent run --state /var/lib/messnetz\n\nICMP needs CAP_NET_RAW (setcap cap_net_raw+ep messnetz) or a net.ipv4.ping_group_range that holds this user's group.\n\nWhat is measured through a proxy is not the line: it is kept as service.* against \"… through PROXY\"."
    )]
    Run {
        /// Directory for key, enrolment and spool
        #[arg(long, default_value = "messnetz-agent")]
        state: PathBuf,
        #[command(flatten)]
        through: Through,
    },
    /// Say who this agent is and what waits in its spool
    #[command(after_help = "Example:\n  messnetz agent status --state /var/lib/messnetz --json")]
    Status {
        /// Directory for key, enrolment and spool
        #[arg(long, default_value = "messnetz-agent")]
        state: PathBuf,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    match arguments.command {
        Command::Enrol {
            ticket,
            state,
            through,
            json,
        } => {
            let ticket = if ticket == "-" {
                std::io::read_to_string(std::io::stdin()).context("reading the ticket")?
            } else {
                ticket
            };
            let ticket: Ticket = ticket.parse()?;
            let state = StateDirectory::new(&state);
            let enrolment =
                block_on(async { Ok(agent::enrol(&ticket, &state, &through.way_out()).await?) })?;
            if json {
                print_json(&enrolment)?;
            } else {
                print(&format!(
                    "enrolled as {} for {}",
                    enrolment.agent, enrolment.site
                ))?;
            }
        }
        Command::Run { state, through } => {
            let state = StateDirectory::new(&state);
            block_on(async { Ok(agent::run(state, through.way_out(), asked_to_stop()).await?) })?;
        }
        Command::Status { state, json } => {
            let state = StateDirectory::new(&state);
            let enrolment = state.enrolment()?;
            let spool = Spool::open(&state.spool_file(), clock::now())?;
            let receipt = spool.last_receipt()?;
            let spool = spool.contents()?;
            if json {
                print_json(&serde_json::json!({
                    "agent": enrolment.agent,
                    "site": enrolment.site,
                    "collector": enrolment.collector,
                    "tasks": enrolment.schedule.tasks.len(),
                    "waiting_observations": spool.observations,
                    "waiting_batches": spool.batches,
                    "refused_batches": spool.refused,
                    "refused_batches_kept": spool.refused_kept,
                    "given_up_observations": spool.given_up,
                    "unreadable_observations": spool.unreadable,
                    "last_receipt": receipt,
                }))?;
            } else {
                let Contents {
                    observations,
                    batches,
                    refused,
                    refused_kept,
                    given_up,
                    unreadable,
                } = spool;
                let receipt = match receipt.map(|signed| signed.stated()).transpose()? {
                    Some(last) => format!("number {} of epoch {}", last.sequence, last.epoch),
                    None => "none yet".to_owned(),
                };
                print(&format!(
                    "agent      {}\nsite       {}\ncollector  {}\ntasks      {}\nwaiting    {observations} observations, {batches} sealed batches\nrefused    {refused} batches, {refused_kept} of them kept\nlost       {given_up} observations given up because the spool was full, {unreadable} unreadable\nreceipt    {receipt}",
                    enrolment.agent,
                    enrolment.site,
                    enrolment.collector,
                    enrolment.schedule.tasks.len(),
                ))?;
            }
        }
    }
    Ok(Ending::Well)
}
