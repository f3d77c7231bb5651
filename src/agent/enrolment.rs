//! Redeeming a ticket.

use thiserror::Error;

use super::state::{Enrolment, StateDirectory, StateError};
use super::upload::{self, UploadError};
use crate::way_out::WayOut;
use crate::wire::{ENROL_PATH, EnrolRequest, EnrolResponse, Ticket};

/// Why an agent did not enrol.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// Its directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The collector did not answer or refused.
    #[error("enrolling at {site}")]
    Collector {
        /// The ticket's site.
        site: String,
        /// Why.
        #[source]
        source: UploadError,
    },
    /// The collector gave another name than the key's.
    #[error(
        "the collector named this agent {named}, but its key says {expected}; the collector is not to be trusted"
    )]
    WrongName {
        /// What it was named.
        named: String,
        /// What the key says.
        expected: String,
    },
}

/// Redeems a ticket: makes this agent's key pair where there is none, sends its public half to the
/// collector that the ticket names, and keeps the enrolment in the directory.
///
/// # Errors
/// Where the directory is enrolled already or cannot be used, the collector is not the one of the
/// ticket or refuses.
pub async fn enrol(
    ticket: &Ticket,
    state: &StateDirectory,
    way_out: &WayOut,
) -> Result<Enrolment, EnrolError> {
    match state.enrolment() {
        Err(StateError::NotEnrolled { .. }) => {}
        Err(error) => return Err(error.into()),
        Ok(enrolment) => return Err(state.already_enrolled(enrolment).into()),
    }
    let key = state.key()?;
    let request = EnrolRequest {
        site: ticket.site.clone(),
        secret: ticket.secret.clone(),
        public_key: key.public_half(),
    };
    let collector_error = |source| EnrolError::Collector {
        site: ticket.site.clone(),
        source,
    };
    let body = serde_json::to_vec(&request).map_err(|source| {
        collector_error(UploadError::Answer {
            collector: ticket.collector.clone(),
            source,
        })
    })?;
    let response: EnrolResponse = upload::post(
        (&ticket.collector, ticket.fingerprint),
        way_out,
        ENROL_PATH,
        &[],
        body,
    )
    .await
    .map_err(collector_error)?;
    if response.agent != key.id() {
        return Err(EnrolError::WrongName {
            named: response.agent.to_string(),
            expected: key.id().to_string(),
        });
    }
    let enrolment = Enrolment {
        collector: ticket.collector.clone(),
        fingerprint: ticket.fingerprint,
        site: ticket.site.clone(),
        agent: response.agent,
        receipt_key: response.receipt_key,
        schedule: response.schedule,
    };
    state.keep_enrolment(&enrolment)?;
    Ok(enrolment)
}
