//! Bytes packed with zstd, which the store keeps documents as.

use std::io::{self, Read as _};

use super::StoreError;
use crate::wire::MAX_BATCH_BYTES;

/// How hard documents are packed that came unpacked: they are sealed in a better form later.
const LEVEL: i32 = 1;

/// Packs a document.
pub(super) fn pack(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    zstd::bulk::compress(bytes, LEVEL).map_err(StoreError::Pack)
}

/// Unpacks what [`pack`] or an agent packed, never beyond the size of a batch.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let damaged = |error: io::Error| StoreError::Damaged {
        what: "a packed batch",
        why: error.to_string(),
    };
    let mut unpacked = Vec::new();
    zstd::stream::read::Decoder::new(packed)
        .map_err(damaged)?
        .take(MAX_BATCH_BYTES as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(damaged)?;
    Ok(unpacked)
}
