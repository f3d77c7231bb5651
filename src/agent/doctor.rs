//! What is wrong with this box, and what to do about it: each thing looked at once, told in a line of its own.
//!
//! Nothing is changed and nothing measured: the collector is spoken to once, and one echo request goes over the
//! loopback.

mod directory;
mod machine;
mod network;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::state::StateDirectory;
use super::update::{Book, versions};
use crate::clock;
use crate::way_out::WayOut;

/// Longest text of a finding, in characters: parts of it come from files and strangers.
const LONGEST: usize = 400;

/// How a thing stands. A later one is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// As it should be.
    Ok,
    /// The box measures, but not all, or not for long.
    Warn,
    /// The box does not measure, or nothing of it arrives.
    Wrong,
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Wrong => "WRONG",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word.
    pub what: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// What was seen.
    pub saw: String,
    /// What to do; `None` where nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    /// What is as it should be.
    pub fn ok(what: &'static str, saw: impl fmt::Display) -> Self {
        Self {
            what,
            standing: Standing::Ok,
            saw: one_line(&saw.to_string()),
            remedy: None,
        }
    }

    /// What costs a part of the measurements, and what to do.
    pub fn warn(what: &'static str, saw: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self {
            standing: Standing::Warn,
            remedy: Some(one_line(&remedy.to_string())),
            ..Self::ok(what, saw)
        }
    }

    /// What costs all of them, and what to do.
    pub fn wrong(what: &'static str, saw: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self {
            standing: Standing::Wrong,
            ..Self::warn(what, saw, remedy)
        }
    }
}

/// A text that cannot forge a second line.
fn one_line(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(LONGEST).collect()
}

/// What runs here. That a release was rolled back is said for as long as none after it was confirmed.
fn version(book: &Book) -> Finding {
    const WHAT: &str = "version";
    let confirmed = book.confirmed.as_ref().map(|placed| placed.serial);
    match book.failed.last() {
        Some(failed) if Some(failed.serial) > confirmed => Finding::warn(
            WHAT,
            book,
            "the version before runs; have the release mended, and signed under a new serial",
        ),
        _ => Finding::ok(WHAT, book),
    }
}

/// Looks at everything, in the order in which it is repaired. Takes some ten seconds at most.
pub async fn examine(
    state: &StateDirectory,
    limits: Option<&Path>,
    way_out: &WayOut,
) -> Vec<Finding> {
    let mut findings = vec![version(&versions(state.path()))];
    findings.extend(directory::examine(state, limits));
    findings.push(machine::clock(clock::look()));
    if let Ok(enrolment) = state.enrolment() {
        findings.extend(network::examine(&enrolment, way_out).await);
    }
    findings.push(machine::rights().await);
    findings.extend(machine::unit().await);
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_stays_on_its_line_and_is_cut() {
        let finding = Finding::wrong("reach", "a\nok  b\x1b[2J", "x".repeat(1_000));
        assert_eq!(finding.saw, "a ok  b [2J");
        assert_eq!(finding.remedy.map(|text| text.len()), Some(LONGEST));
    }

    #[test]
    fn a_rollback_is_told_until_a_later_release_is_confirmed() {
        let mut book = Book::default();
        assert_eq!(version(&book).standing, Standing::Ok);
        let failed = crate::wire::Failed::of(7, "0.7.0", "it got no receipt within 900 s");
        book.failed.push(failed);
        let found = version(&book);
        assert_eq!(found.standing, Standing::Warn);
        assert!(
            found.saw.contains("0.7.0") && found.saw.contains("no receipt"),
            "{}",
            found.saw
        );
        book.confirmed = Some(crate::agent::Placed {
            serial: 8,
            version: "0.8.0".to_owned(),
        });
        assert_eq!(version(&book).standing, Standing::Ok);
    }

    #[test]
    fn the_worst_of_several_standings_is_the_greatest() {
        let all = [Standing::Warn, Standing::Wrong, Standing::Ok];
        assert_eq!(all.into_iter().max(), Some(Standing::Wrong));
    }
}
