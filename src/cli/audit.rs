//! `messnetz audit`: one visit, one laptop, no collector.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use fluent_bundle::FluentValue;
use indicatif::{ProgressBar, ProgressStyle};
use messnetz_metric::{Medium, Metric, Outcome, Segment, Value};
use messnetz_probes::link::{Duplex, LinkState};
use messnetz_probes::tls::{Fingerprint, Trust};
use messnetz_sites::calendar::SchoolCalendar;
use messnetz_sites::facts::Facts;
use messnetz_sites::inventory::Inventory;
use messnetz_sites::quantile::Statistic;
use messnetz_sites::site::{Address, Authority, Register, School, SchoolForm, Site, SiteId};
use messnetz_sites::target::{ProfileId, Profiles, Target};

use super::{Ending, asked_to_stop, block_on, check_interface, print, print_json, write_new};
use crate::audit::{Audit, Finding, Visit, audit};
use crate::measure::TestServer;
use crate::text::{Language, Text};

/// What a school is held against that no site file describes.
const USUAL: [&str; 3] = ["de-aufgreifschwelle-30", "de-gigabit", "voice-video"];

/// Measure what can be reached from here, and hold it against a profile.
///
/// For one person with a laptop in the server room: own link, gateway, name servers, services, and the
/// line where a test server is named. Works without internet and says what was not reachable. One visit
/// is a snapshot: above or below today, never met or missed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz audit --classes 12 --service https://www.example.org/\n  messnetz audit --sites authority.toml --site NW-100001/main --server messnetz.example:8443 --fingerprint 3f…\n\nExit codes: 0 nothing on the wrong side of a target today, 1 something is, 2 the audit could not be done."
)]
pub(super) struct Arguments {
    /// Site file that holds the school
    #[arg(long, value_name = "FILE", requires = "site")]
    sites: Option<PathBuf>,
    /// The site, as SCHOOL/SITE of the site file
    #[arg(long, requires = "sites")]
    site: Option<SiteId>,
    /// Name of the school, where there is no site file
    #[arg(long, default_value = "school", conflicts_with = "sites")]
    school: String,
    /// Its classes
    #[arg(long, conflicts_with = "sites")]
    classes: Option<u32>,
    /// Its pupils
    #[arg(long, conflicts_with = "sites")]
    pupils: Option<u32>,
    /// Profile to hold it against; may be given several times [default: the site file's, or de-aufgreifschwelle-30, de-gigabit and voice-video]
    #[arg(long = "profile", value_name = "ID")]
    profiles: Vec<ProfileId>,
    /// Measure from this interface only
    #[arg(long)]
    interface: Option<String>,
    /// Test server for the line, such as a collector: HOST:PORT
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    server: Option<String>,
    /// SHA-256 fingerprint of the test server's certificate, where no public authority vouches for it
    #[arg(long, value_name = "HEX", requires = "server")]
    fingerprint: Option<Fingerprint>,
    /// A service the school needs: a page (https://…) or HOST:PORT; may be given several times
    #[arg(long = "service", value_name = "SERVICE", value_parser = service)]
    services: Vec<String>,
    /// Name that every resolver is asked for
    #[arg(long, value_name = "NAME", default_value = "www.schulministerium.nrw")]
    dns_name: String,
    /// How often bursts and capacity tests are repeated
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Length of a capacity test in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10))]
    seconds: u32,
    /// File to save the audit in, for the collector [default: named by site and time]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Language of the findings
    #[arg(long, value_enum, default_value_t = Language::De)]
    lang: Language,
    /// Print the audit as JSON
    #[arg(long)]
    json: bool,
}

/// `HOST:PORT`, checked before work begins.
fn host_and_port(text: &str) -> Result<String, String> {
    match text
        .rsplit_once(':')
        .map(|(host, port)| (host, port.parse::<u16>()))
    {
        Some((host, Ok(1..))) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err("it is not HOST:PORT, such as messnetz.example:8443".to_owned()),
    }
}

/// A page or `HOST:PORT`.
fn service(text: &str) -> Result<String, String> {
    if text.starts_with("https://") || text.starts_with("http://") {
        Ok(text.to_owned())
    } else {
        host_and_port(text).map_err(|_| "it is neither a page (https://…) nor HOST:PORT".to_owned())
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let (school, site, profiles) = subject(arguments)?;
    let targets = targets(&profiles, &school)?;
    check_interface(arguments.interface.as_deref())?;
    let visit = Visit {
        interface: arguments.interface.clone(),
        server: arguments.server.clone().map(|address| TestServer {
            address,
            trust: arguments.fingerprint.map_or(Trust::Web, Trust::Pinned),
        }),
        services: arguments.services.clone(),
        name: arguments.dns_name.clone(),
        runs: arguments.runs,
        test_ms: arguments.seconds * 1_000,
    };
    let bar = progress();
    let audit = block_on(async {
        let stop = asked_to_stop();
        Ok(
            audit(&visit, &school, &site, &targets, stop, |done, all, task| {
                if let Some(bar) = &bar {
                    bar.set_length(all as u64);
                    bar.set_position(done as u64);
                    bar.set_message(task.probe.name());
                }
            })
            .await,
        )
    })?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let path = save(&audit, arguments.out.clone())?;
    if arguments.json {
        print_json(&audit)?;
    } else {
        let text = Text::new(arguments.lang);
        let saved = path.display().to_string();
        print(&format!(
            "{}\n{}",
            findings(&audit, &text),
            text.say_with("audit-saved", &[("path", saved.into())])
        ))?;
    }
    Ok(if audit.has_unfavourable() {
        Ending::Findings
    } else {
        Ending::Well
    })
}

/// Writes the audit into a file of its own: an earlier visit is never overwritten.
fn save(audit: &Audit, out: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let path = out.unwrap_or_else(|| {
        let time = jiff::Timestamp::from_millisecond(audit.began_at.0).unwrap_or_default();
        let time = time.strftime("%Y%m%dT%H%M%SZ");
        PathBuf::from(format!(
            "messnetz-audit-{}-{time}.json",
            audit.site.replace('/', "-")
        ))
    });
    let content = serde_json::to_vec_pretty(audit)?;
    write_new(&path, &content)?;
    Ok(path)
}

/// An interface that does not exist is a mistake of the command line, not a finding.
fn progress() -> Option<ProgressBar> {
    io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new(1);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        bar
    })
}

/// The school that is visited, and the profiles it is held against.
fn subject(arguments: &Arguments) -> anyhow::Result<(School, Site, Vec<ProfileId>)> {
    let chosen = |default: Vec<ProfileId>| {
        if arguments.profiles.is_empty() {
            default
        } else {
            arguments.profiles.clone()
        }
    };
    let (Some(file), Some(id)) = (&arguments.sites, &arguments.site) else {
        let (school, site) = described(arguments)?;
        let usual = USUAL
            .iter()
            .map(|id| id.parse())
            .collect::<Result<_, _>>()?;
        return Ok((school, site, chosen(usual)));
    };
    let name = file.display().to_string();
    let text = fs::read_to_string(file).with_context(|| format!("reading {name}"))?;
    let authority = Authority::parse(&name, &text).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(lines.join("\n"))
    })?;
    let Some((school, site)) = authority.site(id) else {
        let known: Vec<String> = authority.sites().map(|site| site.id.to_string()).collect();
        bail!("{name} knows no site '{id}'; it knows {}", known.join(", "));
    };
    let profiles = authority.profiles_of(school).to_vec();
    Ok((school.clone(), site.clone(), chosen(profiles)))
}

/// A school that is described by flags alone.
fn described(arguments: &Arguments) -> anyhow::Result<(School, Site)> {
    let id = "XX-0".parse()?;
    let site = Site {
        id: SiteId::new(&id, "here")?,
        name: arguments.school.clone(),
        address: Address::default(),
        coordinates: None,
        facts: None,
        inventory: Inventory::default(),
        line: None,
        endpoint: None,
    };
    let school = School {
        id,
        name: arguments.school.clone(),
        form: SchoolForm::Other,
        register: Register::default(),
        facts: Facts {
            classes: arguments.classes,
            pupils: arguments.pupils,
            ..Facts::default()
        },
        inventory: Inventory::default(),
        profiles: None,
        exceptions: Vec::new(),
        calendar: SchoolCalendar::default(),
        sites: vec![site.clone()],
    };
    Ok((school, site))
}

fn targets<'a>(profiles: &[ProfileId], school: &'a School) -> anyhow::Result<Vec<&'a Target>> {
    let built_in = Profiles::built_in();
    let mut targets = Vec::new();
    for id in profiles {
        let Some(profile) = built_in.get(id) else {
            let known: Vec<String> = built_in
                .iter()
                .map(|profile| profile.id.to_string())
                .collect();
            bail!("there is no profile '{id}'; there are {}", known.join(", "));
        };
        targets.extend(profile.targets_for(school));
    }
    Ok(targets)
}

/// What was found, by segment.
fn findings(audit: &Audit, text: &Text) -> String {
    let mut lines = vec![
        text.say_with("audit-title", &[("school", audit.school.as_str().into())]),
        text.say("audit-is-snapshot"),
    ];
    for segment in Segment::ALL {
        let measured = measured(audit, segment, text);
        let snapshots: Vec<&Finding> = audit
            .snapshots
            .iter()
            .filter(|finding| finding.snapshot.metric.segment == segment)
            .collect();
        let is_own = audit
            .link
            .as_ref()
            .is_some_and(|link| own_segment(link) == segment);
        if measured.is_empty() && snapshots.is_empty() && !is_own {
            continue;
        }
        lines.push(String::new());
        lines.push(match segment {
            Segment::Wlan => text.say("audit-segment-wlan"),
            Segment::Lan => text.say("audit-segment-lan"),
            Segment::Line => text.say("audit-segment-line"),
            Segment::Service => text.say("audit-segment-service"),
            Segment::Agent => text.say("audit-segment-agent"),
        });
        if let (true, Some(link)) = (is_own, &audit.link) {
            lines.push(format!("  {}", own_link(link, text)));
            lines.push(match audit.gateway_answers {
                Some(true) => format!("  {}", text.say("audit-gateway-answers")),
                Some(false) => format!("  {}", text.say("audit-gateway-silent")),
                None => format!("  {}", text.say("audit-gateway-unknown")),
            });
        }
        lines.extend(measured.into_iter().map(|line| format!("  {line}")));
        lines.extend(
            snapshots
                .iter()
                .map(|finding| format!("  {}", text.snapshot(&finding.title, &finding.snapshot))),
        );
    }
    if audit
        .link
        .as_ref()
        .is_some_and(|link| link.medium == Medium::Wlan)
    {
        lines.push(String::new());
        lines.push(text.say("audit-over-wlan"));
    }
    if audit.interrupted {
        lines.push(String::new());
        lines.push(text.say("audit-interrupted"));
    }
    if audit.link.is_none() {
        lines.push(String::new());
        lines.push(text.say("audit-no-route"));
    }
    lines.push(String::new());
    lines.join("\n")
}

const fn own_segment(link: &LinkState) -> Segment {
    match link.medium {
        Medium::Wlan => Segment::Wlan,
        Medium::Wired | Medium::Unknown => Segment::Lan,
    }
}

fn own_link(link: &LinkState, text: &Text) -> String {
    let speed = link
        .speed
        .map_or_else(|| text.say("audit-speed-unknown"), |speed| text.rate(speed));
    let duplex = match link.duplex {
        Some(Duplex::Full) => text.say("audit-duplex-full"),
        Some(Duplex::Half) => text.say("audit-duplex-half"),
        None => text.say("audit-duplex-unknown"),
    };
    let medium = match link.medium {
        Medium::Wired => text.say("audit-medium-wired"),
        Medium::Wlan => text.say("audit-medium-wlan"),
        Medium::Unknown => text.say("audit-medium-unknown"),
    };
    let errors = link.counters.rx_errors + link.counters.tx_errors;
    text.say_with(
        "audit-interface",
        &[
            ("interface", link.name.as_str().into()),
            ("medium", medium.into()),
            ("speed", speed.into()),
            ("duplex", duplex.into()),
            ("errors", FluentValue::from(errors)),
        ],
    )
}

/// What one visit saw of a metric.
#[derive(Default)]
struct Seen {
    values: Vec<Value>,
    failure: Option<String>,
}

/// One line for each metric and peer of a segment: the median of the values, or the last failure.
fn measured(audit: &Audit, segment: Segment, text: &Text) -> Vec<String> {
    let mut series: BTreeMap<(&str, Metric), Seen> = BTreeMap::new();
    for observation in audit
        .observations
        .iter()
        .filter(|o| o.metric.segment == segment)
    {
        let entry = series
            .entry((&observation.peer, observation.metric))
            .or_default();
        match &observation.outcome {
            Outcome::Value(value) => entry.values.push(*value),
            Outcome::Failed(failure) => entry.failure = Some(text.failure(failure)),
        }
    }
    series
        .into_iter()
        .map(
            |(
                (peer, metric),
                Seen {
                    mut values,
                    failure,
                },
            )| {
                values.sort_unstable_by_key(|value| value.number());
                let what = match Statistic::MEDIAN
                    .rank(values.len())
                    .and_then(|rank| values.get(rank - 1))
                {
                    Some(median) => format!("{} (n = {})", text.value(*median), values.len()),
                    None => failure.unwrap_or_default(),
                };
                let against = text.say_with("audit-against", &[("peer", peer.into())]);
                format!("{} {against}: {what}", text.quantity(metric))
            },
        )
        .collect()
}
