//! The agent's directory: its key, its enrolment, its spool.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use messnetz_metric::UnixMillis;
use messnetz_probes::tls::Fingerprint;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::budget::Ledger;
use super::ceilings::SelfTest;
use super::due::UsedSlots;
use super::key::AgentKey;
use super::limits::{Limits, LimitsError};
use super::pins::Later;
use crate::wire::{
    AgentId, Assignment, AssignmentError, CollectorId, Pins, PublicKey, Signed, SignedSchedule,
    Standing, Ticket, TicketError,
};

const KEY_FILE: &str = "agent-key.pk8";
const TICKET_FILE: &str = "ticket";
const ENROLMENT_FILE: &str = "enrolment.json";
const SPOOL_FILE: &str = "spool.db";
const LEDGER_FILE: &str = "budget.json";
const SELF_TEST_FILE: &str = "self-test.json";
const SLOTS_FILE: &str = "slots.json";
const STANDING_FILE: &str = "standing.json";
const LIMITS_FILE: &str = "limits.toml";

/// What the agent knows of its collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The collector's door for agents, `HOST:PORT`.
    pub collector: String,
    /// SHA-256 of the collector's certificate that is in use.
    pub fingerprint: Fingerprint,
    /// Which certificates of the collector are believed, as it signed them; that one alone where it has signed none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<Signed<Pins>>,
    /// Where this agent measures.
    pub site: String,
    /// This agent's name.
    pub agent: AgentId,
    /// What the collector signs receipts and schedules with.
    pub receipt_key: PublicKey,
    /// What to measure, as it was signed; replaced whenever the collector sends a later one.
    pub schedule: SignedSchedule,
}

/// What the collector said last of this agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Whether it takes its batches.
    pub standing: Standing,
    /// When it said so first, by this machine's clock.
    pub since: UnixMillis,
}

impl Enrolment {
    /// What this agent is to measure, once it is known to be the collector's word.
    ///
    /// # Errors
    /// Where it does not verify.
    pub fn assignment(&self) -> Result<Assignment, AssignmentError> {
        self.verified(&self.schedule)
    }

    /// The collector's name.
    #[must_use]
    pub fn collector_id(&self) -> CollectorId {
        CollectorId::of_key(self.receipt_key.octets())
    }

    fn pins(&self) -> Option<Pins> {
        let signed = self.pins.as_ref()?;
        Pins::verified(signed, &self.receipt_key).ok()
    }

    /// The number of the list of certificates that this agent has; 0 where it has none.
    #[must_use]
    pub fn pins_number(&self) -> u64 {
        self.pins().map_or(0, |pins| pins.number)
    }

    /// The certificates of the collector that are believed.
    #[must_use]
    pub fn accepted(&self) -> Vec<Fingerprint> {
        self.pins()
            .map_or_else(|| vec![self.fingerprint], |pins| pins.accept)
    }

    /// The same enrolment with a later list of certificates.
    pub(super) fn with_pins(&self, later: Later) -> Self {
        let in_use = later.pins.accept.first();
        Self {
            fingerprint: in_use.copied().unwrap_or(self.fingerprint),
            pins: Some(later.signed),
            ..self.clone()
        }
    }

    fn verified(&self, schedule: &SignedSchedule) -> Result<Assignment, AssignmentError> {
        schedule.verified(&self.receipt_key, &self.agent, &self.site)
    }

    /// What this agent is to measure from now on, and where, where the collector has signed it later than what it
    /// measures: an agent is moved by a schedule of another site.
    ///
    /// # Errors
    /// Where it does not verify, is not later, or is above `latest`.
    pub(super) fn later(
        &self,
        offered: &SignedSchedule,
        latest: impl Fn(u64) -> u64,
    ) -> Result<Assignment, AssignmentError> {
        let site = offered.stated().map_err(AssignmentError::Form)?.site;
        let offered = offered.verified(&self.receipt_key, &self.agent, &site)?;
        // What does not verify is not followed, and stands in nobody's way.
        let followed = self.assignment().map_or(0, |assignment| assignment.serial);
        if offered.serial <= followed {
            return Err(AssignmentError::Older {
                serial: offered.serial,
                followed,
            });
        }
        let latest = latest(followed);
        if offered.serial > latest {
            return Err(AssignmentError::Ahead {
                serial: offered.serial,
                latest,
            });
        }
        Ok(offered)
    }
}

/// The directory in which an agent keeps its state.
#[derive(Clone, Debug)]
pub struct StateDirectory {
    path: PathBuf,
}

/// The agent's directory could not be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// Reading or writing failed.
    #[error("{doing} {path}")]
    File {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// There is no enrolment yet.
    #[error(
        "{path} holds no enrolment; enrol first with `messnetz agent enrol TICKET --state {path}`"
    )]
    NotEnrolled {
        /// The directory.
        path: String,
    },
    /// There is one already.
    #[error(
        "{path} is enrolled already as agent {agent} for {site}; use another directory, or remove this one to start anew"
    )]
    AlreadyEnrolled {
        /// The directory.
        path: String,
        /// As whom.
        agent: AgentId,
        /// For where.
        site: String,
    },
    /// Another process works with it.
    #[error(
        "{path} is in use by another process, perhaps a second `messnetz agent run`: stop that one, or use another directory"
    )]
    InUse {
        /// The directory.
        path: String,
    },
    /// A file does not hold what this program wrote.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: String,
        /// Why it cannot be read.
        why: String,
    },
    /// The operating system gave no random numbers.
    #[error("making a key pair: the operating system gave no random numbers")]
    NoRandom,
}

impl StateDirectory {
    /// The state in this directory, which need not exist yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the key lies.
    pub(super) fn key_file(&self) -> PathBuf {
        self.path.join(KEY_FILE)
    }

    /// Where the spool lies.
    #[must_use]
    pub fn spool_file(&self) -> PathBuf {
        self.path.join(SPOOL_FILE)
    }

    /// Where the limits lie that no schedule may exceed; there need not be such a file.
    #[must_use]
    pub fn limits_file(&self) -> PathBuf {
        self.path.join(LIMITS_FILE)
    }

    /// What no schedule may exceed: the limits of this file, or of the directory's own where none is named.
    ///
    /// # Errors
    /// Where a file that is named is not there, or does not say what it should.
    pub fn limits(&self, file: Option<&Path>) -> Result<Limits, LimitsError> {
        match file {
            Some(file) => Limits::load(file, true),
            None => Limits::load(&self.limits_file(), false),
        }
    }

    /// Keeps other agents out of the directory for as long as the answer lives: two with one spool
    /// would measure twice and give one number to two batches.
    ///
    /// # Errors
    /// Where another process keeps it already, or it cannot be opened.
    pub(super) fn lock(&self) -> Result<StateLock, StateError> {
        let opening = |source| file_error("locking", &self.path, source);
        let directory = File::open(&self.path).map_err(opening)?;
        match directory.try_lock() {
            Ok(()) => Ok(StateLock {
                _directory: directory,
            }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse {
                path: self.path.display().to_string(),
            }),
            Err(TryLockError::Error(error)) => Err(opening(error)),
        }
    }

    /// The enrolment kept here.
    ///
    /// # Errors
    /// Where there is none or it cannot be read.
    pub fn enrolment(&self) -> Result<Enrolment, StateError> {
        let path = self.path.join(ENROLMENT_FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StateError::NotEnrolled {
                    path: self.path.display().to_string(),
                });
            }
            Err(source) => return Err(file_error("reading", &path, source)),
        };
        serde_json::from_slice(&text).map_err(|error| StateError::Damaged {
            path: path.display().to_string(),
            why: error.to_string(),
        })
    }

    /// The error of enrolling twice.
    pub(super) fn already_enrolled(&self, enrolment: Enrolment) -> StateError {
        StateError::AlreadyEnrolled {
            path: self.path.display().to_string(),
            agent: enrolment.agent,
            site: enrolment.site,
        }
    }

    /// Keeps an enrolment.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn keep_enrolment(&self, enrolment: &Enrolment) -> Result<(), StateError> {
        let path = self.path.join(ENROLMENT_FILE);
        let text = serde_json::to_vec_pretty(enrolment).map_err(|error| StateError::Damaged {
            path: path.display().to_string(),
            why: error.to_string(),
        })?;
        write_private(&path, &text)
    }

    /// Keeps the ticket that this agent waits with until an operator lets it in.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn keep_ticket(&self, ticket: &Ticket) -> Result<(), StateError> {
        write_private(&self.path.join(TICKET_FILE), ticket.to_string().as_bytes())
    }

    /// The ticket that this agent waits with; `None` where it does not wait.
    ///
    /// # Errors
    /// Where there is one that cannot be read.
    pub fn waiting_ticket(&self) -> Result<Option<Ticket>, StateError> {
        let path = self.path.join(TICKET_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(file_error("reading", &path, source)),
        };
        let ticket = text
            .parse()
            .map_err(|error: TicketError| StateError::Damaged {
                path: path.display().to_string(),
                why: error.to_string(),
            })?;
        Ok(Some(ticket))
    }

    /// Removes the ticket that this agent waited with.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub(super) fn forget_ticket(&self) -> Result<(), StateError> {
        let path = self.path.join(TICKET_FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(file_error("removing", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// What saturating tests have cost so far.
    pub(super) fn ledger(&self) -> Ledger {
        self.book(LEDGER_FILE)
    }

    /// Keeps what saturating tests have cost so far.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn keep_ledger(&self, ledger: &Ledger) -> Result<(), StateError> {
        self.keep_book(LEDGER_FILE, ledger)
    }

    /// The slots that tests were done in.
    pub(super) fn used_slots(&self) -> UsedSlots {
        self.book(SLOTS_FILE)
    }

    /// Keeps the slots that tests were done in.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn keep_used_slots(&self, used: &UsedSlots) -> Result<(), StateError> {
        self.keep_book(SLOTS_FILE, used)
    }

    /// What the collector said last of this agent; `None` where it has said nothing since the enrolment.
    #[must_use]
    pub fn heard(&self) -> Option<Heard> {
        self.book(STANDING_FILE)
    }

    /// Keeps what the collector said of this agent.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn keep_heard(&self, heard: Heard) -> Result<(), StateError> {
        self.keep_book(STANDING_FILE, &heard)
    }

    /// The name of the key that this agent has; `None` where it has none. Makes no key.
    #[must_use]
    pub fn own_id(&self) -> Option<AgentId> {
        self.key_file()
            .exists()
            .then(|| self.key().ok())
            .flatten()
            .map(|key| key.id())
    }

    /// What the last self-test came to.
    pub(super) fn self_test(&self) -> SelfTest {
        self.book(SELF_TEST_FILE)
    }

    /// Keeps what a self-test came to.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn keep_self_test(&self, self_test: &SelfTest) -> Result<(), StateError> {
        self.keep_book(SELF_TEST_FILE, self_test)
    }

    /// What was kept under this name; nothing where nothing was, and where it cannot be read: an agent does not
    /// stop measuring for its books.
    fn book<T: DeserializeOwned + Default>(&self, name: &str) -> T {
        let path = self.path.join(name);
        let kept = match fs::read(&path) {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return T::default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "this book cannot be read and begins anew");
                return T::default();
            }
        };
        serde_json::from_slice(&kept).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "this book is damaged and begins anew");
            T::default()
        })
    }

    fn keep_book(&self, name: &str, book: &impl Serialize) -> Result<(), StateError> {
        let path = self.path.join(name);
        let text = serde_json::to_vec(book).map_err(|error| StateError::Damaged {
            path: path.display().to_string(),
            why: error.to_string(),
        })?;
        write_private(&path, &text)
    }

    /// The agent's key pair; made where there is none.
    ///
    /// # Errors
    /// Where it can be neither read nor made.
    pub(super) fn key(&self) -> Result<AgentKey, StateError> {
        let path = self.path.join(KEY_FILE);
        let document = match fs::read(&path) {
            Ok(document) => document,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.path)
                    .map_err(|source| file_error("making the directory", &self.path, source))?;
                let document = AgentKey::generate().map_err(|_| StateError::NoRandom)?;
                write_private(&path, &document)?;
                document
            }
            Err(source) => return Err(file_error("reading", &path, source)),
        };
        AgentKey::from_pkcs8(&document).map_err(|error| StateError::Damaged {
            path: path.display().to_string(),
            why: error.to_string(),
        })
    }
}

/// A directory that is locked (flock) until this is dropped. The kernel lets go of it however the
/// process ends.
#[derive(Debug)]
pub(super) struct StateLock {
    _directory: File,
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let temporary = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // The new name is on the disk only when the directory is.
        path.parent()
            .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    };
    write().map_err(|source| file_error("writing", path, source))
}

fn file_error(doing: &'static str, path: &Path, source: io::Error) -> StateError {
    StateError::File {
        doing,
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_stays_the_same_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(&folder.path().join("agent"));
        let first = state.key().unwrap().id();
        assert_eq!(state.key().unwrap().id(), first);
        let mode = fs::metadata(state.path.join(KEY_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_directory_belongs_to_one_running_agent() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(folder.path());
        let first = state.lock().unwrap();
        let error = state.lock().unwrap_err();
        assert!(matches!(error, StateError::InUse { .. }), "{error}");
        drop(first);
        state.lock().unwrap();
    }

    #[test]
    fn an_enrolment_with_the_epoch_of_an_older_program_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            r#"{{"collector":"10.0.0.2:8443","fingerprint":"{}","site":"XX-100001/main",
                "agent":"{}","receipt_key":"{}=","epoch":1,"schedule":{{"upload_every_ms":1,"task":[]}}}}"#,
            "0".repeat(64),
            "0".repeat(32),
            "A".repeat(43)
        );
        fs::write(folder.path().join(ENROLMENT_FILE), text).unwrap();
        let enrolment = StateDirectory::new(folder.path()).enrolment().unwrap();
        assert_eq!(enrolment.site, "XX-100001/main");
    }

    #[test]
    fn a_damaged_ledger_begins_anew_and_a_kept_one_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(folder.path());
        assert_eq!(state.ledger(), Ledger::default());
        let mut ledger = Ledger::default();
        let cost = super::super::budget::Cost::new(5, std::time::Duration::from_secs(1));
        ledger.spend("wwan0", jiff::civil::date(2026, 11, 23), cost);
        state.keep_ledger(&ledger).unwrap();
        assert_eq!(state.ledger(), ledger);
        fs::write(folder.path().join(LEDGER_FILE), "[").unwrap();
        assert_eq!(state.ledger(), Ledger::default());
    }

    #[test]
    fn a_directory_without_enrolment_says_how_to_enrol() {
        let folder = tempfile::tempdir().unwrap();
        let error = StateDirectory::new(folder.path()).enrolment().unwrap_err();
        assert!(
            error.to_string().contains("messnetz agent enrol TICKET"),
            "{error}"
        );
    }
}
