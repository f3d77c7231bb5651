//! A town with a collector: its files, its enrolled agents, and the program that serves them.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use messnetz::clock;
use messnetz::collector::{Collector, Config, STORE_FILE};
use messnetz::store::Admission;
use messnetz::wire::TicketSecret;
use messnetz_probes::tls::Fingerprint;
use tempfile::TempDir;

use crate::conversation::FarEnd;
use crate::process::{Server, run};
use crate::school_box::SchoolBox;

/// The folder of a collector, with its agents.
#[derive(Debug)]
pub(crate) struct Town {
    folder: TempDir,
    program: PathBuf,
    address: SocketAddr,
    fingerprint: Fingerprint,
    pub(crate) agents: Vec<SchoolBox>,
}

impl Town {
    /// So many schools with an agent each that is in.
    pub(crate) fn new(program: &Path, plan: &Plan) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("messnetz-load-")
            .tempdir()?;
        let address = free_address()?;
        let file = |name: &str, text: &str| fs::write(folder.path().join(name), text);
        file("authority.toml", &plan.authority()?)?;
        for (name, text) in &plan.files {
            file(name, text)?;
        }
        let schedule = plan.schedule;
        let config = format!(
            "sites = \"authority.toml\"\nagents = \"{address}\"\npublic = \"{address}\"\n\
             dashboard = \"127.0.0.1:0\"\n{schedule}"
        );
        file("collector.toml", &config)?;
        let mut town = Self {
            program: fs::canonicalize(program).context("finding the program")?,
            fingerprint: Fingerprint::of(&[]),
            agents: Vec::new(),
            address,
            folder,
        };
        town.enrol(plan.schools)?;
        Ok(town)
    }

    /// The file of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("data").join(STORE_FILE)
    }

    /// A copy of the store, by the program's own command.
    pub(crate) fn backup(&self) -> Result<PathBuf> {
        let copy = self.folder.path().join("copy.db");
        let mut command = self.command(&["collector", "store", "backup"]);
        run(command.arg(&copy))?;
        Ok(copy)
    }

    /// The collector, in this process.
    pub(crate) fn open(&self) -> Result<Collector> {
        let config = Config::load(&self.folder.path().join("collector.toml"))?;
        Ok(Collector::open(config)?)
    }

    fn enrol(&mut self, schools: u32) -> Result<()> {
        let collector = self.open()?;
        self.fingerprint = collector.keys()?.certificate.fingerprint;
        let epoch = clock::now().0.unsigned_abs() - MONTH_MS;
        for number in 0..schools {
            let agent = SchoolBox::new(collector.id()?, site(number), epoch)?;
            let secret = TicketSecret::random().ok();
            let secret = secret.context("the system gave no random numbers")?;
            let now = clock::now();
            let day = Duration::from_hours(24);
            collector.with_store_now(|store| {
                store.add_ticket(&secret, &agent.site, Admission::AtOnce, now, day)?;
                store.redeem_ticket(&secret, &agent.site, agent.public_key(), now)
            })??;
            self.agents.push(agent);
        }
        Ok(())
    }

    /// Starts the program.
    pub(crate) fn serve(&self) -> Result<Server> {
        let mut command = self.command(&["collector", "run"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Server::start(&mut command, self.address)
    }

    pub(crate) fn far_end(&self) -> FarEnd {
        FarEnd::new(self.address, Some(self.fingerprint))
    }

    /// Seals all that waits, by the program's own command; gives the CPU time that this took.
    pub(crate) fn seal(&self) -> Result<Duration> {
        Ok(run(&mut self.command(&["collector", "store", "compact"]))?.1)
    }

    /// Proves the chains of all agents, by the program's own command, and that so many batches are there.
    pub(crate) fn check(&self, batches: u64) -> Result<()> {
        run(&mut self.command(&["collector", "store", "check"]))?;
        let came = self.open()?.with_store_now(|store| store.came())?;
        let found: u64 = came.iter().map(|came| came.batches).sum();
        if found != batches || came.iter().any(|came| came.missing > 0) {
            bail!("{batches} batches were acknowledged, and {found} are in the store");
        }
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.folder.path());
        command
    }
}

/// How long before now agents began to measure.
const MONTH_MS: u64 = 30 * 24 * 3_600_000;

/// An address on loopback that nobody has.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn site(number: u32) -> String {
    format!("XX-{:06}/main", 100_000 + number)
}

/// What a town is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) schools: u32,
    /// Whose targets count.
    pub(crate) profile: &'static str,
    /// What stands in the site file before the schools.
    pub(crate) head: String,
    /// Files beside it.
    pub(crate) files: Vec<(&'static str, String)>,
    /// What stands in the configuration; the shipped schedule where it is empty.
    pub(crate) schedule: &'static str,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            schools: 1,
            profile: "voice-video",
            head: String::new(),
            files: Vec::new(),
            schedule: "",
        }
    }
}

impl Plan {
    /// As every authority begins: so many schools.
    pub(crate) fn of(schools: u32) -> Self {
        Self {
            schools,
            ..Self::default()
        }
    }

    fn authority(&self) -> Result<String> {
        let (profile, head) = (self.profile, &self.head);
        let mut text =
            format!("[authority]\nname = \"Bench\"\nprofiles = [\"{profile}\"]\n\n{head}");
        for number in 0..self.schools {
            let site = site(number);
            let school = site.split('/').next().unwrap_or_default();
            write!(
                text,
                "\n[[school]]\nid = \"{school}\"\nname = \"School {number}\"\nform = \"primary\"\n\
                 [[school.site]]\nid = \"main\"\nname = \"Main\"\n"
            )?;
        }
        Ok(text)
    }
}
