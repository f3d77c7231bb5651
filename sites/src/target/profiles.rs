//! The profiles that can be asked for.

use std::sync::LazyLock;

use super::{Profile, ProfileId, Target, TargetId};

/// The files of the built-in profiles.
const FILES: [(&str, &str); 3] = [
    (
        "de-aufgreifschwelle-30.toml",
        include_str!("../../profiles/de-aufgreifschwelle-30.toml"),
    ),
    (
        "de-gigabit.toml",
        include_str!("../../profiles/de-gigabit.toml"),
    ),
    (
        "voice-video.toml",
        include_str!("../../profiles/voice-video.toml"),
    ),
];

static BUILT_IN: LazyLock<Profiles> = LazyLock::new(|| {
    let parse = |(file, text)| match Profile::parse(file, text) {
        Ok(profile) => profile,
        // The files are part of the program, and a test parses each of them.
        Err(problems) => unreachable!("built-in profile: {problems:?}"),
    };
    Profiles(FILES.into_iter().map(parse).collect())
});

/// A set of profiles, each with its own id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profiles(Vec<Profile>);

impl Profiles {
    /// The profiles that come with the program.
    #[must_use]
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// These profiles and one more, which takes the place of one with the same id.
    #[must_use]
    pub fn with(mut self, profile: Profile) -> Self {
        self.0.retain(|known| known.id != profile.id);
        self.0.push(profile);
        self
    }

    /// The profile of this id.
    #[must_use]
    pub fn get(&self, id: &ProfileId) -> Option<&Profile> {
        self.0.iter().find(|profile| profile.id == *id)
    }

    /// The target of this id.
    #[must_use]
    pub fn target(&self, id: &TargetId) -> Option<&Target> {
        self.iter()
            .flat_map(|profile| &profile.targets)
            .find(|target| target.id == *id)
    }

    /// All of them, built-in ones first.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.0.iter()
    }
}
