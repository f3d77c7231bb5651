//! `messnetz collector keys`: what makes this collector the one that agents know, as a file of its own.

use std::path::PathBuf;

use clap::Subcommand;

use super::super::{Ending, print, print_json};
use crate::collector::{Config, KeyDirectory, STORE_FILE};
use crate::store::SqliteStore;
use crate::wire::CollectorId;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write all keys of the collector into one new file
    #[command(
        after_help = "Example:\n  messnetz collector keys export /safe/messnetz-keys.json\n\nWhoever has this file can be the collector for every agent: keep it apart from backups of the store, and encrypted.\nWrite a new one after `messnetz collector certificate renew`."
    )]
    Export {
        /// The file to write, which must not exist
        file: PathBuf,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Bring the keys of an export back, where there are none
    #[command(
        after_help = "Example:\n  messnetz collector store restore /backup/messnetz-2026-11-23.db\n  messnetz collector keys import /safe/messnetz-keys.json"
    )]
    Import {
        /// The export
        file: PathBuf,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make other keys, where those of this store are lost: every agent must enrol anew
    #[command(
        after_help = "Example:\n  messnetz collector keys new\n\nWhat is stored stays. Only where the data directory has no keys."
    )]
    New {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: &Config, command: &Command) -> anyhow::Result<Ending> {
    std::fs::create_dir_all(&config.data)?;
    let store = SqliteStore::open(&config.data.join(STORE_FILE))?;
    let keys = KeyDirectory::of(&config.data);
    match command {
        Command::Export { file, json } => {
            let id = keys.export(&store, file)?;
            let said = format!("wrote {}: the keys of the collector {id}", file.display());
            say(&id, &said, *json)
        }
        Command::Import { file, json } => {
            let id = keys.import(&store, file)?;
            say(&id, &format!("this is the collector {id}"), *json)
        }
        Command::New { json } => {
            let id = keys.begin_anew(&store)?.id();
            let said = format!("this is the collector {id} now: every agent must enrol anew");
            say(&id, &said, *json)
        }
    }
}

fn say(id: &CollectorId, said: &str, json: bool) -> anyhow::Result<Ending> {
    if json {
        print_json(&serde_json::json!({ "collector": id }))?;
    } else {
        print(said)?;
    }
    Ok(Ending::Well)
}
