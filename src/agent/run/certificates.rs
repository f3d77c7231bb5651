//! Going over to another certificate of the collector, which it vouches for.

use super::super::pins::{self, Later};
use super::super::state::{Enrolment, StateError};
use super::super::upload::UploadError;
use super::Agent;
use crate::way_out::WayOut;
use crate::wire::{Pins, Signed};

/// Asks whoever answers with another certificate for the collector's list of them, and believes that.
///
/// # Errors
/// Where it gives none that lists it: who answers; or the first failure where nobody does now.
pub(super) async fn ask(
    agent: &Agent,
    enrolment: &mut Enrolment,
    way_out: &WayOut,
    first: UploadError,
) -> Result<(), UploadError> {
    let known = (&enrolment.collector_id(), enrolment.pins_number());
    match pins::ask(&enrolment.collector, known, way_out).await {
        Ok(Ok(later)) => {
            if believe(agent, enrolment, later).await? {
                Ok(())
            } else {
                Err(first)
            }
        }
        Ok(Err(another)) => Err(UploadError::Another {
            collector: enrolment.collector.clone(),
            source: Box::new(another),
        }),
        Err(_) => Err(first),
    }
}

/// Believes a later list of the collector's certificates, and keeps it for the next start; says whether it does.
async fn believe(
    agent: &Agent,
    enrolment: &mut Enrolment,
    later: Later,
) -> Result<bool, StateError> {
    let known = enrolment.pins_number();
    let latest = agent.clock_for_numbers().await.latest(known);
    if later.pins.number > latest {
        tracing::warn!(
            number = later.pins.number,
            latest,
            "a list of the collector's certificates is not believed: its number could not have been reached by today"
        );
        return Ok(false);
    }
    tracing::info!(
        number = later.pins.number,
        accepted = ?later.pins.accept,
        "the collector has told which of its certificates to believe"
    );
    let renewed = enrolment.with_pins(later);
    agent.state.keep_enrolment(&renewed)?;
    *enrolment = renewed;
    agent.accepted.send_replace(enrolment.accepted());
    Ok(true)
}

/// Believes the list of an acknowledgement, where it is the collector's and later than the one that is known.
///
/// # Errors
/// Where it cannot be kept.
pub(super) async fn take(
    agent: &Agent,
    enrolment: &mut Enrolment,
    offered: Option<Signed<Pins>>,
) -> Result<(), StateError> {
    let known = enrolment.pins_number();
    let later = offered.and_then(|it| pins::later(it, &enrolment.receipt_key, known));
    match later {
        Some(later) => believe(agent, enrolment, later).await.map(drop),
        None => Ok(()),
    }
}
