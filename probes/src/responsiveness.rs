//! Responsiveness: how many round trips per minute a path carries while it is loaded
//! (draft-ietf-ippm-responsiveness-09).
//!
//! `arithmetic` is the formula and the trimmed mean, `saturation` decides interval by interval when the path is
//! loaded and when the numbers have settled; both know neither sockets nor a clock. [`client`] loads the path and
//! probes it, [`server`] is what it asks, and `configuration` what they agree on.

mod arithmetic;
pub mod client;
mod configuration;
mod saturation;
pub mod server;

pub use arithmetic::{Class, Rpm};
pub use saturation::{Confidence, Parameters};
