//! From stored samples to what a planner asks for: verdict, cause and upgrade for every school.

use std::collections::BTreeSet;

use messnetz_metric::{BitRate, Metric, Quantity, Segment, UnixMillis, Value};
use messnetz_sites::cause::{Cause, Situation, cause};
use messnetz_sites::coverage::{Coverage, coverage};
use messnetz_sites::quantile::Statistic;
use messnetz_sites::site::{Authority, School, Site, SiteId};
use messnetz_sites::target::{Profiles, Target};
use messnetz_sites::upgrade::{Catalogue, Recommendation, recommend};
use messnetz_sites::verdict::{self, Judge, Judgement, Sample, Series, VerdictKind};
use messnetz_sites::{Bilingual, Source};
use serde::Serialize;

use crate::store::{SiteSeries, Store, StoreError};
use crate::text::Text;

/// How far back samples count: verdicts speak about the last 31 days.
const PERIOD_MS: i64 = 31 * 24 * 3600 * 1000;

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
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Name of the school.
    pub school_name: String,
    /// Name of the site.
    pub site_name: String,
    /// What a planner calls the target.
    pub target_title: Bilingual,
    /// Who says so.
    pub source: Source,
    /// The verdict with its evidence.
    pub judgement: Judgement,
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

/// Judges every target that applies to every site.
///
/// # Errors
/// Where the store cannot be read.
pub fn judge(
    authority: &Authority,
    catalogue: &Catalogue,
    store: &Store,
    now: UnixMillis,
) -> Result<Report, StoreError> {
    let profiles = Profiles::built_in();
    let since = UnixMillis(now.0.saturating_sub(PERIOD_MS));
    let until = UnixMillis(now.0.saturating_add(CLOCK_AHEAD_MS));
    let mut rows = Vec::new();
    let mut judge = Judge::default();
    for school in &authority.schools {
        let targets: Vec<&Target> = authority
            .profiles_of(school)
            .iter()
            .filter_map(|id| profiles.get(id))
            .flat_map(|profile| &profile.targets)
            .collect();
        for site in &school.sites {
            let series = store.series_of_site(&site.id.to_string(), since..=until)?;
            let measured = Measured {
                port: port(&series),
                situation: situation(site, &series),
                series,
            };
            rows.extend(
                targets
                    .iter()
                    .map(|target| row(&mut judge, authority, school, site, target, &measured)),
            );
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

/// What was measured at a site, and what follows from it for all targets alike.
struct Measured {
    series: Vec<SiteSeries>,
    port: Option<BitRate>,
    situation: Situation,
}

fn row(
    judge: &mut Judge,
    authority: &Authority,
    school: &School,
    site: &Site,
    target: &Target,
    measured: &Measured,
) -> Row {
    let series = series_of(&measured.series, target.metric);
    let port = measured.port;
    let judgement = judge.judge(target, school, site, &series, port, &authority.judging);
    let cause = cause(&judgement, &measured.situation);
    Row {
        school_name: school.name.clone(),
        site_name: site.name.clone(),
        target_title: target.title.clone(),
        source: target.source.clone(),
        judgement,
        cause,
    }
}

/// What was measured of a metric at a site, from where it can be seen.
fn series_of(measured: &[SiteSeries], metric: Metric) -> Series {
    let speaks = |series: &&SiteSeries| {
        series.metric == metric && metric.is_seen_over(series.vantage.medium)
    };
    let mut all = Series::default();
    for series in measured.iter().filter(speaks) {
        all.samples
            .extend(series.samples.iter().map(|&(at, value)| Sample {
                at,
                day: verdict::day_in_utc(at),
                value,
            }));
        all.failures += series.failures.len();
    }
    all
}

/// The nominal rate of the port that the site's agent measures through, as last seen.
fn port(measured: &[SiteSeries]) -> Option<BitRate> {
    let series = series_of(measured, Metric::new(Segment::Lan, Quantity::LinkSpeed));
    let last = series.samples.iter().max_by_key(|sample| sample.at)?;
    match last.value {
        Value::Rate(rate) => Some(rate),
        Value::Time(_) | Value::Share(_) => None,
    }
}

/// What else is known of the site: its contract, and the median of everything that was measured there.
fn situation(site: &Site, measured: &[SiteSeries]) -> Situation {
    let median = |metric: Metric| -> Option<Value> {
        let mut values: Vec<Value> = series_of(measured, metric)
            .samples
            .iter()
            .map(|sample| sample.value)
            .collect();
        values.sort_unstable_by_key(|value| value.number());
        let rank = Statistic::MEDIAN.rank(values.len())?;
        values.get(rank - 1).copied()
    };
    let metrics: BTreeSet<Metric> = measured.iter().map(|series| series.metric).collect();
    let medians = metrics
        .into_iter()
        .filter_map(|metric| Some((metric, median(metric)?)))
        .collect();
    Situation {
        line: site.line.clone(),
        medians,
    }
}

#[cfg(test)]
mod tests {
    use messnetz_metric::{Direction, Observation, Outcome, Vantage};

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
            let report = judge(&authority, Catalogue::built_in(), store, NOW).unwrap();
            serde_json::to_value(&report).unwrap()
        };
        assert_eq!(judged(&with), judged(&without));
        let report = judge(&authority, Catalogue::built_in(), &with, NOW).unwrap();
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
}
