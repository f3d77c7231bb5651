//! The agent: runs in a school, measures after its schedule, keeps what it measured until the
//! collector has committed it.
//!
//! One task measures, one uploads; they meet only in the spool. The agent knows no target and judges
//! nothing.

mod budget;
mod ceilings;
mod due;
mod enrolment;
mod key;
mod run;
mod spool;
mod state;
mod upload;

pub use enrolment::{EnrolError, enrol};
pub use run::{RunError, run};
pub use spool::{Contents, Spool, SpoolError};
pub use state::{Enrolment, StateDirectory, StateError};
