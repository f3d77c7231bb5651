//! Sockets, threads and the clock of the emulator.

use std::io::{self, IoSlice, IoSliceMut, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl::set_timerslack;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeSpec;
use nix::sys::uio::writev;

use super::frame::VnetHeader;
use super::line::{Conditions, Departure, Line};
use super::{Counters, Direction, Tally};
use crate::lab::{LabError, Namespace};

/// The largest frame a socket may hand over: 64 KB of IP and its headers, with room for the
/// larger aggregates that newer kernels can be told to build.
const LARGEST_FRAME: usize = 1 << 17;

/// What a socket holds while its thread is not running. The kernel counts about 2.3 KB for a full
/// packet and allows twice the number: 80 ms at 1 Gbit/s, many times the wait on a loaded machine.
const RECEIVE_BUFFER: usize = 8 << 20;

/// Frames taken in before any is sent.
const BATCH: usize = 16;

/// Bytes sent before any frame is taken in: one large aggregate or many small packets. Sending runs
/// the whole way to the receiving socket, and what comes meanwhile must not outgrow the receive
/// buffer.
const BATCH_BYTES: usize = 1 << 16;

/// A clock that went back or jumped must not move a frame by more than this.
const LONGEST_READ_DELAY: Duration = Duration::from_secs(1);

/// Both directions of a line, running. Dropping it ends the threads.
#[derive(Debug)]
pub(in crate::lab) struct Emulator {
    directions: [Running; 2],
    /// Closed at the end, which wakes the threads.
    stop: Option<PipeWriter>,
    stopped: Arc<AtomicBool>,
    // Last: the namespace goes when the sockets are closed.
    _namespace: Namespace,
}

#[derive(Debug)]
struct Running {
    receives: Arc<PacketSocket>,
    tally: Arc<Tally>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Forwards between the interfaces `near` and `far` of `namespace` under the conditions
    /// `[down, up]`, down being from near to far.
    pub(in crate::lab) fn start(
        namespace: Namespace,
        near: &str,
        far: &str,
        conditions: [Conditions; 2],
        seed: u64,
    ) -> Result<Self, LabError> {
        let open = |interface: &str| {
            let failed = |(step, source)| LabError::Emulator {
                link: namespace.name().to_owned(),
                interface: interface.to_owned(),
                step,
                source,
            };
            let socket = namespace.on(|| PacketSocket::open(interface))?;
            socket.map(Arc::new).map_err(failed)
        };
        let (near_socket, far_socket) = (open(near)?, open(far)?);
        let (wake, stop) = io::pipe().map_err(|source| thread_failed(&namespace, source))?;
        let wake = Arc::new(wake);
        let stopped = Arc::new(AtomicBool::new(false));
        let [down, up] = conditions;
        let run = |from: &Arc<PacketSocket>, to: &Arc<PacketSocket>, conditions, direction| {
            let tally = Arc::new(Tally::default());
            let worker = Worker {
                receives: Arc::clone(from),
                sends: Arc::clone(to),
                line: Line::new(conditions, seed, direction, Arc::clone(&tally)),
                tally: Arc::clone(&tally),
                wake: Arc::clone(&wake),
                stopped: Arc::clone(&stopped),
                started: Instant::now(),
            };
            let thread = thread::Builder::new()
                .name(format!("line-{direction:?}").to_lowercase())
                .spawn(move || worker.run())
                .map_err(|source| thread_failed(&namespace, source))?;
            Ok(Running {
                receives: Arc::clone(from),
                tally,
                thread: Some(thread),
            })
        };
        let directions = [
            run(&near_socket, &far_socket, down, Direction::Down)?,
            run(&far_socket, &near_socket, up, Direction::Up)?,
        ];
        Ok(Self {
            directions,
            stop: Some(stop),
            stopped,
            _namespace: namespace,
        })
    }

    pub(in crate::lab) fn counters(&self, direction: Direction) -> Counters {
        let running = &self.directions[direction as usize];
        // Reading resets the kernel's count, so every reader adds what he took.
        Tally::add(&running.tally.kernel_drops, running.receives.take_drops());
        running.tally.read()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        drop(self.stop.take());
        for running in &mut self.directions {
            if let Some(thread) = running.thread.take() {
                // A panic in a thread has been reported when it happened.
                let _ = thread.join();
            }
        }
    }
}

fn thread_failed(namespace: &Namespace, source: io::Error) -> LabError {
    LabError::Thread {
        purpose: format!("run link `{}`", namespace.name()),
        source,
    }
}

/// One direction at work.
struct Worker {
    receives: Arc<PacketSocket>,
    sends: Arc<PacketSocket>,
    line: Line,
    tally: Arc<Tally>,
    wake: Arc<PipeReader>,
    stopped: Arc<AtomicBool>,
    started: Instant,
}

impl Worker {
    fn run(mut self) {
        // Without this the kernel may wake the thread 50 us late to save power.
        let _ = set_timerslack(1);
        let mut buffer = vec![0; LARGEST_FRAME];
        while !self.stopped.load(Ordering::Relaxed) {
            let received = self.take_in(&mut buffer);
            let sent = self.send_due();
            if !received && !sent && self.wait().is_err() {
                // Nothing but a lack of memory: the line is dead, and its counters show it.
                return;
            }
        }
    }

    /// Until a frame comes, one is due, or the end.
    fn wait(&self) -> Result<(), Errno> {
        let timeout = self
            .line
            .next_due()
            .map(|at| TimeSpec::from_duration(at.saturating_sub(self.started.elapsed())));
        let mut fds = [
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.receives.0.as_fd(), PollFlags::POLLIN),
        ];
        match ppoll(&mut fds, timeout, None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Whether anything came.
    fn take_in(&mut self, buffer: &mut [u8]) -> bool {
        for n_taken in 0..BATCH {
            match self.receives.receive(buffer) {
                Ok(received) => {
                    let waited = received.waited.min(LONGEST_READ_DELAY);
                    let arrived = self.started.elapsed().saturating_sub(waited);
                    self.line
                        .arrive(arrived, received.header, &buffer[..received.len]);
                }
                // A kind of aggregate that this kernel cannot describe: it is gone.
                Err(Errno::EINVAL) => Tally::add(&self.tally.kernel_drops, 1),
                Err(_) => return n_taken > 0,
            }
        }
        true
    }

    /// Whether a frame was due.
    fn send_due(&mut self) -> bool {
        let mut sent = 0;
        while sent < BATCH_BYTES
            && let Some(departure) = self.line.depart(self.started.elapsed())
        {
            let counter = match self.sends.send(&departure) {
                Ok(()) => &self.tally.forwarded,
                Err(_) => &self.tally.undelivered,
            };
            Tally::add(counter, departure.packets);
            sent += departure.frame.len();
        }
        sent > 0
    }
}

/// What came from a socket beside the bytes of the frame.
struct Received {
    header: VnetHeader,
    len: usize,
    /// How long the frame lay in the kernel before it was read.
    waited: Duration,
}

/// A raw socket on one interface that hands over whole aggregates and says what it dropped.
#[derive(Debug)]
struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens it in the namespace of the calling thread.
    fn open(interface: &str) -> Result<Self, (&'static str, io::Error)> {
        let at = |step| move |errno: Errno| (step, io::Error::from(errno));
        let index = if_nametoindex(interface).map_err(at("find the interface"))?;
        // Protocol 0: nothing is received before the options are set and the socket is bound.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None)
            .map_err(at("open a packet socket"))?;
        set_packet_option(&fd, libc::PACKET_VNET_HDR).map_err(at("ask for whole aggregates"))?;
        set_packet_option(&fd, libc::PACKET_IGNORE_OUTGOING)
            .map_err(at("ignore what the emulator sends"))?;
        setsockopt(&fd, sockopt::ReceiveTimestampns, &true).map_err(at("ask for time stamps"))?;
        // Only root of the machine may pass the limit net.core.rmem_max. In a user namespace with
        // the usual 208 KB the buffer holds some five large aggregates or 180 full packets; what a
        // longer wait drops then is counted.
        setsockopt(&fd, sockopt::RcvBufForce, &RECEIVE_BUFFER)
            .or_else(|_| setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER))
            .map_err(at("size the receive buffer"))?;
        bind_to(&fd, index).map_err(at("bind a packet socket"))?;
        Ok(Self(fd))
    }

    /// The next frame, whose bytes are in `buffer` then; [`Errno::EAGAIN`] where there is none.
    fn receive(&self, buffer: &mut [u8]) -> Result<Received, Errno> {
        let mut header = [0; VnetHeader::LEN];
        let mut control = [0; 64];
        let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(
            self.0.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let stamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
            _ => None,
        });
        let len = message.bytes.saturating_sub(VnetHeader::LEN);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let waited = match (now, stamp) {
            (Ok(now), Some(stamp)) => now.saturating_sub(stamp),
            _ => Duration::ZERO,
        };
        Ok(Received {
            header: VnetHeader::decode(header),
            len,
            waited,
        })
    }

    fn send(&self, departure: &Departure) -> Result<(), Errno> {
        let header = departure.header.encode();
        let parts = [IoSlice::new(&header), IoSlice::new(&departure.frame)];
        writev(&self.0, &parts).map(drop)
    }

    /// Frames dropped for want of room since this was last asked; the kernel forgets them with
    /// the answer.
    #[allow(unsafe_code)]
    fn take_drops(&self) -> u64 {
        let mut statistics = libc::tpacket_stats {
            tp_packets: 0,
            tp_drops: 0,
        };
        let mut len = size_of_val(&statistics) as libc::socklen_t;
        // SAFETY: the descriptor is open, and the kernel writes at most `len` bytes, which
        // `statistics` has.
        let result = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut len,
            )
        };
        if result == 0 {
            u64::from(statistics.tp_drops)
        } else {
            0
        }
    }
}

#[allow(unsafe_code)]
fn set_packet_option(fd: &OwnedFd, option: libc::c_int) -> Result<(), Errno> {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the kernel reads the four bytes of `on`.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}

/// Binds to every protocol on the interface with `index`.
#[allow(unsafe_code)]
fn bind_to(fd: &OwnedFd, index: libc::c_uint) -> Result<(), Errno> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the descriptor is open, and the kernel reads one `sockaddr_ll`, which `address` is.
    let result = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}
