//! One series of a batch in columns, and back.
//!
//! A series is one metric, seen from one interface, against one peer. Its times are written as the first
//! one and then the differences, its values as whole numbers that all are multiplied by one power of ten:
//! nothing that is signed is a floating-point number, and what repeats is short. What comes back is what
//! went in, in the same order; order between series is not kept.

use std::collections::HashMap;

use messnetz_metric::{
    Failure, FailureReason, Medium, Metric, Observation, Outcome, TEXT_LIMIT, Unit, UnixMillis,
    Value, Vantage,
};
use serde::{Deserialize, Serialize};

use super::bounded::Bounded;
use super::{Malformed, NotWritable};

/// The largest exponent: 10^18 is the largest power of ten that a value can be.
const MAX_EXPONENT: u8 = 18;

/// A series with what was measured of it, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Columns {
    metric: Metric,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
    medium: Medium,
    peer: String,
    unit: Unit,
    exponent: u8,
    at: Bounded<i64>,
    value: Bounded<Option<i64>>,
    #[serde(default, skip_serializing_if = "Bounded::is_empty")]
    failure: Bounded<FailureReason>,
    #[serde(default, skip_serializing_if = "Bounded::is_empty")]
    detail: Bounded<String>,
}

/// What makes a series one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Series {
    /// What was measured.
    pub metric: Metric,
    /// From where.
    pub vantage: Vantage,
    /// Against what.
    pub peer: String,
}

impl Columns {
    /// The observations by series, in the order in which each series first occurs.
    pub(super) fn of(observations: &[Observation]) -> Result<Vec<Self>, NotWritable> {
        let mut places: HashMap<Series, usize> = HashMap::new();
        let mut series: Vec<Building> = Vec::new();
        // Observations of one series mostly follow each other.
        let mut last: Option<(usize, &Observation)> = None;
        for observation in observations {
            let place = match last {
                Some((place, before)) if is_one_series(before, observation) => place,
                _ => {
                    let key = series_of(observation);
                    *places.entry(key.clone()).or_insert_with(|| {
                        series.push(Building::new(key));
                        series.len() - 1
                    })
                }
            };
            last = Some((place, observation));
            if let Some(series) = series.get_mut(place) {
                series.push(observation.at, &observation.outcome)?;
            }
        }
        Ok(series.into_iter().map(Building::finish).collect())
    }

    /// One series with what was measured of it.
    pub(super) fn of_series(
        series: &Series,
        outcomes: &[(UnixMillis, Outcome)],
    ) -> Result<Self, NotWritable> {
        let mut building = Building::new(series.clone());
        for (at, outcome) in outcomes {
            building.push(*at, outcome)?;
        }
        Ok(building.finish())
    }

    /// Which series this is.
    pub(super) fn series(&self) -> Series {
        Series {
            metric: self.metric,
            vantage: Vantage {
                interface: self.interface.clone(),
                medium: self.medium,
            },
            peer: self.peer.clone(),
        }
    }

    /// The same, for as long as the columns are there.
    pub(super) fn identity(&self) -> (Metric, Option<&str>, Medium, &str) {
        let interface = self.interface.as_deref();
        (self.metric, interface, self.medium, &self.peer)
    }

    /// How many observations there are.
    pub(super) const fn len(&self) -> usize {
        self.at.0.len()
    }

    /// Whether the columns fit each other, and each number can be what it stands for.
    ///
    /// # Errors
    /// With the path to what is wrong.
    pub(super) fn check(&self) -> Result<(), Malformed> {
        self.check_heads()?;
        let n_failed = self.value.0.iter().filter(|value| value.is_none()).count();
        for (name, length, expected) in [
            ("value", self.value.0.len(), self.at.0.len()),
            ("failure", self.failure.0.len(), n_failed),
            ("detail", self.detail.0.len(), n_failed),
        ] {
            if length != expected {
                return Err(Malformed::at(
                    name,
                    format_args!("has {length} elements and needs {expected}"),
                ));
            }
        }
        let mut at = 0_i64;
        for (index, step) in self.at.0.iter().enumerate() {
            at = at
                .checked_add(*step)
                .filter(|at| *at >= 0)
                .ok_or_else(|| Malformed::at(format_args!("at[{index}]"), "leaves time"))?;
        }
        let (least, most) = self.unit.range();
        let power = self.power();
        for (index, number) in self.value.0.iter().enumerate() {
            let Some(number) = *number else { continue };
            let fits = |number| (least..=most).contains(&number);
            if !number.checked_mul(power).is_some_and(fits) {
                return Err(Malformed::at(
                    format_args!("value[{index}]"),
                    format_args!(
                        "{} cannot be {number} × 10^{} {}",
                        self.metric, self.exponent, self.unit
                    ),
                ));
            }
        }
        for (place, detail) in self.detail.0.iter().enumerate() {
            check_text(format_args!("detail[{place}]"), detail)?;
        }
        Ok(())
    }

    /// When it was measured, in the order as written; of columns that [`Self::check`] passed.
    pub(super) fn times(&self) -> impl Iterator<Item = UnixMillis> + '_ {
        let mut at = 0_i64;
        self.at.0.iter().map(move |step| {
            at = at.saturating_add(*step);
            UnixMillis(at)
        })
    }

    /// What was measured and when, in the order as written; of columns that [`Self::check`] passed.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (UnixMillis, Outcome)> + '_ {
        let power = self.power();
        let mut failures = self.failure.0.iter().zip(&self.detail.0);
        self.times()
            .zip(&self.value.0)
            .filter_map(move |(at, value)| {
                let outcome = if let Some(number) = value {
                    Outcome::Value(Value::new(self.unit, number.saturating_mul(power)))
                } else {
                    let (reason, detail) = failures.next()?;
                    Outcome::Failed(Failure::new(*reason, detail))
                };
                Some((at, outcome))
            })
    }

    /// What all values are multiplied by.
    fn power(&self) -> i64 {
        10_i64
            .checked_pow(u32::from(self.exponent))
            .unwrap_or(i64::MAX)
    }

    fn check_heads(&self) -> Result<(), Malformed> {
        let expected = self.metric.quantity.unit();
        if self.unit != expected {
            return Err(Malformed::at(
                "unit",
                format_args!("{} is measured in {expected}", self.metric),
            ));
        }
        if self.exponent > MAX_EXPONENT {
            return Err(Malformed::at(
                "exponent",
                format_args!("{} is above {MAX_EXPONENT}", self.exponent),
            ));
        }
        if let Some(interface) = &self.interface {
            check_text("interface", interface)?;
        }
        check_text("peer", &self.peer)?;
        if self.at.is_empty() {
            return Err(Malformed::at("at", "a series without observations"));
        }
        Ok(())
    }
}

fn check_text(path: impl std::fmt::Display, text: &str) -> Result<(), Malformed> {
    if text.chars().nth(TEXT_LIMIT).is_none() {
        Ok(())
    } else {
        Err(Malformed::at(
            path,
            format_args!("is longer than {TEXT_LIMIT} characters"),
        ))
    }
}

/// Whether both are of one series, as they stand.
fn is_one_series(one: &Observation, other: &Observation) -> bool {
    one.metric == other.metric && one.vantage == other.vantage && one.peer == other.peer
}

/// The series of an observation; what is longer than an observation carries is cut.
fn series_of(observation: &Observation) -> Series {
    let Observation {
        metric,
        at,
        vantage,
        peer,
        outcome,
    } = observation.clone();
    let named = Observation::new(metric, at, vantage, peer, outcome);
    Series {
        metric: named.metric,
        vantage: named.vantage,
        peer: named.peer,
    }
}

/// A series while its observations are gathered.
struct Building {
    key: Series,
    last: i64,
    at: Vec<i64>,
    value: Vec<Option<i64>>,
    failure: Vec<FailureReason>,
    detail: Vec<String>,
}

impl Building {
    const fn new(key: Series) -> Self {
        Self {
            key,
            last: 0,
            at: Vec::new(),
            value: Vec::new(),
            failure: Vec::new(),
            detail: Vec::new(),
        }
    }

    fn push(&mut self, UnixMillis(at): UnixMillis, outcome: &Outcome) -> Result<(), NotWritable> {
        if at < 0 {
            return Err(NotWritable::Before1970(at));
        }
        // Both are at least 0, so that their difference is a number.
        self.at.push(at - self.last);
        self.last = at;
        match outcome {
            Outcome::Value(value) => {
                let (found, expected) = (value.unit(), self.key.metric.quantity.unit());
                if found != expected {
                    return Err(NotWritable::Unit {
                        metric: self.key.metric,
                        expected,
                        found,
                    });
                }
                self.value.push(Some(value.number()));
            }
            Outcome::Failed(failure) => {
                let Failure { reason, detail } = Failure::new(failure.reason, &failure.detail);
                self.value.push(None);
                self.failure.push(reason);
                self.detail.push(detail);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Columns {
        let exponent = common_exponent(self.value.iter().flatten().copied());
        let power = 10_i64.pow(u32::from(exponent));
        for value in self.value.iter_mut().flatten() {
            *value /= power;
        }
        Columns {
            unit: self.key.metric.quantity.unit(),
            metric: self.key.metric,
            interface: self.key.vantage.interface,
            medium: self.key.vantage.medium,
            peer: self.key.peer,
            exponent,
            at: Bounded(self.at),
            value: Bounded(self.value),
            failure: Bounded(self.failure),
            detail: Bounded(self.detail),
        }
    }
}

/// The largest power of ten that divides all; 0 where there is nothing to divide.
fn common_exponent(values: impl Iterator<Item = i64>) -> u8 {
    let zeros = |value: i64| {
        (1..=MAX_EXPONENT)
            .take_while(|exponent| value % 10_i64.pow(u32::from(*exponent)) == 0)
            .last()
            .unwrap_or_default()
    };
    values
        .filter(|value| *value != 0)
        .map(zeros)
        .min()
        .unwrap_or_default()
}
