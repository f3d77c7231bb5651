//! A named set of targets, read from TOML.

use messnetz_metric::{Better, Metric, Segment, Unit, Value};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::applies::held;
use super::extend::{Kept, Own, extend};
use super::written::{Operator, WrittenCap, WrittenFile, WrittenInventory, WrittenTarget};
use super::{
    Applies, Cap, Demand, InventoryTarget, Item, ItemKind, ProfileId, Profiles, Scope, Target,
    TargetId, Tolerance,
};
use crate::ident::{InvalidId, is_slug};
use crate::judging::confidence_is_sound;
use crate::liveness::Silence;
use crate::site::{School, SchoolForm, SchoolId};
use crate::source::{Day, Source};
use crate::text::Bilingual;
use crate::toml_file::{Document, Problem};

/// How a profile stands today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In force, or today's common aim.
    Current,
    /// No longer in force, but still quoted.
    Historic,
    /// A vendor's recommendation.
    Vendor,
    /// This project's default.
    Project,
}

/// Fewest school days of targets that state none: below that, days tell nothing about how they differ.
const DEFAULT_MIN_DAYS: usize = 5;

/// Confidence of targets that state none.
const DEFAULT_CONFIDENCE: f64 = 0.95;

/// A named set of targets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// The name.
    pub id: ProfileId,
    /// What a planner calls it.
    pub title: Bilingual,
    /// ISO 3166 code of the country whose schools it is about, or `XX` for all.
    pub country: String,
    /// How it stands today.
    pub status: Status,
    /// The day of the document that its numbers are taken from.
    pub as_of: Option<Day>,
    /// The day from which it applies.
    pub valid_from: Option<Day>,
    /// The last day on which it applies.
    pub valid_to: Option<Day>,
    /// The profile whose targets it takes over.
    pub extends: Option<ProfileId>,
    /// How long an agent may be silent, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<Silence>,
    /// Where it comes from.
    pub source: Source,
    /// Its measured targets. Several of one name are meant for different schools.
    pub targets: Vec<Target>,
    /// Its targets that an inventory answers, likewise.
    pub inventory: Vec<InventoryTarget>,
}

impl Profile {
    /// Reads a profile that stands by itself.
    ///
    /// # Errors
    /// All problems of meaning at once, or the first one of syntax.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        Self::parse_onto(file, text, &Profiles::default())
    }

    /// Reads a profile that may extend one of `known`.
    ///
    /// # Errors
    /// All problems of meaning at once, or the first one of syntax.
    pub fn parse_onto(file: &str, text: &str, known: &Profiles) -> Result<Self, Vec<Problem>> {
        let document = Document::new(file, text);
        let written: WrittenFile = document.read().map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let profile = written.profile;
        let id = profile.id.get_ref();
        let source = profile.source.get_ref();
        if let Some(flaw) = source.flaw() {
            problems.push(document.problem(profile.source.span().start, Some("source"), flaw));
        }
        if let (Some(from), Some(to)) = (profile.valid_from, profile.valid_to)
            && to < from
        {
            let place = profile.id.span().start;
            let message = format!("the profile ends ({to}) before it begins ({from})");
            problems.push(document.problem(place, Some("valid_to"), message));
        }
        if let Some(silence) = &profile.silence
            && let Some(flaw) = silence.get_ref().flaw()
        {
            problems.push(document.problem(silence.span().start, Some("silence"), flaw));
        }
        let base = match &profile.extends {
            Some(name) => match known.named(document, name) {
                Ok(base) => Some(base),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            },
            None => None,
        };
        if written.target.is_empty() && written.inventory.is_empty() && profile.extends.is_none() {
            let place = profile.id.span().start;
            problems.push(document.problem(place, Some("target"), "the profile has no target"));
        }
        let mut own = Own::default();
        for target in written.target {
            let place = target.id.span().start;
            match checked(document, id, source, target) {
                Ok(target) => own.targets.push((place, target)),
                Err(found) => problems.extend(found),
            }
        }
        for target in written.inventory {
            let place = target.id.span().start;
            match inventory(document, id, source, target) {
                Ok(target) => own.inventory.push((place, target)),
                Err(found) => problems.extend(found),
            }
        }
        problems.extend(own.collisions(document));
        let kept = if problems.is_empty() || base.is_some() {
            extend(document, id, source, base, own, written.overrides)
        } else {
            Ok(Kept::default())
        };
        match (kept, problems.is_empty()) {
            (Ok(kept), true) => Ok(Self {
                id: profile.id.into_inner(),
                title: profile.title,
                country: profile.country,
                status: profile.status,
                as_of: profile.as_of,
                valid_from: profile.valid_from,
                valid_to: profile.valid_to,
                extends: base.map(|base| base.id.clone()),
                silence: profile
                    .silence
                    .map(Spanned::into_inner)
                    .or_else(|| base.and_then(|base| base.silence.clone())),
                source: profile.source.into_inner(),
                targets: kept.targets,
                inventory: kept.inventory,
            }),
            (kept, _) => {
                problems.extend(kept.err().unwrap_or_default());
                problems.sort_by_key(|problem| (problem.line, problem.column));
                Err(problems)
            }
        }
    }

    /// Its measured targets that hold for `school`, in the order of the file: of several with one name the
    /// one that is meant most closely.
    pub fn targets_for<'a>(&'a self, school: &'a School) -> impl Iterator<Item = &'a Target> {
        held(&self.targets, school)
    }

    /// Its inventory targets that hold for `school`, likewise.
    pub fn inventory_for<'a>(
        &'a self,
        school: &'a School,
    ) -> impl Iterator<Item = &'a InventoryTarget> {
        held(&self.inventory, school)
    }
}

/// An inventory target whose parts fit each other.
fn inventory(
    document: Document<'_>,
    profile: &ProfileId,
    source: &Source,
    written: WrittenInventory,
) -> Result<InventoryTarget, Vec<Problem>> {
    let name = &written.id;
    let mut problems = Vec::new();
    let mut refuse = |flaw: Flaw| {
        problems.push(document.problem(flaw.offset, Some(flaw.field), flaw.message));
    };
    let item = written.item.get_ref().parse::<Item>();
    let kind = item.as_ref().map(|item| item.kind());
    let demand = match (kind, written.op, written.formula) {
        (Ok(ItemKind::Check) | Err(_), None, None) => Some(Demand::Present),
        (Ok(ItemKind::Number(_)) | Err(_), Some(op), Some(formula)) => Some(Demand::Number {
            op: op.into_inner(),
            formula,
        }),
        (Err(_), _, _) => None,
        (Ok(ItemKind::Check), _, _) => {
            let message = "this item is there or not: it has neither `op` nor `formula`";
            refuse(Flaw::new(&written.item, "item", message));
            None
        }
        (Ok(ItemKind::Number(_)), _, _) => {
            let message = "this item is a number: `op` and `formula` must say how much is enough";
            refuse(Flaw::new(&written.item, "item", message));
            None
        }
    };
    let id = target_id(profile, name.get_ref());
    for flaw in [flaw_of_id(name), flaw_of_source(written.source.as_ref())] {
        flaw.into_iter().for_each(&mut refuse);
    }
    let applies = applies(written.forms, written.schools).map_err(&mut refuse);
    if let Err(unknown) = &item {
        let problem = document.problem(written.item.span().start, Some("item"), unknown);
        let suggestion = unknown.suggestion.map(str::to_owned);
        problems.push(Problem {
            suggestion,
            ..problem
        });
    }
    match (id, item, demand, applies) {
        (Ok(id), Ok(item), Some(demand), Ok(applies)) if problems.is_empty() => {
            Ok(InventoryTarget {
                id,
                title: written.title,
                item,
                demand,
                scope: written.scope,
                applies,
                source: written
                    .source
                    .map_or_else(|| source.clone(), Spanned::into_inner),
            })
        }
        _ => Err(problems),
    }
}

/// Which schools is meant by two keys of which at most one may be stated.
pub(super) fn applies(
    forms: Option<Spanned<Vec<SchoolForm>>>,
    schools: Option<Spanned<Vec<SchoolId>>>,
) -> Result<Applies, Flaw> {
    match (forms, schools) {
        (None, None) => Ok(Applies::All),
        (Some(forms), None) if forms.get_ref().is_empty() => Err(Flaw::new(
            &forms,
            "forms",
            "an empty list is meant for no school",
        )),
        (None, Some(schools)) if schools.get_ref().is_empty() => Err(Flaw::new(
            &schools,
            "schools",
            "an empty list is meant for no school",
        )),
        (Some(forms), None) => Ok(Applies::Forms(forms.into_inner())),
        (None, Some(schools)) => Ok(Applies::Schools(schools.into_inner())),
        (Some(_), Some(schools)) => {
            let message =
                "either `forms` or `schools`: the schools that are named have their forms";
            Err(Flaw::new(&schools, "schools", message))
        }
    }
}

pub(super) fn target_id(profile: &ProfileId, name: &str) -> Result<TargetId, InvalidId> {
    TargetId::new(&format!("{profile}/{name}"))
}

/// Holds the parts of a target against each other.
fn checked(
    document: Document<'_>,
    profile: &ProfileId,
    source: &Source,
    written: WrittenTarget,
) -> Result<Target, Vec<Problem>> {
    let mut flaws = flaws(&written);
    let metric = *written.metric.get_ref();
    let factor = written.unit.get_ref().factor();
    let id = target_id(profile, written.id.get_ref());
    let applies = applies(written.forms, written.schools).map_err(|flaw| flaws.push(flaw));
    let (Ok(id), Ok(applies), true) = (id, applies, flaws.is_empty()) else {
        let problem = |flaw: Flaw| document.problem(flaw.offset, Some(flaw.field), flaw.message);
        return Err(flaws.into_iter().map(problem).collect());
    };
    let mut target = Target {
        id,
        title: written.title,
        metric,
        service: written.service.map(Spanned::into_inner),
        op: operator(written.op.as_ref(), metric),
        formula: written.formula,
        cap: written.cap.map(|cap| capped(cap, metric, factor)),
        window: written.window,
        statistic: *written.statistic.get_ref(),
        statistic_origin: written.statistic_origin,
        layer: written.layer.map(Spanned::into_inner),
        tolerance: written
            .tolerance
            .map(Spanned::into_inner)
            .map(|written| Tolerance {
                share: written.share,
                origin: written.origin,
            }),
        confidence: written
            .confidence
            .map_or(DEFAULT_CONFIDENCE, Spanned::into_inner),
        min_samples: *written.min_samples.get_ref(),
        min_days: 0,
        scope: written.scope.into_inner(),
        applies,
        source: written
            .source
            .map_or_else(|| source.clone(), Spanned::into_inner),
        factor,
    };
    let written_days = written.min_days.as_ref();
    target.min_days = written_days.map_or_else(|| least_days(&target), |days| *days.get_ref());
    let flaw = written_days
        .and_then(|days| flaw_of_min_days(&target, days))
        .or_else(|| flaw_of_min_samples(&target, &written.min_samples));
    match flaw {
        Some(flaw) => Err(vec![document.problem(
            flaw.offset,
            Some(flaw.field),
            flaw.message,
        )]),
        None => Ok(target),
    }
}

pub(super) fn capped(written: WrittenCap, metric: Metric, factor: f64) -> Cap {
    let number = (written.value.get_ref() * factor).round() as i64;
    Cap {
        value: Value::new(metric.quantity.unit(), number),
        origin: written.origin,
    }
}

/// A target that can never be met by as many samples as it asks for would stay undecided for ever.
pub(super) fn flaw_of_min_samples<T>(target: &Target, at: &Spanned<T>) -> Option<Flaw> {
    let least = least_to_meet(target);
    let message = format!(
        "min_samples = {} can never be enough: {} at confidence {} needs {least}",
        target.min_samples, target.statistic, target.confidence
    );
    let is_too_few = !target.statistic.is_of_days() && target.min_samples < least;
    is_too_few.then(|| Flaw::new(at, "min_samples", message))
}

/// Nor by as few days.
pub(super) fn flaw_of_min_days(target: &Target, at: &Spanned<usize>) -> Option<Flaw> {
    let least = least_days(target);
    let message = format!(
        "min_days = {} can never be enough: {} at confidence {} needs {least}",
        target.min_days, target.statistic, target.confidence
    );
    (target.min_days < least).then(|| Flaw::new(at, "min_days", message))
}

/// Fewest days that a target has to ask for: of a statistic over days, as many as can meet it at all.
pub(super) fn least_days(target: &Target) -> usize {
    if target.statistic.is_of_days() {
        least_to_meet(target)
    } else {
        DEFAULT_MIN_DAYS
    }
}

/// The operator that is written, or else the one that the metric's good end asks for.
fn operator(written: Option<&Spanned<Operator>>, metric: Metric) -> Operator {
    match (written, metric.quantity.better()) {
        (Some(op), _) => *op.get_ref(),
        (None, Better::Higher) => Operator::AtLeast,
        (None, Better::Lower) => Operator::Below,
    }
}

/// Something that a target must not say.
pub(super) struct Flaw {
    pub(super) offset: usize,
    pub(super) field: &'static str,
    pub(super) message: String,
}

impl Flaw {
    pub(super) fn new<T>(at: &Spanned<T>, field: &'static str, message: impl Into<String>) -> Self {
        Self {
            offset: at.span().start,
            field,
            message: message.into(),
        }
    }
}

fn flaws(written: &WrittenTarget) -> Vec<Flaw> {
    let of_numbers = [
        flaw_of_cap(written.cap.as_ref()),
        flaw_of_tolerance(written),
        flaw_of_confidence(written.confidence.as_ref()),
    ];
    let of_words = [
        flaw_of_id(&written.id),
        flaw_of_metric(written),
        flaw_of_unit(written),
        flaw_of_operator(written),
        flaw_of_layer(written),
        flaw_of_scope(written),
        flaw_of_service(written),
        flaw_of_source(written.source.as_ref()),
    ];
    of_words.into_iter().chain(of_numbers).flatten().collect()
}

fn flaw_of_id(id: &Spanned<String>) -> Option<Flaw> {
    let text = id.get_ref();
    let message = format!("`{text}` is no target id (lower-case letters, digits and hyphens)");
    (!is_slug(text)).then(|| Flaw::new(id, "id", message))
}

fn flaw_of_metric(written: &WrittenTarget) -> Option<Flaw> {
    let metric = written.metric.get_ref();
    let is_misplaced = metric.quantity.is_radio() && metric.segment != Segment::Wlan;
    let message = format!("{metric}: only wlan has a {}", metric.quantity.name());
    is_misplaced.then(|| Flaw::new(&written.metric, "metric", message))
}

fn flaw_of_scope(written: &WrittenTarget) -> Option<Flaw> {
    let message = "a measurement belongs to a site: only inventory targets can have the scope of the \
                   authority (its size can be named in the formula: authority_pupils, authority_users)";
    (*written.scope.get_ref() == Scope::Authority)
        .then(|| Flaw::new(&written.scope, "scope", message))
}

fn flaw_of_service(written: &WrittenTarget) -> Option<Flaw> {
    let service = written.service.as_ref()?;
    let metric = written.metric.get_ref();
    let message = format!("{metric} is not measured against a service");
    (metric.segment != Segment::Service).then(|| Flaw::new(service, "service", message))
}

fn flaw_of_unit(written: &WrittenTarget) -> Option<Flaw> {
    let metric = written.metric.get_ref();
    let spoken = match metric.quantity.unit() {
        Unit::BitPerSecond => "Mbit/s",
        Unit::Microsecond => "ms",
        Unit::PartPerMillion => "%",
        Unit::MillibelMilliwatt => "dBm",
        Unit::Millibel => "dB",
        Unit::PerMinute => "1/min",
    };
    let message = format!("{metric} is not measured in this unit but in {spoken}");
    let is_right = written.unit.get_ref().unit() == metric.quantity.unit();
    (!is_right).then(|| Flaw::new(&written.unit, "unit", message))
}

fn flaw_of_operator(written: &WrittenTarget) -> Option<Flaw> {
    let metric = written.metric.get_ref();
    let op = written.op.as_ref()?;
    let message = format!("this operator asks for the bad end of {metric}");
    (op.get_ref().better() != metric.quantity.better()).then(|| Flaw::new(op, "op", message))
}

fn flaw_of_layer(written: &WrittenTarget) -> Option<Flaw> {
    let metric = written.metric.get_ref();
    match (&written.layer, metric.quantity.layer()) {
        (None, Some(_)) => {
            let message = format!(
                "{metric} is a rate: `layer` must say on which layer the threshold is stated (contract, ip, tcp-payload)"
            );
            Some(Flaw::new(&written.metric, "layer", message))
        }
        (Some(layer), None) => {
            let message = format!("{metric} is no rate and has no layer");
            Some(Flaw::new(layer, "layer", message))
        }
        _ => None,
    }
}

pub(super) fn flaw_of_source(source: Option<&Spanned<Source>>) -> Option<Flaw> {
    let source = source?;
    let flaw = source.get_ref().flaw()?;
    Some(Flaw::new(source, "source", flaw))
}

pub(super) fn flaw_of_cap(cap: Option<&WrittenCap>) -> Option<Flaw> {
    let value = &cap?.value;
    // Infinity and NaN are numbers to TOML.
    let is_usable = (f64::MIN_POSITIVE..=1e9).contains(value.get_ref());
    (!is_usable).then(|| Flaw::new(value, "cap", "the cap must be a positive number"))
}

fn flaw_of_tolerance(written: &WrittenTarget) -> Option<Flaw> {
    let tolerance = written.tolerance.as_ref()?;
    if written.layer.is_none() {
        let message = "the tolerance bridges two layers, and only rates have layers";
        return Some(Flaw::new(tolerance, "tolerance", message));
    }
    let message = "the tolerance must be a share from 0 to below 1";
    let is_share = (0.0..1.0).contains(&tolerance.get_ref().share);
    (!is_share).then(|| Flaw::new(tolerance, "tolerance", message))
}

pub(super) fn flaw_of_confidence(confidence: Option<&Spanned<f64>>) -> Option<Flaw> {
    let confidence = confidence?;
    let message = "the confidence must be above 0.5 and below 1";
    let is_sound = confidence_is_sound(*confidence.get_ref());
    (!is_sound).then(|| Flaw::new(confidence, "confidence", message))
}

/// Fewest samples that, all of them good, meet the target.
fn least_to_meet(target: &Target) -> usize {
    // The least n with (1 − bad share)^n ≤ 1 − confidence.
    let good_share = 1.0 - target.bad_share();
    let mut least = 1;
    let mut chance = good_share;
    while chance > 1.0 - target.confidence && least < usize::from(u16::MAX) {
        chance *= good_share;
        least += 1;
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = r#"
[profile]
id = "our-plan"
title = { de = "Unser Plan", en = "Our plan" }
country = "DE"
status = "current"
source = { document = "Ratsbeschluss", publisher = "Musterstadt", mark = "S" }

[[target]]
id = "down"
title = { de = "a", en = "b" }
metric = "line.down"
formula = "pupils"
unit = "Mbit/s"
layer = "contract"
statistic = "median"
statistic_origin = "project"
min_samples = 20
scope = "school"
"#;

    #[test]
    fn what_is_left_out_has_the_documented_default() {
        let profile = Profile::parse("p.toml", PROFILE).unwrap();
        let target = &profile.targets[0];
        assert_eq!(target.op, Operator::AtLeast);
        assert!((target.confidence - 0.95).abs() < 1e-12);
        assert_eq!(target.id.as_str(), "our-plan/down");
        assert_eq!(target.source, profile.source);
    }

    #[test]
    fn a_target_that_contradicts_itself_is_refused_where_it_does() {
        for (from, to, expected) in [
            (
                "unit = \"Mbit/s\"",
                "unit = \"ms\"",
                "p.toml:14:8: line.down is not measured in this unit but in Mbit/s",
            ),
            (
                "formula = \"pupils\"",
                "formula = \"pupil\"",
                "p.toml:13:11: the formula names an unknown fact `pupil` (known: classes, pupils, teachers, staff, users, rooms_teaching, devices, authority_pupils, authority_staff, authority_users, and the functions min(), max() and below()); did you mean `pupils`?",
            ),
            (
                "layer = \"contract\"\n",
                "",
                "p.toml:12:10: line.down is a rate: `layer` must say on which layer the threshold is stated (contract, ip, tcp-payload)",
            ),
            (
                "unit",
                "op = \"<\"\nunit",
                "p.toml:14:6: this operator asks for the bad end of line.down",
            ),
            (
                "\"line.down\"",
                "\"uplink.down\"",
                "p.toml:12:10: there is no metric 'uplink.down' (a metric is SEGMENT.QUANTITY, such as line.down or lan.rtt.p95)",
            ),
            (
                "\"median\"",
                "\"mean\"",
                "p.toml:16:13: there is no statistic 'mean' (write median, p1 to p99, or share-of-days-90)",
            ),
            (
                "min_samples = 20",
                "min_samples = 4",
                "p.toml:18:15: min_samples = 4 can never be enough: median at confidence 0.95 needs 5",
            ),
            (
                "scope",
                "min_days = 4\nscope",
                "p.toml:19:12: min_days = 4 can never be enough: median at confidence 0.95 needs 5",
            ),
            (
                "\"median\"\nstatistic_origin = \"project\"",
                "\"share-of-days-90\"\nmin_days = 28\nstatistic_origin = \"project\"",
                "p.toml:17:12: min_days = 28 can never be enough: share-of-days-90 at confidence 0.95 needs 29",
            ),
            (
                "scope",
                "confidence = 1.0\nscope",
                "p.toml:19:14: the confidence must be above 0.5 and below 1",
            ),
            (
                "scope",
                "cap = { value = inf, origin = \"x\" }\nscope",
                "p.toml:19:17: the cap must be a positive number",
            ),
            (
                "scope",
                "tolerance = { share = 1.0, origin = { de = \"\", en = \"\" } }\nscope",
                "p.toml:19:13: the tolerance must be a share from 0 to below 1",
            ),
            (
                "status = \"current\"",
                "status = \"current\"\nsilence = { at_risk_after_hours = 9, lost_after_hours = 8, origin = { de = \"a\", en = \"b\" } }",
                "p.toml:7:11: `at_risk_after_hours` must be at least 1 and at most `lost_after_hours`",
            ),
            (
                "mark = \"S\"",
                "mark = \"S2\"",
                "p.toml:7:10: a source with mark S2 needs `reported_by`: who reports the number",
            ),
            (
                "id = \"down\"",
                "id = \"Down\"",
                "p.toml:10:6: `Down` is no target id (lower-case letters, digits and hyphens)",
            ),
        ] {
            let text = PROFILE.replacen(from, to, 1);
            let problems = Profile::parse("p.toml", &text).expect_err(to);
            assert_eq!(problems[0].to_string(), expected, "{to}");
            assert_eq!(problems.len(), 1, "{to}");
        }
    }

    #[test]
    fn two_targets_of_one_name_and_a_profile_without_any_are_refused() {
        let (head, target) = PROFILE.split_at(PROFILE.find("[[target]]").unwrap());
        let twice = format!("{head}{target}{target}");
        let problems = Profile::parse("p.toml", &twice).unwrap_err();
        assert!(
            problems[0].message.contains("two targets `down`"),
            "{problems:?}"
        );
        let problems = Profile::parse("p.toml", head).unwrap_err();
        assert!(problems[0].message.contains("no target"), "{problems:?}");
    }
}
