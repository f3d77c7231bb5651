//! Redeeming a ticket, and waiting until an operator has compared the fingerprint of the key.

use std::time::{Duration, Instant};

use http::StatusCode;
use messnetz_probes::tls::Fingerprint;
use thiserror::Error;

use super::pins::{self, Later};
use super::state::{Enrolment, StateDirectory, StateError};
use super::upload::{self, UploadError};
use crate::way_out::WayOut;
use crate::wire::{AgentId, CollectorId, ENROL_PATH, EnrolResponse, Standing, Ticket};

/// First and longest pause before an agent that waits asks again.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

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
    /// The collector has another key than that of the ticket.
    #[error(
        "the ticket is of the collector {expected}, but {found} answered; ask for a new ticket, and compare where it comes from"
    )]
    WrongCollector {
        /// The ticket's.
        expected: CollectorId,
        /// The key that answered.
        found: CollectorId,
    },
    /// It waits, and has nothing to ask with.
    #[error("the collector let this agent in, and gave it no schedule; update the collector")]
    NoSchedule,
}

/// What became of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// The agent is in.
    In(Box<Enrolment>),
    /// It waits until an operator has compared the fingerprint of its key.
    Waiting(AgentId),
}

/// Redeems a ticket: makes this agent's key pair where there is none, sends its public half to the
/// collector that the ticket names, and keeps the enrolment in the directory. Where an operator is to
/// compare fingerprints, `waits` is told this agent's, and the collector is asked again for so long as
/// `patience` lasts; after it the ticket stays in the directory, for [`super::run`] to go on with.
///
/// # Errors
/// Where the directory is enrolled already or cannot be used, the collector is not the one of the
/// ticket or refuses.
pub async fn enrol(
    ticket: &Ticket,
    state: &StateDirectory,
    way_out: &WayOut,
    patience: Duration,
    waits: impl FnOnce(&AgentId),
) -> Result<Enrolled, EnrolError> {
    match state.enrolment() {
        Err(StateError::NotEnrolled { .. }) => {}
        Err(error) => return Err(error.into()),
        Ok(enrolment) => return Err(state.already_enrolled(enrolment).into()),
    }
    let began = Instant::now();
    if let Enrolled::In(enrolment) = ask(ticket, state, way_out).await? {
        return Ok(Enrolled::In(enrolment));
    }
    state.keep_ticket(ticket)?;
    let id = state.key()?.id();
    waits(&id);
    let left = patience.saturating_sub(began.elapsed());
    match tokio::time::timeout(left, until_let_in(ticket, state, way_out)).await {
        Ok(enrolment) => Ok(Enrolled::In(Box::new(enrolment?))),
        Err(_) => Ok(Enrolled::Waiting(id)),
    }
}

/// Asks until the agent is in.
///
/// # Errors
/// Where the collector refuses for good, or the directory cannot be used.
pub(super) async fn until_let_in(
    ticket: &Ticket,
    state: &StateDirectory,
    way_out: &WayOut,
) -> Result<Enrolment, EnrolError> {
    let mut pause = ASK_AGAIN.0;
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(ASK_AGAIN.1);
        match ask(ticket, state, way_out).await {
            Ok(Enrolled::In(enrolment)) => return Ok(*enrolment),
            Ok(Enrolled::Waiting(_)) => {}
            Err(EnrolError::Collector { source, .. }) if !is_for_good(&source) => {
                tracing::warn!(
                    error = &source as &dyn std::error::Error,
                    again_in = ?pause,
                    "the collector could not be asked whether this agent is in"
                );
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether asking again cannot help.
fn is_for_good(error: &UploadError) -> bool {
    matches!(
        error,
        UploadError::Refused {
            status: StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::UNPROCESSABLE_ENTITY,
            ..
        }
    )
}

/// The list of certificates that whoever answers proves to be the ticket's collector by; otherwise who answers, or the
/// first failure where nobody does now.
async fn instead(
    first: UploadError,
    ticket: &Ticket,
    way_out: &WayOut,
) -> Result<Later, UploadError> {
    match pins::ask(&ticket.collector, (&ticket.id, 0), way_out).await {
        Ok(Ok(later)) => Ok(later),
        Ok(Err(another)) => Err(UploadError::Another {
            collector: ticket.collector.clone(),
            source: Box::new(another),
        }),
        Err(_) => Err(first),
    }
}

/// Sends the ticket once; keeps the enrolment where the agent is in.
async fn ask(
    ticket: &Ticket,
    state: &StateDirectory,
    way_out: &WayOut,
) -> Result<Enrolled, EnrolError> {
    let key = state.key()?;
    let collector_error = |source| EnrolError::Collector {
        site: ticket.site.clone(),
        source,
    };
    let request = key
        .redeem(ticket)
        .and_then(|request| serde_json::to_vec(&request));
    let body = request.map_err(|source| {
        collector_error(UploadError::Answer {
            collector: ticket.collector.clone(),
            source,
        })
    })?;
    let send = async |accepted: &[Fingerprint]| {
        let to = (ticket.collector.as_str(), accepted);
        upload::post::<EnrolResponse>(to, way_out, ENROL_PATH, &[], body.clone()).await
    };
    let mut later = None;
    let response = match send(&[ticket.fingerprint]).await {
        Err(error) if error.is_of_tls() => {
            // The certificate may have been exchanged since the ticket was made.
            let found = instead(error, ticket, way_out).await;
            let found = later.insert(found.map_err(collector_error)?);
            send(&found.pins.accept).await
        }
        answered => answered,
    };
    let response = response.map_err(collector_error)?;
    let found = CollectorId::of_key(response.receipt_key.octets());
    if found != ticket.id {
        let expected = ticket.id.clone();
        return Err(EnrolError::WrongCollector { expected, found });
    }
    if response.agent != key.id() {
        return Err(EnrolError::WrongName {
            named: response.agent.to_string(),
            expected: key.id().to_string(),
        });
    }
    if response.standing == Standing::Pending {
        return Ok(Enrolled::Waiting(response.agent));
    }
    let enrolment = Enrolment {
        collector: ticket.collector.clone(),
        fingerprint: ticket.fingerprint,
        site: ticket.site.clone(),
        agent: response.agent,
        receipt_key: response.receipt_key,
        schedule: response.schedule.ok_or(EnrolError::NoSchedule)?,
        pins: None,
    };
    let enrolment = later.map_or(enrolment.clone(), |later| enrolment.with_pins(later));
    state.keep_enrolment(&enrolment)?;
    state.forget_ticket()?;
    Ok(Enrolled::In(Box::new(enrolment)))
}
