//! Windows: the parts of a week that a judgement looks at.

use std::fmt;

use jiff::civil::Weekday;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::hours::Stretch;
use crate::spelling;

/// A part of the time, seen from a school.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// Lessons are held. Breaks are not part of it.
    LessonHours,
    /// No school is held: before and after school, and on days without lessons. Breaks are not part of
    /// it either: for twenty minutes a line does not fall idle.
    OffLesson,
    /// Hours that the site file names.
    Custom(CustomWindow),
    /// Always.
    Any,
}

/// The names that the program gives itself.
pub(super) const RESERVED: [&str; 3] = ["lesson-hours", "off-lesson", "any"];

/// A window of the site file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CustomWindow {
    /// Its name.
    pub name: String,
    /// On which kind of days.
    pub days: Days,
    /// On which days of the week; empty for all.
    pub weekdays: Vec<WeekdayName>,
    /// At which hours.
    pub hours: Vec<Stretch>,
}

impl CustomWindow {
    pub(super) fn falls_on(&self, day: Weekday) -> bool {
        self.weekdays.is_empty() || self.weekdays.iter().any(|name| name.weekday() == day)
    }
}

/// On which kind of days a window of the site file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Days {
    /// On all.
    #[default]
    Every,
    /// On days with lessons.
    School,
    /// On days without lessons.
    Free,
}

/// A day of the week, as the site file writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the days of the week")]
pub enum WeekdayName {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl WeekdayName {
    const fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}

impl Window {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::LessonHours => RESERVED[0],
            Self::OffLesson => RESERVED[1],
            Self::Any => RESERVED[2],
            Self::Custom(custom) => &custom.name,
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Finds a window by its name.
pub(super) fn named(name: &str, custom: &[CustomWindow]) -> Result<Window, UnknownWindow> {
    match name {
        "lesson-hours" => Ok(Window::LessonHours),
        "off-lesson" => Ok(Window::OffLesson),
        "any" => Ok(Window::Any),
        _ => {
            let found = custom.iter().find(|window| window.name == name);
            found.cloned().map(Window::Custom).ok_or_else(|| {
                let own = custom.iter().map(|window| window.name.as_str());
                let known: Vec<&str> = RESERVED.into_iter().chain(own).collect();
                UnknownWindow {
                    suggestion: spelling::nearest(name, known.iter().copied()).map(str::to_owned),
                    known: known.join(", "),
                    name: name.chars().take(60).collect(),
                }
            })
        }
    }
}

/// There is no window of this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no window '{name}' (known: {known})")]
pub struct UnknownWindow {
    /// The name.
    pub name: String,
    /// Those that there are.
    pub known: String,
    /// The one that was probably meant.
    pub suggestion: Option<String>,
}
