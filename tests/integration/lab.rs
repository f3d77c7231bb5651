//! The laboratory itself: what it says about its lines must be true of them.

mod line;
mod rates;
mod town;
mod traces;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use messnetz::lab::{Counters, Direction, Lab, Link, LinkSpec, Namespace, Shape};
use messnetz_metric::{BitRate, Ppm};

pub(crate) fn enter() -> Lab {
    Lab::enter().unwrap_or_else(|error| {
        panic!("{error}\nput `unshare --user --map-root-user` before the command of the tests")
    })
}

/// Two hosts joined by one line.
struct Pair {
    near: Namespace,
    far: Namespace,
    link: Link,
}

impl Pair {
    fn new(spec: &LinkSpec) -> Self {
        let lab = enter();
        let (near, far) = (
            lab.namespace("near").unwrap(),
            lab.namespace("far").unwrap(),
        );
        let link = Link::join(&lab, (&near, "line"), (&far, "line"), spec).unwrap();
        // Neighbours that know each other: what waits for an address is sent out of order, and the
        // n-th packet would not be the n-th throw.
        for (namespace, last, other) in [(&near, 1, 2), (&far, 2, 1)] {
            let batch = format!(
                "link set line address 02:00:00:00:00:0{last}\n\
                 addr add {}/24 dev line\n\
                 addr add {}/64 dev line nodad\n\
                 neigh add {} lladdr 02:00:00:00:00:0{other} dev line\n\
                 neigh add {} lladdr 02:00:00:00:00:0{other} dev line\n",
                v4(last),
                v6(last),
                v4(other),
                v6(other)
            );
            namespace.ip(&batch).unwrap();
        }
        Self { near, far, link }
    }

    fn udp(namespace: &Namespace, address: impl Into<IpAddr>) -> UdpSocket {
        let address = SocketAddr::new(address.into(), 0);
        namespace.on(|| UdpSocket::bind(address)).unwrap().unwrap()
    }

    /// The counters once nothing is on the line any more.
    fn settled(&self, direction: Direction) -> Counters {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let counters = self.link.counters(direction);
            let accounted =
                counters.forwarded + counters.lost + counters.overflowed + counters.undelivered;
            if counters.packets == accounted {
                return counters;
            }
            assert!(Instant::now() < deadline, "still under way: {counters:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn v4(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 8, last)
}

fn v6(last: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 9, 0, 0, 0, u16::from(last))
}

/// A line that is fast both ways, with a one-way delay and a loss.
fn spec(delay: Duration, loss_ppm: u32, seed: u64) -> LinkSpec {
    let shape = Shape {
        loss: Ppm::from_ppm(loss_ppm),
        ..Shape::clean(BitRate::from_mbps(1000.0), delay)
    };
    LinkSpec {
        down: shape,
        up: shape,
        seed,
    }
}
