//! Telling an agent what is there of it, so that whoever was set back to a backup learns it.

use std::sync::Arc;

use axum::http::StatusCode;
use thiserror::Error;

use super::ingest::quoted;
use super::keys::KeyError;
use super::opened::Collector;
use crate::store::{Run, Store, StoreError};
use crate::wire::{
    AgentId, Answer, Known, MAX_EPOCHS, MAX_RUNS, PublicKey, Question, Signed, Standing,
};

/// Why nothing is told.
#[derive(Debug, Error)]
pub(super) enum ResumeRefused {
    /// Not what the door asks for.
    #[error("this is no question: {0}")]
    Malformed(String),
    /// Not signed by an agent that is in. One answer for all cases: whoever tries names learns nothing.
    #[error("the question is not signed for this collector by an agent that is in")]
    NotAuthentic,
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[from] StoreError),
    /// The collector has no keys.
    #[error(transparent)]
    Keys(#[from] Arc<KeyError>),
    /// The answer could not be written.
    #[error("the answer could not be written")]
    Write(#[source] serde_json::Error),
}

impl ResumeRefused {
    /// What that is in HTTP.
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotAuthentic => StatusCode::UNAUTHORIZED,
            Self::Store(_) | Self::Keys(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Write(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Answers a question. Nothing is changed by it.
///
/// # Errors
/// Why not.
pub(super) fn answer(
    collector: &Collector,
    store: &dyn Store,
    body: &[u8],
) -> Result<Signed<Answer>, ResumeRefused> {
    let malformed =
        |why: &dyn std::fmt::Display| ResumeRefused::Malformed(quoted(&why.to_string()));
    let signed: Signed<Question> =
        serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    let question = signed.stated().map_err(|error| malformed(&error))?;
    if question.epochs.len() > MAX_EPOCHS || question.nonce.len() > 64 {
        return Err(malformed(&"it asks for too much"));
    }
    let receipts = collector.receipts()?;
    let agent = store.agent(&question.agent)?;
    agent
        .filter(|agent| agent.standing != Standing::Revoked && agent.standing != Standing::Pending)
        .and_then(|agent| PublicKey::of(&agent.public_key))
        .filter(|key| signed.verified(key).is_ok() && question.collector == receipts.id())
        .ok_or(ResumeRefused::NotAuthentic)?;
    let runs = store.runs(&question.agent)?;
    let epochs = question.epochs.iter();
    let epochs = epochs.map(|epoch| known(store, &question.agent, *epoch, &runs));
    let answer = Answer {
        collector: receipts.id(),
        epochs: epochs.collect::<Result<_, _>>()?,
        latest_epoch: runs.iter().map(|run| run.epoch).max(),
        agent: question.agent,
        nonce: question.nonce,
    };
    receipts.answer(&answer).map_err(ResumeRefused::Write)
}

fn known(
    store: &dyn Store,
    agent: &AgentId,
    epoch: u64,
    runs: &[Run],
) -> Result<Known, StoreError> {
    let mut of_epoch: Vec<&Run> = runs.iter().filter(|run| run.epoch == epoch).collect();
    of_epoch.sort_by_key(|run| run.first);
    let told = of_epoch.split_off(of_epoch.len().saturating_sub(MAX_RUNS));
    let head = match told.last() {
        Some(run) => store.batch(&run.site, agent, epoch, run.last)?,
        None => None,
    };
    Ok(Known {
        epoch,
        runs: told.iter().map(|run| (run.first, run.last)).collect(),
        cut: !of_epoch.is_empty(),
        head: head.map(|batch| batch.hash()),
    })
}
