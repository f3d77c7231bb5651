//! The line itself: takes frames off one interface and puts them on another, later, or not at all.
//!
//! Kernels without `netem` have no delay and no loss, and `/dev/net/tun` is closed to ordinary
//! users, so the line is a program: in a namespace of its own it holds the inner ends of two veth
//! pairs and forwards between them with `AF_PACKET` sockets, one thread per direction.
//!
//! Three layers, each usable without the next:
//!
//! * `frame` and `aggregate`: bytes. What a frame carries, how an aggregate of segmentation
//!   offload is the packets that it stands for, and how a run of them is an aggregate again.
//! * `random` and `line`: the rules. Which packet is lost, when a frame leaves, what the line can
//!   hold; time is an argument and chance a seed, so every run can be repeated.
//! * `driver`: sockets, threads and the clock.
//!
//! What holds of a line:
//!
//! * **Loss** is independent per IP packet and direction, as they would be on the wire: an
//!   aggregate of 45 packets is 45 throws. The n-th throw of a direction depends on the seed and n
//!   alone, not on time.
//! * **Delay** counts from the kernel's receive stamp, so a thread that wakes late makes no packet
//!   later than it must. **Jitter** is evenly distributed between zero and its bound, on top of the
//!   delay, one throw per frame as received. The order is kept: a frame never leaves before
//!   its predecessor, so jitter much larger than the distance of packets bunches them.
//! * **Upkeep of the link** is delayed but never lost: non-IP frames (ARP), IPv6 neighbour
//!   discovery and multicast listener reports. Loss of these would be seconds of silence that no
//!   measurement could account for. They are counted apart ([`Counters::spared`]).
//! * **Nothing vanishes uncounted**: `packets = forwarded + lost + overflowed + undelivered + those
//!   still on the line`, and what the kernel dropped before the line saw it is in
//!   [`Counters::kernel_drops`].
//!
//! VLAN tags are not carried: the kernel strips them before a packet socket sees the frame.

mod aggregate;
mod driver;
mod frame;
mod line;
mod random;

use std::sync::atomic::{AtomicU64, Ordering};

pub(super) use driver::Emulator;
pub(super) use line::Conditions;

/// Which way along a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the near end to the far end: towards the school.
    Down,
    /// From the far end to the near end: from the school.
    Up,
}

/// What one direction of a link has done so far. Packets are IP packets as on the wire, after
/// aggregates have been split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that reached the line.
    pub packets: u64,
    /// Their bytes, IP header included.
    pub bytes: u64,
    /// The largest of them in bytes, IP header included.
    pub largest: u64,
    /// Packets that the loss model took.
    pub lost: u64,
    /// Packets that found the line full.
    pub overflowed: u64,
    /// Packets delivered at the other end.
    pub forwarded: u64,
    /// Packets that the other end's interface did not take (it is down or gone).
    pub undelivered: u64,
    /// Frames of link upkeep (ARP, neighbour discovery) that are never lost; not among `packets`.
    pub spared: u64,
    /// Frames that the kernel dropped because the emulator did not read in time, or that it could
    /// not hand over. A measurement during which this grew says nothing about the line.
    pub kernel_drops: u64,
}

/// [`Counters`] while they are being counted: written by one thread, readable by all.
#[derive(Debug, Default)]
struct Tally {
    packets: AtomicU64,
    bytes: AtomicU64,
    largest: AtomicU64,
    lost: AtomicU64,
    overflowed: AtomicU64,
    forwarded: AtomicU64,
    undelivered: AtomicU64,
    spared: AtomicU64,
    kernel_drops: AtomicU64,
}

impl Tally {
    fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    fn read(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            packets: read(&self.packets),
            bytes: read(&self.bytes),
            largest: read(&self.largest),
            lost: read(&self.lost),
            overflowed: read(&self.overflowed),
            forwarded: read(&self.forwarded),
            undelivered: read(&self.undelivered),
            spared: read(&self.spared),
            kernel_drops: read(&self.kernel_drops),
        }
    }
}
