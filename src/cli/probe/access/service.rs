//! Whether a service that schools use is let through.

use messnetz_metric::{Failure, Micros};
use messnetz_probes::proxy::Proxy;
use messnetz_probes::{Peer, stun};

use super::line::{clock, time};
use super::{Outcome, Part, Place, Row, certified};
use crate::cli::probe::resolve;
use crate::services::{Service, Transport};

/// Tries one service the way it is spoken to; through the proxy where it is spoken to over TCP.
pub(super) async fn tried(place: &Place, service: &Service, proxy: Option<&Proxy>) -> Row {
    let host = service.host.as_deref().unwrap_or_default();
    let port = service.port;
    let name = (
        Part::Services,
        service.name.as_str(),
        format!("{host}:{port}"),
    );
    match service.transport {
        Transport::Tls => Row::of(
            name,
            place.inspect(host, port, proxy, None).await,
            certified,
        ),
        Transport::Tcp => Row::of(name, connected(place, host, port, proxy).await, |after| {
            let detail = format!("connected after {}", time(*after));
            (Outcome::Passed, detail)
        }),
        Transport::Stun => Row::of(name, mapped(place, host, port).await, |mapped| {
            let detail = format!("answered after {}", time(mapped.time));
            (Outcome::Passed, detail)
        }),
        Transport::Ntp => Row {
            what: service.name.clone(),
            ..clock(place, Part::Services, host, port).await
        },
    }
}

async fn connected(
    place: &Place,
    host: &str,
    port: u16,
    proxy: Option<&Proxy>,
) -> Result<Micros, Failure> {
    let connection = place.dial(host, port, proxy).await?.connect().await?;
    Ok(connection.timings.connect)
}

async fn mapped(place: &Place, host: &str, port: u16) -> Result<stun::Mapped, Failure> {
    stun::ask(&Peer {
        address: resolve(host, port).await?,
        binding: place.binding.clone(),
        deadline: place.deadline,
    })
    .await
}
