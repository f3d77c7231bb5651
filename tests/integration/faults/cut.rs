//! The network is cut in the middle of each message of enrolment and upload.

use std::time::{Duration, Instant};

use super::keeper::Journal;
use super::proof::{Evidence, nothing_was_given_up};
use super::relay::{End, Passed, Plan, Relay, Way};
use super::scene::{Part, SITE, Scene};
use crate::doors::free_port;
use crate::program::{run, stderr};
use crate::quiet::quiet;

/// Where connections are cut: bytes of the first connection there, back, of the second there, and so on.
struct Sweep(Vec<Passed>);

impl Sweep {
    fn len(&self) -> u64 {
        self.0.iter().map(|passed| passed.there + passed.back).sum()
    }

    /// The `index`-th place of `of`, evenly spread: the connections before it pass.
    fn plan(&self, index: u64, of: u64) -> Vec<Plan> {
        let mut place = index * self.len() / of.max(1) % self.len();
        let end = [End::Closed, End::Reset, End::Silent][usize::try_from(index % 3).unwrap()];
        let mut plans = Vec::new();
        for passed in &self.0 {
            for (way, length) in [(Way::There, passed.there), (Way::Back, passed.back)] {
                if place < length {
                    let after = place;
                    plans.push(Plan::Cut { way, after, end });
                    return plans;
                }
                place -= length;
            }
            plans.push(Plan::Pass);
        }
        plans
    }
}

/// A scene whose agents knock at a relay.
fn scene_behind_a_relay() -> (Scene, Relay) {
    let door = free_port();
    let relay = Relay::to(door);
    let mut scene = Scene::new("cut", door, Some(relay.port));
    scene.calm();
    scene.start(Part::Collector);
    scene.wait_for_door();
    (scene, relay)
}

#[test]
fn an_upload_that_is_cut_anywhere_is_made_up_for_and_nothing_comes_twice() {
    let _quiet = quiet();
    let (mut scene, relay) = scene_behind_a_relay();
    scene.enrol("agent", SITE);
    let mut spool = scene.open_spool();
    let mut journal = Journal::default();
    journal.keep(&mut spool, 0..20);
    relay.next();
    scene.start(Part::Agent);
    scene.wait_until_empty();
    scene.kill(Part::Agent);
    let sweep = Sweep(vec![relay.next()]);
    assert!(sweep.len() > 1_000, "{} bytes are no upload", sweep.len());

    let (mut number, trials, mut cuts) = (20, super::rounds(60), 0);
    for trial in 0..trials {
        journal.keep(&mut spool, number..number + 2);
        number += 2;
        relay.passed();
        let plan = sweep.plan(trial, trials);
        relay.plan(plan.clone());
        scene.start(Part::Agent);
        cuts += u64::from(plan.iter().any(|_| relay.next().cut));
        // Now and then the line heals under the agent that saw the cut.
        if trial % 12 == 11 {
            let slow = Plan::Slow {
                piece: 64,
                rest: Duration::from_millis(1),
            };
            relay.plan([slow]);
            if trial % 3 != 2 {
                scene.wait_until_empty();
            }
        }
        scene.kill(Part::Agent);
    }
    relay.plan([]);
    scene.drain();
    let evidence = Evidence::of(&scene);
    evidence.is_what_was_kept_once(&journal);
    assert_eq!(evidence.chains.len(), 1, "an epoch was given up");
    nothing_was_given_up(&scene);
    println!("{cuts} cuts in uploads of {} bytes", sweep.len());
}

#[test]
fn an_enrolment_that_is_cut_anywhere_is_made_up_for_with_the_same_ticket() {
    let _quiet = quiet();
    let (scene, relay) = scene_behind_a_relay();
    scene.enrol("first", SITE);
    let sweep = Sweep(vec![relay.next()]);
    assert!(sweep.len() > 1_000, "{} is no enrolment", sweep.len());
    let trials = super::rounds(24);
    let mut agents = std::collections::BTreeSet::new();
    for trial in 0..trials {
        let (ticket, state) = (scene.ticket(SITE), format!("agent-{trial}"));
        let arguments = ["agent", "enrol", &ticket, "--state", &state];
        relay.passed();
        relay.plan(sweep.plan(trial, trials));
        let mut cut = scene.spawn(&scene.school, &arguments);
        relay.next();
        // Where nobody is told of the cut, a user loses patience.
        let patience = Instant::now() + Duration::from_millis(200);
        while cut.try_wait().unwrap().is_none() {
            if Instant::now() > patience {
                cut.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        relay.plan([]);
        if !scene.school.join(&state).join("enrolment.json").exists() {
            let mut again = run(&scene.school, &arguments);
            // So many trials are more than one source may make in the time.
            while stderr(&again).contains("too many enrolments") {
                std::thread::sleep(Duration::from_secs(1));
                again = run(&scene.school, &arguments);
            }
            assert!(again.status.success(), "trial {trial}: {}", stderr(&again));
        }
        let enrolled = std::fs::read(scene.school.join(&state).join("enrolment.json")).unwrap();
        let enrolled: serde_json::Value = serde_json::from_slice(&enrolled).unwrap();
        agents.insert(enrolled["agent"].as_str().unwrap().to_owned());
    }
    let known = run(&scene.town, &["collector", "agents", "--json"]);
    let known: serde_json::Value = serde_json::from_slice(&known.stdout).unwrap();
    assert_eq!(agents.len() as u64, trials, "{agents:?}");
    assert_eq!(known.as_array().unwrap().len() as u64, trials + 1);
    println!("{trials} cuts in enrolments of {} bytes", sweep.len());
}
