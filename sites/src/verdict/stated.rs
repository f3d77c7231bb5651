//! What an inventory says of an item of the targets: taken over, or worked out from several facts.

use serde::Serialize;

use super::Stated;
use crate::inventory::{Cabling, DeviceKind, FactValue, Inventory, InventoryFact, LifeYears};
use crate::site::School;
use crate::source::Day;
use crate::target::Item;

/// What is said of an item, with the facts that it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statement {
    /// What it comes to, in the item's unit.
    pub stated: Stated,
    /// The facts, each with its day and its origin.
    pub facts: Vec<Dated>,
}

/// A fact of an inventory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dated {
    /// Its name in the site file.
    pub fact: &'static str,
    /// Its value.
    pub value: FactValue,
    /// The day on which it was true.
    pub on: Day,
    /// Who says so, or how it was found out.
    pub from: String,
}

/// The kinds of devices that pupils and teachers work with.
const USED: [DeviceKind; 3] = [
    DeviceKind::Tablet,
    DeviceKind::Notebook,
    DeviceKind::Desktop,
];

/// What a school's inventory says of an item; `None` where a fact that it needs is not stated. `life` is
/// how long equipment lives, `year` the one that it is.
#[must_use]
pub fn statement(item: Item, school: &School, life: &LifeYears, year: u16) -> Option<Statement> {
    let told = Told::of(school)?;
    match item.name() {
        "line.backup" => told.yes_no(InventoryFact::SecondLine),
        "lan.core-ups" => {
            let ups = told.fact(InventoryFact::Ups)?;
            let count = f64::from(u8::from(ups.value == FactValue::YesNo(true)));
            Some(number(count, vec![ups]))
        }
        "lan.double-sockets-per-room" => {
            let sockets = told.fact(InventoryFact::SocketsPerRoom)?;
            Some(number(as_number(sockets.value)?, vec![sockets]))
        }
        // Class EA is what category 6A gives (ISO/IEC 11801).
        "lan.cat-6a" | "lan.class-ea" => {
            told.cabling(&[Cabling::Cat6a, Cabling::Cat7, Cabling::Cat8, Cabling::Fibre])
        }
        "lan.cat-7-cable" => told.cabling(&[Cabling::Cat7, Cabling::Cat8, Cabling::Fibre]),
        "wlan.ap-per-room" => told.ratio(InventoryFact::AccessPoints, InventoryFact::RoomsTeaching),
        "displays.per-room" => told.ratio(
            InventoryFact::RoomsWithDisplay,
            InventoryFact::RoomsTeaching,
        ),
        "devices.pupils-per-device" => {
            let pupils = f64::from(school.facts.pupils?);
            let (devices, facts) = told.devices(&USED)?;
            quotient(pupils, f64::from(devices), facts)
        }
        "support.devices-per-post" => {
            let post = told.fact(InventoryFact::SupportFte)?;
            let (devices, mut facts) = told.devices(&USED)?;
            let posts = as_number(post.value)?;
            facts.push(post);
            quotient(f64::from(devices), posts, facts)
        }
        "support.pupils-per-post" => {
            let post = told.fact(InventoryFact::SupportFte)?;
            let posts = as_number(post.value)?;
            quotient(f64::from(school.facts.pupils?), posts, vec![post])
        }
        "support.posts-per-school" => {
            let post = told.fact(InventoryFact::SupportFte)?;
            Some(number(as_number(post.value)?, vec![post]))
        }
        "devices.within-life" => told.within_life(&USED, life, year),
        "wlan.within-life" => told.within_life(&[DeviceKind::AccessPoint], life, year),
        "lan.within-life" => told.within_life(&[DeviceKind::Switch], life, year),
        _ => None,
    }
}

/// The inventory that speaks for a school: its own, or that of its only site.
struct Told<'a>(&'a Inventory);

impl<'a> Told<'a> {
    fn of(school: &'a School) -> Option<Self> {
        match school.sites.as_slice() {
            _ if !school.inventory.is_empty() => Some(Self(&school.inventory)),
            [only] if !only.inventory.is_empty() => Some(Self(&only.inventory)),
            _ => None,
        }
    }

    fn fact(&self, fact: InventoryFact) -> Option<Dated> {
        let stated = self.0.facts.get(&fact)?;
        Some(Dated {
            fact: fact.name(),
            value: stated.value,
            on: stated.on,
            from: stated.from.clone(),
        })
    }

    fn yes_no(&self, fact: InventoryFact) -> Option<Statement> {
        let fact = self.fact(fact)?;
        Some(present(fact.value == FactValue::YesNo(true), vec![fact]))
    }

    fn cabling(&self, good: &[Cabling]) -> Option<Statement> {
        let fact = self.fact(InventoryFact::Cabling)?;
        let FactValue::Cabling(class) = fact.value else {
            return None;
        };
        Some(present(good.contains(&class), vec![fact]))
    }

    fn ratio(&self, part: InventoryFact, whole: InventoryFact) -> Option<Statement> {
        let (part, whole) = (self.fact(part)?, self.fact(whole)?);
        let numbers = (as_number(part.value)?, as_number(whole.value)?);
        quotient(numbers.0, numbers.1, vec![part, whole])
    }

    /// How many devices of these kinds there are; `None` where none is listed.
    fn devices(&self, kinds: &[DeviceKind]) -> Option<(u32, Vec<Dated>)> {
        let lots = self
            .0
            .devices
            .iter()
            .filter(|lot| kinds.contains(&lot.kind));
        let facts: Vec<Dated> = lots
            .map(|lot| Dated {
                fact: lot.kind.name(),
                value: FactValue::Count(lot.count),
                on: lot.on,
                from: lot.from.clone(),
            })
            .collect();
        let count = |fact: &Dated| match fact.value {
            FactValue::Count(count) => count,
            _ => 0,
        };
        let all = facts.iter().map(count).fold(0, u32::saturating_add);
        (!facts.is_empty()).then_some((all, facts))
    }

    /// The share of the devices that are within their life, in percent; `None` where the year of purchase
    /// or the life of one is not known.
    fn within_life(&self, kinds: &[DeviceKind], life: &LifeYears, year: u16) -> Option<Statement> {
        let (all, facts) = self.devices(kinds)?;
        let mut young = 0_u32;
        for lot in self
            .0
            .devices
            .iter()
            .filter(|lot| kinds.contains(&lot.kind))
        {
            let end = lot.bought?.saturating_add(u16::from(*life.get(&lot.kind)?));
            if year < end {
                young = young.saturating_add(lot.count);
            }
        }
        quotient(100.0 * f64::from(young), f64::from(all), facts)
    }
}

const fn as_number(value: FactValue) -> Option<f64> {
    match value {
        FactValue::Count(count) => Some(count as f64),
        FactValue::Decimal(number) => Some(number),
        FactValue::YesNo(_) | FactValue::Cabling(_) => None,
    }
}

const fn number(number: f64, facts: Vec<Dated>) -> Statement {
    Statement {
        stated: Stated::Number(number),
        facts,
    }
}

const fn present(there: bool, facts: Vec<Dated>) -> Statement {
    Statement {
        stated: Stated::Present(there),
        facts,
    }
}

/// A ratio; `None` over nothing.
fn quotient(part: f64, whole: f64, facts: Vec<Dated>) -> Option<Statement> {
    (whole > 0.0).then(|| number(part / whole, facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{Authority, EXAMPLE};

    fn school(inventory: &str) -> (School, LifeYears) {
        let (before, after) = EXAMPLE.split_once("[school.inventory]").unwrap();
        let (_, after) = after.split_once("# A reasoned exception").unwrap();
        let life = "[authority.life_years]\ntablet = 4\nswitch = 8\n\n[[school]]";
        let before = before.replacen("[[school]]", life, 1);
        let text = format!("{before}[school.inventory]\n{inventory}\n#{after}");
        let authority = Authority::parse("authority.toml", &text).unwrap();
        (authority.schools[0].clone(), authority.life_years)
    }

    fn said(inventory: &str, item: &str) -> Option<Stated> {
        let (school, life) = school(inventory);
        let statement = statement(item.parse().unwrap(), &school, &life, 2026)?;
        assert!(!statement.facts.is_empty(), "{item} rests on something");
        assert!(statement.facts.iter().all(|fact| fact.from == "Begehung"));
        Some(statement.stated)
    }

    const SEEN: &str = "on = \"2026-01-15\", from = \"Begehung\" }";

    #[test]
    fn ratios_and_checks_are_worked_out_from_the_facts() {
        let facts = format!(
            "access_points = {{ value = 12, {SEEN}\nrooms_teaching = {{ value = 16, {SEEN}\n\
             cabling = {{ value = \"cat6\", {SEEN}\nups = {{ value = true, {SEEN}\n\
             second_line = {{ value = false, {SEEN}\nsupport_fte = {{ value = 0.5, {SEEN}\n\
             devices = [{{ kind = \"tablet\", bought = 2023, count = 100, {SEEN},\n\
             {{ kind = \"tablet\", bought = 2022, count = 50, {SEEN}]"
        );
        for (item, expected) in [
            ("wlan.ap-per-room", Some(Stated::Number(0.75))),
            ("lan.cat-6a", Some(Stated::Present(false))),
            ("lan.core-ups", Some(Stated::Number(1.0))),
            ("line.backup", Some(Stated::Present(false))),
            ("devices.pupils-per-device", Some(Stated::Number(2.0))),
            ("support.devices-per-post", Some(Stated::Number(300.0))),
            ("support.pupils-per-post", Some(Stated::Number(600.0))),
            // Bought in 2022, a tablet of four years has lived its life in 2026.
            (
                "devices.within-life",
                Some(Stated::Number(100.0 * 100.0 / 150.0)),
            ),
            ("displays.per-room", None),
            ("lan.poe", None),
            ("lan.within-life", None),
        ] {
            assert_eq!(said(&facts, item), expected, "{item}");
        }
    }

    #[test]
    fn what_is_not_known_of_one_device_is_not_known_of_the_share() {
        let unknown = format!("devices = [{{ kind = \"tablet\", count = 100, {SEEN}]");
        assert_eq!(said(&unknown, "devices.within-life"), None);
        let without_life =
            format!("devices = [{{ kind = \"notebook\", bought = 2025, count = 1, {SEEN}]");
        assert_eq!(said(&without_life, "devices.within-life"), None);
        let none = format!("support_fte = {{ value = 0, {SEEN}");
        assert_eq!(said(&none, "support.pupils-per-post"), None, "over nothing");
    }
}
