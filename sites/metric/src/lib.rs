//! The vocabulary that measuring and judging share: what can be measured, in which unit, on which
//! layer, and what came out.
//!
//! Everything a probe reports and a target asks for is named by a [`Metric`]: a [`Segment`] of the
//! path times a [`Quantity`]. There is no second list anywhere else. No I/O, no clock, no statistics
//! and no school lives here.

mod metric;
mod observation;
mod rate;
mod units;

pub use metric::{Better, Direction, Layer, Metric, Quantity, Segment, Tester, UnknownMetric};
pub use observation::{
    Failure, FailureReason, Medium, Observation, Outcome, Reading, TEXT_LIMIT, UnixMillis, Vantage,
};
pub use rate::{Down, EachWay, Mark, Nominal, OnLayer, OneWay, Payload, Rate, Towards, Up};
pub use units::{
    BitRate, Micros, NotARate, PerMinute, PowerLevel, PowerRatio, Ppm, Unit, UnitMismatch, Value,
};
