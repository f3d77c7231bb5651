//! The dashboard: one page, made on the server, that needs nothing from elsewhere.

mod agents;
mod visits;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use messnetz_sites::Source;
use messnetz_sites::verdict::VerdictKind;

use crate::judging::agents::AgentState;
use crate::judging::visits::Visited;
use crate::judging::{Basis, Report, Row, StatedRow, TargetCoverage};
use crate::report::chart::{Chart, ChartError};
use crate::report::charts;
use crate::text::{Language, Text};
use crate::words::symbol;

const DAY_MS: i64 = 24 * 3600 * 1000;

const STYLE: &str = include_str!("web/style.css");

/// Schools against targets with word and symbol, the charts inline, and what to do about it.
///
/// # Errors
/// Where a chart cannot be drawn.
pub fn dashboard(
    report: &Report,
    agents: &[AgentState],
    visits: &[Visited],
    text: &Text,
) -> Result<String, ChartError> {
    let title = text.say_with(
        "dashboard-title",
        &[("authority", report.authority.as_str().into())],
    );
    let coverage = inline(&charts::coverage(report, text))?;
    let throughput = inline(&charts::throughput(report, text))?;
    let other = match text.language {
        Language::De => Language::En,
        Language::En => Language::De,
    };
    let page = html! {
        (DOCTYPE)
        html lang=(text.language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p.language { a href={ "?lang=" (other.tag()) } lang=(other.tag()) { (text.say("dashboard-language")) } }
                    p.lead { (lead(report, text)) }
                    @if !report.stated.is_empty() { p.lead { (lead_of_inventory(report, text)) } }
                    p.note { (as_of(report, text)) }
                    @if let Some(why) = &report.shortened {
                        p.shortened { strong { (text.say_with("shortened", &[("why", why.as_str().into())])) } }
                    }
                }
                main {
                    section {
                        h2 { (text.say("dashboard-coverage")) }
                        figure { (coverage) figcaption { (text.say("dashboard-table-below")) } }
                    }
                    section {
                        h2 { (text.say("dashboard-throughput")) }
                        figure { (throughput) figcaption { (text.say("dashboard-table-below")) } }
                    }
                    section {
                        h2 { (text.say("dashboard-overview")) }
                        (overview(report, text))
                        p.note { (text.say("legend-note")) }
                    }
                    section {
                        h2 { (text.say("table-title")) }
                        (table(report, text))
                    }
                    @if !report.stated.is_empty() {
                        section {
                            h2 { (text.say("table-stated-title")) }
                            (inventory(report, text))
                        }
                    }
                    section {
                        h2 { (text.say("recommendations")) }
                        (recommendations(report, text))
                    }
                    @if !visits.is_empty() {
                        section {
                            h2 { (text.say("visits-title")) }
                            (visits::list(visits, text))
                        }
                    }
                    section {
                        h2 { (text.say("agents-title")) }
                        (agents::table(agents, &report.chains, text))
                    }
                }
            }
        }
    };
    Ok(page.into_string())
}

/// A chart as part of the page. What the chart was given it has escaped itself.
fn inline(chart: &Chart) -> Result<Markup, ChartError> {
    Ok(PreEscaped(chart.svg()?))
}

fn lead(report: &Report, text: &Text) -> String {
    let count = |kind: VerdictKind| {
        report
            .rows
            .iter()
            .filter(|row| row.judgement.verdict.kind() == kind)
            .count()
    };
    text.say_with(
        "dashboard-lead",
        &[
            ("met", count(VerdictKind::Met).into()),
            ("missed", count(VerdictKind::Missed).into()),
            ("undecided", count(VerdictKind::Undecided).into()),
            ("none", count(VerdictKind::NoData).into()),
        ],
    )
}

fn lead_of_inventory(report: &Report, text: &Text) -> String {
    let count = |kind: VerdictKind| {
        let kinds = report.stated.iter().map(|row| row.judgement.verdict.kind());
        kinds.filter(|one| *one == kind).count()
    };
    text.say_with(
        "dashboard-lead-stated",
        &[
            ("met", count(VerdictKind::Met).into()),
            ("missed", count(VerdictKind::Missed).into()),
            ("none", count(VerdictKind::NoData).into()),
        ],
    )
}

fn as_of(report: &Report, text: &Text) -> String {
    let time = jiff::Timestamp::from_millisecond(report.made_at.0).unwrap_or_default();
    let time = time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let days = (report.made_at.0 - report.since.0) / DAY_MS;
    text.say_with(
        "dashboard-as-of",
        &[("time", time.into()), ("days", days.into())],
    )
}

/// Schools against targets: word and symbol in every cell.
fn overview(report: &Report, text: &Text) -> Markup {
    let mut sites: Vec<&Row> = Vec::new();
    for row in &report.rows {
        if sites
            .last()
            .is_none_or(|last| last.judgement.site != row.judgement.site)
        {
            sites.push(row);
        }
    }
    let measured = || {
        let targets = report.coverage.iter();
        targets.filter(|target| target.basis == Basis::Measured)
    };
    let cell = |site: &Row, target: &TargetCoverage| {
        let row = report.rows.iter().find(|row| {
            row.judgement.site == site.judgement.site
                && row.judgement.target == target.counts.target
        });
        html! {
            @match row {
                Some(row) => (verdict_cell(row.judgement.verdict.kind(), text)),
                None => td {},
            }
        }
    };
    html! {
        div.scroll { table.overview {
            thead { tr {
                th scope="col" { (text.say("table-school")) }
                @for target in measured() { th scope="col" { (text.pick(&target.title)) } }
            } }
            tbody { @for site in sites { tr {
                th scope="row" { (site.school_name) small { (site.site_name) } }
                @for target in measured() { (cell(site, target)) }
            } } }
        } }
    }
}

fn verdict_cell(kind: VerdictKind, text: &Text) -> Markup {
    let class = match kind {
        VerdictKind::Met => "met",
        VerdictKind::Missed => "missed",
        VerdictKind::Undecided => "undecided",
        VerdictKind::NoData => "no-data",
    };
    html! {
        td.verdict.(class) { span aria-hidden="true" { (symbol(kind)) } " " (text.verdict(kind)) }
    }
}

fn table(report: &Report, text: &Text) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr {
                    th scope="col" { (text.say("table-school")) }
                    th scope="col" { (text.say("table-target")) }
                    th scope="col" { (text.say("table-verdict")) }
                    th scope="col" { (text.say("table-period")) }
                    th scope="col" { (text.say("table-observed")) }
                    th scope="col" { (text.say("table-threshold")) }
                    th scope="col" { (text.say("table-contract")) }
                    th scope="col" { (text.say("table-cause")) }
                } }
                tbody { @for (index, row) in report.rows.iter().enumerate() {
                    (table_row(report, index, row, text))
                } }
            }
        }
    }
}

/// Where a target comes from, in one line.
fn source(source: &Source) -> String {
    let year = source.year.map(|year| format!(", {year}"));
    format!(
        "{}, {}{} [{}]",
        source.document,
        source.publisher,
        year.unwrap_or_default(),
        source.mark
    )
}

fn table_row(report: &Report, index: usize, row: &Row, text: &Text) -> Markup {
    let judgement = &row.judgement;
    let begins_site = index == 0 || report.rows[index - 1].judgement.site != judgement.site;
    let statistic = text.say_with(
        "statistic",
        &[
            ("statistic", text.statistic(judgement).into()),
            ("samples", judgement.samples.into()),
            ("days", judgement.days.into()),
        ],
    );
    html! {
        tr.begins[begins_site] {
            th scope="row" { (row.school_name) @if begins_site { small { (judgement.site) } } }
            td.source { (text.pick(&row.target_title)) small { (source(&row.source)) } }
            (verdict_cell(judgement.verdict.kind(), text))
            td {
                (text.periods(judgement, row.running.as_ref()))
                @if let Some(reopened) = &row.reopened { small { (text.reopened(reopened)) } }
            }
            td.number {
                (text.observed(judgement)) small { (statistic) }
                @if let Some(window) = &judgement.window { small { (text.window(window)) } }
            }
            td.number {
                (text.threshold(judgement))
                @if let Some(workings) = text.workings(judgement) { small { (workings) } }
                @if let Some(layers) = text.layers(judgement) { small { (layers) } }
            }
            td { (text.contract(judgement).unwrap_or_default()) }
            td { (row.cause.as_ref().map(|cause| text.cause(cause)).or_else(|| text.why_no_verdict(judgement)).unwrap_or_default())
                    @if let Some(exception) = &judgement.exception { br; (text.exception(exception)) } }
        }
    }
}

/// The inventory targets of which something is stated, and how many there are without.
fn inventory(report: &Report, text: &Text) -> Markup {
    let rows: Vec<&StatedRow> = report.said().collect();
    let ids: Vec<Option<String>> = rows.iter().map(|row| row.id()).collect();
    let befores = std::iter::once(None).chain(ids.iter().map(Some));
    html! {
        @if !rows.is_empty() {
            div.scroll { table {
                thead { tr {
                    th scope="col" { (text.say("table-school")) }
                    th scope="col" { (text.say("table-target")) }
                    th scope="col" { (text.say("table-verdict")) }
                    th scope="col" { (text.say("table-stated")) }
                    th scope="col" { (text.say("table-demanded")) }
                    th scope="col" { (text.say("table-as-of")) }
                    th scope="col" { (text.say("table-remark")) }
                } }
                tbody { @for ((row, id), before) in rows.iter().zip(&ids).zip(befores) {
                    (inventory_row(row, id.as_deref(), before != Some(id), text))
                } }
            } }
        }
        @if let Some(open) = text.not_stated(report.not_stated()) { p.note { (open) } }
    }
}

fn inventory_row(row: &StatedRow, id: Option<&str>, begins: bool, text: &Text) -> Markup {
    let judgement = &row.judgement;
    html! {
        tr.begins[begins] {
            th scope="row" {
                @match id {
                    Some(id) => { (row.name) @if begins { small { (id) } } }
                    None => (text.say("table-authority")),
                }
            }
            td.source { (text.pick(&row.target_title)) small { (source(&row.source)) } }
            (verdict_cell(judgement.verdict.kind(), text))
            td.number { (text.what_is_stated(judgement)) }
            td.number { (text.what_is_demanded(judgement)) }
            td { (text.origins(judgement)) }
            td { (text.remarks(judgement).join("; ")) }
        }
    }
}

fn recommendations(report: &Report, text: &Text) -> Markup {
    if report.recommendations.is_empty() {
        return html! { p { (text.say("recommendations-none")) } };
    }
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { (text.say("table-school")) }
                th scope="col" { (text.say("recommendation-upgrade")) }
                th scope="col" { (text.say("recommendation-once")) }
                th scope="col" { (text.say("recommendation-monthly")) }
                th scope="col" { (text.say("recommendation-because")) }
            } }
            tbody { @for recommendation in &report.recommendations { tr.begins {
                th scope="row" { (report.school_name(&recommendation.site)) small { (recommendation.site) } }
                td { (text.pick(&recommendation.title)) }
                td.number { (text.price(&recommendation.once)) }
                td.number { (text.price(&recommendation.monthly)) }
                td { ul { @for reason in report.reasons(recommendation, text) { li { (reason) } } } }
            } } }
        } }
    }
}
