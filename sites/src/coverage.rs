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

/// What a judgement of any kind says about one school, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// The target.
    pub target: &'a TargetId,
    /// The school.
    pub school: &'a SchoolId,
    /// What it came to.
    pub kind: VerdictKind,
}

impl<'a> From<&'a Judgement> for Said<'a> {
    fn from(judgement: &'a Judgement) -> Self {
        Self {
            target: &judgement.target,
            school: &judgement.school,
            kind: judgement.verdict.kind(),
        }
    }
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
pub fn coverage(said: &[Said<'_>]) -> Vec<Coverage> {
    let mut worst: BTreeMap<&TargetId, BTreeMap<&SchoolId, VerdictKind>> = BTreeMap::new();
    for Said {
        target,
        school,
        kind,
    } in said.iter().copied()
    {
        worst
            .entry(target)
            .or_default()
            .entry(school)
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
    use crate::verdict::{
        Bounds, InventoryJudgement, InventoryVerdict, Lacking, Series, Whose, judge,
    };

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
                    judgements.push(judge(
                        target(id),
                        &school,
                        &site,
                        series,
                        Bounds::default(),
                        &judging,
                    ));
                }
            }
        }
        let counted = coverage(&judgements.iter().map(Said::from).collect::<Vec<_>>());
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

    #[test]
    fn what_is_stated_is_counted_by_the_same_rule_and_for_every_school_of_an_authority() {
        let schools = ["NW-1", "NW-2", "NW-3"].map(|id| id.parse::<SchoolId>().unwrap());
        let judged = |whose, verdict| InventoryJudgement {
            target: "wlan-klassenraum/ap-per-room".parse().unwrap(),
            whose,
            item: "wlan.ap-per-room".parse().unwrap(),
            demanded: None,
            stated: None,
            facts: Vec::new(),
            verdict,
        };
        let of_site = |school: &SchoolId, part: &str, verdict| {
            let whose = Whose::Site {
                school: school.clone(),
                site: SiteId::new(school, part).unwrap(),
                exception: None,
            };
            judged(whose, verdict)
        };
        let silent = || InventoryVerdict::NoData {
            why: Lacking::InventoryNotStated {
                item: "wlan.ap-per-room".parse().unwrap(),
            },
        };
        let sites = [
            of_site(&schools[0], "main", InventoryVerdict::Met),
            of_site(&schools[0], "annex", InventoryVerdict::Missed),
            of_site(&schools[1], "main", silent()),
            of_site(&schools[1], "annex", InventoryVerdict::Met),
            of_site(&schools[2], "main", InventoryVerdict::Met),
        ];
        let counts = |judgements: &[InventoryJudgement]| {
            let said = judgements.iter().flat_map(InventoryJudgement::said);
            let counted = coverage(&said.collect::<Vec<_>>());
            let [only] = counted.as_slice() else {
                panic!("{counted:?}")
            };
            [only.met, only.missed, only.undecided, only.no_data]
        };
        assert_eq!(counts(&sites), [1, 1, 0, 1]);
        let whose = Whose::Authority {
            schools: schools.to_vec(),
            exceptions: BTreeMap::new(),
        };
        assert_eq!(
            counts(&[judged(whose, InventoryVerdict::Missed)]),
            [0, 3, 0, 0]
        );
    }
}
