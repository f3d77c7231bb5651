//! The server's side of one test in virtual time. No socket and no clock: every call carries the time.

use std::collections::VecDeque;
use std::time::Duration;

use messnetz_metric::{BitRate, Failure, FailureReason};
use serde::Serialize;

use super::codec::{CodecError, Inbox, MAX_PARAMETERS, MAX_RESULTS, Signal, framed};
use super::parameters::{Parameters, Protocol};
use super::refusal;
use super::results::Results;
use super::turns::Place;
use crate::stamps::Moment;

/// How long a client may take for a step.
const STEP: Duration = Duration::from_secs(10);

/// How long a test may run past its planned end: the client ends it, and its goodbye may stand behind data
/// that fills the line.
const GRACE: Duration = Duration::from_secs(15);

/// What one test may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// The longest test, its omitted time included.
    pub duration: Duration,
    /// Most streams in each direction.
    pub streams: u8,
    /// The most that all streams of a direction together may send; who asks for no rate, or for a higher
    /// one, is held to it on what this side sends, and refused for what it sends itself.
    pub rate: Option<BitRate>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            duration: Duration::from_mins(5),
            streams: super::parameters::MAX_STREAMS,
            rate: None,
        }
    }
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// To wait for the streams, and to say so by [`Session::opened`].
    Open,
    /// To let data flow and to count it.
    Run,
    /// To stop.
    Stop,
    /// To tell the results by [`Session::report`].
    Report,
    /// To close everything.
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Admitted,
    /// The parameters are there, the streams are not yet asked for.
    Asked,
    Opening,
    Running,
    Ended,
    Told,
    Finished,
}

/// The state of one test.
pub(super) struct Session {
    attempt: String,
    limits: Limits,
    phase: Phase,
    deadline: Moment,
    inbox: Inbox,
    outbox: Vec<u8>,
    events: VecDeque<Event>,
    parameters: Option<Parameters>,
    results: Option<Results>,
}

impl Session {
    /// A test whose cookie has come. It waits until it is [admitted](Self::admit).
    pub(super) fn new(attempt: impl Into<String>, limits: Limits) -> Self {
        Self {
            attempt: attempt.into(),
            limits,
            phase: Phase::Waiting,
            deadline: Moment::MAX,
            inbox: Inbox::default(),
            outbox: Vec::new(),
            events: VecDeque::new(),
            parameters: None,
            results: None,
        }
    }

    /// Tells the client how long it has to wait.
    pub(super) fn queued(&mut self, place: Place) {
        self.outbox.push(Signal::Queued.octet());
        self.outbox.extend(framed(&place.document()));
    }

    /// It is the client's turn.
    pub(super) fn admit(&mut self, now: Moment) {
        self.outbox.push(Signal::ParamExchange.octet());
        self.enter(Phase::Admitted, now, STEP);
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

    /// What the client asked for, once it has.
    pub(super) const fn parameters(&self) -> Option<&Parameters> {
        self.parameters.as_ref()
    }

    /// The client's results, once it has told them.
    pub(super) const fn results(&self) -> Option<&Results> {
        self.results.as_ref()
    }

    /// Octets came from the client.
    ///
    /// # Errors
    /// Where the client gives up, asks for what is not allowed, or breaks the protocol. What it is told
    /// then is in [`Self::poll_transmit`].
    pub(super) fn handle_input(&mut self, now: Moment, octets: &[u8]) -> Result<(), Failure> {
        self.inbox.push(octets);
        while self.step(now)? {}
        Ok(())
    }

    /// The client has closed the connection.
    ///
    /// # Errors
    /// Everywhere but after it was told the results.
    pub(super) fn handle_end(&mut self) -> Result<(), Failure> {
        match self.phase {
            Phase::Finished => Ok(()),
            Phase::Told => {
                self.finish();
                Ok(())
            }
            phase => {
                let said = format!("the client left in the middle ({phase:?})");
                Err(self.fails(FailureReason::Protocol, &said))
            }
        }
    }

    /// The deadline has come.
    ///
    /// # Errors
    /// [`FailureReason::Timeout`] where it was the client's turn.
    pub(super) fn handle_timeout(&mut self, now: Moment) -> Result<(), Failure> {
        if now < self.deadline || self.phase == Phase::Finished {
            return Ok(());
        }
        if self.phase == Phase::Told {
            // Both have all results: the goodbye is missing, and nothing else.
            self.finish();
            return Ok(());
        }
        self.outbox.push(Signal::ServerTerminate.octet());
        let said = format!("the client took too long ({:?})", self.phase);
        Err(self.fails(FailureReason::Timeout, &said))
    }

    /// The streams can be received: the client is asked for them.
    pub(super) fn open(&mut self, now: Moment) {
        if self.phase == Phase::Asked {
            self.outbox.push(Signal::CreateStreams.octet());
            self.enter(Phase::Opening, now, STEP);
        }
    }

    /// All streams are there.
    pub(super) fn opened(&mut self, now: Moment) {
        if self.phase != Phase::Opening {
            return;
        }
        self.outbox
            .extend([Signal::TestStart, Signal::TestRunning].map(Signal::octet));
        let planned = self.planned();
        self.enter(Phase::Running, now, planned.saturating_add(GRACE));
        self.events.push_back(Event::Run);
    }

    /// This test cannot go on for a reason of this side's: the client is told iperf3's number for it.
    pub(super) fn refuse(&mut self, number: i32, said: &dyn std::fmt::Display) -> Failure {
        self.outbox.push(Signal::ServerError.octet());
        self.outbox.extend(number.to_be_bytes());
        self.outbox.extend(0_i32.to_be_bytes());
        self.fails(FailureReason::Protocol, said)
    }

    /// This side's results, asked for by [`Event::Report`].
    pub(super) fn report(&mut self, now: Moment, own: &Results) {
        self.outbox.extend(framed(&own.document()));
        self.outbox.push(Signal::DisplayResults.octet());
        self.enter(Phase::Told, now, STEP);
    }

    /// How long the test may take at most.
    pub(super) fn planned(&self) -> Duration {
        let planned = self.parameters.as_ref().and_then(Parameters::planned);
        planned.unwrap_or(self.limits.duration)
    }

    fn step(&mut self, now: Moment) -> Result<bool, Failure> {
        match self.phase {
            Phase::Admitted => {
                let document = self.inbox.document(MAX_PARAMETERS);
                let document = document.map_err(|error| self.broken(&error))?;
                let Some(document) = document else {
                    return Ok(false);
                };
                let parameters = Parameters::parse(&document)
                    .map_err(|error| self.refuse(refusal::number(&error), &error))?;
                let parameters = self.within_limits(parameters)?;
                self.parameters = Some(parameters);
                self.enter(Phase::Asked, now, STEP);
                self.events.push_back(Event::Open);
                return Ok(true);
            }
            Phase::Ended => {
                let document = self.inbox.document(MAX_RESULTS);
                let document = document.map_err(|error| self.broken(&error))?;
                let Some(document) = document else {
                    return Ok(false);
                };
                let results = Results::parse(&document).map_err(|error| self.broken(&error))?;
                self.results = Some(results);
                self.events.push_back(Event::Report);
                self.deadline = now.saturating_add(STEP);
                return Ok(false);
            }
            Phase::Finished => return Ok(false),
            _ => {}
        }
        let signal = self.inbox.signal().map_err(|error| self.broken(&error))?;
        match (self.phase, signal) {
            (_, None) => return Ok(false),
            (_, Some(Signal::ClientTerminate)) => {
                return Err(self.fails(FailureReason::Protocol, &"the client gave the test up"));
            }
            (Phase::Running, Some(Signal::TestEnd)) => {
                self.outbox.push(Signal::ExchangeResults.octet());
                self.enter(Phase::Ended, now, STEP);
                self.events.push_back(Event::Stop);
            }
            (Phase::Told, Some(Signal::Done)) => self.finish(),
            (phase, Some(signal)) => {
                let said = format!("{signal:?} came where none is due ({phase:?})");
                return Err(self.fails(FailureReason::Protocol, &said));
            }
        }
        Ok(true)
    }

    /// What is asked for, held to this server's limits.
    fn within_limits(&mut self, mut parameters: Parameters) -> Result<Parameters, Failure> {
        let Limits {
            duration,
            streams,
            rate,
        } = self.limits;
        if parameters
            .planned()
            .is_some_and(|planned| planned > duration)
        {
            let said = format!("a test may take {} s at most", duration.as_secs());
            return Err(self.refuse(refusal::TOO_LONG, &said));
        }
        if parameters.streams > streams {
            let said = format!("a test may have {streams} streams at most");
            return Err(self.refuse(refusal::STREAMS, &said));
        }
        if let Some(limit) = rate {
            let share = BitRate::from_bps(limit.as_bps() / u64::from(parameters.streams).max(1));
            let is_above = parameters.rate.is_none_or(|rate| rate > share);
            let client_sends = parameters.flow != super::Flow::Down;
            let is_asked = parameters.rate.is_some() || parameters.protocol == Protocol::Udp;
            if is_above && client_sends && is_asked {
                let said = format!("all streams may send {} Mbit/s at most", limit.as_mbps());
                return Err(self.refuse(refusal::TOTAL_RATE, &said));
            }
            if is_above {
                parameters.rate = Some(share);
            }
        }
        Ok(parameters)
    }

    fn finish(&mut self) {
        self.phase = Phase::Finished;
        self.deadline = Moment::MAX;
        self.events.push_back(Event::Finished);
    }

    fn enter(&mut self, phase: Phase, now: Moment, patience: Duration) {
        self.phase = phase;
        self.deadline = now.saturating_add(patience);
    }

    fn broken(&self, error: &CodecError) -> Failure {
        self.fails(FailureReason::Protocol, error)
    }

    fn fails(&self, reason: FailureReason, said: &dyn std::fmt::Display) -> Failure {
        Failure::new(reason, format_args!("{}: {said}", self.attempt))
    }
}
