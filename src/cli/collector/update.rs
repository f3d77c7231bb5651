//! `messnetz collector update`: offer a release to agents in stages, look how they fare, take it back.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;

use super::super::batch::key;
use super::super::release::said;
use super::super::{Ending, print, print_json};
use super::known_site;
use crate::clock;
use crate::collector::{Collector, Config, Tally};
use crate::release::{self, ReleaseKeys};
use crate::store::{Offer, ProgramSeen};
use crate::wire::{AgentId, PublicKey};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Offer releases to agents, to a share of them at first
    #[command(
        after_help = "Examples:\n  messnetz collector update offer messnetz-0.2.0-*.release --stage 10\n  messnetz collector update offer messnetz-0.2.0-arm64.release --sites NW-100001/main\n\nOffer it again with a larger share to go on, also where it was halted: who has it keeps it.\nNo more agents try it at one time than have shown that they report with it. It halts by itself where more than one in twenty goes back or falls silent.\nAgents run only what a release key of their own has signed (messnetz release --help)."
    )]
    Offer {
        /// Releases, one for each kind of machine
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Share of the agents that may have it, in percent; the same ones first, and others with another release
        #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
        stage: u8,
        /// Only these sites, as SCHOOL/SITE of the site file
        #[arg(long, value_delimiter = ',')]
        sites: Option<Vec<String>>,
        /// Refuse what is not signed with this key: a PEM file, or its base64
        #[arg(long)]
        key: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what is offered, how agents fare with it, and what each runs
    #[command(
        after_help = "Example:\n  messnetz collector update status --json\n\nExit code 1 where a release was halted."
    )]
    Status {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Offer a release no longer; who runs it keeps it
    #[command(
        after_help = "Examples:\n  messnetz collector update withdraw\n  messnetz collector update withdraw --target aarch64-unknown-linux-gnu\n\nExit code 1 where nothing was offered."
    )]
    Withdraw {
        /// Only for these machines
        #[arg(long)]
        target: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: Config, command: &Command) -> anyhow::Result<Ending> {
    let collector = Collector::open(config)?;
    match command {
        Command::Offer {
            files,
            stage,
            sites,
            key,
            json,
        } => offer(
            &collector,
            files,
            (*stage, sites.as_deref()),
            key.as_deref(),
            *json,
        ),
        Command::Status { json } => status(&collector, *json),
        Command::Withdraw { target, json } => withdraw(&collector, target.as_deref(), *json),
    }
}

fn offer(
    collector: &Collector,
    files: &[PathBuf],
    (stage, sites): (u8, Option<&[String]>),
    key: Option<&str>,
    json: bool,
) -> anyhow::Result<Ending> {
    for site in sites.unwrap_or_default() {
        known_site(collector, site)?;
    }
    if let Some(key) = key {
        let public = PublicKey::of(&key::public(key)?).context("this is no Ed25519 key")?;
        let keys = ReleaseKeys::of(vec![public]);
        for file in files {
            let shown = || format!("reading the release {}", file.display());
            let head = release::open(file).with_context(shown)?;
            keys.verified(&head.signed).with_context(shown)?;
        }
    }
    let mut offered = Vec::new();
    for file in files {
        let head = collector.offer(file, (stage, sites.map(<[String]>::to_vec)), clock::now())?;
        if !json {
            print(&format!("offered to {stage} %: {}", said(&head.release)))?;
        }
        offered.push(head.release);
    }
    if json {
        print_json(&offered)?;
    }
    Ok(Ending::Well)
}

fn status(collector: &Collector, json: bool) -> anyhow::Result<Ending> {
    let (offers, programs, agents) = collector.with_store_now(|store| {
        Ok::<_, crate::store::StoreError>((store.offers()?, store.programs(None)?, store.agents()?))
    })?;
    let now = clock::now();
    let mut rows = Vec::new();
    for offer in &offers {
        let release = release::stated(&offer.release)?;
        let tally = Tally::of(release.serial, &programs, now);
        rows.push((offer, release, tally));
    }
    let of_agent = |id: &AgentId| programs.iter().find(|seen| seen.report.agent == *id);
    let is_halted = offers.iter().any(|offer| offer.halted.is_some());
    if json {
        let offers = rows.iter().map(|(offer, release, tally)| {
            serde_json::json!({
                "release": release,
                "stage": offer.stage,
                "sites": offer.sites,
                "offered_at_unix_ms": offer.offered_at,
                "halted": offer.halted,
                "tally": tally,
            })
        });
        let agents = agents.iter().map(|agent| {
            let seen = of_agent(&agent.id);
            serde_json::json!({
                "agent": agent.id,
                "site": agent.site,
                "reported_at_unix_ms": seen.map(|seen| seen.reported_at),
                "program": seen.map(|seen| &seen.report),
                "given": seen.and_then(|seen| seen.given),
            })
        });
        print_json(&serde_json::json!({
            "offers": offers.collect::<Vec<_>>(),
            "agents": agents.collect::<Vec<_>>(),
        }))?;
    } else {
        if rows.is_empty() {
            print("nothing is offered")?;
        }
        for (offer, release, tally) in &rows {
            print(&of_offer(offer, &said(release), *tally))?;
        }
        for agent in &agents {
            let runs =
                of_agent(&agent.id).map_or_else(|| "has told nothing yet".to_owned(), of_program);
            print(&format!("{}  {}  {runs}", agent.id.in_groups(), agent.site))?;
        }
    }
    Ok(if is_halted {
        Ending::Findings
    } else {
        Ending::Well
    })
}

fn of_offer(offer: &Offer, release: &str, tally: Tally) -> String {
    let Tally {
        given,
        confirmed,
        failed,
        silent,
    } = tally;
    let sites = offer
        .sites
        .as_ref()
        .map(|sites| format!(" of {}", sites.join(", ")));
    let stage = format!("{} %{}", offer.stage, sites.unwrap_or_default());
    let halted = offer
        .halted
        .as_ref()
        .map(|why| format!("\n  HALTED: {why}"));
    format!(
        "offered to {stage}: {release}\n  given to {given}: {confirmed} report with it, {failed} went back, {silent} are silent{}",
        halted.unwrap_or_default()
    )
}

fn of_program(seen: &ProgramSeen) -> String {
    let report = &seen.report;
    let mut said = vec![match report.serial {
        Some(serial) => format!("release {} (serial {serial})", report.version),
        None => format!("packaged program {}", report.version),
    }];
    if report.on_trial {
        said.push("on trial".to_owned());
    }
    if !report.takes && !report.on_trial {
        said.push("takes no releases".to_owned());
    }
    let of = |what: &str, failed: &Option<crate::wire::Failed>| {
        let failed = failed.as_ref()?;
        Some(format!(
            "{what} {} (serial {}): {}",
            failed.version, failed.serial, failed.why
        ))
    };
    said.extend(of("ROLLED BACK", &report.rolled_back));
    said.extend(of("REFUSED", &report.refused));
    said.join("; ")
}

fn withdraw(collector: &Collector, target: Option<&str>, json: bool) -> anyhow::Result<Ending> {
    let withdrawn = collector.with_store_now(|store| {
        let offers = store.offers()?.into_iter().map(|offer| offer.target);
        let wanted = offers.filter(|one| target.is_none_or(|target| target == one));
        let mut withdrawn = Vec::new();
        for target in wanted {
            if store.withdraw_offer(&target)? {
                withdrawn.push(target);
            }
        }
        Ok::<_, crate::store::StoreError>(withdrawn)
    })?;
    if json {
        print_json(&withdrawn)?;
    } else if withdrawn.is_empty() {
        print("nothing was offered")?;
    } else {
        print(&format!("offered no longer: {}", withdrawn.join(", ")))?;
    }
    Ok(if withdrawn.is_empty() {
        Ending::Findings
    } else {
        Ending::Well
    })
}
