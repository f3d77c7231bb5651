//! A relay between agent and collector that cuts a connection after a number of bytes.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the agent to the collector.
    There,
    /// Back.
    Back,
}

/// How a connection ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both ends are told (FIN).
    Closed,
    /// Both ends are told roughly (RST).
    Reset,
    /// Nobody is told: what comes later is swallowed.
    Silent,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// It passes.
    Pass,
    /// It passes in little pieces with a rest after each.
    Slow { piece: usize, rest: Duration },
    /// It ends after so many bytes of one way.
    Cut { way: Way, after: u64, end: End },
}

/// What passed of a connection that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    pub(super) there: u64,
    pub(super) back: u64,
    /// Whether its plan cut it.
    pub(super) cut: bool,
}

/// A relay until the test ends.
pub(super) struct Relay {
    /// Where agents knock.
    pub(super) port: u16,
    plans: Arc<Mutex<VecDeque<Plan>>>,
    passed: Receiver<Passed>,
}

impl Relay {
    /// Relays to the collector's door.
    pub(super) fn to(door: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let plans: Arc<Mutex<VecDeque<Plan>>> = Arc::default();
        let (tell, passed) = channel();
        let relayed = Arc::clone(&plans);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let plan = relayed.lock().unwrap().pop_front().unwrap_or(Plan::Pass);
                let door = SocketAddr::from(([127, 0, 0, 1], door));
                // A collector that is away is the agent's to notice.
                if let Ok(far) = TcpStream::connect(door) {
                    relay(&near, &far, plan, &tell);
                }
            }
        });
        Self {
            port,
            plans,
            passed,
        }
    }

    /// What becomes of the next connections; later ones pass.
    pub(super) fn plan(&self, plans: impl IntoIterator<Item = Plan>) {
        let mut waiting = self.plans.lock().unwrap();
        waiting.clear();
        waiting.extend(plans);
    }

    /// The connections that ended since this was asked last.
    pub(super) fn passed(&self) -> Vec<Passed> {
        self.passed.try_iter().collect()
    }

    /// Waits for the next connection that is over or cut.
    pub(super) fn next(&self) -> Passed {
        self.passed.recv_timeout(Duration::from_mins(1)).unwrap()
    }
}

/// What the two directions of a connection share.
struct Shared {
    plan: Plan,
    there: AtomicU64,
    back: AtomicU64,
    cut: AtomicBool,
    open: AtomicU64,
    tell: Sender<Passed>,
}

impl Shared {
    fn tell(&self) {
        let _ = self.tell.send(Passed {
            there: self.there.load(Ordering::SeqCst),
            back: self.back.load(Ordering::SeqCst),
            cut: self.cut.load(Ordering::SeqCst),
        });
    }
}

fn relay(near: &TcpStream, far: &TcpStream, plan: Plan, tell: &Sender<Passed>) {
    let shared = Arc::new(Shared {
        plan,
        there: AtomicU64::new(0),
        back: AtomicU64::new(0),
        cut: AtomicBool::new(false),
        open: AtomicU64::new(2),
        tell: tell.clone(),
    });
    for way in [Way::There, Way::Back] {
        let (near, far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || {
            match way {
                Way::There => pump(&near, &far, way, &shared),
                Way::Back => pump(&far, &near, way, &shared),
            }
            // A connection that was cut was told of at once.
            let last = shared.open.fetch_sub(1, Ordering::SeqCst) == 1;
            if last && !shared.cut.load(Ordering::SeqCst) {
                shared.tell();
            }
        });
    }
}

/// Moves bytes one way until the connection is over.
fn pump(mut from: &TcpStream, mut to: &TcpStream, way: Way, shared: &Shared) {
    let passed = match way {
        Way::There => &shared.there,
        Way::Back => &shared.back,
    };
    let mut buffer = [0; 16 * 1024];
    loop {
        let piece = match shared.plan {
            Plan::Slow { piece, .. } => piece.min(buffer.len()),
            Plan::Pass | Plan::Cut { .. } => buffer.len(),
        };
        let left = match shared.plan {
            Plan::Cut {
                way: cut, after, ..
            } if cut == way => Some(after.saturating_sub(passed.load(Ordering::SeqCst))),
            _ => None,
        };
        if left == Some(0) && !shared.cut.swap(true, Ordering::SeqCst) {
            end(from, to, shared);
        }
        let count = match from.read(&mut buffer[..piece]) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        if shared.cut.load(Ordering::SeqCst) {
            continue;
        }
        let count = left.map_or(count, |left| count.min(usize::try_from(left).unwrap()));
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        passed.fetch_add(count as u64, Ordering::SeqCst);
        if let Plan::Slow { rest, .. } = shared.plan {
            std::thread::sleep(rest);
        }
    }
    // What is to be reset must not be told of its end before.
    let resets = matches!(
        shared.plan,
        Plan::Cut {
            end: End::Reset,
            ..
        }
    );
    if !(resets && shared.cut.load(Ordering::SeqCst)) {
        let _ = to.shutdown(Shutdown::Write);
    }
}

/// Cuts a connection as planned, and tells of it.
fn end(from: &TcpStream, to: &TcpStream, shared: &Shared) {
    if let Plan::Cut { end, .. } = shared.plan {
        for stream in [from, to] {
            let _ = match end {
                End::Closed => stream.shutdown(Shutdown::Both),
                // With nothing to linger for, closing it resets it; reading ends so that it is closed.
                End::Reset => socket2::SockRef::from(stream)
                    .set_linger(Some(Duration::ZERO))
                    .and_then(|()| stream.shutdown(Shutdown::Read)),
                End::Silent => Ok(()),
            };
        }
    }
    shared.tell();
}
