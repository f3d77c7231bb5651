//! Bursts in virtual time.

use proptest::prelude::*;

use super::*;
use crate::Binding;
use messnetz_metric::{Micros, Ppm};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The wall clock at `moment`: it runs with the monotonic one.
fn wall(moment: Moment) -> SystemTime {
    SystemTime::UNIX_EPOCH + ms(1_000_000) + moment
}

fn burst(count: u16) -> Accounts {
    Accounts::new(&Echo {
        target: IpAddr::from([192, 0, 2, 1]),
        binding: Binding::any(),
        count,
        interval: ms(100),
        timeout: ms(1000),
        payload: 56,
    })
}

/// Sends all requests of `accounts`, one per interval from 0 on.
fn send_all(accounts: &mut Accounts) {
    let mut now = Moment::ZERO;
    while accounts.poll_transmit(now).is_some() {
        accounts.sent(now, wall(now));
        now = accounts.poll_timeout();
    }
}

#[test]
fn requests_are_paced_and_none_is_due_early() {
    let mut accounts = burst(2);
    assert_eq!(accounts.poll_transmit(ms(0)), Some(0));
    accounts.sent(ms(0), wall(ms(0)));
    assert_eq!(accounts.poll_timeout(), ms(100));
    assert_eq!(accounts.poll_transmit(ms(99)), None);
    assert_eq!(accounts.poll_transmit(ms(100)), Some(1));
}

#[test]
fn a_process_that_slept_does_not_catch_up_with_a_burst() {
    let mut accounts = burst(10);
    accounts.sent(ms(0), wall(ms(0)));
    accounts.sent(ms(750), wall(ms(750)));
    assert_eq!(accounts.poll_transmit(ms(800)), None);
    assert_eq!(accounts.poll_transmit(ms(850)), Some(2));
}

#[test]
fn the_kernels_stamps_give_the_round_trip() {
    let mut accounts = burst(1);
    accounts.sent(ms(0), wall(ms(0)));
    // Handed over at 0, sent at 2, received at 12, seen by the process at 50.
    accounts.handle_reply(0, ms(50), Some(wall(ms(12))));
    // On loopback the stamp of the departure is read after the reply.
    accounts.handle_departure(0, wall(ms(2)));
    let report = accounts.finish(0);
    assert_eq!(report.rtt.unwrap().median, Micros::from_micros(10_000));
    assert_eq!(report.stamps, Stamps::Kernel);
}

#[test]
fn after_a_refused_request_departure_stamps_are_not_trusted() {
    let mut accounts = burst(3);
    accounts.sent(ms(0), wall(ms(0)));
    accounts.refused(ms(100));
    accounts.sent(ms(200), wall(ms(200)));
    accounts.handle_departure(1, wall(ms(209)));
    accounts.handle_reply(2, ms(215), Some(wall(ms(210))));
    let report = accounts.finish(0);
    assert_eq!(report.rtt.unwrap().max, Micros::from_micros(10_000));
    assert_eq!((report.sent, report.unsent, report.received), (2, 1, 1));
}

#[test]
fn a_late_reply_is_counted_and_still_a_loss() {
    let mut accounts = burst(2);
    send_all(&mut accounts);
    accounts.handle_reply(0, ms(1050), Some(wall(ms(1001))));
    accounts.handle_reply(1, ms(1050), Some(wall(ms(1001))));
    let report = accounts.finish(0);
    assert_eq!((report.received, report.late), (1, 1));
    assert_eq!(report.loss(), Ppm::of(1, 2));
}

#[test]
fn a_reply_that_waited_in_our_queue_is_not_late() {
    let mut accounts = burst(1);
    send_all(&mut accounts);
    accounts.handle_reply(0, ms(5000), Some(wall(ms(20))));
    assert_eq!(accounts.finish(0).late, 0);
}

#[test]
fn a_second_reply_is_a_duplicate_and_does_not_count_twice() {
    let mut accounts = burst(2);
    send_all(&mut accounts);
    accounts.handle_reply(0, ms(10), None);
    accounts.handle_reply(0, ms(20), None);
    let report = accounts.finish(0);
    assert_eq!((report.received, report.duplicates), (1, 1));
    assert_eq!(report.rtt.unwrap().max, Micros::from_micros(10_000));
}

#[test]
fn a_reply_to_nothing_we_sent_is_ignored() {
    let mut accounts = burst(2);
    accounts.sent(ms(0), wall(ms(0)));
    accounts.handle_reply(1, ms(10), None);
    accounts.handle_reply(900, ms(10), None);
    assert_eq!(accounts.finish(0).received, 0);
}

#[test]
fn unreachable_is_told_from_lost_and_taken_back_by_a_reply() {
    let mut accounts = burst(3);
    send_all(&mut accounts);
    accounts.handle_unreachable(0);
    accounts.handle_unreachable(1);
    accounts.handle_reply(1, ms(250), None);
    let report = accounts.finish(0);
    assert_eq!((report.received, report.unreachable), (1, 1));
    assert_eq!(report.loss(), Ppm::of(2, 3));
}

#[test]
fn the_burst_ends_with_the_last_reply_or_with_the_timeout() {
    let mut accounts = burst(2);
    send_all(&mut accounts);
    accounts.handle_reply(0, ms(10), None);
    assert!(!accounts.is_complete(ms(150)));
    assert_eq!(accounts.poll_timeout(), ms(1100));
    assert!(accounts.is_complete(ms(1100)));
    accounts.handle_reply(1, ms(160), None);
    assert!(accounts.is_complete(ms(160)));
}

proptest! {
    /// Whatever arrives in whatever order, the books balance.
    #[test]
    fn every_request_is_received_late_or_missing(
        events in prop::collection::vec((0_u16..60, 0_u64..4000, any::<bool>()), 0..200)
    ) {
        let mut accounts = burst(50);
        send_all(&mut accounts);
        for &(sequence, at, error) in &events {
            if error {
                accounts.handle_unreachable(sequence);
            } else {
                accounts.handle_reply(sequence, ms(at), None);
            }
        }
        let replies = events.iter().filter(|e| !e.2 && e.0 < 50).count();
        let report = accounts.finish(0);
        prop_assert_eq!(report.sent, 50);
        let answered = usize::from(report.received + report.late);
        prop_assert_eq!(answered + report.duplicates as usize, replies);
        prop_assert!(report.received + report.late + report.unreachable <= report.sent);
        prop_assert_eq!(report.rtt.is_some(), report.received > 0);
    }
}
