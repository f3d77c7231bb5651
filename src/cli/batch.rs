//! `messnetz batch`: sign what was measured, and verify what was signed, without an agent or a collector.

pub(super) mod key;
mod observations;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Ending, input, print, print_json, write_new};
use crate::clock;
use crate::wire::batch::{Batch, Chunk, Clock, Digest, Link, Omitted, Standing, Why};
use crate::wire::{AgentId, CollectorId};
use observations::Measured;

/// Sign measurements as a batch, or verify one.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sign observations, or a batch without signature
    #[command(
        after_help = "Examples:\n  openssl genpkey -algorithm ed25519 -out key.pem\n  messnetz batch sign measured.jsonl --key key.pem --site NW-100001/main --collector 3f… --out 1.json\n  messnetz batch sign audit.json --key key.pem --site NW-100001/main --collector 3f… \\\n      --epoch 1795369000000 --sequence 2 --previous 9a… --out 2.json\n  messnetz batch sign unsigned.json --key key.pem --out batch.json --json\n\nObservations are JSON, one after the other as docs/wire.md has them, or a file of 'messnetz audit'."
    )]
    Sign(Box<Sign>),
    /// Take series out of a batch and leave the proof of the others whole
    #[command(
        after_help = "Examples:\n  messnetz batch prune batch.json --keep line. --out for-the-provider.json\n  messnetz batch prune batch.json --out bare.json --json\n\nHeader, signature and digests stay: 'messnetz batch verify' says of what is left whether it holds."
    )]
    Prune(Prune),
    /// Say what of a batch holds: signature, root, each chunk
    #[command(
        after_help = "Examples:\n  messnetz batch verify batch.json --key public.pem\n  messnetz batch verify batch.json --key MCowBQYDK2VwAyEA… --json\n\nThe public key is that of the agent; 'messnetz collector agents --json' tells it.\n\nExit codes: 0 all that is there holds, 1 something does not, 2 the file is no batch or the key is none."
    )]
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Sign {
    /// Observations, a file of `messnetz audit`, or a batch without signature
    file: PathBuf,
    /// Private Ed25519 key, PEM or DER (PKCS #8)
    #[arg(long)]
    key: PathBuf,
    /// Where it was measured, SCHOOL/SITE; needed for observations
    #[arg(long)]
    site: Option<String>,
    /// The collector that the batch is for, 32 hexadecimal digits; needed for observations
    #[arg(long, value_name = "ID")]
    collector: Option<CollectorId>,
    /// When the numbers began, in milliseconds since 1970; now where it is left out
    #[arg(long, value_name = "MS")]
    epoch: Option<u64>,
    /// Number of the batch within its epoch
    #[arg(long, default_value_t = 1)]
    sequence: u64,
    /// Hash of the batch before, which every batch but the first of an epoch has
    #[arg(long, value_name = "HASH")]
    previous: Option<Digest>,
    /// The file to write, which must not exist
    #[arg(long)]
    out: PathBuf,
    /// Print what was signed as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Prune {
    /// The batch
    file: PathBuf,
    /// Keep the series whose metric begins so; may be given several times, and without it none is kept
    #[arg(long, value_name = "METRIC")]
    keep: Vec<String>,
    /// The file to write, which must not exist
    #[arg(long)]
    out: PathBuf,
    /// Print what was kept as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Verify {
    /// The batch
    file: PathBuf,
    /// Public Ed25519 key of the agent: a PEM file, or the base64 of the key
    #[arg(long)]
    key: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    match arguments.command {
        Command::Sign(arguments) => sign(&arguments),
        Command::Prune(arguments) => prune(&arguments),
        Command::Verify(arguments) => verify(&arguments),
    }
}

fn sign(arguments: &Sign) -> anyhow::Result<Ending> {
    let key = key::private(&arguments.key)?;
    let shown = arguments.file.display();
    let measured = Measured::read(&input::read(&arguments.file)?)
        .with_context(|| format!("reading {shown}"))?;
    let agent = AgentId::of_key(key::public_half(&key));
    let batch = match measured {
        Measured::Batch(batch) => *batch,
        Measured::Observations(observations) => {
            let missing = |option: &str| {
                format!("{shown} holds observations: say with {option} what belongs beside them")
            };
            let link = Link {
                collector: arguments
                    .collector
                    .clone()
                    .with_context(|| missing("--collector"))?,
                agent: agent.clone(),
                site: arguments.site.clone().with_context(|| missing("--site"))?,
                epoch: arguments.epoch.unwrap_or_else(now),
                sequence: arguments.sequence,
                previous: arguments.previous,
            };
            Batch::new(&link, &observations)
                .with_context(|| format!("making a batch of {shown}"))?
        }
    };
    let header = batch.header();
    anyhow::ensure!(
        header.agent == agent,
        "the batch names the agent {}, and the key is that of {agent}: sign it with the agent's own key",
        header.agent
    );
    anyhow::ensure!(
        batch.root_holds()
            && batch
                .chunks()
                .iter()
                .all(|c| c.standing() != Standing::Altered),
        "the digests of {shown} are not those of its chunks or of its header: what would be signed is not what stands there"
    );
    let batch = batch.signed_with(&key);
    write_new(&arguments.out, &batch.document())?;
    let header = batch.header();
    if arguments.json {
        print_json(&serde_json::json!({
            "file": arguments.out.display().to_string(),
            "agent": header.agent,
            "epoch": header.epoch,
            "sequence": header.sequence,
            "observations": header.observations,
            "chunks": batch.chunks().len(),
            "hash": batch.hash(),
        }))?;
    } else {
        print(&format!(
            "wrote {}: number {} of epoch {}, {} observations in {} series\nagent {}\nhash  {}",
            arguments.out.display(),
            header.sequence,
            header.epoch,
            header.observations,
            batch.chunks().len(),
            header.agent,
            batch.hash(),
        ))?;
    }
    Ok(Ending::Well)
}

fn now() -> u64 {
    u64::try_from(clock::now().0).unwrap_or_default()
}

fn prune(arguments: &Prune) -> anyhow::Result<Ending> {
    let is_wanted = |chunk: &Chunk| {
        let metric = chunk.series().map(|series| series.metric.to_string());
        metric.is_some_and(|metric| arguments.keep.iter().any(|kept| metric.starts_with(kept)))
    };
    let batch = read_batch(&arguments.file)?.pruned(is_wanted);
    write_new(&arguments.out, &batch.document())?;
    let (out, chunks) = (arguments.out.display(), batch.chunks());
    let kept = chunks.iter().filter(|chunk| chunk.text().is_some()).count();
    if arguments.json {
        print_json(&serde_json::json!({
            "file": out.to_string(),
            "kept": kept,
            "taken_out": chunks.len() - kept,
        }))?;
    } else {
        print(&format!(
            "wrote {out}: {kept} of {} series are in it",
            chunks.len()
        ))?;
    }
    Ok(Ending::Well)
}

/// What was found of a batch.
#[derive(Debug, Serialize)]
struct Findings {
    agent: AgentId,
    site: String,
    collector: CollectorId,
    epoch: u64,
    sequence: u64,
    previous: Option<Digest>,
    hash: Digest,
    /// Whether the key given is the one that the agent is named after.
    key_is_of_agent: bool,
    signature: Signature,
    root: Root,
    clock: Option<Clock>,
    omitted: Vec<Omitted>,
    chunks: Vec<ChunkFindings>,
    holds: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Signature {
    Holds,
    Broken,
    Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Root {
    /// It is that of the digests.
    Holds,
    Broken,
    /// The header is alone: there is nothing to hold it against.
    Pruned,
}

#[derive(Debug, Serialize)]
struct ChunkFindings {
    standing: Standing,
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    observations: usize,
}

impl ChunkFindings {
    fn of(chunk: &Chunk) -> Self {
        let series = chunk.series();
        Self {
            standing: chunk.standing(),
            digest: chunk.digest,
            metric: series.as_ref().map(|series| series.metric.to_string()),
            peer: series.map(|series| series.peer),
            observations: chunk.len(),
        }
    }
}

impl Findings {
    fn of(batch: &Batch, public_key: &[u8]) -> Self {
        let header = batch.header();
        let key_is_of_agent = AgentId::of_key(public_key) == header.agent;
        let signature = match batch.signature() {
            None => Signature::Missing,
            Some(_) if batch.is_signed_by(public_key) => Signature::Holds,
            Some(_) => Signature::Broken,
        };
        let chunks: Vec<_> = batch.chunks().iter().map(ChunkFindings::of).collect();
        let root = if batch.is_header_alone() {
            Root::Pruned
        } else if batch.root_holds() {
            Root::Holds
        } else {
            Root::Broken
        };
        let none_altered = chunks
            .iter()
            .all(|chunk| chunk.standing != Standing::Altered);
        Self {
            agent: header.agent.clone(),
            site: header.site.clone(),
            collector: header.collector.clone(),
            epoch: header.epoch,
            sequence: header.sequence,
            previous: header.previous,
            hash: batch.hash(),
            key_is_of_agent,
            signature,
            root,
            clock: header.clock.clone(),
            omitted: header.omitted.clone(),
            holds: key_is_of_agent
                && signature == Signature::Holds
                && root != Root::Broken
                && none_altered,
            chunks,
        }
    }

    fn lines(&self) -> String {
        let previous = self.previous.map_or_else(
            || "none: the first of its epoch".to_owned(),
            |hash| hash.to_string(),
        );
        let key = if self.key_is_of_agent {
            "is the one that the agent is named after"
        } else {
            "DOES NOT HOLD: the agent is named after another key"
        };
        let signature = match self.signature {
            Signature::Holds => "holds",
            Signature::Broken => "DOES NOT HOLD",
            Signature::Missing => "MISSING",
        };
        let root = match self.root {
            Root::Holds => "holds: the digests are those that were signed",
            Root::Broken => "DOES NOT HOLD: the digests are not those that were signed",
            Root::Pruned => "names samples that were pruned: nothing of them is here",
        };
        let mut lines = vec![
            format!("agent      {}", self.agent),
            format!("site       {}", self.site),
            format!("collector  {}", self.collector),
            format!("number     {} of epoch {}", self.sequence, self.epoch),
            format!("before it  {previous}"),
            format!("hash       {}", self.hash),
            format!("key        {key}"),
            format!("signature  {signature}"),
            format!("root       {root}"),
        ];
        lines.extend(self.clock.iter().map(clock_line));
        lines.extend(self.omitted.iter().map(omitted_line));
        lines.extend(self.chunks.iter().enumerate().map(|(index, chunk)| {
            let what = match (&chunk.metric, &chunk.peer) {
                (Some(metric), Some(peer)) => {
                    format!(
                        "{metric} against {peer}, {} observations",
                        chunk.observations
                    )
                }
                _ => format!("known by its digest {} alone", chunk.digest),
            };
            let standing = match chunk.standing {
                Standing::Holds => "holds",
                Standing::Altered => "DOES NOT HOLD",
                Standing::Pruned => "taken out",
            };
            format!("chunk {index:<4} {standing}: {}", printable(&what))
        }));
        lines.join("\n")
    }
}

fn clock_line(clock: &Clock) -> String {
    let kept = match (clock.dated, clock.synchronised, clock.since_sync) {
        (false, ..) => "its times are certainly WRONG, and only their differences hold".to_owned(),
        (true, false, _) => "no time service had confirmed its time".to_owned(),
        (true, true, None) => "a time service had confirmed its time".to_owned(),
        (true, true, Some(seconds)) => {
            format!("a time service had confirmed its time {seconds} s before")
        }
    };
    let stepped = if clock.stepped == 0 {
        String::new()
    } else {
        format!(", the wall clock was set by {} ms since", clock.stepped)
    };
    format!("clock      of boot {}: {kept}{stepped}", clock.boot)
}

fn omitted_line(omitted: &Omitted) -> String {
    let what = match (&omitted.metric, &omitted.peer) {
        (Some(metric), Some(peer)) => format!("{metric} against {peer}"),
        _ => "all series".to_owned(),
    };
    let count = omitted
        .count
        .map_or_else(String::new, |count| format!(", {count} observations"));
    let why = match omitted.why {
        Why::PowerLoss => "the power was lost",
        Why::Damaged => "the spool was damaged",
        Why::Full => "the spool was full",
        Why::DiskFull => "the disk was full",
        Why::Age => "it had waited for too long",
    };
    let told = format!(
        "{what}, from {} to {}{count}: {why}",
        omitted.from, omitted.to
    );
    format!("left out   {}", printable(&told))
}

/// Names in a batch are strangers' text: what would upset a terminal is left out.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn verify(arguments: &Verify) -> anyhow::Result<Ending> {
    let public_key = key::public(&arguments.key)?;
    let batch = read_batch(&arguments.file)?;
    let findings = Findings::of(&batch, &public_key);
    if arguments.json {
        print_json(&findings)?;
    } else {
        print(&findings.lines())?;
    }
    Ok(if findings.holds {
        Ending::Well
    } else {
        Ending::Findings
    })
}

fn read_batch(file: &Path) -> anyhow::Result<Batch> {
    let text = input::read(file)?;
    Batch::read(text.as_bytes()).with_context(|| format!("reading {}", file.display()))
}
