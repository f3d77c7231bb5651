//! A table with the header `from,to,name` or `von;bis;Ferien`, with `;` or `,` between its columns. A line
//! without an end is a single day.

use super::Found;
use crate::calendar::holiday;
use crate::delimited::{self, Record};

/// What the three columns are called, whatever the case.
const NAMES: [&[&str]; 3] = [
    &["from", "von", "beginn", "start"],
    &["to", "bis", "ende", "end"],
    &["name", "ferien", "bezeichnung"],
];

pub(super) fn read(text: &str, found: &mut Found<'_>) {
    let first = text.lines().next().unwrap_or_default();
    let separator = if first.contains(';') { ';' } else { ',' };
    let records = match delimited::records(found.document, separator) {
        Ok(records) => records,
        Err(problem) => return found.problems.push(problem),
    };
    let mut records = records.into_iter();
    let header = records.next();
    let column = |names: &[&str]| {
        let fields = &header.as_ref()?.fields;
        let called = |field: &str| names.contains(&field.trim().to_lowercase().as_str());
        fields.iter().position(|field| called(&field.text))
    };
    let [Some(from), Some(to), Some(name)] = NAMES.map(column) else {
        let message = "this is no iCalendar file, no JSON, and no table: a table begins with the line from,to,name or von;bis;Ferien";
        return found.refuse(0, message);
    };
    for record in records {
        let first = date(&record, from, found);
        let last = match record.text(to) {
            Some("") => first,
            _ => date(&record, to, found),
        };
        if let (Some(first), Some(last)) = (first, last) {
            let name = record.text(name).unwrap_or_default().to_owned();
            found.keep(record.offset(0), first, last, name);
        }
    }
}

fn date(record: &Record, index: usize, found: &mut Found<'_>) -> Option<jiff::civil::Date> {
    let text = record.text(index).unwrap_or_default();
    let date = holiday::date(text);
    if date.is_none() {
        let shown: String = text.chars().take(20).collect();
        let message = format!("'{shown}' is no date (2026-10-17 or 17.10.2026)");
        found.refuse(record.offset(index), message);
    }
    date
}
