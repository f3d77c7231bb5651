//! What people read, in German and English: one Fluent file a language, one key a sentence.

use std::fmt;

use fluent_bundle::{FluentArgs, FluentBundle, FluentResource, FluentValue};
use serde::{Deserialize, Serialize};
use unic_langid::LanguageIdentifier;

/// A language that this program speaks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// German.
    #[default]
    De,
    /// English.
    En,
}

impl Language {
    /// The tag of RFC 5646, as in `lang="de"`.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::De => "de",
            Self::En => "en",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::De => include_str!("text/de.ftl"),
            Self::En => include_str!("text/en.ftl"),
        }
    }

    /// A number with this many decimals, after the language's custom: `1.234,5` or `1,234.5`.
    #[must_use]
    pub fn number(self, value: f64, decimals: usize) -> String {
        let (group, point) = match self {
            Self::De => ('.', ','),
            Self::En => (',', '.'),
        };
        let plain = format!("{:.decimals$}", value.abs());
        let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
        let mut text = String::new();
        if value < 0.0 && plain.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
            text.push('\u{2212}');
        }
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                text.push(group);
            }
            text.push(digit);
        }
        if !fraction.is_empty() {
            text.push(point);
            text.push_str(fraction);
        }
        text
    }
}

/// The sentences of one language.
pub struct Text {
    /// Which.
    pub language: Language,
    bundle: FluentBundle<FluentResource>,
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text")
            .field("language", &self.language)
            .finish_non_exhaustive()
    }
}

impl Text {
    /// The sentences of `language`.
    #[must_use]
    pub fn new(language: Language) -> Self {
        // The files are part of the program; a test reads them without errors.
        let resource = match FluentResource::try_new(language.source().to_owned()) {
            Ok(resource) | Err((resource, _)) => resource,
        };
        let tag: LanguageIdentifier = language.tag().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new(vec![tag]);
        // Marks around inserted text help mixed scripts; terminals show them as rubbish.
        bundle.set_use_isolating(false);
        bundle.add_resource_overriding(resource);
        Self { language, bundle }
    }

    /// The sentence of this key.
    #[must_use]
    pub fn say(&self, key: &str) -> String {
        self.say_with(key, &[])
    }

    /// The sentence of this key with its gaps filled. A key that does not exist is shown itself, which
    /// a test makes impossible for the keys of this program.
    #[must_use]
    pub fn say_with(&self, key: &str, gaps: &[(&str, FluentValue<'_>)]) -> String {
        let Some(pattern) = self
            .bundle
            .get_message(key)
            .and_then(|message| message.value())
        else {
            return key.to_owned();
        };
        let mut arguments = FluentArgs::new();
        for (name, value) in gaps {
            arguments.set(*name, value.clone());
        }
        self.bundle
            .format_pattern(pattern, Some(&arguments), &mut Vec::new())
            .into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Key → names of its gaps.
    fn messages(language: Language) -> BTreeMap<String, BTreeSet<String>> {
        let mut messages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut last = String::new();
        for line in language
            .source()
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            let gaps = |text: &str| -> Vec<String> {
                text.split("{ $")
                    .skip(1)
                    .filter_map(|rest| rest.split([' ', '}']).next().map(str::to_owned))
                    .collect()
            };
            if let Some((key, text)) = line
                .split_once(" =")
                .filter(|(key, _)| !key.starts_with(' ') && !key.is_empty())
            {
                messages.insert(key.to_owned(), gaps(text).into_iter().collect());
                key.clone_into(&mut last);
            } else if let Some(found) = messages.get_mut(&last) {
                found.extend(gaps(line));
            }
        }
        messages
    }

    #[test]
    fn both_files_are_read_without_errors() {
        for language in [Language::De, Language::En] {
            let read = FluentResource::try_new(language.source().to_owned());
            assert!(
                read.is_ok(),
                "{language:?}: {:?}",
                read.err().map(|(_, errors)| errors)
            );
        }
    }

    #[test]
    fn both_languages_have_the_same_keys_with_the_same_gaps() {
        assert_eq!(messages(Language::De), messages(Language::En));
    }

    #[test]
    fn every_sentence_is_said_and_everything_said_is_a_sentence() {
        let known = messages(Language::En);
        let mut said = BTreeSet::new();
        let program = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
        let files = rust_files(program);
        // This file only speaks of saying.
        for path in files.iter().filter(|path| !path.ends_with("src/text.rs")) {
            let source = std::fs::read_to_string(path).unwrap();
            let calls = source
                .split(".say(")
                .chain(source.split(".say_with("))
                .skip(1);
            for call in calls.filter_map(|call| call.trim_start().strip_prefix('"')) {
                let key = call.split('"').next().unwrap();
                assert!(
                    known.contains_key(key),
                    "{}: no sentence '{key}'",
                    path.display()
                );
                said.insert(key.to_owned());
            }
        }
        let unsaid: Vec<_> = known.keys().filter(|key| !said.contains(*key)).collect();
        assert!(unsaid.is_empty(), "nothing says {unsaid:?}");
    }

    fn rust_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .flat_map(|path| {
                if path.is_dir() {
                    rust_files(&path)
                } else {
                    vec![path]
                }
            })
            .filter(|path| path.extension().is_some_and(|end| end == "rs"))
            .collect()
    }

    #[test]
    fn numbers_follow_the_language() {
        assert_eq!(Language::De.number(1_234_567.25, 1), "1.234.567,2");
        assert_eq!(Language::En.number(1_234.0, 0), "1,234");
        assert_eq!(Language::De.number(-0.04, 1), "0,0");
        assert_eq!(Language::De.number(-12.5, 1), "\u{2212}12,5");
    }
}
