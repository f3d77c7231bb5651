//! `cargo xtask size`: whether the programs stay small enough for a small box, as files and in memory.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cargo::{Call, target_dir};
use crate::memory;

const MB: u64 = 1_000_000;

/// What an idle agent may hold in memory: its proportional share of all pages (proc(5), smaps).
const IDLE_PSS_LIMIT_MB: u64 = 15;

struct Program {
    name: &'static str,
    build: &'static str,
    limit: u64,
}

/// The whole program comes last, so that it is what remains in the target directory. Both builds
/// share that directory: only the root package differs, and its dependencies are built once.
const PROGRAMS: [Program; 2] = [
    Program {
        name: "agent alone",
        build: "cargo build --release --locked -p messnetz --no-default-features --features agent",
        limit: 15 * MB,
    },
    Program {
        name: "agent and collector",
        build: "cargo build --release --locked -p messnetz",
        limit: 30 * MB,
    },
];

/// Builds both programs and prints their sizes; fails where one is over its limit.
pub(crate) fn run() -> Result<()> {
    let path = target_dir()?.join("release/messnetz");
    let agent_alone = path.with_file_name("messnetz-agent-alone");
    let mut sizes = Vec::new();
    for program in &PROGRAMS {
        Call::new(program.build).run()?;
        sizes.push((program, size_of(&path)?));
        if sizes.len() == 1 {
            std::fs::copy(&path, &agent_alone).context("keeping the agent alone")?;
        }
    }
    let mut too_large = Vec::new();
    for (program, size) in sizes {
        let (whole, limit) = (size as f64 / MB as f64, program.limit / MB);
        println!("{:<20} {whole:>6.2} MB of {limit} MB", program.name);
        if size > program.limit {
            too_large.push(program.name);
        }
    }
    let pss = memory::of_an_idle_agent(&agent_alone, &path)?;
    println!(
        "{:<20} {:>6.2} MB Pss of {IDLE_PSS_LIMIT_MB} MB",
        "idle agent alone",
        pss as f64 / MB as f64
    );
    if pss > IDLE_PSS_LIMIT_MB * MB {
        too_large.push("idle agent");
    }
    if !too_large.is_empty() {
        bail!("too large: {}", too_large.join(", "));
    }
    Ok(())
}

fn size_of(path: &Path) -> Result<u64> {
    let metadata =
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(metadata.len())
}
