//! The single samples that a judgement rests on, asked for by its query.

use std::ops::RangeInclusive;

use messnetz_metric::{Metric, UnixMillis};
use messnetz_sites::calendar::Window;
use messnetz_sites::site::{Authority, SiteId};
use messnetz_sites::verdict::Sample;

use super::measured::{disturbed, hour_of, speaks, timetable};
use crate::store::{HOUR_MS, RolledHour, Store, StoreError};

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

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The samples, oldest first.
    pub samples: Vec<Sample>,
    /// What is left of those that were pruned, by hours that lie in the window as a whole, oldest first.
    pub rolled: Vec<RolledHour>,
}

/// The samples at a site, oldest first: those that a judgement rests on, where its query is asked.
///
/// # Errors
/// Where the store cannot be read.
pub fn samples(
    authority: &Authority,
    store: &dyn Store,
    wanted: &Wanted<'_>,
) -> Result<Found, StoreError> {
    let Some(school) = authority.school(wanted.site.school()) else {
        return Ok(Found::default());
    };
    let (first, last) = (*wanted.times.start(), *wanted.times.end());
    // An hour is named by when it begins.
    let to_its_end = UnixMillis(last.0.saturating_add(HOUR_MS - 1));
    let measured = store.series_of_site(&wanted.site.to_string(), first..=to_its_end)?;
    let disturbed = disturbed(&measured);
    let zone = &authority.calendar.zone;
    let asked_for = || {
        measured
            .iter()
            .filter(|series| speaks(series, wanted.metric))
            .filter(|series| wanted.peer.is_none_or(|peer| series.peer == peer))
    };
    let mut samples: Vec<Sample> = asked_for()
        .flat_map(|series| {
            let disturbed = disturbed.get(&series.agent);
            series.samples.iter().map(move |&(at, value)| Sample {
                at,
                day: zone.day_number(at),
                value,
                disturbed: disturbed.and_then(|times| times.get(&at)).copied(),
            })
        })
        .filter(|sample| sample.at <= last)
        .collect();
    let hours = asked_for().flat_map(|series| series.rolled.iter().cloned());
    let mut rolled: Vec<RolledHour> = hours.collect();
    samples.sort_by_key(|sample| sample.at);
    rolled.sort_by_key(|hour| hour.begin);
    let times = samples.iter().map(|sample| sample.at);
    let times = times.chain(rolled.iter().flat_map(|hour| {
        let hour = hour_of(hour);
        [hour.from, hour.to]
    }));
    let span = (times.clone().min(), times.max());
    if let (Some(window), (Some(first), Some(last))) = (wanted.window, span) {
        let open = timetable(authority, school, window.name(), &(first..=last));
        samples.retain(|sample| open.locate(sample.at).is_some());
        rolled.retain(|hour| open.enclose(hour_of(hour)).is_some());
    }
    Ok(Found { samples, rolled })
}
