//! Reading TOML that a person wrote: every refusal names file, line and column, and a misspelt key or
//! value comes with the word that was probably meant.
//!
//! No file is opened here; the caller brings the text and the name to show for it.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::spelling;

/// Larger texts are refused before they are parsed. A site file of all 33 000 German schools, as an
/// import writes it, stays below.
pub const SIZE_LIMIT: usize = 48 * 1024 * 1024;

/// Longest message and key that a problem carries, in characters: a hostile file cannot fill a log.
const TEXT_LIMIT: usize = 400;

/// Reads `text` as a `T`; `file` is the name to show in a problem.
///
/// # Errors
/// The first [`Problem`] of syntax, of an unknown key (where `T` denies them) or of a value that `T`
/// refuses.
pub fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Problem> {
    Document::new(file, text).read()
}

/// Something in a file that cannot be accepted, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key or fact that it is about, where there is one.
    pub field: Option<String>,
    /// What is wrong, and what would be accepted.
    pub message: String,
    /// The word that was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            suggestion,
            ..
        } = self;
        write!(f, "{file}:{line}:{column}: {message}")?;
        match suggestion {
            Some(word) => write!(f, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// A text with its name, so that byte offsets can be turned into places.
#[derive(Clone, Copy)]
pub(crate) struct Document<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Document<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        // Editors on Windows put a byte order mark in front; it is no character of the file.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { file, text }
    }

    /// The name of the text.
    pub(crate) fn file(self) -> &'a str {
        self.file
    }

    /// The text, unless it is larger than what is read.
    pub(crate) fn sized_text(self) -> Result<&'a str, Problem> {
        if self.text.len() > SIZE_LIMIT {
            let message = format!(
                "the file has {} bytes, more than the {SIZE_LIMIT} that are read",
                self.text.len()
            );
            return Err(self.problem(0, None, message));
        }
        Ok(self.text)
    }

    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, Problem> {
        toml::from_str(self.sized_text()?).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            self.worded(offset, error.message())
        })
    }

    /// A problem at a byte offset of the text.
    pub(crate) fn problem(
        self,
        offset: usize,
        field: Option<&str>,
        message: impl fmt::Display,
    ) -> Problem {
        let before = self.before(offset);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Problem {
            file: self.file.to_owned(),
            line: self.line(offset),
            column: before[line_start..].chars().count() + 1,
            field: field.map(cut),
            message: cut(&message.to_string().replace('\n', " ")),
            suggestion: None,
        }
    }

    /// The line of a byte offset, from 1.
    pub(crate) fn line(self, offset: usize) -> usize {
        let newlines = self.before(offset).bytes().filter(|byte| *byte == b'\n');
        newlines.count() + 1
    }

    /// The text before a byte offset.
    fn before(self, offset: usize) -> &'a str {
        &self.text[..self.text.floor_char_boundary(offset)]
    }

    /// Like [`Self::problem`], with the word of `known` that was probably meant.
    pub(crate) fn misspelt(
        self,
        offset: usize,
        word: &str,
        message: impl fmt::Display,
        known: &[&str],
    ) -> Problem {
        Problem {
            suggestion: spelling::nearest(word, known.iter().copied()).map(str::to_owned),
            ..self.problem(offset, Some(word), message)
        }
    }

    /// Turns serde's wording into ours. Serde states an unknown word and the known ones only in its
    /// message: "unknown field `a`, expected one of `b`, `c`".
    fn worded(self, offset: usize, message: &str) -> Problem {
        if let Some((kind, word, known)) = unknown_word(message) {
            let listed = known.join(", ");
            let message = format!("unknown {kind} `{word}` (known here: {listed})");
            return self.misspelt(offset, word, message, &known);
        }
        let missing = message
            .strip_prefix("missing field `")
            .and_then(|rest| rest.strip_suffix('`'));
        if let Some(key) = missing {
            return self.problem(offset, Some(key), format!("the key `{key}` is missing"));
        }
        self.problem(offset, self.key_at(offset), message)
    }

    /// The bare key in front of the `=` of the line that holds `offset`.
    fn key_at(self, offset: usize) -> Option<&'a str> {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[line_start..].lines().next()?;
        let key = line.split_once('=')?.0.trim();
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        (!key.is_empty() && key.chars().all(bare)).then_some(key)
    }
}

/// Takes "unknown field `a`, expected one of `b`, `c`" apart into (`key`, `a`, [`b`, `c`]).
fn unknown_word(message: &str) -> Option<(&'static str, &str, Vec<&str>)> {
    let (kind, rest) = if let Some(rest) = message.strip_prefix("unknown field `") {
        ("key", rest)
    } else {
        ("value", message.strip_prefix("unknown variant `")?)
    };
    // The unknown word may hold anything, the known ones are identifiers: split at the last "expected".
    let (word, expected) = rest.rsplit_once("`, expected ")?;
    let known = expected.split('`').skip(1).step_by(2).collect();
    Some((kind, word, known))
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors are looked at")]
    struct Sample {
        classes: u32,
        #[serde(default)]
        form: Option<Form>,
        #[serde(default)]
        inner: Option<Box<Sample>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Form {
        Primary,
        Secondary,
    }

    #[test]
    fn a_refusal_names_its_place_and_the_word_that_was_meant() {
        for (text, expected) in [
            (
                "classes = 1\n\n[inner]\nclasses = 2\n  clases = 2\n",
                "f.toml:5:3: unknown key `clases` (known here: classes, form, inner); did you mean `classes`?",
            ),
            (
                "\u{feff}clases = 2\n",
                "f.toml:1:1: unknown key `clases` (known here: classes, form, inner); did you mean `classes`?",
            ),
            (
                "classes = 1\nform = \"primry\"\n",
                "f.toml:2:8: unknown value `primry` (known here: primary, secondary); did you mean `primary`?",
            ),
            (
                "classes = 1\nweather = 2\n",
                "f.toml:2:1: unknown key `weather` (known here: classes, form, inner)",
            ),
            (
                "form = \"primary\"\n",
                "f.toml:1:1: the key `classes` is missing",
            ),
            (
                "classes = \"twelve\"\n",
                "f.toml:1:11: invalid type: string \"twelve\", expected u32",
            ),
            (
                "classes = -1\n",
                "f.toml:1:11: invalid value: integer `-1`, expected u32",
            ),
            ("classes = 1\nclasses = 2\n", "f.toml:2:1: duplicate key"),
            (
                "classes = \n",
                "f.toml:1:11: string values must be quoted, expected literal string",
            ),
        ] {
            let problem = read::<Sample>("f.toml", text).expect_err(text);
            assert_eq!(problem.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_refused_value_names_its_key() {
        let problem = read::<Sample>("f.toml", "classes = \"x\"").unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("classes"));
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_refused_in_words() {
        let large = "#".repeat(SIZE_LIMIT + 1);
        let problem = read::<Sample>("f.toml", &large).unwrap_err();
        assert!(problem.message.contains("more than"), "{problem}");
        let deep = format!("classes = {}", "[".repeat(100_000));
        assert!(read::<Sample>("f.toml", &deep).is_err());
        let key = "k".repeat(100_000);
        let problem = read::<Sample>("f.toml", &format!("{key} = 1")).unwrap_err();
        assert!(problem.to_string().chars().count() < 2 * TEXT_LIMIT);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in ".{0,200}") {
            let _ = read::<Sample>("f.toml", &text);
        }

        #[test]
        fn no_key_makes_reading_panic(key in "[`'\"a-z,ä ]{0,20}") {
            let _ = read::<Sample>("f.toml", &format!("\"{key}\" = 1"));
        }
    }
}
