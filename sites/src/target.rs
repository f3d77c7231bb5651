//! What network a school should have: targets with their sources, in named profiles.
//!
//! A target is data: a [`Target`] is held against measurements, an [`InventoryTarget`] against what the
//! authority states about its schools, because no agent can measure it. The built-in profiles are the TOML
//! files under `sites/profiles/`, and a user's own are read by the same [`Profile::parse`]. Nothing here
//! looks at a measurement.

mod applies;
mod extend;
mod inventory;
mod item;
mod profile;
mod profiles;
#[cfg(test)]
mod tests;
mod written;

use serde::Serialize;

use messnetz_metric::{Better, Layer, Metric, Value};

use crate::facts::Facts;
use crate::formula::{Formula, NotAssessable};
use crate::ident::{is_slug, is_slug_pair, text_id};
use crate::quantile::Statistic;
use crate::source::Source;
use crate::text::Bilingual;

pub use applies::Applies;
pub use inventory::{Demand, InventoryTarget};
pub use item::{Item, ItemKind, UnknownItem};
pub use profile::{Profile, Status};
pub use profiles::Profiles;
pub use written::{Operator, Origin, Scope};

text_id! {
    /// The name of a profile: `de-gigabit`.
    ProfileId, "profile id", "lower-case letters, digits and hyphens", is_slug
}

text_id! {
    /// The name of a target, with its profile: `de-gigabit/down`.
    TargetId, "target id", "the profile's id, a slash and the target's own id", is_slug_pair
}

text_id! {
    /// The name of a service that schools need: `learning-platform`. Which peer that is says the site file.
    ServiceId, "service id", "lower-case letters, digits and hyphens", is_slug
}

text_id! {
    /// The name of a window: `lesson-hours`, `off-lesson`, or one that the site file defines.
    WindowId, "window", "lower-case letters, digits and hyphens", is_slug
}

/// A threshold that a metric of a school is held against.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// The name, unique over all profiles.
    pub id: TargetId,
    /// What a planner calls it.
    pub title: Bilingual,
    /// What is measured.
    pub metric: Metric,
    /// The service that it is measured against; all of them where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
    /// On which side of the threshold the statistic has to be.
    pub op: Operator,
    /// The threshold over the facts, in the unit that the profile writes.
    pub formula: Formula,
    /// Largest threshold, whatever the formula gives.
    pub cap: Option<Cap>,
    /// The window that the samples are of; all hours where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowId>,
    /// Which value of the series is compared.
    pub statistic: Statistic,
    /// Who chose the statistic. German sources name a value and almost never a statistic.
    pub statistic_origin: Origin,
    /// The layer that the threshold is stated on; for rates only.
    pub layer: Option<Layer>,
    /// How far the measured value may stay behind, because it is counted on another layer.
    pub tolerance: Option<Tolerance>,
    /// One-sided confidence that a verdict needs.
    pub confidence: f64,
    /// Fewest samples that a verdict needs.
    pub min_samples: usize,
    /// Fewest days with samples that a verdict needs.
    pub min_days: usize,
    /// Whose facts the formula speaks about.
    pub scope: Scope,
    /// Which schools it is meant for.
    pub applies: Applies,
    /// Where the threshold comes from.
    pub source: Source,
    /// How the formula's result becomes a value: units of the metric per unit of the profile.
    #[serde(skip)]
    factor: f64,
}

/// An upper limit of a threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cap {
    /// The limit.
    pub value: Value,
    /// Where the limit comes from.
    pub origin: String,
}

/// A share by which a measured value may stay behind the threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tolerance {
    /// The share of the threshold, between 0 and 1.
    pub share: f64,
    /// Why, and after whom.
    pub origin: Bilingual,
}

/// A target's threshold for one school.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// As the source states it, on the target's layer.
    pub strict: Value,
    /// What the measured value is held against: the strict one less the tolerance.
    pub tolerated: Value,
    /// The formula with the school's numbers: `30 × (12 + 1) = 390`, in the profile's unit.
    pub workings: String,
    /// The cap, where the formula gave more.
    pub capped_at: Option<Value>,
}

impl applies::Named for Target {
    fn id(&self) -> &TargetId {
        &self.id
    }

    fn applies(&self) -> &Applies {
        &self.applies
    }
}

impl Target {
    /// The threshold for a school.
    ///
    /// # Errors
    /// [`NotAssessable`] where the school lacks a fact, or the formula has no usable result.
    pub fn threshold(&self, facts: &Facts) -> Result<Threshold, NotAssessable> {
        let computed = self.value(self.formula.evaluate(facts)?)?;
        let cap = self.cap.as_ref().map(|cap| cap.value);
        let capped_at = cap.filter(|cap| cap.number() < computed.number());
        let strict = capped_at.unwrap_or(computed);
        Ok(Threshold {
            strict,
            tolerated: self.tolerated(strict),
            workings: self.formula.explain(facts),
            capped_at,
        })
    }

    /// The percentile that is compared: of the samples, or of the days' best samples.
    #[must_use]
    pub const fn decisive(&self) -> Statistic {
        self.statistic.decisive(self.op.better())
    }

    /// The share of the distribution, of samples or of days, that may lie on the bad side of the threshold.
    #[must_use]
    pub fn bad_share(&self) -> f64 {
        match self.op.better() {
            Better::Higher => self.decisive().share(),
            Better::Lower => 1.0 - self.decisive().share(),
        }
    }

    fn value(&self, number: f64) -> Result<Value, NotAssessable> {
        // Whole numbers up to 2^53 are exact in a float; a larger threshold is no threshold.
        let number = (number * self.factor).round();
        let unit = self.metric.quantity.unit();
        let (least, most) = unit.range();
        let most = (most as f64).min(9_007_199_254_740_992.0);
        if (least as f64..=most).contains(&number) {
            Ok(Value::new(unit, number as i64))
        } else {
            Err(NotAssessable::OutOfRange)
        }
    }

    fn tolerated(&self, strict: Value) -> Value {
        let share = self.tolerance.as_ref().map_or(0.0, |t| t.share);
        let factor = match self.op.better() {
            Better::Higher => 1.0 - share,
            Better::Lower => 1.0 + share,
        };
        Value::new(
            strict.unit(),
            (strict.number() as f64 * factor).round() as i64,
        )
    }
}
