//! A site file as it is written, and what is held against what before it counts.

mod inventory;

use std::collections::{BTreeMap, HashMap, HashSet};

use messnetz_metric::{BitRate, Nominal, Rate, Towards};
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use inventory::WrittenInventory;

use super::{
    Address, Authority, Contract, Coordinates, Exception, Line, LineMedium, Register, School,
    SchoolForm, SchoolId, Site, SiteId,
};
use crate::calendar::{WrittenCalendar, WrittenSchoolCalendar};
use crate::facts::{AuthorityFacts, Fact, Facts};
use crate::inventory::{DeviceKind, InventoryFact};
use crate::judging::{Judging, confidence_is_sound};
use crate::source::Day;
use crate::target::{ProfileId, Profiles, ServiceId, TargetId};
use crate::toml_file::{Document, Problem};

/// Names longer than this are not names.
const NAME_LIMIT: usize = 200;

/// Longest endpoint: the longest name (RFC 1035, section 2.3.4), and a port.
const LONGEST_ENDPOINT: usize = 253 + 6;

/// No school has a faster line: the fastest Ethernet there is (IEEE 802.3df) carries 800 Gbit/s.
const FASTEST: BitRate = BitRate::from_bps(800_000_000_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    authority: WrittenAuthority,
    #[serde(default)]
    profiles: WrittenProfiles,
    #[serde(default)]
    services: BTreeMap<ServiceId, Spanned<String>>,
    judging: Option<Spanned<WrittenJudging>>,
    #[serde(default)]
    calendar: WrittenCalendar,
    #[serde(default)]
    school: Vec<WrittenSchool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenProfiles {
    #[serde(default)]
    files: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenException {
    target: Spanned<String>,
    by: Spanned<String>,
    reason: Spanned<String>,
    until: Day,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAuthority {
    name: Spanned<String>,
    #[serde(default)]
    profiles: Vec<Spanned<String>>,
    #[serde(default)]
    facts: WrittenAuthorityFacts,
    #[serde(default)]
    life_years: BTreeMap<DeviceKind, Spanned<u8>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAuthorityFacts {
    pupils: Option<Spanned<u64>>,
    staff: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenJudging {
    confidence: Option<Spanned<f64>>,
    min_samples: Option<Spanned<u32>>,
    min_days: Option<Spanned<u32>>,
    #[serde(default)]
    independent: bool,
    #[serde(default)]
    all_hours: bool,
    shortened: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSchool {
    id: Spanned<String>,
    name: Spanned<String>,
    form: SchoolForm,
    land_form: Option<Spanned<String>>,
    municipality: Option<Spanned<String>>,
    municipality_key: Option<Spanned<String>>,
    authority_number: Option<Spanned<String>>,
    /// What the last import wrote: the import's own note, of no meaning to judging.
    #[serde(rename = "imported")]
    _imported: Option<IgnoredAny>,
    #[serde(default)]
    facts: WrittenFacts,
    #[serde(default)]
    inventory: WrittenInventory,
    profiles: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    exception: Vec<WrittenException>,
    #[serde(default)]
    calendar: WrittenSchoolCalendar,
    #[serde(default)]
    site: Vec<WrittenSite>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFacts {
    classes: Option<Spanned<u64>>,
    pupils: Option<Spanned<u64>>,
    teachers: Option<Spanned<u64>>,
    staff: Option<Spanned<u64>>,
    rooms_teaching: Option<Spanned<u64>>,
    devices: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSite {
    id: Spanned<String>,
    name: Spanned<String>,
    /// What the last import wrote, as in its school.
    #[serde(rename = "imported")]
    _imported: Option<IgnoredAny>,
    address: Option<WrittenAddress>,
    coordinates: Option<Spanned<Coordinates>>,
    facts: Option<WrittenFacts>,
    #[serde(default)]
    inventory: WrittenInventory,
    line: Option<WrittenLine>,
    endpoint: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAddress {
    street: Option<Spanned<String>>,
    postcode: Option<Spanned<String>>,
    place: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLine {
    provider: Spanned<String>,
    product: Spanned<String>,
    medium: LineMedium,
    contract: WrittenContract,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenContract {
    down: Spanned<String>,
    up: Spanned<String>,
    down_normal: Option<Spanned<String>>,
    up_normal: Option<Spanned<String>>,
    down_minimum: Option<Spanned<String>>,
    up_minimum: Option<Spanned<String>>,
}

/// The files of own profiles that a site file names.
pub(super) fn profile_files(file: &str, text: &str) -> Result<Vec<String>, Problem> {
    let written: WrittenFile = Document::new(file, text).read()?;
    Ok(written.profiles.files)
}

/// Reads a site file. See [`Authority::parse`].
pub(super) fn authority(
    file: &str,
    text: &str,
    profiles: &Profiles,
) -> Result<Authority, Vec<Problem>> {
    let document = Document::new(file, text);
    let written: WrittenFile = document.read().map_err(|problem| vec![problem])?;
    let mut check = Check {
        document,
        profiles,
        problems: Vec::new(),
    };
    let name = check.name(written.authority.name);
    let name_at = name.span().start;
    let size = check.size(&written.authority.facts);
    let mut authority = Authority {
        profiles: check.profiles(written.authority.profiles),
        known: profiles.clone(),
        services: check.services(written.services),
        life_years: check.life_years(written.authority.life_years),
        judging: check.judging(written.judging),
        calendar: written.calendar.check(document, &mut check.problems),
        schools: check.schools(&name, written.school),
        name: name.into_inner(),
    };
    let sum = AuthorityFacts::sum(authority.schools.iter().map(|school| school.facts));
    let size = AuthorityFacts {
        pupils: size.pupils.or(sum.pupils),
        staff: size.staff.or(sum.staff),
    };
    for school in &mut authority.schools {
        let own = school
            .sites
            .iter_mut()
            .filter_map(|site| site.facts.as_mut());
        for facts in own.chain([&mut school.facts]) {
            facts.authority = size;
        }
    }
    if check.problems.is_empty() {
        check.windows(&authority, name_at);
    }
    if check.problems.is_empty() {
        Ok(authority)
    } else {
        check.problems.sort_by_key(|p| (p.line, p.column));
        Err(check.problems)
    }
}

/// Collects problems, so that one run shows them all. What cannot be kept is left out of the result,
/// which is then not given out.
struct Check<'a> {
    document: Document<'a>,
    profiles: &'a Profiles,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn refuse<T>(&mut self, at: &Spanned<T>, field: &str, message: impl std::fmt::Display) {
        let problem = self.document.problem(at.span().start, Some(field), message);
        self.problems.push(problem);
    }

    /// Whether the windows are known that the targets of its schools are about.
    fn windows(&mut self, authority: &Authority, at: usize) {
        let mut unknown = BTreeMap::new();
        for school in &authority.schools {
            let profiles = authority.profiles_of(school);
            for target in authority.known.targets_for(profiles, school) {
                if let Some(window) = &target.window
                    && let Err(error) = authority.calendar.window(window.as_str())
                {
                    unknown.insert(target.id.clone(), error);
                }
            }
        }
        for (target, error) in unknown {
            let message = format!("the target '{target}' is about a window of its own: {error}");
            let problem = self.document.problem(at, Some("profiles"), message);
            self.problems.push(problem);
        }
    }

    fn name(&mut self, name: Spanned<String>) -> Spanned<String> {
        let text = name.get_ref();
        if text.trim().is_empty() {
            self.refuse(&name, "name", "a name must not be empty");
        } else if text.chars().count() > NAME_LIMIT || text.chars().any(char::is_control) {
            let message = format!("a name has at most {NAME_LIMIT} printable characters");
            self.refuse(&name, "name", message);
        }
        name
    }

    /// A text that may be missing, and is no shorter and no longer than a name.
    fn text(&mut self, text: Option<Spanned<String>>) -> Option<String> {
        text.map(|text| self.name(text).into_inner())
    }

    fn profiles(&mut self, names: Vec<Spanned<String>>) -> Vec<ProfileId> {
        let mut found = Vec::new();
        for name in names {
            let text = name.get_ref();
            match text.parse::<ProfileId>() {
                Ok(id) if found.contains(&id) => {
                    self.refuse(
                        &name,
                        "profiles",
                        format!("the profile `{id}` is listed twice"),
                    );
                }
                Ok(id) if self.profiles.get(&id).is_some() => found.push(id),
                _ => {
                    let problem = self.profiles.unknown(self.document, &name);
                    self.problems.push(problem);
                }
            }
        }
        found
    }

    fn judging(&mut self, judging: Option<Spanned<WrittenJudging>>) -> Judging {
        let Some(judging) = judging else {
            return Judging::default();
        };
        let note = judging.get_ref().shortened.as_deref().unwrap_or_default();
        if note.trim().is_empty() {
            let message =
                "[judging] changes what verdicts rest on and must say why: shortened = \"…\"";
            self.refuse(&judging, "shortened", message);
        }
        let written = judging.into_inner();
        if let Some(confidence) = &written.confidence
            && !confidence_is_sound(*confidence.get_ref())
        {
            let message = "the confidence must be above 0.5 and below 1";
            self.refuse(confidence, "confidence", message);
        }
        if let Some(fewest) = &written.min_samples
            && *fewest.get_ref() == 0
        {
            let message = "no verdict can rest on no samples: min_samples must be at least 1";
            self.refuse(fewest, "min_samples", message);
        }
        Judging {
            confidence: written.confidence.map(Spanned::into_inner),
            min_samples: written.min_samples.map(Spanned::into_inner),
            min_days: written.min_days.map(Spanned::into_inner),
            independent: written.independent,
            all_hours: written.all_hours,
            shortened: written.shortened,
        }
    }

    fn schools(&mut self, authority: &Spanned<String>, written: Vec<WrittenSchool>) -> Vec<School> {
        if written.is_empty() {
            self.refuse(authority, "school", "the authority has no [[school]]");
        }
        let mut offsets_by_id = HashMap::new();
        let mut schools = Vec::new();
        for school in written {
            let id = school.id.get_ref().parse::<SchoolId>();
            match &id {
                Ok(id) => {
                    let offset = school.id.span().start;
                    if let Some(first) = offsets_by_id.insert(id.clone(), offset) {
                        let line = self.document.line(first);
                        let message = format!("the school `{id}` already stands in line {line}");
                        self.refuse(&school.id, "id", message);
                    }
                }
                Err(error) => self.refuse(&school.id, "id", error),
            }
            schools.extend(self.school(id.ok(), school));
        }
        schools
    }

    /// Checks all of a school, also where its id is refused; only then there is no school.
    fn school(&mut self, id: Option<SchoolId>, written: WrittenSchool) -> Option<School> {
        let name = self.name(written.name);
        if written.site.is_empty() {
            let message = "the school has no [[school.site]]";
            self.refuse(&written.id, "site", message);
        }
        let mut parts = HashSet::new();
        let mut sites = Vec::new();
        for site in written.site {
            if !parts.insert(site.id.get_ref().clone()) {
                let message = format!("the school has two sites `{}`", site.id.get_ref());
                self.refuse(&site.id, "id", message);
            }
            sites.extend(self.site(id.as_ref(), site));
        }
        let register = Register {
            land_form: self.text(written.land_form),
            municipality: self.text(written.municipality),
            municipality_key: self.text(written.municipality_key),
            authority_number: self.text(written.authority_number),
        };
        let inventory = self.inventory(written.inventory);
        let mut facts = self.facts(&written.facts);
        // A room counted in the inventory is a room; the fact of the file goes first.
        facts.rooms_teaching = facts
            .rooms_teaching
            .or_else(|| inventory.count(InventoryFact::RoomsTeaching));
        let profiles = written.profiles.map(|names| self.profiles(names));
        let exceptions = written
            .exception
            .into_iter()
            .filter_map(|exception| self.exception(exception))
            .collect();
        let calendar = written.calendar.check(self.document, &mut self.problems);
        Some(School {
            id: id?,
            name: name.into_inner(),
            form: written.form,
            register,
            facts,
            inventory,
            profiles,
            exceptions,
            calendar,
            sites,
        })
    }

    fn exception(&mut self, written: WrittenException) -> Option<Exception> {
        let by = self.name(written.by).into_inner();
        if written.reason.get_ref().trim().is_empty() {
            self.refuse(&written.reason, "reason", "an exception needs a reason");
        }
        let text = written.target.get_ref();
        let known = self.profiles.target_ids();
        if let Some(target) = known.into_iter().find(|id| id.as_str() == text) {
            return Some(Exception {
                target: target.clone(),
                by,
                reason: written.reason.into_inner(),
                until: written.until,
            });
        }
        let known: Vec<&str> = self.profiles.target_ids().map(TargetId::as_str).collect();
        let shown: String = text.chars().take(80).collect();
        let message = format!("there is no target `{shown}` to except the school from");
        let at = written.target.span().start;
        let problem = self.document.misspelt(at, text, message, &known);
        self.problems.push(problem);
        None
    }

    fn services(
        &mut self,
        written: BTreeMap<ServiceId, Spanned<String>>,
    ) -> BTreeMap<ServiceId, String> {
        let peer = |(id, peer)| (id, self.name(peer).into_inner());
        written.into_iter().map(peer).collect()
    }

    fn site(&mut self, school: Option<&SchoolId>, written: WrittenSite) -> Option<Site> {
        let name = self.name(written.name).into_inner();
        let address = written
            .address
            .map_or_else(Address::default, |address| Address {
                street: self.text(address.street),
                postcode: self.text(address.postcode),
                place: self.text(address.place),
            });
        let coordinates = written.coordinates.map(|at| {
            if Coordinates::new(at.get_ref().lat, at.get_ref().lon).is_none() {
                let message = "a latitude lies within ±90 and a longitude within ±180 degrees";
                self.refuse(&at, "coordinates", message);
            }
            at.into_inner()
        });
        let facts = written.facts.map(|facts| self.facts(&facts));
        let inventory = self.inventory(written.inventory);
        let line = written.line.map(|line| self.line(line));
        let endpoint = written.endpoint.map(|at| {
            let text = at.get_ref();
            let is_one = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '/');
            if !is_one || text.len() > LONGEST_ENDPOINT {
                let message = "an endpoint is HOST or HOST:PORT, such as 10.20.0.5 or server.school.example:5201";
                self.refuse(&at, "endpoint", message);
            }
            at.into_inner()
        });
        match SiteId::new(school?, written.id.get_ref()) {
            Ok(id) => Some(Site {
                id,
                name,
                address,
                coordinates,
                facts,
                inventory,
                line,
                endpoint,
            }),
            Err(error) => {
                self.refuse(&written.id, "id", error);
                None
            }
        }
    }

    fn plausible(&mut self, fact: Fact, count: Option<&Spanned<u64>>) -> Option<u32> {
        let stated = count?;
        let largest = fact.largest_plausible();
        match u32::try_from(*stated.get_ref()) {
            Ok(count) if count <= largest => Some(count),
            _ => {
                let name = fact.name();
                let message = format!(
                    "{} {name} are more than any school has (at most {largest})",
                    stated.get_ref()
                );
                self.refuse(stated, name, message);
                None
            }
        }
    }

    fn size(&mut self, written: &WrittenAuthorityFacts) -> AuthorityFacts {
        AuthorityFacts {
            pupils: self.plausible(Fact::AuthorityPupils, written.pupils.as_ref()),
            staff: self.plausible(Fact::AuthorityStaff, written.staff.as_ref()),
        }
    }

    fn facts(&mut self, written: &WrittenFacts) -> Facts {
        let mut plausible =
            |fact, count: &Option<Spanned<u64>>| self.plausible(fact, count.as_ref());
        Facts {
            classes: plausible(Fact::Classes, &written.classes),
            pupils: plausible(Fact::Pupils, &written.pupils),
            teachers: plausible(Fact::Teachers, &written.teachers),
            staff: plausible(Fact::Staff, &written.staff),
            rooms_teaching: plausible(Fact::RoomsTeaching, &written.rooms_teaching),
            devices: plausible(Fact::Devices, &written.devices),
            // Set when all schools are read.
            authority: AuthorityFacts::default(),
        }
    }

    fn line(&mut self, written: WrittenLine) -> Line {
        Line {
            provider: self.name(written.provider).into_inner(),
            product: self.name(written.product).into_inner(),
            medium: written.medium,
            contract: self.contract(&written.contract),
        }
    }

    fn contract(&mut self, written: &WrittenContract) -> Contract {
        let down = Rate::new(self.rate("down", &written.down));
        let up = Rate::new(self.rate("up", &written.up));
        Contract {
            down_normal: self.lesser("down_normal", written.down_normal.as_ref(), down),
            up_normal: self.lesser("up_normal", written.up_normal.as_ref(), up),
            down_minimum: self.lesser("down_minimum", written.down_minimum.as_ref(), down),
            up_minimum: self.lesser("up_minimum", written.up_minimum.as_ref(), up),
            down,
            up,
        }
    }

    /// A rate of the contract that cannot be above the one it is named by.
    fn lesser<D: Towards>(
        &mut self,
        field: &str,
        written: Option<&Spanned<String>>,
        maximum: Rate<Nominal, D>,
    ) -> Option<Rate<Nominal, D>> {
        let written = written?;
        let problems = self.problems.len();
        let rate = Rate::new(self.rate(field, written));
        let is_known = maximum.bits() > BitRate::default();
        if self.problems.len() == problems && rate > maximum && is_known {
            self.refuse(
                written,
                field,
                "it is above the rate of the contract itself",
            );
        }
        Some(rate)
    }

    fn rate(&mut self, field: &str, written: &Spanned<String>) -> BitRate {
        match written.get_ref().parse::<BitRate>() {
            Ok(rate) if rate == BitRate::default() || rate > FASTEST => {
                let message = "a contract is above 0 and at most 800 Gbit/s";
                self.refuse(written, field, message);
                rate
            }
            Ok(rate) => rate,
            Err(error) => {
                self.refuse(written, field, error);
                BitRate::default()
            }
        }
    }
}

#[cfg(test)]
mod tests;
