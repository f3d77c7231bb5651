//! `messnetz agent hand-in`: audits of visits, sent to the collector.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Args;
use messnetz_metric::{Observation, UnixMillis};
use serde::Deserialize;

use super::super::probe::proxy::Through;
use super::super::{Ending, block_on, input, print, print_json};
use crate::agent::{StateDirectory, VisitRecord, hand_in};
use crate::audit::AUDIT_FORMAT;

/// Send audits of visits to the collector, which keeps them apart from what boxes measure
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  messnetz collector ticket NW-100001/main --visits       # on the collector, once for a laptop\n  messnetz agent enrol messnetz2.eyJ… --state laptop      # on the laptop, once\n  messnetz audit --sites authority.toml --site NW-100007/main --server messnetz.example:8443 --fingerprint 3f…\n  messnetz agent hand-in messnetz-audit-*.json --state laptop\n\nHanding a file in again changes nothing; one that was changed after it was handed in is refused, and the laptop is in quarantine.\nA visit is a snapshot: 'messnetz collector visits' shows it, and no verdict rests on it."
)]
pub(super) struct HandIn {
    /// Files of `messnetz audit`
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Directory for key and enrolment
    #[arg(long, default_value = "messnetz-agent")]
    state: PathBuf,
    #[command(flatten)]
    through: Through,
    /// Print what was handed in, with the receipts, as JSON
    #[arg(long)]
    json: bool,
}

/// What of an audit file is handed in; the rest follows from it.
#[derive(Deserialize)]
struct Audit {
    format: String,
    site: String,
    #[serde(rename = "began_at_unix_ms")]
    began_at: UnixMillis,
    observations: Vec<Observation>,
}

impl HandIn {
    pub(super) fn run(&self) -> anyhow::Result<Ending> {
        // All are read before any is sent: a mistake is told before anything has happened.
        let visits = self.files.iter().map(|file| read(file));
        let visits = visits.collect::<anyhow::Result<Vec<_>>>()?;
        let state = StateDirectory::new(&self.state);
        let way_out = self.through.way_out();
        let handed_in = block_on(async {
            let mut all = Vec::new();
            for (file, visit) in self.files.iter().zip(&visits) {
                let handed_in = hand_in(&state, &way_out, visit).await;
                all.push(handed_in.with_context(|| format!("{}", file.display()))?);
            }
            Ok(all)
        })?;
        if self.json {
            print_json(&handed_in)?;
        } else {
            for (file, done) in self.files.iter().zip(&handed_in) {
                print(&format!(
                    "{}: {} observations of {} are at the collector",
                    file.display(),
                    done.observations,
                    done.site
                ))?;
            }
        }
        Ok(Ending::Well)
    }
}

fn read(file: &Path) -> anyhow::Result<VisitRecord> {
    let text = input::read(file)?;
    let named = || format!("{} is no file of `messnetz audit`", file.display());
    let audit: Audit = serde_json::from_str(&text).with_context(named)?;
    ensure!(
        audit.format == AUDIT_FORMAT,
        "{}: its format is '{}', and not {AUDIT_FORMAT}",
        named(),
        audit.format
    );
    ensure!(
        !audit.observations.is_empty(),
        "{}: nothing was measured on this visit",
        file.display()
    );
    Ok(VisitRecord {
        site: audit.site,
        began_at: audit.began_at,
        observations: audit.observations,
    })
}
