//! Interfaces, addresses, routes and queues through `ip` and `tc`, many lines per call.
//!
//! One process per namespace and batch keeps a town of twenty namespaces under a second to build.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{LabError, Namespace};

/// Directories that an ordinary user's PATH lacks although his programs may run from there.
const SYSTEM_DIRS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

impl Namespace {
    /// Runs the lines of `batch` as commands of `ip` in this namespace, in order, up to the first
    /// that fails.
    ///
    /// # Errors
    /// [`LabError::Tool`] with the failed line and what `ip` said; [`LabError::ToolMissing`].
    pub fn ip(&self, batch: &str) -> Result<(), LabError> {
        self.batch("ip", batch, &[])
    }

    /// Like [`Namespace::ip`]; `others` can be named in the batch by [`Namespace::reference`].
    pub(super) fn ip_with(&self, batch: &str, others: &[&Self]) -> Result<(), LabError> {
        self.batch("ip", batch, others)
    }

    /// Runs the lines of `batch` as commands of `tc` in this namespace, as [`Namespace::ip`] does.
    ///
    /// # Errors
    /// [`LabError::Tool`] with the failed line and what `tc` said; [`LabError::ToolMissing`].
    pub fn tc(&self, batch: &str) -> Result<(), LabError> {
        self.batch("tc", batch, &[])
    }

    /// Joins `near` and `far` by a cable: a veth pair, both ends up, not shaped.
    ///
    /// # Errors
    /// [`LabError::Tool`], for instance where an interface name is taken.
    pub fn cable(near: (&Self, &str), far: (&Self, &str)) -> Result<(), LabError> {
        near.0.ip_with(
            &format!(
                "link add {} type veth peer name {} netns {}\nlink set {} up\n",
                near.1,
                far.1,
                far.0.reference(),
                near.1
            ),
            &[far.0],
        )?;
        far.0.ip(&format!("link set {} up\n", far.1))
    }

    /// What iproute2 takes for a namespace that its process inherited: a path, which unlike a name
    /// needs no file in /run/netns.
    pub(super) fn reference(&self) -> String {
        format!("/proc/self/fd/{}", self.raw_fd())
    }

    fn batch(&self, tool: &'static str, batch: &str, others: &[&Self]) -> Result<(), LabError> {
        let mut command = Command::new(find(tool).ok_or(LabError::ToolMissing { tool })?);
        command
            .args(["-batch", "-"])
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let others = others.iter().map(|&other| other.clone()).collect();
        self.enter_on_exec(&mut command, others, false);
        let failed = |source| LabError::Spawn {
            program: tool.to_owned(),
            name: self.name().to_owned(),
            source,
        };
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A tool that stopped at an error does not read on; its own words say more than EPIPE.
            let _ = stdin.write_all(batch.as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(LabError::Tool {
            tool,
            command: failed_line(batch, &stderr).to_owned(),
            name: self.name().to_owned(),
            stderr: stderr.replace('\n', "; "),
        })
    }
}

fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_DIRS.iter().map(PathBuf::from))
        .map(|dir| dir.join(tool))
        .find(|file| file.is_file())
}

/// The line that iproute2 means by `Command failed -:3`; the whole batch where it names none.
fn failed_line<'a>(batch: &'a str, stderr: &str) -> &'a str {
    stderr
        .lines()
        .find_map(|line| line.strip_prefix("Command failed -:"))
        .and_then(|number| number.trim().parse::<usize>().ok())
        .and_then(|number| batch.lines().nth(number.checked_sub(1)?))
        .unwrap_or(batch)
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failed_line_of_a_batch_is_named() {
        let batch = "link set lo up\nlink set nope up\n";
        let stderr = "Cannot find device \"nope\"\nCommand failed -:2";
        assert_eq!(failed_line(batch, stderr), "link set nope up");
        assert_eq!(failed_line("link x\n", "usage"), "link x");
        assert_eq!(failed_line("link x\n", "Command failed -:0"), "link x");
    }
}
