//! A list in JSON: an array of objects, an object with one such array in it, or a `GeoJSON`. The keys are the
//! columns.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::table::{Format, MAX_COLUMNS, Row, Table};
use super::{Finding, Reason, RosterError};

pub(super) fn read(text: &str) -> Result<Table, RosterError> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| RosterError::Json(error.to_string()))?;
    let records = match value {
        Value::Array(records) => records,
        Value::Object(object) if object.get("type") == Some(&json!("FeatureCollection")) => {
            features(object)
        }
        Value::Object(mut object) => {
            let lists: Vec<String> = object
                .iter()
                .filter(|(_, value)| value.is_array())
                .map(|(key, _)| key.clone())
                .collect();
            let [one] = lists.as_slice() else {
                let why = "an array of schools is expected, or an object with one such array";
                return Err(RosterError::Json(why.to_owned()));
            };
            match object.remove(one) {
                Some(Value::Array(records)) => records,
                _ => Vec::new(),
            }
        }
        _ => {
            return Err(RosterError::Json(
                "an array of schools is expected".to_owned(),
            ));
        }
    };
    table(&records)
}

/// The features of a `GeoJSON` (RFC 7946) as records: their properties, and the place of a point.
fn features(mut collection: Map<String, Value>) -> Vec<Value> {
    let Some(Value::Array(features)) = collection.remove("features") else {
        return Vec::new();
    };
    let record = |mut feature: Value| {
        let mut record = match feature.get_mut("properties").map(Value::take) {
            Some(Value::Object(properties)) => properties,
            _ => Map::new(),
        };
        let point = feature
            .get("geometry")
            .filter(|geometry| geometry.get("type") == Some(&json!("Point")));
        if let Some(Value::Array(place)) = point.and_then(|point| point.get("coordinates")) {
            // Longitude comes first (RFC 7946, section 3.1.1).
            for (name, degrees) in ["longitude", "latitude"].into_iter().zip(place) {
                record.insert(name.to_owned(), degrees.clone());
            }
        }
        Value::Object(record)
    };
    features.into_iter().map(record).collect()
}

fn table(records: &[Value]) -> Result<Table, RosterError> {
    let mut header: Vec<String> = Vec::new();
    let mut columns_by_key: HashMap<&str, usize> = HashMap::new();
    for key in records
        .iter()
        .filter_map(Value::as_object)
        .flat_map(Map::keys)
    {
        if !columns_by_key.contains_key(key.as_str()) {
            if header.len() == MAX_COLUMNS {
                let why = format!("the records have more than {MAX_COLUMNS} different keys");
                return Err(RosterError::Json(why));
            }
            columns_by_key.insert(key, header.len());
            header.push(key.clone());
        }
    }
    let mut findings = Vec::new();
    let mut rows = vec![Row {
        line: 0,
        cells: header.clone(),
    }];
    for (at, record) in records.iter().enumerate() {
        let Some(object) = record.as_object() else {
            findings.push(Finding::row(at + 1, Reason::NoRecord));
            continue;
        };
        let mut cells = vec![String::new(); header.len()];
        for (key, value) in object {
            // Objects and arrays within a record hold what no column asks for.
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => continue,
            };
            if let Some(column) = columns_by_key.get(key.as_str()) {
                cells[*column] = text;
            }
        }
        rows.push(Row {
            line: at + 1,
            cells,
        });
    }
    let mut table = Table::of(Format::Json, rows)?;
    table.findings.splice(0..0, findings);
    Ok(table)
}
