//! The collector: lets agents enrol, takes their batches in, judges what they measured, and shows it.
//!
//! Agents have a door of their own, over TLS; the dashboard and its API are another listener. What is
//! shown is computed from the stored samples, anew every few seconds: there is no second truth.

mod body;
mod certificate;
mod config;
mod dashboard;
mod door;
mod ingest;
mod receipts;
mod run;
mod schedule;
mod token;
mod turns;

pub use certificate::CertificateError;
pub use config::{Config, ConfigError, EXAMPLE, load_authority, load_profiles};
pub use ingest::BatchRefused;
pub use receipts::ReceiptKeyError;
pub use run::{Collector, Listeners, RunError, run};
pub use token::{AdminToken, TokenError};
