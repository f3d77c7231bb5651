//! Places of a server: so many in all, and so many of each source, so that no stranger takes them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who asks: an address, or of IPv6 the network of 64 bits that one host may choose its addresses from
/// (RFC 4291, section 2.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// The places of a server.
#[derive(Clone, Debug)]
pub struct Places {
    most: usize,
    of_source: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_source: HashMap<Source, usize>,
}

/// A place; free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    source: Source,
}

impl Places {
    /// So many places in all, and so many of each source.
    #[must_use]
    pub fn new(most: usize, of_source: usize) -> Self {
        Self {
            most,
            of_source,
            taken: Arc::default(),
        }
    }

    /// A place for this peer; `None` where all are taken, or as many as it may have.
    #[must_use]
    pub fn take(&self, peer: IpAddr) -> Option<Place> {
        let source = Source::from(peer);
        let mut taken = self.taken();
        let held = taken.by_source.get(&source).copied().unwrap_or_default();
        if taken.all >= self.most || held >= self.of_source {
            return None;
        }
        taken.all += 1;
        taken.by_source.insert(source, held + 1);
        Some(Place {
            places: self.clone(),
            source,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(held) = taken.by_source.get_mut(&self.source) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                taken.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_has_its_own_places_and_no_more() {
        let places = Places::new(4, 1);
        let first = places.take(peer("192.0.2.1")).unwrap();
        assert!(places.take(peer("192.0.2.1")).is_none());
        assert!(places.take(peer("::ffff:192.0.2.1")).is_none());
        assert!(places.take(peer("192.0.2.2")).is_some());
        drop(first);
        assert!(places.take(peer("192.0.2.1")).is_some());
        assert_eq!(places.taken().by_source.len(), 0, "nothing is kept");
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let places = Places::new(4, 1);
        let _first = places.take(peer("2001:db8:0:1::1")).unwrap();
        assert!(places.take(peer("2001:db8:0:1:ffff::2")).is_none());
        assert!(places.take(peer("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn no_more_are_served_than_there_are_places() {
        let places = Places::new(4, 2);
        let mut taken: Vec<Place> = (1..=4)
            .map(|host| places.take(IpAddr::from([192, 0, 2, host])).unwrap())
            .collect();
        assert!(places.take(peer("192.0.2.200")).is_none());
        taken.pop();
        assert!(places.take(peer("192.0.2.200")).is_some());
    }
}
