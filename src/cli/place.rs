//! The site of a site file that a command is about.

use std::path::PathBuf;

use clap::Args;

use crate::text::Language;

/// A site, and the language to speak of it in.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The site file
    #[arg(long)]
    pub(super) sites: PathBuf,
    /// The site, as SCHOOL/SITE of the site file
    #[arg(long)]
    pub(super) site: String,
    /// Language
    #[arg(long, value_enum, default_value_t)]
    pub(super) lang: Language,
}
