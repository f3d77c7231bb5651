//! An error with all that led to it, for where there is one line.

use std::error::Error;

/// The error and its causes, in the order in which they are told.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
