//! `messnetz collector approve`, `release`, `revoke`, `move`: what an operator decides about an agent.

use anyhow::Context as _;
use clap::Args;

use super::super::{Ending, print, print_json};
use super::known_site;
use crate::clock;
use crate::collector::{Collector, Config};
use crate::store::Decision;
use crate::wire::AgentId;

/// The agent that a decision is about.
#[derive(Debug, Args)]
pub(super) struct Whom {
    /// The agent's fingerprint, whole: 32 hexadecimal digits, in one or in groups
    #[arg(required = true)]
    fingerprint: Vec<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn decide(
    config: Config,
    whom: &Whom,
    decision: Decision<'_>,
) -> anyhow::Result<Ending> {
    let id = AgentId::from_groups(&whom.fingerprint.join(" ")).map_err(anyhow::Error::msg)?;
    let collector = Collector::open(config)?;
    if let Decision::Move(site) = decision {
        known_site(&collector, site)?;
    }
    let decided = collector.with_store_now(|store| store.decide(&id, decision, clock::now()))?;
    let agent = decided.with_context(|| format!("agent {} stays as it is", id.in_groups()))?;
    if whom.json {
        print_json(&serde_json::json!({
            "agent": agent.id, "site": agent.site, "standing": agent.standing,
        }))?;
    } else {
        let standing = agent.standing.as_str();
        print(&format!("{}  {standing}  {}", id.in_groups(), agent.site))?;
    }
    Ok(Ending::Well)
}
