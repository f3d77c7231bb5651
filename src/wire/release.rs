//! Releases of the program: what is signed offline for boxes to run, and how agent and collector speak of it.
//!
//! The collector only carries a release: which keys may sign one is decided on the box.

use serde::{Deserialize, Serialize};

use super::batch::Digest;
use super::{AgentId, CollectorId, Signed, Statement};

/// Path of the door where agents tell what they run and ask for a release.
pub const UPDATE_PATH: &str = "/v1/update";

/// Path of the door where agents fetch a release's program, part by part.
pub const PROGRAM_PATH: &str = "/v1/program";

/// Largest program that is taken, in bytes.
pub const MAX_PROGRAM_BYTES: u64 = 64 * 1024 * 1024;

/// Most bytes of a program in one answer: in base64 they fit into what agents read of an answer.
pub const PART_BYTES: usize = 160 * 1024;

/// Most characters of what is told of a failed release.
pub const MAX_WHY: usize = 200;

/// What this program was built for, as Rust names it.
pub const TARGET: &str = if cfg!(all(target_arch = "x86_64", target_env = "gnu")) {
    "x86_64-unknown-linux-gnu"
} else if cfg!(all(target_arch = "x86_64", target_env = "musl")) {
    "x86_64-unknown-linux-musl"
} else if cfg!(all(target_arch = "aarch64", target_env = "gnu")) {
    "aarch64-unknown-linux-gnu"
} else if cfg!(all(target_arch = "aarch64", target_env = "musl")) {
    "aarch64-unknown-linux-musl"
} else if cfg!(all(target_arch = "arm", target_abi = "eabihf")) {
    "armv7-unknown-linux-gnueabihf"
} else {
    // No release is for it, so that none is taken.
    "unknown"
};

/// A program that boxes may run, as the holder of a release key says. Read leniently: the signer may be newer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its name for people, such as `0.2.0`.
    pub version: String,
    /// Grows with every release: none is taken after a later one.
    pub serial: u64,
    /// What it was built for, such as `aarch64-unknown-linux-gnu`.
    pub target: String,
    /// Length of the program in bytes.
    pub size: u64,
    /// SHA-256 of the program.
    pub sha256: Digest,
}

impl Statement for Release {
    const FORMAT: &'static str = "messnetz-release-1";
}

/// A release as it was signed.
pub type SignedRelease = Signed<Release>;

impl Release {
    /// What of it nobody can use: names are shown, and a size is memory and time.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        let is_name = |text: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || ".+~-_".contains(c);
            (1..=64).contains(&text.len()) && text.chars().all(allowed)
        };
        if !is_name(&self.version) || !is_name(&self.target) {
            return Err("version and target are 1 to 64 letters, digits and .+~-_".to_owned());
        }
        if self.serial == 0 {
            return Err("serials begin with 1".to_owned());
        }
        if !(1..=MAX_PROGRAM_BYTES).contains(&self.size) {
            return Err(format!(
                "its program has {} bytes; 1 to {MAX_PROGRAM_BYTES} are taken",
                self.size
            ));
        }
        Ok(())
    }
}

/// A release that an agent does not run, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Which.
    pub serial: u64,
    /// Its name for people.
    pub version: String,
    /// Why, in English, [`MAX_WHY`] characters at most.
    pub why: String,
}

impl Failed {
    /// What is told of a release.
    #[must_use]
    pub fn of(serial: u64, version: &str, why: impl std::fmt::Display) -> Self {
        Self {
            serial,
            version: version.to_owned(),
            why: why.to_string().chars().take(MAX_WHY).collect(),
        }
    }
}

/// What an agent says of the program that it runs, signed with its own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramReport {
    /// To whom.
    pub collector: CollectorId,
    /// Whose.
    pub agent: AgentId,
    /// What it was built for.
    pub target: String,
    /// Name of the running release; of the program itself where none was placed.
    pub version: String,
    /// Serial of the running release; `None` where the packaged program runs.
    pub serial: Option<u64>,
    /// The running release is being tried: it has still to show that it reports.
    pub on_trial: bool,
    /// Whether it takes releases: it has release keys, and what starts it can go back.
    pub takes: bool,
    /// The release that was rolled back last.
    pub rolled_back: Option<Failed>,
    /// The offer that was refused last.
    pub refused: Option<Failed>,
}

impl Statement for ProgramReport {
    const FORMAT: &'static str = "messnetz-program-report-1";
}

/// What the collector answers to a [`ProgramReport`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdateAnswer {
    /// The release that this agent may fetch.
    #[serde(default)]
    pub release: Option<SignedRelease>,
    /// In how many seconds to ask again.
    pub again_in_s: u64,
}

/// Asks for a part of a program, signed with the agent's own key: strangers cannot load the line with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartWanted {
    /// From whom.
    pub collector: CollectorId,
    /// Who asks.
    pub agent: AgentId,
    /// SHA-256 of the whole program.
    pub sha256: Digest,
    /// Bytes before the part.
    pub from: u64,
}

impl Statement for PartWanted {
    const FORMAT: &'static str = "messnetz-program-part-1";
}

/// A part of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramPart {
    /// Its bytes in base64, [`PART_BYTES`] at most.
    pub bytes: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_a_path_or_markup_and_a_size_beyond_the_bound_are_refused() {
        let good = Release {
            version: "0.2.0+town~1".to_owned(),
            serial: 1,
            target: TARGET.to_owned(),
            size: 1,
            sha256: Digest::of(b""),
        };
        good.check().unwrap();
        let version = |version: &str| Release {
            version: version.to_owned(),
            ..good.clone()
        };
        let size = |size| Release {
            size,
            ..good.clone()
        };
        for bad in [
            version("../../etc"),
            version("<b>"),
            version(""),
            version(&"1".repeat(65)),
            size(0),
            size(MAX_PROGRAM_BYTES + 1),
            Release {
                serial: 0,
                ..good.clone()
            },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn this_program_knows_what_it_was_built_for() {
        assert_ne!(TARGET, "unknown");
    }

    #[test]
    fn a_part_fits_into_an_answer_that_agents_read() {
        assert!(PART_BYTES.div_ceil(3) * 4 + 100 < 256 * 1024);
    }
}
