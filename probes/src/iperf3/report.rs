//! What a test came to: both sides' accounts of each stream, put together, and how it went from second to
//! second. No socket and no clock.

use std::net::SocketAddr;
use std::time::Duration;

use messnetz_metric::{
    BitRate, Direction, Failure, FailureReason, Micros, Ppm, Quantity, Reading, Value,
};
use serde::Serialize;

use super::parameters::{Parameters, Protocol};
use super::results::{Cpu, Results, StreamResult};
use super::streams::{Counted, CpuTime};

/// Which end of a test this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The one that asked for it.
    Client,
    /// The one that was asked.
    Server,
}

impl Role {
    /// The way of a stream on which this side sends, or receives.
    const fn direction(self, sends: bool) -> Direction {
        match (self, sends) {
            (Self::Client, true) | (Self::Server, false) => Direction::Up,
            (Self::Client, false) | (Self::Server, true) => Direction::Down,
        }
    }
}

/// So many bytes in so much time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// Payload.
    pub bytes: u64,
    /// The time that whoever counted it took.
    #[serde(rename = "elapsed_us")]
    pub elapsed: Micros,
    /// What that amounts to; `None` where no time has passed.
    #[serde(rename = "rate_bps")]
    pub rate: Option<BitRate>,
}

impl Transfer {
    fn new(bytes: u64, elapsed: Micros) -> Self {
        Self {
            bytes,
            elapsed,
            rate: BitRate::from_transfer(bytes, elapsed),
        }
    }
}

/// What became of the datagrams of a stream or of a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Datagrams {
    /// Datagrams that were sent, as far as the receiver can tell.
    pub packets: u64,
    /// Of those, how many did not arrive.
    pub lost: u64,
    /// The share of those lost; `None` where there were none.
    #[serde(rename = "loss_ppm")]
    pub loss: Option<Ppm>,
    /// Datagrams that came after a later one; `None` where the peer received and does not say.
    pub out_of_order: Option<u64>,
    /// Interarrival jitter after RFC 1889, of several streams the mean.
    #[serde(rename = "jitter_us")]
    pub jitter: Micros,
}

/// Round-trip times that the kernel of the sender had, one sample an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SmoothedRtt {
    /// The smallest sample.
    #[serde(rename = "min_us")]
    pub min: Micros,
    /// The mean of all samples.
    #[serde(rename = "mean_us")]
    pub mean: Micros,
    /// The largest sample.
    #[serde(rename = "max_us")]
    pub max: Micros,
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamReport {
    /// Its number: 1, 3, 4 and so on.
    pub id: u32,
    /// Seen from the client.
    pub direction: Direction,
    /// What the sender says.
    pub sent: Transfer,
    /// What the receiver says: the measurement.
    pub received: Transfer,
    /// Segments sent again; `None` for datagrams, and where the sender cannot tell.
    pub retransmits: Option<u64>,
    /// Where this side sent over TCP.
    pub rtt: Option<SmoothedRtt>,
    /// The largest congestion window seen, in bytes, where this side sent over TCP.
    pub max_congestion_window: Option<u64>,
    /// `None` for TCP.
    pub datagrams: Option<Datagrams>,
}

/// All streams of one direction together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// What the sender says.
    pub sent: Transfer,
    /// What the receiver says: the measurement.
    pub received: Transfer,
    /// Segments sent again; `None` for datagrams, and where the sender cannot tell.
    pub retransmits: Option<u64>,
    /// `None` for TCP.
    pub datagrams: Option<Datagrams>,
}

/// One stream during one interval, as this side saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IntervalStream {
    /// The stream.
    pub id: u32,
    /// Seen from the client.
    pub direction: Direction,
    /// Sent where this side sends, received elsewhere.
    pub transfer: Transfer,
    /// Segments sent again in this interval.
    pub retransmits: Option<u64>,
    /// The smoothed round-trip time at its end.
    #[serde(rename = "rtt_us")]
    pub rtt: Option<Micros>,
    /// The congestion window at its end, in bytes.
    pub congestion_window: Option<u64>,
    /// The datagrams of this interval.
    pub datagrams: Option<Datagrams>,
}

/// A piece of the time of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// Since data flows.
    #[serde(rename = "from_us")]
    pub from: Micros,
    /// Since data flows.
    #[serde(rename = "to_us")]
    pub to: Micros,
    /// Whether it is left out of the result.
    pub omitted: bool,
    /// The streams in their order.
    pub streams: Vec<IntervalStream>,
}

impl Interval {
    /// All streams of one direction together; `None` where there are none.
    #[must_use]
    pub fn transfer(&self, direction: Direction) -> Option<Transfer> {
        let mut streams = self.streams.iter().filter(|s| s.direction == direction);
        let first = streams.next()?;
        let bytes = streams.fold(first.transfer.bytes, |sum, stream| {
            sum.saturating_add(stream.transfer.bytes)
        });
        Some(Transfer::new(bytes, first.transfer.elapsed))
    }
}

/// Something of this side and of the peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Both<T> {
    /// This side's.
    pub own: T,
    /// What the peer told.
    pub peer: T,
}

/// What a test came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Which end this is.
    pub role: Role,
    /// The other end's address of the control connection.
    pub peer: SocketAddr,
    /// What was asked for.
    pub parameters: Parameters,
    /// How long the client waited for its turn.
    #[serde(rename = "waited_us")]
    pub waited: Micros,
    /// From client to server.
    pub up: Option<Summary>,
    /// From server to client.
    pub down: Option<Summary>,
    /// Each stream.
    pub streams: Vec<StreamReport>,
    /// How it went.
    pub intervals: Vec<Interval>,
    /// CPU time of both ends, in percent of a core; of ours only that of the streams.
    pub cpu: Both<Cpu>,
    /// The congestion control that each end really used.
    pub congestion: Both<Option<String>>,
}

impl Report {
    /// The result of one direction.
    #[must_use]
    pub const fn direction(&self, direction: Direction) -> Option<&Summary> {
        match direction {
            Direction::Up => self.up.as_ref(),
            Direction::Down => self.down.as_ref(),
        }
    }

    /// A reading for each direction: the goodput of TCP, the loss of datagrams.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        [Direction::Down, Direction::Up]
            .into_iter()
            .filter_map(|direction| {
                let summary = self.direction(direction)?;
                let (quantity, value) = match &summary.datagrams {
                    None => (
                        Quantity::Goodput(direction),
                        summary.received.rate.map(Value::Rate),
                    ),
                    Some(datagrams) => (
                        Quantity::LossOneWay(direction),
                        datagrams.loss.map(Value::Share),
                    ),
                };
                Some(value.map_or_else(
                    || Reading {
                        quantity,
                        outcome: messnetz_metric::Outcome::Failed(Failure::new(
                            FailureReason::Timeout,
                            format_args!("iperf3 test with {}: nothing arrived", self.peer),
                        )),
                    },
                    |value| Reading::value(quantity, value),
                ))
            })
            .collect()
    }
}

/// Keeps the counts of a running test.
pub(super) struct Recorder {
    role: Role,
    parameters: Parameters,
    streams: Vec<Recorded>,
    intervals: Vec<Interval>,
    last: Duration,
    /// When counting began.
    counts_from: Duration,
    stopped: Option<Duration>,
}

/// A stream as it is recorded.
struct Recorded {
    id: u32,
    sends: bool,
    last: Counted,
    /// What came before counting began.
    omitted: Counted,
    rtt: Vec<Micros>,
    max_congestion_window: u64,
}

impl Recorder {
    pub(super) fn new(role: Role, parameters: &Parameters, streams: &[(u32, bool)]) -> Self {
        Self {
            role,
            parameters: parameters.clone(),
            streams: streams
                .iter()
                .map(|&(id, sends)| Recorded {
                    id,
                    sends,
                    last: Counted::default(),
                    omitted: Counted::default(),
                    rtt: Vec::new(),
                    max_congestion_window: 0,
                })
                .collect(),
            intervals: Vec::new(),
            last: Duration::ZERO,
            counts_from: Duration::ZERO,
            stopped: None,
        }
    }

    /// Ends an interval. Returns it unless it had no time.
    pub(super) fn sample(&mut self, at: Duration, counted: &[Counted]) -> Option<&Interval> {
        let elapsed = Micros::from(at.saturating_sub(self.last));
        if elapsed == Micros::default() {
            return None;
        }
        let (role, protocol) = (self.role, self.parameters.protocol);
        let streams = self
            .streams
            .iter_mut()
            .zip(counted)
            .map(|(stream, counted)| stream.sample(role, protocol, elapsed, counted))
            .collect();
        let interval = Interval {
            from: Micros::from(self.last),
            to: Micros::from(at),
            omitted: at <= self.parameters.omit && self.counts_from.is_zero(),
            streams,
        };
        self.last = at;
        self.intervals.push(interval);
        self.intervals.last()
    }

    /// What came so far does not count.
    pub(super) fn omit(&mut self, at: Duration, counted: &[Counted]) {
        self.counts_from = at;
        for (stream, counted) in self.streams.iter_mut().zip(counted) {
            stream.omitted = counted.clone();
            stream.rtt.clear();
        }
    }

    /// Nothing counts any more. What a receiver finds in its socket afterwards still belongs to the time
    /// before.
    pub(super) fn stop(&mut self, at: Duration) {
        self.stopped.get_or_insert(at);
    }

    /// This side's results.
    pub(super) fn results(
        &self,
        counted: &[Counted],
        cpu: CpuTime,
        congestion: Option<String>,
    ) -> Results {
        let elapsed = self.elapsed();
        let seconds = elapsed.as_micros() as f64 / 1e6;
        let percent = |time: Duration| {
            if seconds > 0.0 {
                100.0 * time.as_secs_f64() / seconds
            } else {
                0.0
            }
        };
        let sends = self.streams.iter().any(|stream| stream.sends);
        let is_tcp = self.parameters.protocol == Protocol::Tcp;
        Results {
            cpu: Cpu {
                total: percent(cpu.user + cpu.system),
                user: percent(cpu.user),
                system: percent(cpu.system),
            },
            has_retransmits: sends.then_some(is_tcp),
            congestion,
            streams: self
                .streams
                .iter()
                .zip(counted)
                .map(|(stream, counted)| stream.result(elapsed, counted))
                .collect(),
        }
    }

    /// Both sides' results put together. A stream that the peer does not name has none of the peer's side.
    pub(super) fn report(
        self,
        peer: SocketAddr,
        waited: Duration,
        own: Results,
        told: Results,
        counted: &[Counted],
    ) -> Report {
        let protocol = self.parameters.protocol;
        let role = self.role;
        let streams: Vec<StreamReport> = self
            .streams
            .iter()
            .zip(counted)
            .map(|(stream, counted)| {
                let nothing = StreamResult::default();
                let ours = own.stream(stream.id).unwrap_or(&nothing);
                let theirs = told.stream(stream.id).unwrap_or(&nothing);
                stream.report(role, protocol, ours, theirs, counted)
            })
            .collect();
        Report {
            role,
            peer,
            parameters: self.parameters,
            waited: Micros::from(waited),
            up: summary(&streams, Direction::Up),
            down: summary(&streams, Direction::Down),
            streams,
            intervals: self.intervals,
            cpu: Both {
                own: own.cpu,
                peer: told.cpu,
            },
            congestion: Both {
                own: own.congestion,
                peer: told.congestion,
            },
        }
    }

    fn elapsed(&self) -> Micros {
        let end = self.stopped.unwrap_or(self.last);
        Micros::from(end.saturating_sub(self.counts_from))
    }
}

impl Recorded {
    fn sample(
        &mut self,
        role: Role,
        protocol: Protocol,
        elapsed: Micros,
        counted: &Counted,
    ) -> IntervalStream {
        let tcp = counted.tcp.filter(|_| self.sends);
        let before = self.last.tcp.map_or(0, |tcp| tcp.retransmits);
        if let Some(tcp) = tcp {
            self.rtt.push(tcp.rtt);
            self.max_congestion_window = self.max_congestion_window.max(tcp.congestion_window);
        }
        let bytes = counted.bytes.saturating_sub(self.last.bytes);
        let packets = counted.packets.saturating_sub(self.last.packets);
        let lost = counted.lost.saturating_sub(self.last.lost);
        let out_of_order = counted.out_of_order.saturating_sub(self.last.out_of_order);
        self.last = counted.clone();
        IntervalStream {
            id: self.id,
            direction: role.direction(self.sends),
            transfer: Transfer::new(bytes, elapsed),
            retransmits: tcp.map(|tcp| u64::from(tcp.retransmits.saturating_sub(before))),
            rtt: tcp.map(|tcp| tcp.rtt),
            congestion_window: tcp.map(|tcp| tcp.congestion_window),
            datagrams: (protocol == Protocol::Udp).then(|| Datagrams {
                packets,
                lost,
                loss: Ppm::of(lost, packets).filter(|_| !self.sends),
                out_of_order: (!self.sends).then_some(out_of_order),
                jitter: Micros::from(counted.jitter),
            }),
        }
    }

    fn result(&self, elapsed: Micros, counted: &Counted) -> StreamResult {
        let omitted = &self.omitted;
        let retransmits = counted.tcp.filter(|_| self.sends).map(|tcp| {
            let before = omitted.tcp.map_or(0, |tcp| tcp.retransmits);
            u64::from(tcp.retransmits.saturating_sub(before))
        });
        StreamResult {
            id: self.id,
            bytes: counted.bytes.saturating_sub(omitted.bytes),
            retransmits,
            jitter: Micros::from(counted.jitter),
            lost: counted.lost,
            packets: counted.packets,
            omitted_lost: Some(omitted.lost),
            omitted_packets: Some(omitted.packets),
            elapsed,
        }
    }

    fn report(
        &self,
        role: Role,
        protocol: Protocol,
        ours: &StreamResult,
        theirs: &StreamResult,
        counted: &Counted,
    ) -> StreamReport {
        let (sender, receiver) = if self.sends {
            (ours, theirs)
        } else {
            (theirs, ours)
        };
        let is_tcp = protocol == Protocol::Tcp;
        let packets = receiver
            .packets
            .saturating_sub(receiver.omitted_packets.unwrap_or_default());
        let lost = receiver
            .lost
            .saturating_sub(receiver.omitted_lost.unwrap_or_default());
        let late = counted
            .out_of_order
            .saturating_sub(self.omitted.out_of_order);
        StreamReport {
            id: self.id,
            direction: role.direction(self.sends),
            sent: Transfer::new(sender.bytes, sender.elapsed),
            received: Transfer::new(receiver.bytes, receiver.elapsed),
            retransmits: sender.retransmits.filter(|_| is_tcp),
            rtt: smoothed(&self.rtt),
            max_congestion_window: (self.sends && is_tcp).then_some(self.max_congestion_window),
            datagrams: (!is_tcp).then(|| Datagrams {
                packets,
                lost,
                loss: Ppm::of(lost, packets),
                out_of_order: (!self.sends).then_some(late),
                jitter: receiver.jitter,
            }),
        }
    }
}

fn smoothed(samples: &[Micros]) -> Option<SmoothedRtt> {
    let sum: u64 = samples.iter().map(|rtt| rtt.as_micros()).sum();
    Some(SmoothedRtt {
        min: *samples.iter().min()?,
        mean: Micros::from_micros(sum.checked_div(samples.len() as u64)?),
        max: *samples.iter().max()?,
    })
}

fn summary(streams: &[StreamReport], direction: Direction) -> Option<Summary> {
    let streams: Vec<&StreamReport> = streams
        .iter()
        .filter(|stream| stream.direction == direction)
        .collect();
    let all = |transfer: fn(&StreamReport) -> Transfer| {
        let bytes = streams.iter().fold(0_u64, |sum, stream| {
            sum.saturating_add(transfer(stream).bytes)
        });
        let elapsed = streams.iter().map(|stream| transfer(stream).elapsed).max();
        Some(Transfer::new(bytes, elapsed?))
    };
    let datagrams: Option<Vec<Datagrams>> = streams.iter().map(|stream| stream.datagrams).collect();
    Some(Summary {
        sent: all(|stream| stream.sent)?,
        received: all(|stream| stream.received)?,
        retransmits: streams
            .iter()
            .map(|stream| stream.retransmits)
            .try_fold(0_u64, |sum, one| Some(sum.saturating_add(one?))),
        datagrams: datagrams.map(|all| {
            let sum = |part: fn(&Datagrams) -> u64| {
                all.iter()
                    .fold(0_u64, |sum, one| sum.saturating_add(part(one)))
            };
            let (packets, lost) = (sum(|d| d.packets), sum(|d| d.lost));
            let jitter = sum(|d| d.jitter.as_micros()).checked_div(all.len() as u64);
            Datagrams {
                packets,
                lost,
                loss: Ppm::of(lost, packets),
                out_of_order: all
                    .iter()
                    .try_fold(0, |sum, one| Some(sum + one.out_of_order?)),
                jitter: Micros::from_micros(jitter.unwrap_or_default()),
            }
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iperf3::parameters::Flow;

    fn counted(bytes: u64, packets: u64, lost: u64) -> Counted {
        Counted {
            bytes,
            packets,
            lost,
            ..Counted::default()
        }
    }

    fn told(bytes: u64, packets: u64, lost: u64) -> Results {
        Results {
            streams: vec![StreamResult {
                id: 1,
                bytes,
                packets,
                lost,
                elapsed: Micros::from_micros(1_000_000),
                ..StreamResult::default()
            }],
            ..Results::default()
        }
    }

    fn report(parameters: &Parameters, sends: bool, own: &Counted, told: Results) -> Report {
        let mut recorder = Recorder::new(Role::Client, parameters, &[(1, sends)]);
        let own = std::slice::from_ref(own);
        recorder.sample(Duration::from_secs(1), own);
        recorder.stop(Duration::from_secs(1));
        let results = recorder.results(own, CpuTime::default(), None);
        let peer = SocketAddr::from(([192, 0, 2, 1], 5201));
        recorder.report(peer, Duration::ZERO, results, told, own)
    }

    #[test]
    fn the_receivers_count_is_the_measurement() {
        let up = Parameters::tcp(Flow::Up, Duration::from_secs(1));
        let up = report(&up, true, &counted(1000, 0, 0), told(900, 0, 0));
        let summary = up.up.as_ref().unwrap();
        assert_eq!((summary.sent.bytes, summary.received.bytes), (1000, 900));
        assert!(up.down.is_none());
        assert_eq!(
            up.readings(),
            [Reading::value(
                Quantity::Goodput(Direction::Up),
                Value::Rate(BitRate::from_bps(7200))
            )]
        );

        let down = Parameters::tcp(Flow::Down, Duration::from_secs(1));
        let down = report(&down, false, &counted(900, 0, 0), told(1000, 0, 0));
        let summary = down.down.unwrap();
        assert_eq!((summary.sent.bytes, summary.received.bytes), (1000, 900));
    }

    #[test]
    fn what_is_omitted_is_in_no_result() {
        let parameters = Parameters {
            omit: Duration::from_secs(1),
            ..Parameters::udp(Flow::Down, Duration::from_secs(2), BitRate::from_mbps(1.0))
        };
        let mut recorder = Recorder::new(Role::Client, &parameters, &[(1, false)]);
        let first = [counted(500, 10, 3)];
        let interval = recorder.sample(Duration::from_secs(1), &first).unwrap();
        assert!(interval.omitted);
        recorder.omit(Duration::from_secs(1), &first);
        let second = [counted(2500, 50, 4)];
        let interval = recorder.sample(Duration::from_secs(3), &second).unwrap();
        assert!(!interval.omitted);
        assert_eq!(interval.transfer(Direction::Down).unwrap().bytes, 2000);
        assert_eq!(interval.transfer(Direction::Up), None);
        recorder.stop(Duration::from_secs(3));
        let results = recorder.results(&second, CpuTime::default(), None);
        let peer = SocketAddr::from(([192, 0, 2, 1], 5201));
        let report = recorder.report(peer, Duration::ZERO, results, Results::default(), &second);
        let down = report.down.unwrap();
        assert_eq!(down.received.bytes, 2000);
        assert_eq!(down.received.elapsed, Micros::from_micros(2_000_000));
        let datagrams = down.datagrams.unwrap();
        assert_eq!((datagrams.packets, datagrams.lost), (40, 1));
    }

    #[test]
    fn nothing_received_is_a_failure_and_no_zero() {
        let parameters = Parameters::udp(Flow::Up, Duration::from_secs(1), BitRate::from_mbps(1.0));
        let report = report(&parameters, true, &counted(1000, 10, 0), told(0, 0, 0));
        assert_eq!(report.up.as_ref().unwrap().datagrams.unwrap().loss, None);
        let readings = report.readings();
        assert!(matches!(
            readings[0].outcome,
            messnetz_metric::Outcome::Failed(_)
        ));
    }
}
