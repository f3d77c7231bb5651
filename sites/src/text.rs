//! What a person reads, in both languages of the program.

use serde::{Deserialize, Serialize};

/// One text in German and in English.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bilingual {
    /// German.
    pub de: String,
    /// English.
    pub en: String,
}
