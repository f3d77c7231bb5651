//! What the measuring box saw of itself while a capacity test ran: broken frames and foreign bytes on its
//! port, and its own work. Without it a slow test could as well be the fault of the box.

mod load;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use messnetz_metric::{BitRate, Direction, Layer, Micros, Ppm, Quantity, Rate, Reading, Value};
use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

use self::load::{Threads, Times};
use crate::link::{self, Counters};

pub use load::BusyCore;

/// Bytes that an interface counts for each byte that ndt7 delivers: 1448 bytes of payload in 1514 of frame
/// (IEEE 802.3 without FCS, RFC 7323), and about 1 % for TLS records and WebSocket frames.
const FRAMES_PER_PAYLOAD: f64 = 1514.0 / 1448.0 * 1.01;

/// From this share of its time on, a processor or a thread had no more to give.
const BUSY: Ppm = Ppm::from_ppm(950_000);

/// A limit counts as reached from this share of it (as in verdicts, after the 90 % of Vfg 99/2021).
const REACHED: f64 = 0.9;

/// From this share on, other traffic disturbed a test.
const DISTURBS: Ppm = Ppm::from_ppm(100_000);

/// Looks at the box when the data of a capacity test begins to flow.
#[derive(Debug)]
pub struct Witness {
    began: Instant,
    processor: Option<Duration>,
    port: Option<Port>,
    before: Times,
    threads: Mutex<Threads>,
}

#[derive(Debug)]
struct Port {
    name: String,
    speed: Option<BitRate>,
    before: Option<Counters>,
}

/// What a capacity test carried in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Which way.
    pub direction: Direction,
    /// Payload that was delivered.
    pub payload: u64,
    /// Bytes that this box sent again.
    pub again: u64,
}

/// What a [`Witness`] saw until the end; nothing where the kernel did not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Testimony {
    /// The interface that the test went through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Its nominal rate.
    #[serde(rename = "link_speed_bps", skip_serializing_if = "Option::is_none")]
    pub link_speed: Option<BitRate>,
    /// Its counters at the begin and at the end.
    #[serde(flatten)]
    pub counters: Option<BothCounters>,
    /// Share of the frames received that were broken.
    #[serde(rename = "frame_errors_ppm", skip_serializing_if = "Option::is_none")]
    pub frame_errors: Option<Ppm>,
    /// What was on the interface in each direction of the test.
    pub traffic: Vec<Traffic>,
    /// Share of one processor that this process used; the whole where it used more than one.
    #[serde(rename = "process_ppm", skip_serializing_if = "Option::is_none")]
    pub process: Option<Ppm>,
    /// Share of the time in which the busiest thread of this process was at work.
    #[serde(rename = "busiest_thread_ppm", skip_serializing_if = "Option::is_none")]
    pub thread: Option<Ppm>,
    /// The processor of this machine that was busiest, whoever kept it busy.
    #[serde(rename = "busiest_core", skip_serializing_if = "Option::is_none")]
    pub core: Option<BusyCore>,
}

/// An interface's counters around a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BothCounters {
    /// When it began.
    #[serde(rename = "counters_before")]
    pub before: Counters,
    /// When it had ended.
    #[serde(rename = "counters_after")]
    pub after: Counters,
}

/// What was on an interface in one direction while a test ran, all of it as the interface counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Which way.
    pub direction: Direction,
    /// The test's own: what was available to it.
    #[serde(rename = "test_bps")]
    pub test: BitRate,
    /// What others used beside it.
    #[serde(rename = "other_bps")]
    pub other: BitRate,
    /// Both: what the path carried.
    #[serde(rename = "together_bps")]
    pub together: BitRate,
    /// The others' share of all bytes.
    #[serde(rename = "other_share_ppm")]
    pub other_share: Ppm,
}

/// What about this machine itself, and not about the network, a result may be owed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "limit", rename_all = "kebab-case")]
pub enum Limit {
    /// A processor had no more to give.
    Core(BusyCore),
    /// A thread of this program had no more to give.
    Thread {
        /// The share of its time in which it was at work.
        #[serde(rename = "busy_ppm")]
        busy: Ppm,
    },
    /// The own port was full.
    Link {
        /// Its nominal rate.
        #[serde(rename = "link_speed_bps")]
        speed: BitRate,
    },
    /// What this machine carries over its own loopback was reached.
    SelfTest {
        /// That.
        #[serde(rename = "ceiling_bps")]
        ceiling: BitRate,
    },
    /// Others used the port as well.
    OtherTraffic {
        /// Which way.
        direction: Direction,
        /// Their share of all bytes.
        #[serde(rename = "other_share_ppm")]
        share: Ppm,
    },
}

impl Witness {
    /// Begins to look, at `interface` where one is known.
    #[must_use]
    pub fn begin(interface: Option<&str>) -> Self {
        let port = interface.map(|name| Port {
            name: name.to_owned(),
            speed: link::read(name).ok().and_then(|state| state.speed),
            before: link::counters(name).ok(),
        });
        Self {
            began: Instant::now(),
            processor: processor_time(),
            port,
            before: Times::now(),
            threads: Mutex::default(),
        }
    }

    /// Looks at the threads: one that has ended is not seen any more. To be called about every second.
    pub fn look(&self) {
        let now = Times::now();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.follow(&now, self.began.elapsed());
    }

    /// What was seen, after a test that carried this within `during`. Whatever else of it was still under way
    /// before and after is taken to have come at the same rate.
    #[must_use]
    pub fn end(self, carried: &[Carried], during: Duration) -> Testimony {
        let all = self.began.elapsed();
        let used = processor_time()
            .zip(self.processor)
            .map(|(now, before)| now.saturating_sub(before));
        let mut testimony = Testimony {
            process: used.and_then(|used| share(used.as_micros(), all.as_micros())),
            ..Testimony::default()
        };
        let now = Times::now();
        testimony.core = now.busiest_core(&self.before);
        let mut threads = self.threads;
        let threads = threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        threads.follow(&now, all);
        testimony.thread = threads.busiest(&self.before, all);
        if let Some(Port {
            name,
            speed,
            before,
        }) = self.port
        {
            if let Some((before, after)) = before.zip(link::counters(&name).ok()) {
                testimony.of_counters(&before, &after, carried, (during, all));
            }
            (testimony.interface, testimony.link_speed) = (Some(name), speed);
        }
        testimony
    }
}

impl Testimony {
    /// The difference of two readings of the counters; what was restarted between them says nothing.
    fn of_counters(
        &mut self,
        before: &Counters,
        after: &Counters,
        carried: &[Carried],
        (during, all): (Duration, Duration),
    ) {
        self.counters = Some(BothCounters {
            before: *before,
            after: *after,
        });
        let more = |counter: fn(&Counters) -> u64| counter(after).checked_sub(counter(before));
        let errors = more(|counters| counters.rx_errors);
        let frames = more(|counters| counters.rx_packets);
        // Linux counts broken frames apart from those that were received (rtnl_link_stats64).
        self.frame_errors = errors
            .zip(frames)
            .and_then(|(errors, frames)| Ppm::of(errors, frames.saturating_add(errors)));
        let longer = all.as_secs_f64() / during.as_secs_f64().max(f64::MIN_POSITIVE);
        let traffic = carried.iter().filter_map(|one| {
            let bytes = match one.direction {
                Direction::Down => more(|counters| counters.rx_bytes),
                Direction::Up => more(|counters| counters.tx_bytes),
            }?;
            let payload = (one.payload as f64 * longer.max(1.0)) as u64;
            let own = payload.saturating_add(one.again) as f64 * FRAMES_PER_PAYLOAD;
            let other = bytes.saturating_sub(own as u64);
            let rate = |bytes| BitRate::from_transfer(bytes, Micros::from(all));
            Some(Traffic {
                direction: one.direction,
                test: rate(bytes - other)?,
                other: rate(other)?,
                together: rate(bytes)?,
                other_share: Ppm::of(other, bytes)?,
            })
        });
        self.traffic = traffic.collect();
    }

    /// What it says of the port.
    #[must_use]
    pub fn of_port(&self) -> Vec<Reading> {
        let other = self.traffic.first().map(|traffic| traffic.other_share);
        readings([
            (Quantity::FrameErrors, self.frame_errors),
            (Quantity::OtherTraffic, other),
        ])
    }

    /// What it says of the box.
    #[must_use]
    pub fn of_box(&self) -> Vec<Reading> {
        readings([
            (Quantity::Cpu, self.thread.or(self.process)),
            (Quantity::BusiestCore, self.core.map(|core| core.busy)),
        ])
    }

    /// Which limits of this machine were reached by a test with this goodput (of its faster direction), where
    /// `ceiling` is what a self-test came to.
    #[must_use]
    pub fn limits(&self, goodput: Option<BitRate>, ceiling: Option<BitRate>) -> Vec<Limit> {
        let reached = |most: BitRate| {
            goodput.is_some_and(|rate| rate.as_bps() as f64 >= REACHED * most.as_bps() as f64)
        };
        let is_full = |speed: &BitRate| {
            reached(Rate::<_, messnetz_metric::EachWay>::new(*speed).carries(Layer::TcpPayload))
        };
        let core = self.core.filter(|core| core.busy >= BUSY).map(Limit::Core);
        let thread = self.thread.filter(|busy| *busy >= BUSY);
        let link = self.link_speed.filter(is_full);
        let ceiling = ceiling.filter(|ceiling| reached(*ceiling));
        let disturbed = self
            .traffic
            .iter()
            .filter(|one| one.other_share >= DISTURBS);
        [
            core,
            thread.map(|busy| Limit::Thread { busy }),
            link.map(|speed| Limit::Link { speed }),
            ceiling.map(|ceiling| Limit::SelfTest { ceiling }),
        ]
        .into_iter()
        .flatten()
        .chain(disturbed.map(|one| Limit::OtherTraffic {
            direction: one.direction,
            share: one.other_share,
        }))
        .collect()
    }
}

fn readings<const N: usize>(shares: [(Quantity, Option<Ppm>); N]) -> Vec<Reading> {
    shares
        .into_iter()
        .filter_map(|(quantity, share)| Some(Reading::value(quantity, Value::Share(share?))))
        .collect()
}

fn share(part: u128, whole: u128) -> Option<Ppm> {
    Ppm::of(u64::try_from(part).ok()?, u64::try_from(whole).ok()?)
}

/// Processor time of this process so far, in its own code and in the kernel's for it (getrusage(2)).
fn processor_time() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec().checked_mul(1_000_000)?;
        u64::try_from(micros.checked_add(time.tv_usec())?).ok()
    };
    let (user, kernel) = (micros(usage.user_time())?, micros(usage.system_time())?);
    Some(Duration::from_micros(user.checked_add(kernel)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::in_own_namespace;

    fn counters(rx_bytes: u64, rx_packets: u64, rx_errors: u64, tx_bytes: u64) -> Counters {
        Counters {
            rx_bytes,
            rx_packets,
            rx_errors,
            tx_bytes,
            ..Counters::default()
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn seen(before: &Counters, after: &Counters, carried: &[Carried]) -> Testimony {
        let mut testimony = Testimony::default();
        testimony.of_counters(before, after, carried, (SECOND, SECOND));
        testimony
    }

    fn carried(direction: Direction, payload: u64) -> Carried {
        Carried {
            direction,
            payload,
            again: 0,
        }
    }

    #[test]
    fn what_was_available_and_what_others_used_is_what_the_path_carried() {
        let before = counters(1_000, 10, 0, 500);
        let frames = |payload: f64| (payload * FRAMES_PER_PAYLOAD) as u64;
        let now = counters(1_000 + 4 * frames(1e6), 20, 0, 500 + frames(1e6));
        let both = [Direction::Down, Direction::Up].map(|one| carried(one, 1_000_000));
        let seen = seen(&before, &now, &both);
        let [down, up] = seen.traffic[..] else {
            panic!("{seen:?}");
        };
        let share = down.other_share.as_percent();
        assert!((74.9..75.1).contains(&share), "{share} %");
        assert_eq!(up.other_share, Ppm::from_ppm(0));
        for one in [down, up] {
            let sum = one.test.as_bps() + one.other.as_bps();
            assert_eq!(sum, one.together.as_bps());
        }
        assert_eq!(seen.of_port().len(), 2);
        let disturbed = seen.limits(None, None);
        assert!(
            matches!(
                disturbed[..],
                [Limit::OtherTraffic {
                    direction: Direction::Down,
                    ..
                }]
            ),
            "{disturbed:?}"
        );
    }

    #[test]
    fn broken_frames_are_a_share_of_all_that_came() {
        let seen = seen(
            &counters(0, 100, 3, 0),
            &counters(9_000, 190, 13, 0),
            &[carried(Direction::Down, 0)],
        );
        assert_eq!(seen.frame_errors, Some(Ppm::from_ppm(100_000)));
    }

    #[test]
    fn a_port_that_was_made_anew_meanwhile_says_nothing() {
        let (before, now) = (counters(9, 9, 9, 9), counters(0, 0, 0, 0));
        let seen = seen(&before, &now, &[carried(Direction::Up, 1)]);
        assert_eq!((seen.frame_errors, seen.traffic), (None, Vec::new()));
    }

    #[test]
    fn a_test_that_reached_a_limit_of_the_box_says_so() {
        let core = |ppm| {
            Some(BusyCore {
                core: 2,
                busy: Ppm::from_ppm(ppm),
            })
        };
        let mbps = |mbps| Some(BitRate::from_mbps(mbps));
        let box_of_100 = |ppm| Testimony {
            link_speed: mbps(100.0),
            core: core(ppm),
            ..Testimony::default()
        };
        let busy = box_of_100(970_000).limits(mbps(50.0), mbps(60.0));
        assert_eq!(busy, [Limit::Core(core(970_000).unwrap())]);
        let full = box_of_100(940_000).limits(mbps(94.0), mbps(900.0));
        let speed = BitRate::from_mbps(100.0);
        assert_eq!(full, [Limit::Link { speed }]);
        let slow = box_of_100(0).limits(mbps(55.0), mbps(60.0));
        let ceiling = BitRate::from_mbps(60.0);
        assert_eq!(slow, [Limit::SelfTest { ceiling }]);
        assert_eq!(box_of_100(0).limits(None, mbps(1.0)), []);
    }

    #[test]
    fn a_thread_at_work_is_seen_and_a_missing_port_is_not() {
        in_own_namespace(async || {
            let witness = Witness::begin(Some("nosuch0"));
            let until = Instant::now() + Duration::from_millis(400);
            let mut turns = 0_u64;
            while Instant::now() < until {
                turns = std::hint::black_box(turns + 1);
            }
            witness.look();
            let seen = witness.end(&[carried(Direction::Down, 0)], SECOND);
            assert!(seen.process.unwrap() > Ppm::from_ppm(0), "{seen:?}");
            assert!(seen.thread.unwrap() > Ppm::from_ppm(100_000), "{seen:?}");
            assert!(seen.core.unwrap().busy > Ppm::from_ppm(100_000), "{seen:?}");
            assert_eq!((seen.frame_errors, seen.counters), (None, None));
            assert_eq!(seen.of_port(), []);
            assert_eq!(seen.of_box().len(), 2);
        });
    }
}
