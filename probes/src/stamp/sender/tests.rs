//! Sender and reflector over a simulated path, in virtual time; the simulation knows the truth.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use proptest::prelude::*;

use super::super::codec::LENGTH;
use super::super::reflector::{Limits, Received, Reflector};
use super::*;
use crate::Binding;
use messnetz_metric::{Direction, Micros, Ppm};

const INTERVAL: Duration = Duration::from_millis(10);

/// What the path does to one packet: the delays, in milliseconds, after which its copies arrive.
type Fate = Vec<u64>;

fn delivered() -> Fate {
    vec![20]
}

/// What really happened.
#[derive(Default, Debug)]
struct Truth {
    /// Per packet of the sender: whether it reached the reflector.
    arrived: Vec<bool>,
    replies_lost: u32,
}

fn wall(now: Moment) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000) + now
}

fn session(count: u16) -> Session {
    Session {
        reflector: SocketAddr::from(([192, 0, 2, 9], 862)),
        binding: Binding::any(),
        count,
        interval: INTERVAL,
        timeout: Duration::from_secs(1),
        key: None,
    }
}

/// Runs a session; `up` and `down` decide the fate of the n-th packet on each way.
fn run(
    count: u16,
    mut up: impl FnMut(usize) -> Fate,
    mut down: impl FnMut(usize) -> Fate,
) -> (Result<StampReport, Failure>, Truth) {
    let mut sender = Sender::new(&session(count), Ssid(7), false);
    let mut reflector = Reflector::new(Limits::default(), None, 862);
    let mut truth = Truth::default();
    // (when, order, towards the reflector?, bytes): the order makes equal times first in, first out.
    let mut path = BinaryHeap::<Reverse<(Moment, usize, bool, Vec<u8>)>>::new();
    let (mut order, mut replies, mut now) = (0, 0, Moment::ZERO);
    // The reflector's clock is an hour ahead, and it takes 3 ms for each packet.
    let away = |now| wall(now + Duration::from_hours(1));
    let work = Duration::from_millis(3);
    while !sender.is_complete(now) {
        if sender.is_due(now) {
            let bytes = sender.packet(wall(now)).octets().to_vec();
            let fate = up(truth.arrived.len());
            truth.arrived.push(!fate.is_empty());
            for delay in fate {
                order += 1;
                let at = now + Duration::from_millis(delay);
                path.push(Reverse((at, order, true, bytes.clone())));
            }
            sender.sent(now, wall(now));
        }
        let wake = sender.poll_timeout();
        let next = path.peek().map(|Reverse((at, ..))| *at);
        if next.is_none_or(|at| at > wake) {
            now = wake;
            continue;
        }
        let Some(Reverse((at, _, upwards, bytes))) = path.pop() else {
            continue;
        };
        now = now.max(at);
        if upwards {
            let packet = Received {
                bytes: &bytes,
                source: SocketAddr::from(([192, 0, 2, 1], 5000)),
                at: Timestamp::ntp(away(now)),
                ttl: 64,
            };
            let leaves = now + work;
            let reply = reflector
                .reflect(now, packet, Timestamp::ntp(away(leaves)))
                .unwrap();
            assert_eq!(reply.len(), LENGTH);
            let fate = down(replies);
            replies += 1;
            truth.replies_lost += u32::from(fate.is_empty());
            for delay in fate {
                order += 1;
                let at = leaves + Duration::from_millis(delay);
                path.push(Reverse((at, order, false, reply.clone())));
            }
        } else {
            let reply = sender.read(&bytes).unwrap();
            if let Err(failure) = sender.handle_reply(now, &reply, Some(wall(now)), Some(64)) {
                return (Err(failure), truth);
            }
        }
    }
    (sender.finish(false, 0), truth)
}

fn lost(report: &StampReport) -> (u32, u32) {
    (report.lost_up, report.lost_down)
}

#[test]
fn a_clean_path_loses_nothing_and_the_reflectors_time_is_not_the_paths() {
    let (report, _) = run(100, |_| delivered(), |_| delivered());
    let report = report.unwrap();
    assert_eq!(lost(&report), (0, 0));
    assert!(
        report.sent > 100 && report.received == report.sent,
        "{report:?}"
    );
    // NTP fractions are rounded down, so a microsecond may be missing.
    let rtt = report.rtt.unwrap();
    let forty = |t: Micros| t.as_micros().abs_diff(40_000) <= 1;
    assert!(forty(rtt.min) && forty(rtt.max), "{rtt:?}");
    assert_eq!(report.jitter.map(|j| j.as_micros() <= 1), Some(true));
}

#[test]
fn losses_are_told_apart_by_direction() {
    let third = |n: usize| if n % 3 == 1 { vec![] } else { delivered() };
    let tenth = |n: usize| if n % 10 == 5 { vec![] } else { delivered() };
    let (report, truth) = run(100, third, tenth);
    let report = report.unwrap();
    let sent = &truth.arrived[..report.sent as usize];
    let up = sent.iter().filter(|arrived| !**arrived).count() as u32;
    assert_eq!(report.lost_up, up);
    assert!(report.lost_up >= 33 && report.lost_down >= 6, "{report:?}");
    assert_eq!(
        report.loss(Direction::Up),
        Ppm::of(up.into(), report.sent.into())
    );
}

#[test]
fn a_tail_that_never_arrived_is_counted_up_to_the_closing_packet() {
    // The last 40 packets are lost upwards, and the first two closing ones.
    let up = |n: usize| {
        if (60..102).contains(&n) {
            vec![]
        } else {
            delivered()
        }
    };
    let (report, _) = run(100, up, |_| delivered());
    assert_eq!(lost(&report.unwrap()), (42, 0));
}

#[test]
fn replies_lost_at_the_end_are_counted_downwards() {
    let down = |n: usize| {
        if (60..101).contains(&n) {
            vec![]
        } else {
            delivered()
        }
    };
    let (report, _) = run(100, |_| delivered(), down);
    assert_eq!(lost(&report.unwrap()), (0, 41));
}

#[test]
fn reordering_is_not_loss() {
    let up = |n: usize| vec![if n.is_multiple_of(4) { 55 } else { 20 }];
    let down = |n: usize| vec![if n.is_multiple_of(5) { 70 } else { 20 }];
    let (report, _) = run(100, up, down);
    assert_eq!(lost(&report.unwrap()), (0, 0));
}

#[test]
fn duplicates_hide_no_loss() {
    let up = |n: usize| match n {
        10 => vec![20, 21],
        20..25 => vec![],
        _ => delivered(),
    };
    let down = |n: usize| match n {
        40 => vec![20, 22, 24],
        50..53 => vec![],
        _ => delivered(),
    };
    let (report, _) = run(100, up, down);
    let report = report.unwrap();
    assert_eq!(lost(&report), (5, 3));
    assert_eq!(report.duplicates, 3);
}

#[test]
fn without_a_closing_reply_there_is_no_account() {
    let up = |n: usize| if n < 100 { delivered() } else { vec![] };
    let (report, truth) = run(100, up, |_| delivered());
    assert_eq!(report.unwrap_err().reason, FailureReason::Timeout);
    assert_eq!(truth.arrived.len(), 100 + CLOSING_PACKETS as usize);
}

#[test]
fn a_refused_session_is_refused_and_not_timed_out() {
    let sender = Sender::new(&session(1), Ssid(7), false);
    let failure = sender.finish(true, 0).unwrap_err();
    assert_eq!(failure.reason, FailureReason::Refused);
}

/// A sender that has sent three packets at 0, and a true reply to the last.
#[test]
fn a_sender_that_looks_late_takes_no_time_but_the_kernels() {
    let timed = |kernel| {
        let mut sender = Sender::new(&session(0), Ssid(7), true);
        let packet = sender.packet(wall(Moment::ZERO));
        sender.sent(Moment::ZERO, wall(Moment::ZERO));
        let mut reflector = Reflector::new(Limits::default(), None, 862);
        let packet = Received {
            bytes: packet.octets(),
            source: ([192, 0, 2, 1], 50_000).into(),
            at: Timestamp::ntp(wall(Moment::ZERO)),
            ttl: 64,
        };
        let at = Timestamp::ntp(wall(Moment::ZERO));
        let reply = reflector.reflect(Moment::ZERO, packet, at).unwrap();
        let reply = sender.read(&reply).unwrap();
        sender.handle_reply(INTERVAL, &reply, kernel, None).unwrap();
        sender.finish(false, 0).unwrap().rtt
    };
    assert_eq!(timed(None), None);
    let came = wall(Duration::from_millis(1));
    let rtt = timed(Some(came)).unwrap();
    assert_eq!(rtt.median, Duration::from_millis(1).into());
}

fn three_sent() -> (Sender, Reflected) {
    let mut sender = Sender::new(&session(2), Ssid(7), false);
    for _ in 0..2 {
        sender.sent(Moment::ZERO, wall(Moment::ZERO));
    }
    let packet = sender.packet(wall(Moment::ZERO));
    let test = Test::decode(packet.octets(), None).unwrap();
    sender.sent(Moment::ZERO, wall(Moment::ZERO));
    let reply = Reflected {
        sequence: 2,
        sent: Timestamp(1 << 32),
        error: ErrorEstimate::OURS,
        ssid: Ssid(7),
        received: Timestamp(1 << 32),
        test,
        ttl: 64,
    };
    (sender, reply)
}

#[test]
fn forged_replies_are_ignored() {
    let (mut sender, reply) = three_sent();
    let mut stamp = reply;
    stamp.test.sent.0 ^= 1;
    let mut ahead = reply;
    ahead.test.sequence = 3;
    let mut other = reply;
    other.ssid = Ssid(8);
    for forged in [stamp, ahead, other] {
        sender.handle_reply(INTERVAL, &forged, None, None).unwrap();
    }
    assert!(sender.replies.is_empty() && sender.closed.is_none());
    let without_ssid = Reflected {
        ssid: Ssid(0),
        ..reply
    };
    sender
        .handle_reply(INTERVAL, &without_ssid, None, None)
        .unwrap();
    assert_eq!(lost(&sender.finish(false, 0).unwrap()), (0, 2));
}

#[test]
fn a_reflector_that_lost_its_count_is_not_believed() {
    let (mut sender, reply) = three_sent();
    sender.handle_reply(INTERVAL, &reply, None, None).unwrap();
    let mut restarted = reply;
    restarted.test.sequence = 1;
    let failure = sender
        .handle_reply(INTERVAL, &restarted, None, None)
        .unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol);

    let (mut sender, mut reply) = three_sent();
    reply.sequence = 3;
    sender.handle_reply(INTERVAL, &reply, None, None).unwrap();
    let failure = sender.finish(false, 0).unwrap_err();
    assert_eq!(failure.reason, FailureReason::Protocol);
}

#[test]
fn what_our_own_socket_dropped_is_not_lost_downwards() {
    let (mut sender, reply) = three_sent();
    sender.handle_reply(INTERVAL, &reply, None, None).unwrap();
    let report = sender.finish(false, 1).unwrap();
    assert_eq!((report.lost_down, report.own_drops), (1, 1));
}

#[test]
fn a_reflector_with_a_stepped_clock_gives_no_time_but_counts() {
    let (mut sender, mut reply) = three_sent();
    reply.received = Timestamp(2 << 32);
    sender.handle_reply(INTERVAL, &reply, None, None).unwrap();
    assert_eq!(sender.finish(false, 0).unwrap().rtt, None);
}

proptest! {
    /// On a path that loses but neither reorders nor doubles, the account equals the truth.
    #[test]
    fn the_account_is_exact(
        up in prop::collection::vec(any::<bool>(), 150),
        down in prop::collection::vec(any::<bool>(), 150),
    ) {
        let fate = |pattern: &[bool], n: usize| match pattern.get(n) {
            Some(false) => vec![],
            _ => delivered(),
        };
        let (report, truth) = run(100, |n| fate(&up, n), |n| fate(&down, n));
        if let Ok(report) = report {
            let sent = &truth.arrived[..report.sent as usize];
            let arrived = sent.iter().filter(|arrived| **arrived).count();
            prop_assert_eq!(report.reflected as usize, arrived);
            prop_assert_eq!(report.lost_up as usize, sent.len() - arrived);
            let replies_lost = down.iter().take(arrived).filter(|ok| !**ok).count();
            prop_assert_eq!(report.lost_down as usize, replies_lost);
            prop_assert_eq!(report.received as usize, arrived - replies_lost);
        }
    }

    /// With any reordering within the grace time, too, as long as the tail is in order.
    #[test]
    fn reordering_before_the_tail_changes_nothing(
        delays in prop::collection::vec(prop::option::weighted(0.8, 1_u64..120), 80),
    ) {
        let up = |n: usize| match delays.get(n) {
            Some(delay) => delay.iter().copied().collect(),
            None => delivered(),
        };
        let (report, _) = run(100, up, |_| delivered());
        let missing = delays.iter().filter(|d| d.is_none()).count() as u32;
        prop_assert_eq!(lost(&report.unwrap()), (missing, 0));
    }

    #[test]
    fn no_replies_make_it_panic(
        replies in prop::collection::vec((any::<u32>(), 0_u32..4, any::<u64>(), any::<u64>()), 0..50)
    ) {
        let (mut sender, reply) = three_sent();
        for (sequence, test, sent, received) in replies {
            let mut reply = Reflected {
                sequence, sent: Timestamp(sent), received: Timestamp(received), ..reply
            };
            reply.test.sequence = test;
            if sender.handle_reply(INTERVAL, &reply, None, None).is_err() {
                return Ok(());
            }
        }
        let _ = sender.finish(false, 0);
    }
}
