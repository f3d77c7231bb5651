//! The client's side of one test in virtual time: which step comes next, what is sent, and when it has taken
//! too long. No socket and no clock: every call carries the time.

use std::collections::VecDeque;
use std::time::Duration;

use messnetz_metric::{Failure, FailureReason};
use serde::Serialize;

use super::codec::{CodecError, Cookie, Inbox, MAX_PARAMETERS, MAX_RESULTS, Signal, framed};
use super::parameters::Parameters;
use super::refusal;
use super::results::Results;
use super::turns::Place;
use crate::stamps::Moment;

/// How long each part of a test may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Patience {
    /// Until the server has connected and asked for the parameters. A stock server that is just being asked
    /// by somebody else lets others wait without a word.
    pub greeting: Duration,
    /// For a turn, where the server says that it keeps a queue; zero not to wait.
    pub queue: Duration,
    /// Each other step.
    pub step: Duration,
    /// For the data of a test that bytes end.
    pub transfer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            greeting: Duration::from_secs(5),
            queue: Duration::from_mins(2),
            step: Duration::from_secs(10),
            transfer: Duration::from_mins(5),
        }
    }
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Nothing but to tell whoever waits.
    Queued(Place),
    /// To open the streams, and to say so by [`Client::opened`].
    Open,
    /// To let data flow and to count it.
    Run,
    /// To stop sending and counting. What still comes is to be received, or the server could not be heard.
    Stop,
    /// To tell the results by [`Client::report`].
    Report,
    /// To close everything: [`Client::take_results`] has the server's results.
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Greeting,
    Queued,
    Asked,
    Opening,
    Opened,
    Running,
    Ending,
    Reported,
    Told,
    Finished,
}

/// The state of one test.
pub(super) struct Client {
    attempt: String,
    parameters: Parameters,
    patience: Patience,
    phase: Phase,
    deadline: Moment,
    /// When waiting for a turn ends.
    queue_ends: Moment,
    inbox: Inbox,
    outbox: Vec<u8>,
    events: VecDeque<Event>,
    results: Option<Results>,
    place: Option<Place>,
    /// The server has said that it cannot, and two numbers are to come.
    is_error: bool,
    /// The server has said that it is busy, and a document is to come.
    is_place: bool,
}

impl Client {
    /// A test that is about to connect. `attempt` is what a failure begins with.
    pub(super) fn new(
        attempt: impl Into<String>,
        parameters: Parameters,
        patience: Patience,
        cookie: &Cookie,
        now: Moment,
    ) -> Self {
        Self {
            attempt: attempt.into(),
            parameters,
            patience,
            phase: Phase::Greeting,
            deadline: now.saturating_add(patience.greeting),
            queue_ends: now.saturating_add(patience.queue),
            inbox: Inbox::default(),
            outbox: cookie.octets().to_vec(),
            events: VecDeque::new(),
            results: None,
            place: None,
            is_error: false,
            is_place: false,
        }
    }

    /// What is to be sent.
    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        (!self.outbox.is_empty()).then(|| std::mem::take(&mut self.outbox))
    }

    /// What is to be done.
    pub(super) fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] is due.
    pub(super) const fn poll_timeout(&self) -> Moment {
        self.deadline
    }

    /// Octets came from the server.
    ///
    /// # Errors
    /// Where the server refuses, is busy, or breaks the protocol.
    pub(super) fn handle_input(&mut self, now: Moment, octets: &[u8]) -> Result<(), Failure> {
        self.inbox.push(octets);
        while self.step(now)? {}
        Ok(())
    }

    /// The server has closed the connection.
    ///
    /// # Errors
    /// Everywhere but at the end: stock servers refuse what they do not like in this way.
    pub(super) fn handle_end(&self) -> Result<(), Failure> {
        let said = match self.phase {
            Phase::Finished => return Ok(()),
            Phase::Greeting => "the server closed the connection before it asked for anything",
            Phase::Queued => "the server closed the connection before it was our turn",
            Phase::Asked | Phase::Opening | Phase::Opened => {
                "the server closed the connection instead of beginning the test: \
                 it does not accept these parameters"
            }
            Phase::Running => "the server closed the connection during the test",
            Phase::Ending | Phase::Reported | Phase::Told => {
                "the server closed the connection before it told its results"
            }
        };
        Err(self.fails(FailureReason::Protocol, &said))
    }

    /// The deadline has come: the regular end of a test, or the end of patience.
    ///
    /// # Errors
    /// [`FailureReason::Busy`] where the queue takes too long or a server answers nothing at all,
    /// [`FailureReason::Timeout`] for every other step.
    pub(super) fn handle_timeout(&mut self, now: Moment) -> Result<(), Failure> {
        if now < self.deadline {
            return Ok(());
        }
        let (reason, said) = match self.phase {
            Phase::Finished => return Ok(()),
            Phase::Running if self.parameters.planned().is_some() => {
                self.end(now);
                return Ok(());
            }
            Phase::Greeting => (
                FailureReason::Timeout,
                "no answer to the greeting; a stock server that prepares another test answers nobody",
            ),
            Phase::Queued if now >= self.queue_ends => return Err(self.busy()),
            Phase::Queued => (
                FailureReason::Timeout,
                "the server fell silent that kept a place in its queue: is the line down?",
            ),
            Phase::Asked => (FailureReason::Timeout, "no answer to the parameters"),
            Phase::Opening => (FailureReason::Timeout, "the streams did not open"),
            Phase::Opened => (FailureReason::Timeout, "the server did not start the test"),
            Phase::Running => (
                FailureReason::Timeout,
                "the bytes were not transferred in time",
            ),
            Phase::Ending => (
                FailureReason::Timeout,
                "the server does not end the test: is the line blocked?",
            ),
            Phase::Reported | Phase::Told => (
                FailureReason::Timeout,
                "the server did not tell its results",
            ),
        };
        Err(self.fails(reason, &said))
    }

    /// All streams are open.
    pub(super) fn opened(&mut self, now: Moment) -> Result<(), Failure> {
        if self.phase == Phase::Opening {
            self.enter(Phase::Opened, now, self.patience.step);
            while self.step(now)? {}
        }
        Ok(())
    }

    /// As many bytes as were asked for have been transferred.
    pub(super) fn enough(&mut self, now: Moment) {
        if self.phase == Phase::Running && self.parameters.total_bytes().is_some() {
            self.end(now);
        }
    }

    /// This side's results, asked for by [`Event::Report`].
    pub(super) fn report(&mut self, now: Moment, own: &Results) -> Result<(), Failure> {
        self.outbox.extend(framed(&own.document()));
        self.enter(Phase::Reported, now, self.patience.step);
        while self.step(now)? {}
        Ok(())
    }

    /// The server's results, once the test is finished.
    pub(super) fn take_results(&mut self) -> Option<Results> {
        self.results.take()
    }

    /// What a server is told that is left in the middle of a test; nothing where it is over.
    pub(super) fn farewell(&self) -> Option<u8> {
        (self.phase != Phase::Finished).then(|| Signal::ClientTerminate.octet())
    }

    fn step(&mut self, now: Moment) -> Result<bool, Failure> {
        if self.is_error {
            return match self.inbox.error_numbers() {
                Some((iperf, os)) => Err(self.refused(iperf, os)),
                None => Ok(false),
            };
        }
        if self.is_place {
            let document = self.inbox.document(MAX_PARAMETERS);
            let Some(document) = document.map_err(|error| self.broken(&error))? else {
                return Ok(false);
            };
            self.is_place = false;
            let place = Place::parse(&document).map_err(|error| self.broken(&error))?;
            self.place = Some(place);
            if self.patience.queue.is_zero() {
                return Err(self.busy());
            }
            self.phase = Phase::Queued;
            // A server that keeps a queue tells the place each second: silence means that it is gone.
            let silence = now.saturating_add(self.patience.step);
            self.deadline = self.queue_ends.min(silence);
            self.events.push_back(Event::Queued(place));
            return Ok(true);
        }
        if self.phase == Phase::Reported {
            let document = self.inbox.document(MAX_RESULTS);
            let Some(document) = document.map_err(|error| self.broken(&error))? else {
                return Ok(false);
            };
            let results = Results::parse(&document).map_err(|error| self.broken(&error))?;
            self.results = Some(results);
            self.enter(Phase::Told, now, self.patience.step);
            return Ok(true);
        }
        // What comes while the streams open, or before our own results are told, waits for it.
        if self.phase == Phase::Opening || self.phase == Phase::Finished {
            return Ok(false);
        }
        let signal = self.inbox.signal().map_err(|error| self.broken(&error))?;
        let Some(signal) = signal else {
            return Ok(false);
        };
        match (self.phase, signal) {
            (_, Signal::ServerError) => self.is_error = true,
            (Phase::Greeting | Phase::Queued, Signal::Queued) => self.is_place = true,
            (_, Signal::AccessDenied) => return Err(self.busy()),
            (_, Signal::ServerTerminate) => {
                return Err(self.fails(FailureReason::Protocol, &"the server gave the test up"));
            }
            (Phase::Greeting | Phase::Queued, Signal::ParamExchange) => {
                self.outbox.extend(framed(&self.parameters.document()));
                self.enter(Phase::Asked, now, self.patience.step);
            }
            (Phase::Asked, Signal::CreateStreams) => {
                self.enter(Phase::Opening, now, self.patience.step);
                self.events.push_back(Event::Open);
            }
            (Phase::Opened, Signal::TestStart) => {}
            (Phase::Opened, Signal::TestRunning) => {
                let planned = self.parameters.planned();
                self.enter(
                    Phase::Running,
                    now,
                    planned.unwrap_or(self.patience.transfer),
                );
                self.events.push_back(Event::Run);
            }
            (Phase::Ending, Signal::ExchangeResults) => {
                self.events.push_back(Event::Report);
                self.deadline = now.saturating_add(self.patience.step);
                // The results are read once ours are told.
                return Ok(false);
            }
            (Phase::Told, Signal::DisplayResults) => {
                self.outbox.push(Signal::Done.octet());
                self.enter(Phase::Finished, now, Duration::MAX);
                self.events.push_back(Event::Finished);
            }
            (phase, signal) => {
                let said = format!("{signal:?} came where none is due ({phase:?})");
                return Err(self.fails(FailureReason::Protocol, &said));
            }
        }
        Ok(true)
    }

    fn end(&mut self, now: Moment) {
        self.outbox.push(Signal::TestEnd.octet());
        self.events.push_back(Event::Stop);
        self.enter(Phase::Ending, now, self.patience.step);
    }

    fn enter(&mut self, phase: Phase, now: Moment, patience: Duration) {
        self.phase = phase;
        self.deadline = now.saturating_add(patience);
    }

    fn refused(&self, iperf: i32, os: i32) -> Failure {
        let said = refusal::describe(iperf);
        let os = if os > 0 {
            format!(" ({})", std::io::Error::from_raw_os_error(os))
        } else {
            String::new()
        };
        let said = format!("the server refused the test: {said}{os}");
        self.fails(FailureReason::Protocol, &said)
    }

    fn busy(&self) -> Failure {
        let said = match self.place {
            Some(place) => format!("server busy, {place}"),
            None => "the server is busy with another test".to_owned(),
        };
        self.fails(FailureReason::Busy, &said)
    }

    fn broken(&self, error: &CodecError) -> Failure {
        self.fails(FailureReason::Protocol, error)
    }

    fn fails(&self, reason: FailureReason, said: &dyn std::fmt::Display) -> Failure {
        Failure::new(reason, format_args!("{}: {said}", self.attempt))
    }
}
