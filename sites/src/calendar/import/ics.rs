//! iCalendar (RFC 5545): the events of a calendar, as far as holidays need them.

use jiff::civil::{Date, DateTime};
use jiff::{Span, Timestamp};
use messnetz_metric::UnixMillis;

use super::Found;
use crate::calendar::zone::Zone;

/// An event while it is read.
struct Event {
    offset: usize,
    begin: Option<Moment>,
    end: Option<Moment>,
    duration: Option<Span>,
    name: String,
    flawed: bool,
}

/// A day, or a time of one.
#[derive(Clone, Copy)]
enum Moment {
    Day(Date),
    Time(DateTime),
}

pub(super) fn read(text: &str, zone: &Zone, found: &mut Found<'_>) {
    let mut event: Option<Event> = None;
    let mut ended = false;
    for (offset, line) in unfolded(text) {
        let Some((property, value)) = property(&line) else {
            continue;
        };
        let inner = value.eq_ignore_ascii_case("VEVENT");
        match property.to_ascii_uppercase().as_str() {
            "BEGIN" if inner => {
                event = Some(Event {
                    offset,
                    begin: None,
                    end: None,
                    duration: None,
                    name: String::new(),
                    flawed: false,
                });
            }
            "END" if inner => {
                if let Some(event) = event.take() {
                    keep(event, found);
                }
            }
            "END" if value.eq_ignore_ascii_case("VCALENDAR") => ended = true,
            name => {
                if let Some(event) = &mut event {
                    read_property(event, name, value, offset, zone, found);
                }
            }
        }
    }
    if event.is_some() || !ended {
        found.refuse(
            text.len(),
            "the calendar does not end (END:VCALENDAR): is the file cut off?",
        );
    }
}

fn read_property(
    event: &mut Event,
    name: &str,
    value: &str,
    offset: usize,
    zone: &Zone,
    found: &mut Found<'_>,
) {
    let shown: String = value.chars().take(30).collect();
    let mut refuse = |event: &mut Event, message: String| {
        event.flawed = true;
        found.refuse(offset, message);
    };
    match name {
        "SUMMARY" => event.name = unescaped(value),
        "DTSTART" | "DTEND" => {
            let moment = moment(value, zone);
            if moment.is_none() {
                refuse(
                    event,
                    format!("'{shown}' is no date of a calendar (20261017)"),
                );
            }
            if name == "DTSTART" {
                event.begin = moment;
            } else {
                event.end = moment;
            }
        }
        "DURATION" => {
            event.duration = value.parse().ok();
            if event.duration.is_none() {
                refuse(event, format!("'{shown}' is no duration (P14D)"));
            }
        }
        "RRULE" | "RDATE" => {
            let message = "an event that repeats is not understood: write its days out";
            refuse(event, message.to_owned());
        }
        _ => {}
    }
}

fn keep(event: Event, found: &mut Found<'_>) {
    if event.flawed {
        return;
    }
    let Some(begin) = event.begin else {
        return found.refuse(event.offset, "the event has no DTSTART");
    };
    let first = match begin {
        Moment::Day(day) => day,
        Moment::Time(time) => time.date(),
    };
    let end = match (event.end, event.duration, begin) {
        (Some(end), _, _) => Some(end),
        (None, Some(duration), Moment::Day(day)) => day.checked_add(duration).ok().map(Moment::Day),
        (None, Some(duration), Moment::Time(time)) => {
            time.checked_add(duration).ok().map(Moment::Time)
        }
        // RFC 5545, 3.6.1: an event that is a date and has no end lasts one day.
        (None, None, _) => first.tomorrow().ok().map(Moment::Day),
    };
    // The end is excluded. Some writers repeat the first day as the end of a single one.
    let last = match end {
        Some(Moment::Day(day)) if day == first => Some(first),
        Some(Moment::Day(day)) => day.yesterday().ok(),
        Some(Moment::Time(time))
            if time.time().to_string() == "00:00:00" && time.date() > first =>
        {
            time.date().yesterday().ok()
        }
        Some(Moment::Time(time)) => Some(time.date()),
        None => None,
    };
    match last {
        Some(last) => found.keep(event.offset, first, last, event.name),
        None => found.refuse(event.offset, "the event's end is no day of the calendar"),
    }
}

/// `20261017`, `20261017T000000`, `20261016T220000Z`.
fn moment(value: &str, zone: &Zone) -> Option<Moment> {
    let value = value.trim();
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let (day, time) = value
        .split_once('T')
        .map_or((value, None), |(day, time)| (day, Some(time)));
    if !digits(day, 8) {
        return None;
    }
    let date = Date::new(
        day[..4].parse().ok()?,
        day[4..6].parse().ok()?,
        day[6..].parse().ok()?,
    )
    .ok()?;
    let Some(time) = time else {
        return Some(Moment::Day(date));
    };
    let (time, utc) = time
        .strip_suffix('Z')
        .map_or((time, false), |time| (time, true));
    if !digits(time, 6) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| time[range].parse::<i8>().ok();
    let time = jiff::civil::Time::new(part(0..2)?, part(2..4)?, part(4..6)?.min(59), 0).ok()?;
    let clock = date.to_datetime(time);
    if !utc {
        return Some(Moment::Time(clock));
    }
    let at: Timestamp = jiff::tz::Offset::UTC.to_timestamp(clock).ok()?;
    zone.clock(UnixMillis(at.as_millisecond()))
        .map(Moment::Time)
}

/// Lines with their offsets, those joined that RFC 5545, 3.1 folds.
fn unfolded(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut offset = 0;
    for raw in text.split_inclusive('\n') {
        let line = raw.trim_end_matches(['\r', '\n']);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, last))) => last.push_str(rest),
            _ => lines.push((offset, line.to_owned())),
        }
        offset += raw.len();
    }
    lines
}

/// `DTSTART;VALUE=DATE:20261017` as (`DTSTART`, `20261017`). A colon within a quoted parameter is none.
fn property(line: &str) -> Option<(&str, &str)> {
    let mut in_quotes = false;
    let colon = line.find(|c: char| {
        in_quotes ^= c == '"';
        c == ':' && !in_quotes
    })?;
    let name = line[..colon].split(';').next()?;
    Some((name, &line[colon + 1..]))
}

fn unescaped(value: &str) -> String {
    let mut text = String::new();
    let mut escaped = false;
    for letter in value.chars() {
        match letter {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            'n' | 'N' if escaped => text.push(' '),
            _ => text.push(letter),
        }
        escaped = false;
    }
    text.trim().to_owned()
}
