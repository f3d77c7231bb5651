//! The state machine over simulated paths, in virtual time.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::super::{Method, Refusal};
use super::*;
use crate::Binding;

const TIMEOUT: Moment = Duration::from_secs(1);

fn probe(queries: u8, max_hops: u8) -> PathProbe {
    PathProbe {
        target: router(99),
        binding: Binding::any(),
        method: Method::Udp,
        queries,
        max_hops,
        timeout: TIMEOUT,
        mtu: false,
        dscp: false,
    }
}

fn router(distance: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, distance).into()
}

/// A router of a simulated path.
#[derive(Clone, Copy, Debug)]
struct Router {
    answers: bool,
    /// Whether its answers tell which packet they are about.
    tells: bool,
    takes: Moment,
}

/// A path of routers with the target behind them, asked in virtual time.
struct Simulation {
    routers: Vec<Router>,
    /// What the target says.
    says: Says,
    trace: Trace,
    now: Moment,
    under_way: Vec<(Moment, Response)>,
    most_under_way: usize,
}

impl Simulation {
    fn new(routers: Vec<Router>, probe: &PathProbe) -> Self {
        Self {
            routers,
            says: Says::Reached,
            trace: Trace::new(probe),
            now: Moment::ZERO,
            under_way: Vec::new(),
            most_under_way: 0,
        }
    }

    fn run(&mut self) -> Vec<Hop> {
        let mut hops = Vec::new();
        for _ in 0..100_000 {
            while let Some(next) = self.trace.poll_transmit(self.now) {
                self.trace
                    .sent(next.number, self.now, SystemTime::UNIX_EPOCH);
                let end = self.routers.len();
                let at = usize::from(next.ttl).min(end);
                let router = self.routers[at - 1];
                if router.answers {
                    let response = Response {
                        number: router.tells.then_some(next.number),
                        from: router_at(at),
                        says: if at == end { self.says } else { Says::Expired },
                        stamp: None,
                    };
                    self.under_way.push((self.now + router.takes, response));
                }
                self.most_under_way = self.most_under_way.max(self.trace.under_way().count());
            }
            while let Some(hop) = self.trace.poll_hop() {
                hops.push(hop);
            }
            if self.trace.is_complete() {
                return hops;
            }
            let due = self.trace.poll_timeout(self.now);
            let first = self
                .under_way
                .iter()
                .enumerate()
                .min_by_key(|(_, (at, _))| *at);
            match first.map(|(index, (at, _))| (index, *at)) {
                Some((index, at)) if at <= due => {
                    let (_, response) = self.under_way.swap_remove(index);
                    self.now = self.now.max(at);
                    self.trace.handle(response, self.now);
                }
                _ => self.now = self.now.max(due),
            }
        }
        panic!("it does not end: {:?}", self.trace);
    }
}

fn router_at(distance: usize) -> IpAddr {
    router(distance as u8)
}

const fn steady(answers: bool) -> Router {
    Router {
        answers,
        tells: true,
        takes: Duration::from_millis(10),
    }
}

#[test]
fn a_silent_router_hides_nothing_behind_it() {
    let routers = vec![steady(true), steady(false), steady(true)];
    let hops = Simulation::new(routers, &probe(3, 30)).run();
    assert_eq!(hops.len(), 3);
    assert_eq!((hops[1].sent, hops[1].answers.len()), (3, 0));
    assert_eq!((hops[2].sent, hops[2].answers.len()), (3, 3));
    assert_eq!(end(&hops), End::Reached);
}

#[test]
fn a_target_that_says_nothing_leaves_the_end_unknown_within_seconds() {
    let mut simulation = Simulation::new(vec![steady(true), steady(false)], &probe(3, 30));
    let hops = simulation.run();
    assert_eq!((hops.len(), end(&hops)), (30, End::Unknown));
    assert!(simulation.now <= 7 * TIMEOUT, "{:?}", simulation.now);
}

#[test]
fn a_refusal_ends_the_path_where_it_was_said() {
    let mut simulation = Simulation::new(vec![steady(true), steady(true)], &probe(2, 30));
    simulation.says = Says::Refused(Refusal::Prohibited);
    let hops = simulation.run();
    assert_eq!(
        (hops.len(), end(&hops)),
        (2, End::Refused(Refusal::Prohibited))
    );
}

#[test]
fn an_answer_after_the_timeout_is_none() {
    let late = Router {
        takes: TIMEOUT + Duration::from_millis(1),
        ..steady(true)
    };
    let hops = Simulation::new(vec![late, steady(true)], &probe(1, 30)).run();
    assert!(hops[0].answers.is_empty());
}

#[test]
fn what_this_host_cannot_send_is_not_counted_as_sent() {
    let mut trace = Trace::new(&probe(2, 1));
    for _ in 0..2 {
        let next = trace.poll_transmit(Moment::ZERO).unwrap();
        trace.refused(next.number);
    }
    let hop = trace.poll_hop().unwrap();
    assert_eq!((hop.sent, hop.answers.len()), (0, 0));
}

fn any_router() -> impl Strategy<Value = Router> {
    (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.9),
        1_u64..999,
    )
        .prop_map(|(answers, tells, millis)| Router {
            answers,
            tells,
            takes: Duration::from_millis(millis),
        })
}

proptest! {
    #[test]
    fn every_router_that_answers_is_found_in_its_place_whatever_order_answers_come_in(
        mut routers in prop::collection::vec(any_router(), 1..12),
        target in any_router(), queries in 1_u8..=5
    ) {
        routers.push(Router { answers: true, ..target });
        let mut simulation = Simulation::new(routers.clone(), &probe(queries, 30));
        let hops = simulation.run();
        prop_assert!(simulation.most_under_way <= IN_FLIGHT);
        prop_assert_eq!(hops.len(), routers.len());
        for (distance, (hop, router)) in (1..).zip(hops.iter().zip(&routers)) {
            prop_assert_eq!(usize::from(hop.hop), distance);
            let expected = if router.answers { queries } else { 0 };
            prop_assert_eq!(hop.answers.len(), usize::from(expected), "{:?}", hop);
            for answer in &hop.answers {
                prop_assert_eq!(answer.from, router_at(distance));
                prop_assert_eq!(answer.rtt, router.takes.into());
            }
        }
    }

    #[test]
    fn no_order_of_events_makes_it_panic_or_tells_a_hop_twice(
        events in prop::collection::vec((0_u8..4, any::<u16>(), 0_u64..3000), 0..200)
    ) {
        let mut trace = Trace::new(&probe(3, 5));
        let mut hops = Vec::new();
        for (kind, number, millis) in events {
            // Time does not always go on.
            let now = Duration::from_millis(millis);
            match kind {
                0 => {
                    if let Some(next) = trace.poll_transmit(now) {
                        trace.sent(next.number, now, SystemTime::UNIX_EPOCH);
                    }
                }
                1 => trace.refused(number % 20),
                2 => trace.sent(number % 20, now, SystemTime::UNIX_EPOCH),
                _ => trace.handle(
                    Response {
                        number: (number % 7 > 0).then_some(number % 20),
                        from: router(1),
                        says: if number % 11 == 0 { Says::Reached } else { Says::Expired },
                        stamp: Some(SystemTime::UNIX_EPOCH),
                    },
                    now,
                ),
            }
            hops.extend(trace.poll_hop().map(|hop| hop.hop));
            let _ = trace.poll_timeout(now);
        }
        prop_assert!(hops.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
