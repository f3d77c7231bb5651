//! The collector's own certificates: made once, known to agents by their fingerprints, which the collector signs.

use std::sync::{Arc, PoisonError, RwLock};

use messnetz_metric::UnixMillis;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;

use super::keys::{CERTIFICATE, KeyDirectory, KeyError, Keys};
use crate::identity::{self, Identity, IdentityError};
use crate::store::{Store, StoreError};
use crate::wire::{Pins, Signed};

/// The list that was signed last.
const PINS_SETTING: &str = "pins";

/// The certificate could not be made or read.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// Making it.
    #[error("making the collector's certificate")]
    Make(#[from] rcgen::Error),
    /// Using it.
    #[error(
        "using the collector's certificate; bring it back with `messnetz collector keys import`"
    )]
    Use(#[from] IdentityError),
}

/// The certificate that is kept; made where there is none.
///
/// # Errors
/// Where it cannot be kept, made or used.
pub(super) fn load_or_make(keys: &KeyDirectory) -> Result<Identity, KeyError> {
    let pem = if let Some(pem) = keys.read(CERTIFICATE)? {
        pem
    } else {
        let made = identity::self_signed().map_err(CertificateError::from)?;
        keys.keep_first(CERTIFICATE, &made)?
    };
    Ok(read(&pem)?)
}

/// The certificate of a PEM text that has its key as well.
///
/// # Errors
/// Where it has none that can be used.
pub(super) fn read(pem: &[u8]) -> Result<Identity, CertificateError> {
    Ok(Identity::of_pem(pem, pem)?)
}

/// The certificates that agents are to believe, as they were signed last; `None` where they never were.
///
/// # Errors
/// Where the store fails, or holds what this program does not write.
pub(super) fn issued(store: &dyn Store) -> Result<Option<(Signed<Pins>, Pins)>, StoreError> {
    let damaged = |why: String| StoreError::Damaged {
        what: "a list of certificates",
        why,
    };
    let Some(document) = store.setting(PINS_SETTING)? else {
        return Ok(None);
    };
    let signed: Signed<Pins> =
        serde_json::from_slice(&document).map_err(|error| damaged(error.to_string()))?;
    let stated = signed
        .stated()
        .map_err(|error| damaged(error.to_string()))?;
    Ok(Some((signed, stated)))
}

/// Tells agents to believe the certificate that is in use and the one that is to follow. Signed anew only where the last
/// list says something else.
///
/// # Errors
/// Where the store fails.
pub fn issue(
    store: &dyn Store,
    keys: &Keys,
    now: UnixMillis,
) -> Result<(Signed<Pins>, Pins), StoreError> {
    let accept = std::iter::once(keys.certificate.fingerprint).chain(keys.next);
    let accept: Vec<_> = accept.collect();
    let last = issued(store)?;
    let before = last.as_ref().map_or(0, |(_, pins)| pins.number);
    if let Some((signed, pins)) = last
        && pins.accept == accept
        && pins.collector == keys.id()
    {
        return Ok((signed, pins));
    }
    let pins = Pins {
        collector: keys.id(),
        // A restored store knows an earlier number; the time has gone on.
        number: before.saturating_add(1).max(now.0.max(0).cast_unsigned()),
        issued_at: now,
        accept,
    };
    let unwritable = |error: serde_json::Error| StoreError::Damaged {
        what: "a list of certificates",
        why: error.to_string(),
    };
    let signed = keys.receipts.vouch(&pins).map_err(unwritable)?;
    let document = serde_json::to_vec(&signed).map_err(unwritable)?;
    store.set_setting(PINS_SETTING, &document)?;
    Ok((signed, pins))
}

/// The certificate that the doors show, which can be exchanged while they are open.
#[derive(Debug)]
pub(super) struct Shown(RwLock<Arc<ServerConfig>>);

impl Shown {
    /// Shows this one.
    pub(super) fn new(identity: &Identity) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::clone(&identity.server))))
    }

    /// Shows this one from the next handshake on.
    pub(super) fn show(&self, identity: &Identity) {
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *shown = Arc::clone(&identity.server);
    }

    /// How to serve with whatever is shown, as this configuration does.
    pub(super) fn serve(self: &Arc<Self>, as_in: &ServerConfig) -> Arc<ServerConfig> {
        let mut server = as_in.clone();
        server.cert_resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        Arc::new(server)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        shown.cert_resolver.resolve(hello)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;

    #[test]
    fn a_list_is_signed_anew_only_when_the_certificates_are_others_and_its_number_always_grows() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
        let directory = KeyDirectory::of(folder.path());
        let of = |keys: &Keys, now| {
            let (signed, pins) = issue(&store, keys, UnixMillis(now)).unwrap();
            let verified = Pins::verified(&signed, &keys.receipts.public_half()).unwrap();
            assert_eq!(verified, pins);
            (pins.number, pins.accept)
        };
        let keys = directory.open(&store).unwrap();
        let first = keys.certificate.fingerprint;
        assert_eq!(of(&keys, 1_000), (1_000, vec![first]));
        assert_eq!(of(&keys, 2_000), (1_000, vec![first]));
        let keys = directory.prepare(&store).unwrap();
        let next = keys.next.unwrap();
        assert_eq!(directory.prepare(&store).unwrap().next, Some(next));
        let both = vec![first, next];
        assert_eq!(of(&keys, 500), (1_001, both), "the clock was set back");
        let keys = directory.switch(&store).unwrap();
        assert_eq!(of(&keys, 9_000), (9_000, vec![next]));
        let again = directory.switch(&store).unwrap();
        assert_eq!(of(&again, 9_500), (9_000, vec![next]));
    }
}
