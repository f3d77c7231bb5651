//! `messnetz sites export`: the site file as a table or a map.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use messnetz_sites::roster::{to_csv, to_geojson, to_xlsx};
use serde::Serialize;

use super::{Ending, load_authority, print, print_json};
use crate::cli::replace::replace;
use crate::text::{Language, Text};

/// Write the schools of a site file as a table or as a map
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz sites export authority.toml --to xlsx --out schools.xlsx\n  messnetz sites export authority.toml --to geojson --out schools.geojson\n\nOne row, or one point, for each site. CSV has semicolons, as spreadsheets in Germany open it."
)]
pub(super) struct Arguments {
    /// The site file
    file: PathBuf,
    /// The form to write
    #[arg(long, value_enum)]
    to: Form,
    /// The file to write
    #[arg(long)]
    out: PathBuf,
    /// Language
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Csv,
    Xlsx,
    Geojson,
}

#[derive(Serialize)]
struct Written {
    file: String,
    schools: usize,
    sites: usize,
    sites_without_coordinates: usize,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let authority = load_authority(&arguments.file)?;
    let bytes = match arguments.to {
        Form::Csv => to_csv(&authority)?,
        Form::Xlsx => to_xlsx(&authority)?,
        Form::Geojson => to_geojson(&authority)?,
    };
    replace(&arguments.out, &bytes)?;
    let without = authority
        .sites()
        .filter(|site| site.coordinates.is_none())
        .count();
    let written = Written {
        file: arguments.out.display().to_string(),
        schools: authority.schools.len(),
        sites: authority.sites().count(),
        sites_without_coordinates: without,
    };
    if arguments.json {
        print_json(&written)?;
    } else {
        let gaps = [
            ("file", written.file.as_str().into()),
            ("schools", written.schools.into()),
            ("sites", written.sites.into()),
            ("without", without.into()),
        ];
        print(&Text::new(arguments.lang).say_with("export-written", &gaps))?;
    }
    Ok(Ending::Well)
}
