//! `cargo xtask fuzz`: throws damaged input at whatever reads what others wrote.
//!
//! No coverage is measured, because that needs a nightly toolchain. In its place every target says in a
//! line what it made of an input, and an input that makes it say something new is kept to be damaged
//! further. The same seed gives the same inputs in the same order.
//!
//! The input at work lies in a file, so that whatever ends the process (a panic, a full stack, memory, an
//! input that never ends) leaves the input behind.

mod batches;
mod current;
mod datagrams;
mod iperf3;
mod locate;
mod mutate;
mod quote;
mod schedules;
mod spool;
mod targets;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use current::Current;
use mutate::{Random, mutated};
use targets::{TARGETS, Target};

const HELP: &str = "Usage: fuzz list | fuzz TARGET SECONDS FOLDER [SEED]";

/// More inputs are not kept: the newest take the place of a random one.
const POOL: usize = 2_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["list"] => {
            for target in TARGETS {
                println!("{}", target.name);
            }
            Ok(())
        }
        [name, seconds, folder] => fuzz(name, seconds, Path::new(folder), "1"),
        [name, seconds, folder, seed] => fuzz(name, seconds, Path::new(folder), seed),
        _ => Err(anyhow::anyhow!(HELP)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fuzz: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn fuzz(name: &str, seconds: &str, folder: &Path, seed: &str) -> Result<()> {
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        bail!(
            "there is no target `{name}`; there are {}",
            names.join(", ")
        );
    };
    let seconds: u64 = seconds.parse().context("SECONDS is a whole number")?;
    let seed: u64 = seed.parse().context("SEED is a whole number")?;
    let mut current = Current::create(folder, name)?;
    let mut pool = inputs(target)?;
    let mut answers = HashSet::new();
    for input in &pool {
        current.set(input)?;
        answers.insert((target.run)(input));
    }
    let replayed = pool.len();
    let mut random = Random::new(seed);
    let (start, time) = (Instant::now(), Duration::from_secs(seconds));
    let (mut runs, mut slowest) = (0_u64, Duration::ZERO);
    while start.elapsed() < time {
        let input = mutated(&pool, target.words, &mut random);
        current.set(&input)?;
        let begun = Instant::now();
        let said = (target.run)(&input);
        slowest = slowest.max(begun.elapsed());
        runs += 1;
        if answers.insert(said) {
            if pool.len() < POOL {
                pool.push(input);
            } else {
                let at = random.below(pool.len());
                pool[at] = input;
            }
        }
    }
    current.done()?;
    println!(
        "{name:<10} {replayed} stored inputs replayed; {runs} damaged ones in {seconds} s (seed {seed}), {} answers, slowest {} ms",
        answers.len(),
        slowest.as_millis(),
    );
    Ok(())
}

/// The seeds of a target, and what is stored in its corpus.
fn inputs(target: &Target) -> Result<Vec<Vec<u8>>> {
    let folder = corpus().join(target.name);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .with_context(|| format!("cannot read {}", folder.display()))?;
    files.sort();
    let mut inputs = (target.seeds)()?;
    for file in files {
        let input = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        inputs.push(input);
    }
    if inputs.is_empty() {
        bail!("{} has no input to begin with", folder.display());
    }
    Ok(inputs)
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_input_is_survived() {
        for target in TARGETS {
            for input in inputs(target).unwrap() {
                let said = (target.run)(&input);
                assert!(!said.is_empty(), "{}", target.name);
            }
        }
    }

    #[test]
    fn every_target_has_an_input_that_is_understood_and_can_be_damaged() {
        for target in TARGETS {
            let understood = |input: &Vec<u8>| (target.run)(input).starts_with("ok");
            assert!(
                inputs(target).unwrap().iter().any(understood),
                "{}",
                target.name
            );
        }
    }

    #[test]
    fn no_corpus_belongs_to_a_target_that_is_gone() {
        for entry in fs::read_dir(corpus()).unwrap() {
            let name = entry.unwrap().file_name();
            assert!(
                TARGETS.iter().any(|target| name == target.name),
                "{}",
                name.display()
            );
        }
    }
}
