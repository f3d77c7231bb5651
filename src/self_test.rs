//! What this machine itself can carry: our own client against our own server, over its loopback.
//!
//! A capacity test shows no more than the box that runs it can do, and TLS is what limits a small board. Client
//! and server have a thread each, as a client in a test has; no interface counts any of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnetwork::IpNetwork;
use messnetz_metric::{
    BitRate, Direction, Failure, FailureReason, Quantity, Reading, Segment, Tester, Value,
};
use messnetz_probes::{Binding, iperf3, ndt7};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::identity::{self, Identity};
use crate::pinned;
use crate::serve::{Addresses, Allowed, Config, Doors};

/// How long data flows each way.
const LENGTH: Duration = Duration::from_secs(1);

/// Time for everything else of a test.
const AROUND: Duration = Duration::from_secs(5);

/// Tests at once: the server may still take leave of one when the next begins.
const PARALLEL: usize = 2;

/// The least share of a core that a client is taken to have had: the other end of the test had the rest.
const LEAST_SHARE: f64 = 0.5;

/// What this machine carries over its loopback, as far as it was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceilings {
    /// By ndt7 over TLS.
    #[serde(default, rename = "ndt7_bps", skip_serializing_if = "Option::is_none")]
    pub ndt7: Option<BitRate>,
    /// By one stream of iperf3.
    #[serde(
        default,
        rename = "iperf3_bps",
        skip_serializing_if = "Option::is_none"
    )]
    pub iperf3: Option<BitRate>,
}

impl Ceilings {
    /// What is known of one protocol.
    #[must_use]
    pub const fn by(&self, tester: Tester) -> Option<BitRate> {
        match tester {
            Tester::Ndt7 => self.ndt7,
            Tester::Iperf3 => self.iperf3,
        }
    }

    /// Notes what one protocol came to.
    pub const fn note(&mut self, tester: Tester, ceiling: BitRate) {
        match tester {
            Tester::Ndt7 => self.ndt7 = Some(ceiling),
            Tester::Iperf3 => self.iperf3 = Some(ceiling),
        }
    }

    /// What bounds the capacity tests of a segment, as a reading of the box.
    #[must_use]
    pub fn reading(&self, segment: Segment) -> Option<Reading> {
        let tester = Tester::of(segment)?;
        let ceiling = Value::Rate(self.by(tester)?);
        Some(Reading::value(Quantity::Ceiling(tester), ceiling))
    }
}

/// What a client of this protocol can show on this machine at most: the lower of both directions. Takes about two
/// seconds, in which nothing else should be measured.
///
/// In such a test both ends share the machine. Where the client's thread was not at work all the time, the other
/// end held it up, and what it would do with a core for itself is extrapolated, to twice as much at most.
///
/// # Errors
/// Where no thread or socket is to be had, or the test fails: the loopback interface is down.
pub async fn ceiling(tester: Tester) -> Result<BitRate, Failure> {
    let (tell, told) = oneshot::channel();
    apart("client", move || {
        let result = runtime().and_then(|runtime| runtime.block_on(both_ways(tester)));
        // Whoever does not wait any more needs no answer.
        drop(tell.send(result));
    })?;
    told.await.map_err(failed)?
}

async fn both_ways(tester: Tester) -> Result<BitRate, Failure> {
    let server = Server::start(tester).await?;
    let down = server.test(Direction::Down).await?;
    let up = server.test(Direction::Up).await?;
    Ok(down.min(up))
}

/// Our server in a thread of its own, which ends when this is dropped.
struct Server {
    addresses: Addresses,
    identity: Identity,
    _stop: oneshot::Sender<()>,
}

impl Server {
    async fn start(tester: Tester) -> Result<Self, Failure> {
        let pem = identity::self_signed().map_err(failed)?;
        let identity = Identity::of_pem(&pem, &pem).map_err(failed)?;
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let config = Config {
            address,
            iperf3: (tester == Tester::Iperf3).then_some(0),
            stamp: None,
            stamp_key: None,
            stun: None,
            ndt7: (tester == Tester::Ndt7).then_some(0),
            tls: Some(identity.server.clone()),
            allowed: Allowed::only(vec![IpNetwork::from(address)]),
            parallel: PARALLEL,
            duration: LENGTH,
            rate: None,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        apart("server", move || {
            let runtime = match runtime() {
                Ok(runtime) => runtime,
                Err(failure) => return drop(tell.send(Err(failure))),
            };
            runtime.block_on(async {
                let doors = match Doors::open(config).await {
                    Ok(doors) => doors,
                    Err(failure) => return drop(tell.send(Err(failure))),
                };
                drop(tell.send(Ok(doors.addresses())));
                tokio::select! {
                    // What the server has to say of a test, its client says too.
                    _ = doors.serve(|_| ()) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self {
            addresses: told.await.map_err(failed)??,
            identity,
            _stop: stop,
        })
    }

    async fn test(&self, direction: Direction) -> Result<BitRate, Failure> {
        match (self.addresses.ndt7, self.addresses.iperf3) {
            (Some(address), _) => self.by_ndt7(address, direction).await,
            (_, Some(address)) => by_iperf3(address, direction).await,
            (None, None) => Err(failed("the server listens nowhere")),
        }
    }

    async fn by_ndt7(&self, address: SocketAddr, direction: Direction) -> Result<BitRate, Failure> {
        let test = ndt7::client::Test {
            direction,
            address,
            tunnel: None,
            host: address.to_string(),
            query: String::new(),
            tls: Some(pinned::tls(self.identity.fingerprint)),
            binding: Binding::any(),
            duration: LENGTH,
            deadline: LENGTH + AROUND,
            congestion: None,
        };
        let before = time_of_thread();
        let report = test.run().await?;
        let elapsed = Duration::from_micros(report.elapsed.as_micros());
        let share = time_of_thread()
            .zip(before)
            .map(|(now, before)| now.saturating_sub(before).div_duration_f64(elapsed));
        Ok(undisturbed(report.goodput, share))
    }
}

async fn by_iperf3(server: SocketAddr, direction: Direction) -> Result<BitRate, Failure> {
    let flow = match direction {
        Direction::Down => iperf3::Flow::Down,
        Direction::Up => iperf3::Flow::Up,
    };
    let test = iperf3::Test::new(server, iperf3::Parameters::tcp(flow, LENGTH));
    let report = tokio::time::timeout(LENGTH + AROUND, test.run(|_| ())).await;
    let report = report.map_err(failed)??;
    let summary = report.direction(direction);
    let rate = summary.and_then(|summary| summary.received.rate);
    let rate = rate.ok_or_else(|| failed("the test took no time"))?;
    Ok(undisturbed(rate, Some(report.cpu.own.total / 100.0)))
}

/// The rate of a client that had this share of a core, had it had all of one.
fn undisturbed(rate: BitRate, share: Option<f64>) -> BitRate {
    let share = share.unwrap_or(1.0).clamp(LEAST_SHARE, 1.0);
    BitRate::from_bps((rate.as_bps() as f64 / share) as u64)
}

/// Processor time of this thread so far (getrusage(2)).
fn time_of_thread() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
    let time = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec().checked_mul(1_000_000)?;
        u64::try_from(micros.checked_add(time.tv_usec())?).ok()
    };
    let micros = time(usage.user_time())?.checked_add(time(usage.system_time())?)?;
    Some(Duration::from_micros(micros))
}

fn apart(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = std::thread::Builder::new().name(format!("self-test {name}"));
    thread.spawn(work).map(drop).map_err(failed)
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(failed)
}

fn failed(why: impl std::fmt::Display) -> Failure {
    Failure::new(
        FailureReason::Interface,
        format_args!("testing what this machine itself carries: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_carries_something_by_either_protocol() {
        for tester in Tester::ALL {
            let rate = ceiling(tester).await.unwrap();
            assert!(rate > BitRate::from_mbps(20.0), "{tester:?}: {rate:?}");
        }
    }

    #[test]
    fn a_client_that_was_held_up_is_credited_with_twice_as_much_at_most() {
        let rate = BitRate::from_mbps(100.0);
        for (share, expected) in [
            (None, 100.0),
            (Some(1.3), 100.0),
            (Some(0.8), 125.0),
            (Some(0.1), 200.0),
            (Some(0.0), 200.0),
        ] {
            assert_eq!(undisturbed(rate, share), BitRate::from_mbps(expected));
        }
    }

    #[test]
    fn a_segment_is_bounded_by_what_its_tests_are_run_with() {
        let mut ceilings = Ceilings::default();
        ceilings.note(Tester::Ndt7, BitRate::from_mbps(90.0));
        let quantity = |segment| ceilings.reading(segment).map(|reading| reading.quantity);
        let ndt7 = Quantity::Ceiling(Tester::Ndt7);
        assert_eq!(quantity(Segment::Line), Some(ndt7));
        assert_eq!(quantity(Segment::Lan), None);
        assert_eq!(quantity(Segment::Service), None);
    }
}
