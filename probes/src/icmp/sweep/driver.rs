//! The socket and the clock of one sweep.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use messnetz_metric::Failure;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    MsgFlags, MultiHeaders, SockaddrLike as _, SockaddrStorage, recvmmsg, sendmmsg,
};
use socket2::Socket;

use super::accounts::{Accounts, Progress};
use super::{Sweep, SweepReport};
use crate::failure::from_io;
use crate::icmp::codec::{self, Label, Version};
use crate::icmp::form::Form;
use crate::random;
use crate::socket::{self, Notice};

/// Requests that are handed to the kernel in one call, and replies that are taken from it in one.
const BATCH: usize = 64;

/// Room for the replies to everything that is under way.
const QUEUE_BYTES: usize = 8 * 1024 * 1024;

/// Data of a request: when it was sent, and what only this sweep could have written beside it.
const DATA: usize = 16;

/// Room for an IPv4 header with all options, the ICMP header and the data.
const LARGEST: usize = 60 + codec::HEADER + DATA;

/// How long nothing is sent after this host had no room for a packet.
const PAUSE: Duration = Duration::from_millis(1);

/// How often progress is told, and whether to stop is asked.
const TELL: Duration = Duration::from_millis(100);

/// Sweeps, on this thread, until all is known or `stop` is set; tells its progress several times a second.
///
/// # Errors
/// [`messnetz_metric::FailureReason::Permission`] where this process may open neither kind of ICMP socket;
/// [`messnetz_metric::FailureReason::Interface`] where the interface does not exist. That nobody answers is
/// no error.
pub fn run(
    sweep: &Sweep,
    stop: &AtomicBool,
    mut tell: impl FnMut(Progress),
) -> Result<SweepReport, Failure> {
    let mut wire = Wire::open(sweep)?;
    let mut accounts = Accounts::new(sweep);
    let mut due = Vec::with_capacity(BATCH);
    let start = Instant::now();
    let mut told = Duration::ZERO;
    let mut stopped = false;
    loop {
        let now = start.elapsed();
        accounts.due(now, BATCH, &mut due);
        if !due.is_empty() {
            wire.send(sweep, &mut accounts, &due, now);
        }
        while wire.take(sweep, &mut accounts, start) == BATCH {}
        let now = start.elapsed();
        if accounts.is_complete(now) {
            break;
        }
        if now >= told + TELL {
            told = now;
            tell(accounts.progress());
            stopped = stop.load(Ordering::Relaxed);
            if stopped {
                break;
            }
        }
        let wait = accounts.poll_timeout().saturating_sub(now).min(TELL);
        if !wait.is_zero() {
            wire.wait(wait);
        }
    }
    let attempt = &wire.attempt;
    let drops = socket::own_drops(&wire.socket).map_err(|error| from_io(attempt, &error))?;
    tell(accounts.progress());
    Ok(accounts.finish(sweep, start.elapsed(), wire.unreachable, drops, stopped))
}

/// The open socket of a sweep and what makes its packets ours.
struct Wire {
    socket: Socket,
    attempt: String,
    form: Form,
    identifier: u16,
    key: u64,
    unreachable: u64,
    send_headers: MultiHeaders<SockaddrStorage>,
    receive_headers: MultiHeaders<SockaddrStorage>,
    buffers: Box<[[u8; LARGEST]; BATCH]>,
}

impl Wire {
    fn open(sweep: &Sweep) -> Result<Self, Failure> {
        let count = sweep.targets.count();
        let attempt = format!("ICMP echo to {count} addresses");
        let version = if sweep.targets.is_v4() {
            Version::V4
        } else {
            Version::V6
        };
        let (socket, form) = Form::open(version, &attempt)?;
        sweep.binding.apply(&socket)?;
        let any: IpAddr = match version {
            Version::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
            Version::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let configure = || {
            // More than the system's limit takes CAP_NET_ADMIN; less room means more own drops, counted.
            socket.set_recv_buffer_size(QUEUE_BYTES)?;
            socket.set_nonblocking(true)?;
            socket::receive_errors(&socket, &any)?;
            form.let_replies_in(&socket)?;
            // The kernel gives a datagram socket its identifier now, and a raw one every address.
            socket.bind(&SocketAddr::new(any, 0).into())
        };
        configure().map_err(|error| from_io(&attempt, &error))?;
        let identifier = form.identifier(&socket, &attempt)?;
        Ok(Self {
            socket,
            form,
            identifier,
            key: u64::from_be_bytes(random::octets(&attempt)?),
            unreachable: 0,
            send_headers: MultiHeaders::preallocate(BATCH, None),
            receive_headers: MultiHeaders::preallocate(BATCH, None),
            buffers: Box::new([[0; LARGEST]; BATCH]),
            attempt,
        })
    }

    /// Sends to the due targets, and enters into the books what became of each.
    fn send(&mut self, sweep: &Sweep, accounts: &mut Accounts, due: &[usize], now: Duration) {
        let round = accounts.round();
        let label = Label {
            identifier: self.identifier,
            sequence: round.into(),
        };
        let packets: Vec<Vec<u8>> = due
            .iter()
            .map(|&target| codec::request(self.form.version, label, &self.data(target, now)))
            .collect();
        let addresses: Vec<Option<SockaddrStorage>> = due
            .iter()
            .map(|&target| {
                let address = SocketAddr::new(sweep.targets.address(target)?, 0);
                Some(SockaddrStorage::from(address))
            })
            .collect();
        let slices: Vec<[IoSlice<'_>; 1]> = packets
            .iter()
            .map(|packet| [IoSlice::new(packet)])
            .collect();
        let mut done = 0;
        let mut again = false;
        while let (Some(slices @ [_, ..]), Some(addresses)) =
            (slices.get(done..), addresses.get(done..))
        {
            let sent = sendmmsg(
                self.socket.as_raw_fd(),
                &mut self.send_headers,
                slices,
                addresses,
                [],
                MsgFlags::MSG_DONTWAIT,
            )
            .map(Iterator::count);
            match sent {
                Ok(count) => {
                    for &target in due.iter().skip(done).take(count) {
                        accounts.sent(now, target);
                    }
                    done += count.max(1);
                    again = false;
                }
                Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                    accounts.hold(now + PAUSE);
                    return;
                }
                // It may be the answer to an earlier request that the socket tells about now (ip(7),
                // IP_RECVERR); taking that from the queue gives this request its own chance.
                Err(_) if !again => {
                    self.unreachable += take_notices(&self.socket);
                    again = true;
                }
                Err(_) => {
                    if let Some(&target) = due.get(done) {
                        accounts.refused(now, target);
                    }
                    done += 1;
                    again = false;
                }
            }
        }
    }

    /// Takes a batch of replies; says how many packets there were.
    fn take(&mut self, sweep: &Sweep, accounts: &mut Accounts, start: Instant) -> usize {
        let mut found: [(usize, Option<IpAddr>); BATCH] = [(0, None); BATCH];
        let received = receive(
            &self.socket,
            &mut self.receive_headers,
            &mut self.buffers,
            &mut found,
        );
        let count = match received {
            Ok(count) => count,
            Err(Errno::EAGAIN) => 0,
            Err(_) => {
                self.unreachable += take_notices(&self.socket);
                0
            }
        };
        let now = start.elapsed();
        for (buffer, (length, source)) in self.buffers.iter().zip(found).take(count) {
            let bytes = buffer.get(..length).unwrap_or(buffer);
            if let Some(target) = source.and_then(|source| sweep.targets.index_of(source))
                && let Some((round, sent)) = self.answered(bytes, target)
            {
                accounts.handle_reply(target, round, now.saturating_sub(sent));
            }
        }
        count
    }

    /// The round and the time of the request to `target` that `bytes` answer, if they do.
    fn answered(&self, bytes: &[u8], target: usize) -> Option<(u8, Duration)> {
        let reply = self.form.reply(bytes)?;
        let sent = u64::from_be_bytes(reply.data.get(..8)?.try_into().ok()?);
        let sent = Duration::from_nanos(sent);
        let is_ours =
            reply.label.identifier == self.identifier && reply.data == self.data(target, sent);
        let round = u8::try_from(reply.label.sequence).ok()?;
        is_ours.then_some((round, sent))
    }

    fn data(&self, target: usize, sent: Duration) -> [u8; DATA] {
        let nanos = sent.as_nanos() as u64;
        let token = random::mix(self.key ^ random::mix(nanos ^ random::mix(target as u64)));
        let mut data = [0; DATA];
        data[..8].copy_from_slice(&nanos.to_be_bytes());
        data[8..].copy_from_slice(&token.to_be_bytes());
        data
    }

    fn wait(&self, time: Duration) {
        let time =
            PollTimeout::try_from(time.as_millis().max(1) as u64).unwrap_or(PollTimeout::MAX);
        // Whatever wakes it, the queues are looked at next.
        let _ = poll(
            &mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)],
            time,
        );
    }
}

/// Takes packets into `buffers`, and notes length and sender of each.
fn receive(
    socket: &Socket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    buffers: &mut [[u8; LARGEST]; BATCH],
    found: &mut [(usize, Option<IpAddr>); BATCH],
) -> nix::Result<usize> {
    let mut parts: Vec<[IoSliceMut<'_>; 1]> = buffers
        .iter_mut()
        .map(|buffer| [IoSliceMut::new(buffer)])
        .collect();
    let flags = MsgFlags::MSG_DONTWAIT;
    let messages = recvmmsg(socket.as_raw_fd(), headers, parts.iter_mut(), flags, None)?;
    let mut count = 0;
    for (slot, message) in found.iter_mut().zip(messages) {
        *slot = (message.bytes, message.address.as_ref().and_then(address));
        count += 1;
    }
    Ok(count)
}

/// Takes all notices from the error queue; how many told of an ICMP error.
fn take_notices(socket: &Socket) -> u64 {
    let mut buffer = [0; LARGEST];
    let mut unreachable = 0;
    while let Ok(notice) = socket::receive_notice(socket.as_raw_fd(), &mut buffer) {
        let said = matches!(notice, Notice::Reported { report, .. } if report.is_unreachable());
        unreachable += u64::from(said);
    }
    unreachable
}

fn address(address: &SockaddrStorage) -> Option<IpAddr> {
    match address.family()? {
        nix::sys::socket::AddressFamily::Inet => {
            address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()))
        }
        nix::sys::socket::AddressFamily::Inet6 => {
            address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()))
        }
        _ => None,
    }
}
