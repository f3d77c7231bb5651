//! The books of one sweep: which address is due, which requests were answered.
//!
//! No socket and no clock: every call carries the time.

use std::time::Duration;

use messnetz_metric::Micros;

use super::{MAX_ROUNDS, Sweep, SweepReport};
use crate::stamps::Moment;
use crate::statistics::RttSummary;

/// How far a sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The round, from 1.
    pub round: u8,
    /// Addresses that were asked in it.
    pub asked: usize,
    /// Addresses that are to be asked in it.
    pub to_ask: usize,
    /// Addresses that have answered.
    pub answered: usize,
}

/// The state of one sweep.
pub(super) struct Accounts {
    /// For each target, which rounds' requests were answered, a bit each.
    answered: Vec<u8>,
    round: u8,
    rounds: u8,
    /// The next target that may be due.
    next: usize,
    asked: usize,
    to_ask: usize,
    pace: Pace,
    timeout: Duration,
    last_attempt: Moment,
    up: usize,
    sent: u64,
    unsent: u64,
    replies: u64,
    duplicates: u64,
    times: Vec<Duration>,
}

/// When the next requests may go out.
struct Pace {
    /// Time from one to the next; nothing where as fast as it goes.
    interval: Duration,
    /// When the next is due.
    due: Moment,
}

/// After a pause no more than so much is made up for at once: a burst would measure the queues.
const CATCH_UP: Duration = Duration::from_millis(10);

impl Pace {
    /// How many are due, of at most so many.
    fn due(&mut self, now: Moment, most: usize) -> usize {
        if now < self.due {
            return 0;
        }
        if self.interval.is_zero() {
            return most;
        }
        self.due = self.due.max(now.saturating_sub(CATCH_UP));
        let passed = now.saturating_sub(self.due).as_nanos() / self.interval.as_nanos();
        usize::try_from(passed).map_or(most, |passed| passed.saturating_add(1).min(most))
    }

    fn took(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.due += self.interval.saturating_mul(count);
    }
}

impl Accounts {
    pub(super) fn new(sweep: &Sweep) -> Self {
        let targets = sweep.targets.count();
        let interval = sweep
            .rate
            .map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.get());
        Self {
            answered: vec![0; targets],
            round: 0,
            rounds: sweep.rounds.clamp(1, MAX_ROUNDS),
            next: 0,
            asked: 0,
            to_ask: targets,
            pace: Pace {
                interval,
                due: Moment::ZERO,
            },
            timeout: sweep.timeout,
            last_attempt: Moment::ZERO,
            up: 0,
            sent: 0,
            unsent: 0,
            replies: 0,
            duplicates: 0,
            times: Vec::new(),
        }
    }

    /// The round under way, from 0.
    pub(super) const fn round(&self) -> u8 {
        self.round
    }

    /// The targets that are due now, at most so many; each has to be entered by [`Self::sent`] or
    /// [`Self::refused`] before the next call, or is named again.
    pub(super) fn due(&mut self, now: Moment, most: usize, due: &mut Vec<usize>) {
        due.clear();
        if self.next >= self.answered.len() && self.is_over(now) {
            self.begin_round();
        }
        let count = self.pace.due(now, most);
        let mut at = self.next;
        while due.len() < count {
            match self.answered.get(at) {
                Some(0) => due.push(at),
                Some(_) => {}
                None => break,
            }
            at += 1;
        }
        if due.is_empty() && count > 0 {
            // Whoever is left in this round has answered meanwhile.
            self.next = at;
        }
    }

    /// The request to the next of the due targets went out.
    pub(super) fn sent(&mut self, now: Moment, target: usize) {
        self.sent += 1;
        self.attempted(now, target);
    }

    /// This host did not send the request to the next of the due targets.
    pub(super) fn refused(&mut self, now: Moment, target: usize) {
        self.unsent += 1;
        self.attempted(now, target);
    }

    fn attempted(&mut self, now: Moment, target: usize) {
        self.next = target + 1;
        self.asked += 1;
        self.last_attempt = now;
        self.pace.took(1);
    }

    /// This host had no room for the next request: nothing goes out for a while.
    pub(super) fn hold(&mut self, until: Moment) {
        self.pace.due = self.pace.due.max(until);
    }

    /// A reply to the request of a round, after so long a time.
    pub(super) fn handle_reply(&mut self, target: usize, round: u8, time: Duration) {
        let Some(answered) = self.answered.get_mut(target) else {
            return;
        };
        let bit = 1_u8.checked_shl(round.into()).unwrap_or_default();
        if round > self.round || bit == 0 {
            return;
        }
        if *answered & bit != 0 {
            self.duplicates += 1;
            return;
        }
        if *answered == 0 {
            self.up += 1;
            self.times.push(time);
        }
        *answered |= bit;
        self.replies += 1;
    }

    fn is_over(&self, now: Moment) -> bool {
        self.round + 1 < self.rounds
            && self.up < self.answered.len()
            && now >= self.last_attempt.saturating_add(self.timeout)
    }

    fn begin_round(&mut self) {
        self.round += 1;
        self.next = 0;
        self.asked = 0;
        self.to_ask = self.answered.len() - self.up;
    }

    /// When something is due next, at the latest.
    pub(super) fn poll_timeout(&self) -> Moment {
        if self.next < self.answered.len() {
            self.pace.due
        } else {
            self.last_attempt.saturating_add(self.timeout)
        }
    }

    /// Whether all that can be known is known.
    pub(super) fn is_complete(&self, now: Moment) -> bool {
        self.up == self.answered.len()
            || (self.round + 1 == self.rounds
                && self.next >= self.answered.len()
                && now >= self.last_attempt.saturating_add(self.timeout))
    }

    pub(super) const fn progress(&self) -> Progress {
        Progress {
            round: self.round + 1,
            asked: self.asked,
            to_ask: self.to_ask,
            answered: self.up,
        }
    }

    /// Closes the books.
    pub(super) fn finish(
        self,
        sweep: &Sweep,
        elapsed: Duration,
        unreachable: u64,
        own_drops: u32,
        stopped: bool,
    ) -> SweepReport {
        SweepReport {
            targets: self.answered.len(),
            answered: self.up,
            sent: self.sent,
            unsent: self.unsent,
            replies: self.replies,
            duplicates: self.duplicates,
            unreachable,
            own_drops,
            elapsed: Micros::from(elapsed),
            stopped,
            rtt: RttSummary::of(&self.times),
            up: self.answered.into_iter().map(|bits| bits != 0).collect(),
            of: sweep.targets.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Binding;
    use crate::icmp::sweep::Targets;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn sweep(network: &str, rate: Option<u32>, rounds: u8) -> Sweep {
        Sweep {
            targets: Targets::of(&[network.parse().unwrap()]).unwrap(),
            binding: Binding::any(),
            rate: rate.and_then(std::num::NonZeroU32::new),
            rounds,
            timeout: 100 * MS,
        }
    }

    /// Runs a sweep in steps of a millisecond; `answers` says how many replies come to a request, at once.
    fn simulated(
        sweep: &Sweep,
        mut answers: impl FnMut(usize, u8) -> u8,
    ) -> (SweepReport, Vec<(Duration, usize)>) {
        let mut accounts = Accounts::new(sweep);
        let (mut now, mut due, mut log) = (Duration::ZERO, Vec::new(), Vec::new());
        while !accounts.is_complete(now) {
            accounts.due(now, 64, &mut due);
            for &target in &due {
                accounts.sent(now, target);
                log.push((now, target));
                for _ in 0..answers(target, accounts.round()) {
                    accounts.handle_reply(target, accounts.round(), MS);
                }
            }
            now += MS;
            assert!(now < Duration::from_mins(10), "it never ends");
        }
        (accounts.finish(sweep, now, 0, 0, false), log)
    }

    #[test]
    fn who_does_not_answer_is_asked_again_and_who_does_is_not() {
        let sweep = sweep("10.0.0.0/29", None, 3);
        let (report, log) = simulated(&sweep, |target, round| {
            u8::from(target != 2 && (target != 4 || round == 2))
        });
        assert_eq!(
            (report.answered, report.sent, report.replies),
            (5, 6 + 2 + 2, 5)
        );
        let silent = log.iter().filter(|(_, target)| *target == 2).count();
        assert_eq!(silent, 3);
        let up = |host: &str| report.is_up(host.parse().unwrap());
        assert_eq!(
            (up("10.0.0.1"), up("10.0.0.3"), up("10.0.0.99")),
            (Some(true), Some(false), None)
        );
    }

    #[test]
    fn the_rate_is_kept() {
        let sweep = sweep("10.0.0.0/24", Some(500), 1);
        let (report, log) = simulated(&sweep, |_, _| 1);
        assert_eq!(report.sent, 254);
        for (index, (at, _)) in log.iter().enumerate() {
            let due = 2 * MS * u32::try_from(index).unwrap();
            assert!(*at >= due && *at <= due + MS, "{index}: {at:?}");
        }
    }

    #[test]
    fn a_pause_is_not_made_up_for_by_a_burst() {
        let mut accounts = Accounts::new(&sweep("10.0.0.0/20", Some(1_000), 1));
        let mut due = Vec::new();
        accounts.due(Duration::from_secs(2), 1_000, &mut due);
        assert_eq!(due.len(), 11);
    }

    #[test]
    fn a_reply_from_the_future_or_to_nobody_counts_for_nothing() {
        let mut accounts = Accounts::new(&sweep("10.0.0.0/30", None, 2));
        accounts.sent(Duration::ZERO, 0);
        accounts.handle_reply(0, 1, MS);
        accounts.handle_reply(0, 200, MS);
        accounts.handle_reply(99, 0, MS);
        assert_eq!(
            (accounts.replies, accounts.duplicates, accounts.up),
            (0, 0, 0)
        );
    }

    proptest! {
        #[test]
        fn every_request_and_every_reply_is_accounted_for(
            answers in prop::collection::vec(0_u8..4, 3 * 254),
            rate in prop::option::of(1_000_u32..100_000),
            rounds in 1_u8..=3,
        ) {
            let sweep = sweep("10.0.0.0/24", rate, rounds);
            let (mut replies, mut all, mut requests) = (0, 0, 0);
            let (report, log) = simulated(&sweep, |target, round| {
                let count = answers[usize::from(round) * 254 + target];
                requests += 1;
                replies += u64::from(count > 0);
                all += u64::from(count);
                count
            });
            prop_assert_eq!(report.sent, requests);
            prop_assert_eq!(report.sent, log.len() as u64);
            prop_assert_eq!(report.replies, replies);
            prop_assert_eq!(report.replies + report.duplicates, all);
            prop_assert_eq!(report.answered as u64, replies, "one answer is enough");
            let up = (0..254).filter(|index| report.is_up(sweep.targets.address(*index).unwrap()) == Some(true));
            prop_assert_eq!(up.count(), report.answered);
        }
    }
}
