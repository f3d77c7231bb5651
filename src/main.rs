//! `messnetz`: tells a school authority whether each school has the network it was promised.

use std::process::ExitCode;

fn main() -> ExitCode {
    messnetz::cli::main()
}
