//! What was measured at one site in the recent periods, cut to the windows of its targets and judged.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_n;
use std::ops::RangeInclusive;

use messnetz_metric::{Metric, Quantity, Rate, Segment, Tester, UnixMillis, Value};
use messnetz_sites::Day;
use messnetz_sites::calendar::{Interval, Timetable, number_of};
use messnetz_sites::cause::{Cause, OTHER_TRAFFIC_LIMIT, Seen, Situation, cause};
use messnetz_sites::period::{Period, Recent, Standing};
use messnetz_sites::site::{Authority, School, Site};
use messnetz_sites::target::{ServiceId, Target};
use messnetz_sites::verdict::{
    Bounds, Judge, Judgement, NoData, Sample, Series, Verdict, judge_periods,
};

use super::{CLOCK_AHEAD_MS, Reopened, Row};
use crate::store::{HOUR_MS, LATE_MS, LateSeries, RolledHour, SiteSeries, Store, StoreError};

/// What was measured at a site, and when its school is at work.
pub(super) struct Measured<'a> {
    authority: &'a Authority,
    school: &'a School,
    site: &'a Site,
    series: Vec<SiteSeries>,
    /// What came after the last closed period had been closed, of those that are asked for.
    late: Option<LateSeries>,
    recent: Recent,
    /// The windows of its targets, and all hours.
    timetables: BTreeMap<String, Timetable>,
    /// Whether other traffic disturbed the capacity test that an agent began at a time.
    disturbed: Disturbed,
}

/// The name of the window that is no window.
pub(super) const ALL_HOURS: &str = "any";

impl<'a> Measured<'a> {
    pub(super) fn of(
        authority: &'a Authority,
        school: &'a School,
        site: &'a Site,
        store: &dyn Store,
        recent: Recent,
        times: &RangeInclusive<UnixMillis>,
    ) -> Result<Self, StoreError> {
        let series = store.series_of_site(&site.id.to_string(), times.clone())?;
        let late = match recent.periods().iter().rev().nth(1) {
            Some(closed) => late(authority, site, store, *closed)?,
            None => None,
        };
        let targets = authority
            .known
            .targets_for(authority.profiles_of(school), school);
        let timetables = targets
            .map(|target| window_of(target, authority))
            .chain([ALL_HOURS])
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|window| {
                (
                    window.to_owned(),
                    timetable(authority, school, window, times),
                )
            })
            .collect();
        Ok(Self {
            authority,
            school,
            site,
            disturbed: disturbed(&series),
            series,
            late,
            recent,
            timetables,
        })
    }

    /// The judgements of all recent periods.
    pub(super) fn judgements(&self, judge: &mut Judge, target: &Target) -> Vec<Judgement> {
        let series = self.series_of(target, &self.series);
        let judging = &self.authority.judging;
        let bounds = |period: Period| {
            let (begin, end) = self.times_of(period);
            bounds(&self.series, begin, end)
        };
        let mut judgements = judge_periods(
            judge,
            target,
            self.school,
            self.site,
            &series,
            bounds,
            judging,
            self.recent,
        );
        let today = Day::numbered(self.recent.today);
        for judgement in &mut judgements {
            if let Peer::NotStated(service) = self.peer(target) {
                let service = service.clone();
                let why = NoData::ServiceNotStated { service };
                judgement.verdict = Verdict::NoData { why };
            }
            if let Some(today) = today {
                judgement.except(self.school, today);
            }
        }
        judgements
    }

    /// Whom the target is measured against.
    fn peer<'t>(&'t self, target: &'t Target) -> Peer<'t> {
        match &target.service {
            None => Peer::Any,
            Some(service) => match self.authority.services.get(service) {
                Some(peer) => Peer::Only(peer),
                None => Peer::NotStated(service),
            },
        }
    }

    /// What of `measured` is for a target within its window, from where it can be seen, against one peer where
    /// one is named.
    fn series_of(&self, target: &Target, measured: &[SiteSeries]) -> Series {
        let window = window_of(target, self.authority);
        let peer = match self.peer(target) {
            Peer::NotStated(_) => return Series::default(),
            Peer::Any => None,
            Peer::Only(peer) => Some(peer),
        };
        let mut all = Series {
            window: (window != ALL_HOURS).then(|| window.to_owned()),
            peer: peer.map(str::to_owned),
            ..Series::default()
        };
        let Some(timetable) = self.timetables.get(window) else {
            return all;
        };
        for series in measured.iter().filter(|series| {
            speaks(series, target.metric) && peer.is_none_or(|peer| series.peer == peer)
        }) {
            let disturbed = self.disturbed.get(&series.agent);
            for (day, samples) in timetable.cut(&series.samples, |(at, _)| *at) {
                let day = number_of(day.date);
                all.samples
                    .extend(samples.iter().map(|&(at, value)| Sample {
                        at,
                        day,
                        value,
                        disturbed: disturbed.and_then(|times| times.get(&at)).copied(),
                    }));
            }
            for hour in &series.rolled {
                // What of an hour lies in a window cannot be told any more, unless all of it does.
                if let Some(day) = timetable.enclose(hour_of(hour)) {
                    let day = number_of(day.date);
                    for &(value, count) in &hour.values {
                        let sample = Sample {
                            at: hour.begin,
                            day,
                            value,
                            disturbed: None,
                        };
                        *all.rolled_up.entry(day).or_default() += count as usize;
                        all.samples.extend(repeat_n(sample, count as usize));
                    }
                    all.failures.extend(repeat_n(day, hour.failures as usize));
                }
            }
            for (day, failures) in timetable.cut(&series.failures, |(at, _)| *at) {
                all.failures
                    .extend(failures.iter().map(|_| number_of(day.date)));
            }
        }
        all
    }

    /// Why a target was missed, where it was.
    fn cause(&self, target: &Target, judgement: &Judgement) -> Option<Cause> {
        // There is none, and nothing to look at.
        if let Verdict::Met | Verdict::NoData { .. } = judgement.verdict {
            return None;
        }
        let period = judgement.period?;
        let (begin, end) = self.times_of(period);
        let situation = Situation {
            line: self.site.line.as_ref(),
            seen: self.series.iter().map(|s| seen(s, begin, end)).collect(),
        };
        let mut judged = self.series_of(target, &self.series).samples;
        judged.retain(|sample| period.days().contains(&sample.day));
        cause(judgement, &judged, &situation)
    }

    /// When a period begins, and when the next one does.
    fn times_of(&self, period: Period) -> (UnixMillis, UnixMillis) {
        let days = period.days();
        let zone = &self.authority.calendar.zone;
        (
            zone.numbered_day_begins(*days.start()),
            zone.numbered_day_begins(days.end().saturating_add(1)),
        )
    }

    pub(super) fn row(&self, judge: &mut Judge, target: &Target) -> Option<Row> {
        let mut judgements = self.judgements(judge, target);
        let running = judgements.pop()?;
        let (judgement, running) = match judgements.pop() {
            Some(closed) if closed.observed.is_some() || closed.failures > 0 => {
                (closed, Some(running))
            }
            _ => (running, None),
        };
        let cause = self.cause(target, &judgement);
        let reopened = self.reopened(target, &judgement);
        Some(Row {
            school_name: self.school.name.clone(),
            site_name: self.site.name.clone(),
            target_title: target.title.clone(),
            source: target.source.clone(),
            judgement,
            running,
            reopened,
            cause,
        })
    }

    /// What came after a period had been closed, and changed what its verdict rests on.
    fn reopened(&self, target: &Target, judgement: &Judgement) -> Option<Reopened> {
        if judgement.standing? == Standing::Provisional {
            return None;
        }
        let days = judgement.period?.days();
        let late = self.late.as_ref()?;
        let of_period = |measured| {
            let samples = self.series_of(target, measured).samples;
            let own = samples.iter().filter(|sample| days.contains(&sample.day));
            own.count()
        };
        let samples = of_period(&late.all);
        (samples > 0).then(|| Reopened {
            samples,
            behind: of_period(&late.behind),
            received_at: late.received_at,
        })
    }
}

/// What was measured in a period that is over and came when it had been for longer than batches take.
fn late(
    authority: &Authority,
    site: &Site,
    store: &dyn Store,
    period: Period,
) -> Result<Option<LateSeries>, StoreError> {
    let zone = &authority.calendar.zone;
    let begin = zone.numbered_day_begins(*period.days().start());
    let end = zone.numbered_day_begins(period.days().end().saturating_add(1));
    let of_period = begin..=UnixMillis(end.0.saturating_sub(1));
    let settled = UnixMillis(end.0.saturating_add(LATE_MS));
    store.late_series_of_site(&site.id.to_string(), of_period, settled)
}

/// From when to when a roll-up is.
pub(super) const fn hour_of(rolled: &RolledHour) -> Interval {
    Interval {
        from: rolled.begin,
        to: UnixMillis(rolled.begin.0.saturating_add(HOUR_MS)),
    }
}

/// Whom a target is measured against.
enum Peer<'a> {
    /// Whoever was measured against.
    Any,
    /// This one.
    Only(&'a str),
    /// A service whose peer the site file does not name.
    NotStated(&'a ServiceId),
}

/// The window that a target's samples are of.
pub(super) fn window_of<'a>(target: &'a Target, authority: &Authority) -> &'a str {
    match &target.window {
        Some(window) if !authority.judging.all_hours => window.as_str(),
        _ => ALL_HOURS,
    }
}

/// A window of a school. One that the calendar does not know has no hours; the site file is checked for it.
pub(super) fn timetable(
    authority: &Authority,
    school: &School,
    window: &str,
    times: &RangeInclusive<UnixMillis>,
) -> Timetable {
    let period = Interval {
        from: *times.start(),
        to: UnixMillis(times.end().0.saturating_add(1)),
    };
    let window = authority.calendar.window(window);
    window.map_or_else(
        |_| Timetable::default(),
        |window| authority.calendar.timetable(&window, period, school),
    )
}

/// From the begin of the first of these periods to now.
pub(super) fn times_of(
    authority: &Authority,
    recent: Recent,
    now: UnixMillis,
) -> RangeInclusive<UnixMillis> {
    let first = recent
        .periods()
        .first()
        .map_or(recent.today, |period| *period.days().start());
    let begin = authority.calendar.zone.numbered_day_begins(first);
    begin..=UnixMillis(now.0.saturating_add(CLOCK_AHEAD_MS))
}

pub(super) fn speaks(series: &SiteSeries, metric: Metric) -> bool {
    series.metric == metric && metric.is_seen_over(series.vantage.medium)
}

/// What a series saw from `begin` to before `end`.
fn seen(series: &SiteSeries, begin: UnixMillis, end: UnixMillis) -> Seen<'_> {
    let first = series.samples.partition_point(|(at, _)| *at < begin);
    let after = series.samples.partition_point(|(at, _)| *at < end);
    Seen {
        metric: series.metric,
        medium: series.vantage.medium,
        peer: &series.peer,
        samples: series.samples.get(first..after).unwrap_or_default(),
    }
}

/// The largest value of the last hour of a series that was rolled up, from `begin` to before `end`.
fn last_rolled(
    series: &SiteSeries,
    begin: UnixMillis,
    end: UnixMillis,
) -> Option<(UnixMillis, Value)> {
    let within = |hour: &&RolledHour| begin <= hour.begin && hour.begin < end;
    let last = series.rolled.iter().rev().filter(within);
    let values = last.filter_map(|hour| Some((hour.begin, hour.values.last()?.0)));
    values.take(1).next()
}

/// Whether other traffic disturbed the capacity tests, by agent and time.
pub(super) type Disturbed = BTreeMap<String, BTreeMap<UnixMillis, bool>>;

/// What the agents saw of other traffic on their own ports while a capacity test ran.
pub(super) fn disturbed(series: &[SiteSeries]) -> Disturbed {
    let limit = Value::Share(OTHER_TRAFFIC_LIMIT).number();
    let mut found = Disturbed::new();
    for series in series {
        if series.metric.quantity == Quantity::OtherTraffic {
            let samples = series.samples.iter();
            let times = samples.map(|(at, share)| (*at, share.number() >= limit));
            found.entry(series.agent.clone()).or_default().extend(times);
        }
    }
    found
}

/// What bounded what the site's agent could show, as last seen from `begin` to before `end`.
pub(super) fn bounds(measured: &[SiteSeries], begin: UnixMillis, end: UnixMillis) -> Bounds {
    let last = |segment, quantity| {
        let metric = Metric::new(segment, quantity);
        measured
            .iter()
            .filter(|series| speaks(series, metric))
            .flat_map(|series| {
                let sample = seen(series, begin, end).samples.last().copied();
                sample.into_iter().chain(last_rolled(series, begin, end))
            })
            .max_by_key(|(at, _)| *at)?
            .1
            .as_rate()
    };
    let of_box = |tester| last(Segment::Agent, Quantity::Ceiling(tester));
    Bounds {
        port: last(Segment::Lan, Quantity::LinkSpeed).map(Rate::new),
        ndt7: of_box(Tester::Ndt7),
        iperf3: of_box(Tester::Iperf3),
    }
}
