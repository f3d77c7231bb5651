//! What was last acknowledged: an agent's question, and the collector's answer. Either may have been set back to a
//! backup meanwhile.

use serde::{Deserialize, Serialize};

use super::batch::Digest;
use super::{AgentId, CollectorId, Statement};

/// Path of the door for this question.
pub const RESUME_PATH: &str = "/v1/resume";

/// Most epochs that are asked for at once.
pub const MAX_EPOCHS: usize = 16;

/// Most runs of numbers that are told of an epoch: the last ones.
pub const MAX_RUNS: usize = 100;

/// What an agent asks, signed with its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Who is asked.
    pub collector: CollectorId,
    /// Who asks.
    pub agent: AgentId,
    /// Random: an answer is to this question alone.
    pub nonce: String,
    /// Which epochs it asks for, at most [`MAX_EPOCHS`].
    pub epochs: Vec<u64>,
}

impl Statement for Question {
    const FORMAT: &'static str = "messnetz-question-1";
}

/// What the collector has of the agent, signed with its key for receipts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who answers.
    pub collector: CollectorId,
    /// Whom.
    pub agent: AgentId,
    /// That of the question.
    pub nonce: String,
    /// The latest epoch that anything came of; `None` where nothing ever did.
    pub latest_epoch: Option<u64>,
    /// What is there of the epochs that were asked for, in their order.
    pub epochs: Vec<Known>,
}

impl Statement for Answer {
    const FORMAT: &'static str = "messnetz-answer-1";
}

/// What is there of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The epoch.
    pub epoch: u64,
    /// Numbers without a gap, from the first to the last of each, in ascending order, at most [`MAX_RUNS`].
    pub runs: Vec<(u64, u64)>,
    /// Whether there are earlier runs that are not told.
    pub cut: bool,
    /// The hash of the batch with the last number.
    pub head: Option<Digest>,
}

impl Known {
    /// The last number; 0 where there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.runs.last().map_or(0, |(_, last)| *last)
    }

    /// Whether this number is there; true of what is not told.
    #[must_use]
    pub fn has(&self, number: u64) -> bool {
        let first = self.runs.first().map_or(u64::MAX, |(first, _)| *first);
        (self.cut && number < first)
            || self
                .runs
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_of_is_taken_for_there_and_a_gap_is_not() {
        let known = |cut| Known {
            epoch: 1,
            runs: vec![(5, 7), (9, 9)],
            cut,
            head: None,
        };
        let has = |known: Known| (1..=10).filter(|n| known.has(*n)).collect::<Vec<_>>();
        assert_eq!(has(known(false)), [5, 6, 7, 9]);
        assert_eq!(has(known(true)), [1, 2, 3, 4, 5, 6, 7, 9]);
        assert_eq!(known(true).last(), 9);
    }
}
