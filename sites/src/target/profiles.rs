//! The profiles that can be asked for.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use toml::Spanned;

use super::written::WrittenFile;
use super::{InventoryTarget, Profile, ProfileId, Target, TargetId};
use crate::site::School;
use crate::toml_file::{Document, Problem};

/// The files of the built-in profiles.
macro_rules! files {
    ($($id:literal)*) => {
        &[$((concat!($id, ".toml"), include_str!(concat!("../../profiles/", $id, ".toml")))),*]
    };
}

/// In the order in which lists show them: line, services, Wi-Fi, LAN, devices, support, project defaults.
const FILES: &[(&str, &str)] = files! {
    "de-aufgreifschwelle-30"
    "de-gigabit"
    "de-schueler-1"
    "de-schueler-2"
    "lemgo-500-1000"
    "uk-dfe-2025"
    "setda-2020"
    "setda-2023"
    "fcc-1mbps"
    "giga-2030"
    "voice-video"
    "wlan-voice-grade"
    "wlan-klassenraum"
    "ni-digitalpakt-2019"
    "sn-orientierung"
    "lan-dfe"
    "lan-lk-sm"
    "lan-mbk"
    "lan-muenchen"
    "lan-paderborn"
    "lan-schulpodium"
    "geraete-1zu1"
    "geraete-bertelsmann-2017"
    "geraete-hamm-2020"
    "support-bertelsmann"
    "support-dortmund"
    "support-gew"
    "support-mbk"
    "support-stuttgart"
    "mep-basis"
    "mep-ziel"
};

static BUILT_IN: LazyLock<Profiles> = LazyLock::new(|| {
    let parse = |&(file, text): &(&str, &str)| match Profile::parse(file, text) {
        Ok(profile) => profile,
        // The files are part of the program, and a test parses each of them.
        Err(problems) => unreachable!("built-in profile: {problems:?}"),
    };
    Profiles(FILES.iter().map(parse).collect())
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

    /// The profile that a file names.
    pub(super) fn named(
        &self,
        document: Document<'_>,
        name: &Spanned<String>,
    ) -> Result<&Profile, Problem> {
        let found = self
            .iter()
            .find(|known| known.id.as_str() == name.get_ref());
        found.ok_or_else(|| self.unknown(document, name))
    }

    /// Says that a file names a profile that is not known. All of them are listed only where they are few.
    pub(crate) fn unknown(&self, document: Document<'_>, name: &Spanned<String>) -> Problem {
        const FEW: usize = 8;
        let word = name.get_ref();
        let known: Vec<&str> = self.iter().map(|profile| profile.id.as_str()).collect();
        let shown: String = word.chars().take(80).collect();
        let listed = match known.len() {
            0 => "none is known".to_owned(),
            1..=FEW => format!("known: {}", known.join(", ")),
            n => format!("{n} are known, among them {}", known[..FEW].join(", ")),
        };
        let message = format!("there is no profile `{shown}` ({listed})");
        document.misspelt(name.span().start, word, message, &known)
    }

    /// These profiles and those of a user's own files, each with its name and its text, in whatever order
    /// they extend one another.
    ///
    /// # Errors
    /// The problems of all files: a profile that extends an unknown one or, over others, itself; an id that
    /// is taken; and everything that [`Profile::parse`] refuses.
    pub fn with_own(&self, files: &[(String, String)]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut open = Vec::new();
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        for (file, text) in files {
            let document = Document::new(file, text);
            let head = match document.read::<WrittenFile>() {
                Ok(written) => written.profile,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            let id = head.id.get_ref();
            let taken = match (self.get(id), places.get(id.as_str())) {
                (Some(_), _) => Some(format!(
                    "`{id}` is a built-in profile: give yours another id, and extend it"
                )),
                (None, Some(other)) => Some(format!("`{other}` already has a profile `{id}`")),
                (None, None) => None,
            };
            if let Some(message) = taken {
                problems.push(document.problem(head.id.span().start, Some("id"), message));
                continue;
            }
            places.insert(id.to_string(), file.clone());
            open.push((document, text.as_str(), head));
        }
        let mut known = self.clone();
        while let Some(index) = open.iter().position(|(_, _, head)| {
            let base = head.extends.as_ref().map(Spanned::get_ref);
            // A base that is not among the files is not waited for: reading says that it is unknown.
            base.is_none_or(|base| !open.iter().any(|(_, _, h)| h.id.get_ref().as_str() == base))
        }) {
            let (document, text, _) = open.remove(index);
            match Profile::parse_onto(document.file(), text, &known) {
                Ok(profile) => known.0.push(profile),
                Err(found) => problems.extend(found),
            }
        }
        // What is left waits for itself or for what does.
        for (document, _, head) in &open {
            let Some(extends) = &head.extends else {
                continue;
            };
            let mut chain = vec![head.id.get_ref().as_str()];
            let mut next = Some(extends.get_ref().as_str());
            while let Some(id) = next.filter(|id| !chain.contains(id)) {
                chain.push(id);
                let of_next = open.iter().find(|(_, _, h)| h.id.get_ref().as_str() == id);
                next =
                    of_next.and_then(|(_, _, h)| h.extends.as_ref().map(|e| e.get_ref().as_str()));
            }
            chain.extend(next);
            let message = format!(
                "the profiles extend each other in a circle: {}",
                chain.join(" → ")
            );
            problems.push(document.problem(extends.span().start, Some("extends"), message));
        }
        if problems.is_empty() {
            Ok(known)
        } else {
            Err(problems)
        }
    }

    /// The target of this id; of several for different schools the first.
    #[must_use]
    pub fn target(&self, id: &TargetId) -> Option<&Target> {
        self.iter()
            .flat_map(|profile| &profile.targets)
            .find(|target| target.id == *id)
    }

    /// The ids of all targets of both kinds.
    pub fn target_ids(&self) -> impl Iterator<Item = &TargetId> {
        self.iter().flat_map(|profile| {
            let measured = profile.targets.iter().map(|target| &target.id);
            measured.chain(profile.inventory.iter().map(|target| &target.id))
        })
    }

    /// The measured targets of these profiles that hold for `school`, in the order of the list; an id that is
    /// not known has none.
    pub fn targets_for<'a>(
        &'a self,
        ids: &'a [ProfileId],
        school: &'a School,
    ) -> impl Iterator<Item = &'a Target> {
        ids.iter()
            .filter_map(|id| self.get(id))
            .flat_map(|profile| profile.targets_for(school))
    }

    /// The inventory targets of these profiles that hold for `school`.
    pub fn inventory_for<'a>(
        &'a self,
        ids: &'a [ProfileId],
        school: &'a School,
    ) -> impl Iterator<Item = &'a InventoryTarget> {
        ids.iter()
            .filter_map(|id| self.get(id))
            .flat_map(|profile| profile.inventory_for(school))
    }

    /// All of them, built-in ones first.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use messnetz_metric::{Layer, Quantity};

    use super::*;
    use crate::decision::time_to_decision;
    use crate::source::Mark;
    use crate::target::{Origin, Status};

    #[test]
    fn every_built_in_profile_is_read_and_called_like_its_file() {
        for (file, text) in FILES {
            let profile = Profile::parse(file, text).unwrap_or_else(|e| panic!("{e:#?}"));
            assert_eq!(format!("{}.toml", profile.id), *file);
        }
        assert_eq!(Profiles::built_in().iter().count(), FILES.len());
    }

    /// A file that is not in the list would not ship.
    #[test]
    fn every_file_of_the_folder_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles");
        let files = std::fs::read_dir(folder).unwrap();
        let mut found: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        let mut listed: Vec<&str> = FILES.iter().map(|(file, _)| *file).collect();
        listed.sort_unstable();
        assert_eq!(found, listed);
    }

    #[test]
    fn every_built_in_target_names_its_source_and_its_mark_fits_the_profiles_status() {
        for profile in Profiles::built_in().iter() {
            let measured = profile.targets.iter().map(|t| (&t.id, &t.source));
            let stated = profile.inventory.iter().map(|t| (&t.id, &t.source));
            for (id, source) in measured.chain(stated) {
                assert!(source.flaw().is_none(), "{id}");
                let is_ours = source.mark == Mark::ProjectDefault;
                assert_eq!(is_ours, profile.status == Status::Project, "{id}");
            }
            for target in &profile.targets {
                // None of these sources states a statistic.
                assert_eq!(target.statistic_origin, Origin::Project, "{}", target.id);
                let is_nominal = target.layer == Some(Layer::Contract);
                assert_eq!(target.tolerance.is_some(), is_nominal, "{}", target.id);
            }
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
                if from_memory != *text {
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
        let school = crate::sample_school::school(None, None);
        let targets: Vec<_> = Profiles::built_in()
            .targets_for(&ids, &school)
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
