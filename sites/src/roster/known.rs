//! The lists that are known by their headers, and the words that headers of others are guessed by.

use serde::{Deserialize, Serialize};

use super::mapping::{Columns, Mapping, Operating, position};
use super::{Grid, folded};

/// A list of schools that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum List {
    /// `schuldaten.csv` of the ministry of North Rhine-Westphalia, with keys for form and operation.
    NrwSchuldaten,
    /// The directory of the statistical office of North Rhine-Westphalia, with pupils.
    NrwVerzeichnis,
    /// The list of Berlin's senate.
    Berlin,
    /// jedeschule.de: the lists of all states in one form.
    Jedeschule,
    /// Get Information about Schools, England.
    Gias,
    /// Any other list.
    #[default]
    Own,
}

impl std::fmt::Display for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NrwSchuldaten => "NRW Schuldaten",
            Self::NrwVerzeichnis => "NRW Schulverzeichnis",
            Self::Berlin => "Berlin",
            Self::Jedeschule => "jedeschule",
            Self::Gias => "GIAS (England)",
            Self::Own => "list of its own form",
        })
    }
}

/// The mapping of a known list, where these headers are its.
pub(super) fn recognised(header: &[String]) -> Option<Mapping> {
    let has = |names: &[&str]| names.iter().all(|name| position(header, name).is_some());
    if has(&["Schulnummer", "Schulform", "Schulbetriebsschluessel"]) {
        Some(nrw_schuldaten())
    } else if has(&["Schulnummer", "Schulform", "Amtliche Bezeichnung 1"]) {
        Some(nrw_verzeichnis())
    } else if has(&["BSN"]) {
        Some(berlin(header))
    } else if has(&["id", "name", "school_type"]) {
        Some(jedeschule())
    } else if has(&["URN", "EstablishmentName"]) {
        Some(gias())
    } else {
        None
    }
}

fn words(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "most columns of a mapping are optional, and tables of them read better so"
)]
fn word(name: &str) -> Option<String> {
    Some(name.to_owned())
}

fn nrw_schuldaten() -> Mapping {
    Mapping {
        list: List::NrwSchuldaten,
        state: word("NW"),
        number_digits: Some(6),
        grid: Grid::Utm32,
        columns: Columns {
            number: "Schulnummer".to_owned(),
            name: words(&[
                "Schulbezeichnung_1",
                "Schulbezeichnung_2",
                "Schulbezeichnung_3",
            ]),
            form: words(&["Schulform"]),
            authority_number: word("Traegernummer"),
            municipality: word("Gemeinde"),
            municipality_key: word("Gemeindeschluessel"),
            street: words(&["Strasse"]),
            postcode: word("PLZ"),
            place: word("Ort"),
            east: word("UTMRechtswert"),
            north: word("UTMHochwert"),
            epsg: word("EPSG"),
            ..Columns::default()
        },
        // Schulbetriebsschlüssel: 1 in operation, 6 like 1, 0 closes at the end of the year, 2 closes
        // later. Left out: 3 starts, 4 dormant, 5 deleted, 9 deleted last year.
        operating: Some(Operating {
            column: "Schulbetriebsschluessel".to_owned(),
            keep: words(&["1", "6", "0", "2"]),
        }),
        forms: std::collections::BTreeMap::default(),
    }
}

fn nrw_verzeichnis() -> Mapping {
    Mapping {
        list: List::NrwVerzeichnis,
        grid: Grid::Wgs84,
        columns: Columns {
            number: "Schulnummer".to_owned(),
            name: words(&[
                "Amtliche Bezeichnung 1",
                "Amtliche Bezeichnung 2",
                "Amtliche Bezeichnung 3",
            ]),
            form: words(&["Schulform"]),
            municipality: word("Verwaltungsbezirk"),
            municipality_key: word("Amtlicher Gemeindeschlüssel"),
            street: words(&["Straße und Hausnummer"]),
            postcode: word("Postleitzahl"),
            place: word("Ort"),
            east: word("longitude"),
            north: word("latitude"),
            pupils: word("Anzahl"),
            ..Columns::default()
        },
        operating: None,
        ..nrw_schuldaten()
    }
}

fn berlin(header: &[String]) -> Mapping {
    Mapping {
        list: List::Berlin,
        state: word("BE"),
        number_digits: None,
        columns: Columns {
            number: "BSN".to_owned(),
            ..guessed(header).columns
        },
        ..guessed(header)
    }
}

fn jedeschule() -> Mapping {
    Mapping {
        list: List::Jedeschule,
        // Its numbers carry the state.
        state: None,
        number_digits: None,
        grid: Grid::Wgs84,
        columns: Columns {
            number: "id".to_owned(),
            name: words(&["name"]),
            form: words(&["school_type"]),
            street: words(&["address", "address2"]),
            postcode: word("zip"),
            place: word("city"),
            east: word("longitude"),
            north: word("latitude"),
            ..Columns::default()
        },
        operating: None,
        forms: std::collections::BTreeMap::default(),
    }
}

fn gias() -> Mapping {
    Mapping {
        list: List::Gias,
        state: word("GB"),
        number_digits: None,
        grid: Grid::Osgb36,
        columns: Columns {
            number: "URN".to_owned(),
            name: words(&["EstablishmentName"]),
            // "Community special school" tells more than the phase, "Community school" nothing.
            form: words(&["TypeOfEstablishment (name)", "PhaseOfEducation (name)"]),
            authority_number: word("LA (code)"),
            municipality: word("LA (name)"),
            street: words(&["Street"]),
            postcode: word("Postcode"),
            place: word("Town"),
            east: word("Easting"),
            north: word("Northing"),
            pupils: word("NumberOfPupils"),
            ..Columns::default()
        },
        operating: Some(Operating {
            column: "EstablishmentStatus (name)".to_owned(),
            keep: words(&["Open", "Open, but proposed to close"]),
        }),
        forms: std::collections::BTreeMap::default(),
    }
}

const NUMBER: &[&str] = &[
    "schulnummer",
    "schulnr",
    "schulid",
    "bsn",
    "nummer",
    "nr",
    "schoolid",
    "id",
    "snr",
    "dienststellenschluessel",
    "dienststellennummer",
    "schulkennziffer",
];
const NAME: &[&str] = &[
    "schulname",
    "name",
    "bezeichnung",
    "schulbezeichnung",
    "bezeichnungderschule",
    "namederschule",
    "schule",
    "schoolname",
    "einrichtung",
    "kurzbezeichnung",
];
const FORM: &[&str] = &[
    "schulform",
    "schulart",
    "schultyp",
    "form",
    "schooltype",
    "art",
    "schulkategorie",
    "bildungsgang",
];
const AUTHORITY: &[&str] = &[
    "traegernummer",
    "traegernr",
    "schultraegernummer",
    "authoritynumber",
    "schultraeger",
    "traeger",
];
const MUNICIPALITY: &[&str] = &[
    "gemeinde",
    "kommune",
    "gemeindename",
    "municipality",
    "verwaltungsbezirk",
    "bezirk",
    "stadt",
];
const MUNICIPALITY_KEY: &[&str] = &[
    "gemeindeschluessel",
    "amtlichergemeindeschluessel",
    "ags",
    "gemeindekennziffer",
    "gkz",
    "municipalitykey",
];
const STREET: &[&str] = &[
    "strasse",
    "strasseundhausnummer",
    "strassehausnummer",
    "strassehausnr",
    "anschrift",
    "adresse",
    "address",
    "street",
    "str",
];
const POSTCODE: &[&str] = &["plz", "postleitzahl", "zip", "postcode"];
const PLACE: &[&str] = &["ort", "wohnort", "city", "place", "town", "ortsname"];
const EAST: &[&str] = &[
    "longitude",
    "lon",
    "lng",
    "laengengrad",
    "laenge",
    "utmrechtswert",
    "rechtswert",
    "easting",
    "east",
];
const NORTH: &[&str] = &[
    "latitude",
    "lat",
    "breitengrad",
    "breite",
    "utmhochwert",
    "hochwert",
    "northing",
    "north",
];
const PUPILS: &[&str] = &[
    "schueler",
    "schuelerzahl",
    "anzahlschueler",
    "anzahlschuelerinnen",
    "schuelerinnen",
    "schuelerinnenundschueler",
    "schuelergesamt",
    "pupils",
    "students",
    "anzahl",
    "sus",
];
const CLASSES: &[&str] = &["klassen", "klassenzahl", "anzahlklassen", "classes"];
const TEACHERS: &[&str] = &["lehrkraefte", "lehrer", "anzahllehrkraefte", "teachers"];

/// A mapping guessed from the headers alone. Columns for which no header speaks are absent.
pub(super) fn guessed(header: &[String]) -> Mapping {
    let folded: Vec<String> = header.iter().map(|name| folded(name)).collect();
    let find = |words: &[&str]| {
        let at = words
            .iter()
            .find_map(|word| folded.iter().position(|name| name == word))?;
        Some(header[at].clone())
    };
    let east = find(EAST);
    let metres = ["utmrechtswert", "rechtswert", "easting", "east"];
    let in_metres = east
        .as_deref()
        .is_some_and(|name| metres.contains(&super::folded(name).as_str()));
    Mapping {
        list: List::Own,
        state: None,
        number_digits: None,
        grid: if in_metres { Grid::Utm32 } else { Grid::Wgs84 },
        columns: Columns {
            number: find(NUMBER).unwrap_or_default(),
            name: find(NAME).into_iter().collect(),
            form: find(FORM).into_iter().collect(),
            authority_number: find(AUTHORITY),
            municipality: find(MUNICIPALITY),
            municipality_key: find(MUNICIPALITY_KEY),
            street: find(STREET).into_iter().collect(),
            postcode: find(POSTCODE),
            place: find(PLACE),
            east,
            north: find(NORTH),
            epsg: find(&["epsg"]),
            pupils: find(PUPILS),
            classes: find(CLASSES),
            teachers: find(TEACHERS),
        },
        operating: None,
        forms: std::collections::BTreeMap::default(),
    }
}
