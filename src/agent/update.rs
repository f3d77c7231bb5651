//! Updates: releases are fetched from the collector, but only those that a key of this box has signed are run, and
//! only one that reports in its time stays.
//!
//! Two programs take part. The packaged one, which only root replaces, picks the version that runs and goes back
//! where that does not report (`launch`); the one that runs asks for releases and puts them into their place
//! (`fetch`). They meet in the book of versions on the disk.

mod book;
mod fetch;
mod launch;
mod shelf;

use std::path::{Path, PathBuf};

pub use book::{Book, Placed, Trial};
pub use launch::{Launch, LaunchError, Launched};

pub(super) use fetch::{Asker, FetchError, Updates};

use shelf::Shelf;

/// Names the release that runs: its serial, or [`PACKAGE`]. Set by whatever picked it, so that where there is none
/// nobody could go back.
const RELEASE_VARIABLE: &str = "MESSNETZ_RELEASE";

/// The packaged program's name in [`RELEASE_VARIABLE`].
const PACKAGE: &str = "package";

/// Names the file that a release on trial makes as soon as it has a receipt. Every later version keeps to this:
/// the program that waits for the file is an older one.
const RECEIPT_VARIABLE: &str = "MESSNETZ_RECEIPT_FILE";

/// Where root lays down the keys that may sign releases.
pub const RELEASE_KEYS: &str = "/etc/messnetz/release-keys";

/// What is known of the versions in an agent's directory.
#[must_use]
pub fn versions(state: &Path) -> Book {
    Shelf::of(state).book()
}

/// How this process was started.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Running {
    /// By what picks versions, and goes back.
    launched: bool,
    /// As which release; `None` where the packaged program runs.
    serial: Option<u64>,
    /// What is to be made as soon as there is a receipt: this release is on trial.
    receipt_file: Option<PathBuf>,
}

impl Running {
    fn from_environment() -> Self {
        let release = std::env::var(RELEASE_VARIABLE).ok();
        Self {
            serial: release.as_deref().and_then(|text| text.parse().ok()),
            launched: release.is_some(),
            receipt_file: std::env::var_os(RECEIPT_VARIABLE).map(PathBuf::from),
        }
    }
}
