//! `cargo xtask`: chores of this repository. What the program does for its users is not here.

use std::process::ExitCode;

mod bench;
mod cargo;
mod faults;
mod fuzz;
mod gate;
mod licences;
mod memory;
mod package;
mod packages;
mod peers;
mod size;

const HELP: &str = "\
Chores of this repository.

Usage: cargo xtask <COMMAND>

Commands:
  test  Install what the tests need (as root), then check formatting, lints, documentation and
        licences, and run all tests; stops at the first failure
  bench collector [PART]
        Load a collector as many agents would, on a machine that does nothing else: what `ingest` costs
        beside Debian's victoria-metrics (installed as root), what a sample takes on the `disk`, how
        long `verdicts` on a year take, and whether 10,000 agents can `reconnect` at once
  bench judging
        Judge a town and a Land for a year and print how long that took
  bench measuring [PART]
        Compare what measuring yields and costs with the stock tools and with the limits, on a machine
        that does nothing else: on loopback `goodput` and CPU time beside iperf3, `ndt7` beside
        M-Lab's client and `sweep` beside fping; as root, over cables between namespaces, `shaped` beside
        iperf3, `rtt` beside ping, and what a `stamp` session and an agent on `watch` take; 20 minutes
        in all
  bench measuring watch --minutes MINUTES
        Keep the watch for so long instead of 5 minutes
  bench roster
        Import lists of 5,407 and 33,000 schools and hold the time against the limits
  faults [NAME…] [--rounds N] [--seed S]
        Break agent and collector while they work, for longer than the tests do, and prove that nothing
        is lost: kill, cut, twist, full, away, clock, restore, power-cut; wear counts what is written
  fuzz [TARGET] [SECONDS] [SEED]
        Give damaged input to whatever reads lists, sheets, formulas, spools and peers; all targets, 10 s each
  package [PROFILE]
        Build both Debian packages and hold what they contain against what boxes have; needs cargo-deb
  size  Build both release programs and hold their sizes, and the memory of an idle agent, against
        the limits
  help  Print this
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["test"] => gate::run(),
        ["bench", "collector"] => bench::collector::run(None),
        ["bench", "collector", part] => bench::collector::run(Some(part)),
        ["bench", "judging"] => bench::judging::run(),
        ["bench", "roster"] => bench::roster::run(),
        ["bench", "measuring"] => bench::measuring(None),
        ["bench", "measuring", "watch", "--minutes", minutes] => bench::watch::run_for(minutes),
        ["bench", "measuring", part] => bench::measuring(Some(part)),
        // Not for people: the watch starts it in a namespace, where this process cannot go itself.
        ["bench", "resolver", address] => bench::watch::resolver(address),
        ["faults", rest @ ..] => faults::run(rest),
        ["fuzz"] => fuzz::run(None, fuzz::SECONDS, "1"),
        ["fuzz", target] => fuzz::run(Some(target), fuzz::SECONDS, "1"),
        ["fuzz", target, seconds] => fuzz::run(Some(target), seconds, "1"),
        ["fuzz", target, seconds, seed] => fuzz::run(Some(target), seconds, seed),
        ["package"] => package::run("release"),
        ["package", profile] => package::run(profile),
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
