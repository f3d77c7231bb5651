//! Delay, jitter, loss and segmentation of an emulated line, seen by ordinary sockets.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use messnetz::lab::{Direction, LinkSpec, Shape};
use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};

use super::{Pair, spec, v4, v6};
use crate::quiet::quiet;

const MS: Duration = Duration::from_millis(1);

/// Round trips of numbered packets, one at a time; none may be missing.
fn round_trips(pair: &Pair, near: IpAddr, far: IpAddr, n: usize) -> Vec<Duration> {
    let (client, server) = (Pair::udp(&pair.near, near), Pair::udp(&pair.far, far));
    let target = server.local_addr().unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut buffer = [0; 64];
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 64];
            for _ in 0..n {
                let (len, from) = server.recv_from(&mut buffer).unwrap();
                server.send_to(&buffer[..len], from).unwrap();
            }
        });
        (0..n)
            .map(|_| {
                let sent = Instant::now();
                client.send_to(b"echo", target).unwrap();
                client.recv_from(&mut buffer).unwrap();
                sent.elapsed()
            })
            .collect()
    })
}

#[test]
fn the_round_trip_is_never_shorter_than_the_delay_and_hardly_longer() {
    let _quiet = quiet();
    let pair = Pair::new(&spec(6 * MS, 0, 1));
    for (near, far) in [(v4(1).into(), v4(2).into()), (v6(1).into(), v6(2).into())] {
        let mut times = round_trips(&pair, near, far, 100);
        // The first waits for the neighbour's address too.
        times.remove(0);
        times.sort();
        eprintln!(
            "round trips over 12 ms: {:?} to {:?}, median {:?}",
            times[0], times[98], times[49]
        );
        assert!(times[0] >= 12 * MS, "{:?}", times[0]);
        assert!(times[49] < 14 * MS, "{:?}", times[49]);
    }
}

#[test]
fn jitter_comes_on_top_of_the_delay_and_stays_in_its_bound() {
    let _quiet = quiet();
    let shape = Shape {
        jitter: 10 * MS,
        ..spec(2 * MS, 0, 0).down
    };
    let pair = Pair::new(&LinkSpec {
        down: shape,
        up: shape,
        seed: 5,
    });
    let mut times = round_trips(&pair, v4(1).into(), v4(2).into(), 200);
    times.remove(0);
    times.sort();
    eprintln!(
        "round trips over 4 to 24 ms: {:?} to {:?}",
        times[0], times[198]
    );
    assert!(times[0] >= 4 * MS && times[0] < 10 * MS, "{:?}", times[0]);
    assert!(times[198] > 18 * MS, "{:?}", times[198]);
    assert!(times[189] < 26 * MS, "{:?}", times[189]);
}

/// Sends `n` numbered packets over the line and gives back the numbers that did not arrive.
fn missing(from: &UdpSocket, to: &UdpSocket, n: u32) -> BTreeSet<u32> {
    let target = to.local_addr().unwrap();
    to.set_read_timeout(Some(300 * MS)).unwrap();
    let mut missing: BTreeSet<u32> = (0..n).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..n {
                from.send_to(&number.to_be_bytes(), target).unwrap();
                thread::sleep(Duration::from_micros(50));
            }
        });
        let mut buffer = [0; 64];
        while let Ok((4, _)) = to.recv_from(&mut buffer) {
            let number = u32::from_be_bytes(buffer[..4].try_into().unwrap());
            assert!(missing.remove(&number), "packet {number} came twice");
        }
    });
    missing
}

fn losses(loss_ppm: u32, seed: u64) -> [BTreeSet<u32>; 2] {
    const N: u32 = 4000;
    let pair = Pair::new(&spec(2 * MS, loss_ppm, seed));
    let sockets = || (Pair::udp(&pair.near, v4(1)), Pair::udp(&pair.far, v4(2)));
    let (down, up) = (sockets(), sockets());
    let lost = thread::scope(|scope| {
        let down = scope.spawn(|| missing(&down.0, &down.1, N));
        let up = scope.spawn(|| missing(&up.1, &up.0, N));
        [down.join().unwrap(), up.join().unwrap()]
    });
    for (direction, lost) in [Direction::Down, Direction::Up].into_iter().zip(&lost) {
        let counters = pair.settled(direction);
        eprintln!("{direction:?}: {} missing, {counters:?}", lost.len());
        assert_eq!(counters.packets, u64::from(N));
        assert_eq!(counters.lost, lost.len() as u64);
        assert_eq!((counters.overflowed, counters.kernel_drops), (0, 0));
    }
    lost
}

#[test]
fn exactly_the_packets_counted_as_lost_are_missing_and_a_seed_repeats_them() {
    let _quiet = quiet();
    for loss_ppm in [10_000, 200_000] {
        let first = losses(loss_ppm, 7);
        assert!(!first[0].is_empty() && first[0] != first[1]);
        assert_eq!(losses(loss_ppm, 7), first);
        assert_ne!(losses(loss_ppm, 8), first);
    }
}

#[test]
fn datagrams_sent_as_one_aggregate_are_lost_one_by_one() {
    const SENDS: usize = 200;
    const DATAGRAMS: usize = 30;
    const LEN: u16 = 1000;
    let _quiet = quiet();
    let pair = Pair::new(&spec(2 * MS, 100_000, 3));
    for (near, far) in [
        (IpAddr::from(v4(1)), IpAddr::from(v4(2))),
        (v6(1).into(), v6(2).into()),
    ] {
        let before = pair.settled(Direction::Down);
        let (from, to) = (Pair::udp(&pair.near, near), Pair::udp(&pair.far, far));
        setsockopt(&from, UdpGsoSegment, &i32::from(LEN)).unwrap();
        to.set_read_timeout(Some(300 * MS)).unwrap();
        let target = to.local_addr().unwrap();
        let received = thread::scope(|scope| {
            scope.spawn(|| {
                for send in 0..SENDS {
                    let datagrams: Vec<u8> = (0..DATAGRAMS)
                        .flat_map(|datagram| [(send + datagram) as u8; LEN as usize])
                        .collect();
                    from.send_to(&datagrams, target).unwrap();
                    thread::sleep(MS);
                }
            });
            let mut received = 0;
            let mut buffer = [0; 2000];
            while let Ok((len, _)) = to.recv_from(&mut buffer) {
                assert_eq!(len, usize::from(LEN));
                assert!(buffer[..len].iter().all(|&byte| byte == buffer[0]));
                received += 1;
            }
            received
        });
        let after = pair.settled(Direction::Down);
        eprintln!("{received} of {}: {after:?}", SENDS * DATAGRAMS);
        assert_eq!(after.packets - before.packets, (SENDS * DATAGRAMS) as u64);
        let lost = after.lost - before.lost;
        assert!(lost > 0);
        assert_eq!((SENDS * DATAGRAMS) as u64 - lost, received);
        assert_eq!((after.overflowed, after.kernel_drops), (0, 0));
    }
}

/// The bytes of a bulk transfer: no two stretches are alike, so nothing can be swapped unseen.
fn bulk(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(len)
    .collect()
}

#[test]
fn tcp_carries_its_bytes_whole_over_a_lossy_line_that_splits_its_aggregates() {
    let _quiet = quiet();
    let pair = Pair::new(&spec(MS, 10_000, 11));
    let bytes = bulk(16 << 20);
    let mut before = 0;
    for address in [IpAddr::from(v4(2)), IpAddr::from(v6(2))] {
        let listener = pair
            .far
            .on(|| TcpListener::bind((address, 0)))
            .unwrap()
            .unwrap();
        let target = listener.local_addr().unwrap();
        let received = thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = pair
                    .near
                    .on(|| TcpStream::connect(target))
                    .unwrap()
                    .unwrap();
                stream.write_all(&bytes).unwrap();
            });
            let mut received = Vec::new();
            listener
                .accept()
                .unwrap()
                .0
                .read_to_end(&mut received)
                .unwrap();
            received
        });
        assert!(
            received == bytes,
            "{} bytes, not those sent",
            received.len()
        );
        let counters = pair.settled(Direction::Down);
        eprintln!("{address}: {counters:?}");
        assert!(counters.largest <= 1500, "{counters:?}");
        let packets = counters.packets - before;
        before = counters.packets;
        assert!(packets as usize >= bytes.len() / 1448, "{counters:?}");
        assert_eq!((counters.overflowed, counters.kernel_drops), (0, 0));
        // 1 % of some 11,600 packets at least, within five standard deviations.
        assert!(counters.lost > packets / 150, "{counters:?}");
    }
}
