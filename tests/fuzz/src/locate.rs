//! What a locate service answers: servers, and where their tests are.

use messnetz_metric::Direction;
use messnetz_probes::ndt7::locate::{Answer, MOST_SERVERS};

/// Written after the documentation of M-Lab's service.
pub(crate) const SEED: &[u8] = br#"{"results":[{"machine":"mlab3-lga05.example","location":{"city":"New York","country":"US"},"urls":{"wss:///ndt/v7/download":"wss://a.example/ndt/v7/download?access_token=t0ken","wss:///ndt/v7/upload":"wss://a.example:4443/ndt/v7/upload?access_token=t0ken"}}]}"#;

pub(crate) const WORDS: &[&str] = &[
    "\"results\":",
    "\"machine\":",
    "\"location\":",
    "\"urls\":",
    "\"wss:///ndt/v7/download\":",
    "wss://",
    "/ndt/v7/download",
    "[::1]",
    ":99999",
    "\\u001b",
    "null",
    "[",
    "{",
    "}",
    "]",
    ",",
];

/// Few servers, of which nothing upsets a terminal, with places that can be asked.
pub(crate) fn run(bytes: &[u8]) -> String {
    match Answer::parse(200, bytes) {
        Ok(Answer::Servers(servers)) => {
            assert!(servers.len() <= MOST_SERVERS);
            let mut places = 0;
            for server in &servers {
                assert!(!server.to_string().contains(char::is_control));
                for direction in [Direction::Down, Direction::Up] {
                    let place = server.place(direction, true);
                    assert!(place.as_ref().is_none_or(|place| !place.host.is_empty()));
                    places += usize::from(place.is_some());
                }
            }
            format!("ok: {} servers, {places} places", servers.len())
        }
        Ok(Answer::NoCapacity) => "ok: no capacity".to_owned(),
        Err(failure) => failure.reason.name().to_owned(),
    }
}
