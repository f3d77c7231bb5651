//! `messnetz sites template` and `messnetz sites inventory`: what no agent can measure, collected on a sheet
//! and entered into the site file.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use messnetz_sites::inventory::{
    EnterError, Entered, FactChange, Sheet, enter, template_csv, template_xlsx,
};
use messnetz_sites::roster::{Finding, Format};
use serde::Serialize;

use super::{Ending, import, print, print_json};
use crate::cli::replace::replace;
use crate::collector::load_profiles;
use crate::text::{Language, Text};

/// Write an empty sheet for what no agent can measure: rooms, cabling, devices, support
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz sites template --out inventory.xlsx\n  messnetz sites template --out inventory.csv\n\nThe headers are German, with an example for every fact; the workbook has a second sheet that explains\nthem. Filled in, it comes back with: messnetz sites inventory"
)]
pub(super) struct TemplateArguments {
    /// The file to write: .xlsx or .csv
    #[arg(long)]
    out: PathBuf,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Written {
    file: String,
    bytes: usize,
}

pub(super) fn template(arguments: &TemplateArguments) -> anyhow::Result<Ending> {
    let extension = arguments.out.extension().unwrap_or_default();
    let bytes = if extension.eq_ignore_ascii_case("xlsx") {
        template_xlsx()?
    } else if extension.eq_ignore_ascii_case("csv") {
        template_csv()?
    } else {
        bail!(
            "{}: a template is written as .xlsx or .csv",
            arguments.out.display()
        );
    };
    replace(&arguments.out, &bytes)?;
    let written = Written {
        file: arguments.out.display().to_string(),
        bytes: bytes.len(),
    };
    if arguments.json {
        print_json(&written)?;
    } else {
        print(&format!("Written: {}", written.file))?;
    }
    Ok(Ending::Well)
}

/// Enter a filled sheet into the site file, each fact with its day and its origin
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz sites inventory inventory.xlsx --into authority.toml --dry-run\n  messnetz sites inventory inventory.xlsx --into authority.toml\n\nA newer fact replaces an older one and never the other way round.\nExit code 1 where a row needs looking at, 2 where nothing could be written."
)]
pub(super) struct Arguments {
    /// The sheet, XLSX or CSV
    file: PathBuf,
    /// The site file
    #[arg(long, value_name = "SITE FILE")]
    into: PathBuf,
    /// Say what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write what was understood although rows were not
    #[arg(long)]
    leave_out_problems: bool,
    /// Language
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    file: String,
    rows: usize,
    examples: usize,
    facts: usize,
    entered: &'a [FactChange],
    kept: &'a [FactChange],
    unchanged: usize,
    findings: Vec<&'a Finding>,
    written: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let name = arguments.file.display().to_string();
    let bytes = fs::read(&arguments.file).with_context(|| format!("cannot read {name}"))?;
    let sheet = Sheet::read(&bytes).with_context(|| name.clone())?;
    let into = arguments.into.display().to_string();
    let text =
        fs::read_to_string(&arguments.into).with_context(|| format!("cannot read {into}"))?;
    let profiles = load_profiles(&arguments.into, &text)?;
    let entered = enter(&into, &text, &profiles, &sheet).map_err(|error| match error {
        EnterError::SiteFile(problems) => import::refused(&problems),
        EnterError::Shape => anyhow::Error::new(error).context(into.clone()),
    })?;
    let findings: Vec<&Finding> = sheet.findings.iter().chain(&entered.findings).collect();
    let stands_in_the_way = !findings.is_empty() && !arguments.leave_out_problems;
    let written = !arguments.dry_run && !stands_in_the_way;
    let up_to_date = entered.entered.is_empty();
    if written && !up_to_date {
        replace(&arguments.into, entered.text.as_bytes())?;
    }
    if arguments.json {
        let mut report = serde_json::to_value(Report {
            file: name,
            rows: sheet.rows,
            examples: sheet.examples,
            facts: sheet.facts.len(),
            entered: &entered.entered,
            kept: &entered.kept,
            unchanged: entered.unchanged,
            findings: findings.clone(),
            written,
        })?;
        import::with_reasons(&mut report, Format::Xlsx, &findings);
        print_json(&report)?;
    } else {
        let text = Text::new(arguments.lang);
        let read = read_in_words(&text, &name, &sheet, &findings);
        let entered = entered_in_words(&text, &into, &entered, written);
        print(&format!("{read}{entered}"))?;
    }
    if stands_in_the_way && !arguments.dry_run {
        bail!(
            "nothing was written: {} rows of the sheet were not understood; correct them, or write the rest with --leave-out-problems",
            findings.len(),
        );
    }
    Ok(if findings.is_empty() {
        Ending::Well
    } else {
        Ending::Findings
    })
}

/// What is in the sheet, for people.
fn read_in_words(say: &Text, name: &str, sheet: &Sheet, findings: &[&Finding]) -> String {
    let gaps = [
        ("file", name.into()),
        ("rows", sheet.rows.into()),
        ("examples", sheet.examples.into()),
        ("facts", sheet.facts.len().into()),
        ("findings", findings.len().into()),
    ];
    let mut text = format!("{}\n", say.say_with("sheet-read", &gaps));
    import::list(&mut text, say, findings, |finding| {
        say.roster_finding(Format::Xlsx, finding)
    });
    text
}

/// What it did, or would do, to the site file, for people.
fn entered_in_words(say: &Text, into: &str, entered: &Entered, written: bool) -> String {
    let gaps = [
        ("file", into.into()),
        ("entered", entered.entered.len().into()),
        ("kept", entered.kept.len().into()),
        ("unchanged", entered.unchanged.into()),
    ];
    let mut text = format!("{}\n", say.say_with("sheet-entered", &gaps));
    let was = |change: &FactChange| say.or_nothing(change.was.as_deref());
    import::list(&mut text, say, &entered.entered, |change| {
        let was = was(change);
        format!("~ {} {}: {was} → {}", change.at, change.fact, change.sheet)
    });
    import::list(&mut text, say, &entered.kept, |change| {
        let gaps = [
            ("was", was(change).into()),
            ("sheet", change.sheet.as_str().into()),
        ];
        let stays = say.say_with("sheet-stays", &gaps);
        format!("= {} {}: {stays}", change.at, change.fact)
    });
    text.push_str(&if written {
        import::written(say, into, entered.entered.is_empty())
    } else {
        say.say("roster-not-written")
    });
    text
}
