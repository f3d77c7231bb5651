//! Serving HTTP/1.1 to strangers: every connection, greeting and request head is bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use messnetz_probes::tcp_info::TcpHandle;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// Most connections at one time; more wait in the kernel's queue.
pub(super) const MAX_CONNECTIONS: usize = 1_024;

/// Longest time that a stranger may take for a TLS handshake, and for the head of a request.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest head of a request.
const MAX_HEAD: usize = 64 * 1024;

type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

/// Serves so many connections at one time until the task is dropped, over TLS where an acceptor is
/// given. `router` makes the router of one connection from its peer and its TCP socket.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    connections: usize,
    router: impl Fn(SocketAddr, TcpHandle) -> Router,
) {
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
        let (tls, router) = (tls.clone(), router(peer, tcp));
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = greet_and_serve(stream, tls, router).await {
                tracing::debug!(%peer, %error, "a connection ended");
            }
        });
    }
}

async fn greet_and_serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
) -> Result<(), ConnectionError> {
    match tls {
        Some(tls) => {
            let stream = tokio::time::timeout(GREETING_TIMEOUT, tls.accept(stream)).await??;
            serve_http(stream, router).await
        }
        None => serve_http(stream, router).await,
    }
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
) -> Result<(), ConnectionError> {
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(GREETING_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades()
        .await?;
    Ok(())
}
