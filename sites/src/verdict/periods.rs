//! One judgement for each period, final where the period is over.

use super::{Bounds, Judge, Judgement, Series};
use crate::judging::Judging;
use crate::period::{Period, Recent, split};
use crate::site::{School, Site};
use crate::target::Target;

/// Judges one target at one site for each of the recent periods, in their order; `bounds` is what
/// bounded what the agent could show in a period. A period without samples
/// has its judgement too: a school that was not measured is not at the target.
#[must_use]
#[expect(
    clippy::too_many_arguments,
    reason = "those of `judge`, and the periods"
)]
pub fn judge_periods(
    judge: &mut Judge,
    target: &Target,
    school: &School,
    site: &Site,
    series: &Series,
    bounds: impl Fn(Period) -> Bounds,
    judging: &Judging,
    recent: Recent,
) -> Vec<Judgement> {
    let mut parts = split(series, recent.cycle);
    let nothing = series.emptied();
    let judged = |period| Judgement {
        period: Some(period),
        standing: Some(period.standing(recent.today)),
        ..{
            let own = parts.remove(&period);
            let series = own.as_ref().unwrap_or(&nothing);
            judge.judge(target, school, site, series, bounds(period), judging)
        }
    };
    recent.periods().into_iter().map(judged).collect()
}
