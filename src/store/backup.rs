//! A copy of the store while it is in use, and the way back.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::{Connected, SCHEMA_VERSION, StoreError};

impl Connected {
    /// Writes what is committed now into a new file that only its owner may read. Whoever writes meanwhile
    /// waits for nothing.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let writing = |source| StoreError::Copy {
            path: path.display().to_string(),
            source,
        };
        let name = path
            .to_str()
            .ok_or_else(|| writing(io::Error::other("its name is no Unicode text")))?;
        // SQLite writes into an empty file that is there, and leaves its permissions.
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(writing)?;
        let copied = self
            .connection
            .execute("VACUUM INTO ?1", [name])
            .map_err(StoreError::from)
            .and_then(|_| file.sync_all().map_err(writing));
        if copied.is_err() {
            // What is half written is worth nothing, and would be in the way of the next try.
            let _ = fs::remove_file(path);
        }
        copied
    }

    /// Whether this is a store that this program can open, undamaged as far as SQLite can tell.
    pub(super) fn fit(&self, path: &Path) -> Result<(), StoreError> {
        let found: i64 = self
            .connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let path = path.display().to_string();
        if found > SCHEMA_VERSION {
            return Err(StoreError::Newer { path, found });
        }
        let said: String = self
            .connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if said != "ok" || found < 1 {
            return Err(StoreError::Damaged {
                what: "a file",
                why: format!("{path} is no store, or a damaged one: {said}"),
            });
        }
        Ok(())
    }
}

/// Makes a store of a backup, where there is no store yet.
///
/// # Errors
/// Where there is one, the backup is none, or the file cannot be written.
pub fn restore(backup: &Path, store: &Path) -> Result<(), StoreError> {
    let name = store.display().to_string();
    if store.exists() {
        return Err(StoreError::InTheWay(name));
    }
    let from = Connected::open_read_only(backup)?;
    from.fit(backup)?;
    from.copy_to(store)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use messnetz_metric::UnixMillis;

    use super::*;
    use crate::store::ledger::tests::{EVER, SITE, batch_after};
    use crate::store::{SqliteStore, Store as _};

    #[test]
    fn a_backup_is_what_was_committed_and_is_restored_only_where_there_is_no_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let store = SqliteStore::open(&path("store.db")).unwrap();
        let first = batch_after(None, 95);
        store.store_batch(&first, UnixMillis(5)).unwrap();
        store.backup(&path("backup.db")).unwrap();
        let mode = fs::metadata(path("backup.db"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        store
            .store_batch(&batch_after(Some(&first), 96), UnixMillis(6))
            .unwrap();
        assert!(
            store.backup(&path("backup.db")).is_err(),
            "it is there already"
        );

        let refused = restore(&path("backup.db"), &path("store.db"));
        assert!(matches!(refused, Err(StoreError::InTheWay(_))));
        restore(&path("backup.db"), &path("restored.db")).unwrap();
        let restored = SqliteStore::open(&path("restored.db")).unwrap();
        let series = restored.series_of_site(SITE, EVER).unwrap();
        assert_eq!(series[0].samples.len(), 1);
        assert_eq!(
            restored.batch(SITE, &first.header().agent, 1, 1).unwrap(),
            Some(first)
        );
    }

    #[test]
    fn what_is_no_store_is_not_restored() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("empty.db"), b"").unwrap();
        fs::write(
            path("text.db"),
            b"no database at all, though long enough to be looked at",
        )
        .unwrap();
        let store = SqliteStore::open(&path("store.db")).unwrap();
        store.backup(&path("cut.db")).unwrap();
        let whole = fs::read(path("cut.db")).unwrap();
        fs::write(path("cut.db"), &whole[..whole.len() / 2]).unwrap();
        for name in ["empty.db", "text.db", "cut.db", "missing.db"] {
            assert!(restore(&path(name), &path("new.db")).is_err(), "{name}");
            assert!(!path("new.db").exists(), "{name}");
        }
    }
}
