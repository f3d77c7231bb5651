//! `cargo xtask`: chores of this repository. What the program does for its users is not here.

use std::process::ExitCode;

mod bench;
mod cargo;
mod gate;
mod licences;
mod memory;
mod packages;
mod size;

const HELP: &str = "\
Chores of this repository.

Usage: cargo xtask <COMMAND>

Commands:
  test  Install what the tests need (as root), then check formatting, lints, documentation and
        licences, and run all tests; stops at the first failure
  bench judging
        Judge a town and a Land for a year and print how long that took
  size  Build both release programs and hold their sizes, and the memory of an idle agent, against
        the limits
  help  Print this
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["test"] => gate::run(),
        ["bench", "judging"] => bench::judging(),
        ["size"] => size::run(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
