//! What the measuring box saw of itself while a capacity test ran: broken frames and foreign bytes on its
//! port, and its own work. Without it a slow test could as well be the fault of the box.

use std::time::{Duration, Instant};

use messnetz_metric::{Direction, Ppm, Quantity, Reading, Value};
use nix::sys::resource::{UsageWho, getrusage};

use crate::link::{self, Counters};

/// Bytes that an interface counts for each byte that ndt7 delivers: 1448 bytes of payload in 1514 of frame
/// (IEEE 802.3 without FCS, RFC 7323), and about 1 % for TLS records and WebSocket frames.
const FRAMES_PER_PAYLOAD: f64 = 1514.0 / 1448.0 * 1.01;

/// Looks at the box when a capacity test begins.
#[derive(Debug)]
pub struct Witness {
    began: Instant,
    processor: Option<Duration>,
    port: Option<(String, Counters)>,
}

/// What a [`Witness`] saw until the end; nothing where the kernel did not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Testimony {
    /// Share of the frames received that were broken.
    pub frame_errors: Option<Ppm>,
    /// Share of the bytes in the test's direction that were not the test's.
    pub other_traffic: Option<Ppm>,
    /// Share of one processor that this process used; the whole where it used more than one.
    pub cpu: Option<Ppm>,
}

impl Witness {
    /// Begins to look, at `interface` where one is known.
    #[must_use]
    pub fn begin(interface: Option<&str>) -> Self {
        let port = interface.and_then(|name| Some((name.to_owned(), link::counters(name).ok()?)));
        Self {
            began: Instant::now(),
            processor: processor_time(),
            port,
        }
    }

    /// What was seen, after a test that delivered `payload` bytes within `during`. Whatever else of it was
    /// still under way before and after is taken to have come at the same rate, and `again` are the bytes
    /// that this box sent again.
    #[must_use]
    pub fn end(
        self,
        direction: Direction,
        payload: u64,
        during: Duration,
        again: u64,
    ) -> Testimony {
        let all = self.began.elapsed();
        let longer = all.as_secs_f64() / during.as_secs_f64().max(f64::MIN_POSITIVE);
        let payload = (payload as f64 * longer.max(1.0)) as u64;
        let payload = payload.saturating_add(again);
        let used = processor_time()
            .zip(self.processor)
            .map(|(now, before)| now.saturating_sub(before));
        let of_port = self.port.and_then(|(name, before)| {
            let now = link::counters(&name).ok()?;
            Some(of_port(&before, &now, direction, payload))
        });
        Testimony {
            cpu: used.and_then(|used| share(used.as_micros(), all.as_micros())),
            ..of_port.unwrap_or_default()
        }
    }
}

impl Testimony {
    /// What it says of the port.
    #[must_use]
    pub fn of_port(&self) -> Vec<Reading> {
        readings([
            (Quantity::FrameErrors, self.frame_errors),
            (Quantity::OtherTraffic, self.other_traffic),
        ])
    }

    /// What it says of the box.
    #[must_use]
    pub fn of_box(&self) -> Vec<Reading> {
        readings([(Quantity::Cpu, self.cpu)])
    }
}

fn readings<const N: usize>(shares: [(Quantity, Option<Ppm>); N]) -> Vec<Reading> {
    shares
        .into_iter()
        .filter_map(|(quantity, share)| Some(Reading::value(quantity, Value::Share(share?))))
        .collect()
}

/// The difference of two readings of the counters; what was restarted between them says nothing.
fn of_port(before: &Counters, now: &Counters, direction: Direction, payload: u64) -> Testimony {
    let more = |counter: fn(&Counters) -> u64| counter(now).checked_sub(counter(before));
    let errors = more(|counters| counters.rx_errors);
    let frames = more(|counters| counters.rx_packets);
    let bytes = match direction {
        Direction::Down => more(|counters| counters.rx_bytes),
        Direction::Up => more(|counters| counters.tx_bytes),
    };
    let own = (payload as f64 * FRAMES_PER_PAYLOAD) as u64;
    Testimony {
        // Linux counts broken frames apart from those that were received (rtnl_link_stats64).
        frame_errors: errors
            .zip(frames)
            .and_then(|(errors, frames)| Ppm::of(errors, frames.saturating_add(errors))),
        other_traffic: bytes.and_then(|bytes| Ppm::of(bytes.saturating_sub(own), bytes)),
        cpu: None,
    }
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

    #[test]
    fn bytes_that_the_test_did_not_bring_are_others() {
        let before = counters(1_000, 10, 0, 500);
        let frames = |payload: f64| (payload * FRAMES_PER_PAYLOAD) as u64;
        let now = counters(1_000 + 4 * frames(1e6), 10, 0, 500 + frames(1e6));
        let seen = |direction| of_port(&before, &now, direction, 1_000_000).other_traffic;
        let share = seen(Direction::Down).unwrap().as_percent();
        assert!((74.9..75.1).contains(&share), "{share} %");
        assert_eq!(seen(Direction::Up), Some(Ppm::from_ppm(0)));
    }

    #[test]
    fn broken_frames_are_a_share_of_all_that_came() {
        let seen = of_port(
            &counters(0, 100, 3, 0),
            &counters(9_000, 190, 13, 0),
            Direction::Down,
            0,
        );
        assert_eq!(seen.frame_errors, Some(Ppm::from_ppm(100_000)));
    }

    #[test]
    fn a_port_that_was_made_anew_meanwhile_says_nothing() {
        let (before, now) = (counters(9, 9, 9, 9), counters(0, 0, 0, 0));
        let seen = of_port(&before, &now, Direction::Up, 1);
        assert_eq!(seen, Testimony::default());
    }

    #[test]
    fn work_of_this_process_is_seen_and_a_missing_port_is_not() {
        in_own_namespace(async || {
            let witness = Witness::begin(Some("nosuch0"));
            let until = Instant::now() + Duration::from_millis(200);
            let mut turns = 0_u64;
            while Instant::now() < until {
                turns = std::hint::black_box(turns + 1);
            }
            let seen = witness.end(Direction::Down, 0, Duration::from_millis(200), 0);
            assert!(seen.cpu.unwrap() > Ppm::from_ppm(0), "{seen:?}");
            assert_eq!((seen.frame_errors, seen.other_traffic), (None, None));
            assert_eq!(seen.of_port(), []);
            assert_eq!(seen.of_box().len(), 1);
        });
    }
}
