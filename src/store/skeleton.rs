//! The text of a header without what is known anyway: number, batch before, number of observations and root.
//!
//! Whatever else a header says, and however it is written, stays in the skeleton byte for byte.

use crate::wire::batch::{Digest, Header};

/// Characters that no JSON text holds as they are stand for what was taken out.
const SEQUENCE: &str = "\u{1}";
const PREVIOUS: &str = "\u{2}";
const OBSERVATIONS: &str = "\u{3}";
const ROOT: &str = "\u{4}";

/// What is taken out of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Derived {
    pub(super) sequence: u64,
    pub(super) previous: Option<Digest>,
    pub(super) observations: u64,
    pub(super) root: Digest,
}

impl Derived {
    pub(super) fn of(header: &Header) -> Self {
        Self {
            sequence: header.sequence,
            previous: header.previous,
            observations: u64::from(header.observations),
            root: header.root,
        }
    }

    /// What stands in a header for each, as our own agents write it.
    fn written(&self) -> [(&'static str, String); 4] {
        let previous = match &self.previous {
            Some(digest) => format!("\"previous\":\"{digest}\""),
            None => "\"previous\":null".to_owned(),
        };
        [
            (SEQUENCE, format!("\"sequence\":{},", self.sequence)),
            (PREVIOUS, previous),
            (
                OBSERVATIONS,
                format!("\"observations\":{},", self.observations),
            ),
            (ROOT, format!("\"root\":\"{}\"", self.root)),
        ]
    }

    /// The header without these.
    pub(super) fn cut(&self, header: &str) -> String {
        let mut text = header.to_owned();
        for (sign, written) in self.written() {
            text = text.replacen(&written, sign, 1);
        }
        text
    }

    /// The header with these.
    pub(super) fn fill(&self, skeleton: &str) -> String {
        let mut text = skeleton.to_owned();
        for (sign, written) in self.written() {
            text = text.replacen(sign, &written, 1);
        }
        text
    }
}
