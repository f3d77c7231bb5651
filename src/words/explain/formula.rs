//! A formula in words: its names and functions as a councillor reads them.

use messnetz_sites::facts::Fact;

use crate::text::{Language, Text};

impl Text {
    /// A formula with words in place of its names, and numbers as the language writes them.
    pub(super) fn formula(&self, written: &str) -> String {
        let is_letter = |char: char| char.is_ascii_lowercase() || char == '_';
        let mut rest = written;
        let mut said = String::new();
        while let Some(first) = rest.chars().next() {
            let letters = is_letter(first);
            let end = rest
                .find(|char| is_letter(char) != letters)
                .unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            rest = after;
            if letters {
                said.push_str(&self.formula_name(part));
            } else {
                let signs = part.replace('*', "×");
                said.push_str(&match self.language {
                    Language::De => signs.replace(',', ";").replace('.', ","),
                    Language::En => signs,
                });
            }
        }
        said
    }

    fn formula_name(&self, name: &str) -> String {
        match Fact::ALL.into_iter().find(|fact| fact.name() == name) {
            Some(fact) => self.fact(fact),
            None => match name {
                "min" => self.say("formula-min"),
                "max" => self.say("formula-max"),
                "below" => self.say("formula-below"),
                unknown => unknown.to_owned(),
            },
        }
    }

    /// What a school counts, in words.
    pub(super) fn fact(&self, fact: Fact) -> String {
        match fact {
            Fact::Classes => self.say("fact-classes"),
            Fact::Pupils => self.say("fact-pupils"),
            Fact::Teachers => self.say("fact-teachers"),
            Fact::Staff => self.say("fact-staff"),
            Fact::Users => self.say("fact-users"),
            Fact::RoomsTeaching => self.say("fact-rooms-teaching"),
            Fact::Devices => self.say("fact-devices"),
            Fact::AuthorityPupils => self.say("fact-authority-pupils"),
            Fact::AuthorityStaff => self.say("fact-authority-staff"),
            Fact::AuthorityUsers => self.say("fact-authority-users"),
        }
    }
}
