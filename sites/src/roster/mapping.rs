//! Which column of a list means what: guessed from the headers, written as TOML, corrected by hand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::known::{self, List};
use super::{Grid, RosterError, folded, shown};
use crate::ident::is_slug;
use crate::site::SchoolForm;
use crate::{nearest, toml_file};

/// What a list's columns and words mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The list that it was taken for; `own` where the headers alone spoke.
    #[serde(default)]
    pub list: List,
    /// The state that numbers without a state count in: `NW`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// How many digits a school number has, where all have as many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_digits: Option<usize>,
    /// What coordinates are counted in.
    #[serde(default)]
    pub grid: Grid,
    /// The columns.
    pub columns: Columns,
    /// Which schools are in operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operating: Option<Operating>,
    /// The list's own words for forms, before all others; `no-school` leaves the row out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub forms: BTreeMap<String, FormOrNone>,
    /// The list's own words for sites, with the ids that they have in the site file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sites: BTreeMap<String, String>,
}

/// A neutral form, or that it is no school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FormOrNone {
    /// A form.
    Form(SchoolForm),
    /// The word `no-school`.
    None(NoSchool),
}

/// The word that leaves a row out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoSchool {
    /// Not a school.
    NoSchool,
}

/// The columns by their headers. There is none for names of persons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// The school's number.
    pub number: String,
    /// Its name; several columns are joined.
    pub name: Vec<String>,
    /// Its form; the first column whose word is known counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub form: Vec<String>,
    /// The Land's own name of its form, where it has a column besides the form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub land_form: Option<String>,
    /// The number, key or name of the site (Standort) that the row is about. Rows that repeat a school's
    /// number are sites of one school where this column tells them apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// What people call the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_name: Option<String>,
    /// The number of its authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_number: Option<String>,
    /// Its municipality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub municipality: Option<String>,
    /// The key of its municipality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub municipality_key: Option<String>,
    /// Street and house number; several columns are joined.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub street: Vec<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    /// Town.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Easting or longitude.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub east: Option<String>,
    /// Northing or latitude.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub north: Option<String>,
    /// EPSG number of the row's coordinates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsg: Option<String>,
    /// Pupils.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pupils: Option<String>,
    /// Classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<String>,
    /// Teachers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teachers: Option<String>,
    /// All who work at the school, teachers included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff: Option<String>,
    /// Rooms in which lessons are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms_teaching: Option<String>,
    /// Devices in the school's network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<String>,
    /// Classes at the row's site alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_classes: Option<String>,
    /// Pupils at the row's site alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_pupils: Option<String>,
    /// Teachers at the row's site alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_teachers: Option<String>,
    /// All who work at the row's site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_staff: Option<String>,
    /// Rooms in which lessons are given, at the row's site alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_rooms_teaching: Option<String>,
    /// Devices at the row's site alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_devices: Option<String>,
}

/// How a list says that a school is in operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operating {
    /// The column.
    pub column: String,
    /// Its values for schools that teach.
    pub keep: Vec<String>,
}

impl Mapping {
    /// The mapping of a list with these headers: a known list's, or one guessed word by word.
    ///
    /// # Errors
    /// Where no column looks like a number and a name, with what would help.
    pub fn guess(header: &[String]) -> Result<Self, RosterError> {
        let mut mapping = known::recognised(header).unwrap_or_else(|| known::guessed(header));
        known::tell_sites_apart(&mut mapping, header);
        mapping.drop_absent(header);
        if mapping.columns.number.is_empty() || mapping.columns.name.is_empty() {
            let shown: Vec<String> = header.iter().take(40).map(|name| shown(name)).collect();
            return Err(RosterError::Mapping(format!(
                "no column looks like a school's number and name (columns: {}); name them in a mapping: \
                 [columns] number = \"…\", name = [\"…\"]",
                shown.join(", ")
            )));
        }
        Ok(mapping)
    }

    /// Reads a mapping that was saved and perhaps corrected.
    ///
    /// # Errors
    /// The first problem of the TOML.
    pub fn parse(file: &str, text: &str) -> Result<Self, toml_file::Problem> {
        toml_file::read(file, text)
    }

    /// The mapping as TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let written = toml::to_string_pretty(self).unwrap_or_default();
        format!(
            "# Which column of the list means what. Correct it and import with --mapping.\n\
             # Words for forms that are not known: [forms] \"Schule eigener Art\" = \"other\", or \"no-school\".\n\
             {written}"
        )
    }

    /// Known lists differ by year: what this one lacks is not asked for.
    fn drop_absent(&mut self, header: &[String]) {
        let present = |name: &String| position(header, name).is_some();
        let columns = &mut self.columns;
        columns.name.retain(present);
        columns.form.retain(present);
        columns.street.retain(present);
        for column in columns.single_mut() {
            *column = column.take().filter(present);
        }
        self.operating = self.operating.take().filter(|rule| present(&rule.column));
    }

    /// Says which column of the mapping the list does not have.
    pub(super) fn missing_from(&self, header: &[String]) -> Result<(), RosterError> {
        let mut columns = self.columns.clone();
        let single: Vec<String> = columns
            .single_mut()
            .into_iter()
            .filter_map(Option::take)
            .collect();
        let operating = self.operating.iter().map(|rule| &rule.column);
        let all = std::iter::once(&columns.number)
            .chain(&columns.name)
            .chain(&columns.form)
            .chain(&columns.street)
            .chain(&single)
            .chain(operating);
        for name in all {
            if position(header, name).is_none() {
                let near = nearest(name, header.iter().map(String::as_str));
                let hint =
                    near.map_or_else(String::new, |word| format!("; did you mean `{word}`?"));
                let name = shown(name);
                return Err(RosterError::Mapping(format!(
                    "the mapping names the column `{name}`, which the list does not have{hint}"
                )));
            }
        }
        if columns.name.is_empty() {
            return Err(RosterError::Mapping(
                "the mapping names no column for the school's name".to_owned(),
            ));
        }
        if let Some(id) = self.sites.values().find(|id| !is_slug(id)) {
            return Err(RosterError::Mapping(format!(
                "the id of a site is one word of lower-case letters, digits and hyphens, not `{}`",
                shown(id)
            )));
        }
        match &self.state {
            Some(state) if state.len() != 2 || !state.bytes().all(|b| b.is_ascii_uppercase()) => {
                Err(RosterError::Mapping(format!(
                    "the state is two capital letters such as NW, not `{}`",
                    shown(state)
                )))
            }
            _ => Ok(()),
        }
    }
}

impl Columns {
    fn single_mut(&mut self) -> [&mut Option<String>; 23] {
        [
            &mut self.land_form,
            &mut self.site,
            &mut self.site_name,
            &mut self.authority_number,
            &mut self.municipality,
            &mut self.municipality_key,
            &mut self.postcode,
            &mut self.place,
            &mut self.east,
            &mut self.north,
            &mut self.epsg,
            &mut self.classes,
            &mut self.pupils,
            &mut self.teachers,
            &mut self.staff,
            &mut self.rooms_teaching,
            &mut self.devices,
            &mut self.site_classes,
            &mut self.site_pupils,
            &mut self.site_teachers,
            &mut self.site_staff,
            &mut self.site_rooms_teaching,
            &mut self.site_devices,
        ]
    }
}

/// Where a column stands.
pub(super) fn position(header: &[String], name: &str) -> Option<usize> {
    header.iter().position(|column| column == name).or_else(|| {
        let name = folded(name);
        header
            .iter()
            .position(|column| !name.is_empty() && folded(column) == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(line: &str) -> Vec<String> {
        line.split(';').map(str::to_owned).collect()
    }

    #[test]
    fn a_mapping_survives_being_saved_and_read() {
        for line in [
            "Schulnummer;Schulform;Schulbezeichnung_1;Schulbetriebsschluessel;EPSG;UTMRechtswert;UTMHochwert",
            "BSN;Name;PLZ;Adresse",
            "Nummer;Bezeichnung der Schule;Schulart;Ort;Schülerzahl",
        ] {
            let mut mapping = Mapping::guess(&header(line)).unwrap();
            mapping.forms.insert(
                "Versuchsschule".to_owned(),
                FormOrNone::Form(SchoolForm::Other),
            );
            mapping
                .forms
                .insert("Amt".to_owned(), FormOrNone::None(NoSchool::NoSchool));
            let read = Mapping::parse("mapping.toml", &mapping.to_toml()).unwrap();
            assert_eq!(read, mapping, "{line}");
        }
    }

    #[test]
    fn a_column_that_the_list_lacks_is_named_with_the_one_that_was_meant() {
        let header = header("Nummer;Name;Ort");
        let mut mapping = Mapping::guess(&header).unwrap();
        mapping.columns.number = "Numer".to_owned();
        let said = mapping.missing_from(&header).unwrap_err().to_string();
        assert!(said.contains("did you mean `Nummer`?"), "{said}");
    }

    #[test]
    fn names_of_heads_have_no_column() {
        let header =
            header("URN;EstablishmentName;HeadFirstName;HeadLastName;director;Schulleitung");
        let mapping = Mapping::guess(&header).unwrap();
        let written = mapping.to_toml();
        for word in ["Head", "director", "Schulleitung"] {
            assert!(!written.contains(word), "{written}");
        }
    }
}
