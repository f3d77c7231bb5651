//! What can be told of a spool, also while an agent works with it.

use std::path::Path;

use messnetz_metric::UnixMillis;
use rusqlite::params;

use super::{
    BYTES_A_DAY, CUT, DISK_FULL, FLUSHED, FLUSHED_ID, GIVEN_UP, REFUSED, SET_ASIDE, Spool,
    SpoolError, UNREADABLE, read_counter, thinning,
};
use crate::sqlite::open_shared;
use crate::wire::SignedReceipt;

/// What a spool holds, and what became of what it held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Observations that wait to be sealed.
    pub observations: u64,
    /// Sealed batches that wait for their acknowledgement.
    pub batches: u64,
    /// Batches that the collector refused for good, ever.
    pub refused: u64,
    /// How many of those are still kept in the file.
    pub refused_kept: u64,
    /// Observations that were given up because spool or disk were full or they waited too long, ever.
    pub given_up: u64,
    /// Observations that could not be read back and were left out, ever.
    pub unreadable: u64,
    /// Bytes that it takes.
    pub bytes: u64,
    /// Observations that a power cut would cost now.
    pub unflushed: u64,
    /// Up to when everything that was measured is on the medium; `None` where nothing ever was.
    pub flushed_until: Option<UnixMillis>,
    /// What the agent writes to the medium in a day, by what it wrote since it started; `None` where that is not
    /// known yet.
    pub bytes_a_day: Option<u64>,
    /// What was left out and the next batches will tell of: series thinned, times without power.
    pub gaps: u64,
    /// Frames that were cut off the end of its journal because they were torn, ever.
    pub cut: u64,
    /// Files that were set aside because they were damaged, ever.
    pub set_aside: u64,
    /// Whether the disk was full when last something was written.
    pub disk_full: bool,
}

impl Spool {
    /// What the spool in this file holds; nothing where there is none yet, or none that this program made. Nothing is made, mended or moved: an
    /// agent may be at work with it.
    ///
    /// # Errors
    /// Where the file cannot be read, or does not hold together.
    pub fn look_into(path: &Path) -> Result<(Contents, Option<SignedReceipt>), SpoolError> {
        if !path.exists() {
            return Ok((Contents::default(), None));
        }
        let spool = Self::opened(open_shared(path)?, path);
        // The last table that an agent makes; before, it is only just beginning with this file.
        let is_made = "SELECT count(*) FROM sqlite_master WHERE name = 'omitted'";
        if !spool.connection.query_row(is_made, [], |row| row.get(0))? {
            return Ok((Contents::default(), None));
        }
        Ok((spool.contents()?, spool.last_receipt()?))
    }

    /// What the spool holds.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn contents(&self) -> Result<Contents, SpoolError> {
        let rows = |table: &str| -> Result<u64, rusqlite::Error> {
            self.connection
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                    row.get::<_, i64>(0).map(i64::cast_unsigned)
                })
        };
        let stated = |name| -> Result<Option<u64>, rusqlite::Error> {
            Ok(read_counter(&self.connection, name)?.map(i64::cast_unsigned))
        };
        let counted = |name| stated(name).map(Option::unwrap_or_default);
        let flushed_id = read_counter(&self.connection, FLUSHED_ID)?.unwrap_or_default();
        let unflushed = "SELECT count(*) FROM observation WHERE id > ?1";
        Ok(Contents {
            observations: rows("observation")?,
            batches: rows("sealed")?,
            refused: counted(REFUSED)?,
            refused_kept: rows("refused")?,
            given_up: counted(GIVEN_UP)?,
            unreadable: counted(UNREADABLE)?,
            bytes: thinning::used_bytes(&self.connection)?.cast_unsigned(),
            unflushed: (self.connection)
                .query_row(unflushed, params![flushed_id], |row| row.get::<_, i64>(0))?
                .cast_unsigned(),
            flushed_until: read_counter(&self.connection, FLUSHED)?.map(UnixMillis),
            bytes_a_day: stated(BYTES_A_DAY)?,
            gaps: rows("omitted")?,
            cut: counted(CUT)?,
            set_aside: counted(SET_ASIDE)?,
            disk_full: counted(DISK_FULL)? > 0,
        })
    }
}
