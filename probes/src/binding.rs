//! The interface that a probe looks out from.

use messnetz_metric::{Failure, FailureReason};
use socket2::Socket;

/// From which interface a probe sends: one that is named, or whichever the routing table chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    interface: Option<String>,
}

impl Binding {
    /// The routing table chooses.
    #[must_use]
    pub const fn any() -> Self {
        Self { interface: None }
    }

    /// Only through this interface.
    #[must_use]
    pub fn interface(name: impl Into<String>) -> Self {
        Self {
            interface: Some(name.into()),
        }
    }

    /// The interface's name, where one is named.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.interface.as_deref()
    }

    /// Binds a socket that has not been bound to an interface yet (`SO_BINDTODEVICE`, socket(7)).
    ///
    /// # Errors
    /// [`FailureReason::Interface`] where the interface does not exist, [`FailureReason::Permission`]
    /// where this process may not bind to it.
    pub fn apply(&self, socket: &Socket) -> Result<(), Failure> {
        let Some(name) = &self.interface else {
            return Ok(());
        };
        socket.bind_device(Some(name.as_bytes())).map_err(|error| {
            let reason = match error.kind() {
                std::io::ErrorKind::PermissionDenied => FailureReason::Permission,
                _ => FailureReason::Interface,
            };
            Failure::new(reason, format_args!("binding to interface {name}: {error}"))
        })
    }
}
