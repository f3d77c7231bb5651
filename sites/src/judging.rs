//! How much evidence a verdict needs.

use serde::Serialize;

/// An authority's own demands on evidence, in place of the targets'.
///
/// A demonstration that has to come to verdicts within a minute asks for fewer samples; every judgement
/// made so is marked as shortened, so that nobody takes it for a full one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Judging {
    /// One-sided confidence that a verdict needs.
    pub confidence: Option<f64>,
    /// Fewest samples that a verdict needs.
    pub min_samples: Option<u32>,
    /// Fewest days with samples that a verdict needs.
    pub min_days: Option<u32>,
    /// Whether the samples of one day are taken as independent of each other, which they are not: for a
    /// demonstration that sees one day only.
    pub independent: bool,
    /// Whether samples of all hours count for every target, whatever window it is about: for a demonstration
    /// that cannot wait for lessons.
    pub all_hours: bool,
    /// Why verdicts rest on less than the targets ask for; shown beside every one of them.
    pub shortened: Option<String>,
}

/// Whether verdicts can be made at this confidence: at one half a coin would do.
pub(crate) fn confidence_is_sound(confidence: f64) -> bool {
    confidence > 0.5 && confidence < 1.0
}
