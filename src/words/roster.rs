//! Wording what a list of schools or a sheet of facts did to the site file: findings, differences, summary.

use fluent_bundle::FluentValue;
use messnetz_sites::inventory::{DeviceKind, InventoryFact, ValueKind};
use messnetz_sites::roster::{Change, Finding, Format, LeftOut, List, Merged, Reason};
use messnetz_sites::site::SchoolForm;

use crate::text::Text;

impl Text {
    /// A finding with its place in a list of this form.
    #[must_use]
    pub fn roster_finding(&self, format: Format, finding: &Finding) -> String {
        let place = self.roster_place(format, finding.line);
        let reason = self.roster_reason(format, finding);
        match &finding.column {
            Some(column) => format!("{place}: {column}: {reason}"),
            None => format!("{place}: {reason}"),
        }
    }

    /// A place in a list of this form.
    fn roster_place(&self, format: Format, line: usize) -> String {
        let line = [("line", number(line))];
        match format {
            Format::Text => self.say_with("roster-at-line", &line),
            Format::Xlsx => self.say_with("roster-at-row", &line),
            Format::Json => self.say_with("roster-at-record", &line),
        }
    }

    /// What is wrong in a row of a list of this form.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one arm for each reason there is")]
    pub fn roster_reason(&self, format: Format, finding: &Finding) -> String {
        let place = |line: &usize| FluentValue::from(self.roster_place(format, *line));
        match &finding.reason {
            Reason::TooManyRows { most } => {
                self.say_with("roster-too-many-rows", &[("most", number(*most))])
            }
            Reason::CellTooLong => self.say("roster-cell-too-long"),
            Reason::QuoteOpen => self.say("roster-quote-open"),
            Reason::Columns { has, needs } => self.say_with(
                "roster-columns",
                &[("has", number(*has)), ("needs", number(*needs))],
            ),
            Reason::NoRecord => self.say("roster-no-record"),
            Reason::NoCharacters => self.say("roster-no-characters"),
            Reason::WrongCodePage => self.say("roster-wrong-code-page"),
            Reason::NoNumber => self.say("roster-no-number"),
            Reason::NoState { number } => {
                self.say_with("roster-no-state", &[("number", word(number))])
            }
            Reason::NotSoManyDigits {
                number: text,
                digits,
            } => self.say_with(
                "roster-not-so-many-digits",
                &[("number", word(text)), ("digits", number(*digits))],
            ),
            Reason::NoSchoolNumber { number } => {
                self.say_with("roster-no-school-number", &[("number", word(number))])
            }
            Reason::NoName => self.say("roster-no-name"),
            Reason::NameTooLong { most } => {
                self.say_with("roster-name-too-long", &[("most", number(*most))])
            }
            Reason::NoSite { text } => self.say_with("roster-no-site", &[("text", word(text))]),
            Reason::NoCount { text, fact } => self.say_with(
                "roster-no-count",
                &[
                    ("text", word(text)),
                    ("fact", self.roster_field(fact.name()).into()),
                ],
            ),
            Reason::CountTooLarge { text, fact, most } => self.say_with(
                "roster-count-too-large",
                &[
                    ("text", word(text)),
                    ("fact", self.roster_field(fact.name()).into()),
                    ("most", (*most).into()),
                ],
            ),
            Reason::NoPlace { north, east } => self.say_with(
                "roster-no-place",
                &[("north", word(north)), ("east", word(east))],
            ),
            Reason::SchoolTwice { school, first } => self.say_with(
                "roster-school-twice",
                &[("school", word(school.as_str())), ("first", place(first))],
            ),
            Reason::SiteTwice { site, first } => self.say_with(
                "roster-site-twice",
                &[("site", word(site)), ("first", place(first))],
            ),
            Reason::Contradiction {
                school,
                field,
                has,
                says,
                first,
            } => self.say_with(
                "roster-contradiction",
                &[
                    ("school", word(school.as_str())),
                    ("field", self.roster_field(field).into()),
                    ("has", self.roster_value(field, has).into()),
                    ("says", self.roster_value(field, says).into()),
                    ("first", place(first)),
                ],
            ),
            Reason::SumTooLarge {
                school,
                sites,
                fact,
                sum,
                most,
            } => self.say_with(
                "roster-sum-too-large",
                &[
                    ("school", word(school.as_str())),
                    ("sites", number(*sites)),
                    ("fact", self.roster_field(fact.name()).into()),
                    ("sum", (*sum).into()),
                    ("most", (*most).into()),
                ],
            ),
            Reason::SamePupils {
                school,
                sites,
                pupils,
            } => self.say_with(
                "roster-same-pupils",
                &[
                    ("school", word(school.as_str())),
                    ("sites", number(*sites)),
                    ("pupils", (*pupils).into()),
                    (
                        "column",
                        word(finding.column.as_deref().unwrap_or_default()),
                    ),
                ],
            ),
            Reason::FarAway {
                school,
                municipality,
                at,
                km,
            } => self.say_with(
                "roster-far-away",
                &[
                    ("school", word(school.as_str())),
                    ("municipality", word(municipality)),
                    ("at", word(at)),
                    ("km", (*km).into()),
                ],
            ),
            Reason::NoSchoolNamed => self.say("sheet-no-school-named"),
            Reason::NoOrigin => self.say("sheet-no-origin"),
            Reason::NoDay { text } => self.say_with("sheet-no-day", &[("text", word(text))]),
            Reason::NoDeviceKind { text } => {
                let known = DeviceKind::ALL.map(DeviceKind::german).join(", ");
                let gaps = [("text", word(text)), ("known", known.into())];
                self.say_with("sheet-no-device-kind", &gaps)
            }
            Reason::NoDeviceCount { text, most } => self.say_with(
                "sheet-no-device-count",
                &[("text", word(text)), ("most", (*most).into())],
            ),
            Reason::NoYear { text } => self.say_with("sheet-no-year", &[("text", word(text))]),
            Reason::NoFactValue { text, fact } => {
                let gaps = [
                    ("text", word(text)),
                    ("accepted", self.accepted(*fact).into()),
                ];
                self.say_with("sheet-no-fact-value", &gaps)
            }
            Reason::UnknownFact { text, meant: None } => {
                self.say_with("sheet-unknown-fact", &[("text", word(text))])
            }
            Reason::UnknownFact {
                text,
                meant: Some(meant),
            } => self.say_with(
                "sheet-unknown-fact-meant",
                &[("text", word(text)), ("meant", word(meant))],
            ),
            Reason::SeveralSchools { school } => {
                self.say_with("sheet-several-schools", &[("school", word(school))])
            }
            Reason::UnknownSchool { school } => {
                self.say_with("sheet-unknown-school", &[("school", word(school))])
            }
            Reason::UnknownSite { site } => {
                self.say_with("sheet-unknown-site", &[("site", word(site))])
            }
        }
    }

    fn accepted(&self, fact: InventoryFact) -> String {
        match fact.kind() {
            ValueKind::Count(most) => {
                self.say_with("sheet-accepts-count", &[("most", most.into())])
            }
            ValueKind::Decimal(most) => {
                self.say_with("sheet-accepts-number", &[("most", most.into())])
            }
            ValueKind::YesNo => self.say("sheet-accepts-yes-no"),
            ValueKind::Cabling => self.say("sheet-accepts-cabling"),
        }
    }

    /// The list as it was recognised.
    #[must_use]
    pub fn roster_list(&self, list: List) -> String {
        match list {
            List::Own => self.say("roster-list-own"),
            known => known.to_string(),
        }
    }

    /// A form of school.
    #[must_use]
    pub fn school_form(&self, form: SchoolForm) -> String {
        match form {
            SchoolForm::Primary => self.say("school-form-primary"),
            SchoolForm::Secondary => self.say("school-form-secondary"),
            SchoolForm::Grammar => self.say("school-form-grammar"),
            SchoolForm::Comprehensive => self.say("school-form-comprehensive"),
            SchoolForm::Special => self.say("school-form-special"),
            SchoolForm::Vocational => self.say("school-form-vocational"),
            SchoolForm::AdultEducation => self.say("school-form-adult-education"),
            SchoolForm::Other => self.say("school-form-other"),
        }
    }

    /// A key of the site file, as people call what stands under it.
    #[must_use]
    pub fn roster_field(&self, key: &str) -> String {
        match key {
            "name" => self.say("roster-field-name"),
            "form" => self.say("roster-field-form"),
            "land_form" => self.say("roster-field-land-form"),
            "municipality" => self.say("roster-field-municipality"),
            "municipality_key" => self.say("roster-field-municipality-key"),
            "authority_number" => self.say("roster-field-authority-number"),
            "street" => self.say("roster-field-street"),
            "postcode" => self.say("roster-field-postcode"),
            "place" => self.say("roster-field-place"),
            "coordinates" => self.say("roster-field-coordinates"),
            "classes" => self.say("fact-classes"),
            "pupils" => self.say("roster-field-pupils"),
            "teachers" => self.say("fact-teachers"),
            "staff" => self.say("fact-staff"),
            "rooms_teaching" => self.say("fact-rooms-teaching"),
            "devices" => self.say("fact-devices"),
            other => other.to_owned(),
        }
    }

    /// A value of the site file: forms by their name, all others as they are.
    fn roster_value(&self, key: &str, value: &str) -> String {
        let mut forms = SchoolForm::ALL.into_iter();
        match forms.find(|form| key == "form" && form.name() == value) {
            Some(form) => self.school_form(form),
            None => value.to_owned(),
        }
    }

    /// How a list and a site file differ, in a line.
    #[must_use]
    pub fn merged(&self, merged: &Merged, file: &str) -> String {
        let gaps = [
            ("file", word(file)),
            ("new", number(merged.new.len())),
            ("newsites", number(merged.new_sites.len())),
            ("changed", number(merged.changed.len())),
            ("kept", number(merged.kept.len())),
            ("gone", number(merged.gone.len())),
            ("gonesites", number(merged.gone_sites.len())),
            ("unchanged", number(merged.unchanged)),
        ];
        self.say_with("roster-merged", &gaps)
    }

    /// A value that follows the list.
    #[must_use]
    pub fn changed(&self, change: &Change) -> String {
        let (was, list) = self.both_sides(change);
        let field = self.roster_field(change.field);
        format!("~ {} {field}: {was} → {list}", at(change))
    }

    /// A value that stays as it was entered by hand.
    #[must_use]
    pub fn kept(&self, change: &Change) -> String {
        let (was, list) = self.both_sides(change);
        let gaps = [("was", was.into()), ("list", list.into())];
        let stays = self.say_with("roster-stays", &gaps);
        let field = self.roster_field(change.field);
        format!("= {} {field}: {stays}", at(change))
    }

    /// What the file said and what the list says.
    fn both_sides(&self, change: &Change) -> (String, String) {
        let value = |text: &str| self.roster_value(change.field, text);
        let was = change.was.as_deref().map(value);
        (self.or_nothing(was.as_deref()), value(&change.list))
    }

    /// What the list has no more, and why.
    #[must_use]
    pub fn gone(&self, rule: Option<LeftOut>, id: &str, name: &str) -> String {
        let why = match rule {
            Some(LeftOut::Closed) => self.say("roster-gone-closed"),
            Some(LeftOut::NoSchool) => self.say("roster-gone-no-school"),
            None => self.say("roster-gone"),
        };
        format!("- {id} {name}: {why}")
    }

    /// What a file said, where it said something.
    #[must_use]
    pub fn or_nothing(&self, was: Option<&str>) -> String {
        was.map_or_else(|| self.say("roster-nothing"), str::to_owned)
    }
}

/// The school or the site of a change.
fn at(change: &Change) -> String {
    match &change.site {
        Some(site) => format!("{}/{site}", change.id),
        None => change.id.to_string(),
    }
}

fn number(count: usize) -> FluentValue<'static> {
    count.into()
}

fn word(text: &str) -> FluentValue<'static> {
    text.to_owned().into()
}
