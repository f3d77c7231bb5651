//! The signed schedule: what a collector tells one agent to measure, so that neither the agent nor anybody on the
//! way can take another's, an older one, or one that the collector never gave.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use messnetz_metric::UnixMillis;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use thiserror::Error;

use super::batch::signed_bytes;
use super::{AgentId, CollectorId, PublicKey, Schedule};

/// Names the form of an assignment, and separates its signature from signatures over anything else.
pub const SCHEDULE_FORMAT: &str = "messnetz-schedule-1";

/// What one agent is to measure. Read leniently, as [`Schedule`] is: the collector may be newer than the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// [`SCHEDULE_FORMAT`].
    pub format: String,
    /// Who assigns.
    pub collector: CollectorId,
    /// Who measures.
    pub agent: AgentId,
    /// Where.
    pub site: String,
    /// Grows with each assignment of an agent: none is followed after a later one.
    pub serial: u64,
    /// When it was signed, by the collector's clock.
    pub issued_at: UnixMillis,
    /// What to measure.
    pub schedule: Schedule,
}

/// An assignment with its signature. The bytes that were signed are kept as they stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedSchedule {
    #[serde(default = "nothing")]
    assignment: Box<RawValue>,
    #[serde(default)]
    signature: String,
}

/// In the place of what a collector that signs nothing has not sent.
fn nothing() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

/// A schedule that is not to be followed.
#[derive(Debug, Error)]
pub enum AssignmentError {
    /// Not signed by the collector that the agent enrolled with.
    #[error("it is not signed with the collector's key")]
    Signature,
    /// Signed, and no assignment.
    #[error("it is no {SCHEDULE_FORMAT}")]
    Form(#[source] serde_json::Error),
    /// An assignment of another collector's, for another agent or another site.
    #[error("it is for {agent} at {site}, and not for this agent")]
    Other {
        /// For whom.
        agent: AgentId,
        /// For where.
        site: String,
    },
    /// A later one was taken before.
    #[error("its serial {serial} is not above {followed}, which is followed")]
    Older {
        /// Its serial.
        serial: u64,
        /// The serial of the one that is followed.
        followed: u64,
    },
    /// No collector whose clock is right would have it yet: nothing could come after it.
    #[error("its serial {serial} is above {latest}, which none can be today")]
    Ahead {
        /// Its serial.
        serial: u64,
        /// The highest that is taken.
        latest: u64,
    },
}

impl Assignment {
    /// Signs it.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub fn signed_with(&self, key: &Ed25519KeyPair) -> Result<SignedSchedule, serde_json::Error> {
        let assignment = to_raw_value(self)?;
        let signature = key.sign(&signed_bytes(SCHEDULE_FORMAT, assignment.get()));
        Ok(SignedSchedule {
            assignment,
            signature: STANDARD.encode(signature),
        })
    }
}

impl SignedSchedule {
    /// What it says, whoever signed it.
    ///
    /// # Errors
    /// Where it is no assignment.
    pub fn stated(&self) -> Result<Assignment, serde_json::Error> {
        serde_json::from_str(self.assignment.get())
    }

    /// The assignment, once it is known to be the collector's and for this agent at this site.
    ///
    /// # Errors
    /// Where it is not signed with the collector's key, or is somebody else's.
    pub fn verified(
        &self,
        key: &PublicKey,
        agent: &AgentId,
        site: &str,
    ) -> Result<Assignment, AssignmentError> {
        let signature = STANDARD.decode(&self.signature).unwrap_or_default();
        let bytes = signed_bytes(SCHEDULE_FORMAT, self.assignment.get());
        UnparsedPublicKey::new(&ED25519, key.octets())
            .verify(&bytes, &signature)
            .map_err(|_| AssignmentError::Signature)?;
        let assignment = self.stated().map_err(AssignmentError::Form)?;
        let is_ours = assignment.format == SCHEDULE_FORMAT
            && assignment.collector == CollectorId::of_key(key.octets())
            && assignment.agent == *agent
            && assignment.site == site;
        if is_ours {
            Ok(assignment)
        } else {
            Err(AssignmentError::Other {
                agent: assignment.agent,
                site: assignment.site.chars().take(200).collect(),
            })
        }
    }
}

impl PartialEq for SignedSchedule {
    fn eq(&self, other: &Self) -> bool {
        self.assignment.get() == other.assignment.get() && self.signature == other.signature
    }
}

impl Eq for SignedSchedule {}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "XX-100001/main";

    fn key(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn assignment(collector: &Ed25519KeyPair) -> Assignment {
        let public = PublicKey::from(collector);
        Assignment {
            format: SCHEDULE_FORMAT.to_owned(),
            collector: CollectorId::of_key(public.octets()),
            agent: AgentId::of_key(&[1; 32]),
            site: SITE.to_owned(),
            serial: 7,
            issued_at: UnixMillis(5),
            schedule: serde_json::from_str("{}").unwrap(),
        }
    }

    fn checked(signed: &SignedSchedule) -> Result<Assignment, AssignmentError> {
        let public = PublicKey::from(&key(1));
        signed.verified(&public, &AgentId::of_key(&[1; 32]), SITE)
    }

    #[test]
    fn a_schedule_is_of_one_collector_and_for_one_agent_at_one_site() {
        let (key, stranger) = (key(1), key(2));
        let mine = assignment(&key);
        let signed = mine.signed_with(&key).unwrap();
        let text = serde_json::to_string(&signed).unwrap();
        let read: SignedSchedule = serde_json::from_str(&text).unwrap();
        assert_eq!(read, signed);
        assert_eq!(checked(&read).unwrap(), mine);

        let by_stranger = mine.signed_with(&stranger).unwrap();
        assert!(matches!(
            checked(&by_stranger),
            Err(AssignmentError::Signature)
        ));
        let agent = Assignment {
            agent: AgentId::of_key(&[2; 32]),
            ..mine.clone()
        };
        let site = Assignment {
            site: "XX-100002/main".to_owned(),
            ..mine.clone()
        };
        let collector = Assignment {
            collector: CollectorId::of_key(&[9; 32]),
            ..mine
        };
        for other in [agent, site, collector] {
            let refused = checked(&other.signed_with(&key).unwrap());
            assert!(matches!(refused, Err(AssignmentError::Other { .. })));
        }
    }

    #[test]
    fn a_changed_an_unsigned_and_a_receipts_signature_do_not_verify() {
        let key = key(1);
        let signed = assignment(&key).signed_with(&key).unwrap();
        let text = serde_json::to_string(&signed).unwrap();
        let read = |text: &str| serde_json::from_str::<SignedSchedule>(text).unwrap();
        let otherwise = |bytes: &[u8]| SignedSchedule {
            signature: STANDARD.encode(key.sign(bytes)),
            ..signed.clone()
        };
        let stands = signed.assignment.get();
        for changed in [
            read(&text.replace("\"serial\":7", "\"serial\":8")),
            read("{\"upload_every_ms\":1,\"task\":[]}"),
            otherwise(stands.as_bytes()),
            otherwise(&signed_bytes(crate::wire::RECEIPT_FORMAT, stands)),
        ] {
            let refused = checked(&changed);
            assert!(matches!(refused, Err(AssignmentError::Signature)));
        }
    }
}
