//! The side that is asked for a test: at the collector, or wherever the far end of a segment is.
//!
//! Independent of any HTTP server: whoever speaks HTTP hands the head of the request to
//! [`Request::parse`], answers with [`Request::response_headers`] or the [`Refusal`], and gives the
//! upgraded connection to [`serve`].

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use messnetz_metric::{Direction, Failure, FailureReason, Micros};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::messages::{AppInfo, ConnectionInfo, Measurement, Origin, TcpInfo};
use super::pacing::{self, SplitMix64};
use super::{MAX_DURATION, is_end, websocket_config};
use crate::tcp_info::{self, Congestion, TcpHandle};

mod request;

pub use request::{Refusal, Request};

/// What a test may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long data flows.
    pub duration: Duration,
    /// When the connection is cut, whatever the peer does.
    pub hard: Duration,
    /// What this end sends with, where the kernel has it; `None` to leave it as it is.
    pub congestion: Option<Congestion>,
}

impl Default for Limits {
    /// Those of the reference server: 10 s, 15 s and BBR.
    fn default() -> Self {
        Self {
            duration: MAX_DURATION,
            hard: Duration::from_secs(15),
            congestion: Some(Congestion::Bbr),
        }
    }
}

/// What a test came to, as this side saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Seen from the client: down is what this side sent.
    pub direction: Direction,
    /// This side's name for the test, which the client was told.
    pub uuid: String,
    /// Payload handed to TCP (down) or received (up).
    pub bytes: u64,
    /// The time since the upgrade.
    pub elapsed: Micros,
    /// The kernel's account at the end.
    pub tcp: Option<tcp_info::TcpInfo>,
    /// The congestion control that this side sent with.
    pub congestion: Option<String>,
    /// Whether the peer had to be cut off.
    pub cut_off: bool,
}

/// Runs the test that `request` asks for over an upgraded connection, of which `tcp` is the socket.
/// Ends within [`Limits::hard`]; the connection is closed then, for which the caller must have dropped
/// every other handle on it.
///
/// # Errors
/// [`FailureReason::Protocol`] where the peer sends data in the wrong direction or what is no
/// WebSocket. A connection that breaks is a normal end.
pub async fn serve<S>(
    io: S,
    tcp: TcpHandle,
    request: &Request,
    limits: &Limits,
) -> Result<Summary, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let start = Instant::now();
    if let Some(congestion) = limits.congestion
        && let Err(error) = tcp.set_congestion(congestion)
    {
        tracing::debug!(%error, congestion = congestion.name(), "congestion control left as it is");
    }
    let websocket = WebSocketStream::from_raw_socket(io, Role::Server, Some(websocket_config()));
    let (sink, stream) = websocket.await.split();

    let mut random = SplitMix64::from_process();
    let uuid = format!("{:016x}{:016x}", random.next_u64(), random.next_u64());
    let test = Running {
        direction: request.direction(),
        early_exit: request.early_exit(),
        start,
        stop: start + limits.duration.min(limits.hard),
        connection: connection_info(&tcp, &uuid),
        congestion: tcp.congestion().ok(),
        tcp,
        bytes: AtomicU64::new(0),
    };
    let result = timeout_at(start + limits.hard, test.run(sink, stream, random)).await;
    if result.is_err() {
        test.tcp.abort_on_close();
    }
    let cut_off = result.is_err();
    result.unwrap_or(Ok(()))?;
    Ok(Summary {
        direction: test.direction,
        uuid,
        bytes: test.bytes.load(Ordering::Relaxed),
        elapsed: test.elapsed(),
        tcp: test.tcp.info().ok(),
        congestion: test.congestion,
        cut_off,
    })
}

/// A test whose WebSocket is open. Two futures share it, one that reads and one that writes.
struct Running {
    direction: Direction,
    /// How many acknowledged bytes end a download early.
    early_exit: Option<u64>,
    start: Instant,
    stop: Instant,
    tcp: TcpHandle,
    connection: Option<ConnectionInfo>,
    congestion: Option<String>,
    bytes: AtomicU64,
}

impl Running {
    async fn run<S>(
        &self,
        mut sink: SplitSink<WebSocketStream<S>, Message>,
        mut stream: SplitStream<WebSocketStream<S>>,
        mut random: SplitMix64,
    ) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut reading = pin!(self.read(&mut stream));
        let writing = async {
            let written = match self.direction {
                Direction::Down => self.send(&mut sink, &mut random).await,
                Direction::Up => self.watch(&mut sink, &mut random).await,
            };
            match written {
                // The last word, so that a short test has a measurement at all.
                Ok(()) => {
                    self.tell(&mut sink).await?;
                    sink.send(Message::Close(None)).await
                }
                Err(error) => Err(error),
            }
        };
        tokio::select! {
            biased;
            result = &mut reading => return result,
            result = writing => match result {
                Err(error) if !is_end(&error) => return Err(broken(&error)),
                // Either closed by this side or by the peer, whose goodbye is still to be read.
                _ => {}
            },
        }
        reading.await
    }

    /// Reads until the peer has left.
    async fn read<S>(&self, stream: &mut SplitStream<WebSocketStream<S>>) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(message) = stream.next().await {
            match message {
                Ok(Message::Binary(data)) => match self.direction {
                    Direction::Up => {
                        self.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                    }
                    // "If a party receives a binary message when that is not expected, it MUST close
                    // the connection" (ndt7, "Protocol description").
                    Direction::Down => return Err(broken(&"data in the wrong direction")),
                },
                // What clients measure is their own business; pings are answered by the WebSocket.
                Ok(_) => {}
                Err(error) if is_end(&error) => return Ok(()),
                Err(error) => return Err(broken(&error)),
            }
        }
        Ok(())
    }

    /// Sends data and measurements until the test is over.
    async fn send<S>(
        &self,
        sink: &mut SplitSink<WebSocketStream<S>, Message>,
        random: &mut SplitMix64,
    ) -> Result<(), WsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let payload: Bytes = pacing::payload(random);
        let mut size = pacing::FIRST_MESSAGE_SIZE;
        let mut due = Instant::now() + pacing::next_measurement(random);
        let mut sent = 0;
        loop {
            let now = Instant::now();
            if now >= self.stop || self.may_exit(sent) {
                return Ok(());
            }
            if now >= due {
                self.tell(sink).await?;
                due = now + pacing::next_measurement(random);
            }
            let message = Message::Binary(payload.slice(..size));
            match timeout_at(self.stop, sink.feed(message)).await {
                Ok(fed) => fed?,
                // The line is slower than a message per test: what is queued goes out first.
                Err(_) => return Ok(()),
            }
            sent += size as u64;
            self.bytes.store(sent, Ordering::Relaxed);
            size = pacing::next_message_size(size, sent);
        }
    }

    /// Whether the client has got as much as it wanted. The kernel is asked only once it may be so.
    fn may_exit(&self, sent: u64) -> bool {
        self.early_exit.is_some_and(|enough| {
            let acked = || self.tcp.info().ok().and_then(|info| info.bytes_acked);
            sent >= enough && acked().is_none_or(|acked| acked >= enough)
        })
    }

    /// Sends measurements until the test is over.
    async fn watch<S>(
        &self,
        sink: &mut SplitSink<WebSocketStream<S>, Message>,
        random: &mut SplitMix64,
    ) -> Result<(), WsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let due = Instant::now() + pacing::next_measurement(random);
            if due >= self.stop {
                tokio::time::sleep_until(self.stop).await;
                return Ok(());
            }
            tokio::time::sleep_until(due).await;
            self.tell(sink).await?;
        }
    }

    async fn tell<S>(
        &self,
        sink: &mut SplitSink<WebSocketStream<S>, Message>,
    ) -> Result<(), WsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let elapsed = self.elapsed();
        let measurement = Measurement {
            app_info: Some(AppInfo {
                elapsed_time: Some(elapsed.as_micros()),
                num_bytes: Some(self.bytes.load(Ordering::Relaxed)),
            }),
            connection_info: self.connection.clone(),
            origin: Some(Origin::Server),
            test: Some(self.direction.into()),
            tcp_info: self
                .tcp
                .info()
                .ok()
                .map(|info| TcpInfo::new(&info, elapsed)),
            bbr_info: None,
            congestion: self.congestion.clone(),
        };
        sink.send(Message::text(measurement.to_text())).await
    }

    fn elapsed(&self) -> Micros {
        Micros::from(self.start.elapsed())
    }
}

fn connection_info(tcp: &TcpHandle, uuid: &str) -> Option<ConnectionInfo> {
    let (server, client) = tcp.ends().ok()?;
    Some(ConnectionInfo {
        client: client.to_string(),
        server: server.to_string(),
        uuid: uuid.to_owned(),
    })
}

fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        FailureReason::Protocol,
        format_args!("serving an ndt7 test: {error}"),
    )
}
