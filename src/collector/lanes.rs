//! Bottlenecks as lanes: what the tests of several sites go through, and how much of it may be filled at once.
//! Every site's own line is one that takes a single test. Pure.

use std::collections::BTreeSet;

use messnetz_metric::Direction;
use messnetz_sites::site::{Authority, Site};
use serde::{Deserialize, Serialize};

/// The lane that every test goes through: the collector's test server, one test at a time where the configuration
/// says nothing else.
const TEST_SERVER: &str = "collector";

/// Most lanes of a configuration.
const MAX_LANES: usize = 64;

/// Longest name of a lane, in characters.
const LONGEST_NAME: usize = 60;

/// A lane as the operator writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenLane {
    name: String,
    /// How many tests at once.
    tests: Option<u32>,
    /// Or how much all of them may carry together, by the contracts of their lines.
    mbps: Option<u32>,
    /// Whose tests go through it; those of all sites where not given.
    sites: Option<BTreeSet<String>>,
}

/// What a lane can take at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Capacity {
    Tests(u64),
    Kbps(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Lane {
    name: String,
    capacity: Capacity,
    sites: Option<BTreeSet<String>>,
}

/// The lanes of an authority, beside its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lanes(Vec<Lane>);

/// How much of a lane one test takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    pub(super) lane: String,
    pub(super) takes: u64,
    pub(super) of: u64,
}

impl Lanes {
    /// The lanes that a configuration has, and the test server.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub(super) fn check(written: Vec<WrittenLane>, authority: &Authority) -> Result<Self, String> {
        if written.len() > MAX_LANES {
            return Err(format!("{} lanes are more than {MAX_LANES}", written.len()));
        }
        let known: BTreeSet<String> = authority.sites().map(|site| site.id.to_string()).collect();
        let mut lanes: Vec<Lane> = Vec::new();
        for WrittenLane {
            name,
            tests,
            mbps,
            sites,
        } in written
        {
            let capacity = match (tests, mbps) {
                (Some(tests @ 1..), None) => Capacity::Tests(tests.into()),
                (None, Some(mbps @ 1..)) => Capacity::Kbps(u64::from(mbps) * 1_000),
                _ => return Err(format!("'{name}' needs either `tests` or `mbps`, from 1")),
            };
            if name.is_empty() || name.chars().count() > LONGEST_NAME {
                return Err(format!("a name has 1 to {LONGEST_NAME} characters"));
            }
            if lanes.iter().any(|lane| lane.name == name) {
                return Err(format!("'{name}' is there twice"));
            }
            if let Some(unknown) = sites.iter().flatten().find(|site| !known.contains(*site)) {
                return Err(format!("'{name}': the site file has no site {unknown}"));
            }
            lanes.push(Lane {
                name,
                capacity,
                sites,
            });
        }
        if !lanes.iter().any(|lane| lane.name == TEST_SERVER) {
            lanes.push(Lane {
                name: TEST_SERVER.to_owned(),
                capacity: Capacity::Tests(1),
                sites: None,
            });
        }
        Ok(Self(lanes))
    }

    /// What a test of this site takes of each lane that it goes through.
    pub(super) fn of_site(&self, site: &Site) -> Vec<Share> {
        let id = site.id.to_string();
        let line = Share {
            lane: format!("line of {id}"),
            takes: 1,
            of: 1,
        };
        let uses = |lane: &&Lane| lane.sites.as_ref().is_none_or(|sites| sites.contains(&id));
        let named = self.0.iter().filter(uses).map(|lane| lane.share(site));
        std::iter::once(line).chain(named).collect()
    }

    /// How many tests of different sites have to come one after another in the narrowest lane, when each site does
    /// one.
    pub(super) fn in_a_row(&self, authority: &Authority) -> usize {
        let in_a_row = |lane: &Lane| {
            let sites = authority.sites().map(|site| self.of_site(site));
            let shares = sites.flatten().filter(|share| share.lane == lane.name);
            let (takes, of) = shares.fold((0, 1), |(sum, _), share| (sum + share.takes, share.of));
            usize::try_from(takes.div_ceil(of)).unwrap_or(usize::MAX)
        };
        self.0.iter().map(in_a_row).max().unwrap_or(1)
    }
}

impl Lane {
    fn share(&self, site: &Site) -> Share {
        let (takes, of) = match self.capacity {
            Capacity::Tests(tests) => (1, tests),
            Capacity::Kbps(kbps) => {
                let contract = site.line.as_ref().map(|line| &line.contract);
                let fastest = contract.map(|contract| {
                    let kbps = |direction| contract.rate(direction).bits().as_bps() / 1_000;
                    kbps(Direction::Down).max(kbps(Direction::Up)).max(1)
                });
                // A line that nobody has stated may fill it.
                (fastest.unwrap_or(kbps).min(kbps), kbps)
            }
        };
        Share {
            lane: self.name.clone(),
            takes,
            of,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> Authority {
        Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap()
    }

    fn lanes(text: &str) -> Result<Lanes, String> {
        #[derive(Deserialize)]
        struct File {
            lane: Vec<WrittenLane>,
        }
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        Lanes::check(file.lane, &authority())
    }

    #[test]
    fn without_a_word_every_line_and_the_test_server_take_one_test() {
        let (lanes, authority) = (Lanes::check(Vec::new(), &authority()).unwrap(), authority());
        let site = authority.sites().next().unwrap();
        let shares = lanes.of_site(site);
        let names: Vec<&str> = shares.iter().map(|share| share.lane.as_str()).collect();
        assert_eq!(names, [&format!("line of {}", site.id)[..], "collector"]);
        assert!(shares.iter().all(|share| (share.takes, share.of) == (1, 1)));
        assert_eq!(lanes.in_a_row(&authority), authority.sites().count());
    }

    #[test]
    fn a_lane_has_room_for_tests_or_for_a_rate_and_for_its_sites() {
        let authority = authority();
        let site = authority.sites().next().unwrap();
        let text = format!(
            "[[lane]]\nname = \"collector\"\ntests = 4\n[[lane]]\nname = \"town hall\"\nmbps = 10\nsites = [\"{}\"]\n",
            site.id
        );
        let lanes = lanes(&text).unwrap();
        let shares = lanes.of_site(site);
        assert_eq!((shares[1].takes, shares[1].of), (1, 4));
        assert_eq!(
            (shares[2].lane.as_str(), shares[2].of),
            ("town hall", 10_000)
        );
        assert!((1..=10_000).contains(&shares[2].takes));
        assert_eq!(lanes.of_site(authority.sites().last().unwrap()).len(), 2);
    }

    #[test]
    fn a_lane_that_is_none_is_refused_by_name() {
        for (text, expected) in [
            ("[[lane]]\nname = \"x\"\n", "'x' needs either"),
            ("[[lane]]\nname = \"x\"\ntests = 0\n", "'x' needs either"),
            ("[[lane]]\nname = \"\"\ntests = 1\n", "1 to 60 characters"),
            (
                "[[lane]]\nname = \"x\"\ntests = 1\nsites = [\"XX-1/y\"]\n",
                "no site XX-1/y",
            ),
            (
                "[[lane]]\nname = \"x\"\ntests = 1\n[[lane]]\nname = \"x\"\nmbps = 1\n",
                "there twice",
            ),
        ] {
            let said = lanes(text).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }
}
