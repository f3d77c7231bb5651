//! Reading what no agent can measure out of a site file.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use toml::Spanned;

use super::Check;
use crate::inventory::{
    DeviceKind, DeviceLot, FactValue, Inventory, InventoryFact, LifeYears, MOST_DEVICES, Stated,
    YEARS,
};
use crate::source::Day;
use crate::target::{Item, ItemKind};

/// Years that equipment can be meant to live.
const LIFE: std::ops::RangeInclusive<u8> = 1..=40;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenInventory {
    rooms: Option<WrittenStated>,
    rooms_teaching: Option<WrittenStated>,
    access_points: Option<WrittenStated>,
    rooms_with_access_point: Option<WrittenStated>,
    sockets_per_room: Option<WrittenStated>,
    cabling: Option<WrittenStated>,
    rooms_with_display: Option<WrittenStated>,
    support_fte: Option<WrittenStated>,
    service_hours_agreed: Option<WrittenStated>,
    service_kept_percent: Option<WrittenStated>,
    ups: Option<WrittenStated>,
    second_line: Option<WrittenStated>,
    teachers_trained: Option<WrittenStated>,
    #[serde(default)]
    devices: Vec<WrittenLot>,
    #[serde(default)]
    items: BTreeMap<Spanned<String>, WrittenStated>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenStated {
    value: Spanned<toml::Value>,
    on: Day,
    from: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenLot {
    kind: DeviceKind,
    bought: Option<Spanned<u16>>,
    count: Spanned<u32>,
    on: Day,
    from: Spanned<String>,
}

/// What an item is stated as.
fn value_of(item: Item, written: &toml::Value) -> Result<FactValue, String> {
    let number = match written {
        toml::Value::Integer(whole) => Some(*whole as f64),
        toml::Value::Float(number) => Some(*number),
        _ => None,
    };
    match item.kind() {
        ItemKind::Number(_) => number
            .filter(|number| (0.0..=1e6).contains(number))
            .map(FactValue::Decimal)
            .ok_or_else(|| format!("{item} is a number from 0 to a million")),
        ItemKind::Check => written
            .as_bool()
            .map(FactValue::YesNo)
            .ok_or_else(|| format!("{item} is true or false")),
    }
}

impl Check<'_> {
    pub(super) fn life_years(&mut self, written: BTreeMap<DeviceKind, Spanned<u8>>) -> LifeYears {
        let mut years = |(kind, years): (DeviceKind, Spanned<u8>)| {
            if !LIFE.contains(years.get_ref()) {
                let (from, to) = (LIFE.start(), LIFE.end());
                let message = format!("equipment lives {from} to {to} years");
                self.refuse(&years, kind.name(), message);
            }
            (kind, years.into_inner())
        };
        written.into_iter().map(&mut years).collect()
    }

    pub(super) fn inventory(&mut self, written: WrittenInventory) -> Inventory {
        let facts = [
            (InventoryFact::Rooms, written.rooms),
            (InventoryFact::RoomsTeaching, written.rooms_teaching),
            (InventoryFact::AccessPoints, written.access_points),
            (
                InventoryFact::RoomsWithAccessPoint,
                written.rooms_with_access_point,
            ),
            (InventoryFact::SocketsPerRoom, written.sockets_per_room),
            (InventoryFact::Cabling, written.cabling),
            (InventoryFact::RoomsWithDisplay, written.rooms_with_display),
            (InventoryFact::SupportFte, written.support_fte),
            (
                InventoryFact::ServiceHoursAgreed,
                written.service_hours_agreed,
            ),
            (
                InventoryFact::ServiceKeptPercent,
                written.service_kept_percent,
            ),
            (InventoryFact::Ups, written.ups),
            (InventoryFact::SecondLine, written.second_line),
            (InventoryFact::TeachersTrained, written.teachers_trained),
        ];
        let mut inventory = Inventory::default();
        for (fact, stated) in facts {
            let Some(stated) = stated else { continue };
            let from = self.name(stated.from).into_inner();
            match fact.value(stated.value.get_ref()) {
                Ok(value) => {
                    let on = stated.on;
                    inventory.facts.insert(fact, Stated { value, on, from });
                }
                Err(accepted) => self.refuse(&stated.value, fact.name(), accepted),
            }
        }
        for (name, stated) in written.items {
            let from = self.name(stated.from).into_inner();
            let item: Item = match name.get_ref().parse() {
                Ok(item) => item,
                Err(unknown) => {
                    let mut problem =
                        self.document
                            .problem(name.span().start, Some("items"), &unknown);
                    problem.suggestion = unknown.suggestion.map(str::to_owned);
                    self.problems.push(problem);
                    continue;
                }
            };
            match value_of(item, stated.value.get_ref()) {
                Ok(value) => {
                    let on = stated.on;
                    inventory
                        .items
                        .insert(item.name(), Stated { value, on, from });
                }
                Err(accepted) => self.refuse(&stated.value, "value", accepted),
            }
        }
        let mut lots = HashSet::new();
        for lot in written.devices {
            let bought = lot.bought.as_ref().map(|year| *year.get_ref());
            if let Some(year) = &lot.bought
                && !YEARS.contains(year.get_ref())
            {
                self.refuse(year, "bought", "a year of purchase has four digits");
            }
            if *lot.count.get_ref() > MOST_DEVICES {
                let message = format!("at most {MOST_DEVICES} devices of a kind and year");
                self.refuse(&lot.count, "count", message);
            }
            if !lots.insert((lot.kind, bought)) {
                let message = "devices of this kind and year are listed already";
                self.refuse(&lot.count, "devices", message);
            }
            inventory.devices.push(DeviceLot {
                kind: lot.kind,
                bought,
                count: *lot.count.get_ref(),
                on: lot.on,
                from: self.name(lot.from).into_inner(),
            });
        }
        inventory
    }
}
