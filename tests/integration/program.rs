//! The program under test, started as its users start it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use messnetz::lab::Namespace;
use messnetz::wire::Ticket;
use rustls::ServerConfig;

/// How long a collector may take to come up on a busy machine.
const START: Duration = Duration::from_secs(30);

/// `messnetz` with these arguments, at work in `directory`.
pub(crate) fn messnetz(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_messnetz"));
    command
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .env("NO_COLOR", "1");
    command
}

/// Runs it to its end.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Output {
    messnetz(directory, arguments).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// TLS as a server of a test speaks it, with this certificate.
pub(crate) fn tls_of(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![made.cert.der().clone()],
            made.signing_key.serialize_der().try_into().unwrap(),
        )
        .unwrap()
}

/// Says what a test could not check here, past the test runner, which hides what a passing test prints.
pub(crate) fn not_checked(what: &str) {
    let line = format!("NOT CHECKED: {what}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// A collector that runs until it is dropped.
pub(crate) struct RunningCollector {
    child: Child,
    directory: PathBuf,
    place: Option<Namespace>,
    /// Where its dashboard is, as it says itself.
    pub(crate) dashboard: String,
}

impl RunningCollector {
    /// Starts a collector in `directory`, whose `collector.toml` and `authority.toml` are written
    /// already, in a namespace where one is given, and waits until it serves.
    pub(crate) fn start(directory: &Path, place: Option<&Namespace>) -> Self {
        let mut command = messnetz(directory, &["collector", "run"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = match place {
            Some(place) => place.spawn(command).unwrap(),
            None => command.spawn().unwrap(),
        };
        let (said, lines) = mpsc::channel();
        let log = BufReader::new(child.stderr.take().unwrap());
        // Reads for ever, so that the collector never waits for a full pipe.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        let mut seen = Vec::new();
        let dashboard = loop {
            let Ok(line) = lines.recv_timeout(START) else {
                panic!("the collector did not come up: {seen:#?}")
            };
            if let Some((_, rest)) = line.split_once("dashboard=") {
                break rest.split_whitespace().next().unwrap().to_owned();
            }
            seen.push(line);
        };
        Self {
            child,
            directory: directory.to_owned(),
            place: place.cloned(),
            dashboard,
        }
    }

    /// A ticket for this site, which lets its agent in at once.
    pub(crate) fn ticket(&self, site: &str) -> Ticket {
        let command = messnetz(
            &self.directory,
            &["collector", "ticket", site, "--no-approval"],
        );
        let output = self.in_place(command);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output).trim().parse().unwrap()
    }

    fn in_place(&self, command: Command) -> Output {
        match &self.place {
            Some(place) => place.command(command).output().unwrap(),
            None => { command }.output().unwrap(),
        }
    }
}

impl Drop for RunningCollector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes a site file with one school, and a collector's configuration around these lines.
pub(crate) fn write_config(directory: &Path, lines: &str) {
    fs::create_dir_all(directory).unwrap();
    let authority = messnetz::demo::AUTHORITY;
    fs::write(directory.join("authority.toml"), authority).unwrap();
    let config = format!("sites = \"authority.toml\"\n{lines}\n");
    fs::write(directory.join("collector.toml"), config).unwrap();
}
