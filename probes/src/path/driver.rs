//! The socket and the clock of one look along a path.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use messnetz_metric::Failure;

use super::marking::{CLASSES, Listener, Marking};
use super::mtu::{PathMtu, Search};
use super::standing;
use super::trace::{self, Response, Trace};
use super::wire::{Event, Wire};
use super::{Finding, Hop, PathProbe, PathReport, Refusal, Says};
use crate::failure::from_io;
use crate::socket;

/// Bytes of a packet, with its IP header: what traceroute sends.
const SIZE: usize = 60;

/// How long a packet of the search for the path MTU waits at most: it is often not answered, by its nature.
const MTU_TIMEOUT: Duration = Duration::from_secs(1);

/// Packets to each hop with each class: the second one for where the first is lost.
const MARKED_QUERIES: u8 = 2;

/// Rest before each look along the path with a class: a router that runs Linux grants six error messages at
/// once and one a second after that (`icmp_ratelimit`, icmp(7)).
const REST: Duration = Duration::from_millis(2200);

/// Asks every hop of a path, and tells each, in order, as soon as all about it is known. Then come the
/// path MTU and the classes, where they were asked for.
///
/// The hops take at most `queries * max_hops * timeout` where routers quote so little that one packet at a
/// time is sent; otherwise a sixteenth of that, and less where hops answer.
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
    // What is not allowed is said before anything is sent.
    let listener = if probe.dscp {
        Some(Listener::open(probe.target, &probe.binding)?)
    } else {
        None
    };
    let hops = trace(&Wire::open(probe)?, Trace::new(probe), &mut on_hop).await?;
    let mtu = if probe.mtu {
        Some(path_mtu(probe, &hops).await?)
    } else {
        None
    };
    let markings = match listener {
        Some(listener) => markings(probe, &listener, hops.len() as u8).await?,
        None => Vec::new(),
    };
    let end = trace::end(&hops);
    let (hops, loss) = standing::judge(hops, end, probe.method);
    Ok(PathReport {
        target: probe.target,
        method: probe.method,
        end,
        hops,
        loss,
        mtu,
        markings,
    })
}

/// Asks every hop once.
async fn trace(
    wire: &Wire,
    mut trace: Trace,
    on_hop: &mut impl FnMut(&Hop),
) -> Result<Vec<Hop>, Failure> {
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
            return Ok(hops);
        }
        let now = start.elapsed();
        let due = trace.poll_timeout(now);
        tokio::select! {
            received = wire.receive(|event| trace.handle(response(event), start.elapsed())) => received?,
            () = tokio::time::sleep(due.saturating_sub(now)) => {}
        }
    }
}

/// Searches for the largest packet that passes to the last hop that answers.
async fn path_mtu(probe: &PathProbe, hops: &[Hop]) -> Result<Finding<PathMtu>, Failure> {
    let answering = hops
        .iter()
        .rev()
        .find_map(|hop| Some((hop.hop, hop.answers.first()?.from)));
    let (ttl, to) = answering.unwrap_or((super::MAX_HOPS, probe.target));
    let wire = Wire::open(probe)?;
    let mut search = Search::new(&probe.target, probe.timeout.min(MTU_TIMEOUT));
    let start = Instant::now();
    while !search.is_complete() {
        if let Some(ask) = search.poll_transmit(start.elapsed()) {
            let mut sent = wire.send(ask.number, ttl, ask.size.into());
            if sent.as_ref().is_err_and(|error| !is_too_big(error)) {
                wire.take(&mut |event| enter(&mut search, event, start));
                sent = wire.send(ask.number, ttl, ask.size.into());
            }
            match sent {
                Err(error) if is_too_big(&error) => {
                    search.too_big_here(wire.interface_mtu().unwrap_or_default());
                    continue;
                }
                // What was not sent is not answered either, and is asked again.
                Ok(()) | Err(_) => {}
            }
        }
        let wait = search.poll_timeout().saturating_sub(start.elapsed());
        tokio::select! {
            received = wire.receive(|event| enter(&mut search, event, start)) => received?,
            () = tokio::time::sleep(wait) => {
                // What is late is given up.
                search.handle_timeout(start.elapsed());
            }
        }
    }
    Ok(match search.finish(to) {
        Ok(mtu) => Finding::Found(mtu),
        Err(failure) => Finding::Failed(failure),
    })
}

fn enter(search: &mut Search, event: Event, start: Instant) {
    let now = start.elapsed();
    match event.says {
        Says::Refused(Refusal::TooBig) => search.too_big(event.number, event.from, event.mtu, now),
        _ => search.passed(event.number, now),
    }
}

/// Whether this host refused to send a packet for its size.
fn is_too_big(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMSGSIZE)
}

/// Looks along the path once more with each class.
async fn markings(
    probe: &PathProbe,
    listener: &Listener,
    max_hops: u8,
) -> Result<Vec<Marking>, Failure> {
    let probe = PathProbe {
        queries: MARKED_QUERIES,
        max_hops,
        ..probe.clone()
    };
    let mut markings = Vec::new();
    for dscp in CLASSES {
        tokio::time::sleep(REST).await;
        let wire = Wire::open(&probe)?;
        wire.mark(dscp)
            .map_err(|error| from_io(wire.attempt(), &error))?;
        trace(&wire, Trace::new(&probe), &mut |_| {}).await?;
        let heard = listener.heard(&wire).into_iter();
        let seen = heard
            .map(|(number, dscp)| (probe.ttl_of(number), dscp))
            .collect();
        markings.push(Marking::of(dscp, &seen));
    }
    Ok(markings)
}

fn response(event: Event) -> Response {
    Response {
        number: event.number,
        from: event.from,
        says: event.says,
        stamp: event.stamp,
    }
}
