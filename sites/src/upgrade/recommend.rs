//! From causes to upgrades, with the chain of reasons.

use messnetz_metric::{BitRate, Metric, Value};
use serde::Serialize;

use super::{Catalogue, Price, Upgrade, UpgradeId};
use crate::cause::Cause;
use crate::site::{LineMedium, SchoolId, SiteId};
use crate::target::TargetId;
use crate::text::Bilingual;
use crate::verdict::Judgement;

/// An upgrade for a site, with every target that it mends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// The school.
    pub school: SchoolId,
    /// The site.
    pub site: SiteId,
    /// The upgrade.
    pub upgrade: UpgradeId,
    /// What a planner calls it.
    pub title: Bilingual,
    /// What it costs once.
    pub once: Price,
    /// What it costs each month.
    pub monthly: Price,
    /// Why: one chain per target that it mends.
    pub reasons: Vec<Reason>,
}

/// One chain from a target over its observation to the cause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// The target.
    pub target: TargetId,
    /// What was measured.
    pub metric: Metric,
    /// The value that was held against the threshold.
    pub observed: Option<Value>,
    /// The threshold, less its tolerance.
    pub threshold: Option<Value>,
    /// Number of samples behind the observation.
    pub samples: usize,
    /// Whether the verdict rests on less evidence than the target asks for.
    pub shortened: bool,
    /// The cause.
    pub cause: Cause,
}

/// The upgrades that mend these causes: one per site and upgrade, however many targets it mends, in the
/// order in which the sites come and within a site in the catalogue's order.
#[must_use]
pub fn recommend(findings: &[(Judgement, Cause)], catalogue: &Catalogue) -> Vec<Recommendation> {
    let mut sites: Vec<&SiteId> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (judgement, _) in findings {
        if seen.insert(&judgement.site) {
            sites.push(&judgement.site);
        }
    }
    let mut by_site: std::collections::HashMap<&SiteId, Vec<&(Judgement, Cause)>> =
        std::collections::HashMap::new();
    for finding in findings {
        by_site.entry(&finding.0.site).or_default().push(finding);
    }
    let mut recommendations = Vec::new();
    for site in sites {
        for upgrade in &catalogue.upgrades {
            let reasons: Vec<Reason> = by_site[site]
                .iter()
                .filter(|(judgement, cause)| upgrade.mends(judgement.metric, cause))
                .map(|(judgement, cause)| reason(judgement, cause))
                .collect();
            if !reasons.is_empty() {
                recommendations.push(Recommendation {
                    school: site.school().clone(),
                    site: site.clone(),
                    upgrade: upgrade.id.clone(),
                    title: upgrade.title.clone(),
                    once: upgrade.once.clone(),
                    monthly: upgrade.monthly.clone(),
                    reasons,
                });
            }
        }
    }
    recommendations
}

fn reason(judgement: &Judgement, cause: &Cause) -> Reason {
    Reason {
        target: judgement.target.clone(),
        metric: judgement.metric,
        observed: judgement.observed,
        threshold: judgement.threshold.as_ref().map(|t| t.tolerated),
        samples: judgement.samples,
        shortened: judgement.shortened,
        cause: cause.clone(),
    }
}

impl Upgrade {
    /// Whether this mends a cause that a target of `metric` was missed for.
    fn mends(&self, metric: Metric, cause: &Cause) -> bool {
        let (medium, needed) = demands(cause);
        let is_large_enough = match (self.carries, needed) {
            (Some(carries), Some(needed)) => carries >= needed,
            _ => true,
        };
        is_large_enough
            && self.mends.iter().any(|mends| {
                mends.cause == cause.kind()
                    && (mends.metrics.is_empty() || mends.metrics.contains(&metric))
                    && (mends.media.is_empty()
                        || medium.is_some_and(|medium| mends.media.contains(&medium)))
            })
    }
}

/// What the line is made of today, and the nominal rate that is needed, where the cause says so.
const fn demands(cause: &Cause) -> (Option<LineMedium>, Option<BitRate>) {
    match cause {
        Cause::ContractTooSmall { needed, medium, .. } => (Some(*medium), Some(*needed)),
        Cause::LineUnderDelivers { medium, .. } => (Some(*medium), None),
        Cause::LineQuality { medium, .. } => (*medium, None),
        Cause::AgentPort(full) => (None, Some(full.needed)),
        Cause::Lan { .. }
        | Cause::Wlan { .. }
        | Cause::Service { .. }
        | Cause::Undecidable { .. } => (None, None),
    }
}
