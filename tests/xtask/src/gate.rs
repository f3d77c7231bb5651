//! `cargo xtask test`: everything that must pass, in the order in which it fails fastest.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cargo::{Call, is_installed, is_root};
use crate::{fuzz, licences, packages, peers};

/// Runs all steps and prints a summary; stops at the first that fails.
pub(crate) fn run() -> Result<()> {
    let mut gate = Gate::default();
    let result = gate.all();
    gate.summarise(&result);
    result
}

#[derive(Default)]
struct Gate {
    /// Steps with the time that they took.
    passed: Vec<(&'static str, Duration)>,
    /// The step at work.
    current: Option<&'static str>,
    /// What could not be checked here, and why.
    unchecked: Vec<&'static str>,
}

impl Gate {
    fn all(&mut self) -> Result<()> {
        self.step("Debian packages", packages::provide)?;
        self.step("npm packages", || peers::provide().map(|_| ()))?;
        self.call("formatting", "cargo fmt --all --check")?;
        self.step("licences, bans and sources", licences::check)?;
        self.call(
            "lints",
            "cargo clippy --workspace --all-targets --locked -- -D warnings",
        )?;
        self.call(
            "lints of the agent alone",
            "cargo clippy -p messnetz --all-targets --locked --no-default-features \
             --features agent -- -D warnings",
        )?;
        self.call(
            "lints of the collector alone",
            "cargo clippy -p messnetz --all-targets --locked --no-default-features \
             --features collector -- -D warnings",
        )?;
        self.step("documentation", || {
            Call::new("cargo doc --workspace --lib --no-deps --locked")
                .with("RUSTDOCFLAGS", "-D warnings")
                .run()
        })?;
        if is_installed("cargo-deny") {
            self.call("advisories", "cargo deny --locked check advisories")?;
        } else {
            self.unchecked.push(
                "advisories: cargo-deny is not installed (cargo install --locked cargo-deny)",
            );
        }
        let tests = tests()?;
        self.step("tests", || tests.run())?;
        self.step("fuzzing", || fuzz::run(None, fuzz::SECONDS, "1"))
    }

    fn call(&mut self, name: &'static str, line: &str) -> Result<()> {
        self.step(name, || Call::new(line).run())
    }

    fn step(&mut self, name: &'static str, action: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n=== {name} ===");
        self.current = Some(name);
        let start = Instant::now();
        action()?;
        self.passed.push((name, start.elapsed()));
        self.current = None;
        Ok(())
    }

    fn summarise(&self, result: &Result<()>) {
        println!("\n=== summary ===");
        for (name, time) in &self.passed {
            println!("{:>11} {name} ({} s)", "passed", time.as_secs());
        }
        if let (Err(_), Some(name)) = (result, self.current) {
            println!("{:>11} {name}; what follows was not run", "FAILED");
        }
        for what in &self.unchecked {
            println!("{:>11} {what}", "NOT CHECKED");
        }
    }
}

/// All tests. They build networks out of namespaces, so who is not root becomes it in a user
/// namespace. Golden files are compared and never written.
fn tests() -> Result<Call> {
    const TESTS: &str = "cargo test --workspace --locked";
    let call = if is_root()? {
        Call::new(TESTS)
    } else if may_unshare() {
        Call::new(&format!("unshare --user --map-root-user {TESTS}"))
    } else {
        bail!(
            "the tests need Linux namespaces: run this as root, or allow user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1)"
        );
    };
    Ok(call.with("INSTA_UPDATE", "no"))
}

fn may_unshare() -> bool {
    Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
