//! The side that asks for a test: in the school.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use ::http::Request;
use ::http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
    USER_AGENT,
};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use messnetz_metric::{
    BitRate, Direction, Failure, FailureReason, Micros, Quantity, Reading, Value,
};
use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::counted::Counted;
pub use super::intervals::Interval;
use super::intervals::Intervals;
use super::messages::Measurement;
use super::pacing::{self, SplitMix64};
use super::{CLOSE_GRACE, CUT_OFF, MAX_DURATION, SUBPROTOCOL, is_end, path, websocket_config};
use crate::binding::Binding;
use crate::connection::{Connection, Dial, Stream, Tls};
use crate::failure;
use crate::http::AGENT;
use crate::proxy::Tunnel;
use crate::tcp_info::{Congestion, TcpHandle};

type WebSocket = WebSocketStream<Counted<Stream>>;

/// A test in which nothing has come for so long when it ends has died before: its rate would be diluted. Half of
/// a short test, within these bounds: servers tell of an upload every 0.6 s at the latest ([`pacing`]).
const SILENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));

/// One test in one direction.
#[derive(Clone, Debug)]
pub struct Test {
    /// Towards this side or away from it.
    pub direction: Direction,
    /// The server.
    pub address: SocketAddr,
    /// What the proxy at [`Self::address`] is asked for; `None` where that is the server itself.
    pub tunnel: Option<Tunnel>,
    /// What the server is called in the request: host, and port where it is not the scheme's.
    pub host: String,
    /// The query string without its question mark: metadata, access token; may be empty.
    pub query: String,
    /// TLS over the connection (`wss`); `None` for `ws`.
    pub tls: Option<Tls>,
    /// The interface to look out from.
    pub binding: Binding,
    /// How long data is to flow; at most [`MAX_DURATION`], which is also the usual.
    pub duration: Duration,
    /// Time for everything, from dialling to the end of the test.
    pub deadline: Duration,
    /// What this end sends with; matters for tests away from it. `None` for the kernel's default.
    pub congestion: Option<Congestion>,
}

/// What a test came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The direction that was tested.
    pub direction: Direction,
    /// The rate at which the receiver got payload out of TCP.
    #[serde(rename = "goodput_bps")]
    pub goodput: BitRate,
    /// Bytes that the receiver got, WebSocket framing included.
    pub bytes: u64,
    /// The time it took the receiver. Less than asked for where the server or the network ended the
    /// test; a rate over a small part of it is that of a connection still gathering speed.
    #[serde(rename = "elapsed_us")]
    pub elapsed: Micros,
    /// How it went on from second to second.
    pub intervals: Vec<Interval>,
    /// How sending went; `None` where the sender did not tell.
    pub sender: Option<SenderTcp>,
    /// The congestion control that the sender really used; `None` where it did not tell.
    pub congestion: Option<String>,
    /// Whether the bytes went over TLS.
    pub tls: bool,
    /// The server's name for the test, by which its own records are found.
    pub server_uuid: Option<String>,
    /// From SYN to the established connection.
    #[serde(rename = "connect_us")]
    pub connect: Micros,
}

/// How sending went, as the sender's kernel saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SenderTcp {
    /// Smallest round-trip time.
    #[serde(rename = "min_rtt_us")]
    pub min_rtt: Option<Micros>,
    /// Smoothed round-trip time at the end of the test: that of the loaded line.
    #[serde(rename = "rtt_us")]
    pub rtt: Option<Micros>,
    /// Bytes sent again.
    pub bytes_retrans: Option<u64>,
    /// Bytes sent, those sent again included.
    pub bytes_sent: Option<u64>,
}

impl Report {
    /// What was measured, in the vocabulary of targets.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        let goodput = Quantity::Goodput(self.direction);
        vec![Reading::value(goodput, Value::Rate(self.goodput))]
    }
}

impl Test {
    /// Runs the test.
    ///
    /// Downloads are counted here; uploads are what the server says it has received, since what was
    /// written here may still lie in this machine's queue. That the server cuts the connection once
    /// data has flowed is a normal end.
    ///
    /// # Errors
    /// As [`Dial::connect`]; [`FailureReason::Busy`] where the server has no room now;
    /// [`FailureReason::Timeout`] where nothing came within the time, or nothing more from some moment on, with
    /// what had been measured until then;
    /// [`FailureReason::Protocol`] where the server refuses the test, sends data in the wrong
    /// direction, sends what is no WebSocket or never tells what it has received.
    pub async fn run(&self) -> Result<Report, Failure> {
        self.run_telling(|_| ()).await
    }

    /// Runs the test, and tells each interval as soon as it is over.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_telling(&self, tell: impl FnMut(&Interval) + Send) -> Result<Report, Failure> {
        self.run_from(tell).await.map(|(_, report)| report)
    }

    /// Runs the test, and says when it began: tests that ran at once are compared by it.
    pub(super) async fn run_from(
        &self,
        tell: impl FnMut(&Interval) + Send,
    ) -> Result<(Instant, Report), Failure> {
        let end = Instant::now() + self.deadline;
        let connection = Dial {
            address: self.address,
            tunnel: self.tunnel.clone(),
            tls: self.tls.clone(),
            binding: self.binding.clone(),
            congestion: self.congestion,
            deadline: self.deadline,
        }
        .connect()
        .await?;
        let Connection {
            stream,
            tcp,
            timings,
        } = connection;
        let websocket = timeout_at(end, self.upgrade(stream))
            .await
            .map_err(|_| failure::timeout(self.attempt(), self.deadline))??;

        let start = Instant::now();
        let running = Running {
            test: self,
            tcp,
            start,
            stop: end.min(start + self.duration.min(MAX_DURATION)),
            end,
        };
        let counted = match self.direction {
            Direction::Down => {
                running
                    .download(websocket, Intervals::telling(tell))
                    .await?
            }
            Direction::Up => running.upload(websocket, Intervals::telling(tell)).await?,
        };
        Ok((start, self.report(counted, timings.connect)?))
    }

    fn report(&self, counted: Counts, connect: Micros) -> Result<Report, Failure> {
        let Counts {
            bytes,
            elapsed,
            intervals,
            sender,
            congestion,
            server_uuid,
        } = counted;
        let goodput = BitRate::from_transfer(bytes, elapsed)
            .ok_or_else(|| self.broken(&"the test took no time"))?;
        Ok(Report {
            direction: self.direction,
            goodput,
            bytes,
            elapsed,
            intervals,
            sender,
            congestion,
            tls: self.tls.is_some(),
            server_uuid,
            connect,
        })
    }

    async fn upgrade(&self, stream: Stream) -> Result<WebSocket, Failure> {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        let question = if self.query.is_empty() { "" } else { "?" };
        let Self { host, query, .. } = self;
        let path = path(self.direction);
        let request = Request::get(format!("{scheme}://{host}{path}{question}{query}"))
            .header(HOST, host)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, generate_key())
            .header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
            .header(USER_AGENT, AGENT)
            .body(())
            .map_err(|error| self.broken(&error))?;
        let stream = Counted::new(stream);
        match client_async_with_config(request, stream, Some(websocket_config())).await {
            Ok((websocket, _)) => Ok(websocket),
            Err(WsError::Http(response)) => Err(self.refused(response.status())),
            Err(WsError::Io(error)) => Err(failure::from_io(self.attempt(), &error)),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// Rejections for want of room are told apart: trying again later helps with them alone.
    fn refused(&self, status: ::http::StatusCode) -> Failure {
        let reason = match status.as_u16() {
            429 | 503 => FailureReason::Busy,
            _ => FailureReason::Protocol,
        };
        let attempt = self.attempt();
        Failure::new(reason, format_args!("{attempt}: HTTP {status}"))
    }

    fn attempt(&self) -> String {
        let name = match self.direction {
            Direction::Down => "download",
            Direction::Up => "upload",
        };
        format!("ndt7 {name} with {}", self.address)
    }

    fn broken(&self, error: &dyn std::fmt::Display) -> Failure {
        let attempt = self.attempt();
        Failure::new(FailureReason::Protocol, format_args!("{attempt}: {error}"))
    }
}

/// What the receiver counted and the sender told.
struct Counts {
    bytes: u64,
    elapsed: Micros,
    intervals: Vec<Interval>,
    sender: Option<SenderTcp>,
    congestion: Option<String>,
    server_uuid: Option<String>,
}

/// A test whose WebSocket is open.
struct Running<'a> {
    test: &'a Test,
    tcp: TcpHandle,
    /// The end of the WebSocket handshake.
    start: Instant,
    /// When this side ends the test.
    stop: Instant,
    /// When everything is over.
    end: Instant,
}

impl Running<'_> {
    async fn download(
        &self,
        mut websocket: WebSocket,
        mut intervals: Intervals<impl FnMut(&Interval)>,
    ) -> Result<Counts, Failure> {
        let mut told: Option<Measurement> = None;
        let mut flowed = false;
        let mut stop = pin!(sleep_until(self.stop));
        let stopped = loop {
            let message = tokio::select! {
                biased;
                () = &mut stop => break true,
                message = websocket.next() => message,
            };
            match message {
                Some(Ok(Message::Binary(_))) => {
                    flowed = true;
                    let bytes = websocket.get_ref().received();
                    intervals.seen(bytes, self.start.elapsed().into());
                }
                Some(Ok(Message::Text(text))) => told = Measurement::parse(&text).or(told),
                Some(Ok(Message::Close(_))) | None => break false,
                Some(Ok(_)) => {}
                Some(Err(error)) if is_end(&error) => break false,
                Some(Err(error)) => return Err(self.test.broken(&error)),
            }
        };
        let elapsed = Micros::from(self.start.elapsed());
        let (bytes, last) = {
            let counted = websocket.get_ref();
            (counted.received(), counted.last())
        };
        self.close(websocket).await;
        match (flowed, stopped) {
            (true, _) => {
                self.has_flowed_until(bytes, last, elapsed)?;
                Ok(Counts {
                    bytes,
                    elapsed,
                    intervals: intervals.all(bytes, elapsed),
                    sender: told.as_ref().and_then(told_by_sender),
                    congestion: told.as_ref().and_then(Measurement::congestion),
                    server_uuid: told.as_ref().and_then(uuid),
                })
            }
            (false, true) => Err(failure::timeout(self.test.attempt(), self.test.duration)),
            (false, false) => Err(self.test.broken(&"closed before any data came")),
        }
    }

    async fn upload(
        &self,
        websocket: WebSocket,
        mut intervals: Intervals<impl FnMut(&Interval)>,
    ) -> Result<Counts, Failure> {
        let (mut sink, mut stream) = websocket.split();
        let mut told: Option<Measurement> = None;
        // What the server had received, and when it first told of so much.
        let mut grew = (0, self.start);
        {
            let mut sending = pin!(send(&mut sink));
            let mut sends = true;
            let mut stop = pin!(sleep_until(self.stop));
            let mut cut_off = pin!(sleep_until(self.end.min(self.start + CUT_OFF)));
            loop {
                let message = tokio::select! {
                    biased;
                    // Goes on past the end until the server has told something: a measurement that came
                    // when nothing flowed any more would count the pause as time of the test.
                    () = &mut stop, if told.is_some() => break,
                    () = &mut cut_off => break,
                    message = stream.next() => message,
                    error = &mut sending, if sends => {
                        if !is_end(&error) {
                            return Err(self.test.broken(&error));
                        }
                        // What the server said before it left can still be read.
                        sends = false;
                        continue;
                    }
                };
                match message {
                    Some(Ok(Message::Text(text))) => {
                        let told_now = Measurement::parse(&text);
                        told = told_now.filter(|m| m.received().is_some()).or(told);
                        if let Some((bytes, elapsed)) =
                            told.as_ref().and_then(Measurement::received)
                        {
                            intervals.seen(bytes, elapsed);
                            if bytes > grew.0 {
                                grew = (bytes, Instant::now());
                            }
                        }
                    }
                    Some(Ok(Message::Binary(_))) => {
                        return Err(self.test.broken(&"data in the wrong direction"));
                    }
                    Some(Ok(Message::Close(_))) | None => break,
                    Some(Ok(_)) => {}
                    Some(Err(error)) if is_end(&error) => break,
                    Some(Err(error)) => return Err(self.test.broken(&error)),
                }
            }
        }
        let ended = Micros::from(self.start.elapsed());
        let info = self.tcp.info().ok();
        let congestion = self.tcp.congestion().ok();
        let received = told.as_ref().and_then(Measurement::received);
        let server_uuid = told.as_ref().and_then(uuid);
        if let Ok(websocket) = sink.reunite(stream) {
            self.close(websocket).await;
        }
        let (bytes, elapsed) = received.ok_or_else(|| {
            self.test
                .broken(&"the server never told what it has received")
        })?;
        self.has_flowed_until(bytes, grew.1, ended)?;
        Ok(Counts {
            bytes,
            elapsed,
            intervals: intervals.all(bytes, elapsed),
            sender: info.map(|info| SenderTcp {
                min_rtt: info.min_rtt,
                rtt: Some(info.rtt),
                bytes_retrans: info.bytes_retrans,
                bytes_sent: info.bytes_sent,
            }),
            congestion,
            server_uuid,
        })
    }

    /// Whether data flowed until about the end.
    fn has_flowed_until(&self, bytes: u64, last: Instant, end: Micros) -> Result<(), Failure> {
        let limit = (self.test.duration / 2).clamp(SILENCE.0, SILENCE.1);
        let until = last.saturating_duration_since(self.start);
        let end = Duration::from_micros(end.as_micros());
        let silent = end.saturating_sub(until);
        if silent < limit {
            return Ok(());
        }
        let rate = BitRate::from_transfer(bytes, until.into()).unwrap_or_default();
        let (attempt, until, silent) = (
            self.test.attempt(),
            until.as_secs_f64(),
            silent.as_secs_f64(),
        );
        let detail = format_args!(
            "{attempt}: nothing more came in the last {silent:.1} s; in the {until:.1} s before, {bytes} bytes at {:.1} Mbit/s",
            rate.as_mbps()
        );
        Err(Failure::new(FailureReason::Timeout, detail))
    }

    /// Says goodbye and lets the server close first, which spares it the TIME-WAIT state (RFC 9293,
    /// section 3.4.2). A server that takes too long, or a line too full, is cut off.
    async fn close(&self, mut websocket: WebSocket) {
        let end = self.end.min(Instant::now() + CLOSE_GRACE);
        let goodbye = async {
            // On a connection that is gone already both return at once.
            let _ = websocket.close(None).await;
            while let Some(Ok(_)) = websocket.next().await {}
        };
        if timeout_at(end, goodbye).await.is_err() {
            self.tcp.abort_on_close();
        }
    }
}

/// Sends data until that fails.
async fn send(sink: &mut SplitSink<WebSocket, Message>) -> WsError {
    let payload = pacing::payload(&mut SplitMix64::from_process());
    let mut size = pacing::FIRST_MESSAGE_SIZE;
    let mut sent = 0;
    loop {
        if let Err(error) = sink.feed(Message::Binary(payload.slice(..size))).await {
            return error;
        }
        sent += size as u64;
        size = pacing::next_message_size(size, sent);
    }
}

fn told_by_sender(told: &Measurement) -> Option<SenderTcp> {
    let tcp = told.tcp_info?;
    Some(SenderTcp {
        min_rtt: tcp.min_rtt.map(Micros::from_micros),
        rtt: tcp.rtt.map(Micros::from_micros),
        bytes_retrans: tcp.bytes_retrans,
        bytes_sent: tcp.bytes_sent,
    })
}

fn uuid(told: &Measurement) -> Option<String> {
    let uuid = &told.connection_info.as_ref()?.uuid;
    // A foreign text that is stored: the reference server's names have about 60 characters.
    (!uuid.is_empty()).then(|| uuid.chars().take(100).collect())
}
