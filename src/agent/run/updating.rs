//! The third loop of an agent: what runs here is told to the collector, and what it offers is fetched.

use std::time::Duration;

use messnetz_probes::ndt7::pacing::SplitMix64;

use super::Agent;
use crate::agent::update::{Asker, FetchError};
use crate::way_out::WayOut;
use crate::wire::{Failed, SignedRelease};

/// When to ask again after that failed, and the longest that a collector can ask for.
const AGAIN: Duration = Duration::from_mins(15);
const LONGEST: Duration = Duration::from_hours(24);

/// What came of asking.
enum Asked {
    /// Nothing is to be done until then.
    Again(Duration),
    /// A release is in its place.
    Staged,
}

/// What was offered and is not wanted.
#[derive(Default)]
struct Refusal {
    offer: String,
    told: Option<Failed>,
}

/// Tells the collector what runs here and fetches what it offers, once it has shown that it takes batches. Returns
/// when a release is in its place, between two tests: whoever started this program starts that release.
pub(super) async fn keep_up_to_date(agent: &Agent, way_out: &WayOut) {
    let mut received = agent.received.subscribe();
    if received.wait_for(|received| *received).await.is_err() {
        return std::future::pending().await;
    }
    agent.updates.has_receipt();
    let mut random = SplitMix64::from_process();
    let mut refusal = Refusal::default();
    loop {
        let pause = match ask(agent, way_out, &mut refusal).await {
            Ok(Asked::Again(pause)) => pause,
            Ok(Asked::Staged) => {
                let _line = agent.line.lock().await;
                tracing::info!(
                    "a release is in its place: this program ends, and that one is tried"
                );
                return;
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    again_in = ?AGAIN,
                    "no release could be asked for or fetched; the version that runs goes on"
                );
                AGAIN
            }
        };
        tokio::time::sleep(pause.mul_f64(1.0 + random.next_fraction() / 4.0)).await;
    }
}

async fn ask(agent: &Agent, way_out: &WayOut, refusal: &mut Refusal) -> Result<Asked, FetchError> {
    let updates = &agent.updates;
    // It may have been moved, or given another pin, since.
    let enrolment = agent
        .state
        .enrolment()
        .map_err(crate::agent::upload::UploadError::State)?;
    let asker = Asker {
        key: &agent.key,
        enrolment: &enrolment,
        way_out,
    };
    let answer = {
        let _line = agent.line.lock().await;
        updates.ask(asker, refusal.told.as_ref()).await?
    };
    let shortest = Duration::from_millis(agent.limits.upload_every_ms.max(100));
    let again = Asked::Again(Duration::from_secs(answer.again_in_s).clamp(shortest, LONGEST));
    let Some(signed) = answer.release else {
        return Ok(again);
    };
    let offer = serde_json::to_string(&signed)?;
    if refusal.offer == offer {
        return Ok(again);
    }
    match fetch(agent, asker, &signed).await? {
        Ok(true) => return Ok(Asked::Staged),
        Ok(false) => {}
        Err(failed) => {
            tracing::error!(
                version = failed.version,
                serial = failed.serial,
                why = failed.why,
                "a release is refused"
            );
            let told = Some(failed);
            *refusal = Refusal { offer, told };
        }
    }
    Ok(again)
}

/// Fetches an offer; whether it is in its place.
async fn fetch(
    agent: &Agent,
    asker: Asker<'_>,
    signed: &SignedRelease,
) -> Result<Result<bool, Failed>, FetchError> {
    let updates = &agent.updates;
    let release = match updates.admit(signed) {
        Ok(Some(release)) => release,
        Ok(None) => return Ok(Ok(false)),
        Err(failed) => return Ok(Err(failed)),
    };
    tracing::info!(
        version = release.version,
        serial = release.serial,
        bytes = release.size,
        "a release is fetched"
    );
    loop {
        // A test and a fetch do not disturb each other.
        let _line = agent.line.lock().await;
        if updates.fetch_part(asker, &release).await? {
            break;
        }
    }
    Ok(updates.stage(signed, &release)?.map(|()| true))
}
