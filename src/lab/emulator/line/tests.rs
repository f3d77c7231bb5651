//! The line in virtual time: what it loses, what it delays, what it keeps in order.

use proptest::prelude::*;

use super::*;
use crate::lab::emulator::{Counters, Direction};

const MS: Duration = Duration::from_millis(1);

fn conditions() -> Conditions {
    Conditions {
        delay: 6 * MS,
        jitter: Duration::ZERO,
        loss: Ppm::from_ppm(0),
        capacity: usize::MAX,
    }
}

/// A UDP packet of `len` bytes in a frame, `mark` in its first bytes of payload.
fn packet(len: u16, mark: u32) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend(len.to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0, 9, 0, 9]);
    frame.extend((len - 20).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(mark.to_be_bytes());
    frame.resize(usize::from(len) + L3, 0);
    frame
}

fn mark(departure: &Departure) -> u32 {
    u32::from_be_bytes(departure.frame[42..46].try_into().unwrap())
}

/// A TCP aggregate of `packets` packets of 1000 bytes of payload.
fn aggregate(packets: u16) -> (VnetHeader, Vec<u8>) {
    let mut frame = packet(40 + packets * 1000, 0);
    frame[L3 + 9] = 6;
    frame[L3 + 20 + 12] = 5 << 4;
    let header = VnetHeader {
        flags: VnetHeader::NEEDS_CSUM,
        gso_type: VnetHeader::GSO_TCPV4,
        hdr_len: 54,
        gso_size: 1000,
        csum_start: 34,
        csum_offset: 16,
    };
    (header, frame)
}

struct Bench {
    line: Line,
    tally: Arc<Tally>,
}

impl Bench {
    fn new(conditions: Conditions, seed: u64, direction: Direction) -> Self {
        let tally = Arc::new(Tally::default());
        let line = Line::new(conditions, seed, direction, Arc::clone(&tally));
        Self { line, tally }
    }

    fn plain(&mut self, at: Duration, frame: &[u8]) {
        self.line.arrive(at, VnetHeader::default(), frame);
    }

    fn departures(&mut self) -> Vec<Departure> {
        std::iter::from_fn(|| self.line.depart(Duration::MAX)).collect()
    }

    fn counters(&self) -> Counters {
        self.tally.read()
    }
}

/// Numbers of the packets that survive, of `n` sent one by one.
fn survivors(ppm: u32, seed: u64, direction: Direction, n: u32) -> Vec<u32> {
    let loss = Ppm::from_ppm(ppm);
    let mut bench = Bench::new(
        Conditions {
            loss,
            ..conditions()
        },
        seed,
        direction,
    );
    for number in 0..n {
        bench.plain(MS * number, &packet(100, number));
    }
    bench.departures().iter().map(mark).collect()
}

#[test]
fn a_seed_loses_the_same_packets_for_ever() {
    let lost = |seed, direction| -> Vec<u32> {
        let kept = survivors(200_000, seed, direction, 40);
        (0..40).filter(|n| !kept.contains(n)).collect()
    };
    insta::assert_compact_debug_snapshot!(
        (lost(1, Direction::Down), lost(1, Direction::Up), lost(2, Direction::Down)),
        @"([2, 8, 12, 19, 21, 25, 31, 38], [1, 4, 6, 8, 13, 16, 18, 20, 22, 24, 27], [1, 6, 10, 13, 16, 17, 21, 22, 23, 29, 30, 33, 36])"
    );
}

#[test]
fn the_share_lost_is_the_share_asked_for() {
    const N: u32 = 200_000;
    for (ppm, seed) in [(1_000, 1), (10_000, 2), (200_000, 3), (500_000, 4)] {
        let lost = N - survivors(ppm, seed, Direction::Down, N).len() as u32;
        let share = f64::from(ppm) / 1e6;
        let expected = f64::from(N) * share;
        let deviation = (expected * (1.0 - share)).sqrt();
        assert!(
            (f64::from(lost) - expected).abs() < 4.0 * deviation,
            "{ppm} ppm: {lost}"
        );
    }
}

#[test]
fn losses_do_not_follow_each_other_more_often_than_by_chance() {
    const N: u32 = 200_000;
    let kept = survivors(100_000, 5, Direction::Up, N);
    let mut lost = vec![true; N as usize];
    for number in kept {
        lost[number as usize] = false;
    }
    let pairs = lost.windows(2).filter(|pair| pair[0] && pair[1]).count() as f64;
    let expected = f64::from(N) * 0.01;
    assert!((pairs - expected).abs() < 5.0 * expected.sqrt(), "{pairs}");
}

#[test]
fn jitter_does_not_change_which_packets_are_lost() {
    let kept = |jitter| -> Vec<u32> {
        let loss = Ppm::from_ppm(100_000);
        let conditions = Conditions {
            jitter,
            loss,
            ..conditions()
        };
        let mut bench = Bench::new(conditions, 9, Direction::Down);
        for number in 0..1000 {
            bench.plain(MS * number, &packet(100, number));
        }
        bench.departures().iter().map(mark).collect()
    };
    assert_eq!(kept(Duration::ZERO), kept(3 * MS));
}

#[test]
fn the_delay_is_exact_and_counts_from_the_arrival() {
    let mut bench = Bench::new(conditions(), 0, Direction::Down);
    bench.plain(10 * MS, &packet(100, 0));
    assert_eq!(bench.line.next_due(), Some(16 * MS));
    let just_before = Duration::from_nanos(15_999_999);
    assert!(bench.line.depart(just_before).is_none());
    assert!(bench.line.depart(16 * MS).is_some());
    assert_eq!(bench.line.next_due(), None);
}

#[test]
fn an_aggregate_is_thrown_for_packet_by_packet() {
    let loss = Ppm::from_ppm(200_000);
    let mut whole = Bench::new(
        Conditions {
            loss,
            ..conditions()
        },
        3,
        Direction::Down,
    );
    let (header, frame) = aggregate(60);
    whole.line.arrive(MS, header, &frame);
    let departures = whole.departures();
    let counters = whole.counters();
    let out: u64 = departures.iter().map(|departure| departure.packets).sum();
    assert_eq!((counters.packets, counters.largest), (60, 1040));
    assert_eq!(counters.bytes, 60 * 1040);
    assert_eq!(counters.packets - counters.lost, out);
    // The same throws as for packets that come one by one.
    assert_eq!(out, survivors(200_000, 3, Direction::Down, 60).len() as u64);
    assert!(departures.len() > 1 && departures.len() as u64 <= counters.lost + 1);
    assert!(
        departures
            .iter()
            .all(|departure| departure.at == departures[0].at)
    );
}

#[test]
fn an_aggregate_without_loss_passes_untouched() {
    let mut bench = Bench::new(conditions(), 3, Direction::Down);
    let (header, frame) = aggregate(45);
    bench.line.arrive(MS, header, &frame);
    let departures = bench.departures();
    assert_eq!(departures.len(), 1);
    assert_eq!(
        (departures[0].header, &departures[0].frame),
        (header, &frame)
    );
    assert_eq!(departures[0].packets, 45);
}

#[test]
fn what_does_not_fit_overflows_and_is_counted_apart() {
    let capacity = 10 * (100 + L3);
    let mut bench = Bench::new(
        Conditions {
            capacity,
            ..conditions()
        },
        0,
        Direction::Down,
    );
    for number in 0..12 {
        bench.plain(MS, &packet(100, number));
    }
    let counters = bench.counters();
    assert_eq!((counters.overflowed, counters.lost), (2, 0));
    assert_eq!(bench.departures().len(), 10);
    bench.plain(2 * MS, &packet(100, 12));
    assert_eq!(bench.departures().len(), 1, "there is room again");
}

#[test]
fn the_head_of_an_aggregate_may_fit_where_its_tail_does_not() {
    let capacity = 4 * (1040 + L3);
    let mut bench = Bench::new(
        Conditions {
            capacity,
            ..conditions()
        },
        0,
        Direction::Down,
    );
    let (header, frame) = aggregate(6);
    bench.line.arrive(MS, header, &frame);
    assert_eq!(bench.counters().overflowed, 2);
    let departures = bench.departures();
    assert_eq!((departures.len(), departures[0].packets), (1, 4));
}

#[test]
fn upkeep_of_the_link_is_delayed_but_never_lost() {
    let loss = Ppm::from_ppm(1_000_000);
    let mut bench = Bench::new(
        Conditions {
            loss,
            ..conditions()
        },
        0,
        Direction::Down,
    );
    let mut arp = packet(100, 0);
    arp[12..14].copy_from_slice(&[8, 6]);
    bench.plain(MS, &arp);
    bench.plain(MS, &packet(100, 1));
    let counters = bench.counters();
    assert_eq!(
        (counters.spared, counters.packets, counters.lost),
        (1, 1, 1)
    );
    assert_eq!(bench.line.next_due(), Some(7 * MS));
    assert_eq!(bench.departures().len(), 1);
}

proptest! {
    #[test]
    fn the_order_is_kept_and_no_frame_is_early_or_over_late(
        arrivals in prop::collection::vec(0..5000u64, 1..200),
        jitter in 0..20u32,
        seed: u64,
    ) {
        let conditions = Conditions { jitter: MS * jitter, ..conditions() };
        let mut bench = Bench::new(conditions, seed, Direction::Up);
        let mut now = Duration::ZERO;
        let mut arrived = Vec::new();
        for (number, gap) in (0..).zip(arrivals) {
            now += Duration::from_micros(gap);
            arrived.push(now);
            bench.plain(now, &packet(100, number));
        }
        let departures = bench.departures();
        prop_assert_eq!(departures.len(), arrived.len());
        let mut last = Duration::ZERO;
        for (number, departure) in (0..).zip(&departures) {
            prop_assert_eq!(mark(departure), number);
            let delay = departure.at.saturating_sub(arrived[number as usize]);
            prop_assert!(delay >= conditions.delay);
            prop_assert!(delay <= conditions.delay + conditions.jitter);
            prop_assert!(departure.at >= last);
            last = departure.at;
        }
    }

    /// Nothing vanishes uncounted.
    #[test]
    fn the_counts_add_up(
        sizes in prop::collection::vec(1..40u16, 1..40),
        ppm in 0..1_000_000u32,
        capacity in 0..200_000usize,
        seed: u64,
    ) {
        let loss = Ppm::from_ppm(ppm);
        let mut bench = Bench::new(Conditions { loss, capacity, ..conditions() }, seed, Direction::Up);
        for packets in sizes {
            let (header, frame) = aggregate(packets);
            bench.line.arrive(MS, header, &frame);
        }
        let out: u64 = bench.departures().iter().map(|departure| departure.packets).sum();
        let counters = bench.counters();
        prop_assert_eq!(counters.packets, out + counters.lost + counters.overflowed);
        prop_assert_eq!(bench.line.held_bytes, 0);
    }
}
