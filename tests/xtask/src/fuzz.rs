//! `cargo xtask fuzz`: damaged input for the readers, in processes of their own.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{Call, target_dir};

/// What the gate spends on a target.
pub(crate) const SECONDS: &str = "10";

/// What a process may take in address space, so that an input that asks for everything is found.
const MEMORY_LIMIT: &str = "--as=4000000000";

/// Replays the corpus of one target, or of all, and damages it for some seconds each.
pub(crate) fn run(target: Option<&str>, seconds: &str, seed: &str) -> Result<()> {
    Call::new("cargo build --locked -p fuzz").run()?;
    let directory = target_dir()?;
    let program = directory.join("debug/fuzz");
    let output = Command::new(&program)
        .arg("list")
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let list = String::from_utf8(output.stdout).context("the targets are no text")?;
    let targets = list
        .lines()
        .filter(|name| target.is_none_or(|one| one == *name));
    let mut count = 0;
    for name in targets {
        count += 1;
        let inputs = directory.join("fuzz");
        let status = Command::new("prlimit")
            .arg(MEMORY_LIMIT)
            .arg(&program)
            .args([name, seconds])
            .arg(&inputs)
            .arg(seed)
            .status()
            .context("cannot run prlimit")?;
        if !status.success() {
            let input = inputs.join(name);
            bail!(
                "{name}: {status}; the input is {}: mend the reader, and keep the input in tests/fuzz/corpus/{name}/",
                input.display()
            );
        }
    }
    if count == 0 {
        bail!("there is no such target; there are:\n{list}");
    }
    Ok(())
}
