//! Latency under load: round trips before a capacity test and while it fills the path, to the same far end.
//!
//! A line can carry much and still be unfit for a video call: what waits in its queues makes everything else
//! wait (RFC 8033, section 1). Seen in one run, the two differ by what the load adds and by nothing else.
//!
//! Echo requests are used where the far end answers them, because they need nobody's time there; else TCP
//! connections to the port under test, which the report says.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use messnetz_metric::{Direction, Failure, FailureReason, Micros, Quantity, Reading, Value};
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};

use crate::Binding;
use crate::icmp::{self, Echo};
use crate::statistics::RttSummary;
use crate::tcp::{self, Connect};

/// Data bytes of an echo request, as `ping` sends them.
const PAYLOAD: usize = 56;

/// What asked for the round trips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// ICMP echo.
    Icmp,
    /// Connecting to the port under test.
    Tcp,
}

impl Method {
    /// Time between two requests: a connection costs the far end more than an echo.
    const fn interval(self) -> Duration {
        match self {
            Self::Icmp => Duration::from_millis(50),
            Self::Tcp => Duration::from_millis(250),
        }
    }
}

/// The far end of a capacity test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FarEnd {
    /// Where it serves.
    pub address: SocketAddr,
    /// Whether it can be connected to besides the test. A stock iperf3 takes a connection for another test.
    pub takes_connections: bool,
}

/// The round trips of one part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Phase {
    /// Requests.
    pub sent: u32,
    /// Of those, how many were answered in time.
    pub received: u32,
    /// How long the answers took; `None` where there was none.
    pub rtt: Option<RttSummary>,
}

/// Round trips without load and with it, in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UnderLoad {
    /// How they were asked for.
    pub method: Method,
    /// Before the test.
    pub idle: Phase,
    /// During the test, without its first quarter or its first two seconds, while the rate still grows.
    pub loaded: Phase,
    /// What the load adds: the median with it less the median without it, nothing where it is no longer.
    #[serde(rename = "added_us")]
    pub added: Option<Micros>,
}

impl UnderLoad {
    fn new(method: Method, idle: Phase, loaded: Phase) -> Self {
        let medians = idle.rtt.zip(loaded.rtt);
        let added = medians.map(|(idle, loaded)| {
            let (idle, loaded) = (idle.median.as_micros(), loaded.median.as_micros());
            Micros::from_micros(loaded.saturating_sub(idle))
        });
        Self {
            method,
            idle,
            loaded,
            added,
        }
    }

    /// One reading for each of [`quantities`], in their order.
    #[must_use]
    pub fn readings(&self, direction: Direction) -> Vec<Reading> {
        let median = |phase: &Phase| phase.rtt.map(|rtt| rtt.median);
        let values = [median(&self.idle), median(&self.loaded), self.added];
        let reading = |(quantity, value): (Quantity, Option<Micros>)| match value {
            Some(time) => vec![Reading::value(quantity, Value::Time(time))],
            None => Reading::failed(&[quantity], &silence()),
        };
        let quantities = quantities(direction).into_iter();
        quantities.zip(values).flat_map(reading).collect()
    }
}

fn silence() -> Failure {
    let what = "round trips beside a capacity test: nobody answered in time";
    Failure::new(FailureReason::Timeout, what)
}

/// What a capacity test in this direction tells about latency.
#[must_use]
pub const fn quantities(direction: Direction) -> [Quantity; 3] {
    [
        Quantity::RttIdle,
        Quantity::RttLoaded(direction),
        Quantity::AddedDelay(direction),
    ]
}

/// When which requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    /// For how long before the test.
    idle: Duration,
    /// From when on in the test.
    ramp: Duration,
    /// For how long from there on.
    loaded: Duration,
    /// How long an answer may take without load.
    idle_timeout: Duration,
}

/// How long an answer under load may take: a queue of two seconds is a delay and no loss.
const LOADED_TIMEOUT: Duration = Duration::from_secs(3);

impl Plan {
    /// The plan of a test of this length. The last request leaves some time before the test ends, so that
    /// it waits in a full queue; its answer may come after the end.
    fn of(length: Duration) -> Self {
        let quarter = length / 4;
        let ramp = quarter.min(Duration::from_secs(2));
        let timeout = quarter.min(Duration::from_secs(1));
        Self {
            idle: (length / 10).min(Duration::from_secs(1)),
            ramp,
            loaded: length.saturating_sub(ramp + timeout),
            idle_timeout: timeout,
        }
    }
}

/// Runs a capacity test of this length, and asks for round trips before it and beside it. `flows` resolves when
/// the test's data flows. Latency that could not be seen does not keep the test from its result.
///
/// # Errors
/// Of the latency: where nobody answers even without load, or nothing can be sent. Of the test: its own.
pub async fn beside<T>(
    far_end: FarEnd,
    binding: &Binding,
    length: Duration,
    flows: impl Future<Output = ()>,
    test: impl Future<Output = Result<T, Failure>>,
) -> (Result<T, Failure>, Result<UnderLoad, Failure>) {
    let plan = Plan::of(length);
    let FarEnd {
        address: target,
        takes_connections,
    } = far_end;
    let ask = async |method, length, timeout| phase(method, target, binding, length, timeout).await;
    let idle = match ask(Method::Icmp, plan.idle, plan.idle_timeout).await {
        Ok(phase) if phase.received > 0 || !takes_connections => Ok((Method::Icmp, phase)),
        Err(failure) if !takes_connections => Err(failure),
        _ => ask(Method::Tcp, plan.idle, plan.idle_timeout)
            .await
            .map(|idle| (Method::Tcp, idle)),
    };
    let (method, idle) = match idle {
        Ok((_, phase)) if phase.received == 0 => return (test.await, Err(silence())),
        Ok(idle) => idle,
        Err(failure) => return (test.await, Err(failure)),
    };
    let begun = OnceLock::new();
    let loaded = async {
        flows.await;
        sleep(plan.ramp).await;
        begun.get_or_init(Instant::now);
        ask(method, plan.loaded, LOADED_TIMEOUT).await
    };
    let all_asked = || begun.get().is_some_and(|at| at.elapsed() >= plan.loaded);
    let (test, loaded) = both(test, loaded, all_asked).await;
    let seen = loaded.map(|loaded| UnderLoad::new(method, idle, loaded));
    (test, seen)
}

/// Waits for a test and for the round trips beside it: beyond its end where all had been asked for by then.
async fn both<T>(
    test: impl Future<Output = Result<T, Failure>>,
    loaded: impl Future<Output = Result<Phase, Failure>>,
    all_asked: impl Fn() -> bool,
) -> (Result<T, Failure>, Result<Phase, Failure>) {
    let (mut test, mut loaded) = (std::pin::pin!(test), std::pin::pin!(loaded));
    tokio::select! {
        // A test that ends before its time has not loaded the path for as long as was planned.
        ended = &mut test => {
            let early = Failure::new(
                FailureReason::Protocol,
                "round trips beside a capacity test: it ended before they were seen",
            );
            (ended, if all_asked() { loaded.await } else { Err(early) })
        }
        loaded = &mut loaded => (test.await, loaded),
    }
}

/// Asks for round trips for as long.
async fn phase(
    method: Method,
    target: SocketAddr,
    binding: &Binding,
    length: Duration,
    timeout: Duration,
) -> Result<Phase, Failure> {
    let interval = method.interval();
    let count = length.div_duration_f64(interval).ceil().max(1.0) as u16;
    match method {
        Method::Icmp => {
            let echo = Echo {
                target: target.ip(),
                binding: binding.clone(),
                count,
                interval,
                timeout,
                payload: PAYLOAD,
            };
            let report = icmp::measure(&echo).await?;
            Ok(Phase {
                sent: report.sent.into(),
                received: report.received.into(),
                rtt: report.rtt,
            })
        }
        Method::Tcp => {
            let connect = Connect {
                target,
                binding: binding.clone(),
                deadline: timeout,
            };
            let (begin, mut times, mut sent) = (Instant::now(), Vec::new(), 0);
            for number in 0..count {
                sleep_until(begin + interval * number.into()).await;
                // Connections that took long leave no time for all.
                if sent > 0 && begin.elapsed() > length {
                    break;
                }
                sent += 1;
                match tcp::connect(&connect).await {
                    Ok(report) => times.push(Duration::from_micros(report.time.as_micros())),
                    Err(failure) if failure.reason == FailureReason::Timeout => {}
                    Err(failure) => return Err(failure),
                }
            }
            Ok(Phase {
                sent,
                received: times.len() as u32,
                rtt: RttSummary::of(&times),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn answered(times: &[u64]) -> Phase {
        let times: Vec<Duration> = times.iter().copied().map(ms).collect();
        Phase {
            sent: 10,
            received: times.len() as u32,
            rtt: RttSummary::of(&times),
        }
    }

    #[test]
    fn what_the_load_adds_is_the_difference_of_the_medians() {
        let seen = UnderLoad::new(
            Method::Icmp,
            answered(&[9, 10, 11]),
            answered(&[40, 250, 90]),
        );
        assert_eq!(seen.added, Some(Micros::from_micros(80_000)));
        let readings = seen.readings(Direction::Up);
        let quantities: Vec<Quantity> = readings.iter().map(|one| one.quantity).collect();
        assert_eq!(quantities, super::quantities(Direction::Up));
        let faster = UnderLoad::new(Method::Icmp, answered(&[10]), answered(&[8]));
        assert_eq!(faster.added, Some(Micros::from_micros(0)));
        let silent = UnderLoad::new(Method::Icmp, answered(&[10]), answered(&[]));
        assert_eq!(silent.added, None);
        assert_eq!(silent.readings(Direction::Down).len(), 3);
    }

    #[test]
    fn the_last_request_leaves_before_the_test_ends() {
        for length in [500, 1_000, 2_400, 10_000, 60_000] {
            let plan = Plan::of(ms(length));
            assert_eq!(plan.ramp + plan.loaded + plan.idle_timeout, ms(length));
            assert!(plan.loaded >= ms(length) / 2, "{plan:?}");
        }
        assert_eq!(Plan::of(ms(10_000)).ramp, ms(2_000));
    }

    #[tokio::test]
    async fn answers_are_waited_for_beyond_the_end_of_a_test_where_all_had_been_asked_for() {
        let asked = ms(200);
        for (length, is_seen) in [(400, true), (50, false)] {
            let begin = Instant::now();
            let test = async {
                sleep(ms(length)).await;
                Ok(())
            };
            // The last request waits in a queue for longer than the test lasts.
            let loaded = async {
                sleep(asked + ms(500)).await;
                Ok(answered(&[2_000]))
            };
            let (_, seen) = both(test, loaded, || begin.elapsed() >= asked).await;
            assert_eq!(seen.is_ok(), is_seen, "{seen:?}");
        }
    }

    const fn served(address: SocketAddr) -> FarEnd {
        FarEnd {
            address,
            takes_connections: true,
        }
    }

    #[tokio::test]
    async fn both_phases_are_seen_beside_a_test_by_echo_or_by_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let length = ms(1_000);
        let test = async {
            sleep(length).await;
            Ok(7)
        };
        let (result, seen) = beside(served(target), &Binding::any(), length, async {}, test).await;
        assert_eq!(result.unwrap(), 7);
        let seen = seen.unwrap();
        assert!(
            seen.idle.received > 0 && seen.loaded.received > 0,
            "{seen:?}"
        );
        assert!(seen.added.is_some(), "{seen:?}");
        let phase = phase(Method::Tcp, target, &Binding::any(), ms(500), ms(250)).await;
        assert_eq!(phase.unwrap().received, 2);
    }

    #[tokio::test]
    async fn a_test_that_fails_at_once_is_not_held_up_and_has_no_latency() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let begin = Instant::now();
        let refused = async { Err::<(), _>(silence()) };
        let length = Duration::from_mins(1);
        let (result, seen) =
            beside(served(target), &Binding::any(), length, async {}, refused).await;
        assert!(result.is_err());
        assert_eq!(seen.unwrap_err().reason, FailureReason::Protocol);
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
}
