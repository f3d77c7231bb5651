//! What a batch that was not taken means: for what was measured, and for what the agent does next.

use http::StatusCode;

use crate::agent::upload::UploadError;
use crate::wire::Standing;

/// What a failed upload means for what was measured.
pub(super) fn meaning(error: &UploadError) -> &'static str {
    match error {
        UploadError::Refused { status, .. } if *status == StatusCode::UNAUTHORIZED => {
            "the collector does not know this agent as one of its site; nothing was lost, the batch waits until that is repaired"
        }
        UploadError::Refused { status, .. } if *status == StatusCode::CONFLICT => {
            "the collector has other batches under this agent's new numbers too; nothing was lost, the batch waits under a later epoch"
        }
        UploadError::Refused { status, .. } if *status == StatusCode::TOO_MANY_REQUESTS => {
            "the collector takes no more of this agent for a while; nothing was lost, the batch waits in the spool"
        }
        UploadError::Refused {
            standing: Some(Standing::Quarantined),
            ..
        } => {
            "the collector has found this agent's numbers twice and takes nothing until its operator has looked for a second box; nothing was lost, what is measured waits"
        }
        UploadError::Refused {
            standing: Some(Standing::Pending),
            ..
        } => "the operator has not let this agent in yet; nothing was lost, what is measured waits",
        UploadError::Another { .. } => {
            "somebody else answers in the place of the collector, and nothing is told to him; nothing was lost, what is measured waits"
        }
        UploadError::NoAnswer { .. }
        | UploadError::Refused { .. }
        | UploadError::Answer { .. }
        | UploadError::Receipt { .. } => {
            "the upload failed; nothing was lost, the batch waits in the spool"
        }
        UploadError::Spool(_) => {
            "the spool could not be read or written; what waits in it is not uploaded"
        }
        UploadError::State(_) => {
            "the batch arrived, but the new schedule could not be kept for the next start"
        }
    }
}

/// What a refusal asks of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The batch will never be taken: let the others go first.
    SetAside,
    /// Its number is taken: number anew.
    RenewEpoch,
    /// The collector, or its operator, may think better of it.
    TryAgain,
}

pub(super) fn remedy(status: StatusCode) -> Remedy {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => Remedy::SetAside,
        StatusCode::CONFLICT => Remedy::RenewEpoch,
        _ => Remedy::TryAgain,
    }
}
