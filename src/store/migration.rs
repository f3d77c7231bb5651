//! What a statement cannot do when a file of an older program is opened: batches that were kept in parts
//! move into the tail, from where they are sealed like all others.

use messnetz_metric::UnixMillis;
use rusqlite::{Connection, Row, params};

use super::{Arrival, StoreError};
use crate::wire::batch::{Batch, Digest};

/// Moves each batch that has all its parts, and its samples with it. Others stay as they are: their samples
/// are judged, and nothing proves them.
pub(super) fn join_parts(connection: &Connection) -> Result<(), StoreError> {
    let mut statement = connection.prepare(
        "SELECT site, agent, epoch, sequence, received_at, header, signature, hash FROM batch
         WHERE header IS NOT NULL AND signature IS NOT NULL",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(batch) = joined(connection, row)? else {
            continue;
        };
        if row.get::<_, Vec<u8>>(7)? == batch.hash().as_bytes() {
            let received_at = UnixMillis(row.get(4)?);
            append(connection, &Arrival::of(&batch, received_at)?)?;
        }
    }
    for table in ["sample", "batch"] {
        let moved = format!(
            "DELETE FROM {table} WHERE EXISTS (
                 SELECT 1 FROM tail WHERE tail.site = {table}.site AND tail.agent = {table}.agent
                 AND tail.epoch = {table}.epoch AND tail.sequence = {table}.sequence)"
        );
        connection.execute(&moved, [])?;
    }
    Ok(())
}

/// Appends a row to the tail as it was in that schema.
fn append(connection: &Connection, arrival: &Arrival) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO document (packed) VALUES (?1)")?
        .execute([&arrival.document])?;
    connection
        .prepare_cached(
            "INSERT INTO tail VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, last_insert_rowid())",
        )?
        .execute(params![
            arrival.site,
            arrival.agent.as_str(),
            arrival.epoch,
            arrival.sequence,
            arrival.hash.as_bytes(),
            arrival.previous.as_ref().map(Digest::as_bytes),
            arrival.received_at.0,
            arrival.times.map(|(first, _)| first),
            arrival.times.map(|(_, last)| last),
            arrival.observations,
            arrival.longest.cast_signed() as i64,
        ])?;
    Ok(())
}

/// The batch of a row and its chunks, where they make one and all are there.
fn joined(connection: &Connection, row: &Row<'_>) -> Result<Option<Batch>, StoreError> {
    let key: (String, String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    let chunks: Vec<([u8; 32], Option<String>)> = connection
        .prepare_cached(
            "SELECT digest, content FROM chunk
             WHERE site = ?1 AND agent = ?2 AND epoch = ?3 AND sequence = ?4 ORDER BY position",
        )?
        .query_map(params![key.0, key.1, key.2, key.3], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let chunks: Vec<_> = chunks
        .iter()
        .map(|(digest, content)| (Digest::from_bytes(*digest), content.as_deref()))
        .collect();
    let (header, signature): (String, Vec<u8>) = (row.get(5)?, row.get(6)?);
    let batch = Batch::of_parts(&header, &signature, &chunks).ok();
    Ok(batch.filter(Batch::is_whole))
}
