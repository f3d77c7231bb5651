//! The agent: runs in a school, measures after its schedule, keeps what it measured until the
//! collector has committed it.
//!
//! One task measures, one uploads; they meet only in the spool. The agent knows no target and judges
//! nothing.

mod back_off;
mod budget;
mod causes;
mod ceilings;
mod conduct;
mod doctor;
mod due;
mod enrolment;
mod hand_in;
mod key;
mod limits;
mod numbers;
mod pins;
mod plan;
mod quiet;
mod run;
mod spool;
mod state;
mod timeline;
mod update;
mod upload;
mod wear;

pub use doctor::{Finding, Standing, examine};
pub use enrolment::{EnrolError, Enrolled, enrol};
pub use hand_in::{HandInError, HandedIn, VisitRecord, hand_in};
pub use limits::{Limits, LimitsError, Periods, Targets, Tests};
pub use pins::AnotherCertificate;
pub use plan::{Plan, PlanError, Planned};
pub use run::{RunError, run};
pub use spool::{Contents, Spool, SpoolError};
pub use state::{Enrolment, Heard, StateDirectory, StateError};
pub use update::{Book, Launch, LaunchError, Launched, Placed, RELEASE_KEYS, Trial, versions};
