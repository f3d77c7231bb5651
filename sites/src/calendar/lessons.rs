//! Which school teaches when: the rules of the site file, then the built-in ones.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::hours::{Hours, Stretch, UnsoundHours};
use super::land::Land;
use crate::site::SchoolForm;
use crate::source::Source;

/// The built-in rules.
const BUILT_IN: &str = include_str!("../../calendar/lessons.toml");

/// Hours for all schools of some forms.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LessonRule {
    /// The forms that it is for; empty for all.
    pub forms: Vec<SchoolForm>,
    /// The Länder that it is for; empty for all.
    pub laender: Vec<Land>,
    /// For schools with all-day teaching (Ganztag) only.
    pub all_day: bool,
    /// The hours.
    pub hours: Hours,
    /// Who says so; none where the authority itself does.
    pub source: Option<Source>,
}

impl LessonRule {
    pub(super) fn fits(&self, form: SchoolForm, land: Option<Land>, all_day: bool) -> bool {
        (self.forms.is_empty() || self.forms.contains(&form))
            && (self.laender.is_empty() || land.is_some_and(|land| self.laender.contains(&land)))
            && (all_day || !self.all_day)
    }
}

/// The rules that hold where the authority says nothing.
pub(super) fn built_in() -> &'static [LessonRule] {
    static RULES: LazyLock<Vec<LessonRule>> = LazyLock::new(|| {
        // The file is part of the program; a test reads it.
        toml::from_str::<WrittenRules>(BUILT_IN)
            .map_or_else(|_| Vec::new(), |written| written.rule)
            .into_iter()
            .filter_map(|rule| rule.rule().ok())
            .collect()
    });
    &RULES
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRules {
    rule: Vec<WrittenRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    #[serde(default)]
    forms: Vec<SchoolForm>,
    #[serde(default)]
    laender: Vec<Land>,
    #[serde(default)]
    all_day: bool,
    hours: Vec<Stretch>,
    #[serde(default)]
    breaks: Vec<Stretch>,
    source: Source,
}

impl WrittenRule {
    fn rule(self) -> Result<LessonRule, UnsoundHours> {
        Ok(LessonRule {
            forms: self.forms,
            laender: self.laender,
            all_day: self.all_day,
            hours: Hours::new(self.hours, self.breaks)?,
            source: Some(self.source),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Mark;

    #[test]
    fn every_built_in_rule_is_sound_and_labelled_as_the_projects_own() {
        let written: WrittenRules = toml::from_str(BUILT_IN).unwrap();
        assert_eq!(written.rule.len(), built_in().len());
        for rule in written.rule {
            assert_eq!(rule.source.mark, Mark::ProjectDefault);
            rule.rule().unwrap();
        }
    }

    #[test]
    fn every_school_finds_a_rule() {
        let land = |code: &str| Some(code.parse::<Land>().unwrap());
        for (form, land, all_day, expected) in [
            (SchoolForm::Primary, land("NW"), false, "07:45-13:15"),
            (SchoolForm::Primary, land("NW"), true, "07:30-16:00"),
            (SchoolForm::Grammar, land("RP"), true, "07:45-16:00"),
            (SchoolForm::Other, None, false, "07:45-13:15"),
            (SchoolForm::AdultEducation, None, true, "07:45-13:15"),
        ] {
            let rule = built_in()
                .iter()
                .find(|rule| rule.fits(form, land, all_day))
                .unwrap();
            assert_eq!(rule.hours.school()[0].to_string(), expected, "{form:?}");
        }
    }
}
