//! `messnetz sites`: look after the site file. Its larger subcommands have a file each.

mod export;
mod import;
mod inventory;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use anyhow::bail;
use messnetz_sites::site::{Authority, School, Site};

use super::{Ending, print, print_json};
use crate::collector::load_authority;

/// Look after the site file: schools, sites, lines and facts.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a site file and say what is wrong with it, or what is in it
    #[command(
        after_help = "Example:\n  messnetz sites check authority.toml\n\nExit code 2 where the file cannot be used."
    )]
    Check {
        /// The site file
        file: PathBuf,
        /// Print what is in it as JSON
        #[arg(long)]
        json: bool,
    },
    Import(Box<import::Arguments>),
    Export(export::Arguments),
    Template(inventory::TemplateArguments),
    Inventory(inventory::Arguments),
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    match arguments.command {
        Command::Check { file, json } => check(&file, json),
        Command::Import(arguments) => import::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Template(arguments) => inventory::template(&arguments),
        Command::Inventory(arguments) => inventory::run(&arguments),
    }
}

fn check(file: &std::path::Path, json: bool) -> anyhow::Result<Ending> {
    let authority = load_authority(file)?;
    if json {
        print_json(&authority)?;
    } else {
        let lines = authority.sites().filter(|site| site.line.is_some()).count();
        print(&format!(
            "{}: {} schools, {} sites, {lines} lines; nothing wrong",
            authority.name,
            authority.schools.len(),
            authority.sites().count(),
        ))?;
    }
    Ok(Ending::Well)
}

/// The site that a user named, with its school.
pub(super) fn find<'a>(
    authority: &'a Authority,
    name: &str,
) -> anyhow::Result<(&'a School, &'a Site)> {
    let found = name.parse().ok().and_then(|id| authority.site(&id));
    if let Some(found) = found {
        return Ok(found);
    }
    let known: Vec<String> = authority.sites().map(|site| site.id.to_string()).collect();
    let near = messnetz_sites::nearest(name, known.iter().map(String::as_str));
    match near {
        Some(near) => bail!("there is no site '{name}' in the site file; did you mean '{near}'?"),
        None => bail!("there is no site '{name}' in the site file"),
    }
}
