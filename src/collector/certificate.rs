//! The collector's own certificate: made once, kept in the store, known to agents by its fingerprint.

use thiserror::Error;

use crate::identity::{self, Identity, IdentityError};
use crate::store::{Store, StoreError};

/// Certificate and key are one value, so that neither is ever there without the other.
const SETTING: &str = "certificate-and-key-pem";

/// The certificate could not be made or read.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// Keeping it.
    #[error("keeping the collector's certificate in the store")]
    Store(#[from] StoreError),
    /// Making it.
    #[error("making the collector's certificate")]
    Make(#[from] rcgen::Error),
    /// Using it.
    #[error("using the collector's certificate from the store; restore the store from a backup")]
    Use(#[from] IdentityError),
}

/// The certificate kept in the store; made where there is none.
///
/// # Errors
/// Where it cannot be kept, made or used.
pub(super) fn load_or_make(store: &dyn Store) -> Result<Identity, CertificateError> {
    let pem = match store.setting(SETTING)? {
        Some(pem) => pem,
        None => store.setting_or_insert(SETTING, &identity::self_signed()?)?,
    };
    Ok(Identity::of_pem(&pem, &pem)?)
}

#[cfg(test)]
mod tests {
    use messnetz_probes::tls::Fingerprint;

    use super::*;
    use crate::store::SqliteStore;

    #[test]
    fn a_certificate_is_made_once_whoever_asks_at_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let fingerprint = || {
            let store = SqliteStore::open(&path).unwrap();
            load_or_make(&store).unwrap().fingerprint
        };
        let of_all: Vec<Fingerprint> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..4).map(|_| scope.spawn(fingerprint)).collect();
            asking
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(of_all.iter().all(|one| *one == of_all[0]));
        assert_eq!(fingerprint(), of_all[0]);
    }
}
