//! The counters of a spool: numbers with names that outlive the program.

use rusqlite::{Connection, OptionalExtension as _, params};

pub(super) const EPOCH: &str = "epoch";
pub(super) const SEQUENCE: &str = "sequence";
pub(super) const GIVEN_UP: &str = "given-up";
pub(super) const UNREADABLE: &str = "unreadable";
pub(super) const REFUSED: &str = "refused";
/// Up to when, by the times of observations, everything is on the medium.
pub(super) const FLUSHED: &str = "flushed";
/// The last observation that is.
pub(super) const FLUSHED_ID: &str = "flushed-id";
/// Whether an agent measures, so that one that did not stop can be told.
pub(super) const RUNNING: &str = "running";
/// When the collector last took something, by its own clock.
pub(super) const PAST: &str = "past";
/// Frames that were cut off the end of the journal.
pub(super) const CUT: &str = "cut";
/// Files that were set aside because they were damaged.
pub(super) const SET_ASIDE: &str = "set-aside";
/// Whether the disk was full when last something was written.
pub(super) const DISK_FULL: &str = "disk-full";
/// Bytes that the agent writes a day, by the kernel's count.
pub(super) const BYTES_A_DAY: &str = "bytes-a-day";

pub(super) fn read_counter(
    connection: &Connection,
    name: &str,
) -> Result<Option<i64>, rusqlite::Error> {
    connection
        .query_row(
            "SELECT value FROM counter WHERE name = ?1",
            params![name],
            |row| row.get(0),
        )
        .optional()
}

pub(super) fn set(connection: &Connection, name: &str, value: i64) -> Result<(), rusqlite::Error> {
    connection.execute(
        "INSERT INTO counter (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![name, value],
    )?;
    Ok(())
}

/// Adds to a named counter and gives its new value.
pub(super) fn count(connection: &Connection, name: &str, add: i64) -> Result<i64, rusqlite::Error> {
    connection.query_row(
        "INSERT INTO counter (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = value + ?2 RETURNING value",
        params![name, add],
        |row| row.get(0),
    )
}
