//! Whole-program tests, in one binary.

mod lab;
mod quiet;
