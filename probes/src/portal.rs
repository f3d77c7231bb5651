//! Whether the web is open: a page that is known to be empty is asked for, and what comes instead tells of
//! a portal that wants to be agreed to, or of a filter.
//!
//! The page is in the clear (`http`), since that is what portals and filters answer in another's place.

use ::http::header::{HeaderMap, LOCATION, VIA};
use ::http::{Response, StatusCode, Uri};
use bytes::Bytes;
use messnetz_metric::Failure;
use serde::Serialize;

use crate::http::Fetch;

/// Longest text of a foreign header that is told.
const LONGEST: usize = 100;

/// What came of a known page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What stands in the way.
    #[serde(flatten)]
    pub state: State,
    /// The status that came (RFC 9110, section 15).
    pub status: u16,
    /// Who passed the answer on, where somebody says so (RFC 9110, section 7.6.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
}

/// What stands between here and a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    /// Nothing: the page came as it is.
    Open,
    /// A portal that somebody must agree to first.
    Portal {
        /// Where it leads to; `None` where it does not say.
        location: Option<String>,
    },
    /// Another page came, or a refusal: a filter, or a portal that does not say so.
    Filtered,
}

/// Asks for a page that answers with status 204 and nothing else, and says what came.
///
/// # Errors
/// As [`Fetch::answer`]: where nothing came at all.
pub async fn check(page: &Fetch) -> Result<Report, Failure> {
    let answer = page.answer().await?;
    Ok(Report {
        state: state(&page.url, &answer),
        status: answer.status().as_u16(),
        via: text(answer.headers(), &VIA),
    })
}

fn state(url: &Uri, answer: &Response<Bytes>) -> State {
    let status = answer.status();
    let location = text(answer.headers(), &LOCATION);
    // What redirects within the same host is another page of it.
    let host = location.as_deref().map(|location| {
        let uri = location.parse::<Uri>().ok();
        uri.and_then(|uri| uri.host().map(str::to_owned))
    });
    match status {
        StatusCode::NO_CONTENT => State::Open,
        // Some caches write 200 for an empty page; nobody's portal is empty.
        StatusCode::OK if answer.body().is_empty() => State::Open,
        StatusCode::NETWORK_AUTHENTICATION_REQUIRED => State::Portal { location },
        _ if status.is_redirection() => match host {
            Some(Some(host)) if Some(host.as_str()) != url.host() => State::Portal { location },
            _ => State::Filtered,
        },
        _ => State::Filtered,
    }
}

fn text(headers: &HeaderMap, name: &::http::HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(text.chars().take(LONGEST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Binding;
    use crate::reach::Reach;
    use crate::tls::Trust;
    use messnetz_metric::FailureReason;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What is made of the answer that somebody gives in the place of the page.
    async fn checked(answer: &'static [u8]) -> Result<Report, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer).await.unwrap();
        });
        check(&Fetch {
            url: "http://check.example/generate_204".parse().unwrap(),
            address: Some(address),
            proxy: None,
            reach: Reach::Anywhere,
            binding: Binding::any(),
            trust: Trust::Web,
            deadline: Duration::from_secs(10),
            max_body: 1000,
        })
        .await
    }

    fn portal(location: &str) -> State {
        State::Portal {
            location: Some(location.to_owned()),
        }
    }

    #[tokio::test]
    async fn what_comes_instead_of_an_empty_page_tells_what_stands_in_the_way() {
        for (answer, expected) in [
            (&b"HTTP/1.1 204 No Content\r\n\r\n"[..], State::Open),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", State::Open),
            (
                b"HTTP/1.1 302 Found\r\nLocation: http://portal.school.example/login?a=b\r\nContent-Length: 0\r\n\r\n",
                portal("http://portal.school.example/login?a=b"),
            ),
            (
                b"HTTP/1.1 511 x\r\nContent-Length: 5\r\n\r\nlogin",
                State::Portal { location: None },
            ),
            (
                b"HTTP/1.1 301 x\r\nLocation: http://check.example/other\r\nContent-Length: 0\r\n\r\n",
                State::Filtered,
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nblocked",
                State::Filtered,
            ),
            (
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
                State::Filtered,
            ),
        ] {
            let report = checked(answer).await.unwrap();
            assert_eq!(report.state, expected);
            assert_eq!(report.via, None);
        }
    }

    #[tokio::test]
    async fn who_passes_the_answer_on_and_says_so_is_named() {
        let answer = b"HTTP/1.1 204 No Content\r\nVia: 1.1 filter.school.example (squid)\r\n\r\n";
        let report = checked(answer).await.unwrap();
        assert_eq!(
            report.via.as_deref(),
            Some("1.1 filter.school.example (squid)")
        );
    }

    #[tokio::test]
    async fn an_endless_page_is_a_filter_too() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nx";
        assert_eq!(
            checked(answer).await.unwrap_err().reason,
            FailureReason::Protocol
        );
    }
}
