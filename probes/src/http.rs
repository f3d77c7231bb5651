//! HTTP and HTTPS: how long each phase of fetching a page takes, and one exchange with a server.
//!
//! HTTP/1.1 (RFC 9112) over hyper; no pool, no redirect is followed and nothing is retried, since all
//! of these would hide what is measured.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use ::http::header::{ACCEPT, CONNECTION, HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use ::http::uri::{Authority, PathAndQuery, Scheme};
use ::http::{Request, Response, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use messnetz_metric::{Failure, FailureReason, Micros, Quantity, Reading, Value};
use serde::Serialize;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

use crate::binding::Binding;
use crate::connection::{Connection, Dial, Stream, Tls};
use crate::failure;
use crate::proxy::Proxy;
use crate::reach::Reach;
use crate::tls::Trust;

/// How this program names itself to servers (RFC 9110, section 10.1.5).
pub(crate) const AGENT: &str = concat!("messnetz/", env!("CARGO_PKG_VERSION"));

/// Fetches a page and times the phases.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// The page: an absolute `http` or `https` address.
    pub url: Uri,
    /// Where to fetch it; `None` to ask the system's resolver for the host's address, or the proxy's.
    pub address: Option<SocketAddr>,
    /// The proxy to go through; it is told the host's name, which this machine then need not resolve.
    pub proxy: Option<Proxy>,
    /// Which addresses the page may have; those behind a proxy are asked for here as well.
    pub reach: Reach,
    /// The interface to look out from; the system's resolver is not bound to it.
    pub binding: Binding,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Time for everything.
    pub deadline: Duration,
    /// Longest body that is read to its end, in bytes.
    pub max_body: u64,
}

/// How long the phases of one fetch took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Who answered: the server, or the proxy.
    pub peer: SocketAddr,
    /// Name resolution; `None` where the address was given.
    #[serde(rename = "resolve_us")]
    pub resolve: Option<Micros>,
    /// TCP, with the server or with the proxy.
    #[serde(rename = "connect_us")]
    pub connect: Micros,
    /// Until the proxy's tunnel stood; `None` without one.
    #[serde(rename = "tunnel_us", skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Micros>,
    /// TLS handshake; `None` over plain HTTP.
    #[serde(rename = "tls_us")]
    pub tls: Option<Micros>,
    /// From the request until the head of the answer had come.
    #[serde(rename = "first_byte_us")]
    pub first_byte: Micros,
    /// From the start of name resolution to the last byte.
    #[serde(rename = "total_us")]
    pub total: Micros,
    /// Status code of the answer (RFC 9110, section 15).
    pub status: u16,
    /// Length of the answer's body.
    pub body_bytes: u64,
}

impl Report {
    /// What was measured, in the vocabulary of targets.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        let time = |quantity, time| Reading::value(quantity, Value::Time(time));
        let mut readings = vec![time(Quantity::ConnectTime, self.connect)];
        readings.extend(self.tls.map(|tls| time(Quantity::TlsTime, tls)));
        readings.push(time(Quantity::FirstByteTime, self.first_byte));
        readings.push(time(Quantity::HttpTime, self.total));
        readings
    }
}

impl Fetch {
    /// What a fetch measures: what to record as failed where it fails.
    #[must_use]
    pub fn quantities(&self) -> &'static [Quantity] {
        const WITH_TLS: [Quantity; 4] = [
            Quantity::ConnectTime,
            Quantity::TlsTime,
            Quantity::FirstByteTime,
            Quantity::HttpTime,
        ];
        const WITHOUT_TLS: [Quantity; 3] = [
            Quantity::ConnectTime,
            Quantity::FirstByteTime,
            Quantity::HttpTime,
        ];
        if self.url.scheme() == Some(&Scheme::HTTPS) {
            &WITH_TLS
        } else {
            &WITHOUT_TLS
        }
    }

    /// Fetches once. A redirect is an answer like any other.
    ///
    /// # Errors
    /// As [`Dial::connect`]; [`FailureReason::NameResolution`] where the name has no address;
    /// [`FailureReason::Protocol`] for a status of 400 and above, for a body over the limit and for
    /// what is no HTTP.
    pub async fn run(&self) -> Result<Report, Failure> {
        let Begun {
            attempt,
            start,
            end,
            peer,
            resolve,
            connection,
            request,
        } = self.begin().await?;
        let asked = Instant::now();
        let conversation = converse(&attempt, connection.stream, request, async |response| {
            let first_byte = Micros::from(asked.elapsed());
            let status = response.status();
            if status.is_client_error() || status.is_server_error() {
                return Err(Failure::new(
                    FailureReason::Protocol,
                    format_args!("HTTP {status}: {attempt}"),
                ));
            }
            let body_bytes = count(&attempt, response.into_body(), self.max_body).await?;
            Ok(Report {
                peer,
                resolve,
                connect: connection.timings.connect,
                tunnel: connection.timings.tunnel,
                tls: connection.timings.tls,
                first_byte,
                total: Micros::from(start.elapsed()),
                status: status.as_u16(),
                body_bytes,
            })
        });
        timeout_at(end, conversation)
            .await
            .map_err(|_| failure::timeout(&attempt, self.deadline))?
    }

    /// Fetches once and hands the whole answer out, whatever its status.
    ///
    /// # Errors
    /// As [`Self::run`], but not for the status.
    pub async fn answer(&self) -> Result<Response<Bytes>, Failure> {
        let Begun {
            attempt,
            end,
            connection,
            request,
            ..
        } = self.begin().await?;
        let conversation = converse(&attempt, connection.stream, request, async |response| {
            let max = usize::try_from(self.max_body).unwrap_or(usize::MAX);
            whole(&attempt, response, max).await
        });
        timeout_at(end, conversation)
            .await
            .map_err(|_| failure::timeout(&attempt, self.deadline))?
    }

    /// Resolves, dials and writes the request, but does not send it.
    async fn begin(&self) -> Result<Begun, Failure> {
        let attempt = format!("fetching {}", self.url);
        let target = Target::of(&self.url)?;
        self.look_behind_the_proxy(&target).await?;
        let start = Instant::now();
        let end = start + self.deadline;

        let addresses = self.addresses(&target, end).await?;
        let resolve = self.address.is_none().then(|| start.elapsed().into());
        let (peer, connection) = self.dial_first(&addresses, &target, end).await?;

        // In the clear, a proxy is asked for the whole address (RFC 9112, section 3.2.2).
        let forwarded = self.proxy.as_ref().filter(|_| !target.tls);
        let path = match forwarded {
            Some(_) => target.absolute(),
            None => target.path.to_string(),
        };
        let mut request = Request::get(path)
            .body(Empty::<Bytes>::new())
            .map_err(|error| not_http(&attempt, &error))?;
        let headers = request.headers_mut();
        headers.insert(HOST, target.host_header()?);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if let Some(credentials) = forwarded.and_then(Proxy::authorization) {
            let credentials =
                HeaderValue::from_str(credentials).map_err(|error| not_http(&attempt, &error))?;
            headers.insert(PROXY_AUTHORIZATION, credentials);
        }
        Ok(Begun {
            attempt,
            start,
            end,
            peer,
            resolve,
            connection,
            request,
        })
    }

    /// A proxy leads wherever it is told, also into networks that this machine may not speak to itself.
    async fn look_behind_the_proxy(&self, target: &Target) -> Result<(), Failure> {
        if self.proxy.is_none() || self.reach == Reach::Anywhere {
            return Ok(());
        }
        let end = Instant::now() + self.deadline;
        let addresses = timeout_at(end, resolve(target.host(), target.port()))
            .await
            .map_err(|_| failure::timeout(format!("fetching {}", self.url), self.deadline))??;
        self.reach.admitted(target.host(), addresses).map(drop)
    }

    async fn addresses(&self, target: &Target, end: Instant) -> Result<Vec<SocketAddr>, Failure> {
        if let Some(address) = self.address {
            return self.reach.admitted(target.host(), [address]);
        }
        let (host, port) = match &self.proxy {
            Some(proxy) => (proxy.host(), proxy.port()),
            None => (target.host(), target.port()),
        };
        let addresses = timeout_at(end, resolve(host, port))
            .await
            .map_err(|_| failure::timeout(format!("fetching {}", self.url), self.deadline))??;
        match &self.proxy {
            Some(_) => Ok(addresses),
            None => self.reach.admitted(host, addresses),
        }
    }

    /// Dials the addresses in the resolver's order until one answers. Each gets an equal share of the
    /// time that is left, so that one dead address cannot spend it all.
    async fn dial_first(
        &self,
        addresses: &[SocketAddr],
        target: &Target,
        end: Instant,
    ) -> Result<(SocketAddr, Connection), Failure> {
        let mut last = Failure::new(
            FailureReason::NameResolution,
            format_args!("{} has no address", target.host()),
        );
        for (index, &address) in addresses.iter().enumerate() {
            let left = end.saturating_duration_since(Instant::now());
            let dial = Dial {
                address,
                tunnel: self
                    .proxy
                    .as_ref()
                    .filter(|_| target.tls)
                    .map(|proxy| proxy.tunnel(target.host(), target.port())),
                tls: target.tls.then(|| Tls {
                    trust: self.trust.clone(),
                    server_name: target.host().to_owned(),
                }),
                binding: self.binding.clone(),
                congestion: None,
                deadline: left / (addresses.len() - index) as u32,
            };
            match dial.connect().await {
                Ok(connection) => return Ok((address, connection)),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }
}

/// A fetch before its request.
struct Begun {
    attempt: String,
    start: Instant,
    end: Instant,
    peer: SocketAddr,
    resolve: Option<Micros>,
    connection: Connection,
    request: Request<Empty<Bytes>>,
}

/// One request and its whole answer over a fresh connection, whatever the status.
///
/// An absolute address in the request is sent in origin form with its authority as `Host` (RFC 9112,
/// section 3.2.1), so that a request can be written with its full address.
///
/// # Errors
/// [`FailureReason::Timeout`] after `deadline`, [`FailureReason::Protocol`] for an answer over
/// `max_body` bytes and for what is no HTTP.
pub async fn exchange(
    connection: Connection,
    mut request: Request<Full<Bytes>>,
    deadline: Duration,
    max_body: usize,
) -> Result<Response<Bytes>, Failure> {
    let attempt = format!("{} {}", request.method(), request.uri());
    let end = Instant::now() + deadline;
    to_origin_form(&mut request)?;
    let conversation = converse(&attempt, connection.stream, request, async |response| {
        whole(&attempt, response, max_body).await
    });
    timeout_at(end, conversation)
        .await
        .map_err(|_| failure::timeout(&attempt, deadline))?
}

/// Sends a request and hands the head of the answer to `read`, driving the connection all the while.
async fn converse<B, F, T>(
    attempt: &str,
    stream: Stream,
    request: Request<B>,
    read: impl FnOnce(Response<Incoming>) -> F,
) -> Result<T, Failure>
where
    B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + 'static,
    F: Future<Output = Result<T, Failure>>,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(attempt, &error))?;
    let mut work = pin!(async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(attempt, &error))?;
        read(response).await
    });
    tokio::select! {
        biased;
        result = &mut work => result,
        // The connection is done, well or badly: what came is already with `work`, and its errors too.
        _ = connection => work.await,
    }
}

/// Reads an answer to its end.
async fn whole(
    attempt: &str,
    response: Response<Incoming>,
    max_body: usize,
) -> Result<Response<Bytes>, Failure> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, max_body)
        .collect()
        .await
        .map_err(|error| broken_body(attempt, error.as_ref()))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// Reads a body to its end and keeps nothing but its length.
async fn count(attempt: &str, mut body: Incoming, max: u64) -> Result<u64, Failure> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(attempt, &error))?;
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > max {
            return Err(too_long(attempt));
        }
    }
    Ok(bytes)
}

/// What a URL asks for.
struct Target {
    tls: bool,
    authority: Authority,
    path: PathAndQuery,
}

impl Target {
    fn of(url: &Uri) -> Result<Self, Failure> {
        let invalid = || not_http(&url.to_string(), &"not an absolute http or https address");
        let tls = match url.scheme().map(Scheme::as_str) {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(invalid()),
        };
        Ok(Self {
            tls,
            authority: url.authority().ok_or_else(invalid)?.clone(),
            path: url
                .path_and_query()
                .cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
        })
    }

    /// The host without the brackets of an IPv6 address.
    fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    fn port(&self) -> u16 {
        let default = if self.tls { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(default)
    }

    fn host_header(&self) -> Result<HeaderValue, Failure> {
        host_header(&self.authority)
    }

    /// The address without user information, as a proxy is told it.
    fn absolute(&self) -> String {
        let authority = self.authority.as_str();
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        format!("http://{authority}{}", self.path)
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    match lookup_host((host, port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(Failure::new(
            FailureReason::NameResolution,
            format_args!("resolving {host}: {error}"),
        )),
    }
}

/// The authority without user information, which must not be sent (RFC 9110, section 4.2.4).
fn host_header(authority: &Authority) -> Result<HeaderValue, Failure> {
    let text = authority.as_str();
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    HeaderValue::from_str(text).map_err(|error| not_http(text, &error))
}

fn to_origin_form(request: &mut Request<Full<Bytes>>) -> Result<(), Failure> {
    let Some(authority) = request.uri().authority() else {
        return Ok(());
    };
    let host = host_header(authority)?;
    let path = request
        .uri()
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().entry(HOST).or_insert(host);
    Ok(())
}

fn not_http(attempt: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(FailureReason::Protocol, format_args!("{attempt}: {error}"))
}

fn too_long(attempt: &str) -> Failure {
    not_http(attempt, &"the body is longer than allowed")
}

/// hyper wraps the operating system's errors; what they mean is in there.
fn broken(attempt: &str, error: &hyper::Error) -> Failure {
    match error.source().and_then(|e| e.downcast_ref::<io::Error>()) {
        Some(error) => failure::from_io(attempt, error),
        None => not_http(attempt, error),
    }
}

fn broken_body(attempt: &str, error: &(dyn std::error::Error + Send + Sync + 'static)) -> Failure {
    if error.is::<LengthLimitError>() {
        return too_long(attempt);
    }
    match error.downcast_ref::<hyper::Error>() {
        Some(error) => broken(attempt, error),
        None => not_http(attempt, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &'static str) -> Result<Target, Failure> {
        Target::of(&Uri::from_static(url))
    }

    #[test]
    fn the_port_follows_from_the_scheme() {
        assert_eq!(target("http://a.example/").unwrap().port(), 80);
        assert_eq!(target("https://a.example/").unwrap().port(), 443);
        assert_eq!(target("https://a.example:8443/").unwrap().port(), 8443);
    }

    #[test]
    fn an_ipv6_host_loses_its_brackets_but_not_in_the_header() {
        let target = target("http://[::1]:8080/x").unwrap();
        assert_eq!(target.host(), "::1");
        assert_eq!(target.host_header().unwrap(), "[::1]:8080");
    }

    #[test]
    fn a_password_in_the_address_is_not_sent() {
        let target = target("http://user:secret@a.example/x").unwrap();
        assert_eq!(target.host_header().unwrap(), "a.example");
    }

    #[test]
    fn an_address_without_scheme_is_refused() {
        assert!(target("/path").is_err());
        assert!(target("ftp://a.example/").is_err());
    }

    #[test]
    fn a_request_goes_out_in_origin_form() {
        let mut request = Request::post("https://collector.example:8443/v1/batches?x=1")
            .body(Full::new(Bytes::new()))
            .unwrap();
        to_origin_form(&mut request).unwrap();
        assert_eq!(request.uri(), "/v1/batches?x=1");
        assert_eq!(request.headers()[HOST], "collector.example:8443");
    }
}
