//! What the collector has, read by the program's own commands, and held against what was kept.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use messnetz::wire::batch::Batch;
use messnetz_metric::{Observation, Outcome};

use super::keeper::Journal;
use super::numbered::{metric, number_at, number_of, sample, times};
use super::scene::{SITE, Scene};
use crate::program::{run, stderr};

/// The batches of one agent and epoch, by number.
type Chain = BTreeMap<u64, Batch>;

/// Everything that a collector has of a site.
pub(super) struct Evidence {
    /// By agent and epoch.
    pub(super) chains: BTreeMap<(String, u64), Chain>,
    /// How often each number is in a batch.
    pub(super) numbers: BTreeMap<u64, u64>,
    /// What the agents themselves could not measure.
    pub(super) failures: Vec<Observation>,
    /// How often numbers came twice with different content, by agent.
    pub(super) forks: BTreeMap<String, u64>,
}

impl Evidence {
    /// Fetches every batch and verifies it, its place in its chain and its observations. That the samples are
    /// those of the batches is held too.
    pub(super) fn of(scene: &Scene) -> Self {
        let mut evidence = Self {
            chains: BTreeMap::new(),
            numbers: BTreeMap::new(),
            failures: Vec::new(),
            forks: BTreeMap::new(),
        };
        let mut keys = BTreeMap::new();
        let agents = json(scene, &["collector", "agents", "--json"]);
        for agent in agents.as_array().unwrap() {
            let id = agent["agent"].as_str().unwrap().to_owned();
            let forks = agent["forks"].as_u64().unwrap();
            evidence.forks.insert(id.clone(), forks);
            keys.insert(id, agent["public_key"].as_str().unwrap().to_owned());
        }
        for (agent, epoch, sequence) in listed(scene) {
            let batch = fetched(scene, (&agent, epoch, sequence), &keys[&agent]);
            for found in batch.observations() {
                match number_of(&found) {
                    Some(number) => *evidence.numbers.entry(number).or_default() += 1,
                    None if matches!(found.outcome, Outcome::Failed(_)) => {
                        evidence.failures.push(found);
                    }
                    None => {}
                }
            }
            let chain = evidence.chains.entry((agent, epoch)).or_default();
            chain.insert(sequence, batch);
        }
        evidence.hold_chains();
        evidence.hold_samples(scene);
        evidence.hold_gaps(scene, &keys);
        evidence
    }

    fn hold_chains(&self) {
        for (name, chain) in &self.chains {
            for (sequence, batch) in chain {
                let header = batch.header();
                let said = (header.agent.as_str(), header.epoch, header.sequence);
                assert_eq!(said, (name.0.as_str(), name.1, *sequence));
                assert_eq!(header.previous.is_none(), *sequence == 1);
                if let Some(before) = chain.get(&(sequence - 1)) {
                    assert_eq!(header.previous, Some(before.hash()), "{said:?}");
                }
            }
        }
    }

    fn hold_samples(&self, scene: &Scene) {
        let (metric, (from, to)) = (metric().to_string(), times());
        let (from, to) = (from.to_string(), to.to_string());
        let arguments = ["collector", "samples", SITE, &metric, "--json"];
        let found = json(
            scene,
            &[&arguments[..], &["--from", &from, "--to", &to]].concat(),
        );
        let mut samples: BTreeMap<u64, u64> = BTreeMap::new();
        for found in found.as_array().unwrap() {
            let number = number_at(found["at_unix_ms"].as_i64().unwrap());
            let expected = serde_json::to_value(sample(number)).unwrap();
            assert_eq!(found["value"], expected, "number {number} is altered");
            *samples.entry(number).or_default() += 1;
        }
        let in_batches = self.numbers.iter().map(|(number, times)| (*number, *times));
        let in_batches: BTreeMap<_, _> = in_batches.filter(|one| sample(one.0).is_some()).collect();
        let differ: Vec<_> = in_batches
            .keys()
            .chain(samples.keys())
            .filter(|number| samples.get(number) != in_batches.get(number))
            .take(10)
            .collect();
        assert!(
            differ.is_empty(),
            "samples are not those of the batches: {differ:?}"
        );
    }

    /// What the collector tells of missing numbers is what is missing.
    fn hold_gaps(&self, scene: &Scene, agents: &BTreeMap<String, String>) {
        let mut told = BTreeSet::new();
        for agent in agents.keys() {
            let output = run(&scene.town, &["collector", "gaps", agent, "--json"]);
            let gaps: serde_json::Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|_| panic!("{}", stderr(&output)));
            for gap in gaps["gaps"].as_array().unwrap() {
                let number = |name: &str| gap[name].as_u64().unwrap();
                let numbers = number("from")..=number("to");
                told.extend(numbers.map(|missing| (number("epoch"), missing)));
            }
        }
        let missing: BTreeSet<_> = self.gaps().into_iter().collect();
        assert_eq!(told, missing, "what the collector says is missing");
    }

    /// Numbers that are missing within the chains: what a collector can know that it does not have.
    pub(super) fn gaps(&self) -> Vec<(u64, u64)> {
        let missing = |((_, epoch), chain): (&(String, u64), &Chain)| {
            let last = chain.keys().next_back().copied().unwrap_or_default();
            let missing = (1..last).filter(|number| !chain.contains_key(number));
            missing.map(|number| (*epoch, number)).collect::<Vec<_>>()
        };
        self.chains.iter().flat_map(missing).collect()
    }

    /// Everything that was kept is there, and nothing that was not handed in; each once.
    pub(super) fn is_what_was_kept_once(&self, journal: &Journal) {
        self.is_what_was_kept_but(journal, 0);
    }

    /// The same, but for so many of which the agent says that it gave them up; how many are missing.
    pub(super) fn is_what_was_kept_but(&self, journal: &Journal, given_up: u64) -> usize {
        let lost = self.has_all_that_was_kept_but(journal, given_up);
        let twice: Vec<_> = self.numbers.iter().filter(|(_, n)| **n > 1).collect();
        assert!(twice.is_empty(), "{} came twice: {twice:?}", twice.len());
        assert_eq!(self.gaps(), [], "batches are missing");
        assert!(self.forks.values().all(|n| *n == 0), "{:?}", self.forks);
        lost
    }

    /// Everything that was kept is there, and nothing that was not handed in.
    pub(super) fn has_all_that_was_kept(&self, journal: &Journal) {
        self.has_all_that_was_kept_but(journal, 0);
    }

    fn has_all_that_was_kept_but(&self, journal: &Journal, given_up: u64) -> usize {
        let there: BTreeSet<u64> = self.numbers.keys().copied().collect();
        let lost: Vec<_> = journal.kept.difference(&there).collect();
        let first = &lost[..lost.len().min(20)];
        let (kept, lost) = (journal.kept.len(), lost.len());
        assert!(
            lost as u64 <= given_up,
            "{lost} of {kept} kept are lost, and {given_up} were given up: {first:?}"
        );
        let invented: Vec<_> = there.difference(&journal.tried).collect();
        assert!(invented.is_empty(), "nobody measured {invented:?}");
        assert!(kept > 0, "nothing was kept");
        lost
    }
}

/// The agent lost nothing that it could not send.
pub(super) fn nothing_was_given_up(scene: &Scene) {
    let status = scene.status();
    for lost in [
        "refused_batches",
        "given_up_observations",
        "unreadable_observations",
    ] {
        assert_eq!(status[lost], 0, "{status}");
    }
}

fn json(scene: &Scene, arguments: &[&str]) -> serde_json::Value {
    let output = run(&scene.town, arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Agent, epoch and number of every batch of the site: of whatever table names one, because batches move from
/// one to another as they grow old.
fn listed(scene: &Scene) -> BTreeSet<(String, u64, u64)> {
    let mut store = rusqlite::Connection::open(scene.town.join("data/store.db")).unwrap();
    // What is sealed meanwhile is seen once.
    let store = store.transaction().unwrap();
    let mut tables = store
        .prepare(
            "SELECT name FROM sqlite_master AS t WHERE type = 'table' AND 4 = (
                 SELECT count(*) FROM pragma_table_info(t.name)
                 WHERE name IN ('site', 'agent', 'epoch', 'sequence'))",
        )
        .unwrap();
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let unsigned = |row: &rusqlite::Row<'_>, column| row.get(column).map(i64::cast_unsigned);
    let mut listed = BTreeSet::new();
    for table in tables.map(Result::unwrap) {
        let batches = format!("SELECT agent, epoch, sequence FROM {table} WHERE site = ?1");
        let mut batches = store.prepare(&batches).unwrap();
        let batches = batches.query_map([SITE], |row| {
            Ok((row.get(0)?, unsigned(row, 1)?, unsigned(row, 2)?))
        });
        listed.extend(batches.unwrap().map(Result::unwrap));
    }
    let mut segments = store
        .prepare("SELECT agent, epoch, from_sequence, to_sequence FROM segment WHERE site = ?1")
        .unwrap();
    let segments = segments.query_map([SITE], |row| {
        let agent: String = row.get(0)?;
        Ok((
            agent,
            unsigned(row, 1)?,
            unsigned(row, 2)?..=unsigned(row, 3)?,
        ))
    });
    for (agent, epoch, numbers) in segments.unwrap().map(Result::unwrap) {
        listed.extend(numbers.map(|number| (agent.clone(), epoch, number)));
    }
    listed
}

/// A batch as it came, which holds.
fn fetched(scene: &Scene, (agent, epoch, sequence): (&str, u64, u64), key: &str) -> Batch {
    let file = scene.town.join("fetched.json");
    let _ = std::fs::remove_file(&file);
    let (epoch, sequence) = (epoch.to_string(), sequence.to_string());
    let arguments = ["collector", "batch", SITE, agent, &epoch, &sequence];
    let out = file.to_str().unwrap();
    let output = run(
        &scene.town,
        &[&arguments[..], &["--out", out, "--json"]].concat(),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let output = run(&scene.town, &["batch", "verify", out, "--key", key]);
    assert!(output.status.success(), "{}", stderr(&output));
    let batch = Batch::read(&std::fs::read(&file).unwrap()).unwrap();
    assert!(batch.is_whole() && batch.is_signed_by(&STANDARD.decode(key).unwrap()));
    batch
}
