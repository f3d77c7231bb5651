//! What can be wrong in a list or a sheet. How it is said is no matter here.

use serde::Serialize;

use crate::facts::Fact;
use crate::inventory::InventoryFact;
use crate::site::{SchoolId, SiteId};

/// Why a person should look at a row or a value. Texts of the list are cut to 60 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "the fields are what the sentence of their variant names"
)]
pub enum Reason {
    /// More than `most` rows: the rest is not read.
    TooManyRows { most: usize },
    /// A cell is longer than any value, perhaps because a quote is never closed.
    CellTooLong,
    /// A quote in the row is never closed: the list ends within it.
    QuoteOpen,
    /// The row has another number of columns than the header.
    Columns { has: usize, needs: usize },
    /// A record of a JSON list is no object.
    NoRecord,
    /// Bytes that are no characters of the list's code page.
    NoCharacters,
    /// Letters that show that the list was saved in the wrong code page.
    WrongCodePage,
    /// The school has no number.
    NoNumber,
    /// The number does not say of which state it is.
    NoState { number: String },
    /// The number has not as many digits as those of this list.
    NotSoManyDigits { number: String, digits: usize },
    /// The text can be no school's number.
    NoSchoolNumber { number: String },
    /// The school has no name.
    NoName,
    /// The name is longer than any.
    NameTooLong { most: usize },
    /// The text names no site.
    NoSite { text: String },
    /// The text is no count.
    NoCount { text: String, fact: Fact },
    /// The count is larger than that of any school.
    CountTooLarge { text: String, fact: Fact, most: u32 },
    /// The coordinates are no place.
    NoPlace { north: String, east: String },
    /// The school stands in the list already, and no column tells sites apart.
    SchoolTwice { school: SchoolId, first: usize },
    /// The site stands in the list already.
    SiteTwice { site: String, first: usize },
    /// A row says otherwise about its school than one before, which counts.
    Contradiction {
        school: SchoolId,
        field: &'static str,
        has: String,
        says: String,
        first: usize,
    },
    /// The sites of a school have more together than any school.
    SumTooLarge {
        school: SchoolId,
        sites: usize,
        fact: Fact,
        sum: u32,
        most: u32,
    },
    /// All sites of a school state as many pupils: perhaps those of the whole school.
    SamePupils {
        school: SchoolId,
        sites: usize,
        pupils: u32,
    },
    /// The coordinates lie far from the other schools of the municipality.
    FarAway {
        school: SchoolId,
        municipality: String,
        at: String,
        km: u32,
    },
    /// A row of a sheet names no school.
    NoSchoolNamed,
    /// A row of a sheet does not say in 1 to 200 characters who states the fact.
    NoOrigin,
    /// The text is no day.
    NoDay { text: String },
    /// The text is no kind of device.
    NoDeviceKind { text: String },
    /// The text is no count of devices.
    NoDeviceCount { text: String, most: u32 },
    /// The text is no year of purchase.
    NoYear { text: String },
    /// The text is no value of the fact.
    NoFactValue { text: String, fact: InventoryFact },
    /// The text is no fact of the template; perhaps another was meant.
    UnknownFact { text: String, meant: Option<String> },
    /// Several states have a school of this number.
    SeveralSchools { school: String },
    /// The site file has no such school.
    UnknownSchool { school: String },
    /// The school has no such site.
    UnknownSite { site: String },
}

impl Reason {
    /// That a site stands in the list already.
    pub(super) fn site_twice(school: &SchoolId, part: &str, first: usize) -> Self {
        let site = SiteId::new(school, part).map_or_else(|_| part.to_owned(), |id| id.to_string());
        Self::SiteTwice { site, first }
    }
}
