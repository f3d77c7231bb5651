//! The sites of one school: which of the list is which of the file, and what becomes of the others.

use std::collections::HashMap;

use toml_edit::{InlineTable, Item, Table, TableLike, Value};

use super::MergeError;
use super::slot::Slot;
use super::{GoneSite, Merged, NewSite, SHAPE, hold};
use crate::roster::entry::{Entry, ListedSite};
use crate::roster::folded;
use crate::roster::reading::Roster;
use crate::site::SiteId;

/// The key in `imported` under which a site remembers what the list calls it.
const LISTED_AS: &str = "site";

/// A site of the file, as far as it takes to recognise it.
struct Known {
    id: String,
    name: String,
    /// What the list called it when it was imported.
    listed_as: Option<String>,
    street: Option<String>,
}

/// Holds the sites of a school of the file against those of the list.
pub(super) fn update(
    school: &mut Table,
    entry: &Entry,
    roster: &Roster,
    merged: &mut Merged,
) -> Result<(), MergeError> {
    let known: Vec<Known> = tables(school)?
        .into_iter()
        .map(|site| known(site))
        .collect();
    let mut found = vec![false; known.len()];
    for (listed, at) in entry.sites.iter().zip(matched(&known, &entry.sites)) {
        let Some(at) = at else {
            add(school, entry, listed, merged)?;
            continue;
        };
        let mut sites = tables(school)?;
        let site = sites.get_mut(at).ok_or(SHAPE)?;
        let id = known.get(at).map(|site| site.id.as_str());
        if let Some(found) = found.get_mut(at) {
            *found = true;
        }
        hold(
            *site,
            &Slot::of_site(listed),
            (&entry.id, id.filter(|_| listed.part.is_some())),
            merged,
        )?;
        if let (Some(part), Some(known)) = (&listed.part, known.get(at))
            && known.id != *part
            && known.listed_as.is_none()
        {
            remember(*site, part)?;
        }
    }
    if entry.sites.iter().any(|site| site.part.is_some()) {
        let gone = known.iter().zip(found).filter(|(_, found)| !found);
        merged.gone_sites.extend(gone.filter_map(|(site, _)| {
            let id = SiteId::new(&entry.id, &site.id).ok()?;
            let listed = site.listed_as.as_deref();
            let listed = listed.and_then(|part| SiteId::new(&entry.id, part).ok());
            Some(GoneSite {
                rule: roster
                    .left_out_by_site
                    .get(listed.as_ref().unwrap_or(&id))
                    .copied(),
                name: site.name.clone(),
                id,
            })
        }));
    }
    Ok(())
}

/// For each site of the list the one of the file: by its id, by what the list called it last time, or
/// because an import that told no sites apart has begun it.
fn matched(known: &[Known], listed: &[ListedSite]) -> Vec<Option<usize>> {
    let by_id: HashMap<&str, usize> = positions(known, |site| Some(&site.id));
    let mut taken = vec![false; known.len()];
    let mut take = |at: Option<usize>| {
        let taken = taken.get_mut(at?)?;
        (!std::mem::replace(taken, true)).then_some(at?)
    };
    let mut matched: Vec<Option<usize>> = listed
        .iter()
        .map(|site| {
            take(match &site.part {
                Some(part) => by_id.get(part.as_str()).copied(),
                // The list means the first site, whatever it is called.
                None => Some(0),
            })
        })
        .collect();
    let by_word: HashMap<&str, usize> = positions(known, |site| site.listed_as.as_ref());
    for (site, at) in listed.iter().zip(&mut matched) {
        if let (Some(part), None) = (&site.part, &at) {
            *at = take(by_word.get(part.as_str()).copied());
        }
    }
    let main = known
        .iter()
        .position(|site| site.id == "main" && site.listed_as.is_none());
    if let Some(at_main) = main
        && let Some(known) = known.get(at_main)
    {
        let only = listed.len() == 1;
        let same_street = |site: &ListedSite| {
            let street = site.address.street.as_deref().map(folded);
            street.is_some() && street == known.street.as_deref().map(folded)
        };
        let mut others = listed.iter().zip(&mut matched);
        if let Some((_, at)) = others.find(|(site, at)| at.is_none() && (only || same_street(site)))
        {
            *at = take(Some(at_main));
        }
    }
    matched
}

fn positions(known: &[Known], word: impl Fn(&Known) -> Option<&String>) -> HashMap<&str, usize> {
    known
        .iter()
        .enumerate()
        .filter_map(|(at, site)| Some((word(site)?.as_str(), at)))
        .collect()
}

/// The tables of a school's sites.
fn tables(school: &mut Table) -> Result<Vec<&mut dyn TableLike>, MergeError> {
    match school.get_mut("site").ok_or(SHAPE)? {
        Item::ArrayOfTables(sites) => Ok(sites
            .iter_mut()
            .map(|site| site as &mut dyn TableLike)
            .collect()),
        Item::Value(Value::Array(sites)) => sites
            .iter_mut()
            .map(|site| {
                let site = site.as_inline_table_mut().ok_or(SHAPE)?;
                Ok(site as &mut dyn TableLike)
            })
            .collect(),
        _ => Err(SHAPE),
    }
}

fn known(site: &dyn TableLike) -> Known {
    let text = |item: Option<&Item>| Some(item?.as_str()?.to_owned());
    let within =
        |table: &str, key: &str| text(site.get(table).and_then(Item::as_table_like)?.get(key));
    Known {
        id: text(site.get("id")).unwrap_or_default(),
        name: text(site.get("name")).unwrap_or_default(),
        listed_as: within("imported", LISTED_AS),
        street: within("address", "street"),
    }
}

/// Writes down what the list calls a site, so that it is found again whatever its id.
fn remember(site: &mut dyn TableLike, part: &str) -> Result<(), MergeError> {
    let imported = site
        .entry("imported")
        .or_insert_with(|| toml_edit::value(InlineTable::new()));
    let imported = imported.as_table_like_mut().ok_or(SHAPE)?;
    imported.insert(LISTED_AS, toml_edit::value(part));
    Ok(())
}

/// A site as a new table.
pub(super) fn written(entry: &Entry, listed: &ListedSite) -> Table {
    let mut site = Table::new();
    site.insert(
        "id",
        toml_edit::value(listed.part.as_deref().unwrap_or("main")),
    );
    site.insert("name", toml_edit::value(called(entry, listed)));
    let mut imported = InlineTable::new();
    if let Some(part) = &listed.part {
        imported.insert(LISTED_AS, Value::from(part.as_str()));
    }
    for slot in Slot::of_site(listed) {
        imported.insert(slot.field, slot.value.to_value());
        // A table that was just begun takes every value.
        let _ = slot.write(&mut site);
    }
    if !imported.is_empty() {
        site.insert("imported", toml_edit::value(imported));
    }
    site
}

/// What people call a site: the list's name for it, or else where it is.
fn called<'a>(entry: &'a Entry, listed: &'a ListedSite) -> &'a str {
    let address = &listed.address;
    listed
        .name
        .as_deref()
        .or(address.street.as_deref())
        .or(address.place.as_deref())
        .unwrap_or(&entry.name)
}

/// Adds a site to a school of the file.
fn add(
    school: &mut Table,
    entry: &Entry,
    listed: &ListedSite,
    merged: &mut Merged,
) -> Result<(), MergeError> {
    let site = written(entry, listed);
    match school.get_mut("site").ok_or(SHAPE)? {
        Item::ArrayOfTables(sites) => sites.push(site),
        Item::Value(Value::Array(sites)) => sites.push(site.into_inline_table()),
        _ => return Err(SHAPE),
    }
    let part = listed.part.as_deref().unwrap_or("main");
    merged
        .new_sites
        .extend(SiteId::new(&entry.id, part).ok().map(|id| NewSite {
            id,
            name: called(entry, listed).to_owned(),
        }));
    Ok(())
}
