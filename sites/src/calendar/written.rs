//! The `[calendar]` table of a site file and a school's own, as they are written.

use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;

use super::hours::{Hours, Stretch};
use super::land::Land;
use super::lessons::LessonRule;
use super::window::{CustomWindow, Days, RESERVED, WeekdayName};
use super::zone::Zone;
use super::{Calendar, Holiday, SchoolCalendar, holiday};
use crate::ident::is_slug;
use crate::site::SchoolForm;
use crate::toml_file::{Document, Problem};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenCalendar {
    zone: Option<Spanned<String>>,
    land: Option<Spanned<String>>,
    #[serde(default)]
    holiday: Vec<WrittenHoliday>,
    #[serde(default)]
    window: Vec<WrittenWindow>,
    #[serde(default)]
    lessons: Vec<WrittenLessons>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHoliday {
    from: Spanned<String>,
    to: Option<Spanned<String>>,
    name: String,
    land: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWindow {
    name: Spanned<String>,
    #[serde(default)]
    days: Days,
    #[serde(default)]
    weekdays: Vec<WeekdayName>,
    hours: Spanned<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLessons {
    #[serde(default)]
    forms: Vec<SchoolForm>,
    #[serde(default)]
    laender: Vec<Spanned<String>>,
    #[serde(default)]
    all_day: bool,
    hours: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    breaks: Vec<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenSchoolCalendar {
    #[serde(default)]
    all_day: bool,
    hours: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    breaks: Vec<Spanned<String>>,
    #[serde(default)]
    days_off: Vec<Spanned<String>>,
}

impl WrittenCalendar {
    pub(crate) fn check(self, document: Document<'_>, problems: &mut Vec<Problem>) -> Calendar {
        let mut check = Check { document, problems };
        let zone = self.zone.map_or_else(Zone::default, |name| {
            check.parsed(&name, "zone", Zone::named).unwrap_or_default()
        });
        let land = self
            .land
            .and_then(|land| check.parsed(&land, "land", str::parse::<Land>));
        let mut holidays: Vec<Holiday> = Vec::new();
        for written in self.holiday {
            holidays.extend(check.holiday(written));
        }
        holidays.sort();
        let mut windows: Vec<CustomWindow> = Vec::new();
        for written in self.window {
            let name = written.name.get_ref();
            let taken = windows.iter().any(|window| window.name == *name);
            if taken || RESERVED.contains(&name.as_str()) || !is_slug(name) {
                let message = format!(
                    "a window needs a name of its own, in lower-case letters, digits and hyphens ({} are the program's)",
                    RESERVED.join(", ")
                );
                check.refuse(&written.name, "name", message);
            }
            let hours = check.hours(&written.hours, &[]);
            windows.push(CustomWindow {
                days: written.days,
                weekdays: written.weekdays,
                hours: hours.map_or_else(Vec::new, |hours| hours.school().to_vec()),
                name: written.name.into_inner(),
            });
        }
        let mut lessons = Vec::new();
        for written in self.lessons {
            let hours = check.hours(&written.hours, &written.breaks);
            let land = |land| check.parsed(land, "laender", str::parse::<Land>);
            let laender = written.laender.iter().filter_map(land).collect();
            lessons.extend(hours.map(|hours| LessonRule {
                forms: written.forms,
                laender,
                all_day: written.all_day,
                hours,
                source: None,
            }));
        }
        Calendar {
            zone,
            land,
            holidays,
            windows,
            lessons,
        }
    }
}

impl WrittenSchoolCalendar {
    pub(crate) fn check(
        self,
        document: Document<'_>,
        problems: &mut Vec<Problem>,
    ) -> SchoolCalendar {
        let mut check = Check { document, problems };
        let hours = self.hours.as_ref();
        if let (None, Some(pause)) = (hours, self.breaks.first()) {
            let message = "breaks need hours beside them: hours = [\"07:45-13:15\"]";
            check.refuse(pause, "breaks", message);
        }
        let hours = hours.and_then(|hours| check.hours(hours, &self.breaks));
        let mut days_off: Vec<Date> = Vec::new();
        for day in &self.days_off {
            days_off.extend(check.date(day, "days_off"));
        }
        days_off.sort_unstable();
        days_off.dedup();
        SchoolCalendar {
            all_day: self.all_day,
            hours,
            days_off,
        }
    }
}

struct Check<'a, 'p> {
    document: Document<'a>,
    problems: &'p mut Vec<Problem>,
}

impl Check<'_, '_> {
    fn refuse<T>(&mut self, at: &Spanned<T>, field: &str, message: impl std::fmt::Display) {
        let problem = self.document.problem(at.span().start, Some(field), message);
        self.problems.push(problem);
    }

    fn parsed<T, E: std::fmt::Display>(
        &mut self,
        text: &Spanned<String>,
        field: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(text.get_ref()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(text, field, error);
                None
            }
        }
    }

    fn date(&mut self, text: &Spanned<String>, field: &str) -> Option<Date> {
        self.parsed(text, field, |text| {
            holiday::date(text).ok_or_else(|| {
                let shown: String = text.chars().take(20).collect();
                format!("'{shown}' is no day of the calendar (write it as \"2026-10-17\")")
            })
        })
    }

    fn holiday(&mut self, written: WrittenHoliday) -> Option<Holiday> {
        let first = self.date(&written.from, "from");
        let last = match &written.to {
            Some(to) => self.date(to, "to"),
            None => first,
        };
        let land = |land| self.parsed(land, "land", str::parse::<Land>);
        let land = written.land.as_ref().and_then(land);
        let holiday = Holiday {
            first: first?,
            last: last?,
            name: written.name,
            land,
        };
        if let Some(flaw) = holiday.flaw() {
            self.refuse(&written.from, "holiday", flaw);
            return None;
        }
        Some(holiday)
    }

    fn hours(
        &mut self,
        hours: &Spanned<Vec<Spanned<String>>>,
        breaks: &[Spanned<String>],
    ) -> Option<Hours> {
        let before = self.problems.len();
        let mut read = |texts: &[Spanned<String>], field: &str| -> Vec<Stretch> {
            let stretch = |text| self.parsed(text, field, str::parse::<Stretch>);
            texts.iter().filter_map(stretch).collect()
        };
        let (school, breaks) = (read(hours.get_ref(), "hours"), read(breaks, "breaks"));
        if self.problems.len() > before {
            return None;
        }
        match Hours::new(school, breaks) {
            Ok(hours) => Some(hours),
            Err(unsound) => {
                self.refuse(hours, "hours", unsound);
                None
            }
        }
    }
}
