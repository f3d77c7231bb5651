//! The demo as a new user runs it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::program::{messnetz, not_checked, run, stderr};
use crate::quiet::quiet;

/// Processes whose working directory lies in this folder: the demo's collector and agents.
fn processes_in(folder: &Path) -> Vec<i32> {
    let folder = fs::canonicalize(folder).unwrap();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            let directory = fs::read_link(entry.path().join("cwd")).ok()?;
            directory.starts_with(&folder).then_some(number)
        })
        .collect()
}

fn interfaces() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir("/sys/class/net")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Nothing of a demo in this folder is left but files in its results folder.
fn assert_nothing_left(folder: &Path, interfaces_before: &[String]) {
    let end = Instant::now() + Duration::from_secs(10);
    while !processes_in(folder).is_empty() {
        assert!(
            Instant::now() < end,
            "processes are left: {:?}",
            processes_in(folder)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(interfaces(), interfaces_before);
    let names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["results"]);
}

#[test]
fn the_demo_judges_three_schools_within_90_seconds_and_leaves_nothing_behind() {
    let _quiet = quiet();
    let folder = tempfile::tempdir().unwrap();
    let before = interfaces();
    let started = Instant::now();
    let output = run(
        folder.path(),
        &[
            "demo", "--once", "--json", "--port", "0", "--lang", "en", "--out", "results",
        ],
    );
    let took = started.elapsed();
    assert!(output.status.success(), "{}", stderr(&output));
    println!("the demo took {took:?}\n{}", stderr(&output));
    assert!(took <= Duration::from_secs(90), "{took:?}");

    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let word = |school: &str, target: &str| {
        let rows = report["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| {
            row["judgement"]["school"] == school && row["judgement"]["target"] == target
        });
        let row = row.unwrap_or_else(|| panic!("no row for {school} and {target}"));
        let cause = row["cause"]["cause"].as_str().unwrap_or_default();
        format!(
            "{} {cause}",
            row["judgement"]["verdict"]["word"].as_str().unwrap()
        )
    };
    let (primary, grammar, vocational) = ("XX-100001", "XX-100002", "XX-100003");
    let per_class = "de-aufgreifschwelle-30/down";
    assert_eq!(word(primary, per_class), "missed contract-too-small");
    assert_eq!(word(grammar, per_class), "met ");
    assert_eq!(word(grammar, "de-gigabit/up"), "met ");
    assert_eq!(word(vocational, per_class), "missed contract-too-small");
    assert_eq!(word(primary, "voice-video/loss"), "met ");
    assert_eq!(word(vocational, "voice-video/loss"), "missed line-quality");
    assert!(report["shortened"].as_str().unwrap().contains("demo"));

    let results = folder.path().join("results");
    for (file, beginning) in [
        ("coverage.svg", &b"<svg"[..]),
        ("coverage.png", b"\x89PNG"),
        ("throughput.svg", b"<svg"),
        ("throughput.png", b"\x89PNG"),
        ("recommendations.json", b"["),
        ("report.json", b"{"),
        ("dashboard.html", b"<!DOCTYPE html>"),
    ] {
        let content = fs::read(results.join(file)).unwrap();
        assert!(content.starts_with(beginning), "{file}");
    }
    let recommendations = fs::read_to_string(results.join("recommendations.json")).unwrap();
    assert!(
        recommendations.contains("fibre-connection"),
        "{recommendations}"
    );
    assert_nothing_left(folder.path(), &before);
}

fn start_demo(folder: &Path) -> Child {
    let demo = messnetz(folder, &["demo", "--port", "0", "--out", "results"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_mins(1);
    // The demo itself, the collector, three agents.
    while processes_in(folder).len() < 5 {
        assert!(
            Instant::now() < end,
            "the demo did not come up: {:?}",
            processes_in(folder)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    demo
}

#[test]
fn a_demo_that_is_interrupted_or_killed_leaves_nothing_behind() {
    let _quiet = quiet();
    let before = interfaces();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let folder = tempfile::tempdir().unwrap();
        let mut demo = start_demo(folder.path());
        kill(Pid::from_raw(demo.id().cast_signed()), signal).unwrap();
        demo.wait().unwrap();
        assert_nothing_left(folder.path(), &before);
    }
}

#[test]
fn a_town_whose_lines_lead_to_unknown_sites_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let written = run(folder.path(), &["demo", "--write-config", "town"]);
    assert!(written.status.success(), "{}", stderr(&written));
    let network = folder.path().join("town/network.toml");
    let text = fs::read_to_string(&network).unwrap();
    fs::write(&network, text.replace("XX-100002/main", "XX-100009/main")).unwrap();
    let output = run(
        folder.path(),
        &["demo", "--config", "town", "--once", "--port", "0"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("XX-100009/main"),
        "{}",
        stderr(&output)
    );

    fs::write(&network, text.replace("round_trip", "roundtrip")).unwrap();
    let output = run(
        folder.path(),
        &["demo", "--config", "town", "--once", "--port", "0"],
    );
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains("network.toml:") && said.contains("did you mean `round_trip`"),
        "{said}"
    );
}

#[test]
fn a_folder_that_no_demo_made_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("run/precious");
    fs::create_dir(precious.parent().unwrap()).unwrap();
    fs::write(&precious, "work of years").unwrap();
    let output = run(
        folder.path(),
        &["demo", "--once", "--port", "0", "--out", "."],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("was not made by a demo"),
        "{}",
        stderr(&output)
    );
    assert_eq!(fs::read_to_string(&precious).unwrap(), "work of years");
}

/// Whether this process may become another user: not within a user namespace of one.
fn may_change_user() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    let length = map
        .split_whitespace()
        .nth(2)
        .and_then(|length| length.parse::<u64>().ok());
    nix::unistd::geteuid().is_root() && length > Some(65_534)
}

#[test]
fn an_ordinary_user_can_run_the_demo_or_is_told_what_stands_in_the_way() {
    const NOBODY: u32 = 65_534;
    let _quiet = quiet();
    if !may_change_user() {
        not_checked("these tests run as one user only, who is not root of the machine");
        return;
    }
    let before = interfaces();
    // The program is copied to where everybody may read it; the build's folder may be root's alone.
    let everybody = tempfile::tempdir().unwrap();
    fs::set_permissions(everybody.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = everybody.path().join("messnetz");
    fs::copy(env!("CARGO_BIN_EXE_messnetz"), &program).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();

    let demo = Command::new(&program)
        .args(["demo", "--port", "0", "--out", "results"])
        .current_dir(folder.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_mins(1);
    let ended = || fs::read_link(format!("/proc/{}/exe", demo.id())).is_err();
    while processes_in(folder.path()).len() < 5 && !ended() {
        assert!(Instant::now() < end, "the demo did not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
    if ended() {
        let said = stderr(&demo.wait_with_output().unwrap());
        assert!(said.contains("user namespace"), "{said}");
        not_checked(&format!("beyond the refusal, which was: {said}"));
        return;
    }
    kill(Pid::from_raw(demo.id().cast_signed()), Signal::SIGINT).unwrap();
    demo.wait_with_output().unwrap();
    assert_nothing_left(folder.path(), &before);
}
