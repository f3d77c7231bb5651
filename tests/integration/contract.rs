//! A campaign laid into the calendar of a school, and what was measured held against the contract: the
//! commands as a planner uses them, one after the other.

use std::fs;
use std::path::Path;

use crate::calendar::{json, town, with_site};
use crate::program::{run, stderr, stdout};

const HEADER: &str = "\"Messzeitpunkt\";\"Download (Mbit/s)\";\"Upload (Mbit/s)\";\"Laufzeit (ms)\";\"Test-ID\";\"Version\";\"Betriebssystem\";\"Internet-Browser\";\"Uhrzeit\"\n";

/// A campaign as the official program saves it, measured exactly after the plan, with this row's rates.
fn measured_after_plan(folder: &Path, rates: &str) -> String {
    let plan = with_site(["contract", "plan"], &["--from", "2026-11-20", "--json"]);
    let plan = json(folder, &plan);
    let days = plan["days"].as_array().unwrap();
    let times = days.iter().flat_map(|day| day["times"].as_array().unwrap());
    let rows = times.map(|at| {
        let (date, time) = at.as_str().unwrap().split_once('T').unwrap();
        format!("\"{date}\";{rates};;;;;;\"{}\"\n", &time[..8])
    });
    std::iter::once(HEADER.to_owned()).chain(rows).collect()
}

/// Saves a campaign and checks it.
fn check(folder: &Path, campaign: &[u8], rest: &[&str]) -> std::process::Output {
    fs::write(folder.join("m.csv"), campaign).unwrap();
    run(
        folder,
        &with_site(["contract", "check"], &[&["m.csv"], rest].concat()),
    )
}

#[test]
fn what_is_measured_after_the_plan_is_a_valid_campaign() {
    let folder = town();
    let file = measured_after_plan(folder.path(), "\"395,5\";\"120,0\"");
    fs::write(folder.path().join("m.csv"), &file).unwrap();
    let found = json(
        folder.path(),
        &with_site(["contract", "check"], &["m.csv", "--json"]),
    );
    assert_eq!(found["valid"], true, "{found:#}");
    assert_eq!(found["deviates"], true, "{found:#}");
    let [down, up] = [0, 1].map(|index| found["check"]["findings"][index].clone());
    assert_eq!(down["maximum"]["deviates"], false);
    assert_eq!(down["normal"]["state"], "not-assessable");
    assert_eq!(up["maximum"]["deviates"], true);
    assert!(found["caveat"].as_str().unwrap().contains("§ 57"));

    // Without its last line the campaign is not valid, and nothing is found from it.
    let cut = file.trim_end().rsplit_once('\n').unwrap().0;
    let output = check(folder.path(), cut.as_bytes(), &["--lang", "en"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = stdout(&output);
    assert!(shown.contains("9 measurements in place of 10"), "{shown}");
    assert!(!shown.contains("deviation:"), "{shown}");
}

#[test]
fn a_plan_can_be_opened_in_a_calendar() {
    let folder = town();
    let plan = with_site(["contract", "plan"], &["--from", "2026-11-20", "--ics"]);
    let shown = stdout(&run(folder.path(), &plan));
    assert_eq!(shown.matches("BEGIN:VEVENT\r\n").count(), 30, "{shown}");
}

#[test]
fn a_line_that_keeps_what_can_be_assessed_leaves_the_rest_open() {
    let folder = town();
    let campaign = measured_after_plan(folder.path(), "\"395,5\";\"198,0\"");
    let output = check(folder.path(), campaign.as_bytes(), &["--lang", "en"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown = stdout(&output);
    for part in [
        "✔ no deviation: 90 % of the maximum rate",
        "reached on 3 of 3 days (needed: 2)",
        "Normally available rate: not assessable, the contract states none",
        "what is not assessable stays open",
        "§ 57 (4) TKG speaks of the consumer",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn the_rule_that_broke_is_named_and_so_is_a_reading_that_decides() {
    let folder = town();
    let campaign = measured_after_plan(folder.path(), "\"395,5\";\"198,0\"");
    // Planned are the 20th, 23rd and 25th.
    let day_after = campaign.replace("2026-11-20", "2026-11-24");
    let output = check(folder.path(), day_after.as_bytes(), &["--lang", "en"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = stdout(&output);
    assert!(
        shown.contains("no calendar day lies between 2026-11-23 and 2026-11-24"),
        "{shown}"
    );
    let eleventh = format!("{campaign}\"2026-11-20\";\"1\";\"1\";;;;;;\"21:00:00\"\n");
    let output = check(folder.path(), eleventh.as_bytes(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let shown = stdout(&output);
    assert!(
        shown.contains("20.11.2026: 11 Messungen statt 10"),
        "{shown}"
    );
    assert!(shown.contains("hängt hier an einer Lesart"), "{shown}");
    assert!(!shown.contains("Jede der genannten Lesarten"), "{shown}");
    // Fifteen days with both ends, and one measurement on a fourth: two other readings would do together.
    let late = campaign.replace("2026-11-25", "2026-12-04");
    let stray = format!("{late}\"2026-11-30\";\"1\";\"1\";;;;;;\"09:00:00\"\n");
    let shown = stdout(&check(folder.path(), stray.as_bytes(), &[]));
    assert_eq!(shown.matches("hängt hier an einer Lesart").count(), 2);
    assert!(shown.contains("Jede der genannten Lesarten"), "{shown}");
}

#[test]
fn a_file_that_is_no_campaign_is_refused_with_its_line() {
    let folder = town();
    let campaign = measured_after_plan(folder.path(), "\"395,5\";\"198,0\"");
    let row = "\"395,5\"";
    for (file, part) in [
        (campaign[..campaign.len() - 30].to_owned(), "m.csv:31:"),
        (
            campaign.replacen(row, "\"1000000000000\"", 1),
            "m.csv:2:14: '1000000000000' is no rate",
        ),
        (
            campaign.replacen(row, "\"-5\"", 1),
            "m.csv:2:14: '-5' is no rate",
        ),
        (
            campaign.replacen("2026-11-20", "2026-11-31", 1),
            "m.csv:2:1: '2026-11-31' is no day",
        ),
        ("from,to,name\n".to_owned(), "no column \"Messzeitpunkt\""),
        (String::new(), "no column \"Messzeitpunkt\""),
    ] {
        let output = check(folder.path(), file.as_bytes(), &[]);
        assert_eq!(output.status.code(), Some(2), "{part}");
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
    let output = check(folder.path(), b"\"Messzeitpunkt\"\n\"\xe4\"\n", &[]);
    assert!(
        stderr(&output).contains("m.csv:2: the byte 0xe4 is no UTF-8"),
        "{}",
        stderr(&output)
    );
    let absent = run(
        folder.path(),
        &with_site(["contract", "check"], &["absent.csv"]),
    );
    assert!(
        stderr(&absent).contains("reading absent.csv"),
        "{}",
        stderr(&absent)
    );
}

#[test]
fn a_site_that_there_is_not_is_refused_with_the_nearest_one() {
    let folder = town();
    let plan = [
        "contract",
        "plan",
        "--sites",
        "authority.toml",
        "--site",
        "NW-10001/main",
        "--from",
        "2026-11-20",
    ];
    let output = run(folder.path(), &plan);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean 'NW-100001/main'?"));
}
