//! `cargo xtask test`: everything that must pass, in the order in which it fails fastest.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::cargo::{Call, is_installed, is_root};
use crate::{fuzz, licences, packages, peers};

/// Runs all steps and prints a summary; stops at the first that fails.
pub(crate) fn run() -> Result<()> {
    let mut gate = Gate::default();
    let result = gate.all();
    gate.summarise(&result);
    result
}

/// A kind of board that stands in schools.
struct Board {
    name: &'static str,
    target: &'static str,
    compiler: &'static str,
}

const BOARDS: [Board; 2] = [
    Board {
        name: "agent for arm64",
        target: "aarch64-unknown-linux-gnu",
        compiler: "aarch64-linux-gnu-gcc",
    },
    Board {
        name: "agent for armv7",
        target: "armv7-unknown-linux-gnueabihf",
        compiler: "arm-linux-gnueabihf-gcc",
    },
];

/// Whether Rust's own libraries for this target are here.
fn has_target(target: &str) -> Result<bool> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", target])
        .output()
        .context("cannot run rustc")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(folder.trim()).exists())
}

#[derive(Default)]
struct Gate {
    /// Steps with the time that they took.
    passed: Vec<(&'static str, Duration)>,
    /// The step at work.
    current: Option<&'static str>,
    /// What could not be checked here, and why.
    unchecked: Vec<String>,
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
                "advisories: cargo-deny is not installed (cargo install --locked cargo-deny)"
                    .to_owned(),
            );
        }
        self.boxes()?;
        self.unchecked
            .push("Debian packages: cargo xtask package builds and checks them".to_owned());
        let tests = tests()?;
        self.step("tests", || tests.run())?;
        self.step("fuzzing", || fuzz::run(None, fuzz::SECONDS, "1"))
    }

    /// Whether the agent is made of what the boards in schools have, where their target and its C compiler are
    /// installed: SQLite and ring are built from C.
    fn boxes(&mut self) -> Result<()> {
        for Board {
            name,
            target,
            compiler,
        } in BOARDS
        {
            if !has_target(target)? {
                let why =
                    format!("{name}: the target is not installed (rustup target add {target})");
                self.unchecked.push(why);
            } else if !is_installed(compiler) {
                let why =
                    format!("{name}: there is no {compiler}, which SQLite and ring are built with");
                self.unchecked.push(why);
            } else {
                self.call(
                    name,
                    &format!(
                        "cargo check -p messnetz --locked --no-default-features --features agent --target {target}"
                    ),
                )?;
            }
        }
        Ok(())
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
