//! What an inventory says of an item of the targets: taken over, or worked out from several facts.

use serde::Serialize;

use super::ItemValue;
use crate::inventory::{
    Cabling, DeviceKind, DeviceLot, FactValue, Inventory, InventoryFact, LifeYears, Stated,
};
use crate::site::School;
use crate::target::{Item, ItemKind};

/// What is said of an item, with the facts that it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statement {
    /// What it comes to, in the item's unit.
    pub stated: ItemValue,
    /// The facts, each with its day and its origin.
    pub facts: Vec<Dated>,
}

/// A fact of an inventory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dated {
    /// Its name in the site file.
    pub fact: &'static str,
    /// What is stated, with its day and its origin.
    #[serde(flatten)]
    pub stated: Stated,
}

/// The kinds of devices that pupils and teachers work with.
const USED: [DeviceKind; 3] = [
    DeviceKind::Tablet,
    DeviceKind::Notebook,
    DeviceKind::Desktop,
];

/// What the inventories of `schools` together say of an item: of one school, or of all of an authority's for
/// a target that counts by authority. `None` where a fact that it needs is not stated by all of them.
/// `life` is how long equipment lives, `year` the one that it is.
#[must_use]
pub fn statement(
    item: Item,
    schools: &[&School],
    life: &LifeYears,
    year: u16,
) -> Option<Statement> {
    let told = Told(schools);
    if let Some(statement) = told.item(item) {
        return Some(statement);
    }
    match item.name() {
        "line.backup" => told.yes_no(InventoryFact::SecondLine),
        "lan.core-ups" => {
            let ups = told.facts(InventoryFact::Ups)?;
            let all = ups
                .iter()
                .all(|ups| ups.stated.value == FactValue::YesNo(true));
            Some(number(f64::from(u8::from(all)), ups))
        }
        "lan.double-sockets-per-room" => {
            match told.facts(InventoryFact::SocketsPerRoom)?.as_slice() {
                // Averages of several are no average of all.
                [only] => Some(number(as_number(only.stated.value)?, vec![only.clone()])),
                _ => None,
            }
        }
        // Class EA is what category 6A gives (ISO/IEC 11801).
        "lan.cat-6a" | "lan.class-ea" => {
            told.cabling(&[Cabling::Cat6a, Cabling::Cat7, Cabling::Cat8, Cabling::Fibre])
        }
        "lan.cat-7-cable" => told.cabling(&[Cabling::Cat7, Cabling::Cat8, Cabling::Fibre]),
        "wlan.ap-per-room" => told.per_room(InventoryFact::AccessPoints),
        "displays.per-room" => told.per_room(InventoryFact::RoomsWithDisplay),
        "devices.pupils-per-device" => {
            let (devices, facts) = told.devices(&USED)?;
            quotient(told.pupils()?, devices, facts)
        }
        "support.devices-per-post" => {
            let (devices, mut facts) = told.devices(&USED)?;
            let (posts, of_posts) = told.sum(InventoryFact::SupportFte)?;
            facts.extend(of_posts);
            quotient(devices, posts, facts)
        }
        "support.pupils-per-post" => {
            let (posts, facts) = told.sum(InventoryFact::SupportFte)?;
            quotient(told.pupils()?, posts, facts)
        }
        "support.sites-per-post" => {
            let (posts, facts) = told.sum(InventoryFact::SupportFte)?;
            let sites: usize = schools.iter().map(|school| school.sites.len()).sum();
            quotient(sites as f64, posts, facts)
        }
        "support.posts-per-school" => {
            let (posts, facts) = told.sum(InventoryFact::SupportFte)?;
            quotient(posts, schools.len() as f64, facts)
        }
        "devices.within-life" => told.within_life(&USED, life, year),
        "wlan.within-life" => told.within_life(&[DeviceKind::AccessPoint], life, year),
        "lan.within-life" => told.within_life(&[DeviceKind::Switch], life, year),
        _ => None,
    }
}

/// What schools say: each by itself, or by all of its sites where it says nothing itself.
struct Told<'a>(&'a [&'a School]);

impl<'a> Told<'a> {
    /// What each says of a fact; `None` where one says nothing.
    fn facts(&self, fact: InventoryFact) -> Option<Vec<Dated>> {
        let dated = |inventory: &Inventory| {
            let stated = inventory.facts.get(&fact)?;
            Some(Dated {
                fact: fact.name(),
                stated: stated.clone(),
            })
        };
        self.all(dated)
    }

    /// What is said of the item itself: a number by one alone, a check by all.
    fn item(&self, item: Item) -> Option<Statement> {
        let dated = |inventory: &Inventory| {
            let stated = inventory.items.get(item.name())?;
            Some(Dated {
                fact: item.name(),
                stated: stated.clone(),
            })
        };
        let facts = self.all(dated)?;
        match (item.kind(), facts.as_slice()) {
            (ItemKind::Check, _) => {
                let all = facts
                    .iter()
                    .all(|fact| fact.stated.value == FactValue::YesNo(true));
                Some(present(all, facts))
            }
            (ItemKind::Number(_), [only]) => Some(number(as_number(only.stated.value)?, facts)),
            (ItemKind::Number(_), _) => None,
        }
    }

    /// What each school says, or each of its sites where it says nothing itself; `None` where one is silent.
    fn all(&self, dated: impl Fn(&Inventory) -> Option<Dated>) -> Option<Vec<Dated>> {
        let of_school = |school: &&School| match dated(&school.inventory) {
            Some(own) => Some(vec![own]),
            None => school
                .sites
                .iter()
                .map(|site| dated(&site.inventory))
                .collect(),
        };
        let facts: Vec<Vec<Dated>> = self.0.iter().map(of_school).collect::<Option<_>>()?;
        let facts = facts.concat();
        (!facts.is_empty()).then_some(facts)
    }

    fn sum(&self, fact: InventoryFact) -> Option<(f64, Vec<Dated>)> {
        let facts = self.facts(fact)?;
        let numbers: Vec<f64> = facts
            .iter()
            .map(|fact| as_number(fact.stated.value))
            .collect::<Option<_>>()?;
        Some((numbers.iter().sum(), facts))
    }

    fn pupils(&self) -> Option<f64> {
        let of_school = |school: &&School| school.facts.pupils.map(f64::from);
        self.0.iter().map(of_school).sum()
    }

    fn yes_no(&self, fact: InventoryFact) -> Option<Statement> {
        let facts = self.facts(fact)?;
        let all = facts
            .iter()
            .all(|fact| fact.stated.value == FactValue::YesNo(true));
        Some(present(all, facts))
    }

    fn cabling(&self, good: &[Cabling]) -> Option<Statement> {
        let facts = self.facts(InventoryFact::Cabling)?;
        let is_good = |fact: &Dated| matches!(fact.stated.value, FactValue::Cabling(class) if good.contains(&class));
        Some(present(facts.iter().all(is_good), facts))
    }

    /// A count for each teaching room, whose number the inventory states or else the school's facts.
    fn per_room(&self, fact: InventoryFact) -> Option<Statement> {
        let (part, mut facts) = self.sum(fact)?;
        let rooms = if let Some((rooms, of_rooms)) = self.sum(InventoryFact::RoomsTeaching) {
            facts.extend(of_rooms);
            rooms
        } else {
            let of_school = |school: &&School| school.facts.rooms_teaching.map(f64::from);
            self.0.iter().map(of_school).sum::<Option<f64>>()?
        };
        quotient(part, rooms, facts)
    }

    fn lots(&self, kinds: &[DeviceKind]) -> Option<Vec<&'a DeviceLot>> {
        let wanted = |inventory: &'a Inventory| -> Vec<&'a DeviceLot> {
            let lots = inventory.devices.iter();
            lots.filter(|lot| kinds.contains(&lot.kind)).collect()
        };
        let mut all = Vec::new();
        for school in self.0 {
            let mut own = wanted(&school.inventory);
            if own.is_empty() {
                let of_sites = school.sites.iter().map(|site| wanted(&site.inventory));
                own = of_sites.flatten().collect();
            }
            if own.is_empty() {
                return None;
            }
            all.append(&mut own);
        }
        (!all.is_empty()).then_some(all)
    }

    /// How many devices of these kinds there are; `None` where a school lists none.
    fn devices(&self, kinds: &[DeviceKind]) -> Option<(f64, Vec<Dated>)> {
        let lots = self.lots(kinds)?;
        let dated = |lot: &&DeviceLot| Dated {
            fact: lot.kind.name(),
            stated: Stated {
                value: FactValue::Count(lot.count),
                on: lot.on,
                from: lot.from.clone(),
            },
        };
        let count = lots.iter().map(|lot| f64::from(lot.count)).sum();
        Some((count, lots.iter().map(dated).collect()))
    }

    /// The share of the devices that are within their life, in percent; `None` where the year of purchase
    /// or the life of one is not known.
    fn within_life(&self, kinds: &[DeviceKind], life: &LifeYears, year: u16) -> Option<Statement> {
        let (all, facts) = self.devices(kinds)?;
        let mut young = 0.0;
        for lot in self.lots(kinds)? {
            let end = lot.bought?.saturating_add(u16::from(*life.get(&lot.kind)?));
            if year < end {
                young += f64::from(lot.count);
            }
        }
        if all == 0.0 {
            return None;
        }
        quotient(100.0 * young, all, facts)
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
        stated: ItemValue::Number(number),
        facts,
    }
}

const fn present(there: bool, facts: Vec<Dated>) -> Statement {
    Statement {
        stated: ItemValue::Present(there),
        facts,
    }
}

/// A ratio: endless where there is something for nobody or nothing to share; `None` of nothing over nothing.
fn quotient(part: f64, whole: f64, facts: Vec<Dated>) -> Option<Statement> {
    if whole > 0.0 {
        Some(number(part / whole, facts))
    } else {
        (part > 0.0).then(|| number(f64::INFINITY, facts))
    }
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

    fn said(inventory: &str, item: &str) -> Option<ItemValue> {
        let (school, life) = school(inventory);
        let statement = statement(item.parse().unwrap(), &[&school], &life, 2026)?;
        assert!(!statement.facts.is_empty(), "{item} rests on something");
        assert!(
            statement
                .facts
                .iter()
                .all(|fact| fact.stated.from == "Begehung")
        );
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
            ("wlan.ap-per-room", Some(ItemValue::Number(0.75))),
            ("lan.cat-6a", Some(ItemValue::Present(false))),
            ("lan.core-ups", Some(ItemValue::Number(1.0))),
            ("line.backup", Some(ItemValue::Present(false))),
            ("devices.pupils-per-device", Some(ItemValue::Number(2.0))),
            ("support.devices-per-post", Some(ItemValue::Number(300.0))),
            ("support.pupils-per-post", Some(ItemValue::Number(600.0))),
            // Bought in 2022, a tablet of four years has lived its life in 2026.
            (
                "devices.within-life",
                Some(ItemValue::Number(100.0 * 100.0 / 150.0)),
            ),
            ("support.sites-per-post", Some(ItemValue::Number(2.0))),
            ("displays.per-room", None),
            ("lan.poe", None),
            ("lan.within-life", None),
        ] {
            assert_eq!(said(&facts, item), expected, "{item}");
        }
    }

    #[test]
    fn an_item_that_is_stated_itself_counts_before_what_could_be_worked_out() {
        let items = format!(
            "cabling = {{ value = \"cat5\", {SEEN}\n[school.inventory.items]\n\
             \"lan.cat-6a\" = {{ value = true, {SEEN}\n\"wlan.generation\" = {{ value = 6, {SEEN}"
        );
        assert_eq!(said(&items, "lan.cat-6a"), Some(ItemValue::Present(true)));
        assert_eq!(
            said(&items, "wlan.generation"),
            Some(ItemValue::Number(6.0))
        );
        assert_eq!(said(&items, "wlan.ssids"), None);
    }

    #[test]
    fn what_is_not_known_of_one_device_is_not_known_of_the_share() {
        let unknown = format!("devices = [{{ kind = \"tablet\", count = 100, {SEEN}]");
        assert_eq!(said(&unknown, "devices.within-life"), None);
        let without_life =
            format!("devices = [{{ kind = \"notebook\", bought = 2025, count = 1, {SEEN}]");
        assert_eq!(said(&without_life, "devices.within-life"), None);
    }

    #[test]
    fn pupils_without_anybody_for_their_support_are_endless_and_not_unknown() {
        let none = format!("support_fte = {{ value = 0, {SEEN}");
        let endless = Some(ItemValue::Number(f64::INFINITY));
        assert_eq!(said(&none, "support.pupils-per-post"), endless);
    }

    #[test]
    fn an_authority_says_only_what_all_of_its_schools_say() {
        let (school, life) = school(&format!("support_fte = {{ value = 0.5, {SEEN}"));
        let mut silent = school.clone();
        silent.inventory = Inventory::default();
        let item: Item = "support.pupils-per-post".parse().unwrap();
        let both = statement(item, &[&school, &school], &life, 2026).unwrap();
        assert_eq!(both.stated, ItemValue::Number(600.0));
        assert_eq!(both.facts.len(), 2);
        assert_eq!(statement(item, &[&school, &silent], &life, 2026), None);
    }
}
