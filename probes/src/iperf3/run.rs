//! The client's sockets and clock.

use std::net::SocketAddr;
use std::time::Duration;

use messnetz_metric::{Failure, FailureReason};
use socket2::Socket;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::client::{Client, Event, Patience};
use super::codec::{COOKIE_OCTETS, Cookie, UDP_HELLO, is_udp_answer};
use super::control::heard;
use super::options;
use super::parameters::{Flow, Parameters, Protocol};
use super::report::{Interval, Recorder, Report, Role};
use super::results::stream_id;
use super::streams::{Crew, Opened, ReceivePath};
use super::turns::Place;
use crate::binding::Binding;
use crate::failure;
use crate::random;
use crate::stamps::Moment;

/// One test with one server.
#[derive(Clone, Debug)]
pub struct Test {
    /// The server.
    pub server: SocketAddr,
    /// From which interface.
    pub binding: Binding,
    /// What is asked for.
    pub parameters: Parameters,
    /// How long each part may take.
    pub patience: Patience,
    /// What this side does with payload that has arrived.
    pub receive: ReceivePath,
    /// The length of an interval; at least a tenth of a second.
    pub interval: Duration,
}

/// What is known while a test runs.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// The server is busy and keeps a queue.
    Queued(Place),
    /// Data flows.
    Running,
    /// An interval is over.
    Interval(&'a Interval),
}

/// The shortest interval.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

impl Test {
    /// A test from wherever the routing table chooses, with a report every second.
    #[must_use]
    pub fn new(server: SocketAddr, parameters: Parameters) -> Self {
        Self {
            server,
            binding: Binding::any(),
            parameters,
            patience: Patience::default(),
            receive: ReceivePath::default(),
            interval: Duration::from_secs(1),
        }
    }

    /// Runs the test and tells `watch` how it goes. Dropping it ends the test on both sides.
    ///
    /// # Errors
    /// [`FailureReason::Busy`] where the server is busy and it is not our turn in time,
    /// [`FailureReason::Refused`] and [`FailureReason::Unreachable`] where nobody listens there,
    /// [`FailureReason::Timeout`] where a step takes too long, [`FailureReason::Protocol`] where the server
    /// refuses the parameters or is none.
    pub async fn run(&self, watch: impl FnMut(Progress<'_>)) -> Result<Report, Failure> {
        let attempt = format!("iperf3 test with {}", self.server);
        self.parameters.check().map_err(|error| {
            Failure::new(FailureReason::Protocol, format_args!("{attempt}: {error}"))
        })?;
        let random = random::octets::<COOKIE_OCTETS>(&attempt)?;
        let cookie = Cookie::ours(&random, self.parameters.planned());
        let start = Instant::now();
        let engine = Client::new(
            attempt.as_str(),
            self.parameters.clone(),
            self.patience,
            &cookie,
            Moment::ZERO,
        );
        let connecting = self.connect(None);
        let control = match timeout_at(start + self.patience.greeting, connecting).await {
            Ok(Ok(control)) => control,
            Ok(Err(failure)) => return Err(failure),
            Err(_) => return Err(failure::timeout(attempt, self.patience.greeting)),
        };
        // The steps of the protocol are single octets.
        control
            .set_nodelay(true)
            .map_err(|error| failure::from_io(&attempt, &error))?;
        let mut running = Running {
            test: self,
            attempt,
            cookie,
            start,
            control,
            engine,
            waited: Duration::ZERO,
            streams: Vec::new(),
            data: None,
            watch,
        };
        let result = running.run().await;
        if let (Err(_), Some(farewell)) = (&result, running.engine.farewell()) {
            // A server that does not take this octet at once sees the connection closed.
            let _ = running.control.try_write(&[farewell]);
        }
        result
    }

    /// A TCP connection with the server, for a stream where `stream` says what is asked for.
    async fn connect(&self, stream: Option<&Parameters>) -> Result<TcpStream, Failure> {
        let attempt = format!("connecting to {}", self.server);
        let io = |error| failure::from_io(&attempt, &error);
        let socket = options::socket(&self.server, Protocol::Tcp).map_err(io)?;
        self.binding.apply(&socket)?;
        if let Some(parameters) = stream {
            options::apply(&socket, &self.server.ip(), parameters, false).map_err(|unset| {
                let reason = FailureReason::Protocol;
                Failure::new(reason, format_args!("{attempt}: {unset}"))
            })?;
        }
        let socket = TcpSocket::from_std_stream(socket.into());
        socket.connect(self.server).await.map_err(io)
    }

    /// A UDP socket that the server has answered.
    async fn greet(&self) -> Result<Socket, Failure> {
        let attempt = format!("opening a UDP stream with {}", self.server);
        let io = |error| failure::from_io(&attempt, &error);
        let socket = options::socket(&self.server, Protocol::Udp).map_err(io)?;
        self.binding.apply(&socket)?;
        options::apply(&socket, &self.server.ip(), &self.parameters, false).map_err(|unset| {
            let reason = FailureReason::Protocol;
            Failure::new(reason, format_args!("{attempt}: {unset}"))
        })?;
        socket.connect(&self.server.into()).map_err(io)?;
        let socket = UdpSocket::from_std(socket.into()).map_err(io)?;
        socket.send(&UDP_HELLO).await.map_err(io)?;
        let mut answer = [0; 8];
        loop {
            let length = socket.recv(&mut answer).await.map_err(io)?;
            if is_udp_answer(answer.get(..length).unwrap_or_default()) {
                return Ok(socket.into_std().map_err(io)?.into());
            }
        }
    }
}

/// A test whose control connection is open.
struct Running<'a, W> {
    test: &'a Test,
    attempt: String,
    cookie: Cookie,
    start: Instant,
    control: TcpStream,
    engine: Client,
    waited: Duration,
    streams: Vec<Opened>,
    data: Option<Data>,
    watch: W,
}

/// What there is from the start of the data on.
struct Data {
    crew: Crew,
    recorder: Recorder,
    started: Instant,
    /// When the current interval ends.
    next: Duration,
    omitting: bool,
    stopped: bool,
    own: Option<super::Results>,
}

impl<W: FnMut(Progress<'_>)> Running<'_, W> {
    async fn run(&mut self) -> Result<Report, Failure> {
        let mut buffer = [0; 4096];
        loop {
            while let Some(event) = self.engine.poll() {
                if event == Event::Finished {
                    return self.report();
                }
                self.handle(event).await?;
            }
            if let Some(octets) = self.engine.poll_transmit() {
                self.send(&octets).await?;
                continue;
            }
            let deadline = self.at(self.engine.poll_timeout());
            let sampling = async {
                match &self.data {
                    Some(data) if !data.stopped => sleep_until(data.started + data.next).await,
                    _ => std::future::pending().await,
                }
            };
            let enough = async {
                match &self.data {
                    Some(data) if !data.stopped => data.crew.enough().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                heard = heard(&mut self.control, &mut buffer, &self.attempt) => match heard? {
                    Some(octets) => self.engine.handle_input(self.start.elapsed(), octets)?,
                    None => self.engine.handle_end()?,
                },
                () = enough => self.engine.enough(self.start.elapsed()),
                () = sleep_until(deadline) => self.engine.handle_timeout(self.start.elapsed())?,
                () = sampling => self.sample()?,
            }
        }
    }

    async fn send(&mut self, octets: &[u8]) -> Result<(), Failure> {
        let patience = self.test.patience.step;
        let writing = self.control.write_all(octets);
        match timeout_at(Instant::now() + patience, writing).await {
            // Where writing fails, what the server said before it left may still be read, and says more.
            Ok(_) => Ok(()),
            Err(_) => Err(failure::timeout(&self.attempt, patience)),
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), Failure> {
        let now = self.start.elapsed();
        match event {
            Event::Queued(place) => {
                (self.watch)(Progress::Queued(place));
                self.waited = now;
            }
            Event::Open => {
                let deadline = self.at(self.engine.poll_timeout());
                let patience = self.test.patience.step;
                let attempt = format!("{}: opening the streams", self.attempt);
                match timeout_at(deadline, self.open()).await {
                    Ok(opened) => self.streams = opened?,
                    Err(_) => return Err(failure::timeout(attempt, patience)),
                }
                self.engine.opened(self.start.elapsed())?;
            }
            Event::Run => self.begin()?,
            Event::Stop => self.stop(),
            Event::Report => self.tell().await?,
            Event::Finished => {}
        }
        Ok(())
    }

    /// Opens the streams one after the other, which is how the server numbers them: in a test of both
    /// directions first those on which we send.
    async fn open(&self) -> Result<Vec<Opened>, Failure> {
        let parameters = &self.test.parameters;
        let one_way = usize::from(parameters.streams);
        let mut opened = Vec::with_capacity(parameters.all_streams());
        for index in 0..parameters.all_streams() {
            let sends = match parameters.flow {
                Flow::Up => true,
                Flow::Down => false,
                Flow::Both => index < one_way,
            };
            let socket: Socket = match parameters.protocol {
                Protocol::Tcp => {
                    let mut stream = self.test.connect(Some(parameters)).await?;
                    let io = |error| failure::from_io(&self.attempt, &error);
                    stream.write_all(self.cookie.octets()).await.map_err(io)?;
                    stream.into_std().map_err(io)?.into()
                }
                Protocol::Udp => self.test.greet().await?,
            };
            opened.push(Opened {
                id: stream_id(index),
                sends,
                socket,
            });
        }
        Ok(opened)
    }

    fn begin(&mut self) -> Result<(), Failure> {
        let parameters = &self.test.parameters;
        let opened = std::mem::take(&mut self.streams);
        let crew = Crew::start(opened, parameters, self.test.receive, None, true)
            .map_err(|error| failure::from_io(&self.attempt, &error))?;
        let recorder = Recorder::new(Role::Client, parameters, &crew.streams());
        let omitting = !parameters.omit.is_zero();
        let interval = self.interval();
        let next = if omitting {
            interval.min(parameters.omit)
        } else {
            interval
        };
        self.data = Some(Data {
            crew,
            recorder,
            started: Instant::now(),
            next,
            omitting,
            stopped: false,
            own: None,
        });
        (self.watch)(Progress::Running);
        Ok(())
    }

    /// Ends an interval, and the omitted time where it is over.
    fn sample(&mut self) -> Result<(), Failure> {
        let (interval, omit) = (self.interval(), self.test.parameters.omit);
        let Some(data) = &mut self.data else {
            return Ok(());
        };
        if let Some((id, error)) = data.crew.broken() {
            let attempt = format!("{}: stream {id} broke", self.attempt);
            return Err(failure::from_io(attempt, error));
        }
        let (at, counted) = (data.crew.elapsed(), data.crew.counted());
        if let Some(interval) = data.recorder.sample(at, &counted) {
            (self.watch)(Progress::Interval(interval));
        }
        if data.omitting && at >= omit {
            data.omitting = false;
            data.recorder.omit(at, &counted);
            data.crew.count_from_now();
        }
        data.next = data.next.max(at) + interval;
        if data.omitting {
            data.next = data.next.min(omit);
        }
        Ok(())
    }

    fn stop(&mut self) {
        let Some(data) = &mut self.data else {
            return;
        };
        data.crew.drain();
        data.stopped = true;
        let (at, counted) = (data.crew.elapsed(), data.crew.counted());
        if let Some(interval) = data.recorder.sample(at, &counted) {
            (self.watch)(Progress::Interval(interval));
        }
        data.recorder.stop(at);
    }

    /// Tells the server what this side has counted.
    async fn tell(&mut self) -> Result<(), Failure> {
        let Some(data) = &mut self.data else {
            return Ok(());
        };
        let cpu = data.crew.joined(true).await;
        let own = data
            .recorder
            .results(&data.crew.counted(), cpu, data.crew.congestion());
        let now = self.start.elapsed();
        self.engine.report(now, &own)?;
        data.own = Some(own);
        Ok(())
    }

    fn report(&mut self) -> Result<Report, Failure> {
        let told = self.engine.take_results();
        let (Some(data), Some(told)) = (self.data.take(), told) else {
            let said = format_args!("{}: it ended before it began", self.attempt);
            return Err(Failure::new(FailureReason::Protocol, said));
        };
        let counted = data.crew.counted();
        let own = data.own.unwrap_or_default();
        Ok(data
            .recorder
            .report(self.test.server, self.waited, own, told, &counted))
    }

    fn interval(&self) -> Duration {
        self.test.interval.max(SHORTEST_INTERVAL)
    }

    fn at(&self, moment: Moment) -> Instant {
        // A year for whatever has no deadline.
        self.start + moment.min(Duration::from_hours(366 * 24))
    }
}
