//! The collector: lets agents enrol, takes their batches in, judges what they measured, and shows it.
//!
//! Agents have a door of their own, over TLS; the dashboard and its API are another listener. What is
//! shown is computed from the stored samples, anew every few seconds: there is no second truth.

mod assignments;
mod body;
mod certificate;
mod come_again;
mod config;
mod dashboard;
mod door;
mod enrolment;
mod ingest;
mod keys;
mod lanes;
mod leases;
mod opened;
mod quota;
mod rate;
mod reach;
mod receipts;
mod resume;
mod retention;
mod run;
mod schedule;
mod slots;
mod token;
mod turns;
mod updates;

pub use certificate::{CertificateError, issue};
pub use config::{Config, ConfigError, EXAMPLE, load_authority, load_profiles};
pub use ingest::BatchRefused;
pub use keys::{KeyDirectory, KeyError, Keys};
pub use lanes::Lanes;
pub use leases::LeaseError;
pub use opened::{Collector, STORE_FILE};
pub use quota::{Exceeded, Kind, Quota};
pub use reach::Reach;
pub use receipts::ReceiptKeyError;
pub use retention::Retention;
pub use run::{Listeners, RunError, run};
pub use token::{AdminToken, TokenError};
pub use updates::{OfferError, Tally, Updates};
