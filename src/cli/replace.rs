//! Replacing a file as a whole: whoever reads it sees the old one or the new one, also after a crash.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;

/// Writes `content` beside `path` and renames it into place; permissions stay.
pub(super) fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    // A link keeps pointing to the file that is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = target
        .file_name()
        .with_context(|| format!("{} is no file name", path.display()))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.new", std::process::id()));
    let temporary = target.with_file_name(beside);
    let written = write(&temporary, &target, content);
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn write(temporary: &Path, target: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(temporary)?;
    file.write_all(content)?;
    if let Ok(old) = fs::metadata(target) {
        fs::set_permissions(temporary, old.permissions())?;
    }
    file.sync_all()?;
    fs::rename(temporary, target)
}
