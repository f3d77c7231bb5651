//! The part of the agents' door where they tell what they run and fetch what they may run next.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;

use super::{Bound, Connection, Door, RETRY_FAILED, later, refuse, refuse_body, store_failed};
use crate::clock;
use crate::collector::keys::KeyError;
use crate::collector::opened::Collector;
use crate::store::{EnrolledAgent, Store, StoreError};
use crate::wire::{
    AgentId, CollectorId, PART_BYTES, PartWanted, ProgramPart, ProgramReport, PublicKey, Refusal,
    Signed, Standing, Statement,
};

/// Largest report, in bytes, and the time for it.
pub(super) const REPORT: Bound = Bound {
    size: 8 * 1024,
    time: std::time::Duration::from_secs(10),
};

/// What an agent says in its own name.
trait Said: Statement {
    fn collector(&self) -> &CollectorId;
    fn agent(&self) -> &AgentId;
}

impl Said for ProgramReport {
    fn collector(&self) -> &CollectorId {
        &self.collector
    }
    fn agent(&self) -> &AgentId {
        &self.agent
    }
}

impl Said for PartWanted {
    fn collector(&self) -> &CollectorId {
        &self.collector
    }
    fn agent(&self) -> &AgentId {
        &self.agent
    }
}

/// Why nobody is listened to.
enum Unheard {
    Malformed,
    NotAuthentic,
    NotIn(Standing),
    Keys(Arc<KeyError>),
    Store(StoreError),
}

impl From<StoreError> for Unheard {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Unheard {
    fn answer(self) -> Response {
        match self {
            Self::Malformed => refuse(
                StatusCode::UNPROCESSABLE_ENTITY,
                "this is nothing that an agent says of its program",
            ),
            Self::NotAuthentic => refuse(
                StatusCode::UNAUTHORIZED,
                "this is not signed for this collector by an agent that is enrolled here",
            ),
            Self::NotIn(standing) => {
                let refusal = Refusal {
                    error: format!("the agent is {}: it is given no release", standing.as_str()),
                    standing: Some(standing),
                };
                (StatusCode::FORBIDDEN, Json(refusal)).into_response()
            }
            Self::Keys(error) => later(StatusCode::SERVICE_UNAVAILABLE, RETRY_FAILED, error),
            Self::Store(error) => store_failed(&error),
        }
    }
}

/// What an approved agent says, once it is known that it says so, and to this collector.
fn heard<T: Said>(
    collector: &Collector,
    store: &dyn Store,
    body: &[u8],
) -> Result<(T, EnrolledAgent), Unheard> {
    let signed = read::<T>(body)?;
    let stated = signed.stated().map_err(|_| Unheard::Malformed)?;
    let agent = store.agent(stated.agent())?.ok_or(Unheard::NotAuthentic)?;
    let key = PublicKey::of(&agent.public_key).ok_or(Unheard::NotAuthentic)?;
    let said = signed.verified(&key).map_err(|_| Unheard::NotAuthentic)?;
    if *said.collector() != collector.id().map_err(Unheard::Keys)? {
        return Err(Unheard::NotAuthentic);
    }
    match agent.standing {
        Standing::Approved => Ok((said, agent)),
        standing => Err(Unheard::NotIn(standing)),
    }
}

fn read<T: DeserializeOwned + Statement>(body: &[u8]) -> Result<Signed<T>, Unheard> {
    serde_json::from_slice(body).map_err(|_| Unheard::Malformed)
}

/// An agent tells what it runs, and is told what it may run.
pub(super) async fn report(
    State(door): State<Door>,
    Extension(connection): Extension<Connection>,
    body: Body,
) -> Response {
    let body = match door.bodies.read(body, door.bounds.report).await {
        Ok(body) => body,
        Err(refused) => return refuse_body(&refused),
    };
    let this = Arc::clone(&door.collector);
    let answered = door.collector.off_the_sockets(move || {
        let (report, agent) = heard::<ProgramReport>(&this, this.store(), &body.bytes)?;
        Ok(this.update_for(&agent.site, report, clock::now())?)
    });
    match answered.await {
        Ok(answer) => Json(answer).into_response(),
        Err(unheard) => {
            let unheard: Unheard = unheard;
            tracing::debug!(peer = %connection.peer, "a report of a program was refused");
            unheard.answer()
        }
    }
}

/// An agent fetches a part of a program.
pub(super) async fn program(State(door): State<Door>, body: Body) -> Response {
    let body = match door.bodies.read(body, door.bounds.report).await {
        Ok(body) => body,
        Err(refused) => return refuse_body(&refused),
    };
    // A part is memory and reading: no more at one time than batches.
    let place = match door.bodies.place_to_work().await {
        Ok(place) => place,
        Err(refused) => return refuse_body(&refused),
    };
    let this = Arc::clone(&door.collector);
    let found = door.collector.off_the_sockets(move || {
        let _place = place;
        let (wanted, _) = heard::<PartWanted>(&this, this.store(), &body.bytes)?;
        Ok::<_, Unheard>(this.part_of_program(&wanted.sha256, wanted.from, PART_BYTES))
    });
    match found.await {
        Ok(Ok(Some(bytes))) => {
            let bytes = STANDARD.encode(bytes);
            Json(ProgramPart { bytes }).into_response()
        }
        Ok(Ok(None)) => refuse(
            StatusCode::NOT_FOUND,
            "no release with this program is offered",
        ),
        Ok(Err(error)) => {
            tracing::error!(
                error = &error as &(dyn std::error::Error + 'static),
                "a release that is offered cannot be read: offer it again"
            );
            refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "the release cannot be read at present",
            )
        }
        Err(unheard) => unheard.answer(),
    }
}
