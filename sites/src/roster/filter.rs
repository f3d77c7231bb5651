//! Which schools of a list are wanted: those of an authority, a municipality, a form.

use serde::Serialize;

use super::entry::Entry;
use super::folded;
use crate::site::SchoolForm;

/// Keeps what fits all that is asked; an empty filter keeps everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// The number of the authority (Trägernummer).
    pub authority_number: Option<String>,
    /// A municipality by name or by key.
    pub municipality: Option<String>,
    /// A form: the neutral word or the Land's name.
    pub form: Option<String>,
}

impl Filter {
    /// Whether a school is wanted.
    #[must_use]
    pub fn keeps(&self, entry: &Entry) -> bool {
        let authority = self.authority_number.as_deref().is_none_or(|wanted| {
            let number = entry.register.authority_number.as_deref();
            number.is_some_and(|number| folded(number) == folded(wanted))
        });
        authority && self.keeps_municipality(entry) && self.keeps_form(entry)
    }

    fn keeps_municipality(&self, entry: &Entry) -> bool {
        let Some(wanted) = &self.municipality else {
            return true;
        };
        let register = &entry.register;
        if register.municipality_key.as_deref() == Some(wanted.trim()) {
            return true;
        }
        // The town of the address is another thing than the municipality, but better than nothing.
        let is_it = |name: &String| bare_name(name) == bare_name(wanted);
        if let Some(name) = &register.municipality {
            return is_it(name);
        }
        let mut sites = entry.sites.iter();
        sites.any(|site| site.address.place.as_ref().is_some_and(is_it))
    }

    fn keeps_form(&self, entry: &Entry) -> bool {
        let Some(wanted) = &self.form else {
            return true;
        };
        if let Some(form) = SchoolForm::ALL.iter().find(|form| form.name() == wanted) {
            return entry.form == *form;
        }
        let land = entry.register.land_form.as_deref();
        land.is_some_and(|land| folded(land) == folded(wanted))
    }
}

/// A municipality's name without what offices add: `Krfr. Stadt Dortmund` and `Ahaus, Stadt` are Dortmund
/// and Ahaus.
fn bare_name(name: &str) -> String {
    const ADDED: [&str; 8] = [
        "krfr",
        "kreisfreie",
        "stadt",
        "gemeinde",
        "landeshauptstadt",
        "hansestadt",
        "markt",
        "flecken",
    ];
    let words: Vec<String> = name
        .split(|c: char| !c.is_alphanumeric())
        .map(folded)
        .filter(|word| !word.is_empty() && !ADDED.contains(&word.as_str()))
        .map(|word| {
            if word == "st" {
                "sankt".to_owned()
            } else {
                word
            }
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::bare_name;

    #[test]
    fn a_municipality_is_known_with_and_without_its_title() {
        for (list, asked) in [
            ("Krfr. Stadt Dortmund", "Dortmund"),
            ("Ahaus, Stadt", "ahaus"),
            ("Steinhagen", "Gemeinde Steinhagen"),
            ("Krfr. Stadt Münster", "Muenster"),
        ] {
            assert_eq!(bare_name(list), bare_name(asked), "{list}");
        }
        assert_ne!(
            bare_name("Krfr. Stadt Hamm"),
            bare_name("Hamminkeln, Stadt")
        );
        assert_ne!(bare_name("Castrop-Rauxel, Stadt"), bare_name("Castrop"));
    }
}
