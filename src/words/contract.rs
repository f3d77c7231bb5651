//! Wording the check of a contract: broken rules, readings and findings.

use fluent_bundle::FluentValue;
use jiff::civil::{Date, DateTime};
use messnetz_metric::Direction;
use messnetz_sites::calendar::DayKind;
use messnetz_sites::contract::{BrokenRule, Check, Finding, Findings, Reading};

use crate::text::{Language, Text};

impl Text {
    /// What became of a campaign, one sentence a line.
    #[must_use]
    pub fn contract_check(&self, check: &Check) -> Vec<String> {
        let mut lines = Vec::new();
        if check.repeated > 0 {
            lines.push(self.say_with("contract-repeated", &[("count", number(check.repeated))]));
        }
        match &check.findings {
            None => {
                lines.push(self.say("contract-invalid"));
                lines.extend(
                    check
                        .broken
                        .iter()
                        .map(|rule| format!("  {}", self.broken_rule(rule))),
                );
            }
            Some(findings) => {
                lines.push(self.say("contract-valid"));
                for of_direction in findings {
                    lines.extend(self.findings(of_direction));
                }
                lines.push(if check.deviates() {
                    self.say("contract-criteria-met")
                } else if findings.iter().all(Findings::is_whole) {
                    self.say("contract-criteria-not-met")
                } else {
                    self.say("contract-criteria-not-met-in-part")
                });
                lines.push(self.say("contract-unchecked"));
            }
        }
        for reading in &check.readings {
            lines.push(self.reading(*reading));
        }
        if check.readings.len() > 1 {
            lines.push(self.say("contract-readings-together"));
        }
        lines
    }

    /// A boundary that decided, and how it was read.
    #[must_use]
    pub fn reading(&self, reading: Reading) -> String {
        let reading = match reading {
            Reading::FourteenDaysWithBothEnds => self.say("contract-reading-fourteen-days"),
            Reading::PausesBetweenTimeStamps => self.say("contract-reading-pauses"),
            Reading::NoChoiceAmongSurplus => self.say("contract-reading-surplus"),
            Reading::FirstOfTheRepeatedHour => self.say("contract-reading-repeated-hour"),
        };
        self.say_with("contract-reading", &[("reading", reading.into())])
    }

    /// A rule that was broken, and where.
    #[must_use]
    pub fn broken_rule(&self, rule: &BrokenRule) -> String {
        match *rule {
            BrokenRule::Days { have } => {
                self.say_with("contract-broken-days", &[("have", number(have))])
            }
            BrokenRule::PerDay { day, have } => {
                let gaps = [("day", self.date(day).into()), ("have", number(have))];
                self.say_with("contract-broken-per-day", &gaps)
            }
            BrokenRule::NoDayBetween { first, second } => {
                let gaps = [
                    ("first", self.date(first).into()),
                    ("second", self.date(second).into()),
                ];
                self.say_with("contract-broken-no-day-between", &gaps)
            }
            BrokenRule::TooLong { first, last, days } => {
                let gaps = [
                    ("first", self.date(first).into()),
                    ("last", self.date(last).into()),
                    ("days", days.into()),
                ];
                self.say_with("contract-broken-too-long", &gaps)
            }
            BrokenRule::TooSoon {
                first,
                second,
                seconds,
            } => self.say_with(
                "contract-broken-too-soon",
                &self.pause(first, second, seconds),
            ),
            BrokenRule::NoLongBreak {
                fifth,
                sixth,
                seconds,
            } => self.say_with(
                "contract-broken-no-long-break",
                &self.pause(fifth, sixth, seconds),
            ),
            BrokenRule::NoSuchTime { at } => self.say_with(
                "contract-broken-no-such-time",
                &[("at", self.clock(at).into())],
            ),
        }
    }

    fn pause(
        &self,
        first: DateTime,
        second: DateTime,
        seconds: i64,
    ) -> [(&'static str, FluentValue<'static>); 3] {
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let pause = format!("{hours}:{minutes:02}:{seconds:02}");
        [
            ("first", self.clock(first).into()),
            ("second", self.clock(second).into()),
            ("pause", pause.into()),
        ]
    }

    fn findings(&self, findings: &Findings) -> Vec<String> {
        let direction = match findings.direction {
            Direction::Down => self.say("quantity-down"),
            Direction::Up => self.say("quantity-up"),
        };
        let maximum = self.finding(
            findings.maximum,
            |gaps| self.say_with("contract-maximum", gaps),
            || self.say("contract-maximum-unknown"),
        );
        let normal = self.finding(
            findings.normal,
            |gaps| self.say_with("contract-normal", gaps),
            || self.say("contract-normal-unknown"),
        );
        let minimum = self.finding(
            findings.minimum,
            |gaps| self.say_with("contract-minimum", gaps),
            || self.say("contract-minimum-unknown"),
        );
        vec![format!("{direction}:"), maximum, normal, minimum]
    }

    fn finding(
        &self,
        finding: Finding,
        assessed: impl Fn(&[(&'static str, FluentValue<'static>)]) -> String,
        unknown: impl Fn() -> String,
    ) -> String {
        let Finding::Assessed {
            stated,
            count,
            of,
            deviates,
        } = finding
        else {
            return format!("  – {}", unknown());
        };
        let gaps = [
            ("stated", self.rate(stated).into()),
            ("count", number(count)),
            ("of", number(of)),
        ];
        let (symbol, word) = if deviates {
            ('✘', self.say("contract-deviation"))
        } else {
            ('✔', self.say("contract-no-deviation"))
        };
        format!("  {symbol} {word}: {}", assessed(&gaps))
    }

    /// A day, after the language's custom.
    #[must_use]
    pub fn date(&self, date: Date) -> String {
        match self.language {
            Language::De => date.strftime("%d.%m.%Y").to_string(),
            Language::En => date.to_string(),
        }
    }

    /// A day with the time that the clock shows.
    #[must_use]
    pub fn clock(&self, at: DateTime) -> String {
        format!("{} {}", self.date(at.date()), at.strftime("%H:%M:%S"))
    }

    /// What kind of day it is at a school.
    #[must_use]
    pub fn day_kind(&self, kind: &DayKind) -> String {
        match kind {
            DayKind::School => self.say("calendar-school-day"),
            DayKind::Weekend => self.say("calendar-weekend"),
            DayKind::DayOff => self.say("calendar-day-off"),
            DayKind::PublicHoliday(name) => {
                self.say_with("calendar-public-holiday", &[("name", name.clone().into())])
            }
            DayKind::Holiday(name) => {
                self.say_with("calendar-holiday", &[("name", name.clone().into())])
            }
        }
    }

    /// The day of the week, in two or three letters.
    #[must_use]
    pub fn weekday(&self, date: Date) -> String {
        let days = self.say("calendar-weekdays");
        let nth = date.weekday().to_monday_zero_offset() as usize;
        days.split(' ').nth(nth).unwrap_or_default().to_owned()
    }
}

fn number(count: usize) -> FluentValue<'static> {
    count.into()
}
