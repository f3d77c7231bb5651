//! `messnetz contract`: does the provider deliver what the contract says?

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};
use jiff::civil::Date;
use messnetz_metric::UnixMillis;
use messnetz_sites::contract::{self, Measurement, Plan};

use super::input;
use super::place::Place;
use super::sites::find;
use super::{Ending, print, print_json};
use crate::clock;
use crate::collector::load_authority;
use crate::text::Text;

/// Hold a line against its contract, after the campaign of the Bundesnetzagentur (Vfg 99/2021).
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a measured campaign: is it valid, and does the line deviate from its contract?
    #[command(
        after_help = "Example:\n  messnetz contract check --sites authority.toml --site NW-100001/main Breitbandmessung_*.csv\n\nExit code 1 where the campaign is not valid or the line deviates."
    )]
    Check {
        #[command(flatten)]
        place: Place,
        /// Files that the desktop app of the Breitbandmessung saved
        #[arg(required = true)]
        measurements: Vec<PathBuf>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Lay a campaign into the calendar of a school, so that no lesson is disturbed
    #[command(
        after_help = "Example:\n  messnetz contract plan --sites authority.toml --site NW-100001/main --from 2026-11-23 --ics"
    )]
    Plan {
        #[command(flatten)]
        place: Place,
        /// The first day that may be used
        #[arg(long)]
        from: Date,
        /// Print as iCalendar, to be opened in a calendar
        #[arg(long, conflicts_with = "json")]
        ics: bool,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    match arguments.command {
        Command::Check {
            place,
            measurements,
            json,
        } => check(&place, &measurements, json),
        Command::Plan {
            place,
            from,
            ics,
            json,
        } => plan(&place, from, ics, json),
    }
}

fn check(place: &Place, files: &[PathBuf], json: bool) -> anyhow::Result<Ending> {
    let authority = load_authority(&place.sites)?;
    let (_, site) = find(&authority, &place.site)?;
    let Some(line) = &site.line else {
        bail!(
            "the site file states no line for {}: a campaign is held against its contract",
            site.id
        );
    };
    let mut measurements: Vec<Measurement> = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        let shown = file.display().to_string();
        let text = input::read(file)?;
        match contract::measurements(&shown, &text) {
            Ok(of_file) => measurements.extend(of_file),
            Err(of_file) => problems.extend(of_file.iter().map(ToString::to_string)),
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    let check = contract::check(&line.contract, &measurements, &authority.calendar.zone);
    let text = Text::new(place.lang);
    if json {
        print_json(&serde_json::json!({
            "site": site.id,
            "contract": line.contract,
            "valid": check.is_valid(),
            "deviates": check.deviates(),
            "check": check,
            "caveat": text.say("contract-caveat"),
        }))?;
    } else {
        let gaps = [
            ("site", site.id.to_string().into()),
            ("product", line.product.clone().into()),
            ("provider", line.provider.clone().into()),
        ];
        let mut lines = vec![text.say_with("contract-title", &gaps), String::new()];
        lines.extend(text.contract_check(&check));
        lines.extend([String::new(), text.say("contract-caveat")]);
        print(&lines.join("\n"))?;
    }
    Ok(if check.is_valid() && !check.deviates() {
        Ending::Well
    } else {
        Ending::Findings
    })
}

fn plan(place: &Place, from: Date, ics: bool, json: bool) -> anyhow::Result<Ending> {
    let authority = load_authority(&place.sites)?;
    let (school, site) = find(&authority, &place.site)?;
    let calendar = &authority.calendar;
    let plan = contract::plan(calendar, school, from)?;
    let text = Text::new(place.lang);
    if ics {
        print(&icalendar(&plan, &site.id.to_string(), &text))?;
    } else if json {
        let times = |day: &contract::PlannedDay| -> Vec<String> {
            day.times
                .iter()
                .map(|at| calendar.zone.rfc3339(*at))
                .collect()
        };
        let days: Vec<_> = plan
            .days
            .iter()
            .map(|day| serde_json::json!({ "day": day.day, "times": times(day) }))
            .collect();
        print_json(&serde_json::json!({
            "site": site.id,
            "days": days,
            "holidays_known": plan.holidays_known,
            "caveat": text.say("contract-caveat"),
        }))?;
    } else {
        let gaps = [("school", school.name.clone().into())];
        let mut lines = vec![
            text.say_with("contract-plan-title", &gaps),
            text.say("contract-plan-setup"),
        ];
        if !plan.holidays_known {
            lines.push(text.say("contract-plan-holidays-unknown"));
        }
        for day in &plan.days {
            let (weekday, date) = (text.weekday(day.day), text.date(day.day));
            let kind = text.day_kind(&day.kind);
            lines.push(format!("\n{weekday} {date} ({kind})"));
            let clocks = day.times.iter().filter_map(|at| calendar.zone.clock(*at));
            let shown: Vec<String> = clocks.map(|at| at.strftime("%H:%M").to_string()).collect();
            lines.extend(shown.chunks(5).map(|five| format!("  {}", five.join("  "))));
        }
        lines.extend([String::new(), text.say("contract-caveat")]);
        print(&lines.join("\n"))?;
    }
    Ok(Ending::Well)
}

/// The plan as RFC 5545 has it, an event for each measurement.
fn icalendar(plan: &Plan, site: &str, text: &Text) -> String {
    let utc = |at: UnixMillis| {
        let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
        at.strftime("%Y%m%dT%H%M%SZ").to_string()
    };
    let now = utc(clock::now());
    let mut calendar =
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//messnetz//contract plan//EN\r\n".to_owned();
    let summary = text.say_with("contract-plan-event", &[("site", site.to_owned().into())]);
    for at in plan.days.iter().flat_map(|day| &day.times) {
        let (begin, end) = (utc(*at), utc(UnixMillis(at.0 + 60_000)));
        let id = site.replace('/', "-");
        // Writing to a text cannot fail.
        let _ = write!(
            calendar,
            "BEGIN:VEVENT\r\nUID:{begin}-{id}@messnetz\r\nDTSTAMP:{now}\r\nDTSTART:{begin}\r\nDTEND:{end}\r\nSUMMARY:{summary}\r\nEND:VEVENT\r\n"
        );
    }
    calendar.push_str("END:VCALENDAR\r\n");
    calendar
}
