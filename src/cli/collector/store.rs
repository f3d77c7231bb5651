//! `messnetz collector store`: hold the store against what agents signed, seal, copy, bring back.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use serde::Deserialize;

use super::super::{Ending, input, print, print_json};
use crate::clock;
use crate::collector::{Collector, Config};
use crate::store::{ChainHead, Checked, Extent, restore};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prove every sample by its agent's signature, and name what is missing
    #[command(
        after_help = "Examples:\n  messnetz collector store check\n  messnetz collector store check --against report-2026-10.json --json\n\nExit codes: 0 all that is stored holds and no number is missing, 1 something does not hold or is missing.\nNumbers may be missing because their batches have not come yet, or were refused."
    )]
    Check {
        /// A report that was kept as JSON (`messnetz collector report --json`): each chain must still hold the batch that it ended with then
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Seal now what the collector would seal later
    #[command(
        after_help = "Example:\n  messnetz collector store compact --json\n\nA collector that runs seals by itself; this is for one that does not."
    )]
    Compact {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Take out samples that are older than `[retention]` keeps, as the collector does once a day
    #[command(
        after_help = "Examples:\n  messnetz collector store prune --dry-run\n  messnetz collector store prune --json\n\nRoll-ups by series and hour stay in their place, with a tombstone that the collector signs; headers of batches stay,\nand what is measured no more than once an hour. There is no way back but a backup.\n\nExit codes: 0 done, 1 something was left because it does not hold."
    )]
    Prune {
        /// Only say what would be taken out
        #[arg(long)]
        dry_run: bool,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Copy the store into a new file, also while the collector runs
    #[command(
        after_help = "Example:\n  messnetz collector store backup /backup/messnetz-2026-11-23.db\n\nThe copy holds what schools measured, and no key of the collector: `messnetz collector keys export` copies those."
    )]
    Backup {
        /// The file to write, which must not exist
        file: PathBuf,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the store of a backup, where there is none
    #[command(
        after_help = "Example:\n  messnetz collector store restore /backup/messnetz-2026-11-23.db\n\nWhat agents sent since then is gone here: 'messnetz collector store check' names the numbers that are missing.\nThe collector's keys come back by `messnetz collector keys import`."
    )]
    Restore {
        /// The backup
        file: PathBuf,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: Config, command: &Command) -> anyhow::Result<Ending> {
    match command {
        Command::Check { against, json } => check(config, against.as_deref(), *json),
        Command::Compact { json } => compact(config, *json),
        Command::Prune { dry_run, json } => prune(config, *dry_run, *json),
        Command::Backup { file, json } => {
            Collector::open(config)?.with_store_now(|store| store.backup(file))?;
            wrote(file, *json)
        }
        Command::Restore { file, json } => {
            let store = config.data.join(crate::collector::STORE_FILE);
            std::fs::create_dir_all(&config.data)?;
            restore(file, &store)?;
            wrote(&store, *json)
        }
    }
}

fn wrote(file: &std::path::Path, json: bool) -> anyhow::Result<Ending> {
    let bytes = std::fs::metadata(file)?.len();
    if json {
        print_json(&serde_json::json!({ "file": file.display().to_string(), "bytes": bytes }))?;
    } else {
        print(&format!("wrote {}: {bytes} bytes", file.display()))?;
    }
    Ok(Ending::Well)
}

/// What of a report is held against the store.
#[derive(Deserialize)]
struct Kept {
    chains: Vec<ChainHead>,
}

/// The ends of chains of a report that the store no longer has, or has otherwise.
fn cut(collector: &Collector, against: &Path) -> anyhow::Result<Vec<ChainHead>> {
    let text = input::read(against)?;
    let kept: Kept = serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is no report of `messnetz collector report --json`",
            against.display()
        )
    })?;
    let mut cut = Vec::new();
    for head in kept.chains {
        let batch = collector.with_store_now(|store| {
            store.batch(&head.site, &head.agent, head.epoch, head.sequence)
        })?;
        if batch.is_none_or(|batch| batch.hash() != head.hash) {
            cut.push(head);
        }
    }
    Ok(cut)
}

fn check(config: Config, against: Option<&Path>, json: bool) -> anyhow::Result<Ending> {
    let collector = Collector::open(config)?;
    let found = collector.with_store_now(|store| store.check())?;
    let cut = against.map_or(Ok(Vec::new()), |file| cut(&collector, file))?;
    let holds = found.iter().all(Checked::holds) && cut.is_empty();
    if json {
        print_json(&serde_json::json!({ "holds": holds, "agents": found, "cut": cut }))?;
    } else {
        for head in &cut {
            let ChainHead {
                site,
                agent,
                epoch,
                sequence,
                hash,
            } = head;
            print(&format!(
                "{agent}  {site}  DOES NOT HOLD what the report ended with, {sequence} of epoch {epoch}: {hash} is gone"
            ))?;
        }
        for one in &found {
            print(&lines(one))?;
        }
        print(if holds {
            "all that is stored holds, and no number is missing"
        } else {
            "something does not hold or is missing: see above"
        })?;
    }
    Ok(if holds {
        Ending::Well
    } else {
        Ending::Findings
    })
}

/// What was found of one agent.
fn lines(found: &Checked) -> String {
    let mut lines = vec![format!(
        "{}  {}  {} batches with {} samples hold",
        found.agent, found.site, found.batches, found.samples
    )];
    if let Some(head) = &found.head {
        let (epoch, sequence, hash) = (head.epoch, head.sequence, head.hash);
        lines.push(format!("  ends with {sequence} of epoch {epoch}: {hash}"));
    }
    if found.pruned > 0 {
        let pruned = found.pruned;
        lines.push(format!(
            "  {pruned} more samples were pruned; their batches hold, and the collector signed that"
        ));
    }
    if found.without_evidence > 0 {
        let samples = found.without_evidence;
        lines.push(format!(
            "  {samples} samples of an older program have no evidence"
        ));
    }
    lines.extend(found.gaps.iter().map(|gap| {
        let (from, to, epoch) = (gap.from, gap.to, gap.epoch);
        format!("  MISSING {from} to {to} of epoch {epoch}")
    }));
    lines.extend(found.faults.iter().map(|fault| {
        let (sequence, epoch, why) = (fault.sequence, fault.epoch, fault.why);
        format!("  DOES NOT HOLD {sequence} of epoch {epoch}: {why}")
    }));
    let unnamed = found.n_faults - found.faults.len() as u64;
    if unnamed > 0 {
        lines.push(format!("  DOES NOT HOLD {unnamed} more"));
    }
    lines.join("\n")
}

fn compact(config: Config, json: bool) -> anyhow::Result<Ending> {
    let collector = Collector::open(config)?;
    let done = collector.with_store_now(|store| store.compact(clock::now(), Extent::All))?;
    if json {
        print_json(&done)?;
    } else {
        print(&format!(
            "sealed {} samples of {} batches into {} segments: {} bytes",
            done.samples, done.batches, done.segments, done.bytes
        ))?;
    }
    Ok(Ending::Well)
}

fn prune(config: Config, dry_run: bool, json: bool) -> anyhow::Result<Ending> {
    let collector = Collector::open(config)?;
    let before = collector.kept_since().context(
        "nothing is pruned: the configuration keeps samples for ever; set raw_days in [retention] to change that",
    )?;
    let day = messnetz_sites::Day::numbered(collector.calendar().zone.day_number(before));
    let day = day.map_or_else(String::new, |day| day.to_string());
    if dry_run {
        let found = collector.with_store_now(|store| store.prunable(before))?;
        if json {
            print_json(&serde_json::json!({ "before_unix_ms": before, "prunable": found }))?;
        } else {
            print(&format!(
                "before {day}: {} segments with {} samples and {} bytes would be pruned",
                found.segments, found.samples, found.bytes
            ))?;
        }
        return Ok(Ending::Well);
    }
    let removed = collector.prune(before)?;
    if json {
        print_json(&serde_json::json!({ "before_unix_ms": before, "removed": removed }))?;
    } else {
        print(&format!(
            "before {day}: pruned {} samples of {} segments: {} bytes became {}",
            removed.samples, removed.segments, removed.bytes_before, removed.bytes_after
        ))?;
        if removed.left > 0 {
            print(&format!(
                "{} segments were left as they are: what does not hold is not vouched for (messnetz collector store check)",
                removed.left
            ))?;
        }
    }
    Ok(if removed.left == 0 {
        Ending::Well
    } else {
        Ending::Findings
    })
}
