//! Which charts there are of a report, and which of its numbers they show.

use messnetz_metric::{BitRate, Direction, Metric, Quantity, Segment, Value};
use messnetz_sites::verdict::VerdictKind;

use super::chart::{self, Chart, ChartWords, CoverageRow, Mark, ThroughputRow};
use crate::judging::{Basis, Report, Row};
use crate::text::{Language, Text};

/// Share of schools met, missed, undecided and without data, for each target: those that are measured, then
/// those of the inventory of which anything is stated.
#[must_use]
pub fn coverage(report: &Report, text: &Text) -> Chart {
    let count = |schools: usize| u32::try_from(schools).unwrap_or(u32::MAX);
    let mut rows: Vec<CoverageRow> = Vec::new();
    let mut last = Basis::Measured;
    for target in &report.coverage {
        let counts = &target.counts;
        if target.basis == Basis::Stated && counts.no_data == counts.schools() {
            continue;
        }
        let begins = target.basis != last;
        last = target.basis;
        rows.push(CoverageRow {
            label: text.pick(&target.title).to_owned(),
            heading: begins.then(|| text.say("dashboard-stated-chart")),
            met: count(counts.met),
            missed: count(counts.missed),
            undecided: count(counts.undecided),
            no_data: count(counts.no_data),
        });
    }
    chart::coverage(&rows, &words(text.language))
}

/// Measured against required download, for each site. Where several targets ask for a download rate, the
/// one that asks for most is shown: it is the next debate.
#[must_use]
pub fn throughput(report: &Report, text: &Text) -> Chart {
    let download = Metric::new(Segment::Line, Quantity::Goodput(Direction::Down));
    let mut rows: Vec<&Row> = Vec::new();
    for row in report
        .rows
        .iter()
        .filter(|row| row.judgement.metric == download)
    {
        match rows.last_mut() {
            Some(last) if last.judgement.site == row.judgement.site => {
                if required(row) > required(last) {
                    *last = row;
                }
            }
            _ => rows.push(row),
        }
    }
    let rows: Vec<ThroughputRow> = rows
        .into_iter()
        .map(|row| ThroughputRow {
            school: row.school_name.clone(),
            required: required(row),
            tolerated: row
                .judgement
                .threshold
                .as_ref()
                .and_then(|t| t.tolerated.as_rate()),
            measured: row.judgement.observed.and_then(Value::as_rate),
            contract: row.judgement.contract.map(|check| check.contract.bits()),
            verdict: Some(mark(row.judgement.verdict.kind())),
        })
        .collect();
    let words = ChartWords {
        throughput_title: text.say("dashboard-throughput"),
        ..words(text.language)
    };
    chart::throughput(&rows, &words)
}

fn required(row: &Row) -> Option<BitRate> {
    row.judgement
        .threshold
        .as_ref()
        .and_then(|threshold| threshold.strict.as_rate())
}

fn mark(kind: VerdictKind) -> Mark {
    match kind {
        VerdictKind::Met => Mark::Met,
        VerdictKind::Missed => Mark::Missed,
        VerdictKind::Undecided => Mark::Undecided,
        VerdictKind::NoData => Mark::NoData,
    }
}

fn words(language: Language) -> ChartWords {
    match language {
        Language::De => ChartWords::german(),
        Language::En => ChartWords::english(),
    }
}
