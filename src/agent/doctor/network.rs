//! The way to the collector: names, route, and who answers there.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use messnetz_metric::Failure;
use messnetz_probes::Binding;
use messnetz_probes::certificate::{Inspection, Shown};
use messnetz_probes::connection::Dial;
use messnetz_probes::link;
use messnetz_probes::proxy::Proxy;

use super::Finding;
use crate::agent::pins::{self, AnotherCertificate};
use crate::agent::state::Enrolment;
use crate::identity::SERVER_NAME;
use crate::pinned;
use crate::way_out::WayOut;

/// Longest time for each attempt.
const DEADLINE: Duration = Duration::from_secs(5);

/// Largest answer of the collector's greeting.
const MAX_ANSWER: usize = 1024;

pub(super) async fn examine(enrolment: &Enrolment, way_out: &WayOut) -> Vec<Finding> {
    let collector = &enrolment.collector;
    let proxy = match way_out.to(true, pinned::host_of(collector)) {
        Ok(proxy) => proxy,
        Err(wrong) => {
            return vec![Finding::wrong(
                "proxy",
                wrong,
                "correct the variable in the agent's environment, or give --proxy",
            )];
        }
    };
    // Who is spoken to first: the proxy resolves the collector's name itself.
    let nearest = proxy
        .as_ref()
        .map_or(collector.clone(), ToString::to_string);
    let mut findings = Vec::new();
    let address = match pinned::resolve(&nearest).await {
        Ok(address) => address,
        Err(failure) => {
            findings.push(unresolved(&failure));
            return findings;
        }
    };
    findings.push(Finding::ok("names", format_args!("{nearest} is {address}")));
    findings.push(route(address));
    findings.push(reach(enrolment, way_out, proxy.as_ref(), address).await);
    findings
}

fn unresolved(failure: &Failure) -> Finding {
    let resolvers = messnetz_probes::dns::system_resolvers().unwrap_or_default();
    let resolvers: Vec<String> = resolvers.iter().map(ToString::to_string).collect();
    let remedy = if resolvers.is_empty() {
        "this box knows no resolver: let it take part in DHCP, or write one into /etc/resolv.conf"
            .to_owned()
    } else {
        format!(
            "ask whoever runs the resolver {}; messnetz probe access --only resolvers tells more",
            resolvers.join(", ")
        )
    };
    Finding::wrong("names", failure, remedy)
}

fn route(address: SocketAddr) -> Finding {
    const WHAT: &str = "route";
    let Some(interface) = link::towards(address) else {
        return Finding::wrong(
            WHAT,
            format_args!("there is no way to {}", address.ip()),
            "is the cable in, and did DHCP answer? ip address; ip route",
        );
    };
    let by_default =
        link::default_route().is_ok_and(|route| route.v4.is_some() || route.v6.is_some());
    if by_default || address.ip().is_loopback() {
        Finding::ok(WHAT, format_args!("through {interface}"))
    } else {
        Finding::warn(
            WHAT,
            format_args!("through {interface}, and there is no default route"),
            "the gateway cannot be measured, nor what lies beyond: let DHCP hand out a router",
        )
    }
}

async fn reach(
    enrolment: &Enrolment,
    way_out: &WayOut,
    proxy: Option<&Proxy>,
    address: SocketAddr,
) -> Finding {
    const WHAT: &str = "reach";
    let collector = &enrolment.collector;
    let inspection = Inspection {
        dial: Dial {
            address,
            tunnel: proxy.and_then(|proxy| pinned::tunnel(proxy, collector)),
            tls: None,
            binding: Binding::any(),
            congestion: None,
            deadline: DEADLINE,
        },
        server_name: SERVER_NAME.to_owned(),
        expected: None,
    };
    let shown = match inspection.run().await {
        Ok(shown) => shown,
        Err(failure) => {
            return Finding::wrong(
                WHAT,
                failure,
                format_args!(
                    "does the collector run, and does the school's firewall let TLS out to {collector}?"
                ),
            );
        }
    };
    if !enrolment.accepted().contains(&shown.fingerprint) {
        return another(&shown, enrolment, way_out).await;
    }
    match greeting(enrolment, way_out).await {
        Ok(()) => Finding::ok(
            WHAT,
            format_args!("the collector of the enrolment answers at {address}"),
        ),
        Err(failure) => Finding::wrong(
            WHAT,
            failure,
            "the certificate is the collector's, its answer is not: look at its log",
        ),
    }
}

/// Another certificate than the enrolment's: the collector's next one, a second collector, or somebody who reads along.
async fn another(shown: &Shown, enrolment: &Enrolment, way_out: &WayOut) -> Finding {
    const WHAT: &str = "reach";
    let known = (&enrolment.collector_id(), enrolment.pins_number());
    let another = match pins::ask(&enrolment.collector, known, way_out).await {
        Ok(Ok(_)) => {
            return Finding::ok(
                WHAT,
                "the collector answers with a new certificate that it vouches for",
            );
        }
        Ok(Err(another)) => another,
        Err(_) => AnotherCertificate::of(&enrolment.collector, shown),
    };
    Finding::wrong(WHAT, another.saw(), another.remedy())
}

/// Asks the collector for its greeting.
async fn greeting(enrolment: &Enrolment, way_out: &WayOut) -> Result<(), Failure> {
    let broken = |why: &dyn std::fmt::Display| {
        Failure::new(
            messnetz_metric::FailureReason::Protocol,
            format_args!("asking {} for its greeting: {why}", enrolment.collector),
        )
    };
    let request = Request::builder()
        .uri("/v1/hello")
        .header(header::HOST, &enrolment.collector)
        .body(Full::new(Bytes::new()))
        .map_err(|error| broken(&error))?;
    let answer = pinned::exchange(
        &enrolment.collector,
        &enrolment.accepted(),
        way_out,
        request,
        DEADLINE,
        MAX_ANSWER,
    )
    .await?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(broken(&answer.status()))
    }
}
