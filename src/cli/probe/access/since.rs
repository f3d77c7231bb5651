//! Whether the way out is still the one of an earlier run.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use messnetz_metric::UnixMillis;
use messnetz_probes::address::{Change, WayOut, changed};
use serde::Serialize;
use serde_json::{Deserializer, Value};

use super::{Part, Row};
use crate::cli::input;

/// The earlier run, as far as it tells of the way out.
#[derive(Debug, PartialEq)]
pub(super) struct Earlier {
    at: UnixMillis,
    /// By protocol: `IPv4`, `IPv6`.
    ways: Vec<(String, WayOut)>,
}

/// What has become of each way out since.
#[derive(Debug, Serialize)]
pub(super) struct Since {
    /// When the earlier run was.
    #[serde(rename = "at_unix_ms")]
    at: UnixMillis,
    ways: Vec<Compared>,
}

/// The way out by one protocol, then and now.
#[derive(Debug, Serialize)]
struct Compared {
    what: String,
    before: WayOut,
    now: WayOut,
    /// `None` where nothing that is known of both has changed.
    change: Option<Change>,
}

/// A field that is not as this command writes it.
#[derive(Debug, PartialEq)]
struct Wrong {
    field: String,
    why: &'static str,
}

/// Reads what `probe access --json` printed: one document, or several, of which the last counts.
pub(super) fn read(path: &Path) -> anyhow::Result<Earlier> {
    let text = input::read(path)?;
    last(&text).map_err(|(line, why)| {
        anyhow!("{why}; it is to be what `messnetz probe access --json` printed")
            .context(format!("{}:{line}", path.display()))
    })
}

/// The last of the documents, or what is wrong in which line.
fn last(text: &str) -> Result<Earlier, (usize, String)> {
    let mut documents = Deserializer::from_str(text).into_iter::<Value>();
    let mut found = None;
    loop {
        let rest = text.get(documents.byte_offset()..).unwrap_or_default();
        let blank = rest.len() - rest.trim_start().len();
        let begin = documents.byte_offset() + blank;
        let read = text.get(..begin).unwrap_or_default();
        let line = read.matches('\n').count() + 1;
        match documents.next() {
            Some(Ok(document)) => {
                let earlier = earlier(&document)
                    .map_err(|wrong| (line, format!("field `{}`: {}", wrong.field, wrong.why)))?;
                found = Some(earlier);
            }
            Some(Err(error)) => return Err((error.line(), error.to_string())),
            None => return found.ok_or_else(|| (1, "the file is empty".to_owned())),
        }
    }
}

fn earlier(document: &Value) -> Result<Earlier, Wrong> {
    let wrong = |field: &str, why| Wrong {
        field: field.to_owned(),
        why,
    };
    if document.get("probe").and_then(Value::as_str) != Some("access") {
        return Err(wrong("probe", "it is not \"access\""));
    }
    let at = document.get("at_unix_ms");
    let at = at.and_then(|at| serde_json::from_value(at.clone()).ok());
    let at = at.ok_or_else(|| wrong("at_unix_ms", "it is missing, or no time"))?;
    let attempts = document.get("attempts").and_then(Value::as_array);
    let attempts = attempts.ok_or_else(|| wrong("attempts", "it is missing, or no list"))?;
    let mut ways = Vec::new();
    for (place, attempt) in attempts.iter().enumerate() {
        if attempt.get("part").and_then(Value::as_str) != Some("line") {
            continue;
        }
        let what = attempt.get("what").and_then(Value::as_str);
        let what = what.ok_or_else(|| Wrong {
            field: format!("attempts[{place}].what"),
            why: "it is missing, or no text",
        })?;
        let way = way(attempt.get("report")).map_err(|name| Wrong {
            field: format!("attempts[{place}].report.{name}"),
            why: "it is no address",
        })?;
        ways.push((what.to_owned(), way));
    }
    if ways.is_empty() {
        return Err(wrong("attempts", "it has no attempt of the part \"line\""));
    }
    Ok(Earlier { at, ways })
}

/// The way out that an attempt tells of, or the name of the field that is no address.
fn way(report: Option<&Value>) -> Result<WayOut, &'static str> {
    let address = |name: &'static str| -> Result<Option<IpAddr>, &'static str> {
        match report.and_then(|report| report.get(name)) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| name),
            Some(_) => Err(name),
        }
    };
    Ok(WayOut {
        gateway: address("gateway")?,
        public: address("public")?,
    })
}

impl Earlier {
    /// Holds the rows of now against the earlier run.
    pub(super) fn compare(self, rows: &[Row]) -> anyhow::Result<Since> {
        let mut ways = Vec::new();
        for row in rows.iter().filter(|row| row.part == Part::Line) {
            let now = way(row.report.as_ref())
                .map_err(|name| anyhow!("no address in {name}"))
                .context("comparing the way out")?;
            let before = self.ways.iter().find(|(what, _)| *what == row.what);
            let before = before.map(|(_, way)| *way).unwrap_or_default();
            ways.push(Compared {
                what: row.what.clone(),
                before,
                now,
                change: changed(&before, &now),
            });
        }
        Ok(Since { at: self.at, ways })
    }
}

impl Since {
    /// A line for each way out.
    pub(super) fn shown(&self) -> String {
        let lines: Vec<String> = self.ways.iter().map(Compared::shown).collect();
        lines.join("\n")
    }
}

impl Compared {
    fn shown(&self) -> String {
        let Self {
            what, before, now, ..
        } = self;
        let both = |one: Option<IpAddr>, other: Option<IpAddr>| Some((one?, other?));
        let gateways = both(before.gateway, now.gateway);
        let publics = both(before.public, now.public);
        let told = |(before, now): (IpAddr, IpAddr)| format!("{before} then, {now} now");
        match (self.change, gateways, publics) {
            (Some(Change::Gateway), Some(both), _) => format!(
                "{what}: the way out has changed: another router (fail-over, or back): {}",
                told(both)
            ),
            (Some(Change::PublicAddress), _, Some(both)) => format!(
                "{what}: the way out has changed: another public address: {}",
                told(both)
            ),
            (_, None, None) => {
                format!("{what}: whether the way out has changed is not known")
            }
            (_, Some(_), None) => {
                format!("{what}: the same router; the public address was not told both times")
            }
            (_, None, Some(_)) => {
                format!("{what}: the same public address; no router was known both times")
            }
            (_, Some(_), Some(_)) => format!("{what}: the way out has not changed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(gateway: &str) -> String {
        format!(
            "{{\"probe\":\"access\",\"at_unix_ms\":5,\"attempts\":[{{\"part\":\"line\",\"what\":\"IPv4\",\
             \"report\":{{\"gateway\":{gateway},\"public\":\"9.9.9.9\"}}}}]}}\n"
        )
    }

    fn gateway_of(text: &str) -> Option<IpAddr> {
        last(text).unwrap().ways[0].1.gateway
    }

    #[test]
    fn of_several_documents_the_last_counts_and_one_may_span_lines() {
        let two = run("\"10.0.0.1\"") + &run("\"10.0.0.2\"");
        assert_eq!(gateway_of(&two), "10.0.0.2".parse().ok());
        let spread = run("\"10.0.0.1\"").replace(',', ",\n");
        assert_eq!(gateway_of(&spread), "10.0.0.1".parse().ok());
        assert_eq!(gateway_of(&run("null")), None);
    }

    #[test]
    fn mistakes_are_told_with_line_and_field() {
        let good = run("\"10.0.0.1\"");
        for (text, line, field) in [
            (
                good.clone() + &run("\"ten\""),
                2,
                "attempts[0].report.gateway",
            ),
            (good.clone() + &run("7"), 2, "attempts[0].report.gateway"),
            (good.replace("access", "path"), 1, "probe"),
            (good.replace("at_unix_ms", "at"), 1, "at_unix_ms"),
            (good.replace("attempts", "rows"), 1, "attempts"),
            (good.replace("\"line\"", "\"web\""), 1, "attempts"),
            (good.replace("what", "which"), 1, "attempts[0].what"),
        ] {
            let (found, why) = last(&text).unwrap_err();
            assert_eq!(found, line, "{why}");
            assert!(why.contains(&format!("`{field}`")), "{why}");
        }
        assert_eq!(last(&(good + "\n{\"probe\"")).unwrap_err().0, 3);
        assert_eq!(
            last(" \n").unwrap_err(),
            (1, "the file is empty".to_owned())
        );
        let deep = "[".repeat(100_000);
        assert!(last(&deep).is_err());
    }
}
