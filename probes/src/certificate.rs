//! What certificate a server shows, until when it holds, and whether it is the server's at all.
//!
//! A filter that reads along in TLS shows a certificate of its own making: it bears the right name and
//! comes from an authority that only the school's devices believe. Whoever believes public authorities only
//! sees that, and can name the filter.

use std::sync::{Arc, Mutex, PoisonError};

use messnetz_metric::{Failure, FailureReason, Micros};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::connection::Dial;
use crate::failure;
use crate::tls::{self, Belief, Fingerprint};

/// Longest name of an authority that is told; a foreign text.
const LONGEST_NAME: usize = 200;

const DAY: i64 = 24 * 60 * 60;

/// Looks at the certificates of one server.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// How to reach it; [`Dial::tls`] is not looked at.
    pub dial: Dial,
    /// The name that it is asked for and must have a certificate of.
    pub server_name: String,
    /// Its certificate, where it is known beforehand.
    pub expected: Option<Fingerprint>,
}

/// What a server showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Whose it is.
    pub verdict: Verdict,
    /// To whom the certificate was issued.
    pub subject: String,
    /// By whom it was issued.
    pub issuer: String,
    /// The certificate itself.
    pub fingerprint: Fingerprint,
    /// Whole days until the certificate ends; negative where it has ended.
    pub days_left: i64,
    /// Whole days until the first certificate of the chain ends, in the order of the chain from 0, the
    /// server's own.
    pub first_to_end: (usize, i64),
    /// How long the handshake took.
    #[serde(rename = "tls_us")]
    pub time: Micros,
}

/// Whose a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The server's: a public authority vouches for it, or it is the one that was expected.
    Trusted,
    /// It has the right name, but comes from an authority that is not public; or another one was expected.
    /// Somebody between here and the server reads along, unless the server itself uses its own authority.
    Intercepted,
    /// The server vouches for itself.
    SelfSigned,
    /// It belongs to another name.
    WrongName,
    /// It has ended.
    Expired,
    /// It has not begun.
    NotYetValid,
    /// It cannot be believed for another reason.
    Untrusted,
}

impl Inspection {
    /// Shakes hands once and looks at what the server shows, whatever that is.
    ///
    /// # Errors
    /// As [`Dial::connect`]; [`FailureReason::Tls`] where no handshake comes about, whatever the
    /// certificate.
    pub async fn run(&self) -> Result<Shown, Failure> {
        self.run_with(tls::web_roots()).await
    }

    async fn run_with(&self, roots: RootCertStore) -> Result<Shown, Failure> {
        let attempt = format!("TLS with {} as {}", self.dial.address, self.server_name);
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(FailureReason::Tls, format_args!("{attempt}: {why}"))
        };
        let name = ServerName::try_from(self.server_name.clone()).map_err(|e| wrong(&e))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), tls::provider())
            .build()
            .map_err(|e| wrong(&e))?;
        let recorder = Arc::new(Recorder {
            verifier,
            seen: Mutex::default(),
        });
        let end = Instant::now() + self.dial.deadline;
        let dial = Dial {
            tls: None,
            ..self.dial.clone()
        };
        let connection = dial.connect().await?;
        let connector = TlsConnector::from(tls::believing(recorder.clone()));
        let start = Instant::now();
        timeout_at(end, connector.connect(name.clone(), connection.stream))
            .await
            .map_err(|_| failure::timeout(&attempt, self.dial.deadline))?
            .map_err(|error| tls::handshake_failure(&attempt, &error))?;
        let time = Micros::from(start.elapsed());
        let seen = recorder.take().ok_or_else(|| wrong(&"no certificate"))?;
        judge(&seen, &name, self.expected, UnixTime::now(), time)
            .map_err(|why| wrong(&format_args!("the certificate cannot be read: {why}")))
    }
}

/// What came in a handshake, and what the public authorities' rules say to it.
#[derive(Debug)]
struct Seen {
    chain: Vec<CertificateDer<'static>>,
    checked: Result<(), rustls::Error>,
}

fn judge(
    seen: &Seen,
    name: &ServerName<'_>,
    expected: Option<Fingerprint>,
    now: UnixTime,
    time: Micros,
) -> Result<Shown, x509_parser::nom::Err<x509_parser::error::X509Error>> {
    let mut certificates = Vec::with_capacity(seen.chain.len());
    for der in &seen.chain {
        certificates.push(X509Certificate::from_der(der)?.1);
    }
    let (Some(own), Some(der)) = (certificates.first(), seen.chain.first()) else {
        return Err(x509_parser::nom::Err::Error(
            x509_parser::error::X509Error::InvalidCertificate,
        ));
    };
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let days = |certificate: &X509Certificate<'_>| {
        let end = certificate.validity().not_after.timestamp();
        end.saturating_sub(now).div_euclid(DAY)
    };
    let fingerprint = Fingerprint::of(der);
    let first_to_end = certificates.iter().map(days).enumerate();
    Ok(Shown {
        verdict: match expected {
            Some(expected) if expected == fingerprint => Verdict::Trusted,
            Some(_) => Verdict::Intercepted,
            None => verdict(&seen.checked, own, der, name),
        },
        subject: named(own.subject()),
        issuer: named(own.issuer()),
        fingerprint,
        days_left: days(own),
        first_to_end: first_to_end
            .min_by_key(|(_, days)| *days)
            .unwrap_or((0, days(own))),
        time,
    })
}

fn verdict(
    checked: &Result<(), rustls::Error>,
    own: &X509Certificate<'_>,
    der: &CertificateDer<'_>,
    name: &ServerName<'_>,
) -> Verdict {
    let fits = || {
        ParsedCertificate::try_from(der)
            .and_then(|parsed| verify_server_name(&parsed, name))
            .is_ok()
    };
    let Err(error) = checked else {
        return Verdict::Trusted;
    };
    let rustls::Error::InvalidCertificate(error) = error else {
        return Verdict::Untrusted;
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Verdict::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Verdict::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Verdict::WrongName
        }
        _ if own.issuer() == own.subject() => Verdict::SelfSigned,
        CertificateError::UnknownIssuer if fits() => Verdict::Intercepted,
        _ => Verdict::Untrusted,
    }
}

/// A distinguished name on one line.
fn named(name: &x509_parser::x509::X509Name<'_>) -> String {
    let text = name.to_string();
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(LONGEST_NAME).collect()
}

/// Who issued a certificate; `None` where it cannot be read.
pub(crate) fn issuer(der: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(named(certificate.issuer()))
}

/// Accepts every certificate and remembers what it saw.
#[derive(Debug)]
struct Recorder {
    verifier: Arc<WebPkiServerVerifier>,
    seen: Mutex<Option<Seen>>,
}

impl Recorder {
    fn take(&self) -> Option<Seen> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.take()
    }
}

impl Belief for Arc<Recorder> {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let checked = (self.verifier).verify_server_cert(end_entity, intermediates, name, &[], now);
        let chain = std::iter::once(end_entity).chain(intermediates);
        let seen = Seen {
            chain: chain.map(|der| der.clone().into_owned()).collect(),
            checked: checked.map(drop),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Binding;
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::ServerConfig;
    use std::time::Duration;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    const NAME: &str = "school.example";

    /// An authority, and a certificate of it that ends at the start of `end`.
    fn issued(
        name: &str,
        (year, month, day): (i32, u8, u8),
    ) -> (CertificateDer<'static>, CertificateDer<'static>, KeyPair) {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Test authority");
        let key = KeyPair::generate().unwrap();
        let root = authority.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(authority, key);
        let mut own = CertificateParams::new(vec![name.to_owned()]).unwrap();
        own.not_before = date_time_ymd(2020, 1, 1);
        own.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().unwrap();
        let own = own.signed_by(&key, &issuer).unwrap().der().clone();
        (own, root, key)
    }

    /// What is seen of a server with such a certificate, by somebody who believes its authority.
    async fn shown(name: &str, end: (i32, u8, u8)) -> Shown {
        let (own, root, key) = issued(name, end);
        let config = ServerConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own], key.serialize_der().try_into().unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            acceptor.accept(stream).await.unwrap();
        });
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let inspection = Inspection {
            dial: Dial {
                address,
                tunnel: None,
                tls: None,
                binding: Binding::any(),
                congestion: None,
                deadline: Duration::from_secs(10),
            },
            server_name: NAME.to_owned(),
            expected: None,
        };
        inspection.run_with(roots).await.unwrap()
    }

    #[tokio::test]
    async fn a_certificate_of_a_believed_authority_is_the_servers() {
        let shown = shown(NAME, (4000, 1, 1)).await;
        assert_eq!(shown.verdict, Verdict::Trusted);
        assert!(shown.issuer.contains("Test authority"));
        assert!(shown.days_left > 365 * 1000, "{shown:?}");
    }

    #[tokio::test]
    async fn an_ended_certificate_and_another_name_are_told_apart() {
        let ended = shown(NAME, (2021, 1, 1)).await;
        assert_eq!(ended.verdict, Verdict::Expired);
        assert!(ended.days_left < 0);
        let other = shown("other.example", (4000, 1, 1)).await;
        assert_eq!(other.verdict, Verdict::WrongName);
    }

    fn at(year: i32, month: u8, day: u8, seconds: u64) -> UnixTime {
        let midnight = date_time_ymd(year, month, day).unix_timestamp();
        UnixTime::since_unix_epoch(Duration::from_secs(midnight as u64 + seconds))
    }

    #[test]
    fn days_are_whole_and_the_first_of_the_chain_to_end_is_told() {
        let (own, ..) = issued(NAME, (2030, 3, 10));
        let (earlier, ..) = issued("between", (2030, 3, 5));
        let seen = Seen {
            chain: vec![own, earlier],
            checked: Ok(()),
        };
        let name = ServerName::try_from(NAME).unwrap();
        for (now, own, first) in [
            (at(2030, 3, 1, 0), 9, 4),
            (at(2030, 3, 1, 1), 8, 3),
            (at(2030, 3, 10, 1), -1, -6),
        ] {
            let shown = judge(&seen, &name, None, now, Micros::default()).unwrap();
            assert_eq!((shown.days_left, shown.first_to_end), (own, (1, first)));
        }
    }

    #[test]
    fn an_unknown_authority_is_an_interception_only_with_the_right_name() {
        let unknown = || Err(CertificateError::UnknownIssuer.into());
        let (own, root, _) = issued(NAME, (2030, 3, 10));
        let (other, ..) = issued("other.example", (2030, 3, 10));
        for (der, expected) in [
            (own, Verdict::Intercepted),
            (other, Verdict::Untrusted),
            (root, Verdict::SelfSigned),
        ] {
            let seen = Seen {
                chain: vec![der],
                checked: unknown(),
            };
            let name = ServerName::try_from(NAME).unwrap();
            let shown = judge(&seen, &name, None, at(2029, 1, 1, 0), Micros::default()).unwrap();
            assert_eq!(shown.verdict, expected);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(at in 0_usize..600, noise: Vec<u8>) {
            let (own, ..) = issued(NAME, (2030, 3, 10));
            let mut bytes = own.to_vec();
            let start = at.min(bytes.len());
            let end = (start + noise.len()).min(bytes.len());
            bytes.splice(start..end, noise);
            let seen = Seen {
                chain: vec![bytes.into()],
                checked: Err(CertificateError::UnknownIssuer.into()),
            };
            let name = ServerName::try_from(NAME).unwrap();
            let now = UnixTime::since_unix_epoch(Duration::from_secs(at as u64));
            let _ = judge(&seen, &name, None, now, Micros::default());
        }
    }
}
