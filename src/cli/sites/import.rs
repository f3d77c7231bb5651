//! `messnetz sites import`: a state's list of schools into the site file. What it means is decided in
//! `messnetz_sites::roster`, and how it is said in `words`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use messnetz_sites::inventory::Sheet;
use messnetz_sites::roster::{
    Entry, Filter, Finding, Format, Grade, LeftOut, List, Mapping, MergeError, Merged, Roster,
    Table, merge,
};
use messnetz_sites::site::SchoolForm;
use messnetz_sites::target::Profiles;
use messnetz_sites::toml_file::Problem;
use serde::Serialize;

use super::{Ending, print, print_json};
use crate::cli::replace::replace;
use crate::collector::load_profiles;
use crate::text::{Language, Text};

/// So many lines of one kind are printed; `--json` has them all.
const SHOWN: usize = 20;

/// Read a list of schools, say what is in it, and bring it into a site file
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz sites import schuldaten.csv --traeger 10297\n  messnetz sites import schuldaten.csv --traeger 10297 --into authority.toml --dry-run\n  messnetz sites import verzeichnis.csv --municipality Dortmund --into authority.toml\n  messnetz sites import own-list.xlsx --state NW --save-mapping mapping.toml\n\nKnown by their headers: NRW Schuldaten and Schulverzeichnis, Berlin, jedeschule (CSV, JSON), GIAS\n(England). Any other CSV, TSV, XLSX or JSON list is read by a mapping, guessed from the headers.\n\nWithout --into nothing is written. Values that were entered by hand stay, and no school is removed.\nExit code 1 where a row or a value needs looking at, 2 where nothing could be written."
)]
pub(super) struct Arguments {
    /// The list
    file: PathBuf,
    /// The site file to bring it into; a file that does not exist is begun
    #[arg(long, value_name = "SITE FILE")]
    into: Option<PathBuf>,
    /// Only schools of the authority (Schulträger) with this number
    #[arg(long, value_name = "NUMBER")]
    traeger: Option<String>,
    /// Only schools of this municipality, by name or by key
    #[arg(long, value_name = "NAME")]
    municipality: Option<String>,
    /// Only schools of this form: primary, grammar, …, or the Land's own name
    #[arg(long)]
    form: Option<String>,
    /// The state that the list's numbers count in, where it does not say itself
    #[arg(long, value_name = "XX")]
    state: Option<String>,
    /// What the list's columns mean, as saved by --save-mapping and corrected
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Save what the columns were taken for
    #[arg(long, value_name = "FILE")]
    save_mapping: Option<PathBuf>,
    /// The authority's name in a site file that is begun
    #[arg(long, value_name = "NAME", default_value = "Schulträger")]
    authority: String,
    /// Say what would be written to the site file, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write what was understood although rows or values were not
    #[arg(long)]
    leave_out_problems: bool,
    /// Language
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
    /// Print the result as JSON, with every finding and difference
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    file: String,
    #[serde(flatten)]
    roster: &'a Roster,
    schools: usize,
    sites: usize,
    filter: &'a Filter,
    asked_for: usize,
    asked_for_by_form: BTreeMap<&'static str, usize>,
    mapping: &'a Mapping,
    merged: Option<&'a Merged>,
    written: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let name = arguments.file.display().to_string();
    let bytes = fs::read(&arguments.file).with_context(|| format!("cannot read {name}"))?;
    let table = Table::read(&bytes).with_context(|| name.clone())?;
    if Sheet::is_one(&table) {
        bail!(
            "{name} is a sheet for facts, not a list of schools: enter it with `messnetz sites inventory {name} --into …`"
        );
    }
    let mapping = mapping(arguments, &table).with_context(|| name.clone())?;
    if arguments.traeger.is_some() && mapping.columns.authority_number.is_none() {
        bail!(
            "{name} names no authority (Schulträger), so --traeger finds nothing in it: ask with --municipality, or name the column in a mapping (--save-mapping FILE, [columns] authority_number, --mapping FILE)"
        );
    }
    let mut roster = Roster::read(&table, &mapping).with_context(|| name.clone())?;
    if let Some(path) = &arguments.save_mapping {
        replace(path, mapping.to_toml().as_bytes())?;
    }
    let filter = Filter {
        authority_number: arguments.traeger.clone(),
        municipality: arguments.municipality.clone(),
        form: arguments.form.clone(),
    };
    roster.look_only_at(&filter);
    let wanted: Vec<&Entry> = roster
        .entries
        .iter()
        .filter(|entry| filter.keeps(entry))
        .collect();
    let merged = match &arguments.into {
        Some(path) => Some(merged(path, &arguments.authority, &roster, &wanted)?),
        None => None,
    };
    let stands_in_the_way = !roster.is_understood() && !arguments.leave_out_problems;
    let target = arguments
        .into
        .as_deref()
        .filter(|_| !arguments.dry_run && !stands_in_the_way);
    if let (Some(path), Some(merged)) = (target, &merged)
        && !merged.changes_nothing()
    {
        replace(path, merged.text.as_bytes())?;
    }
    let mut by_form = BTreeMap::new();
    for entry in &wanted {
        *by_form.entry(entry.form.name()).or_default() += 1;
    }
    let report = Report {
        file: name,
        roster: &roster,
        schools: roster.entries.len(),
        sites: roster.entries.iter().map(|entry| entry.sites.len()).sum(),
        filter: &filter,
        asked_for: wanted.len(),
        asked_for_by_form: by_form,
        mapping: &mapping,
        merged: merged.as_ref(),
        written: target.is_some(),
    };
    if arguments.json {
        let mut report = serde_json::to_value(&report)?;
        with_reasons(
            &mut report,
            roster.format,
            &roster.findings.iter().collect::<Vec<_>>(),
        );
        print_json(&report)?;
    } else {
        print(&in_words(&report, arguments))?;
    }
    if arguments.into.is_some() && !arguments.dry_run && stands_in_the_way {
        bail!(
            "nothing was written: {} rows and {} values of the list were not understood; correct them, or write the rest with --leave-out-problems",
            roster.count(Grade::RowRefused),
            roster.count(Grade::ValueRefused),
        );
    }
    Ok(if roster.findings.is_empty() && report.asked_for > 0 {
        Ending::Well
    } else {
        Ending::Findings
    })
}

fn mapping(arguments: &Arguments, table: &Table) -> anyhow::Result<Mapping> {
    let mut mapping = match &arguments.mapping {
        Some(path) => {
            let name = path.display().to_string();
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
            Mapping::parse(&name, &text)?
        }
        None => Mapping::guess(&table.header)?,
    };
    if let Some(state) = &arguments.state {
        mapping.state = Some(state.clone());
    }
    Ok(mapping)
}

fn merged(
    path: &Path,
    authority: &str,
    roster: &Roster,
    wanted: &[&Entry],
) -> anyhow::Result<Merged> {
    let name = path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
    };
    let profiles = if text.trim().is_empty() {
        Profiles::built_in().clone()
    } else {
        load_profiles(path, &text)?
    };
    merge(&name, &text, authority, &profiles, roster, wanted).map_err(|error| match error {
        MergeError::SiteFile(problems) => refused(&problems),
        other => anyhow::Error::new(other).context(name),
    })
}

/// The site file's problems as one error.
pub(super) fn refused(problems: &[Problem]) -> anyhow::Error {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("nothing was written:\n{}", problems.join("\n"))
}

/// Puts the reason of each finding beside its kind, in English, whatever language people read.
pub(super) fn with_reasons(report: &mut serde_json::Value, format: Format, findings: &[&Finding]) {
    let text = Text::new(Language::En);
    let shown = report
        .get_mut("findings")
        .and_then(serde_json::Value::as_array_mut);
    for (shown, finding) in shown.into_iter().flatten().zip(findings) {
        if let Some(shown) = shown.as_object_mut() {
            shown.insert(
                "reason".to_owned(),
                text.roster_reason(format, finding).into(),
            );
        }
    }
}

/// The report for people.
fn in_words(report: &Report<'_>, arguments: &Arguments) -> String {
    let say = Text::new(arguments.lang);
    let roster = report.roster;
    let mut text = format!("{}: {}, ", report.file, say.roster_list(roster.list));
    let _ = match (roster.format, roster.encoding) {
        (Format::Text, Some(encoding)) => write!(text, "{encoding}, "),
        (Format::Xlsx, _) => write!(text, "XLSX, "),
        (Format::Json, _) => write!(text, "JSON, "),
        (Format::Text, None) => Ok(()),
    };
    let left_out = |rule| roster.left_out.get(&rule).copied().unwrap_or_default();
    let gaps = [
        ("schools", report.schools.into()),
        ("sites", report.sites.into()),
        ("closed", left_out(LeftOut::Closed).into()),
        ("noschool", left_out(LeftOut::NoSchool).into()),
    ];
    let schools = if roster.tells_sites_apart() {
        say.say_with("roster-schools-and-sites", &gaps)
    } else {
        say.say_with("roster-schools", &gaps)
    };
    let by_form: Vec<String> = SchoolForm::ALL
        .iter()
        .filter_map(|form| {
            let count = report.asked_for_by_form.get(form.name())?;
            Some(format!("{} {count}", say.school_form(*form)))
        })
        .collect();
    let _ = writeln!(
        text,
        "{}\n  {schools}\n  {}{}{}",
        say.say_with("roster-rows", &[("rows", roster.rows.into())]),
        say.say_with("roster-asked-for", &[("count", report.asked_for.into())]),
        if by_form.is_empty() { "" } else { ": " },
        by_form.join(", ")
    );
    if report.asked_for == 0 {
        text.push_str(&what_could_be_asked_for(roster, &say));
    }
    let gaps = [
        ("rows", roster.count(Grade::RowRefused).into()),
        ("values", roster.count(Grade::ValueRefused).into()),
        ("doubted", roster.count(Grade::Doubted).into()),
        ("forms", roster.forms_guessed.into()),
    ];
    let _ = writeln!(text, "  {}", say.say_with("roster-to-look-at", &gaps));
    if roster.list == List::Own && arguments.mapping.is_none() {
        let _ = writeln!(text, "{}", say.say("roster-columns-taken-for"));
        for line in report.mapping.to_toml().lines() {
            if !line.is_empty() && !line.starts_with('#') {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
    list(&mut text, &say, &roster.findings, |finding| {
        say.roster_finding(roster.format, finding)
    });
    if let (Some(merged), Some(path)) = (report.merged, &arguments.into) {
        differences(&mut text, &say, merged, &path.display().to_string());
    }
    let end = match (&arguments.into, report.written) {
        (Some(path), true) => {
            let up_to_date = report.merged.is_some_and(Merged::changes_nothing);
            written(&say, &path.display().to_string(), up_to_date)
        }
        (Some(_), false) => say.say("roster-not-written"),
        (None, _) => say.say("roster-not-written-no-file"),
    };
    text.push_str(&end);
    text
}

/// That a site file was written, or needed not be.
pub(super) fn written(say: &Text, file: &str, up_to_date: bool) -> String {
    let gaps = [("file", file.into())];
    if up_to_date {
        say.say_with("roster-up-to-date", &gaps)
    } else {
        say.say_with("roster-written", &gaps)
    }
}

/// What the list has in place of what was asked for.
fn what_could_be_asked_for(roster: &Roster, say: &Text) -> String {
    let some = |words: Vec<&String>| {
        let words: BTreeSet<&String> = words.into_iter().collect();
        let first: Vec<&str> = words.iter().take(8).map(|word| word.as_str()).collect();
        let more = if words.len() > first.len() {
            ", …"
        } else {
            ""
        };
        (!first.is_empty()).then(|| format!("{}{more}", first.join(", ")))
    };
    let of = |pick: fn(&Entry) -> Option<&String>| {
        some(roster.entries.iter().filter_map(pick).collect())
    };
    let mut text = String::new();
    let authorities = of(|entry| entry.register.authority_number.as_ref());
    let municipalities = of(|entry| {
        let first = entry.sites.first();
        let place = first.and_then(|site| site.address.place.as_ref());
        entry.register.municipality.as_ref().or(place)
    });
    let forms = of(|entry| entry.register.land_form.as_ref());
    let lines = [
        authorities.map(|words| say.say_with("roster-authorities", &[("words", words.into())])),
        municipalities
            .map(|words| say.say_with("roster-municipalities", &[("words", words.into())])),
        forms.map(|words| say.say_with("roster-forms", &[("words", words.into())])),
    ];
    for line in lines.into_iter().flatten() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn differences(text: &mut String, say: &Text, merged: &Merged, file: &str) {
    let _ = writeln!(text, "{}", say.merged(merged, file));
    list(text, say, &merged.new, |new| {
        format!("+ {} {}", new.id, new.name)
    });
    list(text, say, &merged.new_sites, |new| {
        format!("+ {} {}", new.id, new.name)
    });
    list(text, say, &merged.changed, |change| say.changed(change));
    list(text, say, &merged.kept, |change| say.kept(change));
    list(text, say, &merged.gone, |gone| {
        say.gone(gone.rule, gone.id.as_str(), &gone.name)
    });
    list(text, say, &merged.gone_sites, |gone| {
        say.gone(gone.rule, &gone.id.to_string(), &gone.name)
    });
}

/// The first of `items`, one a line, and how many more there are.
pub(super) fn list<T>(text: &mut String, say: &Text, items: &[T], line: impl Fn(&T) -> String) {
    for item in items.iter().take(SHOWN) {
        let _ = writeln!(text, "  {}", line(item));
    }
    if items.len() > SHOWN {
        let more = [("more", (items.len() - SHOWN).into())];
        let _ = writeln!(text, "  {}", say.say_with("roster-more", &more));
    }
}
