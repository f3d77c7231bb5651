//! What lies on an agent's disk: the spool and its journal, whatever became of them.

use std::fs;
use std::path::Path;

use messnetz::agent::Spool;
use messnetz_metric::{
    Metric, Observation, Outcome, Quantity, Segment, UnixMillis, Value, Vantage,
};

pub(crate) const WORDS: &[&str] = &[
    "SQLite format 3\u{0}",
    "\u{7f}",
    "\u{0}\u{0}\u{0}\u{0}",
    "\u{10}\u{0}",
    "observation",
    "omitted",
    "counter",
    "epoch",
    "{\"metric\":\"line.rtt\"",
    "\"at\":-1",
    "CREATE TABLE",
    "DROP TABLE",
];

/// Where an input has the length of the spool, before it and its journal.
const LENGTH: usize = 4;

/// One that is closed, and one whose agent was killed.
pub(crate) fn seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    let folder = temporary()?;
    let path = folder.path().join("spool.db");
    let mut spool = Spool::open(&path, UnixMillis(1_795_370_000_000))?;
    spool.keep(&[observation(1), observation(2)])?;
    let file = fs::read(&path)?;
    let killed = joined(&file, &fs::read(folder.path().join("spool.db-wal"))?);
    drop(spool);
    Ok(vec![killed, joined(&fs::read(&path)?, &[])])
}

fn joined(file: &[u8], journal: &[u8]) -> Vec<u8> {
    let length = u32::try_from(file.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), file, journal].concat()
}

fn observation(at: i64) -> Observation {
    let metric = Metric::new(Segment::Line, Quantity::Rtt);
    let outcome = Outcome::Value(Value::new(metric.quantity.unit(), 9_000));
    Observation::new(
        metric,
        UnixMillis(at),
        Vantage::default(),
        "collector",
        outcome,
    )
}

/// In memory where there is such a place: the disk is not what is tried here.
fn temporary() -> anyhow::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    Ok(if memory.is_dir() {
        tempfile::tempdir_in(memory)?
    } else {
        tempfile::tempdir()?
    })
}

/// A spool can be had in the place of whatever lay there, and keeps what it is given.
pub(crate) fn run(bytes: &[u8]) -> String {
    let (length, rest) = bytes.split_at(bytes.len().min(LENGTH));
    let length = length
        .iter()
        .fold(0, |sum, octet| sum << 8 | usize::from(*octet));
    let (file, journal) = rest.split_at(length.min(rest.len()));
    let folder = temporary().expect("there is a temporary folder");
    let path = folder.path().join("spool.db");
    fs::write(&path, file).expect("it is written");
    fs::write(folder.path().join("spool.db-wal"), journal).expect("it is written");
    let _ = Spool::look_into(&path);
    let mut spool = match Spool::open(&path, UnixMillis(1_795_370_000_000)) {
        Ok(spool) => spool,
        Err(error) => return format!("{error:?}").chars().take(40).collect(),
    };
    let kept = spool.keep(&[observation(3)]);
    let contents = spool.contents();
    match (kept, contents) {
        (Ok(()), Ok(contents)) => format!(
            "ok {} {} {} {}",
            contents.observations.min(4),
            contents.cut.min(2),
            contents.set_aside,
            contents.unreadable.min(2),
        ),
        (kept, contents) => format!("{kept:?} {contents:?}").chars().take(60).collect(),
    }
}
