//! Why the spool did not do what was asked.

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::wire::batch::NotWritable;

/// The spool did not do what was asked.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The file cannot be used.
    #[error("reading or writing the spool")]
    Database(#[from] rusqlite::Error),
    /// An observation or a receipt cannot be written as JSON.
    #[error("writing into the spool")]
    Json(#[from] serde_json::Error),
    /// What waits makes no batch.
    #[error("making a batch of what waits in the spool")]
    Seal(#[from] NotWritable),
    /// The file does not hold together.
    #[error("the spool is damaged: {0}")]
    Damaged(String),
    /// A file of the spool cannot be made, moved or read.
    #[error("{doing} the spool {path}")]
    File {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The operating system gave no random numbers.
    #[error("naming a boot: the operating system gave no random numbers")]
    NoRandom,
}

impl SpoolError {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Database(error) => error.sqlite_error_code(),
            _ => None,
        }
    }

    /// Whether the file is beyond repair.
    pub(super) fn is_damage(&self) -> bool {
        let of_file = [ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase];
        matches!(self, Self::Damaged(_)) || self.code().is_some_and(|code| of_file.contains(&code))
    }

    /// Whether there was no room for it.
    pub(in super::super) fn is_full(&self) -> bool {
        self.code() == Some(ErrorCode::DiskFull)
    }
}
