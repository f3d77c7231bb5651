//! Whole-program tests, in one binary.

// What a test cannot do without is a failure of the test, in its helpers too.
#![allow(clippy::unwrap_used)]

mod architecture;
mod lab;
mod quiet;
