//! The line itself: its addresses, the web, the resolvers and the clock.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use http::Uri;
use messnetz_metric::{Failure, FailureReason, Micros, Value};
use messnetz_probes::address::{Scope, Translation, scope, translation};
use messnetz_probes::http::Fetch;
use messnetz_probes::link::{self, DefaultRoute};
use messnetz_probes::portal::{self, State};
use messnetz_probes::proxy::Proxy;
use messnetz_probes::reach::Reach;
use messnetz_probes::resolvers::{Examination, Names, Signatures};
use messnetz_probes::tls::Trust;
use messnetz_probes::{Peer, dns, ntp, stun};
use serde::Serialize;

use super::{Outcome, Part, Place, Row};
use crate::cli::probe::{resolve, words};

/// Longest page that is read to its end.
const MAX_PAGE: u64 = 1024 * 1024;

/// A clock that is further off makes certificates and time stamps doubtful.
const MAX_OFFSET_US: u64 = 1_000_000;

/// One interface on a way out.
#[derive(Serialize)]
struct Facts {
    interface: String,
    gateway: Option<IpAddr>,
    addresses: Vec<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<IpAddr>,
    translation: Translation,
}

#[derive(Serialize)]
struct Address {
    address: IpAddr,
    scope: Scope,
}

/// The ways out by IPv4 and IPv6, with what the far end sees where one tells.
pub(super) async fn facts(place: &Place, stun: Option<String>) -> Vec<Row> {
    let routes = match link::default_route() {
        Ok(routes) => routes,
        Err(failure) => {
            let name = (Part::Line, "way out", String::new());
            return vec![Row::failed(name, failure)];
        }
    };
    let seen = match stun {
        Some(host) => seen(place, &host).await,
        None => None,
    };
    let DefaultRoute { v4, v6 } = routes;
    [("IPv4", v4, true), ("IPv6", v6, false)]
        .into_iter()
        .map(|(what, route, is_v4)| {
            let interface = place.binding.name().map(str::to_owned);
            let gateway = route.as_ref().and_then(|route| route.gateway);
            let interface = interface.or_else(|| route.map(|route| route.interface));
            let target = interface.clone().unwrap_or_default();
            let facts = match interface {
                Some(interface) => way_out(interface, gateway, is_v4, seen),
                None => Err(Failure::new(
                    FailureReason::Unreachable,
                    "there is no default route",
                )),
            };
            let mut row = Row::of((Part::Line, what, target), facts, told);
            // A school without IPv6 is nothing that this access keeps out.
            if row.outcome == Outcome::NoAnswer {
                row.outcome = Outcome::Fact;
            }
            row
        })
        .collect()
}

async fn seen(place: &Place, host: &str) -> Option<IpAddr> {
    let peer = Peer {
        address: resolve(host, stun::PORT).await.ok()?,
        binding: place.binding.clone(),
        deadline: place.deadline,
    };
    let mapped = stun::ask(&peer).await.ok()?;
    Some(mapped.address.ip().to_canonical())
}

fn way_out(
    interface: String,
    gateway: Option<IpAddr>,
    is_v4: bool,
    seen: Option<IpAddr>,
) -> Result<Facts, Failure> {
    let mut own = link::read(&interface)?.addresses;
    own.retain(|address| address.is_ipv4() == is_v4);
    let public = seen.filter(|seen| seen.is_ipv4() == is_v4);
    Ok(Facts {
        interface,
        gateway,
        translation: translation(&own, public),
        addresses: own
            .into_iter()
            .map(|address| Address {
                address,
                scope: scope(address),
            })
            .collect(),
        public,
    })
}

fn told(facts: &Facts) -> (Outcome, String) {
    let own: Vec<String> = facts
        .addresses
        .iter()
        .filter(|one| one.scope != Scope::Link)
        .map(|one| format!("{} ({})", one.address, scope_words(one.scope)))
        .collect();
    let mut detail = if own.is_empty() {
        "no address beyond the link".to_owned()
    } else {
        own.join(", ")
    };
    if let Some(gateway) = facts.gateway {
        let _ = write!(detail, ", by {gateway}");
    }
    if let Some(public) = facts.public {
        let _ = write!(detail, ", seen from outside as {public}");
    }
    detail.push_str(match facts.translation {
        Translation::None => ", not translated",
        Translation::Router => ", translated on the way",
        Translation::Carrier => ", translated by the provider",
        Translation::Unknown => "",
    });
    (Outcome::Fact, detail)
}

const fn scope_words(scope: Scope) -> &'static str {
    match scope {
        Scope::Public => "public",
        Scope::Private => "private",
        Scope::Carrier => "the provider's own",
        Scope::Link => "of the link",
        Scope::Machine => "of this machine",
        Scope::None => "reserved",
    }
}

/// Whether a portal or a filter answers in the place of a page.
pub(super) async fn web(place: &Place, page: Uri, proxy: Option<Proxy>) -> Row {
    let target = page.host().unwrap_or_default().to_owned();
    let through = proxy.is_some();
    let fetch = Fetch {
        url: page,
        address: None,
        proxy,
        reach: Reach::Anywhere,
        binding: place.binding.clone(),
        trust: Trust::Web,
        deadline: place.deadline,
        max_body: MAX_PAGE,
    };
    let report = portal::check(&fetch).await;
    Row::of((Part::Web, "web", target), report, |report| {
        let status = report.status;
        match (&report.state, &report.via) {
            (State::Open, Some(via)) if !through => (
                Outcome::Intercepted,
                format!("a proxy that nobody told of passes it on ({via})"),
            ),
            (State::Open, _) => (Outcome::Passed, "the page came as it is".to_owned()),
            (State::Portal { location }, _) => {
                let place = location.as_deref().unwrap_or("somewhere");
                (Outcome::Portal, format!("a portal leads to {place}"))
            }
            (State::Filtered, via) => {
                let by = via.as_ref().map(|via| format!(", by {via}"));
                let by = by.unwrap_or_default();
                (
                    Outcome::Filtered,
                    format!("something else came instead (status {status}{by})"),
                )
            }
        }
    })
}

/// How the resolvers of this machine fare, and those that are named.
pub(super) async fn resolvers(place: &Place, names: Names, others: Vec<SocketAddr>) -> Vec<Row> {
    let mut servers = match dns::system_resolvers() {
        Ok(servers) => servers,
        Err(failure) => {
            let name = (Part::Resolvers, "resolver", String::new());
            return vec![Row::failed(name, failure)];
        }
    };
    servers.extend(others);
    servers.dedup();
    let mut rows = Vec::with_capacity(servers.len());
    for server in servers {
        let examination = Examination {
            server,
            names: names.clone(),
            binding: place.binding.clone(),
            deadline: place.deadline,
        };
        let name = (Part::Resolvers, "resolver", server.to_string());
        rows.push(Row::of(name, examination.run().await, |health| {
            let time = time(health.time);
            if health.rcode != 0 {
                let rcode = health.rcode;
                let detail = format!("response code {rcode} for a name that exists");
                return (Outcome::Faulty, detail);
            }
            if let Some(invented) = health.invented.first() {
                let detail = format!("it leads names that do not exist to {invented}");
                return (Outcome::Faulty, detail);
            }
            let signatures = match health.signatures {
                Signatures::Checked => "checks signatures",
                Signatures::Ignored => "does not check signatures",
                Signatures::Unclear => "whether it checks signatures is unclear",
            };
            (
                Outcome::Passed,
                format!("answers after {time}, {signatures}"),
            )
        }));
    }
    rows
}

/// How far this machine's clock is off.
pub(super) async fn clock(place: &Place, of: Part, host: &str, port: u16) -> Row {
    let compared = async {
        let peer = Peer {
            address: resolve(host, port).await?,
            binding: place.binding.clone(),
            deadline: place.deadline,
        };
        ntp::compare(&peer).await
    };
    let name = (of, "clock", format!("{host}:{port}"));
    Row::of(name, compared.await, |compared| {
        let off = compared.offset_us.unsigned_abs();
        let way = if compared.offset_us < 0 {
            "fast"
        } else {
            "slow"
        };
        let detail = format!(
            "this machine's clock is {} {way}, round trip {}",
            time(Micros::from_micros(off)),
            time(compared.delay)
        );
        if off > MAX_OFFSET_US {
            (Outcome::Faulty, detail)
        } else {
            (Outcome::Passed, detail)
        }
    })
}

pub(super) fn time(time: Micros) -> String {
    words().value(Value::Time(time))
}
