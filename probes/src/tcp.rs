//! How long a TCP connection takes to be established (RFC 9293, section 3.5).

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use messnetz_metric::{Failure, Micros, Quantity, Reading, Value};
use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpSocket;

use crate::Binding;
use crate::failure::{from_io, timeout};

/// One connection attempt.
#[derive(Clone, Debug)]
pub struct Connect {
    /// To whom.
    pub target: SocketAddr,
    /// From which interface.
    pub binding: Binding,
    /// How long to wait for the connection.
    pub deadline: Duration,
}

/// What [`connect`] tells about.
pub const QUANTITIES: &[Quantity] = &[Quantity::ConnectTime];

/// A connection that was established, and closed again at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ConnectReport {
    /// With whom.
    pub target: SocketAddr,
    /// Time from the SYN to the established connection, as this process saw it.
    #[serde(rename = "time_us")]
    pub time: Micros,
}

impl ConnectReport {
    /// One reading for each of [`QUANTITIES`].
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        vec![Reading::value(
            Quantity::ConnectTime,
            Value::Time(self.time),
        )]
    }
}

/// Connects once.
///
/// # Errors
/// [`messnetz_metric::FailureReason::Refused`] where nothing listens there,
/// [`messnetz_metric::FailureReason::Unreachable`] where no way leads there, or
/// [`messnetz_metric::FailureReason::Timeout`] after the deadline.
pub async fn connect(connect: &Connect) -> Result<ConnectReport, Failure> {
    let attempt = format!("connecting to {}", connect.target);
    let socket = open(connect, &attempt)?;
    let start = Instant::now();
    let connected = tokio::time::timeout(connect.deadline, socket.connect(connect.target)).await;
    let time = start.elapsed();
    match connected {
        Ok(Ok(_stream)) => Ok(ConnectReport {
            target: connect.target,
            time: time.into(),
        }),
        Ok(Err(error)) => Err(from_io(&attempt, &error)),
        Err(_) => Err(timeout(&attempt, connect.deadline)),
    }
}

fn open(connect: &Connect, attempt: &str) -> Result<TcpSocket, Failure> {
    let failed = |error: io::Error| from_io(attempt, &error);
    let domain = Domain::for_address(connect.target);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).map_err(failed)?;
    connect.binding.apply(&socket)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(TcpSocket::from_std_stream(socket.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use messnetz_metric::FailureReason;
    use tokio::net::TcpListener;

    fn to(target: SocketAddr) -> Connect {
        Connect {
            target,
            binding: Binding::any(),
            deadline: Duration::from_secs(10),
        }
    }

    #[tokio::test]
    async fn a_listener_is_connected_to() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).await.unwrap();
            let report = connect(&to(listener.local_addr().unwrap())).await.unwrap();
            assert!(report.time.as_micros() > 0);
            assert_eq!(report.readings()[0].quantity, QUANTITIES[0]);
        }
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        // Held, but nothing listens: no other test can come to listen there meanwhile.
        let held = TcpSocket::new_v4().unwrap();
        held.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = held.local_addr().unwrap();
        let failure = connect(&to(address)).await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::Refused);
    }

    #[tokio::test]
    async fn an_interface_that_does_not_exist_is_named() {
        let connect_from = Connect {
            binding: Binding::interface("nosuch0"),
            ..to(SocketAddr::from(([127, 0, 0, 1], 9)))
        };
        let failure = connect(&connect_from).await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::Interface);
        assert!(failure.detail.contains("nosuch0"), "{failure}");
    }

    #[test]
    fn no_route_is_unreachable() {
        crate::netns::in_own_namespace(async || {
            let far = SocketAddr::from(([192, 0, 2, 1], 443));
            let failure = connect(&to(far)).await.unwrap_err();
            assert_eq!(failure.reason, FailureReason::Unreachable);
        });
    }

    /// A listener whose queue is full does not answer SYNs (listen(2)).
    #[tokio::test]
    async fn silence_ends_with_the_deadline() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).unwrap();
        socket.listen(0).unwrap();
        let target = socket.local_addr().unwrap().as_socket().unwrap();
        let mut held = Vec::new();
        let impatient = Connect {
            deadline: Duration::from_millis(300),
            ..to(target)
        };
        for _ in 0..8 {
            let filler = TcpSocket::new_v4().unwrap().connect(target);
            held.push(tokio::time::timeout(Duration::from_millis(50), filler).await);
        }
        let failure = connect(&impatient).await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::Timeout);
    }
}
