//! Certificate and key of a server that its clients know by the fingerprint.

use std::sync::Arc;

use messnetz_probes::tls::{Fingerprint, HTTP2};
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// The name that such a server is asked for: fingerprints are compared, names are not.
pub(crate) const SERVER_NAME: &str = "messnetz-collector";

/// What a server shows of itself, ready to serve HTTP/1.1 with.
#[derive(Clone, Debug)]
pub struct Identity {
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// How to serve with it.
    pub server: Arc<ServerConfig>,
}

/// Certificate and key do not serve.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// They cannot be read.
    #[error("reading certificate and key as PEM")]
    Read(#[from] pem::Error),
    /// They cannot be used.
    #[error("using certificate and key")]
    Use(#[from] rustls::Error),
}

impl Identity {
    /// The first certificate of `certificate` with the first key of `key`, both PEM; certificates behind the
    /// first are its chain.
    ///
    /// # Errors
    /// Where there is no certificate or key, or where they do not belong together.
    pub fn of_pem(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>()?;
        let first = chain.first().ok_or(pem::Error::NoItemsFound)?;
        let fingerprint = Fingerprint::of(first);
        let key = PrivateKeyDer::from_pem_slice(key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            fingerprint,
            server: Arc::new(server),
        })
    }

    /// What a server shows that speaks HTTP/2 as well, for tests of responsiveness.
    #[must_use]
    pub fn http2_server(&self) -> Arc<ServerConfig> {
        let mut server = ServerConfig::clone(&self.server);
        server.alpn_protocols.insert(0, HTTP2.to_vec());
        Arc::new(server)
    }
}

/// A new certificate with its key, as one PEM text. The name in it means nothing: clients compare fingerprints.
///
/// # Errors
/// Where the system gives no random numbers.
pub fn self_signed() -> Result<Vec<u8>, rcgen::Error> {
    let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()])?;
    Ok((made.cert.pem() + &made.signing_key.serialize_pem()).into_bytes())
}
