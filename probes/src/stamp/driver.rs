//! Sockets and clocks of sender and reflector.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use messnetz_metric::Failure;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::codec::{Ssid, Timestamp};
use super::reflector::{Limits, Received, Reflector};
use super::sender::{CLOSING_INTERVAL, Sender};
use super::{Key, Session, StampReport};
use crate::failure::from_io;
use crate::random;
use crate::socket;

/// Room for packets that wait while this process is not scheduled; the kernel may grant less.
const QUEUE_BYTES: usize = 2 * 1024 * 1024;

/// Replies taken before the clock is looked at again.
const REPLIES_PER_TURN: usize = 128;

/// Largest packet that is reflected: what fits into an Ethernet frame and some more.
const LARGEST_PACKET: usize = 2048;

/// Where packets follow each other this closely, a reply waits for the next packet: the kernel has noted when
/// it came, and being woken for each of them would double what a session costs.
const PATIENCE: Duration = Duration::from_millis(50);

/// The kernel begins to stamp arrivals a moment after the first socket has asked for it
/// (`net_enable_timestamp` leaves it to a work queue).
const STAMPS_SETTLE: Duration = Duration::from_millis(2);

/// After so many failed calls in a row the reflector's socket is given up.
const FAILURES_IN_A_ROW: u32 = 10;

/// Runs one session and reports which way packets were lost.
///
/// It takes about `count * interval` and one round trip; where closing packets are lost, it takes up to
/// 32 of them, at least 100 ms apart, and `timeout`.
///
/// # Errors
/// [`FailureReason::Timeout`](messnetz_metric::FailureReason::Timeout) where no closing packet was
/// answered: then the accounts cannot be closed;
/// [`FailureReason::Refused`](messnetz_metric::FailureReason::Refused) where nothing listens there;
/// [`FailureReason::Protocol`](messnetz_metric::FailureReason::Protocol) where the reflector's count
/// contradicts itself; else what keeps this host from sending.
pub async fn measure(session: &Session) -> Result<StampReport, Failure> {
    let attempt = format!("STAMP session with {}", session.reflector);
    let socket = connect(session, &attempt)?;
    // A session's name is any number but 0 (RFC 8972, section 3).
    let ssid = Ssid(u16::from_be_bytes(random::octets(&attempt)?).max(1));
    let is_patient = session.interval <= PATIENCE;
    tokio::time::sleep(STAMPS_SETTLE).await;
    let wire = Wire {
        socket,
        sender: Sender::new(session, ssid, is_patient),
        start: Instant::now(),
        refused: false,
        attempt,
    };
    let Wire {
        socket,
        sender,
        refused,
        attempt,
        ..
    } = if is_patient {
        patiently(wire).await?
    } else {
        attentively(wire).await?
    };
    let drops = socket::own_drops(&socket).map_err(|error| from_io(&attempt, &error))?;
    sender.finish(refused, drops)
}

/// Takes each reply when it comes.
async fn attentively(mut wire: Wire) -> Result<Wire, Failure> {
    let watched = wire.socket.try_clone().and_then(socket::watch);
    let watched = watched.map_err(|error| wire.failed(&error))?;
    while let Some(wait) = wire.send_what_is_due()? {
        tokio::select! {
            ready = watched.readable() => {
                let mut ready = ready.map_err(|error| wire.failed(&error))?;
                if wire.take_replies()? == Queue::Empty {
                    ready.clear_ready();
                }
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
    Ok(wire)
}

/// Takes a reply when the next packet is due, on a thread that does nothing but sleep until then: that is
/// woken once for each packet.
async fn patiently(mut wire: Wire) -> Result<Wire, Failure> {
    let attempt = wire.attempt.clone();
    let wanted = Arc::new(());
    let is_wanted = Arc::downgrade(&wanted);
    let thread = tokio::task::spawn_blocking(move || {
        while let Some(wait) = wire.send_what_is_due()? {
            if is_wanted.strong_count() == 0 {
                break;
            }
            thread::sleep(wait.min(CLOSING_INTERVAL));
            wire.take_replies()?;
        }
        Ok(wire)
    });
    let ended = thread.await;
    drop(wanted);
    ended.unwrap_or_else(|gone| Err(from_io(&attempt, &gone.into())))
}

/// Answers test packets of those sources that are allowed, until the socket fails; drop the future to stop.
/// With a key it answers those alone that are sealed with it.
///
/// # Errors
/// Where the socket does not take the options that are needed, or fails again and again.
pub async fn reflect(
    socket: UdpSocket,
    limits: Limits,
    key: Option<Key>,
    is_allowed: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
) -> Result<Infallible, Failure> {
    // A task of its own runs on the thread that hears of a packet; else each would wake a second thread.
    let mut task = JoinSet::new();
    task.spawn(answer_all(socket, limits, key, is_allowed));
    match task.join_next().await {
        Some(Ok(ended)) => ended,
        Some(Err(gone)) => Err(failed(&gone.into())),
        None => Err(failed(&io::ErrorKind::Interrupted.into())),
    }
}

fn failed(error: &io::Error) -> Failure {
    from_io("reflecting STAMP packets", error)
}

async fn answer_all(
    socket: UdpSocket,
    limits: Limits,
    key: Option<Key>,
    is_allowed: impl Fn(IpAddr) -> bool,
) -> Result<Infallible, Failure> {
    socket::stamp_arrival(&socket).map_err(|error| failed(&error))?;
    socket::receive_ttl(&socket).map_err(|error| failed(&error))?;
    socket::send_largest_ttl(&socket).map_err(|error| failed(&error))?;
    socket::receive_destination(&socket).map_err(|error| failed(&error))?;
    SockRef::from(&socket)
        .set_recv_buffer_size(QUEUE_BYTES)
        .map_err(|error| failed(&error))?;
    let port = socket.local_addr().map_err(|error| failed(&error))?.port();
    let mut reflector = Reflector::new(limits, key, port);
    let mut buffer = vec![0; LARGEST_PACKET];
    let mut failures = 0;
    let start = Instant::now();
    loop {
        let arrival = socket
            .async_io(Interest::READABLE, || {
                socket::receive(socket.as_raw_fd(), &mut buffer)
            })
            .await;
        let arrival = match arrival {
            Ok(arrival) => arrival,
            Err(error) if failures >= FAILURES_IN_A_ROW => return Err(failed(&error)),
            Err(error) => {
                // An interface that goes down for a moment is no reason to stop for good.
                failures += 1;
                tracing::warn!("reflecting STAMP packets: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        failures = 0;
        let (Some(source), Some(bytes)) = (arrival.source, buffer.get(..arrival.length)) else {
            continue;
        };
        if !is_allowed(source.ip().to_canonical()) {
            continue;
        }
        let leaves = SystemTime::now();
        let packet = Received {
            bytes,
            source,
            at: Timestamp::ntp(arrival.stamp.unwrap_or(leaves)),
            ttl: arrival.ttl.unwrap_or(u8::MAX),
        };
        if let Some(reply) = reflector.reflect(start.elapsed(), packet, Timestamp::ntp(leaves)) {
            // A reply that this host cannot send is a reply lost on its way down, and the sender will
            // count it as that.
            let sent = socket::answer(socket.as_raw_fd(), &reply, source, arrival.destination);
            if let Err(error) = sent {
                tracing::debug!("reflecting to {source}: {error}");
            }
        }
    }
}

/// A socket that gets packets from the reflector only.
fn connect(session: &Session, attempt: &str) -> Result<Socket, Failure> {
    let failed = |error: io::Error| from_io(attempt, &error);
    let domain = Domain::for_address(session.reflector);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).map_err(failed)?;
    session.binding.apply(&socket)?;
    let configure = || {
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(QUEUE_BYTES)?;
        socket::stamp_arrival(&socket)?;
        socket::receive_ttl(&socket)?;
        socket::send_largest_ttl(&socket)?;
        socket.connect(&session.reflector.into())
    };
    configure().map_err(failed)?;
    Ok(socket)
}

/// One session with its socket and its clock.
struct Wire {
    socket: Socket,
    sender: Sender,
    start: Instant,
    /// The socket told of a packet that was refused.
    refused: bool,
    /// What is being done, for error messages.
    attempt: String,
}

/// What [`Wire::take_replies`] left behind.
#[derive(PartialEq, Eq)]
enum Queue {
    Empty,
    MayHoldMore,
}

impl Wire {
    /// Sends the packet that is due, if one is; says for how long nothing is to be done but to listen, or that
    /// the session is over.
    fn send_what_is_due(&mut self) -> Result<Option<Duration>, Failure> {
        if self.sender.is_due(self.start.elapsed()) {
            self.send().map_err(|error| self.failed(&error))?;
        }
        let now = self.start.elapsed();
        let is_over = self.sender.is_complete(now);
        Ok((!is_over).then(|| self.sender.poll_timeout().saturating_sub(now)))
    }

    fn send(&mut self) -> io::Result<()> {
        let mut told = false;
        loop {
            let (now, wall) = (self.start.elapsed(), SystemTime::now());
            match self.socket.send(self.sender.packet(wall).octets()) {
                Ok(_) => self.sender.sent(now, wall),
                Err(error) if socket::is_full(&error) => self.sender.attempted(now),
                // The answer to an earlier packet, which this call only hands over (udp(7)): once.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && !told => {
                    told = true;
                    self.refused = true;
                    continue;
                }
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }

    /// Hands the waiting replies to the sender.
    fn take_replies(&mut self) -> Result<Queue, Failure> {
        let mut buffer = [0; LARGEST_PACKET];
        for _ in 0..REPLIES_PER_TURN {
            match socket::receive(self.socket.as_raw_fd(), &mut buffer) {
                Ok(arrival) => {
                    let now = self.start.elapsed();
                    let bytes = buffer.get(..arrival.length).unwrap_or(&buffer);
                    if let Some(reply) = self.sender.read(bytes) {
                        self.sender
                            .handle_reply(now, &reply, arrival.stamp, arrival.ttl)?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Queue::Empty),
                Err(error) => self.refused |= error.kind() == io::ErrorKind::ConnectionRefused,
            }
        }
        Ok(Queue::MayHoldMore)
    }

    fn failed(&self, error: &io::Error) -> Failure {
        from_io(&self.attempt, error)
    }
}

#[cfg(test)]
mod tests;
