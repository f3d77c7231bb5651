//! What comes of a test, and in which order its ways are loaded.

use std::time::Duration;

use messnetz_metric::{
    BitRate, Direction, Failure, FailureReason, Micros, PerMinute, Quantity, Reading, Value,
};
use serde::{Serialize, Serializer};

use super::arithmetic::{Class, Rpm};
use super::saturation::{Confidence, Outcome, Parameters};

/// Whether the two ways are loaded one after the other or both at once. Their results do not compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Down, then up.
    Sequential,
    /// Both at once.
    Concurrent,
    /// One of the two of [`Self::Sequential`], whose name it bears.
    Only(Direction),
}

impl Order {
    pub(super) const fn steps(self) -> &'static [&'static [Direction]] {
        match self {
            Self::Sequential => &[&[Direction::Down], &[Direction::Up]],
            Self::Concurrent => &[&[Direction::Down, Direction::Up]],
            Self::Only(Direction::Down) => &[&[Direction::Down]],
            Self::Only(Direction::Up) => &[&[Direction::Up]],
        }
    }
}

impl Serialize for Order {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Sequential | Self::Only(_) => "sequential",
            Self::Concurrent => "concurrent",
        })
    }
}

/// What came of a test.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether the ways were loaded one after the other.
    pub order: Order,
    /// By which parameters.
    pub parameters: Parameters,
    /// Each way.
    pub ways: Vec<Way>,
}

impl Report {
    /// As readings: each way's round trips per minute, or why there are none.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        let of_way = |way: &Way| {
            let quantity = Quantity::Responsiveness(way.direction);
            match way.settled() {
                Ok(Rpm(rpm)) => {
                    let frequency = PerMinute::new(rpm.round() as u64);
                    vec![Reading::value(quantity, Value::Frequency(frequency))]
                }
                Err(failure) => Reading::failed(&[quantity], &failure),
            }
        };
        self.ways.iter().flat_map(of_way).collect()
    }
}

/// What came of one way.
#[derive(Clone, Debug, Serialize)]
pub struct Way {
    /// Which way was loaded.
    pub direction: Direction,
    /// Round trips per minute under load; `None` where probes of a kind did not come back.
    pub rpm: Option<Rpm>,
    /// What the draft calls so many.
    pub class: Option<Class>,
    /// How far that had settled.
    pub rpm_confidence: Confidence,
    /// Payload per second.
    #[serde(rename = "goodput_bps")]
    pub goodput: BitRate,
    /// How far that had settled.
    pub goodput_confidence: Confidence,
    /// Connections that carried the load at the end.
    pub flows: usize,
    /// Intervals until the end.
    pub intervals: usize,
    /// Trimmed mean until a fresh connection stood.
    #[serde(rename = "tcp_us")]
    pub tcp: Option<Micros>,
    /// Of the TLS handshake of a fresh connection.
    #[serde(rename = "tls_us")]
    pub tls: Option<Micros>,
    /// Of a request on a fresh connection.
    #[serde(rename = "http_us")]
    pub http: Option<Micros>,
    /// Of a request on a connection that carries load.
    #[serde(rename = "loaded_us")]
    pub loaded: Option<Micros>,
}

/// A moment of a test, for who watches it.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    /// Which way.
    pub direction: Direction,
    /// How many have passed.
    pub passed: usize,
    /// Payload per second in it.
    pub goodput: BitRate,
}

impl Way {
    /// Its round trips per minute, where they may be kept beside others.
    fn settled(&self) -> Result<Rpm, Failure> {
        let why = match self.rpm {
            None => "probes of a kind did not come back",
            Some(_) if self.rpm_confidence == Confidence::Low => "it did not settle",
            Some(rpm) => return Ok(rpm),
        };
        let intervals = self.intervals;
        let detail = format_args!("responsiveness: {why} in {intervals} intervals");
        Err(Failure::new(FailureReason::Timeout, detail))
    }

    pub(super) fn of(direction: Direction, outcome: &Outcome) -> Self {
        let time = |seconds: Option<f64>| Some(Micros::from(Duration::from_secs_f64(seconds?)));
        Self {
            direction,
            rpm: outcome.rpm,
            class: outcome.rpm.map(Rpm::class),
            rpm_confidence: outcome.rpm_confidence,
            goodput: rate(outcome.goodput),
            goodput_confidence: outcome.goodput_confidence,
            flows: outcome.flows,
            intervals: outcome.intervals,
            tcp: time(outcome.means.tcp),
            tls: time(outcome.means.tls),
            http: time(outcome.means.http),
            loaded: time(outcome.means.loaded),
        }
    }
}

/// Bytes a second as a rate.
pub(super) fn rate(bytes_per_second: f64) -> BitRate {
    BitRate::from_bps((bytes_per_second * 8.0) as u64)
}
