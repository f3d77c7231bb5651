//! Asking the collector for a release, and fetching it: part by part over the pinned door, verified before it is put
//! into its place.

use std::fs;
use std::io::{self, BufReader, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::Running;
use super::shelf::{Shelf, ShelfError};
use crate::agent::key::AgentKey;
use crate::agent::state::Enrolment;
use crate::agent::upload::{self, UploadError};
use crate::release::{ReleaseError, ReleaseKeys, check_program, stated};
use crate::way_out::WayOut;
use crate::wire::{
    CollectorId, Failed, PART_BYTES, PROGRAM_PATH, PartWanted, ProgramPart, ProgramReport, Release,
    SignedRelease, TARGET, UPDATE_PATH, UpdateAnswer,
};

/// What stays free for measurements when a program is fetched, in bytes.
const ROOM_LEFT: u64 = 32 << 20;

/// What this process does about updates.
#[derive(Debug)]
pub(in crate::agent) struct Updates {
    shelf: Shelf,
    keys: ReleaseKeys,
    running: Running,
}

/// Why nothing was asked or fetched. What is there of a program stays, and is gone on with.
#[derive(Debug, Error)]
pub(in crate::agent) enum FetchError {
    #[error("asking the collector for releases")]
    Collector(#[from] UploadError),
    #[error("writing what is signed")]
    Form(#[from] serde_json::Error),
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error("keeping the program that is fetched in {path}")]
    Disk {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "fetching {size} bytes would leave less than {ROOM_LEFT} for measurements: make room on the disk"
    )]
    NoRoom { size: u64 },
}

/// Whom to ask, and as whom.
#[derive(Clone, Copy)]
pub(in crate::agent) struct Asker<'a> {
    pub(in crate::agent) key: &'a AgentKey,
    pub(in crate::agent) enrolment: &'a Enrolment,
    pub(in crate::agent) way_out: &'a WayOut,
}

impl Asker<'_> {
    fn collector(&self) -> CollectorId {
        self.enrolment.collector_id()
    }

    async fn post<Answer: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Answer, UploadError> {
        let accepted = self.enrolment.accepted();
        let to = (self.enrolment.collector.as_str(), accepted.as_slice());
        upload::post(to, self.way_out, path, &[], body).await
    }
}

impl Updates {
    /// What this process does about updates, with these keys.
    pub(in crate::agent) fn of(state: &Path, keys: ReleaseKeys) -> Self {
        Self {
            shelf: Shelf::of(state),
            keys,
            running: Running::from_environment(),
        }
    }

    /// There is a receipt: where this release is on trial, it has passed.
    pub(in crate::agent) fn has_receipt(&self) {
        let Some(file) = &self.running.receipt_file else {
            return;
        };
        let made = fs::File::create(file).and_then(|file| file.sync_all());
        if let Err(error) = made {
            let path = file.display();
            tracing::error!(%path, %error, "it cannot be told that this release reports");
        }
    }

    /// Whether releases are fetched at all: something would have to start them, and go back.
    fn takes(&self) -> bool {
        self.running.launched && self.running.receipt_file.is_none() && !self.keys.is_empty()
    }

    /// Tells the collector what runs here, and what became of its offers.
    pub(in crate::agent) async fn ask(
        &self,
        asker: Asker<'_>,
        refused: Option<&Failed>,
    ) -> Result<UpdateAnswer, FetchError> {
        let book = self.shelf.book();
        let placed = book.confirmed.iter();
        let placed = placed.chain(book.trial.as_ref().map(|trial| &trial.release));
        let mut placed = placed.filter(|placed| Some(placed.serial) == self.running.serial);
        let version = placed.next().map_or_else(
            || env!("CARGO_PKG_VERSION").to_owned(),
            |placed| placed.version.clone(),
        );
        let report = ProgramReport {
            collector: asker.collector(),
            agent: asker.key.id(),
            target: TARGET.to_owned(),
            version,
            serial: self.running.serial,
            on_trial: self.running.receipt_file.is_some(),
            takes: self.takes(),
            rolled_back: book.failed.last().cloned(),
            refused: refused.cloned(),
        };
        let body = serde_json::to_vec(&asker.key.state(&report)?)?;
        Ok(asker.post(UPDATE_PATH, body).await?)
    }

    /// Whether an offer is taken.
    ///
    /// # Errors
    /// What the collector is told, where it is not.
    pub(in crate::agent) fn admit(
        &self,
        offered: &SignedRelease,
    ) -> Result<Option<Release>, Failed> {
        if !self.takes() {
            return Ok(None);
        }
        // What it says of itself is only repeated.
        let name = stated(offered).map_or((0, String::new()), |said| (said.serial, said.version));
        let refused = |why: &dyn std::fmt::Display| Failed::of(name.0, &name.1, why);
        let release = self.keys.verified(offered).map_err(|why| refused(&why))?;
        let book = self.shelf.book();
        let is_here = book
            .confirmed
            .as_ref()
            .is_some_and(|it| it.serial == release.serial);
        if is_here || book.trial.is_some() {
            return Ok(None);
        }
        book.admits(&release, TARGET).map_err(|why| refused(&why))?;
        Ok(Some(release))
    }

    /// Fetches one more part of a release's program; whether it is all there.
    pub(in crate::agent) async fn fetch_part(
        &self,
        asker: Asker<'_>,
        release: &Release,
    ) -> Result<bool, FetchError> {
        self.shelf.make_room(release)?;
        let path = self.shelf.incoming(release);
        let disk = |source| FetchError::Disk {
            path: path.display().to_string(),
            source,
        };
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .append(true)
            .create(true)
            .open(&path)
            .map_err(disk)?;
        let from = file.metadata().map_err(disk)?.len();
        if from >= release.size {
            return Ok(true);
        }
        let left = release.size - from;
        if self.shelf.free_bytes().map_err(disk)? < left + ROOM_LEFT {
            return Err(FetchError::NoRoom { size: left });
        }
        let wanted = PartWanted {
            collector: asker.collector(),
            agent: asker.key.id(),
            sha256: release.sha256,
            from,
        };
        let body = serde_json::to_vec(&asker.key.state(&wanted)?)?;
        let part: ProgramPart = asker.post(PROGRAM_PATH, body).await?;
        let mut bytes = STANDARD.decode(part.bytes).unwrap_or_default();
        bytes.truncate(PART_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX)));
        file.write_all(&bytes).map_err(disk)?;
        // Without a byte it does not go on: what is there is looked at, and found too short.
        Ok(bytes.is_empty() || bytes.len() as u64 == left)
    }

    /// Holds what was fetched against the signature and puts it into its place, to be tried at the next start.
    ///
    /// # Errors
    /// The outer error where the disk refuses; the inner one is what the collector is told: this is not its release.
    pub(in crate::agent) fn stage(
        &self,
        signed: &SignedRelease,
        release: &Release,
    ) -> Result<Result<(), Failed>, FetchError> {
        let path = self.shelf.incoming(release);
        let checked = fs::File::open(&path)
            .map_err(ReleaseError::Io)
            .and_then(|file| check_program(release, &mut BufReader::new(file)));
        match checked {
            Ok(()) => Ok(Ok(self.shelf.stage(signed, release)?)),
            Err(ReleaseError::Io(source)) => Err(FetchError::Disk {
                path: path.display().to_string(),
                source,
            }),
            Err(why) => {
                let _ = fs::remove_file(&path);
                Ok(Err(Failed::of(release.serial, &release.version, why)))
            }
        }
    }
}
