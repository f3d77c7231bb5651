//! The authority (Schulträger) with its schools, their sites (Standorte) and lines, as one TOML file
//! states them.
//!
//! `sites/examples/musterstadt.toml` is a commented example.

mod check;
mod line;
mod register;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, SchoolCalendar};
use crate::facts::Facts;
use crate::ident::{InvalidId, is_slug, refused, text_id};
use crate::inventory::{Inventory, LifeYears};
use crate::judging::Judging;
use crate::liveness::Silence;
use crate::source::Day;
use crate::target::{ProfileId, Profiles, Scope, ServiceId, TargetId};
use crate::toml_file::Problem;

pub use line::{Contract, Line, LineMedium};
pub use register::{Address, Coordinates, Register};

/// A site file to begin with: every key, explained. The town in it is fictitious.
pub const EXAMPLE: &str = include_str!("../examples/musterstadt.toml");

text_id! {
    /// The number of a school with the state it counts in: `NW-162437`. Numbers stay text: they have
    /// leading zeros, and each state counts by itself.
    SchoolId, "school id",
    "two capital letters for the state, a hyphen, then up to 32 letters, digits and hyphens, such as NW-162437",
    is_school_id
}

fn is_school_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    text.split_once('-').is_some_and(|(state, number)| {
        state.len() == 2
            && state.bytes().all(|b| b.is_ascii_uppercase())
            && (1..=32).contains(&number.len())
            && number.bytes().all(allowed)
    })
}

/// A site of a school: `NW-162437/main`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteId {
    school: SchoolId,
    part: String,
}

impl SiteId {
    /// The site `part` of a school.
    ///
    /// # Errors
    /// [`InvalidId`] where `part` is not one word of lower-case letters, digits and hyphens.
    pub fn new(school: &SchoolId, part: &str) -> Result<Self, InvalidId> {
        if is_slug(part) {
            Ok(Self {
                school: school.clone(),
                part: part.to_owned(),
            })
        } else {
            Err(refused(
                "site id",
                "lower-case letters, digits and hyphens",
                part,
            ))
        }
    }

    /// The school that it belongs to.
    #[must_use]
    pub fn school(&self) -> &SchoolId {
        &self.school
    }

    /// Its name within the school.
    #[must_use]
    pub fn part(&self) -> &str {
        &self.part
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.school, self.part)
    }
}

impl std::str::FromStr for SiteId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (school, part) = text
            .split_once('/')
            .ok_or_else(|| refused("site id", "the school's id, a slash and the site", text))?;
        Self::new(&school.parse()?, part)
    }
}

impl TryFrom<String> for SiteId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<SiteId> for String {
    fn from(id: SiteId) -> Self {
        id.to_string()
    }
}

/// Who runs the schools' buildings and networks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Authority {
    /// Its name.
    pub name: String,
    /// The profiles that hold for all its schools.
    pub profiles: Vec<ProfileId>,
    /// All profiles that can be named: the built-in ones and its own.
    #[serde(skip)]
    pub known: Profiles,
    /// The peers of the services that its schools need, as the schedule names them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<ServiceId, String>,
    /// How long its equipment lives.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub life_years: LifeYears,
    /// Its own demands on evidence.
    pub judging: Judging,
    /// When its schools teach.
    pub calendar: Calendar,
    /// Its schools, in the order of the file.
    pub schools: Vec<School>,
}

impl Authority {
    /// Reads a site file whose profiles are the built-in ones.
    ///
    /// # Errors
    /// All problems of meaning at once, or the first one of syntax.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        Self::parse_against(file, text, Profiles::built_in())
    }

    /// Reads a site file that may name any of `profiles`.
    ///
    /// # Errors
    /// All problems of meaning at once, or the first one of syntax.
    pub fn parse_against(
        file: &str,
        text: &str,
        profiles: &Profiles,
    ) -> Result<Self, Vec<Problem>> {
        check::authority(file, text, profiles)
    }

    /// The files of own profiles that a site file names under `[profiles]`, so that the caller can read
    /// them, hand them to [`Profiles::with_own`] and then the site file to [`Self::parse_against`].
    ///
    /// # Errors
    /// The first problem of syntax.
    pub fn profile_files(file: &str, text: &str) -> Result<Vec<String>, Problem> {
        check::profile_files(file, text)
    }

    /// All sites of all schools, in the order of the file.
    pub fn sites(&self) -> impl Iterator<Item = &Site> {
        self.schools.iter().flat_map(|school| &school.sites)
    }

    /// The school of this id.
    #[must_use]
    pub fn school(&self, id: &SchoolId) -> Option<&School> {
        self.schools.iter().find(|school| school.id == *id)
    }

    /// The site of this id, with its school.
    #[must_use]
    pub fn site(&self, id: &SiteId) -> Option<(&School, &Site)> {
        let school = self.school(id.school())?;
        let site = school.sites.iter().find(|site| site.id == *id)?;
        Some((school, site))
    }

    /// The profiles that hold for a school: its own, or else the authority's.
    #[must_use]
    pub fn profiles_of<'a>(&'a self, school: &'a School) -> &'a [ProfileId] {
        school.profiles.as_deref().unwrap_or(&self.profiles)
    }

    /// How long the agents of a school may be silent.
    #[must_use]
    pub fn silence_of(&self, school: &School) -> Silence {
        let profiles = self.profiles_of(school).iter();
        let known = profiles.filter_map(|id| self.known.get(id));
        Silence::soonest(known.filter_map(|profile| profile.silence.clone()))
    }
}

/// A school.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct School {
    /// Its number with the state.
    pub id: SchoolId,
    /// Its name.
    pub name: String,
    /// Its form.
    pub form: SchoolForm,
    /// What its state's list says about it.
    #[serde(flatten)]
    pub register: Register,
    /// What is counted in it.
    pub facts: Facts,
    /// What no agent can measure in it.
    #[serde(skip_serializing_if = "Inventory::is_empty")]
    pub inventory: Inventory,
    /// Profiles that hold for this school in place of the authority's.
    pub profiles: Option<Vec<ProfileId>>,
    /// What it is excepted from, for a time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
    /// What it states about its days.
    #[serde(skip_serializing_if = "SchoolCalendar::is_default")]
    pub calendar: SchoolCalendar,
    /// Its sites; at least one.
    pub sites: Vec<Site>,
}

impl School {
    /// The facts that a target of this scope asks for at `site`.
    ///
    /// A school's classes are spread over its sites in a way that only the authority knows: of several
    /// sites, one that states no facts of its own has none, rather than those of the whole school.
    #[must_use]
    pub fn facts_at(&self, site: &Site, scope: Scope) -> Facts {
        match (scope, site.facts) {
            (Scope::Site, Some(own)) => own,
            (Scope::Authority, _) => self.of_authority(),
            (Scope::Site, None) if self.sites.len() > 1 => self.of_authority(),
            (Scope::School | Scope::Site, _) => self.facts,
        }
    }
}

impl School {
    /// What is known without counting anything in this school.
    fn of_authority(&self) -> Facts {
        Facts {
            authority: self.facts.authority,
            ..Facts::default()
        }
    }
}

/// A reasoned exception of one school from one target. It stands beside a verdict and never changes it: a
/// target that is missed stays missed, with the reason why nothing is done about it yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// From which target.
    pub target: TargetId,
    /// Who decided it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    pub until: Day,
}

/// The form of a school, over the states' own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchoolForm {
    /// Grundschule.
    Primary,
    /// Hauptschule, Realschule, Sekundarschule and their like.
    Secondary,
    /// Gymnasium.
    Grammar,
    /// Gesamtschule, Gemeinschaftsschule.
    Comprehensive,
    /// Förderschule.
    Special,
    /// Berufskolleg, berufsbildende Schule.
    Vocational,
    /// Weiterbildungskolleg, Abendschule.
    AdultEducation,
    /// Any other.
    Other,
}

impl SchoolForm {
    /// All forms, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Primary,
        Self::Secondary,
        Self::Grammar,
        Self::Comprehensive,
        Self::Special,
        Self::Vocational,
        Self::AdultEducation,
        Self::Other,
    ];

    /// The word for it in site files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Grammar => "grammar",
            Self::Comprehensive => "comprehensive",
            Self::Special => "special",
            Self::Vocational => "vocational",
            Self::AdultEducation => "adult-education",
            Self::Other => "other",
        }
    }
}

/// A place at which a school has lessons, with its own line or without one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Site {
    /// The school and its part.
    pub id: SiteId,
    /// What people call it.
    pub name: String,
    /// Where post for it goes.
    #[serde(skip_serializing_if = "Address::is_empty")]
    pub address: Address,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<Coordinates>,
    /// What is counted at this site alone, where it differs from the school.
    pub facts: Option<Facts>,
    /// What no agent can measure at this site.
    #[serde(skip_serializing_if = "Inventory::is_empty")]
    pub inventory: Inventory,
    /// Its uplink, where the authority has stated it.
    pub line: Option<Line>,
    /// What agents of this site test LAN and Wi-Fi against: `HOST` or `HOST:PORT` of an iperf3 server inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_school_number_keeps_its_state_and_its_zeros() {
        for text in ["NW-162437", "BE-01A04", "GB-100000", "TH-0"] {
            assert_eq!(text.parse::<SchoolId>().unwrap().as_str(), text);
        }
        for text in ["162437", "nw-1", "NW-", "NRW-1", "NW-1/2", "NW-ä", "NW 1"] {
            assert!(text.parse::<SchoolId>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_name_of_a_form_is_its_word_in_files() {
        for form in SchoolForm::ALL {
            let written = toml::Value::try_from(form).unwrap();
            assert_eq!(written.as_str(), Some(form.name()));
        }
    }

    #[test]
    fn a_site_is_named_after_its_school() {
        let id: SiteId = "NW-162437/main".parse().unwrap();
        assert_eq!((id.school().as_str(), id.part()), ("NW-162437", "main"));
        assert_eq!(id.to_string(), "NW-162437/main");
        for text in [
            "NW-162437",
            "NW-162437/",
            "NW-162437/Main",
            "main",
            "NW-1/a/b",
        ] {
            assert!(text.parse::<SiteId>().is_err(), "{text}");
        }
    }
}
