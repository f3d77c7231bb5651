//! Keeps numbered observations in the spool of an agent at work, in a process of its own that can be killed as
//! the agent can, and writes into a journal which of them the spool has taken.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use messnetz::agent::Spool;
use messnetz_probes::ndt7::pacing::SplitMix64;

use super::numbered::{BEGIN, begin, observation};

/// Numbers of one life: the next begins with the next million.
const LIFE: u64 = 1_000_000;

/// Most observations that are kept in one go.
const MOST: u64 = 8;

const SPOOL: &str = "MESSNETZ_KEEPER_SPOOL";
const JOURNAL: &str = "MESSNETZ_KEEPER_JOURNAL";
const NUMBER: &str = "MESSNETZ_KEEPER_LIFE";
const PAUSE: &str = "MESSNETZ_KEEPER_PAUSE";

/// The file that is locked by whoever opens the spool or writes into it from outside the agent: spools have one
/// writer, and look at what a writer left when they are opened.
const TURN: &str = "turn";

/// What was to be kept, and what was.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Handed to the spool: a kill may have come before the answer.
    pub(super) tried: BTreeSet<u64>,
    /// Taken by the spool.
    pub(super) kept: BTreeSet<u64>,
    /// Not taken, with the reason: not kept, as far as one can tell.
    pub(super) refused: Vec<String>,
    /// How many lives of a keeper have opened the spool.
    pub(super) opened: u64,
}

impl Journal {
    /// Reads what all lives of the keeper wrote.
    pub(super) fn read(path: &Path) -> Self {
        let mut journal = Self::default();
        let text = fs::read_to_string(path).unwrap_or_default();
        // A line without an end was cut by a kill: then the keeper did not go on.
        for line in text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
        {
            let mut words = line.trim_end().splitn(4, ' ');
            let mut word = || words.next().unwrap();
            let (what, from, to) = (word(), word(), word());
            let numbers = from.parse::<u64>().unwrap()..to.parse().unwrap();
            match what {
                "try" => journal.tried.extend(numbers),
                "kept" => journal.kept.extend(numbers),
                "opened" => journal.opened += 1,
                _ => journal.refused.push(line.to_owned()),
            }
        }
        journal
    }

    /// Keeps these in a spool and notes them.
    pub(super) fn keep(&mut self, spool: &mut Spool, numbers: std::ops::Range<u64>) {
        let observations: Vec<_> = numbers.clone().map(observation).collect();
        self.tried.extend(numbers.clone());
        spool.keep(&observations).unwrap();
        self.kept.extend(numbers);
    }
}

/// Starts a keeper in its next life; it rests at most `pause` between two goes.
pub(super) fn start(spool: &Path, journal: &Path, life: u64, pause: Duration) -> Child {
    let said = File::options()
        .append(true)
        .create(true)
        .open(journal.with_extension("log"))
        .unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["faults::keeper::keeper", "--exact", "--ignored"])
        .env(SPOOL, spool)
        .env(JOURNAL, journal)
        .env(NUMBER, life.to_string())
        .env(BEGIN, begin().to_string())
        .env(PAUSE, pause.as_micros().to_string())
        .stdin(Stdio::null())
        .stdout(said.try_clone().unwrap())
        .stderr(said)
        .spawn()
        .unwrap()
}

/// Where [`TURN`] lies: beside the agent's directory.
pub(super) fn turn_of(spool: &Path) -> PathBuf {
    spool.parent().unwrap().with_file_name(TURN)
}

/// The process that [`start`] starts.
#[test]
#[ignore = "it is a part of the others, which start it"]
fn keeper() {
    let Ok(spool) = std::env::var(SPOOL) else {
        return;
    };
    let parent = parent_id();
    let number = |name| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let (life, pause) = (number(NUMBER), number(PAUSE).max(1));
    let mut random = SplitMix64::new(life);
    let journal = std::env::var(JOURNAL).unwrap();
    let mut journal = File::options().append(true).open(journal).unwrap();
    let mut note = |line: String| journal.write_all(line.as_bytes()).unwrap();
    let path = Path::new(&spool);
    let turn = File::create(turn_of(path)).unwrap();
    turn.lock().unwrap();
    let mut spool = Spool::open(path, messnetz::clock::now()).unwrap();
    turn.unlock().unwrap();
    let mut from = life * LIFE;
    note(format!("opened {from} {from}\n"));
    // Whoever started this may be gone before it can end it.
    while parent_id() == parent && from < (life + 1) * LIFE - MOST {
        let to = from + 1 + random.next_u64() % MOST;
        let observations: Vec<_> = (from..to).map(observation).collect();
        note(format!("try {from} {to}\n"));
        turn.lock().unwrap();
        let kept = spool.keep(&observations);
        turn.unlock().unwrap();
        match kept {
            Ok(()) => note(format!("kept {from} {to}\n")),
            Err(error) => {
                let why = std::error::Error::source(&error);
                note(format!("refused {from} {to} {error}: {why:?}\n"));
            }
        }
        from = to;
        std::thread::sleep(Duration::from_micros(random.next_u64() % pause));
    }
}
