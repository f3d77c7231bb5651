//! HTTP proxies on the way out: which one is told of, and the tunnel through it.
//!
//! Many schools let TLS out through a proxy only. A tunnel is asked for by `CONNECT` (RFC 9110, section
//! 9.3.6); once it stands, the proxy passes bytes on. [`choose`] reads the variables that other programs
//! read, too; the network is not asked for one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnetwork::IpNetwork;
use messnetz_metric::{Failure, FailureReason};
use serde::Serialize;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest head of an answer that is read; ours to choose, a head has some hundred bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// An HTTP proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    authorization: Option<String>,
}

impl Proxy {
    /// Its host: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A tunnel through it to `host`, a name or an address without brackets.
    #[must_use]
    pub fn tunnel(&self, host: &str, port: u16) -> Tunnel {
        Tunnel {
            authority: authority(host, port),
            proxy: self.to_string(),
            authorization: self.authorization.clone(),
        }
    }

    /// What a request that is not tunnelled carries as `Proxy-Authorization` (RFC 9110, section 11.7.2).
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }
}

/// Without user and password: these are no one's to read.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&authority(&self.host, self.port))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl Serialize for Proxy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Proxy {
    type Err = InvalidProxy;

    /// Takes `http://user:password@host:port` and `host:port`.
    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let rest = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => return Err(InvalidProxy::Scheme(scheme.to_owned())),
        };
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let (host, port) = rest
            .trim_end_matches('/')
            .rsplit_once(':')
            .ok_or(InvalidProxy::Port)?;
        let port = port.parse().map_err(|_| InvalidProxy::Port)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let forbidden = |c: char| c.is_whitespace() || c.is_control() || "/?#@".contains(c);
        let is_name = !host.contains(':') || host.parse::<IpAddr>().is_ok();
        if host.is_empty() || host.contains(forbidden) || !is_name || port == 0 {
            return Err(InvalidProxy::Host);
        }
        // User and password as RFC 7617 has them, after what RFC 3986 escapes in an address.
        let basic = |user: &str| format!("Basic {}", STANDARD.encode(unescaped(user)));
        Ok(Self {
            host: host.to_owned(),
            port,
            authorization: user.map(basic),
        })
    }
}

/// A text is not the address of a proxy. The text itself is not repeated: a password may be in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidProxy {
    /// Another scheme.
    #[error("proxies of the kind '{0}' are not spoken with (http://HOST:PORT is)")]
    Scheme(String),
    /// No port.
    #[error("the address of a proxy needs its port, such as http://proxy.example:3128")]
    Port,
    /// No host.
    #[error("the address of a proxy needs a host, such as http://proxy.example:3128")]
    Host,
}

/// Takes `%41` for `A` (RFC 3986, section 2.1); what is no escape stays.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        let digit = |at: usize| char::from(*others.get(at)?).to_digit(16);
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push((high << 4 | low) as u8);
            rest = others.get(2..).unwrap_or_default();
        } else {
            bytes.push(first);
            rest = others;
        }
    }
    bytes
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The proxy that the environment names for `host`; `variable` looks a variable up.
///
/// `https_proxy` and `HTTPS_PROXY` are for TLS, `http_proxy` for what is in the clear (its capitals are
/// passed over: within CGI, a client could set them). `no_proxy` lists what is reached without: names with
/// all that ends in them, addresses, networks, and `*` for all. This host is always reached without.
///
/// # Errors
/// Where the variable that counts is no address of a proxy; with the variable's name.
pub fn choose(
    variable: impl Fn(&str) -> Option<String>,
    tls: bool,
    host: &str,
) -> Result<Option<Proxy>, (&'static str, InvalidProxy)> {
    let host = host.trim_matches(['[', ']']);
    let variables: &[&'static str] = if tls {
        &["https_proxy", "HTTPS_PROXY"]
    } else {
        &["http_proxy"]
    };
    let set = variables.iter().find_map(|name| {
        let value = variable(name).filter(|value| !value.is_empty())?;
        Some((*name, value))
    });
    let Some((name, value)) = set else {
        return Ok(None);
    };
    let without = variable("no_proxy").or_else(|| variable("NO_PROXY"));
    if is_this_host(host) || without.is_some_and(|list| is_listed(&list, host)) {
        return Ok(None);
    }
    value.parse().map(Some).map_err(|error| (name, error))
}

fn is_this_host(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn is_listed(list: &str, host: &str) -> bool {
    let address = host.parse::<IpAddr>().ok();
    list.split([',', ' ']).any(|entry| {
        let entry = entry.trim();
        if let (Some(address), Ok(network)) = (address, entry.parse::<IpNetwork>()) {
            return network.contains(address);
        }
        let name = entry.trim_start_matches("*.").trim_start_matches('.');
        match host.len().checked_sub(name.len()) {
            _ if entry == "*" => true,
            _ if name.is_empty() => false,
            Some(0) => host.eq_ignore_ascii_case(name),
            // The ending of a name, at a dot; both are ASCII, or they are not the same.
            Some(before) if address.is_none() => {
                let ending = host.get(before..);
                ending.is_some_and(|ending| ending.eq_ignore_ascii_case(name))
                    && host.as_bytes().get(before - 1) == Some(&b'.')
            }
            _ => false,
        }
    })
}

/// A tunnel that a proxy is asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Tunnel {
    authority: String,
    proxy: String,
    authorization: Option<String>,
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tunnel({} through {})", self.authority, self.proxy)
    }
}

impl Tunnel {
    /// Asks for the tunnel over a fresh connection with the proxy and reads the head of its answer, not a
    /// byte more.
    pub(crate) async fn open(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> Result<(), Failure> {
        let broken = |error: std::io::Error| crate::failure::from_io(self.attempt(), &error);
        stream
            .write_all(self.request().as_bytes())
            .await
            .map_err(broken)?;
        let mut head = Vec::with_capacity(512);
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == LONGEST_HEAD {
                return Err(self.answered("the head of its answer has no end"));
            }
            head.push(stream.read_u8().await.map_err(broken)?);
        }
        self.read(&head)
    }

    fn request(&self) -> String {
        let Self { authority, .. } = self;
        let credentials = match &self.authorization {
            Some(authorization) => format!("Proxy-Authorization: {authorization}\r\n"),
            None => String::new(),
        };
        format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{credentials}\r\n")
    }

    /// What the head of an answer says: any 2xx is a tunnel (RFC 9110, section 9.3.6).
    fn read(&self, head: &[u8]) -> Result<(), Failure> {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        let code = status
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split(' ').nth(1))
            .and_then(|code| code.parse::<u16>().ok())
            .filter(|code| (100..600).contains(code));
        match code {
            Some(200..300) => Ok(()),
            Some(407) => Err(self.refused("it asks for user and password (status 407)")),
            Some(code) => Err(self.refused(&format!("status {code}"))),
            None => Err(self.answered("what it answers is no HTTP")),
        }
    }

    fn attempt(&self) -> String {
        format!("tunnel to {} through proxy {}", self.authority, self.proxy)
    }

    fn refused(&self, why: &str) -> Failure {
        let attempt = self.attempt();
        Failure::new(FailureReason::Refused, format_args!("{attempt}: {why}"))
    }

    fn answered(&self, why: &str) -> Failure {
        let attempt = self.attempt();
        Failure::new(FailureReason::Protocol, format_args!("{attempt}: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_taken_with_and_without_scheme_and_user() {
        for (text, shown, authorization) in [
            ("proxy.example:3128", "proxy.example:3128", None),
            ("http://proxy.example:3128/", "proxy.example:3128", None),
            ("http://[fd00::1]:8080", "[fd00::1]:8080", None),
            // RFC 7617, section 2: the user Aladdin with the password "open sesame".
            (
                "http://Aladdin:open%20sesame@10.0.0.1:80",
                "10.0.0.1:80",
                Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ),
        ] {
            let proxy: Proxy = text.parse().unwrap();
            assert_eq!(proxy.to_string(), shown);
            assert_eq!(proxy.authorization.as_deref(), authorization);
            assert!(!format!("{proxy:?}").contains("Aladdin"));
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_with_the_reason() {
        let refused = |text: &str| text.parse::<Proxy>().unwrap_err();
        assert_eq!(
            refused("socks5://proxy.example:1080"),
            InvalidProxy::Scheme("socks5".into())
        );
        assert_eq!(refused("proxy.example"), InvalidProxy::Port);
        assert_eq!(refused("proxy.example:x"), InvalidProxy::Port);
        for nothing in ["http://:3128", "http://a b:3128", "http://a/b:1", "a:b:1"] {
            assert_eq!(refused(nothing), InvalidProxy::Host, "{nothing}");
        }
    }

    fn chosen(variables: &[(&str, &str)], tls: bool, host: &str) -> Option<String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = choose(variable, tls, host).unwrap();
        proxy.map(|proxy| proxy.to_string())
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let both = [("HTTPS_PROXY", "tls:1"), ("http_proxy", "clear:2")];
        assert_eq!(chosen(&both, true, "a.example").as_deref(), Some("tls:1"));
        assert_eq!(
            chosen(&both, false, "a.example").as_deref(),
            Some("clear:2")
        );
        // Whoever sends a header `Proxy:` to a CGI program sets this one.
        assert_eq!(
            chosen(&[("HTTP_PROXY", "evil:1")], false, "a.example"),
            None
        );
        assert_eq!(chosen(&[("https_proxy", "")], true, "a.example"), None);
    }

    #[test]
    fn what_no_proxy_lists_is_reached_directly() {
        for (list, host, direct) in [
            ("", "a.example", false),
            ("*", "a.example", true),
            ("a.example", "a.example", true),
            ("A.EXAMPLE", "b.a.example", true),
            (".example", "a.example", true),
            ("*.example", "a.example", true),
            ("a.example", "ba.example", false),
            ("b.a.example", "a.example", false),
            ("x, 10.0.0.0/8", "10.1.2.3", true),
            ("x,10.0.0.1", "10.0.0.2", false),
            ("0.0.2", "10.0.0.2", false),
            ("fd00::/8", "[fd00::1]", true),
            (",,", "a.example", false),
        ] {
            let variables = [("https_proxy", "proxy.example:1"), ("no_proxy", list)];
            let proxy = chosen(&variables, true, host);
            assert_eq!(proxy.is_none(), direct, "{list} {host}");
        }
    }

    #[test]
    fn this_host_is_reached_without_a_proxy() {
        for host in ["localhost", "127.0.0.1", "[::1]", "127.5.0.1"] {
            assert_eq!(
                chosen(&[("https_proxy", "a:1")], true, host),
                None,
                "{host}"
            );
        }
    }

    #[test]
    fn a_bad_variable_is_named() {
        let variable = |name: &str| (name == "https_proxy").then(|| "proxy.example".to_owned());
        let (name, error) = choose(variable, true, "a.example").unwrap_err();
        assert_eq!((name, error), ("https_proxy", InvalidProxy::Port));
    }

    async fn opened(answer: &str) -> Result<(), Failure> {
        let proxy: Proxy = "http://u:p@proxy.example:3128".parse().unwrap();
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(answer.as_bytes()).await.unwrap();
        drop(theirs.shutdown().await);
        proxy.tunnel("fd00::2", 443).open(&mut ours).await?;
        // What follows the head is the peer's, and still there.
        let mut rest = String::new();
        ours.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "peer");
        Ok(())
    }

    #[tokio::test]
    async fn a_tunnel_stands_after_any_2xx_and_the_peers_first_bytes_are_kept() {
        for status in ["HTTP/1.1 200 Connection established", "HTTP/1.0 299"] {
            let answer = format!("{status}\r\nVia: 1.1 x\r\n\r\npeer");
            opened(&answer).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_the_proxy_does_not_let_through_is_named() {
        for (answer, reason, told) in [
            (
                "HTTP/1.1 407 x\r\n\r\n",
                FailureReason::Refused,
                "user and password",
            ),
            (
                "HTTP/1.1 403 Forbidden\r\n\r\n",
                FailureReason::Refused,
                "status 403",
            ),
            ("SSH-2.0\r\n\r\n", FailureReason::Protocol, "no HTTP"),
            ("HTTP/1.1 200", FailureReason::Protocol, "proxy.example"),
        ] {
            let failure = opened(answer).await.unwrap_err();
            assert_eq!(failure.reason, reason, "{failure}");
            assert!(failure.detail.contains(told), "{failure}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(LONGEST_HEAD));
        let failure = opened(&endless).await.unwrap_err();
        assert!(failure.detail.contains("no end"), "{failure}");
    }

    #[test]
    fn a_tunnel_is_asked_for_by_connect() {
        let proxy: Proxy = "proxy.example:3128".parse().unwrap();
        assert_eq!(
            proxy.tunnel("fd00::2", 443).request(),
            "CONNECT [fd00::2]:443 HTTP/1.1\r\nHost: [fd00::2]:443\r\n\r\n"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(http://)?.{0,40}", head: Vec<u8>, list in ".{0,40}") {
            if let Ok(proxy) = text.parse::<Proxy>() {
                let _ = proxy.tunnel("a.example", 1).read(&head);
            }
            let _ = is_listed(&list, &text);
        }
    }
}
