//! What an agent sends, what it makes of each answer, and when it tries again.

use std::time::{Duration, Instant};

use messnetz_probes::ndt7::pacing::SplitMix64;
use tokio::sync::watch;

use super::super::back_off::BackOff;
use super::super::spool::{SealedBatch, Sealer};
use super::super::state::Enrolment;
use super::super::upload::{self, UploadError};
use super::refusal::{Remedy, meaning, remedy};
use super::{Agent, certificates, resuming};
use crate::clock;
use crate::way_out::WayOut;
use crate::wire::batch::Batch;
use crate::wire::{Acknowledgement, CollectorId, ReceiptError, Schedule, SignedSchedule, Standing};

/// Longest pause before the first upload: some part of it, by chance.
const LONGEST_START: Duration = Duration::from_mins(1);

/// How often the collector is asked what it has, where nothing else is a reason to.
const ASK_AGAIN: Duration = Duration::from_hours(24);

/// Sends what waits as often as the schedule says, and agrees with the collector now and then on what it has.
pub(super) async fn upload_for_ever(
    agent: &Agent,
    mut enrolment: Enrolment,
    way_out: &WayOut,
    new_schedule: &watch::Sender<Schedule>,
) {
    let mut random = SplitMix64::from_process();
    let mut back_off = BackOff::new();
    // After a power cut all boxes of a town start at once.
    let first = Duration::from_millis(new_schedule.borrow().upload_every_ms).min(LONGEST_START);
    tokio::time::sleep(first.mul_f64(random.next_fraction())).await;
    // At the start, after the collector was away, and now and then either may have been set back.
    let mut agreed: Option<Instant> = None;
    loop {
        let uploaded = async {
            if agreed.is_none_or(|at| at.elapsed() > ASK_AGAIN) {
                resuming::ask(agent, &mut enrolment, way_out).await?;
                agreed = Some(Instant::now());
            }
            upload_waiting(agent, &mut enrolment, way_out, new_schedule).await
        };
        let uploaded = uploaded.await;
        if let Err(UploadError::NoAnswer { .. }) = uploaded {
            agreed = None;
        }
        agent.hear(&uploaded);
        match uploaded {
            Ok(()) => {
                back_off.reset();
                let every = Duration::from_millis(new_schedule.borrow().upload_every_ms);
                let every = every.max(Duration::from_millis(agent.limits.upload_every_ms.max(1)));
                tokio::time::sleep(every).await;
            }
            Err(UploadError::Refused {
                standing: Some(Standing::Revoked),
                ..
            }) => {
                tracing::error!(
                    agent = %enrolment.agent,
                    "the collector has revoked this agent's key for good: nothing is measured or uploaded any more, and what waits stays in the spool; enrol with another directory and a new ticket"
                );
                new_schedule.send_replace(Schedule::default());
                return std::future::pending().await;
            }
            Err(error) => {
                // And when their collector comes back all of them wait for it.
                let again_in = back_off.pause(error.asked(), random.next_fraction());
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    ?again_in,
                    "{}",
                    meaning(&error)
                );
                tokio::time::sleep(again_in).await;
            }
        }
    }
}

/// Uploads batch after batch until nothing waits.
async fn upload_waiting(
    agent: &Agent,
    enrolment: &mut Enrolment,
    way_out: &WayOut,
    new_schedule: &watch::Sender<Schedule>,
) -> Result<(), UploadError> {
    let mut renewed = false;
    loop {
        let site = enrolment.site.clone();
        let sealer = Sealer {
            key: &agent.key,
            collector: CollectorId::of_key(enrolment.receipt_key.octets()),
            site: &site,
        };
        let next = agent.spool.lock().await.next_batch(&sealer)?;
        let Some(batch) = next else { return Ok(()) };
        let sent = {
            let _line = agent.line.lock().await;
            upload::send(enrolment, way_out, &batch.body).await
        };
        let sent = match sent {
            Err(error) if error.is_of_tls() => {
                certificates::ask(agent, enrolment, way_out, error).await?;
                continue;
            }
            sent => sent,
        };
        let refusal = match sent {
            Ok(acknowledgement) => {
                check(&acknowledgement, &batch, enrolment)?;
                let mut spool = agent.spool.lock().await;
                spool.acknowledged(&batch, &acknowledgement.receipt)?;
                drop(spool);
                agent.received.send_replace(true);
                renewed = false;
                certificates::take(agent, enrolment, acknowledgement.pins).await?;
                take_schedule(agent, enrolment, acknowledgement.schedule, new_schedule).await?;
                continue;
            }
            Err(error) => error,
        };
        let UploadError::Refused { status, error, .. } = &refusal else {
            return Err(refusal);
        };
        let (epoch, sequence) = (batch.epoch, batch.sequence);
        match remedy(*status) {
            Remedy::SetAside => {
                let why = format!("{status}: {error}");
                agent.spool.lock().await.refused(&batch, &why)?;
                tracing::error!(
                    epoch,
                    sequence,
                    why,
                    "the collector will never take this batch: it is set aside in the spool, its observations are not uploaded, and later ones go on"
                );
            }
            Remedy::RenewEpoch => {
                let new_epoch = agent
                    .spool
                    .lock()
                    .await
                    .renew_epoch(&sealer, clock::now())?;
                tracing::warn!(
                    epoch,
                    sequence,
                    new_epoch,
                    "the collector has another batch under this number: this directory was copied or restored; what waits is numbered anew"
                );
                // Twice in a row it may be the collector that is wrong: that is given time.
                if std::mem::replace(&mut renewed, true) {
                    return Err(refusal);
                }
            }
            Remedy::TryAgain => return Err(refusal),
        }
    }
}

/// Goes over to the schedule of an acknowledgement, and keeps it for the next start. One that the collector has not
/// signed for this agent, or before the one that is followed, is not taken.
pub(super) async fn take_schedule(
    agent: &Agent,
    enrolment: &mut Enrolment,
    offered: Option<SignedSchedule>,
    new_schedule: &watch::Sender<Schedule>,
) -> Result<(), UploadError> {
    let Some(offered) = offered.filter(|offered| *offered != enrolment.schedule) else {
        return Ok(());
    };
    let clock = agent.clock_for_numbers().await;
    let assignment = match enrolment.later(&offered, |followed| clock.latest(followed)) {
        Ok(assignment) => assignment,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the collector sent a schedule that is not followed; the one before is"
            );
            return Ok(());
        }
    };
    if assignment.site != enrolment.site {
        let left = Sealer {
            key: &agent.key,
            collector: CollectorId::of_key(enrolment.receipt_key.octets()),
            site: &enrolment.site,
        };
        let epoch = agent.spool.lock().await.leave(&left, clock::now())?;
        tracing::warn!(
            from = enrolment.site,
            to = assignment.site,
            epoch,
            "the collector has moved this agent: what it measures from now on is of the new site"
        );
    }
    let (site, schedule) = (assignment.site, assignment.schedule);
    new_schedule.send_if_modified(|current| {
        let other = *current != schedule;
        if other {
            current.clone_from(&schedule);
        }
        other
    });
    let renewed = Enrolment {
        site,
        schedule: offered,
        ..enrolment.clone()
    };
    agent.state.keep_enrolment(&renewed)?;
    *enrolment = renewed;
    Ok(())
}

/// Without a receipt that holds, a batch would be let go that the collector never had, or can deny.
pub(super) fn check(
    acknowledgement: &Acknowledgement,
    sealed: &SealedBatch,
    enrolment: &Enrolment,
) -> Result<(), UploadError> {
    let refused = |source| UploadError::Receipt {
        sequence: sealed.sequence,
        source,
    };
    // What cannot be read here cannot have been taken there.
    let batch = Batch::read(&sealed.body).map_err(|_| refused(ReceiptError::Other))?;
    acknowledgement
        .receipt
        .verified(&batch, &enrolment.receipt_key)
        .map(drop)
        .map_err(refused)
}
