//! What a valid campaign says about the three rates of a contract.

use std::collections::BTreeSet;

use jiff::civil::Date;
use messnetz_metric::{Direction, Nominal, OneWay, Payload, Rate, Towards};
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
        stated: Rate<Nominal, OneWay>,
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
    let down = Promise {
        maximum: contract.down,
        normal: contract.down_normal,
        minimum: contract.down_minimum,
    };
    let up = Promise {
        maximum: contract.up,
        normal: contract.up_normal,
        minimum: contract.up_minimum,
    };
    let of_campaign = campaign.iter().map(|one| (one.at.date(), one));
    [
        down.findings(of_campaign.clone().map(|(day, one)| (day, one.down))),
        up.findings(of_campaign.map(|(day, one)| (day, one.up))),
    ]
}

/// The three rates of one direction.
struct Promise<D> {
    maximum: Rate<Nominal, D>,
    normal: Option<Rate<Nominal, D>>,
    minimum: Option<Rate<Nominal, D>>,
}

impl<D: Towards> Promise<D> {
    fn findings(&self, measured: impl Iterator<Item = (Date, Rate<Payload, D>)>) -> Findings {
        let measured = Measured(measured.collect());
        let assess = |stated: Option<_>, finding: fn(&Measured<D>, Rate<Nominal, D>) -> Finding| {
            stated.map_or(Finding::NotAssessable, |stated| finding(&measured, stated))
        };
        Findings {
            direction: D::DIRECTION,
            maximum: measured.maximum(self.maximum),
            normal: assess(self.normal, Measured::normal),
            minimum: assess(self.minimum, Measured::minimum),
        }
    }
}

/// What was measured in one direction. The decree holds it against the contract without a word on layers,
/// so the contract's rates are taken as rates of payload.
struct Measured<D>(Vec<(Date, Rate<Payload, D>)>);

impl<D: Towards> Measured<D> {
    fn maximum(&self, stated: Rate<Nominal, D>) -> Finding {
        // In whole numbers: 90 % of a rate in bit/s need not be one.
        let bps = |rate: Rate<Payload, D>| u128::from(rate.bits().as_bps());
        let count = self.days_with(|rate| bps(rate) * 10 >= bps(stated.taken_as()) * 9);
        Finding::Assessed {
            stated: stated.one_way(),
            count,
            of: self.days_with(|_| true),
            deviates: count < DECIDING_DAYS,
        }
    }

    fn normal(&self, stated: Rate<Nominal, D>) -> Finding {
        let reached = |rate: Rate<Payload, D>| rate >= stated.taken_as();
        let count = self.0.iter().filter(|(_, rate)| reached(*rate)).count();
        Finding::Assessed {
            stated: stated.one_way(),
            count,
            of: self.0.len(),
            deviates: count < NORMAL_OF_30,
        }
    }

    fn minimum(&self, stated: Rate<Nominal, D>) -> Finding {
        let count = self.days_with(|rate| rate < stated.taken_as());
        Finding::Assessed {
            stated: stated.one_way(),
            count,
            of: self.days_with(|_| true),
            deviates: count >= DECIDING_DAYS,
        }
    }

    /// Days with at least one such measurement.
    fn days_with(&self, such: impl Fn(Rate<Payload, D>) -> bool) -> usize {
        let days = self.0.iter().filter(|(_, rate)| such(*rate));
        days.map(|(day, _)| day).collect::<BTreeSet<_>>().len()
    }
}
