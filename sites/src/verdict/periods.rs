//! One judgement for each period, final where the period is over.

use messnetz_metric::BitRate;

use super::{Judge, Judgement, Series};
use crate::judging::Judging;
use crate::period::{Cycle, split};
use crate::site::{School, Site};
use crate::target::Target;

/// Judges one target at one site for each period that has samples, in the order of the periods.
///
/// `today` decides only which periods are closed. Failures are not counted: they have no day.
#[must_use]
#[expect(
    clippy::too_many_arguments,
    reason = "those of `judge`, and the calendar's two"
)]
pub fn judge_periods(
    judge: &mut Judge,
    target: &Target,
    school: &School,
    site: &Site,
    series: &Series,
    port: Option<BitRate>,
    judging: &Judging,
    (cycle, today): (Cycle, i32),
) -> Vec<Judgement> {
    let judged = |(period, part): (crate::period::Period, Series)| Judgement {
        period: Some(period),
        standing: Some(period.standing(today)),
        ..judge.judge(target, school, site, &part, port, judging)
    };
    split(series, cycle).into_iter().map(judged).collect()
}
