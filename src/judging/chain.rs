//! The chain of one row as data: from the document that states the target over threshold, verdict and cause
//! to the worst of the single samples. Wording is not done here.

use std::collections::BTreeMap;

use messnetz_metric::{Better, UnixMillis, Value};
use messnetz_sites::Bilingual;
use messnetz_sites::calendar::Zone;
use messnetz_sites::facts::Facts;
use messnetz_sites::formula::{Formula, NotAssessable};
use messnetz_sites::site::{Authority, School};
use messnetz_sites::target::{Demand, InventoryTarget, Profile, Scope, Status, Target, TargetId};
use messnetz_sites::upgrade::Recommendation;
use messnetz_sites::verdict::{Sample, Whose};
use serde::Serialize;

use super::{Report, Row, StatedRow};

/// All that one verdict rests on.
#[derive(Clone, Debug, Serialize)]
pub struct Chain<'a> {
    /// The verdict with its evidence and its cause.
    pub row: &'a Row,
    /// What is demanded.
    pub target: &'a Target,
    /// What a planner calls the profile that the target is of.
    pub profile_title: &'a Bilingual,
    /// How that profile stands today.
    pub status: Status,
    /// The formula with the numbers of the site filled in, as far as they are known.
    pub workings: String,
    /// Why there is no threshold, where there is none.
    pub not_assessable: Option<NotAssessable>,
    /// What would mend it.
    pub recommendations: Vec<&'a Recommendation>,
    /// The least favourable samples, the worst first.
    pub worst: Vec<Single>,
    /// Why the verdict rests on less than the target asks for, where it does.
    pub shortened: Option<&'a str>,
}

/// A single sample, with the time that the clock at the school showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Single {
    /// When the measurement began.
    #[serde(rename = "at_unix_ms")]
    pub at: UnixMillis,
    /// The same by the clock at the school, as RFC 3339 writes it.
    pub local_time: String,
    /// What it came to.
    pub value: Value,
    /// Whether other traffic used the line during the measurement; `None` where nobody looked.
    pub disturbed: Option<bool>,
}

impl<'a> Chain<'a> {
    /// The chains of a school's targets at all of its sites, or of one target, in the report's order. Their
    /// samples are not among what a report holds: see [`Chain::show_worst`].
    #[must_use]
    pub fn all(
        authority: &'a Authority,
        report: &'a Report,
        school: &'a School,
        only: Option<&TargetId>,
    ) -> Vec<Self> {
        let targets: BTreeMap<&TargetId, &Target> = authority
            .known
            .targets_for(authority.profiles_of(school), school)
            .map(|target| (&target.id, target))
            .collect();
        let of_school = |row: &&Row| row.judgement.school == school.id;
        report
            .rows
            .iter()
            .filter(of_school)
            .filter(|row| only.is_none_or(|only| row.judgement.target == *only))
            .filter_map(|row| {
                let target = *targets.get(&row.judgement.target)?;
                Self::of(authority, report, school, row, target)
            })
            .collect()
    }

    fn of(
        authority: &'a Authority,
        report: &'a Report,
        school: &School,
        row: &'a Row,
        target: &'a Target,
    ) -> Option<Self> {
        let judgement = &row.judgement;
        let site = school.sites.iter().find(|site| site.id == judgement.site)?;
        let holds = |profile: &&Profile| profile.targets.iter().any(|one| one.id == target.id);
        let profile = authority.known.iter().find(holds)?;
        let facts = school.facts_at(site, target.scope);
        let mends = |found: &&Recommendation| {
            let mut reasons = found.reasons.iter();
            found.site == judgement.site && reasons.any(|reason| reason.target == target.id)
        };
        let shortened = report.shortened.as_deref();
        Some(Self {
            row,
            target,
            profile_title: &profile.title,
            status: profile.status,
            workings: target.formula.explain(&facts),
            not_assessable: target.threshold(&facts).err(),
            recommendations: report.recommendations.iter().filter(mends).collect(),
            worst: Vec::new(),
            shortened: shortened.filter(|_| judgement.shortened),
        })
    }

    /// Keeps the `count` least favourable of the verdict's samples; of equal ones the earliest.
    pub fn show_worst(&mut self, mut samples: Vec<Sample>, count: usize, zone: &Zone) {
        let better = self.target.op.better();
        samples.sort_by_key(|sample| {
            let number = sample.value.number();
            // `!number` turns the order of whole numbers around and overflows nowhere.
            let badness = match better {
                Better::Higher => number,
                Better::Lower => !number,
            };
            (badness, sample.at)
        });
        samples.truncate(count);
        let single = |sample: Sample| Single {
            at: sample.at,
            local_time: zone.rfc3339(sample.at),
            value: sample.value,
            disturbed: sample.disturbed,
        };
        self.worst = samples.into_iter().map(single).collect();
    }

    /// The formula that has no number of the school in it; `None` where the target states its threshold
    /// outright.
    #[must_use]
    pub fn rule(&self) -> Option<&'a Formula> {
        let is_assessable = self.not_assessable.is_none();
        has_a_rule(&self.target.formula, &self.workings, is_assessable)
            .then_some(&self.target.formula)
    }
}

/// Whether a formula has a number of the school in it.
fn has_a_rule(formula: &Formula, workings: &str, is_assessable: bool) -> bool {
    !is_assessable || formula.explain(&Facts::default()) != workings
}

/// All that the verdict on an inventory target rests on: document, demand, and what is stated by whom.
#[derive(Clone, Debug, Serialize)]
pub struct StatedChain<'a> {
    /// The verdict with what is stated.
    pub row: &'a StatedRow,
    /// What is demanded.
    pub target: &'a InventoryTarget,
    /// What a planner calls the profile that the target is of.
    pub profile_title: &'a Bilingual,
    /// How that profile stands today.
    pub status: Status,
    /// The formula with the numbers filled in, as far as they are known; absent for the item of a checklist.
    pub workings: Option<String>,
}

impl<'a> StatedChain<'a> {
    /// The chains of a school's inventory targets, or of one of them, in the report's order: those of the
    /// authority as a whole are among them.
    #[must_use]
    pub fn all(
        authority: &'a Authority,
        report: &'a Report,
        school: &'a School,
        only: Option<&TargetId>,
    ) -> Vec<Self> {
        let targets: BTreeMap<&TargetId, &InventoryTarget> = authority
            .known
            .inventory_for(authority.profiles_of(school), school)
            .map(|target| (&target.id, target))
            .collect();
        let rows = report.stated.iter();
        rows.filter(|row| row.judgement.whose.schools().contains(&school.id))
            .filter(|row| only.is_none_or(|only| row.judgement.target == *only))
            .filter_map(|row| {
                let target = *targets.get(&row.judgement.target)?;
                Self::of(authority, school, row, target)
            })
            .collect()
    }

    fn of(
        authority: &'a Authority,
        school: &School,
        row: &'a StatedRow,
        target: &'a InventoryTarget,
    ) -> Option<Self> {
        let holds = |profile: &&Profile| profile.inventory.iter().any(|one| one.id == target.id);
        let profile = authority.known.iter().find(holds)?;
        let mut sites = school.sites.iter();
        let facts = match &row.judgement.whose {
            Whose::School { .. } => school.facts,
            Whose::Site { site, .. } => {
                let site = sites.find(|one| one.id == *site)?;
                school.facts_at(site, Scope::Site)
            }
            Whose::Authority { .. } => school.facts_at(sites.next()?, Scope::Authority),
        };
        Some(Self {
            row,
            target,
            profile_title: &profile.title,
            status: profile.status,
            workings: match &target.demand {
                Demand::Number { formula, .. } => Some(formula.explain(&facts)),
                Demand::Present => None,
            },
        })
    }

    /// The formula that has a number of the school or the authority in it, with the numbers filled in;
    /// `None` where the target states its number outright, or demands none.
    #[must_use]
    pub fn rule(&self) -> Option<(&'a Formula, &str)> {
        let (Demand::Number { formula, .. }, Some(workings)) =
            (&self.target.demand, &self.workings)
        else {
            return None;
        };
        let is_assessable = self.row.judgement.demanded.is_some();
        has_a_rule(formula, workings, is_assessable).then_some((formula, workings))
    }
}
