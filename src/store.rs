//! What the collector keeps, in one SQLite file: tickets, agents, the ledger of batches, the samples.
//!
//! The store knows neither sockets nor targets. Everything that must hold together is one transaction
//! here: a ticket is used once, a batch is stored once.

mod ledger;
mod samples;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use messnetz_metric::UnixMillis;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use thiserror::Error;

use crate::sqlite::{BUSY_TIMEOUT, open_shared};
use crate::wire::{AgentId, TicketSecret};

pub use ledger::{Forked, Stored};
pub use samples::SiteSeries;

/// The schema as this program writes it; older files are brought up to it when they are opened.
const SCHEMA_VERSION: i64 = SCHEMA_STEPS.len().cast_signed() as i64;

/// What brings a file from each schema to the next, beginning with an empty one.
const SCHEMA_STEPS: [&str; 3] = [
    include_str!("store/schema-1.sql"),
    include_str!("store/schema-2.sql"),
    include_str!("store/schema-3.sql"),
];

/// An open store.
#[derive(Debug)]
pub struct Store {
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
    /// What was read back is not what this program writes.
    #[error("the store holds {what} that cannot be read: {why}")]
    Damaged {
        /// The kind of thing.
        what: &'static str,
        /// Why.
        why: String,
    },
}

/// Why a ticket opened nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TicketRefused {
    /// There is no such ticket for this site.
    #[error("there is no such ticket for this site; ask for one with `messnetz collector ticket`")]
    Unknown,
    /// It was used before.
    #[error("this ticket was used already; ask for a new one")]
    Used,
    /// Its time is over.
    #[error("this ticket has expired; ask for a new one")]
    Expired,
}

/// An enrolled agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolledAgent {
    /// Its name.
    pub id: AgentId,
    /// Where it measures.
    pub site: String,
    /// Its Ed25519 public key.
    pub public_key: Vec<u8>,
}

impl Store {
    /// Opens the file, makes it where it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// Where the file cannot be opened, is no SQLite file, or was written by a newer program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
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
        connection
            .pragma_update(None, "foreign_keys", "ON")
            .map_err(opening)?;

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
        for step in steps {
            transaction.execute_batch(step).map_err(opening)?;
        }
        if !steps.is_empty() {
            transaction
                .pragma_update(None, "user_version", SCHEMA_VERSION)
                .map_err(opening)?;
        }
        transaction.commit().map_err(opening)?;
        Ok(Self { connection })
    }

    /// Opens a file that [`Self::open`] has opened before, for reading alone. Whoever reads sees what
    /// was committed, and waits for no writer.
    ///
    /// # Errors
    /// Where the file cannot be opened or is no SQLite file.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(path, flags)
            .and_then(|connection| {
                connection.busy_timeout(BUSY_TIMEOUT)?;
                Ok(Self { connection })
            })
            .map_err(|source| StoreError::Open {
                path: path.display().to_string(),
                source,
            })
    }

    /// Keeps a ticket's hash until it is used or expires.
    ///
    /// # Errors
    /// Where the database refuses.
    pub fn add_ticket(
        &self,
        secret: &TicketSecret,
        site: &str,
        now: UnixMillis,
        valid_for: Duration,
    ) -> Result<(), StoreError> {
        let expires = now
            .0
            .saturating_add(i64::try_from(valid_for.as_millis()).unwrap_or(i64::MAX));
        self.connection.execute(
            "INSERT INTO ticket (secret_hash, site, made_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
            params![secret.hash(), site, now.0, expires],
        )?;
        Ok(())
    }

    /// Uses a ticket up and enrols the agent that holds `public_key`, in one step. Whoever used it may
    /// ask again as long as it is enrolled: the answer may have been lost on the way.
    ///
    /// # Errors
    /// The inner error says why the ticket opened nothing; the outer one where the database refuses.
    pub fn redeem_ticket(
        &mut self,
        secret: &TicketSecret,
        site: &str,
        public_key: &[u8],
        now: UnixMillis,
    ) -> Result<Result<AgentId, TicketRefused>, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let id = AgentId::of_key(public_key);
        let ticket: Option<(i64, bool, bool)> = transaction
            .query_row(
                "SELECT expires_at, used_at IS NOT NULL, EXISTS (
                     SELECT 1 FROM agent WHERE id = used_by AND id = ?3 AND agent.site = ticket.site)
                 FROM ticket WHERE secret_hash = ?1 AND site = ?2",
                params![secret.hash(), site, id.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        match ticket {
            None => return Ok(Err(TicketRefused::Unknown)),
            Some((_, true, true)) => return Ok(Ok(id)),
            Some((_, true, false)) => return Ok(Err(TicketRefused::Used)),
            Some((expires, false, _)) if expires < now.0 => {
                return Ok(Err(TicketRefused::Expired));
            }
            Some(_) => {}
        }
        transaction.execute(
            "UPDATE ticket SET used_at = ?1, used_by = ?2 WHERE secret_hash = ?3",
            params![now.0, id.as_str(), secret.hash()],
        )?;
        transaction.execute(
            "INSERT INTO agent (id, site, public_key, enrolled_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET site = excluded.site",
            params![id.as_str(), site, public_key, now.0],
        )?;
        transaction.commit()?;
        Ok(Ok(id))
    }

    /// The agent of this name.
    ///
    /// # Errors
    /// Where the database refuses.
    pub fn agent(&self, id: &AgentId) -> Result<Option<EnrolledAgent>, StoreError> {
        Ok(self
            .connection
            .query_row(
                "SELECT site, public_key FROM agent WHERE id = ?1",
                params![id.as_str()],
                |row| {
                    Ok(EnrolledAgent {
                        id: id.clone(),
                        site: row.get(0)?,
                        public_key: row.get(1)?,
                    })
                },
            )
            .optional()?)
    }

    /// All agents, by site.
    ///
    /// # Errors
    /// Where the database refuses or a name in it is damaged.
    pub fn agents(&self) -> Result<Vec<EnrolledAgent>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT id, site, public_key FROM agent ORDER BY site, id")?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Vec<u8>>(2)?,
            ))
        })?;
        rows.map(|row| {
            let (id, site, public_key) = row?;
            let id = AgentId::try_from(id).map_err(|why| StoreError::Damaged {
                what: "an agent's name",
                why,
            })?;
            Ok(EnrolledAgent {
                id,
                site,
                public_key,
            })
        })
        .collect()
    }

    /// The names of the agents that are enrolled for a site, in an order that stays.
    ///
    /// # Errors
    /// Where the database refuses.
    pub fn agents_of_site(&self, site: &str) -> Result<Vec<String>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM agent WHERE site = ?1 ORDER BY id")?;
        let names = statement.query_map([site], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// Keeps a named value.
    ///
    /// # Errors
    /// Where the database refuses.
    pub fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO setting (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            params![name, value],
        )?;
        Ok(())
    }

    /// A named value; `make` gives it where there is none. Of several programs that ask at once, one
    /// makes it and all get that one.
    ///
    /// # Errors
    /// Where the database refuses, or what `make` says.
    pub fn setting_or_make<E: From<StoreError>>(
        &mut self,
        name: &str,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let database = |error: rusqlite::Error| E::from(StoreError::from(error));
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(database)?;
        let known: Option<Vec<u8>> = transaction
            .query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()
            .map_err(database)?;
        if let Some(known) = known {
            return Ok(known);
        }
        let value = make()?;
        transaction
            .execute(
                "INSERT INTO setting (name, value) VALUES (?1, ?2)",
                params![name, value],
            )
            .map_err(database)?;
        transaction.commit().map_err(database)?;
        Ok(value)
    }

    /// A named value.
    ///
    /// # Errors
    /// Where the database refuses.
    pub fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
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

/// The store holds the collector's key: nobody else may read it. SQLite gives its journals the same
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
    use base64::Engine as _;

    use super::*;

    pub(super) fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        (folder, store)
    }

    const SITE: &str = "XX-100001/main";
    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn a_ticket_opens_the_door_once() {
        let (_folder, mut store) = store();
        let secret = TicketSecret::random().unwrap();
        store.add_ticket(&secret, SITE, UnixMillis(0), DAY).unwrap();
        let first = store
            .redeem_ticket(&secret, SITE, &[1; 32], UnixMillis(1))
            .unwrap();
        assert_eq!(first, Ok(AgentId::of_key(&[1; 32])));
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
        store.add_ticket(&secret, SITE, UnixMillis(0), DAY).unwrap();
        let late = UnixMillis(86_400_001);
        for now in [UnixMillis(1), UnixMillis(2), late] {
            let redeemed = store.redeem_ticket(&secret, SITE, &[1; 32], now).unwrap();
            assert_eq!(redeemed, Ok(AgentId::of_key(&[1; 32])));
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
        store.add_ticket(&secret, SITE, UnixMillis(0), DAY).unwrap();
        let refused = store
            .redeem_ticket(&secret, "XX-1/x", &[1; 32], UnixMillis(1))
            .unwrap();
        assert_eq!(refused, Err(TicketRefused::Unknown));
    }

    #[test]
    fn an_expired_ticket_opens_nothing() {
        let (_folder, mut store) = store();
        let secret = TicketSecret::random().unwrap();
        store.add_ticket(&secret, SITE, UnixMillis(0), DAY).unwrap();
        let late = UnixMillis(86_400_001);
        let refused = store.redeem_ticket(&secret, SITE, &[1; 32], late).unwrap();
        assert_eq!(refused, Err(TicketRefused::Expired));
    }

    #[test]
    fn a_ticket_secret_is_not_in_the_file() {
        let (folder, store) = store();
        let secret = TicketSecret::random().unwrap();
        store.add_ticket(&secret, SITE, UnixMillis(0), DAY).unwrap();
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
            let batch = "INSERT INTO batch (site, agent, epoch, sequence, hash, received_at)
                         VALUES ('XX-100001/main', 'a', 1, 1, x'00', 1)";
            old.execute(batch, []).unwrap();
            old.pragma_update(None, "user_version", version.cast_signed() as i64)
                .unwrap();
            drop(old);
            let store = Store::open(&path).unwrap();
            assert_eq!(store.forks().unwrap(), []);
            let kept = "SELECT count(*) FROM batch WHERE header IS NULL AND previous IS NULL";
            let kept: i64 = store
                .connection
                .query_row(kept, [], |row| row.get(0))
                .unwrap();
            assert_eq!(kept, 1, "from schema {version}");
        }
    }

    #[test]
    fn a_reader_sees_what_was_committed_while_somebody_writes() {
        let (folder, mut store) = store();
        store.set_setting("x", b"old").unwrap();
        let reader = Store::open_read_only(&folder.path().join("store.db")).unwrap();
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
        let error = Store::open(&folder.path().join("store.db")).unwrap_err();
        assert!(
            matches!(error, StoreError::Newer { found: 99, .. }),
            "{error}"
        );
    }
}
