//! Another certificate than the one that is known: whether the collector has exchanged it, or somebody else answers.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use messnetz_metric::Failure;
use messnetz_probes::Binding;
use messnetz_probes::certificate::{Inspection, Shown};
use messnetz_probes::connection::Dial;
use messnetz_probes::tls::Fingerprint;
use thiserror::Error;

use crate::identity::SERVER_NAME;
use crate::pinned;
use crate::way_out::WayOut;
use crate::wire::{CollectorId, PINS_PATH, Pins, PinsAnswer, PublicKey, Signed};

/// Longest time for each attempt.
const DEADLINE: Duration = Duration::from_secs(10);

/// Largest answer that is read.
const MAX_ANSWER: usize = 16 * 1024;

/// Who answered with a certificate that is not believed. The names in it are a stranger's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct AnotherCertificate {
    collector: String,
    subject: String,
    issuer: String,
    fingerprint: Fingerprint,
}

impl AnotherCertificate {
    /// Of what somebody showed in the place of this collector.
    pub(super) fn of(collector: &str, shown: &Shown) -> Self {
        Self {
            collector: collector.to_owned(),
            subject: shown.subject.clone(),
            issuer: shown.issuer.clone(),
            fingerprint: shown.fingerprint,
        }
    }

    /// Whether somebody made it who vouches for other names too, as whoever reads along does.
    fn is_interception(&self) -> bool {
        self.issuer != self.subject
    }

    /// What was seen.
    pub(super) fn saw(&self) -> String {
        let Self {
            issuer,
            fingerprint,
            ..
        } = self;
        if self.is_interception() {
            format!(
                "somebody reads along: the certificate was issued by '{issuer}', its fingerprint is {fingerprint}"
            )
        } else {
            format!(
                "another collector answers, or this one with a certificate that it vouches for in no list: {fingerprint}"
            )
        }
    }

    /// What to do.
    pub(super) fn remedy(&self) -> String {
        if self.is_interception() {
            let collector = &self.collector;
            format!("nothing is sent to it; have {collector} exempted from TLS inspection")
        } else {
            "nothing is sent to it; ask the collector's operator (`messnetz collector certificate status`), and enrol anew where the collector's keys were lost".to_owned()
        }
    }
}

impl fmt::Display for AnotherCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.saw(), self.remedy())
    }
}

/// A later list of certificates, with the key that signed it.
#[derive(Clone, Debug)]
pub(super) struct Later {
    /// As it was signed.
    pub(super) signed: Signed<Pins>,
    /// What it says.
    pub(super) pins: Pins,
}

/// Looks at who answers in the place of the collector. Where that is the collector of this name with a certificate from
/// a list that it has signed later than the one of the number `known`, gives that list. Nothing of the agent's is told:
/// the question is the same for everybody.
///
/// # Errors
/// The inner error says who answers; the outer one where nobody does.
pub(super) async fn ask(
    collector: &str,
    (id, known): (&CollectorId, u64),
    way_out: &WayOut,
) -> Result<Result<Later, AnotherCertificate>, Failure> {
    let shown = look(collector, way_out).await?;
    let another = || AnotherCertificate::of(collector, &shown);
    let Some(answer) = list(collector, shown.fingerprint, way_out).await else {
        return Ok(Err(another()));
    };
    // The key proves itself by the name that the agent knows.
    if CollectorId::of_key(answer.receipt_key.octets()) != *id {
        return Ok(Err(another()));
    }
    Ok(later(answer.pins, &answer.receipt_key, known)
        .filter(|later| later.pins.accept.contains(&shown.fingerprint))
        .ok_or_else(another))
}

/// A list that is the collector's word, and later than the one that is known.
pub(super) fn later(signed: Signed<Pins>, key: &PublicKey, known: u64) -> Option<Later> {
    match Pins::later(&signed, key, known) {
        Ok(pins) => Some(Later { signed, pins }),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a list of the collector's certificates is not believed"
            );
            None
        }
    }
}

/// What whoever answers shows.
async fn look(collector: &str, way_out: &WayOut) -> Result<Shown, Failure> {
    let proxy = way_out.to(true, pinned::host_of(collector))?;
    let nearest = proxy.as_ref().map(ToString::to_string);
    let address = pinned::resolve(nearest.as_deref().unwrap_or(collector)).await?;
    let inspection = Inspection {
        dial: Dial {
            address,
            tunnel: proxy
                .as_ref()
                .and_then(|proxy| pinned::tunnel(proxy, collector)),
            tls: None,
            binding: Binding::any(),
            congestion: None,
            deadline: DEADLINE,
        },
        server_name: SERVER_NAME.to_owned(),
        expected: None,
    };
    inspection.run().await
}

/// The list that whoever holds this certificate gives.
async fn list(collector: &str, shown: Fingerprint, way_out: &WayOut) -> Option<PinsAnswer> {
    let request = Request::builder()
        .uri(PINS_PATH)
        .header(header::HOST, collector)
        .body(Full::new(Bytes::new()))
        .ok()?;
    let only = [shown];
    let asked = pinned::exchange(collector, &only, way_out, request, DEADLINE, MAX_ANSWER);
    let answer = asked.await.ok()?;
    serde_json::from_slice(answer.body()).ok()
}
