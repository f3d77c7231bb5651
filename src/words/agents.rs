//! Wording how agents stand, and what came late.

use messnetz_metric::UnixMillis;
use messnetz_sites::liveness::Liveness;

use super::text;
use crate::judging::Reopened;
use crate::judging::agents::{AgentState, LineView, NoView};
use crate::text::Text;

/// A time as it is shown to people, in UTC.
#[must_use]
pub fn shown(at: UnixMillis) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

impl Text {
    /// The word of an agent's state.
    #[must_use]
    pub fn liveness(&self, liveness: Liveness) -> String {
        match liveness {
            Liveness::Live => self.say("agent-live"),
            Liveness::AtRisk => self.say("agent-at-risk"),
            Liveness::Lost => self.say("agent-lost"),
            Liveness::Never => self.say("agent-never"),
        }
    }

    /// When an agent's last batch came, where one did.
    #[must_use]
    pub fn last_came(&self, agent: &AgentState) -> Option<String> {
        let time = text(shown(agent.received_at?));
        Some(self.say_with("agent-received", &[("time", time)]))
    }

    /// What the collector sees of a silent agent's line.
    #[must_use]
    pub fn line_view(&self, view: &LineView) -> Option<String> {
        let at = |key: &UnixMillis| [("time", text(shown(*key)))];
        Some(match view {
            LineView::NotNeeded => return None,
            LineView::Answers { asked_at } => self.say_with("line-answers", &at(asked_at)),
            LineView::Silent { asked_at } => self.say_with("line-silent", &at(asked_at)),
            LineView::NotAvailable { why } => {
                let why = match why {
                    NoView::NotStated => self.say("line-not-stated"),
                    NoView::NotAsked => self.say("line-not-asked"),
                    NoView::CouldNotAsk { detail } => detail.clone(),
                };
                self.say_with("line-not-available", &[("why", text(why))])
            }
        })
    }

    /// What is missing of an agent's numbers, and what of them is odd.
    #[must_use]
    pub fn numbering(&self, agent: &AgentState) -> Vec<String> {
        let mut said = Vec::new();
        if agent.gaps > 0 {
            let gaps = [
                ("gaps", agent.gaps.into()),
                ("missing", agent.missing.into()),
            ];
            said.push(self.say_with("agent-gaps", &gaps));
        }
        if agent.beside > 0 {
            said.push(self.say_with("agent-beside", &[("epochs", agent.beside.into())]));
        }
        if agent.late > 0 {
            said.push(self.say_with("agent-late", &[("batches", agent.late.into())]));
        }
        if agent.behind > 0 {
            said.push(self.say_with("agent-behind", &[("batches", agent.behind.into())]));
        }
        said
    }

    /// What came of a period after it had been closed.
    #[must_use]
    pub fn reopened(&self, reopened: &Reopened) -> String {
        let gaps = [
            ("samples", reopened.samples.into()),
            ("time", text(shown(reopened.received_at))),
        ];
        let mut said = self.say_with("reopened", &gaps);
        if reopened.behind > 0 {
            said.push_str("; ");
            let behind = [("samples", reopened.behind.into())];
            said.push_str(&self.say_with("reopened-behind", &behind));
        }
        said
    }
}
