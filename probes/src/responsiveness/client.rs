//! The client: loads the path with flows over HTTP/2, and probes it beside them on fresh connections and on the
//! loaded ones.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::{ACCEPT_ENCODING, HeaderValue, USER_AGENT};
use ::http::uri::{Authority, PathAndQuery};
use ::http::{Method, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use messnetz_metric::{
    BitRate, Direction, Failure, FailureReason, Micros, PerMinute, Quantity, Reading, Value,
};
use serde::{Serialize, Serializer};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::arithmetic::{Class, Latencies, Rpm};
use super::configuration::{Configuration, MAX_OCTETS, Paths, WELL_KNOWN};
use super::saturation::{Confidence, Next, Outcome, Parameters, Saturation};
use crate::connection::{Dial, Timings};
use crate::failure;
use crate::http::AGENT;
use crate::tcp_info::TcpHandle;
use crate::tls;

/// What the peer may send before it is told that it was taken: what a gigabit holds in 100 ms.
const WINDOW: u32 = 12 * 1024 * 1024;

/// Time between two rounds of probes, at least; each round asks once on a fresh and once on a loaded connection.
const SHORTEST_GAP: Duration = Duration::from_millis(100);

/// What one round of probes takes from the line, most of it the server's certificate.
const OCTETS_PER_ROUND: f64 = 6_000.0;

/// Share of the goodput that probes may take (draft: 5 %).
const MOST_FOR_PROBES: f64 = 0.05;

/// Most rounds that are on their way at one time.
const MOST_ROUNDS: usize = 64;

/// What is sent up, again and again.
static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];

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
    const fn steps(self) -> &'static [&'static [Direction]] {
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

    fn of(direction: Direction, outcome: &Outcome) -> Self {
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
        let paths = self.configuration(&first).await?;
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
        let attempt = format!("HTTP/2 with {}", self.server);
        let connection = self.dial.connect_http2().await?;
        let (timings, tcp) = (connection.timings, connection.tcp);
        tcp.keep_little_unsent()
            .map_err(|error| failure::from_io(&attempt, &error))?;
        let handshake = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_send_buf_size(tls::UNSENT)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(TokioIo::new(connection.stream));
        let (sender, driver) = timeout(self.dial.deadline, handshake)
            .await
            .map_err(|_| failure::timeout(&attempt, self.dial.deadline))?
            .map_err(|error| not_http(&attempt, &error))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // Requests on it tell why it ended.
            let _ = driver.await;
        });
        Ok(Http2 {
            sender,
            timings,
            tcp,
            _driver: tasks,
        })
    }

    async fn configuration(&self, connection: &Http2) -> Result<Paths, Failure> {
        let attempt = format!("fetching https://{}{WELL_KNOWN}", self.server);
        let request = self.request(Method::GET, WELL_KNOWN, Load::Nothing)?;
        let conversation = async {
            let mut sender = connection.sender.clone();
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| not_http(&attempt, &error))?;
            expect_ok(&attempt, &response)?;
            let body = Limited::new(response.into_body(), MAX_OCTETS)
                .collect()
                .await;
            let body = body.map_err(|error| {
                Failure::new(FailureReason::Protocol, format_args!("{attempt}: {error}"))
            })?;
            Configuration::read(&body.to_bytes(), self.server.host())
        };
        timeout(self.dial.deadline, conversation)
            .await
            .map_err(|_| failure::timeout(&attempt, self.dial.deadline))?
    }

    fn request(&self, method: Method, path: &str, load: Load) -> Result<Request<Load>, Failure> {
        let attempt = format!("asking {} for {path}", self.server);
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::new(FailureReason::Protocol, format_args!("{attempt}: {error}"))
        };
        let path: PathAndQuery = path.parse().map_err(|error| wrong(&error))?;
        let uri = Uri::builder()
            .scheme("https")
            .authority(self.server.clone())
            .path_and_query(path)
            .build()
            .map_err(|error| wrong(&error))?;
        let mut request = Request::new(load);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok(request)
    }
}

/// A connection, which ends with this.
struct Http2 {
    sender: SendRequest<Load>,
    timings: Timings,
    tcp: TcpHandle,
    _driver: JoinSet<()>,
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
    open: Vec<(usize, SendRequest<Load>)>,
    /// How many have ever stood.
    opened: usize,
    /// Why one could not be had or ended: the first reason.
    broken: Option<Failure>,
}

impl Flows {
    fn add(&mut self, sender: SendRequest<Load>) -> usize {
        self.opened += 1;
        self.open.push((self.opened, sender));
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
    fn of_turn(&self, turn: usize) -> Option<SendRequest<Load>> {
        let (_, sender) = self.open.get(turn % self.open.len().max(1))?;
        Some(sender.clone())
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
                let number = locked(&seen.flows).add(connection.sender.clone());
                let failure = self.carry(&connection, direction, &seen).await;
                locked(&seen.flows).remove(number);
                failure
            }
        };
        tracing::debug!(%failure, "a flow of a test of responsiveness ended");
        // The first reason is the one that counts.
        locked(&seen.flows).broken.get_or_insert(failure);
    }

    /// Asks for one object after the other, until one carries nothing.
    async fn carry(&self, connection: &Http2, direction: Direction, seen: &Seen) -> Failure {
        loop {
            let carried = Arc::default();
            let ended = self.carry_one(connection, direction, &carried, seen).await;
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
        connection: &Http2,
        direction: Direction,
        carried: &Arc<AtomicU64>,
        seen: &Seen,
    ) -> Result<(), Failure> {
        let counter = || Counter {
            object: Arc::clone(carried),
            way: Arc::clone(&seen.bytes),
        };
        let (method, path, load) = match direction {
            Direction::Down => (Method::GET, &self.paths.large, Load::Nothing),
            Direction::Up => (Method::POST, &self.paths.upload, Load::Endless(counter())),
        };
        let attempt = format!("loading {} by {path}", self.test.server);
        let request = self.test.request(method, path, load)?;
        let response = connection.sender.clone().send_request(request).await;
        let response = response.map_err(|error| not_http(&attempt, &error))?;
        expect_ok(&attempt, &response)?;
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| not_http(&attempt, &error))?;
            if direction == Direction::Down {
                counter().add(frame.data_ref().map_or(0, Bytes::len));
            }
        }
        Ok(())
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
            let http = self.ask(connection.sender.clone()).await?;
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

    async fn probe_loaded(&self, flow: Option<SendRequest<Load>>, seen: &Seen) {
        let Some(flow) = flow else { return };
        match self.ask(flow).await {
            Ok(time) => locked(&seen.probes).loaded.push(time),
            Err(failure) => tracing::debug!(%failure, "a probe on a loaded connection"),
        }
    }

    /// How long the small object takes.
    async fn ask(&self, mut sender: SendRequest<Load>) -> Result<Duration, Failure> {
        let path = &self.paths.small;
        let attempt = format!("asking {} for {path}", self.test.server);
        let request = self.test.request(Method::GET, path, Load::Nothing)?;
        let start = Instant::now();
        let conversation = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| not_http(&attempt, &error))?;
            expect_ok(&attempt, &response)?;
            let body = Limited::new(response.into_body(), MAX_OCTETS)
                .collect()
                .await;
            body.map_err(|error| {
                Failure::new(FailureReason::Protocol, format_args!("{attempt}: {error}"))
            })?;
            Ok(start.elapsed())
        };
        timeout(self.test.dial.deadline, conversation)
            .await
            .map_err(|_| failure::timeout(&attempt, self.test.dial.deadline))?
    }
}

/// The body of a request.
enum Load {
    Nothing,
    /// Never ends; what is taken from it is counted.
    Endless(Counter),
}

/// Counts what is carried.
struct Counter {
    /// By this object.
    object: Arc<AtomicU64>,
    /// This way.
    way: Arc<AtomicU64>,
}

impl Counter {
    fn add(&self, bytes: usize) {
        self.object.fetch_add(bytes as u64, Ordering::Relaxed);
        self.way.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Body for Load {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(match self.get_mut() {
            Self::Nothing => None,
            Self::Endless(sent) => {
                sent.add(PIECE.len());
                Some(Ok(Frame::data(Bytes::from_static(&PIECE))))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

fn rate(bytes_per_second: f64) -> BitRate {
    BitRate::from_bps((bytes_per_second * 8.0) as u64)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_http(attempt: &str, error: &hyper::Error) -> Failure {
    let because = std::error::Error::source(error).map(|source| format!(": {source}"));
    Failure::new(
        FailureReason::Protocol,
        format_args!("{attempt}: {error}{}", because.unwrap_or_default()),
    )
}

fn expect_ok(attempt: &str, response: &Response<Incoming>) -> Result<(), Failure> {
    match response.status() {
        StatusCode::OK => Ok(()),
        status => {
            let detail = format_args!("{attempt}: HTTP {status}");
            Err(Failure::new(FailureReason::Protocol, detail))
        }
    }
}
