//! What the kernel knows about a TCP connection (`TCP_INFO`, `TCP_CONGESTION`; tcp(7)).

use std::io;
use std::mem::{offset_of, size_of};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use messnetz_metric::{BitRate, Micros};
use serde::{Deserialize, Serialize};
use socket2::SockRef;

/// A congestion control algorithm that a sender can be asked to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Congestion {
    /// Bottleneck bandwidth and round-trip propagation time; what ndt7 asks for.
    Bbr,
    /// RFC 9438; the default of most kernels.
    Cubic,
    /// RFC 5681.
    Reno,
}

impl Congestion {
    /// The kernel's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bbr => "bbr",
            Self::Cubic => "cubic",
            Self::Reno => "reno",
        }
    }
}

/// A view of a TCP connection that outlives its wrapping in TLS, HTTP or WebSocket.
///
/// It holds a duplicate of the descriptor: the kernel closes the connection only once the last handle
/// is gone too.
#[derive(Clone, Debug)]
pub struct TcpHandle(Arc<OwnedFd>);

/// What waits in the kernel beyond what is in flight: one full record of TLS.
const UNSENT: u32 = 16 * 1024;

impl TcpHandle {
    /// A handle on the connection of `socket`.
    ///
    /// # Errors
    /// Where the process has no descriptor left.
    pub fn of(socket: &impl AsFd) -> io::Result<Self> {
        let duplicate = socket.as_fd().try_clone_to_owned()?;
        Ok(Self(Arc::new(duplicate)))
    }

    /// The state of the connection at this moment.
    ///
    /// # Errors
    /// Where the descriptor is no TCP socket.
    pub fn info(&self) -> io::Result<TcpInfo> {
        let (raw, length) = raw_info(self.0.as_fd())?;
        Ok(TcpInfo::new(&raw, length))
    }

    /// The congestion control algorithm that this end sends with.
    ///
    /// # Errors
    /// Where the descriptor is no TCP socket.
    pub fn congestion(&self) -> io::Result<String> {
        let name = SockRef::from(&self.0).tcp_congestion()?;
        let name: Vec<u8> = name.into_iter().take_while(|&byte| byte != 0).collect();
        Ok(String::from_utf8_lossy(&name).into_owned())
    }

    /// Sends with this congestion control algorithm from now on.
    ///
    /// # Errors
    /// `NotFound` where the kernel does not have it, `PermissionDenied` where this process may not
    /// choose it (`net.ipv4.tcp_allowed_congestion_control`).
    pub fn set_congestion(&self, congestion: Congestion) -> io::Result<()> {
        SockRef::from(&self.0).set_tcp_congestion(congestion.name().as_bytes())
    }

    /// Lets the kernel send no more than `rate` over this connection (`SO_MAX_PACING_RATE`, socket(7)).
    ///
    /// # Errors
    /// Where the connection is gone.
    pub fn limit_rate(&self, rate: BitRate) -> io::Result<()> {
        crate::socket::set_max_pacing_rate(&self.0, rate)
    }

    /// Lets the kernel take no more data than it can send soon (`TCP_NOTSENT_LOWAT`, tcp(7)): what waits in this
    /// machine would be taken for a queue of the path.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub fn keep_little_unsent(&self) -> io::Result<()> {
        SockRef::from(&self.0).set_tcp_notsent_lowat(UNSENT)
    }

    /// The two ends: this one, the peer's.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub fn ends(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        let socket = SockRef::from(&self.0);
        let known = |address: socket2::SockAddr| {
            address
                .as_socket()
                .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
        };
        Ok((known(socket.local_addr()?)?, known(socket.peer_addr()?)?))
    }

    /// Makes closing an abort: what is still queued is thrown away and the peer sees a reset, so that
    /// a full queue loads the line no further (`SO_LINGER` of 0 s, socket(7)).
    pub(crate) fn abort_on_close(&self) {
        // A socket that cannot take the option is gone already, which is what was wanted.
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }
}

/// The members of `struct tcp_info` that say how a transfer went; `None` where the kernel is too old to
/// count it or has no sample yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round-trip time (RFC 6298).
    pub rtt: Micros,
    /// Its mean deviation (RFC 6298).
    pub rtt_var: Micros,
    /// Segments sent again.
    pub retransmits: u32,
    /// Bytes that may be on the way without having been acknowledged: the congestion window in segments
    /// times the size of a segment.
    pub congestion_window: u64,
    /// Bytes that the peer has acknowledged (RFC 4898, `tcpEStatsAppHCThruOctetsAcked`).
    pub bytes_acked: Option<u64>,
    /// Bytes received in order (RFC 4898, `tcpEStatsAppHCThruOctetsReceived`).
    pub bytes_received: Option<u64>,
    /// Smallest round-trip time of the last minutes.
    pub min_rtt: Option<Micros>,
    /// Time with something to send.
    pub busy_time: Option<Micros>,
    /// Of it, time that the peer's window held the sender back.
    pub rwnd_limited: Option<Micros>,
    /// Of it, time that the own send buffer held the sender back.
    pub sndbuf_limited: Option<Micros>,
    /// Payload bytes sent, those sent again included (RFC 4898, `tcpEStatsPerfHCDataOctetsOut`).
    pub bytes_sent: Option<u64>,
    /// Payload bytes sent again (RFC 4898, `tcpEStatsPerfOctetsRetrans`).
    pub bytes_retrans: Option<u64>,
}

impl TcpInfo {
    /// Takes from `raw` what lies within the `length` bytes that the kernel has written.
    fn new(raw: &RawTcpInfo, length: usize) -> Self {
        let known =
            |offset: usize, value: u64| (offset + size_of::<u64>() <= length).then_some(value);
        let micros = |value: u32| Micros::from_micros(u64::from(value));
        // The kernel writes all ones where it has no sample of the smallest round-trip time.
        let min_rtt_known =
            offset_of!(RawTcpInfo, min_rtt) + size_of::<u32>() <= length && raw.min_rtt != u32::MAX;
        Self {
            rtt: micros(raw.rtt),
            rtt_var: micros(raw.rttvar),
            retransmits: raw.total_retrans,
            congestion_window: u64::from(raw.snd_cwnd) * u64::from(raw.snd_mss),
            bytes_acked: known(offset_of!(RawTcpInfo, bytes_acked), raw.bytes_acked),
            bytes_received: known(offset_of!(RawTcpInfo, bytes_received), raw.bytes_received),
            min_rtt: min_rtt_known.then(|| micros(raw.min_rtt)),
            busy_time: known(offset_of!(RawTcpInfo, busy_time), raw.busy_time)
                .map(Micros::from_micros),
            rwnd_limited: known(offset_of!(RawTcpInfo, rwnd_limited), raw.rwnd_limited)
                .map(Micros::from_micros),
            sndbuf_limited: known(offset_of!(RawTcpInfo, sndbuf_limited), raw.sndbuf_limited)
                .map(Micros::from_micros),
            bytes_sent: known(offset_of!(RawTcpInfo, bytes_sent), raw.bytes_sent),
            bytes_retrans: known(offset_of!(RawTcpInfo, bytes_retrans), raw.bytes_retrans),
        }
    }
}

/// `struct tcp_info` of linux/tcp.h up to `tcpi_bytes_retrans` (Linux 4.19). libc's is shorter.
#[repr(C)]
#[derive(Default)]
struct RawTcpInfo {
    /// Six single bytes and two bytes of bit fields.
    state: [u8; 8],
    rto: u32,
    ato: u32,
    snd_mss: u32,
    rcv_mss: u32,
    unacked: u32,
    sacked: u32,
    lost: u32,
    retrans: u32,
    fackets: u32,
    last_data_sent: u32,
    last_ack_sent: u32,
    last_data_recv: u32,
    last_ack_recv: u32,
    pmtu: u32,
    rcv_ssthresh: u32,
    rtt: u32,
    rttvar: u32,
    snd_ssthresh: u32,
    snd_cwnd: u32,
    advmss: u32,
    reordering: u32,
    rcv_rtt: u32,
    rcv_space: u32,
    total_retrans: u32,
    pacing_rate: u64,
    max_pacing_rate: u64,
    bytes_acked: u64,
    bytes_received: u64,
    segs_out: u32,
    segs_in: u32,
    notsent_bytes: u32,
    min_rtt: u32,
    data_segs_in: u32,
    data_segs_out: u32,
    delivery_rate: u64,
    busy_time: u64,
    rwnd_limited: u64,
    sndbuf_limited: u64,
    delivered: u32,
    delivered_ce: u32,
    bytes_sent: u64,
    bytes_retrans: u64,
}

/// The kernel's account and how many bytes of it the kernel has written.
#[allow(unsafe_code)]
fn raw_info(socket: BorrowedFd<'_>) -> io::Result<(RawTcpInfo, usize)> {
    let mut raw = RawTcpInfo::default();
    let mut length = size_of::<RawTcpInfo>() as libc::socklen_t;
    // SAFETY: `raw` consists of integers only, any bytes are a valid value of it; the kernel writes no
    // more than `length` bytes, which is its size. Both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut raw).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok((raw, length as usize))
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn the_layout_is_the_kernels() {
        // Offsets as `pahole -C tcp_info` prints them.
        assert_eq!(offset_of!(RawTcpInfo, rtt), 68);
        assert_eq!(offset_of!(RawTcpInfo, snd_mss), 16);
        assert_eq!(offset_of!(RawTcpInfo, snd_cwnd), 80);
        assert_eq!(offset_of!(RawTcpInfo, total_retrans), 100);
        assert_eq!(offset_of!(RawTcpInfo, bytes_acked), 120);
        assert_eq!(offset_of!(RawTcpInfo, min_rtt), 148);
        assert_eq!(offset_of!(RawTcpInfo, bytes_sent), 200);
        assert_eq!(size_of::<RawTcpInfo>(), 216);
    }

    #[test]
    fn received_bytes_are_counted_by_the_kernel() {
        let (mut client, mut server) = pair();
        let handle = TcpHandle::of(&server).unwrap();
        client.write_all(&[7; 5000]).unwrap();
        server.read_exact(&mut [0; 5000]).unwrap();
        assert_eq!(handle.info().unwrap().bytes_received, Some(5000));
    }

    #[test]
    fn an_older_kernel_leaves_the_newer_counters_unknown() {
        let raw = RawTcpInfo {
            bytes_acked: 1,
            bytes_sent: 2,
            min_rtt: 3,
            ..RawTcpInfo::default()
        };
        let info = TcpInfo::new(&raw, offset_of!(RawTcpInfo, bytes_received));
        assert_eq!(info.bytes_acked, Some(1));
        assert_eq!(info.bytes_received, None);
        assert_eq!(info.min_rtt, None);
        assert_eq!(info.bytes_sent, None);
    }

    #[test]
    fn no_sample_is_not_a_round_trip_of_an_hour() {
        let raw = RawTcpInfo {
            min_rtt: u32::MAX,
            ..RawTcpInfo::default()
        };
        assert_eq!(TcpInfo::new(&raw, size_of::<RawTcpInfo>()).min_rtt, None);
    }

    #[test]
    fn the_chosen_congestion_control_is_the_one_in_use() {
        let (client, _server) = pair();
        let handle = TcpHandle::of(&client).unwrap();
        // Reno is built into every kernel.
        handle.set_congestion(Congestion::Reno).unwrap();
        assert_eq!(handle.congestion().unwrap(), "reno");
    }

    #[test]
    fn what_is_no_tcp_socket_has_no_account() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(TcpHandle::of(&socket).unwrap().info().is_err());
    }
}
