//! Who may test now, who waits, and how long about. No socket and no clock.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use messnetz_metric::Micros;
use serde::{Deserialize, Serialize};

use super::codec::CodecError;
use crate::stamps::Moment;

/// What a test takes beside its planned time: connecting, and telling the results.
const AROUND: Duration = Duration::from_secs(1);

/// How long a test is taken to last where nobody said: what stock clients ask for where nothing is chosen.
const USUAL: Duration = Duration::from_secs(10);

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// 1 for whoever is next.
    pub place: u32,
    /// An estimate of the time until the turn.
    #[serde(rename = "wait_us")]
    pub wait: Micros,
}

impl Place {
    /// As it is told.
    #[must_use]
    pub(super) fn document(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what a server tells.
    pub(super) fn parse(document: &[u8]) -> Result<Self, CodecError> {
        serde_json::from_slice(document).map_err(|error| CodecError::Json(error.to_string()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.wait.as_micros().div_ceil(1_000_000);
        match self.place {
            1 => write!(f, "next turn in {seconds} s"),
            place => write!(f, "place {place} in the queue, turn in {seconds} s"),
        }
    }
}

/// A test of one client, by the order in which they came.
pub(super) type Ticket = u64;

/// How a client that comes is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reception {
    Admitted(Ticket),
    Waiting(Ticket),
    Refused,
}

/// The seats of one server and the queue before them.
#[derive(Debug)]
pub(super) struct Turns {
    seats: usize,
    longest_queue: usize,
    next: Ticket,
    /// When each running test is expected to end.
    running: HashMap<Ticket, Moment>,
    waiting: VecDeque<(Ticket, Duration)>,
}

impl Turns {
    pub(super) fn new(seats: usize, longest_queue: usize) -> Self {
        Self {
            seats,
            longest_queue,
            next: 0,
            running: HashMap::new(),
            waiting: VecDeque::new(),
        }
    }

    /// A client came. Nobody overtakes those who wait.
    pub(super) fn enter(
        &mut self,
        now: Moment,
        planned: Option<Duration>,
        can_wait: bool,
    ) -> Reception {
        let ticket = self.next;
        let lasts = planned.unwrap_or(USUAL);
        if self.running.len() < self.seats && self.waiting.is_empty() {
            self.next += 1;
            self.seat(ticket, now, lasts);
            Reception::Admitted(ticket)
        } else if can_wait && self.waiting.len() < self.longest_queue {
            self.next += 1;
            self.waiting.push_back((ticket, lasts));
            Reception::Waiting(ticket)
        } else {
            Reception::Refused
        }
    }

    /// Whether it is the turn of this one, who then has a seat.
    pub(super) fn claim(&mut self, ticket: Ticket, now: Moment) -> bool {
        let Some(&(first, lasts)) = self.waiting.front() else {
            return false;
        };
        let is_turn = first == ticket && self.running.len() < self.seats;
        if is_turn {
            self.waiting.pop_front();
            self.seat(ticket, now, lasts);
        }
        is_turn
    }

    /// The parameters say how long this test really lasts.
    pub(super) fn lasts(&mut self, ticket: Ticket, now: Moment, planned: Duration) {
        if self.running.contains_key(&ticket) {
            self.seat(ticket, now, planned);
        }
    }

    /// This one is done, or has left.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.running.remove(&ticket);
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
    }

    /// The place of one who waits: each in turn takes the seat that is free first.
    pub(super) fn place(&self, ticket: Ticket, now: Moment) -> Option<Place> {
        let at = self.waiting.iter().position(|(t, _)| *t == ticket)?;
        let mut free: Vec<Moment> = self.running.values().map(|end| (*end).max(now)).collect();
        free.resize(self.seats.max(1), now);
        let mut turn = now;
        for (_, lasts) in self.waiting.iter().take(at + 1) {
            free.sort_unstable();
            if let Some(first) = free.first_mut() {
                turn = *first;
                *first = first.saturating_add(*lasts + AROUND);
            }
        }
        Some(Place {
            place: u32::try_from(at + 1).unwrap_or(u32::MAX),
            wait: Micros::from(turn.saturating_sub(now)),
        })
    }

    fn seat(&mut self, ticket: Ticket, now: Moment, lasts: Duration) {
        let end = now.saturating_add(lasts).saturating_add(AROUND);
        self.running.insert(ticket, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn place(place: u32, seconds: u64) -> Place {
        Place {
            place,
            wait: Micros::from(s(seconds)),
        }
    }

    #[test]
    fn a_free_seat_is_taken_at_once_and_a_stock_client_is_refused_where_none_is() {
        let mut turns = Turns::new(1, 10);
        assert_eq!(turns.enter(s(0), None, false), Reception::Admitted(0));
        assert_eq!(turns.enter(s(0), None, false), Reception::Refused);
        turns.leave(0);
        assert_eq!(turns.enter(s(0), None, false), Reception::Admitted(1));
    }

    #[test]
    fn who_waits_is_told_when_the_turn_comes() {
        let mut turns = Turns::new(1, 10);
        turns.enter(s(0), Some(s(20)), false);
        assert_eq!(turns.enter(s(7), Some(s(10)), true), Reception::Waiting(1));
        assert_eq!(turns.enter(s(7), None, true), Reception::Waiting(2));
        // The first ends at 20 + 1 s.
        assert_eq!(turns.place(1, s(7)), Some(place(1, 14)));
        assert_eq!(turns.place(2, s(7)), Some(place(2, 14 + 10 + 1)));
        // It takes longer than it said: the turn may come any moment.
        assert_eq!(turns.place(1, s(30)), Some(place(1, 0)));
        assert_eq!(place(1, 14).to_string(), "next turn in 14 s");
    }

    #[test]
    fn several_seats_are_taken_by_whoever_is_next() {
        let mut turns = Turns::new(2, 10);
        turns.enter(s(0), Some(s(30)), false);
        turns.enter(s(0), Some(s(10)), false);
        let mut waiting = || turns.enter(s(0), Some(s(5)), true);
        assert_eq!(waiting(), Reception::Waiting(2));
        assert_eq!(waiting(), Reception::Waiting(3));
        assert_eq!(turns.place(2, s(0)), Some(place(1, 11)));
        assert_eq!(turns.place(3, s(0)), Some(place(2, 17)));
        assert!(!turns.claim(2, s(1)));
        turns.leave(1);
        assert!(!turns.claim(3, s(1)), "nobody overtakes");
        assert!(turns.claim(2, s(1)));
        assert_eq!(turns.place(2, s(1)), None);
    }

    #[test]
    fn nobody_overtakes_those_who_wait() {
        let mut turns = Turns::new(1, 10);
        turns.enter(s(0), None, false);
        turns.enter(s(0), None, true);
        turns.leave(0);
        assert_eq!(turns.enter(s(1), None, false), Reception::Refused);
        assert!(turns.claim(1, s(1)));
    }

    #[test]
    fn the_queue_ends_somewhere_and_who_leaves_it_makes_room() {
        let mut turns = Turns::new(1, 1);
        turns.enter(s(0), None, true);
        assert_eq!(turns.enter(s(0), None, true), Reception::Waiting(1));
        assert_eq!(turns.enter(s(0), None, true), Reception::Refused);
        turns.leave(1);
        assert_eq!(turns.enter(s(0), None, true), Reception::Waiting(2));
    }

    #[test]
    fn the_parameters_correct_the_estimate() {
        let mut turns = Turns::new(1, 10);
        turns.enter(s(0), None, false);
        turns.enter(s(0), None, true);
        turns.lasts(0, s(0), s(60));
        assert_eq!(turns.place(1, s(0)), Some(place(1, 61)));
    }

    #[test]
    fn a_place_is_read_back() {
        let told = place(3, 14);
        assert_eq!(Place::parse(&told.document()), Ok(told));
    }
}
