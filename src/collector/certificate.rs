//! The collector's own certificate: made once, known to agents by its fingerprint.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use messnetz_probes::tls::Fingerprint;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;

const CERTIFICATE_FILE: &str = "certificate.der";
const KEY_FILE: &str = "certificate-key.der";

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
    /// Making it.
    #[error("making the collector's certificate")]
    Make(#[from] rcgen::Error),
    /// Using it.
    #[error(
        "using the collector's certificate in {path}; restore both files from a backup, or remove both and enrol the agents anew"
    )]
    Use {
        /// The directory.
        path: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

impl Certificate {
    /// The certificate kept in `directory`; made where there is none.
    ///
    /// # Errors
    /// Where the files cannot be read, written or used.
    pub fn load_or_make(directory: &Path) -> Result<Self, CertificateError> {
        let (certificate_path, key_path) =
            (directory.join(CERTIFICATE_FILE), directory.join(KEY_FILE));
        if !certificate_path.exists() && !key_path.exists() {
            let made = rcgen::generate_simple_self_signed([CERTIFICATE_NAME.to_owned()])?;
            write(&key_path, 0o600, &made.signing_key.serialize_der())?;
            write(&certificate_path, 0o644, made.cert.der())?;
        }
        let certificate = read(&certificate_path)?;
        let key = read(&key_path)?;
        let fingerprint = Fingerprint::of(&certificate);
        let using = |source| CertificateError::Use {
            path: directory.display().to_string(),
            source,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(using)?
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(certificate)],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
            )
            .map_err(using)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            fingerprint,
            server: Arc::new(server),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::File {
        doing: "reading",
        path: path.display().to_string(),
        source,
    })
}

fn write(path: &Path, mode: u32, content: &[u8]) -> Result<(), CertificateError> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .map_err(|source| CertificateError::File {
            doing: "writing",
            path: path.display().to_string(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = Certificate::load_or_make(folder.path()).unwrap();
        let second = Certificate::load_or_make(folder.path()).unwrap();
        assert_eq!(first.fingerprint, second.fingerprint);
    }
}
