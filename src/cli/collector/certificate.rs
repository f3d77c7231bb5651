//! `messnetz collector certificate`: exchange the certificate that agents know the collector by, without a visit.

use std::time::{Duration, Instant};

use clap::Subcommand;
use messnetz_probes::tls::Fingerprint;
use serde::Serialize;

use super::super::{Ending, print, print_json};
use crate::clock;
use crate::collector::{Config, KeyDirectory, Keys, STORE_FILE, issue};
use crate::store::{SqliteStore, Store};
use crate::wire::{AgentId, Standing};

/// How often is looked whether agents have heard.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say which certificate is in use, which is to follow, and which agents have heard of it
    #[command(after_help = "Example:\n  messnetz collector certificate status --json")]
    Status {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the certificate that is to follow, and tell agents to believe it as well
    #[command(
        after_help = "Example:\n  messnetz collector certificate renew\n  messnetz collector certificate status\n  messnetz collector certificate switch\n\nThe one in use stays until then. Agents hear of the next with their next upload."
    )]
    Renew {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Go over to the certificate that is to follow, once every agent has heard of it
    #[command(
        after_help = "Examples:\n  messnetz collector certificate switch --wait 900\n  messnetz collector certificate switch --force\n\nA collector that runs goes over within a second, and agents believe the former one no more.\nExit code 1 where an agent has not heard of the next; nothing is changed then.\nAn agent that was away asks whoever answers for the list of certificates, and believes it by the collector's signature."
    )]
    Switch {
        /// Wait so many seconds at most until every agent has heard
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        wait: u64,
        /// Do not wait for agents that are away: after a theft of the key
        #[arg(long)]
        force: bool,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

/// How far agents are.
#[derive(Serialize)]
struct Progress {
    in_use: Fingerprint,
    next: Option<Fingerprint>,
    /// The number of the list.
    number: u64,
    agents: usize,
    heard: usize,
    not_heard: Vec<Away>,
}

/// An agent that has an earlier list, or none.
#[derive(Serialize)]
struct Away {
    agent: AgentId,
    site: String,
}

pub(super) fn run(config: &Config, command: &Command) -> anyhow::Result<Ending> {
    std::fs::create_dir_all(&config.data)?;
    let store = SqliteStore::open(&config.data.join(STORE_FILE))?;
    let directory = KeyDirectory::of(&config.data);
    match command {
        Command::Status { json } => told(&heard(&store, &directory.open(&store)?)?, *json),
        Command::Renew { json } => told(&heard(&store, &directory.prepare(&store)?)?, *json),
        Command::Switch { wait, force, json } => {
            let keys = directory.open(&store)?;
            let end = Instant::now() + Duration::from_secs(*wait);
            let heard_now = loop {
                let heard_now = heard(&store, &keys)?;
                if *force || heard_now.not_heard.is_empty() || Instant::now() >= end {
                    break heard_now;
                }
                std::thread::sleep(LOOK_EVERY);
            };
            if keys.next.is_none() {
                told(&heard_now, *json)?;
                anyhow::bail!(
                    "there is no certificate to go over to; make one with `messnetz collector certificate renew`"
                );
            }
            if !heard_now.not_heard.is_empty() && !force {
                told(&heard_now, *json)?;
                return Ok(Ending::Findings);
            }
            told(&heard(&store, &directory.switch(&store)?)?, *json)
        }
    }
}

/// How far agents are with the list of these keys, which is signed where it was not yet.
fn heard(store: &dyn Store, keys: &Keys) -> anyhow::Result<Progress> {
    let (_, pins) = issue(store, keys, clock::now())?;
    let mut agents = store.agents()?;
    agents.retain(|agent| agent.standing == Standing::Approved);
    let all = agents.len();
    agents.retain(|agent| agent.pins < pins.number);
    let not_heard = agents.into_iter().map(|agent| Away {
        agent: agent.id,
        site: agent.site,
    });
    let not_heard: Vec<Away> = not_heard.collect();
    Ok(Progress {
        in_use: keys.certificate.fingerprint,
        next: keys.next,
        number: pins.number,
        agents: all,
        heard: all - not_heard.len(),
        not_heard,
    })
}

fn told(heard: &Progress, json: bool) -> anyhow::Result<Ending> {
    if json {
        print_json(heard)?;
        return Ok(Ending::Well);
    }
    print(&format!("in use  {}", heard.in_use))?;
    if let Some(next) = &heard.next {
        print(&format!("next    {next}"))?;
    }
    print(&format!(
        "{} of {} agents have heard of {}",
        heard.heard,
        heard.agents,
        if heard.next.is_some() { "both" } else { "it" }
    ))?;
    for Away { agent, site } in &heard.not_heard {
        print(&format!("  not yet: {agent}  {site}"))?;
    }
    Ok(Ending::Well)
}
