//! Where a public ndt7 server is: what M-Lab's locate service answers, and how often it may be asked.
//!
//! The locate API, version 2 (m-lab/locate, `USAGE.md` and `api/v2`): a list of servers near the client, each
//! with addresses that hold a token for one test. The token ends up in no message and in no log.

use std::fmt;
use std::time::Duration;

use ::http::Uri;
use messnetz_metric::{Direction, Failure, FailureReason};
use serde::{Deserialize, Serialize};

use super::pacing::SplitMix64;
use super::path;
use crate::binding::Binding;
use crate::http::Fetch;
use crate::proxy::Proxy;
use crate::reach::Reach;
use crate::tls::Trust;

/// Where M-Lab is asked for servers.
pub const NEAREST: &str = "https://locate.measurementlab.net/v2/nearest/ndt/ndt7";

/// Most servers that are used of one answer: as many as the service sends ("up to four results").
pub const MOST_SERVERS: usize = 4;

/// Longest answer that is read, in bytes. Four servers with four addresses each take about 12,000.
const MAX_ANSWER: u64 = 64 * 1024;

/// Longest name of a machine, a city or a country that is taken over.
const MAX_NAME: usize = 100;

/// One question to a locate service.
#[derive(Clone, Debug)]
pub struct Locate {
    /// The service: [`NEAREST`], or another that speaks the same.
    pub url: Uri,
    /// The country to look for servers in (ISO 3166-1 alpha-2), and in no other; `None` for near ones.
    pub country: Option<Country>,
    /// The proxy to go through.
    pub proxy: Option<Proxy>,
    /// The interface to look out from.
    pub binding: Binding,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Time for everything.
    pub deadline: Duration,
}

/// A country by its code of two letters (ISO 3166-1 alpha-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country([u8; 2]);

impl std::str::FromStr for Country {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match *text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err("a country is its code of two letters, such as DE"),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([a, b]) = *self;
        write!(f, "{}{}", char::from(a), char::from(b))
    }
}

/// What a locate service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Servers, the best first; one that rejects a test is followed by the next.
    Servers(Vec<Server>),
    /// There is no room for a test now.
    NoCapacity,
}

/// A server that would take a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Server {
    /// The machine.
    pub machine: String,
    /// The city that it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// The country that it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    #[serde(skip)]
    urls: Urls,
}

/// Where a test of one direction is to be had.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    /// Host name or address, an IPv6 address in brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The query string with the token: to be sent, and not to be shown.
    pub query: String,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({}:{})", self.host, self.port)
    }
}

/// The addresses of one server, by their keys; those of other services are ignored.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Urls {
    #[serde(rename = "wss:///ndt/v7/download")]
    wss_down: Option<String>,
    #[serde(rename = "wss:///ndt/v7/upload")]
    wss_up: Option<String>,
    #[serde(rename = "ws:///ndt/v7/download")]
    ws_down: Option<String>,
    #[serde(rename = "ws:///ndt/v7/upload")]
    ws_up: Option<String>,
}

impl fmt::Debug for Urls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Urls(..)")
    }
}

/// The answer as it is written.
#[derive(Deserialize)]
struct Nearest {
    #[serde(default)]
    results: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    machine: String,
    #[serde(default)]
    location: Option<Location>,
    #[serde(default)]
    urls: Urls,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Location {
    city: String,
    country: String,
}

impl Locate {
    /// Asks once.
    ///
    /// # Errors
    /// As [`Fetch::answer`] and [`Answer::parse`].
    pub async fn run(&self) -> Result<Answer, Failure> {
        let response = Fetch {
            url: self.question()?,
            address: None,
            proxy: self.proxy.clone(),
            reach: Reach::Anywhere,
            binding: self.binding.clone(),
            trust: self.trust.clone(),
            deadline: self.deadline,
            max_body: MAX_ANSWER,
        }
        .answer()
        .await?;
        Answer::parse(response.status().as_u16(), response.body())
    }

    /// The address with what this client says of itself; what the address asks for already is kept.
    fn question(&self) -> Result<Uri, Failure> {
        let joint = if self.url.query().is_some() { '&' } else { '?' };
        let version = env!("CARGO_PKG_VERSION");
        let country = self
            .country
            .map(|country| format!("&country={country}&strict=true"));
        let text = format!(
            "{}{joint}client_name=messnetz&client_version={version}{}",
            self.url,
            country.unwrap_or_default()
        );
        text.parse().map_err(|error| {
            Failure::new(
                FailureReason::Protocol,
                format_args!("asking {} for a server: {error}", self.url),
            )
        })
    }
}

impl Answer {
    /// What the service says by status and body.
    ///
    /// # Errors
    /// [`FailureReason::Busy`] where this client has asked too often, [`FailureReason::Protocol`] for other
    /// statuses, for what is no list of servers, and for a list without any.
    pub fn parse(status: u16, body: &[u8]) -> Result<Self, Failure> {
        let failed = |reason, why: &dyn fmt::Display| {
            Failure::new(reason, format_args!("asking for an ndt7 server: {why}"))
        };
        match status {
            200 => {}
            204 => return Ok(Self::NoCapacity),
            429 => return Err(failed(FailureReason::Busy, &"asked too often (HTTP 429)")),
            _ => {
                return Err(failed(
                    FailureReason::Protocol,
                    &format_args!("HTTP {status}"),
                ));
            }
        }
        // serde_json names the place of an error and the kind of value, never the value of a key it knows.
        let nearest: Nearest = serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let why = format_args!("no list of servers (line {line}, column {column})");
            failed(FailureReason::Protocol, &why)
        })?;
        let servers: Vec<Server> = nearest
            .results
            .into_iter()
            .take(MOST_SERVERS)
            .map(Server::from)
            .collect();
        if servers.is_empty() {
            return Err(failed(FailureReason::Protocol, &"the list has no server"));
        }
        Ok(Self::Servers(servers))
    }
}

impl From<Target> for Server {
    fn from(target: Target) -> Self {
        let location = target.location.unwrap_or_default();
        let named = |text: &str| Some(shown(text)).filter(|text| !text.is_empty());
        Self {
            machine: shown(&target.machine),
            city: named(&location.city),
            country: named(&location.country),
            urls: target.urls,
        }
    }
}

impl Server {
    /// Where its test of this direction is, over TLS (`wss`) or not; `None` where it has none.
    #[must_use]
    pub fn place(&self, direction: Direction, tls: bool) -> Option<Place> {
        let urls = &self.urls;
        let (url, scheme, usual) = match (tls, direction) {
            (true, Direction::Down) => (&urls.wss_down, "wss", 443),
            (true, Direction::Up) => (&urls.wss_up, "wss", 443),
            (false, Direction::Down) => (&urls.ws_down, "ws", 80),
            (false, Direction::Up) => (&urls.ws_up, "ws", 80),
        };
        let url: Uri = url.as_ref()?.parse().ok()?;
        if url.scheme_str() != Some(scheme) || url.path() != path(direction) {
            return None;
        }
        Some(Place {
            host: url.host().filter(|host| !host.is_empty())?.to_owned(),
            port: url.port_u16().unwrap_or(usual),
            query: url.query().unwrap_or_default().to_owned(),
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.machine)?;
        let place: Vec<&str> = [&self.city, &self.country]
            .into_iter()
            .filter_map(|part| part.as_deref())
            .collect();
        if place.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", place.join(", "))
    }
}

/// A foreign text, fit for a terminal.
fn shown(text: &str) -> String {
    let visible = text.chars().filter(|char| !char.is_control());
    visible.take(MAX_NAME).collect()
}

/// How long a client that nobody attends waits between two tests: exponentially distributed about a mean of
/// six hours, cut to 36 minutes to 15 hours (M-Lab, "Acceptable Use Policy"), so about four tests a day.
#[must_use]
pub fn fair_gap(random: &mut SplitMix64) -> Duration {
    const MEAN: f64 = 21_600.0;
    const MIN: f64 = 2_160.0;
    const MAX: f64 = 54_000.0;
    // In (0, 1], so that the logarithm is finite.
    let uniform = 1.0 - random.next_fraction();
    Duration::from_secs_f64((-uniform.ln() * MEAN).clamp(MIN, MAX))
}

/// How long to wait after the service had no room for the `nth` time in a row, from 0: 60, 120 … 960 s, each up
/// to 5 % more or less, so that those who were turned away together do not come back together.
#[must_use]
pub fn after_no_capacity(nth: u32, random: &mut SplitMix64) -> Duration {
    const FIRST: f64 = 60.0;
    const LAST_DOUBLING: u32 = 4;
    const SPREAD: f64 = 0.05;
    let mean = FIRST * f64::from(1_u32 << nth.min(LAST_DOUBLING));
    Duration::from_secs_f64(mean * (1.0 + SPREAD * (2.0 * random.next_fraction() - 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written after the example of the documentation (`USAGE.md`) and `api/v2`'s members, not recorded.
    const DOCUMENTED: &str = r#"{
      "next_request": {"nbf": "2026-01-01T00:00:00Z", "exp": "2026-01-02T00:00:00Z", "url": "https://x/"},
      "results": [
        {"machine": "mlab3-lga05.mlab-oti.measurement-lab.org",
         "hostname": "ndt-mlab3-lga05.mlab-oti.measurement-lab.org",
         "location": {"city": "New York", "country": "US"},
         "urls": {
          "ws:///ndt/v7/download": "ws://ndt-mlab3-lga05.mlab-oti.measurement-lab.org/ndt/v7/download?access_token=SECRET",
          "ws:///ndt/v7/upload": "ws://ndt-mlab3-lga05.mlab-oti.measurement-lab.org/ndt/v7/upload?access_token=SECRET",
          "wss:///ndt/v7/download": "wss://ndt-mlab3-lga05.mlab-oti.measurement-lab.org/ndt/v7/download?access_token=SECRET&index=0",
          "wss:///ndt/v7/upload": "wss://ndt-mlab3-lga05.mlab-oti.measurement-lab.org:4443/ndt/v7/upload?access_token=SECRET"}},
        {"machine": "mlab1-fra01", "urls": {}}
      ]}"#;

    fn servers(body: &str) -> Vec<Server> {
        match Answer::parse(200, body.as_bytes()).unwrap() {
            Answer::Servers(servers) => servers,
            Answer::NoCapacity => panic!("no capacity"),
        }
    }

    #[test]
    fn the_documented_answer_names_servers_and_where_their_tests_are() {
        let servers = servers(DOCUMENTED);
        assert_eq!(servers.len(), 2);
        let said = servers[0].to_string();
        assert_eq!(
            said,
            "mlab3-lga05.mlab-oti.measurement-lab.org (New York, US)"
        );
        assert_eq!(servers[1].to_string(), "mlab1-fra01");
        let host = "ndt-mlab3-lga05.mlab-oti.measurement-lab.org";
        for (direction, tls, port, query) in [
            (Direction::Down, true, 443, "access_token=SECRET&index=0"),
            (Direction::Up, true, 4443, "access_token=SECRET"),
            (Direction::Down, false, 80, "access_token=SECRET"),
        ] {
            let place = servers[0].place(direction, tls).unwrap();
            assert_eq!((place.host.as_str(), place.port), (host, port));
            assert_eq!(place.query, query);
        }
        assert_eq!(servers[1].place(Direction::Down, true), None);
    }

    #[test]
    fn the_token_is_shown_to_nobody() {
        let servers = servers(DOCUMENTED);
        let place = servers[0].place(Direction::Down, true).unwrap();
        let json = serde_json::to_string(&servers).unwrap();
        let spoilt = DOCUMENTED.replace("\"urls\": {}", "\"urls\": \"SECRET\"");
        let failure = Answer::parse(200, spoilt.as_bytes()).unwrap_err();
        let all = format!("{servers:?}{place:?}{json}{failure}");
        assert!(!all.contains("SECRET"), "{all}");
    }

    #[test]
    fn a_status_without_a_list_says_what_it_means() {
        let said = |status: u16| Answer::parse(status, b"{}");
        assert_eq!(said(204), Ok(Answer::NoCapacity));
        for (status, reason) in [
            (429, FailureReason::Busy),
            (500, FailureReason::Protocol),
            (200, FailureReason::Protocol),
        ] {
            assert_eq!(said(status).unwrap_err().reason, reason, "{status}");
        }
    }

    #[test]
    fn no_more_servers_are_taken_than_the_service_sends_and_no_address_of_another_kind() {
        let one = |url: &str| {
            format!(r#"{{"machine":"m\u001b[2J","urls":{{"wss:///ndt/v7/download":"{url}"}}}}"#)
        };
        let all = vec![one("wss://a/ndt/v7/download"); 9].join(",");
        let many = servers(&format!(r#"{{"results":[{all}]}}"#));
        assert_eq!(many.len(), MOST_SERVERS);
        assert_eq!(many[0].machine, "m[2J");
        for url in [
            "ws://a/ndt/v7/download",
            "wss://a/ndt/v7/upload",
            "https://a/ndt/v7/download",
            "/ndt/v7/download",
            "wss://a/other",
            "",
        ] {
            let list = servers(&format!(r#"{{"results":[{}]}}"#, one(url)));
            assert_eq!(list[0].place(Direction::Down, true), None, "{url}");
        }
    }

    #[test]
    fn the_question_names_this_client_and_the_country() {
        let mut locate = Locate {
            url: NEAREST.parse().unwrap(),
            country: Some("de".parse().unwrap()),
            proxy: None,
            binding: Binding::any(),
            trust: Trust::Web,
            deadline: Duration::from_secs(1),
        };
        let query = locate.question().unwrap().query().unwrap().to_owned();
        assert!(query.starts_with("client_name=messnetz&client_version="));
        assert!(query.ends_with("&country=DE&strict=true"), "{query}");
        locate.url = "http://127.0.0.1:1/x?key=1".parse().unwrap();
        let query = locate.question().unwrap().query().unwrap().to_owned();
        assert!(query.starts_with("key=1&client_name="), "{query}");
        for text in ["", "D", "DEU", "D1", "D&", "ß"] {
            assert!(text.parse::<Country>().is_err(), "{text}");
        }
    }

    #[test]
    fn gaps_are_six_hours_in_the_mean_and_within_their_bounds() {
        let mut random = SplitMix64::new(7);
        let gaps: Vec<f64> = (0..20_000)
            .map(|_| fair_gap(&mut random).as_secs_f64())
            .collect();
        assert!(gaps.iter().all(|gap| (2_160.0..=54_000.0).contains(gap)));
        // Cut on both sides: exp(-0.1) - exp(-2.5) of the mean, and 2,160 s.
        let expected = 2_160.0 + 21_600.0 * ((-0.1_f64).exp() - (-2.5_f64).exp());
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        assert!((mean / expected - 1.0).abs() < 0.03, "{mean} {expected}");
    }

    #[test]
    fn without_room_each_wait_is_twice_the_last_up_to_sixteen_minutes() {
        let mut random = SplitMix64::new(7);
        for (nth, mean) in [
            (0, 60.0),
            (1, 120.0),
            (2, 240.0),
            (4, 960.0),
            (5, 960.0),
            (99, 960.0),
        ] {
            let waits: Vec<f64> = (0..1_000)
                .map(|_| after_no_capacity(nth, &mut random).as_secs_f64() / mean)
                .collect();
            assert!(waits.iter().all(|wait| (0.95..=1.05).contains(wait)));
            let spread = waits.iter().any(|wait| *wait < 0.96) && waits.iter().any(|w| *w > 1.04);
            assert!(spread, "{nth}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parser_panic(body: Vec<u8>, damage in ".{0,8}", at: prop::sample::Index) {
            let _ = Answer::parse(200, &body);
            let at = at.index(DOCUMENTED.len());
            let damaged = format!("{}{damage}{}", &DOCUMENTED[..at], &DOCUMENTED[at..]);
            if let Ok(Answer::Servers(servers)) = Answer::parse(200, damaged.as_bytes()) {
                prop_assert!(servers.len() <= MOST_SERVERS);
                for server in servers {
                    let _ = server.place(Direction::Up, true);
                }
            }
        }
    }
}
