//! A school for tests, and short ways to write what was measured there.

use messnetz_metric::{BitRate, Rate, UnixMillis, Value};

use crate::calendar::SchoolCalendar;
use crate::facts::Facts;
use crate::inventory::Inventory;
use crate::site::{
    Address, Contract, Line, LineMedium, Register, School, SchoolForm, SchoolId, Site, SiteId,
};
use crate::target::{Profiles, Target};
use crate::verdict::{Sample, Series};

pub(crate) fn target(id: &str) -> &'static Target {
    Profiles::built_in().target(&id.parse().unwrap()).unwrap()
}

pub(crate) fn school(classes: Option<u32>, contract: Option<u64>) -> School {
    let id: SchoolId = "NW-100001".parse().unwrap();
    let line = contract.map(|mbps| Line {
        provider: "Stadtwerke".to_owned(),
        product: "Schule".to_owned(),
        medium: LineMedium::Fibre,
        contract: Contract {
            down: Rate::new(BitRate::from_bps(mbps * 1_000_000)),
            up: Rate::new(BitRate::from_bps(mbps * 500_000)),
            ..Contract::default()
        },
    });
    School {
        sites: vec![Site {
            id: SiteId::new(&id, "main").unwrap(),
            name: "Hauptgebäude".to_owned(),
            address: Address::default(),
            coordinates: None,
            facts: None,
            inventory: Inventory::default(),
            line,
            endpoint: None,
        }],
        id,
        name: "Grundschule".to_owned(),
        form: SchoolForm::Primary,
        register: Register::default(),
        facts: Facts {
            classes,
            ..Facts::default()
        },
        inventory: Inventory::default(),
        profiles: None,
        exceptions: Vec::new(),
        calendar: SchoolCalendar::default(),
    }
}

/// One sample a day.
pub(crate) fn series(values: impl IntoIterator<Item = Value>) -> Series {
    several_a_day(1, values)
}

/// The same number of samples on each day.
pub(crate) fn several_a_day(per_day: i64, values: impl IntoIterator<Item = Value>) -> Series {
    let sample = |(number, value)| {
        let at = UnixMillis(number * 86_400_000 / per_day);
        Sample {
            at,
            day: (number / per_day) as i32,
            value,
            disturbed: None,
        }
    };
    Series {
        samples: (0i64..).zip(values).map(sample).collect(),
        ..Series::default()
    }
}

pub(crate) fn mbps(rates: impl IntoIterator<Item = f64>) -> Series {
    series(
        rates
            .into_iter()
            .map(|mbps| Value::Rate(BitRate::from_mbps(mbps))),
    )
}

pub(crate) fn rate(mbps: f64) -> Value {
    Value::Rate(BitRate::from_mbps(mbps))
}
