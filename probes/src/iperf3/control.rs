//! Listening on the control connection.

use messnetz_metric::Failure;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::failure::from_io;

/// What the peer says next; `None` where it has closed the connection. Nothing is lost where this is dropped
/// before it is ready.
pub(super) async fn heard<'a>(
    control: &mut (impl AsyncRead + Unpin),
    buffer: &'a mut [u8],
    attempt: &str,
) -> Result<Option<&'a [u8]>, Failure> {
    match control.read(buffer).await {
        Ok(0) => Ok(None),
        Ok(length) => Ok(Some(buffer.get(..length).unwrap_or_default())),
        Err(error) => Err(from_io(attempt, &error)),
    }
}
