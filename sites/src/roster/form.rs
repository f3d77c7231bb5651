//! The states' names and keys for forms of school, mapped to the neutral [`SchoolForm`]; and what stands
//! in the same lists and is no school.

use super::folded;
use crate::site::SchoolForm;

/// What a list's word or key for a form means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A school of this form.
    School(SchoolForm),
    /// No school: a seminar, an office.
    NoSchool,
}

/// Schulformschlüssel of North Rhine-Westphalia with the Land's name. Keys that are not here (81, 83, 85,
/// 87, 88 occur) are schools of a form that the name has to tell.
const NRW: [(&str, &str, Meaning); 21] = [
    ("02", "Grundschule", Meaning::School(SchoolForm::Primary)),
    ("04", "Hauptschule", Meaning::School(SchoolForm::Secondary)),
    ("06", "Volksschule", Meaning::School(SchoolForm::Secondary)),
    ("08", "Förderschule", Meaning::School(SchoolForm::Special)),
    ("10", "Realschule", Meaning::School(SchoolForm::Secondary)),
    (
        "13",
        "PRIMUS-Schule",
        Meaning::School(SchoolForm::Comprehensive),
    ),
    (
        "14",
        "Sekundarschule",
        Meaning::School(SchoolForm::Secondary),
    ),
    (
        "15",
        "Gesamtschule",
        Meaning::School(SchoolForm::Comprehensive),
    ),
    (
        "16",
        "Gemeinschaftsschule",
        Meaning::School(SchoolForm::Comprehensive),
    ),
    (
        "17",
        "Freie Waldorfschule",
        Meaning::School(SchoolForm::Other),
    ),
    ("18", "Hiberniaschule", Meaning::School(SchoolForm::Other)),
    (
        "19",
        "Förderschule (Waldorf)",
        Meaning::School(SchoolForm::Special),
    ),
    ("20", "Gymnasium", Meaning::School(SchoolForm::Grammar)),
    (
        "25",
        "Weiterbildungskolleg",
        Meaning::School(SchoolForm::AdultEducation),
    ),
    (
        "30",
        "Berufskolleg",
        Meaning::School(SchoolForm::Vocational),
    ),
    ("0A", "", Meaning::NoSchool),
    ("50", "", Meaning::NoSchool),
    ("51", "", Meaning::NoSchool),
    ("52", "", Meaning::NoSchool),
    ("56", "", Meaning::NoSchool),
    ("58", "", Meaning::NoSchool),
];

/// The Land's name and the meaning of a key of North Rhine-Westphalia. Spreadsheets drop leading zeros.
pub(super) fn nrw(key: &str) -> Option<(&'static str, Meaning)> {
    let padded = format!("{key:0>2}");
    let row = NRW.iter().find(|(known, ..)| *known == padded)?;
    Some((row.1, row.2))
}

/// The third character of a Berlin school number: the kind of school.
pub(super) fn berlin(number: &str) -> Option<SchoolForm> {
    match number.chars().nth(2)? {
        'A' => Some(SchoolForm::AdultEducation),
        'B' => Some(SchoolForm::Vocational),
        'G' => Some(SchoolForm::Primary),
        'K' => Some(SchoolForm::Comprehensive),
        'S' => Some(SchoolForm::Special),
        'Y' => Some(SchoolForm::Grammar),
        _ => None,
    }
}

/// Parts of words that tell a form, in the order in which they count: a *Förderschule
/// Realschule/Gymnasium* is a Förderschule, a *Grund- und Hauptschule* goes on after the primary years.
const WORDS: [(&str, SchoolForm); 44] = [
    ("foerderschul", SchoolForm::Special),
    ("foerderzentr", SchoolForm::Special),
    ("foerderberufskolleg", SchoolForm::Special),
    ("sonderpaedagog", SchoolForm::Special),
    ("sonderschul", SchoolForm::Special),
    ("specialschool", SchoolForm::Special),
    ("academyspecial", SchoolForm::Special),
    ("freeschoolsspecial", SchoolForm::Special),
    ("pupilreferralunit", SchoolForm::Special),
    ("weiterbildungskolleg", SchoolForm::AdultEducation),
    ("abendgymnas", SchoolForm::AdultEducation),
    ("abendschul", SchoolForm::AdultEducation),
    ("abendrealschul", SchoolForm::AdultEducation),
    ("zweiterbildungsweg", SchoolForm::AdultEducation),
    ("zweitenbildungsweg", SchoolForm::AdultEducation),
    ("volkshochschul", SchoolForm::AdultEducation),
    ("berufsbild", SchoolForm::Vocational),
    ("berufskolleg", SchoolForm::Vocational),
    ("berufsschul", SchoolForm::Vocational),
    ("berufsfachschul", SchoolForm::Vocational),
    ("beruflich", SchoolForm::Vocational),
    ("oberstufenzentrum", SchoolForm::Vocational),
    ("fachoberschul", SchoolForm::Vocational),
    ("fachschul", SchoolForm::Vocational),
    ("pflegeschul", SchoolForm::Vocational),
    ("furthereducation", SchoolForm::Vocational),
    ("gesamtschul", SchoolForm::Comprehensive),
    ("gemeinschaftsschul", SchoolForm::Comprehensive),
    ("integriertesekundarschul", SchoolForm::Comprehensive),
    ("stadtteilschul", SchoolForm::Comprehensive),
    ("primusschul", SchoolForm::Comprehensive),
    ("allthrough", SchoolForm::Comprehensive),
    ("waldorf", SchoolForm::Other),
    ("gymnasi", SchoolForm::Grammar),
    ("hauptschul", SchoolForm::Secondary),
    ("realschul", SchoolForm::Secondary),
    ("mittelschul", SchoolForm::Secondary),
    ("sekundarschul", SchoolForm::Secondary),
    ("regelschul", SchoolForm::Secondary),
    ("oberschul", SchoolForm::Secondary),
    ("volksschul", SchoolForm::Secondary),
    ("secondary", SchoolForm::Secondary),
    ("grundschul", SchoolForm::Primary),
    ("primary", SchoolForm::Primary),
];

/// Parts of words for what is no school although it stands in lists of schools.
const NO_SCHOOL: [&str; 7] = [
    "studienseminar",
    "lehrerausbildung",
    "schulpsycholog",
    "schulamt",
    "medienzentrum",
    "schulkindergarten",
    "childrenscentre",
];

/// The meaning of a form in words.
pub(super) fn in_words(text: &str) -> Option<Meaning> {
    if let Some(form) = SchoolForm::ALL.iter().find(|form| form.name() == text) {
        return Some(Meaning::School(*form));
    }
    let text = folded(text);
    if NO_SCHOOL.iter().any(|part| text.contains(part)) {
        return Some(Meaning::NoSchool);
    }
    let (_, form) = WORDS.iter().find(|(part, _)| text.contains(part))?;
    Some(Meaning::School(*form))
}

/// The form that the name of a school tells.
pub(super) fn in_name(name: &str) -> Option<SchoolForm> {
    match in_words(name)? {
        Meaning::School(form) => Some(form),
        // "Schule am Schulamt" is a school.
        Meaning::NoSchool => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lands_words_become_neutral_forms() {
        for (word, form) in [
            ("Grundschule", SchoolForm::Primary),
            ("Primary", SchoolForm::Primary),
            ("Grund- und Hauptschule", SchoolForm::Secondary),
            ("Sekundarschule", SchoolForm::Secondary),
            ("Integrierte Sekundarschule", SchoolForm::Comprehensive),
            ("Förderschule Realschule/Gymnasium", SchoolForm::Special),
            ("Förderschule Berufskolleg", SchoolForm::Special),
            ("Community special school", SchoolForm::Special),
            ("Weiterbildungskolleg", SchoolForm::AdultEducation),
            ("Abendgymnasium", SchoolForm::AdultEducation),
            ("GYMNASIUM", SchoolForm::Grammar),
            ("Freie Waldorfschule", SchoolForm::Other),
        ] {
            assert_eq!(in_words(word), Some(Meaning::School(form)), "{word}");
        }
        assert_eq!(in_words("Studienseminar"), Some(Meaning::NoSchool));
        assert_eq!(in_words("Canisius-Kolleg"), None);
    }

    #[test]
    fn keys_of_seminars_are_no_schools_and_unknown_keys_are_not_left_out() {
        assert_eq!(nrw("2"), nrw("02"));
        for key in ["0A", "50", "51", "52", "56", "58"] {
            assert_eq!(nrw(key).unwrap().1, Meaning::NoSchool, "{key}");
        }
        for key in ["81", "83", "85", "87", "88", ""] {
            assert_eq!(nrw(key), None, "{key}");
        }
    }
}
