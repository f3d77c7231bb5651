//! What the collector keeps, in one SQLite file: tickets, agents, the ledger of batches, the samples.
//!
//! The store knows neither sockets nor targets. Everything that must hold together is one transaction
//! here: a ticket is used once, a batch is stored once.

mod agents;
mod assigned;
mod backup;
mod block;
mod check;
mod column;
mod compact;
mod heads;
mod interface;
mod leases;
mod ledger;
mod line_views;
mod migration;
mod numbers;
mod overview;
mod packed;
mod prune;
mod queue;
mod rolled;
mod runs;
mod samples;
mod segment;
mod skeleton;
mod sqlite_store;
mod tail;
mod updates;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use thiserror::Error;

use crate::sqlite::{BUSY_TIMEOUT, open_shared, plan_once};

pub use agents::{
    Admission, Decision, DecisionRefused, EnrolledAgent, Former, Role, TicketRefused,
};
pub use backup::restore;
pub use check::{Checked, Fault, Gap, Head};
pub use heads::ChainHead;
pub use interface::{Compacted, Extent, Store};
pub use leases::Lease;
pub use ledger::{Forked, Stored};
pub use line_views::LineSeen;
pub use overview::SeriesSeen;
#[cfg(test)]
pub(crate) use prune::tests::Signer;
pub use prune::{Prunable, Removed, TombstoneSigner};
pub use queue::{Full, Pending};
pub use rolled::{HOUR_MS, RolledHour};
pub use runs::{Came, LATE_MS, Run};
pub use samples::{LateSeries, SiteSeries};
pub use sqlite_store::SqliteStore;
pub use tail::Arrival;
pub use updates::{Offer, ProgramSeen};

/// The schema as this program writes it; older files are brought up to it when they are opened.
const SCHEMA_VERSION: i64 = SCHEMA_STEPS.len().cast_signed() as i64;

/// What brings a file from each schema to the next, beginning with an empty one.
const SCHEMA_STEPS: [&str; 16] = [
    include_str!("store/schema-1.sql"),
    include_str!("store/schema-2.sql"),
    include_str!("store/schema-3.sql"),
    include_str!("store/schema-4.sql"),
    include_str!("store/schema-5.sql"),
    include_str!("store/schema-6.sql"),
    include_str!("store/schema-7.sql"),
    include_str!("store/schema-8.sql"),
    include_str!("store/schema-9.sql"),
    include_str!("store/schema-10.sql"),
    include_str!("store/schema-11.sql"),
    include_str!("store/schema-12.sql"),
    include_str!("store/schema-13.sql"),
    include_str!("store/schema-14.sql"),
    include_str!("store/schema-15.sql"),
    include_str!("store/schema-16.sql"),
];

/// The schema until which batches were kept in parts.
const PARTS_UNTIL: i64 = 9;

/// Memory of the connection that writes for pages of the file, in KiB.
const WRITING_CACHE_KIB: i64 = 32 * 1024;

/// Pages of the log that are moved into the file at once: 32 MiB.
const LOG_PAGES: i64 = 8_192;

/// One connection to the file.
#[derive(Debug)]
struct Connected {
    connection: Connection,
}

/// The store did not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file could not be opened or is no store.
    #[error("opening the store {path}")]
    Open {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The file was written by a newer program.
    #[error(
        "the store {path} has schema {found}, this program knows up to {SCHEMA_VERSION}: use the newer messnetz that wrote it"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its schema.
        found: i64,
    },
    /// The file could not be closed to other users.
    #[error("keeping other users from reading the store {path}")]
    Private {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The database refused a statement.
    #[error("reading or writing the store")]
    Database(#[from] rusqlite::Error),
    /// A group of batches could not be written; each of them may come again.
    #[error("writing a group of batches")]
    Group(#[source] Arc<Self>),
    /// A document could not be packed.
    #[error("packing a batch")]
    Pack(#[source] io::Error),
    /// A copy could not be written.
    #[error("writing {path}")]
    Copy {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A store is where one is to be made.
    #[error("there is a store already: {0}; end the collector and move its file away first")]
    InTheWay(String),
    /// Nothing writes any more.
    #[error("the store is being closed")]
    Closed,
    /// What was read back is not what this program writes.
    #[error("the store holds {what} that cannot be read: {why}")]
    Damaged {
        /// The kind of thing.
        what: &'static str,
        /// Why.
        why: String,
    },
}

impl Connected {
    /// Opens the file, makes it where it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// Where the file cannot be opened, is no SQLite file, or was written by a newer program.
    fn open(path: &Path) -> Result<Self, StoreError> {
        let opening = |source| StoreError::Open {
            path: path.display().to_string(),
            source,
        };
        // Before SQLite opens it: its write-ahead log takes the file's own permissions.
        keep_private(path)?;
        let mut connection = open_shared(path).map_err(opening)?;
        // An acknowledged batch must survive a power cut: WAL alone syncs only at checkpoints.
        connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(opening)?;
        // Off for as long as tables change: a step may put one in the place of one that others refer to.
        let referring = |connection: &Connection, on: bool| {
            let set = connection.pragma_update(None, "foreign_keys", on);
            set.map_err(opening)
        };
        referring(&connection, false)?;
        // Batches of many agents change the same few pages again and again: they stay in memory, and go from the
        // log into the file once for many transactions.
        for (name, amount) in [
            ("cache_size", -WRITING_CACHE_KIB),
            ("wal_autocheckpoint", LOG_PAGES),
        ] {
            connection
                .pragma_update(None, name, amount)
                .map_err(opening)?;
        }

        let transaction = connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(opening)?;
        let found: i64 = transaction
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(opening)?;
        let steps = usize::try_from(found)
            .ok()
            .and_then(|found| SCHEMA_STEPS.get(found..))
            .ok_or_else(|| StoreError::Newer {
                path: path.display().to_string(),
                found,
            })?;
        for (version, step) in (found..).zip(steps) {
            if version == PARTS_UNTIL {
                migration::join_parts(&transaction)?;
            }
            transaction.execute_batch(step).map_err(opening)?;
        }
        if !steps.is_empty() {
            transaction
                .pragma_update(None, "user_version", SCHEMA_VERSION)
                .map_err(opening)?;
        }
        transaction.commit().map_err(opening)?;
        referring(&connection, true)?;
        Ok(Self { connection })
    }

    /// Opens a file that [`Self::open`] has opened before, for reading alone. Whoever reads sees what
    /// was committed, and waits for no writer.
    ///
    /// # Errors
    /// Where the file cannot be opened or is no SQLite file.
    fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(path, flags)
            .and_then(|connection| {
                connection.busy_timeout(BUSY_TIMEOUT)?;
                plan_once(&connection)?;
                Ok(Self { connection })
            })
            .map_err(|source| StoreError::Open {
                path: path.display().to_string(),
                source,
            })
    }

    /// Keeps a named value.
    ///
    /// # Errors
    /// Where the database refuses.
    fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO setting (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            params![name, value],
        )?;
        Ok(())
    }

    /// Keeps a named value where there is none yet, and gives the one that is kept: of several programs that
    /// ask at once, all get the same.
    ///
    /// # Errors
    /// Where the database refuses.
    fn setting_or_insert(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.connection.execute(
            "INSERT OR IGNORE INTO setting (name, value) VALUES (?1, ?2)",
            params![name, value],
        )?;
        Ok(self.setting(name)?.unwrap_or_else(|| value.to_vec()))
    }

    /// Removes a named value so that none of its bytes stay in the file or its log.
    ///
    /// # Errors
    /// Where the database refuses.
    fn forget_setting(&self, name: &str) -> Result<(), StoreError> {
        let one = |pragma| self.connection.query_row(pragma, [], |_| Ok(()));
        one("PRAGMA secure_delete = ON")?;
        self.connection
            .execute("DELETE FROM setting WHERE name = ?1", [name])?;
        // Whoever reads at this moment keeps the log; it is cut by a later checkpoint then.
        one("PRAGMA wal_checkpoint(TRUNCATE)")?;
        one("PRAGMA secure_delete = OFF")?;
        Ok(())
    }

    /// A named value.
    ///
    /// # Errors
    /// Where the database refuses.
    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .connection
            .query_row(
                "SELECT value FROM setting WHERE name = ?1",
                params![name],
                |row| row.get(0),
            )
            .optional()?)
    }
}

/// The store holds what schools have measured and hashes of secrets: nobody else may read it. SQLite gives its journals the same
/// permissions. A file that exists is changed by name and not by a handle of our own: closing one would
/// take SQLite's locks away.
fn keep_private(path: &Path) -> Result<(), StoreError> {
    let restrict = || {
        let mut options = fs::OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
        }
        Ok(())
    };
    restrict().map_err(|source| StoreError::Private {
        path: path.display().to_string(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine as _;
    use messnetz_metric::UnixMillis;

    use super::*;
    use crate::wire::{AgentId, TicketSecret};

    pub(super) fn store() -> (tempfile::TempDir, Connected) {
        let folder = tempfile::tempdir().unwrap();
        let store = Connected::open(&folder.path().join("store.db")).unwrap();
        (folder, store)
    }

    const SITE: &str = "XX-100001/main";
    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn a_ticket_opens_the_door_once() {
        let (_folder, mut store) = store();
        let secret = TicketSecret::random().unwrap();
        store
            .add_ticket(&secret, SITE, Admission::AtOnce, UnixMillis(0), DAY)
            .unwrap();
        let first = store
            .redeem_ticket(&secret, SITE, &[1; 32], UnixMillis(1))
            .unwrap();
        assert_eq!(first.unwrap().id, AgentId::of_key(&[1; 32]));
        let second = store
            .redeem_ticket(&secret, SITE, &[2; 32], UnixMillis(2))
            .unwrap();
        assert_eq!(second, Err(TicketRefused::Used));
        assert_eq!(store.agents().unwrap().len(), 1);
    }

    #[test]
    fn whoever_used_a_ticket_may_ask_again_because_the_answer_may_have_been_lost() {
        let (_folder, mut store) = store();
        let secret = TicketSecret::random().unwrap();
        store
            .add_ticket(&secret, SITE, Admission::AtOnce, UnixMillis(0), DAY)
            .unwrap();
        let late = UnixMillis(86_400_001);
        for now in [UnixMillis(1), UnixMillis(2), late] {
            let redeemed = store.redeem_ticket(&secret, SITE, &[1; 32], now).unwrap();
            assert_eq!(redeemed.unwrap().id, AgentId::of_key(&[1; 32]));
        }
        assert_eq!(store.agents().unwrap().len(), 1);
        store.connection.execute("DELETE FROM agent", []).unwrap();
        let removed = store.redeem_ticket(&secret, SITE, &[1; 32], late).unwrap();
        assert_eq!(removed, Err(TicketRefused::Used));
    }

    #[test]
    fn a_ticket_opens_no_other_site() {
        let (_folder, mut store) = store();
        let secret = TicketSecret::random().unwrap();
        store
            .add_ticket(&secret, SITE, Admission::AtOnce, UnixMillis(0), DAY)
            .unwrap();
        let refused = store
            .redeem_ticket(&secret, "XX-1/x", &[1; 32], UnixMillis(1))
            .unwrap();
        assert_eq!(refused, Err(TicketRefused::Unknown));
    }

    #[test]
    fn an_expired_ticket_opens_nothing() {
        let (_folder, mut store) = store();
        let secret = TicketSecret::random().unwrap();
        store
            .add_ticket(&secret, SITE, Admission::AtOnce, UnixMillis(0), DAY)
            .unwrap();
        let late = UnixMillis(86_400_001);
        let refused = store.redeem_ticket(&secret, SITE, &[1; 32], late).unwrap();
        assert_eq!(refused, Err(TicketRefused::Expired));
    }

    #[test]
    fn a_ticket_secret_is_not_in_the_file() {
        let (folder, store) = store();
        let secret = TicketSecret::random().unwrap();
        store
            .add_ticket(&secret, SITE, Admission::AtOnce, UnixMillis(0), DAY)
            .unwrap();
        store
            .connection
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        let file = std::fs::read(folder.path().join("store.db")).unwrap();
        let text = String::from(secret);
        let raw = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(text)
            .unwrap();
        assert!(!file.windows(raw.len()).any(|window| window == raw));
    }

    #[test]
    fn no_other_user_can_read_the_store() {
        let (folder, store) = store();
        store.set_setting("x", b"y").unwrap();
        for name in ["store.db", "store.db-wal"] {
            let mode = fs::metadata(folder.path().join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_file_of_any_older_program_is_brought_up_to_date_with_what_it_holds() {
        for version in 1..SCHEMA_STEPS.len() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store.db");
            let old = Connection::open(&path).unwrap();
            for step in &SCHEMA_STEPS[..version] {
                old.execute_batch(step).unwrap();
            }
            let filled = ledger::tests::fill_old(&old, version);
            old.pragma_update(None, "user_version", version.cast_signed() as i64)
                .unwrap();
            drop(old);
            let store = Connected::open(&path).unwrap();
            assert_eq!(store.forks().unwrap(), []);
            let runs = "SELECT count(*) FROM run WHERE first = 1 AND received_at = 1";
            let runs: i64 = store
                .connection
                .query_row(runs, [], |row| row.get(0))
                .unwrap();
            assert_eq!(runs, 1, "from schema {version}");
            filled.is_in(&store, version);
        }
    }

    #[test]
    fn a_reader_sees_what_was_committed_while_somebody_writes() {
        let (folder, mut store) = store();
        store.set_setting("x", b"old").unwrap();
        let reader = Connected::open_read_only(&folder.path().join("store.db")).unwrap();
        let writing = store
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .unwrap();
        writing
            .execute("UPDATE setting SET value = x'00'", [])
            .unwrap();
        assert_eq!(reader.setting("x").unwrap().unwrap(), b"old");
        assert!(reader.set_setting("x", b"new").is_err());
    }

    #[test]
    fn a_file_of_a_newer_program_is_left_alone() {
        let (folder, store) = store();
        store
            .connection
            .pragma_update(None, "user_version", 99)
            .unwrap();
        drop(store);
        let error = Connected::open(&folder.path().join("store.db")).unwrap_err();
        assert!(
            matches!(error, StoreError::Newer { found: 99, .. }),
            "{error}"
        );
    }
}
