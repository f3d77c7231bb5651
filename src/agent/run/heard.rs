//! What the collector lets this agent know of its standing, kept for whoever asks on the box.

use super::Agent;
use crate::agent::state::Heard;
use crate::agent::upload::UploadError;
use crate::clock;
use crate::wire::Standing;

impl Agent {
    /// Keeps what an upload tells of this agent's standing, where that is new.
    pub(super) fn hear(&self, uploaded: &Result<(), UploadError>) {
        let standing = match uploaded {
            // Where nothing was to be sent, nothing was heard.
            Ok(()) if *self.received.borrow() => Standing::Approved,
            Err(UploadError::Refused {
                standing: Some(standing),
                ..
            }) => *standing,
            Ok(()) | Err(_) => return,
        };
        let known = self.state.heard().map(|heard| heard.standing);
        if known == Some(standing) {
            return;
        }
        let since = clock::now();
        if let Err(error) = self.state.keep_heard(Heard { standing, since }) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what the collector says of this agent could not be kept"
            );
        }
    }
}
