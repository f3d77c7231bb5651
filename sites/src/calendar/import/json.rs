//! The JSON of ferien-api: a list of objects with `start`, `end`, `stateCode` and `name`.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::Deserialize;

use super::Found;
use crate::calendar::holiday;
use crate::calendar::land::Land;

#[derive(Deserialize)]
struct Entry {
    start: String,
    end: String,
    #[serde(rename = "stateCode")]
    land: Option<String>,
    name: String,
    /// The name as people write it, in files that have it.
    name_cp: Option<String>,
}

pub(super) fn read(text: &str, land: Option<Land>, found: &mut Found<'_>) {
    let entries: Vec<Entry> = match serde_json::from_str(text) {
        Ok(entries) => entries,
        Err(error) => {
            let line_begin = text
                .split_inclusive('\n')
                .take(error.line().saturating_sub(1));
            let offset = line_begin.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
            return found.refuse(
                offset,
                format!("no list of holidays as ferien-api writes it: {error}"),
            );
        }
    };
    let laender: BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| entry.land.as_deref())
        .collect();
    if land.is_none() && laender.len() > 1 {
        let listed: Vec<_> = laender.into_iter().take(16).collect();
        let message = format!(
            "the file holds several Länder ({}): name the one that is meant (--land)",
            listed.join(", ")
        );
        return found.refuse(0, message);
    }
    if let (None, Some(code)) = (land, laender.first()) {
        match code.parse() {
            Ok(land) => found.land = Some(land),
            Err(error) => return found.refuse(0, format!("stateCode {error}")),
        }
    }
    // Within a string a quote is escaped, so this text is the key and nothing else.
    let offsets = text.match_indices("\"start\"").map(|(offset, _)| offset);
    for (entry, offset) in entries.iter().zip(offsets) {
        let elsewhere = |wanted: Land| {
            entry
                .land
                .as_deref()
                .is_some_and(|code| code.parse() != Ok(wanted))
        };
        if land.is_some_and(elsewhere) {
            continue;
        }
        let days = day(&entry.start).zip(last_day(&entry.end));
        let Some((first, last)) = days else {
            let (start, end) = (cut(&entry.start), cut(&entry.end));
            found.refuse(offset, format!("'{start}' to '{end}' are no dates"));
            continue;
        };
        // An end at the midnight at which a single day begins means that day.
        let last = last.max(first.min(day(&entry.end).unwrap_or(last)));
        let name = entry.name_cp.clone();
        let name = name.unwrap_or_else(|| capitalised(&entry.name));
        found.keep(offset, first, last, name);
    }
}

/// The day of `2026-10-17T00:00Z`. The Z is taken for no instant: these files write days, and 23:59Z
/// would be the next day in Germany.
fn day(text: &str) -> Option<Date> {
    holiday::date(text.split('T').next()?)
}

/// The last day off: an end at midnight excludes the day that begins then, any other includes its day.
fn last_day(text: &str) -> Option<Date> {
    let day = day(text)?;
    match text.split_once('T') {
        Some((_, time)) if time.starts_with("00:00") => day.yesterday().ok(),
        _ => Some(day),
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.trim().chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

fn cut(text: &str) -> String {
    text.chars().take(30).collect()
}
