//! The template, a filled sheet, and the way into a site file.

use proptest::prelude::*;

use super::*;
use crate::facts::Fact;
use crate::roster::Finding;
use crate::site::{Authority, EXAMPLE};
use crate::target::Profiles;

const HEADER: &str =
    "Schulnummer;Standort;Angabe;Art;Anschaffungsjahr;Wert;Stand;Herkunft;Bemerkung\n";

fn sheet(rows: &str) -> Sheet {
    Sheet::read(format!("{HEADER}{rows}").as_bytes()).unwrap()
}

fn reasons(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings
        .iter()
        .map(|finding| {
            let column = finding.column.as_deref().unwrap_or_default();
            format!("{}: {column}: {:?}", finding.line, finding.reason)
        })
        .collect();
    lines.join("\n")
}

#[test]
fn the_template_is_a_sheet_of_examples_in_both_forms() {
    for bytes in [template_csv().unwrap(), template_xlsx().unwrap()] {
        let sheet = Sheet::read(&bytes).unwrap();
        assert_eq!(sheet.examples, InventoryFact::ALL.len() + 2);
        assert!(
            sheet.facts.is_empty() && sheet.findings.is_empty(),
            "{sheet:?}"
        );
    }
}

#[test]
fn every_example_of_the_template_can_be_entered() {
    let csv = String::from_utf8(template_csv().unwrap()).unwrap();
    let filled = csv.replace("Beispiel;", "100001;");
    let sheet = Sheet::read(filled.as_bytes()).unwrap();
    assert!(sheet.findings.is_empty(), "{}", reasons(&sheet.findings));
    let entered = enter("a.toml", EXAMPLE, Profiles::built_in(), &sheet).unwrap();
    // The example file says the same of UPS and cabling, but on its own account.
    assert_eq!(entered.entered.len(), InventoryFact::ALL.len() + 2);
    let authority = Authority::parse("a.toml", &entered.text).unwrap();
    let inventory = &authority.schools[0].inventory;
    assert_eq!(inventory.count(InventoryFact::Rooms), Some(48));
    assert_eq!(
        inventory.facts[&InventoryFact::Cabling].value,
        FactValue::Cabling(Cabling::Cat6a)
    );
    assert_eq!(inventory.devices.len(), 2);
    let again = enter("a.toml", &entered.text, Profiles::built_in(), &sheet).unwrap();
    assert_eq!(again.text, entered.text);
    assert_eq!(again.unchanged, sheet.facts.len());
}

#[test]
fn comments_and_all_else_of_the_file_stay() {
    let sheet = sheet("NW-100001;main;USV vorhanden;;;ja;2026-01-15;Begehung;\n");
    let entered = enter("a.toml", EXAMPLE, Profiles::built_in(), &sheet).unwrap();
    for line in EXAMPLE.lines() {
        assert!(entered.text.contains(line), "{line} is lost");
    }
    let authority = Authority::parse("a.toml", &entered.text).unwrap();
    let site = &authority.schools[0].sites[0];
    let ups = &site.inventory.facts[&InventoryFact::Ups];
    assert_eq!(
        (ups.value, ups.from.as_str()),
        (FactValue::YesNo(true), "Begehung")
    );
}

#[test]
fn a_newer_fact_replaces_an_older_one_and_never_the_other_way_round() {
    let row = |count: u32, day: &str| {
        sheet(&format!(
            "NW-100002;;Räume;;;{count};{day};Begehung;\nNW-100002;;Geräte;Tablet;2023;{count};{day};Liste;\n"
        ))
    };
    let first = enter(
        "a.toml",
        EXAMPLE,
        Profiles::built_in(),
        &row(40, "01.03.2026"),
    )
    .unwrap();
    let older = enter(
        "a.toml",
        &first.text,
        Profiles::built_in(),
        &row(30, "28.02.2026"),
    )
    .unwrap();
    assert_eq!((older.kept.len(), &older.text), (2, &first.text));
    let newer = enter(
        "a.toml",
        &first.text,
        Profiles::built_in(),
        &row(50, "02.03.2026"),
    )
    .unwrap();
    assert_eq!(newer.entered.len(), 2);
    assert_eq!(
        newer.entered[0].was.as_deref(),
        Some("40 (2026-03-01, Begehung)")
    );
    let authority = Authority::parse("a.toml", &newer.text).unwrap();
    let inventory = &authority.schools[1].inventory;
    assert_eq!(inventory.count(InventoryFact::Rooms), Some(50));
    assert_eq!(inventory.devices[0].count, 50);
    assert_eq!(inventory.devices.len(), 1);
}

#[test]
fn teaching_rooms_of_the_inventory_count_where_no_fact_is_stated() {
    let sheet = sheet(
        "NW-100001;;Unterrichtsräume;;;20;2026-01-15;Plan;\nNW-100002;;Unterrichtsräume;;;60;2026-01-15;Plan;\n",
    );
    let entered = enter("a.toml", EXAMPLE, Profiles::built_in(), &sheet).unwrap();
    let authority = Authority::parse("a.toml", &entered.text).unwrap();
    let rooms = |at: usize| authority.schools[at].facts.get(Fact::RoomsTeaching);
    // The example states 16 rooms for the first school and none for the second.
    assert_eq!((rooms(0), rooms(1)), (Ok(16), Ok(60)));
}

#[test]
fn what_is_not_understood_is_named_with_row_column_and_reason() {
    let sheet = sheet(
        "NW-100001;;Raüme;;;40;2026-01-15;x;\n\
         NW-100001;;Räume;;;1000000000;2026-01-15;x;\n\
         NW-100001;;Räume;;;40;15.13.2026;x;\n\
         NW-100001;;Räume;;;40;2026-01-15;;\n\
         NW-100001;;Geräte;Toaster;2020;1;2026-01-15;x;\n\
         NW-100001;;Geräte;Tablet;20;1;2026-01-15;x;\n\
         ;;Räume;;;40;2026-01-15;x;\n\
         NW-999999;;Räume;;;40;2026-01-15;x;\n\
         NW-100001;attic;Räume;;;40;2026-01-15;x;\n",
    );
    let entered = enter("a.toml", EXAMPLE, Profiles::built_in(), &sheet).unwrap();
    let all = [sheet.findings, entered.findings].concat();
    insta::assert_snapshot!(reasons(&all));
    assert_eq!(entered.text, EXAMPLE);
}

#[test]
fn a_list_of_schools_is_no_sheet() {
    let error = Sheet::read(b"Schulnummer;Name\n1;A\n").unwrap_err();
    assert!(error.to_string().contains("messnetz sites template"));
}

proptest! {
    /// Whatever is filled in, what is read can be entered, and nothing panics.
    #[test]
    fn no_sheet_does_harm(
        cells in proptest::collection::vec("[ -~äöü€\\n]{0,12}", 5),
        fact in 0..13_usize,
    ) {
        let what = InventoryFact::ALL[fact].german();
        let clean: Vec<String> = cells.iter().map(|cell| cell.replace([';', '"', '\n'], " ")).collect();
        let [school, kind, value, day, from] = &clean[..] else { unreachable!() };
        for row in [
            format!("NW-100001;;{what};{kind};;{value};2026-01-15;{from};\n"),
            format!("NW-100001;;{what};;;1;{day};{from};\n"),
            format!("{school};;Geräte;{kind};{value};{value};2026-01-15;{from};\n"),
        ] {
            let sheet = sheet(&row);
            prop_assert!(enter("a.toml", EXAMPLE, Profiles::built_in(), &sheet).is_ok(), "{row}");
        }
    }
}
