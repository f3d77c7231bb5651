//! `messnetz calendar`: when lessons are held.

mod import;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::ToSpan as _;
use jiff::civil::Date;
use messnetz_metric::UnixMillis;
use messnetz_sites::calendar::{Calendar, DayKind, Interval, Land, Slot, Stretch, Window};
use messnetz_sites::site::School;

use self::import::Import;
use super::place::Place;
use super::sites::find;
use super::{Ending, print, print_json};
use crate::collector::load_authority;
use crate::text::{Language, Text};

/// Show when a school teaches, and import school holidays.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Import school holidays into the site file: iCalendar, ferien-api JSON, or a table from,to,name
    #[command(
        after_help = "Example:\n  messnetz calendar import ferien.ics --into authority.toml --dry-run\n\nExit code 1 where periods contradict those of the site file; then nothing is written."
    )]
    Import {
        /// The file with the holidays
        file: PathBuf,
        /// The site file
        #[arg(long)]
        into: PathBuf,
        /// The Land, where the file holds several [default: that of the schools]
        #[arg(long)]
        land: Option<Land>,
        /// Say what would be done, and write nothing
        #[arg(long)]
        dry_run: bool,
        /// Language
        #[arg(long, value_enum, default_value_t)]
        lang: Language,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a month of a school: lessons, holidays, days off
    #[command(
        after_help = "Example:\n  messnetz calendar show --sites authority.toml --site NW-100001/main --month 2026-09"
    )]
    Show {
        #[command(flatten)]
        place: Place,
        /// The month, as 2026-09
        #[arg(long, value_parser = month)]
        month: Date,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print when a window is open at a school, day by day: what a judgement over it looks at
    #[command(
        after_help = "Examples:\n  messnetz calendar windows --sites authority.toml --site NW-100001/main --from 2026-11-23\n  messnetz calendar windows --sites authority.toml --site NW-100001/main --from 2026-08-01 --to 2027-07-31 --window off-lesson --json"
    )]
    Windows {
        #[command(flatten)]
        place: Place,
        /// The first day
        #[arg(long)]
        from: Date,
        /// The last day [default: a week from the first]
        #[arg(long)]
        to: Option<Date>,
        /// lesson-hours, off-lesson, any, or a window of the site file
        #[arg(long, default_value = "lesson-hours")]
        window: String,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

/// The first day of a month written `2026-09`.
fn month(text: &str) -> Result<Date, String> {
    let first = format!("{text}-01").parse::<Date>();
    first.map_err(|_| format!("'{text}' is no month (write it as 2026-09)"))
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    match arguments.command {
        Command::Import {
            file,
            into,
            land,
            dry_run,
            lang,
            json,
        } => {
            let text = Text::new(lang);
            let found = Import::read(&file, &into, land)?;
            if !dry_run {
                found.apply(&file, &into)?;
            }
            found.report(&text, &into, dry_run, json)
        }
        Command::Show { place, json, month } => {
            let authority = load_authority(&place.sites)?;
            let (school, _) = find(&authority, &place.site)?;
            let text = Text::new(place.lang);
            show(&authority.calendar, school, month, &text, json)
        }
        Command::Windows {
            place,
            json,
            from,
            to,
            window,
        } => {
            let authority = load_authority(&place.sites)?;
            let (school, _) = find(&authority, &place.site)?;
            let opening = Opening::new(&authority.calendar, school, &window, from, to)?;
            opening.print(&Text::new(place.lang), json)
        }
    }
}

/// When a window is open at a school.
struct Opening<'a> {
    calendar: &'a Calendar,
    school: &'a School,
    window: Window,
    days: Vec<Date>,
    slots: Vec<Slot>,
}

/// Days that are printed at most: a leap year.
const MOST_DAYS: usize = 366;

impl<'a> Opening<'a> {
    fn new(
        calendar: &'a Calendar,
        school: &'a School,
        window: &str,
        from: Date,
        to: Option<Date>,
    ) -> anyhow::Result<Self> {
        let window = calendar
            .window(window)
            .map_err(|unknown| match &unknown.suggestion {
                Some(near) => anyhow::anyhow!("{unknown}; did you mean '{near}'?"),
                None => unknown.into(),
            })?;
        let to = to.map_or_else(|| from.checked_add(6.days()), Ok)?;
        let days: Vec<Date> = std::iter::successors(Some(from), |day| day.tomorrow().ok())
            .take_while(|day| *day <= to)
            .take(MOST_DAYS + 1)
            .collect();
        if !(1..=MOST_DAYS).contains(&days.len()) {
            bail!(
                "from {from} to {to}: the last day comes after the first, and no more than {MOST_DAYS} days are printed"
            );
        }
        let begin = |day: Date| calendar.zone.day_begins(day);
        let period = begin(from)
            .zip(to.tomorrow().ok().and_then(begin))
            .map(|(from, to)| Interval { from, to })
            .context("the clock shows no such days")?;
        let timetable = calendar.timetable(&window, period, school);
        Ok(Self {
            calendar,
            school,
            window,
            days,
            slots: timetable.slots().to_vec(),
        })
    }

    fn print(&self, text: &Text, json: bool) -> anyhow::Result<Ending> {
        let zone = &self.calendar.zone;
        let known = |day: &Date| self.calendar.knows_holidays_around(*day, self.school);
        let known = self.days.iter().all(known);
        if json {
            let slot = |slot: &Slot| {
                serde_json::json!({
                    "from": zone.rfc3339(slot.interval.from),
                    "to": zone.rfc3339(slot.interval.to),
                    "date": slot.day.date,
                    "school_day": slot.day.school_day,
                })
            };
            print_json(&serde_json::json!({
                "school": self.school.id,
                "zone": zone,
                "window": self.window.name(),
                "slots": self.slots.iter().map(slot).collect::<Vec<_>>(),
                "holidays_known": known,
            }))?;
            return Ok(Ending::Well);
        }
        let land = self.calendar.land_of(self.school).map_or("–", Land::code);
        let (name, window) = (&self.school.name, &self.window);
        let mut lines = vec![format!("{name} ({land}, {zone}): {window}"), String::new()];
        for day in &self.days {
            let open: Vec<String> = self
                .slots
                .iter()
                .filter(|slot| slot.day.date == *day)
                .map(|slot| self.clock(slot))
                .collect();
            let open = open.join("  ");
            let mut line = format!("{} {}  ", text.weekday(*day), text.date(*day));
            line += if open.is_empty() { "–" } else { &open };
            let kind = self.calendar.day(*day, self.school);
            if kind != DayKind::School {
                let _ = write!(line, "  ({})", text.day_kind(&kind));
            }
            lines.push(line + &clock_change(self.calendar, *day, text));
        }
        let minutes = self
            .slots
            .iter()
            .map(|slot| slot.interval.minutes())
            .sum::<i64>();
        let gaps = [(
            "hours",
            format!("{}:{:02}", minutes / 60, minutes % 60).into(),
        )];
        lines.extend([String::new(), text.say_with("calendar-window-hours", &gaps)]);
        if !known {
            lines.push(text.say("calendar-holidays-unknown"));
        }
        print(&lines.join("\n"))?;
        Ok(Ending::Well)
    }

    /// A slot as the clock on the wall shows it.
    fn clock(&self, slot: &Slot) -> String {
        let shown = |at: UnixMillis| {
            let clock = self.calendar.zone.clock(at);
            clock.map_or_else(String::new, |clock| clock.strftime("%H:%M").to_string())
        };
        // A day ends at 24:00, not at 0:00 of the next.
        let end = match shown(slot.interval.to) {
            midnight if midnight == "00:00" => "24:00".to_owned(),
            end => end,
        };
        format!("{}–{end}", shown(slot.interval.from))
    }
}

fn show(
    calendar: &Calendar,
    school: &School,
    first: Date,
    text: &Text,
    json: bool,
) -> anyhow::Result<Ending> {
    let last = first.last_of_month();
    let days: Vec<Date> = std::iter::successors(Some(first), |day| day.tomorrow().ok())
        .take_while(|day| *day <= last)
        .collect();
    let count = calendar.school_days(first, last, school);
    let known = calendar.knows_holidays_around(first, school)
        && calendar.knows_holidays_around(last, school);
    let hours = calendar.hours_of(school);
    if json {
        let days: Vec<_> = days
            .iter()
            .map(|day| serde_json::json!({ "day": day, "is": calendar.day(*day, school) }))
            .collect();
        print_json(&serde_json::json!({
            "school": school.id,
            "zone": calendar.zone,
            "land": calendar.land_of(school),
            "hours": hours,
            "days": days,
            "school_days": count,
            "holidays_known": known,
        }))?;
        return Ok(Ending::Well);
    }
    let land = calendar.land_of(school).map_or("–", Land::code);
    let mut lines = vec![format!("{} ({land}, {})", school.name, calendar.zone)];
    lines.push(match hours {
        None => text.say("calendar-hours-none"),
        Some(hours) => {
            let origin = if school.calendar.hours.is_some() {
                text.say("calendar-hours-school")
            } else if calendar
                .lesson_rule(school)
                .is_some_and(|rule| rule.source.is_some())
            {
                text.say("calendar-hours-default")
            } else {
                text.say("calendar-hours-authority")
            };
            let dashed = |stretch: &Stretch| stretch.to_string().replace('-', "–");
            let shown: Vec<_> = hours.lessons().iter().map(dashed).collect();
            let gaps = [
                ("hours", shown.join(", ").into()),
                ("origin", origin.into()),
            ];
            text.say_with("calendar-hours", &gaps)
        }
    });
    lines.push(String::new());
    for day in days {
        let kind = text.day_kind(&calendar.day(day, school));
        let change = clock_change(calendar, day, text);
        lines.push(format!(
            "{} {}  {kind}{change}",
            text.weekday(day),
            text.date(day)
        ));
    }
    lines.push(String::new());
    lines.push(text.say_with("calendar-school-days", &[("count", count.into())]));
    if !known {
        lines.push(text.say("calendar-holidays-unknown"));
    }
    print(&lines.join("\n"))?;
    Ok(Ending::Well)
}

/// What the clock does on this day beside going on.
fn clock_change(calendar: &Calendar, day: Date, text: &Text) -> String {
    let offset = |day: Date| {
        let begin = calendar.zone.day_begins(day)?;
        Some(calendar.zone.offset_seconds(begin))
    };
    let next = day.checked_add(1.day()).ok().and_then(offset);
    match offset(day).zip(next) {
        Some((today, next)) if today < next => format!("; {}", text.say("calendar-clock-forward")),
        Some((today, next)) if today > next => format!("; {}", text.say("calendar-clock-back")),
        _ => String::new(),
    }
}
