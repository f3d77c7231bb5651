//! What a school box would have measured: round trips in whole microseconds, at even times with a jitter.

use messnetz_metric::{
    Metric, Micros, Observation, Outcome, Quantity, Segment, UnixMillis, Value, Vantage,
};

use crate::chance::Chance;

/// What one batch holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// Far ends, each of which is a series.
    pub(crate) series: u32,
    /// Samples of each.
    pub(crate) samples: u32,
    /// Time between two samples of a series, in milliseconds.
    pub(crate) every_ms: i64,
}

impl Shape {
    pub(crate) const fn observations(&self) -> u64 {
        self.series as u64 * self.samples as u64
    }

    /// What time passes from one batch to the next, in milliseconds.
    pub(crate) const fn span_ms(&self) -> i64 {
        self.samples as i64 * self.every_ms
    }
}

/// One series of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) peer: String,
    /// When, and how many microseconds it took.
    pub(crate) samples: Vec<(i64, u64)>,
}

/// What is measured from this time on until a batch of this shape is full.
pub(crate) fn batch(shape: &Shape, from_ms: i64, chance: &mut Chance) -> Vec<Measured> {
    let series = |peer: u32| Measured {
        peer: format!("10.0.{}.{}", peer / 256, peer % 256),
        samples: (0..shape.samples)
            .map(|number| {
                let at = from_ms + i64::from(number) * shape.every_ms + i64::from(peer) * 20;
                (at + chance.below(4).cast_signed(), round_trip(chance))
            })
            .collect(),
    };
    (0..shape.series).map(series).collect()
}

/// As pings over a line scatter: most within a millisecond, one in a hundred far off.
pub(crate) fn round_trip(chance: &mut Chance) -> u64 {
    let spread: u64 = (0..4).map(|_| chance.below(300)).sum();
    let spike = if chance.below(100) == 0 {
        chance.below(40_000)
    } else {
        0
    };
    9_000 + spread + spike
}

/// The same as an agent hands it over: round trips over the line.
pub(crate) fn observations(measured: &[Measured]) -> Vec<Observation> {
    observations_of(Metric::new(Segment::Line, Quantity::Rtt), measured)
}

/// The same of another metric that is a time.
pub(crate) fn observations_of(metric: Metric, measured: &[Measured]) -> Vec<Observation> {
    let of_series = |series: &Measured| {
        let observation = |&(at, micros): &(i64, u64)| {
            let outcome = Outcome::Value(Value::Time(Micros::from_micros(micros)));
            let (at, vantage) = (UnixMillis(at), Vantage::default());
            Observation::new(metric, at, vantage, series.peer.as_str(), outcome)
        };
        series.samples.iter().map(observation).collect::<Vec<_>>()
    };
    measured.iter().flat_map(of_series).collect()
}
