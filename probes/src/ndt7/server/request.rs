//! Whether a request asks for a test in the right way (ndt7, "Protocol description" and "Query string
//! parameters"; RFC 6455, section 4.2.1).

use ::http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use messnetz_metric::Direction;
use std::collections::HashSet;
use thiserror::Error;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::ndt7::{SUBPROTOCOL, path};

/// Longest query string (ndt7, "Query string parameters").
const MAX_QUERY: usize = 4096;

/// The only early exit there is: after so many megabytes.
const EARLY_EXIT_MEGABYTES: &str = "250";
const EARLY_EXIT_BYTES: u64 = 250_000_000;

/// A request for a test that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    direction: Direction,
    early_exit: Option<u64>,
    accept: HeaderValue,
}

/// Why a request cannot be served: a status code and a line for the body of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{status}: {message}")]
pub struct Refusal {
    /// Status code (RFC 9110, section 15).
    pub status: u16,
    /// What is wrong.
    pub message: &'static str,
}

impl Request {
    /// Checks the path, the query string without its question mark and the headers of a GET request.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub fn parse(
        requested: &str,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        let direction = [Direction::Down, Direction::Up]
            .into_iter()
            .find(|&direction| path(direction) == requested)
            .ok_or(Refusal {
                status: 404,
                message: "no such test",
            })?;
        let early_exit = parse_query(query.unwrap_or_default())?;
        let accept = parse_headers(headers)?;
        Ok(Self {
            direction,
            early_exit,
            accept,
        })
    }

    /// Seen from the client.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// How many acknowledged bytes end a download early, where the client asked for that.
    #[must_use]
    pub fn early_exit(&self) -> Option<u64> {
        self.early_exit
    }

    /// The headers of the answer, whose status is 101 (RFC 6455, section 4.2.2).
    #[must_use]
    pub fn response_headers(&self) -> [(HeaderName, HeaderValue); 4] {
        [
            (UPGRADE, HeaderValue::from_static("websocket")),
            (CONNECTION, HeaderValue::from_static("Upgrade")),
            (SEC_WEBSOCKET_ACCEPT, self.accept.clone()),
            (
                SEC_WEBSOCKET_PROTOCOL,
                HeaderValue::from_static(SUBPROTOCOL),
            ),
        ]
    }
}

/// The early exit that the query asks for. All else in it is metadata, whose form alone is checked:
/// keys are compared as written.
fn parse_query(query: &str) -> Result<Option<u64>, Refusal> {
    if query.len() > MAX_QUERY {
        return Err(bad("the query string is longer than 4096 bytes"));
    }
    let mut keys = HashSet::new();
    let mut early_exit = None;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if value.is_empty() {
            return Err(bad("a query parameter has no value"));
        }
        if !keys.insert(key) {
            return Err(bad("a query parameter occurs twice"));
        }
        if key == "early_exit" {
            if value != EARLY_EXIT_MEGABYTES {
                return Err(bad("early_exit can only be 250"));
            }
            early_exit = Some(EARLY_EXIT_BYTES);
        }
    }
    Ok(early_exit)
}

/// The accept key that follows from the headers.
fn parse_headers(headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
    if !lists(headers, &UPGRADE, "websocket") || !lists(headers, &CONNECTION, "upgrade") {
        return Err(bad("not a WebSocket upgrade"));
    }
    if !lists(headers, &SEC_WEBSOCKET_VERSION, "13") {
        return Err(Refusal {
            status: 426,
            message: "only WebSocket version 13 is spoken",
        });
    }
    if !lists(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(bad(
            "the WebSocket subprotocol net.measurementlab.ndt.v7 is missing",
        ));
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key.as_bytes()))
        .ok_or_else(|| bad("Sec-WebSocket-Key is not 16 bytes in base64"))?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|_| bad("Sec-WebSocket-Key has no answer"))
}

/// Whether one of the comma-separated members of a header is `wanted`, in whatever case.
fn lists(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|member| member.trim().eq_ignore_ascii_case(wanted))
}

/// Whether this is base64 of 16 bytes (RFC 4648, section 4).
fn is_key(key: &[u8]) -> bool {
    let is_digit = |c: &u8| c.is_ascii_alphanumeric() || *c == b'+' || *c == b'/';
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_digit)
}

const fn bad(message: &'static str) -> Refusal {
    Refusal {
        status: 400,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        // The example key of RFC 6455, section 1.3.
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        headers.insert(SEC_WEBSOCKET_KEY, key);
        headers.insert(
            SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(SUBPROTOCOL),
        );
        headers
    }

    fn query(query: &str) -> Result<Request, Refusal> {
        Request::parse("/ndt/v7/download", Some(query), &headers())
    }

    #[test]
    fn the_key_is_answered_as_in_rfc_6455() {
        let request = Request::parse("/ndt/v7/upload", None, &headers()).unwrap();
        assert_eq!(request.direction(), Direction::Up);
        let accept = request
            .response_headers()
            .into_iter()
            .find(|(name, _)| name == SEC_WEBSOCKET_ACCEPT)
            .unwrap();
        assert_eq!(accept.1, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn another_path_is_not_found() {
        let refusal = Request::parse("/ndt/v7/sideload", None, &headers()).unwrap_err();
        assert_eq!(refusal.status, 404);
    }

    #[test]
    fn each_header_is_needed() {
        for name in [
            UPGRADE,
            CONNECTION,
            SEC_WEBSOCKET_VERSION,
            SEC_WEBSOCKET_KEY,
            SEC_WEBSOCKET_PROTOCOL,
        ] {
            let mut headers = headers();
            headers.remove(&name);
            let refusal = Request::parse("/ndt/v7/download", None, &headers).unwrap_err();
            let expected = if name == SEC_WEBSOCKET_VERSION {
                426
            } else {
                400
            };
            assert_eq!(refusal.status, expected, "{name}");
        }
    }

    #[test]
    fn another_subprotocol_is_refused() {
        let mut headers = headers();
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chat"));
        assert_eq!(
            Request::parse("/ndt/v7/download", None, &headers)
                .unwrap_err()
                .status,
            400
        );
        // One of several is enough.
        let both = HeaderValue::from_static("chat, net.measurementlab.ndt.v7");
        headers.insert(SEC_WEBSOCKET_PROTOCOL, both);
        assert!(Request::parse("/ndt/v7/download", None, &headers).is_ok());
    }

    #[test]
    fn early_exit_is_250_or_nothing() {
        assert_eq!(
            query("early_exit=250").unwrap().early_exit(),
            Some(250_000_000)
        );
        assert_eq!(query("").unwrap().early_exit(), None);
        for other in ["251", "0", "-250", "250MB", ""] {
            assert_eq!(
                query(&format!("early_exit={other}")).unwrap_err().status,
                400
            );
        }
    }

    #[test]
    fn metadata_must_be_well_formed() {
        assert!(query("client_name=messnetz&client_version=1").is_ok());
        assert_eq!(query("a=1&a=2").unwrap_err().status, 400);
        assert_eq!(query("a=").unwrap_err().status, 400);
        assert_eq!(query("a").unwrap_err().status, 400);
        assert!(query(&format!("a={}", "x".repeat(4094))).is_ok());
        assert_eq!(
            query(&format!("a={}", "x".repeat(4095)))
                .unwrap_err()
                .status,
            400
        );
    }

    proptest! {
        #[test]
        fn no_request_makes_the_parser_panic(path in ".{0,30}", text in ".{0,100}", key: Vec<u8>) {
            let mut headers = headers();
            if let Ok(value) = HeaderValue::from_bytes(&key) {
                headers.insert(SEC_WEBSOCKET_KEY, value);
            }
            let _ = Request::parse(&path, Some(&text), &headers);
            let _ = Request::parse("/ndt/v7/upload", Some(&text), &headers);
        }
    }
}
