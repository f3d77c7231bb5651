//! What leaves the program for people: charts and tables.
//!
//! Everything here draws or writes what was judged elsewhere; nothing here decides.

pub mod chart;
pub mod charts;
pub mod table;
