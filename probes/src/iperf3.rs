//! iperf3: how much many TCP streams together carry, and what becomes of datagrams at a set rate; with any
//! stock peer at the other end.
//!
//! A control connection carries the steps of a test, one byte each, and the parameters and results as framed
//! JSON; every stream is a connection of its own, which begins with the cookie of the test. Checked against
//! an unmodified iperf3 3.12 in both roles.
//!
//! Our server can make clients wait for their turn instead of refusing them. A client of ours asks for it by
//! the first letters of its cookie, which stock servers do not read; stock clients get the stock refusal.
//!
//! Layers: `codec`, `parameters` and `results` for what is on the wire; `client`, `session` and `turns` as
//! engines in virtual time; `streams` moves and counts the payload; `run` and `serve` drive sockets and
//! clocks.

mod client;
pub mod codec;
mod control;
mod datagrams;
mod number;
mod options;
mod pacing;
mod parameters;
mod refusal;
mod report;
mod results;
mod run;
mod serve;
mod session;
mod streams;
mod turns;

pub use client::Patience;
pub use parameters::{
    DEFAULT_UDP_LENGTH, DEFAULT_UDP_RATE, End, Flow, MAX_DURATION, MAX_OMIT, MAX_STREAMS,
    MAX_TCP_LENGTH, Parameters, Protocol, STOCK_TCP_LENGTH,
};
pub use report::{
    Both, Datagrams, Interval, IntervalStream, Report, Role, SmoothedRtt, StreamReport, Summary,
    Transfer,
};
pub use results::{Cpu, Results, StreamResult, stream_id};
pub use run::{Progress, Test};
pub use serve::{Config, Served, Server};
pub use session::Limits;
pub use streams::ReceivePath;
pub use turns::Place;

/// The port that stock servers listen on.
pub const PORT: u16 = 5201;

#[cfg(test)]
mod tests;
