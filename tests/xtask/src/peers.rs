//! The clients of others, out of the npm registry, that measure against our servers in tests and benches:
//! `tests/peers/package-lock.json` says which, to the byte.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cargo::{root, target_dir};

/// Fetches them into the target directory, unless these very ones are there already, and says where they are.
pub(crate) fn provide() -> Result<PathBuf> {
    let (from, to) = (root().join("tests/peers"), target_dir()?.join("peers"));
    let modules = to.join("node_modules");
    let wanted =
        fs::read(from.join("package-lock.json")).context("reading what npm is to fetch")?;
    let there = fs::read(to.join("package-lock.json"));
    // npm writes this file last.
    let complete = modules.join(".package-lock.json").is_file();
    if complete && there.is_ok_and(|there| there == wanted) {
        println!("all npm packages are there");
        return Ok(modules);
    }
    let making = || format!("making {}", to.display());
    fs::create_dir_all(&to).with_context(making)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(from.join(file), to.join(file)).with_context(making)?;
    }
    println!("$ cd {} && npm ci --ignore-scripts", to.display());
    let status = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&to)
        .status()
        .context("cannot run npm")?;
    if !status.success() {
        bail!(
            "npm could not fetch what the tests measure with ({status}); is its registry reachable?"
        );
    }
    Ok(modules)
}
