//! Several ndt7 connections at once. What they carry together is no ndt7 result, which is about one connection:
//! it has a name of its own wherever it is shown.

use futures_util::future::try_join_all;
use messnetz_metric::{BitRate, Direction, Failure, FailureReason, Micros};
use serde::Serialize;

use super::client::{Interval, Report, Test};

/// Most connections at once.
pub const MOST_STREAMS: usize = 16;

/// What several connections carried at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Together {
    /// What this is, for whoever reads the numbers alone: "3 streams, not an ndt7 result".
    pub label: String,
    /// Which way.
    pub direction: Direction,
    /// The rate of all streams, over the time in which all of them ran.
    #[serde(rename = "goodput_of_streams_bps")]
    pub goodput: BitRate,
    /// Bytes that the receiver got in that time.
    #[serde(rename = "common_bytes")]
    pub bytes: u64,
    /// How long all of them ran.
    #[serde(rename = "common_us")]
    pub common: Micros,
    /// Each of them, over its own time.
    pub streams: Vec<Report>,
}

/// Runs `count` of this test at once. `tell` is told each interval of each of them.
///
/// # Errors
/// As [`Test::run`] where one of them fails: fewer streams would be another measurement.
pub async fn run(
    test: &Test,
    count: usize,
    tell: impl FnMut(&Interval) + Send + Clone,
) -> Result<Together, Failure> {
    let all = (0..count.min(MOST_STREAMS)).map(|_| test.run_from(tell.clone()));
    let all = try_join_all(all).await?;
    let Some(first) = all.iter().map(|(start, _)| *start).min() else {
        return Err(apart());
    };
    let streams = all
        .into_iter()
        .map(|(start, report)| (start.duration_since(first).into(), report))
        .collect();
    sum(test.direction, streams)
}

/// The sum of streams, each with its start from that of the first.
fn sum(direction: Direction, streams: Vec<(Micros, Report)>) -> Result<Together, Failure> {
    let ends = streams
        .iter()
        .map(|(start, report)| start.as_micros().saturating_add(report.elapsed.as_micros()));
    let starts = streams.iter().map(|(start, _)| start.as_micros());
    let (from, to) = starts.max().zip(ends.min()).ok_or_else(apart)?;
    let bytes = streams
        .iter()
        .map(|(start, report)| {
            let until = |moment: u64| bytes_until(report, moment.saturating_sub(start.as_micros()));
            until(to).saturating_sub(until(from))
        })
        .fold(0, u64::saturating_add);
    let common = Micros::from_micros(to.checked_sub(from).ok_or_else(apart)?);
    Ok(Together {
        label: format!("{} streams, not an ndt7 result", streams.len()),
        direction,
        goodput: BitRate::from_transfer(bytes, common).ok_or_else(apart)?,
        bytes,
        common,
        streams: streams.into_iter().map(|(_, report)| report).collect(),
    })
}

/// What a stream had carried at a moment of its time, in microseconds; within an interval it is taken to have
/// come at one rate.
fn bytes_until(report: &Report, moment: u64) -> u64 {
    let (mut bytes, mut began) = (0_u64, 0_u64);
    for interval in &report.intervals {
        let end = interval.end.as_micros();
        if moment < end {
            let part = u128::from(moment.saturating_sub(began)) * u128::from(interval.bytes);
            let part = part / u128::from(end.saturating_sub(began).max(1));
            return bytes.saturating_add(u64::try_from(part).unwrap_or(u64::MAX));
        }
        bytes = bytes.saturating_add(interval.bytes);
        began = end;
    }
    bytes
}

fn apart() -> Failure {
    Failure::new(
        FailureReason::Protocol,
        format_args!("summing ndt7 streams: they did not run at the same time"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(seconds: f64) -> Micros {
        Micros::from_micros((seconds * 1e6) as u64)
    }

    /// A stream with these bytes at the ends of its intervals, in seconds.
    fn stream(intervals: &[(f64, u64)]) -> Report {
        let mut before = 0.0;
        let told: Vec<Interval> = intervals
            .iter()
            .map(|&(end, bytes)| {
                let time = micros(end - before);
                before = end;
                Interval {
                    end: micros(end),
                    bytes,
                    goodput: BitRate::from_transfer(bytes, time).unwrap(),
                }
            })
            .collect();
        let bytes = told.iter().map(|one| one.bytes).sum();
        Report {
            direction: Direction::Down,
            goodput: BitRate::from_transfer(bytes, micros(before)).unwrap(),
            bytes,
            elapsed: micros(before),
            intervals: told,
            sender: None,
            congestion: None,
            tls: false,
            server_uuid: None,
            connect: micros(0.001),
        }
    }

    #[test]
    fn only_what_came_while_all_streams_ran_counts() {
        // Alone for a second at 8 kbit/s, then both, then the other one alone.
        let early = stream(&[(1.0, 1_000), (2.0, 5_000), (3.0, 5_000)]);
        let late = stream(&[(1.0, 7_000), (2.0, 7_000), (3.0, 90_000)]);
        let together = sum(
            Direction::Down,
            vec![(micros(0.0), early), (micros(1.0), late)],
        )
        .unwrap();
        assert_eq!(together.common, micros(2.0));
        assert_eq!(together.bytes, 24_000);
        assert_eq!(together.goodput.as_bps(), 96_000);
        assert_eq!(together.streams.len(), 2);
        assert_eq!(together.label, "2 streams, not an ndt7 result");
    }

    #[test]
    fn a_part_of_an_interval_counts_by_its_time() {
        let one = stream(&[(1.0, 8_000), (2.0, 4_000)]);
        for (moment, bytes) in [
            (0.0, 0),
            (0.25, 2_000),
            (1.5, 10_000),
            (2.0, 12_000),
            (9.0, 12_000),
        ] {
            assert_eq!(bytes_until(&one, micros(moment).as_micros()), bytes);
        }
    }

    #[test]
    fn streams_that_never_ran_together_have_no_sum() {
        let one = || stream(&[(1.0, 1_000)]);
        for later in [1.0, 5.0] {
            let streams = vec![(micros(0.0), one()), (micros(later), one())];
            assert!(sum(Direction::Up, streams).is_err(), "{later}");
        }
        assert!(sum(Direction::Up, Vec::new()).is_err());
    }
}
