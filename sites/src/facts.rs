//! What is counted in a school, as far as targets ask for it.

use serde::{Deserialize, Serialize};

/// A count that a formula may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Classes of the school.
    Classes,
    /// Pupils.
    Pupils,
    /// Teachers.
    Teachers,
    /// All who work at the school, teachers included.
    Staff,
    /// Pupils and staff together.
    Users,
    /// Rooms in which lessons are given.
    RoomsTeaching,
    /// Devices in the school's network.
    Devices,
    /// Pupils of all schools of the authority.
    AuthorityPupils,
    /// Staff of all schools of the authority.
    AuthorityStaff,
    /// Pupils and staff of all schools of the authority together.
    AuthorityUsers,
}

impl Fact {
    /// All facts, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Classes,
        Self::Pupils,
        Self::Teachers,
        Self::Staff,
        Self::Users,
        Self::RoomsTeaching,
        Self::Devices,
        Self::AuthorityPupils,
        Self::AuthorityStaff,
        Self::AuthorityUsers,
    ];

    /// The name used in formulas and site files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::Pupils => "pupils",
            Self::Teachers => "teachers",
            Self::Staff => "staff",
            Self::Users => "users",
            Self::RoomsTeaching => "rooms_teaching",
            Self::Devices => "devices",
            Self::AuthorityPupils => "authority_pupils",
            Self::AuthorityStaff => "authority_staff",
            Self::AuthorityUsers => "authority_users",
        }
    }

    /// The largest count that a school can plausibly have. Larger ones are typing errors: Germany's
    /// largest schools, vocational ones, count below 10 000 pupils (project default).
    #[must_use]
    pub const fn largest_plausible(self) -> u32 {
        match self {
            Self::Classes | Self::RoomsTeaching => 1_000,
            Self::Teachers | Self::Staff => 5_000,
            Self::Pupils => 30_000,
            Self::Users => 35_000,
            Self::Devices => 100_000,
            // The largest authority is a city of millions.
            Self::AuthorityPupils | Self::AuthorityStaff | Self::AuthorityUsers => 2_000_000,
        }
    }
}

/// The counts of a school; what nobody has counted is absent, not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Classes.
    pub classes: Option<u32>,
    /// Pupils.
    pub pupils: Option<u32>,
    /// Teachers.
    pub teachers: Option<u32>,
    /// All who work at the school, teachers included.
    pub staff: Option<u32>,
    /// Rooms in which lessons are given.
    pub rooms_teaching: Option<u32>,
    /// Devices in the school's network.
    pub devices: Option<u32>,
    /// The size of the whole authority: some rules differ by it.
    #[serde(skip_serializing_if = "AuthorityFacts::is_unstated", default)]
    pub authority: AuthorityFacts,
}

/// The counts of all schools of an authority together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityFacts {
    /// Pupils.
    pub pupils: Option<u32>,
    /// All who work at its schools, teachers included.
    pub staff: Option<u32>,
}

impl AuthorityFacts {
    /// The sums over `schools`, as far as every one of them states its part; nothing of no schools.
    pub fn sum(schools: impl Iterator<Item = Facts>) -> Self {
        let add = |sum: Option<u32>, part: Option<u32>| Some(sum?.saturating_add(part?));
        schools
            .map(|school| Self {
                pupils: school.pupils,
                staff: school.staff,
            })
            .reduce(|sum, school| Self {
                pupils: add(sum.pupils, school.pupils),
                staff: add(sum.staff, school.staff),
            })
            .unwrap_or_default()
    }

    // The signature that serde asks for.
    fn is_unstated(&self) -> bool {
        *self == Self::default()
    }
}

impl Facts {
    /// The count of a fact.
    ///
    /// # Errors
    /// The fact that is missing: for [`Fact::Users`] the first of its parts that is not stated.
    pub fn get(&self, fact: Fact) -> Result<u32, Fact> {
        let stated = match fact {
            Fact::Classes => self.classes,
            Fact::Pupils => self.pupils,
            Fact::Teachers => self.teachers,
            Fact::Staff => self.staff,
            Fact::Users => {
                return Ok(self
                    .get(Fact::Pupils)?
                    .saturating_add(self.get(Fact::Staff)?));
            }
            Fact::RoomsTeaching => self.rooms_teaching,
            Fact::Devices => self.devices,
            Fact::AuthorityPupils => self.authority.pupils,
            Fact::AuthorityStaff => self.authority.staff,
            Fact::AuthorityUsers => {
                return Ok(self
                    .get(Fact::AuthorityPupils)?
                    .saturating_add(self.get(Fact::AuthorityStaff)?));
            }
        };
        stated.ok_or(fact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_pupils_and_staff_and_name_the_part_that_is_missing() {
        let mut facts = Facts {
            pupils: Some(300),
            ..Facts::default()
        };
        assert_eq!(facts.get(Fact::Users), Err(Fact::Staff));
        facts.staff = Some(30);
        assert_eq!(facts.get(Fact::Users), Ok(330));
        assert_eq!(facts.get(Fact::Classes), Err(Fact::Classes));
    }

    #[test]
    fn an_authority_is_as_large_as_its_schools_where_all_of_them_are_counted() {
        let school = |pupils, staff| Facts {
            pupils: Some(pupils),
            staff,
            ..Facts::default()
        };
        let schools = [school(300, Some(30)), school(1000, None)];
        let sum = AuthorityFacts::sum(schools.into_iter());
        assert_eq!((sum.pupils, sum.staff), (Some(1300), None));
        assert_eq!(
            AuthorityFacts::sum(std::iter::empty()),
            AuthorityFacts::default()
        );
    }
}
