//! The file that describes the town, read and checked.

use std::collections::BTreeSet;
use std::time::Duration;

use messnetz_metric::{BitRate, Ppm};
use messnetz_sites::site::SiteId;
use messnetz_sites::toml_file::{self, Problem};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::lab::{LinkSpec, Shape};

/// The default town, which users copy and change.
const BUILT_IN: &str = include_str!("../network.toml");

/// As many as addresses 10.1.0.0 to 10.200.0.0 number; the machine gives up earlier.
const MOST_SCHOOLS: usize = 200;
const MOST_HOSTS: u8 = 100;

/// The example town: its schools and their lines.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Decides which packets are lost on all lines.
    #[serde(default)]
    pub seed: u64,
    /// The schools, in the order of the file.
    #[serde(rename = "school")]
    pub schools: Vec<School>,
}

/// A school of the town with its line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct School {
    /// The site that the line leads to, as the site file names it.
    pub site: SiteId,
    /// Rate of the line towards the school.
    #[serde(deserialize_with = "rate")]
    pub down: BitRate,
    /// Rate of the line from the school.
    #[serde(deserialize_with = "rate")]
    pub up: BitRate,
    /// Delay of the line there and back; half of it is each way.
    #[serde(deserialize_with = "time")]
    pub round_trip: Duration,
    /// Up to so much more delay, each way.
    #[serde(default, deserialize_with = "time")]
    pub jitter: Duration,
    /// Share of the packets that are lost, each way.
    #[serde(default, deserialize_with = "share")]
    pub loss: Ppm,
    /// Hosts on the LAN beside the agent.
    #[serde(default)]
    pub hosts: u8,
}

/// Why a file describes no town.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// Not TOML, an unknown key, or a value that cannot be read.
    #[error("{0}")]
    Syntax(Box<Problem>),
    /// Readable, but not a town that can be built.
    #[error("{file} describes no network that can be built: {reason}")]
    Content {
        /// Name of the file.
        file: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
}

impl Network {
    /// The town that comes with the program.
    ///
    /// # Errors
    /// None in a released program: a test reads the built-in file.
    pub fn built_in() -> Result<Self, NetworkError> {
        Self::parse("the built-in network.toml", BUILT_IN)
    }

    /// The built-in file's text, for the user to copy.
    #[must_use]
    pub const fn built_in_text() -> &'static str {
        BUILT_IN
    }

    /// Reads `text`; `file` is what messages call it.
    ///
    /// # Errors
    /// [`NetworkError`] with the place in the file, as far as there is one.
    pub fn parse(file: &str, text: &str) -> Result<Self, NetworkError> {
        let network: Self = toml_file::read(file, text)
            .map_err(|problem| NetworkError::Syntax(Box::new(problem)))?;
        network.check().map_err(|reason| NetworkError::Content {
            file: file.to_owned(),
            reason,
        })?;
        Ok(network)
    }

    fn check(&self) -> Result<(), String> {
        let n_schools = self.schools.len();
        if n_schools == 0 || n_schools > MOST_SCHOOLS {
            return Err(format!(
                "it has {n_schools} schools; between 1 and {MOST_SCHOOLS} are possible"
            ));
        }
        let mut seen = BTreeSet::new();
        for School { site, hosts, .. } in &self.schools {
            if !seen.insert(site) {
                return Err(format!(
                    "two lines lead to {site}; one site has one line here"
                ));
            }
            if *hosts > MOST_HOSTS {
                return Err(format!(
                    "{site} has {hosts} hosts; {MOST_HOSTS} are possible at most"
                ));
            }
        }
        Ok(())
    }
}

impl School {
    /// The line of this school; `seed` should differ from school to school.
    pub(super) fn line(&self, seed: u64) -> LinkSpec {
        let shape = |rate| Shape {
            jitter: self.jitter,
            loss: self.loss,
            ..Shape::clean(rate, self.round_trip / 2)
        };
        LinkSpec {
            down: shape(self.down),
            up: shape(self.up),
            seed,
        }
    }
}

fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BitRate, D::Error> {
    const UNITS: [(&str, f64); 4] = [
        ("bit/s", 1.0),
        ("kbit/s", 1e3),
        ("Mbit/s", 1e6),
        ("Gbit/s", 1e9),
    ];
    let bps = quantity(deserializer, &UNITS, "100 Mbit/s")?;
    Ok(BitRate::from_bps(bps.round() as u64))
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = quantity(
        deserializer,
        &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0)],
        "12 ms",
    )?;
    Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ppm, D::Error> {
    let ppm = quantity(deserializer, &[("%", 1e4), ("ppm", 1.0)], "1 %")?;
    if ppm > 1e6 {
        return Err(serde::de::Error::custom("a share is 100 % at most"));
    }
    Ok(Ppm::from_ppm(ppm.round() as u32))
}

/// A number and a unit, in the base unit of `units`.
fn quantity<'de, D: Deserializer<'de>>(
    deserializer: D,
    units: &[(&str, f64)],
    example: &str,
) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_quantity(&text, units).ok_or_else(|| {
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        serde::de::Error::custom(format!(
            "{text:?} is not a number with one of the units {}, such as {example:?}",
            names.join(", ")
        ))
    })
}

fn parse_quantity(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(unit_at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    let value = number.parse::<f64>().ok()? * factor;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "[[school]]\nsite = \"XX-1/main\"\ndown = \"100 Mbit/s\"\nup = \"40 Mbit/s\"\nround_trip = \"12 ms\"\n";

    #[test]
    fn the_built_in_town_has_the_figures_of_its_file() {
        let network = Network::built_in().unwrap();
        let figures: Vec<_> = network
            .schools
            .iter()
            .map(|school| {
                (
                    school.down.as_mbps(),
                    school.up.as_mbps(),
                    school.round_trip.as_millis(),
                    school.loss.as_ppm(),
                )
            })
            .collect();
        assert_eq!(
            figures,
            [
                (100.0, 40.0, 12, 0),
                (1000.0, 1000.0, 4, 0),
                (500.0, 100.0, 10, 10_000)
            ]
        );
    }

    #[test]
    fn the_round_trip_is_halved_and_loss_is_both_ways() {
        let line = Network::built_in().unwrap().schools[2].line(1);
        assert_eq!(line.down.delay, Duration::from_millis(5));
        assert_eq!(line.up.delay, Duration::from_millis(5));
        assert_eq!(line.down.loss, line.up.loss);
    }

    #[test]
    fn quantities_need_a_known_unit() {
        let units = [("ms", 1e-3), ("s", 1.0)];
        let cases = [
            ("12 ms", Some(0.012)),
            ("12ms", Some(0.012)),
            ("0.5 s", Some(0.5)),
            ("12", None),
            ("12 h", None),
            ("-1 ms", None),
            ("ms", None),
            ("1.2.3 ms", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_quantity(text, &units), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let cases = [
            (
                ONE.replace("loss", "los") + "los = \"1 %\"\n",
                "unknown key `los`",
            ),
            (
                ONE.to_owned() + "loss = \"1\"\n",
                "\"1\" is not a number with one of the units %",
            ),
            (ONE.to_owned() + "loss = \"101 %\"\n", "100 % at most"),
            (ONE.to_owned() + ONE, "two lines lead to XX-1/main"),
            (ONE.replace("XX-1/main", "A b"), "is no site id"),
            (ONE.to_owned() + "hosts = 101\n", "101 hosts"),
            ("school = []\n".to_owned(), "0 schools"),
        ];
        for (text, expected) in cases {
            let error = Network::parse("town.toml", &text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("town.toml"), "{error}");
        }
    }
}
