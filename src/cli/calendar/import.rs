//! School holidays out of a file into the site file.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::bail;
use messnetz_sites::calendar::{Holiday, Land, import};
use messnetz_sites::site::Authority;

use crate::cli::replace::replace;
use crate::cli::{Ending, input, print, print_json};
use crate::collector::load_authority;
use crate::text::Text;

/// What a file brings to a site file.
pub(super) struct Import {
    new: Vec<Holiday>,
    known: usize,
    /// Periods that overlap others of the site file, with those.
    conflicts: Vec<(Holiday, Holiday)>,
}

impl Import {
    pub(super) fn read(file: &Path, into: &Path, land: Option<Land>) -> anyhow::Result<Self> {
        let shown = file.display().to_string();
        let text = input::read(file)?;
        let authority = load_authority(into)?;
        let land = land.or_else(|| land_of_all(&authority));
        let calendar = &authority.calendar;
        let holidays = match import::holidays(&shown, &text, land, &calendar.zone) {
            Ok(holidays) => holidays,
            Err(problems) => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                bail!("{}", problems.join("\n"));
            }
        };
        let mut found = Self {
            new: Vec::new(),
            known: 0,
            conflicts: Vec::new(),
        };
        for holiday in holidays {
            let overlapping = || {
                let here = calendar
                    .holidays
                    .iter()
                    .filter(|old| old.is_for(holiday.land) || holiday.is_for(old.land));
                here.filter(|old| old.first <= holiday.last && holiday.first <= old.last)
            };
            let same = |old: &Holiday| old.first == holiday.first && old.last == holiday.last;
            if overlapping().any(same) {
                found.known += 1;
            } else if let Some(old) = overlapping().next() {
                found.conflicts.push((holiday, old.clone()));
            } else {
                found.new.push(holiday);
            }
        }
        Ok(found)
    }

    /// Writes what is new, unless something contradicts it.
    pub(super) fn apply(&self, file: &Path, into: &Path) -> anyhow::Result<()> {
        if self.conflicts.is_empty() && !self.new.is_empty() {
            self.write(file, into)?;
        }
        Ok(())
    }

    /// Appends the new periods, so that everything a person wrote stays as it is, and replaces the file
    /// in one step once the result has been read again.
    fn write(&self, file: &Path, into: &Path) -> anyhow::Result<()> {
        let shown = into.display().to_string();
        let mut text = input::read(into)?;
        let name = file
            .file_name()
            .unwrap_or(file.as_os_str())
            .to_string_lossy();
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        // Writing to a text cannot fail.
        let _ = write!(text, "\n\n# Imported from {name}\n");
        for holiday in &self.new {
            let Holiday { first, last, .. } = holiday;
            let name = toml::Value::String(holiday.name.clone());
            let _ = write!(
                text,
                "[[calendar.holiday]]\nname = {name}\nfrom = \"{first}\"\nto = \"{last}\"\n"
            );
            if let Some(land) = holiday.land {
                let _ = writeln!(text, "land = \"{land}\"");
            }
        }
        if let Err(problems) = Authority::parse(&shown, &text) {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            bail!(
                "the holidays cannot be appended to {shown}, nothing was written: {}",
                problems.join("\n")
            );
        }
        replace(into, text.as_bytes())
    }

    pub(super) fn report(
        &self,
        text: &Text,
        into: &Path,
        dry_run: bool,
        json: bool,
    ) -> anyhow::Result<Ending> {
        let written = if dry_run || !self.conflicts.is_empty() {
            0
        } else {
            self.new.len()
        };
        if json {
            let conflicts: Vec<_> = self
                .conflicts
                .iter()
                .map(|(new, old)| serde_json::json!({ "new": new, "old": old }))
                .collect();
            print_json(&serde_json::json!({
                "new": self.new,
                "known": self.known,
                "conflicts": conflicts,
                "written": written,
            }))?;
        } else {
            let period = |h: &Holiday| {
                let (first, last) = (text.date(h.first), text.date(h.last));
                if h.first == h.last {
                    format!("{first} {}", h.name)
                } else {
                    format!("{first} – {last} {}", h.name)
                }
            };
            let mut lines = Vec::new();
            for new in &self.new {
                lines.push(text.say_with("calendar-import-new", &[("period", period(new).into())]));
            }
            if self.known > 0 {
                let known = [("count", self.known.into())];
                lines.push(text.say_with("calendar-import-known", &known));
            }
            for (new, old) in &self.conflicts {
                let gaps = [("old", period(old).into()), ("new", period(new).into())];
                lines.push(text.say_with("calendar-import-conflict", &gaps));
            }
            lines.push(if dry_run {
                text.say("calendar-import-dry-run")
            } else if written == 0 {
                text.say("calendar-import-nothing")
            } else {
                let gaps = [
                    ("count", written.into()),
                    ("file", into.display().to_string().into()),
                ];
                text.say_with("calendar-import-written", &gaps)
            });
            print(&lines.join("\n"))?;
        }
        Ok(if self.conflicts.is_empty() {
            Ending::Well
        } else {
            Ending::Findings
        })
    }
}

/// The one Land in which all schools are.
fn land_of_all(authority: &Authority) -> Option<Land> {
    let mut laender = authority
        .schools
        .iter()
        .map(|school| authority.calendar.land_of(school));
    let first = laender.next()??;
    laender.all(|land| land == Some(first)).then_some(first)
}
