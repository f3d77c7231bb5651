//! Whole-program tests, in one binary.

// What a test cannot do without is a failure of the test, in its helpers too.
#![allow(clippy::unwrap_used)]

mod access;
mod admission;
mod architecture;
mod audit;
mod batch;
mod batch_schema;
mod by_hand;
mod calendar;
mod contract;
mod demo;
mod doctor;
mod doors;
mod explain;
mod faults;
mod figures;
mod help;
mod honesty;
mod hostile;
mod lab;
mod mlab;
mod on_the_spot;
mod path;
mod peers;
mod probe;
mod program;
mod quiet;
mod quota;
mod renewal;
mod responsiveness;
mod silence;
mod sites;
mod store;
mod units;
mod updates;
