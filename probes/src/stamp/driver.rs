//! Sockets and clocks of sender and reflector.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime};

use messnetz_metric::Failure;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::codec::{Ssid, Timestamp};
use super::reflector::{Limits, Received, Reflector};
use super::sender::Sender;
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
    let failed = |error: io::Error| from_io(&attempt, &error);
    let socket = connect(session, &attempt)?;
    // A session's name is any number but 0 (RFC 8972, section 3).
    let ssid = Ssid(u16::from_be_bytes(random::octets(&attempt)?).max(1));
    let mut sender = Sender::new(session, ssid);
    let mut refused = false;
    let start = Instant::now();
    loop {
        if sender.is_due(start.elapsed()) {
            refused |= send(&socket, &mut sender, start).map_err(failed)?;
        }
        let now = start.elapsed();
        if sender.is_complete(now) {
            break;
        }
        tokio::select! {
            ready = socket.readable() => {
                ready.map_err(failed)?;
                refused |= take_all(&socket, &mut sender, start)?;
            }
            () = tokio::time::sleep(sender.poll_timeout().saturating_sub(now)) => {}
        }
    }
    let drops = socket::own_drops(&socket).map_err(failed)?;
    sender.finish(refused, drops)
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
    is_allowed: impl Fn(IpAddr) -> bool,
) -> Result<Infallible, Failure> {
    let failed = |error: io::Error| from_io("reflecting STAMP packets", &error);
    socket::stamp_arrival(&socket).map_err(failed)?;
    socket::receive_ttl(&socket).map_err(failed)?;
    socket::receive_destination(&socket).map_err(failed)?;
    SockRef::from(&socket)
        .set_recv_buffer_size(QUEUE_BYTES)
        .map_err(failed)?;
    let port = socket.local_addr().map_err(failed)?.port();
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
            Err(error) if failures >= FAILURES_IN_A_ROW => return Err(failed(error)),
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
fn connect(session: &Session, attempt: &str) -> Result<UdpSocket, Failure> {
    let failed = |error: io::Error| from_io(attempt, &error);
    let domain = Domain::for_address(session.reflector);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).map_err(failed)?;
    session.binding.apply(&socket)?;
    let configure = || {
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(QUEUE_BYTES)?;
        socket::stamp_arrival(&socket)?;
        socket.connect(&session.reflector.into())
    };
    configure().map_err(failed)?;
    UdpSocket::from_std(socket.into()).map_err(failed)
}

/// Sends the next packet; says whether the socket told about an earlier one that was refused.
fn send(socket: &UdpSocket, sender: &mut Sender, start: Instant) -> io::Result<bool> {
    let mut refused = false;
    loop {
        let (now, wall) = (start.elapsed(), SystemTime::now());
        match SockRef::from(socket).send(sender.packet(wall).octets()) {
            Ok(_) => sender.sent(now, wall),
            Err(error) if socket::is_full(&error) => sender.attempted(now),
            // The answer to an earlier packet, which this call only hands over (udp(7)): once.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && !refused => {
                refused = true;
                continue;
            }
            Err(error) => return Err(error),
        }
        return Ok(refused);
    }
}

/// Hands the waiting replies to the sender; says whether a packet was refused.
fn take_all(socket: &UdpSocket, sender: &mut Sender, start: Instant) -> Result<bool, Failure> {
    let mut buffer = [0; LARGEST_PACKET];
    let mut refused = false;
    for _ in 0..REPLIES_PER_TURN {
        let received = socket.try_io(Interest::READABLE, || {
            socket::receive(socket.as_raw_fd(), &mut buffer)
        });
        match received {
            Ok(arrival) => {
                let now = start.elapsed();
                let bytes = buffer.get(..arrival.length).unwrap_or(&buffer);
                if let Some(reply) = sender.read(bytes) {
                    sender.handle_reply(now, &reply, arrival.stamp)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => refused |= error.kind() == io::ErrorKind::ConnectionRefused,
        }
    }
    Ok(refused)
}

#[cfg(test)]
mod tests;
