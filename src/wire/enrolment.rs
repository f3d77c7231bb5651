//! How an agent enrols: what it signs with the key that it will be known by, and what it is told.

use ring::signature::Ed25519KeyPair;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::batch::Digest;
use super::{
    AgentId, CollectorId, PublicKey, Signed, SignedError, SignedSchedule, Statement, Ticket,
    TicketSecret,
};

/// What an agent asks for. That it holds the private half of its key, and that this very ticket is meant and
/// this very collector, is what its signature says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The collector that the ticket is of: at another the application counts for nothing.
    pub collector: CollectorId,
    /// The site that the ticket was made for, such as `NW-162437/main`.
    pub site: String,
    /// SHA-256 of the ticket's secret.
    pub ticket: Digest,
    /// The agent's public key.
    pub public_key: PublicKey,
}

impl Statement for Application {
    const FORMAT: &'static str = "messnetz-enrolment-1";
}

/// What a new agent sends to redeem its ticket.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// What it asks for, signed with its own key.
    pub enrolment: Signed<Application>,
    /// The ticket's secret: whoever has read the collector's store knows its SHA-256 only.
    pub secret: TicketSecret,
}

/// A request that proves nothing.
#[derive(Debug, Error)]
pub enum NotProven {
    /// Not signed with the key that it names.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// Meant for another collector.
    #[error("it was signed for another collector")]
    Collector,
    /// The secret is not that of the ticket that was signed for.
    #[error("it was signed for another ticket")]
    Ticket,
}

impl EnrolRequest {
    /// The request that redeems a ticket for the holder of this key: the same bytes, however often it is made.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub fn of(ticket: &Ticket, key: &Ed25519KeyPair) -> Result<Self, serde_json::Error> {
        let application = Application {
            collector: ticket.id.clone(),
            site: ticket.site.clone(),
            ticket: Digest::from_bytes(ticket.secret.hash()),
            public_key: PublicKey::from(key),
        };
        Ok(Self {
            enrolment: Signed::by(key, &application)?,
            secret: ticket.secret.clone(),
        })
    }

    /// What is asked for, once it is known that the holder of the key asks for it here and with this ticket.
    ///
    /// # Errors
    /// Where that is not so.
    pub fn verified(&self, here: &CollectorId) -> Result<Application, NotProven> {
        let stated = self.enrolment.stated()?;
        let application = self.enrolment.verified(&stated.public_key)?;
        if application.collector != *here {
            return Err(NotProven::Collector);
        }
        if *application.ticket.as_bytes() != self.secret.hash() {
            return Err(NotProven::Ticket);
        }
        Ok(application)
    }
}

/// Whether a collector takes what an agent sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its ticket was redeemed; an operator compares the fingerprint of its key.
    Pending,
    /// Its batches are taken.
    Approved,
    /// Its numbers came twice with different content: nothing is taken until an operator has looked.
    Quarantined,
    /// For good: its key is worth nothing any more.
    Revoked,
}

impl Standing {
    /// Each of them.
    pub const ALL: [Self; 4] = [
        Self::Pending,
        Self::Approved,
        Self::Quarantined,
        Self::Revoked,
    ];

    /// Whether such an agent is at work: it was let in once, and not shut out for good.
    #[must_use]
    pub const fn measures(self) -> bool {
        matches!(self, Self::Approved | Self::Quarantined)
    }

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Quarantined => "quarantined",
            Self::Revoked => "revoked",
        }
    }
}

/// What an agent gets back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnrolResponse {
    /// The agent's name from now on.
    pub agent: AgentId,
    /// Whether it is in already. A pending agent asks again with the same request.
    pub standing: Standing,
    /// What the collector signs receipts and schedules with; its [`CollectorId`] is made of it.
    pub receipt_key: PublicKey,
    /// What to measure until the first batch is acknowledged; nothing while it is not in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<SignedSchedule>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn ticket() -> Ticket {
        Ticket {
            collector: "10.0.0.2:8443".to_owned(),
            fingerprint: messnetz_probes::tls::Fingerprint::of(b"certificate"),
            id: CollectorId::of_key(&[9; 32]),
            site: "XX-100001/main".to_owned(),
            secret: TicketSecret::random().unwrap(),
        }
    }

    #[test]
    fn a_request_proves_who_asks_for_what_and_where() {
        let (ticket, key) = (ticket(), key(1));
        let request = EnrolRequest::of(&ticket, &key).unwrap();
        let text = serde_json::to_string(&request).unwrap();
        let request: EnrolRequest = serde_json::from_str(&text).unwrap();
        let application = request.verified(&ticket.id).unwrap();
        assert_eq!(application.site, ticket.site);
        assert_eq!(application.public_key, PublicKey::from(&key));
        let elsewhere = request.verified(&CollectorId::of_key(&[8; 32]));
        assert!(matches!(elsewhere, Err(NotProven::Collector)));
        let secret = TicketSecret::random().unwrap();
        let with_another = EnrolRequest { secret, ..request };
        let refused = with_another.verified(&ticket.id);
        assert!(matches!(refused, Err(NotProven::Ticket)));
    }

    #[test]
    fn the_key_of_another_cannot_be_put_into_a_request() {
        let ticket = ticket();
        let request = EnrolRequest::of(&ticket, &key(1)).unwrap();
        let text = serde_json::to_string(&request).unwrap();
        let (mine, other) = (PublicKey::from(&key(1)), PublicKey::from(&key(2)));
        for (from, to) in [
            (String::from(mine), String::from(other)),
            ("XX-100001/main".to_owned(), "XX-100002/main".to_owned()),
        ] {
            let forged: EnrolRequest = serde_json::from_str(&text.replace(&from, &to)).unwrap();
            let refused = forged.verified(&ticket.id);
            let signature = NotProven::Signed(SignedError::Signature);
            assert_eq!(refused.unwrap_err().to_string(), signature.to_string());
        }
    }
}
