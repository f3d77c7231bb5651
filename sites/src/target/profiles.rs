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

    /// The targets of these profiles, in the order of the list; an id that is not known has none.
    pub fn targets_of(&self, ids: &[ProfileId]) -> impl Iterator<Item = &Target> {
        ids.iter()
            .filter_map(|id| self.get(id))
            .flat_map(|profile| &profile.targets)
    }

    /// All of them, built-in ones first.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use messnetz_metric::Quantity;

    use super::*;
    use crate::decision::time_to_decision;
    use crate::source::Mark;
    use crate::target::{Origin, Status};

    #[test]
    fn every_built_in_profile_is_read_and_called_like_its_file() {
        for (file, text) in FILES {
            let profile = Profile::parse(file, text).unwrap();
            assert_eq!(format!("{}.toml", profile.id), file);
        }
        assert_eq!(Profiles::built_in().iter().count(), FILES.len());
    }

    #[test]
    fn every_built_in_target_names_its_source_and_where_its_statistic_comes_from() {
        for target in Profiles::built_in().iter().flat_map(|p| &p.targets) {
            let id = &target.id;
            assert!(target.source.flaw().is_none(), "{id}");
            let is_ours = target.source.mark == Mark::ProjectDefault;
            assert!(
                !is_ours,
                "{id}: all thresholds of these profiles come from others"
            );
            // None of these sources states a statistic.
            assert_eq!(target.statistic_origin, Origin::Project, "{id}");
        }
    }

    /// What is shipped must be decidable by those who wait for it: capacity tests fill the line and come
    /// once a day, everything else at least once in a lesson hour.
    #[test]
    fn every_built_in_target_can_be_decided_within_sixty_school_days() {
        for target in Profiles::built_in().iter().flat_map(|p| &p.targets) {
            let is_capacity = matches!(target.metric.quantity, Quantity::Goodput(_));
            let samples_a_day = if is_capacity { 1.0 } else { 6.0 };
            let time = time_to_decision(target, samples_a_day);
            assert!(time.is_short(), "{}: {time:?}", target.id);
        }
    }

    #[test]
    fn a_target_from_memory_cannot_be_read() {
        for (file, text) in FILES {
            for mark in ["\"S\"", "\"S2\""] {
                let from_memory = text.replace(&format!("mark = {mark}"), "mark = \"M\"");
                if from_memory != text {
                    let problems = Profile::parse(file, &from_memory).unwrap_err();
                    assert!(problems[0].message.contains("from memory"), "{problems:?}");
                }
            }
        }
    }

    #[test]
    fn download_and_symmetry_are_two_targets() {
        let profile = Profiles::built_in()
            .get(&"de-gigabit".parse().unwrap())
            .unwrap();
        let metrics: Vec<_> = profile
            .targets
            .iter()
            .map(|t| t.metric.to_string())
            .collect();
        assert_eq!(metrics, ["line.down", "line.up"]);
        assert_eq!(profile.status, Status::Current);
    }

    #[test]
    fn the_targets_of_a_school_come_in_the_order_of_its_profiles() {
        let ids = ["voice-video", "no-such", "de-gigabit"].map(|id| id.parse().unwrap());
        let targets: Vec<_> = Profiles::built_in()
            .targets_of(&ids)
            .map(|target| target.id.as_str())
            .collect();
        assert_eq!(
            targets,
            [
                "voice-video/rtt",
                "voice-video/jitter",
                "voice-video/loss",
                "de-gigabit/down",
                "de-gigabit/up"
            ]
        );
    }

    #[test]
    fn the_built_in_targets_are_written_in_a_stable_form() {
        let id = "de-aufgreifschwelle-30/down".parse().unwrap();
        insta::assert_json_snapshot!(Profiles::built_in().target(&id).unwrap());
    }
}
