//! Holding what the authority states about a school against an inventory target.

use messnetz_metric::Better;
use serde::Serialize;

use super::{Dated, NoData, Statement, Verdict};
use crate::site::{School, SchoolId, Site};
use crate::target::{Demand, InventoryTarget, Item, TargetId};

/// What an inventory says of an item.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemValue {
    /// So much, in the item's unit.
    Number(f64),
    /// There, or not there.
    Present(bool),
}

/// An inventory target at one school. There is no uncertainty in it: what is stated is taken as stated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InventoryJudgement {
    /// The target.
    pub target: TargetId,
    /// The school.
    pub school: SchoolId,
    /// What is counted or looked at.
    pub item: Item,
    /// The demanded number; absent for the item of a checklist, and where it has none for this school.
    pub demanded: Option<f64>,
    /// What the inventory says; absent where it says nothing.
    pub stated: Option<ItemValue>,
    /// The facts that this rests on, each with its day and its origin.
    pub facts: Vec<Dated>,
    /// What it came to: met, missed or no data.
    pub verdict: Verdict,
}

/// Judges one inventory target at one school; `site` matters where the target counts by site.
///
/// What nobody has stated has no verdict: absence from a list is no absence from the school.
#[must_use]
pub fn judge_inventory(
    target: &InventoryTarget,
    school: &School,
    site: &Site,
    statement: Option<Statement>,
) -> InventoryJudgement {
    let (stated, facts) = statement.map_or((None, Vec::new()), |statement| {
        (Some(statement.stated), statement.facts)
    });
    let demanded = target.demanded(&school.facts_at(site, target.scope));
    let no_data = |why| Verdict::NoData { why };
    let not_stated = || no_data(NoData::InventoryNotStated { item: target.item });
    let decided = |holds: bool| if holds { Verdict::Met } else { Verdict::Missed };
    let verdict = match (&demanded, &target.demand, stated) {
        (Err(because), _, _) => no_data(NoData::NotAssessable {
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
        (Ok(_), _, _) => not_stated(),
    };
    InventoryJudgement {
        target: target.id.clone(),
        school: school.id.clone(),
        item: target.item,
        demanded: demanded.ok().flatten(),
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
    use crate::verdict::VerdictKind;

    fn judged(id: &str, stated: Option<ItemValue>) -> Verdict {
        let mut targets = Profiles::built_in().iter().flat_map(|one| &one.inventory);
        let target = targets.find(|one| one.id.as_str() == id).unwrap();
        let school = school(Some(12), None);
        let statement = stated.map(|stated| Statement {
            stated,
            facts: Vec::new(),
        });
        judge_inventory(target, &school, &school.sites[0], statement).verdict
    }

    #[test]
    fn what_nobody_has_stated_has_no_verdict() {
        for id in ["wlan-klassenraum/ap-per-room", "sn-orientierung/poe"] {
            let verdict = judged(id, None);
            assert!(
                matches!(
                    verdict,
                    Verdict::NoData {
                        why: NoData::InventoryNotStated { .. }
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
