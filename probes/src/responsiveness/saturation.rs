//! When a path is loaded, and how sure the numbers are: the algorithm of draft-ietf-ippm-responsiveness-09,
//! without sockets and clock.
//!
//! The driver opens the flows that [`Saturation::end_of_interval`] asks for, and tells after each interval
//! what flowed and how long the probes took.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::arithmetic::{Latencies, Means, Rpm, mean};

/// The algorithm's parameters. They are kept with each result: results of different ones do not compare.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Parameters {
    /// How often the state is looked at (ID). The draft says 5 s; shipped clients use 1 s.
    #[serde(rename = "interval_s", serialize_with = "seconds")]
    pub interval: Duration,
    /// Over how many intervals averages move (MAD).
    pub averaged: usize,
    /// Share of the smallest samples that the trimmed mean keeps (TMP).
    pub kept: f64,
    /// How far averages may stray from their mean, as its share, and be stable (SDT).
    pub tolerance: f64,
    /// Most flows (MNP).
    pub flows: usize,
    /// Most intervals before the test ends, stable or not.
    pub intervals: usize,
}

impl Parameters {
    /// Those of the draft.
    pub const DRAFT: Self = Self {
        interval: Duration::from_secs(5),
        averaged: 4,
        kept: 0.95,
        tolerance: 0.05,
        flows: 16,
        intervals: 20,
    };

    /// Those of the draft, but with intervals of a second, as shipped clients have them: the path is filled for
    /// 20 s at most, which a line with teaching on it can bear.
    pub const SHORT: Self = Self {
        interval: Duration::from_secs(1),
        ..Self::DRAFT
    };

    /// The longest time for which one way is filled.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.interval * self.intervals as u32
    }
}

fn seconds<S: Serializer>(interval: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(interval.as_secs_f64())
}

/// How far a number had settled when the test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// There was too little of it to tell, or it never settled over half of the averaged intervals.
    Low,
    /// It had settled over half of the averaged intervals.
    Medium,
    /// It had settled over all of them.
    High,
}

/// What to do after an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Open one more flow and go on.
    Add,
    /// Go on as it is.
    Stay,
    /// The path was loaded and responsiveness has settled, or the time is over.
    End,
}

/// What came of a test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    /// Bytes a second over the averaged intervals.
    pub(super) goodput: f64,
    /// Flows at the end.
    pub(super) flows: usize,
    /// Intervals that passed.
    pub(super) intervals: usize,
    /// Of the probes of the averaged intervals.
    pub(super) means: Means,
    /// Round trips per minute over the averaged intervals; `None` where probes of a kind did not come back.
    pub(super) rpm: Option<Rpm>,
    /// How far the goodput had settled.
    pub(super) goodput_confidence: Confidence,
    /// How far responsiveness had settled.
    pub(super) rpm_confidence: Confidence,
}

/// A test in one direction, interval by interval.
#[derive(Debug)]
pub(super) struct Saturation {
    parameters: Parameters,
    flows: usize,
    intervals: usize,
    /// Goodput of the last intervals, and its moving average after each.
    goodput: Averages,
    /// Responsiveness of the last intervals, and its moving average after each.
    rpm: Averages,
    /// Probes of the last intervals.
    probes: VecDeque<Latencies>,
    /// Whether goodput has been stable: from then on no flow is added.
    filled: bool,
}

/// A number per interval, its moving averages, and whether they have settled.
#[derive(Debug, Default)]
struct Averages {
    last: VecDeque<f64>,
    moving: VecDeque<f64>,
}

impl Averages {
    fn push(&mut self, value: f64, most: usize) {
        keep(&mut self.last, value, most);
        if let Some(average) = mean(self.last.iter().copied()) {
            keep(&mut self.moving, average, most);
        }
    }

    /// Whether the last `count` moving averages are there, and none strays from their mean by more than
    /// `tolerance` of it.
    fn is_stable(&self, count: usize, tolerance: f64) -> bool {
        let last = || self.moving.iter().rev().take(count).copied();
        let Some(mean) = mean(last()).filter(|_| self.moving.len() >= count.max(1)) else {
            return false;
        };
        last().all(|average| (average - mean).abs() <= tolerance * mean.abs())
    }

    fn confidence(&self, parameters: &Parameters) -> Confidence {
        let Parameters {
            averaged,
            tolerance,
            ..
        } = *parameters;
        if self.is_stable(averaged, tolerance) {
            Confidence::High
        } else if self.is_stable((averaged / 2).max(2), tolerance) {
            Confidence::Medium
        } else {
            Confidence::Low
        }
    }
}

fn keep<T>(queue: &mut VecDeque<T>, value: T, most: usize) {
    queue.push_back(value);
    while queue.len() > most.max(1) {
        queue.pop_front();
    }
}

impl Saturation {
    /// A test that begins with one flow.
    pub(super) fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            flows: 1,
            intervals: 0,
            goodput: Averages::default(),
            rpm: Averages::default(),
            probes: VecDeque::new(),
            filled: false,
        }
    }

    /// An interval of this length is over, in which so many bytes flowed and these probes came back. Flows are
    /// added until the goodput is stable or there are enough; then the test goes on until responsiveness is
    /// stable, too.
    pub(super) fn end_of_interval(
        &mut self,
        lasted: Duration,
        bytes: u64,
        probes: Latencies,
    ) -> Next {
        let Parameters {
            averaged,
            tolerance,
            kept,
            flows,
            intervals,
            ..
        } = self.parameters;
        self.intervals += 1;
        if !lasted.is_zero() {
            self.goodput
                .push(bytes as f64 / lasted.as_secs_f64(), averaged);
        }
        // Responsiveness counts once the path is loaded.
        if self.filled
            && let Some(rpm) = probes.rpm(kept)
        {
            self.rpm.push(rpm.0, averaged);
        }
        keep(&mut self.probes, probes, averaged);
        if self.intervals >= intervals || self.rpm.is_stable(averaged, tolerance) {
            return Next::End;
        }
        self.filled = self.filled || self.goodput.is_stable(averaged, tolerance);
        if self.filled || self.flows >= flows {
            self.filled = true;
            return Next::Stay;
        }
        self.flows += 1;
        Next::Add
    }

    /// What came of it; `None` where no interval has passed.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let mut probes = Latencies::default();
        for interval in &self.probes {
            probes.extend(interval);
        }
        Some(Outcome {
            goodput: *self.goodput.moving.back()?,
            flows: self.flows,
            intervals: self.intervals,
            means: probes.means(self.parameters.kept),
            rpm: probes.rpm(self.parameters.kept),
            goodput_confidence: self.goodput.confidence(&self.parameters),
            rpm_confidence: self.rpm.confidence(&self.parameters),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Probes that all take so long.
    fn probes(millis: u64) -> Latencies {
        let time = Duration::from_millis(millis);
        Latencies {
            tcp: vec![time; 5],
            tls: vec![time; 5],
            http: vec![time; 5],
            loaded: vec![time; 5],
        }
    }

    /// A line of this rate whose flows get `share` each, and whose queue makes probes take `millis`. Returns
    /// the steps until the end.
    fn run(
        saturation: &mut Saturation,
        share: u64,
        rate: u64,
        millis: impl Fn(usize) -> u64,
    ) -> Vec<Next> {
        let mut steps = Vec::new();
        for interval in 0..100 {
            let bytes = (share * saturation.flows as u64).min(rate);
            let next = saturation.end_of_interval(SECOND, bytes, probes(millis(interval)));
            steps.push(next);
            if next == Next::End {
                break;
            }
        }
        steps
    }

    #[test]
    fn flows_are_added_until_the_line_is_full_and_the_test_ends_when_both_are_stable() {
        let mut saturation = Saturation::new(Parameters::SHORT);
        let steps = run(&mut saturation, 1_000_000, 3_000_000, |_| 30);
        let outcome = saturation.outcome().unwrap();
        assert_eq!(steps.last(), Some(&Next::End));
        assert!(steps.len() < Parameters::SHORT.intervals, "{steps:?}");
        assert!((3..16).contains(&outcome.flows), "{outcome:?}");
        assert!((outcome.goodput - 3e6).abs() < 1.0, "{outcome:?}");
        assert!((outcome.rpm.unwrap().0 - 2_000.0).abs() < 1e-6);
        assert_eq!(outcome.goodput_confidence, Confidence::High);
        assert_eq!(outcome.rpm_confidence, Confidence::High);
        // No flow is added any more once one was not.
        let added = steps.iter().take_while(|step| **step == Next::Add).count();
        assert!(!steps[added..].contains(&Next::Add), "{steps:?}");
        assert_eq!(outcome.flows, 1 + added);
    }

    #[test]
    fn there_are_never_more_than_sixteen_flows() {
        let mut saturation = Saturation::new(Parameters::SHORT);
        run(&mut saturation, 1_000_000, u64::MAX, |_| 30);
        assert_eq!(saturation.flows, 16);
    }

    #[test]
    fn what_never_settles_ends_in_time_with_low_confidence() {
        let mut saturation = Saturation::new(Parameters::SHORT);
        // Each interval is twice as slow as the one before.
        let steps = run(&mut saturation, 1_000_000, 1_000_000, |n| 1 << n.min(20));
        assert_eq!(steps.len(), Parameters::SHORT.intervals);
        let outcome = saturation.outcome().unwrap();
        assert_eq!(outcome.goodput_confidence, Confidence::High);
        assert_eq!(outcome.rpm_confidence, Confidence::Low);
    }

    #[test]
    fn a_silent_peer_has_no_responsiveness_and_does_not_go_on_for_ever() {
        let mut saturation = Saturation::new(Parameters::SHORT);
        let mut intervals = 0;
        while saturation.end_of_interval(SECOND, 0, Latencies::default()) != Next::End {
            intervals += 1;
            assert!(intervals < 100);
        }
        let outcome = saturation.outcome().unwrap();
        assert_eq!(outcome.rpm, None);
        assert_eq!(outcome.rpm_confidence, Confidence::Low);
    }

    #[test]
    fn no_interval_has_no_outcome() {
        assert_eq!(Saturation::new(Parameters::DRAFT).outcome(), None);
    }
}
