//! A named set of targets, read from TOML.

use std::collections::HashSet;

use messnetz_metric::{Better, Metric, Unit, Value};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::written::{Operator, WrittenFile, WrittenTarget};
use super::{Cap, ProfileId, Target, TargetId, Tolerance};
use crate::ident::is_slug;
use crate::judging::confidence_is_sound;
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
    /// Where it comes from.
    pub source: Source,
    /// Its targets.
    pub targets: Vec<Target>,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// All problems of meaning at once, or the first one of syntax.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let document = Document::new(file, text);
        let written: WrittenFile = document.read().map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let profile = written.profile;
        let source = profile.source.get_ref();
        if let Some(flaw) = source.flaw() {
            problems.push(document.problem(profile.source.span().start, Some("source"), flaw));
        }
        if written.target.is_empty() {
            let place = profile.id.span().start;
            problems.push(document.problem(place, Some("target"), "the profile has no target"));
        }
        let mut seen = HashSet::new();
        let mut targets = Vec::new();
        for target in written.target {
            if !seen.insert(target.id.get_ref().clone()) {
                let message = format!("the profile has two targets `{}`", target.id.get_ref());
                problems.push(document.problem(target.id.span().start, Some("id"), message));
            }
            match checked(document, profile.id.get_ref(), source, target) {
                Ok(target) => targets.push(target),
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            id: profile.id.into_inner(),
            title: profile.title,
            country: profile.country,
            status: profile.status,
            as_of: profile.as_of,
            valid_from: profile.valid_from,
            source: profile.source.into_inner(),
            targets,
        })
    }
}

/// Holds the parts of a target against each other.
fn checked(
    document: Document<'_>,
    profile: &ProfileId,
    source: &Source,
    written: WrittenTarget,
) -> Result<Target, Vec<Problem>> {
    let flaws = flaws(&written);
    let metric = *written.metric.get_ref();
    let factor = written.unit.get_ref().factor();
    let id = TargetId::new(&format!("{profile}/{}", written.id.get_ref()));
    let (Ok(id), true) = (id, flaws.is_empty()) else {
        let problem = |flaw: Flaw| document.problem(flaw.offset, Some(flaw.field), flaw.message);
        return Err(flaws.into_iter().map(problem).collect());
    };
    let mut target = Target {
        id,
        title: written.title,
        metric,
        op: operator(written.op.as_ref(), metric),
        formula: written.formula,
        cap: written.cap.map(|cap| Cap {
            value: Value::new(
                metric.quantity.unit(),
                (cap.value.get_ref() * factor).round() as u64,
            ),
            origin: cap.origin,
        }),
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
        scope: written.scope,
        source: written
            .source
            .map_or_else(|| source.clone(), Spanned::into_inner),
        factor,
    };
    // A target that can never be met by as many samples as it asks for would stay undecided for ever.
    let least = least_to_meet(&target);
    let of_days = target.statistic.is_of_days();
    let default = if of_days { least } else { DEFAULT_MIN_DAYS };
    let written_days = written.min_days.as_ref();
    target.min_days = written_days.map_or(default, |days| *days.get_ref());
    if let Some(days) = written_days
        && target.min_days < default
    {
        let message = format!(
            "min_days = {} can never be enough: {} at confidence {} needs {default}",
            target.min_days, target.statistic, target.confidence
        );
        return Err(vec![document.problem(
            days.span().start,
            Some("min_days"),
            message,
        )]);
    }
    if !of_days && target.min_samples < least {
        let message = format!(
            "min_samples = {} can never be enough: {} at confidence {} needs {least}",
            target.min_samples, target.statistic, target.confidence
        );
        let place = written.min_samples.span().start;
        return Err(vec![document.problem(place, Some("min_samples"), message)]);
    }
    Ok(target)
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
struct Flaw {
    offset: usize,
    field: &'static str,
    message: String,
}

impl Flaw {
    fn new<T>(at: &Spanned<T>, field: &'static str, message: impl Into<String>) -> Self {
        Self {
            offset: at.span().start,
            field,
            message: message.into(),
        }
    }
}

fn flaws(written: &WrittenTarget) -> Vec<Flaw> {
    let of_numbers = [
        flaw_of_cap(written),
        flaw_of_tolerance(written),
        flaw_of_confidence(written),
    ];
    let of_words = [
        flaw_of_id(written),
        flaw_of_unit(written),
        flaw_of_operator(written),
        flaw_of_layer(written),
        flaw_of_source(written),
    ];
    of_words.into_iter().chain(of_numbers).flatten().collect()
}

fn flaw_of_id(written: &WrittenTarget) -> Option<Flaw> {
    let id = written.id.get_ref();
    let message = format!("`{id}` is no target id (lower-case letters, digits and hyphens)");
    (!is_slug(id)).then(|| Flaw::new(&written.id, "id", message))
}

fn flaw_of_unit(written: &WrittenTarget) -> Option<Flaw> {
    let metric = written.metric.get_ref();
    let spoken = match metric.quantity.unit() {
        Unit::BitPerSecond => "Mbit/s",
        Unit::Microsecond => "ms",
        Unit::PartPerMillion => "%",
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

fn flaw_of_source(written: &WrittenTarget) -> Option<Flaw> {
    let source = written.source.as_ref()?;
    let flaw = source.get_ref().flaw()?;
    Some(Flaw::new(source, "source", flaw))
}

fn flaw_of_cap(written: &WrittenTarget) -> Option<Flaw> {
    let value = &written.cap.as_ref()?.value;
    // Infinity and NaN are numbers to TOML.
    let is_usable = (f64::MIN_POSITIVE..=1e9).contains(value.get_ref());
    (!is_usable).then(|| Flaw::new(value, "cap", "the cap must be a positive number"))
}

fn flaw_of_tolerance(written: &WrittenTarget) -> Option<Flaw> {
    let tolerance = written.tolerance.as_ref()?;
    let message = "the tolerance must be a share from 0 to below 1";
    let is_share = (0.0..1.0).contains(&tolerance.get_ref().share);
    (!is_share).then(|| Flaw::new(tolerance, "tolerance", message))
}

fn flaw_of_confidence(written: &WrittenTarget) -> Option<Flaw> {
    let confidence = written.confidence.as_ref()?;
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
                "p.toml:13:11: the formula names an unknown fact `pupil` (known: classes, pupils, teachers, staff, users, rooms_teaching, devices, and the functions min() and max()); did you mean `pupils`?",
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
