//! Responsiveness: how many round trips per minute a path carries while it is loaded
//! (draft-ietf-ippm-responsiveness-09).
//!
//! `arithmetic` is the formula and the trimmed mean, `saturation` decides interval by interval when the path is
//! loaded and when the numbers have settled; both know neither sockets nor a clock. [`client`] loads the path and
//! probes it over `http2` and writes a `report`, [`server`] is what it asks, and `configuration` what they agree on.

mod arithmetic;
pub mod client;
mod configuration;
mod http2;
mod report;
mod saturation;
pub mod server;

pub use arithmetic::{Class, Rpm};
pub use report::{Interval, Order, Report, Way};
pub use saturation::{Confidence, Parameters};

/// What either side may send before it is told that it was taken: what a gigabit holds in 100 ms.
pub const WINDOW: u32 = 12 * 1024 * 1024;

/// What loads the path, again and again. TLS leaves nothing in it for a line to compress.
static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];
