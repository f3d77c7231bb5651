//! Where clients wait and where the connections of running tests find each other.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::iperf3::codec::Cookie;
use crate::iperf3::turns::{Place, Reception, Ticket, Turns};
use crate::stamps::Moment;

/// Connections of one test that were accepted and not yet taken: both directions of the largest test.
const STREAMS: usize = 256;

/// Greetings of datagram streams that were received and not yet answered.
const GREETINGS: usize = 16;

/// A connection in the order in which it was accepted: streams are told apart by that alone.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) number: u64,
    pub(super) stream: TcpStream,
}

/// A greeting of a datagram stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Greeting {
    pub(super) from: SocketAddr,
    pub(super) hello: [u8; 4],
}

/// What all clients of one server share.
#[derive(Debug)]
pub(super) struct Hall {
    start: Instant,
    turns: Mutex<Turns>,
    /// Tests that wait for their streams.
    tests: Mutex<HashMap<Cookie, mpsc::Sender<Incoming>>>,
    /// Tests that wait for datagram streams, by the address of the client: greetings carry nothing else.
    greeted: Mutex<HashMap<IpAddr, mpsc::Sender<Greeting>>>,
    /// Changes whenever somebody leaves.
    left: watch::Sender<u64>,
}

impl Hall {
    pub(super) fn new(seats: usize, queue: usize) -> Self {
        Self {
            start: Instant::now(),
            turns: Mutex::new(Turns::new(seats, queue)),
            tests: Mutex::default(),
            greeted: Mutex::default(),
            left: watch::Sender::new(0),
        }
    }

    /// Gives a connection to the test that it belongs to; back where there is none.
    pub(super) fn give(&self, cookie: &Cookie, incoming: Incoming) -> Option<Incoming> {
        let tests = locked(&self.tests);
        let Some(test) = tests.get(cookie) else {
            return Some(incoming);
        };
        // More connections than the test has streams are closed.
        let _ = test.try_send(incoming);
        None
    }

    /// Tells the test that waits for this client's datagrams, if one does.
    pub(super) fn greet(&self, from: SocketAddr, octets: &[u8]) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let Some(&hello) = octets.first_chunk() else {
            return;
        };
        if let Some(test) = locked(&self.greeted).get(&from.ip()) {
            let _ = test.try_send(Greeting { from, hello });
        }
    }

    /// A seat, a place in the queue, or nothing.
    pub(super) fn enter(self: &Arc<Self>, cookie: &Cookie) -> Option<Seat> {
        let reception = locked(&self.turns).enter(self.now(), cookie.planned(), cookie.can_wait());
        let (ticket, is_waiting) = match reception {
            Reception::Admitted(ticket) => (ticket, false),
            Reception::Waiting(ticket) => (ticket, true),
            Reception::Refused => return None,
        };
        Some(Seat {
            hall: Arc::clone(self),
            ticket,
            is_waiting,
            left: self.left.subscribe(),
        })
    }

    /// Connections with this cookie are streams from now on.
    pub(super) fn expect(self: &Arc<Self>, cookie: Cookie) -> Expected<Cookie, Incoming> {
        let (sender, receiver) = mpsc::channel(STREAMS);
        locked(&self.tests).insert(cookie, sender);
        Expected {
            hall: Arc::clone(self),
            key: cookie,
            forget: |hall, cookie| {
                locked(&hall.tests).remove(cookie);
            },
            receiver,
        }
    }

    /// Greetings from this address are streams from now on. Waits while another test of the same address
    /// does so, which happens where several clients share one.
    pub(super) async fn expect_greetings(
        self: &Arc<Self>,
        address: IpAddr,
    ) -> Expected<IpAddr, Greeting> {
        let mut left = self.left.subscribe();
        loop {
            {
                let mut greeted = locked(&self.greeted);
                if let std::collections::hash_map::Entry::Vacant(entry) = greeted.entry(address) {
                    let (sender, receiver) = mpsc::channel(GREETINGS);
                    entry.insert(sender);
                    return Expected {
                        hall: Arc::clone(self),
                        key: address,
                        forget: |hall, address| {
                            locked(&hall.greeted).remove(address);
                        },
                        receiver,
                    };
                }
            }
            // The sender lives as long as this does.
            let _ = left.changed().await;
        }
    }

    fn now(&self) -> Moment {
        self.start.elapsed()
    }

    fn somebody_left(&self) {
        self.left
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Connections that belong to a test, until it is dropped.
pub(super) struct Expected<K, T> {
    hall: Arc<Hall>,
    key: K,
    forget: fn(&Hall, &K),
    receiver: mpsc::Receiver<T>,
}

impl<K, T> Expected<K, T> {
    /// The next of them.
    pub(super) async fn next(&mut self) -> Option<T> {
        self.receiver.recv().await
    }
}

impl<K, T> Drop for Expected<K, T> {
    fn drop(&mut self) {
        (self.forget)(&self.hall, &self.key);
        self.hall.somebody_left();
    }
}

/// A seat, or a place in the queue, that is free again once it is dropped.
pub(super) struct Seat {
    hall: Arc<Hall>,
    ticket: Ticket,
    is_waiting: bool,
    left: watch::Receiver<u64>,
}

impl Seat {
    /// The place in the queue; `None` once it is this client's turn.
    pub(super) fn place(&mut self) -> Option<Place> {
        if self.is_waiting {
            let now = self.hall.now();
            let mut turns = locked(&self.hall.turns);
            self.is_waiting = !turns.claim(self.ticket, now);
            if self.is_waiting {
                return turns.place(self.ticket, now);
            }
            drop(turns);
            // There may be room for the next one too.
            self.hall.somebody_left();
        }
        None
    }

    /// Returns when the place may have changed.
    pub(super) async fn changed(&mut self) {
        let _ = self.left.changed().await;
    }

    /// How long this test really lasts.
    pub(super) fn lasts(&self, planned: Duration) {
        locked(&self.hall.turns).lasts(self.ticket, self.hall.now(), planned);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        locked(&self.hall.turns).leave(self.ticket);
        self.hall.somebody_left();
    }
}

/// What is behind these locks is whole at every moment, whoever holds them.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
