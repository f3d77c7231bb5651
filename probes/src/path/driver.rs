//! The socket and the clock of one look along a path.

use std::time::{Instant, SystemTime};

use messnetz_metric::Failure;

use super::trace::{self, Response, Trace};
use super::wire::{Event, Wire};
use super::{Hop, PathProbe, PathReport};
use crate::failure::from_io;
use crate::socket;

/// Bytes of a packet, with its IP header: what traceroute sends.
const SIZE: usize = 60;

/// Asks every hop of a path, and tells each, in order, as soon as all about it is known.
///
/// It takes at most `queries * max_hops * timeout` where routers quote so little that one packet at a time
/// is sent; otherwise a sixteenth of that, and less where hops answer.
///
/// # Errors
/// [`messnetz_metric::FailureReason::Permission`] where this process may open no ICMP socket and was
/// asked to; [`messnetz_metric::FailureReason::Interface`] where the interface does not exist or is down;
/// [`messnetz_metric::FailureReason::Unreachable`] where there is no route. That nobody answers is not an
/// error, but a path of hops without answers.
pub async fn measure(
    probe: &PathProbe,
    mut on_hop: impl FnMut(&Hop),
) -> Result<PathReport, Failure> {
    let wire = Wire::open(probe)?;
    let mut trace = Trace::new(probe);
    let mut hops = Vec::new();
    let start = Instant::now();
    loop {
        while let Some(next) = trace.poll_transmit(start.elapsed()) {
            let (mut now, mut wall) = (start.elapsed(), SystemTime::now());
            let mut sent = wire.send(next.number, next.ttl, SIZE);
            if sent.is_err() {
                // It may be the answer to an earlier packet that the socket tells about now (ip(7),
                // IP_RECVERR). Taking that from the queue clears it.
                wire.take(&mut |event| trace.handle(response(event), start.elapsed()));
                (now, wall) = (start.elapsed(), SystemTime::now());
                sent = wire.send(next.number, next.ttl, SIZE);
            }
            match sent {
                Ok(()) => trace.sent(next.number, now, wall),
                Err(error) if next.number > 0 || socket::is_full(&error) => {
                    trace.refused(next.number);
                }
                Err(error) => return Err(from_io(wire.attempt(), &error)),
            }
        }
        while let Some(hop) = trace.poll_hop() {
            on_hop(&hop);
            hops.push(hop);
        }
        if trace.is_complete() {
            break;
        }
        let now = start.elapsed();
        let due = trace.poll_timeout(now);
        tokio::select! {
            received = wire.receive(|event| trace.handle(response(event), start.elapsed())) => received?,
            () = tokio::time::sleep(due.saturating_sub(now)) => {}
        }
    }
    Ok(PathReport {
        target: probe.target,
        method: probe.method,
        end: trace::end(&hops),
        hops,
    })
}

fn response(event: Event) -> Response {
    Response {
        number: event.number,
        from: event.from,
        says: event.says,
        stamp: event.stamp,
    }
}
