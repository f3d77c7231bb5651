//! A visit in words.

use crate::judging::visits::Visited;
use crate::text::Text;
use crate::wire::AgentId;
use crate::words::shown;

impl Text {
    /// Who saw how much, where and when.
    #[must_use]
    pub fn visit(&self, visit: &Visited) -> String {
        let agent = AgentId::try_from(visit.agent.clone());
        let agent = agent.map_or_else(|_| visit.agent.clone(), |id| id.in_groups());
        self.say_with(
            "visit-head",
            &[
                ("school", visit.school_name.as_str().into()),
                ("site", visit.site.as_str().into()),
                ("began", shown(visit.began_at).into()),
                ("count", visit.observations.into()),
                ("agent", agent.into()),
            ],
        )
    }

    /// What a visit saw of each target, a line each.
    #[must_use]
    pub fn seen_on(&self, visit: &Visited) -> Vec<String> {
        let snapshots = visit.snapshots.iter();
        snapshots
            .map(|seen| self.snapshot(&seen.title, &seen.snapshot))
            .collect()
    }
}
