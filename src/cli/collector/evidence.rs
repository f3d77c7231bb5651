//! A stored batch as it came, for whoever wants to verify it.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::super::{Ending, print, print_json, write_new};
use crate::collector::{Collector, Config};
use crate::wire::AgentId;

/// Which batch is wanted.
#[derive(Debug, Args)]
pub(super) struct Wanted {
    /// The site at which it was measured, SCHOOL/SITE
    site: String,
    /// The agent, as `messnetz collector agents` names it
    agent: String,
    /// The epoch of the batch
    epoch: u64,
    /// Its number
    sequence: u64,
    /// The file to write, which must not exist
    #[arg(long)]
    out: PathBuf,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// Writes the batch, byte for byte as it was signed.
pub(super) fn batch(config: Config, wanted: &Wanted) -> anyhow::Result<Ending> {
    let Wanted {
        site,
        epoch,
        sequence,
        out,
        ..
    } = wanted;
    let agent = AgentId::try_from(wanted.agent.clone()).map_err(anyhow::Error::msg)?;
    let found = Collector::open(config)?
        .with_store_now(|store| store.batch(site, &agent, *epoch, *sequence))?;
    let Some(batch) = found else {
        bail!(
            "there is no batch {sequence} of epoch {epoch} of agent {agent} at {site}: its receipt names all four"
        );
    };
    write_new(out, &batch.document())?;
    let pruned = batch.is_header_alone();
    let kept = batch.chunks().iter().filter(|c| c.text().is_some()).count();
    if wanted.json {
        print_json(&serde_json::json!({
            "file": out.display().to_string(),
            "hash": batch.hash(),
            "chunks": batch.chunks().len(),
            "kept": kept,
            "header_alone": pruned,
        }))?;
    } else if pruned {
        print(&format!(
            "wrote {}: the header with its signature alone, since its samples were pruned\nhash {}",
            out.display(),
            batch.hash()
        ))?;
    } else {
        print(&format!(
            "wrote {}: {kept} of {} series are kept\nhash {}",
            out.display(),
            batch.chunks().len(),
            batch.hash()
        ))?;
    }
    Ok(Ending::Well)
}
