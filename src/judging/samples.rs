//! The single samples that a judgement rests on, asked for by its query.

use std::ops::RangeInclusive;

use messnetz_metric::{Metric, UnixMillis};
use messnetz_sites::calendar::Window;
use messnetz_sites::site::{Authority, SiteId};
use messnetz_sites::verdict::Sample;

use super::measured::{disturbed, speaks, timetable};
use crate::store::{Store, StoreError};

/// Which samples are wanted.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Of this site.
    pub site: &'a SiteId,
    /// Of this metric.
    pub metric: Metric,
    /// Within these times.
    pub times: RangeInclusive<UnixMillis>,
    /// Within this window, where one is named.
    pub window: Option<&'a Window>,
    /// Against this far end, where one is named.
    pub peer: Option<&'a str>,
}

/// The samples at a site, oldest first: those that a judgement rests on, where its query is asked.
///
/// # Errors
/// Where the store cannot be read.
pub fn samples(
    authority: &Authority,
    store: &dyn Store,
    wanted: &Wanted<'_>,
) -> Result<Vec<Sample>, StoreError> {
    let Some(school) = authority.school(wanted.site.school()) else {
        return Ok(Vec::new());
    };
    let measured = store.series_of_site(&wanted.site.to_string(), wanted.times.clone())?;
    let disturbed = disturbed(&measured);
    let zone = &authority.calendar.zone;
    let mut found: Vec<Sample> = measured
        .iter()
        .filter(|series| speaks(series, wanted.metric))
        .filter(|series| wanted.peer.is_none_or(|peer| series.peer == peer))
        .flat_map(|series| {
            let disturbed = disturbed.get(&series.agent);
            series.samples.iter().map(move |&(at, value)| Sample {
                at,
                day: zone.day_number(at),
                value,
                disturbed: disturbed.and_then(|times| times.get(&at)).copied(),
            })
        })
        .collect();
    found.sort_by_key(|sample| sample.at);
    if let (Some(window), Some(first), Some(last)) = (wanted.window, found.first(), found.last()) {
        let times = first.at..=last.at;
        let open = timetable(authority, school, window.name(), &times);
        found.retain(|sample| open.locate(sample.at).is_some());
    }
    Ok(found)
}
