//! Targets that an inventory answers: what no agent can measure.

use serde::Serialize;

use super::applies::Named;
use super::{Applies, Item, Operator, Scope, TargetId};
use crate::facts::Facts;
use crate::formula::{Formula, NotAssessable};
use crate::source::Source;
use crate::text::Bilingual;

/// Something that a school or the authority should have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InventoryTarget {
    /// The name, unique over all profiles and over both kinds of targets.
    pub id: TargetId,
    /// What a planner calls it.
    pub title: Bilingual,
    /// What is counted or looked at.
    pub item: Item,
    /// How much of it there should be.
    pub demand: Demand,
    /// Whose inventory it speaks about.
    pub scope: Scope,
    /// Which schools it is meant for.
    pub applies: Applies,
    /// Where the demand comes from.
    pub source: Source,
}

/// How much of an item there should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// A number, in the item's unit.
    Number {
        /// On which side of the formula's result.
        op: Operator,
        /// The number over the facts.
        formula: Formula,
    },
    /// It has to be there; the item of a checklist.
    Present,
}

impl InventoryTarget {
    /// The demanded number for a school; `None` for the item of a checklist.
    ///
    /// # Errors
    /// [`NotAssessable`] where the school lacks a fact, or the formula has no usable result.
    pub fn demanded(&self, facts: &Facts) -> Result<Option<f64>, NotAssessable> {
        match &self.demand {
            Demand::Number { formula, .. } => match formula.evaluate(facts)? {
                negative if negative < 0.0 => Err(NotAssessable::OutOfRange),
                number => Ok(Some(number)),
            },
            Demand::Present => Ok(None),
        }
    }
}

impl Named for InventoryTarget {
    fn id(&self) -> &TargetId {
        &self.id
    }

    fn applies(&self) -> &Applies {
        &self.applies
    }
}
