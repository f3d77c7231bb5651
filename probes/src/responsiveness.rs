//! Responsiveness: how many round trips per minute a path carries while it is loaded
//! (draft-ietf-ippm-responsiveness-09).
//!
//! `arithmetic` is the formula and the trimmed mean, `saturation` decides interval by interval when the path is
//! loaded and when the numbers have settled. Both know neither sockets nor a clock.

mod arithmetic;
mod saturation;

pub use arithmetic::{Latencies, Rpm};
pub use saturation::{Confidence, Next, Outcome, Parameters, Saturation};
