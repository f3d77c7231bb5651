//! One measured value, or the reason why there is none.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::metric::{Metric, Quantity};
use crate::units::{Unit, Value};

/// Most characters that a failure's detail, a peer or an interface carries. Longer ones are cut where
/// they are made and where they are read, so that a hostile peer can neither fill the spool with an
/// error message nor make a record that is written once and refused ever after.
pub const TEXT_LIMIT: usize = 200;

/// The text, or as much of it as an observation carries.
fn cut(text: String) -> String {
    match text.char_indices().nth(TEXT_LIMIT) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// Why a measurement yielded no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureReason {
    /// No answer within the probe's deadline.
    Timeout,
    /// The peer answered that nothing listens there.
    Refused,
    /// The network answered that the peer cannot be reached, or there is no route.
    Unreachable,
    /// The name has no address, or the resolver answered with an error.
    NameResolution,
    /// The TLS handshake failed or the certificate was not the expected one.
    Tls,
    /// The peer broke the protocol, or answered with an error of that protocol.
    Protocol,
    /// This program may not do what the probe needs; the detail names the capability, or the limit of the agent
    /// that does not allow it.
    Permission,
    /// The interface is missing or down.
    Interface,
    /// The peer is at work for somebody else.
    Busy,
    /// It was left out, to keep within what measuring may cost on this line.
    Budget,
}

impl FailureReason {
    /// All reasons.
    pub const ALL: [Self; 10] = [
        Self::Timeout,
        Self::Refused,
        Self::Unreachable,
        Self::NameResolution,
        Self::Tls,
        Self::Protocol,
        Self::Permission,
        Self::Interface,
        Self::Busy,
        Self::Budget,
    ];

    /// The name used on the wire and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::NameResolution => "name-resolution",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Permission => "permission",
            Self::Interface => "interface",
            Self::Busy => "busy",
            Self::Budget => "budget",
        }
    }
}

/// A measurement that yielded no value: an outcome like any other, stored beside the values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of failure.
    pub reason: FailureReason,
    /// What was attempted, on what, and what came back, in English; at most 200 characters.
    pub detail: String,
}

impl Failure {
    /// A failure with its detail, which is cut to 200 characters.
    pub fn new(reason: FailureReason, detail: impl fmt::Display) -> Self {
        Self {
            reason,
            detail: cut(detail.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.name(), self.detail)
    }
}

impl std::error::Error for Failure {}

/// What a measurement came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A value.
    Value(Value),
    /// No value, and why.
    Failed(Failure),
}

/// What a probe reports before anybody knows the segment it was run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What was measured.
    pub quantity: Quantity,
    /// What it came to.
    pub outcome: Outcome,
}

impl Reading {
    /// A reading with a value.
    ///
    /// # Panics
    /// In debug builds, where the value's unit is not the quantity's: a defect of the probe.
    #[must_use]
    pub fn value(quantity: Quantity, value: Value) -> Self {
        debug_assert_eq!(quantity.unit(), value.unit(), "{quantity:?}");
        Self {
            quantity,
            outcome: Outcome::Value(value),
        }
    }

    /// One failed reading for each of the quantities that the probe would have measured.
    #[must_use]
    pub fn failed(quantities: &[Quantity], failure: &Failure) -> Vec<Self> {
        quantities
            .iter()
            .map(|&quantity| Self {
                quantity,
                outcome: Outcome::Failed(failure.clone()),
            })
            .collect()
    }
}

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

/// What the measuring interface is made of.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    /// A cable.
    Wired,
    /// A radio.
    Wlan,
    /// Not known, or not bound to one interface.
    #[default]
    Unknown,
}

/// From where in the school a measurement looked out: its interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vantage {
    /// Name of the interface the probe was bound to; `None` where the routing table chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// What that interface is made of.
    pub medium: Medium,
}

/// One measurement with its place and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Observation {
    /// What was measured.
    pub metric: Metric,
    /// When the measurement began.
    pub at: UnixMillis,
    /// From where.
    pub vantage: Vantage,
    /// Against what: an address, a name, `collector`, `gateway`.
    pub peer: String,
    /// What it came to.
    pub outcome: Outcome,
}

impl Observation {
    /// An observation; the names of peer and interface are cut to 200 characters.
    #[must_use]
    pub fn new(
        metric: Metric,
        at: UnixMillis,
        vantage: Vantage,
        peer: impl Into<String>,
        outcome: Outcome,
    ) -> Self {
        Self {
            metric,
            at,
            vantage: Vantage {
                interface: vantage.interface.map(cut),
                medium: vantage.medium,
            },
            peer: cut(peer.into()),
            outcome,
        }
    }
}

/// An observation as it is written: a flat record with the unit named, readable without this program.
#[derive(Serialize, Deserialize)]
struct Written {
    metric: Metric,
    at: UnixMillis,
    vantage: Vantage,
    peer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<Unit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

impl From<Observation> for Written {
    fn from(observation: Observation) -> Self {
        let Observation {
            metric,
            at,
            vantage,
            peer,
            outcome,
        } = observation;
        let (unit, value, failure) = match outcome {
            Outcome::Value(value) => (Some(value.unit()), Some(value.number()), None),
            Outcome::Failed(failure) => (None, None, Some(failure)),
        };
        Self {
            metric,
            at,
            vantage,
            peer,
            unit,
            value,
            failure,
        }
    }
}

impl TryFrom<Written> for Observation {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written {
            metric,
            at,
            vantage,
            peer,
            unit,
            value,
            failure,
        } = written;
        let outcome = match (unit, value, failure) {
            (Some(unit), Some(number), None) if unit == metric.quantity.unit() => {
                let (least, most) = unit.range();
                if number < least || (number > most && unit != Unit::PartPerMillion) {
                    return Err(format!("{metric} cannot be {number} {unit}"));
                }
                Outcome::Value(Value::new(unit, number))
            }
            (Some(unit), Some(_), None) => {
                let expected = metric.quantity.unit();
                return Err(format!("{metric} is measured in {expected}, not in {unit}"));
            }
            (None, None, Some(failure)) => {
                Outcome::Failed(Failure::new(failure.reason, failure.detail))
            }
            _ => {
                return Err(format!(
                    "{metric} needs either unit and value, or a failure"
                ));
            }
        };
        Ok(Self::new(metric, at, vantage, peer, outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{BitRate, Micros, PerMinute, Ppm};
    use proptest::prelude::*;

    fn any_observation() -> impl Strategy<Value = Observation> {
        let metric = prop::sample::select(Metric::all().collect::<Vec<_>>());
        (
            metric,
            any::<i64>(),
            0..i64::MAX as u64,
            any::<bool>(),
            ".{0,40}",
        )
            .prop_map(|(metric, at, number, ok, text)| Observation {
                metric,
                at: UnixMillis(at),
                vantage: Vantage {
                    interface: Some(text.clone()),
                    medium: Medium::Wired,
                },
                peer: text.clone(),
                outcome: if ok {
                    Outcome::Value(match metric.quantity.unit() {
                        Unit::BitPerSecond => Value::Rate(BitRate::from_bps(number)),
                        Unit::Microsecond => Value::Time(Micros::from_micros(number)),
                        Unit::PartPerMillion => Value::Share(Ppm::from_ppm(number as u32)),
                        Unit::PerMinute => Value::Frequency(PerMinute::new(number)),
                        Unit::MillibelMilliwatt | Unit::Millibel => {
                            Value::new(metric.quantity.unit(), i64::from(number as i32))
                        }
                    })
                } else {
                    Outcome::Failed(Failure::new(FailureReason::Timeout, text))
                },
            })
    }

    proptest! {
        #[test]
        fn an_observation_survives_json(observation in any_observation()) {
            let text = serde_json::to_string(&observation).unwrap();
            prop_assert_eq!(serde_json::from_str::<Observation>(&text).unwrap(), observation);
        }
    }

    #[test]
    fn what_is_written_can_be_read_back_however_long_its_names_are() {
        let long = "ü".repeat(10_000);
        let vantage = Vantage {
            interface: Some(long.clone()),
            medium: Medium::Wired,
        };
        let metric = Metric::all().next().unwrap();
        let outcome = Outcome::Failed(Failure::new(FailureReason::Timeout, &long));
        let observation = Observation::new(
            metric,
            UnixMillis(1),
            vantage.clone(),
            long.clone(),
            outcome.clone(),
        );
        assert_eq!(observation.peer.chars().count(), TEXT_LIMIT);
        let text = serde_json::to_string(&observation).unwrap();
        assert_eq!(
            serde_json::from_str::<Observation>(&text).unwrap(),
            observation
        );
        let uncut = Observation {
            metric,
            at: UnixMillis(1),
            vantage,
            peer: long,
            outcome,
        };
        let text = serde_json::to_string(&uncut).unwrap();
        assert_eq!(
            serde_json::from_str::<Observation>(&text).unwrap(),
            observation,
            "what others wrote is cut when it is read"
        );
    }

    #[test]
    fn a_value_in_the_wrong_unit_is_refused_by_name() {
        let text = r#"{"metric":"line.down","at":0,"vantage":{"medium":"wired"},"peer":"x","unit":"us","value":3}"#;
        let error = serde_json::from_str::<Observation>(text)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line.down is measured in bit/s, not in us"),
            "{error}"
        );
    }

    #[test]
    fn a_rate_below_zero_is_refused() {
        let text = r#"{"metric":"line.down","at":0,"vantage":{"medium":"wired"},"peer":"x","unit":"bit/s","value":-3}"#;
        let error = serde_json::from_str::<Observation>(text).unwrap_err();
        assert!(
            error.to_string().contains("line.down cannot be -3"),
            "{error}"
        );
    }

    #[test]
    fn an_observation_without_value_and_failure_is_refused() {
        let text = r#"{"metric":"line.down","at":0,"vantage":{"medium":"wired"},"peer":"x"}"#;
        assert!(serde_json::from_str::<Observation>(text).is_err());
    }
}
