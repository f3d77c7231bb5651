//! Serving HTTP to strangers: every connection, greeting and request head is bounded. HTTP/2 is spoken with those
//! that have agreed on it in TLS.

mod unstalled;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use messnetz_probes::places::Places;
use messnetz_probes::responsiveness::WINDOW;
use messnetz_probes::tcp_info::TcpHandle;
use messnetz_probes::tls::{self, HTTP2};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use self::unstalled::Unstalled;

/// Most connections at one time; more wait in the kernel's queue.
pub(crate) const MAX_CONNECTIONS: usize = 1_024;

/// Longest time that a stranger may take for a TLS handshake, and for the head of a request.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest head of a request.
const MAX_HEAD: usize = 64 * 1024;

/// Longest conversation over one connection, whatever is asked in it. A test by ndt7 is none: it leaves HTTP behind.
const LONGEST_CONVERSATION: Duration = Duration::from_mins(3);

/// A peer that takes nothing of what it asked for, for so long, is gone.
const LONGEST_STALL: Duration = Duration::from_secs(15);

/// Share of the connections that one source may have: a town hall's proxy or firewall may stand for many agents.
const PART_OF_SOURCE: usize = 2;

/// How often it is told that no connection could be accepted.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Descriptors that a connection takes: its socket, and the handle that its TCP is looked at by.
const DESCRIPTORS_OF_CONNECTION: u64 = 2;

/// Descriptors that everything else takes: the store, listeners, files of the site.
const OTHER_DESCRIPTORS: u64 = 256;

/// Most requests at one time over one connection of HTTP/2.
const MAX_STREAMS: u32 = 32;

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
    allow_descriptors(connections);
    let places = Arc::new(Semaphore::new(connections));
    let of_sources = Places::new(connections, connections.div_ceil(PART_OF_SOURCE));
    let mut told: Option<Instant> = None;
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
                if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                    told = Some(Instant::now());
                    tracing::warn!(%error, "accepting a connection; told once a minute");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let unsent = tcp.clone();
        // This machine may be a reverse proxy, and is its operator's own.
        let of_source = of_sources.take(peer.ip());
        if of_source.is_none() && !peer.ip().to_canonical().is_loopback() {
            tracing::debug!(%peer, "this source has all the connections that it may have");
            continue;
        }
        let Some(service) = service(peer, tcp) else {
            tracing::debug!(%peer, "this peer is not let in");
            continue;
        };
        let tls = tls.clone();
        tokio::spawn(async move {
            let _places = (place, of_source);
            let conversation = async {
                let (stream, speaks_http2) = greet(stream, tls).await?;
                if speaks_http2 {
                    unsent.keep_little_unsent()?;
                    return http2(stream, service).await;
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
            let ended = tokio::time::timeout(LONGEST_CONVERSATION, conversation).await;
            if let Err(error) = ended.unwrap_or_else(|elapsed| Err(elapsed.into())) {
                tracing::debug!(%peer, %error, "a connection ended");
            }
        });
    }
}

/// Raises the soft limit of open files to what so many connections take, as far as the hard limit lets it
/// (getrlimit(2)).
fn allow_descriptors(connections: usize) {
    let wanted = connections as u64 * DESCRIPTORS_OF_CONNECTION + OTHER_DESCRIPTORS;
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let to = wanted.min(hard).max(soft);
        setrlimit(Resource::RLIMIT_NOFILE, to, hard).map(|()| to)
    });
    if !raised.is_ok_and(|limit| limit >= wanted) {
        tracing::warn!(
            wanted,
            "the limit of open files is too low for {connections} connections; raise the hard limit (ulimit -Hn, LimitNOFILE=)"
        );
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
    // Below TLS, which takes some into a buffer of its own although nothing goes through.
    let stream = Unstalled::new(stream, LONGEST_STALL);
    let Some(tls) = tls else {
        return Ok((Box::new(stream), false));
    };
    let mut stream = tokio::time::timeout(GREETING_TIMEOUT, tls.accept(stream)).await??;
    let (_, session) = stream.get_mut();
    let speaks_http2 = session.alpn_protocol() == Some(HTTP2);
    if speaks_http2 {
        session.set_buffer_limit(Some(tls::UNSENT));
    }
    Ok((
        Box::new(Unstalled::new(stream, LONGEST_STALL)),
        speaks_http2,
    ))
}
