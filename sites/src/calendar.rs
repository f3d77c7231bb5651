//! When lessons are held: school hours, breaks, holidays and the clock that changes twice a year.
//!
//! A measurement during a lesson shows what is left of a line, one at night what the line can do; both
//! are needed and must never share a number. So every judgement names its [`Window`], and
//! [`Calendar::locate`] says whether an instant lies in it at a school and to which day it belongs. For a
//! whole series there is [`Calendar::timetable`], which works the window out once.
//!
//! No clock is asked and no file is opened here: texts and instants come in, data goes out. Zone data is
//! part of the program.

mod holiday;
mod hours;
pub mod import;
mod land;
mod lessons;
mod public;
mod timetable;
mod window;
mod written;
mod zone;

use jiff::civil::{Date, DateTime, Weekday};
use messnetz_metric::UnixMillis;
use serde::Serialize;

use crate::site::School;

pub(crate) use holiday::date;
pub use holiday::{Holiday, LONGEST_DAYS};
pub use hours::{Hours, NotAStretch, Stretch, UnsoundHours};
pub use land::{Land, NotALand};
pub use lessons::LessonRule;
pub use timetable::{LocalDay, Slot, Timetable};
pub use window::{CustomWindow, Days, UnknownWindow, WeekdayName, Window};
pub(crate) use written::{WrittenCalendar, WrittenSchoolCalendar};
pub use zone::{GERMANY, Instant, UnknownZone, Zone, date_of, number_of};

/// The largest number of days that are looked at one by one: ten years.
const MAX_DAYS: usize = 3_660;

/// Days of the shortest holidays that show that the holidays around them are known. Every Land had some
/// of five days or more in every quarter of 2024 to 2026.
const SHORTEST_WEEK: i32 = 5;

/// More days than schools teach between two such holidays: from 2024 to 2026 at most 112 (Hamburg, from
/// Easter to summer).
const LONGEST_TEACHING: i32 = 130;

/// The calendar of an authority: the `[calendar]` table of its site file, with the built-in rules behind
/// it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Calendar {
    /// Where its clocks are.
    pub zone: Zone,
    /// The Land of schools whose number names none.
    pub land: Option<Land>,
    /// School holidays, in their order.
    pub holidays: Vec<Holiday>,
    /// Windows of its own.
    pub windows: Vec<CustomWindow>,
    /// Hours of its own, before the built-in ones.
    pub lessons: Vec<LessonRule>,
}

/// What a school states about its days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SchoolCalendar {
    /// Whether it teaches all day (Ganztag).
    pub all_day: bool,
    /// Its own hours.
    pub hours: Option<Hours>,
    /// Days without lessons at this school alone: movable days (bewegliche Ferientage), teachers'
    /// training.
    pub days_off: Vec<Date>,
}

impl SchoolCalendar {
    /// Whether the school states nothing of its own.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What kind of day it is at a school.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "name")]
pub enum DayKind {
    /// Lessons are held.
    School,
    /// Saturday or Sunday.
    Weekend,
    /// A public holiday of the Land, or where none is known of all Länder, if the clocks are German.
    PublicHoliday(String),
    /// School holidays.
    Holiday(String),
    /// A day off at this school alone.
    DayOff,
}

/// From one instant (included) to another (excluded).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// Included.
    pub from: UnixMillis,
    /// Excluded.
    pub to: UnixMillis,
}

impl Interval {
    /// Whether an instant lies in it.
    #[must_use]
    pub fn contains(self, at: UnixMillis) -> bool {
        self.from <= at && at < self.to
    }

    /// How many whole minutes it lasts.
    #[must_use]
    pub const fn minutes(self) -> i64 {
        self.to.0.saturating_sub(self.from.0) / 60_000
    }
}

impl Calendar {
    /// The Land of a school: that of its number, or else that of the authority.
    #[must_use]
    pub fn land_of(&self, school: &School) -> Option<Land> {
        let of_number = school.id.as_str().split('-').next();
        of_number.and_then(|code| code.parse().ok()).or(self.land)
    }

    /// The hours of a school: its own, or else the authority's, or else the built-in ones.
    #[must_use]
    pub fn hours_of<'a>(&'a self, school: &'a School) -> Option<&'a Hours> {
        let own = school.calendar.hours.as_ref();
        own.or_else(|| self.lesson_rule(school).map(|rule| &rule.hours))
    }

    /// The rule that gives a school its hours, where it states none itself.
    #[must_use]
    pub fn lesson_rule(&self, school: &School) -> Option<&LessonRule> {
        let land = self.land_of(school);
        let fits = |rule: &&LessonRule| rule.fits(school.form, land, school.calendar.all_day);
        self.lessons.iter().chain(lessons::built_in()).find(fits)
    }

    /// What kind of day `date` is at a school. Of several reasons for a day off, the one that holds for
    /// most people is given.
    #[must_use]
    pub fn day(&self, date: Date, school: &School) -> DayKind {
        if matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
            return DayKind::Weekend;
        }
        let land = self.land_of(school);
        // Without a Land, the German clock alone tells a German school from an English one.
        let in_germany = land.is_some() || self.zone.name() == GERMANY;
        if in_germany && let Some(name) = public::public_holiday(date, land) {
            return DayKind::PublicHoliday(name.to_owned());
        }
        let holds = |holiday: &&Holiday| holiday.is_for(land) && holiday.holds(date);
        if let Some(holiday) = self.holidays.iter().find(holds) {
            return DayKind::Holiday(holiday.name.clone());
        }
        if school.calendar.days_off.contains(&date) {
            return DayKind::DayOff;
        }
        DayKind::School
    }

    /// Whether lessons are held on `date`.
    #[must_use]
    pub fn is_school_day(&self, date: Date, school: &School) -> bool {
        self.day(date, school) == DayKind::School
    }

    /// How many school days there are from `first` to `last`, both included; no more than ten years are
    /// looked at.
    #[must_use]
    pub fn school_days(&self, first: Date, last: Date, school: &School) -> usize {
        let days = days(first, last);
        days.filter(|date| self.is_school_day(*date, school))
            .count()
    }

    /// Whether the school holidays around `date` are known for a school: it lies within some, or between
    /// two that are no further apart than schools teach without a break. Where they are not, every weekday
    /// counts as a school day, which whoever reads a count has to be told.
    ///
    /// Single days off show nothing: they are known long before the holidays of a year are.
    #[must_use]
    pub fn knows_holidays_around(&self, date: Date, school: &School) -> bool {
        let land = self.land_of(school);
        let holidays = || {
            let here = self.holidays.iter().filter(|one| one.is_for(land));
            here.filter(|one| one.days() >= SHORTEST_WEEK)
        };
        let before = holidays()
            .filter(|one| one.first <= date)
            .map(|one| one.last);
        let after = holidays()
            .filter(|one| date <= one.last)
            .map(|one| one.first);
        let around = before.max().zip(after.min());
        around.is_some_and(|(last, next)| holiday::days_until(last, next) <= LONGEST_TEACHING)
    }

    /// The window of this name: `lesson-hours`, `off-lesson`, `any` or one of the site file.
    ///
    /// # Errors
    /// [`UnknownWindow`] with the names that there are.
    pub fn window(&self, name: &str) -> Result<Window, UnknownWindow> {
        window::named(name, &self.windows)
    }

    /// Whether an instant lies within a window at a school, and to which day there it belongs: that of
    /// the clock on the wall. `None` where it lies outside.
    ///
    /// Looks at zone, holidays and hours for this one instant. For many instants there is
    /// [`Calendar::timetable`], which tells the same.
    #[must_use]
    pub fn locate(&self, window: &Window, at: UnixMillis, school: &School) -> Option<LocalDay> {
        let clock = self.zone.clock(at)?;
        let day = self.local_day(clock.date(), school);
        let stretches = self.stretches(window, day, school);
        let within = |stretch: &Stretch| stretch.contains(clock.time());
        stretches.iter().any(within).then_some(day)
    }

    /// A window at a school, worked out for a period; no more than ten years are looked at.
    ///
    /// ```
    /// # use messnetz_metric::UnixMillis;
    /// # use messnetz_sites::calendar::{Interval, Window};
    /// # use messnetz_sites::site::{Authority, EXAMPLE};
    /// # let authority = Authority::parse("authority.toml", EXAMPLE).unwrap();
    /// # let (calendar, school) = (&authority.calendar, &authority.schools[0]);
    /// let day = 24 * 3_600_000;
    /// let year = Interval { from: UnixMillis(0), to: UnixMillis(365 * day) };
    /// let lessons = calendar.timetable(&Window::LessonHours, year, school);
    /// // Friday, 2 January 1970, at 9:00 in Germany, and the night after it.
    /// let samples = [UnixMillis(day + 8 * 3_600_000), UnixMillis(day + 20 * 3_600_000)];
    /// let cut: Vec<_> = lessons.cut(&samples, |at| *at).collect();
    /// assert_eq!(cut.len(), 1);
    /// assert_eq!(cut[0].0.date.to_string(), "1970-01-02");
    /// assert_eq!(cut[0].1, &samples[..1]);
    /// ```
    #[must_use]
    pub fn timetable(&self, window: &Window, period: Interval, school: &School) -> Timetable {
        let date = |at: UnixMillis| self.zone.clock(at).map(DateTime::date);
        let Some((first, last)) = date(period.from).zip(date(period.to)) else {
            return Timetable::default();
        };
        let mut slots = Vec::new();
        for date in days(first, last) {
            let day = self.local_day(date, school);
            let stretches = self.stretches(window, day, school);
            let within = self.zone.intervals(date, &stretches).into_iter();
            let within = within.map(|whole| Slot {
                interval: Interval {
                    from: whole.from.max(period.from),
                    to: whole.to.min(period.to),
                },
                day,
            });
            slots.extend(within.filter(|slot| slot.interval.from < slot.interval.to));
        }
        Timetable::new(slots)
    }

    /// The instants of a period that lie within a window at a school, in their order and joined where
    /// they touch; no more than ten years are looked at.
    #[must_use]
    pub fn intervals(&self, window: &Window, period: Interval, school: &School) -> Vec<Interval> {
        let mut found: Vec<Interval> = Vec::new();
        for slot in self.timetable(window, period, school).slots() {
            match found.last_mut() {
                Some(before) if before.to == slot.interval.from => before.to = slot.interval.to,
                _ => found.push(slot.interval),
            }
        }
        found
    }

    fn local_day(&self, date: Date, school: &School) -> LocalDay {
        LocalDay {
            date,
            school_day: self.is_school_day(date, school),
        }
    }

    /// The times that a window holds on a day.
    fn stretches(&self, window: &Window, day: LocalDay, school: &School) -> Vec<Stretch> {
        let hours = || self.hours_of(school).filter(|_| day.school_day);
        match window {
            Window::LessonHours => hours().map_or_else(Vec::new, |hours| hours.lessons().to_vec()),
            Window::OffLesson => hours::rest_of_day(hours().map_or(&[], Hours::school)),
            Window::Any => vec![Stretch::WHOLE_DAY],
            Window::Custom(custom) => {
                let today = match custom.days {
                    Days::Every => true,
                    Days::School => day.school_day,
                    Days::Free => !day.school_day,
                };
                let weekday = custom.falls_on(day.date.weekday());
                if today && weekday {
                    custom.hours.clone()
                } else {
                    Vec::new()
                }
            }
        }
    }
}

/// The days from `first` to `last`.
pub(crate) fn days(first: Date, last: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(first), |date| date.tomorrow().ok())
        .take_while(move |date| *date <= last)
        .take(MAX_DAYS)
}

#[cfg(test)]
mod tests;
