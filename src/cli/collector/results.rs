//! Trends, the pace of the schedule, and the samples themselves, as a terminal shows them.

use clap::Args;
use messnetz_metric::{Metric, UnixMillis, Value};
use messnetz_sites::target::TargetId;
use messnetz_sites::trend::{Outlook, PeriodCoverage};

use super::super::{Ending, print, print_json};
use super::known_site;
use crate::clock;
use crate::collector::{Collector, Config};
use crate::judging::Wanted;
use crate::report::table::columns;
use crate::text::{Language, Text};
use crate::words::shown;

/// The visits of the last days.
pub(super) fn visits(
    config: Config,
    days: u16,
    lang: Option<Language>,
    json: bool,
) -> anyhow::Result<Ending> {
    let text = Text::new(lang.unwrap_or(config.language));
    let now = clock::now();
    let back = i64::from(days) * 86_400_000;
    let times = UnixMillis(now.0.saturating_sub(back))..=now;
    let visits = Collector::open(config)?.visits(&times)?;
    if json {
        print_json(&visits)?;
        return Ok(Ending::Well);
    }
    let mut lines = Vec::new();
    for visit in &visits {
        lines.push(text.visit(visit));
        lines.extend(text.seen_on(visit).iter().map(|line| format!("  {line}")));
        lines.push(String::new());
    }
    lines.push(if visits.is_empty() {
        text.say("visits-none")
    } else {
        text.say("audit-is-snapshot")
    });
    print(&lines.join("\n"))?;
    Ok(Ending::Well)
}

/// Schools at target by month, and each site's trend.
pub(super) fn trend(
    config: Config,
    months: u16,
    lang: Option<Language>,
    json: bool,
) -> anyhow::Result<Ending> {
    let text = Text::new(lang.unwrap_or(config.language));
    let trends = Collector::open(config)?.trends(months)?;
    if json {
        print_json(&trends)?;
    } else {
        let head = [
            text.say("table-target"),
            text.say("table-period"),
            text.say("trend-schools"),
        ];
        let title = |target: &TargetId| {
            let found = trends.sites.iter().find(|site| site.target == *target);
            found.map_or_else(
                || target.to_string(),
                |site| text.pick(&site.target_title).to_owned(),
            )
        };
        // Months before anything was measured say nothing but that.
        let has_data = |month: &&PeriodCoverage| month.counts.no_data < month.counts.schools();
        let first = trends
            .months
            .iter()
            .find(has_data)
            .map(|month| month.period);
        let mut months: Vec<_> = trends
            .months
            .iter()
            .filter(|month| first.is_none_or(|first| month.period >= first))
            .collect();
        months.sort_by_key(|month| (&month.counts.target, month.period));
        let rows: Vec<_> = months
            .into_iter()
            .map(|month| {
                let share = 100.0 * month.share_met;
                [
                    title(&month.counts.target),
                    month.period.to_string(),
                    text.say_with(
                        "trend-of",
                        &[
                            ("met", month.counts.met.into()),
                            ("schools", month.counts.schools().into()),
                            ("share", text.language.number(share, 0).into()),
                        ],
                    ),
                ]
            })
            .collect();
        let mut lines = columns(&head, &rows);
        lines.push(String::new());
        let head = [
            text.say("table-school"),
            text.say("table-target"),
            text.say("table-observed"),
            text.say("trend-rate"),
            text.say("trend-outlook"),
        ];
        let rows: Vec<_> = trends
            .sites
            .iter()
            .map(|site| {
                let observed = site.last.as_ref().map(|last| text.observed(last));
                [
                    format!("{} ({})", site.school_name, site.site),
                    text.pick(&site.target_title).to_owned(),
                    observed.unwrap_or_else(|| "\u{2013}".to_owned()),
                    text.slope(site.last.as_ref(), &site.trend),
                    text.outlook(&site.trend.outlook),
                ]
            })
            .collect();
        lines.extend(columns(&head, &rows));
        if let Some(month) = trends.rolled_up_until {
            let gaps = [("month", month.to_string().into())];
            lines.push(String::new());
            lines.push(text.say_with("trend-rolled-up", &gaps));
        }
        print(&lines.join("\n"))?;
    }
    let falls = |outlook: &Outlook| matches!(outlook, Outlook::MissedFrom { .. });
    Ok(
        if trends.sites.iter().any(|site| falls(&site.trend.outlook)) {
            Ending::Findings
        } else {
            Ending::Well
        },
    )
}

/// How soon each target can be decided.
pub(super) fn schedule(
    config: Config,
    lang: Option<Language>,
    json: bool,
) -> anyhow::Result<Ending> {
    let text = Text::new(lang.unwrap_or(config.language));
    let paces = Collector::open(config)?.paces();
    if json {
        print_json(&paces)?;
    } else {
        let days =
            |days: Option<usize>| days.map_or_else(|| "\u{2013}".to_owned(), |n| n.to_string());
        let head = [
            text.say("table-target"),
            text.say("pace-metric"),
            text.say("pace-samples"),
            text.say("pace-met"),
            text.say("pace-missed"),
        ];
        let rows: Vec<_> = paces
            .iter()
            .map(|pace| {
                [
                    text.pick(&pace.title).to_owned(),
                    format!("{} ({})", pace.metric, pace.statistic),
                    text.language.number(pace.samples_a_day, 1),
                    days(pace.time.met),
                    days(pace.time.missed),
                ]
            })
            .collect();
        print(&columns(&head, &rows).join("\n"))?;
    }
    Ok(if paces.iter().all(|pace| pace.is_short) {
        Ending::Well
    } else {
        Ending::Findings
    })
}

/// What there is of a site, series by series.
pub(super) fn series(
    config: Config,
    site: &str,
    lang: Option<Language>,
    json: bool,
) -> anyhow::Result<Ending> {
    let text = Text::new(lang.unwrap_or(config.language));
    let collector = Collector::open(config)?;
    let site = known_site(&collector, site)?.to_string();
    let all = collector.with_store_now(|store| store.overview(&site))?;
    if json {
        print_json(&all)?;
        return Ok(Ending::Well);
    }
    if all.is_empty() {
        print(&text.say("series-none"))?;
        return Ok(Ending::Well);
    }
    let head = [
        text.say("series-metric"),
        text.say("series-peer"),
        text.say("series-interface"),
        text.say("series-values"),
        text.say("series-failures"),
        text.say("series-pruned"),
        text.say("series-first"),
        text.say("series-last"),
        text.say("series-values-from"),
        text.say("series-values-to"),
        text.say("agents-agent"),
    ];
    let value = |value: Option<Value>| value.map_or_else(String::new, |value| text.value(value));
    let rows: Vec<_> = all
        .iter()
        .map(|series| {
            [
                series.metric.to_string(),
                series.peer.clone(),
                series.vantage.interface.clone().unwrap_or_default(),
                series.values.to_string(),
                series.failures.to_string(),
                series.pruned.to_string(),
                shown(series.first_at),
                shown(series.last_at),
                value(series.lowest),
                value(series.highest),
                series.agent.clone(),
            ]
        })
        .collect();
    print(&columns(&head, &rows).join("\n"))?;
    Ok(Ending::Well)
}

/// Which samples to print.
#[derive(Debug, Args)]
pub(super) struct Samples {
    /// The site, as SCHOOL/SITE of the site file
    site: String,
    /// What was measured, such as line.down
    metric: Metric,
    /// Time of the first sample, in milliseconds since 1970-01-01 UTC
    #[arg(long)]
    from: i64,
    /// Time of the last sample
    #[arg(long)]
    to: i64,
    /// Only those within this window: lesson-hours, off-lesson or one of the site file
    #[arg(long, value_name = "NAME")]
    window: Option<String>,
    /// Only those against this far end, as the schedule names it
    #[arg(long)]
    peer: Option<String>,
    /// Language
    #[arg(long, value_enum)]
    lang: Option<Language>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// The samples of one metric at one site.
pub(super) fn samples(config: Config, arguments: &Samples) -> anyhow::Result<Ending> {
    let text = Text::new(arguments.lang.unwrap_or(config.language));
    let collector = Collector::open(config)?;
    let window = match &arguments.window {
        Some(name) => Some(collector.calendar().window(name)?),
        None => None,
    };
    let found = collector.samples(&Wanted {
        site: &known_site(&collector, &arguments.site)?,
        metric: arguments.metric,
        times: UnixMillis(arguments.from)..=UnixMillis(arguments.to),
        window: window.as_ref(),
        peer: arguments.peer.as_deref(),
    })?;
    if arguments.json {
        let rolled = found.rolled.iter().flat_map(|hour| {
            hour.values.iter().map(|(value, count)| {
                serde_json::json!({ "hour_unix_ms": hour.begin, "value": value, "count": count })
            })
        });
        let samples = found.samples.iter().map(|sample| {
            let value: Value = sample.value;
            serde_json::json!({ "at_unix_ms": sample.at.0, "value": value })
        });
        print_json(&rolled.chain(samples).collect::<Vec<_>>())?;
    } else {
        for hour in found.rolled {
            let begin = jiff::Timestamp::from_millisecond(hour.begin.0).unwrap_or_default();
            for (value, count) in hour.values {
                print(&format!("{begin} +1h  {}  x {count}", text.value(value)))?;
            }
        }
        for sample in found.samples {
            let at = jiff::Timestamp::from_millisecond(sample.at.0).unwrap_or_default();
            print(&format!("{at}  {}", text.value(sample.value)))?;
        }
    }
    Ok(Ending::Well)
}
