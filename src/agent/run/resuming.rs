//! Asking the collector what it has, at the start and after it was away: either of the two may have been set back to a
//! backup.

use ring::rand::{SecureRandom as _, SystemRandom};

use super::super::spool::Resumed;
use super::super::state::Enrolment;
use super::super::upload::{self, UploadError};
use super::{Agent, certificates};
use crate::clock;
use crate::way_out::WayOut;
use crate::wire::{Answer, Question, RESUME_PATH, Signed, hex};

/// Asks, and lets the spool go on from the answer. A collector that does not know the question, or this agent, tells
/// nothing, and the upload goes on as if nothing had been asked.
///
/// # Errors
/// Where nobody answers, somebody else does, or the spool fails.
pub(super) async fn ask(
    agent: &Agent,
    enrolment: &mut Enrolment,
    way_out: &WayOut,
) -> Result<(), UploadError> {
    let unwritten = |enrolment: &Enrolment, source| UploadError::Answer {
        collector: enrolment.collector.clone(),
        source,
    };
    let mut nonce = [0; 16];
    // Without random numbers an answer to an earlier question would do; there is none for an agent that asks first.
    let _ = SystemRandom::new().fill(&mut nonce);
    let question = Question {
        collector: enrolment.collector_id(),
        agent: agent.key.id(),
        nonce: hex(&nonce),
        epochs: agent.spool.lock().await.epochs()?,
    };
    let asked = agent.key.state(&question);
    let body = asked.and_then(|asked| serde_json::to_vec(&asked));
    let body = body.map_err(|source| unwritten(enrolment, source))?;
    let post = async |enrolment: &Enrolment| {
        let _line = agent.line.lock().await;
        let accepted = enrolment.accepted();
        let to = (enrolment.collector.as_str(), accepted.as_slice());
        upload::post::<Signed<Answer>>(to, way_out, RESUME_PATH, &[], body.clone()).await
    };
    let answered = match post(enrolment).await {
        Err(error) if error.is_of_tls() => {
            certificates::ask(agent, enrolment, way_out, error).await?;
            post(enrolment).await
        }
        answered => answered,
    };
    let answer = match answered {
        Ok(signed) => signed.verified(&enrolment.receipt_key),
        // Come again later, it says; everything else is as if it did not know the question.
        Err(error) if error.asked().is_some() => return Err(error),
        Err(UploadError::Refused { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let answer = match answer {
        Ok(answer) if answer.nonce == question.nonce && answer.agent == question.agent => answer,
        _ => {
            tracing::warn!(
                "the collector's answer what it has is not its word, and is not believed"
            );
            return Ok(());
        }
    };
    match agent.spool.lock().await.resume(&answer, clock::now())? {
        Resumed::Agreed => {}
        Resumed::BeganAnew { epoch } => tracing::warn!(
            epoch,
            "the collector has more of this agent than it knows itself: this directory was copied or restored; what is measured is numbered in a new epoch"
        ),
        Resumed::Again { batches, missing } => tracing::warn!(
            batches,
            missing,
            "the collector has lost what it had acknowledged: what is still here is sent again, what is missing stays a gap"
        ),
    }
    Ok(())
}
