//! Serving HTTP/1.1 to strangers: every connection, greeting and request head is bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use messnetz_probes::tcp_info::TcpHandle;
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
    B::Data: Send,
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
        let Some(service) = service(peer, tcp) else {
            tracing::debug!(%peer, "this peer is not let in");
            continue;
        };
        let tls = tls.clone();
        tokio::spawn(async move {
            let _place = place;
            let conversation = async {
                hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(GREETING_TIMEOUT)
                    .max_buf_size(MAX_HEAD)
                    .serve_connection(TokioIo::new(greet(stream, tls).await?), service)
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

/// The TLS handshake, where there is one.
async fn greet(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
) -> Result<Box<dyn Duplex>, ConnectionError> {
    Ok(match tls {
        Some(tls) => Box::new(tokio::time::timeout(GREETING_TIMEOUT, tls.accept(stream)).await??),
        None => Box::new(stream),
    })
}
