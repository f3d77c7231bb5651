//! School holidays into the site file, and what the calendar makes of them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{run, stderr, stdout};

const SITE: [&str; 4] = ["--sites", "authority.toml", "--site", "NW-100001/main"];

pub(crate) fn town() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sites = messnetz_sites::site::EXAMPLE;
    fs::write(folder.path().join("authority.toml"), sites).unwrap();
    folder
}

pub(crate) fn with_site<'a>(command: [&'a str; 2], rest: &[&'a str]) -> Vec<&'a str> {
    [&command[..], &SITE[..], rest].concat()
}

pub(crate) fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = run(folder, arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)))
}

#[test]
fn holidays_are_appended_once_and_what_a_person_wrote_stays() {
    let folder = town();
    let path = folder.path().join("authority.toml");
    let before = fs::read_to_string(&path).unwrap();
    let table = "from,to,name\n2026-10-17,2026-10-31,\"Herbst \"\"ferien\"\"\"\n";
    fs::write(folder.path().join("h.csv"), table).unwrap();
    let import = ["calendar", "import", "h.csv", "--into", "authority.toml"];

    let dry = run(folder.path(), &[&import[..], &["--dry-run"]].concat());
    assert!(dry.status.success(), "{}", stderr(&dry));
    assert!(stdout(&dry).contains("neu: 17.10.2026 – 31.10.2026 Herbst"));
    assert_eq!(fs::read_to_string(&path).unwrap(), before);

    let first = run(folder.path(), &import);
    let shown = stdout(&first);
    assert!(
        shown.contains("Eingetragen in authority.toml: 1"),
        "{shown}"
    );
    let after = fs::read_to_string(&path).unwrap();
    assert!(after.starts_with(&before));

    let again = run(folder.path(), &import);
    assert!(stdout(&again).contains("schon bekannt: 1"));
    assert_eq!(fs::read_to_string(&path).unwrap(), after);

    fs::write(
        folder.path().join("h.csv"),
        "from,to,name\n2026-10-19,2026-11-02,Andere\n",
    )
    .unwrap();
    let contradicting = run(folder.path(), &import);
    assert_eq!(contradicting.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&path).unwrap(), after);

    let month = with_site(
        ["calendar", "show"],
        &["--month", "2026-10", "--lang", "en"],
    );
    let shown = stdout(&run(folder.path(), &month));
    assert!(
        shown.contains("Mon 2026-10-19  school holidays: Herbst \"ferien\""),
        "{shown}"
    );
    assert!(
        shown.contains("Sun 2026-10-25  weekend; clock one hour back"),
        "{shown}"
    );
    assert!(shown.contains("12 school days"), "{shown}");
}

#[test]
fn every_form_of_holiday_file_goes_into_one_site_file() {
    let folder = town();
    let json = r#"[{"start":"2026-10-17T00:00Z","end":"2026-10-31T23:59Z","stateCode":"NW","name":"herbstferien"},
        {"start":"2026-11-02T00:00Z","end":"2026-11-06T23:59Z","stateCode":"BY","name":"herbstferien"}]"#;
    let ics = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261223\r\nDTEND;VALUE=DATE:20270107\r\nSUMMARY:Weihnachtsferien\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let table = "von;bis;Ferien\n16.11.2026;;Beweglich\n";
    for (name, text) in [("h.json", json), ("h.ics", ics), ("h.csv", table)] {
        fs::write(folder.path().join(name), text).unwrap();
        let import = [
            "calendar",
            "import",
            name,
            "--into",
            "authority.toml",
            "--json",
        ];
        let found = self::json(folder.path(), &import);
        assert_eq!(
            (&found["written"], &found["new"][0]["land"]),
            (&1.into(), &"NW".into())
        );
    }
    let windows = with_site(
        ["calendar", "windows"],
        &["--from", "2026-11-13", "--to", "2026-11-17", "--lang", "en"],
    );
    let shown = stdout(&run(folder.path(), &windows));
    let expected = "\
Grundschule am Beispielweg (NW, Europe/Berlin): lesson-hours

Fri 2026-11-13  07:45–09:20  09:40–11:15  11:35–13:15
Sat 2026-11-14  –  (weekend)
Sun 2026-11-15  –  (weekend)
Mon 2026-11-16  –  (school holidays: Beweglich)
Tue 2026-11-17  07:45–09:20  09:40–11:15  11:35–13:15

9:40 hours in all
";
    assert_eq!(shown, expected);
}

#[test]
fn a_window_is_printed_for_programs_with_the_offset_of_the_clock() {
    let folder = town();
    let night = [
        "--from",
        "2026-10-25",
        "--to",
        "2026-10-25",
        "--window",
        "off-lesson",
        "--json",
    ];
    let found = json(folder.path(), &with_site(["calendar", "windows"], &night));
    let slot = &found["slots"][0];
    assert_eq!(slot["from"], "2026-10-25T00:00:00+02:00");
    assert_eq!(slot["to"], "2026-10-26T00:00:00+01:00");
    assert_eq!(slot["school_day"], false);
    // Without imported holidays it says that every weekday counts.
    assert_eq!(found["holidays_known"], false);
}

#[test]
fn a_window_or_a_period_that_there_is_not_is_refused_in_words() {
    let folder = town();
    for (rest, part) in [
        (
            &["--from", "2026-10-25", "--window", "off-lessons"][..],
            "did you mean 'off-lesson'?",
        ),
        (
            &["--from", "2026-10-25", "--to", "2026-10-24"],
            "the last day comes after the first",
        ),
        (
            &["--from", "2026-10-25", "--to", "2028-10-24"],
            "no more than 366 days",
        ),
        (&["--from", "2026-02-30"], "2026-02-30"),
    ] {
        let output = run(folder.path(), &with_site(["calendar", "windows"], rest));
        assert_eq!(output.status.code(), Some(2), "{rest:?}");
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

#[test]
fn a_holiday_file_that_is_not_understood_is_named_by_line_and_nothing_is_imported() {
    let folder = town();
    let path = folder.path().join("authority.toml");
    let before = fs::read_to_string(&path).unwrap();
    let ics = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261017\nSUMMARY:x\nEND:VEVENT\n";
    for (file, part) in [
        (
            &b"from,to,name\n2026-10-17,,y\n2026-02-30,2026-03-01,x\n"[..],
            "h:3:1: '2026-02-30' is no date",
        ),
        (
            b"von;bis;Ferien\n17.10.2026;;Br\xfcckentag\n",
            "h:2: the byte 0xfc is no UTF-8",
        ),
        (b"\xff\xfef\0r\0", "h:1: the byte 0xff is no UTF-8"),
        (
            b"from,to,name\n2026-10-17,2030-10-17,x\n",
            "more than any school holidays",
        ),
        (
            b"[{\"start\":\"2026-10-17T00:00Z\",",
            "h:1:30: no list of holidays",
        ),
        (ics.as_bytes(), "is the file cut off?"),
        (b"", "from,to,name"),
    ] {
        fs::write(folder.path().join("h"), file).unwrap();
        let import = ["calendar", "import", "h", "--into", "authority.toml"];
        let output = run(folder.path(), &import);
        assert_eq!(output.status.code(), Some(2), "{part}");
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }
}
