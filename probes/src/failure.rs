//! What an operating system error means for a measurement.

use std::fmt::Display;
use std::io;

use messnetz_metric::{Failure, FailureReason};

/// The failure that `error` is while `attempt`ing something, such as "connecting to 10.0.0.1:443".
pub(crate) fn from_io(attempt: impl Display, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => FailureReason::Timeout,
        io::ErrorKind::ConnectionRefused => FailureReason::Refused,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable => FailureReason::Unreachable,
        io::ErrorKind::PermissionDenied => FailureReason::Permission,
        io::ErrorKind::NetworkDown => FailureReason::Interface,
        _ => FailureReason::Protocol,
    };
    Failure::new(reason, format_args!("{attempt}: {error}"))
}

/// The failure of not being answered within `deadline`.
pub(crate) fn timeout(attempt: impl Display, deadline: std::time::Duration) -> Failure {
    Failure::new(
        FailureReason::Timeout,
        format_args!("{attempt}: no answer within {} ms", deadline.as_millis()),
    )
}
