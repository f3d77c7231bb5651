//! The command line: one file per command. Reads arguments, calls the rest, prints, and turns errors
//! into one message and an exit code.

#[cfg(feature = "agent")]
mod agent;
#[cfg(feature = "agent")]
mod audit;
mod batch;
#[cfg(feature = "collector")]
mod calendar;
#[cfg(feature = "collector")]
mod collector;
#[cfg(feature = "collector")]
mod contract;
#[cfg(all(feature = "agent", feature = "collector"))]
mod demo;
#[cfg(feature = "collector")]
mod explain;
mod input;
#[cfg(feature = "collector")]
mod place;
#[cfg(feature = "agent")]
mod probe;
mod release;
#[cfg(feature = "collector")]
mod replace;
#[cfg(feature = "agent")]
mod serve;
#[cfg(feature = "collector")]
mod sites;
#[cfg(feature = "agent")]
mod stamp_key;
#[cfg(feature = "collector")]
mod targets;

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// What a command came to, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// All is well.
    Well,
    /// The command did its work, and found something that is not as it should be.
    Findings,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Well => Self::SUCCESS,
            Ending::Findings => Self::from(1),
        }
    }
}

/// Exit code of a command that could not do its work.
const TROUBLE: u8 = 2;

/// Tells a school authority, with evidence, whether each school has the network its media
/// development plan promised, why not, and what to buy next.
#[derive(Debug, Parser)]
#[command(
    name = "messnetz",
    version,
    after_help = "Exit codes: 0 all is well, 1 something is not as it should be, 2 the command could not do its work.\nLogs go to stderr; MESSNETZ_LOG=debug says more."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(all(feature = "agent", feature = "collector"))]
    Demo(demo::Arguments),
    #[cfg(feature = "agent")]
    Audit(Box<audit::Arguments>),
    #[cfg(feature = "agent")]
    Agent(agent::Arguments),
    #[cfg(feature = "collector")]
    Collector(collector::Arguments),
    Batch(batch::Arguments),
    Release(release::Arguments),
    #[cfg(feature = "agent")]
    Probe(Box<probe::Arguments>),
    #[cfg(feature = "agent")]
    Serve(Box<serve::Arguments>),
    #[cfg(feature = "collector")]
    Explain(explain::Arguments),
    #[cfg(feature = "collector")]
    Sites(sites::Arguments),
    #[cfg(feature = "collector")]
    Targets(targets::Arguments),
    #[cfg(feature = "collector")]
    Calendar(calendar::Arguments),
    #[cfg(feature = "collector")]
    Contract(contract::Arguments),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr();
    let ended = match arguments.command {
        #[cfg(all(feature = "agent", feature = "collector"))]
        Command::Demo(arguments) => demo::run(&arguments),
        #[cfg(feature = "agent")]
        Command::Audit(arguments) => audit::run(&arguments),
        #[cfg(feature = "agent")]
        Command::Agent(arguments) => agent::run(arguments),
        #[cfg(feature = "collector")]
        Command::Collector(arguments) => collector::run(arguments),
        Command::Batch(arguments) => batch::run(arguments),
        Command::Release(arguments) => release::run(arguments),
        #[cfg(feature = "agent")]
        Command::Probe(arguments) => probe::run(*arguments),
        #[cfg(feature = "agent")]
        Command::Serve(arguments) => serve::run(&arguments),
        #[cfg(feature = "collector")]
        Command::Explain(arguments) => explain::run(&arguments),
        #[cfg(feature = "collector")]
        Command::Sites(arguments) => sites::run(arguments),
        #[cfg(feature = "collector")]
        Command::Targets(arguments) => targets::run(arguments),
        #[cfg(feature = "collector")]
        Command::Calendar(arguments) => calendar::run(arguments),
        #[cfg(feature = "collector")]
        Command::Contract(arguments) => contract::run(arguments),
    };
    match ended {
        Ok(ending) => ending.into(),
        // Whoever closes the pipe has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "messnetz: {}", chain(&error));
            ExitCode::from(TROUBLE)
        }
    }
}

/// The whole command line, for the tests that hold its help.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("MESSNETZ_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .init();
}

/// An error with its causes, each said once.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Prints to stdout; an error where nobody reads.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Writes a file that must not exist yet: what is there may be somebody's work.
fn write_new(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .with_context(|| format!("writing {}", path.display()))
}

/// Writes example files into a folder and says so.
#[cfg(feature = "collector")]
fn write_examples(folder: &Path, files: &[(&str, &str)]) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("making the folder {}", folder.display()))?;
    for (name, content) in files {
        let path = folder.join(name);
        write_new(&path, content.as_bytes())?;
        print(&format!("wrote {}", path.display()))?;
    }
    Ok(())
}

/// Prints a result as JSON.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(print(&serde_json::to_string_pretty(value)?)?)
}

/// Whether this machine has an interface of this name; the error names those that it has.
#[cfg(feature = "agent")]
fn check_interface(name: Option<&str>) -> anyhow::Result<()> {
    let Some(name) = name else { return Ok(()) };
    let known = messnetz_probes::link::interfaces()?;
    if !known.iter().any(|known| known == name) {
        anyhow::bail!(
            "this machine has no interface '{name}'; it has {}",
            known.join(", ")
        );
    }
    Ok(())
}

/// Runs async work on one thread: an agent is small.
#[cfg(feature = "agent")]
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Resolves when the program is asked to end.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let one = async |kind| match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            tracing::warn!(%error, "this signal cannot be waited for");
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = one(SignalKind::interrupt()) => {}
        () = one(SignalKind::terminate()) => {}
        () = one(SignalKind::hangup()) => {}
    }
}
