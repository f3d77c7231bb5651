//! A profile as its file writes it.

use messnetz_metric::{Better, Layer, Metric, Unit};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{ProfileId, ServiceId, Status, WindowId};
use crate::formula::Formula;
use crate::liveness::Silence;
use crate::quantile::Statistic;
use crate::site::{SchoolForm, SchoolId};
use crate::source::{Day, Source};
use crate::text::Bilingual;

/// On which side of the threshold the statistic has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operator {
    /// At or above.
    #[serde(rename = ">=")]
    AtLeast,
    /// Below.
    #[serde(rename = "<")]
    Below,
    /// At or below.
    #[serde(rename = "<=")]
    AtMost,
}

impl Operator {
    /// Which end of the scale it asks for.
    #[must_use]
    pub const fn better(self) -> Better {
        match self {
            Self::AtLeast => Better::Higher,
            Self::Below | Self::AtMost => Better::Lower,
        }
    }

    /// Whether a value stands on the wanted side of the threshold; both count the same unit.
    #[must_use]
    pub const fn holds(self, value: i64, threshold: i64) -> bool {
        match self {
            Self::AtLeast => value >= threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }
}

/// Who chose something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The source of the target.
    Source,
    /// This project.
    Project,
}

/// Whose facts a formula speaks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The school as a whole.
    School,
    /// Each site (Standort) by itself.
    Site,
    /// The authority (Schulträger) with all its schools.
    Authority,
}

/// The unit that a profile writes its thresholds in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum WrittenUnit {
    #[serde(rename = "Mbit/s")]
    MegabitPerSecond,
    #[serde(rename = "ms")]
    Millisecond,
    #[serde(rename = "%")]
    Percent,
    #[serde(rename = "dBm")]
    DecibelMilliwatt,
    #[serde(rename = "dB")]
    Decibel,
    #[serde(rename = "1/min")]
    PerMinute,
}

impl WrittenUnit {
    pub(super) const fn unit(self) -> Unit {
        match self {
            Self::MegabitPerSecond => Unit::BitPerSecond,
            Self::Millisecond => Unit::Microsecond,
            Self::Percent => Unit::PartPerMillion,
            Self::DecibelMilliwatt => Unit::MillibelMilliwatt,
            Self::Decibel => Unit::Millibel,
            Self::PerMinute => Unit::PerMinute,
        }
    }

    /// Units of the metric in one of these.
    pub(super) const fn factor(self) -> f64 {
        match self {
            Self::MegabitPerSecond => 1e6,
            Self::Millisecond => 1e3,
            Self::Percent => 1e4,
            Self::DecibelMilliwatt | Self::Decibel => 1e2,
            Self::PerMinute => 1.0,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenFile {
    pub(super) profile: WrittenProfile,
    #[serde(default)]
    pub(super) target: Vec<WrittenTarget>,
    #[serde(default)]
    pub(super) inventory: Vec<WrittenInventory>,
    #[serde(default, rename = "override")]
    pub(super) overrides: Vec<WrittenOverride>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenProfile {
    pub(super) id: Spanned<ProfileId>,
    pub(super) title: Bilingual,
    pub(super) country: String,
    pub(super) status: Status,
    pub(super) as_of: Option<Day>,
    pub(super) valid_from: Option<Day>,
    pub(super) valid_to: Option<Day>,
    pub(super) extends: Option<Spanned<String>>,
    pub(super) silence: Option<Spanned<Silence>>,
    pub(super) source: Spanned<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTarget {
    pub(super) id: Spanned<String>,
    pub(super) title: Bilingual,
    pub(super) metric: Spanned<Metric>,
    pub(super) op: Option<Spanned<Operator>>,
    pub(super) formula: Formula,
    pub(super) unit: Spanned<WrittenUnit>,
    pub(super) cap: Option<WrittenCap>,
    pub(super) window: Option<WindowId>,
    pub(super) statistic: Spanned<Statistic>,
    pub(super) statistic_origin: Origin,
    pub(super) layer: Option<Spanned<Layer>>,
    pub(super) tolerance: Option<Spanned<WrittenTolerance>>,
    pub(super) confidence: Option<Spanned<f64>>,
    pub(super) min_samples: Spanned<usize>,
    pub(super) min_days: Option<Spanned<usize>>,
    pub(super) scope: Spanned<Scope>,
    pub(super) service: Option<Spanned<ServiceId>>,
    pub(super) forms: Option<Spanned<Vec<SchoolForm>>>,
    pub(super) schools: Option<Spanned<Vec<SchoolId>>>,
    pub(super) source: Option<Spanned<Source>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenInventory {
    pub(super) id: Spanned<String>,
    pub(super) title: Bilingual,
    pub(super) item: Spanned<String>,
    pub(super) op: Option<Spanned<Operator>>,
    pub(super) formula: Option<Formula>,
    pub(super) scope: Scope,
    pub(super) forms: Option<Spanned<Vec<SchoolForm>>>,
    pub(super) schools: Option<Spanned<Vec<SchoolId>>>,
    pub(super) source: Option<Spanned<Source>>,
}

/// What an extending profile changes in a target that it takes over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenOverride {
    pub(super) target: Spanned<String>,
    pub(super) forms: Option<Spanned<Vec<SchoolForm>>>,
    pub(super) schools: Option<Spanned<Vec<SchoolId>>>,
    pub(super) title: Option<Bilingual>,
    pub(super) formula: Option<Formula>,
    pub(super) cap: Option<WrittenCap>,
    pub(super) window: Option<WindowId>,
    pub(super) statistic: Option<Spanned<Statistic>>,
    pub(super) confidence: Option<Spanned<f64>>,
    pub(super) min_samples: Option<Spanned<usize>>,
    pub(super) min_days: Option<Spanned<usize>>,
    pub(super) source: Option<Spanned<Source>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenCap {
    pub(super) value: Spanned<f64>,
    pub(super) origin: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTolerance {
    pub(super) share: f64,
    pub(super) origin: Bilingual,
}
