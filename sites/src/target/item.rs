//! What an inventory can state about a school: the vocabulary of targets that no agent can measure.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::spelling;

/// Something that is counted or looked at in a school, or in the authority.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Item(&'static Entry);

#[derive(PartialEq, Eq, Hash)]
struct Entry {
    id: &'static str,
    kind: ItemKind,
}

/// How an item is stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemKind {
    /// As a number, in this unit; an empty unit is a plain count.
    Number(&'static str),
    /// As present or not.
    Check,
}

const fn number(id: &'static str, unit: &'static str) -> Entry {
    Entry {
        id,
        kind: ItemKind::Number(unit),
    }
}

const fn check(id: &'static str) -> Entry {
    Entry {
        id,
        kind: ItemKind::Check,
    }
}

/// All items. Averages are stated per room, ratios as pupils, devices or sites per unit; a generation of
/// Wi-Fi is counted as the Wi-Fi Alliance does (5 is IEEE 802.11ac, 6 is 802.11ax, 7 is 802.11be).
static ITEMS: &[Entry] = &[
    check("line.full-fibre"),
    check("line.backup"),
    check("line.filter-and-firewall"),
    number("wlan.ap-per-room", ""),
    number("wlan.generation", ""),
    number("wlan.ssids", ""),
    number("wlan.lowest-rate", "Mbit/s"),
    number("wlan.co-channel-separation", "dB"),
    number("wlan.cell-overlap", "%"),
    number("wlan.within-life", "%"),
    check("wlan.everywhere"),
    check("wlan.5-ghz-first"),
    check("wlan.dual-band-steering"),
    check("wlan.mimo-3x3"),
    check("wlan.mu-mimo"),
    check("wlan.beamforming"),
    check("wlan.roaming"),
    check("wlan.controller"),
    check("wlan.central-management"),
    check("wlan.enterprise-security"),
    check("wlan.sized-for-most-devices"),
    check("wlan.ap-gigabit-wire"),
    check("wlan.poe"),
    check("wlan.vlan"),
    check("wlan.40-mhz-channels"),
    check("wlan.standards-ratified"),
    check("wlan.latest-on-replacement"),
    check("wlan.credentials-handed-over"),
    number("lan.double-sockets-per-room", ""),
    number("lan.ceiling-ports-per-room", ""),
    number("lan.sockets-per-room", ""),
    number("lan.cables-staff-room", ""),
    number("lan.cables-hall", ""),
    number("lan.sockets-teacher-pc", ""),
    number("lan.sockets-whiteboard", ""),
    number("lan.access-rate", "Gbit/s"),
    number("lan.backbone-rate", "Gbit/s"),
    number("lan.stack-rate", "Gbit/s"),
    number("lan.backbone-links", ""),
    number("lan.fibres-single-mode", ""),
    number("lan.fibres-multimode", ""),
    number("lan.fibre-pairs-single-mode", ""),
    number("lan.cabinet-copper", ""),
    number("lan.cabinet-fibres-multimode", ""),
    number("lan.core-ups", ""),
    number("lan.core-power-supplies", ""),
    number("lan.within-life", "%"),
    check("lan.structured"),
    check("lan.class-ea"),
    check("lan.cat-6a"),
    check("lan.cat-7-cable"),
    check("lan.om4"),
    check("lan.diverse-routes"),
    check("lan.poe"),
    check("lan.acceptance-measured"),
    check("lan.fibre-between-distributors"),
    number("devices.pupils-per-device", ""),
    number("devices.teachers-per-device", ""),
    number("devices.within-life", "%"),
    number("displays.per-room", ""),
    number("displays.inches", "″"),
    number("support.devices-per-post", ""),
    number("support.pupils-per-post", ""),
    number("support.sites-per-post", ""),
    number("support.posts-per-school", ""),
];

impl Item {
    /// All items, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        ITEMS.iter().map(Self)
    }

    /// The name used in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.id
    }

    /// How it is stated.
    #[must_use]
    pub const fn kind(self) -> ItemKind {
        self.0.kind
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Item({})", self.0.id)
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.id)
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.id)
    }
}

impl FromStr for Item {
    type Err = UnknownItem;

    fn from_str(text: &str) -> Result<Self, UnknownItem> {
        Self::all()
            .find(|item| item.name() == text)
            .ok_or_else(|| UnknownItem {
                text: text.chars().take(80).collect(),
                suggestion: spelling::nearest(text, Self::all().map(Self::name)),
            })
    }
}

/// No item has this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "there is no inventory item '{text}' (an item is such as wlan.ap-per-room or lan.class-ea)"
)]
pub struct UnknownItem {
    text: String,
    /// The one that was probably meant.
    pub suggestion: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_found_again_by_its_name_and_a_misspelt_one_is_offered() {
        for item in Item::all() {
            assert_eq!(item.name().parse(), Ok(item));
        }
        let names: std::collections::HashSet<_> = Item::all().map(Item::name).collect();
        assert_eq!(names.len(), ITEMS.len());
        let error = "wlan.ap-per-rom".parse::<Item>().unwrap_err();
        assert_eq!(error.suggestion, Some("wlan.ap-per-room"));
    }
}
