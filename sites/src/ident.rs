//! Names of schools, sites, profiles, targets and upgrades: validated texts that cannot be mistaken for
//! one another.

use thiserror::Error;

/// Why a text cannot be an id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{text}' is no {what} ({form})")]
pub struct InvalidId {
    what: &'static str,
    form: &'static str,
    text: String,
}

/// Declares a newtype over `String` that only holds what `$accepts` accepts.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $form:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Accepts ", $form, ".")]
            ///
            /// # Errors
            /// [`InvalidId`](crate::ident::InvalidId) with the accepted form.
            pub fn new(text: &str) -> Result<Self, $crate::ident::InvalidId> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err($crate::ident::refused($what, $form, text))
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ident::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::ident::InvalidId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}
pub(crate) use text_id;

pub(crate) fn refused(what: &'static str, form: &'static str, text: &str) -> InvalidId {
    InvalidId {
        what,
        form,
        text: text.chars().take(80).collect(),
    }
}

/// One word of lower-case letters, digits and hyphens, up to 64 characters, not beginning or ending
/// with a hyphen.
pub(crate) fn is_slug(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=64).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Two slugs joined by a slash.
pub(crate) fn is_slug_pair(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(owner, part)| is_slug(owner) && is_slug(part))
}
