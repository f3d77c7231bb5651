//! `cargo xtask bench`: how long the work takes that has to be quick.

pub(crate) mod judging;
pub(crate) mod roster;
