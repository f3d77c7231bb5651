//! What a power cut leaves of a spool, at every point of its work.
//!
//! A process of its own does what an agent does, and strace writes down what it asks of the kernel: writes, syncs,
//! files made and removed. From that follows, for every point at which the power can end, which files may be found
//! afterwards: what was synced is there; of what was not, all may be, nothing, any part of it in any order, and
//! the last of it torn at a sector. On each of them a spool is opened and asked for what it has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use messnetz_metric::{Metric, Micros, Outcome, Quantity, Segment, Value, Vantage};
use ring::signature::Ed25519KeyPair;

use super::super::key::AgentKey;
use super::*;
use crate::wire::{CollectorId, Receipt};

const FOLDER: &str = "MESSNETZ_POWER_CUT_FOLDER";
const ROUNDS: &str = "MESSNETZ_FAULTS_ROUNDS";
const SECTOR: usize = 512;

/// When the recorded work begins, and its machine was booted.
const BOOTED: i64 = 1_795_370_000_000;

/// When it is looked at what was left.
const AFTERWARDS: i64 = BOOTED + 10_000_000;

/// The last observation, made afterwards.
const LAST: i64 = 9_000;

fn observation(number: i64) -> Observation {
    Observation {
        metric: Metric::new(Segment::Line, Quantity::Rtt),
        at: UnixMillis(BOOTED + number * 1_000),
        vantage: Vantage::default(),
        peer: "collector".to_owned(),
        outcome: Outcome::Value(Value::Time(Micros::from_micros(number.unsigned_abs()))),
    }
}

fn number_of(observation: &Observation) -> i64 {
    let number = (observation.at.0 - BOOTED) / 1_000;
    assert_eq!(*observation, self::observation(number), "it is unaltered");
    number
}

fn look(up_ms: i64) -> Look {
    Look {
        up_ms,
        wall_ms: BOOTED + up_ms,
        synchronised: true,
        since_sync_s: None,
    }
}

fn with_sealer<T>(work: impl FnOnce(&Sealer<'_>) -> T) -> T {
    let key = AgentKey::from_pkcs8(&AgentKey::generate().unwrap()).unwrap();
    work(&Sealer {
        key: &key,
        collector: CollectorId::of_key(&[9; 32]),
        site: "XX-100001/main",
    })
}

fn acknowledge(spool: &mut Spool, batch: &SealedBatch) {
    let receipt = Receipt::of(&Batch::read(&batch.body).unwrap(), UnixMillis(BOOTED));
    let collector = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let receipt = receipt.signed_with(&collector).unwrap();
    spool.acknowledged(batch, &receipt).unwrap();
}

fn numbers(batch: &SealedBatch) -> Vec<i64> {
    let batch = Batch::read(&batch.body).unwrap();
    batch.observations().map(|one| number_of(&one)).collect()
}

#[test]
#[ignore = "it is the work that the others record, in a process of its own"]
fn the_work_that_is_recorded() {
    let folder = std::env::var(FOLDER).unwrap();
    let mut marks = File::create(Path::new(&folder).join("marks")).unwrap();
    let mut mark = |text: String| marks.write_all(text.as_bytes()).unwrap();
    let mut spool = Spool::open(&Path::new(&folder).join("spool.db"), UnixMillis(BOOTED)).unwrap();
    spool.begin("first boot", look(0), BOOTED).unwrap();
    let mut number = 0;
    for round in 0..12 {
        for _ in 0..3 {
            number += 1;
            spool.keep(&[observation(number)]).unwrap();
            mark(format!("kept {number}"));
        }
        if round % 2 == 0 {
            let up_ms = number * 1_000;
            spool.tend(look(up_ms), None).unwrap();
            spool.tend(look(up_ms + FLUSH_AFTER_MS), None).unwrap();
            mark(format!("flushed {number}"));
        }
        if round % 3 == 1 {
            with_sealer(|sealer| {
                let batch = spool.next_batch(sealer).unwrap().unwrap();
                let sent = |word: &str, batch: &SealedBatch| {
                    let hash = Batch::read(&batch.body).unwrap().hash();
                    let numbers = numbers(batch).into_iter();
                    let numbers: Vec<String> = numbers.map(|one| one.to_string()).collect();
                    format!(
                        "{word} {} {} {hash} {}",
                        batch.epoch,
                        batch.sequence,
                        numbers.join(",")
                    )
                };
                if round != 7 {
                    mark(sent("delivered", &batch));
                    acknowledge(&mut spool, &batch);
                    return;
                }
                mark(sent("forked", &batch));
                spool.renew_epoch(sealer, UnixMillis(BOOTED)).unwrap();
                let batch = spool.next_batch(sealer).unwrap().unwrap();
                mark(sent("delivered", &batch));
                acknowledge(&mut spool, &batch);
            });
        }
        if round == 9 {
            // The journal begins anew after this.
            spool.checkpoint().unwrap();
        }
    }
}

/// What a process asked of the kernel.
#[derive(Clone, Debug)]
enum Asked {
    Made(String),
    Wrote(String, usize, Vec<u8>),
    Cut(String, usize),
    Removed(String),
    Synced(String),
    SyncedFolder,
    Marked(String),
}

/// Octets as strace writes them with -xx.
fn octets(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits
        .map(|two| u8::from_str_radix(two.get(..2).unwrap(), 16).unwrap())
        .collect()
}

fn name(text: &str) -> String {
    String::from_utf8(octets(text)).unwrap()
}

/// Runs the work under strace, and reads what it did to the files in its folder.
fn recorded(folder: &Path) -> Vec<Asked> {
    const CALLS: &str = "trace=openat,write,pwrite64,writev,pwritev,fsync,fdatasync,sync_file_range,ftruncate,fallocate,unlink,unlinkat,rename,renameat,renameat2";
    let work = folder.join("work");
    fs::create_dir(&work).unwrap();
    let trace = folder.join("trace");
    let done = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "10000000", "-e", CALLS, "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "agent::spool::power_cut::the_work_that_is_recorded",
        ])
        .args(["--ignored", "--test-threads=1"])
        .env(FOLDER, &work)
        .output()
        .expect("strace (Debian package strace) is there");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(said.contains("1 passed"), "{said}");
    let prefix = format!("{}/", work.display());
    let trace = fs::read_to_string(trace).unwrap();
    trace
        .lines()
        .filter_map(|line| asked(line, &work.display().to_string(), &prefix))
        .collect()
}

fn asked(line: &str, work: &str, prefix: &str) -> Option<Asked> {
    let (_, call) = line.split_once(' ')?;
    let (call, arguments) = call.trim_start().split_once('(')?;
    let quoted: Vec<&str> = arguments.split('"').collect();
    let of_descriptor = || -> Option<String> {
        let (_, rest) = arguments.split_once('<')?;
        Some(name(rest.split_once('>')?.0))
    };
    let within = |path: String| {
        let name = path.strip_prefix(prefix)?.to_owned();
        // What is mapped into memory is made anew after a boot.
        (!name.ends_with("-shm")).then_some(name)
    };
    let numbers = |text: &str| -> Vec<usize> {
        let inner = text.split(')').next().unwrap_or_default();
        let words = inner.split(',').map(str::trim);
        words.filter_map(|word| word.parse().ok()).collect()
    };
    let path_or_descriptor = match call {
        "openat" | "unlink" => name(quoted.get(1)?),
        _ => of_descriptor()?,
    };
    if call.starts_with("fsync") && path_or_descriptor == work {
        return Some(Asked::SyncedFolder);
    }
    let path = within(path_or_descriptor)?;
    assert!(!line.contains("<unfinished"), "{line}");
    if line.contains(" = -1 ") {
        return None;
    }
    Some(match call {
        "openat" if !arguments.contains("O_CREAT") => return None,
        "openat" => Asked::Made(path),
        "write" => {
            assert_eq!(path, "marks", "all else is written to a place");
            Asked::Marked(name(quoted.get(1)?))
        }
        "pwrite64" => {
            let data = octets(quoted.get(1)?);
            let [length, at] = numbers(quoted.get(2)?).try_into().unwrap();
            assert_eq!(data.len(), length);
            Asked::Wrote(path, at, data)
        }
        "ftruncate" => Asked::Cut(path, *numbers(arguments.split_once('>')?.1).last()?),
        "fsync" | "fdatasync" => Asked::Synced(path),
        "unlink" => Asked::Removed(path),
        other => panic!("this test does not know what {other} leaves: {line}"),
    })
}

/// Files by name.
type Files = BTreeMap<String, Vec<u8>>;

/// What is certainly on the medium, and what was asked since.
#[derive(Clone, Default)]
struct Medium {
    files: Files,
    /// Files whose names are on it.
    names: BTreeSet<String>,
    pending: Vec<Asked>,
}

fn apply(
    files: &mut Files,
    names: &mut BTreeSet<String>,
    asked: &Asked,
    sectors: impl Fn(usize) -> bool,
) {
    match asked {
        Asked::Made(name) => {
            names.insert(name.clone());
            files.entry(name.clone()).or_default();
        }
        Asked::Wrote(name, at, data) => {
            let file = files.entry(name.clone()).or_default();
            for (index, octet) in data.iter().enumerate() {
                let place = at + index;
                if sectors(place / SECTOR) {
                    if file.len() <= place {
                        file.resize(place + 1, 0);
                    }
                    file[place] = *octet;
                }
            }
        }
        Asked::Cut(name, length) => files.entry(name.clone()).or_default().resize(*length, 0),
        Asked::Removed(name) => {
            names.remove(name);
            files.remove(name);
        }
        Asked::Synced(_) | Asked::SyncedFolder | Asked::Marked(_) => {}
    }
}

impl Medium {
    fn ask(&mut self, asked: &Asked) {
        let is_of_folder = |one: &Asked| matches!(one, Asked::Made(_) | Asked::Removed(_));
        let is_synced = |one: &Asked| match (asked, one) {
            (Asked::SyncedFolder, one) => is_of_folder(one),
            (Asked::Synced(synced), Asked::Wrote(name, ..) | Asked::Cut(name, _)) => synced == name,
            _ => false,
        };
        match asked {
            Asked::Marked(_) => {}
            Asked::Synced(_) | Asked::SyncedFolder => {
                let (synced, rest): (Vec<_>, Vec<_>) = self.pending.drain(..).partition(is_synced);
                for one in &synced {
                    apply(&mut self.files, &mut self.names, one, |_| true);
                }
                self.pending = rest;
            }
            other => self.pending.push(other.clone()),
        }
    }

    /// What may be found: each thing that was asked since the last sync is there or not.
    fn after_a_cut(&self, mut there: impl FnMut(usize) -> Share) -> Files {
        let (mut files, mut names) = (self.files.clone(), self.names.clone());
        for (index, asked) in self.pending.iter().enumerate() {
            match there(index) {
                Share::None => {}
                Share::All => apply(&mut files, &mut names, asked, |_| true),
                Share::Sectors(seed) => apply(&mut files, &mut names, asked, |sector| {
                    Random(seed ^ sector as u64).next().is_multiple_of(2)
                }),
            }
        }
        files.retain(|name, _| names.contains(name));
        files
    }
}

#[derive(Clone, Copy)]
enum Share {
    None,
    All,
    Sectors(u64),
}

/// The generator called `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// What the work had been told, or had told others, when the power was cut.
#[derive(Clone, Default)]
struct Promises {
    kept: i64,
    flushed: i64,
    /// Hash of every batch that was sent, by its number.
    sent: HashMap<(u64, u64), String>,
    /// Which batch the collector has an observation from.
    delivered: HashMap<i64, String>,
}

impl Promises {
    fn hear(&mut self, mark: &str) {
        let words: Vec<&str> = mark.split(' ').collect();
        match words.as_slice() {
            ["kept", number] => self.kept = number.parse().unwrap(),
            ["flushed", number] => self.flushed = number.parse().unwrap(),
            [
                word @ ("delivered" | "forked"),
                epoch,
                sequence,
                hash,
                numbers,
            ] => {
                let number = (epoch.parse().unwrap(), sequence.parse().unwrap());
                self.sent.insert(number, (*hash).to_owned());
                for number in numbers.split(',').map(|number| number.parse().unwrap()) {
                    self.flushed = self.flushed.max(number);
                    if *word == "delivered" {
                        self.delivered.insert(number, (*hash).to_owned());
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Opens what was left, and holds it against what was promised.
    fn hold(&self, files: &Files, folder: &Path) {
        let path = folder.join("spool.db");
        for name in ["spool.db", "spool.db-wal", "spool.db-shm"] {
            let _ = fs::remove_file(folder.join(name));
        }
        for (name, content) in files.iter().filter(|(name, _)| *name != "marks") {
            fs::write(folder.join(name), content).unwrap();
        }
        let mut spool = Spool::open(&path, UnixMillis(AFTERWARDS)).unwrap();
        assert_eq!(
            spool.contents().unwrap().set_aside,
            0,
            "the file holds together"
        );
        spool
            .begin("second boot", look(AFTERWARDS - BOOTED), BOOTED)
            .unwrap();
        spool.keep(&[observation(LAST)]).unwrap();
        let mut places: HashMap<i64, BTreeSet<String>> = HashMap::new();
        for (number, hash) in &self.delivered {
            places.entry(*number).or_default().insert(hash.clone());
        }
        let mut gaps = Vec::new();
        while let Some(sealed) = with_sealer(|sealer| spool.next_batch(sealer)).unwrap() {
            let batch = Batch::read(&sealed.body).unwrap();
            let hash = batch.hash().to_string();
            if let Some(sent) = self.sent.get(&(sealed.epoch, sealed.sequence)) {
                assert_eq!(*sent, hash, "other bytes under a number that was sent");
            }
            gaps.extend(batch.header().omitted.clone());
            for number in numbers(&sealed) {
                let is_new = places.entry(number).or_default().insert(hash.clone());
                assert!(
                    is_new || self.delivered.get(&number) == Some(&hash),
                    "twice in a batch"
                );
            }
            acknowledge(&mut spool, &sealed);
        }
        assert_eq!(places.remove(&LAST).map(|places| places.len()), Some(1));
        for number in 1..=self.kept {
            let there = places.get(&number).map_or(0, BTreeSet::len);
            assert!(there <= 1, "{number} is there {there} times");
            assert!(
                there == 1 || number > self.flushed,
                "{number} was flushed and is lost"
            );
            let at = observation(number).at.0.unsigned_abs();
            let told = |gap: &crate::wire::batch::Omitted| {
                gap.why == Why::PowerLoss && (gap.from..=gap.to).contains(&at)
            };
            assert!(
                there == 1 || gaps.iter().any(told),
                "{number} is lost in silence: {gaps:?}"
            );
        }
        drop(spool);
    }
}

/// In memory, where there is such a place: a sync costs nothing there, and what it would cost is not asked here.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

#[test]
fn whatever_a_power_cut_leaves_nothing_flushed_is_lost_and_no_number_is_given_twice() {
    let rounds: u64 = std::env::var(ROUNDS).map_or(1, |rounds| rounds.parse().unwrap());
    let folder = folder();
    let work = recorded(folder.path());
    let (mut medium, mut promises) = (Medium::default(), Promises::default());
    let (mut images, mut cuts) = (0, 0);
    for (index, asked) in work.iter().enumerate() {
        medium.ask(asked);
        if let Asked::Marked(mark) = asked {
            promises.hear(mark);
            continue;
        }
        cuts += 1;
        let last = medium.pending.len().wrapping_sub(1);
        let mut shares: Vec<Box<dyn FnMut(usize) -> Share>> =
            vec![Box::new(|_| Share::None), Box::new(|_| Share::All)];
        for round in 0..rounds {
            let mut random = Random(round << 32 | index as u64);
            let seed = random.next();
            shares.push(Box::new(move |at| {
                if at == last {
                    Share::Sectors(seed)
                } else {
                    Share::All
                }
            }));
            shares.push(Box::new(move |_| match random.next() % 4 {
                0 => Share::None,
                1 => Share::Sectors(random.next()),
                _ => Share::All,
            }));
        }
        for share in shares {
            promises.hold(&medium.after_a_cut(share), folder.path());
            images += 1;
        }
    }
    println!("{cuts} points at which the power can end, {images} media that may be found");
    assert!(cuts > 100, "{cuts}");
    assert!(!promises.delivered.is_empty() && promises.kept > promises.flushed);
}
