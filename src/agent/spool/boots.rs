//! By which clock the observations in the spool were stamped: a row for each stretch of a boot.

use messnetz_metric::UnixMillis;
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::timeline::{HAS_PASSED, Timeline};
use super::{PAST, SpoolError, read_counter};
use crate::clock::Look;
use crate::wire::batch::Clock;

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS boot (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, kernel TEXT NOT NULL,
        clock_offset INTEGER NOT NULL, synchronised INTEGER NOT NULL, dated INTEGER NOT NULL,
        told INTEGER NOT NULL, stepped INTEGER NOT NULL
    ) STRICT;
";

/// The stretch in which it is measured at present.
#[derive(Clone, Debug)]
pub(super) struct Current {
    /// Its row.
    pub(super) id: i64,
    /// The kernel's name of the boot.
    pub(super) kernel: String,
    pub(super) timeline: Timeline,
    /// The last look at the clocks.
    pub(super) look: Look,
    /// What has to be taken from the times of observations to have the time since the boot.
    pub(super) anchor_ms: i64,
}

/// A time that has certainly passed.
pub(super) fn past(connection: &Connection) -> Result<UnixMillis, SpoolError> {
    let received = read_counter(connection, PAST)?.unwrap_or_default();
    Ok(UnixMillis(received.max(HAS_PASSED.0)))
}

/// The stretch of this boot that was last measured in; `None` where the last one is of another boot.
pub(super) fn of_kernel(
    connection: &Connection,
    kernel: &str,
) -> Result<Option<(i64, Timeline)>, SpoolError> {
    let found = connection
        .query_row(
            "SELECT id, clock_offset, synchronised, dated, told, stepped FROM boot
             WHERE id = (SELECT max(id) FROM boot) AND kernel = ?1",
            params![kernel],
            |row| {
                let timeline = Timeline {
                    offset_ms: row.get(1)?,
                    synchronised: row.get(2)?,
                    dated: row.get(3)?,
                    told: row.get(4)?,
                    stepped_ms: row.get(5)?,
                };
                Ok((row.get(0)?, timeline))
            },
        )
        .optional()?;
    Ok(found)
}

/// Adds a stretch under a random name.
pub(super) fn add(
    connection: &Connection,
    kernel: &str,
    timeline: &Timeline,
) -> Result<i64, SpoolError> {
    let mut octets = [0; 8];
    SystemRandom::new()
        .fill(&mut octets)
        .map_err(|_| SpoolError::NoRandom)?;
    let name = format!("{:016x}", u64::from_be_bytes(octets));
    connection.execute(
        "DELETE FROM boot WHERE id NOT IN (SELECT boot FROM observation WHERE boot IS NOT NULL)
             AND id NOT IN (SELECT until_boot FROM omitted WHERE until_boot IS NOT NULL)
             AND id < (SELECT max(id) FROM boot)",
        [],
    )?;
    connection.execute(
        "INSERT INTO boot (name, kernel, clock_offset, synchronised, dated, told, stepped)
         VALUES (?1, ?2, 0, 0, 0, 0, 0)",
        params![name, kernel],
    )?;
    let id = connection.last_insert_rowid();
    keep(connection, id, timeline)?;
    Ok(id)
}

/// Writes down what is known of a stretch now.
pub(super) fn keep(
    connection: &Connection,
    id: i64,
    timeline: &Timeline,
) -> Result<(), SpoolError> {
    let Timeline {
        offset_ms,
        synchronised,
        dated,
        told,
        stepped_ms,
    } = timeline;
    connection.execute(
        "UPDATE boot SET clock_offset = ?2, synchronised = ?3, dated = ?4, told = ?5, stepped = ?6
         WHERE id = ?1",
        params![id, offset_ms, synchronised, dated, told, stepped_ms],
    )?;
    Ok(())
}

/// What a batch tells of a stretch; `None` where nothing is known of it.
pub(super) fn clock(connection: &Connection, id: i64) -> Result<Option<Clock>, SpoolError> {
    let clock = connection
        .query_row(
            "SELECT name, clock_offset, synchronised, dated, stepped FROM boot WHERE id = ?1",
            params![id],
            |row| {
                Ok(Clock {
                    boot: row.get(0)?,
                    offset: row.get(1)?,
                    synchronised: row.get(2)?,
                    dated: row.get(3)?,
                    stepped: row.get(4)?,
                    since_sync: None,
                })
            },
        )
        .optional()?;
    // What somebody wrote into the file must not keep all batches back.
    Ok(clock.filter(|clock: &Clock| clock.check().is_ok()))
}
