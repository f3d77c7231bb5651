//! The section of the page about the agents: who speaks, what is missing, what the collector sees of the line.

use maud::{Markup, html};
use messnetz_sites::liveness::Liveness;

use crate::judging::agents::AgentState;
use crate::store::ChainHead;
use crate::text::Text;

/// One row for each agent. States are words; the colour repeats them.
pub(super) fn table(agents: &[AgentState], chains: &[ChainHead], text: &Text) -> Markup {
    if agents.is_empty() {
        return html! { p { (text.say("agents-none")) } };
    }
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { (text.say("table-school")) }
                th scope="col" { (text.say("agents-agent")) }
                th scope="col" { (text.say("agents-state")) }
                th scope="col" { (text.say("agents-line")) }
                th scope="col" { (text.say("agents-batches")) }
                th scope="col" { (text.say("agents-numbers")) }
            } }
            tbody { @for agent in agents { (row(agent, text)) } }
        } }
        p.note { (text.say("agents-note")) }
        @if !chains.is_empty() {
            details {
                summary { (text.say("chains-title")) }
                div.scroll { table {
                    thead { tr {
                        th scope="col" { (text.say("table-site")) }
                        th scope="col" { (text.say("agents-agent")) }
                        th scope="col" { (text.say("chains-end")) }
                        th scope="col" { (text.say("chains-hash")) }
                    } }
                    tbody { @for chain in chains { tr {
                        th scope="row" { (chain.site) }
                        td { code { (chain.agent) } }
                        td { (chain.epoch) "/" (chain.sequence) }
                        td { code { (chain.hash) } }
                    } } }
                } }
                p.note { (text.say("chains-note")) }
            }
        }
    }
}

fn row(agent: &AgentState, text: &Text) -> Markup {
    let class = match agent.liveness {
        Liveness::Live => "met",
        Liveness::AtRisk => "undecided",
        Liveness::Lost => "missed",
        Liveness::Never => "no-data",
    };
    html! {
        tr.begins {
            th scope="row" {
                @match &agent.school_name {
                    Some(name) => { (name) small { (agent.site) } }
                    None => (agent.site),
                }
            }
            td { code { (agent.agent) } }
            td.verdict.(class) {
                (text.liveness(agent.liveness))
                @if let Some(came) = text.last_came(agent) { small { (came) } }
            }
            td { (text.line_view(&agent.line).unwrap_or_default()) }
            td.number { (agent.batches) }
            td { (text.numbering(agent).join("; ")) }
        }
    }
}
