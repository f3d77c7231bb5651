//! `messnetz collector agents` and `collector gaps`: who speaks, and what is missing of whom.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::{Ending, print, print_json};
use crate::clock;
use crate::collector::{Collector, Config};
use crate::judging::gaps;
use crate::store::Role;
use crate::text::{Language, Text};
use crate::wire::AgentId;
use crate::words::shown;

/// Lists the agents: those that measure with how they speak, and those that wait or were revoked.
pub(super) fn list(config: Config, json: bool) -> anyhow::Result<Ending> {
    let collector = Collector::open(config)?;
    let states = collector.agents(clock::now())?;
    let (agents, forks) = collector.with_store_now(|store| {
        Ok::<_, crate::store::StoreError>((store.agents()?, store.forks()?))
    })?;
    // An agent that moved may have forked at each of its sites.
    let forked = |agent: &AgentId| {
        let of_agent = forks.iter().filter(|fork| fork.agent == *agent);
        of_agent.fold((0, None), |(times, last), fork| {
            (times + fork.times, last.max(Some(fork.last)))
        })
    };
    let of_state = agents.iter().map(|agent| {
        let state = states.iter().find(|state| state.agent == agent.id);
        (agent, state)
    });
    if json {
        let all = of_state.map(|(agent, state)| {
            let mut shown = match state {
                Some(state) => serde_json::to_value(state)?,
                None => serde_json::json!({ "agent": agent.id, "site": agent.site }),
            };
            let (forks, last_fork) = forked(&agent.id);
            shown["standing"] = agent.standing.as_str().into();
            shown["visits"] = (agent.role == Role::Visitor).into();
            shown["public_key"] = STANDARD.encode(&agent.public_key).into();
            shown["forks"] = forks.into();
            shown["last_fork_unix_ms"] = serde_json::to_value(last_fork)?;
            Ok(shown)
        });
        print_json(&all.collect::<Result<Vec<_>, serde_json::Error>>()?)?;
    } else {
        let text = Text::new(Language::En);
        for (agent, state) in of_state {
            let mut said = vec![agent.standing.as_str().to_owned()];
            if agent.role == Role::Visitor {
                said.push("hands in visits".to_owned());
            }
            if let Some(state) = state {
                said.push(text.liveness(state.liveness));
                said.extend(text.last_came(state));
                said.extend(text.line_view(&state.line));
                said.extend(text.numbering(state));
            }
            match forked(&agent.id).0 {
                0 => {}
                1 => said.push("FORKED once".to_owned()),
                times => said.push(format!("FORKED {times} times")),
            }
            let said = said.join("; ");
            print(&format!("{}  {}  {said}", agent.id.in_groups(), agent.site))?;
        }
    }
    Ok(Ending::Well)
}

/// Tells what is missing of an agent's numbers.
pub(super) fn gaps(config: Config, agent: &AgentId, json: bool) -> anyhow::Result<Ending> {
    let runs = Collector::open(config)?.with_store_now(|store| store.runs(agent))?;
    let (missing, epochs) = (gaps::gaps(&runs), gaps::epochs(&runs));
    let is_odd = !missing.is_empty() || epochs.iter().any(|epoch| epoch.beside_a_later);
    if json {
        print_json(&serde_json::json!({ "agent": agent, "epochs": epochs, "gaps": missing }))?;
    } else {
        for epoch in epochs {
            let beside = if epoch.beside_a_later {
                ", went on after a later epoch had begun"
            } else {
                ""
            };
            print(&format!(
                "{}  epoch {}: {} batches, received {} to {} UTC{beside}",
                epoch.site,
                epoch.epoch,
                epoch.batches,
                shown(epoch.began_at),
                shown(epoch.received_at)
            ))?;
            let own = missing
                .iter()
                .filter(|gap| gap.site == epoch.site && gap.epoch == epoch.epoch);
            for gap in own {
                let time = |at: Option<_>| at.map_or_else(|| "unknown".to_owned(), shown);
                print(&format!(
                    "  numbers {} to {} are missing, measured between {} and {} UTC",
                    gap.from,
                    gap.to,
                    time(gap.after),
                    time(gap.before)
                ))?;
            }
        }
    }
    Ok(if is_odd {
        Ending::Findings
    } else {
        Ending::Well
    })
}
