//! The stateful reflector (RFC 8762, section 4.3) without its socket: one counter per session.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Key;
use super::codec::{ErrorEstimate, Reflected, Ssid, Test, Timestamp};
use crate::stamps::Moment;

/// How many sessions a reflector keeps, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at one time, at most.
    pub sessions: usize,
    /// Sessions of one source address at one time, at most: no stranger fills the table alone.
    pub sessions_of_source: usize,
    /// How long a session lasts without a packet (REFWAIT of RFC 5357, section 4.2).
    pub idle: Duration,
    /// How long a session must have been silent before a new one may take its place in a full table.
    /// Without this, a flood of forged addresses would wipe out the counters of honest sessions.
    pub protected: Duration,
}

impl Default for Limits {
    /// 16 384 sessions (some 2 MB), 64 of one source (a school's agents behind one address, with a
    /// burst a minute each), 900 s as in RFC 5357, and 10 s of protection.
    fn default() -> Self {
        Self {
            sessions: 16_384,
            sessions_of_source: 64,
            idle: Duration::from_mins(15),
            protected: Duration::from_secs(10),
        }
    }
}

/// A test packet as it arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) source: SocketAddr,
    /// T2 on this host's clock.
    pub(super) at: Timestamp,
    /// TTL or hop limit; 255 where the system does not tell, as RFC 5357, section 4.2.1 has it.
    pub(super) ttl: u8,
}

/// The counters of all sessions.
pub(super) struct Reflector {
    limits: Limits,
    key: Option<Key>,
    port: u16,
    sources: HashMap<IpAddr, Sessions>,
    /// How many sessions all sources have together.
    sessions: usize,
    /// No session was last used before this moment, so that a full table needs no search while all
    /// its sessions are protected.
    oldest: Moment,
}

/// The sessions of one source address, by its port and the session's own number.
type Sessions = HashMap<(u16, Ssid), State>;

struct State {
    next: u32,
    used: Moment,
}

impl Reflector {
    /// A reflector on `port`; with a key, for authenticated sessions alone.
    pub(super) fn new(limits: Limits, key: Option<Key>, port: u16) -> Self {
        Self {
            limits,
            key,
            port,
            sources: HashMap::new(),
            sessions: 0,
            oldest: Moment::ZERO,
        }
    }

    /// The reply to a packet, stamped to leave at `leaves`; `None` where none is due:
    ///
    /// 1. The packet is shorter than 41 octets, what a TWAMP-Light sender sends whose packets are as long as
    ///    their replies (RFC 5357, section 4.2.1). Others may send less (RFC 8762, section 4.6), but the reply
    ///    would be longer than the question, and forged questions would make this an amplifier.
    /// 2. It comes from our own port or from [`super::PORT`]: another reflector's reply. Two
    ///    reflectors would answer each other for ever.
    /// 3. There is a key, and the packet is not sealed with it.
    /// 4. The table, or the source's part of it, is full of sessions that are still at work.
    ///
    /// The reply is as long as the packet (RFC 8762, section 4.3): octets beyond the base packet are
    /// returned as they came, as padding. Extensions (RFC 8972, section 4) therefore return with the U flag
    /// that their sender has set: not understood here.
    pub(super) fn reflect(
        &mut self,
        now: Moment,
        packet: Received<'_>,
        leaves: Timestamp,
    ) -> Option<Vec<u8>> {
        let test = Test::decode(packet.bytes, self.key.as_ref())?;
        let port = packet.source.port();
        if port == self.port || port == super::PORT {
            return None;
        }
        let sequence = self.count(now, packet.source, test.ssid)?;
        let reflected = Reflected {
            sequence,
            sent: leaves,
            error: ErrorEstimate::OURS,
            ssid: test.ssid,
            received: packet.at,
            test,
            ttl: packet.ttl,
        };
        let mut reply = packet.bytes.to_vec();
        let base = reflected.encode(self.key.as_ref());
        reply
            .iter_mut()
            .zip(base.octets())
            .for_each(|(octet, value)| *octet = *value);
        Some(reply)
    }

    /// The next number of a session, which is made where there is none.
    fn count(&mut self, now: Moment, source: SocketAddr, ssid: Ssid) -> Option<u32> {
        let (address, key) = (source.ip(), (source.port(), ssid));
        let (mut known, mut of_source) = (false, 0);
        if let Some(sessions) = self.sources.get_mut(&address) {
            if let Some(state) = sessions.get_mut(&key) {
                if now.saturating_sub(state.used) < self.limits.idle {
                    let sequence = state.next;
                    state.next = state.next.wrapping_add(1);
                    state.used = now;
                    return Some(sequence);
                }
                known = true;
            }
            of_source = sessions.len();
        }
        if !known {
            if of_source >= self.limits.sessions_of_source {
                let (key, used) = longest_silent(self.sources.get(&address)?)?;
                self.is_replaceable(now, used).then_some(())?;
                self.remove(address, key);
            } else if self.sessions >= self.limits.sessions {
                self.make_room(now)?;
            }
            self.sessions += 1;
        }
        let sessions = self.sources.entry(address).or_default();
        sessions.insert(key, State { next: 1, used: now });
        Some(0)
    }

    /// Takes the session that was silent longest out of the table, if it was silent long enough.
    fn make_room(&mut self, now: Moment) -> Option<()> {
        if !self.is_replaceable(now, self.oldest) {
            return None;
        }
        let (address, key, used) = self
            .sources
            .iter()
            .filter_map(|(address, sessions)| {
                longest_silent(sessions).map(|(key, used)| (*address, key, used))
            })
            .min_by_key(|(_, _, used)| *used)?;
        self.oldest = used;
        self.is_replaceable(now, used).then_some(())?;
        self.remove(address, key);
        Some(())
    }

    fn is_replaceable(&self, now: Moment, used: Moment) -> bool {
        now.saturating_sub(used) >= self.limits.protected
    }

    fn remove(&mut self, address: IpAddr, key: (u16, Ssid)) {
        if let Some(sessions) = self.sources.get_mut(&address) {
            self.sessions -= usize::from(sessions.remove(&key).is_some());
            if sessions.is_empty() {
                self.sources.remove(&address);
            }
        }
    }
}

fn longest_silent(sessions: &Sessions) -> Option<((u16, Ssid), Moment)> {
    sessions
        .iter()
        .map(|(key, state)| (*key, state.used))
        .min_by_key(|(_, used)| *used)
}

#[cfg(test)]
mod tests {
    use super::super::codec::{LENGTH, TWAMP_LENGTH};
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        sessions: 2,
        sessions_of_source: 2,
        idle: Duration::from_mins(15),
        protected: Duration::from_secs(10),
    };

    const fn s(seconds: u64) -> Moment {
        Duration::from_secs(seconds)
    }

    fn ask(reflector: &mut Reflector, now: Moment, port: u16, ssid: u16) -> Option<u32> {
        ask_from(reflector, now, [192, 0, 2, 1], port, ssid)
    }

    fn ask_from(
        reflector: &mut Reflector,
        now: Moment,
        address: [u8; 4],
        port: u16,
        ssid: u16,
    ) -> Option<u32> {
        let test = Test {
            sequence: 77,
            sent: Timestamp(1),
            error: ErrorEstimate::OURS,
            ssid: Ssid(ssid),
        };
        answer_from(
            reflector,
            now,
            (address, port).into(),
            test.encode(None).octets(),
        )
        .and_then(|reply| Reflected::decode(&reply, None))
        .map(|reply| reply.sequence)
    }

    fn answer(reflector: &mut Reflector, now: Moment, port: u16, bytes: &[u8]) -> Option<Vec<u8>> {
        answer_from(reflector, now, ([192, 0, 2, 1], port).into(), bytes)
    }

    fn answer_from(
        reflector: &mut Reflector,
        now: Moment,
        source: SocketAddr,
        bytes: &[u8],
    ) -> Option<Vec<u8>> {
        let packet = Received {
            bytes,
            source,
            at: Timestamp(2),
            ttl: 61,
        };
        reflector.reflect(now, packet, Timestamp(3))
    }

    #[test]
    fn each_session_counts_its_own_packets() {
        let mut reflector = Reflector::new(Limits::default(), None, 862);
        assert_eq!(ask(&mut reflector, s(0), 1000, 5), Some(0));
        assert_eq!(ask(&mut reflector, s(0), 1000, 5), Some(1));
        assert_eq!(ask(&mut reflector, s(0), 1000, 6), Some(0));
        assert_eq!(ask(&mut reflector, s(0), 1001, 5), Some(0));
        assert_eq!(ask(&mut reflector, s(1), 1000, 5), Some(2));
    }

    #[test]
    fn the_reply_carries_the_test_packet_and_its_times() {
        let mut reflector = Reflector::new(Limits::default(), None, 862);
        let test = Test {
            sequence: 9,
            sent: Timestamp(8),
            error: ErrorEstimate(7),
            ssid: Ssid(6),
        };
        let reply = answer(&mut reflector, s(0), 1000, test.encode(None).octets()).unwrap();
        let reply = Reflected::decode(&reply, None).unwrap();
        assert_eq!(reply.test, test);
        assert_eq!((reply.received, reply.sent), (Timestamp(2), Timestamp(3)));
        assert_eq!((reply.ttl, reply.ssid), (61, Ssid(6)));
    }

    #[test]
    fn an_idle_session_starts_again() {
        let mut reflector = Reflector::new(LIMITS, None, 862);
        assert_eq!(ask(&mut reflector, s(0), 1000, 5), Some(0));
        assert_eq!(ask(&mut reflector, s(899), 1000, 5), Some(1));
        assert_eq!(ask(&mut reflector, s(1799), 1000, 5), Some(0));
    }

    #[test]
    fn a_full_table_gives_up_the_longest_silent_session_but_none_at_work() {
        let mut reflector = Reflector::new(LIMITS, None, 862);
        assert_eq!(ask(&mut reflector, s(0), 1, 0), Some(0));
        assert_eq!(ask(&mut reflector, s(5), 2, 0), Some(0));
        assert_eq!(ask(&mut reflector, s(9), 3, 0), None);
        assert_eq!(ask(&mut reflector, s(10), 3, 0), Some(0));
        assert_eq!(ask(&mut reflector, s(11), 2, 0), Some(1));
        assert_eq!(ask(&mut reflector, s(12), 1, 0), None);
        assert!(reflector.sessions <= 2);
    }

    #[test]
    fn one_source_address_cannot_fill_the_table() {
        let limits = Limits::default();
        let mut reflector = Reflector::new(limits, None, 9000);
        for port in 1_000..60_000 {
            ask(&mut reflector, s(0), port, 0);
        }
        assert_eq!(reflector.sessions, limits.sessions_of_source);
        let other = [192, 0, 2, 2];
        assert_eq!(ask_from(&mut reflector, s(1), other, 1_000, 0), Some(0));
        assert_eq!(ask_from(&mut reflector, s(2), other, 1_000, 0), Some(1));
    }

    #[test]
    fn a_source_at_its_cap_gives_up_its_own_longest_silent_session_but_none_at_work() {
        let limits = Limits {
            sessions: 100,
            ..LIMITS
        };
        let mut reflector = Reflector::new(limits, None, 862);
        let other = [192, 0, 2, 2];
        assert_eq!(ask_from(&mut reflector, s(0), other, 1, 0), Some(0));
        assert_eq!(ask(&mut reflector, s(1), 1, 0), Some(0));
        assert_eq!(ask(&mut reflector, s(5), 2, 0), Some(0));
        assert_eq!(ask(&mut reflector, s(9), 3, 0), None);
        assert_eq!(ask(&mut reflector, s(11), 3, 0), Some(0));
        assert_eq!(ask(&mut reflector, s(12), 2, 0), Some(1));
        assert_eq!(ask_from(&mut reflector, s(13), other, 1, 0), Some(1));
        assert_eq!(reflector.sessions, 3);
    }

    #[test]
    fn another_reflector_is_not_answered() {
        let mut reflector = Reflector::new(Limits::default(), None, 9000);
        assert_eq!(ask(&mut reflector, s(0), 862, 0), None);
        assert_eq!(ask(&mut reflector, s(0), 9000, 0), None);
    }

    #[test]
    fn padding_is_returned_as_it_came() {
        let mut reflector = Reflector::new(Limits::default(), None, 862);
        let mut bytes = vec![0; LENGTH];
        bytes.extend(b"padding");
        let reply = answer(&mut reflector, s(0), 1000, &bytes).unwrap();
        assert_eq!(reply[LENGTH..], *b"padding");
    }

    #[test]
    fn packets_of_a_twamp_light_sender_with_random_padding_are_one_session() {
        let mut reflector = Reflector::new(Limits::default(), None, 862);
        for n in 0..5_u8 {
            let mut packet = vec![n.wrapping_mul(37) | 1; TWAMP_LENGTH];
            packet[..4].copy_from_slice(&[0, 0, 0, n]);
            let reply = answer(&mut reflector, s(0), 1000, &packet).unwrap();
            assert_eq!(reply.len(), TWAMP_LENGTH);
            let reply = Reflected::decode(&reply, None).unwrap();
            assert_eq!((reply.sequence, reply.test.sequence), (n.into(), n.into()));
            assert_eq!((reply.ttl, reply.ssid), (61, Ssid(0)));
        }
    }

    #[test]
    fn with_a_key_only_what_is_sealed_with_it_is_answered() {
        let key = Key::new(b"a key of sixteen").unwrap();
        let mut reflector = Reflector::new(Limits::default(), Some(key.clone()), 862);
        let test = Test {
            sequence: 9,
            sent: Timestamp(8),
            error: ErrorEstimate(7),
            ssid: Ssid(6),
        };
        let other = Key::new(b"another sixteen!").unwrap();
        let open = test.encode(None);
        let forged = test.encode(Some(&other));
        for packet in [open, forged] {
            assert_eq!(answer(&mut reflector, s(0), 1000, packet.octets()), None);
        }
        assert_eq!(reflector.sessions, 0);
        let reply = answer(&mut reflector, s(0), 1000, test.encode(Some(&key)).octets());
        let reply = Reflected::decode(&reply.unwrap(), Some(&key)).unwrap();
        assert_eq!((reply.sequence, reply.test, reply.ttl), (0, test, 61));
    }

    proptest! {
        #[test]
        fn no_packet_is_answered_with_more_bytes_than_it_had(
            bytes in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            let mut reflector = Reflector::new(Limits::default(), None, 862);
            let reply = answer(&mut reflector, s(0), 1000, &bytes);
            prop_assert_eq!(
                reply.map(|r| r.len()),
                (bytes.len() >= TWAMP_LENGTH).then_some(bytes.len())
            );
        }
    }
}
