//! TLS towards a peer: which certificate counts as the peer's, with ring as the only cryptography.
//!
//! The provider is given to every configuration, never taken from the process default: a measurement
//! must not depend on what another part of the program has installed.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use messnetz_metric::{Failure, FailureReason};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, CipherSuite, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::certificate;

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that Mozilla's root programme vouches for, as every browser does.
    Web,
    /// This one certificate and no other; names, dates and issuers do not matter.
    Pinned(Fingerprint),
    /// Any of these certificates and no other, as with one.
    OneOf(Vec<Fingerprint>),
}

/// The configuration of a client that believes `trust` and offers HTTP/1.1 (RFC 7301).
///
/// Sessions are not resumed: the measured handshake is always a full one.
///
/// # Panics
/// Never: ring offers cipher suites for both protocol versions.
#[must_use]
pub fn client_config(trust: &Trust) -> Arc<ClientConfig> {
    match trust {
        Trust::Web => believing(PublicAuthorities::new()),
        Trust::Pinned(expected) => believing(Pinned(vec![*expected])),
        Trust::OneOf(expected) => believing(Pinned(expected.clone())),
    }
}

/// HTTP/2 as a client and a server agree on it (RFC 7301).
pub const HTTP2: &[u8] = b"h2";

/// Octets of records that wait in a session over HTTP/2 for the kernel to take them: one record. What waits in this
/// machine would be taken for a queue of the path.
pub const UNSENT: usize = 16 * 1024;

/// As [`client_config`], but offers HTTP/2.
pub(crate) fn http2_client_config(trust: &Trust) -> Arc<ClientConfig> {
    let mut config = Arc::unwrap_or_clone(client_config(trust));
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Arc::new(config)
}

/// Which certificates are believed. That whoever shows one holds its key is verified apart from it, always.
pub(crate) trait Belief: fmt::Debug + Send + Sync + 'static {
    /// Whether this certificate, shown with this chain, may speak for this name now.
    ///
    /// # Errors
    /// Where it may not: why.
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error>;
}

/// A belief as rustls asks for it: with the signature of the handshake (RFC 8446, section 4.4.3).
#[derive(Debug)]
struct Verifier<B> {
    belief: B,
    provider: Arc<CryptoProvider>,
}

impl<B: Belief> ServerCertVerifier for Verifier<B> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.belief
            .check(end_entity, intermediates, server_name, now)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The configuration of a client with this belief.
pub(crate) fn believing(belief: impl Belief) -> Arc<ClientConfig> {
    let verifier = Arc::new(Verifier {
        belief,
        provider: provider(),
    });
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring offers cipher suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Prefers AES-128-GCM, which every peer has (RFC 8446, section 9.1), to AES-256-GCM: what is measured is the
/// line, and four rounds of AES less for each block are so much less work for both ends.
fn cheapest_first(mut provider: CryptoProvider) -> CryptoProvider {
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(cheapest_first(ring::default_provider()))
}

/// Mozilla's root programme.
pub(crate) fn web_roots() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// Believes what public authorities vouch for, and names who issued what it does not believe: where a
/// filter reads along, that is the filter's name.
#[derive(Debug)]
struct PublicAuthorities(Arc<WebPkiServerVerifier>);

impl PublicAuthorities {
    fn new() -> Self {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(web_roots().into(), provider()).build();
        Self(verifier.expect("the root programme is not empty"))
    }
}

impl Belief for PublicAuthorities {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        self.0
            .verify_server_cert(end_entity, intermediates, name, &[], now)
            .map(drop)
            .map_err(|error| match certificate::issuer(end_entity) {
                Some(issuer) if error == unknown => {
                    CertificateError::Other(OtherError(Arc::new(NoPublicAuthority(issuer)))).into()
                }
                _ => error,
            })
    }
}

#[derive(Clone, Debug, Error)]
#[error("certificate issued by '{0}', which is no public authority")]
struct NoPublicAuthority(String);

/// SHA-256 over the DER form of an end-entity certificate; written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of the certificate whose DER form this is.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let digest = ::ring::digest::digest(&::ring::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    /// Takes either case, and the colons between bytes that OpenSSL writes.
    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let mut bytes = [0; 32];
        let mut digits = text.chars().filter(|&c| c != ':');
        let mut digit = || digits.next().and_then(|c| c.to_digit(16));
        for byte in &mut bytes {
            let (high, low) = digit().zip(digit()).ok_or(InvalidFingerprint)?;
            *byte = (high << 4 | low) as u8;
        }
        match digits.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(InvalidFingerprint),
        }
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = InvalidFingerprint;

    fn try_from(text: String) -> Result<Self, InvalidFingerprint> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// A text is not a SHA-256 fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a fingerprint is SHA-256 in 64 hexadecimal digits, with or without colons")]
pub struct InvalidFingerprint;

/// Believes certificates by their fingerprints.
#[derive(Debug)]
struct Pinned(Vec<Fingerprint>);

impl Belief for Pinned {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let seen = Fingerprint::of(end_entity);
        if self.0.contains(&seen) {
            return Ok(());
        }
        // The first is the one in use.
        let expected = self.0.first().copied();
        let error = OtherError(Arc::new(WrongCertificate { seen, expected }));
        Err(CertificateError::Other(error).into())
    }
}

/// Another certificate than the pinned one was shown. Short, so that both fingerprints fit into the
/// detail of a failure.
#[derive(Clone, Copy, Debug, Error)]
#[error("certificate {seen}, expected {}", expected.map_or_else(|| "none".to_owned(), |it| it.to_string()))]
struct WrongCertificate {
    seen: Fingerprint,
    expected: Option<Fingerprint>,
}

/// The failure that a broken handshake is. What broke stands first: the detail of a failure is cut at
/// its end, and `attempt` may be long.
pub(crate) fn handshake_failure(attempt: impl fmt::Display, error: &io::Error) -> Failure {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
            Failure::new(FailureReason::Tls, format_args!("{other}: {attempt}"))
        }
        Some(tls) => Failure::new(FailureReason::Tls, format_args!("{attempt}: {tls}")),
        // The peer hung up in the middle of the handshake: it speaks no TLS, or not with us.
        None => Failure::new(FailureReason::Tls, format_args!("{attempt}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // SHA-256 of the empty string (FIPS 180-4 example value).
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_fingerprint_is_sha_256_in_lower_case() {
        assert_eq!(Fingerprint::of(b"").to_string(), EMPTY);
    }

    #[test]
    fn a_fingerprint_is_read_as_openssl_writes_it() {
        let bytes: Vec<String> = (0..32)
            .map(|i| EMPTY[2 * i..2 * i + 2].to_uppercase())
            .collect();
        assert_eq!(bytes.join(":").parse(), Ok(Fingerprint::of(b"")));
    }

    #[test]
    fn a_fingerprint_of_another_length_is_refused() {
        assert!(EMPTY[..62].parse::<Fingerprint>().is_err());
        assert!(format!("{EMPTY}00").parse::<Fingerprint>().is_err());
        assert!("".parse::<Fingerprint>().is_err());
    }

    #[test]
    fn both_fingerprints_fit_into_a_failure() {
        let error = WrongCertificate {
            seen: Fingerprint::of(b"a"),
            expected: Some(Fingerprint::of(b"b")),
        };
        assert!(error.to_string().len() < 200);
    }

    #[test]
    fn a_client_offers_http_1_1_only() {
        for trust in [Trust::Web, Trust::Pinned(Fingerprint::of(b""))] {
            assert_eq!(client_config(&trust).alpn_protocols, [b"http/1.1"]);
        }
    }

    #[test]
    fn a_client_prefers_the_cipher_that_costs_least_and_offers_all() {
        for trust in [Trust::Web, Trust::Pinned(Fingerprint::of(b""))] {
            let config = client_config(&trust);
            let suites = &config.crypto_provider().cipher_suites;
            let first = suites.first().unwrap().suite();
            assert_eq!(first, CipherSuite::TLS13_AES_128_GCM_SHA256);
            assert_eq!(suites.len(), ring::default_provider().cipher_suites.len());
        }
    }

    proptest! {
        #[test]
        fn a_fingerprint_survives_its_text(bytes: [u8; 32]) {
            let fingerprint = Fingerprint(bytes);
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,100}") {
            let _ = text.parse::<Fingerprint>();
        }
    }
}
