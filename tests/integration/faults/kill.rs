//! SIGKILL at random moments, while starting, sealing, sending and committing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::proof::{Evidence, nothing_was_given_up};
use super::scene::{Part, Scene};
use crate::quiet::quiet;

#[test]
fn what_was_kept_arrives_once_however_often_agent_and_collector_are_killed() {
    let _quiet = quiet();
    let mut scene = Scene::enrolled("kill");
    let mut kills = 0;
    while kills < super::rounds(20) {
        for part in [Part::Collector, Part::Keeper, Part::Agent] {
            scene.start(part);
        }
        // Some die while they start.
        let longest = if scene.below(4) == 0 { 40_000 } else { 500_000 };
        let life = Duration::from_micros(scene.below(longest));
        std::thread::sleep(life);
        let victims = 1 + scene.below(7);
        for part in [Part::Collector, Part::Agent, Part::Keeper] {
            if victims & (1 << part as u64) != 0 {
                scene.kill(part);
                kills += u64::from(part != Part::Keeper);
            }
        }
        // A keeper opens the spool before an agent does. An agent whose collector was gone waits longer each time;
        // a new one asks at once.
        if scene.is_gone(Part::Keeper) || scene.below(2) == 0 {
            kills += u64::from(scene.kill(Part::Agent));
        }
    }
    scene.drain();
    let journal = scene.kept();
    assert_eq!(journal.refused, [""; 0], "the spool took none of these");
    let evidence = Evidence::of(&scene);
    evidence.is_what_was_kept_once(&journal);
    assert_eq!(evidence.chains.len(), 1, "an epoch was given up");
    nothing_was_given_up(&scene);
    let batches: usize = evidence.chains.values().map(BTreeMap::len).sum();
    println!(
        "{kills} kills; {} kept, {batches} batches",
        journal.kept.len()
    );
}
