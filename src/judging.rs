//! From stored samples to what a planner asks for: verdict, cause and upgrade for every school.
//!
//! A verdict is about a month or a school year. Where the last one that is over has samples, its verdict is
//! the one that is shown, and it is final; that of the running one stands beside it, provisional.

pub mod chain;
pub mod pace;
pub mod trends;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use messnetz_metric::{BitRate, Metric, Quantity, Segment, UnixMillis, Value};
use messnetz_sites::calendar::{Interval, Timetable, Window, number_of};
use messnetz_sites::cause::{Cause, OTHER_TRAFFIC_LIMIT, Seen, Situation, cause};
use messnetz_sites::coverage::{Coverage, coverage};
use messnetz_sites::period::{Cycle, Period, Recent};
use messnetz_sites::site::{Authority, School, Site, SiteId};
use messnetz_sites::target::{ServiceId, Target};
use messnetz_sites::upgrade::{Catalogue, Recommendation, recommend};
use messnetz_sites::verdict::{
    Judge, Judgement, NoData, Sample, Series, Verdict, VerdictKind, judge_periods,
};
use messnetz_sites::{Bilingual, Day, Source};
use serde::Serialize;

use crate::store::{SiteSeries, Store, StoreError};
use crate::text::Text;

/// How far ahead of the collector's an agent's clock may be. What is dated later was measured by a clock
/// that is wrong, and would otherwise be the newest sample for years.
const CLOCK_AHEAD_MS: i64 = 5 * 60 * 1000;

/// Everything that is shown of an authority at one time.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The authority's name.
    pub authority: String,
    /// When this was computed.
    #[serde(rename = "made_at_unix_ms")]
    pub made_at: UnixMillis,
    /// Samples before this do not count.
    #[serde(rename = "since_unix_ms")]
    pub since: UnixMillis,
    /// Why verdicts rest on less than the targets ask for, where they do.
    pub shortened: Option<String>,
    /// One row for each target at each site.
    pub rows: Vec<Row>,
    /// Schools met, missed, undecided and without data, for each target.
    pub coverage: Vec<TargetCoverage>,
    /// What would mend the missed targets.
    pub recommendations: Vec<Recommendation>,
}

/// One target at one site, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the school.
    pub school_name: String,
    /// Name of the site.
    pub site_name: String,
    /// What a planner calls the target.
    pub target_title: Bilingual,
    /// Who says so.
    pub source: Source,
    /// The verdict with its evidence: of the last period that is over, or of the running one where there
    /// was nothing to judge before.
    pub judgement: Judgement,
    /// The running period's, where the other is final.
    pub running: Option<Judgement>,
    /// Why the target is missed, where it is.
    pub cause: Option<Cause>,
}

/// How far one target is reached.
#[derive(Clone, Debug, Serialize)]
pub struct TargetCoverage {
    /// What a planner calls the target.
    pub title: Bilingual,
    /// The counts.
    #[serde(flatten)]
    pub counts: Coverage,
}

impl Report {
    /// Whether any target is missed.
    #[must_use]
    pub fn has_missed(&self) -> bool {
        self.rows
            .iter()
            .any(|row| row.judgement.verdict.kind() == VerdictKind::Missed)
    }

    /// The name of the school that a site belongs to; the site's id where no row speaks of it.
    #[must_use]
    pub fn school_name(&self, site: &SiteId) -> String {
        self.rows
            .iter()
            .find(|row| row.judgement.site == *site)
            .map_or_else(|| site.to_string(), |row| row.school_name.clone())
    }

    /// The chains of reasons of a recommendation, one sentence each.
    #[must_use]
    pub fn reasons(&self, recommendation: &Recommendation, text: &Text) -> Vec<String> {
        let rows = self
            .rows
            .iter()
            .filter(|row| row.judgement.site == recommendation.site);
        rows.filter(|row| {
            recommendation
                .reasons
                .iter()
                .any(|reason| reason.target == row.judgement.target)
        })
        .map(|row| {
            text.say_with(
                "recommendation-reason",
                &[
                    ("target", text.pick(&row.target_title).into()),
                    ("observed", text.observed(&row.judgement).into()),
                    ("threshold", text.strict_threshold(&row.judgement).into()),
                    ("samples", row.judgement.samples.into()),
                    (
                        "cause",
                        row.cause
                            .as_ref()
                            .map(|c| text.cause(c))
                            .unwrap_or_default()
                            .into(),
                    ),
                ],
            )
        })
        .collect()
    }
}

/// Judges every target that applies to every site, for the last period that is over and the running one.
///
/// # Errors
/// Where the store cannot be read.
pub fn judge(
    authority: &Authority,
    catalogue: &Catalogue,
    store: &Store,
    now: UnixMillis,
    cycle: Cycle,
) -> Result<Report, StoreError> {
    let profiles = &authority.known;
    let recent = Recent {
        cycle,
        today: authority.calendar.zone.day_number(now),
        count: 2,
    };
    let times = times_of(authority, recent, now);
    let since = *times.start();
    let mut rows = Vec::new();
    let mut judge = Judge::default();
    for school in &authority.schools {
        let targets: Vec<&Target> = profiles
            .targets_for(authority.profiles_of(school), school)
            .collect();
        for site in &school.sites {
            let measured = Measured::of(authority, school, site, store, recent, &times)?;
            let of_target = |target: &&Target| measured.row(&mut judge, target);
            rows.extend(targets.iter().filter_map(of_target));
        }
    }
    let findings: Vec<(Judgement, Cause)> = rows
        .iter()
        .filter_map(|row| Some((row.judgement.clone(), row.cause.clone()?)))
        .collect();
    let recommendations = recommend(&findings, catalogue);
    let judgements: Vec<Judgement> = rows.iter().map(|row| row.judgement.clone()).collect();
    let coverage = coverage(&judgements)
        .into_iter()
        .filter_map(|counts| {
            let title = profiles.target(&counts.target)?.title.clone();
            Some(TargetCoverage { title, counts })
        })
        .collect();
    Ok(Report {
        authority: authority.name.clone(),
        made_at: now,
        since,
        shortened: authority.judging.shortened.clone(),
        rows,
        coverage,
        recommendations,
    })
}

/// What was measured at a site, and when its school is at work.
struct Measured<'a> {
    authority: &'a Authority,
    school: &'a School,
    site: &'a Site,
    series: Vec<SiteSeries>,
    recent: Recent,
    /// The windows of its targets, and all hours.
    timetables: BTreeMap<String, Timetable>,
    /// Whether other traffic disturbed the capacity test that an agent began at a time.
    disturbed: Disturbed,
}

/// The name of the window that is no window.
const ALL_HOURS: &str = "any";

impl<'a> Measured<'a> {
    fn of(
        authority: &'a Authority,
        school: &'a School,
        site: &'a Site,
        store: &Store,
        recent: Recent,
        times: &RangeInclusive<UnixMillis>,
    ) -> Result<Self, StoreError> {
        let series = store.series_of_site(&site.id.to_string(), times.clone())?;
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
            recent,
            timetables,
        })
    }

    /// The judgements of all recent periods.
    fn judgements(&self, judge: &mut Judge, target: &Target) -> Vec<Judgement> {
        let series = self.series_of(target);
        let judging = &self.authority.judging;
        let port = |period: Period| {
            let (begin, end) = self.times_of(period);
            port(&self.series, begin, end)
        };
        let mut judgements = judge_periods(
            judge,
            target,
            self.school,
            self.site,
            &series,
            port,
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

    /// What was measured for a target within its window, from where it can be seen, against one peer where
    /// one is named.
    fn series_of(&self, target: &Target) -> Series {
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
        for series in self.series.iter().filter(|series| {
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
            for (day, failures) in timetable.cut(&series.failures, |(at, _)| *at) {
                all.failures
                    .extend(failures.iter().map(|_| number_of(day.date)));
            }
        }
        all
    }

    /// Why a target was missed, where it was.
    fn cause(&self, target: &Target, judgement: &Judgement) -> Option<Cause> {
        let period = judgement.period?;
        let (begin, end) = self.times_of(period);
        let situation = Situation {
            line: self.site.line.as_ref(),
            seen: self.series.iter().map(|s| seen(s, begin, end)).collect(),
        };
        let mut judged = self.series_of(target).samples;
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

    fn row(&self, judge: &mut Judge, target: &Target) -> Option<Row> {
        let mut judgements = self.judgements(judge, target);
        let running = judgements.pop()?;
        let (judgement, running) = match judgements.pop() {
            Some(closed) if closed.observed.is_some() || closed.failures > 0 => {
                (closed, Some(running))
            }
            _ => (running, None),
        };
        let cause = self.cause(target, &judgement);
        Some(Row {
            school_name: self.school.name.clone(),
            site_name: self.site.name.clone(),
            target_title: target.title.clone(),
            source: target.source.clone(),
            judgement,
            running,
            cause,
        })
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
fn window_of<'a>(target: &'a Target, authority: &Authority) -> &'a str {
    match &target.window {
        Some(window) if !authority.judging.all_hours => window.as_str(),
        _ => ALL_HOURS,
    }
}

/// A window of a school. One that the calendar does not know has no hours; the site file is checked for it.
fn timetable(
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
fn times_of(authority: &Authority, recent: Recent, now: UnixMillis) -> RangeInclusive<UnixMillis> {
    let first = recent
        .periods()
        .first()
        .map_or(recent.today, |period| *period.days().start());
    let begin = authority.calendar.zone.numbered_day_begins(first);
    begin..=UnixMillis(now.0.saturating_add(CLOCK_AHEAD_MS))
}

fn speaks(series: &SiteSeries, metric: Metric) -> bool {
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

/// Whether other traffic disturbed the capacity tests, by agent and time.
type Disturbed = BTreeMap<String, BTreeMap<UnixMillis, bool>>;

/// What the agents saw of other traffic on their own ports while a capacity test ran.
fn disturbed(series: &[SiteSeries]) -> Disturbed {
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
    store: &Store,
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

/// The nominal rate of the port that the site's agent measured through, as last seen from `begin` to
/// before `end`.
fn port(measured: &[SiteSeries], begin: UnixMillis, end: UnixMillis) -> Option<BitRate> {
    let speed = Metric::new(Segment::Lan, Quantity::LinkSpeed);
    measured
        .iter()
        .filter(|series| speaks(series, speed))
        .filter_map(|series| seen(series, begin, end).samples.last())
        .max_by_key(|(at, _)| *at)?
        .1
        .as_rate()
}

#[cfg(test)]
mod tests {
    use messnetz_metric::{Direction, Observation, Outcome, Vantage};
    use messnetz_sites::trend::Outlook;

    use super::*;
    use crate::wire::{AgentId, BATCH_FORMAT, Batch};

    const NOW: UnixMillis = UnixMillis(1_780_000_000_000);
    const IN_2099: UnixMillis = UnixMillis(4_080_000_000_000);

    fn store_with(
        site: &SiteId,
        observations: Vec<(Metric, UnixMillis, u64)>,
    ) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.db")).unwrap();
        let observation = |(metric, at, bps)| Observation {
            metric,
            at,
            vantage: Vantage::default(),
            peer: "collector".to_owned(),
            outcome: Outcome::Value(Value::Rate(BitRate::from_bps(bps))),
        };
        let batch = Batch {
            format: BATCH_FORMAT.to_owned(),
            agent: AgentId::of_key(&[1; 32]),
            site: site.to_string(),
            epoch: 1,
            sequence: 1,
            observations: observations.into_iter().map(observation).collect(),
        };
        store.store_batch(&batch, &[1; 32], NOW).unwrap();
        (folder, store)
    }

    #[test]
    fn a_sample_dated_2099_neither_counts_nor_is_the_last_port_speed() {
        let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
        let site = authority.sites().next().unwrap();
        let down = Metric::new(Segment::Line, Quantity::Goodput(Direction::Down));
        let speed = Metric::new(Segment::Lan, Quantity::LinkSpeed);
        let soon = UnixMillis(NOW.0 + CLOCK_AHEAD_MS);
        let honest = vec![(down, NOW, 1), (down, soon, 1), (speed, NOW, 1_000_000_000)];
        let wrong = vec![(down, IN_2099, 9_000_000_000), (speed, IN_2099, 10_000_000)];
        let (_folder, without) = store_with(&site.id, honest.clone());
        let (_folder_2, with) = store_with(&site.id, [honest, wrong].concat());
        let judged = |store: &Store| {
            let report =
                judge(&authority, Catalogue::built_in(), store, NOW, Cycle::Month).unwrap();
            serde_json::to_value(&report).unwrap()
        };
        assert_eq!(judged(&with), judged(&without));
        let report = judge(&authority, Catalogue::built_in(), &with, NOW, Cycle::Month).unwrap();
        let counted = report
            .rows
            .iter()
            .filter(|row| row.judgement.site == site.id)
            .map(|row| row.judgement.samples)
            .max();
        assert_eq!(
            counted,
            Some(2),
            "a clock that is minutes ahead still counts"
        );
    }

    /// One test in the evening of each of these days, counted from 1970-01-01.
    fn daily(days: RangeInclusive<i32>, mbps: u64) -> Vec<(Metric, UnixMillis, u64)> {
        let down = Metric::new(Segment::Line, Quantity::Goodput(Direction::Down));
        let zone = messnetz_sites::calendar::Zone::default();
        let evening = |day| UnixMillis(zone.numbered_day_begins(day).0 + 20 * 3_600_000);
        days.map(|day| (down, evening(day), mbps * 1_000_000))
            .collect()
    }

    fn month(month: u8) -> RangeInclusive<i32> {
        Period::Month { year: 2026, month }.days()
    }

    /// The row of 30 Mbit/s for each of 12 classes: 390, tolerated 351.
    fn row_of_the_classes(store: &Store, cycle: Cycle) -> Row {
        let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
        let report = judge(&authority, Catalogue::built_in(), store, NOW, cycle).unwrap();
        let is_it = |row: &Row| row.judgement.target.as_str() == "de-aufgreifschwelle-30/down";
        report.rows.into_iter().find(is_it).unwrap()
    }

    #[test]
    fn the_month_that_is_over_speaks_and_the_running_one_stands_beside_it() {
        let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
        let site = &authority.sites().next().unwrap().id;
        // It is 28 May. March is too long ago.
        let may = *month(5).start()..=*month(5).start() + 21;
        let (_folder, both) = store_with(
            site,
            [
                daily(month(3), 10),
                daily(month(4), 382),
                daily(may.clone(), 100),
            ]
            .concat(),
        );
        let row = row_of_the_classes(&both, Cycle::Month);
        let told = |judgement: &Judgement| {
            let period = judgement.period.unwrap().to_string();
            (
                period,
                judgement.verdict.kind(),
                judgement.samples,
                judgement.days,
            )
        };
        let april = ("2026-04".to_owned(), VerdictKind::Met, 30, 30);
        assert_eq!(told(&row.judgement), april);
        assert_eq!(row.cause, None);
        let running = row.running.as_ref().unwrap();
        let expected = ("2026-05".to_owned(), VerdictKind::Missed, 22, 22);
        assert_eq!(told(running), expected);
        let text = Text::new(crate::text::Language::En);
        assert_eq!(
            text.periods(&row.judgement, row.running.as_ref()),
            "2026-04 (closed); 2026-05 (provisional): \u{2718} missed"
        );
        // What the verdict names finds its samples, and no others.
        let query = row.judgement.query.unwrap();
        let times = query.from..=query.to;
        let window = authority.calendar.window(&query.window.unwrap()).unwrap();
        let wanted = Wanted {
            site: &query.site,
            metric: query.metric,
            times,
            window: Some(&window),
            peer: query.peer.as_deref(),
        };
        let found = samples(&authority, &both, &wanted).unwrap();
        assert_eq!(found.len(), 30);
        assert!(found.iter().all(|sample| month(4).contains(&sample.day)));

        let (_folder, running_only) = store_with(site, daily(may, 100));
        let row = row_of_the_classes(&running_only, Cycle::Month);
        assert_eq!(told(&row.judgement), expected);
        assert_eq!(row.running, None);
        assert!(row.cause.is_some());

        let row = row_of_the_classes(&both, Cycle::SchoolYear);
        let expected = ("2025/26".to_owned(), VerdictKind::Missed, 83, 83);
        assert_eq!(told(&row.judgement), expected);
    }

    #[test]
    fn a_port_that_was_replaced_in_may_changes_nothing_about_april() {
        let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
        let site = &authority.sites().next().unwrap().id;
        let speed = Metric::new(Segment::Lan, Quantity::LinkSpeed);
        let zone = &authority.calendar.zone;
        let port = |day: i32, mbps: u64| (speed, zone.numbered_day_begins(day), mbps * 1_000_000);
        let april = [daily(month(4), 94), vec![port(*month(4).end(), 100)]].concat();
        let replaced = vec![port(*month(5).start(), 1_000)];
        let (_folder, before) = store_with(site, april.clone());
        let (_folder_2, after) = store_with(site, [april, replaced].concat());
        let told = |store: &Store| row_of_the_classes(store, Cycle::Month).judgement.verdict;
        assert_eq!(told(&before), told(&after));
        assert_eq!(told(&after).kind(), VerdictKind::Undecided);
    }

    #[test]
    fn a_month_in_which_everything_failed_is_not_forgotten_on_the_first() {
        let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
        let site = &authority.sites().next().unwrap().id;
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.db")).unwrap();
        let failed = |(metric, at, _): (Metric, UnixMillis, u64)| Observation {
            metric,
            at,
            vantage: Vantage::default(),
            peer: "collector".to_owned(),
            outcome: Outcome::Failed(messnetz_metric::Failure::new(
                messnetz_metric::FailureReason::Unreachable,
                "no route",
            )),
        };
        let batch = Batch {
            format: BATCH_FORMAT.to_owned(),
            agent: AgentId::of_key(&[1; 32]),
            site: site.to_string(),
            epoch: 1,
            sequence: 1,
            observations: daily(month(4), 0).into_iter().map(failed).collect(),
        };
        store.store_batch(&batch, &[1; 32], NOW).unwrap();
        let row = row_of_the_classes(&store, Cycle::Month);
        assert_eq!(row.judgement.period.unwrap().to_string(), "2026-04");
        assert_eq!(row.judgement.failures, 30);
        assert!(row.running.is_some());
    }

    #[test]
    fn months_that_fall_lead_to_the_month_in_which_the_target_is_missed() {
        let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
        let site = &authority.sites().next().unwrap().id;
        let falling = [(1, 420), (2, 405), (3, 390), (4, 375)];
        let measured = falling
            .map(|(number, mbps)| daily(month(number), mbps))
            .concat();
        let (_folder, store) = store_with(site, measured);
        let trends = trends::trends(&authority, &store, NOW, 5).unwrap();
        let is_it =
            |id: &messnetz_sites::target::TargetId| id.as_str() == "de-aufgreifschwelle-30/down";
        let found = trends
            .sites
            .iter()
            .find(|trend| is_it(&trend.target))
            .unwrap();
        // 15 less every month: 360 in May, 345 < 351 in June.
        let june = Period::Month {
            year: 2026,
            month: 6,
        };
        assert_eq!(found.trend.outlook, Outlook::MissedFrom { month: june });
        let text = Text::new(crate::text::Language::En);
        assert_eq!(
            text.slope(found.last.as_ref(), &found.trend),
            "\u{2212}15\u{a0}Mbit/s (\u{2212}15\u{a0}Mbit/s to \u{2212}15\u{a0}Mbit/s)"
        );
        // The third school has profiles of its own.
        let schools = 2;
        let of_classes: Vec<_> = trends
            .months
            .iter()
            .filter(|month| is_it(&month.counts.target))
            .map(|month| {
                (
                    month.period.to_string(),
                    month.counts.met,
                    month.counts.schools(),
                )
            })
            .collect();
        assert_eq!(of_classes.len(), 5, "the running month has its line too");
        assert_eq!(of_classes[0], ("2026-01".to_owned(), 1, schools));
        assert_eq!(of_classes[4], ("2026-05".to_owned(), 0, schools));
    }
}
