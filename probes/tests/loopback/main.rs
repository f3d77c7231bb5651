//! The probes over TCP against servers on the loopback interface.

#![allow(clippy::unwrap_used, reason = "the whole crate is tests")]

mod http;
mod iperf3;
mod ndt7;
mod proxy;
mod server;
