//! `cargo xtask faults`: breaks the program for longer than the test command does.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{program, root};

/// One way of breaking it.
struct Fault {
    name: &'static str,
    what: &'static str,
    /// Where cargo finds its tests.
    tests: &'static [&'static str],
    /// How often where nothing else is asked for.
    rounds: &'static str,
    /// What the tests are told besides.
    given: &'static [&'static str],
}

const INTEGRATION: &str = "--test=integration";

const FAULTS: [Fault; 9] = [
    Fault {
        name: "kill",
        what: "SIGKILL of agent and collector at random moments",
        tests: &[INTEGRATION, "faults::kill::"],
        rounds: "400",
        given: &[],
    },
    Fault {
        name: "cut",
        what: "the network cut in each message of enrolment and upload; with --rounds 5000 at every byte",
        tests: &[INTEGRATION, "faults::cut::"],
        rounds: "1000",
        given: &[],
    },
    Fault {
        name: "twist",
        what: "batches that come twice, in any order, shortened, with flipped bits, under other names",
        tests: &[INTEGRATION, "faults::twist::"],
        rounds: "1000",
        given: &[],
    },
    Fault {
        name: "full",
        what: "full disks of the agent and of the collector",
        tests: &[INTEGRATION, "faults::full::"],
        rounds: "20",
        given: &[],
    },
    Fault {
        name: "away",
        what: "days without a collector; a round is a day",
        tests: &[INTEGRATION, "faults::away::"],
        rounds: "30",
        given: &[],
    },
    Fault {
        name: "clock",
        what: "clocks of agent and collector that are set, back and ahead",
        tests: &[INTEGRATION, "faults::clock::"],
        rounds: "200",
        given: &[],
    },
    Fault {
        name: "restore",
        what: "agents copied or set back to a backup, collectors set back",
        tests: &[INTEGRATION, "faults::restore::"],
        rounds: "20",
        given: &[],
    },
    Fault {
        name: "power-cut",
        what: "the power cut at every write of a spool; a round is a few of the disks that it may leave",
        tests: &["--lib", "agent::spool::power_cut::"],
        rounds: "40",
        given: &[],
    },
    Fault {
        name: "wear",
        what: "what a day of measuring writes to the disk that TMPDIR is on",
        tests: &[
            "--lib",
            "a_day_of_watching_writes_no_more_than_a_flash_card_bears",
        ],
        rounds: "1",
        given: &["--ignored"],
    },
];

/// Runs the faults named, or all.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let asked = Asked::parse(arguments)?;
    let named = |fault: &&Fault| asked.names.is_empty() || asked.names.contains(&fault.name);
    for fault in FAULTS.iter().filter(named) {
        let (rounds, seed) = (asked.rounds.unwrap_or(fault.rounds), asked.seed);
        let again = format!(
            "cargo xtask faults {} --rounds {rounds} --seed {seed}",
            fault.name
        );
        println!("\n=== {}: {} ===\n$ {again}", fault.name, fault.what);
        let status = Command::new(program())
            .args(["test", "--locked", "-p", "messnetz"])
            .args(fault.tests)
            .args(["--", "--nocapture", "--test-threads=1"])
            .args(fault.given)
            .env("MESSNETZ_FAULTS_ROUNDS", rounds)
            .env("MESSNETZ_FAULTS_SEED", seed)
            .current_dir(root())
            .status()
            .context("cannot run cargo test")?;
        if !status.success() {
            bail!("`{again}` failed; the folder named above has what is left");
        }
    }
    Ok(())
}

/// What the command line asks for.
#[derive(Debug)]
struct Asked<'a> {
    names: Vec<&'a str>,
    rounds: Option<&'a str>,
    seed: &'a str,
}

impl<'a> Asked<'a> {
    fn parse(arguments: &[&'a str]) -> Result<Self> {
        let mut asked = Self {
            names: Vec::new(),
            rounds: None,
            seed: "1",
        };
        let mut words = arguments.iter().copied();
        while let Some(word) = words.next() {
            let mut number = || {
                let number = words
                    .next()
                    .with_context(|| format!("{word} needs a number"))?;
                number
                    .parse::<u64>()
                    .with_context(|| format!("{word} needs a number, and '{number}' is none"))?;
                Ok::<_, anyhow::Error>(number)
            };
            match word {
                "--rounds" => asked.rounds = Some(number()?),
                "--seed" => asked.seed = number()?,
                name if FAULTS.iter().any(|fault| fault.name == name) => asked.names.push(name),
                other => {
                    let known = FAULTS.map(|fault| format!("  {}: {}", fault.name, fault.what));
                    bail!(
                        "there is no fault '{other}'; there are:\n{}",
                        known.join("\n")
                    )
                }
            }
        }
        Ok(asked)
    }
}
