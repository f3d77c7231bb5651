//! A connection to a peer whose address is known: TCP, through a proxy where there is one, and TLS over it
//! where asked for, each timed.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use messnetz_metric::{Failure, FailureReason, Micros};
use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::binding::Binding;
use crate::failure;
use crate::proxy::Tunnel;
use crate::tcp_info::{Congestion, TcpHandle};
use crate::tls::{self, Trust};

/// How to reach a peer.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The peer, or the proxy that leads to it.
    pub address: SocketAddr,
    /// What the proxy at [`Self::address`] is asked for; `None` where that is the peer itself.
    pub tunnel: Option<Tunnel>,
    /// TLS over the connection; `None` for plain TCP.
    pub tls: Option<Tls>,
    /// The interface to look out from.
    pub binding: Binding,
    /// What this end sends with; `None` for the kernel's default.
    pub congestion: Option<Congestion>,
    /// Time for everything until the connection can be used.
    pub deadline: Duration,
}

/// TLS over a connection.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whose certificates are believed.
    pub trust: Trust,
    /// The name that the peer is asked for (RFC 6066, section 3): a DNS name or an IP address.
    pub server_name: String,
}

/// An established connection.
#[derive(Debug)]
pub struct Connection {
    /// The bytes.
    pub stream: Stream,
    /// The kernel's view of it.
    pub tcp: TcpHandle,
    /// How long it took.
    pub timings: Timings,
}

/// How long the phases of a dial took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// From SYN to the established connection, with the peer or with the proxy.
    pub connect: Micros,
    /// From asking the proxy for the tunnel until it stood; `None` without one.
    pub tunnel: Option<Micros>,
    /// The TLS handshake; `None` without TLS.
    pub tls: Option<Micros>,
}

impl Dial {
    /// Dials once.
    ///
    /// # Errors
    /// [`FailureReason::Refused`], [`FailureReason::Unreachable`] and [`FailureReason::Timeout`] as the
    /// network or the proxy answers; [`FailureReason::Tls`] where the certificate is not believed;
    /// [`FailureReason::Interface`] and [`FailureReason::Permission`] for what this machine lacks.
    pub async fn connect(&self) -> Result<Connection, Failure> {
        self.connect_speaking(Speech::Http1).await
    }

    /// The same for HTTP/2 over TLS 1.3, whose handshake is one round trip.
    ///
    /// # Errors
    /// As [`Self::connect`]; [`FailureReason::Protocol`] where the peer speaks neither.
    pub(crate) async fn connect_http2(&self) -> Result<Connection, Failure> {
        self.connect_speaking(Speech::Http2).await
    }

    async fn connect_speaking(&self, speech: Speech) -> Result<Connection, Failure> {
        let end = Instant::now() + self.deadline;
        let attempt = format!("connecting to {}", self.address);
        let socket = self.socket(&attempt)?;

        let start = Instant::now();
        let mut stream = timeout_at(end, socket.connect(self.address))
            .await
            .map_err(|_| failure::timeout(&attempt, self.deadline))?
            .map_err(|error| failure::from_io(&attempt, &error))?;
        let connect = Micros::from(start.elapsed());

        let broken = |error: io::Error| failure::from_io(&attempt, &error);
        stream.set_nodelay(true).map_err(broken)?;
        let tcp = TcpHandle::of(&stream).map_err(broken)?;
        let tunnel = match &self.tunnel {
            None => None,
            Some(tunnel) => {
                let start = Instant::now();
                timeout_at(end, tunnel.open(&mut stream))
                    .await
                    .map_err(|_| failure::timeout(format_args!("{tunnel:?}"), self.deadline))??;
                Some(Micros::from(start.elapsed()))
            }
        };
        let (stream, tls) = match &self.tls {
            None => (Stream::Plain(stream), None),
            Some(tls) => {
                let (stream, time) = self.handshake(stream, tls, speech, end).await?;
                (Stream::Tls(Box::new(stream)), Some(time))
            }
        };
        Ok(Connection {
            stream,
            tcp,
            timings: Timings {
                connect,
                tunnel,
                tls,
            },
        })
    }

    /// A socket that is bound and set up, but not connected: the congestion control must be chosen
    /// before SYN, or the connection starts with the other one's window and pacing.
    fn socket(&self, attempt: &str) -> Result<TcpSocket, Failure> {
        let broken = |error: io::Error| failure::from_io(attempt, &error);
        let domain = Domain::for_address(self.address);
        let socket =
            Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP)).map_err(broken)?;
        self.binding.apply(&socket)?;
        if let Some(congestion) = self.congestion {
            choose(&socket, congestion)?;
        }
        Ok(TcpSocket::from_std_stream(socket.into()))
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        tls: &Tls,
        speech: Speech,
        end: Instant,
    ) -> Result<(TlsStream<TcpStream>, Micros), Failure> {
        let attempt = format_args!("TLS with {} as {}", self.address, tls.server_name).to_string();
        let name = ServerName::try_from(tls.server_name.clone()).map_err(|error| {
            Failure::new(FailureReason::Tls, format_args!("{attempt}: {error}"))
        })?;
        let config = match speech {
            Speech::Http1 => tls::client_config(&tls.trust),
            Speech::Http2 => tls::http2_client_config(&tls.trust),
        };
        let connector = TlsConnector::from(config);
        let start = Instant::now();
        let mut stream = timeout_at(end, connector.connect(name, stream))
            .await
            .map_err(|_| failure::timeout(&attempt, self.deadline))?
            .map_err(|error| tls::handshake_failure(&attempt, &error))?;
        let time = Micros::from(start.elapsed());
        if speech == Speech::Http2 {
            let (_, session) = stream.get_mut();
            if session.alpn_protocol() != Some(tls::HTTP2)
                || session.protocol_version() != Some(ProtocolVersion::TLSv1_3)
            {
                let detail =
                    format_args!("{attempt}: the server does not speak HTTP/2 over TLS 1.3");
                return Err(Failure::new(FailureReason::Protocol, detail));
            }
            session.set_buffer_limit(Some(tls::UNSENT));
        }
        Ok((stream, time))
    }
}

/// What a connection with TLS is for (RFC 7301).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speech {
    Http1,
    Http2,
}

/// Sets the congestion control of a socket. That the kernel lacks it is told as a lack of permission:
/// to the process it is the same, something of the machine's that it may not have.
fn choose(socket: &Socket, congestion: Congestion) -> Result<(), Failure> {
    SockRef::from(socket)
        .set_tcp_congestion(congestion.name().as_bytes())
        .map_err(|error| {
            let name = congestion.name();
            Failure::new(
                FailureReason::Permission,
                format_args!("choosing the congestion control {name}: {error}"),
            )
        })
}

/// The bytes of a connection, in the clear or not.
pub enum Stream {
    /// TCP alone.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Stream::Plain",
            Self::Tls(_) => "Stream::Tls",
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
