//! One collector, one agent and one keeper as processes, in a folder that stays where the test fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use messnetz::agent::Spool;
use messnetz_probes::ndt7::pacing::SplitMix64;
use tempfile::TempDir;

use super::keeper::{self, Journal};
use crate::doors::{SCHEDULE, free_port};
use crate::program::{messnetz, run, stderr, stdout, write_config};

pub(super) const SITE: &str = "XX-100001/main";

/// A schedule that measures nothing, so that nothing new comes into a spool that is to be emptied.
const CALM: &str = "[schedule]\nupload_every_ms = 100\n";

/// The parts of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Collector,
    Agent,
    Keeper,
}

/// A town and a school.
pub(super) struct Scene {
    kind: &'static str,
    pub(super) random: SplitMix64,
    folder: Option<TempDir>,
    /// The collector's folder.
    pub(super) town: PathBuf,
    /// The agent's.
    pub(super) school: PathBuf,
    /// Where the collector listens.
    pub(super) port: u16,
    /// Where agents knock.
    public: u16,
    processes: [Option<Child>; 3],
    /// How often the keeper was started.
    lives: u64,
    /// How long it rests at most.
    pub(super) pause: Duration,
    /// What the processes are started with in addition.
    pub(super) environment: Vec<(&'static str, String)>,
}

impl Scene {
    /// An empty one. Agents knock at `public`, or where the collector listens.
    pub(super) fn new(kind: &'static str, port: u16, public: Option<u16>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(&format!("messnetz-faults-{kind}-"))
            .tempdir()
            .unwrap();
        let [town, school] = ["town", "school"].map(|name| folder.path().join(name));
        std::fs::create_dir(&school).unwrap();
        let scene = Self {
            kind,
            random: SplitMix64::new(super::seed()),
            folder: Some(folder),
            town,
            school,
            port,
            public: public.unwrap_or(port),
            processes: [const { None }; 3],
            lives: 0,
            pause: Duration::from_millis(5),
            environment: Vec::new(),
        };
        scene.schedule(SCHEDULE);
        scene
    }

    /// One whose collector runs and whose agent is enrolled.
    pub(super) fn enrolled(kind: &'static str) -> Self {
        let mut scene = Self::new(kind, free_port(), None);
        scene.start(Part::Collector);
        scene.wait_for_door();
        scene.enrol("agent", SITE);
        scene
    }

    fn schedule(&self, schedule: &str) {
        let Self { port, public, .. } = self;
        let lines = format!(
            "agents = \"127.0.0.1:{port}\"\npublic = \"127.0.0.1:{public}\"\ndashboard = \"127.0.0.1:0\"\n{schedule}"
        );
        write_config(&self.town, &lines);
    }

    /// From the collector's next start, agents measure nothing.
    pub(super) fn calm(&self) {
        self.schedule(CALM);
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit
    }

    /// A ticket for a site.
    pub(super) fn ticket(&self, site: &str) -> String {
        let output = run(&self.town, &["collector", "ticket", site, "--no-approval"]);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output).trim().to_owned()
    }

    /// Enrols in this directory of the school's.
    pub(super) fn enrol(&self, state: &str, site: &str) {
        let ticket = self.ticket(site);
        let output = run(&self.school, &["agent", "enrol", &ticket, "--state", state]);
        assert!(output.status.success(), "{}", stderr(&output));
    }

    /// Starts what does not run. What has ended by itself ends the test.
    pub(super) fn start(&mut self, part: Part) {
        if let Some(child) = &mut self.processes[part as usize] {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{part:?} ended by itself: {ended:?}");
            return;
        }
        let child = match part {
            Part::Collector => self.spawn(&self.town, &["collector", "run"]),
            Part::Agent => self.spawn_agent("agent"),
            Part::Keeper => {
                self.lives += 1;
                let (lives, journal) = (self.lives, self.journal());
                File::options()
                    .append(true)
                    .create(true)
                    .open(&journal)
                    .unwrap();
                let child = keeper::start(&self.spool(), &journal, lives, self.pause);
                self.processes[part as usize] = Some(child);
                // It opens the spool before the agent does: spools have one writer.
                return wait_until("a keeper at work", || self.kept().opened == lives);
            }
        };
        self.processes[part as usize] = Some(child);
    }

    /// Starts an agent in this directory. Until it has opened its spool, or is killed, no keeper writes.
    pub(super) fn spawn_agent(&self, state: &str) -> Child {
        let turn = File::create(keeper::turn_of(&self.spool())).unwrap();
        turn.lock().unwrap();
        let log = self.school.join("log");
        let starts = |log: &Path| {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            log.matches("the agent starts").count()
        };
        let before = starts(&log);
        let child = self.spawn(&self.school, &["agent", "run", "--state", state]);
        let process = PathBuf::from(format!("/proc/{}/fd/0", child.id()));
        std::thread::spawn(move || {
            // A process that has ended has no open files.
            while starts(&log) == before && process.exists() {
                std::thread::sleep(Duration::from_millis(2));
            }
            drop(turn);
        });
        child
    }

    /// Forgets an agent that ended by itself, which must have said so; whether one did.
    pub(super) fn has_given_up(&mut self, saying: &str) -> bool {
        let ended = self.processes[Part::Agent as usize]
            .as_mut()
            .is_some_and(|agent| agent.try_wait().unwrap().is_some());
        if ended {
            self.processes[Part::Agent as usize] = None;
            let log = self.log(Part::Agent);
            let last = log.lines().last().unwrap_or_default();
            assert!(last.contains(saying), "{last}");
        }
        ended
    }

    /// Starts a program that says into `log` in its folder what it says.
    pub(super) fn spawn(&self, folder: &Path, arguments: &[&str]) -> Child {
        let log = File::options()
            .append(true)
            .create(true)
            .open(folder.join("log"))
            .unwrap();
        messnetz(folder, arguments)
            .envs(self.environment.iter().cloned())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Kills it with SIGKILL, where it runs; whether it did.
    pub(super) fn kill(&mut self, part: Part) -> bool {
        let Some(mut child) = self.processes[part as usize].take() else {
            return false;
        };
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "{part:?} ended by itself: {ended:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        true
    }

    /// Whether it does not run.
    pub(super) fn is_gone(&self, part: Part) -> bool {
        self.processes[part as usize].is_none()
    }

    /// Waits until somebody listens at the collector's door.
    pub(super) fn wait_for_door(&self) {
        let address = ("127.0.0.1", self.port);
        wait_until("a listening collector", || {
            std::net::TcpStream::connect(address).is_ok()
        });
    }

    /// The agent's spool.
    pub(super) fn spool(&self) -> PathBuf {
        self.school.join("agent/spool.db")
    }

    /// The spool, opened beside the agent.
    pub(super) fn open_spool(&self) -> Spool {
        Spool::open(&self.spool(), messnetz::clock::now()).unwrap()
    }

    fn journal(&self) -> PathBuf {
        self.school.join("journal")
    }

    /// What the keeper noted.
    pub(super) fn kept(&self) -> Journal {
        Journal::read(&self.journal())
    }

    /// What the agent says of itself.
    pub(super) fn status(&self) -> serde_json::Value {
        let arguments = ["agent", "status", "--state", "agent", "--json"];
        let output = run(&self.school, &arguments);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)))
    }

    /// How many observations the agent says that it gave up.
    pub(super) fn given_up(&self) -> u64 {
        self.status()["given_up_observations"].as_u64().unwrap()
    }

    /// Lets an agent go on whose numbers came twice, as an operator does who has looked.
    pub(super) fn release(&self, agent: &str) {
        let output = run(&self.town, &["collector", "release", agent]);
        assert!(output.status.success(), "{}", stderr(&output));
    }

    /// The same for every agent that is in quarantine now.
    pub(super) fn release_all(&self) {
        let output = run(&self.town, &["collector", "agents", "--json"]);
        let agents: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for agent in agents.as_array().unwrap() {
            if agent["standing"] == "quarantined" {
                self.release(agent["agent"].as_str().unwrap());
            }
        }
    }

    /// Waits until nothing waits in the spool; whoever is in quarantine meanwhile is let go on.
    pub(super) fn wait_until_empty(&self) {
        wait_until("an empty spool", || {
            self.release_all();
            let status = self.status();
            status["waiting_observations"] == 0 && status["waiting_batches"] == 0
        });
    }

    /// Ends the keeper, starts the others anew with nothing to measure, and waits until nothing waits.
    pub(super) fn drain(&mut self) {
        for part in [Part::Keeper, Part::Agent, Part::Collector] {
            self.kill(part);
        }
        self.calm();
        self.start(Part::Collector);
        self.wait_for_door();
        self.start(Part::Agent);
        self.wait_until_empty();
    }

    /// What a part has said so far.
    pub(super) fn log(&self, part: Part) -> String {
        let folder = if part == Part::Collector {
            &self.town
        } else {
            &self.school
        };
        std::fs::read_to_string(folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            let (kind, seed) = (self.kind, super::seed());
            let left = folder.keep();
            eprintln!(
                "faults {kind}: the seed was {seed}; what is left is in {}",
                left.display()
            );
        }
    }
}

/// Waits for a state, however busy the machine is.
pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(3);
    while !condition() {
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}
