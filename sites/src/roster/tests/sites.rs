//! Lists with a row for each site, and exports that come back as lists.

use std::fmt::Write as _;

use super::*;
use crate::facts::{AuthorityFacts, Facts};
use crate::site::{Address, Coordinates, EXAMPLE, School, Site};
use crate::target::Scope;

/// Two schools with a row for each of their sites, as a town keeps them.
const TOWN: &str = "\
Schulnummer;Standortnummer;Standort;Schulname;Schulform;Straße;PLZ;Ort;Schüler;Lehrkräfte
100001;1;Hauptgebäude;Grundschule Am Höhenweg;Grundschule;Höhenweg 1;12345;Musterstadt;180;12
100001;2;Dependance Süd;;;Talstr. 4;12345;Musterstadt;60;4
100002;1;;Gymnasium Musterstadt;Gymnasium;Marktplatz 3;12345;Musterstadt;1000;85
";

fn town(list: &str) -> Roster {
    let table = Table::read(list.as_bytes()).unwrap();
    let mut mapping = Mapping::guess(&table.header).unwrap();
    mapping.state = Some("NW".to_owned());
    Roster::read(&table, &mapping).unwrap()
}

fn authority(text: &str) -> Authority {
    Authority::parse("authority.toml", text).unwrap()
}

fn ids(school: &School) -> Vec<&str> {
    school.sites.iter().map(|site| site.id.part()).collect()
}

#[test]
fn rows_that_share_a_number_and_tell_their_sites_apart_are_sites_of_one_school() {
    let roster = town(TOWN);
    assert!(roster.findings.is_empty(), "{}", reasons(&roster));
    let merged = merged_into("", &roster);
    assert_eq!(merged.new.len(), 2);
    let authority = authority(&merged.text);
    let [primary, grammar] = authority.schools.as_slice() else {
        panic!("{}", merged.text);
    };
    assert_eq!((ids(primary), ids(grammar)), (vec!["1", "2"], vec!["1"]));
    let south = &primary.sites[1];
    assert_eq!(south.address.street.as_deref(), Some("Talstr. 4"));
    assert_eq!(
        (south.name.as_str(), primary.name.as_str()),
        ("Dependance Süd", "Grundschule Am Höhenweg")
    );
    // Pupils are of one site each and add up; a teacher may teach at both.
    let pupils = |site, scope| primary.facts_at(site, scope).pupils;
    assert_eq!(pupils(south, Scope::Site), Some(60));
    assert_eq!(pupils(south, Scope::School), Some(240));
    assert_eq!(primary.facts.teachers, None);
    assert_eq!(south.facts.unwrap().teachers, Some(4));
    // Of a school with one site, both are the same.
    assert_eq!(grammar.facts.teachers, Some(85));
    assert_eq!(grammar.sites[0].facts, None);
}

#[test]
fn a_site_is_called_by_number_or_name_and_the_mapping_may_say_what_it_is_in_the_file() {
    let list = TOWN.replace("Standortnummer", "Nummer des Hauses");
    let table = Table::read(list.as_bytes()).unwrap();
    let mut mapping = Mapping::guess(&table.header).unwrap();
    assert_eq!(mapping.columns.site.as_deref(), Some("Standort"));
    mapping.state = Some("NW".to_owned());
    let read = |mapping: &Mapping| {
        let roster = Roster::read(&table, mapping).unwrap();
        let authority = authority(&merged_into("", &roster).text);
        let sites = authority.schools[0].sites.iter();
        let sites: Vec<_> = sites
            .map(|site| (site.id.part().to_owned(), site.name.clone()))
            .collect();
        sites
    };
    let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
    assert_eq!(
        read(&mapping),
        [
            pair("hauptgebaeude", "Hauptgebäude"),
            pair("dependance-sued", "Dependance Süd")
        ]
    );
    mapping.sites.insert("Hauptgebäude".into(), "main".into());
    mapping
        .sites
        .insert("dependance süd".into(), "annex".into());
    let saved = Mapping::parse("mapping.toml", &mapping.to_toml()).unwrap();
    assert_eq!(
        read(&saved),
        [
            pair("main", "Hauptgebäude"),
            pair("annex", "Dependance Süd")
        ]
    );
    mapping.sites.insert("Halle".into(), "Halle 2".into());
    let refused = Roster::read(&table, &mapping).unwrap_err().to_string();
    assert!(refused.contains("`Halle 2`"), "{refused}");
}

#[test]
fn a_repeated_site_and_what_contradicts_between_the_rows_of_a_school_are_reported() {
    let rows = "100001;2;Halle;;;;;;;\n\
                100001;3;Haus 3;Grundschule Höhenweg;Hauptschule;;;;;\n\
                100001;…;;A;;;;;;\n\
                100003;1;;;Grundschule;;;;;\n";
    let roster = town(&format!("{TOWN}{rows}"));
    insta::assert_snapshot!(reasons(&roster));
    let school = entry(&roster, "NW-100001");
    assert_eq!(school.name, "Grundschule Am Höhenweg");
    assert_eq!((school.form, school.sites.len()), (SchoolForm::Primary, 3));
    // Sites that lack a row do not add up to their school.
    assert_eq!(school.facts.pupils, None);
}

#[test]
fn a_total_that_stands_beside_each_site_is_doubted_and_the_mapping_can_say_so() {
    let list = TOWN.replace(";180;", ";240;").replace(";60;", ";240;");
    let roster = town(&list);
    assert!(
        reasons(&roster).contains("SamePupils"),
        "{}",
        reasons(&roster)
    );
    let table = Table::read(list.as_bytes()).unwrap();
    let mut mapping = Mapping::guess(&table.header).unwrap();
    mapping.state = Some("NW".to_owned());
    mapping.columns.pupils = mapping.columns.site_pupils.take();
    let roster = Roster::read(&table, &mapping).unwrap();
    assert!(roster.findings.is_empty(), "{}", reasons(&roster));
    let school = entry(&roster, "NW-100001");
    assert_eq!(school.facts.pupils, Some(240));
    assert_eq!(school.sites[0].facts.pupils, None);
}

#[test]
fn sites_follow_the_list_one_by_one_and_none_is_removed() {
    let first = merged_into("", &town(TOWN));
    let by_hand = first
        .text
        .replacen(
            "name = \"Dependance Süd\"",
            "name = \"Südhaus\" # as we say",
            1,
        )
        .replace("id = \"2\"", "id = \"south\"");
    assert_ne!(by_hand, first.text);
    let again = merged_into(&by_hand, &town(TOWN));
    assert!(again.changes_nothing() && again.gone_sites.is_empty());
    assert_eq!(again.unchanged, 2);
    let next_year = TOWN
        .replace("Talstr. 4", "Talstr. 4a")
        .replace(";60;4", ";70;4")
        .replace("100001;1;", "100001;3;");
    let merged = merged_into(&by_hand, &town(&next_year));
    let changed: Vec<_> = merged
        .changed
        .iter()
        .map(|change| (change.site.as_deref(), change.field, change.list.as_str()))
        .collect();
    assert_eq!(
        changed,
        [
            (None, "pupils", "250"),
            (Some("south"), "street", "Talstr. 4a"),
            (Some("south"), "pupils", "70"),
        ]
    );
    assert_eq!(merged.new_sites[0].id.to_string(), "NW-100001/3");
    assert_eq!(merged.gone_sites[0].id.to_string(), "NW-100001/1");
    assert!(merged.text.contains("\"Südhaus\" # as we say"));
    assert_eq!(
        ids(&authority(&merged.text).schools[0]),
        ["1", "south", "3"]
    );
}

#[test]
fn a_file_begun_without_sites_finds_its_own_in_a_list_that_tells_them_apart() {
    let without: String = TOWN
        .lines()
        .filter(|line| !line.starts_with("100001;2"))
        .fold(String::new(), |mut text, line| {
            let mut cells: Vec<&str> = line.split(';').collect();
            cells.drain(1..3);
            let _ = writeln!(text, "{}", cells.join(";"));
            text
        });
    let first = merged_into("", &town(&without));
    assert!(first.text.contains("id = \"main\""));
    let merged = merged_into(&first.text, &town(TOWN));
    let schools = authority(&merged.text).schools;
    assert_eq!(
        (ids(&schools[0]), ids(&schools[1])),
        (vec!["main", "2"], vec!["main"])
    );
    assert!(merged.gone_sites.is_empty());
    let again = merged_into(&merged.text, &town(TOWN));
    assert!(again.changes_nothing(), "{}", again.text);
    // A site that is no longer in operation, or not in the list, stays.
    let only_first = TOWN
        .replace("100001;2;", "100003;2;")
        .replace("Süd;;", "Süd;B;");
    let fewer = merged_into(&merged.text, &town(&only_first));
    assert_eq!(fewer.gone_sites[0].id.to_string(), "NW-100001/2");
    // One that tells no sites apart means the first.
    let older = merged_into(&merged.text, &town(&without));
    assert!(older.gone_sites.is_empty() && older.new_sites.is_empty());
}

#[test]
fn sites_written_in_one_line_take_what_the_list_says() {
    let by_hand = "[authority]\nname = \"A\"\n\n[[school]]\nid = \"NW-100001\"\nname = \"Grundschule Am Höhenweg\"\nform = \"primary\"\nsite = [{ id = \"1\", name = \"Haus\", facts.classes = 8 }]\n";
    let merged = merged_into(by_hand, &town(TOWN));
    let school = &authority(&merged.text).schools[0];
    assert_eq!(ids(school), ["1", "2"]);
    let facts = school.sites[0].facts.unwrap();
    assert_eq!((facts.classes, facts.pupils), (Some(8), Some(180)));
}

/// The forms in which a site file comes back as a list.
fn exports(authority: &Authority) -> [Vec<u8>; 3] {
    [
        to_csv(authority).unwrap(),
        to_xlsx(authority).unwrap(),
        to_geojson(authority).unwrap(),
    ]
}

/// The schools without the size of their authority, which each of them carries.
fn bare(mut authority: Authority) -> Vec<School> {
    for school in &mut authority.schools {
        school.facts.authority = AuthorityFacts::default();
        for facts in school
            .sites
            .iter_mut()
            .filter_map(|site| site.facts.as_mut())
        {
            facts.authority = AuthorityFacts::default();
        }
    }
    authority.schools
}

#[test]
fn the_example_with_its_two_sites_comes_back_from_each_export() {
    let example = authority(EXAMPLE);
    for bytes in exports(&example) {
        let roster = read(&bytes);
        assert!(roster.findings.is_empty(), "{}", reasons(&roster));
        // Into its own file it changes nothing that judging reads.
        let merged = merged_into(EXAMPLE, &roster);
        assert_eq!(merged.unchanged, example.schools.len(), "{merged:?}");
        assert_eq!(authority(&merged.text), example);
    }
}

#[test]
fn a_map_has_a_point_for_each_site() {
    let authority = authority(&merged_into("", &read(NRW)).text);
    let map: serde_json::Value = serde_json::from_slice(&to_geojson(&authority).unwrap()).unwrap();
    let first = &map["features"][0];
    assert_eq!(first["id"], "NW-100001/main");
    assert!(first["geometry"]["coordinates"][0].as_f64().unwrap() < 8.0);
    let without = |feature: &&serde_json::Value| feature["geometry"].is_null();
    let features = map["features"].as_array().unwrap();
    assert_eq!(features.iter().filter(without).count(), 1);
}

fn name() -> impl Strategy<Value = String> {
    "[A-ZÄÖÜ][a-zäöüß]{1,8}( [A-Z;\"',][a-z0-9]{1,8}){0,2}"
        .prop_filter("an empty cell", |name| !name.eq_ignore_ascii_case("null"))
}

fn facts() -> impl Strategy<Value = Facts> {
    let count = || proptest::option::of(0..1000_u32);
    (count(), count(), count(), count(), count(), count()).prop_map(
        |(classes, pupils, teachers, staff, rooms_teaching, devices)| Facts {
            classes,
            pupils,
            teachers,
            staff,
            rooms_teaching,
            devices,
            ..Facts::default()
        },
    )
}

fn own_facts() -> impl Strategy<Value = Option<Facts>> {
    let stated = facts().prop_filter("nothing stated", |facts| *facts != Facts::default());
    proptest::option::of(stated)
}

type SiteParts = (
    String,
    String,
    Option<String>,
    Option<(f64, f64)>,
    Option<Facts>,
);

fn site_parts() -> impl Strategy<Value = SiteParts> {
    let near = (51.0..51.05_f64, 7.0..7.05_f64).prop_map(|(lat, lon)| {
        let rounded = |degrees: f64| (degrees * 1e6).round() / 1e6;
        (rounded(lat), rounded(lon))
    });
    let id = "[a-z0-9]{1,3}(-[a-z0-9]{1,3}){0,2}";
    let street = proptest::option::of("[A-Z][a-zäöüß]{1,8} [1-9][0-9]?");
    (id, name(), street, proptest::option::of(near), own_facts())
}

/// A school with one site or several.
fn school(number: usize) -> impl Strategy<Value = School> {
    let sites = proptest::collection::vec(site_parts(), 1..5);
    let form = proptest::sample::select(SchoolForm::ALL.to_vec());
    let register = proptest::option::of(name());
    (name(), form, register, facts(), sites).prop_map(move |(name, form, land_form, facts, sites)| {
        let mut text = format!(
            "[authority]\nname = \"A\"\n[[school]]\nid = \"NW-{number}\"\nname = \"A\"\nform = \"other\"\n"
        );
        let mut seen = std::collections::BTreeSet::new();
        let sites: Vec<_> = sites
            .into_iter()
            .filter(|(id, ..)| seen.insert(id.clone()))
            .collect();
        for (id, ..) in &sites {
            let _ = write!(text, "[[school.site]]\nid = \"{id}\"\nname = \"A\"\n");
        }
        let mut school = authority(&text).schools.remove(0);
        (school.name, school.form, school.facts) = (name, form, facts);
        school.register.land_form = land_form;
        for (site, (_, name, street, at, facts)) in school.sites.iter_mut().zip(sites) {
            *site = Site {
                id: site.id.clone(),
                name,
                address: Address {
                    street,
                    postcode: Some("01234".to_owned()),
                    place: None,
                },
                coordinates: at.and_then(|(lat, lon)| Coordinates::new(lat, lon)),
                facts,
                inventory: site.inventory.clone(),
                line: None,
                endpoint: None,
            };
        }
        school
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn schools_of_several_sites_come_back_from_each_export(
        schools in (school(1), school(2), school(3))
    ) {
        let empty = "[authority]\nname = \"Stadt Musterstadt\"\nprofiles = []\n";
        let mut was = authority(&format!(
            "{empty}[[school]]\nid = \"NW-1\"\nname = \"A\"\nform = \"other\"\n[[school.site]]\nid = \"main\"\nname = \"A\"\n"
        ));
        was.schools = vec![schools.0, schools.1, schools.2];
        for bytes in exports(&was) {
            let roster = read(&bytes);
            prop_assert!(roster.findings.is_empty(), "{}", reasons(&roster));
            let is = authority(&merged_into("", &roster).text);
            prop_assert_eq!(bare(is), bare(was.clone()));
        }
    }
}
