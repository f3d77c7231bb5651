//! From causes to upgrades, with the chain of reasons.

use std::collections::HashMap;

use messnetz_metric::{EachWay, Metric, Nominal, Rate, Value};
use serde::Serialize;

use super::{Catalogue, Price, Upgrade, UpgradeId};
use crate::cause::Cause;
use crate::site::{LineMedium, SchoolId, SiteId};
use crate::source::Day;
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
    /// The day at which the prices were looked up.
    pub prices_as_of: Day,
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
    let mut sites: Vec<(&SiteId, Vec<&(Judgement, Cause)>)> = Vec::new();
    let mut places = HashMap::new();
    for finding in findings {
        let site = &finding.0.site;
        let place = *places.entry(site).or_insert_with(|| {
            sites.push((site, Vec::new()));
            sites.len() - 1
        });
        sites[place].1.push(finding);
    }
    let for_site = |(site, findings): (&SiteId, Vec<&(Judgement, Cause)>)| {
        let upgrades = catalogue.upgrades.iter();
        upgrades
            .filter_map(|upgrade| upgrade.recommended(site, &findings))
            .collect::<Vec<_>>()
    };
    sites.into_iter().flat_map(for_site).collect()
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
    /// This upgrade for a site, where it mends any of the site's findings.
    fn recommended(
        &self,
        site: &SiteId,
        findings: &[&(Judgement, Cause)],
    ) -> Option<Recommendation> {
        let reasons: Vec<Reason> = findings
            .iter()
            .filter(|(judgement, cause)| self.mends(judgement.metric, cause))
            .map(|(judgement, cause)| reason(judgement, cause))
            .collect();
        (!reasons.is_empty()).then(|| Recommendation {
            school: site.school().clone(),
            site: site.clone(),
            upgrade: self.id.clone(),
            title: self.title.clone(),
            prices_as_of: self.prices_as_of,
            once: self.once.clone(),
            monthly: self.monthly.clone(),
            reasons,
        })
    }

    /// Whether this mends a cause that a target of `metric` was missed for.
    fn mends(&self, metric: Metric, cause: &Cause) -> bool {
        let medium = medium(cause);
        let is_listed = self.mends.iter().any(|mends| {
            mends.cause == cause.kind()
                && (mends.metrics.is_empty() || mends.metrics.contains(&metric))
                && (mends.media.is_empty()
                    || medium.is_some_and(|medium| mends.media.contains(&medium)))
        });
        is_listed && self.carries.is_none_or(|carries| brings(carries, cause))
    }
}

/// What the line is made of today, where the cause says so.
const fn medium(cause: &Cause) -> Option<LineMedium> {
    match cause {
        Cause::ContractTooSmall { medium, .. } | Cause::ContractExhausted { medium, .. } => {
            Some(*medium)
        }
        Cause::LineUnderDelivers(under) | Cause::ProviderUnderDelivers(under) => Some(under.medium),
        Cause::LineQuality { medium, .. } => *medium,
        Cause::AgentPort(_)
        | Cause::Agent { .. }
        | Cause::SwitchPort(_)
        | Cause::Lan { .. }
        | Cause::AccessPoint { .. }
        | Cause::FarEnd { .. }
        | Cause::Service { .. }
        | Cause::Undecidable { .. } => None,
    }
}

/// Whether so much is what the cause lacks. A tariff that the school already has mends nothing.
fn brings(carries: Rate<Nominal, EachWay>, cause: &Cause) -> bool {
    match cause {
        Cause::ContractTooSmall {
            contract, needed, ..
        }
        | Cause::ContractExhausted {
            contract, needed, ..
        } => carries.one_way() >= *needed && carries.one_way() > *contract,
        Cause::AgentPort(full) => carries.carries(full.layer) >= full.needed && carries > full.port,
        Cause::LineUnderDelivers(_)
        | Cause::ProviderUnderDelivers(_)
        | Cause::LineQuality { .. }
        | Cause::Agent { .. }
        | Cause::SwitchPort(_)
        | Cause::Lan { .. }
        | Cause::AccessPoint { .. }
        | Cause::FarEnd { .. }
        | Cause::Service { .. }
        | Cause::Undecidable { .. } => true,
    }
}
