//! The spool's file: for its owner alone, and set aside where it is damaged.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufReader};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::journal::cut_frames;
use super::{EPOCH, FLUSHED, SpoolError, read_counter};
use crate::sqlite::open_shared;

/// Only the owner may read what was measured.
const MODE: u32 = 0o600;

/// What SQLite keeps beside a file with write-ahead logging.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// What could still be read of a file that was set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Salvage {
    /// Its epoch.
    pub(super) epoch: Option<i64>,
    /// When it was last flushed.
    pub(super) flushed: Option<i64>,
}

/// The file, opened and found whole.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// Frames at the end of its journal that were not as they had been written.
    pub(super) cut: u64,
    /// What is known of the damaged file in whose place this one is; `None` where there was none.
    pub(super) salvage: Option<Salvage>,
}

/// Opens the file; one that is damaged is renamed, and a new one takes its place.
pub(super) fn open(path: &Path) -> Result<Opened, SpoolError> {
    let cut = keep_private(path)
        .and_then(|()| count_cut(path))
        .map_err(|source| file_error("preparing", path, source))?;
    match open_whole(path) {
        Ok(connection) => Ok(Opened {
            connection,
            cut,
            salvage: None,
        }),
        Err(error) if error.is_damage() => {
            let salvage = replace(path, &error)?;
            Ok(Opened {
                connection: open_whole(path)?,
                cut: 0,
                salvage: Some(salvage),
            })
        }
        Err(error) => Err(error),
    }
}

/// Sets a damaged file aside, of which the latest is kept.
pub(super) fn replace(path: &Path, why: &SpoolError) -> Result<Salvage, SpoolError> {
    let salvage = salvage(path);
    let aside = beside(path, ".damaged");
    tracing::error!(
        error = why as &dyn std::error::Error,
        aside = %aside.display(),
        "the spool is damaged: it is set aside, and a new one begins"
    );
    let moved = || -> io::Result<()> {
        fs::rename(path, &aside)?;
        for suffix in BESIDE {
            match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                moved => moved?,
            }
        }
        keep_private(path)
    };
    moved().map_err(|source| file_error("setting aside", path, source))?;
    Ok(salvage)
}

/// Opens it and reads every page once.
fn open_whole(path: &Path) -> Result<Connection, SpoolError> {
    let connection = open_shared(path)?;
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said != "ok" {
        return Err(SpoolError::Damaged(said.chars().take(200).collect()));
    }
    Ok(connection)
}

fn salvage(path: &Path) -> Salvage {
    let read = |name| {
        let connection = Connection::open(path).ok()?;
        read_counter(&connection, name).ok()?
    };
    Salvage {
        epoch: read(EPOCH),
        flushed: read(FLUSHED),
    }
}

/// Makes the file where there is none, for its owner alone, and on the disk; SQLite's own files take after it.
fn keep_private(path: &Path) -> io::Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(path);
    match made {
        Ok(_) => path
            .parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // An older program left it to be read by all. By name: whoever closes a file lets go of SQLite's locks.
            let of_sqlite = BESIDE.map(|suffix| beside(path, suffix));
            for file in [path.to_owned()].iter().chain(&of_sqlite) {
                match fs::set_permissions(file, Permissions::from_mode(MODE)) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    set => set?,
                }
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn count_cut(path: &Path) -> io::Result<u64> {
    match File::open(beside(path, "-wal")) {
        Ok(log) => cut_frames(BufReader::new(log)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn file_error(doing: &'static str, path: &Path, source: io::Error) -> SpoolError {
    SpoolError::File {
        doing,
        path: path.display().to_string(),
        source,
    }
}
