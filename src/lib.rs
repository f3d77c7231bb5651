//! `messnetz`, the program: agent, collector, store, dashboard, reports and command line.
//!
//! The rules live in `messnetz-sites`, the probes in `messnetz-probes`; here is what joins them. The
//! features `agent` and `collector` cut the program in two.

pub mod cli;
pub mod clock;
pub mod identity;
mod listener;
pub mod release;
mod sd_notify;
mod sqlite;
pub mod text;
pub mod wire;
pub mod words;

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "agent")]
pub mod audit;
#[cfg(feature = "agent")]
pub mod measure;
#[cfg(feature = "agent")]
mod pinned;
#[cfg(feature = "agent")]
pub mod self_test;
#[cfg(feature = "agent")]
pub mod serve;
#[cfg(feature = "agent")]
mod services;
#[cfg(feature = "agent")]
pub mod way_out;

#[cfg(feature = "collector")]
pub mod collector;
#[cfg(feature = "collector")]
pub mod judging;
#[cfg(feature = "collector")]
pub mod report;
#[cfg(feature = "collector")]
pub mod store;
#[cfg(feature = "collector")]
pub mod web;
#[cfg(feature = "collector")]
mod zstandard;

#[cfg(all(feature = "agent", feature = "collector"))]
pub mod demo;
#[cfg(all(feature = "agent", feature = "collector"))]
pub mod lab;
