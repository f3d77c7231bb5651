//! `messnetz sites`, from a ministry's list to a site file and back, as a planner uses it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{run, stderr, stdout};

const LIST: &[u8] = include_bytes!("../../sites/tests/rosters/nrw-schuldaten.csv");
const SHEET_HEADER: &str =
    "Schulnummer;Standort;Angabe;Art;Anschaffungsjahr;Wert;Stand;Herkunft;Bemerkung\n";

/// A folder with the ministry's list in it.
fn desk() -> TempDir {
    let desk = tempfile::tempdir().unwrap();
    fs::write(desk.path().join("schuldaten.csv"), LIST).unwrap();
    desk
}

/// Runs a subcommand of `sites`; in English where it speaks both languages and the line names none.
fn sites(desk: &TempDir, line: &str) -> Output {
    let mut arguments = vec!["sites"];
    arguments.extend(line.split_whitespace());
    let speaks_both = ["import", "inventory", "export"].contains(&arguments[1]);
    if speaks_both && !line.contains("--lang") {
        arguments.extend(["--lang", "en"]);
    }
    run(desk.path(), &arguments)
}

/// The exit code, and all that was said.
fn ended(output: &Output) -> (Option<i32>, String) {
    let said = format!("{}{}", stdout(output), stderr(output));
    (output.status.code(), said)
}

fn succeeds(desk: &TempDir, line: &str) -> String {
    let (code, said) = ended(&sites(desk, line));
    assert_eq!(code, Some(0), "{line}: {said}");
    said
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)))
}

fn site_file(desk: &TempDir) -> PathBuf {
    desk.path().join("authority.toml")
}

fn text(desk: &TempDir) -> String {
    fs::read_to_string(site_file(desk)).unwrap()
}

#[test]
fn a_list_is_looked_at_then_written_then_up_to_date() {
    let desk = desk();
    let look = succeeds(&desk, "import schuldaten.csv --traeger 99001");
    assert!(look.contains("NRW Schuldaten, UTF-8, 9 rows"), "{look}");
    assert!(look.contains("2 not in operation, 1 no schools"), "{look}");
    let dry = succeeds(
        &desk,
        "import schuldaten.csv --traeger 99001 --into authority.toml --dry-run",
    );
    assert!(
        dry.contains("5 schools new") && !site_file(&desk).exists(),
        "{dry}"
    );
    let import = "import schuldaten.csv --traeger 99001 --into authority.toml";
    assert!(succeeds(&desk, import).contains("Written: authority.toml"));
    let first = text(&desk);
    let again = succeeds(&desk, import);
    assert!(
        again.contains("5 schools unchanged\nauthority.toml is up to date."),
        "{again}"
    );
    assert_eq!(text(&desk), first);
    assert!(succeeds(&desk, "check authority.toml").contains("5 schools, 5 sites"));
}

#[test]
fn next_years_list_updates_reports_and_keeps_what_was_entered_by_hand() {
    let desk = desk();
    let import = "import schuldaten.csv --into authority.toml";
    succeeds(&desk, import);
    let by_hand = text(&desk).replacen(
        "name = \"Gymnasium Musterstadt\"",
        "name = \"GyMu\" # as we say",
        1,
    );
    fs::write(site_file(&desk), by_hand).unwrap();
    let next = String::from_utf8(LIST.to_vec()).unwrap();
    let next = next
        .replace("Gymnasium Musterstadt", "Städtisches Gymnasium")
        .replace("Müllerstraße 1\"", "Müllerstraße 1a\"");
    fs::write(desk.path().join("schuldaten.csv"), next).unwrap();
    let report = json(&sites(&desk, &format!("{import} --json")));
    assert_eq!(report["written"], true);
    assert_eq!(report["merged"]["changed"][0]["field"], "street");
    assert_eq!(report["merged"]["changed"][0]["list"], "Müllerstraße 1a");
    assert_eq!(report["merged"]["kept"][0]["was"], "GyMu");
    assert!(text(&desk).contains("name = \"GyMu\" # as we say"));
}

#[test]
fn a_site_file_with_targets_of_its_own_takes_lists_and_facts() {
    let desk = desk();
    succeeds(&desk, "import schuldaten.csv --into authority.toml");
    let own = "[profile]\nid = \"our-plan\"\nextends = \"de-gigabit\"\ntitle = { de = \"Plan\", en = \"Plan\" }\ncountry = \"DE\"\nstatus = \"current\"\nsource = { document = \"Ratsbeschluss\", publisher = \"Stadt\", year = 2026, mark = \"S\" }\n";
    fs::write(desk.path().join("our-plan.toml"), own).unwrap();
    let with_own = text(&desk).replacen("profiles = []", "profiles = [\"our-plan\"]", 1);
    let with_own = format!("profiles.files = [\"our-plan.toml\"]\n{with_own}");
    fs::write(site_file(&desk), with_own).unwrap();
    succeeds(&desk, "check authority.toml");
    succeeds(&desk, "import schuldaten.csv --into authority.toml");
    succeeds(&desk, "template --out sheet.csv");
    succeeds(&desk, "inventory sheet.csv --into authority.toml");
}

#[test]
fn a_list_with_rows_that_are_not_understood_is_not_half_imported() {
    let cut = LIST.len() - 60;
    let between_cells = LIST[..cut]
        .windows(2)
        .rposition(|two| two == b"\";")
        .unwrap()
        + 1;
    let billion = "Schulnummer;Schulform;Amtliche Bezeichnung 1;Anzahl\n\
                   100001;Grundschule;A;1000000000\n100002;Grundschule;B;20\n";
    let twice = "Schulnummer;Schulform;Amtliche Bezeichnung 1\n\
                 100001;Grundschule;A\n100001;Grundschule;B\n";
    let wrong_page = "Schulnummer;Schulform;Amtliche Bezeichnung 1\n100001;Grundschule;KÃ¶ln\n";
    for (list, reason) in [
        (
            &LIST[..cut],
            "line 11: a quote is never closed: is the list cut off here?",
        ),
        (
            &LIST[..between_cells],
            "line 11: has 17 of 24 columns: is the list cut off here",
        ),
        (
            billion.as_bytes(),
            "line 2: Anzahl: 1000000000 (pupils) are more than any school has",
        ),
        (
            twice.as_bytes(),
            "line 3: the school NW-100001 already stands in line 2",
        ),
        (wrong_page.as_bytes(), "line 2: letters such as \"Ã¤\" show"),
    ] {
        let desk = desk();
        fs::write(desk.path().join("list.csv"), list).unwrap();
        let import = "import list.csv --into authority.toml";
        let (code, said) = ended(&sites(&desk, import));
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains(reason) && said.contains("nothing was written"),
            "{said}"
        );
        assert!(!site_file(&desk).exists());
        // Whoever has looked at it may leave it out; that is said by the exit code.
        let (code, said) = ended(&sites(&desk, &format!("{import} --leave-out-problems")));
        assert_eq!(code, Some(1), "{said}");
        assert!(site_file(&desk).exists());
    }
}

#[test]
fn what_is_no_list_is_refused_in_a_sentence() {
    let desk = desk();
    for (bytes, reason) in [
        (&b""[..], "the list is empty"),
        (b"PK\x03\x04 and no more", "the spreadsheet cannot be read"),
        (b"[{\"id\": \"NW-1\", ", "the JSON cannot be read"),
        (
            b"Farbe;Gewicht\nrot;3\n",
            "no column looks like a school's number and name",
        ),
        (SHEET_HEADER.as_bytes(), "messnetz sites inventory list.csv"),
    ] {
        fs::write(desk.path().join("list.csv"), bytes).unwrap();
        let (code, said) = ended(&sites(&desk, "import list.csv --into authority.toml"));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(reason), "{said}");
        assert!(!site_file(&desk).exists());
    }
    let (code, said) = ended(&sites(&desk, "import missing.csv"));
    assert!(
        code == Some(2) && said.contains("cannot read missing.csv"),
        "{said}"
    );
}

#[test]
fn a_filter_that_finds_nothing_says_what_there_is() {
    let desk = desk();
    let (code, said) = ended(&sites(&desk, "import schuldaten.csv --traeger 1"));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("authorities of the list: 99001, 99002"),
        "{said}"
    );
    let berlin = include_bytes!("../../sites/tests/rosters/berlin.csv");
    fs::write(desk.path().join("berlin.csv"), berlin).unwrap();
    let (code, said) = ended(&sites(&desk, "import berlin.csv --traeger 10297"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("names no authority (Schulträger)"), "{said}");
}

#[test]
fn a_mapping_is_guessed_saved_corrected_and_used() {
    let desk = desk();
    let own = "Kennung\tName\tSchulart\tKöpfe\n4711\tSchule am See\tVersuchsschule\t210\n";
    fs::write(desk.path().join("own.tsv"), own).unwrap();
    let (code, said) = ended(&sites(&desk, "import own.tsv --state SN"));
    assert_eq!(code, Some(2), "{said}");
    let mapping = "state = \"SN\"\n[columns]\nnumber = \"Kennung\"\nname = [\"Name\"]\nform = [\"Schulart\"]\npupils = \"Köpfe\"\n[forms]\nVersuchsschule = \"comprehensive\"\n";
    fs::write(desk.path().join("mapping.toml"), mapping).unwrap();
    let import =
        "import own.tsv --mapping mapping.toml --save-mapping saved.toml --into authority.toml";
    succeeds(&desk, import);
    assert!(text(&desk).contains("form = \"comprehensive\""));
    assert!(text(&desk).contains("pupils = 210"));
    let saved = fs::read_to_string(desk.path().join("saved.toml")).unwrap();
    assert!(saved.contains("pupils = \"Köpfe\""), "{saved}");
    succeeds(
        &desk,
        "import own.tsv --mapping saved.toml --into authority.toml",
    );
    let typo = mapping.replace("\"Kennung\"", "\"Kenung\"");
    fs::write(desk.path().join("mapping.toml"), typo).unwrap();
    let (_, said) = ended(&sites(&desk, "import own.tsv --mapping mapping.toml"));
    assert!(said.contains("did you mean `Kennung`?"), "{said}");
}

#[test]
fn an_export_goes_to_table_and_map_and_comes_back() {
    let desk = desk();
    succeeds(&desk, "import schuldaten.csv --into authority.toml");
    for form in ["csv", "xlsx", "geojson"] {
        let said = succeeds(
            &desk,
            &format!("export authority.toml --to {form} --out out.{form}"),
        );
        assert!(
            said.contains("6 sites; 1 sites have no coordinates"),
            "{said}"
        );
    }
    for form in ["csv", "xlsx", "geojson"] {
        let import = format!("import out.{form} --into authority.toml");
        assert!(succeeds(&desk, &import).contains("6 schools unchanged\n"));
    }
    let map = fs::read(desk.path().join("out.geojson")).unwrap();
    let map: Value = serde_json::from_slice(&map).unwrap();
    assert_eq!(map["features"].as_array().unwrap().len(), 6);
}

#[test]
fn a_list_with_a_row_for_each_site_gives_schools_of_several_sites() {
    let desk = desk();
    let rows = "100001;1;Grundschule Am Berg;Grundschule;Berg 1;180\n\
                100001;2;Grundschule Am Berg;Grundschule;Tal 4;60\n\
                100002;1;Gymnasium;Gymnasium;Markt 3;1000\n";
    let header = "Schulnummer;Standort;Schulname;Schulform;Straße;Schüler\n";
    let list = |rows: &str| fs::write(desk.path().join("list.csv"), format!("{header}{rows}"));
    list(rows).unwrap();
    let import = "import list.csv --state NW --into authority.toml";
    let said = succeeds(&desk, import);
    assert!(said.contains("2 with 3 sites"), "{said}");
    assert!(succeeds(&desk, "check authority.toml").contains("2 schools, 3 sites"));
    // The next list has moved one, has another new and names one no more.
    list(
        &rows
            .replace("Tal 4", "Tal 5")
            .replace(";1;Grund", ";3;Grund"),
    )
    .unwrap();
    let report = json(&sites(&desk, &format!("{import} --json")));
    let merged = &report["merged"];
    assert_eq!(merged["changed"][0]["site"], "2", "{report}");
    assert_eq!(merged["changed"][0]["field"], "street");
    assert_eq!(merged["new_sites"][0]["id"], "NW-100001/3");
    assert_eq!(merged["gone_sites"][0]["id"], "NW-100001/1");
    assert!(succeeds(&desk, "check authority.toml").contains("2 schools, 4 sites"));
    list(&format!("{rows}100001;2;Grundschule Am Berg;;;\n")).unwrap();
    let (code, said) = ended(&sites(&desk, import));
    assert_eq!(code, Some(2), "{said}");
    let twice = "line 5: the site NW-100001/2 already stands in line 3";
    assert!(said.contains(twice), "{said}");
}

#[test]
fn what_is_found_is_said_in_german_and_english_and_json_has_its_kind() {
    let desk = desk();
    let list = "Schulnummer;Standort;Schulform;Amtliche Bezeichnung 1;Anzahl\n\
                100001;1;Grundschule;A;viele\n100001;1;Grundschule;A;20\n\
                100002;1;Grundschule;B;20\n100002;2;Hauptschule;C;30\n";
    fs::write(desk.path().join("list.csv"), list).unwrap();
    let import = "import list.csv --into authority.toml --dry-run";
    let said = |lang: &str| ended(&sites(&desk, &format!("{import} --lang {lang}"))).1;
    insta::assert_snapshot!(format!("{}\n\n{}", said("de"), said("en")));
    // German is spoken where no language is named.
    let unasked: Vec<&str> = "sites import list.csv --into authority.toml --dry-run"
        .split(' ')
        .collect();
    assert_eq!(stdout(&run(desk.path(), &unasked)), said("de"));
    for lang in ["de", "en"] {
        let report = json(&sites(&desk, &format!("{import} --json --lang {lang}")));
        let kinds: Vec<&str> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| finding["kind"].as_str().unwrap())
            .collect();
        assert_eq!(
            kinds,
            ["no-count", "site-twice", "contradiction", "contradiction"]
        );
        let twice = &report["findings"][1];
        assert_eq!(twice["first"], 2);
        assert_eq!(
            twice["reason"],
            "the site NW-100001/1 already stands in line 2"
        );
    }
    let leave_out = import.replace("--dry-run", "--leave-out-problems --lang de");
    let (_, said) = ended(&sites(&desk, &leave_out));
    assert!(said.contains("Geschrieben: authority.toml"), "{said}");
    let rows = "100001;;Räume;;;viele;2026-01-15;Begehung;\n";
    fs::write(
        desk.path().join("sheet.csv"),
        format!("{SHEET_HEADER}{rows}"),
    )
    .unwrap();
    let inventory = "inventory sheet.csv --into authority.toml --dry-run --lang de";
    let (_, said) = ended(&sites(&desk, inventory));
    let wrong = "Zeile 2: Wert: „viele“: nötig ist eine ganze Zahl bis 1000";
    assert!(said.contains(wrong), "{said}");
    let export = succeeds(
        &desk,
        "export authority.toml --to csv --out a.csv --lang de",
    );
    assert!(export.contains("3 Standorte ohne Koordinaten"), "{export}");
}

#[test]
fn a_template_is_filled_in_entered_and_never_older_than_before() {
    let desk = desk();
    succeeds(&desk, "import schuldaten.csv --into authority.toml");
    succeeds(&desk, "template --out sheet.xlsx");
    let examples = succeeds(&desk, "inventory sheet.xlsx --into authority.toml");
    assert!(
        examples.contains("15 examples skipped, 0 facts"),
        "{examples}"
    );
    succeeds(&desk, "template --out sheet.csv");
    let sheet = desk.path().join("sheet.csv");
    let template = fs::read_to_string(&sheet).unwrap();
    assert!(template.contains(SHEET_HEADER));
    fs::write(&sheet, template.replace("Beispiel;", "100001;")).unwrap();
    let inventory = "inventory sheet.csv --into authority.toml";
    let entered = json(&sites(&desk, &format!("{inventory} --json")));
    assert_eq!(entered["entered"].as_array().unwrap().len(), 15);
    let rooms = "rooms = { value = 48, on = \"2026-01-15\", from = \"Begehung, Hausmeister\" }";
    assert!(text(&desk).contains(rooms), "{}", text(&desk));
    assert!(succeeds(&desk, inventory).contains("15 unchanged\nauthority.toml is up to date."));
    let older = format!("{SHEET_HEADER}NW-100001;;Räume;;;12;2025-06-30;Altliste;\n");
    fs::write(&sheet, older).unwrap();
    assert!(succeeds(&desk, inventory).contains("48 (2026-01-15, Begehung, Hausmeister) stays"));
    // A list that comes again leaves the inventory alone.
    succeeds(&desk, "import schuldaten.csv --into authority.toml");
    assert!(text(&desk).contains(rooms));
}

#[test]
fn a_sheet_with_a_row_that_is_not_understood_is_not_half_entered() {
    let desk = desk();
    succeeds(&desk, "import schuldaten.csv --into authority.toml");
    let before = text(&desk);
    let rows = "100001;;Räume;;;48;15.01.2026;Begehung;\n100001;;Räume;;;1000000000;15.01.2026;Begehung;\n";
    fs::write(
        desk.path().join("sheet.csv"),
        format!("{SHEET_HEADER}{rows}"),
    )
    .unwrap();
    let (code, said) = ended(&sites(&desk, "inventory sheet.csv --into authority.toml"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("row 3: Wert: `1000000000`"), "{said}");
    assert_eq!(text(&desk), before);
}

/// A real list of the folder that `MESSNETZ_LISTS` names.
fn real(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("MESSNETZ_LISTS")?;
    Some(Path::new(&folder).join(name)).filter(|path| path.is_file())
}

#[test]
fn the_real_lists_are_understood_whole() {
    let desk = desk();
    for (name, schools, filter, asked_for) in [
        ("nrw_schulverzeichnis_2024_25.csv", 5407, "Dortmund", 169),
        ("berlin_schulen.csv", 1036, "", 1036),
    ] {
        let Some(path) = real(name) else {
            eprintln!("NOT CHECKED: the real list {name}: MESSNETZ_LISTS names no folder with it");
            continue;
        };
        let path = path.to_str().unwrap();
        let mut arguments = vec!["sites", "import", path, "--json"];
        if !filter.is_empty() {
            arguments.extend(["--municipality", filter]);
        }
        let report = json(&run(desk.path(), &arguments));
        assert_eq!(report["schools"], schools, "{name}");
        assert_eq!(report["asked_for"], asked_for, "{name}");
        assert_eq!(report["findings"], Value::Array(Vec::new()), "{name}");
    }
}
