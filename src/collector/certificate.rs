//! The collector's own certificate: made once, kept in the store, known to agents by its fingerprint.

use std::sync::Arc;

use messnetz_probes::tls::Fingerprint;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::store::{Store, StoreError};

/// Certificate and key are one value, so that neither is ever there without the other.
const SETTING: &str = "certificate-and-key-pem";

/// The name in the certificate. Agents compare fingerprints, not names.
const CERTIFICATE_NAME: &str = "messnetz-collector";

/// Certificate and key, ready to serve.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What tickets carry: SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// How to serve with it.
    pub server: Arc<ServerConfig>,
}

/// The certificate could not be made or read.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// Keeping it.
    #[error("keeping the collector's certificate in the store")]
    Store(#[from] StoreError),
    /// Making it.
    #[error("making the collector's certificate")]
    Make(#[from] rcgen::Error),
    /// Reading it back.
    #[error("reading the collector's certificate from the store; restore the store from a backup")]
    Read(#[from] pem::Error),
    /// Using it.
    #[error("using the collector's certificate from the store; restore the store from a backup")]
    Use(#[from] rustls::Error),
}

impl Certificate {
    /// The certificate kept in the store; made where there is none.
    ///
    /// # Errors
    /// Where it cannot be kept, made or used.
    pub fn load_or_make(store: &mut Store) -> Result<Self, CertificateError> {
        let pem = store.setting_or_make(SETTING, make)?;
        let certificate = CertificateDer::from_pem_slice(&pem)?;
        let key = PrivateKeyDer::from_pem_slice(&pem)?;
        let fingerprint = Fingerprint::of(&certificate);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            fingerprint,
            server: Arc::new(server),
        })
    }
}

fn make() -> Result<Vec<u8>, CertificateError> {
    let made = rcgen::generate_simple_self_signed([CERTIFICATE_NAME.to_owned()])?;
    let pem = made.cert.pem() + &made.signing_key.serialize_pem();
    Ok(pem.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_whoever_asks_at_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let fingerprint = || {
            let mut store = Store::open(&path).unwrap();
            Certificate::load_or_make(&mut store).unwrap().fingerprint
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
