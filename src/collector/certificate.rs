//! The collector's own certificate: made once, known to agents by its fingerprint.

use thiserror::Error;

use super::keys::{CERTIFICATE, KeyDirectory, KeyError};
use crate::identity::{self, Identity, IdentityError};

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
    let pem = match keys.read(CERTIFICATE)? {
        Some(pem) => pem,
        None => {
            let made = identity::self_signed().map_err(CertificateError::from)?;
            keys.keep_first(CERTIFICATE, &made)?
        }
    };
    Ok(Identity::of_pem(&pem, &pem).map_err(CertificateError::from)?)
}
