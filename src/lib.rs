//! `messnetz`, the program: agent, collector, store, dashboard, reports and command line.

#[cfg(feature = "collector")]
pub mod report;
