//! What a school is, what network it should have, and what to do about it.
//!
//! The way of one judgement: a site file gives an [`Authority`](site::Authority), a profile gives a
//! [`Target`](target::Target), and the samples of one site give a
//! [`Judgement`](verdict::Judgement) by [`verdict::judge`], or for one visit a
//! [`Snapshot`](verdict::Snapshot) by [`verdict::snapshot`]. What was missed has a
//! [`Cause`](cause::Cause) by [`cause::cause`], the causes have upgrades by [`upgrade::recommend`], and
//! [`coverage::coverage`] counts schools for the charts. Months become a [`Trend`](trend::Trend) by
//! [`trend::trend`], and [`decision::time_to_decision`] says beforehand how long all that takes.
//!
//! Pure: no I/O, no clock, no async, no randomness that is not passed in. Nothing here knows an agent, a
//! probe, a database or a language to speak in: results are data, and the program words them.

pub mod blocks;
pub mod calendar;
pub mod cause;
pub mod contract;
pub mod coverage;
pub mod decision;
mod delimited;
pub mod facts;
pub mod formula;
mod ident;
pub mod inventory;
mod judging;
pub mod liveness;
pub mod period;
pub mod quantile;
#[cfg(test)]
#[path = "../examples/interval_grid/random.rs"]
mod random;
#[cfg(feature = "roster")]
pub mod roster;
#[cfg(test)]
mod sample_school;
pub mod share;
pub mod site;
mod source;
mod spelling;
pub mod target;
mod text;
pub mod toml_file;
pub mod trend;
pub mod upgrade;
pub mod verdict;

pub use ident::InvalidId;
pub use judging::Judging;
pub use source::{Day, Mark, NotADay, RefusedMark, Source};
pub use spelling::nearest;
pub use text::Bilingual;
