//! A connection over HTTP/2 to a server, and what is asked on it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::{ACCEPT_ENCODING, HeaderValue, USER_AGENT};
use ::http::uri::{Authority, PathAndQuery};
use ::http::{Method, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use messnetz_metric::{Failure, FailureReason};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::configuration::MAX_OCTETS;
use super::{PIECE, WINDOW};
use crate::connection::{Dial, Timings};
use crate::failure;
use crate::http::AGENT;
use crate::tcp_info::TcpHandle;
use crate::tls;

/// A connection, which ends with this.
pub(super) struct Http2 {
    pub(super) requests: Requests,
    pub(super) timings: Timings,
    pub(super) tcp: TcpHandle,
    _driver: JoinSet<()>,
}

impl Http2 {
    /// Connects to a server, over TLS 1.3.
    pub(super) async fn connect(dial: &Dial, server: &Authority) -> Result<Self, Failure> {
        let attempt = format!("HTTP/2 with {server}");
        let connection = dial.connect_http2().await?;
        let (timings, tcp) = (connection.timings, connection.tcp);
        tcp.keep_little_unsent()
            .map_err(|error| failure::from_io(&attempt, &error))?;
        let handshake = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_send_buf_size(tls::UNSENT)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(TokioIo::new(connection.stream));
        let (sender, driver) = timeout(dial.deadline, handshake)
            .await
            .map_err(|_| failure::timeout(&attempt, dial.deadline))?
            .map_err(|error| broken(&attempt, &error))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // Requests on it tell why it ended.
            let _ = driver.await;
        });
        Ok(Self {
            requests: Requests {
                sender,
                server: server.clone(),
                deadline: dial.deadline,
            },
            timings,
            tcp,
            _driver: tasks,
        })
    }
}

/// Asks on a connection.
#[derive(Clone)]
pub(super) struct Requests {
    sender: SendRequest<Load>,
    server: Authority,
    deadline: Duration,
}

impl Requests {
    /// A small object, whole.
    pub(super) async fn fetch(&self, path: &str) -> Result<Bytes, Failure> {
        let attempt = format!("fetching https://{}{path}", self.server);
        let conversation = async {
            let body = self.ask(&attempt, Method::GET, path, Load::Nothing).await?;
            let body = Limited::new(body, MAX_OCTETS).collect().await;
            let body = body.map_err(|error| {
                Failure::new(FailureReason::Protocol, format_args!("{attempt}: {error}"))
            })?;
            Ok(body.to_bytes())
        };
        timeout(self.deadline, conversation)
            .await
            .map_err(|_| failure::timeout(&attempt, self.deadline))?
    }

    /// Has an object come, and tells of each piece how long it is. It takes as long as the object.
    pub(super) async fn take(&self, path: &str, told: impl Fn(usize)) -> Result<(), Failure> {
        let attempt = format!("loading {} by {path}", self.server);
        let mut body = self.ask(&attempt, Method::GET, path, Load::Nothing).await?;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| broken(&attempt, &error))?;
            told(frame.data_ref().map_or(0, Bytes::len));
        }
        Ok(())
    }

    /// Sends until the server has enough of it.
    pub(super) async fn send(&self, path: &str, counter: Counter) -> Result<(), Failure> {
        let attempt = format!("loading {} by {path}", self.server);
        let load = Load::Endless(counter);
        self.ask(&attempt, Method::POST, path, load).await.map(drop)
    }

    async fn ask(
        &self,
        attempt: &str,
        method: Method,
        path: &str,
        load: Load,
    ) -> Result<Incoming, Failure> {
        let request = self.request(attempt, method, path, load)?;
        let response = self.sender.clone().send_request(request).await;
        let response = response.map_err(|error| broken(attempt, &error))?;
        match response.status() {
            StatusCode::OK => Ok(response.into_body()),
            status => {
                let detail = format_args!("{attempt}: HTTP {status}");
                Err(Failure::new(FailureReason::Protocol, detail))
            }
        }
    }

    fn request(
        &self,
        attempt: &str,
        method: Method,
        path: &str,
        load: Load,
    ) -> Result<Request<Load>, Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::new(FailureReason::Protocol, format_args!("{attempt}: {error}"))
        };
        let path: PathAndQuery = path.parse().map_err(|error| wrong(&error))?;
        let uri = Uri::builder()
            .scheme("https")
            .authority(self.server.clone())
            .path_and_query(path)
            .build()
            .map_err(|error| wrong(&error))?;
        let mut request = Request::new(load);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok(request)
    }
}

/// The body of a request.
enum Load {
    Nothing,
    /// Never ends; what is taken from it is counted.
    Endless(Counter),
}

/// Counts what is carried.
pub(super) struct Counter {
    /// By this object.
    pub(super) object: Arc<AtomicU64>,
    /// This way.
    pub(super) way: Arc<AtomicU64>,
}

impl Counter {
    pub(super) fn add(&self, bytes: usize) {
        self.object.fetch_add(bytes as u64, Ordering::Relaxed);
        self.way.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Body for Load {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(match self.get_mut() {
            Self::Nothing => None,
            Self::Endless(sent) => {
                sent.add(PIECE.len());
                Some(Ok(Frame::data(Bytes::from_static(&PIECE))))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// What an error of HTTP/2 means, and what it came from.
fn broken(attempt: &str, error: &hyper::Error) -> Failure {
    let because = std::error::Error::source(error).map(|source| format!(": {source}"));
    Failure::new(
        FailureReason::Protocol,
        format_args!("{attempt}: {error}{}", because.unwrap_or_default()),
    )
}
