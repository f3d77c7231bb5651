//! A list in an Excel workbook: its first sheet. Cells are taken one by one, because a sheet may say that
//! it is a million columns wide, and a workbook is refused that says it unpacks to more than any list.

use std::io::Cursor;

use calamine::{DataRef, Reader as _, Xlsx};

use super::RosterError;
use super::table::{Format, MAX_COLUMNS, MAX_ROWS, Row, Table};

/// What the parts of a workbook may come to, unpacked.
const UNPACKED_LIMIT: u64 = 512 * 1024 * 1024;

pub(super) fn read(bytes: &[u8]) -> Result<Table, RosterError> {
    let refused =
        |error: &dyn std::fmt::Display| RosterError::Spreadsheet(super::shown(&error.to_string()));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| refused(&error))?;
    let mut unpacked = 0_u64;
    for at in 0..archive.len() {
        let part = archive.by_index_raw(at).map_err(|error| refused(&error))?;
        unpacked = unpacked.saturating_add(part.size());
    }
    if unpacked > UNPACKED_LIMIT {
        return Err(refused(&format!("it unpacks to {unpacked} bytes")));
    }
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| refused(&error))?;
    let sheet = book
        .sheet_names()
        .first()
        .cloned()
        .ok_or(RosterError::Empty)?;
    let mut cells = book
        .worksheet_cells_reader(&sheet)
        .map_err(|error| refused(&error))?;
    let mut rows: Vec<Row> = Vec::new();
    while let Some(cell) = cells.next_cell().map_err(|error| refused(&error))? {
        let (row, column) = cell.get_position();
        let (line, column) = (row as usize + 1, column as usize);
        if column >= MAX_COLUMNS {
            continue;
        }
        if rows.last().is_none_or(|last| last.line != line) {
            if rows.len() > MAX_ROWS + 1 {
                break;
            }
            rows.push(Row {
                line,
                cells: Vec::new(),
            });
        }
        if let Some(last) = rows.last_mut() {
            if last.cells.len() <= column {
                last.cells.resize(column + 1, String::new());
            }
            last.cells[column] = text(cell.get_value());
        }
    }
    Table::of(Format::Xlsx, rows)
}

/// A cell as it reads; numbers without the `.0` that spreadsheets keep.
fn text(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(flag) => flag.to_string(),
        DataRef::DateTime(at) if at.is_datetime() => {
            let (year, month, day, ..) = at.to_ymd_hms_milli();
            format!("{year:04}-{month:02}-{day:02}")
        }
        DataRef::DateTime(at) => at.as_f64().to_string(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.clone()
        }
        _ => String::new(),
    }
}

/// An empty workbook to write. Its date of creation is fixed: there is no clock here, and the same
/// schools give the same file.
pub(crate) fn workbook() -> rust_xlsxwriter::Workbook {
    let mut book = rust_xlsxwriter::Workbook::new();
    if let Ok(date) = rust_xlsxwriter::ExcelDateTime::from_ymd(2000, 1, 1) {
        let properties = rust_xlsxwriter::DocProperties::new().set_creation_datetime(&date);
        book.set_properties(&properties);
    }
    book
}
