//! What is read out of holiday files, and what is refused.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Vec<String>, Vec<String>> {
    read_for(text, None)
}

fn read_for(text: &str, land: Option<&str>) -> Result<Vec<String>, Vec<String>> {
    let land = land.map(|code| code.parse().unwrap());
    let shown = |h: Holiday| format!("{}/{} {}", h.first, h.last, h.name);
    holidays("f", text, land, &Zone::default())
        .map(|found| found.into_iter().map(shown).collect())
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn calendar(event: &str) -> String {
    let event = event.replace('\n', "\r\n");
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

#[test]
fn the_end_of_an_event_is_excluded() {
    for (event, expected) in [
        (
            "DTSTART;VALUE=DATE:20261017\nDTEND;VALUE=DATE:20261101\nSUMMARY:Herbstferien",
            "2026-10-17/2026-10-31 Herbstferien",
        ),
        (
            "DTSTART;VALUE=DATE:20261017\nSUMMARY:Ein Tag",
            "2026-10-17/2026-10-17 Ein Tag",
        ),
        (
            "DTSTART;VALUE=DATE:20261017\nDTEND;VALUE=DATE:20261017\nSUMMARY:Ein Tag",
            "2026-10-17/2026-10-17 Ein Tag",
        ),
        (
            "DTSTART;VALUE=DATE:20261017\nDURATION:P2W\nSUMMARY:Zwei\\, drei",
            "2026-10-17/2026-10-30 Zwei, drei",
        ),
        (
            "DTSTART;TZID=\"Europe:Berlin\":20261017T000000\nDTEND:20261101T000000\nSUMMARY:Herbst\n ferien",
            "2026-10-17/2026-10-31 Herbstferien",
        ),
        // Midnight in Germany, once in summer and once in winter time.
        (
            "DTSTART:20261016T220000Z\nDTEND:20261031T230000Z\nSUMMARY:Herbstferien",
            "2026-10-17/2026-10-31 Herbstferien",
        ),
        (
            "dtstart:20261017T080000\ndtend:20261018T235900\nsummary:Zwei Tage",
            "2026-10-17/2026-10-18 Zwei Tage",
        ),
    ] {
        assert_eq!(
            read(&calendar(event)),
            Ok(vec![expected.to_owned()]),
            "{event}"
        );
    }
}

#[test]
fn an_event_that_is_not_understood_stops_the_import_and_is_named() {
    for (event, expected) in [
        (
            "DTSTART:2026-10-17\nSUMMARY:x",
            "f:4:1: '2026-10-17' is no date of a calendar (20261017)",
        ),
        (
            "DTSTART:20261317\nSUMMARY:x",
            "f:4:1: '20261317' is no date of a calendar (20261017)",
        ),
        ("SUMMARY:x", "f:3:1: the event has no DTSTART"),
        (
            "DTSTART:20261017\nRRULE:FREQ=YEARLY\nSUMMARY:x",
            "f:5:1: an event that repeats is not understood: write its days out",
        ),
        (
            "DTSTART:20261017\nDTEND:20261001\nSUMMARY:x",
            "f:3:1: the holiday ends (2026-09-30) before it begins (2026-10-17)",
        ),
        ("DTSTART:20261017", "f:3:1: a holiday needs a name"),
    ] {
        assert_eq!(
            read(&calendar(event)),
            Err(vec![expected.to_owned()]),
            "{event}"
        );
    }
    let whole = calendar("DTSTART:20261017\nSUMMARY:x");
    for part in ["END:VCALENDAR", "END:VEVENT", "SUMMARY"] {
        let cut = &whole[..whole.find(part).unwrap()];
        assert!(read(cut).unwrap_err()[0].contains("does not end"), "{part}");
    }
}

#[test]
fn a_table_is_read_with_comma_or_semicolon_and_in_both_spellings_of_dates() {
    let expected = Ok(vec![
        "2026-10-17/2026-10-31 Herbstferien".to_owned(),
        "2026-12-23/2027-01-06 Weihnachtsferien".to_owned(),
    ]);
    for text in [
        "Ferien;Von;Bis\nHerbstferien;17.10.2026;31.10.2026\nWeihnachtsferien;23.12.2026;6.1.2027\n",
        "from,to,name\n2026-10-17,2026-10-31,Herbstferien\n2026-12-23,2027-01-06,Weihnachtsferien\n",
        "\u{feff}name;from;to\r\nWeihnachtsferien;23.12.2026;06.01.2027\r\n\"Herbstferien\";17.10.2026;31.10.2026",
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn a_line_of_a_table_without_an_end_is_a_single_day() {
    assert_eq!(
        read("from,to,name\n2026-11-16,,Brauchtum\n"),
        Ok(vec!["2026-11-16/2026-11-16 Brauchtum".to_owned()])
    );
}

#[test]
fn periods_are_for_the_land_that_was_named_or_that_the_file_names() {
    let land = |text: &str, land: Option<&str>| {
        let land = land.map(|code| code.parse().unwrap());
        let found = holidays("f", text, land, &Zone::default()).unwrap();
        found[0].land.map(Land::code)
    };
    let table = "from,to,name\n2026-11-16,,x\n";
    assert_eq!(land(table, None), None);
    assert_eq!(land(table, Some("BY")), Some("BY"));
    assert_eq!(land(TWO_LAENDER, Some("BW")), Some("BW"));
    let one = r#"[{"start":"2026-11-18","end":"2026-11-18","stateCode":"BW","name":"x"}]"#;
    assert_eq!(land(one, None), Some("BW"));
    let unknown = read(&one.replace("BW", "XX")).unwrap_err();
    assert!(
        unknown[0].contains("stateCode 'XX' is no Land"),
        "{unknown:?}"
    );
}

#[test]
fn every_line_of_a_table_that_is_wrong_is_named_and_nothing_is_imported() {
    let text = "from,to,name\n2026-10-17,2026-10-31,Herbstferien\n2026-02-30,2026-03-01,x\n2026-03-05,2026-03-01,y\n2026-03-05";
    assert_eq!(
        read(text).unwrap_err(),
        [
            "f:3:1: '2026-02-30' is no date (2026-10-17 or 17.10.2026)",
            "f:4:1: the holiday ends (2026-03-01) before it begins (2026-03-05)",
            "f:5:1: '' is no date (2026-10-17 or 17.10.2026)",
        ]
    );
    assert!(read("").unwrap_err()[0].contains("from,to,name"));
    assert!(read("from,to,name\n").unwrap_err()[0].contains("no holidays"));
}

const TWO_LAENDER: &str = r#"[
  {"start":"2026-10-17T00:00Z","end":"2026-10-31T23:59Z","year":2026,"stateCode":"NW","name":"herbstferien"},
  {"start":"2026-10-26T00:00Z","end":"2026-10-31T00:00Z","year":2026,"stateCode":"BW","name":"herbst \"start\"","name_cp":"Herbstferien"},
  {"start":"2026-11-18","end":"2026-11-18","stateCode":"BW","name":"Bußtag"}
]"#;

#[test]
fn ferien_api_ends_at_the_last_minute_or_at_the_midnight_after() {
    assert_eq!(
        read_for(TWO_LAENDER, Some("NW")),
        Ok(vec!["2026-10-17/2026-10-31 Herbstferien".to_owned()])
    );
    assert_eq!(
        read_for(TWO_LAENDER, Some("BW")),
        Ok(vec![
            "2026-10-26/2026-10-30 Herbstferien".to_owned(),
            "2026-11-18/2026-11-18 Bußtag".to_owned(),
        ])
    );
}

#[test]
fn a_file_of_several_laender_asks_which_one() {
    let problem = &read(TWO_LAENDER).unwrap_err()[0];
    assert_eq!(
        problem,
        "f:1:1: the file holds several Länder (BW, NW): name the one that is meant (--land)"
    );
    assert!(read_for(TWO_LAENDER, Some("BY")).unwrap_err()[0].contains("no holidays"));
}

#[test]
fn json_that_is_not_understood_is_named_with_its_line() {
    let wrong = TWO_LAENDER.replace("2026-11-18\"", "18th of November\"");
    assert!(read_for(&wrong, Some("BW")).unwrap_err()[0].starts_with("f:4:4: '18th"));
    let cut = &TWO_LAENDER[..200];
    assert!(
        read(cut).unwrap_err()[0].starts_with("f:3:"),
        "{:?}",
        read(cut)
    );
    assert!(read("{}").unwrap_err()[0].contains("ferien-api"));
}

proptest! {
    #[test]
    fn no_text_makes_the_import_panic(text in ".{0,120}") {
        let _ = read(&text);
        let _ = read(&format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{text}\nEND:VEVENT\nEND:VCALENDAR"));
        let _ = read(&format!("from,to,name\n{text}"));
    }

    #[test]
    fn no_value_makes_the_import_panic(value in "[0-9TZPWD.:ä-]{0,17}", other in "[0-9TZPWDMY.-]{0,17}") {
        let _ = read(&calendar(&format!("DTSTART:{value}\nDTEND:{other}\nSUMMARY:x")));
        let _ = read(&calendar(&format!("DTSTART:{value}\nDURATION:{other}\nSUMMARY:x")));
        let _ = read(&format!("from,to,name\n{value},{other},x"));
        let _ = read(&format!(r#"[{{"start":"{value}","end":"{other}","name":"x"}}]"#));
    }

    #[test]
    fn a_truncated_file_does_no_harm(at in 0..TWO_LAENDER.len()) {
        let _ = read(&TWO_LAENDER[..TWO_LAENDER.floor_char_boundary(at)]);
    }
}
