//! What a valid campaign says about the three rates of a contract.

use std::collections::BTreeSet;

use jiff::civil::Date;
use messnetz_metric::{BitRate, Direction};
use serde::Serialize;

use super::Measurement;
use crate::site::Contract;

/// The normally available rate has to be reached in so many of the thirty measurements: 90 %.
pub const NORMAL_OF_30: usize = 27;

/// Days on which 90 % of the maximum has to be reached, and on which the minimum must not be undercut.
const DECIDING_DAYS: usize = 2;

/// The findings of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Which.
    pub direction: Direction,
    /// Days on which 90 % of the maximum was reached.
    pub maximum: Finding,
    /// Measurements that reached the normally available rate.
    pub normal: Finding,
    /// Days on which the minimum was undercut.
    pub minimum: Finding,
}

impl Findings {
    /// Whether any of the three deviates.
    #[must_use]
    pub fn deviates(&self) -> bool {
        [self.maximum, self.normal, self.minimum]
            .iter()
            .any(|finding| matches!(finding, Finding::Assessed { deviates: true, .. }))
    }

    /// Whether all three could be assessed.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        ![self.maximum, self.normal, self.minimum].contains(&Finding::NotAssessable)
    }
}

/// What was found about one rate of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Finding {
    /// The contract states no such rate, as business contracts often do: nothing is found, in neither
    /// direction.
    NotAssessable,
    /// Counted.
    Assessed {
        /// What the contract states.
        #[serde(rename = "stated_bps")]
        stated: BitRate,
        /// How many days or measurements.
        count: usize,
        /// Out of how many.
        of: usize,
        /// Whether the count is a deviation.
        deviates: bool,
    },
}

/// Holds a valid campaign against a contract.
pub(super) fn findings(contract: &Contract, campaign: &[&Measurement]) -> [Findings; 2] {
    [Direction::Down, Direction::Up].map(|direction| {
        let values: Vec<(Date, BitRate)> = campaign
            .iter()
            .map(|one| match direction {
                Direction::Down => (one.at.date(), one.down),
                Direction::Up => (one.at.date(), one.up),
            })
            .collect();
        Findings {
            direction,
            maximum: maximum(contract.rate(direction), &values),
            normal: assess(contract.normal(direction), |stated| normal(stated, &values)),
            minimum: assess(contract.minimum(direction), |stated| {
                minimum(stated, &values)
            }),
        }
    })
}

fn assess(stated: Option<BitRate>, finding: impl Fn(BitRate) -> Finding) -> Finding {
    stated.map_or(Finding::NotAssessable, finding)
}

fn maximum(stated: BitRate, values: &[(Date, BitRate)]) -> Finding {
    // In whole numbers: 90 % of a rate in bit/s need not be one.
    let reached = |rate: BitRate| u128::from(rate.as_bps()) * 10 >= u128::from(stated.as_bps()) * 9;
    let count = days_with(values, reached);
    Finding::Assessed {
        stated,
        count,
        of: days_with(values, |_| true),
        deviates: count < DECIDING_DAYS,
    }
}

fn normal(stated: BitRate, values: &[(Date, BitRate)]) -> Finding {
    let count = values.iter().filter(|(_, rate)| *rate >= stated).count();
    Finding::Assessed {
        stated,
        count,
        of: values.len(),
        deviates: count < NORMAL_OF_30,
    }
}

fn minimum(stated: BitRate, values: &[(Date, BitRate)]) -> Finding {
    let count = days_with(values, |rate| rate < stated);
    Finding::Assessed {
        stated,
        count,
        of: days_with(values, |_| true),
        deviates: count >= DECIDING_DAYS,
    }
}

/// Days with at least one such measurement.
fn days_with(values: &[(Date, BitRate)], such: impl Fn(BitRate) -> bool) -> usize {
    let days = values.iter().filter(|(_, rate)| such(*rate));
    days.map(|(day, _)| day).collect::<BTreeSet<_>>().len()
}
