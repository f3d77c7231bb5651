//! Lists of all kinds from their bytes to a site file. The schools in them are fictitious; the real lists
//! are read by the tests of the whole program.

mod sites;

use proptest::prelude::*;

use super::*;
use crate::facts::Fact;
use crate::site::{Authority, SchoolForm};
use crate::target::Profiles;

const NRW: &[u8] = include_bytes!("../../tests/rosters/nrw-schuldaten.csv");
const NRW_DIRECTORY: &[u8] = include_bytes!("../../tests/rosters/nrw-verzeichnis.csv");
const BERLIN: &[u8] = include_bytes!("../../tests/rosters/berlin.csv");
const JEDESCHULE: &[u8] = include_bytes!("../../tests/rosters/jedeschule.json");
const GIAS: &[u8] = include_bytes!("../../tests/rosters/gias.csv");

fn read(bytes: &[u8]) -> Roster {
    let table = Table::read(bytes).unwrap();
    let mapping = Mapping::guess(&table.header).unwrap();
    Roster::read(&table, &mapping).unwrap()
}

fn entry<'a>(roster: &'a Roster, id: &str) -> &'a Entry {
    roster
        .entries
        .iter()
        .find(|entry| entry.id.as_str() == id)
        .unwrap_or_else(|| panic!("no {id}"))
}

fn merged_into(text: &str, roster: &Roster) -> Merged {
    let entries: Vec<&Entry> = roster.entries.iter().collect();
    merge(
        "authority.toml",
        text,
        "Stadt Musterstadt",
        Profiles::built_in(),
        roster,
        &entries,
    )
    .unwrap()
}

fn reasons(roster: &Roster) -> String {
    let lines: Vec<String> = roster
        .findings
        .iter()
        .map(|finding| {
            let column = finding.column.as_deref().unwrap_or_default();
            format!("{}: {column}: {:?}", finding.line, finding.reason)
        })
        .collect();
    lines.join("\n")
}

#[test]
fn nrw_schuldaten_are_read_with_keys_grid_and_rules() {
    let roster = read(NRW);
    assert_eq!(
        (roster.list, roster.encoding, roster.rows),
        (List::NrwSchuldaten, Some(Encoding::Utf8), 9)
    );
    assert_eq!(roster.left_out[&LeftOut::Closed], 2);
    assert_eq!(roster.left_out[&LeftOut::NoSchool], 1);
    assert_eq!(roster.entries.len(), 6);
    assert!(roster.findings.is_empty(), "{}", reasons(&roster));
    let school = entry(&roster, "NW-100001");
    assert_eq!(school.name, "Städt. Grundschule Am Höhenweg");
    assert_eq!(school.form, SchoolForm::Primary);
    assert_eq!(school.register.land_form.as_deref(), Some("Grundschule"));
    assert_eq!(school.register.authority_number.as_deref(), Some("99001"));
    assert_eq!(
        school.register.municipality_key.as_deref(),
        Some("05999001")
    );
    let at = school.sites[0].coordinates.unwrap();
    assert!(
        (at.lat - 51.505).abs() < 0.01 && (at.lon - 7.502).abs() < 0.01,
        "{at:?}"
    );
    // A key that nobody knows is kept, with the list's own word.
    let other = entry(&roster, "NW-100008");
    assert_eq!(
        (other.form, other.sites[0].coordinates),
        (SchoolForm::Other, None)
    );
    assert_eq!(other.register.land_form.as_deref(), Some("83"));
    assert_eq!(roster.forms_guessed, 1);
}

#[test]
fn the_same_list_reads_the_same_in_every_code_page() {
    let text = std::str::from_utf8(NRW)
        .unwrap()
        .trim_start_matches('\u{feff}');
    let windows = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
    let dos: Vec<u8> = text
        .chars()
        .map(|c| match c {
            'ä' => 0x84,
            'ö' => 0x94,
            'ü' => 0x81,
            'ß' => 0xE1,
            c => u8::try_from(c).unwrap(),
        })
        .collect();
    for (bytes, encoding) in [
        (windows, Encoding::Windows1252),
        (dos, Encoding::CodePage850),
    ] {
        let roster = read(&bytes);
        assert_eq!(roster.encoding, Some(encoding));
        assert_eq!(roster.entries, read(NRW).entries);
    }
}

#[test]
fn the_directory_brings_pupils_and_doubts_a_school_in_indiana() {
    let roster = read(NRW_DIRECTORY);
    assert_eq!(roster.list, List::NrwVerzeichnis);
    assert_eq!(
        entry(&roster, "NW-100002").facts.get(Fact::Pupils),
        Ok(1040)
    );
    assert_eq!(entry(&roster, "NW-100010").form, SchoolForm::Special);
    let far = entry(&roster, "NW-100011");
    assert_eq!(
        (far.form, far.sites[0].coordinates),
        (SchoolForm::Comprehensive, None)
    );
    assert_eq!(roster.count(Grade::Doubted), 1);
    assert!(reasons(&roster).contains("FarAway"));
    assert!(roster.is_understood());
}

#[test]
fn berlins_numbers_tell_the_form_and_names_help() {
    let roster = read(BERLIN);
    let forms: Vec<_> = roster
        .entries
        .iter()
        .map(|entry| (entry.id.as_str(), entry.form))
        .collect();
    assert_eq!(
        forms,
        [
            ("BE-91G01", SchoolForm::Primary),
            ("BE-91Y02", SchoolForm::Grammar),
            ("BE-91P03", SchoolForm::Primary),
            ("BE-91E04", SchoolForm::Other),
        ]
    );
    assert_eq!(roster.forms_guessed, 4);
}

#[test]
fn jedeschule_keeps_its_states_and_a_number_with_a_space_is_reported() {
    let roster = read(JEDESCHULE);
    assert_eq!(
        (roster.list, roster.format),
        (List::Jedeschule, Format::Json)
    );
    assert_eq!(entry(&roster, "NI-99001").form, SchoolForm::Secondary);
    assert_eq!(entry(&roster, "HH-9910-0").form, SchoolForm::Comprehensive);
    assert_eq!(roster.count(Grade::RowRefused), 1);
    assert_eq!(roster.findings[0].line, 3);
    assert_eq!(roster.findings[0].column.as_deref(), Some("id"));
}

#[test]
fn gias_leaves_closed_schools_out_and_turns_its_grid_into_degrees() {
    let roster = read(GIAS);
    assert_eq!(roster.list, List::Gias);
    assert_eq!(roster.encoding, Some(Encoding::Windows1252));
    assert_eq!(roster.left_out[&LeftOut::Closed], 1);
    assert_eq!(entry(&roster, "GB-990001").form, SchoolForm::Primary);
    assert_eq!(entry(&roster, "GB-990002").form, SchoolForm::Secondary);
    assert_eq!(entry(&roster, "GB-990004").form, SchoolForm::Special);
    let at = entry(&roster, "GB-990001").sites[0].coordinates.unwrap();
    assert!(
        (at.lat - 52.658).abs() < 0.001 && (at.lon - 1.716).abs() < 0.001,
        "{at:?}"
    );
}

#[test]
fn names_of_heads_reach_no_entry_and_no_file() {
    for (bytes, names) in [
        (JEDESCHULE, ["Erika", "Mustermann"]),
        (GIAS, ["Jane", "Bloggs"]),
    ] {
        let roster = read(bytes);
        let shown = format!("{roster:?}{}", merged_into("", &roster).text);
        for name in names {
            assert!(!shown.contains(name), "{name}");
        }
    }
}

#[test]
fn any_list_is_read_by_its_headers() {
    let list = "Schulname\tSchul-Nr.\tSchulart\tPLZ\tOrt\tSchülerzahl\n\
                Grundschule Beispiel\t4711\tGrundschule\t1234\tBeispielort\t1.234\n";
    let table = Table::read(list.as_bytes()).unwrap();
    let mut mapping = Mapping::guess(&table.header).unwrap();
    let without_state = Roster::read(&table, &mapping).unwrap();
    assert!(reasons(&without_state).contains("NoState"));
    mapping.state = Some("SN".to_owned());
    let roster = Roster::read(&table, &mapping).unwrap();
    let school = entry(&roster, "SN-4711");
    assert_eq!(school.facts.pupils, Some(1234));
    assert_eq!(school.sites[0].address.postcode.as_deref(), Some("01234"));
}

#[test]
fn a_corrected_mapping_decides_over_words_and_what_is_no_school() {
    let list = "Nr;Name;Art\n1;A;Versuchsschule\n2;B;Amt\n";
    let table = Table::read(list.as_bytes()).unwrap();
    let guessed = Mapping::guess(&table.header).unwrap().to_toml();
    let corrected = format!(
        "state = \"HE\"\n{guessed}\n[forms]\nVersuchsschule = \"comprehensive\"\nAmt = \"no-school\"\n"
    );
    let mapping = Mapping::parse("mapping.toml", &corrected).unwrap();
    let roster = Roster::read(&table, &mapping).unwrap();
    assert_eq!(entry(&roster, "HE-1").form, SchoolForm::Comprehensive);
    assert_eq!(roster.left_out[&LeftOut::NoSchool], 1);
}

#[test]
fn what_is_not_understood_is_named_with_line_column_and_reason() {
    let list = "Schulnummer,Schulform,Amtliche Bezeichnung 1,Anzahl\n\
                100001,Grundschule,A,1000000000\n\
                100001,Grundschule,B,20\n\
                10002,Grundschule,C,20\n\
                100003,Grundschule,,20\n\
                100004,Grundschule,D,viele\n\
                100005,Grund";
    let roster = read(list.as_bytes());
    insta::assert_snapshot!(reasons(&roster));
    assert!(!roster.is_understood());
    assert_eq!(roster.rows, 6);
}

#[test]
fn filters_keep_an_authority_a_municipality_and_a_form() {
    let roster = read(NRW);
    let count = |filter: Filter| {
        let kept = roster.entries.iter().filter(|entry| filter.keeps(entry));
        kept.count()
    };
    let some = |text: &str| Some(text.to_owned());
    let all = Filter::default();
    assert_eq!(count(all.clone()), 6);
    assert_eq!(
        count(Filter {
            authority_number: some("99002"),
            ..all.clone()
        }),
        1
    );
    assert_eq!(
        count(Filter {
            municipality: some("05999001"),
            ..all.clone()
        }),
        6
    );
    assert_eq!(
        count(Filter {
            municipality: some("Muster"),
            ..all.clone()
        }),
        0
    );
    assert_eq!(
        count(Filter {
            form: some("grammar"),
            ..all.clone()
        }),
        1
    );
    assert_eq!(
        count(Filter {
            form: some("Berufskolleg"),
            ..all
        }),
        1
    );
}

#[test]
fn what_nobody_asked_for_is_not_reported() {
    let mut roster = read(NRW_DIRECTORY);
    assert_eq!(roster.findings.len(), 1);
    roster.look_only_at(&Filter {
        form: Some("primary".to_owned()),
        ..Filter::default()
    });
    assert!(roster.findings.is_empty());
}

#[test]
fn an_import_writes_a_site_file_that_can_be_used() {
    let merged = merged_into("", &read(NRW));
    assert_eq!(merged.new.len(), 6);
    let authority = Authority::parse("authority.toml", &merged.text).unwrap();
    assert_eq!(authority.name, "Stadt Musterstadt");
    insta::assert_snapshot!(
        merged
            .text
            .split("\n\n")
            .take(4)
            .collect::<Vec<_>>()
            .join("\n\n")
    );
}

#[test]
fn importing_the_same_list_again_changes_nothing() {
    for bytes in [NRW, NRW_DIRECTORY, BERLIN, GIAS] {
        let roster = read(bytes);
        let first = merged_into("", &roster);
        let again = merged_into(&first.text, &roster);
        assert_eq!(again.text, first.text);
        assert!(again.changes_nothing() && !first.changes_nothing());
        assert_eq!(again.unchanged, roster.entries.len());
        assert!(again.new.is_empty() && again.changed.is_empty() && again.kept.is_empty());
    }
}

#[test]
fn what_was_entered_by_hand_survives_and_the_rest_follows_the_list() {
    let first = merged_into("", &read(NRW_DIRECTORY));
    let by_hand = first
        .text
        .replacen("pupils = 220\n\n", "pupils = 231 # counted by us\nclasses = 9\n\n", 1)
        .replacen(
            "name = \"Höhenweg 1\"",
            "name = \"Altbau\" # the old house\nline = { provider = \"P\", product = \"Q\", medium = \"fibre\", contract = { down = \"1 Gbit/s\", up = \"1 Gbit/s\" } }",
            1,
        );
    assert_ne!(by_hand, first.text);
    let list = String::from_utf8(NRW_DIRECTORY.to_vec()).unwrap();
    let next_year = list
        .replace(",220,", ",240,")
        .replace(",1040,", ",1100,")
        .replace(",Marktplatz 3,", ",Marktplatz 3a,");
    let merged = merged_into(&by_hand, &read(next_year.as_bytes()));
    let fields = |changes: &[Change]| -> Vec<(String, &'static str)> {
        changes
            .iter()
            .map(|change| (change.id.to_string(), change.field))
            .collect()
    };
    let changed = ["pupils", "street"].map(|field| ("NW-100002".to_owned(), field));
    assert_eq!(fields(&merged.changed), changed);
    assert_eq!(fields(&merged.kept), [("NW-100001".to_owned(), "pupils")]);
    for kept in [
        "pupils = 231 # counted by us",
        "classes = 9",
        "\"Altbau\" # the old house",
        "1 Gbit/s",
    ] {
        assert!(
            merged.text.contains(kept),
            "{kept} is lost:\n{}",
            merged.text
        );
    }
    // What was reported once is not reported again.
    let again = merged_into(&merged.text, &read(next_year.as_bytes()));
    assert_eq!((again.unchanged, again.text), (4, merged.text));
}

#[test]
fn a_file_written_by_hand_is_filled_and_not_overwritten() {
    let by_hand = "# our schools\n[authority]\nname = \"Stadt Musterstadt\"\n\n[[school]] # the first\nid = \"NW-100001\"\nname = \"GS Höhenweg\"\nform = \"primary\"\nfacts.classes = 8\n[[school.site]]\nid = \"main\"\nname = \"Haus\"\n\n[[school]]\nid = \"NW-999999\"\nname = \"Alte Schule\"\nform = \"secondary\"\nsite = [{ id = \"main\", name = \"Haus\" }]\n";
    let merged = merged_into(
        &by_hand.replace("site = [{", "site = [ {"),
        &read(NRW_DIRECTORY),
    );
    let authority = Authority::parse("authority.toml", &merged.text).unwrap();
    let school = &authority.schools[0];
    assert_eq!(school.name, "GS Höhenweg");
    assert_eq!(school.facts.pupils, Some(220));
    assert_eq!(school.facts.classes, Some(8));
    assert_eq!(
        school.sites[0].address.place.as_deref(),
        Some("Musterstadt")
    );
    assert_eq!(merged.kept[0].field, "name");
    assert_eq!(merged.gone.len(), 1);
    assert_eq!(merged.gone[0].id.as_str(), "NW-999999");
    assert!(merged.text.starts_with("# our schools\n"));
    assert!(merged.text.contains("[[school]] # the first"));
}

#[test]
fn a_school_that_closes_is_gone_by_rule_and_stays_in_the_file() {
    let open = String::from_utf8(NRW.to_vec()).unwrap();
    let first = merged_into("", &read(NRW));
    let closed = open.replacen("\"1\";\"01.08.1970\"", "\"9\";\"01.08.1970\"", 1);
    let merged = merged_into(&first.text, &read(closed.as_bytes()));
    assert_eq!(merged.gone.len(), 1);
    assert_eq!(merged.gone[0].rule, Some(LeftOut::Closed));
    assert_eq!(merged.text, first.text);
}

#[test]
fn a_site_file_that_cannot_be_used_is_refused_with_its_place() {
    let roster = read(NRW);
    let entries: Vec<&Entry> = roster.entries.iter().collect();
    for text in ["[authority]\nname = \"A\"\nunknown = 1\n", "[authority\n"] {
        match merge("a.toml", text, "A", Profiles::built_in(), &roster, &entries) {
            Err(MergeError::SiteFile(problems)) => assert!(!problems.is_empty(), "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let none = merge("a.toml", "", "A", Profiles::built_in(), &roster, &[]);
    assert_eq!(none.unwrap_err(), MergeError::NoSchool);
}

/// Everything that a user would have done with these bytes.
fn go_all_the_way(bytes: &[u8]) {
    let Ok(table) = Table::read(bytes) else {
        return;
    };
    let Ok(mapping) = Mapping::guess(&table.header) else {
        return;
    };
    let Ok(roster) = Roster::read(&table, &mapping) else {
        return;
    };
    let entries: Vec<&Entry> = roster.entries.iter().collect();
    match merge("a.toml", "", "A", Profiles::built_in(), &roster, &entries) {
        Ok(merged) => assert_eq!(merged.new.len(), entries.len()),
        Err(MergeError::NoSchool) => assert!(entries.is_empty()),
        Err(error) => panic!("what was read cannot be written: {error:?}"),
    }
}

fn workbook() -> Vec<u8> {
    let authority = Authority::parse("a.toml", crate::site::EXAMPLE).unwrap();
    to_xlsx(&authority).unwrap()
}

#[test]
fn lines_are_counted_alike_whatever_ends_them() {
    let list = "sep=;\nNummer;Name;Adresse\n\nNW-100001;A;\"Weg\n1\"\n\n;B;x\n;C;y\n";
    for text in [list.to_owned(), list.replace('\n', "\r\n")] {
        let found = read(text.as_bytes()).findings;
        let lines: Vec<usize> = found.iter().map(|one| one.line).collect();
        assert_eq!(lines, [7, 8], "{text:?}");
    }
}

#[test]
fn a_list_that_ends_within_quotes_is_not_taken_for_whole() {
    const ROWS: &str =
        "Nummer;Name;Adresse\r\nNW-100001;A;\"Weg 1\"\r\nNW-100002;B;\"Weg, \"\"2\"\"\"";
    let opens = ROWS.rfind(";\"Weg").unwrap() + 1;
    assert_eq!(read(ROWS.as_bytes()).entries.len(), 2);
    for end in opens + 1..ROWS.len() {
        let cut = read(&ROWS.as_bytes()[..end]);
        // Behind the second quote of a pair the cell may be over.
        if ROWS[opens + 1..end].matches('"').count() % 2 == 1 {
            continue;
        }
        assert_eq!(cut.entries.len(), 1, "{end}");
        let found = &cut.findings[..];
        let is_named = matches!(found, [one] if one.line == 3 && one.reason == Reason::QuoteOpen);
        assert!(is_named, "{end}: {found:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        go_all_the_way(&bytes);
        for start in [&b"PK\x03\x04"[..], b"[", b"sep=;\n", b"BSN;Name\n", b"URN,EstablishmentName\n"] {
            go_all_the_way(&[start, &bytes].concat());
        }
    }

    /// A list cut off anywhere, with bytes changed anywhere, is read or refused, and what is read can be
    /// written.
    #[test]
    fn a_damaged_list_does_no_harm(
        which in 0..5_usize,
        cut in any::<prop::sample::Index>(),
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = [NRW, NRW_DIRECTORY, BERLIN, JEDESCHULE, GIAS][which].to_vec();
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        go_all_the_way(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_workbook_does_no_harm(
        cut in any::<prop::sample::Index>(),
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = workbook();
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        go_all_the_way(&bytes);
        bytes.truncate(cut.index(bytes.len() + 1));
        go_all_the_way(&bytes);
    }
}
