//! The server's sockets and clock.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnetwork::IpNetwork;
use messnetz_metric::{Failure, FailureReason};
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::codec::{COOKIE_OCTETS, Cookie, Signal};
use super::report::Report;
use super::session::Limits;
use super::streams::ReceivePath;
use crate::failure;

mod hall;
mod test;

use hall::{Hall, Incoming};

/// How long a connection may take to say to which test it belongs.
const GREETING: Duration = Duration::from_secs(10);

/// Connections that have not yet said to which test they belong, at most.
const GREETING_AT_ONCE: usize = 256;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// What a server allows.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens, with TCP and with UDP; port 0 for one that is free.
    pub address: SocketAddr,
    /// What one test may take.
    pub limits: Limits,
    /// Tests at once.
    pub parallel: usize,
    /// Clients of ours that may wait for their turn; zero for a server that keeps no queue.
    pub queue: usize,
    /// Who may test; everybody where it is empty.
    pub allowed: Vec<IpNetwork>,
    /// What this side does with payload that has arrived.
    pub receive: ReceivePath,
    /// The length of an interval in the reports.
    pub interval: Duration,
}

impl Config {
    /// A server like a stock one, for everybody, but with a queue.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            limits: Limits::default(),
            parallel: 1,
            queue: 64,
            allowed: Vec::new(),
            receive: ReceivePath::default(),
            interval: Duration::from_secs(1),
        }
    }

    fn allows(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.allowed.is_empty() || self.allowed.iter().any(|network| network.contains(peer))
    }
}

/// What became of one client.
#[derive(Clone, Debug)]
pub struct Served {
    /// The client.
    pub peer: SocketAddr,
    /// The result, with this side's account of it, or why there is none.
    pub outcome: Result<Report, Failure>,
}

/// A server that listens already.
#[derive(Debug)]
pub struct Server {
    tcp: TcpListener,
    udp: UdpSocket,
    config: Config,
}

impl Server {
    /// Listens with TCP and UDP on the same port. To be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the address is in use, is none of this host, or its port may not be used.
    pub fn bind(config: Config) -> Result<Self, Failure> {
        let wanted = config.address;
        let attempt = format!("listening for iperf3 on {wanted}");
        let io = |error: io::Error| failure::from_io(&attempt, &error);
        let socket = Socket::new(
            Domain::for_address(wanted),
            Type::STREAM,
            Some(SocketProtocol::TCP),
        );
        let socket = socket.map_err(io)?;
        // A server that was stopped a moment ago does not keep its port (tcp(7), TIME_WAIT).
        socket.set_reuse_address(true).map_err(io)?;
        socket.set_nonblocking(true).map_err(io)?;
        socket.bind(&wanted.into()).map_err(io)?;
        socket.listen(BACKLOG).map_err(io)?;
        let tcp = TcpListener::from_std(socket.into()).map_err(io)?;
        let address = tcp.local_addr().map_err(io)?;
        let udp = udp_socket(address).map_err(io)?;
        let udp = UdpSocket::from_std(udp.into()).map_err(io)?;
        Ok(Self { tcp, udp, config })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the socket is gone.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until it is dropped, and tells `told` about every client. Dropping it ends all tests.
    pub async fn run(self, told: impl Fn(Served) + Send + Sync + 'static) {
        let Self { tcp, udp, config } = self;
        let config = Arc::new(config);
        let told = Arc::new(told);
        let hall = Arc::new(Hall::new(config.parallel, config.queue));
        let greeting = Arc::new(Semaphore::new(GREETING_AT_ONCE));
        let mut visits = JoinSet::new();
        let mut greetings = Box::pin(receive_greetings(&udp, &hall));
        let mut number = 0;
        loop {
            let accepted = tokio::select! {
                accepted = tcp.accept() => accepted,
                Some(_) = visits.join_next() => continue,
                never = &mut greetings => match never {},
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // No descriptor is left, or the connection is gone already.
                    tracing::debug!(%error, "accepting an iperf3 connection");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            let Ok(permit) = Arc::clone(&greeting).try_acquire_owned() else {
                tracing::debug!(%peer, "too many iperf3 connections at once");
                continue;
            };
            number += 1;
            let (hall, config, told) = (Arc::clone(&hall), Arc::clone(&config), Arc::clone(&told));
            let incoming = Incoming { number, stream };
            visits.spawn(async move {
                let Some((cookie, incoming)) = greeted(incoming, peer, &config).await else {
                    return;
                };
                drop(permit);
                let Some(control) = hall.give(&cookie, incoming) else {
                    return;
                };
                let outcome = test::serve(control.stream, peer, cookie, &hall, &config).await;
                if let Err(failure) = &outcome {
                    tracing::debug!(%failure, "serving iperf3");
                }
                told(Served { peer, outcome });
            });
        }
    }
}

/// Reads the cookie of a connection, where whoever opened it may test here.
async fn greeted(
    mut incoming: Incoming,
    peer: SocketAddr,
    config: &Config,
) -> Option<(Cookie, Incoming)> {
    if !config.allows(peer.ip()) {
        tracing::debug!(%peer, "iperf3 client is not on the list");
        refuse(incoming.stream).await;
        return None;
    }
    let mut octets = [0; COOKIE_OCTETS];
    let reading = incoming.stream.read_exact(&mut octets);
    match timeout_at(Instant::now() + GREETING, reading).await {
        Ok(Ok(_)) => {}
        _ => return None,
    }
    match Cookie::parse(octets) {
        Ok(cookie) => Some((cookie, incoming)),
        Err(error) => {
            tracing::debug!(%peer, %error, "serving iperf3");
            None
        }
    }
}

/// Says in the stock way that there is no room.
async fn refuse(mut stream: TcpStream) {
    let word = [Signal::AccessDenied.octet()];
    // A connection that cannot take one octet is gone.
    let _ = stream.write_all(&word).await;
    let _ = stream.shutdown().await;
}

/// A UDP socket on `address` beside others on the same one.
fn udp_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = super::options::socket(&address, super::Protocol::Udp)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Hands greetings of datagram streams to the test that waits for them. Nobody else is answered: a source
/// address is proven by its control connection alone.
async fn receive_greetings(udp: &UdpSocket, hall: &Hall) -> Infallible {
    let mut octets = [0; 64];
    loop {
        match udp.recv_from(&mut octets).await {
            Ok((length, from)) => {
                hall.greet(from, octets.get(..length).unwrap_or_default());
            }
            Err(error) => {
                // An answer to one of our packets says that a client is gone.
                tracing::debug!(%error, "receiving iperf3 greetings");
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

/// The failure of a test that was not let in.
fn busy(peer: SocketAddr) -> Failure {
    Failure::new(
        FailureReason::Busy,
        format_args!("serving iperf3 to {peer}: no seat is free"),
    )
}
