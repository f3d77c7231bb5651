//! The one-time ticket that lets an agent enrol.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use messnetz_probes::tls::Fingerprint;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::CollectorId;

/// Every ticket begins with this, so that a ticket is recognised wherever it is pasted.
const PREFIX: &str = "messnetz2.";

/// What tickets of an older program begin with: they do not say whose they are.
const OLD_PREFIX: &str = "messnetz1.";

/// Longest text that is looked at as a ticket.
const MAX_TEXT: usize = 1_024;

/// 128 random bits that open the door once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TicketSecret([u8; 16]);

impl TicketSecret {
    /// A new secret from the operating system's random numbers.
    ///
    /// # Errors
    /// Where the operating system gives none.
    pub fn random() -> Result<Self, ring::error::Unspecified> {
        let mut secret = [0; 16];
        SystemRandom::new().fill(&mut secret)?;
        Ok(Self(secret))
    }

    /// What the collector keeps of it: its SHA-256. The secret itself is stored nowhere.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, &self.0).as_ref());
        hash
    }
}

impl fmt::Debug for TicketSecret {
    /// Secrets do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecret(…)")
    }
}

impl TryFrom<String> for TicketSecret {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| error.to_string())?;
        let secret = bytes
            .try_into()
            .map_err(|_| "a ticket's secret has 16 bytes".to_owned())?;
        Ok(Self(secret))
    }
}

impl From<TicketSecret> for String {
    fn from(secret: TicketSecret) -> Self {
        URL_SAFE_NO_PAD.encode(secret.0)
    }
}

/// What an operator hands to the person who sets up an agent: where the collector is, how to know it,
/// which site to measure, and the right to enrol once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The collector's door for agents, `HOST:PORT`.
    pub collector: String,
    /// SHA-256 of the collector's certificate: no other certificate is accepted.
    pub fingerprint: Fingerprint,
    /// The collector's name, which is made of its key and stays when the certificate changes.
    pub id: CollectorId,
    /// The site, such as `NW-162437/main`.
    pub site: String,
    /// Opens the door once.
    pub secret: TicketSecret,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(self).map_err(|_| fmt::Error)?;
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }
}

/// A text is no ticket.
#[derive(Debug, Error)]
pub enum TicketError {
    /// It does not begin like one.
    #[error(
        "a ticket begins with '{PREFIX}'; copy the whole line that `messnetz collector ticket` printed"
    )]
    NoTicket,
    /// It does, as tickets did that an older program made.
    #[error("this ticket was made by an older program; ask for a new one")]
    Old,
    /// It does, but the rest is damaged.
    #[error(
        "the ticket is damaged ({0}); copy the whole line that `messnetz collector ticket` printed"
    )]
    Damaged(String),
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text = text.trim();
        if text.starts_with(OLD_PREFIX) {
            return Err(TicketError::Old);
        }
        let encoded = text.strip_prefix(PREFIX).ok_or(TicketError::NoTicket)?;
        if encoded.len() > MAX_TEXT {
            return Err(TicketError::Damaged(format!(
                "longer than {MAX_TEXT} characters"
            )));
        }
        let json = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|error| TicketError::Damaged(error.to_string()))?;
        serde_json::from_slice(&json).map_err(|error| TicketError::Damaged(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            collector: "10.0.0.2:8443".to_owned(),
            fingerprint: Fingerprint::of(b"certificate"),
            id: CollectorId::of_key(&[9; 32]),
            site: "XX-100001/main".to_owned(),
            secret: TicketSecret::random().unwrap(),
        }
    }

    #[test]
    fn a_ticket_survives_being_printed_and_pasted() {
        let ticket = ticket();
        let pasted: Ticket = format!("  {ticket}\n").parse().unwrap();
        assert_eq!(pasted, ticket);
    }

    #[test]
    fn half_a_ticket_says_that_it_is_damaged() {
        let text = ticket().to_string();
        let error = text[..text.len() / 2].parse::<Ticket>().unwrap_err();
        assert!(matches!(error, TicketError::Damaged(_)), "{error}");
    }

    #[test]
    fn a_ticket_of_an_older_program_says_that_it_is_old() {
        let old = ticket().to_string().replace(PREFIX, OLD_PREFIX);
        assert!(matches!(old.parse::<Ticket>(), Err(TicketError::Old)));
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        let ticket = ticket();
        let secret = String::from(ticket.secret.clone());
        assert!(!format!("{ticket:?}").contains(&secret));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}") {
            let _ = text.parse::<Ticket>();
            let _ = format!("{PREFIX}{text}").parse::<Ticket>();
        }
    }
}
