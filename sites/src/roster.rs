//! Lists of schools as states and ministries publish them: read, filtered, merged into a site file and
//! written out again.
//!
//! The way of one import: [`Table::read`] takes the bytes apart, a [`Mapping`] says which column means
//! what, [`Roster::read`] makes [`Entry`]s of the rows, a [`Filter`] keeps those that were asked for, and
//! [`merge()`] brings them into a site file. Nothing here opens a file. Names of persons are never read:
//! no mapping has a place for them.

mod counts;
mod doubt;
mod encoding;
mod entry;
mod export;
mod filter;
mod form;
mod gather;
mod grid;
mod json;
mod known;
mod mapping;
mod merge;
mod reading;
mod reason;
mod table;
mod xlsx;

use serde::Serialize;
use thiserror::Error;

pub use encoding::Encoding;
pub use entry::{Entry, ListedSite};
pub use export::{ExportError, to_csv, to_geojson, to_xlsx};
pub use filter::Filter;
pub use grid::Grid;
pub use known::List;
pub use mapping::{Columns, Mapping, Operating};
pub use merge::{Change, Gone, GoneSite, MergeError, Merged, New, NewSite, merge};
pub use reading::{LeftOut, Roster};
pub use reason::Reason;
pub use table::{Format, Row, Table};
pub(crate) use xlsx::workbook;

/// Larger lists are refused before they are read: the list of all German schools has about 15 MB.
pub const SIZE_LIMIT: usize = 128 * 1024 * 1024;

/// Why a list cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RosterError {
    /// It holds nothing.
    #[error("the list is empty")]
    Empty,
    /// It is larger than any list of schools.
    #[error("the list has {0} bytes, more than the {SIZE_LIMIT} that are read")]
    TooLarge(usize),
    /// No spreadsheet after all.
    #[error("the spreadsheet cannot be read: {0}")]
    Spreadsheet(String),
    /// No JSON after all.
    #[error("the JSON cannot be read: {0}")]
    Json(String),
    /// The mapping names what is not there, or does not name what is needed.
    #[error("{0}")]
    Mapping(String),
}

/// How far something in a list could be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// The row was not understood and gives no school.
    RowRefused,
    /// The value was not understood; the school is kept without it.
    ValueRefused,
    /// The value is left out because it is probably wrong, or was worked out from another one.
    Doubted,
}

/// Something in a list that a person should look at, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The line of a text, the row of a sheet, the number of a record; from 1.
    pub line: usize,
    /// The column by its header, where it is about one.
    pub column: Option<String>,
    /// How far the row could be used.
    pub grade: Grade,
    /// What is wrong.
    #[serde(flatten)]
    pub reason: Reason,
}

impl Finding {
    fn row(line: usize, reason: Reason) -> Self {
        Self {
            line,
            column: None,
            grade: Grade::RowRefused,
            reason,
        }
    }
}

/// The first characters of a text that came from outside, for a message.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// A word without its case, its umlauts and everything that is no letter or digit, so that
/// `Schulbezeichnung_1` and `SCHULBEZEICHNUNG 1` are the same column.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'ä' => folded.push_str("ae"),
            'ö' => folded.push_str("oe"),
            'ü' => folded.push_str("ue"),
            'ß' => folded.push_str("ss"),
            c if c.is_alphanumeric() => folded.push(c),
            _ => {}
        }
    }
    folded
}

#[cfg(test)]
mod tests;
