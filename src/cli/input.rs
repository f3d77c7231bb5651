//! Text files that a user hands over: how large they may be, and in which code page.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};

/// Bytes that are read at most; what a file may say is far less.
const LIMIT: u64 = 8 * 1024 * 1024;

/// Reads a text.
///
/// # Errors
/// Where the file cannot be read, is larger than anything that is read here, or is not in UTF-8.
pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes))
        .with_context(|| format!("reading {shown}"))?;
    if bytes.len() as u64 > LIMIT {
        bail!("{shown} has more than the {LIMIT} bytes that are read");
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..at).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        let byte = error.as_bytes().get(at).copied().unwrap_or_default();
        anyhow::anyhow!(
            "{shown}:{line}: the byte {byte:#04x} is no UTF-8, so the file is in another code page (Windows-1252 or UTF-16?): save it as UTF-8, which Excel calls \"CSV UTF-8\""
        )
    })
}
