//! Holding what the authority states against an inventory target.

use std::collections::BTreeMap;

use messnetz_metric::Better;
use serde::Serialize;

use super::{Dated, Excepted, Statement, VerdictKind};
use crate::coverage::Said;
use crate::facts::Facts;
use crate::formula::NotAssessable;
use crate::site::{SchoolId, SiteId};
use crate::target::{Demand, InventoryTarget, Item, Operator, TargetId};

/// What an inventory says of an item.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemValue {
    /// So much, in the item's unit.
    Number(f64),
    /// There, or not there.
    Present(bool),
}

/// Whose inventory was judged, with the exceptions of the schools that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "scope", rename_all = "lowercase")]
pub enum Whose {
    /// That of one site.
    Site {
        /// The school.
        school: SchoolId,
        /// The site.
        site: SiteId,
        /// The school's exception from the target, where there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        exception: Option<Excepted>,
    },
    /// That of one school.
    School {
        /// The school.
        school: SchoolId,
        /// Its exception from the target, where there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        exception: Option<Excepted>,
    },
    /// That of all of an authority's schools together: one verdict for all that have the target.
    Authority {
        /// The schools that have it.
        schools: Vec<SchoolId>,
        /// Those that are excepted from it.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        exceptions: BTreeMap<SchoolId, Excepted>,
    },
}

impl Whose {
    /// The schools that the verdict is about.
    #[must_use]
    pub fn schools(&self) -> &[SchoolId] {
        match self {
            Self::Site { school, .. } | Self::School { school, .. } => std::slice::from_ref(school),
            Self::Authority { schools, .. } => schools,
        }
    }

    /// The exceptions that stand beside the verdict, each with its school.
    pub fn exceptions(&self) -> impl Iterator<Item = (&SchoolId, &Excepted)> {
        let (own, all) = match self {
            Self::Site {
                school, exception, ..
            }
            | Self::School { school, exception } => {
                (exception.as_ref().map(|excepted| (school, excepted)), None)
            }
            Self::Authority { exceptions, .. } => (None, Some(exceptions)),
        };
        own.into_iter().chain(all.into_iter().flatten())
    }
}

/// A number that is demanded, in the item's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Demanded {
    /// On which side of it what is stated has to be.
    pub op: Operator,
    /// The number.
    pub number: f64,
}

/// What a statement comes to: what is stated is taken as stated, so nothing is undecided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum InventoryVerdict {
    /// What is stated is what is demanded.
    Met,
    /// It is not.
    Missed,
    /// There is nothing to judge, or nothing to judge it by.
    NoData {
        /// What is missing.
        why: Lacking,
    },
}

impl InventoryVerdict {
    /// The verdict without its reason.
    #[must_use]
    pub const fn kind(&self) -> VerdictKind {
        match self {
            Self::Met => VerdictKind::Met,
            Self::Missed => VerdictKind::Missed,
            Self::NoData { .. } => VerdictKind::NoData,
        }
    }
}

/// What is missing to judge an inventory target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Lacking {
    /// The target demands no number of this school.
    NotAssessable {
        /// What is missing.
        because: NotAssessable,
    },
    /// The inventory says nothing of it.
    InventoryNotStated {
        /// Of what.
        item: Item,
    },
}

/// An inventory target, judged. No interval, no samples and no cause: nothing was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InventoryJudgement {
    /// The target.
    pub target: TargetId,
    /// Whose inventory it is about.
    #[serde(flatten)]
    pub whose: Whose,
    /// What is counted or looked at.
    pub item: Item,
    /// The demanded number; absent for the item of a checklist, and where it has none for this school.
    pub demanded: Option<Demanded>,
    /// What the inventory says; absent where it says nothing.
    pub stated: Option<ItemValue>,
    /// The facts that this rests on, each with its day and its origin.
    pub facts: Vec<Dated>,
    /// What it came to.
    pub verdict: InventoryVerdict,
}

impl InventoryJudgement {
    /// What it says about each school, for counting.
    pub fn said(&self) -> impl Iterator<Item = Said<'_>> {
        let kind = self.verdict.kind();
        self.whose.schools().iter().map(move |school| Said {
            target: &self.target,
            school,
            kind,
        })
    }
}

/// Judges one inventory target by what is stated about `whose`, whose facts are `facts`.
///
/// What nobody has stated has no verdict: absence from a list is no absence from the school.
#[must_use]
pub fn judge_inventory(
    target: &InventoryTarget,
    whose: Whose,
    facts: &Facts,
    statement: Option<Statement>,
) -> InventoryJudgement {
    let demanded = target.demanded(facts);
    let (stated, facts) = statement.map_or((None, Vec::new()), |statement| {
        (Some(statement.stated), statement.facts)
    });
    let no_data = |why| InventoryVerdict::NoData { why };
    let decided = |holds: bool| {
        if holds {
            InventoryVerdict::Met
        } else {
            InventoryVerdict::Missed
        }
    };
    let verdict = match (&demanded, &target.demand, stated) {
        (Err(because), _, _) => no_data(Lacking::NotAssessable {
            because: because.clone(),
        }),
        (Ok(Some(demanded)), Demand::Number { op, .. }, Some(ItemValue::Number(number))) => {
            decided(match op.better() {
                Better::Higher => number >= *demanded,
                Better::Lower => number <= *demanded,
            })
        }
        (Ok(_), Demand::Present, Some(ItemValue::Present(there))) => decided(there),
        // A number where a yes was asked for, or the reverse, states nothing about the target.
        (Ok(_), _, _) => no_data(Lacking::InventoryNotStated { item: target.item }),
    };
    InventoryJudgement {
        target: target.id.clone(),
        whose,
        item: target.item,
        demanded: match (&target.demand, demanded) {
            (Demand::Number { op, .. }, Ok(Some(number))) => Some(Demanded { op: *op, number }),
            _ => None,
        },
        stated,
        facts,
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_school::school;
    use crate::target::Profiles;

    fn judged(id: &str, stated: Option<ItemValue>) -> InventoryVerdict {
        let mut targets = Profiles::built_in().iter().flat_map(|one| &one.inventory);
        let target = targets.find(|one| one.id.as_str() == id).unwrap();
        let school = school(Some(12), None);
        let statement = stated.map(|stated| Statement {
            stated,
            facts: Vec::new(),
        });
        let whose = Whose::School {
            school: school.id.clone(),
            exception: None,
        };
        judge_inventory(target, whose, &school.facts, statement).verdict
    }

    #[test]
    fn what_nobody_has_stated_has_no_verdict() {
        for id in ["wlan-klassenraum/ap-per-room", "sn-orientierung/poe"] {
            let verdict = judged(id, None);
            assert!(
                matches!(
                    verdict,
                    InventoryVerdict::NoData {
                        why: Lacking::InventoryNotStated { .. }
                    }
                ),
                "{id}: {verdict:?}"
            );
        }
    }

    #[test]
    fn what_is_stated_is_held_against_the_demand_and_not_against_another_kind() {
        use VerdictKind::{Met, Missed, NoData};
        for (id, stated, expected) in [
            ("wlan-klassenraum/ap-per-room", ItemValue::Number(1.0), Met),
            (
                "wlan-klassenraum/ap-per-room",
                ItemValue::Number(0.5),
                Missed,
            ),
            (
                "wlan-klassenraum/ap-per-room",
                ItemValue::Present(true),
                NoData,
            ),
            (
                "geraete-hamm-2020/pupils-per-device",
                ItemValue::Number(5.0),
                Met,
            ),
            (
                "geraete-hamm-2020/pupils-per-device",
                ItemValue::Number(5.1),
                Missed,
            ),
            ("sn-orientierung/poe", ItemValue::Present(true), Met),
            ("sn-orientierung/poe", ItemValue::Present(false), Missed),
            ("sn-orientierung/poe", ItemValue::Number(1.0), NoData),
        ] {
            assert_eq!(judged(id, Some(stated)).kind(), expected, "{id} {stated:?}");
        }
    }
}
