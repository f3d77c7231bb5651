//! The real program is broken while it works: killed, cut off, fed with twisted batches, filled up, left alone
//! for days, its clock and its disk set back. Afterwards every observation that was kept is in the
//! collector's store once and unaltered, or told as missing, and the chains verify.
//!
//! Here are bounded runs; `cargo xtask faults` makes them as long as one likes. What was kept is known from a
//! journal that [`keeper`] writes beside the spool; what arrived is read by the program's own commands.

mod away;
mod clock;
mod cut;
mod full;
mod keeper;
mod kill;
mod numbered;
mod proof;
mod relay;
mod restore;
mod scene;
mod twist;

/// How often something is broken: `bounded` times in the test command, as often as is asked for otherwise.
fn rounds(bounded: u64) -> u64 {
    number_of("MESSNETZ_FAULTS_ROUNDS").unwrap_or(bounded)
}

/// What chance is made of.
fn seed() -> u64 {
    number_of("MESSNETZ_FAULTS_SEED").unwrap_or(1)
}

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}
