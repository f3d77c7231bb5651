//! `cargo xtask`: chores of this repository.

fn main() {}
