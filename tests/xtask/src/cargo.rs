//! Calling cargo and other programs, each call printed before it is made.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The cargo that runs this.
pub(crate) fn program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// The directory where builds land.
pub(crate) fn target_dir() -> Result<PathBuf> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let metadata: Metadata = metadata(&["--no-deps"])?;
    Ok(metadata.target_directory)
}

/// What `cargo metadata` says, as `T`.
pub(crate) fn metadata<T: serde::de::DeserializeOwned>(arguments: &[&str]) -> Result<T> {
    let output = Command::new(program())
        .args(["metadata", "--locked", "--format-version", "1"])
        .args(arguments)
        .current_dir(root())
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("cargo metadata failed: {}", errors.trim());
    }
    serde_json::from_slice(&output.stdout).context("cannot read the output of cargo metadata")
}

/// One call with its arguments and environment.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) words: Vec<String>,
    pub(crate) environment: Vec<(&'static str, &'static str)>,
}

impl Call {
    /// A call written as on a command line; no word of it contains a space.
    pub(crate) fn new(line: &str) -> Self {
        Self {
            words: line.split_whitespace().map(str::to_owned).collect(),
            environment: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    /// The call as a reader would type it.
    pub(crate) fn line(&self) -> String {
        let environment = self.environment.iter().map(|(name, value)| {
            if value.contains(' ') {
                format!("{name}=\"{value}\"")
            } else {
                format!("{name}={value}")
            }
        });
        let words = self.words.iter().cloned();
        environment.chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Runs it in the root of the workspace and fails where it fails.
    pub(crate) fn run(&self) -> Result<()> {
        println!("$ {}", self.line());
        let mut words = self.words.iter().map(|word| match word.as_str() {
            "cargo" => program(),
            word => word.to_owned(),
        });
        let name = words.next().context("an empty call")?;
        let status = Command::new(&name)
            .args(words)
            .envs(self.environment.iter().copied())
            .current_dir(root())
            .status()
            .with_context(|| format!("cannot run {name}"))?;
        if !status.success() {
            bail!("`{}` failed ({status})", self.line());
        }
        Ok(())
    }
}

/// Whether `name` is a program in one of the usual places. Debian keeps some outside the `PATH` of
/// ordinary users.
pub(crate) fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .any(|folder| folder.join(name).is_file())
}

/// Whether this process is root: its effective user id is 0.
pub(crate) fn is_root() -> Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")
        .context("cannot read /proc/self/status: is this Linux?")?;
    let ids = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .context("/proc/self/status names no user")?;
    Ok(ids.split_whitespace().nth(1) == Some("0"))
}
