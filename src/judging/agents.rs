//! How each agent stands: whether it speaks, what is missing of it, and what the collector sees of its line.
//!
//! A silent agent is a state of the agent. Whether the line is dead as well only somebody else can tell, so
//! the collector's own view stands beside it, or that there is none.

use std::collections::{BTreeMap, BTreeSet};

use messnetz_metric::UnixMillis;
use messnetz_sites::liveness::{Liveness, Silence};
use messnetz_sites::site::{Authority, SiteId};
use serde::Serialize;

use crate::store::{Came, LineSeen, Role, Store, StoreError};
use crate::wire::AgentId;

/// For how long what was seen of a line is told, in milliseconds.
const SEEN_FOR_MS: i64 = 30 * 60 * 1000;

/// What the collector sees of a school's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum LineView {
    /// The agent speaks, so nobody asks.
    NotNeeded,
    /// The line answers: it is the agent that is silent.
    Answers {
        /// When it did.
        #[serde(rename = "asked_at_unix_ms")]
        asked_at: UnixMillis,
    },
    /// The line does not answer either.
    Silent {
        /// When it did not.
        #[serde(rename = "asked_at_unix_ms")]
        asked_at: UnixMillis,
    },
    /// The collector's view is not available.
    NotAvailable {
        /// Why not.
        #[serde(flatten)]
        why: NoView,
    },
}

/// Why there is no view of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum NoView {
    /// The configuration states no address of it.
    NotStated,
    /// It has not been asked lately.
    NotAsked,
    /// It could not be asked.
    CouldNotAsk {
        /// What was in the way.
        detail: String,
    },
}

/// One agent.
#[derive(Clone, Debug, Serialize)]
pub struct AgentState {
    /// Who.
    pub agent: AgentId,
    /// Where it measures.
    pub site: String,
    /// Name of the school; absent where the site file knows it no longer.
    pub school_name: Option<String>,
    /// Whether it speaks.
    pub liveness: Liveness,
    /// When its last batch came.
    #[serde(rename = "received_at_unix_ms")]
    pub received_at: Option<UnixMillis>,
    /// How long it may be silent.
    pub silence: Silence,
    /// What the collector sees of its line.
    pub line: LineView,
    /// How many batches came.
    pub batches: u64,
    /// Between how many of them numbers are missing.
    pub gaps: u64,
    /// How many numbers are missing.
    pub missing: u64,
    /// How many epochs its numbers have.
    pub epochs: u64,
    /// How many of them went on after a later one had begun.
    pub beside: u64,
    /// How many batches came more than a day after they were measured.
    pub late: u64,
    /// How many of these are older than what came before them, though no gap was left for them.
    pub behind: u64,
}

/// All enrolled agents by site, at this time; `reachable` are the sites whose lines the collector can ask.
///
/// # Errors
/// Where the store cannot be read.
pub fn agents(
    authority: &Authority,
    store: &dyn Store,
    reachable: &BTreeSet<SiteId>,
    now: UnixMillis,
) -> Result<Vec<AgentState>, StoreError> {
    let came: BTreeMap<(String, AgentId), Came> = store
        .came()?
        .into_iter()
        .map(|came| ((came.site.clone(), came.agent.clone()), came))
        .collect();
    let seen: BTreeMap<String, LineSeen> = store
        .lines_seen()?
        .into_iter()
        .map(|seen| (seen.site.clone(), seen))
        .collect();
    let state = |agent: crate::store::EnrolledAgent| {
        let id: Option<SiteId> = agent.site.parse().ok();
        let school = id.as_ref().and_then(|id| authority.site(id)).map(|it| it.0);
        let silence = school.map_or_else(Silence::default, |it| authority.silence_of(it));
        let key = (agent.site, agent.id);
        let came = came.get(&key);
        let received_at = came.map(|came| came.received_at);
        let liveness = Liveness::of(received_at, now, &silence);
        let is_stated = id.is_some_and(|id| reachable.contains(&id));
        let count = |of: fn(&Came) -> u64| came.map_or(0, of);
        AgentState {
            school_name: school.map(|school| school.name.clone()),
            liveness,
            received_at,
            silence,
            line: line_view(liveness, is_stated, seen.get(&key.0), now),
            batches: count(|came| came.batches),
            gaps: count(|came| came.gaps),
            missing: count(|came| came.missing),
            epochs: count(|came| came.epochs),
            beside: count(|came| came.beside),
            late: count(|came| came.late),
            behind: count(|came| came.behind),
            site: key.0,
            agent: key.1,
        }
    };
    let measuring = store.agents()?.into_iter();
    let measuring =
        measuring.filter(|agent| agent.standing.measures() && agent.role == Role::Resident);
    Ok(measuring.map(state).collect())
}

fn line_view(
    liveness: Liveness,
    is_stated: bool,
    seen: Option<&LineSeen>,
    now: UnixMillis,
) -> LineView {
    if liveness == Liveness::Live {
        return LineView::NotNeeded;
    }
    if !is_stated {
        let why = NoView::NotStated;
        return LineView::NotAvailable { why };
    }
    let is_fresh = |seen: &&LineSeen| now.0.saturating_sub(seen.asked_at.0) <= SEEN_FOR_MS;
    match seen.filter(is_fresh) {
        None => LineView::NotAvailable {
            why: NoView::NotAsked,
        },
        Some(seen) => match &seen.answers {
            Ok(true) => LineView::Answers {
                asked_at: seen.asked_at,
            },
            Ok(false) => LineView::Silent {
                asked_at: seen.asked_at,
            },
            Err(detail) => LineView::NotAvailable {
                why: NoView::CouldNotAsk {
                    detail: detail.clone(),
                },
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_agent_and_a_dead_line_are_told_apart_and_an_unseen_line_is_neither() {
        let now = UnixMillis(10_000_000);
        let seen = |answers, minutes: i64| LineSeen {
            site: "XX-100001/main".to_owned(),
            asked_at: UnixMillis(now.0 - minutes * 60_000),
            answers,
        };
        let view = |liveness, stated, seen: Option<&LineSeen>| {
            let view = line_view(liveness, stated, seen, now);
            serde_json::to_value(view).unwrap()
        };
        let (yes, no) = (seen(Ok(true), 1), seen(Ok(false), 1));
        let not = seen(Err("no right to send".to_owned()), 1);
        let old = seen(Ok(true), 31);
        for liveness in [Liveness::AtRisk, Liveness::Lost, Liveness::Never] {
            assert_eq!(view(liveness, true, Some(&yes))["word"], "answers");
            assert_eq!(view(liveness, true, Some(&no))["word"], "silent");
            for (stated, seen, reason) in [
                (false, Some(&yes), "not-stated"),
                (true, None, "not-asked"),
                (true, Some(&old), "not-asked"),
                (true, Some(&not), "could-not-ask"),
            ] {
                let view = view(liveness, stated, seen);
                assert_eq!(view["word"], "not-available", "{view}");
                assert_eq!(view["reason"], reason, "{view}");
            }
        }
        assert_eq!(view(Liveness::Live, true, Some(&no))["word"], "not-needed");
    }
}
