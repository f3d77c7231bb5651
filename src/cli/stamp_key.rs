//! The file with the key that both ends of an authenticated STAMP session share.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use messnetz_probes::stamp::Key;

/// Most octets that are read: more than a key may have, so that a longer one is refused and not cut.
const MAX_OCTETS: u64 = 4 * 1024;

/// Reads a key: all octets of the file, without the line break at its end.
pub(super) fn read(path: &Path) -> anyhow::Result<Key> {
    let attempt = || format!("reading the STAMP key in {}", path.display());
    let mut octets = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_OCTETS).read_to_end(&mut octets))
        .with_context(attempt)?;
    let key = octets.strip_suffix(b"\n").unwrap_or(&octets);
    let key = key.strip_suffix(b"\r").unwrap_or(key);
    Key::new(key).with_context(attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_at_the_end_is_no_part_of_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "fifteen octets!\r\n").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("a key of 15 octets"), "{error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
        std::fs::write(&path, "sixteen octets!!\n").unwrap();
        assert!(read(&path).is_ok());
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, [7; 1025]).unwrap();
        assert!(read(&path).is_err());
    }
}
