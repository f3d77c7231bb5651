//! The streams of one running test: a thread each, which does nothing but send or receive and count.
//!
//! Blocking threads need the least CPU time of all: one system call moves up to a megabyte, and nobody is
//! asked before it whether the socket is ready. Every call returns within [`TICK`], so that a thread sees
//! soon that its test is over, on the slowest line too.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use messnetz_metric::BitRate;
use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;
use socket2::Socket;
use tokio::sync::Notify;

use super::parameters::{Parameters, Protocol};
use crate::ndt7::pacing::{SplitMix64, payload};
use crate::tcp_info::{TcpHandle, TcpInfo};

mod mover;

use mover::Mover;

/// How long a system call of a stream may take.
const TICK: Duration = Duration::from_millis(100);

/// How long a receiver may take for what lies in the socket at the end.
const SETTLE: Duration = Duration::from_millis(500);

/// A thread of a stream keeps nothing on its stack.
const STACK: usize = 128 * 1024;

/// What becomes of payload that has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceivePath {
    /// The kernel throws it away once it is counted (`MSG_TRUNC`, tcp(7)).
    #[default]
    Discard,
    /// Copied into a buffer, as an application would have it.
    Copy,
}

/// A stream that is open and has carried nothing yet.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: u32,
    pub(super) sends: bool,
    pub(super) socket: Socket,
}

/// What all streams of a test know of each other.
struct Shared {
    start: Instant,
    phase: AtomicU8,
    /// What is transferred now is not counted towards the end.
    omitting: AtomicBool,
    /// Where bytes end the test.
    left: Option<Left>,
    enough: Notify,
}

/// Bytes of a test that bytes end. Each may fall below zero, where it is past the end.
struct Left {
    /// Bytes that no sender has taken upon itself yet.
    free: AtomicI64,
    unsent: AtomicI64,
    unreceived: AtomicI64,
}

/// Data flows and counts.
const RUN: u8 = 0;
/// Senders stop; receivers count what has arrived already, and stop.
const FINISH: u8 = 1;
/// Senders stop; receivers go on and count nothing.
const DRAIN: u8 = 2;
/// All stop.
const QUIT: u8 = 3;

impl Shared {
    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Relaxed)
    }

    /// What counts down at this moment.
    fn left(&self) -> Option<&Left> {
        self.left.as_ref().filter(|_| !self.is_omitting())
    }

    /// How many of `wanted` bytes may still be sent.
    fn take(&self, wanted: u64) -> u64 {
        let Some(left) = self.left() else {
            return wanted;
        };
        let wanted = wanted.cast_signed();
        let before = left.free.fetch_sub(wanted, Ordering::Relaxed);
        let granted = before.clamp(0, wanted);
        left.free.fetch_add(wanted - granted, Ordering::Relaxed);
        granted.cast_unsigned()
    }

    /// Of those that were granted, so many were sent.
    fn sent(&self, granted: u64, sent: u64) {
        if let Some(left) = self.left() {
            let back = granted.saturating_sub(sent).cast_signed();
            left.free.fetch_add(back, Ordering::Relaxed);
            self.count_down(&left.unsent, sent);
        }
    }

    /// So many bytes were received.
    fn received(&self, bytes: u64) {
        if let Some(left) = self.left() {
            self.count_down(&left.unreceived, bytes);
        }
    }

    fn count_down(&self, left: &AtomicI64, bytes: u64) {
        let bytes = bytes.cast_signed();
        if left.fetch_sub(bytes, Ordering::Relaxed) <= bytes {
            self.enough.notify_one();
        }
    }

    fn is_omitting(&self) -> bool {
        self.omitting.load(Ordering::Relaxed)
    }
}

/// What a thread counts, for everybody to read.
#[derive(Default)]
struct Tally {
    bytes: AtomicU64,
    /// Datagrams sent, or the highest number received.
    packets: AtomicU64,
    lost: AtomicU64,
    out_of_order: AtomicU64,
    jitter_nanos: AtomicU64,
    /// Why the stream ended before the test did.
    broken: OnceLock<io::Error>,
    /// When a receiver stops to count what lay in its socket at the end.
    settle_until: OnceLock<Instant>,
}

/// The counts of one stream at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) lost: u64,
    pub(super) out_of_order: u64,
    pub(super) jitter: Duration,
    pub(super) tcp: Option<TcpInfo>,
}

/// CPU time of the threads of a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CpuTime {
    pub(super) user: Duration,
    pub(super) system: Duration,
}

struct Member {
    id: u32,
    sends: bool,
    socket: Arc<Socket>,
    tcp: Option<TcpHandle>,
    tally: Arc<Tally>,
    thread: Option<JoinHandle<CpuTime>>,
}

/// The streams of a test while data flows. Dropping it ends all of them.
pub(super) struct Crew {
    shared: Arc<Shared>,
    members: Vec<Member>,
}

impl Crew {
    /// Lets data flow. `receive_rate` is the most that each TCP stream takes. Where `counts_down`, the bytes
    /// that end the test are counted, and [`Self::enough`] returns once they are transferred.
    pub(super) fn start(
        opened: Vec<Opened>,
        parameters: &Parameters,
        receive: ReceivePath,
        receive_rate: Option<BitRate>,
        counts_down: bool,
    ) -> io::Result<Self> {
        let total = parameters.total_bytes().filter(|_| counts_down);
        let left = total.map(|bytes| {
            let all = || AtomicI64::new(i64::try_from(bytes).unwrap_or(i64::MAX / 2));
            Left {
                free: all(),
                unsent: all(),
                unreceived: all(),
            }
        });
        let shared = Arc::new(Shared {
            start: Instant::now(),
            phase: AtomicU8::new(RUN),
            omitting: AtomicBool::new(!parameters.omit.is_zero()),
            left,
            enough: Notify::new(),
        });
        let mut crew = Self {
            shared,
            members: Vec::with_capacity(opened.len()),
        };
        let payload = payload(&mut SplitMix64::from_process());
        for stream in opened {
            let is_tcp = parameters.protocol == Protocol::Tcp;
            let tcp = is_tcp.then(|| TcpHandle::of(&stream.socket)).transpose()?;
            let socket = Arc::new(stream.socket);
            socket.set_nonblocking(false)?;
            socket.set_read_timeout(Some(TICK))?;
            socket.set_write_timeout(Some(TICK))?;
            let tally = Arc::new(Tally::default());
            let mover = Mover::new(
                Arc::clone(&socket),
                Arc::clone(&crew.shared),
                Arc::clone(&tally),
                parameters,
                if stream.sends {
                    parameters.rate
                } else {
                    receive_rate
                },
            );
            let payload = payload.clone();
            let sends = stream.sends;
            let thread = thread::Builder::new()
                .name(format!("iperf3-{}", stream.id))
                .stack_size(STACK)
                .spawn(move || {
                    mover.run(sends, receive, &payload);
                    cpu_time()
                })?;
            crew.members.push(Member {
                id: stream.id,
                sends,
                socket,
                tcp,
                tally,
                thread: Some(thread),
            });
        }
        Ok(crew)
    }

    /// The time since data flows.
    pub(super) fn elapsed(&self) -> Duration {
        self.shared.start.elapsed()
    }

    /// Returns once as many bytes have been transferred as were asked for.
    pub(super) async fn enough(&self) {
        self.shared.enough.notified().await;
    }

    /// From now on bytes count towards the end.
    pub(super) fn count_from_now(&self) {
        self.shared.omitting.store(false, Ordering::Relaxed);
    }

    /// Number and direction of each stream: whether this side sends.
    pub(super) fn streams(&self) -> Vec<(u32, bool)> {
        self.members.iter().map(|m| (m.id, m.sends)).collect()
    }

    /// The counts of each stream, in their order.
    pub(super) fn counted(&self) -> Vec<Counted> {
        self.members
            .iter()
            .map(|member| {
                let tally = &member.tally;
                Counted {
                    bytes: tally.bytes.load(Ordering::Relaxed),
                    packets: tally.packets.load(Ordering::Relaxed),
                    lost: tally.lost.load(Ordering::Relaxed),
                    out_of_order: tally.out_of_order.load(Ordering::Relaxed),
                    jitter: Duration::from_nanos(tally.jitter_nanos.load(Ordering::Relaxed)),
                    tcp: member.tcp.as_ref().and_then(|tcp| tcp.info().ok()),
                }
            })
            .collect()
    }

    /// The congestion control that this side sends with.
    pub(super) fn congestion(&self) -> Option<String> {
        let tcp = self.members.first()?.tcp.as_ref()?;
        tcp.congestion().ok()
    }

    /// Why a stream ended before its time.
    pub(super) fn broken(&self) -> Option<(u32, &io::Error)> {
        self.members
            .iter()
            .find_map(|member| Some((member.id, member.tally.broken.get()?)))
    }

    /// Stops sending and counting; what still comes is received, so that the peer's goodbye gets through.
    pub(super) fn drain(&self) {
        self.shared.phase.store(DRAIN, Ordering::Relaxed);
    }

    /// Stops sending, and counts nothing but what has arrived already.
    pub(super) fn finish(&self) {
        self.shared.phase.store(FINISH, Ordering::Relaxed);
        for member in self.members.iter().filter(|member| !member.sends) {
            // Wakes the receiver: it reads what is there, then the end. A socket that is gone needs none.
            let _ = member.socket.shutdown(std::net::Shutdown::Read);
        }
    }

    /// Waits until all threads have ended, after [`Self::finish`] or with `quit`; the sockets stay open.
    pub(super) async fn joined(&mut self, quit: bool) -> CpuTime {
        if quit {
            self.quit();
        }
        let threads: Vec<_> = self
            .members
            .iter_mut()
            .filter_map(|member| member.thread.take())
            .collect();
        let joining = tokio::task::spawn_blocking(move || {
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .fold(CpuTime::default(), |sum, one| CpuTime {
                    user: sum.user + one.user,
                    system: sum.system + one.system,
                })
        });
        joining.await.unwrap_or_default()
    }

    fn quit(&self) {
        self.shared.phase.store(QUIT, Ordering::Relaxed);
        for member in self.members.iter().filter(|member| !member.sends) {
            let _ = member.socket.shutdown(std::net::Shutdown::Read);
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.quit();
        for member in &self.members {
            if let Some(tcp) = member.tcp.as_ref().filter(|_| member.sends) {
                tcp.abort_on_close();
            }
            let _ = member.socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// The CPU time of the calling thread.
fn cpu_time() -> CpuTime {
    getrusage(UsageWho::RUSAGE_THREAD).map_or_else(
        |_| CpuTime::default(),
        |usage| {
            let duration = |time: nix::sys::time::TimeVal| {
                let micros = u64::try_from(time.tv_usec()).unwrap_or_default();
                Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or_default())
                    + Duration::from_micros(micros)
            };
            CpuTime {
                user: duration(usage.user_time()),
                system: duration(usage.system_time()),
            }
        },
    )
}
