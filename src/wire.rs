//! What agents and the collector say to each other: the ticket, the enrolment, the batch, the schedule.
//!
//! Plain JSON over HTTPS, versioned by the `format` field and the `/v1/` path, so that a batch can be
//! read in the field and sent with curl. Only these types are serialised between programs.

pub mod batch;
mod receipt;
mod schedule;
mod ticket;

use ring::digest;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

pub use receipt::{PublicKey, RECEIPT_FORMAT, Receipt, ReceiptError, SignedReceipt};
pub use schedule::{Budget, Burst, Hours, MAX_TASKS, NoHours, Peer, Probe, Schedule, Task};
pub use ticket::{Ticket, TicketError, TicketSecret};

/// Names the form of a batch, and separates its signature from signatures over anything else.
pub const BATCH_FORMAT: &str = "messnetz-batch-2";

/// Path of the enrolment door.
pub const ENROL_PATH: &str = "/v1/enrol";

/// Path of the batch door.
pub const BATCH_PATH: &str = "/v1/batches";

/// Largest batch that is accepted, after decompression.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Most observations in one batch.
pub const MAX_OBSERVATIONS: u16 = 4_000;

/// An agent's name: the first 16 bytes of the SHA-256 of its public key, in hex. Whoever holds the
/// key is the agent, whatever box it runs on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentId(String);

impl AgentId {
    /// The id that belongs to an Ed25519 public key.
    #[must_use]
    pub fn of_key(public_key: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, public_key);
        Self(hex(&hash.as_ref()[..16]))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AgentId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if text.len() == 32 && text.chars().all(digits) {
            Ok(Self(text))
        } else {
            Err("such a name is 32 lower-case hexadecimal digits".to_owned())
        }
    }
}

impl From<AgentId> for String {
    fn from(id: AgentId) -> Self {
        id.0
    }
}

/// A collector's name: made of the key that it signs receipts with, as an agent's is of its own. It stays
/// when the certificate changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CollectorId(AgentId);

impl CollectorId {
    /// The name that belongs to an Ed25519 public key.
    #[must_use]
    pub fn of_key(public_key: &[u8]) -> Self {
        Self(AgentId::of_key(public_key))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for CollectorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CollectorId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        AgentId::try_from(text.to_owned()).map(Self)
    }
}

/// What a new agent sends to redeem its ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// The site that the ticket was made for, such as `NW-162437/main`.
    pub site: String,
    /// The ticket's secret.
    pub secret: TicketSecret,
    /// The agent's public key.
    pub public_key: PublicKey,
}

/// What a new agent gets back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolResponse {
    /// The agent's name from now on.
    pub agent: AgentId,
    /// What the collector signs receipts with; its [`CollectorId`] is made of it.
    pub receipt_key: PublicKey,
    /// What to measure until the first batch is acknowledged.
    pub schedule: Schedule,
}

/// The collector has committed a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// What proves it.
    pub receipt: SignedReceipt,
    /// The batch was there already.
    pub duplicate: bool,
    /// What to measure from now on.
    pub schedule: Schedule,
}

/// Why the collector did not take something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// One sentence in English.
    pub error: String,
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_id_comes_from_the_key_alone() {
        assert_eq!(AgentId::of_key(&[7; 32]), AgentId::of_key(&[7; 32]));
        assert_ne!(AgentId::of_key(&[7; 32]), AgentId::of_key(&[8; 32]));
    }

    #[test]
    fn an_agent_id_that_is_no_hex_is_refused() {
        assert!(serde_json::from_str::<AgentId>("\"../../etc/passwd\"").is_err());
    }
}
