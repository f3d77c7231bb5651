//! A list as a table: a header and rows of texts, each with its line. What stands in which column is no
//! matter here.

use std::io::Read as _;

use serde::Serialize;

use super::encoding::{Encoding, decode};
use super::{Finding, Reason, RosterError, SIZE_LIMIT, json, xlsx};

/// Lists have some dozens of columns; the widest that ministries publish has about 150.
pub(super) const MAX_COLUMNS: usize = 500;

/// Germany has about 33 000 schools.
pub(super) const MAX_ROWS: usize = 200_000;

/// Longer cells come of a quote that is never closed.
const MAX_CELL: usize = 4_000;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Values between commas, semicolons, tabs or bars.
    Text,
    /// An Excel workbook; its first sheet.
    Xlsx,
    /// JSON: an array of objects.
    Json,
}

/// One row of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its line in a text, its row in a sheet, its number among the records; from 1.
    pub line: usize,
    /// Its cells, trimmed; "null" is empty.
    pub cells: Vec<String>,
}

/// A list of schools, or of anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// How it is written.
    pub format: Format,
    /// Its code page, where it has one of its own.
    pub encoding: Option<Encoding>,
    /// The names of its columns.
    pub header: Vec<String>,
    /// Its rows, without empty ones.
    pub rows: Vec<Row>,
    /// What could not be read.
    pub findings: Vec<Finding>,
}

impl Table {
    /// Takes a list apart. Its form is known by its first bytes, not by a name.
    ///
    /// # Errors
    /// Where it holds no table at all. Single rows that cannot be read are findings.
    pub fn read(bytes: &[u8]) -> Result<Self, RosterError> {
        if bytes.len() > SIZE_LIMIT {
            return Err(RosterError::TooLarge(bytes.len()));
        }
        if bytes.starts_with(b"PK\x03\x04") {
            return xlsx::read(bytes);
        }
        let (text, encoding, findings) = decode(bytes);
        let mut table = match text.trim_start().as_bytes().first() {
            None => return Err(RosterError::Empty),
            Some(b'[' | b'{') => json::read(&text)?,
            Some(_) => read_text(&text)?,
        };
        table.encoding = Some(encoding);
        table.findings.splice(0..0, findings);
        Ok(table)
    }

    /// Takes the first of `rows` as header and holds the others against it.
    pub(super) fn of(
        format: Format,
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<Self, RosterError> {
        let mut rows = rows.into_iter().map(|row| Row {
            line: row.line,
            cells: row.cells.into_iter().map(|cell| cleaned(&cell)).collect(),
        });
        let mut header = rows
            .find(|row| row.cells.iter().any(|cell| !cell.is_empty()))
            .ok_or(RosterError::Empty)?
            .cells;
        while header.last().is_some_and(String::is_empty) {
            header.pop();
        }
        let mut table = Self {
            format,
            encoding: None,
            header,
            rows: Vec::new(),
            findings: Vec::new(),
        };
        if table.header.len() > MAX_COLUMNS {
            return Err(RosterError::Mapping(format!(
                "the list has {} columns, more than {MAX_COLUMNS}: is it a list of schools?",
                table.header.len()
            )));
        }
        for row in rows {
            if table.rows.len() + table.findings.len() >= MAX_ROWS {
                let reason = Reason::TooManyRows { most: MAX_ROWS };
                table.findings.push(Finding::row(row.line, reason));
                break;
            }
            table.take(row);
        }
        Ok(table)
    }

    fn take(&mut self, mut row: Row) {
        while row.cells.len() > self.header.len() && row.cells.last().is_some_and(String::is_empty)
        {
            row.cells.pop();
        }
        let (has, needs) = (row.cells.len(), self.header.len());
        if row.cells.iter().all(String::is_empty) {
            return;
        }
        let reason = if row.cells.iter().any(|cell| cell.len() > MAX_CELL) {
            Reason::CellTooLong
        } else if self.format == Format::Text && has != needs {
            Reason::Columns { has, needs }
        } else {
            row.cells.resize(needs, String::new());
            self.rows.push(row);
            return;
        };
        self.findings.push(Finding::row(row.line, reason));
    }
}

/// A cell without surrounding space and control characters.
fn cleaned(cell: &str) -> String {
    let cell = cell.trim();
    if cell.eq_ignore_ascii_case("null") {
        String::new()
    } else if cell.chars().any(char::is_control) {
        let spaced: String = cell
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        spaced.split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        cell.to_owned()
    }
}

/// Counts the lines of a text from one place to the next.
struct Lines<'a> {
    text: &'a [u8],
    counted: usize,
    breaks: usize,
}

impl<'a> Lines<'a> {
    const fn of(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            counted: 0,
            breaks: 0,
        }
    }

    /// The line, from 1, of a row that begins at `at` or, as the reader tells it, before the line break that
    /// stands in front of it. Rows come in their order.
    fn line_of(&mut self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        let breaks = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let begin = at + breaks.count();
        let passed = self.text.get(self.counted..begin).unwrap_or_default();
        self.breaks += passed.split(|byte| *byte == b'\n').count() - 1;
        self.counted = begin.max(self.counted);
        self.breaks + 1
    }
}

/// Put behind a list, this is a row of its own, unless the list ends within quotes. No list has it in a row:
/// it is a control character (ETX of ISO 646).
const END: &str = "\n\u{3}";

fn read_text(text: &str) -> Result<Table, RosterError> {
    let first = text.lines().next().unwrap_or_default().trim();
    // Excel's own line in front of the header names the delimiter.
    let (stated, skipped) = match first
        .trim_matches('"')
        .strip_prefix("sep=")
        .map(str::as_bytes)
    {
        Some(&[delimiter, ..]) => (Some(delimiter), 1),
        Some(&[]) => (None, 1),
        None => (None, 0),
    };
    let start = if skipped == 0 {
        0
    } else {
        text.find('\n').map_or(text.len(), |newline| newline + 1)
    };
    let body = &text[start..];
    let delimiter = stated.unwrap_or_else(|| guessed_delimiter(body));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(body.as_bytes().chain(END.as_bytes()));
    let mut rows: Vec<Row> = Vec::new();
    let mut lines = Lines::of(body);

    for record in reader.records() {
        let record = record.map_err(|error| RosterError::Mapping(error.to_string()))?;
        let at = record.position().map_or(0, csv::Position::byte);
        rows.push(Row {
            line: lines.line_of(usize::try_from(at).unwrap_or(usize::MAX)) + skipped,
            cells: record.iter().map(str::to_owned).collect(),
        });
        if rows.len() > MAX_ROWS + 1 {
            return Table::of(Format::Text, rows);
        }
    }
    let is_end = |row: &Row| matches!(&row.cells[..], [cell] if cell == END.trim_start());
    // Where the last row is not that of the end, it has swallowed it, and nobody knows what else.
    let open = rows.pop().filter(|row| !is_end(row));
    let mut table = Table::of(Format::Text, rows)?;
    table
        .findings
        .extend(open.map(|row| Finding::row(row.line, Reason::QuoteOpen)));
    Ok(table)
}

/// The delimiter that the header has most of.
fn guessed_delimiter(text: &str) -> u8 {
    let header = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let count = |delimiter: u8| {
        let mut quoted = false;
        let outside = header.bytes().filter(|byte| {
            quoted ^= *byte == b'"';
            !quoted && *byte == delimiter
        });
        outside.count()
    };
    [b'|', b'\t', b',', b';']
        .into_iter()
        .max_by_key(|delimiter| count(*delimiter))
        .unwrap_or(b';')
}
