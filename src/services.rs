//! What schools reach out for: the services that come with the program, and those of a file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use messnetz_probes::resolvers::Names;
use messnetz_sites::toml_file::{self, Problem};
use serde::{Deserialize, Serialize};

/// The file that comes with the program.
const BUILT_IN: &str = include_str!("../probes/services.toml");

/// Largest file of services.
const MAX_FILE: u64 = 1024 * 1024;

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// A TCP connection.
    Tcp,
    /// TLS over it, with a certificate that public authorities vouch for.
    Tls,
    /// UDP, a STUN binding request.
    Stun,
    /// UDP, a question for the time.
    Ntp,
}

impl Transport {
    /// The name in the file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Stun => "stun",
            Self::Ntp => "ntp",
        }
    }
}

/// One host and port of a service; several entries may have one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    /// What it is called on the command line.
    pub(crate) name: String,
    /// Its host; `None` where each school has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// Its port.
    pub(crate) port: u16,
    /// How it is spoken to.
    pub(crate) transport: Transport,
    /// Where its operator says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
}

/// What is asked for where nobody names something else.
#[derive(Clone, Debug)]
pub(crate) struct Usual {
    /// A page that answers with status 204.
    pub(crate) page: String,
    /// Names that resolvers are asked for.
    pub(crate) names: Names,
    /// A time server.
    pub(crate) time: String,
    /// The services.
    pub(crate) services: Vec<Service>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUsual {
    portal: WrittenPage,
    names: Names,
    time: WrittenHost,
    service: Vec<Service>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPage {
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHost {
    host: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenServices {
    service: Vec<Service>,
}

/// What comes with the program.
///
/// # Errors
/// Never for the file that is built in, which a test reads.
pub(crate) fn built_in() -> Result<Usual, Problem> {
    let written: WrittenUsual = toml_file::read("the built-in services.toml", BUILT_IN)?;
    Ok(Usual {
        page: written.portal.url,
        names: written.names,
        time: written.time.host,
        services: written.service,
    })
}

/// The services of a file.
///
/// # Errors
/// With the place in the file, and the word that was probably meant.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Service>> {
    let shown = path.display();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
        .with_context(|| format!("reading {shown}"))?;
    if text.len() as u64 > MAX_FILE {
        bail!("{shown} has more than {MAX_FILE} bytes: a list of services is shorter");
    }
    let written: WrittenServices = toml_file::read(&shown.to_string(), &text)?;
    Ok(written.service)
}

/// The services that `asked` for by name, `NAME` or `NAME=HOST`; `all` for those with a host of their own.
///
/// # Errors
/// Where there is none of that name, with the one that was probably meant; where it needs a host.
pub(crate) fn chosen(known: &[Service], asked: &[String]) -> anyhow::Result<Vec<Service>> {
    let mut chosen = Vec::new();
    for one in asked {
        if one == "all" {
            chosen.extend(known.iter().filter(|known| known.host.is_some()).cloned());
            continue;
        }
        let (name, host) = match one.split_once('=') {
            Some((name, host)) => (name, Some(host)),
            None => (one.as_str(), None),
        };
        let before = chosen.len();
        for service in known.iter().filter(|known| known.name == name) {
            let host = host.map(str::to_owned).or_else(|| service.host.clone());
            if host.as_ref().is_none_or(String::is_empty) {
                bail!(
                    "every school has its own '{name}': name its host with --service {name}=HOST"
                );
            }
            chosen.push(Service {
                host,
                ..service.clone()
            });
        }
        if chosen.len() == before {
            let names = known.iter().map(|known| known.name.as_str());
            let meant = messnetz_sites::nearest(name, names)
                .map(|meant| format!("; did you mean '{meant}'?"))
                .unwrap_or_default();
            bail!("there is no service '{name}' (see --list-services){meant}");
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_can_be_read_and_names_its_sources() {
        let usual = built_in().unwrap();
        assert!(usual.page.starts_with("http://"));
        assert!(!usual.services.is_empty());
        for service in &usual.services {
            let source = service.source.as_deref().unwrap_or_default();
            assert!(source.starts_with("https://"), "{service:?}");
            assert!(service.port > 0, "{service:?}");
        }
    }

    fn hosts(asked: &[&str]) -> Result<Vec<String>, String> {
        let known = built_in().unwrap().services;
        let asked: Vec<String> = asked.iter().map(|&one| one.to_owned()).collect();
        let chosen = chosen(&known, &asked).map_err(|error| error.to_string())?;
        Ok(chosen.into_iter().filter_map(|one| one.host).collect())
    }

    #[test]
    fn a_service_is_chosen_by_name_and_host() {
        assert_eq!(hosts(&["teams"]).unwrap(), ["teams.microsoft.com"]);
        assert_eq!(
            hosts(&["iserv=school.example"]).unwrap(),
            ["school.example"; 3]
        );
        let all = hosts(&["all"]).unwrap();
        assert!(all.len() > 5 && all.iter().all(|host| !host.is_empty()));
    }

    #[test]
    fn what_cannot_be_chosen_is_explained() {
        let unknown = hosts(&["taems"]).unwrap_err();
        assert!(unknown.contains("did you mean 'teams'?"), "{unknown}");
        let hostless = hosts(&["iserv"]).unwrap_err();
        assert!(hostless.contains("--service iserv=HOST"), "{hostless}");
    }

    #[test]
    fn a_misspelt_key_is_refused_with_its_place_and_the_right_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.toml");
        let text =
            "[[service]]\nname = \"x\"\nhost = \"a.example\"\nprot = 1\ntransport = \"tcp\"\n";
        std::fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("own.toml:4:1"), "{error}");
        assert!(error.contains("did you mean `port`?"), "{error}");
        std::fs::write(&path, text.replace("prot", "port")).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
    }
}
