//! From samples to a verdict, with the evidence that lets anybody check it.
//!
//! [`judge`] (or a [`Judge`], for many) holds a series against a target and says [`Verdict::Met`] or
//! [`Verdict::Missed`] only where the whole confidence interval lies on one side of the threshold;
//! [`judge_periods`] does so for each month or school year. [`snapshot`] is for a single visit: it says
//! above or below today and can never become a verdict. The samples are those of one window, chosen by the
//! caller.

mod bounds;
mod inventory;
mod judge;
mod periods;
mod snapshot;
mod stated;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use messnetz_metric::{Layer, Metric, Nominal, OneWay, Rate, Unit, UnixMillis, Value};
use serde::Serialize;

use crate::formula::NotAssessable;
use crate::period::{Period, Standing as PeriodStanding};
use crate::quantile::Statistic;
use crate::share::ShareInterval;
use crate::site::{Exception, School, SchoolId, SiteId};
use crate::source::Day;
use crate::target::{Operator, ServiceId, TargetId, Threshold};

pub use bounds::{Bounds, Ceiling, FullPort, SlowBox};
pub use inventory::{
    Demanded, InventoryJudgement, InventoryVerdict, ItemValue, Lacking, Whose, judge_inventory,
};
pub use judge::{Judge, judge};
pub use periods::judge_periods;
pub use snapshot::{NotMeasured, Snapshot, Standing, snapshot};
pub use stated::{Dated, Statement, statement};

/// One measured value with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When the measurement began.
    pub at: UnixMillis,
    /// The number of its day in the school's time zone, counted from 1970-01-01: samples of one day hang
    /// together. The time zone is the caller's matter.
    pub day: i32,
    /// What it came to.
    pub value: Value,
    /// Whether other traffic used the line during the measurement; `None` where nobody looked.
    pub disturbed: Option<bool>,
}

/// What was measured of one metric at one site within one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// The values, in any order.
    pub samples: Vec<Sample>,
    /// Measurements that yielded no value, each by the number of its day. They are shown beside a verdict
    /// and never count as one: a failure may be the agent's own.
    pub failures: Vec<i32>,
    /// How many of the values are out of roll-ups by the hour, by the number of their day: each is within 1/256 of
    /// what was measured, and stands at the begin of its hour.
    pub rolled_up: BTreeMap<i32, usize>,
    /// The name of the window that all of it lies in, such as `lesson-hours`; `None` where it is of all
    /// hours.
    pub window: Option<String>,
    /// The far end that all of it was measured against; `None` where it is of any.
    pub peer: Option<String>,
}

impl Series {
    /// The same without anything measured: of which window and against whom it is.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Self {
            samples: Vec::new(),
            failures: Vec::new(),
            rolled_up: BTreeMap::new(),
            window: self.window.clone(),
            peer: self.peer.clone(),
        }
    }
}

/// What a target comes to at one site.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum Verdict {
    /// The statistic is on the good side of the tolerated threshold, with the wanted confidence.
    Met,
    /// The statistic is on the bad side of it, with the wanted confidence.
    Missed,
    /// There are samples, but they do not decide.
    Undecided {
        /// Why not.
        why: Undecided,
    },
    /// There is nothing to judge, or nothing to judge it by.
    NoData {
        /// What is missing.
        why: NoData,
    },
}

/// A verdict without its reason, for counting and colouring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictKind {
    /// See [`Verdict::Met`].
    Met,
    /// See [`Verdict::Missed`].
    Missed,
    /// See [`Verdict::Undecided`].
    Undecided,
    /// See [`Verdict::NoData`].
    NoData,
}

impl Verdict {
    /// The verdict without its reason.
    #[must_use]
    pub const fn kind(&self) -> VerdictKind {
        match self {
            Self::Met => VerdictKind::Met,
            Self::Missed => VerdictKind::Missed,
            Self::Undecided { .. } => VerdictKind::Undecided,
            Self::NoData { .. } => VerdictKind::NoData,
        }
    }
}

/// Why samples do not decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Undecided {
    /// Fewer samples than the target asks for.
    TooFew {
        /// Samples there are.
        have: usize,
        /// Samples that are needed.
        need: usize,
        /// What could decide at the earliest.
        #[serde(flatten)]
        more: More,
    },
    /// Samples on fewer days than the target asks for.
    TooFewDays {
        /// Days there are.
        have: usize,
        /// Days that are needed.
        need: usize,
        /// What could decide at the earliest.
        #[serde(flatten)]
        more: More,
    },
    /// The confidence interval holds the threshold.
    Straddles {
        /// What could decide at the earliest.
        #[serde(flatten)]
        more: More,
    },
    /// The port that the agent measures through was full and is too small to tell: no number of samples
    /// could decide.
    PortTooSmall(FullPort),
    /// The agent itself gave all that it has, and that is too little to tell: no number of samples could decide.
    BoxTooSlow(SlowBox),
}

/// What could decide at the earliest: were all further samples alike, and as many a day as now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct More {
    /// So many more samples; absent where no number that anybody will measure could.
    #[serde(rename = "at_least_more")]
    pub samples: Option<usize>,
    /// On so many more days; absent where no number of days could, or where days do not count.
    #[serde(rename = "at_least_more_days")]
    pub days: Option<usize>,
}

/// Why there is no verdict at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum NoData {
    /// Nothing was measured.
    NoSamples,
    /// Every measurement failed.
    OnlyFailures {
        /// How many.
        failures: usize,
    },
    /// The target has no threshold for this school.
    NotAssessable {
        /// What is missing.
        because: NotAssessable,
    },
    /// The site file does not say which peer the service is.
    ServiceNotStated {
        /// The service.
        service: ServiceId,
    },
    /// The series holds values of another unit: it is not the target's metric.
    WrongUnit {
        /// The unit of the target's metric.
        expected: Unit,
        /// The unit that was found.
        found: Unit,
    },
}

/// A verdict with all that it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
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
    /// On which side of the threshold it has to be.
    pub op: Operator,
    /// What it came to.
    pub verdict: Verdict,
    /// What it would have come to without the tolerance.
    pub strict: VerdictKind,
    /// The threshold; absent where the target is not assessable.
    pub threshold: Option<Threshold>,
    /// The statistic's value; absent where there are no samples.
    pub observed: Option<Value>,
    /// Where the true value lies.
    pub interval: Interval,
    /// Number of samples.
    pub samples: usize,
    /// How many of them are out of roll-ups by the hour, each within 1/256 of what was measured.
    #[serde(skip_serializing_if = "is_zero")]
    pub rolled_up: usize,
    /// Number of days with samples.
    pub days: usize,
    /// How many independent samples would tell as much as these; of days, where days are counted.
    pub effective: usize,
    /// How many days reached the threshold, where the target counts days.
    pub days_reached: Option<DaysReached>,
    /// The window that the samples are of; absent where they are of all hours.
    pub window: Option<String>,
    /// The period that the samples are of, where there is one.
    pub period: Option<Period>,
    /// Whether that period is over; a running one may still change its verdict.
    pub standing: Option<PeriodStanding>,
    /// Number of measurements without a value.
    pub failures: usize,
    /// What to ask the store for to see the samples; absent where there are none.
    pub query: Option<Query>,
    /// What the agent could have seen at most; absent where its port is not known, and for what is no rate.
    pub ceiling: Option<Ceiling>,
    /// How many of the tests other traffic disturbed; absent where nobody looked.
    pub disturbed: Option<Disturbed>,
    /// The layers that are compared; for rates only.
    pub layers: Option<Layers>,
    /// The contract held against the same threshold, where both are nominal rates.
    pub contract: Option<ContractCheck>,
    /// Whether the authority asked for less evidence than the target does.
    pub shortened: bool,
    /// The exception of the school from this target, where there is one; see [`Judgement::except`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<Excepted>,
}

/// An exception on a certain day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excepted {
    /// Who decided it, why and until when.
    #[serde(flatten)]
    pub exception: Exception,
    /// Whether it had expired on that day: it then excuses nothing any more, and is shown so that somebody
    /// renews or ends it.
    pub expired: bool,
}

impl Excepted {
    /// The exception of `school` from `target` on the day `today`: one that still holds, or else the one
    /// that expired last.
    #[must_use]
    pub fn of(school: &School, target: &TargetId, today: Day) -> Option<Self> {
        let exceptions = school.exceptions.iter().filter(|e| e.target == *target);
        let last = exceptions.max_by_key(|exception| exception.until)?;
        Some(Self {
            expired: last.until < today,
            exception: last.clone(),
        })
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Judgement {
    /// Puts the school's exception from the target beside the verdict, as of `today`. The verdict stays
    /// what it is.
    pub fn except(&mut self, school: &School, today: Day) {
        self.exception = Excepted::of(school, &self.target, today);
    }
}

/// Two bounds, each of which holds by itself with the confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The true value is at or above this; absent where the samples are too few to say.
    pub lower: Option<Value>,
    /// The true value is at or below this; absent where the samples are too few to say.
    pub upper: Option<Value>,
    /// One-sided confidence of each bound.
    pub confidence: f64,
}

/// What finds the samples of a judgement again: all of the site and the metric within these times, and
/// within the window where there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Query {
    /// The site.
    pub site: SiteId,
    /// The metric.
    pub metric: Metric,
    /// Time of the first sample.
    #[serde(rename = "from_unix_ms")]
    pub from: UnixMillis,
    /// Time of the last sample, which is one of them.
    #[serde(rename = "to_unix_ms")]
    pub to: UnixMillis,
    /// The window; absent for all hours.
    pub window: Option<String>,
    /// The far end that the target is about; absent where it is about all that were measured against.
    pub peer: Option<String>,
}

/// How many tests other traffic disturbed. They count all the same: a school's line is never idle, and
/// leaving out what looks bad would choose the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Disturbed {
    /// Tests that were disturbed.
    pub disturbed: usize,
    /// Tests of which it is known whether they were.
    pub of: usize,
    /// The one over the other.
    pub share: f64,
}

/// How many days' best samples reached the tolerated threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DaysReached {
    /// Days that reached it.
    pub reached: usize,
    /// Days with samples.
    pub of: usize,
    /// Where the true share lies, after Clopper & Pearson: each bound holds by itself with the confidence.
    pub share: ShareInterval,
}

/// The layers on which a rate is stated and counted. Where they differ, the target's tolerance bridges
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Layers {
    /// The layer of the threshold.
    pub threshold: Layer,
    /// The layer of the samples.
    pub measured: Layer,
}

/// What the contract promises, held against the threshold on the contract's own layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ContractCheck {
    /// The nominal rate of the contract in the metric's direction.
    #[serde(rename = "contract_bps")]
    pub contract: Rate<Nominal, OneWay>,
    /// Whether it satisfies the strict threshold.
    pub satisfied: bool,
}
