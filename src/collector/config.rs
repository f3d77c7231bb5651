//! The collector's configuration: one TOML file, checked when it is loaded.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use messnetz_probes::tcp_info::Congestion;
use messnetz_sites::site::{Authority, SiteId};
use messnetz_sites::target::Profiles;
use messnetz_sites::toml_file::{self, Problem};
use messnetz_sites::upgrade::Catalogue;
use serde::Deserialize;
use thiserror::Error;

use super::lanes::{Lanes, WrittenLane};
use super::quota::Quota;
use super::reach::Reach;
use super::retention::Retention;
use super::schedule::WrittenSchedule;
use super::updates::Updates;
use crate::text::Language;
use crate::wire::Schedule;

/// The example that `messnetz collector init` writes: every key with its default and its meaning.
pub const EXAMPLE: &str = include_str!("collector.toml");

/// What a collector is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    sites: PathBuf,
    #[serde(default = "default_data")]
    data: PathBuf,
    #[serde(default = "default_agents")]
    agents: SocketAddr,
    public: Option<String>,
    #[serde(default = "default_dashboard")]
    dashboard: SocketAddr,
    #[serde(default)]
    language: Language,
    congestion: Option<Congestion>,
    catalogue: Option<PathBuf>,
    #[serde(default)]
    quota: Quota,
    #[serde(default)]
    retention: Retention,
    #[serde(default)]
    updates: Updates,
    #[serde(default)]
    reach: BTreeMap<SiteId, Reach>,
    schedule: Option<WrittenSchedule>,
    #[serde(default)]
    lane: Vec<WrittenLane>,
}

/// A collector's configuration with everything that it names read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Schools, sites, lines and facts.
    pub authority: Authority,
    /// Where store and certificate lie.
    pub data: PathBuf,
    /// Where agents knock: TCP for enrolment, batches and ndt7, and UDP for STAMP.
    pub agents: SocketAddr,
    /// What tickets name as the collector's address, `HOST:PORT`.
    pub public: String,
    /// Where the dashboard and its API listen.
    pub dashboard: SocketAddr,
    /// Language of the dashboard.
    pub language: Language,
    /// Congestion control of ndt7 downloads; BBR where the kernel has it.
    pub congestion: Option<Congestion>,
    /// What can be bought.
    pub catalogue: Catalogue,
    /// What one agent may send a day.
    pub quota: Quota,
    /// How long samples are kept.
    pub retention: Retention,
    /// How often agents ask for releases.
    pub updates: Updates,
    /// What of the schools' lines can be asked from here.
    pub reach: BTreeMap<SiteId, Reach>,
    /// What agents measure.
    pub schedule: Schedule,
    /// What their tests share.
    pub lanes: Lanes,
}

/// The configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("reading {path}")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file does not say what it should; one line a problem.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<Problem>),
    /// A value cannot be used.
    #[error("{path}: {key}: {why}")]
    Value {
        /// In which file.
        path: String,
        /// Which key.
        key: &'static str,
        /// Why not.
        why: String,
    },
}

impl Config {
    /// Reads a configuration; paths in it are relative to its own directory.
    ///
    /// # Errors
    /// Where a file cannot be read or does not say what it should, with file, line and field.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let written: Written = toml_file::read(&name, &read(path)?)
            .map_err(|problem| ConfigError::Problems(vec![problem]))?;
        let directory = path.parent().unwrap_or(Path::new("."));
        let authority = load_authority(&directory.join(&written.sites))?;
        let catalogue = match &written.catalogue {
            Some(file) => {
                let file = directory.join(file);
                Catalogue::parse(&file.display().to_string(), &read(&file)?)
                    .map_err(ConfigError::Problems)?
            }
            None => Catalogue::built_in().clone(),
        };
        let value = |key| {
            let path = name.clone();
            move |why| ConfigError::Value { path, key, why }
        };
        let schedule = match written.schedule {
            Some(schedule) => schedule,
            None => default_schedule()?,
        };
        let lanes = Lanes::check(written.lane, &authority).map_err(value("lane"))?;
        let schedule = schedule
            .check(lanes.in_a_row(&authority))
            .map_err(value("schedule.task.every_ms"))?;
        if let Some(why) = written.quota.flaw() {
            return Err(value("quota")(why));
        }
        if let Some(why) = written.retention.flaw() {
            return Err(value("retention")(why));
        }
        let unknown = |site: &&SiteId| authority.site(site).is_none();
        if let Some(site) = written.reach.keys().find(unknown) {
            let why = format!("the site file knows no site {site}");
            return Err(value("reach")(why));
        }
        let public = match written.public {
            Some(public) => host_and_port(public).map_err(value("public"))?,
            None if written.agents.ip().is_unspecified() => {
                let why = "agents listen on every address, so tickets need one that schools can reach: public = \"HOST:PORT\"";
                return Err(value("public")(why.to_owned()));
            }
            None => written.agents.to_string(),
        };
        Ok(Self {
            authority,
            data: directory.join(written.data),
            agents: written.agents,
            public,
            dashboard: written.dashboard,
            language: written.language,
            congestion: written.congestion,
            catalogue,
            quota: written.quota,
            retention: written.retention,
            updates: written.updates,
            reach: written.reach,
            schedule,
            lanes,
        })
    }
}

/// Reads a site file and the profiles of its own that it names; their paths are relative to it.
///
/// # Errors
/// Where one of them cannot be read or does not say what it should.
pub fn load_authority(path: &Path) -> Result<Authority, ConfigError> {
    let name = path.display().to_string();
    let text = read(path)?;
    let profiles = load_profiles(path, &text)?;
    Authority::parse_against(&name, &text, &profiles).map_err(ConfigError::Problems)
}

/// The profiles that a site file may name: the built-in ones, and its own.
///
/// # Errors
/// Where one of its own cannot be read or does not say what it should.
pub fn load_profiles(path: &Path, site_file: &str) -> Result<Profiles, ConfigError> {
    let name = path.display().to_string();
    let files = Authority::profile_files(&name, site_file)
        .map_err(|problem| ConfigError::Problems(vec![problem]))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let own = files
        .into_iter()
        .map(|file| {
            let path = directory.join(file);
            Ok((path.display().to_string(), read(&path)?))
        })
        .collect::<Result<Vec<_>, ConfigError>>()?;
    Profiles::built_in()
        .with_own(&own)
        .map_err(ConfigError::Problems)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::File {
        path: path.display().to_string(),
        source,
    })
}

fn default_data() -> PathBuf {
    PathBuf::from("data")
}

fn default_agents() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 8443))
}

fn default_dashboard() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

/// An address that tickets can name.
fn host_and_port(text: String) -> Result<String, String> {
    let port = text
        .rsplit_once(':')
        .and_then(|(host, port)| (!host.is_empty()).then_some(port)?.parse::<u16>().ok());
    match port {
        Some(1..) => Ok(text),
        _ => Err(format!(
            "'{text}' is not HOST:PORT, such as messnetz.example:8443"
        )),
    }
}

/// What agents measure where the configuration says nothing else: light probes every minute, a
/// capacity test in both directions four times a day. It is what the example says.
fn default_schedule() -> Result<WrittenSchedule, ConfigError> {
    #[derive(Deserialize)]
    struct Example {
        schedule: WrittenSchedule,
    }
    let read: Result<Example, Problem> = toml_file::read("the built-in collector.toml", EXAMPLE);
    read.map(|example| example.schedule)
        .map_err(|problem| ConfigError::Problems(vec![problem]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judging::pace::{Pace, paces};

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("collector.toml");
        fs::write(
            folder.path().join("authority.toml"),
            messnetz_sites::site::EXAMPLE,
        )
        .unwrap();
        fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn every_shipped_target_that_the_shipped_schedule_measures_is_decided_within_sixty_days() {
        let schedule = load(EXAMPLE).unwrap().schedule;
        let mut authority =
            Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
        authority.profiles = authority.known.iter().map(|p| p.id.clone()).collect();
        for school in &mut authority.schools {
            school.profiles = None;
        }
        let measured: Vec<Pace> = paces(
            &authority,
            &schedule,
            messnetz_metric::UnixMillis(1_780_000_000_000),
        )
        .into_iter()
        .filter(|pace| pace.samples_a_day > 0.0)
        .collect();
        assert!(measured.len() >= 6, "{measured:?}");
        for pace in measured {
            assert!(pace.is_short, "{pace:?}");
        }
    }

    #[test]
    fn the_example_holds_a_schedule_and_can_be_loaded() {
        let config = load(EXAMPLE).unwrap();
        let default = default_schedule().unwrap().check(3).unwrap();
        assert_eq!(config.schedule, default);
        assert_eq!(config.quota, Quota::default());
        assert!(config.schedule.tasks.len() > 4);
    }

    #[test]
    fn a_misspelt_key_is_named_with_line_and_suggestion() {
        let error = load("sites = \"authority.toml\"\ndashbord = \"127.0.0.1:1\"\n").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("collector.toml:2"), "{text}");
        assert!(text.contains("did you mean `dashboard`"), "{text}");
    }

    #[test]
    fn a_public_address_without_a_port_is_refused_before_a_ticket_carries_it() {
        for wrong in [
            "messnetz.example",
            ":8443",
            "messnetz.example:port",
            "messnetz.example:0",
        ] {
            let error = load(&format!(
                "sites = \"authority.toml\"\npublic = \"{wrong}\"\n"
            ));
            let said = error.unwrap_err().to_string();
            assert!(said.contains("is not HOST:PORT"), "{said}");
        }
    }

    #[test]
    fn lines_can_be_asked_at_sites_that_there_are() {
        let with = |site: &str, address: &str| {
            let reach = format!("[reach]\n\"{site}\" = \"{address}\"\n");
            load(&format!(
                "sites = \"authority.toml\"\npublic = \"m:1\"\n{reach}"
            ))
        };
        let authority = Authority::parse("a", messnetz_sites::site::EXAMPLE).unwrap();
        let site = &authority.sites().next().unwrap().id;
        let config = with(&site.to_string(), "198.51.100.7").unwrap();
        assert!(config.reach.contains_key(site));
        for (site, address, said) in [
            (
                "XX-999999/main",
                "198.51.100.7",
                "knows no site XX-999999/main",
            ),
            (&site.to_string(), "a b", "is no address"),
            ("XX", "198.51.100.7", "site id"),
        ] {
            let error = with(site, address).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_missing_site_file_is_named() {
        let error = load("sites = \"nowhere.toml\"").unwrap_err();
        assert!(error.to_string().contains("nowhere.toml"), "{error}");
    }
}
