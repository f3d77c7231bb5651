//! One direction of a line: which packet is lost, when a frame leaves, how much fits.
//!
//! No socket and no clock: arrival and present are arguments, counted from any fixed moment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use messnetz_metric::Ppm;

use super::Tally;
use super::aggregate::Aggregate;
use super::frame::{self, Ip, L3, VnetHeader};
use super::random::Random;

/// What a line does to what goes over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lab) struct Conditions {
    /// From end to end, for every frame.
    pub(in crate::lab) delay: Duration,
    /// Up to this much more, evenly distributed, as far as the order allows.
    pub(in crate::lab) jitter: Duration,
    /// Share of the packets that are lost.
    pub(in crate::lab) loss: Ppm,
    /// Bytes (Ethernet headers included) that the line holds at most.
    pub(in crate::lab) capacity: usize,
}

/// Names of the streams of chance, so that jitter does not shift loss.
const LOSS: u64 = 0;
const JITTER: u64 = 1;

/// A frame that has come out of the line.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) header: VnetHeader,
    pub(super) frame: Vec<u8>,
    /// Packets on the wire that the frame stands for, link upkeep not counted.
    pub(super) packets: u64,
    at: Duration,
    wire_bytes: usize,
}

/// One direction of a line with what is on it.
#[derive(Debug)]
pub(super) struct Line {
    conditions: Conditions,
    loss: Random,
    jitter: Random,
    held: VecDeque<Departure>,
    held_bytes: usize,
    last_at: Duration,
    tally: Arc<Tally>,
}

impl Line {
    /// `direction` keeps the two directions of a seed apart.
    pub(super) fn new(
        conditions: Conditions,
        seed: u64,
        direction: super::Direction,
        tally: Arc<Tally>,
    ) -> Self {
        let stream = |kind| kind + 16 * direction as u64;
        Self {
            conditions,
            loss: Random::new(seed, stream(LOSS)),
            jitter: Random::new(seed, stream(JITTER)),
            held: VecDeque::new(),
            held_bytes: 0,
            last_at: Duration::ZERO,
            tally,
        }
    }

    /// Takes in a frame that the kernel received at `arrived`.
    pub(super) fn arrive(&mut self, arrived: Duration, header: VnetHeader, bytes: &[u8]) {
        let at = self.deliver_at(arrived);
        if frame::is_upkeep(bytes) {
            Tally::add(&self.tally.spared, 1);
            self.hold(at, header, bytes.to_vec(), 0, bytes.len());
        } else if let Some(aggregate) = Aggregate::read(header, bytes) {
            self.arrive_aggregate(at, header, bytes, &aggregate);
        } else {
            // What cannot be read to its transport header counts in full.
            let len = Ip::read(bytes).map_or(bytes.len().saturating_sub(L3), Ip::len);
            if self.passes(len, self.held_bytes) {
                self.hold(at, header, bytes.to_vec(), 1, len + L3);
            }
        }
    }

    /// When the next frame leaves.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.held.front().map(|frame| frame.at)
    }

    /// The next frame, if it has left by `now`.
    pub(super) fn depart(&mut self, now: Duration) -> Option<Departure> {
        let departure = self.held.pop_front_if(|frame| frame.at <= now)?;
        self.held_bytes -= departure.wire_bytes;
        Some(departure)
    }

    /// Later by the delay and a throw of the jitter, but never before an earlier frame.
    fn deliver_at(&mut self, arrived: Duration) -> Duration {
        let bound = u64::try_from(self.conditions.jitter.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos(self.jitter.below(bound));
        self.last_at = self.last_at.max(arrived + self.conditions.delay + jitter);
        self.last_at
    }

    /// Splits, throws for every packet and holds what survives in as few frames as it can.
    fn arrive_aggregate(
        &mut self,
        at: Duration,
        header: VnetHeader,
        bytes: &[u8],
        aggregate: &Aggregate<'_>,
    ) {
        let mut run = 0..0;
        let mut run_bytes = 0;
        for index in 0..aggregate.len() {
            let len = aggregate.packet_len(index);
            if self.passes(len, self.held_bytes + run_bytes) {
                run.end = index + 1;
                run_bytes += len + L3;
                continue;
            }
            self.hold_run(at, aggregate, run, run_bytes);
            run = index + 1..index + 1;
            run_bytes = 0;
        }
        if run.len() == aggregate.len() {
            self.hold(at, header, bytes.to_vec(), run.len() as u64, run_bytes);
        } else {
            self.hold_run(at, aggregate, run, run_bytes);
        }
    }

    fn hold_run(
        &mut self,
        at: Duration,
        aggregate: &Aggregate<'_>,
        run: std::ops::Range<usize>,
        wire_bytes: usize,
    ) {
        if !run.is_empty() {
            let packets = run.len() as u64;
            let (header, frame) = aggregate.run(run);
            self.hold(at, header, frame, packets, wire_bytes);
        }
    }

    /// Whether a packet of `len` bytes survives. Chance comes first, so that the throws do not
    /// depend on how full the line is.
    fn passes(&mut self, len: usize, held_bytes: usize) -> bool {
        Tally::add(&self.tally.packets, 1);
        Tally::add(&self.tally.bytes, len as u64);
        self.tally
            .largest
            .fetch_max(len as u64, std::sync::atomic::Ordering::Relaxed);
        if self.loss.happens(self.conditions.loss) {
            Tally::add(&self.tally.lost, 1);
            return false;
        }
        let fits = held_bytes + len + L3 <= self.conditions.capacity;
        if !fits {
            Tally::add(&self.tally.overflowed, 1);
        }
        fits
    }

    fn hold(
        &mut self,
        at: Duration,
        header: VnetHeader,
        frame: Vec<u8>,
        packets: u64,
        wire_bytes: usize,
    ) {
        self.held_bytes += wire_bytes;
        self.held.push_back(Departure {
            header,
            frame,
            packets,
            at,
            wire_bytes,
        });
    }
}

#[cfg(test)]
mod tests;
