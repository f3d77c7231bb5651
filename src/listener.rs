//! Serving HTTP to strangers: every connection, greeting and request head is bounded. HTTP/2 is spoken with those
//! that have agreed on it in TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use messnetz_probes::tcp_info::TcpHandle;
use messnetz_probes::tls::{self, HTTP2};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// Most connections at one time; more wait in the kernel's queue.
pub(crate) const MAX_CONNECTIONS: usize = 1_024;

/// Longest time that a stranger may take for a TLS handshake, and for the head of a request.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest head of a request.
const MAX_HEAD: usize = 64 * 1024;

/// Longest connection over HTTP/2, which is for tests of responsiveness: its own bounds are per request.
const LONGEST_HTTP2: Duration = Duration::from_mins(3);

/// Most requests at one time over one connection of HTTP/2.
const MAX_STREAMS: u32 = 32;

/// What a peer may send over HTTP/2 before it is told that it was taken: what a gigabit holds in 100 ms.
const WINDOW: u32 = 12 * 1024 * 1024;

type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

/// Serves so many connections at one time until the task is dropped, over TLS where an acceptor is
/// given. `service` makes the service of one connection from its peer and its TCP socket; there is none for
/// peers that are not let in.
pub(crate) async fn serve<S, B>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    connections: usize,
    service: impl Fn(SocketAddr, TcpHandle) -> Option<S>,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<ConnectionError>,
    B: Body + Send + 'static,
    B::Data: Send + 'static,
    B::Error: Into<ConnectionError>,
{
    let places = Arc::new(Semaphore::new(connections));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = listener.accept().await.and_then(|(stream, peer)| {
            stream.set_nodelay(true)?;
            let tcp = TcpHandle::of(&stream)?;
            Ok((stream, peer, tcp))
        });
        let (stream, peer, tcp) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: let some be closed before the next try.
                tracing::warn!(%error, "accepting a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let unsent = tcp.clone();
        let Some(service) = service(peer, tcp) else {
            tracing::debug!(%peer, "this peer is not let in");
            continue;
        };
        let tls = tls.clone();
        tokio::spawn(async move {
            let _place = place;
            let conversation = async {
                let (stream, speaks_http2) = greet(stream, tls).await?;
                if speaks_http2 {
                    unsent.keep_little_unsent()?;
                    return tokio::time::timeout(LONGEST_HTTP2, http2(stream, service)).await?;
                }
                hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(GREETING_TIMEOUT)
                    .max_buf_size(MAX_HEAD)
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
                    .await
                    .map_err(ConnectionError::from)
            };
            if let Err(error) = conversation.await {
                tracing::debug!(%peer, %error, "a connection ended");
            }
        });
    }
}

/// A connection, with or without TLS.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

async fn http2<S, B>(stream: Box<dyn Duplex>, service: S) -> Result<(), ConnectionError>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<ConnectionError>,
    B: Body + Send + 'static,
    B::Data: Send + 'static,
    B::Error: Into<ConnectionError>,
{
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(GREETING_TIMEOUT)
        .keep_alive_timeout(GREETING_TIMEOUT)
        .max_header_list_size(MAX_HEAD as u32)
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(tls::UNSENT)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(ConnectionError::from)
}

/// The TLS handshake, where there is one, and whether HTTP/2 was agreed on in it (RFC 7301).
async fn greet(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
) -> Result<(Box<dyn Duplex>, bool), ConnectionError> {
    let Some(tls) = tls else {
        return Ok((Box::new(stream), false));
    };
    let mut stream = tokio::time::timeout(GREETING_TIMEOUT, tls.accept(stream)).await??;
    let (_, session) = stream.get_mut();
    let speaks_http2 = session.alpn_protocol() == Some(HTTP2);
    if speaks_http2 {
        session.set_buffer_limit(Some(tls::UNSENT));
    }
    Ok((Box::new(stream), speaks_http2))
}
