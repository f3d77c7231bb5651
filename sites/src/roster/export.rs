//! A site file as a table for people and as a map: CSV, XLSX, `GeoJSON`. One row, or one point, per site.

use serde_json::{Map, Number, Value, json};
use thiserror::Error;

use crate::site::{Authority, School, Site};

/// Why nothing could be written.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The CSV writer refused.
    #[error("the CSV cannot be written")]
    Csv(#[source] csv::Error),
    /// The spreadsheet writer refused.
    #[error("the spreadsheet cannot be written")]
    Xlsx(#[source] rust_xlsxwriter::XlsxError),
    /// The JSON writer refused.
    #[error("the GeoJSON cannot be written")]
    Json(#[source] serde_json::Error),
}

/// The columns; an import guesses their meaning from the same words. What is said about a school stands in
/// the row of each of its sites.
const COLUMNS: [&str; 31] = [
    "id",
    "site",
    "name",
    "site_name",
    "form",
    "land_form",
    "municipality",
    "municipality_key",
    "authority_number",
    "street",
    "postcode",
    "place",
    "latitude",
    "longitude",
    "classes",
    "pupils",
    "teachers",
    "staff",
    "rooms_teaching",
    "devices",
    "site_classes",
    "site_pupils",
    "site_teachers",
    "site_staff",
    "site_rooms_teaching",
    "site_devices",
    "provider",
    "product",
    "medium",
    "contract_down_mbps",
    "contract_up_mbps",
];

/// A cell: absent, a text or a number.
enum Cell {
    Text(Option<String>),
    Number(Option<f64>),
}

fn cells(school: &School, site: &Site) -> [Cell; COLUMNS.len()] {
    let text = |value: &Option<String>| Cell::Text(value.clone());
    let line = site.line.as_ref();
    let (facts, at_site) = (school.facts, site.facts.unwrap_or_default());
    let count = |count: Option<u32>| Cell::Number(count.map(f64::from));
    let medium = line.and_then(|line| {
        let medium = serde_json::to_value(line.medium).ok()?;
        medium.as_str().map(str::to_owned)
    });
    [
        Cell::Text(Some(school.id.to_string())),
        Cell::Text(Some(site.id.part().to_owned())),
        Cell::Text(Some(school.name.clone())),
        Cell::Text(Some(site.name.clone())),
        Cell::Text(Some(school.form.name().to_owned())),
        text(&school.register.land_form),
        text(&school.register.municipality),
        text(&school.register.municipality_key),
        text(&school.register.authority_number),
        text(&site.address.street),
        text(&site.address.postcode),
        text(&site.address.place),
        Cell::Number(site.coordinates.map(|at| at.lat)),
        Cell::Number(site.coordinates.map(|at| at.lon)),
        count(facts.classes),
        count(facts.pupils),
        count(facts.teachers),
        count(facts.staff),
        count(facts.rooms_teaching),
        count(facts.devices),
        count(at_site.classes),
        count(at_site.pupils),
        count(at_site.teachers),
        count(at_site.staff),
        count(at_site.rooms_teaching),
        count(at_site.devices),
        Cell::Text(line.map(|line| line.provider.clone())),
        Cell::Text(line.map(|line| line.product.clone())),
        Cell::Text(medium),
        Cell::Number(line.map(|line| line.contract.down.bits().as_mbps())),
        Cell::Number(line.map(|line| line.contract.up.bits().as_mbps())),
    ]
}

fn rows(authority: &Authority) -> impl Iterator<Item = [Cell; COLUMNS.len()]> {
    authority
        .schools
        .iter()
        .flat_map(|school| school.sites.iter().map(move |site| cells(school, site)))
}

/// CSV with semicolons and a byte order mark, as spreadsheets in Germany open it.
///
/// # Errors
/// Where the writer refuses.
pub fn to_csv(authority: &Authority) -> Result<Vec<u8>, ExportError> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(b';')
        .from_writer(b"\xef\xbb\xbf".to_vec());
    writer.write_record(COLUMNS).map_err(ExportError::Csv)?;
    for row in rows(authority) {
        let row = row.map(|cell| match cell {
            Cell::Text(text) => text.unwrap_or_default(),
            Cell::Number(number) => number.map(|n| n.to_string()).unwrap_or_default(),
        });
        writer.write_record(&row).map_err(ExportError::Csv)?;
    }
    writer
        .into_inner()
        .map_err(|error| ExportError::Csv(error.into_error().into()))
}

/// A workbook with one sheet; numbers of schools and postal codes are texts.
///
/// # Errors
/// Where the writer refuses.
pub fn to_xlsx(authority: &Authority) -> Result<Vec<u8>, ExportError> {
    let mut book = super::xlsx::workbook();
    let sheet = book.add_worksheet();
    sheet.set_name("Schulen").map_err(ExportError::Xlsx)?;
    let bold = rust_xlsxwriter::Format::new().set_bold();
    for (column, name) in (0_u16..).zip(COLUMNS) {
        sheet
            .write_string_with_format(0, column, name, &bold)
            .map_err(ExportError::Xlsx)?;
    }
    for (row, cells) in (1_u32..).zip(rows(authority)) {
        for (column, cell) in (0_u16..).zip(cells) {
            match cell {
                Cell::Text(Some(text)) => sheet.write_string(row, column, text),
                Cell::Number(Some(number)) => sheet.write_number(row, column, number),
                Cell::Text(None) | Cell::Number(None) => continue,
            }
            .map_err(ExportError::Xlsx)?;
        }
    }
    sheet.set_freeze_panes(1, 0).map_err(ExportError::Xlsx)?;
    book.save_to_buffer().map_err(ExportError::Xlsx)
}

/// A feature per site; one without coordinates has no geometry (RFC 7946, section 3.2).
///
/// # Errors
/// Where the writer refuses.
pub fn to_geojson(authority: &Authority) -> Result<Vec<u8>, ExportError> {
    let mut features = Vec::new();
    for school in &authority.schools {
        for site in &school.sites {
            let geometry = site.coordinates.map(|at| {
                // Longitude comes first (RFC 7946, section 3.1.1).
                json!({ "type": "Point", "coordinates": [at.lon, at.lat] })
            });
            let mut properties = Map::new();
            for (name, cell) in COLUMNS.iter().zip(cells(school, site)) {
                // Absent values too: all points have the same properties, and a list its columns.
                let value = match cell {
                    Cell::Text(text) => Value::from(text),
                    Cell::Number(number) => number.map_or(Value::Null, number_value),
                };
                if !matches!(*name, "latitude" | "longitude") {
                    properties.insert((*name).to_owned(), value);
                }
            }
            features.push(json!({
                "type": "Feature",
                "id": site.id.to_string(),
                "geometry": geometry,
                "properties": properties,
            }));
        }
    }
    let collection = json!({ "type": "FeatureCollection", "features": features });
    serde_json::to_vec_pretty(&collection).map_err(ExportError::Json)
}

/// Whole numbers without a fraction.
fn number_value(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        Value::from(number as i64)
    } else {
        Number::from_f64(number).map_or(Value::Null, Value::Number)
    }
}
