//! What can be signed: observations one after the other, a file of `messnetz audit`, a batch.

use anyhow::{Context as _, ensure};
use messnetz_metric::Observation;
use serde::Deserialize;

use crate::wire::MAX_OBSERVATIONS;
use crate::wire::batch::Batch;

/// What a file holds.
#[derive(Debug)]
pub(super) enum Measured {
    /// Observations without a batch around them.
    Observations(Vec<Observation>),
    /// A batch.
    Batch(Box<Batch>),
}

/// What tells an audit from everything else; the rest of it is not signed.
#[derive(Deserialize)]
struct Audit {
    observations: Vec<Observation>,
}

impl Measured {
    /// Reads any of the three, told apart by the keys of the first object.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let first: serde_json::Map<String, serde_json::Value> =
            serde_json::Deserializer::from_str(text)
                .into_iter()
                .next()
                .context("there is nothing in it")?
                .context("it begins with no JSON object")?;
        if first.contains_key("header") {
            return Ok(Self::Batch(Box::new(Batch::read(text.as_bytes())?)));
        }
        let observations = if first.contains_key("observations") {
            serde_json::from_str::<Audit>(text)?.observations
        } else {
            serde_json::Deserializer::from_str(text)
                .into_iter()
                .take(usize::from(MAX_OBSERVATIONS) + 1)
                .enumerate()
                .map(|(index, read)| read.with_context(|| format!("observation {}", index + 1)))
                .collect::<Result<_, _>>()?
        };
        ensure!(
            observations.len() <= usize::from(MAX_OBSERVATIONS),
            "it has more than the {MAX_OBSERVATIONS} observations that go into a batch: split it"
        );
        Ok(Self::Observations(observations))
    }
}
