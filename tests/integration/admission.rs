//! Who is let in, kept out, moved and let in again, as operator and box see it.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use messnetz::store::{SqliteStore, Store as _};

use crate::doors::{
    SITE, batches_by_epoch, collector_in, end, enrolled, free_port, make_spool, start_agent,
    status, wait_until,
};
use crate::program::{messnetz, run, stderr, stdout};

const OTHER: &str = "XX-100002/main";

/// The only agent, as the operator sees it.
fn agent(town: &Path) -> serde_json::Value {
    let output = run(town, &["collector", "agents", "--json"]);
    let agents: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    agents[0].clone()
}

fn decide(town: &Path, decision: &[&str]) {
    let output = run(town, &[&["collector"], decision].concat());
    assert!(output.status.success(), "{}", stderr(&output));
}

fn wait_for_standing(town: &Path, standing: &str) {
    wait_until(standing, || agent(town)["standing"] == standing);
}

#[test]
fn an_agent_is_in_once_the_operator_has_typed_its_whole_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let (town, school) = (folder.path().join("town"), folder.path().join("school"));
    fs::create_dir(&school).unwrap();
    let _collector = collector_in(&town, free_port());
    let ticket = stdout(&run(&town, &["collector", "ticket", SITE, "--json"]));
    let ticket: serde_json::Value = serde_json::from_str(&ticket).unwrap();
    let ticket = ticket["ticket"].as_str().unwrap();
    let enrol = ["agent", "enrol", ticket, "--state", "agent", "--wait", "0"];
    let output = run(&school, &enrol);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let waiting = agent(&town);
    assert_eq!(waiting["standing"], "pending");
    let listed = stdout(&run(&town, &["collector", "agents"]));
    let (fingerprint, _) = listed.split_once("  ").unwrap();
    assert!(stderr(&output).contains(fingerprint), "{}", stderr(&output));
    let waits = run(&school, &["agent", "status", "--state", "agent"]);
    assert_eq!(waits.status.code(), Some(1));
    let said = stdout(&waits);
    assert!(
        said.contains(fingerprint) && said.contains("pending"),
        "{said}"
    );
    assert_eq!(status(&school)["site"], SITE);
    let doctor = stdout(&run(&school, &["agent", "doctor", "--state", "agent"]));
    let helps = format!("messnetz collector approve {fingerprint}");
    assert!(doctor.contains(&helps), "{doctor}");

    let running = start_agent(&school);
    let half = &fingerprint[..fingerprint.len() / 2];
    let refused = run(&town, &["collector", "approve", half]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("32 hexadecimal digits"));
    assert_eq!(agent(&town)["standing"], "pending");
    assert_eq!(batches_by_epoch(&town), []);
    let words: Vec<&str> = fingerprint.split(' ').collect();
    decide(&town, &[&["approve"], words.as_slice()].concat());
    wait_until("a batch", || !batches_by_epoch(&town).is_empty());
    end(running);
    assert!(!school.join("agent/ticket").exists());
}

#[test]
fn an_engineers_laptop_enrols_without_running() {
    let folder = tempfile::tempdir().unwrap();
    let (_collector, town, school) = enrolled(folder.path());
    assert_eq!(status(&school)["site"], SITE);
    assert_eq!(agent(&town)["standing"], "approved");
}

#[test]
fn what_a_restored_backup_measures_is_numbered_in_a_new_epoch_without_an_operator() {
    let folder = tempfile::tempdir().unwrap();
    let (_collector, town, school) = enrolled(folder.path());
    make_spool(&school);
    let spool = school.join("agent/spool.db");
    let backup = fs::read(&spool).unwrap();
    let running = start_agent(&school);
    wait_until("three batches", || {
        let taken = batches_by_epoch(&town);
        taken.first().is_some_and(|&(_, batches)| batches >= 3)
    });
    end(running);

    for beside in ["agent/spool.db-wal", "agent/spool.db-shm"] {
        let _ = fs::remove_file(school.join(beside));
    }
    fs::write(&spool, backup).unwrap();
    let running = start_agent(&school);
    wait_until("a second epoch", || batches_by_epoch(&town).len() == 2);
    end(running);
    assert_eq!(agent(&town)["standing"], "approved");
    assert_eq!(agent(&town)["forks"], 0);
}

#[test]
fn an_agent_whose_numbers_came_twice_waits_until_an_operator_has_looked_and_once_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let (_collector, town, school) = enrolled(folder.path());
    let running = start_agent(&school);
    wait_until("a batch", || !batches_by_epoch(&town).is_empty());
    // What a second box with this key would have sent.
    let known = agent(&town);
    let link = messnetz::wire::batch::Link {
        collector: messnetz::wire::CollectorId::of_key(&[1; 32]),
        agent: known["agent"]
            .as_str()
            .unwrap()
            .to_owned()
            .try_into()
            .unwrap(),
        site: SITE.to_owned(),
        epoch: batches_by_epoch(&town)[0].0.cast_unsigned(),
        sequence: 1,
        previous: None,
    };
    let other = messnetz::wire::batch::Batch::new(&link, &[]).unwrap();
    SqliteStore::open(&town.join("data/store.db"))
        .unwrap()
        .store_batch(&other, messnetz::clock::now())
        .unwrap();
    wait_for_standing(&town, "quarantined");
    wait_until("something that waits", || {
        status(&school)["waiting_observations"].as_u64() > Some(3)
    });
    assert_eq!(batches_by_epoch(&town).len(), 1);
    wait_until("a box that knows it", || {
        status(&school)["standing"] == "quarantined"
    });
    let id = known["agent"].as_str().unwrap();
    let refused = run(&town, &["collector", "approve", id]);
    assert!(
        stderr(&refused).contains("quarantine"),
        "{}",
        stderr(&refused)
    );
    // It has not heard that it is to begin an epoch, which is no new alarm.
    decide(&town, &["release", id]);
    wait_until("a second epoch", || batches_by_epoch(&town).len() == 2);
    wait_until("a box that knows it is in again", || {
        status(&school)["standing"] == "approved"
    });
    end(running);
    let status = status(&school);
    assert_eq!(status["refused_batches"], 0, "{status}");
    assert_eq!(status["given_up_observations"], 0, "{status}");
    assert_eq!(status["standing"], "approved", "{status}");
    assert_eq!(agent(&town)["standing"], "approved");
    assert_eq!(agent(&town)["forks"], 1);
}

#[test]
fn a_revoked_agent_sends_nothing_more_keeps_what_it_has_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (_collector, town, school) = enrolled(folder.path());
    let log = fs::File::create(school.join("log")).unwrap();
    let running = messnetz(&school, &["agent", "run", "--state", "agent"])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    wait_until("a batch", || !batches_by_epoch(&town).is_empty());
    let id = agent(&town)["agent"].as_str().unwrap().to_owned();
    decide(&town, &["revoke", &id]);
    let log = || fs::read_to_string(school.join("log")).unwrap();
    wait_until("the end of uploads", || {
        log().contains("revoked this agent's key")
    });
    let taken = batches_by_epoch(&town);
    let knows = status(&school);
    assert_eq!(knows["waiting_batches"], 1);
    assert_eq!(knows["standing"], "revoked");
    end(running);
    assert_eq!(batches_by_epoch(&town), taken);
    let back = run(&town, &["collector", "release", &id]);
    assert_eq!(back.status.code(), Some(2));
    assert!(stderr(&back).contains("for good"), "{}", stderr(&back));
}

#[test]
fn a_moved_agent_measures_for_its_new_site_under_a_new_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let (collector, town, school) = enrolled(folder.path());
    let running = start_agent(&school);
    wait_until("a batch", || !batches_by_epoch(&town).is_empty());
    let id = agent(&town)["agent"].as_str().unwrap().to_owned();
    let nowhere = run(&town, &["collector", "move", "XX-1/nowhere", &id]);
    assert_eq!(nowhere.status.code(), Some(2));
    decide(&town, &["move", OTHER, &id]);
    let sites = || -> Vec<(String, i64)> {
        rusqlite::Connection::open(town.join("data/store.db"))
            .unwrap()
            .prepare("SELECT site, epoch FROM tail GROUP BY site, epoch ORDER BY epoch")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    };
    wait_until("a batch of the new site", || sites().len() == 2);
    end(running);
    let sites = sites();
    assert_eq!((sites[0].0.as_str(), sites[1].0.as_str()), (SITE, OTHER));
    assert!(sites[0].1 < sites[1].1);
    let status = status(&school);
    assert_eq!(status["site"], OTHER);
    assert_eq!(status["refused_batches"], 0, "{status}");
    drop(collector);
}
