//! `messnetz`: tells a school authority whether each school has the network it was promised.

fn main() {}
