//! An uplink with what its contract promises.

use messnetz_metric::{BitRate, Direction};
use serde::{Deserialize, Serialize};

/// The uplink of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Who runs it.
    pub provider: String,
    /// What the provider calls it.
    pub product: String,
    /// What it is made of.
    pub medium: LineMedium,
    /// What the contract promises.
    pub contract: Contract,
}

/// What an uplink is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineMedium {
    /// Fibre into the building.
    Fibre,
    /// Copper pair: ADSL, VDSL, G.fast.
    Dsl,
    /// Television cable (DOCSIS).
    Cable,
    /// 4G, 5G.
    Mobile,
    /// Directional radio.
    Radio,
    /// Satellite.
    Satellite,
    /// The town's own network.
    Municipal,
}

/// The nominal rates of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Contract {
    /// Towards the school.
    #[serde(rename = "down_bps")]
    pub down: BitRate,
    /// Away from the school.
    #[serde(rename = "up_bps")]
    pub up: BitRate,
}

impl Contract {
    /// The rate of one direction.
    #[must_use]
    pub const fn rate(&self, direction: Direction) -> BitRate {
        match direction {
            Direction::Down => self.down,
            Direction::Up => self.up,
        }
    }
}
