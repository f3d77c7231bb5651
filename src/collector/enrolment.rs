//! Letting agents in: who proves to hold a key redeems a ticket with it, and an operator compares what it is.

use std::sync::Arc;

use axum::http::StatusCode;
use messnetz_metric::UnixMillis;
use thiserror::Error;

use super::ingest::quoted;
use super::keys::KeyError;
use super::opened::Collector;
use crate::store::{EnrolledAgent, Store, StoreError, TicketRefused};
use crate::wire::{Application, EnrolRequest, EnrolResponse, NotProven, Standing};

/// Why nobody was enrolled. Nothing was stored.
#[derive(Debug, Error)]
pub(super) enum EnrolmentRefused {
    /// Not what the door asks for.
    #[error("this is no request to enrol: {0}")]
    Malformed(String),
    /// Whoever asks does not prove to hold the key.
    #[error("the request is not signed as messnetz-enrolment-1 asks for: {0}")]
    NotProven(#[from] NotProven),
    /// The ticket opens nothing.
    #[error(transparent)]
    Ticket(#[from] TicketRefused),
    /// The store failed.
    #[error("the store could not keep the enrolment")]
    Store(#[from] StoreError),
    /// The collector has no keys.
    #[error(transparent)]
    Keys(#[from] Arc<KeyError>),
}

impl EnrolmentRefused {
    /// What that is in HTTP.
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotProven(_) => StatusCode::UNAUTHORIZED,
            Self::Ticket(_) => StatusCode::FORBIDDEN,
            Self::Store(_) | Self::Keys(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Reads a request and verifies it, without the store.
///
/// # Errors
/// Where it is none, or proves nothing.
pub(super) fn read(
    collector: &Collector,
    body: &[u8],
) -> Result<(EnrolRequest, Application), EnrolmentRefused> {
    let request: EnrolRequest = serde_json::from_slice(body)
        .map_err(|error| EnrolmentRefused::Malformed(quoted(&error.to_string())))?;
    let application = request.verified(&collector.id()?)?;
    Ok((request, application))
}

/// Redeems the ticket of a verified request.
///
/// # Errors
/// Where the ticket opens nothing, or the store fails.
pub(super) fn enrol(
    collector: &Collector,
    store: &dyn Store,
    (request, application): (&EnrolRequest, &Application),
    now: UnixMillis,
) -> Result<(EnrolResponse, EnrolledAgent), EnrolmentRefused> {
    let key = application.public_key.octets();
    let agent = store.redeem_ticket(&request.secret, &application.site, key, now)??;
    let is_in = agent.standing != Standing::Pending;
    let receipts = collector.receipts()?;
    let schedule = is_in
        .then(|| collector.assignment(store, receipts, (&agent.site, &agent.id)))
        .transpose()?;
    let response = EnrolResponse {
        agent: agent.id.clone(),
        standing: agent.standing,
        receipt_key: receipts.public_half(),
        schedule,
    };
    Ok((response, agent))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use messnetz_probes::tls::Fingerprint;
    use ring::signature::Ed25519KeyPair;

    use super::*;
    use crate::collector::Config;
    use crate::store::Admission;
    use crate::wire::{Application, CollectorId, PublicKey, Signed, Ticket, TicketSecret};

    const SITE: &str = "XX-100001/main";

    fn collector() -> (tempfile::TempDir, Collector) {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        file("authority.toml", messnetz_sites::site::EXAMPLE);
        file("collector.toml", crate::collector::EXAMPLE);
        let config = Config::load(&folder.path().join("collector.toml")).unwrap();
        let collector = Collector::open(config).unwrap();
        (folder, collector)
    }

    fn key(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn ticket(collector: &Collector) -> Ticket {
        let secret = TicketSecret::random().unwrap();
        let (admission, day) = (Admission::ByOperator, Duration::from_hours(24));
        collector
            .with_store_now(|store| store.add_ticket(&secret, SITE, admission, UnixMillis(0), day))
            .unwrap();
        Ticket {
            collector: "10.0.0.2:8443".to_owned(),
            fingerprint: Fingerprint::of(b"certificate"),
            id: collector.id().unwrap(),
            site: SITE.to_owned(),
            secret,
        }
    }

    fn ask(collector: &Collector, body: &[u8]) -> Result<EnrolResponse, EnrolmentRefused> {
        let (request, application) = read(collector, body)?;
        let asked = (&request, &application);
        let (response, _) =
            collector.with_store_now(|store| enrol(collector, store, asked, UnixMillis(1)))?;
        Ok(response)
    }

    fn body(ticket: &Ticket, key: &Ed25519KeyPair) -> String {
        serde_json::to_string(&EnrolRequest::of(ticket, key).unwrap()).unwrap()
    }

    #[test]
    fn a_pending_agent_gets_no_schedule() {
        let (_folder, collector) = collector();
        let ticket = ticket(&collector);
        for _ in 0..2 {
            let response = ask(&collector, body(&ticket, &key(1)).as_bytes()).unwrap();
            assert_eq!(response.standing, Standing::Pending);
            assert!(response.schedule.is_none());
        }
    }

    #[test]
    fn who_does_not_prove_to_hold_the_key_stores_nothing_and_uses_no_ticket_up() {
        let (_folder, collector) = collector();
        let ticket = ticket(&collector);
        let (mine, victim) = (key(1), key(2));
        // Somebody else's public key, signed with one's own.
        let application = Application {
            collector: collector.id().unwrap(),
            site: SITE.to_owned(),
            ticket: crate::wire::batch::Digest::from_bytes(ticket.secret.hash()),
            public_key: PublicKey::from(&victim),
        };
        let forged = EnrolRequest {
            enrolment: Signed::by(&mine, &application).unwrap(),
            secret: ticket.secret.clone(),
        };
        let elsewhere = Ticket {
            id: CollectorId::of_key(&[7; 32]),
            ..ticket.clone()
        };
        let another_ticket = Ticket {
            secret: TicketSecret::random().unwrap(),
            ..ticket.clone()
        };
        let honest = body(&ticket, &mine);
        let secret = String::from(another_ticket.secret.clone());
        let mixed = honest.replace(&String::from(ticket.secret.clone()), &secret);
        let flipped = honest.replace(SITE, "XX-100002/main");
        for (body, status) in [
            (serde_json::to_string(&forged).unwrap(), 401),
            (body(&elsewhere, &mine), 401),
            (mixed, 401),
            (flipped, 401),
            (body(&another_ticket, &mine), 403),
            (honest.replace("\"secret\"", "\"more\":1,\"secret\""), 422),
            ("{}".to_owned(), 422),
        ] {
            let refused = ask(&collector, body.as_bytes()).unwrap_err();
            assert_eq!(refused.status().as_u16(), status, "{refused}");
        }
        assert_eq!(
            collector.with_store_now(|store| store.agents()).unwrap(),
            []
        );
        ask(&collector, honest.as_bytes()).unwrap();
        let late = ask(&collector, body(&ticket, &victim).as_bytes()).unwrap_err();
        assert!(
            matches!(late, EnrolmentRefused::Ticket(TicketRefused::Used)),
            "{late}"
        );
    }

    #[test]
    fn a_site_that_is_a_path_a_statement_or_markup_is_a_site_without_ticket() {
        let (_folder, collector) = collector();
        let ticket = ticket(&collector);
        let long = "x".repeat(3_000);
        for site in [
            "../../../etc/passwd",
            "XX-100001/main' OR '1'='1",
            "'; DROP TABLE agent; --",
            "<script>alert(1)</script>",
            "XX-100001/main\u{0}",
            "XX-100001/main\nINFO an agent enrolled",
            "",
            &long,
        ] {
            let asked = Ticket {
                site: site.to_owned(),
                ..ticket.clone()
            };
            let refused = ask(&collector, body(&asked, &key(1)).as_bytes()).unwrap_err();
            let is_unknown = matches!(refused, EnrolmentRefused::Ticket(TicketRefused::Unknown));
            assert!(is_unknown, "{refused}");
            assert!(
                site.is_empty() || !refused.to_string().contains(site),
                "{refused}"
            );
        }
        assert_eq!(
            collector.with_store_now(|store| store.agents()).unwrap(),
            []
        );
    }
}
