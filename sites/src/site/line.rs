//! An uplink with what its contract promises.

use messnetz_metric::{Direction, Down, Nominal, OneWay, Rate, Up};
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
    pub down: Rate<Nominal, Down>,
    /// Away from the school.
    #[serde(rename = "up_bps")]
    pub up: Rate<Nominal, Up>,
    /// Normally available towards the school.
    #[serde(rename = "down_normal_bps", skip_serializing_if = "Option::is_none")]
    pub down_normal: Option<Rate<Nominal, Down>>,
    /// Normally available away from the school.
    #[serde(rename = "up_normal_bps", skip_serializing_if = "Option::is_none")]
    pub up_normal: Option<Rate<Nominal, Up>>,
    /// The least towards the school.
    #[serde(rename = "down_minimum_bps", skip_serializing_if = "Option::is_none")]
    pub down_minimum: Option<Rate<Nominal, Down>>,
    /// The least away from the school.
    #[serde(rename = "up_minimum_bps", skip_serializing_if = "Option::is_none")]
    pub up_minimum: Option<Rate<Nominal, Up>>,
}

impl Contract {
    /// The rate of one direction.
    #[must_use]
    pub const fn rate(&self, direction: Direction) -> Rate<Nominal, OneWay> {
        match direction {
            Direction::Down => self.down.one_way(),
            Direction::Up => self.up.one_way(),
        }
    }
}
