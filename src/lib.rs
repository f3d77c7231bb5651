//! `messnetz`, the program: agent, collector, store, dashboard, reports and command line.

#[cfg(feature = "collector")]
pub mod demo;
#[cfg(feature = "collector")]
pub mod lab;
#[cfg(feature = "collector")]
pub mod report;
