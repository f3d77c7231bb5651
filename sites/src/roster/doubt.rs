//! Coordinates that cannot be right: far from those of the other schools of the same municipality.
//!
//! Lists are geocoded by name, and a Schillerstraße is found in another state or country. Such a school is
//! kept and its coordinates are not.

use std::collections::HashMap;

use super::entry::{Entry, ListedSite};
use super::{Finding, Grade, Reason};
use crate::site::{Coordinates, Register};

/// Nearer than this is never doubted: large towns are 30 km across (project default).
const NEAR_KM: f64 = 15.0;

/// Berlin and rural districts are wider: so many times the median distance is allowed (project default).
const TIMES_MEDIAN: f64 = 4.0;

/// Fewer schools say nothing about where a municipality lies.
const FEWEST: usize = 3;

/// In a district (Kreis) or postal region, for small municipalities (project default).
const NEAR_IN_REGION_KM: f64 = 60.0;

/// Takes coordinates away that lie far from the others, and says so.
pub(super) fn far_coordinates(entries: &mut [Entry], findings: &mut Vec<Finding>) {
    let towns = regions(entries, municipality, NEAR_KM);
    let districts = regions(entries, district, NEAR_IN_REGION_KM);
    for entry in entries {
        let (id, register) = (&entry.id, &entry.register);
        for site in &mut entry.sites {
            let town = municipality(register, site);
            let region = towns
                .get(&town)
                .or_else(|| districts.get(&district(register, site)));
            let (Some(at), Some(region)) = (site.coordinates, region) else {
                continue;
            };
            let distance = at.distance_km(region.middle);
            if distance > region.reach_km {
                site.coordinates = None;
                findings.push(Finding {
                    line: site.line,
                    column: None,
                    grade: Grade::Doubted,
                    reason: Reason::FarAway {
                        school: id.clone(),
                        municipality: super::shown(&town),
                        at: format!("{:.4} {:.4}", at.lat, at.lon),
                        km: distance.round() as u32,
                    },
                });
            }
        }
    }
}

struct Region {
    middle: Coordinates,
    reach_km: f64,
}

fn municipality(register: &Register, site: &ListedSite) -> String {
    [
        &register.municipality,
        &register.municipality_key,
        &site.address.place,
    ]
    .into_iter()
    .flatten()
    .next()
    .cloned()
    .unwrap_or_default()
}

/// The first five digits of the municipality's key name its district; without a key, the first two of
/// the postal code name a region.
fn district(register: &Register, site: &ListedSite) -> String {
    let key = register.municipality_key.as_deref();
    let code = site.address.postcode.as_deref();
    key.and_then(|key| key.get(..5))
        .or_else(|| code.and_then(|code| code.get(..2)))
        .unwrap_or_default()
        .to_owned()
}

/// The middle of each region that has enough places, and how far from it a place may lie.
fn regions(
    entries: &[Entry],
    region: impl Fn(&Register, &ListedSite) -> String,
    near_km: f64,
) -> HashMap<String, Region> {
    let mut places: HashMap<String, Vec<Coordinates>> = HashMap::new();
    for entry in entries {
        for site in &entry.sites {
            if let Some(at) = site.coordinates {
                places
                    .entry(region(&entry.register, site))
                    .or_default()
                    .push(at);
            }
        }
    }
    places
        .into_iter()
        .filter(|(name, places)| !name.is_empty() && places.len() >= FEWEST)
        .map(|(name, places)| {
            let middle = Coordinates {
                lat: median(places.iter().map(|at| at.lat)),
                lon: median(places.iter().map(|at| at.lon)),
            };
            let typical = median(places.iter().map(|at| at.distance_km(middle)));
            let reach_km = near_km.max(TIMES_MEDIAN * typical);
            (name, Region { middle, reach_km })
        })
        .collect()
}

/// The middle value; a wrong one does not move it.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
