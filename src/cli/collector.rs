//! `messnetz collector`: keep measurements, hold them against targets, show what came out.

mod agents;
mod certificate;
mod evidence;
mod keys;
mod results;
mod standing;
mod store;
mod ticket;
mod update;

use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use messnetz_sites::period::Cycle;
use messnetz_sites::site::SiteId;

use super::{Ending, asked_to_stop, print, print_json, write_examples};
use crate::collector::{self, AdminToken, Collector, Config, Listeners};
use crate::report::table;
use crate::store::{Admission, Decision};
use crate::text::{Language, Text};
use crate::wire::AgentId;

/// How long a ticket can be used where nothing else is said, in hours.
const TICKET_HOURS: u64 = 72;

/// Keep measurements, hold them against targets, show what came out.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Configuration file
    #[arg(long, global = true, default_value = "collector.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write an example configuration and an example site file to begin with
    #[command(after_help = "Example:\n  messnetz collector init --directory /etc/messnetz")]
    Init {
        /// Where to write them
        #[arg(long, default_value = ".")]
        directory: PathBuf,
    },
    /// Serve agents and the dashboard until stopped
    #[command(
        after_help = "Example:\n  messnetz collector run --config /etc/messnetz/collector.toml"
    )]
    Run {
        /// Serve the dashboard on this inherited listening socket instead
        #[arg(long, hide = true, value_parser = clap::value_parser!(RawFd).range(3..))]
        dashboard_socket: Option<RawFd>,
    },
    /// Make a one-time ticket that lets an agent enrol for a site
    #[command(
        after_help = "Example:\n  messnetz collector ticket XX-100001/main --hours 24\n  messnetz collector ticket XX-100001/main --qr=ticket.svg\n\nWho redeems it waits until you have compared the fingerprint of his key (`messnetz collector approve`)."
    )]
    Ticket {
        /// The site, as SCHOOL/SITE of the site file
        site: String,
        /// How long it can be used
        #[arg(long, default_value_t = TICKET_HOURS)]
        hours: u64,
        /// Let whoever redeems it in at once, without comparing fingerprints: for boxes that you set up yourself
        #[arg(long)]
        no_approval: bool,
        /// Show it as a QR code as well: here, or in a file (.svg, .png) that only you can read
        #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
        qr: Option<PathBuf>,
        /// For an engineer's laptop, which hands in audits of any site (`messnetz agent hand-in`) and measures nothing else
        #[arg(long, conflicts_with = "no_approval")]
        visits: bool,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the enrolled agents: who speaks, what is missing of whom, whose numbers came twice
    #[command(
        after_help = "Example:\n  messnetz collector agents --json\n\nAn agent is live up to a day after its last batch, at risk up to a week, then lost, unless a profile says otherwise.\nA forked agent's state was copied or restored: it is in quarantine: find the second box, then `messnetz collector release` or `revoke`."
    )]
    Agents {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the visits whose audits were handed in, each with what it saw of the site's targets
    #[command(
        after_help = "Examples:\n  messnetz collector visits\n  messnetz collector visits --days 365 --json\n\nA visit is a snapshot: it says above or below on that day, and no verdict rests on it.\nA laptop hands audits in with 'messnetz agent hand-in', enrolled with 'messnetz collector ticket SITE --visits'."
    )]
    Visits {
        /// How many days to look back
        #[arg(long, default_value_t = 92, value_parser = clap::value_parser!(u16).range(1..=3660))]
        days: u16,
        /// Language; the configuration's where not given
        #[arg(long, value_enum)]
        lang: Option<Language>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print which numbers of an agent are missing, and which of its epochs went on beside one another
    #[command(
        after_help = "Example:\n  messnetz collector gaps 0123456789abcdef0123456789abcdef --json\n\nA gap is what never came, such as a tail that was cut; it closes when it comes late.\nExit code 1 where there is a gap, or an epoch went on after a later one had begun."
    )]
    Gaps {
        /// The agent
        #[arg(value_parser = agent_id)]
        agent: AgentId,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Let an agent in, after you compared the fingerprint that it shows with the one that is told you
    #[command(
        after_help = "Example:\n  messnetz collector approve 0123 4567 89ab cdef 0123 4567 89ab cdef\n\nAll digits are needed: typing or pasting what the box shows is the comparison."
    )]
    Approve(standing::Whom),
    /// Let an agent go on under a new epoch that is in quarantine because its numbers came twice
    #[command(
        after_help = "Example:\n  messnetz collector release 0123456789abcdef0123456789abcdef\n\nSwitch the second box off first, or the alarm comes again. Nothing that waits is lost."
    )]
    Release(standing::Whom),
    /// Take nothing from an agent any more, for good
    #[command(
        after_help = "Example:\n  messnetz collector revoke 0123456789abcdef0123456789abcdef\n\nWhat it sent stays. The box can be enrolled anew with another key."
    )]
    Revoke(standing::Whom),
    /// Let an agent measure at another site from now on
    #[command(
        after_help = "Example:\n  messnetz collector move XX-100002/main 0123456789abcdef0123456789abcdef\n\nMove it before the box is carried there: what it has measured until it is told counts for the old site."
    )]
    Move {
        /// The new site, as SCHOOL/SITE of the site file
        site: String,
        #[command(flatten)]
        whom: standing::Whom,
    },
    /// Make a new admin token for dashboard and API; the old one ends, within a second also where the collector runs
    #[command(
        after_help = "Example:\n  messnetz collector token --config /etc/messnetz/collector.toml\n\nPrograms send it as `Authorization: Bearer TOKEN`."
    )]
    Token,
    /// Print target against measurement for every school (Soll-Ist-Vergleich)
    #[command(
        after_help = "Example:\n  messnetz collector report --lang en\n\nExit code 1 where a target is missed."
    )]
    Report {
        /// What each verdict is about; the running period's is provisional
        #[arg(long, value_enum, default_value_t = Span::Month)]
        period: Span,
        /// Language
        #[arg(long, value_enum)]
        lang: Option<Language>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print how many schools are at target month by month, and where each one is going
    #[command(
        after_help = "Example:\n  messnetz collector trend --months 24 --json\n\nAt least four closed months with samples are needed to tell a direction.\nExit code 1 where a target that is met will be missed at this rate."
    )]
    Trend {
        /// How many months, the running one included
        #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=120))]
        months: u16,
        /// Language
        #[arg(long, value_enum)]
        lang: Option<Language>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print how soon each target can be decided with the schedule
    #[command(
        after_help = "Example:\n  messnetz collector schedule --json\n\nDays are the fewest: all samples alike. Near its threshold a target takes longer.\nExit code 1 where a target takes more than 60 days or is not measured at all."
    )]
    Schedule {
        /// Language
        #[arg(long, value_enum)]
        lang: Option<Language>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// List what there is of a site, series by series: how much, from when to when, between which values
    #[command(
        after_help = "Examples:\n  messnetz collector series XX-100001/main\n  messnetz collector series XX-100001/main --json\n\nTimes are UTC. What was pruned is counted as such: roll-ups by the hour stand for it."
    )]
    Series {
        /// The site, SCHOOL/SITE
        site: String,
        /// Language; the configuration's where not given
        #[arg(long, value_enum)]
        lang: Option<Language>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the samples that a verdict rests on: its query in `report --json` has the arguments
    #[command(
        after_help = "Example:\n  messnetz collector samples XX-100001/main line.down --from 1790805600000 --to 1793487599999"
    )]
    Samples(results::Samples),
    /// Write a batch as it came from its agent, as evidence
    #[command(
        after_help = "Example:\n  messnetz collector batch XX-100001/main 0123456789abcdef0123456789abcdef 1795369000000 17 --out 17.json\n  messnetz batch verify 17.json --key MCowBQYDK2VwAyEA…"
    )]
    Batch(evidence::Wanted),
    /// Offer a signed release of this program to agents, in stages
    #[command(subcommand)]
    Update(update::Command),
    /// Check, seal, copy or bring back what is stored
    #[command(subcommand)]
    Store(store::Command),
    /// Exchange the certificate that agents know this collector by, without a visit
    #[command(subcommand)]
    Certificate(certificate::Command),
    /// Copy or bring back what makes this collector the one that agents know
    #[command(subcommand)]
    Keys(keys::Command),
}

/// What a verdict is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Span {
    /// A calendar month
    Month,
    /// A school year, from 1 August
    SchoolYear,
}

impl From<Span> for Cycle {
    fn from(span: Span) -> Self {
        match span {
            Span::Month => Self::Month,
            Span::SchoolYear => Self::SchoolYear,
        }
    }
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    let load = || Config::load(&arguments.config);
    match arguments.command {
        Command::Init { directory } => init(&directory),
        Command::Run { dashboard_socket } => {
            let dashboard = dashboard_socket.map(inherited_listener).transpose()?;
            serve(load()?, dashboard)
        }
        Command::Ticket {
            site,
            hours,
            no_approval,
            qr,
            visits,
            json,
        } => {
            let admission = match (no_approval, visits) {
                (true, _) => Admission::AtOnce,
                (false, true) => Admission::Visitor,
                (false, false) => Admission::ByOperator,
            };
            ticket::make(load()?, &site, hours, admission, (qr.as_deref(), json))
        }
        Command::Approve(whom) => standing::decide(load()?, &whom, Decision::Approve),
        Command::Release(whom) => standing::decide(load()?, &whom, Decision::Release),
        Command::Revoke(whom) => standing::decide(load()?, &whom, Decision::Revoke),
        Command::Move { site, whom } => standing::decide(load()?, &whom, Decision::Move(&site)),
        Command::Agents { json } => agents::list(load()?, json),
        Command::Visits { days, lang, json } => results::visits(load()?, days, lang, json),
        Command::Gaps { agent, json } => agents::gaps(load()?, &agent, json),
        Command::Token => {
            let collector = Collector::open(load()?)?;
            let token = collector.with_store_now(AdminToken::renew)?;
            print(&format!(
                "{token}\nIt is shown this once; only its hash is kept. In a browser it is the password, with any user name."
            ))?;
            Ok(Ending::Well)
        }
        Command::Report { period, lang, json } => report(load()?, period, lang, json),
        Command::Trend { months, lang, json } => results::trend(load()?, months, lang, json),
        Command::Schedule { lang, json } => results::schedule(load()?, lang, json),
        Command::Series { site, lang, json } => results::series(load()?, &site, lang, json),
        Command::Samples(arguments) => results::samples(load()?, &arguments),
        Command::Batch(wanted) => evidence::batch(load()?, &wanted),
        Command::Update(command) => update::run(load()?, &command),
        Command::Store(command) => store::run(load()?, &command),
        Command::Certificate(command) => certificate::run(&load()?, &command),
        Command::Keys(command) => keys::run(&load()?, &command),
    }
}

/// An agent's name.
fn agent_id(text: &str) -> Result<AgentId, String> {
    AgentId::try_from(text.to_owned())
}

fn init(directory: &Path) -> anyhow::Result<Ending> {
    let files = [
        ("collector.toml", collector::EXAMPLE),
        ("authority.toml", messnetz_sites::site::EXAMPLE),
    ];
    write_examples(directory, &files)?;
    Ok(Ending::Well)
}

/// The listening socket that whoever started this program left open for it.
#[allow(unsafe_code)]
fn inherited_listener(socket: RawFd) -> anyhow::Result<std::net::TcpListener> {
    // SAFETY: asks about a number; no memory is involved, and a number that is no descriptor is an error.
    if unsafe { libc::fcntl(socket, libc::F_GETFD) } == -1 {
        let error = std::io::Error::last_os_error();
        return Err(error).with_context(|| format!("taking over the inherited socket {socket}"));
    }
    // SAFETY: the descriptor is open, and none of the standard streams. That nothing else here owns it
    // cannot be proved: it rests on this being called before this program opens anything that stays
    // open, so that whatever is open was inherited, and on being called once.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let listens = socket2::SockRef::from(&socket).is_listener();
    if !listens.context("asking whether the inherited descriptor is a socket")? {
        bail!("the inherited socket does not listen");
    }
    Ok(std::net::TcpListener::from(socket))
}

fn serve(config: Config, dashboard: Option<std::net::TcpListener>) -> anyhow::Result<Ending> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listeners = Listeners::bind(&config, dashboard).await?;
        let collector = Arc::new(Collector::open(config)?);
        collector::run(collector, listeners, asked_to_stop()).await?;
        Ok(Ending::Well)
    })
}

/// The site of this name, or an error that tells those there are.
fn known_site(collector: &Collector, site: &str) -> anyhow::Result<SiteId> {
    let known = || collector.authority.sites().map(|known| &known.id);
    if let Some(found) = known().find(|known| known.to_string() == site) {
        return Ok(found.clone());
    }
    let known: Vec<String> = known().map(ToString::to_string).collect();
    bail!(
        "there is no site '{site}' in the site file{}; it knows {}",
        messnetz_sites::nearest(site, known.iter().map(String::as_str))
            .map(|near| format!(" (did you mean '{near}'?)"))
            .unwrap_or_default(),
        known.join(", ")
    );
}

fn report(
    config: Config,
    period: Span,
    lang: Option<Language>,
    json: bool,
) -> anyhow::Result<Ending> {
    let language = lang.unwrap_or(config.language);
    let collector = Collector::open(config)?;
    let report = collector.report_by(period.into())?;
    if json {
        print_json(&report)?;
    } else {
        print(&table::soll_ist(&report, &Text::new(language)))?;
    }
    Ok(if report.has_missed() {
        Ending::Findings
    } else {
        Ending::Well
    })
}
