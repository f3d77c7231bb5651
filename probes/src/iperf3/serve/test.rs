//! One client of the server, from its cookie to its goodbye.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use messnetz_metric::{BitRate, Failure};
use socket2::Socket;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::hall::{Expected, Greeting, Hall, Incoming, Seat};
use super::{Config, busy, refuse, udp_socket};
use crate::failure;
use crate::iperf3::codec::{Cookie, udp_answer};
use crate::iperf3::control::heard;
use crate::iperf3::options;
use crate::iperf3::parameters::{Flow, Parameters, Protocol};
use crate::iperf3::report::{Recorder, Report, Role};
use crate::iperf3::results::{Results, stream_id};
use crate::iperf3::session::{Event, Session};
use crate::iperf3::streams::{Crew, Opened};
use crate::stamps::Moment;

/// How often a client that waits is told its place.
const TELL_PLACE: Duration = Duration::from_secs(1);

/// How long a peer may take to read what it is told.
const WRITE: Duration = Duration::from_secs(10);

/// How long a client may take to close its connection after its goodbye.
const CLOSE: Duration = Duration::from_secs(1);

/// Serves the client of this control connection.
pub(super) async fn serve(
    control: TcpStream,
    peer: SocketAddr,
    cookie: Cookie,
    hall: &Arc<Hall>,
    config: &Config,
) -> Result<Report, Failure> {
    let Some(seat) = hall.enter(&cookie) else {
        refuse(control).await;
        return Err(busy(peer));
    };
    let attempt = format!("serving iperf3 to {peer}");
    let io = |error| failure::from_io(&attempt, &error);
    // The steps of the protocol are single octets.
    control.set_nodelay(true).map_err(io)?;
    let local = control.local_addr().map_err(io)?;
    let mut visit = Visit {
        engine: Session::new(attempt.as_str(), config.limits),
        attempt,
        peer,
        local,
        start: Instant::now(),
        control,
        seat,
        cookie,
        hall,
        config,
        waited: Duration::ZERO,
        streams: None,
        greetings: None,
        opened: Vec::new(),
        data: None,
    };
    let result = visit.run().await;
    if result.is_err() {
        // The reason, where the client is told one.
        let _ = visit.flush().await;
    }
    result
}

/// A client, as long as it is here.
struct Visit<'a> {
    engine: Session,
    attempt: String,
    peer: SocketAddr,
    local: SocketAddr,
    start: Instant,
    control: TcpStream,
    seat: Seat,
    cookie: Cookie,
    hall: &'a Arc<Hall>,
    config: &'a Config,
    waited: Duration,
    streams: Option<Expected<Cookie, Incoming>>,
    greetings: Option<Expected<std::net::IpAddr, Greeting>>,
    opened: Vec<(u64, Socket)>,
    data: Option<Data>,
}

/// What there is from the start of the data on.
struct Data {
    crew: Crew,
    recorder: Recorder,
    started: Instant,
    next: Duration,
    omitting: bool,
    stopped: bool,
    own: Option<Results>,
}

/// What a client's connections have brought.
enum Brought {
    Stream(Incoming),
    Greeting(Greeting),
}

impl Visit<'_> {
    async fn run(&mut self) -> Result<Report, Failure> {
        self.wait_for_turn().await?;
        self.engine.admit(self.now());
        let mut buffer = [0; 4096];
        loop {
            self.flush().await?;
            while let Some(event) = self.engine.poll() {
                if event == Event::Finished {
                    return self.finish().await;
                }
                self.handle(event).await?;
            }
            self.flush().await?;
            let deadline = self.at(self.engine.poll_timeout());
            let brought = async {
                match (&mut self.streams, &mut self.greetings) {
                    (Some(streams), _) => streams.next().await.map(Brought::Stream),
                    (None, Some(greetings)) => greetings.next().await.map(Brought::Greeting),
                    (None, None) => std::future::pending().await,
                }
            };
            let sampling = async {
                match &self.data {
                    Some(data) if !data.stopped => sleep_until(data.started + data.next).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                heard = heard(&mut self.control, &mut buffer, &self.attempt) => match heard? {
                    Some(octets) => self.engine.handle_input(self.start.elapsed(), octets)?,
                    None => self.engine.handle_end()?,
                },
                brought = brought => self.bring(brought)?,
                () = sampling => self.sample(),
                () = sleep_until(deadline) => self.engine.handle_timeout(self.start.elapsed())?,
            }
        }
    }

    /// Tells the client its place until it is its turn.
    async fn wait_for_turn(&mut self) -> Result<(), Failure> {
        let mut buffer = [0; 64];
        while let Some(place) = self.seat.place() {
            self.engine.queued(place);
            self.flush().await?;
            let tell = sleep(TELL_PLACE);
            tokio::select! {
                heard = heard(&mut self.control, &mut buffer, &self.attempt) => match heard? {
                    Some(octets) => self.engine.handle_input(self.start.elapsed(), octets)?,
                    None => self.engine.handle_end()?,
                },
                () = tell => {}
                () = self.seat.changed() => {}
            }
            self.waited = self.start.elapsed();
        }
        Ok(())
    }

    /// Sends what the engine has to say.
    async fn flush(&mut self) -> Result<(), Failure> {
        while let Some(octets) = self.engine.poll_transmit() {
            match timeout(WRITE, self.control.write_all(&octets)).await {
                Ok(result) => {
                    result.map_err(|error| failure::from_io(&self.attempt, &error))?;
                }
                Err(_) => return Err(failure::timeout(&self.attempt, WRITE)),
            }
        }
        Ok(())
    }

    async fn handle(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Open => self.open().await?,
            Event::Run => self.begin()?,
            Event::Stop => self.stop().await,
            Event::Report => {
                let own = self.data.as_ref().and_then(|data| data.own.clone());
                let now = self.now();
                self.engine.report(now, &own.unwrap_or_default());
            }
            Event::Finished => {}
        }
        Ok(())
    }

    /// Makes room for the streams, then asks for them.
    async fn open(&mut self) -> Result<(), Failure> {
        let Some(parameters) = self.engine.parameters() else {
            return Ok(());
        };
        self.seat.lasts(self.engine.planned());
        match parameters.protocol {
            Protocol::Tcp => self.streams = Some(self.hall.expect(self.cookie)),
            Protocol::Udp => {
                let deadline = self.at(self.engine.poll_timeout());
                let waiting = self.hall.expect_greetings(self.peer.ip());
                match timeout_at(deadline, waiting).await {
                    Ok(greetings) => self.greetings = Some(greetings),
                    Err(_) => return self.engine.handle_timeout(self.now()),
                }
            }
        }
        self.engine.open(self.now());
        Ok(())
    }

    /// A connection of the client's has come.
    fn bring(&mut self, brought: Option<Brought>) -> Result<(), Failure> {
        let Some(parameters) = self.engine.parameters().cloned() else {
            return Ok(());
        };
        let io = |error| failure::from_io(&self.attempt, &error);
        let (number, socket) = match brought {
            None => return Ok(()),
            Some(Brought::Stream(Incoming { number, stream })) => {
                let stream = stream.into_std().map_err(io)?;
                (number, Socket::from(stream))
            }
            Some(Brought::Greeting(greeting)) => {
                let socket = answered(greeting, self.local, self.hall).map_err(io)?;
                (self.opened.len() as u64, socket)
            }
        };
        if let Err(unset) = options::apply(&socket, &self.peer.ip(), &parameters, true) {
            return Err(self.engine.refuse(unset.number, &unset));
        }
        self.opened.push((number, socket));
        if self.opened.len() == parameters.all_streams() {
            self.streams = None;
            self.greetings = None;
            self.engine.opened(self.now());
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Failure> {
        let Some(parameters) = self.engine.parameters() else {
            return Ok(());
        };
        let mut opened = std::mem::take(&mut self.opened);
        // In the order in which the client opened them: in a test of both directions, those on which it
        // sends come first.
        opened.sort_unstable_by_key(|(number, _)| *number);
        let one_way = usize::from(parameters.streams);
        let opened = opened
            .into_iter()
            .enumerate()
            .map(|(index, (_, socket))| Opened {
                id: stream_id(index),
                sends: match parameters.flow {
                    Flow::Up => false,
                    Flow::Down => true,
                    Flow::Both => index >= one_way,
                },
                socket,
            })
            .collect();
        let limit = self.config.limits.rate;
        let receive_rate = limit.map(|rate| each(rate, parameters));
        let crew = Crew::start(opened, parameters, self.config.receive, receive_rate, false);
        let crew = crew.map_err(|error| failure::from_io(&self.attempt, &error))?;
        let recorder = Recorder::new(Role::Server, parameters, &crew.streams());
        let omitting = !parameters.omit.is_zero();
        let next = if omitting {
            self.config.interval.min(parameters.omit)
        } else {
            self.config.interval
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
        Ok(())
    }

    /// Ends an interval, and the omitted time where it is over.
    fn sample(&mut self) {
        let omit = self.engine.parameters().map_or(Duration::ZERO, |p| p.omit);
        let Some(data) = &mut self.data else {
            return;
        };
        let (at, counted) = (data.crew.elapsed(), data.crew.counted());
        data.recorder.sample(at, &counted);
        if data.omitting && at >= omit {
            data.omitting = false;
            data.recorder.omit(at, &counted);
            data.crew.count_from_now();
        }
        data.next = data.next.max(at) + self.config.interval;
        if data.omitting {
            data.next = data.next.min(omit);
        }
    }

    /// The client has ended the test: counts what has arrived by now.
    async fn stop(&mut self) {
        let Some(data) = &mut self.data else {
            return;
        };
        data.stopped = true;
        let at = data.crew.elapsed();
        data.recorder.stop(at);
        data.crew.finish();
        let cpu = data.crew.joined(false).await;
        let counted = data.crew.counted();
        data.recorder.sample(at, &counted);
        let own = data.recorder.results(&counted, cpu, data.crew.congestion());
        data.own = Some(own);
    }

    /// Lets the client close its connections first, which spares this side the TIME-WAIT state (RFC 9293,
    /// section 3.4.2), and puts the results together.
    async fn finish(&mut self) -> Result<Report, Failure> {
        let mut rest = [0; 16];
        let closing = async { while let Ok(1..) = self.control.read(&mut rest).await {} };
        let _ = timeout(CLOSE, closing).await;
        let told = self.engine.results().cloned().unwrap_or_default();
        let Some(data) = self.data.take() else {
            return Err(busy(self.peer));
        };
        let counted = data.crew.counted();
        let own = data.own.unwrap_or_default();
        Ok(data
            .recorder
            .report(self.peer, self.waited, own, told, &counted))
    }

    fn now(&self) -> Moment {
        self.start.elapsed()
    }

    fn at(&self, moment: Moment) -> Instant {
        // A year for whatever has no deadline.
        self.start + moment.min(Duration::from_hours(366 * 24))
    }
}

/// The share of each stream.
fn each(rate: BitRate, parameters: &Parameters) -> BitRate {
    BitRate::from_bps(rate.as_bps() / u64::from(parameters.streams).max(1))
}

/// A socket for this stream alone, on the address that the client connected to, from which it is answered.
fn answered(greeting: Greeting, local: SocketAddr, hall: &Hall) -> std::io::Result<Socket> {
    let socket = udp_socket(local)?;
    let from = match (local, greeting.from) {
        (SocketAddr::V6(_), SocketAddr::V4(from)) => {
            SocketAddr::new(from.ip().to_ipv6_mapped().into(), from.port())
        }
        (_, from) => from,
    };
    socket.connect(&from.into())?;
    // What others sent between the two calls came here: nobody else will see their greetings.
    let socket = std::net::UdpSocket::from(socket);
    let mut octets = [0; 64];
    while let Ok((length, from)) = socket.recv_from(&mut octets) {
        hall.greet(from, octets.get(..length).unwrap_or_default());
    }
    socket.send(&udp_answer(&greeting.hello))?;
    Ok(socket.into())
}
