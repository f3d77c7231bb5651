//! One visit: what was seen today, and no more.

use messnetz_metric::{Better, Metric, Value};
use serde::Serialize;

use super::bounds::Limited;
use super::judge::Values;
use super::{Bounds, FullPort, NoData, Series, SlowBox};
use crate::blocks::Blocks;
use crate::quantile::Statistic;
use crate::site::{School, SchoolId, Site, SiteId};
use crate::target::{Operator, Target, TargetId, Threshold};

/// What one visit saw of a target: "above today, n = 5".
///
/// It is a type of its own: nothing turns it into a verdict, since one visit says nothing about a month.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// The target.
    pub target: TargetId,
    /// The school.
    pub school: SchoolId,
    /// The site.
    pub site: SiteId,
    /// What was measured.
    pub metric: Metric,
    /// Which value of the series was compared.
    pub statistic: Statistic,
    /// On which side of the threshold the target wants it.
    pub op: Operator,
    /// On which side it was.
    pub standing: Standing,
    /// Whether that is the side that the target wants; absent where nothing was measured.
    pub favourable: Option<bool>,
    /// The threshold; absent where the target is not assessable.
    pub threshold: Option<Threshold>,
    /// The statistic's value; absent where there are no samples.
    pub observed: Option<Value>,
    /// Number of samples.
    pub samples: usize,
    /// Number of measurements without a value.
    pub failures: usize,
}

/// On which side of the tolerated threshold a visit found the statistic. A value exactly at it counts to
/// the side that the target's operator gives it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum Standing {
    /// Above the threshold: good for a rate, bad for a delay.
    Above,
    /// Below the threshold: bad for a rate, good for a delay.
    Below,
    /// Nothing was measured, or nothing to compare it with.
    NotMeasured {
        /// Why.
        why: NotMeasured,
    },
}

/// Why a visit has no standing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum NotMeasured {
    /// There is nothing to compare, or nothing to compare it with.
    NoData {
        /// What is missing.
        why: NoData,
    },
    /// The port of the measuring device was full and is too small to tell.
    PortTooSmall(FullPort),
    /// The measuring device itself gave all that it has, and that is too little to tell.
    BoxTooSlow(SlowBox),
}

/// Holds what one visit measured against a target.
#[must_use]
pub fn snapshot(
    target: &Target,
    school: &School,
    site: &Site,
    series: &Series,
    bounds: Bounds,
) -> Snapshot {
    let mut blocks = Blocks::default();
    let values = Values::of(&mut blocks, target, series, false);
    let threshold = target.threshold(&school.facts_at(site, target.scope));
    let observed = values.as_ref().ok().map(|values| values.observed);
    let standing = match (values, &threshold) {
        (_, Err(because)) => Err(NotMeasured::NoData {
            why: NoData::NotAssessable {
                because: because.clone(),
            },
        }),
        (Err(why), _) => Err(NotMeasured::NoData { why }),
        (Ok(values), Ok(threshold)) => {
            let tolerated = threshold.tolerated;
            match bounds.limited(target, values.observed, tolerated) {
                Some(Limited::Port(full)) => Err(NotMeasured::PortTooSmall(full)),
                Some(Limited::Box(slow)) => Err(NotMeasured::BoxTooSlow(slow)),
                None => Ok(target
                    .op
                    .holds(values.observed.number(), tolerated.number())),
            }
        }
    };
    Snapshot {
        target: target.id.clone(),
        school: school.id.clone(),
        site: site.id.clone(),
        metric: target.metric,
        statistic: target.statistic,
        op: target.op,
        favourable: standing.as_ref().ok().copied(),
        standing: match (standing, target.op.better()) {
            (Ok(true), Better::Higher) | (Ok(false), Better::Lower) => Standing::Above,
            (Ok(false), Better::Higher) | (Ok(true), Better::Lower) => Standing::Below,
            (Err(why), _) => Standing::NotMeasured { why },
        },
        threshold: threshold.ok(),
        observed,
        samples: series.samples.len(),
        failures: series.failures.len(),
    }
}
