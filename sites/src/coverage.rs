//! How many schools have reached a target.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::site::SchoolId;
use crate::target::TargetId;
use crate::verdict::{Judgement, VerdictKind};

/// The schools of one target, counted by verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The target.
    pub target: TargetId,
    /// Schools of which every site has met it.
    pub met: usize,
    /// Schools of which a site has missed it.
    pub missed: usize,
    /// Schools of which no site has missed it, but one is undecided.
    pub undecided: usize,
    /// All other schools: of at least one site there is nothing to judge.
    pub no_data: usize,
}

impl Coverage {
    /// All schools that were counted.
    #[must_use]
    pub const fn schools(&self) -> usize {
        self.met + self.missed + self.undecided + self.no_data
    }
}

/// Counts schools per target, in the order of the targets' ids.
///
/// A school with several sites counts once, by the site that speaks most against it: missed before
/// undecided before no data before met.
#[must_use]
pub fn coverage(judgements: &[Judgement]) -> Vec<Coverage> {
    let mut worst: BTreeMap<&TargetId, BTreeMap<&SchoolId, VerdictKind>> = BTreeMap::new();
    for judgement in judgements {
        let kind = judgement.verdict.kind();
        worst
            .entry(&judgement.target)
            .or_default()
            .entry(&judgement.school)
            .and_modify(|known| {
                if weight(kind) > weight(*known) {
                    *known = kind;
                }
            })
            .or_insert(kind);
    }
    let counted = |(target, schools): (&TargetId, BTreeMap<_, VerdictKind>)| {
        let count = |wanted| schools.values().filter(|kind| **kind == wanted).count();
        Coverage {
            target: target.clone(),
            met: count(VerdictKind::Met),
            missed: count(VerdictKind::Missed),
            undecided: count(VerdictKind::Undecided),
            no_data: count(VerdictKind::NoData),
        }
    };
    worst.into_iter().map(counted).collect()
}

const fn weight(kind: VerdictKind) -> u8 {
    match kind {
        VerdictKind::Met => 0,
        VerdictKind::NoData => 1,
        VerdictKind::Undecided => 2,
        VerdictKind::Missed => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judging::Judging;
    use crate::sample_school::{mbps, school, target};
    use crate::site::SiteId;
    use crate::verdict::{Series, judge};

    #[test]
    fn a_school_counts_once_by_the_site_that_speaks_most_against_it() {
        let met = mbps([382.0; 20]);
        let missed = mbps([100.0; 20]);
        let few = mbps([382.0; 3]);
        let none = Series::default();
        let school = school(Some(12), None);
        let mut judgements = Vec::new();
        for (number, sites) in [
            vec![&met, &met],
            vec![&met, &none],
            vec![&none, &few],
            vec![&few, &missed, &met],
            vec![&missed, &missed],
            vec![&met],
        ]
        .into_iter()
        .enumerate()
        {
            let mut school = school.clone();
            school.id = format!("NW-{number}").parse().unwrap();
            for (part, series) in sites.into_iter().enumerate() {
                let mut site = school.sites[0].clone();
                site.id = SiteId::new(&school.id, &part.to_string()).unwrap();
                for id in ["de-aufgreifschwelle-30/down", "de-gigabit/down"] {
                    let judging = Judging::default();
                    judgements.push(judge(target(id), &school, &site, series, None, &judging));
                }
            }
        }
        let counted = coverage(&judgements);
        assert_eq!(
            counted[0],
            Coverage {
                target: "de-aufgreifschwelle-30/down".parse().unwrap(),
                met: 2,
                missed: 2,
                undecided: 1,
                no_data: 1,
            }
        );
        assert_eq!(counted[1].missed, 5);
        assert!(counted.iter().all(|coverage| coverage.schools() == 6));
    }
}
