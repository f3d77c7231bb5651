//! Which schools a target is meant for, and which of several targets of one name holds for a school.

use serde::Serialize;

use super::TargetId;
use crate::site::{School, SchoolForm, SchoolId};

/// Which schools a target is meant for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applies {
    /// All schools.
    #[default]
    All,
    /// Schools of these forms.
    Forms(Vec<SchoolForm>),
    /// These schools.
    Schools(Vec<SchoolId>),
}

impl Applies {
    /// Whether it is meant for `school`.
    #[must_use]
    pub fn to(&self, school: &School) -> bool {
        match self {
            Self::All => true,
            Self::Forms(forms) => forms.contains(&school.form),
            Self::Schools(schools) => schools.contains(&school.id),
        }
    }

    /// What is said of a school holds before what is said of its form, and that before what is said of all.
    const fn precedence(&self) -> u8 {
        match self {
            Self::All => 0,
            Self::Forms(_) => 1,
            Self::Schools(_) => 2,
        }
    }

    /// Whether everything that `other` is meant for is meant by this as well, as far as the two can be
    /// compared without knowing the schools' forms.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Forms(own), Self::Forms(other)) => other.iter().all(|form| own.contains(form)),
            (Self::Schools(own), Self::Schools(other)) => {
                other.iter().all(|school| own.contains(school))
            }
            _ => false,
        }
    }

    /// Whether the two say something of one school with the same right, so that neither holds before the
    /// other.
    pub(super) fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::Forms(own), Self::Forms(other)) => own.iter().any(|form| other.contains(form)),
            (Self::Schools(own), Self::Schools(other)) => {
                own.iter().any(|school| other.contains(school))
            }
            _ => false,
        }
    }

    /// This without what `other` is meant for with the same right; `None` where nothing remains.
    pub(super) fn without(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::All, Self::All) => None,
            (Self::Forms(own), Self::Forms(other)) => {
                let rest: Vec<_> = own.iter().filter(|f| !other.contains(f)).copied().collect();
                (!rest.is_empty()).then_some(Self::Forms(rest))
            }
            (Self::Schools(own), Self::Schools(other)) => {
                let rest: Vec<_> = own.iter().filter(|s| !other.contains(s)).cloned().collect();
                (!rest.is_empty()).then_some(Self::Schools(rest))
            }
            _ => Some(self.clone()),
        }
    }
}

/// A target of either kind: measured or stated in an inventory.
pub(super) trait Named {
    fn id(&self) -> &TargetId;
    fn applies(&self) -> &Applies;
}

/// Of `targets` those that hold for `school`: of several with one name the one that is meant most closely.
pub(super) fn held<'a, T: Named>(
    targets: &'a [T],
    school: &'a School,
) -> impl Iterator<Item = &'a T> {
    targets.iter().filter(move |target| {
        let is_closer = |other: &&T| {
            other.id() == target.id()
                && other.applies().to(school)
                && other.applies().precedence() > target.applies().precedence()
        };
        target.applies().to(school) && !targets.iter().any(|other| is_closer(&other))
    })
}
