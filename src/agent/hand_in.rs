//! Handing in what was measured on a visit: signed by this laptop's key, through the same door as everything else.
//!
//! Each audit is an epoch of its own, named after the time at which the visit began: handing the same file in again
//! gives the same bytes, which the collector has already, and a changed one is found out.

use messnetz_metric::{Observation, UnixMillis};
use serde::Serialize;
use thiserror::Error;

use super::enrolment::{EnrolError, Enrolled, enrol};
use super::state::{StateDirectory, StateError};
use super::upload::{self, UploadError};
use crate::way_out::WayOut;
use crate::wire::batch::{Batch, Link, NotWritable};
use crate::wire::{AgentId, CollectorId, MAX_OBSERVATIONS, SignedReceipt};

/// What a visit measured, as an audit file has it.
#[derive(Clone, Debug)]
pub struct VisitRecord {
    /// Where, as `SCHOOL/SITE`.
    pub site: String,
    /// When it began.
    pub began_at: UnixMillis,
    /// What was measured.
    pub observations: Vec<Observation>,
}

/// An audit that the collector has.
#[derive(Debug, Serialize)]
pub struct HandedIn {
    /// Where it was measured.
    pub site: String,
    /// The epoch that its batches have.
    pub epoch: u64,
    /// How many observations it has.
    pub observations: usize,
    /// What the collector signed for each batch.
    pub receipts: Vec<SignedReceipt>,
}

/// Why an audit was not handed in. The file is as it was, and can be handed in again.
#[derive(Debug, Error)]
pub enum HandInError {
    /// The directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The ticket.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// An operator has not compared the fingerprint yet.
    #[error(
        "this laptop waits until the operator has compared its fingerprint, {}, and let it in with `messnetz collector approve`",
        .0.in_groups()
    )]
    Waits(AgentId),
    /// The directory is that of a box.
    #[error(
        "this directory is that of a box that measures by a schedule: what it hands in would count for verdicts; enrol the laptop with a directory of its own and a ticket of `messnetz collector ticket SITE --visits`"
    )]
    Resident,
    /// The file's time is none.
    #[error("the visit began at {0} ms since 1970, which is no time: is the file an audit?")]
    NoTime(i64),
    /// The batch.
    #[error("writing what was measured as a batch")]
    NotWritable(#[from] NotWritable),
    /// The collector.
    #[error("handing in the audit of {site}")]
    Upload {
        /// The audit's site.
        site: String,
        /// Why.
        #[source]
        source: UploadError,
    },
}

/// Hands a visit in, and gives the collector's receipts once they verify. Where this laptop waits for approval the
/// collector is asked once whether it is in.
///
/// # Errors
/// Where the directory holds neither enrolment nor ticket, the collector does not take the visit or does not prove
/// that it did.
pub async fn hand_in(
    state: &StateDirectory,
    way_out: &WayOut,
    visit: &VisitRecord,
) -> Result<HandedIn, HandInError> {
    let enrolment = match (state.enrolment(), state.waiting_ticket()?) {
        (Err(StateError::NotEnrolled { .. }), Some(ticket)) => {
            let patience = std::time::Duration::ZERO;
            match enrol(&ticket, state, way_out, patience, |_| {}).await? {
                Enrolled::In(enrolment) => *enrolment,
                Enrolled::Waiting(id) => return Err(HandInError::Waits(id)),
            }
        }
        (enrolment, _) => enrolment?,
    };
    let assigned = enrolment.assignment();
    if assigned.is_ok_and(|assignment| !assignment.schedule.tasks.is_empty()) {
        return Err(HandInError::Resident);
    }
    let key = state.key()?;
    let epoch = u64::try_from(visit.began_at.0)
        .ok()
        .filter(|epoch| *epoch > 0);
    let epoch = epoch.ok_or(HandInError::NoTime(visit.began_at.0))?;
    let (mut sequence, mut previous) = (1, None);
    let mut receipts = Vec::new();
    for part in visit.observations.chunks(usize::from(MAX_OBSERVATIONS)) {
        let link = Link {
            collector: CollectorId::of_key(enrolment.receipt_key.octets()),
            agent: enrolment.agent.clone(),
            site: visit.site.clone(),
            epoch,
            sequence,
            previous,
        };
        let batch = key.sign(Batch::new(&link, part)?);
        let upload_error = |source| HandInError::Upload {
            site: visit.site.clone(),
            source,
        };
        let sent = upload::send(&enrolment, way_out, &batch.document()).await;
        let receipt = sent.map_err(upload_error)?.receipt;
        receipt
            .verified(&batch, &enrolment.receipt_key)
            .map_err(|source| upload_error(UploadError::Receipt { sequence, source }))?;
        receipts.push(receipt);
        previous = Some(batch.hash());
        sequence += 1;
    }
    Ok(HandedIn {
        site: visit.site.clone(),
        epoch,
        observations: visit.observations.len(),
        receipts,
    })
}
