//! What the authority states, held against the inventory targets of its schools.

use std::collections::BTreeMap;

use messnetz_sites::inventory::Inventory;
use messnetz_sites::site::{Authority, School, SchoolId, Site};
use messnetz_sites::target::{InventoryTarget, Scope};
use messnetz_sites::verdict::{
    Excepted, InventoryJudgement, Statement, Whose, judge_inventory, statement,
};
use messnetz_sites::{Bilingual, Day, Source};
use serde::Serialize;

/// One inventory target, judged for whom it counts: a site, a school or the authority as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatedRow {
    /// Name of the school, with that of the site where it has several, or of the authority.
    pub name: String,
    /// What a planner calls the target.
    pub target_title: Bilingual,
    /// Who says so.
    pub source: Source,
    /// The verdict with what it rests on.
    pub judgement: InventoryJudgement,
}

/// Judges every inventory target of every school by what is stated on the day `today`: those of the
/// authority as a whole first, then school by school.
#[must_use]
pub fn stated(authority: &Authority, today: Option<Day>) -> Vec<StatedRow> {
    let mut of_all: Vec<OfAll<'_>> = Vec::new();
    let mut rows = Vec::new();
    for school in &authority.schools {
        let profiles = authority.profiles_of(school);
        for target in authority.known.inventory_for(profiles, school) {
            let exception = today.and_then(|today| Excepted::of(school, &target.id, today));
            match target.scope {
                Scope::Authority => {
                    let known = of_all.iter_mut().find(|one| one.target == target);
                    match known {
                        Some(known) => known.add(school, exception),
                        None => of_all.push(OfAll::of(target, school, exception)),
                    }
                }
                Scope::School => {
                    let whose = Whose::School {
                        school: school.id.clone(),
                        exception,
                    };
                    let said = said(authority, target, &[school], today);
                    let judgement = judge_inventory(target, whose, &school.facts, said);
                    rows.push(row(&school.name, target, judgement));
                }
                Scope::Site => rows.extend(school.sites.iter().map(|site| {
                    let whose = Whose::Site {
                        school: school.id.clone(),
                        site: site.id.clone(),
                        exception: exception.clone(),
                    };
                    let facts = school.facts_at(site, target.scope);
                    let said = said(authority, target, &[&alone(school, site)], today);
                    let judgement = judge_inventory(target, whose, &facts, said);
                    let name = if school.sites.len() > 1 {
                        format!("{}, {}", school.name, site.name)
                    } else {
                        school.name.clone()
                    };
                    row(&name, target, judgement)
                })),
            }
        }
    }
    let of_all = of_all
        .into_iter()
        .map(|one| one.judged(authority, today))
        .collect();
    [of_all, rows].concat()
}

/// A target of the authority as a whole, with the schools that have it.
struct OfAll<'a> {
    target: &'a InventoryTarget,
    first: &'a School,
    schools: Vec<SchoolId>,
    exceptions: BTreeMap<SchoolId, Excepted>,
}

impl<'a> OfAll<'a> {
    fn of(target: &'a InventoryTarget, first: &'a School, exception: Option<Excepted>) -> Self {
        let mut one = Self {
            target,
            first,
            schools: Vec::new(),
            exceptions: BTreeMap::new(),
        };
        one.add(first, exception);
        one
    }

    fn add(&mut self, school: &School, exception: Option<Excepted>) {
        self.schools.push(school.id.clone());
        let exception = exception.map(|exception| (school.id.clone(), exception));
        self.exceptions.extend(exception);
    }

    fn judged(self, authority: &Authority, today: Option<Day>) -> StatedRow {
        let everybody: Vec<&School> = authority.schools.iter().collect();
        let said = said(authority, self.target, &everybody, today);
        let whose = Whose::Authority {
            schools: self.schools,
            exceptions: self.exceptions,
        };
        // What is known of the authority is the same wherever one asks.
        let facts = self.first.sites.first();
        let facts = facts.map(|site| self.first.facts_at(site, Scope::Authority));
        let judgement = judge_inventory(self.target, whose, &facts.unwrap_or_default(), said);
        row(&authority.name, self.target, judgement)
    }
}

fn said(
    authority: &Authority,
    target: &InventoryTarget,
    schools: &[&School],
    today: Option<Day>,
) -> Option<Statement> {
    statement(target.item, schools, &authority.life_years, today?.year())
}

/// A school as if it were this site alone. Of several sites, none takes over what is stated of the whole
/// school, as with its facts.
fn alone(school: &School, site: &Site) -> School {
    let inventory = if school.sites.len() > 1 {
        Inventory::default()
    } else {
        school.inventory.clone()
    };
    School {
        facts: school.facts_at(site, Scope::Site),
        inventory,
        sites: vec![site.clone()],
        ..school.clone()
    }
}

fn row(name: &str, target: &InventoryTarget, judgement: InventoryJudgement) -> StatedRow {
    StatedRow {
        name: name.to_owned(),
        target_title: target.title.clone(),
        source: target.source.clone(),
        judgement,
    }
}

impl StatedRow {
    /// What the row is about, as the site file numbers it; `None` for the authority as a whole.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        match &self.judgement.whose {
            Whose::Site { site, .. } => Some(site.to_string()),
            Whose::School { school, .. } => Some(school.to_string()),
            Whose::Authority { .. } => None,
        }
    }

    /// Whether there is anything to show but that nobody has stated it.
    #[must_use]
    pub fn says_something(&self) -> bool {
        self.judgement.stated.is_some() || self.judgement.whose.exceptions().next().is_some()
    }
}
