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

/// The rates of a contract. What a product is named by is the maximum; the normally available and the
/// minimum rate stand in its information sheet, and most business contracts have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Contract {
    /// Towards the school.
    #[serde(rename = "down_bps")]
    pub down: BitRate,
    /// Away from the school.
    #[serde(rename = "up_bps")]
    pub up: BitRate,
    /// Normally available towards the school.
    #[serde(rename = "down_normal_bps", skip_serializing_if = "Option::is_none")]
    pub down_normal: Option<BitRate>,
    /// Normally available away from the school.
    #[serde(rename = "up_normal_bps", skip_serializing_if = "Option::is_none")]
    pub up_normal: Option<BitRate>,
    /// The least towards the school.
    #[serde(rename = "down_minimum_bps", skip_serializing_if = "Option::is_none")]
    pub down_minimum: Option<BitRate>,
    /// The least away from the school.
    #[serde(rename = "up_minimum_bps", skip_serializing_if = "Option::is_none")]
    pub up_minimum: Option<BitRate>,
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

    /// The normally available rate of one direction.
    #[must_use]
    pub const fn normal(&self, direction: Direction) -> Option<BitRate> {
        match direction {
            Direction::Down => self.down_normal,
            Direction::Up => self.up_normal,
        }
    }

    /// The minimum rate of one direction.
    #[must_use]
    pub const fn minimum(&self, direction: Direction) -> Option<BitRate> {
        match direction {
            Direction::Down => self.down_minimum,
            Direction::Up => self.up_minimum,
        }
    }
}
