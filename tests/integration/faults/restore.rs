//! Disks that are set back: an agent's directory copied or restored, a collector's store restored.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::keeper::Journal;
use super::proof::{Evidence, nothing_was_given_up};
use super::scene::{Part, Scene};
use crate::program::{run, stdout};
use crate::quiet::quiet;

/// Puts a copy of one directory in the place of another.
fn put(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

/// A scene in which only numbers are measured.
fn calm_scene() -> Scene {
    let mut scene = Scene::enrolled("restore");
    scene.kill(Part::Collector);
    scene.calm();
    scene.start(Part::Collector);
    scene.wait_for_door();
    scene
}

fn alarms(scene: &Scene) -> String {
    stdout(&run(&scene.town, &["collector", "agents"]))
}

#[test]
fn an_agent_that_is_set_back_to_a_backup_loses_nothing_and_goes_on_in_a_new_epoch() {
    let _quiet = quiet();
    let mut scene = calm_scene();
    let (agent, backup) = (scene.school.join("agent"), scene.school.join("backup"));
    for _ in 0..super::rounds(2) {
        scene.start(Part::Keeper);
        scene.start(Part::Agent);
        let time = 100 + scene.below(400);
        std::thread::sleep(Duration::from_millis(time));
        // What waits when the backup is made is sent before it is restored, and again after it.
        scene.kill(Part::Agent);
        std::thread::sleep(Duration::from_millis(50));
        scene.kill(Part::Keeper);
        let before = scene.kept();
        put(&agent, &backup);
        scene.start(Part::Keeper);
        scene.start(Part::Agent);
        std::thread::sleep(Duration::from_millis(time));
        scene.kill(Part::Keeper);
        scene.wait_until_empty();
        scene.kill(Part::Agent);
        put(&backup, &agent);
        scene.start(Part::Keeper);
        scene.start(Part::Agent);
        std::thread::sleep(Duration::from_millis(time));
        scene.drain();
        scene.kill(Part::Agent);
        let evidence = Evidence::of(&scene);
        evidence.has_all_that_was_kept(&scene.kept());
        assert_eq!(evidence.gaps(), [], "batches are missing");
        assert!(evidence.chains.len() > 1, "one epoch");
        assert!(!alarms(&scene).contains("FORKED"), "{}", alarms(&scene));
        let twice = evidence.numbers.iter().filter(|(_, times)| **times > 1);
        let mut of_the_backup = twice.map(|(number, _)| before.tried.contains(number));
        assert!(of_the_backup.all(|waited| waited), "more came twice");
    }
    nothing_was_given_up(&scene);
}

#[test]
fn two_boxes_with_one_card_lose_nothing_and_are_an_alarm() {
    let _quiet = quiet();
    let mut scene = calm_scene();
    let (agent, copy) = (scene.school.join("agent"), scene.school.join("copy"));
    let mut journal = Journal::default();
    journal.keep(&mut scene.open_spool(), 0..10);
    scene.start(Part::Agent);
    scene.wait_until_empty();
    scene.kill(Part::Agent);
    put(&agent, &copy);
    let now = messnetz::clock::now();
    let mut spool = messnetz::agent::Spool::open(&copy.join("spool.db"), now).unwrap();
    journal.keep(&mut spool, 100..110);
    journal.keep(&mut scene.open_spool(), 200..210);
    scene.start(Part::Agent);
    scene.wait_until_empty();
    // The copy learns that there is more than it knows, and goes on by itself; so does the other box.
    let mut other = scene.spawn_agent("copy");
    super::scene::wait_until("an empty copy", || {
        let contents = spool.contents().unwrap();
        contents.observations == 0 && contents.batches == 0
    });
    journal.keep(&mut scene.open_spool(), 300..310);
    scene.wait_until_empty();
    other.kill().unwrap();
    other.wait().unwrap();
    let evidence = Evidence::of(&scene);
    evidence.has_all_that_was_kept(&journal);
    assert!(evidence.numbers.values().all(|times| *times == 1));
    assert_eq!(evidence.chains.len(), 2);
    assert!(
        alarms(&scene).contains("beside a later one"),
        "{}",
        alarms(&scene)
    );
}

#[test]
fn a_collector_that_is_set_back_is_sent_again_what_is_still_there_and_shows_the_rest_as_a_gap() {
    let _quiet = quiet();
    let mut scene = calm_scene();
    let (data, backup) = (scene.town.join("data"), scene.town.join("backup"));
    let mut spool = scene.open_spool();
    let mut journal = Journal::default();
    let mut send = |scene: &mut Scene, from: u64| {
        journal.keep(&mut spool, from..from + 10);
        scene.start(Part::Agent);
        scene.wait_until_empty();
        scene.kill(Part::Agent);
    };
    let last = |scene: &Scene| {
        let receipt = scene.status()["last_receipt"]["receipt"].clone();
        receipt["sequence"].as_u64().unwrap()
    };
    send(&mut scene, 0);
    let before = last(&scene);
    scene.kill(Part::Collector);
    put(&data, &backup);
    scene.start(Part::Collector);
    scene.wait_for_door();
    send(&mut scene, 10);
    send(&mut scene, 20);
    scene.kill(Part::Collector);
    put(&backup, &data);
    // One of them is here no more either.
    let gone = before + 1;
    rusqlite::Connection::open(scene.spool())
        .unwrap()
        .execute("DELETE FROM sent WHERE sequence = ?1", [gone.cast_signed()])
        .unwrap();
    scene.start(Part::Collector);
    scene.wait_for_door();
    send(&mut scene, 30);
    let evidence = Evidence::of(&scene);
    let there = |from: u64| {
        (from..from + 10)
            .filter(|n| evidence.numbers.contains_key(n))
            .count()
    };
    assert_eq!((there(0), there(30)), (10, 10));
    assert!(there(10) + there(20) >= 10, "{:?}", evidence.numbers);
    assert!(evidence.numbers.values().all(|times| *times == 1));
    let gaps = evidence.gaps();
    let numbers: Vec<u64> = gaps.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers, [gone]);
    let log = scene.log(Part::Agent);
    assert!(log.contains("what is still here is sent again"), "{log}");
    // The agent can prove that they were taken: it has the receipts.
    assert!(last(&scene) > before + 2);
    nothing_was_given_up(&scene);
}
