//! `messnetz explain`: why a school's targets are judged as they are, from the document to the samples.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use messnetz_sites::site::{School, SchoolId, SiteId};
use messnetz_sites::target::TargetId;
use messnetz_sites::verdict::{Query, VerdictKind, Whose};
use serde::Serialize;

use super::collector::Span;
use super::targets::{meant, school_named};
use super::{Ending, print, print_json};
use crate::collector::{Collector, Config};
use crate::judging::Wanted;
use crate::judging::chain::{Chain, StatedChain};
use crate::text::{Language, Text};
use crate::words::Step;

/// Columns of a terminal that are easy to read.
const WIDTH: usize = 100;

/// How far the text of a step stands in.
const INDENT: &str = "   ";

/// Explain why a school's targets are met or missed, from the source document to the measurements.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz explain NW-100001 --lang en\n  messnetz explain NW-100001 de-gigabit/down --period school-year\n\nExit code 1 where a target that is shown is missed."
)]
pub(super) struct Arguments {
    /// The school, as the site file numbers it
    school: SchoolId,
    /// Only this target, such as de-gigabit/down
    target: Option<String>,
    /// Configuration file of the collector
    #[arg(long, default_value = "collector.toml")]
    config: PathBuf,
    /// What each verdict is about; the running period's is provisional
    #[arg(long, value_enum, default_value_t = Span::Month)]
    period: Span,
    /// How many single measurements are shown for each target, the worst first
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=1000))]
    samples: u16,
    /// Language
    #[arg(long, value_enum)]
    lang: Option<Language>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Everything that is explained of a school.
#[derive(Serialize)]
struct Explained<'a> {
    school: &'a SchoolId,
    name: &'a str,
    targets: Vec<Told<'a>>,
    stated: Vec<StatedChain<'a>>,
    /// Whether one target was asked for, which is then told even where nobody has stated anything.
    #[serde(skip)]
    is_one: bool,
}

/// A chain, and how to see all of its samples.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    chain: Chain<'a>,
    /// The command that prints all samples; absent where there are none.
    samples_command: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let config = Config::load(&arguments.config)?;
    let text = Text::new(arguments.lang.unwrap_or(config.language));
    let collector = Collector::open(config)?;
    let school = school_named(&collector.authority, &arguments.school)?;
    let only = match &arguments.target {
        Some(name) => Some(target_named(&collector, school, name)?),
        None => None,
    };
    let report = collector.report_by(arguments.period.into())?;
    let mut targets = Vec::new();
    for mut chain in Chain::all(&collector.authority, &report, school, only) {
        let mut samples_command = None;
        if let Some(query) = &chain.row.judgement.query {
            let window = query.window.as_deref();
            let window = window.map(|name| collector.calendar().window(name));
            let window = window.transpose()?;
            let samples = collector.samples(&Wanted {
                site: &query.site,
                metric: query.metric,
                times: query.from..=query.to,
                window: window.as_ref(),
                peer: query.peer.as_deref(),
            })?;
            chain.show_worst(
                samples.samples,
                arguments.samples.into(),
                &collector.calendar().zone,
            );
            samples_command = Some(command(query, &arguments.config));
        }
        targets.push(Told {
            chain,
            samples_command,
        });
    }
    let explained = Explained {
        school: &school.id,
        name: &school.name,
        targets,
        stated: StatedChain::all(&collector.authority, &report, school, only),
        is_one: only.is_some(),
    };
    if arguments.json {
        print_json(&explained)?;
    } else {
        print(&explained.in_words(&collector, &text))?;
    }
    let targets = explained.targets.iter();
    let measured = targets.map(|told| told.chain.row.judgement.verdict.kind());
    let chains = explained.stated.iter();
    let stated = chains.map(|chain| chain.row.judgement.verdict.kind());
    let mut kinds = measured.chain(stated);
    Ok(if kinds.any(|kind| kind == VerdictKind::Missed) {
        Ending::Findings
    } else {
        Ending::Well
    })
}

/// The school's target of this name, or an error that tells those there are.
fn target_named<'a>(
    collector: &'a Collector,
    school: &'a School,
    name: &str,
) -> anyhow::Result<&'a TargetId> {
    let authority = &collector.authority;
    let profiles = authority.profiles_of(school);
    let measured = authority.known.targets_for(profiles, school);
    let stated = authority.known.inventory_for(profiles, school);
    let targets: Vec<&TargetId> = measured
        .map(|target| &target.id)
        .chain(stated.map(|target| &target.id))
        .collect();
    if let Some(target) = targets.iter().find(|target| target.as_str() == name) {
        return Ok(target);
    }
    let known: Vec<&str> = targets.into_iter().map(TargetId::as_str).collect();
    bail!(
        "the school {} has no target '{name}'{}; it has {}",
        school.id,
        meant(name, &known),
        known.join(", ")
    );
}

/// The command that prints all samples of a judgement.
fn command(query: &Query, config: &Path) -> String {
    let samples = format!(
        "messnetz collector samples {} {} --from {} --to {}",
        query.site, query.metric, query.from.0, query.to.0
    );
    let window = query.window.as_ref();
    let window = window.map(|window| format!(" --window {window}"));
    let config = (config != Path::new("collector.toml")).then(|| {
        let path = config.display().to_string();
        format!(" --config '{}'", path.replace('\'', r"'\''"))
    });
    let peer = query.peer.as_ref();
    let peer = peer.map(|peer| format!(" --peer '{}'", peer.replace('\'', r"'\''")));
    [window, peer, config]
        .into_iter()
        .flatten()
        .fold(samples, |command, part| command + &part)
}

impl Explained<'_> {
    fn in_words(&self, collector: &Collector, text: &Text) -> String {
        let zone = &collector.calendar().zone;
        let mut lines = vec![format!("{} ({})", self.name, self.school)];
        let mut site: Option<&SiteId> = None;
        for told in &self.targets {
            let row = told.chain.row;
            lines.push(String::new());
            if site.replace(&row.judgement.site) != Some(&row.judgement.site) {
                lines.push(format!("{} ({})", row.site_name, row.judgement.site));
                lines.push(String::new());
            }
            let title = text.pick(&row.target_title);
            lines.push(format!("{title} ({})", row.judgement.target));
            lines.push(text.explain_verdict(row.judgement.verdict.kind()));
            let command = told.samples_command.as_deref();
            let steps = text.explain(&told.chain, zone, command);
            for (number, step) in (1..).zip(&steps) {
                lines.extend(numbered(number, step));
            }
        }
        lines.extend(self.stated_in_words(text));
        if self.targets.is_empty() && self.stated.is_empty() {
            lines.push(text.say("explain-no-targets"));
        }
        lines.join("\n")
    }

    /// The inventory targets that there is something to tell of, and the names of the others.
    fn stated_in_words(&self, text: &Text) -> Vec<String> {
        let is_told = |chain: &&StatedChain| self.is_one || chain.row.says_something();
        let (told, silent): (Vec<&StatedChain>, Vec<_>) = self.stated.iter().partition(is_told);
        let mut lines = Vec::new();
        if !self.stated.is_empty() {
            lines.push(String::new());
            lines.push(text.say("table-stated-title"));
        }
        for chain in told {
            let row = chain.row;
            let title = text.pick(&row.target_title);
            let target = &row.judgement.target;
            lines.push(String::new());
            lines.push(match &row.judgement.whose {
                Whose::Site { site, .. } => format!("{title} ({target}, {site})"),
                Whose::School { .. } | Whose::Authority { .. } => format!("{title} ({target})"),
            });
            lines.push(text.explain_verdict(row.judgement.verdict.kind()));
            for (number, step) in (1..).zip(&text.explain_stated(chain)) {
                lines.extend(numbered(number, step));
            }
        }
        if !silent.is_empty() {
            let mut targets: Vec<&str> = silent
                .iter()
                .map(|chain| chain.row.judgement.target.as_str())
                .collect();
            targets.dedup();
            let gaps = [("count", targets.len().into())];
            let sentences = [
                text.say_with("explain-not-stated-list", &gaps),
                format!("{}.", targets.join(", ")),
                text.say("explain-collect"),
            ];
            lines.push(String::new());
            lines.extend(
                wrapped(&sentences)
                    .iter()
                    .map(|line| line.trim_start().to_owned()),
            );
        }
        lines
    }
}

fn numbered(number: usize, step: &Step) -> Vec<String> {
    let mut lines = vec![format!("{number}. {}", step.heading)];
    lines.extend(
        step.paragraphs
            .iter()
            .flat_map(|sentences| wrapped(sentences)),
    );
    lines.extend(step.lines.iter().map(|line| format!("{INDENT}{line}")));
    lines
}

/// Sentences in lines that fit. What must not be torn apart has a no-break space, which stays.
fn wrapped(sentences: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentences.iter().flat_map(|sentence| sentence.split(' ')) {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + length <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{INDENT}{word}")),
        }
    }
    lines
}
