//! The socket options that a test asks for.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};

use super::parameters::{Parameters, Protocol};
use super::refusal;

/// The receive buffer of datagrams where nobody asks for another size: what comes while the receiver is not
/// on a core must not be lost in this host. The kernel grants as much of it as it may.
const UDP_BUFFER: usize = 4 << 20;

/// A socket option that could not be set.
#[derive(Debug)]
pub(super) struct NotSet {
    pub(super) what: String,
    pub(super) error: io::Error,
    /// iperf3's number for it.
    pub(super) number: i32,
}

impl std::fmt::Display for NotSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "setting {}: {}", self.what, self.error)
    }
}

/// A socket for a stream with `peer`, not connected yet.
pub(super) fn socket(peer: &SocketAddr, protocol: Protocol) -> io::Result<Socket> {
    let (kind, protocol) = match protocol {
        Protocol::Tcp => (Type::STREAM, SocketProtocol::TCP),
        Protocol::Udp => (Type::DGRAM, SocketProtocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(*peer), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Sets what the test asks for. A segment size counts only before a connection is made, so that it is the
/// client's to set.
pub(super) fn apply(
    socket: &Socket,
    peer: &IpAddr,
    parameters: &Parameters,
    is_connected: bool,
) -> Result<(), NotSet> {
    let set = |what: &str, number: i32, result: io::Result<()>| {
        result.map_err(|error| NotSet {
            what: what.to_owned(),
            error,
            number,
        })
    };
    let stream = refusal::CREATE_STREAM;
    let is_tcp = parameters.protocol == Protocol::Tcp;
    if let Some(window) = parameters.window {
        let window = window as usize;
        let sized = socket
            .set_send_buffer_size(window)
            .and_then(|()| socket.set_recv_buffer_size(window));
        set("the window", stream, sized)?;
    } else if !is_tcp {
        let sized = socket.set_recv_buffer_size(UDP_BUFFER);
        set("the receive buffer", stream, sized)?;
    }
    if let Some(tos) = parameters.tos {
        let tos = u32::from(tos);
        let result = match peer {
            IpAddr::V4(_) => socket.set_tos_v4(tos),
            IpAddr::V6(_) => socket.set_tclass_v6(tos),
        };
        set("the TOS", stream, result)?;
    }
    if let Some(rate) = parameters.pacing_rate {
        let result = crate::socket::set_max_pacing_rate(socket, rate);
        set("the pacing rate", stream, result)?;
    }
    if !is_tcp {
        return Ok(());
    }
    if let Some(mss) = parameters.mss.filter(|_| !is_connected) {
        set("the MSS", stream, socket.set_tcp_mss(mss.into()))?;
    }
    if parameters.no_delay {
        set("TCP_NODELAY", stream, socket.set_tcp_nodelay(true))?;
    }
    if let Some(name) = &parameters.congestion {
        let result = socket.set_tcp_congestion(name.as_bytes());
        let what = format!("the congestion control {name}");
        set(&what, refusal::CONGESTION, result)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use messnetz_metric::BitRate;

    use super::*;
    use crate::iperf3::parameters::Flow;
    use std::time::Duration;

    #[test]
    fn a_congestion_control_that_is_not_there_is_named_with_the_stock_number() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let parameters = Parameters {
            congestion: Some("nosuch".to_owned()),
            ..Parameters::tcp(Flow::Up, Duration::from_secs(1))
        };
        let socket = socket(&peer, Protocol::Tcp).unwrap();
        let refused = apply(&socket, &peer.ip(), &parameters, false).unwrap_err();
        assert_eq!(refused.number, refusal::CONGESTION);
        assert!(refused.to_string().contains("nosuch"), "{refused}");
    }

    #[test]
    fn what_is_asked_for_is_set() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let parameters = Parameters {
            window: Some(65_536),
            tos: Some(0xb8),
            mss: Some(1000),
            no_delay: true,
            congestion: Some("reno".to_owned()),
            pacing_rate: Some(BitRate::from_mbps(8.0)),
            ..Parameters::tcp(Flow::Up, Duration::from_secs(1))
        };
        let socket = socket(&peer, Protocol::Tcp).unwrap();
        apply(&socket, &peer.ip(), &parameters, false).unwrap();
        // The kernel doubles what is asked for, for its own books (socket(7)).
        assert_eq!(socket.recv_buffer_size().unwrap(), 131_072);
        assert_eq!(socket.tos_v4().unwrap(), 0xb8);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.tcp_congestion().unwrap().starts_with(b"reno\0"));
    }
}
