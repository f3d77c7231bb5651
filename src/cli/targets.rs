//! `messnetz targets`: which targets there are, what they say, and what they come to for one school.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, Subcommand};
use messnetz_sites::facts::Facts;
use messnetz_sites::formula::NotAssessable;
use messnetz_sites::site::{Authority, School, SchoolId, Site};
use messnetz_sites::target::{
    Applies, Cap, Demand, InventoryTarget, Profile, ProfileId, Profiles, Target, Threshold,
};
use messnetz_sites::verdict::Excepted;
use messnetz_sites::{Day, Source, nearest};
use serde::Serialize;

use super::{Ending, print, print_json};
use crate::clock;
use crate::collector::load_authority;
use crate::judging::{StatedRow, stated};
use crate::text::{Language, Text};
use crate::words::operator;

/// List the targets, show a profile, and explain what they come to for one school.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the profiles that schools can be held against
    #[command(
        after_help = "Example:\n  messnetz targets list --sites authority.toml\n\nWith a site file its own profiles are listed too."
    )]
    List {
        /// Site file whose own profiles are listed as well
        #[arg(long, value_name = "FILE")]
        sites: Option<PathBuf>,
        /// Language
        #[arg(long, value_enum, default_value_t = Language::De)]
        lang: Language,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the targets of a profile with their sources
    #[command(after_help = "Example:\n  messnetz targets show mep-ziel --lang en")]
    Show {
        /// The profile
        profile: String,
        /// Site file whose own profiles can be shown as well
        #[arg(long, value_name = "FILE")]
        sites: Option<PathBuf>,
        /// Language
        #[arg(long, value_enum, default_value_t = Language::De)]
        lang: Language,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print each target of a school with its formula and the school's numbers filled in
    #[command(
        after_help = "Example:\n  messnetz targets explain NW-100001 --sites authority.toml --lang en"
    )]
    Explain {
        /// The school, as the site file numbers it
        school: SchoolId,
        /// The site file
        #[arg(long, value_name = "FILE")]
        sites: PathBuf,
        /// Language
        #[arg(long, value_enum, default_value_t = Language::De)]
        lang: Language,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    match arguments.command {
        Command::List { sites, lang, json } => {
            let profiles = known(sites.as_deref())?;
            if json {
                print_json(&profiles.iter().map(Listed::of).collect::<Vec<_>>())?;
            } else {
                print(&list(&profiles, &Text::new(lang)))?;
            }
        }
        Command::Show {
            profile,
            sites,
            lang,
            json,
        } => {
            let profiles = known(sites.as_deref())?;
            let profile = named(&profiles, &profile)?;
            if json {
                print_json(profile)?;
            } else {
                print(&show(profile, &Text::new(lang)))?;
            }
        }
        Command::Explain {
            school,
            sites,
            lang,
            json,
        } => {
            let authority = load_authority(&sites)?;
            let school = school_named(&authority, &school)?;
            let explained = explain(
                &authority,
                school,
                Day::numbered(authority.calendar.zone.day_number(clock::now())),
            );
            if json {
                print_json(&explained)?;
            } else {
                print(&explained.in_words(&Text::new(lang)))?;
            }
        }
    }
    Ok(Ending::Well)
}

/// The built-in profiles, with those of a site file where one is named.
fn known(sites: Option<&Path>) -> anyhow::Result<Profiles> {
    Ok(match sites {
        Some(file) => load_authority(file)?.known,
        None => Profiles::built_in().clone(),
    })
}

fn named<'a>(profiles: &'a Profiles, name: &str) -> anyhow::Result<&'a Profile> {
    if let Some(profile) = profiles.iter().find(|profile| profile.id.as_str() == name) {
        return Ok(profile);
    }
    let ids: Vec<&str> = profiles.iter().map(|profile| profile.id.as_str()).collect();
    bail!(
        "there is no profile '{name}'{}; there are {}",
        meant(name, &ids),
        ids.join(", ")
    );
}

pub(super) fn school_named<'a>(
    authority: &'a Authority,
    id: &SchoolId,
) -> anyhow::Result<&'a School> {
    if let Some(school) = authority.school(id) {
        return Ok(school);
    }
    let ids: Vec<&str> = authority.schools.iter().map(|s| s.id.as_str()).collect();
    bail!(
        "there is no school '{id}' in the site file{}",
        meant(id.as_str(), &ids)
    );
}

pub(super) fn meant(word: &str, known: &[&str]) -> String {
    nearest(word, known.iter().copied())
        .map(|near| format!(" (did you mean '{near}'?)"))
        .unwrap_or_default()
}

/// A profile in a list.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a ProfileId,
    title: &'a messnetz_sites::Bilingual,
    country: &'a str,
    status: messnetz_sites::target::Status,
    valid_from: Option<Day>,
    valid_to: Option<Day>,
    extends: Option<&'a ProfileId>,
    source: &'a Source,
    measured: usize,
    inventory: usize,
}

impl<'a> Listed<'a> {
    fn of(profile: &'a Profile) -> Self {
        Self {
            id: &profile.id,
            title: &profile.title,
            country: &profile.country,
            status: profile.status,
            valid_from: profile.valid_from,
            valid_to: profile.valid_to,
            extends: profile.extends.as_ref(),
            source: &profile.source,
            measured: profile.targets.len(),
            inventory: profile.inventory.len(),
        }
    }
}

fn list(profiles: &Profiles, text: &Text) -> String {
    let width = profiles.iter().map(|p| p.id.as_str().len()).max();
    let width = width.unwrap_or_default();
    let line = |profile: &Profile| {
        format!(
            "{:width$}  {:<2}  {:<10}  {:>2} + {:>2}  {}",
            profile.id.as_str(),
            profile.country,
            text.status(profile.status),
            profile.targets.len(),
            profile.inventory.len(),
            text.pick(&profile.title),
        )
    };
    let mut lines = vec![text.say("targets-list-heading")];
    lines.extend(profiles.iter().map(line));
    lines.join("\n")
}

fn show(profile: &Profile, text: &Text) -> String {
    let mut lines = vec![
        format!("{}: {}", profile.id, text.pick(&profile.title)),
        format!("  {}, {}", profile.country, text.status(profile.status)),
    ];
    let from = |day| format!("  {} {day}", text.say("targets-valid-from"));
    lines.extend(profile.valid_from.map(from));
    let to = |day| format!("  {} {day}", text.say("targets-valid-to"));
    lines.extend(profile.valid_to.map(to));
    lines.extend(
        profile
            .extends
            .as_ref()
            .map(|base| format!("  {} {base}", text.say("targets-extends"))),
    );
    lines.push(format!("  {}", text.source(&profile.source)));
    for target in &profile.targets {
        lines.push(String::new());
        lines.push(format!("{}: {}", target.id, text.pick(&target.title)));
        lines.push(format!(
            "  {} {} {} {}{}{}{}",
            target.metric,
            target.statistic,
            operator(target.op),
            target.formula,
            text.written_unit(target),
            target
                .window
                .as_ref()
                .map(|window| format!(", {}", text.window(window.as_str())))
                .unwrap_or_default(),
            applies(&target.applies),
        ));
        lines.extend(target.cap.as_ref().map(|cap| capped(cap, text)));
        if target.source != profile.source {
            lines.push(format!("  {}", text.source(&target.source)));
        }
    }
    for target in &profile.inventory {
        lines.push(String::new());
        lines.push(format!("{}: {}", target.id, text.pick(&target.title)));
        lines.push(format!("  {}{}", demand(target), applies(&target.applies)));
        if target.source != profile.source {
            lines.push(format!("  {}", text.source(&target.source)));
        }
    }
    lines.join("\n")
}

fn demand(target: &InventoryTarget) -> String {
    match &target.demand {
        Demand::Number { op, formula } => format!("{} {} {formula}", target.item, operator(*op)),
        Demand::Present => target.item.to_string(),
    }
}

fn applies(applies: &Applies) -> String {
    match applies {
        Applies::All => String::new(),
        Applies::Forms(forms) => {
            let names: Vec<String> = forms.iter().map(|form| form.name().to_owned()).collect();
            format!("  [{}]", names.join(", "))
        }
        Applies::Schools(schools) => {
            let names: Vec<&str> = schools.iter().map(SchoolId::as_str).collect();
            format!("  [{}]", names.join(", "))
        }
    }
}

fn capped(cap: &Cap, text: &Text) -> String {
    format!(
        "  {} {} ({})",
        text.say("targets-cap"),
        text.value(cap.value),
        cap.origin
    )
}

/// What all targets of a school come to.
#[derive(Serialize)]
struct Explained<'a> {
    school: &'a SchoolId,
    name: &'a str,
    sites: Vec<OfSite<'a>>,
    inventory: Vec<StatedRow>,
    exceptions: Vec<Excepted>,
}

#[derive(Serialize)]
struct OfSite<'a> {
    site: String,
    name: &'a str,
    targets: Vec<Measured<'a>>,
}

#[derive(Serialize)]
struct Measured<'a> {
    target: &'a Target,
    /// The formula with the numbers filled in, as far as they are known.
    workings: String,
    threshold: Option<Threshold>,
    not_assessable: Option<NotAssessable>,
}

fn explain<'a>(authority: &'a Authority, school: &'a School, today: Option<Day>) -> Explained<'a> {
    let ids = authority.profiles_of(school);
    let measured = |target: &'a Target, facts: &Facts| {
        let threshold = target.threshold(facts);
        Measured {
            target,
            workings: target.formula.explain(facts),
            not_assessable: threshold.as_ref().err().cloned(),
            threshold: threshold.ok(),
        }
    };
    let of_site = |site: &'a Site| OfSite {
        site: site.id.to_string(),
        name: &site.name,
        targets: authority
            .known
            .targets_for(ids, school)
            .map(|target| measured(target, &school.facts_at(site, target.scope)))
            .collect(),
    };
    let inventory = stated(authority, today)
        .into_iter()
        .filter(|row| row.judgement.whose.schools().contains(&school.id))
        .collect();
    Explained {
        school: &school.id,
        name: &school.name,
        sites: school.sites.iter().map(of_site).collect(),
        inventory,
        exceptions: school
            .exceptions
            .iter()
            .map(|exception| Excepted {
                expired: today.is_some_and(|today| exception.until < today),
                exception: exception.clone(),
            })
            .collect(),
    }
}

impl Explained<'_> {
    fn in_words(&self, text: &Text) -> String {
        let mut lines = vec![format!("{} ({})", self.name, self.school)];
        for site in &self.sites {
            lines.push(String::new());
            lines.push(format!("{} ({})", site.name, site.site));
            for measured in &site.targets {
                lines.extend(measured.in_words(text));
            }
        }
        if !self.inventory.is_empty() {
            lines.push(String::new());
            lines.push(text.say("targets-inventory"));
        }
        for stated in &self.inventory {
            let judgement = &stated.judgement;
            let kind = judgement.verdict.kind();
            lines.push(format!(
                "  {}: {}",
                judgement.target,
                text.pick(&stated.target_title)
            ));
            let said = judgement
                .stated
                .map(|said| text.stated_of(judgement.item, said));
            let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
            let why = text.why_not_judged(&judgement.verdict);
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            lines.push(format!(
                "    {} {}; {}{said}{why}",
                judgement.item,
                text.what_is_demanded(judgement),
                text.verdict(kind)
            ));
            for fact in &judgement.facts {
                lines.push(format!("    {}", text.dated(fact)));
            }
            lines.push(format!("    {}", text.source(&stated.source)));
        }
        for excepted in &self.exceptions {
            lines.push(String::new());
            let target = &excepted.exception.target;
            lines.push(format!("{target}: {}", text.exception(excepted)));
        }
        lines.join("\n")
    }
}

impl Measured<'_> {
    fn in_words(&self, text: &Text) -> Vec<String> {
        let target = self.target;
        let sign = operator(target.op);
        let mut lines = vec![format!("  {}: {}", target.id, text.pick(&target.title))];
        lines.push(format!(
            "    {} {}: {sign} {}{}",
            target.metric,
            target.statistic,
            self.workings,
            text.written_unit(target)
        ));
        match (&self.threshold, &self.not_assessable) {
            (Some(threshold), _) => {
                let cap = threshold.capped_at.and(target.cap.as_ref());
                lines.extend(cap.map(|cap| format!("  {}", capped(cap, text))));
                let layer = target
                    .layer
                    .map(|layer| format!(" ({})", text.layer(layer)));
                lines.push(format!(
                    "    {}: {sign} {}{}",
                    text.say("targets-threshold"),
                    text.value(threshold.strict),
                    layer.unwrap_or_default()
                ));
                lines.extend(target.tolerance.as_ref().map(|tolerance| {
                    format!(
                        "    {}: {sign} {}. {}",
                        text.say("targets-tolerated"),
                        text.value(threshold.tolerated),
                        text.pick(&tolerance.origin)
                    )
                }));
            }
            (None, Some(because)) => {
                let gaps = [("because", text.not_assessable(because).into())];
                lines.push(format!(
                    "    {}",
                    text.say_with("no-data-not-assessable", &gaps)
                ));
            }
            (None, None) => {}
        }
        lines.push(format!("    {}", text.source(&target.source)));
        lines
    }
}
