//! Clocks that are set: agent and collector see a time of day of their own (libfaketime), while the time
//! since they were started goes on as it does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::proof::{Evidence, nothing_was_given_up};
use super::scene::{Part, Scene};
use crate::quiet::quiet;

/// What a clock is off by, in seconds: a box that has none begins in 1970 and learns the time later.
const STEPS: [i64; 8] = [
    0,
    3_600,
    -3_600,
    172_800,
    -172_800,
    31_536_000,
    -1_000_000_000,
    7,
];

/// The library that stands between a program and the clock.
fn library() -> PathBuf {
    let libraries = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut places = libraries.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    places
        .find(|place| place.exists())
        .expect("the Debian package faketime is missing: `cargo xtask test` installs it")
}

/// Sets the clock of whoever was started with this file.
fn set(clock: &Path, seconds: i64) {
    let new = clock.with_extension("new");
    std::fs::write(&new, format!("{seconds:+}s\n")).unwrap();
    std::fs::rename(new, clock).unwrap();
}

/// What a program is started with to see that clock.
fn environment(clock: &Path) -> Vec<(&'static str, String)> {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    vec![
        ("LD_PRELOAD", text(&library())),
        ("FAKETIME_TIMESTAMP_FILE", text(clock)),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ]
}

#[test]
fn clocks_that_are_set_lose_nothing_and_invent_no_outage() {
    let _quiet = quiet();
    let mut scene = Scene::enrolled("clock");
    scene.kill(Part::Collector);
    let (town, school) = (scene.town.join("clock"), scene.school.join("clock"));
    scene.start(Part::Keeper);
    for _ in 0..super::rounds(8) {
        for (part, clock) in [(Part::Collector, &town), (Part::Agent, &school)] {
            let step = STEPS[usize::try_from(scene.below(STEPS.len() as u64)).unwrap()];
            // Some learn the time while they run, some agents while they are off. The collector is always there:
            // that it could not be reached would be invented.
            if part == Part::Agent && scene.below(3) == 0 {
                scene.kill(part);
            }
            set(clock, step);
            scene.environment = environment(clock);
            scene.start(part);
            if part == Part::Collector {
                scene.wait_for_door();
            }
        }
        let time = 300 + scene.below(400);
        std::thread::sleep(Duration::from_millis(time));
    }
    for clock in [&town, &school] {
        set(clock, 0);
    }
    scene.drain();
    let journal = scene.kept();
    let evidence = Evidence::of(&scene);
    evidence.is_what_was_kept_once(&journal);
    assert_eq!(evidence.chains.len(), 1, "an epoch was given up");
    assert_eq!(evidence.failures, [], "outages that nobody had");
    nothing_was_given_up(&scene);
    println!("{} kept", journal.kept.len());
}
