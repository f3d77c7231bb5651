//! Bytes packed with zstd, which the store keeps documents as.

use std::io;

use super::StoreError;
use crate::wire::MAX_BATCH_BYTES;
use crate::zstandard;

/// How hard documents are packed that came unpacked: they are sealed in a better form later.
const LEVEL: i32 = 1;

/// Largest zstd window that is unpacked, as a power of two: what agents may pack with is smaller.
const WINDOW_LOG_MAX: u32 = 27;

/// Packs a document.
pub(super) fn pack(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    zstandard::pack(bytes, LEVEL).map_err(StoreError::Pack)
}

/// Unpacks what [`pack`] or an agent packed, never beyond the size of a batch.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let damaged = |error: io::Error| StoreError::Damaged {
        what: "a packed batch",
        why: error.to_string(),
    };
    zstandard::unpack(packed, MAX_BATCH_BYTES, WINDOW_LOG_MAX).map_err(damaged)
}
