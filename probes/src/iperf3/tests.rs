//! Client and server as a simulated pair in virtual time, and each of them against peers that misbehave.

use std::time::Duration;

use messnetz_metric::{BitRate, Failure, FailureReason, Micros};

use super::client::{self, Client, Event as C, Patience};
use super::codec::{COOKIE_OCTETS, Cookie, MAX_RESULTS, Signal, framed};
use super::parameters::{End, Flow, Parameters};
use super::results::{Results, StreamResult};
use super::session::{self, Event as S, Limits, Session};
use super::turns::Place;
use crate::stamps::Moment;

const PATIENCE: Patience = Patience {
    greeting: Duration::from_secs(5),
    queue: Duration::from_mins(1),
    step: Duration::from_secs(10),
    transfer: Duration::from_secs(100),
};

fn parameters() -> Parameters {
    Parameters::tcp(Flow::Up, Duration::from_secs(3))
}

fn client(parameters: &Parameters) -> Client {
    let cookie = Cookie::ours(&[7; COOKIE_OCTETS], parameters.planned());
    Client::new("test", parameters.clone(), PATIENCE, &cookie, Moment::ZERO)
}

fn told(bytes: u64) -> Results {
    Results {
        streams: vec![StreamResult {
            id: 1,
            bytes,
            elapsed: Micros::from_micros(1),
            ..StreamResult::default()
        }],
        ..Results::default()
    }
}

/// Both ends of a test, with what each of them was told to do.
struct Pair {
    now: Moment,
    client: Client,
    server: Session,
    done_by_client: Vec<client::Event>,
    done_by_server: Vec<session::Event>,
    /// Whether the client's cookie has been taken off the wire.
    greeted: bool,
}

impl Pair {
    fn new(parameters: &Parameters, limits: Limits) -> Self {
        Self {
            now: Moment::ZERO,
            client: client(parameters),
            server: Session::new("serving", limits),
            done_by_client: Vec::new(),
            done_by_server: Vec::new(),
            greeted: false,
        }
    }

    /// Lets both work until neither has anything to do at this moment.
    fn settle(&mut self) -> Result<(), Failure> {
        loop {
            let mut is_idle = true;
            while let Some(event) = self.client.poll() {
                is_idle = false;
                match event {
                    client::Event::Open => self.client.opened(self.now)?,
                    client::Event::Report => self.client.report(self.now, &told(1000))?,
                    _ => {}
                }
                self.done_by_client.push(event);
            }
            while let Some(event) = self.server.poll() {
                is_idle = false;
                match event {
                    session::Event::Open => {
                        self.server.open(self.now);
                        self.server.opened(self.now);
                    }
                    session::Event::Report => self.server.report(self.now, &told(900)),
                    _ => {}
                }
                self.done_by_server.push(event);
            }
            if let Some(mut octets) = self.client.poll_transmit() {
                is_idle = false;
                if !self.greeted {
                    octets.drain(..COOKIE_OCTETS);
                    self.greeted = true;
                }
                // Octet by octet: no peer sends a message in one piece because it is one message.
                for octet in octets {
                    self.server.handle_input(self.now, &[octet])?;
                }
            }
            let sent = self.server.poll_transmit();
            for octet in sent.into_iter().flatten() {
                is_idle = false;
                self.client.handle_input(self.now, &[octet])?;
            }
            if is_idle {
                return Ok(());
            }
        }
    }

    /// Goes to the next deadline of the client.
    fn next_deadline(&mut self) -> Result<(), Failure> {
        self.now = self.client.poll_timeout();
        self.client.handle_timeout(self.now)?;
        self.settle()
    }
}

#[test]
fn a_test_goes_through_all_steps_and_both_have_both_results() {
    let mut pair = Pair::new(&parameters(), Limits::default());
    pair.server.admit(pair.now);
    pair.settle().unwrap();
    assert_eq!(pair.done_by_client, [C::Open, C::Run]);
    assert_eq!(pair.done_by_server, [S::Open, S::Run]);
    assert_eq!(pair.client.poll_timeout(), Duration::from_secs(3));
    pair.next_deadline().unwrap();
    assert_eq!(
        pair.done_by_client,
        [C::Open, C::Run, C::Stop, C::Report, C::Finished]
    );
    assert_eq!(
        pair.done_by_server,
        [S::Open, S::Run, S::Stop, S::Report, S::Finished]
    );
    assert_eq!(pair.client.take_results(), Some(told(900)));
    assert_eq!(pair.server.results(), Some(&told(1000)));
    assert!(pair.client.handle_end().is_ok() && pair.server.handle_end().is_ok());
    assert_eq!(pair.client.farewell(), None);
}

#[test]
fn bytes_end_a_test_that_bytes_shall_end() {
    let parameters = Parameters {
        end: End::Bytes(1000),
        ..parameters()
    };
    let mut pair = Pair::new(&parameters, Limits::default());
    pair.server.admit(pair.now);
    pair.settle().unwrap();
    pair.client.enough(pair.now);
    pair.settle().unwrap();
    assert_eq!(pair.client.take_results(), Some(told(900)));

    let mut slow = Pair::new(&parameters, Limits::default());
    slow.server.admit(slow.now);
    slow.settle().unwrap();
    let failure = slow.next_deadline().unwrap_err();
    assert_eq!(slow.now, PATIENCE.transfer);
    assert_eq!(failure.reason, FailureReason::Timeout);
}

#[test]
fn who_waits_hears_the_place_and_then_has_the_turn() {
    let mut pair = Pair::new(&parameters(), Limits::default());
    let place = Place {
        place: 1,
        wait: Micros::from_micros(14_000_000),
    };
    pair.server.queued(place);
    pair.settle().unwrap();
    assert_eq!(pair.done_by_client, [client::Event::Queued(place)]);
    // Longer than a server may take to answer where there is no queue.
    for seconds in [9, 18, 20] {
        pair.now = Duration::from_secs(seconds);
        pair.client.handle_timeout(pair.now).unwrap();
        pair.server.handle_timeout(pair.now).unwrap();
        pair.server.queued(place);
        pair.settle().unwrap();
    }
    pair.server.admit(pair.now);
    pair.settle().unwrap();
    pair.next_deadline().unwrap();
    assert_eq!(pair.client.take_results(), Some(told(900)));
}

#[test]
fn patience_with_a_queue_ends_and_says_what_it_waited_for() {
    let mut pair = Pair::new(&parameters(), Limits::default());
    let wait = Micros::from_micros(13_500_000);
    for seconds in (0..60).step_by(9) {
        pair.now = Duration::from_secs(seconds);
        pair.client.handle_timeout(pair.now).unwrap();
        pair.server.queued(Place { place: 1, wait });
        pair.settle().unwrap();
    }
    let failure = pair.next_deadline().unwrap_err();
    assert_eq!(pair.now, PATIENCE.queue);
    assert_eq!(failure.reason, FailureReason::Busy);
    assert!(
        failure.detail.contains("server busy, next turn in 14 s"),
        "{failure}"
    );
}

#[test]
fn a_server_that_keeps_a_place_and_falls_silent_is_not_waited_for() {
    let mut pair = Pair::new(&parameters(), Limits::default());
    let wait = Micros::from_micros(13_500_000);
    pair.server.queued(Place { place: 1, wait });
    pair.settle().unwrap();
    let failure = pair.next_deadline().unwrap_err();
    assert_eq!(pair.now, PATIENCE.step);
    assert_eq!(failure.reason, FailureReason::Timeout);
    assert!(failure.detail.contains("fell silent"), "{failure}");
}

#[test]
fn what_exceeds_a_servers_limits_is_refused_with_its_reason() {
    let limits = Limits {
        duration: Duration::from_secs(2),
        streams: 4,
        rate: Some(BitRate::from_mbps(10.0)),
    };
    let short = Parameters {
        end: End::After(Duration::from_secs(1)),
        ..parameters()
    };
    let many = Parameters {
        streams: 5,
        ..short.clone()
    };
    let fast = Parameters {
        rate: Some(BitRate::from_mbps(11.0)),
        ..short.clone()
    };
    for (parameters, word) in [
        (parameters(), "too long"),
        (many, "too many streams"),
        (fast, "rate"),
    ] {
        let mut pair = Pair::new(&parameters, limits);
        pair.server.admit(pair.now);
        let refused = pair.settle().unwrap_err();
        assert!(refused.detail.starts_with("serving"), "{refused}");
        // The client is told before the server leaves.
        let octets = pair.server.poll_transmit().unwrap();
        let failure = pair.client.handle_input(pair.now, &octets).unwrap_err();
        assert_eq!(failure.reason, FailureReason::Protocol);
        assert!(failure.detail.contains(word), "{failure}");
    }
    // Whoever asks for no rate is held to the limit on what we send.
    let mut pair = Pair::new(&short, limits);
    pair.server.admit(pair.now);
    pair.settle().unwrap();
    assert_eq!(pair.server.parameters().unwrap().rate, limits.rate);
}

#[test]
fn a_client_gives_up_on_each_step_that_never_comes() {
    let steps: [(&[u8], Moment, FailureReason); 4] = [
        (&[], PATIENCE.greeting, FailureReason::Timeout),
        (&[9], PATIENCE.step, FailureReason::Timeout),
        // After 10 the driver opens streams, which this one never does.
        (&[9, 10], PATIENCE.step, FailureReason::Timeout),
        (&[9, 10, 1], PATIENCE.step, FailureReason::Timeout),
    ];
    for (said, patience, reason) in steps {
        let mut client = client(&parameters());
        client.handle_input(Moment::ZERO, said).unwrap();
        assert_eq!(client.poll_timeout(), patience, "{said:?}");
        let early = client
            .poll_timeout()
            .saturating_sub(Duration::from_nanos(1));
        assert!(client.handle_timeout(early).is_ok());
        let failure = client.handle_timeout(client.poll_timeout()).unwrap_err();
        assert_eq!(failure.reason, reason, "{said:?}");
        assert_eq!(client.farewell(), Some(Signal::ClientTerminate.octet()));
    }
}

/// A client that is in the middle of its data.
fn running() -> Client {
    let mut client = client(&parameters());
    client.handle_input(Moment::ZERO, &[9, 10]).unwrap();
    client.opened(Moment::ZERO).unwrap();
    client.handle_input(Moment::ZERO, &[1, 2]).unwrap();
    client
}

#[test]
fn a_server_that_stalls_after_the_data_is_not_waited_for_for_ever() {
    let mut client = running();
    client.handle_timeout(Duration::from_secs(3)).unwrap();
    let failure = client.handle_timeout(Duration::from_secs(13)).unwrap_err();
    assert_eq!(failure.reason, FailureReason::Timeout);
    client.handle_input(Duration::from_secs(4), &[13]).unwrap();
    client.report(Duration::from_secs(4), &told(1)).unwrap();
    let failure = client.handle_timeout(Duration::from_secs(14)).unwrap_err();
    assert_eq!(failure.reason, FailureReason::Timeout);
}

#[test]
fn steps_out_of_order_are_named() {
    for said in [
        &[13_u8] as &[u8],
        &[9, 9],
        &[9, 14],
        &[10],
        &[16],
        &[12],
        &[3],
    ] {
        let failure = client(&parameters())
            .handle_input(Moment::ZERO, said)
            .unwrap_err();
        assert_eq!(failure.reason, FailureReason::Protocol, "{said:?}");
    }
    // Where the streams open, nothing is read; afterwards it is.
    let mut client = client(&parameters());
    client.handle_input(Moment::ZERO, &[9, 10, 14]).unwrap();
    assert!(client.opened(Moment::ZERO).is_err());
}

#[test]
fn refusals_of_a_server_are_told_apart() {
    let refused = |said: &[u8]| {
        client(&parameters())
            .handle_input(Moment::ZERO, said)
            .unwrap_err()
    };
    assert_eq!(refused(&[0xff]).reason, FailureReason::Busy);
    assert_eq!(refused(&[9, 0xff]).reason, FailureReason::Busy);
    assert_eq!(refused(&[11]).reason, FailureReason::Protocol);
    let error = refused(&[9, 0xfe, 0, 0, 0, 134, 0, 0, 0, 2]);
    assert!(error.detail.contains("congestion control"), "{error}");
    assert!(error.detail.contains("No such file"), "{error}");
    // The numbers may come later than the step.
    let mut waiting = client(&parameters());
    waiting.handle_input(Moment::ZERO, &[0xfe, 0, 0]).unwrap();
    assert!(waiting.handle_input(Moment::ZERO, &[0; 6]).is_err());
}

#[test]
fn a_server_that_closes_in_the_middle_is_a_failure_in_every_state() {
    for said in [&[] as &[u8], &[9], &[9, 10]] {
        let mut client = client(&parameters());
        client.handle_input(Moment::ZERO, said).unwrap();
        let failure = client.handle_end().unwrap_err();
        assert_eq!(failure.reason, FailureReason::Protocol, "{said:?}");
    }
    assert!(running().handle_end().is_err());
}

#[test]
fn results_that_are_too_long_or_no_json_end_the_test() {
    let ready = || {
        let mut client = running();
        client.handle_timeout(Duration::from_secs(3)).unwrap();
        client.handle_input(Duration::from_secs(3), &[13]).unwrap();
        client.report(Duration::from_secs(3), &told(1)).unwrap();
        client
    };
    for bad in [
        u32::MAX.to_be_bytes().to_vec(),
        (MAX_RESULTS as u32 + 1).to_be_bytes().to_vec(),
        framed(b"{"),
        framed(&vec![b'['; 200_000]),
        framed(b"{\"streams\":[]}"),
    ] {
        let failure = ready()
            .handle_input(Duration::from_secs(4), &bad)
            .unwrap_err();
        assert_eq!(failure.reason, FailureReason::Protocol);
    }
}

#[test]
fn a_server_gives_up_on_clients_that_stall_and_says_so() {
    let document = framed(&parameters().document());
    // Admitted; asked for streams; running 3 s and 15 s of grace; ended.
    for (steps, patience) in [(0, 10), (1, 10), (2, 18), (3, 10)] {
        let mut session = Session::new("serving", Limits::default());
        session.admit(Moment::ZERO);
        if steps > 0 {
            session.handle_input(Moment::ZERO, &document).unwrap();
            session.open(Moment::ZERO);
        }
        if steps > 1 {
            session.opened(Moment::ZERO);
        }
        if steps > 2 {
            session.handle_input(Moment::ZERO, &[4]).unwrap();
        }
        session.poll_transmit();
        assert_eq!(session.poll_timeout(), Duration::from_secs(patience));
        let failure = session.handle_timeout(session.poll_timeout()).unwrap_err();
        assert_eq!(failure.reason, FailureReason::Timeout, "{steps}");
        assert_eq!(
            session.poll_transmit(),
            Some(vec![Signal::ServerTerminate.octet()])
        );
    }
}

#[test]
fn clients_that_break_the_protocol_are_put_out() {
    let admitted = || {
        let mut session = Session::new("serving", Limits::default());
        session.admit(Moment::ZERO);
        session
    };
    for bad in [
        u32::MAX.to_be_bytes().to_vec(),
        framed(b"no"),
        framed(&[b'['; 16_000]),
        framed(b"{\"parallel\":4000000000}"),
    ] {
        assert!(admitted().handle_input(Moment::ZERO, &bad).is_err());
    }
    // Something where the turn is waited for, and a step of the server's own.
    let mut waiting = Session::new("serving", Limits::default());
    assert!(waiting.handle_input(Moment::ZERO, &[4]).is_err());
    let mut session = admitted();
    let document = framed(&parameters().document());
    session.handle_input(Moment::ZERO, &document).unwrap();
    session.open(Moment::ZERO);
    session.opened(Moment::ZERO);
    assert!(session.handle_input(Moment::ZERO, &[13]).is_err());
    assert!(admitted().handle_end().is_err());
}

#[test]
fn a_goodbye_that_never_comes_costs_nobody_a_result() {
    let mut pair = Pair::new(&parameters(), Limits::default());
    pair.server.admit(pair.now);
    pair.settle().unwrap();
    pair.server.handle_input(pair.now, &[4]).unwrap();
    let results = framed(&told(5).document());
    pair.server.handle_input(pair.now, &results).unwrap();
    while let Some(event) = pair.server.poll() {
        if event == session::Event::Report {
            pair.server.report(pair.now, &told(900));
        }
    }
    let late = pair.server.poll_timeout();
    pair.server.handle_timeout(late).unwrap();
    assert_eq!(pair.server.poll(), Some(session::Event::Finished));
}
