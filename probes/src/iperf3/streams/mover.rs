//! The work of one stream's thread: the loops that send and receive.

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use messnetz_metric::BitRate;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send, sendmsg};
use socket2::Socket;

use super::{DRAIN, FINISH, Protocol, QUIT, RUN, ReceivePath, SETTLE, Shared, TICK, Tally};
use crate::iperf3::codec::DatagramHead;
use crate::iperf3::datagrams::Account;
use crate::iperf3::pacing::Pacer;
use crate::iperf3::parameters::Parameters;
use crate::socket;

/// What one read takes at most.
const READ: usize = 1 << 20;

/// A receiver is woken once as much is there as comes in this time: on a fast line that spares most of its
/// wake-ups, and on no line does it hold anything up that a peer could notice.
const WAKE: Duration = Duration::from_millis(1);

/// A receiver sleeps until so much is there at most: with more unread, the kernel of a fast sender fills the buffer
/// to its rim, drops what comes then, and the line stands still until it is sent again.
const MOST_WAITED_FOR: i32 = 512 * 1024;

/// A write of TCP is made of pieces of this length. No compression on the way sees so far back (RFC 1951: 32 KiB).
const PIECE_OF_WRITE: usize = 64 * 1024;

/// How often a receiver looks how much comes in that time.
const LOOK: Duration = Duration::from_millis(50);

/// At a set rate a write of TCP is no more than what is due in this time, so that the rate is kept evenly.
const PIECE: Duration = Duration::from_millis(10);

/// A write of TCP at a set rate is no less than this.
const SMALLEST_PIECE: u64 = 1460;

/// Sleeping less costs more than it spares: what is due by then goes in a row.
const SHORTEST_SLEEP: Duration = Duration::from_micros(200);

/// One stream, as its thread has it.
pub(super) struct Mover {
    socket: Arc<Socket>,
    shared: Arc<Shared>,
    tally: Arc<Tally>,
    protocol: Protocol,
    length: usize,
    rate: Option<BitRate>,
    burst: u16,
    wide_counters: bool,
}

/// What a system call came to.
enum Moved {
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The peer has closed the stream, or it is broken.
    Ended,
}

impl Mover {
    pub(super) fn new(
        socket: Arc<Socket>,
        shared: Arc<Shared>,
        tally: Arc<Tally>,
        parameters: &Parameters,
        rate: Option<BitRate>,
    ) -> Self {
        Self {
            socket,
            shared,
            tally,
            protocol: parameters.protocol,
            length: parameters.length as usize,
            rate,
            burst: parameters.burst,
            wide_counters: parameters.wide_counters,
        }
    }

    /// Works until the test is over or the stream is.
    pub(super) fn run(&self, sends: bool, receive: ReceivePath, payload: &[u8]) {
        match (self.protocol, sends) {
            (Protocol::Tcp, true) => self.send_bytes(payload),
            (Protocol::Tcp, false) => self.receive_bytes(receive),
            (Protocol::Udp, true) => self.send_datagrams(payload),
            (Protocol::Udp, false) => self.receive_datagrams(),
        }
    }

    fn send_bytes(&self, payload: &[u8]) {
        let mut pacer = self.pacer();
        let length = self.length as u64;
        let piece = self.rate.map_or(length, |rate| {
            let due = rate.as_bps() / 8 * PIECE.as_millis() as u64 / 1000;
            due.clamp(SMALLEST_PIECE.min(length), length)
        });
        while self.shared.phase() == RUN {
            if self.must_wait(pacer.as_mut()) {
                continue;
            }
            let granted = self.shared.take(piece);
            if granted == 0 {
                // Another stream may give back what it took and could not send.
                thread::sleep(SHORTEST_SLEEP);
                continue;
            }
            let pieces = pieces(payload, granted as usize);
            let flags = MsgFlags::MSG_NOSIGNAL;
            let result = sendmsg::<()>(self.socket.as_raw_fd(), &pieces, &[], flags, None);
            let sent = match self.judge(result) {
                Moved::Bytes(sent) => sent as u64,
                Moved::Nothing => 0,
                Moved::Ended => return,
            };
            self.shared.sent(granted, sent);
            if let Some(pacer) = &mut pacer {
                pacer.sent(sent);
            }
            self.tally.bytes.fetch_add(sent, Ordering::Relaxed);
        }
    }

    fn receive_bytes(&self, path: ReceivePath) {
        // Untouched where the kernel discards: zeroed memory is not there before it is written to.
        let mut buffer = vec![0; READ];
        let flags = match path {
            ReceivePath::Discard => MsgFlags::MSG_TRUNC,
            ReceivePath::Copy => MsgFlags::empty(),
        };
        let mut pacer = self.pacer();
        let mut wakes = Wakes::new();
        while let Some(counts) = self.receives() {
            if counts && self.must_wait(pacer.as_mut()) {
                continue;
            }
            match self.judge(recv(self.socket.as_raw_fd(), &mut buffer, flags)) {
                Moved::Bytes(bytes) if counts => {
                    let bytes = bytes as u64;
                    if let Some(pacer) = &mut pacer {
                        pacer.sent(bytes);
                    }
                    self.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
                    self.shared.received(bytes);
                    if let Some(bytes) = wakes.received(bytes, Instant::now()) {
                        // Without it everything works as well, at more cost.
                        let _ = socket::wake_at(&*self.socket, bytes);
                    }
                }
                Moved::Bytes(_) | Moved::Nothing => {}
                Moved::Ended => return,
            }
        }
    }

    fn send_datagrams(&self, payload: &[u8]) {
        let Some(payload) = payload.get(..self.length) else {
            return;
        };
        let mut datagram = payload.to_vec();
        let mut pacer = self.pacer();
        let mut sequence = 0;
        while self.shared.phase() == RUN {
            if self.must_wait(pacer.as_mut()) {
                continue;
            }
            for _ in 0..self.burst.max(1) {
                let granted = self.shared.take(self.length as u64);
                if granted == 0 {
                    thread::sleep(SHORTEST_SLEEP);
                    break;
                }
                let head = DatagramHead {
                    sent: self.shared.start.elapsed(),
                    sequence: sequence + 1,
                };
                head.write(self.wide_counters, &mut datagram);
                let flags = MsgFlags::MSG_NOSIGNAL;
                let sent = match self.judge(send(self.socket.as_raw_fd(), &datagram, flags)) {
                    Moved::Bytes(sent) => sent as u64,
                    Moved::Nothing => {
                        self.shared.sent(granted, 0);
                        break;
                    }
                    Moved::Ended => return,
                };
                sequence += 1;
                self.shared.sent(granted, sent);
                if let Some(pacer) = &mut pacer {
                    pacer.sent(sent);
                }
                self.tally.packets.store(sequence, Ordering::Relaxed);
                self.tally.bytes.fetch_add(sent, Ordering::Relaxed);
            }
        }
    }

    fn receive_datagrams(&self) {
        // The kernel says how long the datagram was, and copies no more than its head.
        let mut head = [0; DatagramHead::MAX_OCTETS];
        let mut account = Account::default();
        while let Some(counts) = self.receives() {
            let result = recv(self.socket.as_raw_fd(), &mut head, MsgFlags::MSG_TRUNC);
            let bytes = match self.judge(result) {
                Moved::Bytes(bytes) if counts => bytes,
                Moved::Bytes(_) | Moved::Nothing => continue,
                Moved::Ended => return,
            };
            let read = head.get(..bytes).unwrap_or(&head);
            let Some(head) = DatagramHead::parse(self.wide_counters, read) else {
                continue;
            };
            account.arrived(head, self.shared.start.elapsed());
            let tally = &self.tally;
            tally.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            tally.packets.store(account.highest, Ordering::Relaxed);
            tally.lost.store(account.lost, Ordering::Relaxed);
            tally
                .out_of_order
                .store(account.out_of_order, Ordering::Relaxed);
            let nanos = (account.jitter * 1e9) as u64;
            tally.jitter_nanos.store(nanos, Ordering::Relaxed);
            self.shared.received(bytes as u64);
        }
    }

    fn pacer(&self) -> Option<Pacer> {
        self.rate
            .map(|rate| Pacer::new(rate, self.shared.start.elapsed()))
    }

    /// Sleeps where it is too early, but not past a change of phase.
    fn must_wait(&self, pacer: Option<&mut Pacer>) -> bool {
        let wait = pacer.map_or(Duration::ZERO, |pacer| {
            pacer.wait(self.shared.start.elapsed())
        });
        if wait.is_zero() {
            return false;
        }
        thread::sleep(wait.clamp(SHORTEST_SLEEP, TICK));
        true
    }

    /// Whether what comes now counts; `None` where nothing is to be received any more.
    fn receives(&self) -> Option<bool> {
        match self.shared.phase() {
            RUN => Some(true),
            // What a set rate has held back until the end is above it.
            FINISH if self.rate.is_some() => None,
            FINISH => self.settles().then_some(true),
            DRAIN => Some(false),
            _ => None,
        }
    }

    /// Whether a receiver may still count what arrived before the end.
    fn settles(&self) -> bool {
        let end = self
            .tally
            .settle_until
            .get_or_init(|| Instant::now() + SETTLE);
        Instant::now() < *end
    }

    fn judge(&self, result: nix::Result<usize>) -> Moved {
        match result {
            // A datagram may be empty, and its stream goes on; but not once it is shut down.
            Ok(0) if self.protocol == Protocol::Udp && self.shared.phase() == RUN => Moved::Nothing,
            Ok(0) => {
                if self.shared.phase() == RUN {
                    self.broken(io::ErrorKind::UnexpectedEof.into());
                }
                Moved::Ended
            }
            Ok(bytes) => Moved::Bytes(bytes),
            Err(Errno::EAGAIN | Errno::EINTR) => Moved::Nothing,
            // No room in the queue of the interface, or nobody at the other end yet or any more: a stream of
            // datagrams goes on and counts what is lost.
            Err(Errno::ENOBUFS | Errno::ECONNREFUSED) if self.protocol == Protocol::Udp => {
                thread::sleep(SHORTEST_SLEEP);
                Moved::Nothing
            }
            Err(error) => {
                self.broken(error.into());
                Moved::Ended
            }
        }
    }

    fn broken(&self, error: io::Error) {
        if self.shared.phase() < QUIT {
            // The first reason is the one that counts.
            let _ = self.tally.broken.set(error);
        }
    }
}

/// How much a receiver of TCP waits for.
struct Wakes {
    since: Instant,
    bytes: u64,
    at: i32,
}

impl Wakes {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            bytes: 0,
            at: 1,
        }
    }

    /// So many bytes were received. What to wait for from now on, where it has changed by much.
    fn received(&mut self, bytes: u64, now: Instant) -> Option<i32> {
        self.bytes += bytes;
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed < LOOK {
            return None;
        }
        let share = WAKE.as_secs_f64() / elapsed.as_secs_f64();
        let at = (self.bytes as f64 * share).clamp(1.0, f64::from(MOST_WAITED_FOR)) as i32;
        (self.since, self.bytes) = (now, 0);
        if at.abs_diff(self.at) <= self.at.unsigned_abs() / 4 {
            return None;
        }
        self.at = at;
        Some(at)
    }
}

/// So many bytes, the same [`PIECE_OF_WRITE`] over and over: it stays in the processor's cache, where what a whole
/// write takes would not.
fn pieces(payload: &[u8], bytes: usize) -> Vec<IoSlice<'_>> {
    let piece = payload.get(..PIECE_OF_WRITE).unwrap_or(payload);
    let lengths = (0..bytes).step_by(piece.len().max(1));
    lengths
        .map(|from| IoSlice::new(piece.get(..bytes - from).unwrap_or(piece)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_made_of_the_same_bytes_over_and_over() {
        let payload: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        for bytes in [0, 1, 65_535, 65_536, 65_537, 1 << 20] {
            let pieces = pieces(&payload, bytes);
            let written: usize = pieces.iter().map(|piece| piece.len()).sum();
            assert_eq!(written, bytes);
            assert!(pieces.iter().all(|piece| payload.starts_with(piece)));
        }
        assert_eq!(
            pieces(&[], 7)
                .iter()
                .map(|piece| piece.len())
                .sum::<usize>(),
            0
        );
    }

    #[test]
    fn a_receiver_waits_for_what_comes_in_a_millisecond_and_no_full_buffer() {
        let mut wakes = Wakes::new();
        let start = wakes.since;
        let at = |ms| start + Duration::from_millis(ms);
        // 100 Mbit/s are 12,500 bytes a millisecond.
        assert_eq!(wakes.received(600_000, at(49)), None);
        assert_eq!(wakes.received(25_000, at(50)), Some(12_500));
        // A little more is no reason to change anything.
        assert_eq!(wakes.received(700_000, at(100)), None);
        assert_eq!(
            wakes.received(u64::from(u32::MAX), at(150)),
            Some(512 * 1024)
        );
        // A line that stalls wakes at once.
        assert_eq!(wakes.received(1, at(10_000)), Some(1));
    }
}
