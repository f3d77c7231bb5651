//! The lists that are known by their headers, and the words that headers of others are guessed by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counts::COUNTS;
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
        forms: BTreeMap::default(),
        sites: BTreeMap::default(),
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
        forms: BTreeMap::default(),
        sites: BTreeMap::default(),
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
        forms: BTreeMap::default(),
        sites: BTreeMap::default(),
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
const LAND_FORM: &[&str] = &["landform"];
const SITE: &[&str] = &[
    "site",
    "standortnummer",
    "standortnr",
    "standortid",
    "standortkennung",
    "standortschluessel",
    "teilstandort",
    "teilstandortnummer",
    "teilstandortnr",
    "standort",
    "siteid",
    "sitenumber",
];
const SITE_NAME: &[&str] = &[
    "sitename",
    "standortname",
    "namedesstandorts",
    "standortbezeichnung",
    "bezeichnungdesstandorts",
    "teilstandortname",
    "teilstandortbezeichnung",
    "standort",
    "teilstandort",
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
const STAFF: &[&str] = &["personal", "beschaeftigte", "staff"];
const ROOMS_TEACHING: &[&str] = &["unterrichtsraeume", "roomsteaching"];
const DEVICES: &[&str] = &["endgeraete", "devices"];

/// The first of `words` that is a header.
fn find(header: &[String], words: &[&str]) -> Option<String> {
    let folded: Vec<String> = header.iter().map(|name| folded(name)).collect();
    let at = words
        .iter()
        .find_map(|word| folded.iter().position(|name| name == word))?;
    header.get(at).cloned()
}

/// A mapping guessed from the headers alone. Columns for which no header speaks are absent.
pub(super) fn guessed(header: &[String]) -> Mapping {
    let find = |words: &[&str]| find(header, words);
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
            land_form: find(LAND_FORM),
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
            staff: find(STAFF),
            rooms_teaching: find(ROOMS_TEACHING),
            devices: find(DEVICES),
            ..Columns::default()
        },
        operating: None,
        forms: BTreeMap::default(),
        sites: BTreeMap::default(),
    }
}

/// Gives a mapping the column that tells the sites of a school apart, where a header speaks for one.
///
/// Each row is then about a site, and so are its counts, unless the list counts sites in columns of their
/// own beside those of the school, as an export of a site file does.
pub(super) fn tell_sites_apart(mapping: &mut Mapping, header: &[String]) {
    // GIAS has one row for each school, and its `SiteName` is another thing.
    if matches!(mapping.list, List::Gias | List::Jedeschule) {
        return;
    }
    let find = |words: &[&str]| find(header, words);
    let name = find(SITE_NAME);
    let Some(site) = find(SITE).or_else(|| name.clone()) else {
        return;
    };
    let columns = &mut mapping.columns;
    columns.site_name = name.filter(|name| *name != site);
    columns.site = Some(site);
    columns.site_classes = find(&["siteclasses"]);
    columns.site_pupils = find(&["sitepupils"]);
    columns.site_teachers = find(&["siteteachers"]);
    columns.site_staff = find(&["sitestaff"]);
    columns.site_rooms_teaching = find(&["siteroomsteaching"]);
    columns.site_devices = find(&["sitedevices"]);
    let of_sites = COUNTS.map(|count| count.site_column(columns).is_some());
    if !of_sites.contains(&true) {
        for count in COUNTS {
            count.ask_of_the_site(columns);
        }
    }
}
