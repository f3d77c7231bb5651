//! The client: loads the path with flows over HTTP/2, and probes it beside them on fresh connections and on the
//! loaded ones.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::uri::Authority;
use messnetz_metric::{Direction, Failure, FailureReason, Micros};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::arithmetic::Latencies;
use super::configuration::{Configuration, Paths, WELL_KNOWN};
use super::http2::{Counter, Http2, Requests};
use super::report::{Interval, Order, Report, Way, rate};
use super::saturation::{Next, Parameters, Saturation};
use crate::connection::Dial;

/// Time between two rounds of probes, at least; each round asks once on a fresh and once on a loaded connection.
const SHORTEST_GAP: Duration = Duration::from_millis(100);

/// What one round of probes takes from the line, most of it the server's certificate.
const OCTETS_PER_ROUND: f64 = 6_000.0;

/// Share of the goodput that probes may take (draft: 5 %).
const MOST_FOR_PROBES: f64 = 0.05;

/// Most rounds that are on their way at one time.
const MOST_ROUNDS: usize = 64;

/// A test of responsiveness.
#[derive(Clone, Debug)]
pub struct Test {
    /// How to reach the server; over TLS.
    pub dial: Dial,
    /// The server as requests name it, and as its configuration has to name it as well.
    pub server: Authority,
    /// One way after the other, or both at once.
    pub order: Order,
    /// The algorithm's.
    pub parameters: Parameters,
}

impl Test {
    /// Runs it, and tells each interval to `told`.
    ///
    /// It takes at most `parameters.intervals` of `parameters.interval` for each step of the order, and a
    /// deadline of the dial for each connection that does not stand.
    ///
    /// # Errors
    /// As [`Dial::connect`]; [`FailureReason::Protocol`] where the server speaks no HTTP/2 over TLS 1.3, or has
    /// no or a wrong configuration; [`FailureReason::Timeout`] where nothing flowed.
    pub async fn run(&self, mut told: impl FnMut(Interval)) -> Result<Report, Failure> {
        let first = self.connect().await?;
        let configuration = first.requests.fetch(WELL_KNOWN).await?;
        let paths = Configuration::read(&configuration, self.server.host())?;
        drop(first);
        let server = Arc::new(Server {
            test: self.clone(),
            paths,
        });
        let mut ways = Vec::new();
        for directions in self.order.steps() {
            ways.extend(server.load(directions, &mut told).await?);
        }
        Ok(Report {
            order: self.order,
            parameters: self.parameters,
            ways,
        })
    }

    async fn connect(&self) -> Result<Http2, Failure> {
        Http2::connect(&self.dial, &self.server).await
    }
}

/// A server whose configuration is known.
struct Server {
    test: Test,
    paths: Paths,
}

/// What the tasks of one step tell.
#[derive(Default)]
struct Seen {
    bytes: Arc<AtomicU64>,
    flows: Mutex<Flows>,
    probes: Mutex<Latencies>,
}

/// The connections that carry load.
#[derive(Default)]
struct Flows {
    /// Those that stand.
    open: Vec<(usize, Requests)>,
    /// How many have ever stood.
    opened: usize,
    /// Why one could not be had or ended: the first reason.
    broken: Option<Failure>,
}

impl Flows {
    fn add(&mut self, requests: Requests) -> usize {
        self.opened += 1;
        self.open.push((self.opened, requests));
        self.opened
    }

    fn remove(&mut self, number: usize) {
        self.open.retain(|(open, _)| *open != number);
    }

    /// Why nothing is carried any more, where no connection stands.
    fn broken_down(&mut self) -> Option<Failure> {
        self.broken.take_if(|_| self.open.is_empty())
    }

    /// One of those that stand, each in its turn.
    fn of_turn(&self, turn: usize) -> Option<Requests> {
        let (_, requests) = self.open.get(turn % self.open.len().max(1))?;
        Some(requests.clone())
    }
}

/// One way that is being loaded.
struct Loaded {
    direction: Direction,
    saturation: Saturation,
    seen: Arc<Seen>,
    counted: u64,
    is_over: bool,
}

impl Server {
    /// Loads these ways at once until each has settled.
    async fn load(
        self: &Arc<Self>,
        directions: &[Direction],
        told: &mut impl FnMut(Interval),
    ) -> Result<Vec<Way>, Failure> {
        let parameters = self.test.parameters;
        // All that runs beside ends with this.
        let mut tasks = JoinSet::new();
        let mut ways: Vec<Loaded> = directions
            .iter()
            .map(|&direction| Loaded {
                direction,
                saturation: Saturation::new(parameters),
                seen: Arc::default(),
                counted: 0,
                is_over: false,
            })
            .collect();
        for way in &ways {
            tasks.spawn(Arc::clone(self).flow(way.direction, Arc::clone(&way.seen)));
            tasks.spawn(Arc::clone(self).probe(Arc::clone(&way.seen)));
        }
        let mut since = Instant::now();
        let mut passed = 0;
        while ways.iter().any(|way| !way.is_over) {
            sleep_until(since + parameters.interval).await;
            let lasted = since.elapsed();
            since = Instant::now();
            passed += 1;
            for way in ways.iter_mut().filter(|way| !way.is_over) {
                if let Some(failure) = locked(&way.seen.flows).broken_down() {
                    return Err(failure);
                }
                let bytes = way.seen.bytes.load(Ordering::Relaxed);
                let more = bytes - way.counted;
                way.counted = bytes;
                let probes = std::mem::take(&mut *locked(&way.seen.probes));
                match way.saturation.end_of_interval(lasted, more, probes) {
                    Next::Add => {
                        tasks.spawn(Arc::clone(self).flow(way.direction, Arc::clone(&way.seen)));
                    }
                    Next::Stay => {}
                    Next::End => way.is_over = true,
                }
                told(Interval {
                    direction: way.direction,
                    passed,
                    goodput: rate(more as f64 / lasted.as_secs_f64()),
                });
            }
        }
        ways.iter().map(|way| self.outcome(way)).collect()
    }

    fn outcome(&self, way: &Loaded) -> Result<Way, Failure> {
        let outcome = way.saturation.outcome();
        let outcome = outcome.filter(|outcome| outcome.goodput > 0.0);
        outcome
            .map(|outcome| Way::of(way.direction, &outcome))
            .ok_or_else(|| {
                let detail = format_args!(
                    "responsiveness of {}: nothing flowed {:?}",
                    self.test.server, way.direction
                );
                Failure::new(FailureReason::Timeout, detail)
            })
    }

    /// Carries load until it is dropped.
    async fn flow(self: Arc<Self>, direction: Direction, seen: Arc<Seen>) {
        let failure = match self.test.connect().await {
            Err(failure) => failure,
            Ok(connection) => {
                // What waits to be sent when the test is over would go on loading the line.
                connection.tcp.abort_on_close();
                // Probes may use it from now on: an upload is answered at its end only.
                let number = locked(&seen.flows).add(connection.requests.clone());
                let failure = self.carry(&connection.requests, direction, &seen).await;
                locked(&seen.flows).remove(number);
                failure
            }
        };
        tracing::debug!(%failure, "a flow of a test of responsiveness ended");
        // The first reason is the one that counts.
        locked(&seen.flows).broken.get_or_insert(failure);
    }

    /// Asks for one object after the other, until one carries nothing.
    async fn carry(&self, requests: &Requests, direction: Direction, seen: &Seen) -> Failure {
        loop {
            let carried = Arc::default();
            let ended = self.carry_one(requests, direction, &carried, seen).await;
            // A server may end an object early; what carried nothing will carry nothing the next time.
            if carried.load(Ordering::Relaxed) == 0 {
                let detail =
                    format_args!("loading {}: an object carried nothing", self.test.server);
                return ended
                    .err()
                    .unwrap_or_else(|| Failure::new(FailureReason::Protocol, detail));
            }
        }
    }

    async fn carry_one(
        &self,
        requests: &Requests,
        direction: Direction,
        carried: &Arc<AtomicU64>,
        seen: &Seen,
    ) -> Result<(), Failure> {
        let counter = Counter {
            object: Arc::clone(carried),
            way: Arc::clone(&seen.bytes),
        };
        match direction {
            Direction::Down => {
                let told = |bytes| counter.add(bytes);
                requests.take(&self.paths.large, told).await
            }
            Direction::Up => requests.send(&self.paths.upload, counter).await,
        }
    }

    /// Probes until it is dropped.
    async fn probe(self: Arc<Self>, seen: Arc<Seen>) {
        let mut rounds = JoinSet::new();
        let (start, mut turn) = (Instant::now(), 0_usize);
        loop {
            let bytes = seen.bytes.load(Ordering::Relaxed) as f64;
            let affordable = bytes / start.elapsed().as_secs_f64().max(1e-3) * MOST_FOR_PROBES;
            let gap = OCTETS_PER_ROUND / affordable.max(OCTETS_PER_ROUND);
            sleep(SHORTEST_GAP.max(Duration::from_secs_f64(gap))).await;
            while rounds.try_join_next().is_some() {}
            if rounds.len() >= MOST_ROUNDS {
                continue;
            }
            let loaded = locked(&seen.flows).of_turn(turn);
            turn += 1;
            let (server, seen) = (Arc::clone(&self), Arc::clone(&seen));
            rounds.spawn(async move {
                tokio::join!(
                    server.probe_fresh(&seen),
                    server.probe_loaded(loaded, &seen)
                );
            });
        }
    }

    async fn probe_fresh(&self, seen: &Seen) {
        let probe = async {
            let connection = self.test.connect().await?;
            let http = self.ask(&connection.requests).await?;
            Ok::<_, Failure>((connection.timings, http))
        };
        match probe.await {
            Ok((timings, http)) => {
                let time = |micros: Micros| Duration::from_micros(micros.as_micros());
                let mut probes = locked(&seen.probes);
                probes.tcp.push(time(timings.connect));
                probes.tls.extend(timings.tls.map(time));
                probes.http.push(http);
            }
            Err(failure) => tracing::debug!(%failure, "a probe on a fresh connection"),
        }
    }

    async fn probe_loaded(&self, flow: Option<Requests>, seen: &Seen) {
        let Some(flow) = flow else { return };
        match self.ask(&flow).await {
            Ok(time) => locked(&seen.probes).loaded.push(time),
            Err(failure) => tracing::debug!(%failure, "a probe on a loaded connection"),
        }
    }

    /// How long the small object takes.
    async fn ask(&self, requests: &Requests) -> Result<Duration, Failure> {
        let start = Instant::now();
        requests.fetch(&self.paths.small).await?;
        Ok(start.elapsed())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
