//! A catalogue as its file writes it.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use messnetz_metric::{BitRate, Metric, Rate};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use toml::Spanned;

use super::{Mends, Price, Upgrade, UpgradeId};
use crate::cause::CauseKind;
use crate::site::LineMedium;
use crate::source::{Day, Source};
use crate::text::Bilingual;
use crate::toml_file::{Document, Problem};

static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| {
    let text = include_str!("../../catalogue/built-in.toml");
    match Catalogue::parse("built-in.toml", text) {
        Ok(catalogue) => catalogue,
        // The file is part of the program, and a test parses it.
        Err(problems) => unreachable!("built-in catalogue: {problems:?}"),
    }
});

/// Upgrades with their prices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Catalogue {
    /// The upgrades, in the order in which they are recommended.
    pub upgrades: Vec<Upgrade>,
}

impl Catalogue {
    /// The catalogue that comes with the program.
    #[must_use]
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Reads a catalogue.
    ///
    /// # Errors
    /// All problems of meaning at once, or the first one of syntax.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let document = Document::new(file, text);
        let written: WrittenFile = document.read().map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let mut ids = HashSet::new();
        let mut upgrades = Vec::new();
        for upgrade in written.upgrade {
            let place = upgrade.id.span().start;
            let id = upgrade.id.into_inner();
            if !ids.insert(id.clone()) {
                let message = format!("the catalogue has two upgrades `{id}`");
                problems.push(document.problem(place, Some("id"), message));
            }
            let mut price = |field, written: Option<Spanned<WrittenPrice>>| {
                let Some(written) = written else {
                    return Price::None;
                };
                let place = written.span().start;
                let price = written.into_inner();
                if let Some(flaw) = price.flaw() {
                    problems.push(document.problem(place, Some(field), flaw));
                }
                price.into()
            };
            upgrades.push(Upgrade {
                prices_as_of: written.catalogue.as_of,
                once: price("once", upgrade.once),
                monthly: price("monthly", upgrade.monthly),
                id,
                title: upgrade.title,
                carries: upgrade.carries.map(|WrittenRate(rate)| Rate::new(rate)),
                mends: upgrade.mends.into_iter().map(Mends::from).collect(),
            });
        }
        if problems.is_empty() {
            Ok(Self { upgrades })
        } else {
            Err(problems)
        }
    }

    /// This catalogue with an authority's own: an upgrade of the same id takes the place of the one here,
    /// the others follow.
    #[must_use]
    pub fn with(mut self, own: Self) -> Self {
        for upgrade in own.upgrades {
            match self
                .upgrades
                .iter_mut()
                .find(|known| known.id == upgrade.id)
            {
                Some(known) => *known = upgrade,
                None => self.upgrades.push(upgrade),
            }
        }
        self
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    catalogue: WrittenCatalogue,
    #[serde(default)]
    upgrade: Vec<WrittenUpgrade>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCatalogue {
    as_of: Day,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUpgrade {
    id: Spanned<UpgradeId>,
    title: Bilingual,
    mends: Vec<WrittenMends>,
    carries: Option<WrittenRate>,
    once: Option<Spanned<WrittenPrice>>,
    monthly: Option<Spanned<WrittenPrice>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMends {
    cause: CauseKind,
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default)]
    media: Vec<LineMedium>,
}

impl From<WrittenMends> for Mends {
    fn from(written: WrittenMends) -> Self {
        Self {
            cause: written.cause,
            metrics: written.metrics,
            media: written.media,
        }
    }
}

struct WrittenRate(BitRate);

impl<'de> Deserialize<'de> for WrittenRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// Either the words "your price" or a range with its source.
enum WrittenPrice {
    YourPrice,
    Range(WrittenRange),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRange {
    from_cents: u64,
    to_cents: u64,
    source: Source,
}

impl WrittenPrice {
    fn flaw(&self) -> Option<&'static str> {
        match self {
            Self::YourPrice => None,
            Self::Range(range) if range.from_cents > range.to_cents => {
                Some("the price ends below its beginning")
            }
            Self::Range(range) => range.source.flaw(),
        }
    }
}

impl From<WrittenPrice> for Price {
    fn from(written: WrittenPrice) -> Self {
        match written {
            WrittenPrice::YourPrice => Self::YourPrice,
            WrittenPrice::Range(range) => Self::Range {
                from_cents: range.from_cents,
                to_cents: range.to_cents,
                source: range.source,
            },
        }
    }
}

impl<'de> Deserialize<'de> for WrittenPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = WrittenPrice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"your price\", or from_cents, to_cents and source")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<WrittenPrice, E> {
                if text == "your price" {
                    Ok(WrittenPrice::YourPrice)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenPrice, A::Error> {
                WrittenRange::deserialize(MapAccessDeserializer::new(map)).map(WrittenPrice::Range)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
