//! Ed25519 keys as other programs keep them: PKCS #8 (RFC 8410) in PEM or DER, and the public half as PEM
//! or base64.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519_PUBLIC_KEY_LEN, Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

/// Most octets that are read of a key; one has some hundred.
const MAX_OCTETS: u64 = 16 * 1024;

/// What stands before the key in its `SubjectPublicKeyInfo` (RFC 8410, section 4).
const SPKI_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Reads a private key.
pub(in crate::cli) fn private(path: &Path) -> anyhow::Result<Ed25519KeyPair> {
    let attempt = || format!("reading the private key in {}", path.display());
    let octets = read(path).with_context(attempt)?;
    let document = PrivatePkcs8KeyDer::from_pem_slice(&octets)
        .map_or(octets, |key| key.secret_pkcs8_der().to_vec());
    // OpenSSL leaves the public half out (version 1), which is then computed.
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&document)
        .map_err(|error| anyhow::anyhow!("it is no Ed25519 key in PKCS #8 ({error}); 'openssl genpkey -algorithm ed25519' makes one"))
        .with_context(attempt)
}

/// The public half.
pub(super) fn public_half(key: &Ed25519KeyPair) -> &[u8] {
    key.public_key().as_ref()
}

/// The public key in a PEM file of this name, or of which this is the base64.
pub(in crate::cli) fn public(text: &str) -> anyhow::Result<Vec<u8>> {
    let octets = match STANDARD.decode(text) {
        Ok(octets) if raw(&octets).is_some() => octets,
        _ => {
            let attempt = || format!("reading the public key {text}");
            let octets = read(Path::new(text)).with_context(attempt)?;
            SubjectPublicKeyInfoDer::from_pem_slice(&octets)
                .map_or(octets, |key| key.as_ref().to_vec())
        }
    };
    let Some(key) = raw(&octets) else {
        bail!("{text} is no public Ed25519 key: neither a PEM file nor the base64 of one");
    };
    Ok(key.to_vec())
}

/// The key itself, bare or with what stands before it.
fn raw(octets: &[u8]) -> Option<&[u8]> {
    let key = octets.strip_prefix(&SPKI_HEAD).unwrap_or(octets);
    (key.len() == ED25519_PUBLIC_KEY_LEN).then_some(key)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    File::open(path)?
        .take(MAX_OCTETS)
        .read_to_end(&mut octets)?;
    Ok(octets)
}
