//! What agents and the collector say to each other: the ticket, the enrolment, the batch, the schedule.
//!
//! Plain JSON over HTTPS, versioned by the `format` field and the `/v1/` path, so that a batch can be
//! read in the field and sent with curl. Only these types are serialised between programs.

mod assignment;
pub mod batch;
mod enrolment;
mod pins;
mod receipt;
mod release;
mod resume;
mod schedule;
mod signed;
mod ticket;
mod tombstone;

use ring::digest;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

pub use assignment::{Assignment, AssignmentError, SCHEDULE_FORMAT, SignedSchedule};
pub use enrolment::{Application, EnrolRequest, EnrolResponse, NotProven, Standing};
pub use pins::{PINS_HEADER, PINS_PATH, Pins, PinsAnswer, PinsError};
pub use receipt::{PublicKey, RECEIPT_FORMAT, Receipt, ReceiptError, SignedReceipt};
pub use release::{
    Failed, MAX_PROGRAM_BYTES, MAX_WHY, PART_BYTES, PROGRAM_PATH, PartWanted, ProgramPart,
    ProgramReport, Release, SignedRelease, TARGET, UPDATE_PATH, UpdateAnswer,
};
pub use resume::{Answer, Known, MAX_EPOCHS, MAX_RUNS, Question, RESUME_PATH};
pub use schedule::{
    Budget, Burst, Hours, Kind, MAX_TASKS, NoHours, Peer, Probe, Schedule, Slot, Task,
};
pub use signed::{Signed, SignedError, Statement};
pub use ticket::{Ticket, TicketError, TicketSecret};
pub use tombstone::{SignedTombstone, Tombstone, TombstoneError};

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

    /// The id as two people read it to each other: in groups of four digits. It is the fingerprint of the key.
    #[must_use]
    pub fn in_groups(&self) -> String {
        let digits: Vec<char> = self.0.chars().collect();
        let groups: Vec<String> = digits
            .chunks(4)
            .map(|group| group.iter().collect())
            .collect();
        groups.join(" ")
    }

    /// The id in groups or in one, with blanks, dashes or colons between, in small or in capital letters.
    ///
    /// # Errors
    /// Where it is not whole: whoever compares a part has not compared.
    pub fn from_groups(text: &str) -> Result<Self, String> {
        let between = |c: char| c.is_whitespace() || c == '-' || c == ':';
        let digits: String = text.chars().filter(|c| !between(*c)).take(64).collect();
        Self::try_from(digits.to_ascii_lowercase()).map_err(|_| {
            "an agent's fingerprint has 32 hexadecimal digits, all of which are to be typed"
                .to_owned()
        })
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

/// The collector has committed a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// What proves it.
    pub receipt: SignedReceipt,
    /// The batch was there already.
    pub duplicate: bool,
    /// What to measure from now on; as before where there is none.
    #[serde(default)]
    pub schedule: Option<SignedSchedule>,
    /// Which certificates to believe, where the agent said that it has an earlier list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<Signed<Pins>>,
}

/// Why the collector did not take something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// One sentence in English.
    pub error: String,
    /// The agent's standing, where that is why; told only to whoever holds the agent's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
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
    fn a_fingerprint_is_read_as_it_is_shown_and_only_whole() {
        let id = AgentId::of_key(&[7; 32]);
        let shown = id.in_groups();
        assert_eq!(shown.split(' ').count(), 8, "{shown}");
        let dashed = shown.replace(' ', "-").to_uppercase();
        for text in [shown.as_str(), id.as_str(), &dashed] {
            assert_eq!(AgentId::from_groups(text).as_ref(), Ok(&id));
        }
        let half = &shown[..shown.len() / 2];
        for text in [half, &format!("{shown} 00"), "", "'; DROP TABLE agent; --"] {
            assert!(AgentId::from_groups(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_agent_id_that_is_no_hex_is_refused() {
        assert!(serde_json::from_str::<AgentId>("\"../../etc/passwd\"").is_err());
    }
}
