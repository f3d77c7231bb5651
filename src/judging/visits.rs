//! What engineers measured on their visits, held against the targets of the site: snapshots, of which none becomes
//! a verdict.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use messnetz_metric::UnixMillis;
use messnetz_sites::Bilingual;
use messnetz_sites::site::{Authority, School, Site};
use messnetz_sites::target::Target;
use messnetz_sites::verdict::{Sample, Series, Snapshot, snapshot};
use serde::Serialize;

use super::measured::{bounds, speaks};
use crate::store::{SiteSeries, Store, StoreError};

/// Two visits of one laptop to one site are further apart than this.
const APART_MS: i64 = 60 * 60 * 1000;

/// One visit to a site.
#[derive(Clone, Debug, Serialize)]
pub struct Visited {
    /// The site, as `SCHOOL/SITE`.
    pub site: String,
    /// Name of the school.
    pub school_name: String,
    /// Whose key signed it.
    pub agent: String,
    /// When the first of it was measured.
    #[serde(rename = "began_at_unix_ms")]
    pub began_at: UnixMillis,
    /// When the last of it was measured.
    #[serde(rename = "ended_at_unix_ms")]
    pub ended_at: UnixMillis,
    /// How many values and failures there are.
    pub observations: usize,
    /// The targets that something was measured for.
    pub snapshots: Vec<Seen>,
}

/// A target as one visit saw it.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// What a planner calls the target.
    pub title: Bilingual,
    /// What was seen.
    #[serde(flatten)]
    pub snapshot: Snapshot,
}

/// The visits to all sites within these times, by site, then by who measured, oldest first.
///
/// # Errors
/// Where the store cannot be read.
pub fn visits(
    authority: &Authority,
    store: &dyn Store,
    times: &RangeInclusive<UnixMillis>,
) -> Result<Vec<Visited>, StoreError> {
    let mut all = Vec::new();
    for school in &authority.schools {
        for site in &school.sites {
            let series = store.visits_of_site(&site.id.to_string(), times.clone())?;
            all.extend(of_site(authority, (school, site), series));
        }
    }
    Ok(all)
}

fn of_site(
    authority: &Authority,
    (school, site): (&School, &Site),
    series: Vec<SiteSeries>,
) -> Vec<Visited> {
    let mut of_agents: BTreeMap<String, Vec<SiteSeries>> = BTreeMap::new();
    for series in series {
        of_agents
            .entry(series.agent.clone())
            .or_default()
            .push(series);
    }
    let mut all = Vec::new();
    for (agent, measured) in of_agents {
        let mut times: Vec<UnixMillis> = measured
            .iter()
            .flat_map(|series| {
                let values = series.samples.iter().map(|(at, _)| *at);
                values.chain(series.failures.iter().map(|(at, _)| *at))
            })
            .collect();
        times.sort_unstable();
        let near = |one: &UnixMillis, next: &UnixMillis| next.0.saturating_sub(one.0) <= APART_MS;
        for visit in times.chunk_by(near) {
            let (Some(began_at), Some(ended_at)) = (visit.first(), visit.last()) else {
                continue;
            };
            let targets = authority
                .known
                .targets_for(authority.profiles_of(school), school);
            let during = *began_at..=*ended_at;
            let snapshots = targets
                .filter_map(|target| seen(authority, (school, site), &measured, target, &during))
                .collect();
            all.push(Visited {
                site: site.id.to_string(),
                school_name: school.name.clone(),
                agent: agent.clone(),
                began_at: *began_at,
                ended_at: *ended_at,
                observations: visit.len(),
                snapshots,
            });
        }
    }
    all
}

/// What a visit saw of a target; `None` where nothing was tried for it.
fn seen(
    authority: &Authority,
    (school, site): (&School, &Site),
    measured: &[SiteSeries],
    target: &Target,
    during: &RangeInclusive<UnixMillis>,
) -> Option<Seen> {
    let zone = &authority.calendar.zone;
    let mut series = Series::default();
    for of_metric in measured
        .iter()
        .filter(|series| speaks(series, target.metric))
    {
        let samples = of_metric.samples.iter();
        let samples = samples.filter(|(at, _)| during.contains(at));
        series.samples.extend(samples.map(|&(at, value)| Sample {
            at,
            day: zone.day_number(at),
            value,
            disturbed: None,
        }));
        let failures = of_metric.failures.iter();
        let failures = failures.filter(|(at, _)| during.contains(at));
        series
            .failures
            .extend(failures.map(|(at, _)| zone.day_number(*at)));
    }
    if series.samples.is_empty() && series.failures.is_empty() {
        return None;
    }
    let after = UnixMillis(during.end().0.saturating_add(1));
    let bounds = bounds(measured, *during.start(), after);
    Some(Seen {
        title: target.title.clone(),
        snapshot: snapshot(target, school, site, &series, bounds),
    })
}
