//! Observations of which each is told by its number: when it was, in which series, what it came to.

use std::sync::LazyLock;

use messnetz_metric::{
    Failure, FailureReason, Metric, Observation, Outcome, Quantity, Segment, UnixMillis, Value,
    Vantage,
};

/// Names when number 0 was for a process that another one starts.
pub(super) const BEGIN: &str = "MESSNETZ_FAULTS_BEGIN";

/// A month and a day: what is numbered is over, and no older than what is measured while a collector is away.
const BEFORE: i64 = 32 * 86_400_000;

static FIRST: LazyLock<i64> = LazyLock::new(|| {
    let told = std::env::var(BEGIN).ok().map(|told| told.parse().unwrap());
    told.unwrap_or_else(|| messnetz::clock::now().0 - BEFORE)
});

/// No number is this large.
pub(super) const LIMIT: i64 = 1_000_000_000_000;

/// In how many series the numbers take turns.
const SERIES: u64 = 5;

/// Each so-many-th number is a failure.
const FAILURES: u64 = 7;

/// What is measured: nothing that an agent of these tests measures itself.
pub(super) fn metric() -> Metric {
    Metric::new(Segment::Service, Quantity::DnsTime)
}

/// When number 0 was.
pub(super) fn begin() -> i64 {
    *FIRST
}

/// From when to when numbers are.
pub(super) fn times() -> (i64, i64) {
    (begin(), begin() + LIMIT)
}

/// The observation of this number.
pub(super) fn observation(number: u64) -> Observation {
    let outcome = if number.is_multiple_of(FAILURES) {
        let detail = format_args!("number {number}, \"äöü\" <b>");
        Outcome::Failed(Failure::new(FailureReason::Timeout, detail))
    } else {
        Outcome::Value(value(number))
    };
    let peer = format!("numbers {}", number % SERIES);
    let at = UnixMillis(begin() + number.cast_signed());
    Observation::new(metric(), at, Vantage::default(), peer, outcome)
}

fn value(number: u64) -> Value {
    Value::new(metric().quantity.unit(), number.cast_signed())
}

/// The number of an observation; `None` where it is none of these. One that is altered ends the test.
pub(super) fn number_of(found: &Observation) -> Option<u64> {
    if found.metric != metric() {
        return None;
    }
    let number = number_at(found.at.0);
    assert_eq!(*found, observation(number), "this is altered");
    Some(number)
}

/// The number of a sample at this time.
pub(super) fn number_at(at: i64) -> u64 {
    let number = at - begin();
    assert!((0..LIMIT).contains(&number), "no number was at {at}");
    number.cast_unsigned()
}

/// The sample of this number; `None` where it is a failure.
pub(super) fn sample(number: u64) -> Option<Value> {
    (!number.is_multiple_of(FAILURES)).then(|| value(number))
}
