//! What a school is, what network it should have, and what to do about it.
//!
//! Pure: no I/O, no clock, no async, no randomness that is not passed in.
