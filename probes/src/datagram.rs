//! One question over UDP, and the answer to it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use messnetz_metric::Failure;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::Binding;
use crate::failure::{from_io, timeout};

/// Longest answer that is read to its end.
const LARGEST: usize = 2048;

/// Who is asked, from where, and for how long.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Who is asked.
    pub address: SocketAddr,
    /// From which interface.
    pub binding: Binding,
    /// How long to wait for the answer.
    pub deadline: Duration,
}

impl Peer {
    /// Sends `question` once and hands what comes from the peer to `read`, until that knows it for the
    /// answer.
    pub(crate) async fn ask<T>(
        &self,
        attempt: &str,
        question: &[u8],
        mut read: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<T, Failure> {
        let socket = self.connected(attempt)?;
        let conversation = async {
            socket.send(question).await?;
            let mut buffer = [0; LARGEST];
            loop {
                let length = socket.recv(&mut buffer).await?;
                if let Some(answer) = buffer.get(..length).and_then(&mut read) {
                    return Ok(answer);
                }
            }
        };
        tokio::time::timeout(self.deadline, conversation)
            .await
            .map_err(|_| timeout(attempt, self.deadline))?
            .map_err(|error: io::Error| from_io(attempt, &error))
    }

    /// Connected, a socket gets the peer's packets only, and its port unreachable as an error.
    fn connected(&self, attempt: &str) -> Result<UdpSocket, Failure> {
        let failed = |error: io::Error| from_io(attempt, &error);
        let domain = Domain::for_address(self.address);
        let kind = Type::DGRAM.nonblocking();
        let socket = Socket::new(domain, kind, Some(Protocol::UDP)).map_err(failed)?;
        self.binding.apply(&socket)?;
        socket.connect(&self.address.into()).map_err(failed)?;
        UdpSocket::from_std(socket.into()).map_err(failed)
    }
}
