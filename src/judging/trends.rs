//! Where schools are going: how many are at target month by month, and each one's own trend.

use messnetz_metric::UnixMillis;
use messnetz_sites::Bilingual;
use messnetz_sites::period::{Cycle, Period, Recent};
use messnetz_sites::site::{Authority, SiteId};
use messnetz_sites::target::TargetId;
use messnetz_sites::trend::{PeriodCoverage, Trend, coverage_by_period, trend};
use messnetz_sites::verdict::{Judge, Judgement};
use serde::Serialize;

use super::measured::{Measured, times_of};
use crate::store::{Store, StoreError};

/// The last months of an authority.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trends {
    /// The authority's name.
    pub authority: String,
    /// Schools at target, for each month and target; the last month is the running one.
    pub months: Vec<PeriodCoverage>,
    /// The last month that anything was judged of by hourly roll-ups, since its samples are kept no more.
    pub rolled_up_until: Option<Period>,
    /// Each target at each site, over the closed months.
    pub sites: Vec<SiteTrend>,
}

/// One target at one site over the months.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteTrend {
    /// Name of the school.
    pub school_name: String,
    /// The site.
    pub site: SiteId,
    /// The target.
    pub target: TargetId,
    /// What a planner calls it.
    pub target_title: Bilingual,
    /// The last month's judgement that has a value.
    pub last: Option<Judgement>,
    /// Where it leads.
    #[serde(flatten)]
    pub trend: Trend,
}

/// Judges the last months, the running one included.
///
/// # Errors
/// Where the store cannot be read.
pub fn trends(
    authority: &Authority,
    store: &dyn Store,
    now: UnixMillis,
    months: u16,
) -> Result<Trends, StoreError> {
    let recent = Recent {
        cycle: Cycle::Month,
        today: authority.calendar.zone.day_number(now),
        count: months,
    };
    let times = times_of(authority, recent, now);
    let mut judge = Judge::default();
    let mut all = Vec::new();
    let mut sites = Vec::new();
    for school in &authority.schools {
        for site in &school.sites {
            let measured = Measured::of(authority, school, site, store, recent, &times)?;
            for target in authority
                .known
                .targets_for(authority.profiles_of(school), school)
            {
                let mut judged = measured.judgements(&mut judge, target);
                sites.push(SiteTrend {
                    school_name: school.name.clone(),
                    site: site.id.clone(),
                    target: target.id.clone(),
                    target_title: target.title.clone(),
                    trend: trend(&judged),
                    last: judged
                        .iter()
                        .rfind(|month| month.observed.is_some())
                        .cloned(),
                });
                all.append(&mut judged);
            }
        }
    }
    Ok(Trends {
        authority: authority.name.clone(),
        months: coverage_by_period(&all),
        rolled_up_until: all
            .iter()
            .filter(|judgement| judgement.rolled_up > 0)
            .filter_map(|judgement| judgement.period)
            .max(),
        sites,
    })
}
