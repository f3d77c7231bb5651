//! What would mend a cause, and what it costs as far as anybody has published it.
//!
//! A catalogue is dated data: the built-in one is `sites/catalogue/*.toml`, and an authority's own, with
//! its own prices, is read by the same [`Catalogue::parse`]. No price is invented: where none was found,
//! the entry says "your price".

mod catalogue;
mod recommend;
#[cfg(test)]
mod tests;

use messnetz_metric::{EachWay, Metric, Nominal, Rate};
use serde::Serialize;

use crate::cause::CauseKind;
use crate::ident::{is_slug, text_id};
use crate::site::LineMedium;
use crate::source::{Day, Source};
use crate::text::Bilingual;

pub use catalogue::Catalogue;
pub use recommend::{Reason, Recommendation, recommend};

text_id! {
    /// The name of an upgrade (Maßnahme): `fibre-connection`.
    UpgradeId, "upgrade id", "lower-case letters, digits and hyphens", is_slug
}

/// Something that can be done or bought.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Upgrade {
    /// The name.
    pub id: UpgradeId,
    /// What a planner calls it.
    pub title: Bilingual,
    /// What it mends.
    pub mends: Vec<Mends>,
    /// Largest rate that it brings; absent where it sets no limit of its own.
    #[serde(rename = "carries_bps")]
    pub carries: Option<Rate<Nominal, EachWay>>,
    /// The day at which the prices were looked up.
    pub prices_as_of: Day,
    /// What it costs once.
    pub once: Price,
    /// What it costs each month.
    pub monthly: Price,
}

/// A cause that an upgrade mends, for some metrics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mends {
    /// The cause.
    pub cause: CauseKind,
    /// The metrics whose target was missed; any where none is listed.
    pub metrics: Vec<Metric>,
    /// What the line is made of today; anything where nothing is listed.
    pub media: Vec<LineMedium>,
}

/// What something costs, in euro cents.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Price {
    /// There is no such cost.
    None,
    /// No price was found that could be cited: the authority has to state its own.
    YourPrice,
    /// Published prices lie in this range.
    Range {
        /// The lowest.
        from_cents: u64,
        /// The highest.
        to_cents: u64,
        /// Who published it.
        source: Source,
    },
}
