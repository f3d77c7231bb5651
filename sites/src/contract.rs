//! Does the provider deliver what the contract says? The campaign of the Bundesnetzagentur: thirty
//! measurements on three days, held against the contract's three rates.
//!
//! Basis: § 57 (4) no. 1 and (5) TKG with the Allgemeinverfügung Vfg 99/2021 (Amtsblatt 23/2021, in
//! force since 13 December 2021). The draft of September 2021 and the notice of 2017 asked for twenty
//! measurements on two days; many pages still say so.
//!
//! A campaign is valid where it has
//! 1. 30 measurements on 3 calendar days, 10 on each;
//! 2. at least one calendar day between two measuring days;
//! 3. all of them within 14 calendar days;
//! 4. at least 5 minutes between two measurements, and 3 hours between the 5th and the 6th of a day.
//!
//! Only a valid campaign is judged, download and upload apart ([`Findings`]). One hit suffices:
//! - *maximum*: 90 % of it was reached at least once on fewer than 2 of the 3 days;
//! - *normal*: the normally available rate was reached in fewer than 27 of the 30 measurements;
//! - *minimum*: on at least 2 days it was undercut at least once.
//!
//! Where the text leaves a boundary open, the reading taken is named in [`Reading`], and
//! [`Check::readings`] says where another one, or several together, would have changed whether the campaign
//! is valid.
//!
//! § 57 (4) TKG speaks of the consumer. Whether a municipality can rely on it is not established here,
//! so whoever shows a check has to say so: evidence about a contract, not a statutory right.

mod campaign;
mod csv;
mod findings;
mod plan;

use std::collections::HashSet;

use jiff::civil::{Date, DateTime};
use messnetz_metric::{Down, Payload, Rate, Up};
use serde::Serialize;

use crate::calendar::Zone;
use crate::site::Contract;

pub use campaign::{BrokenRule, Reading};
pub use csv::measurements;
pub use findings::{Finding, Findings, NORMAL_OF_30};
pub use plan::{NoPlan, Plan, PlannedDay, plan};

/// Days of a campaign.
pub const DAYS: usize = 3;

/// Measurements of one day.
pub const PER_DAY: usize = 10;

/// One measurement of the official program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Measurement {
    /// What the clock on the wall showed; the file knows no time zone.
    pub at: DateTime,
    /// Download.
    #[serde(rename = "down_bps")]
    pub down: Rate<Payload, Down>,
    /// Upload.
    #[serde(rename = "up_bps")]
    pub up: Rate<Payload, Up>,
    /// The number that the program gave it.
    pub test: Option<String>,
    /// The file that it stands in.
    pub file: String,
    /// Its line there.
    pub line: usize,
}

/// What became of a campaign.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Its measuring days with the number of measurements.
    pub days: Vec<MeasuringDay>,
    /// Measurements that stood in the files more than once and count once.
    pub repeated: usize,
    /// The rules that it broke, in the order of the days; none where it is valid.
    pub broken: Vec<BrokenRule>,
    /// Open boundaries that decide whether this campaign is valid, each by itself or several together.
    pub readings: Vec<Reading>,
    /// Download and upload against the contract; nothing is found from an invalid campaign.
    pub findings: Option<[Findings; 2]>,
}

/// A day of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MeasuringDay {
    /// The day, as the clock on the wall has it.
    pub day: Date,
    /// How many measurements it has.
    pub measurements: usize,
}

impl Check {
    /// Whether the campaign keeps all rules.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.broken.is_empty()
    }

    /// Whether a deviation was found in a valid campaign.
    #[must_use]
    pub fn deviates(&self) -> bool {
        let findings = self.findings.iter().flatten();
        findings.into_iter().any(Findings::deviates)
    }
}

/// Holds a campaign against the rules and a contract. The measurements may come in any order and from
/// several files.
#[must_use]
pub fn check(contract: &Contract, measurements: &[Measurement], zone: &Zone) -> Check {
    let (campaign, repeated) = once_each(measurements);
    let broken = campaign::broken(&campaign, zone, &[]);
    let readings = campaign::deciding(&campaign, zone);
    let findings = broken
        .is_empty()
        .then(|| findings::findings(contract, &campaign));
    let days = campaign::by_day(&campaign).into_iter();
    Check {
        days: days
            .map(|(day, of_day)| MeasuringDay {
                day,
                measurements: of_day.len(),
            })
            .collect(),
        repeated,
        broken,
        readings,
        findings,
    }
}

/// The measurements in their order, each once: people export a campaign several times while it runs.
fn once_each(measurements: &[Measurement]) -> (Vec<&Measurement>, usize) {
    let mut seen = HashSet::new();
    let mut campaign: Vec<&Measurement> = measurements
        .iter()
        .filter(|one| seen.insert((one.at, one.down, one.up, one.test.as_deref())))
        .collect();
    campaign.sort_by_key(|one| one.at);
    let repeated = measurements.len() - campaign.len();
    (campaign, repeated)
}

#[cfg(test)]
mod tests;
