//! The places of the ndt7 test server: so many tests at one time, and one of each source address.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most ndt7 tests at one time; more are told to come again. Each moves up to a gigabit per second.
pub(super) const MAX_TESTS: usize = 4;

/// Who is being served.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    running: Arc<Mutex<HashSet<IpAddr>>>,
}

/// A place; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    source: IpAddr,
}

impl Places {
    /// A place for a test of this peer; `None` where all are taken, or where it runs one already.
    pub(super) fn take(&self, peer: SocketAddr) -> Option<Place> {
        let source = peer.ip().to_canonical();
        let mut running = self.running();
        (running.len() < MAX_TESTS && running.insert(source)).then(|| Place {
            places: self.clone(),
            source,
        })
    }

    fn running(&self) -> MutexGuard<'_, HashSet<IpAddr>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.running().remove(&self.source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], port))
    }

    #[test]
    fn a_source_address_runs_one_test_at_a_time() {
        let places = Places::default();
        let first = places.take(peer(1, 1_000)).unwrap();
        assert!(places.take(peer(1, 1_001)).is_none());
        assert!(
            places
                .take(([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201], 1).into())
                .is_none()
        );
        assert!(places.take(peer(2, 1_000)).is_some());
        drop(first);
        assert!(places.take(peer(1, 1_002)).is_some());
    }

    #[test]
    fn no_more_tests_run_than_there_are_places() {
        let places = Places::default();
        let mut taken: Vec<Place> = (1..=MAX_TESTS as u8)
            .map(|host| places.take(peer(host, 1)).unwrap())
            .collect();
        assert!(places.take(peer(200, 1)).is_none());
        taken.pop();
        assert!(places.take(peer(200, 1)).is_some());
    }
}
