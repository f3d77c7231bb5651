//! ndt7: how much payload one TCP connection carries, towards the school and away from it.
//!
//! The protocol of Measurement Lab, version 0.11 (m-lab/ndt-server, `spec/ndt7-protocol.md`): a
//! WebSocket (RFC 6455) that one side fills with random bytes for ten seconds while both may tell each
//! other what they count. [`client`] and [`server`] speak it over any byte stream; [`messages`] and
//! [`pacing`] are the parts of it that need neither.

use std::time::Duration;

use messnetz_metric::Direction;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub mod client;
mod counted;
mod intervals;
pub mod locate;
pub mod messages;
pub mod pacing;
pub mod server;
pub mod streams;

/// The WebSocket subprotocol that both sides must name (ndt7, "Protocol description").
pub const SUBPROTOCOL: &str = "net.measurementlab.ndt.v7";

/// The longest time that data flows in one test (ndt7, "Protocol description").
pub const MAX_DURATION: Duration = Duration::from_secs(10);

/// When a peer that does not end the test is cut off (ndt7, "Protocol description").
const CUT_OFF: Duration = Duration::from_secs(13);

/// How long the close handshake may take before the connection is aborted. What is queued on a slow
/// line would otherwise load it well into the next measurement.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// The path that a test towards (down) or away from (up) the client is asked for.
#[must_use]
pub const fn path(direction: Direction) -> &'static str {
    match direction {
        Direction::Down => "/ndt/v7/download",
        Direction::Up => "/ndt/v7/upload",
    }
}

/// The WebSocket of either side: accepts the largest message there is, hands each message to the socket
/// as it is written, and reads in pieces of 128 KiB.
fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(128 * 1024)
        .write_buffer_size(0)
        .max_message_size(Some(pacing::MAX_MESSAGE_SIZE))
        .max_frame_size(Some(pacing::MAX_MESSAGE_SIZE))
}

/// Whether the error is one of the ways in which a test ends normally: "a client must accept EOF, RST
/// and a missing close frame" (ndt7, "Protocol description").
fn is_end(error: &WsError) -> bool {
    matches!(
        error,
        WsError::Io(_)
            | WsError::ConnectionClosed
            | WsError::AlreadyClosed
            | WsError::Protocol(
                ProtocolError::ResetWithoutClosingHandshake
                    | ProtocolError::SendAfterClosing
                    | ProtocolError::ReceivedAfterClosing
            )
    )
}
