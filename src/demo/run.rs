//! The demo from beginning to end: a town is built, real agents enrol, measure and upload, and what the
//! collector says is printed and written down.
//!
//! Everything is done as a user would do it: the collector and the agents are this program, started with
//! the commands of the handbook, and the results are asked for over the collector's own API.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use messnetz_metric::Failure;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use serde::Deserialize;
use thiserror::Error;

use super::network::{Network, NetworkError, Town};
use super::page;
use crate::collector::ConfigError;
use crate::lab::{Direction, Lab, LabError, Link, Namespace};
use crate::text::Language;

/// The example authority that belongs to the example town.
pub const AUTHORITY: &str = include_str!("authority.toml");

/// What the demo's collector is told, but for addresses.
const COLLECTOR: &str = include_str!("collector.toml");

/// What its agents allow.
const LIMITS: &str = include_str!("limits.toml");

/// The file in the folder of the results that says so.
const LIMITS_FILE: &str = "limits.toml";

/// The agents' door inside the town.
const DOOR_PORT: u16 = 8443;

/// When the results are printed, whether or not everything is decided by then.
const LATEST: Duration = Duration::from_secs(78);

/// How often the collector is asked how far it is.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How long the collector may take to come up.
const START: Duration = Duration::from_secs(10);

/// Where the collector's API gives the whole report.
const REPORT: &str = "/api/v1/report";

/// The folder inside the results in which collector and agents work.
const WORK_FOLDER: &str = "run";

/// Marks a work folder as made by a demo, and so as one that the next demo may empty.
const MARKER: &str = ".messnetz-demo";

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where results are written.
    pub results: PathBuf,
    /// Folder with the user's own `network.toml` and `authority.toml`.
    pub config: Option<PathBuf>,
    /// Port of the dashboard on 127.0.0.1; 0 for any that is free.
    pub port: u16,
    /// Language of table and charts.
    pub language: Language,
}

/// The demo could not be shown.
#[derive(Debug, Error)]
pub enum DemoError {
    /// Namespaces, links, commands in them.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The town's description.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The site file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Town and site file do not belong together.
    #[error("{0}")]
    Mismatch(String),
    /// A file or a folder.
    #[error("{doing} {path}")]
    File {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The results folder holds something else under the name of the work folder.
    #[error("{path} was not made by a demo and is left alone; choose another folder with --out")]
    ForeignFolder {
        /// Which.
        path: String,
    },
    /// A process of the demo ended by itself.
    #[error("the demo's {name} ended ({status}): {last_words}; its log is {log}")]
    Ended {
        /// Which.
        name: String,
        /// How.
        status: std::process::ExitStatus,
        /// The last line of its log.
        last_words: String,
        /// Where its log is.
        log: String,
    },
    /// The dashboard's port.
    #[error(
        "listening on 127.0.0.1:{port} for the dashboard; another demo or collector may be running: choose another port with --port"
    )]
    Port {
        /// Which.
        port: u16,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A command of this program inside the town failed.
    #[error("`messnetz {command}` in the town failed: {why}")]
    Command {
        /// Which.
        command: String,
        /// What it said.
        why: String,
    },
    /// The collector did not answer.
    #[error("asking the demo's collector for {path}")]
    Ask {
        /// What for.
        path: String,
        /// Why it failed.
        #[source]
        source: Failure,
    },
    /// The operating system.
    #[error("{doing}")]
    System {
        /// What was attempted.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// What happens, for the progress display.
pub trait Progress {
    /// A new stage has begun.
    fn stage(&self, what: &str);
    /// Verdicts so far.
    fn verdicts(&self, decided: usize, all: usize, elapsed: Duration, at_most: Duration);
}

/// A town with its collector and agents at work. Dropping it ends all of them and leaves nothing behind
/// but the results folder.
pub struct Demo {
    // Order matters: the processes end before the town under them is taken down.
    processes: Vec<(String, Child)>,
    town: Town,
    work: PathBuf,
    server: Namespace,
    results: PathBuf,
    language: Language,
    dashboard: SocketAddr,
    started: Instant,
}

impl Demo {
    /// Builds the town, starts the collector, enrols and starts the agents. Must be called while this
    /// process has one thread: the kernel gives a user namespace to no other.
    ///
    /// # Errors
    /// Where the kernel does not allow it, the configuration is wrong, or a command fails.
    pub async fn start(options: &Options, progress: &impl Progress) -> Result<Self, DemoError> {
        let started = Instant::now();
        let (network, authority) = configuration(options.config.as_deref())?;
        let dashboard_socket =
            TcpListener::bind(("127.0.0.1", options.port)).map_err(|source| DemoError::Port {
                port: options.port,
                source,
            })?;
        let system = |doing| move |source| DemoError::System { doing, source };
        let dashboard = dashboard_socket
            .local_addr()
            .map_err(system("asking for the dashboard's address"))?;

        progress.stage("building the town");
        let lab = Lab::enter()?;
        let town = Town::build(&lab, &network)?;
        let work = prepare_folder(&options.results)?;
        let door = SocketAddr::new(town.server.address.into(), DOOR_PORT);
        write(&work.join("authority.toml"), &authority)?;
        write(
            &work.join("collector.toml"),
            &format!(
                "agents = \"{door}\"\nlanguage = \"{}\"\n{COLLECTOR}",
                options.language.tag()
            ),
        )?;
        write(&work.join(LIMITS_FILE), LIMITS)?;
        let mut demo = Self {
            processes: Vec::new(),
            server: town.server.namespace.clone(),
            town,
            work,
            results: options.results.clone(),
            language: options.language,
            dashboard,
            started,
        };

        progress.stage("starting the collector");
        demo.start_collector(dashboard_socket).await?;
        progress.stage("enrolling and starting the agents");
        for index in 0..network.schools.len() {
            demo.start_agent(index)?;
        }
        Ok(demo)
    }

    /// The dashboard's address.
    #[must_use]
    pub fn dashboard(&self) -> String {
        format!("http://{}/", self.dashboard)
    }

    /// Waits until every verdict is decided, or the time is over.
    ///
    /// # Errors
    /// Where the collector does not answer.
    pub async fn wait_for_verdicts(&mut self, progress: &impl Progress) -> Result<(), DemoError> {
        progress.stage("measuring");
        loop {
            self.all_running()?;
            let counts = self.count_verdicts().await?;
            let elapsed = self.started.elapsed();
            progress.verdicts(counts.decided, counts.all, elapsed, LATEST);
            if counts.decided == counts.all || elapsed >= LATEST {
                return Ok(());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Writes charts, recommendations and the whole report into the results folder, and gives the
    /// table to print.
    ///
    /// # Errors
    /// Where the collector does not answer or a file cannot be written.
    pub async fn results(&self) -> Result<String, DemoError> {
        for (path, file) in [
            ("/charts/coverage.svg", "coverage.svg"),
            ("/charts/coverage.png", "coverage.png"),
            ("/charts/throughput.svg", "throughput.svg"),
            ("/charts/throughput.png", "throughput.png"),
            ("/api/v1/recommendations", "recommendations.json"),
            (REPORT, "report.json"),
            ("/", "dashboard.html"),
        ] {
            let content = self.ask(path).await?;
            let path = self.results.join(file);
            fs::write(&path, &content).map_err(file_error("writing", &path))?;
        }
        self.messnetz(
            &self.server,
            &["collector", "report", "--lang", self.language.tag()],
        )
    }

    /// The whole report as the API gives it.
    ///
    /// # Errors
    /// Where the collector does not answer.
    pub async fn report_json(&self) -> Result<String, DemoError> {
        Ok(String::from_utf8_lossy(&self.ask(REPORT).await?).into_owned())
    }

    /// Frames that the emulated lines lost against their rules, because this machine gave them too
    /// little room: a measurement during which there were any says less about the line.
    #[must_use]
    pub fn frames_lost_by_the_machine(&self) -> u64 {
        let lost = |link: &Link, way| link.counters(way).kernel_drops;
        let links = self.town.schools.iter().map(|school| &school.link);
        links
            .map(|link| lost(link, Direction::Down) + lost(link, Direction::Up))
            .sum()
    }

    async fn start_collector(&mut self, socket: TcpListener) -> Result<(), DemoError> {
        let system = |doing| move |source| DemoError::System { doing, source };
        let keep = |flags| {
            fcntl(socket.as_fd(), FcntlArg::F_SETFD(flags)).map_err(|error| {
                system("handing the dashboard's socket to the collector")(error.into())
            })
        };
        let number = socket.as_raw_fd().to_string();
        // Only the collector inherits it: the agents are started after it is closed here.
        keep(FdFlag::empty())?;
        let mut command = self.command(&["collector", "run", "--dashboard-socket", &number])?;
        command.stdout(Stdio::null()).stderr(self.log("collector")?);
        let child = self.server.spawn(command)?;
        self.processes.push(("collector".to_owned(), child));
        drop(socket);
        let end = Instant::now() + START;
        loop {
            self.all_running()?;
            match self.ask(REPORT).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > end => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn start_agent(&mut self, index: usize) -> Result<(), DemoError> {
        let school = &self.town.schools[index];
        let (site, agent) = (school.site.to_string(), school.agent.clone());
        let ticket = ["collector", "ticket", &site, "--no-approval"];
        let ticket = self.messnetz(&self.server, &ticket)?;
        let name = format!("agent-{}", index + 1);
        let state = self.work.join(&name);
        let state = state.to_string_lossy();
        self.messnetz(
            &agent,
            &["agent", "enrol", ticket.trim(), "--state", &state],
        )?;
        let limits = self.work.join(LIMITS_FILE);
        let limits = limits.to_string_lossy();
        let run = ["agent", "run", "--state", &state, "--limits", &limits];
        let mut command = self.command(&run)?;
        command.stdout(Stdio::null()).stderr(self.log(&name)?);
        let child = agent.spawn(command)?;
        self.processes.push((name, child));
        Ok(())
    }

    /// This program with these arguments, at work in the demo's folder.
    fn command(&self, arguments: &[&str]) -> Result<Command, DemoError> {
        let program = std::env::current_exe().map_err(|source| DemoError::System {
            doing: "finding this program's file",
            source,
        })?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.work)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs this program to its end and gives what it printed. Exit code 1 is an answer too: something
    /// was found.
    fn messnetz(&self, place: &Namespace, arguments: &[&str]) -> Result<String, DemoError> {
        let failed = |why: String| DemoError::Command {
            command: arguments
                .iter()
                .take(2)
                .copied()
                .collect::<Vec<_>>()
                .join(" "),
            why,
        };
        let mut command = place.command(self.command(arguments)?);
        let output = command
            .output()
            .map_err(|error| failed(error.to_string()))?;
        match output.status.code() {
            Some(0 | 1) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            _ => Err(failed(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            )),
        }
    }

    fn log(&self, name: &str) -> Result<Stdio, DemoError> {
        let path = self.work.join(format!("{name}.log"));
        let file = fs::File::create(&path).map_err(file_error("making the log", &path))?;
        Ok(file.into())
    }

    /// A process that ended while it should be at work is told at once, with its last words.
    fn all_running(&mut self) -> Result<(), DemoError> {
        for (name, child) in &mut self.processes {
            if let Ok(Some(status)) = child.try_wait() {
                let log = self.work.join(format!("{name}.log"));
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(DemoError::Ended {
                    name: name.clone(),
                    status,
                    last_words: said.lines().last().unwrap_or("it said nothing").to_owned(),
                    log: log.display().to_string(),
                });
            }
        }
        Ok(())
    }

    async fn count_verdicts(&self) -> Result<Counts, DemoError> {
        #[derive(Deserialize)]
        struct Report {
            rows: Vec<Row>,
        }
        #[derive(Deserialize)]
        struct Row {
            judgement: Judgement,
        }
        #[derive(Deserialize)]
        struct Judgement {
            verdict: Verdict,
        }
        #[derive(Deserialize)]
        struct Verdict {
            word: String,
        }
        let path = REPORT;
        let report: Report = serde_json::from_slice(&self.ask(path).await?).map_err(|error| {
            let reason = messnetz_metric::FailureReason::Protocol;
            DemoError::Ask {
                path: path.to_owned(),
                source: Failure::new(reason, error),
            }
        })?;
        let decided = |row: &&Row| matches!(row.judgement.verdict.word.as_str(), "met" | "missed");
        Ok(Counts {
            decided: report.rows.iter().filter(decided).count(),
            all: report.rows.len(),
        })
    }

    async fn ask(&self, path: &str) -> Result<Vec<u8>, DemoError> {
        page::get(self.dashboard, path)
            .await
            .map_err(|source| DemoError::Ask {
                path: path.to_owned(),
                source,
            })
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        for (_, child) in &mut self.processes {
            // A process that has ended already is what is wanted.
            let _ = child.kill();
        }
        for (_, child) in &mut self.processes {
            let _ = child.wait();
        }
    }
}

struct Counts {
    decided: usize,
    all: usize,
}

/// The town and the text of its site file, held against each other.
fn configuration(folder: Option<&Path>) -> Result<(Network, String), DemoError> {
    let (network, authority, name) = match folder {
        None => (
            Network::built_in()?,
            AUTHORITY.to_owned(),
            "the demo's authority.toml".to_owned(),
        ),
        Some(folder) => {
            let read = |name: &str| {
                let path = folder.join(name);
                fs::read_to_string(&path)
                    .map(|text| (text, path.display().to_string()))
                    .map_err(file_error("reading", &path))
            };
            let (network, network_name) = read("network.toml")?;
            let (authority, name) = read("authority.toml")?;
            (Network::parse(&network_name, &network)?, authority, name)
        }
    };
    let parsed =
        messnetz_sites::site::Authority::parse(&name, &authority).map_err(ConfigError::Problems)?;
    for school in &network.schools {
        if parsed.site(&school.site).is_none() {
            let known: Vec<String> = parsed.sites().map(|site| site.id.to_string()).collect();
            return Err(DemoError::Mismatch(format!(
                "network.toml has a line to '{}', which {name} does not know; it knows {}",
                school.site,
                known.join(", ")
            )));
        }
    }
    Ok((network, authority))
}

/// Makes the results folder and an empty work folder in it. A folder of that name that no demo made is
/// somebody else's and stays.
fn prepare_folder(results: &Path) -> Result<PathBuf, DemoError> {
    let work = results.join(WORK_FOLDER);
    if work.exists() {
        if !work.join(MARKER).exists() {
            return Err(DemoError::ForeignFolder {
                path: work.display().to_string(),
            });
        }
        fs::remove_dir_all(&work).map_err(file_error("emptying", &work))?;
    }
    fs::create_dir_all(&work).map_err(file_error("making the folder", &work))?;
    write(&work.join(MARKER), "")?;
    fs::canonicalize(&work).map_err(file_error("finding", &work))
}

fn write(path: &Path, content: &str) -> Result<(), DemoError> {
    fs::write(path, content).map_err(file_error("writing", path))
}

fn file_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DemoError + use<> {
    let path = path.display().to_string();
    move |source| DemoError::File {
        doing,
        path,
        source,
    }
}
