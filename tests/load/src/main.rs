//! `cargo xtask bench collector`: loads a real collector with what many agents send, and tells what it takes.
//!
//! The collector is the program as it is shipped, in a process of its own; agents are enrolled in its store, with
//! keys of their own, and everything that they send is signed and packed before a clock starts.

mod chance;
mod conversation;
mod disk;
mod figures;
mod ingest;
mod measured;
mod process;
mod reconnect;
mod school_box;
mod town;
mod verdicts;
mod victoria;

use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "Usage: load PROGRAM ingest [SHAPE]|disk|verdicts|reconnect";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        [program, "ingest"] => ingest::run(Path::new(program), None),
        [program, "ingest", shape] => ingest::run(Path::new(program), Some(shape)),
        [program, "disk"] => disk::run(Path::new(program)),
        [program, "verdicts"] => verdicts::run(Path::new(program)),
        [program, "reconnect"] => reconnect::run(Path::new(program)),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
