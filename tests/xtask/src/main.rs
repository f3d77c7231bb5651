//! `cargo xtask`: chores of this repository. What the program does for its users is not here.

use std::process::ExitCode;

mod bench;
mod cargo;
mod fuzz;
mod gate;
mod licences;
mod memory;
mod packages;
mod peers;
mod size;

const HELP: &str = "\
Chores of this repository.

Usage: cargo xtask <COMMAND>

Commands:
  test  Install what the tests need (as root), then check formatting, lints, documentation and
        licences, and run all tests; stops at the first failure
  bench judging
        Judge a town and a Land for a year and print how long that took
  bench measuring [PART]
        Compare goodput and CPU time of our iperf3 with the stock one's, of our ndt7 with M-Lab's client,
        and of our sweep with fping's, on the loopback interface, and hold them against the limits; seven
        minutes on a machine that does nothing else; parts: goodput, ndt7, sweep
  bench roster
        Import lists of 5,407 and 33,000 schools and hold the time against the limits
  fuzz [TARGET] [SECONDS] [SEED]
        Give damaged input to whatever reads lists, sheets, formulas and peers; all targets, 10 s each
  size  Build both release programs and hold their sizes, and the memory of an idle agent, against
        the limits
  help  Print this
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["test"] => gate::run(),
        ["bench", "judging"] => bench::judging::run(),
        ["bench", "roster"] => bench::roster::run(),
        ["bench", "measuring"] => bench::measuring(None),
        ["bench", "measuring", part] => bench::measuring(Some(part)),
        ["fuzz"] => fuzz::run(None, fuzz::SECONDS, "1"),
        ["fuzz", target] => fuzz::run(Some(target), fuzz::SECONDS, "1"),
        ["fuzz", target, seconds] => fuzz::run(Some(target), seconds, "1"),
        ["fuzz", target, seconds, seed] => fuzz::run(Some(target), seconds, seed),
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
