//! Wording what is stated of an inventory, and what it comes to.

use messnetz_sites::inventory::FactValue;
use messnetz_sites::target::{Item, ItemKind};
use messnetz_sites::verdict::{
    Dated, InventoryJudgement, InventoryVerdict, ItemValue, Lacking, Whose,
};

use super::{operator, text};
use crate::text::Text;

/// So many origins are named; of more, only how many facts there are.
const ORIGINS: usize = 2;

impl Text {
    /// What an inventory says, without a unit.
    #[must_use]
    pub fn stated(&self, stated: ItemValue) -> String {
        match stated {
            ItemValue::Number(number) if number.is_infinite() => "\u{221e}".to_owned(),
            ItemValue::Number(number) => {
                let decimals = if number.fract() == 0.0 { 0 } else { 2 };
                self.language.number(number, decimals)
            }
            ItemValue::Present(true) => self.say("stated-there"),
            ItemValue::Present(false) => self.say("stated-not-there"),
        }
    }

    /// What an inventory says of an item, with the item's unit.
    #[must_use]
    pub fn stated_of(&self, item: Item, stated: ItemValue) -> String {
        let said = self.stated(stated);
        match (item.kind(), stated) {
            (ItemKind::Number(unit), ItemValue::Number(_)) if !unit.is_empty() => {
                format!("{said}\u{a0}{unit}")
            }
            _ => said,
        }
    }

    /// What a judgement's inventory says, or a dash.
    #[must_use]
    pub fn what_is_stated(&self, judgement: &InventoryJudgement) -> String {
        let stated = judgement.stated;
        stated.map_or_else(
            || "\u{2013}".to_owned(),
            |stated| self.stated_of(judgement.item, stated),
        )
    }

    /// What the target of a judgement demands, or a dash where that is not known.
    #[must_use]
    pub fn what_is_demanded(&self, judgement: &InventoryJudgement) -> String {
        match (judgement.demanded, judgement.item.kind()) {
            (Some(demanded), _) => {
                let number = ItemValue::Number(demanded.number);
                let number = self.stated_of(judgement.item, number);
                format!("{}\u{a0}{number}", operator(demanded.op))
            }
            (None, ItemKind::Check) => self.stated(ItemValue::Present(true)),
            (None, ItemKind::Number(_)) => "\u{2013}".to_owned(),
        }
    }

    /// A fact of an inventory with its day and its origin.
    #[must_use]
    pub fn dated(&self, dated: &Dated) -> String {
        let value = match dated.stated.value {
            FactValue::Count(count) => count.to_string(),
            FactValue::Decimal(number) => self.stated(ItemValue::Number(number)),
            FactValue::YesNo(yes) => self.stated(ItemValue::Present(yes)),
            FactValue::Cabling(class) => class.name().to_owned(),
        };
        self.say_with(
            "stated-fact",
            &[
                ("fact", text(dated.fact.to_owned())),
                ("value", text(value)),
                ("on", text(dated.stated.on.to_string())),
                ("from", text(dated.stated.from.clone())),
            ],
        )
    }

    /// Of which day and from whom the facts of a judgement are; of many facts, how many and how old.
    #[must_use]
    pub fn origins(&self, judgement: &InventoryJudgement) -> String {
        let mut origins: Vec<String> = Vec::new();
        for fact in &judgement.facts {
            let origin = format!("{}, {}", fact.stated.on, fact.stated.from);
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        let oldest = judgement.facts.iter().map(|fact| fact.stated.on).min();
        match oldest {
            Some(oldest) if origins.len() > ORIGINS => self.say_with(
                "stated-facts",
                &[
                    ("count", judgement.facts.len().into()),
                    ("on", text(oldest.to_string())),
                ],
            ),
            _ => origins.join("; "),
        }
    }

    /// That so many inventory targets have no statement, and how to collect them; `None` where all have.
    #[must_use]
    pub fn not_stated(&self, count: usize) -> Option<String> {
        (count > 0).then(|| self.say_with("stated-open", &[("count", count.into())]))
    }

    /// Why an inventory target has no verdict; `None` where it has one.
    #[must_use]
    pub fn why_not_judged(&self, verdict: &InventoryVerdict) -> Option<String> {
        match verdict {
            InventoryVerdict::Met | InventoryVerdict::Missed => None,
            InventoryVerdict::NoData { why } => Some(self.lacking(why)),
        }
    }

    /// What is missing to judge an inventory target.
    pub(super) fn lacking(&self, why: &Lacking) -> String {
        match why {
            Lacking::NotAssessable { because } => self.say_with(
                "no-data-not-assessable",
                &[("because", text(self.not_assessable(because)))],
            ),
            Lacking::InventoryNotStated { item } => self.say_with(
                "no-data-inventory-not-stated",
                &[("item", text(item.to_string()))],
            ),
        }
    }

    /// Why there is no verdict, where there is none, and the exceptions that stand beside it.
    #[must_use]
    pub fn remarks(&self, judgement: &InventoryJudgement) -> Vec<String> {
        let exceptions = judgement.whose.exceptions().map(|(school, excepted)| {
            let said = self.exception(excepted);
            match &judgement.whose {
                Whose::Authority { .. } => format!("{school}: {said}"),
                Whose::Site { .. } | Whose::School { .. } => said,
            }
        });
        let why = self.why_not_judged(&judgement.verdict);
        why.into_iter().chain(exceptions).collect()
    }
}
