//! From stored samples to what a planner asks for: verdict, cause and upgrade for every school.
//!
//! A verdict is about a month or a school year. Where anything was tried in the last one that is over, its
//! verdict is the one that is shown, and it is final; that of the running one stands beside it, provisional.

pub mod agents;
pub mod chain;
pub mod gaps;
mod inventory;
mod measured;
pub mod pace;
mod samples;
pub mod trends;
pub mod visits;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use messnetz_metric::UnixMillis;
use messnetz_sites::cause::Cause;
use messnetz_sites::coverage::{Coverage, Said, coverage};
use messnetz_sites::period::{Cycle, Recent};
use messnetz_sites::site::{Authority, School, Site, SiteId};
use messnetz_sites::target::TargetId;
use messnetz_sites::upgrade::{Catalogue, Recommendation, recommend};
use messnetz_sites::verdict::{InventoryJudgement, Judge, Judgement, VerdictKind};
use messnetz_sites::{Bilingual, Day, Source};
use serde::Serialize;

use measured::{Measured, times_of};

use crate::store::{ChainHead, Store, StoreError};
use crate::text::Text;

pub use inventory::{StatedRow, stated};
pub use samples::{Found, Wanted, samples};

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
    /// One row for each target that is measured, at each site.
    pub rows: Vec<Row>,
    /// One row for each inventory target and whom it counts for: the authority, a school or a site.
    pub stated: Vec<StatedRow>,
    /// Schools met, missed, undecided and without data, for each target: first those that are measured.
    pub coverage: Vec<TargetCoverage>,
    /// What would mend the missed targets.
    pub recommendations: Vec<Recommendation>,
    /// Where each agent's chain of batches ends: who keeps this report can prove what its verdicts rest on.
    pub chains: Vec<ChainHead>,
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
    /// What came after the period had been closed: its verdict was another before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reopened: Option<Reopened>,
    /// Why the target is missed, where it is.
    pub cause: Option<Cause>,
}

/// What came of a period more than a day after it had been closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reopened {
    /// How many of the verdict's samples.
    pub samples: usize,
    /// How many of these are older than what their agent had sent before, though it had left no number free
    /// for them: no line that was away explains that.
    pub behind: usize,
    /// When the last of them came.
    #[serde(rename = "received_at_unix_ms")]
    pub received_at: UnixMillis,
}

/// What a target is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Measurements.
    Measured,
    /// What the authority states.
    Stated,
}

/// How far one target is reached.
#[derive(Clone, Debug, Serialize)]
pub struct TargetCoverage {
    /// What a planner calls the target.
    pub title: Bilingual,
    /// What it is held against.
    pub basis: Basis,
    /// The counts.
    #[serde(flatten)]
    pub counts: Coverage,
}

impl Report {
    /// Whether any target is missed.
    #[must_use]
    pub fn has_missed(&self) -> bool {
        let measured = self.rows.iter().map(|row| row.judgement.verdict.kind());
        let stated = self.stated.iter().map(|row| row.judgement.verdict.kind());
        measured
            .chain(stated)
            .any(|kind| kind == VerdictKind::Missed)
    }

    /// The rows of inventory targets that say more than that nobody has stated it.
    pub fn said(&self) -> impl Iterator<Item = &StatedRow> {
        self.stated.iter().filter(|row| row.says_something())
    }

    /// How many verdicts on inventory targets lack a statement.
    #[must_use]
    pub fn not_stated(&self) -> usize {
        let silent = |row: &&StatedRow| row.judgement.stated.is_none();
        self.stated.iter().filter(silent).count()
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
    store: &dyn Store,
    now: UnixMillis,
    cycle: Cycle,
) -> Result<Report, StoreError> {
    let recent = Recent {
        cycle,
        today: authority.calendar.zone.day_number(now),
        count: 2,
    };
    let times = times_of(authority, recent, now);
    let since = *times.start();
    let sites: Vec<(&School, &Site)> = authority
        .schools
        .iter()
        .flat_map(|school| school.sites.iter().map(move |site| (school, site)))
        .collect();
    let rows = side_by_side(&sites, |judge, (school, site)| {
        rows_of(authority, (school, site), store, (recent, &times), judge)
    })?;
    let findings: Vec<(Judgement, Cause)> = rows
        .iter()
        .filter_map(|row| Some((row.judgement.clone(), row.cause.clone()?)))
        .collect();
    let recommendations = recommend(&findings, catalogue);
    let stated = stated(authority, Day::numbered(recent.today));
    let coverage = covered(&rows, &stated);
    Ok(Report {
        authority: authority.name.clone(),
        made_at: now,
        since,
        shortened: authority.judging.shortened.clone(),
        rows,
        stated,
        coverage,
        recommendations,
        chains: store.heads()?,
    })
}

/// The rows of one site, as [`judge`] gives them.
///
/// # Errors
/// Where the store cannot be read.
pub fn judge_site(
    authority: &Authority,
    (school, site): (&School, &Site),
    store: &dyn Store,
    now: UnixMillis,
    cycle: Cycle,
) -> Result<Vec<Row>, StoreError> {
    let recent = Recent {
        cycle,
        today: authority.calendar.zone.day_number(now),
        count: 2,
    };
    let times = times_of(authority, recent, now);
    let judge = &mut Judge::default();
    rows_of(authority, (school, site), store, (recent, &times), judge)
}

fn rows_of(
    authority: &Authority,
    (school, site): (&School, &Site),
    store: &dyn Store,
    (recent, times): (Recent, &RangeInclusive<UnixMillis>),
    judge: &mut Judge,
) -> Result<Vec<Row>, StoreError> {
    let measured = Measured::of(authority, school, site, store, recent, times)?;
    let profiles = authority.profiles_of(school);
    let targets = authority.known.targets_for(profiles, school);
    Ok(targets
        .filter_map(|target| measured.row(judge, target))
        .collect())
}

/// What `rows` gives for each site, in the order of the sites: each processor takes the next one that nobody has.
fn side_by_side<'a>(
    sites: &[(&'a School, &'a Site)],
    rows: impl Fn(&mut Judge, (&'a School, &'a Site)) -> Result<Vec<Row>, StoreError> + Sync,
) -> Result<Vec<Row>, StoreError> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        let mut judge = Judge::default();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(site) = sites.get(place) else {
                return;
            };
            let rows = rows(&mut judge, *site);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(place, rows);
        }
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 1..processors.min(sites.len()) {
            scope.spawn(work);
        }
        work();
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let rows: Vec<Vec<Row>> = found.into_values().collect::<Result<_, _>>()?;
    Ok(rows.into_iter().flatten().collect())
}

/// Schools by verdict for each target: those that are measured, then those that are stated.
fn covered(rows: &[Row], stated: &[StatedRow]) -> Vec<TargetCoverage> {
    let measured = rows.iter().map(|row| Said::from(&row.judgement));
    let measured = coverage(&measured.collect::<Vec<_>>());
    let judgements = stated.iter().map(|row| &row.judgement);
    let of_inventory = judgements.flat_map(InventoryJudgement::said);
    let of_inventory = coverage(&of_inventory.collect::<Vec<_>>());
    let of_rows = rows
        .iter()
        .map(|row| (&row.judgement.target, &row.target_title));
    let of_stated = stated
        .iter()
        .map(|row| (&row.judgement.target, &row.target_title));
    let titles: BTreeMap<&TargetId, &Bilingual> = of_rows.chain(of_stated).collect();
    let measured = measured.into_iter().map(|one| (Basis::Measured, one));
    let of_inventory = of_inventory.into_iter().map(|one| (Basis::Stated, one));
    measured
        .chain(of_inventory)
        .filter_map(|(basis, counts)| {
            let title = (*titles.get(&counts.target)?).clone();
            Some(TargetCoverage {
                title,
                basis,
                counts,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
