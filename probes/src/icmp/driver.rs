//! The socket and the clock of one burst.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime};

use messnetz_metric::{Failure, FailureReason};
use socket2::Socket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::accounts::Accounts;
use super::codec::{self, Label, Version};
use super::form::Form;
use super::{Echo, EchoReport};
use crate::failure::from_io;
use crate::random;
use crate::socket::{self, Notice};

/// Room in the receive queue for each expected reply beyond its data: the kernel accounts for its own
/// bookkeeping of a packet, too.
const OVERHEAD_PER_REPLY: usize = 1024;

/// Bounds of the receive queue: never less than the usual default, and not so much that one probe
/// could tie up the memory of a small box.
const QUEUE_BYTES: std::ops::RangeInclusive<usize> = 256 * 1024..=4 * 1024 * 1024;

/// The kernel begins to stamp arrivals a moment after the first socket has asked for it
/// (`net_enable_timestamp` leaves it to a work queue); before that, the first reply of a short path
/// would come without a stamp.
const STAMPS_SETTLE: Duration = Duration::from_millis(2);

/// Packets taken from one queue before the clock is looked at again: foreign traffic on a raw socket
/// must not keep the next request waiting.
const PACKETS_PER_TURN: usize = 128;

/// Room for the headers in front of the data: IPv4 with all options, and ICMP.
const HEADERS: usize = 60 + codec::HEADER;

/// Bytes of the token in front of the data.
const TOKEN: usize = 8;

/// Sends one burst of echo requests and reports what came back.
///
/// It takes at most `count * interval + timeout`, give or take this host's own delays, and less where
/// all requests are answered.
///
/// # Errors
/// [`FailureReason::Permission`] where this process may open neither kind of ICMP socket;
/// [`FailureReason::Interface`] where the interface does not exist or is down;
/// [`FailureReason::Unreachable`] where there is no route, so that no request was sent at all. That
/// nobody answered is not an error but a report with a loss of 100 %.
pub async fn measure(echo: &Echo) -> Result<EchoReport, Failure> {
    if echo.count == 0 {
        let detail = format_args!("ICMP echo to {}: a burst of no requests", echo.target);
        return Err(Failure::new(FailureReason::Protocol, detail));
    }
    let wire = Wire::open(echo)?;
    let mut accounts = Accounts::new(echo);
    tokio::time::sleep(STAMPS_SETTLE).await;
    let start = Instant::now();
    loop {
        if let Some(sequence) = accounts.poll_transmit(start.elapsed()) {
            wire.send(sequence, &mut accounts, start)?;
        }
        let now = start.elapsed();
        if accounts.is_complete(now) {
            break;
        }
        tokio::select! {
            ready = wire.socket.ready(Interest::READABLE | Interest::ERROR) => {
                let mut ready = ready.map_err(|e| from_io(&wire.attempt, &e))?;
                if wire.take_all(&mut accounts, start) == Queues::Empty {
                    ready.clear_ready();
                }
            }
            () = tokio::time::sleep(accounts.poll_timeout().saturating_sub(now)) => {}
        }
    }
    let drops = socket::own_drops(wire.socket.get_ref()).map_err(|e| from_io(&wire.attempt, &e))?;
    Ok(accounts.finish(drops))
}

/// The open socket of one burst and what makes its packets ours.
struct Wire {
    socket: AsyncFd<Socket>,
    /// What is being done, for error messages.
    attempt: String,
    target: IpAddr,
    form: Form,
    identifier: u16,
    data: Vec<u8>,
}

/// What [`Wire::take_all`] left behind.
#[derive(PartialEq, Eq)]
enum Queues {
    Empty,
    MayHoldMore,
}

impl Wire {
    fn open(echo: &Echo) -> Result<Self, Failure> {
        let attempt = format!("ICMP echo to {}", echo.target);
        let (socket, form) = Form::open(Version::of(echo.target), &attempt)?;
        echo.binding.apply(&socket)?;
        let mut data = vec![0; echo.payload];
        for (octet, token) in data.iter_mut().zip(random::octets::<TOKEN>(&attempt)?) {
            *octet = token;
        }
        let configure = || -> io::Result<()> {
            let per_reply = echo.payload.saturating_add(OVERHEAD_PER_REPLY);
            let queue = per_reply
                .saturating_mul(usize::from(echo.count))
                .clamp(*QUEUE_BYTES.start(), *QUEUE_BYTES.end());
            socket.set_recv_buffer_size(queue)?;
            socket.set_nonblocking(true)?;
            socket::stamp_transmission(&socket)?;
            socket::receive_errors(&socket, &echo.target)?;
            form.let_replies_in(&socket)?;
            // Connected, the socket gets its packets and errors for this target only.
            socket.connect(&SocketAddr::new(echo.target, 0).into())
        };
        configure().map_err(|e| from_io(&attempt, &e))?;
        let identifier = form.identifier(&socket, &attempt)?;
        let socket = socket::watch(socket).map_err(|e| from_io(&attempt, &e))?;
        Ok(Self {
            socket,
            attempt,
            target: echo.target,
            form,
            identifier,
            data,
        })
    }

    /// Sends the next request and enters it into the books.
    fn send(&self, sequence: u16, accounts: &mut Accounts, start: Instant) -> Result<(), Failure> {
        let label = Label {
            identifier: self.identifier,
            sequence,
        };
        let packet = codec::request(self.form.version, label, &self.data);
        let mut now = start.elapsed();
        let mut wall = SystemTime::now();
        let mut sent = self.socket.get_ref().send(&packet);
        if sent.is_err() {
            // It may be the answer to an earlier request that the socket tells about now (ip(7),
            // IP_RECVERR). Taking that from the queue clears it, and this request gets its own chance.
            self.take_all(accounts, start);
            (now, wall) = (start.elapsed(), SystemTime::now());
            sent = self.socket.get_ref().send(&packet);
        }
        match sent {
            Ok(_) => accounts.sent(now, wall),
            Err(error) if sequence > 0 || socket::is_full(&error) => accounts.refused(now),
            Err(error) => return Err(from_io(&self.attempt, &error)),
        }
        Ok(())
    }

    /// Enters what waits in the socket's two queues into the books.
    fn take_all(&self, accounts: &mut Accounts, start: Instant) -> Queues {
        let socket = self.socket.get_ref().as_raw_fd();
        let mut buffer = vec![0; HEADERS + self.data.len()];
        let (mut no_notices, mut no_packets) = (false, false);
        // Each error that the network reported surfaces in both queues: as a notice, and as the result
        // of one receive call, which is then without meaning.
        for _ in 0..PACKETS_PER_TURN {
            match socket::receive_notice(socket, &mut buffer) {
                Ok(Notice::Transmitted { key, at }) => accounts.handle_departure(key, at),
                Ok(Notice::Reported { length, report }) => {
                    let quoted = buffer.get(..length).unwrap_or(&buffer);
                    if report.is_unreachable()
                        && let Some(label) = codec::quoted_request(self.form.version, quoted)
                        && label.identifier == self.identifier
                    {
                        accounts.handle_unreachable(label.sequence);
                    }
                }
                Ok(Notice::Other) => {}
                Err(_) => {
                    no_notices = true;
                    break;
                }
            }
        }
        for _ in 0..PACKETS_PER_TURN {
            match socket::receive(socket, &mut buffer) {
                Ok(arrival) => {
                    let now = start.elapsed();
                    let bytes = buffer.get(..arrival.length).unwrap_or(&buffer);
                    if arrival.source.is_some_and(|s| s.ip() == self.target)
                        && let Some(sequence) = self.answered(bytes)
                    {
                        accounts.handle_reply(sequence, now, arrival.stamp);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    no_packets = true;
                    break;
                }
                Err(_) => {}
            }
        }
        if no_notices && no_packets {
            Queues::Empty
        } else {
            Queues::MayHoldMore
        }
    }

    /// The sequence number of our request that `bytes` answer, if they do.
    fn answered(&self, bytes: &[u8]) -> Option<u16> {
        let reply = self.form.reply(bytes)?;
        let ours = reply.label.identifier == self.identifier && reply.data == self.data;
        ours.then_some(reply.label.sequence)
    }
}

#[cfg(test)]
mod tests;
