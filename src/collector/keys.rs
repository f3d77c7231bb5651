//! What makes a collector itself: its certificate with its key, and its key for receipts. They are files of their own
//! beside the store, so that a copy of the measurements is not the collector.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use messnetz_probes::tls::Fingerprint;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::certificate::{self, CertificateError};
use super::receipts::{ReceiptKey, ReceiptKeyError};
use crate::identity::{self, Identity};
use crate::store::{Store, StoreError};
use crate::wire::CollectorId;

/// The name of the directory within the data directory.
const DIRECTORY: &str = "keys";

/// Certificate and key are one file, so that neither is ever there without the other.
pub(super) const CERTIFICATE: &str = "certificate.pem";

/// The certificate that is to follow, in the same form; there need not be one.
const NEXT: &str = "next.pem";

/// The key for receipts and schedules, as PKCS #8.
pub(super) const RECEIPTS: &str = "receipts.pk8";

/// Whose store it is: what tells a store whose keys are missing from a new one.
const ID_SETTING: &str = "collector-id";

/// Where an older program kept the keys: in the store itself.
const FORMER: [(&str, &str); 2] = [
    ("certificate-and-key-pem", CERTIFICATE),
    ("receipt-key-pkcs8", RECEIPTS),
];

/// Names the form of an export.
const EXPORT_FORMAT: &str = "messnetz-keys-1";

/// The collector's keys are not to be had.
#[derive(Debug, Error)]
pub enum KeyError {
    /// A file.
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
    /// They are not where they should be.
    #[error(
        "{path} is missing, and the store is of the collector {id}, whom agents know: bring its keys back with `messnetz collector keys import FILE`; where they are lost for good, `messnetz collector keys new` makes others, and every agent enrols anew"
    )]
    Missing {
        /// The file.
        path: String,
        /// Whose store it is.
        id: CollectorId,
    },
    /// They are somebody else's.
    #[error(
        "the keys in {path} are of the collector {found}, but the store is of {expected}: bring the keys and the store of one collector together"
    )]
    Other {
        /// The directory.
        path: String,
        /// Whose keys.
        found: CollectorId,
        /// Whose store.
        expected: CollectorId,
    },
    /// There are keys where none may be.
    #[error("there are keys in {0} already; move them away first, and keep them safe")]
    InTheWay(String),
    /// A file that does not hold keys.
    #[error("{path} holds no keys of a collector: {why}")]
    NoKeys {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The key for receipts.
    #[error(transparent)]
    Receipts(#[from] ReceiptKeyError),
    /// What the store knows of them.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The keys of a collector, ready for use.
#[derive(Debug)]
pub struct Keys {
    /// What agents know it by.
    pub certificate: Identity,
    /// The certificate that is to follow.
    pub next: Option<Fingerprint>,
    /// What batches are acknowledged and schedules signed with.
    pub(super) receipts: ReceiptKey,
}

impl Keys {
    /// The name that they give the collector.
    #[must_use]
    pub fn id(&self) -> CollectorId {
        self.receipts.id()
    }
}

/// The keys as one file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    format: String,
    collector: CollectorId,
    /// Certificate and key, PEM.
    certificate: String,
    /// The same of the certificate that is to follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// Base64 of PKCS #8.
    receipts: String,
}

/// The directory of the keys.
#[derive(Clone, Debug)]
pub struct KeyDirectory {
    path: PathBuf,
}

impl KeyDirectory {
    /// The keys beside the store in this data directory; there need not be any.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self {
            path: data.join(DIRECTORY),
        }
    }

    /// The collector's keys. They are made where there are none and the store does not say whose it is; those that
    /// an older program kept in the store are moved here, and deleted there.
    ///
    /// # Errors
    /// Where they are missing, somebody else's, or cannot be used.
    pub fn open(&self, store: &dyn Store) -> Result<Keys, KeyError> {
        // Asked before the files are looked at: whoever makes them says whose the store is afterwards.
        let expected = known_id(store)?;
        self.move_here(store)?;
        if let Some(id) = &expected {
            for name in [RECEIPTS, CERTIFICATE] {
                if self.read(name)?.is_none() {
                    return Err(KeyError::Missing {
                        path: self.path.join(name).display().to_string(),
                        id: id.clone(),
                    });
                }
            }
        }
        let keys = Keys {
            certificate: certificate::load_or_make(self)?,
            next: match self.read(NEXT)? {
                Some(pem) => Some(certificate::read(&pem)?.fingerprint),
                None => None,
            },
            receipts: ReceiptKey::load_or_make(self)?,
        };
        let found = keys.receipts.id();
        let kept = store.setting_or_insert(ID_SETTING, found.as_str().as_bytes())?;
        if kept == found.as_str().as_bytes() {
            return Ok(keys);
        }
        Err(KeyError::Other {
            path: self.path.display().to_string(),
            expected: known_id(store)?.unwrap_or_else(|| found.clone()),
            found,
        })
    }

    /// Moves here what an older program kept in the store.
    fn move_here(&self, store: &dyn Store) -> Result<(), KeyError> {
        for (setting, name) in FORMER {
            let Some(secret) = store.setting(setting)? else {
                continue;
            };
            let kept = self.keep_first(name, &secret)?;
            // A certificate may have been exchanged since that store was copied; the key for receipts never is.
            if name == RECEIPTS && kept != secret {
                return Err(KeyError::Other {
                    path: self.path.display().to_string(),
                    found: ReceiptKey::read(&kept)?.id(),
                    expected: ReceiptKey::read(&secret)?.id(),
                });
            }
            store.forget_setting(setting)?;
        }
        Ok(())
    }

    /// Makes other keys, where those of this store are lost: no agent knows this collector any more.
    ///
    /// # Errors
    /// Where there are keys, or none can be made.
    pub fn begin_anew(&self, store: &dyn Store) -> Result<Keys, KeyError> {
        self.must_be_empty()?;
        store.forget_setting(ID_SETTING)?;
        self.open(store)
    }

    /// Writes all keys into one new file that only its owner may read.
    ///
    /// # Errors
    /// Where they are not to be had, or there is such a file.
    pub fn export(&self, store: &dyn Store, path: &Path) -> Result<CollectorId, KeyError> {
        let collector = self.open(store)?.receipts.id();
        let read = |name| Ok::<_, KeyError>(self.read(name)?.unwrap_or_default());
        let next = self.read(NEXT)?;
        let export = Export {
            format: EXPORT_FORMAT.to_owned(),
            collector: collector.clone(),
            certificate: String::from_utf8_lossy(&read(CERTIFICATE)?).into_owned(),
            next: next.map(|pem| String::from_utf8_lossy(&pem).into_owned()),
            receipts: STANDARD.encode(read(RECEIPTS)?),
        };
        let text = serde_json::to_vec_pretty(&export).map_err(|error| no_keys(path, &error))?;
        write_new(path, &text).map_err(|source| file_error("writing", path, source))?;
        Ok(collector)
    }

    /// Takes the keys of an export over, where there are none; says whose they are.
    ///
    /// # Errors
    /// Where there are keys already, the file holds none that can be used, or they are not those of the store.
    pub fn import(&self, store: &dyn Store, path: &Path) -> Result<CollectorId, KeyError> {
        self.must_be_empty()?;
        let text = fs::read(path).map_err(|source| file_error("reading", path, source))?;
        let export: Export =
            serde_json::from_slice(&text).map_err(|error| no_keys(path, &error))?;
        if export.format != EXPORT_FORMAT {
            return Err(no_keys(path, &format!("it is no {EXPORT_FORMAT}")));
        }
        let receipts = STANDARD.decode(&export.receipts);
        let receipts = receipts.map_err(|error| no_keys(path, &error))?;
        let found = ReceiptKey::read(&receipts)?.id();
        if found != export.collector {
            return Err(no_keys(
                path,
                &"its key is not that of the collector it names",
            ));
        }
        for pem in std::iter::once(&export.certificate).chain(&export.next) {
            certificate::read(pem.as_bytes())?;
        }
        if let Some(expected) = known_id(store)?
            && expected != found
        {
            let path = path.display().to_string();
            return Err(KeyError::Other {
                path,
                found,
                expected,
            });
        }
        if let Some(next) = &export.next {
            self.keep_first(NEXT, next.as_bytes())?;
        }
        self.keep_first(CERTIFICATE, export.certificate.as_bytes())?;
        self.keep_first(RECEIPTS, &receipts)?;
        Ok(self.open(store)?.receipts.id())
    }

    /// Makes the certificate that is to follow, where there is none yet; gives the keys with it.
    ///
    /// # Errors
    /// Where it cannot be made or kept.
    pub fn prepare(&self, store: &dyn Store) -> Result<Keys, KeyError> {
        let keys = self.open(store)?;
        if keys.next.is_some() {
            return Ok(keys);
        }
        let made = identity::self_signed().map_err(CertificateError::from)?;
        self.keep_first(NEXT, &made)?;
        self.open(store)
    }

    /// Puts the certificate that is to follow in the place of the one that is in use; does nothing where there is none.
    /// Gives the keys as they are then.
    ///
    /// # Errors
    /// Where that cannot be written.
    pub fn switch(&self, store: &dyn Store) -> Result<Keys, KeyError> {
        let (next, path) = (self.path.join(NEXT), self.path.join(CERTIFICATE));
        match fs::rename(&next, &path).and_then(|()| sync_names(&self.path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(file_error("renaming", &next, error))
            }
            _ => self.open(store),
        }
    }

    fn must_be_empty(&self) -> Result<(), KeyError> {
        for name in [CERTIFICATE, RECEIPTS] {
            if self.read(name)?.is_some() {
                return Err(KeyError::InTheWay(self.path.display().to_string()));
            }
        }
        Ok(())
    }

    /// What is kept under this name.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, KeyError> {
        let path = self.path.join(name);
        let read = || -> io::Result<Vec<u8>> {
            let content = fs::read(&path)?;
            if fs::metadata(&path)?.permissions().mode() & 0o077 != 0 {
                tracing::warn!(path = %path.display(), "others could read this key until now");
                fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            }
            Ok(content)
        };
        match read() {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(file_error("reading", &path, source)),
        }
    }

    /// Keeps this under a name that nothing is kept under yet, and gives what is kept: of several programs that ask at
    /// once, all get the same. It is on the disk when this returns.
    pub(super) fn keep_first(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, KeyError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = self.path.join(name);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let beside = format!(".{name}.{}.{number}.new", std::process::id());
        let beside = self.path.join(beside);
        let keep = || -> io::Result<()> {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.path)?;
            write_new(&beside, secret)?;
            // Whole or not at all, and never in the place of another.
            let linked = fs::hard_link(&beside, &path);
            fs::remove_file(&beside)?;
            match linked {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => sync_names(&self.path),
            }
        };
        keep().map_err(|source| file_error("writing", &path, source))?;
        Ok(self.read(name)?.unwrap_or_else(|| secret.to_vec()))
    }
}

/// Whose store it is, where that was said.
fn known_id(store: &dyn Store) -> Result<Option<CollectorId>, StoreError> {
    let Some(id) = store.setting(ID_SETTING)? else {
        return Ok(None);
    };
    let id = String::from_utf8_lossy(&id).parse();
    id.map(Some).map_err(|why| StoreError::Damaged {
        what: "a collector's name",
        why,
    })
}

/// Writes a file that must not exist, and that only its owner may read.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A new name is on the disk only when its directory is, and so on upwards to what was there before.
fn sync_names(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()?;
    directory
        .parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn no_keys(path: &Path, why: &dyn std::fmt::Display) -> KeyError {
    KeyError::NoKeys {
        path: path.display().to_string(),
        why: why.to_string(),
    }
}

fn file_error(doing: &'static str, path: &Path, source: io::Error) -> KeyError {
    KeyError::File {
        doing,
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests;
