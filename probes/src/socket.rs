//! Datagram sockets that tell more than the bytes: when the kernel saw a packet arrive or leave, its
//! TTL, which errors the network reported, and how many packets the socket itself had to drop.
//!
//! Linux only; every call is non-blocking. What the numbers mean is not decided here.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, SystemTime};

use messnetz_metric::BitRate;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrLike, SockaddrStorage, TimestampingFlag,
    Timestamps, recvmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use socket2::{SockRef, Socket};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A packet as it arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Its length; bytes beyond the buffer are cut off.
    pub(crate) length: usize,
    /// Who sent it.
    pub(crate) source: Option<SocketAddr>,
    /// When the kernel received it, on the wall clock.
    pub(crate) stamp: Option<SystemTime>,
    /// TTL or hop limit it arrived with, where [`receive_ttl`] was asked for.
    pub(crate) ttl: Option<u8>,
    /// The address of this host that it was sent to, where [`receive_destination`] was asked for.
    pub(crate) destination: Option<Destination>,
}

/// An address of this host, in the form in which the kernel told it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Destination {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

/// A message from the socket's error queue.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A packet has left, the `key`th since [`stamp_transmission`].
    Transmitted { key: u32, at: SystemTime },
    /// Somebody says why a packet went no further; the buffer holds the first `length` bytes of that
    /// packet's transport part, or of its payload where the socket is one for UDP.
    Reported { length: usize, report: Report },
    /// Anything else.
    Other,
}

/// What is said of a packet that went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) origin: Origin,
    /// ICMP type and code.
    pub(crate) kind: u8,
    pub(crate) code: u8,
    /// The largest packet that fits, where the packet was too big and the size was told.
    pub(crate) mtu: u32,
    /// Who says so.
    pub(crate) from: Option<IpAddr>,
    /// When the kernel heard of it, on the wall clock, where [`stamp_arrival`] was asked for.
    pub(crate) at: Option<SystemTime>,
}

/// Who can say that a packet went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This host, which did not send it.
    Local,
    Icmp,
    Icmpv6,
}

impl Report {
    /// Whether the network says that the packet cannot arrive: destination unreachable or time exceeded
    /// (RFC 792: types 3 and 11; RFC 4443: types 1 and 3).
    pub(crate) const fn is_unreachable(&self) -> bool {
        match self.origin {
            Origin::Icmp => matches!(self.kind, 3 | 11),
            Origin::Icmpv6 => matches!(self.kind, 1 | 3),
            Origin::Local => false,
        }
    }
}

/// Asks for the kernel's time of arrival of every packet (`SO_TIMESTAMPING`, software).
pub(crate) fn stamp_arrival(socket: &impl AsFd) -> io::Result<()> {
    let flags = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE;
    Ok(setsockopt(socket, sockopt::Timestamping, &flags)?)
}

/// Asks for the kernel's times of arrival and of departure; the latter come as
/// [`Notice::Transmitted`], numbered from 0 in the order of sending.
pub(crate) fn stamp_transmission(socket: &impl AsFd) -> io::Result<()> {
    let flags = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_ID
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
    Ok(setsockopt(socket, sockopt::Timestamping, &flags)?)
}

/// Asks for ICMP errors as [`Notice::Reported`] (`IP_RECVERR`, ip(7); `IPV6_RECVERR`, ipv6(7)).
pub(crate) fn receive_errors(socket: &impl AsFd, peer: &IpAddr) -> io::Result<()> {
    match peer {
        IpAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &true)?,
        IpAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &true)?,
    }
    Ok(())
}

/// Asks for the TTL or hop limit of every packet. A dual-stack socket needs both options, and an
/// IPv4 socket knows only one.
pub(crate) fn receive_ttl(socket: &impl AsFd) -> io::Result<()> {
    let v6 = setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true);
    let v4 = setsockopt(socket, sockopt::Ipv4RecvTtl, &true);
    Ok(v6.or(v4)?)
}

/// Sends with the largest TTL or hop limit, so that whoever receives knows how many hops there were. A
/// dual-stack socket needs both options, and an IPv4 socket knows only one.
pub(crate) fn send_largest_ttl(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    let v6 = socket.set_unicast_hops_v6(u8::MAX.into());
    let v4 = socket.set_ttl_v4(u8::MAX.into());
    v6.or(v4)
}

/// Asks for the address of this host that every packet was sent to.
pub(crate) fn receive_destination(socket: &impl AsFd) -> io::Result<()> {
    let v6 = setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true);
    let v4 = setsockopt(socket, sockopt::Ipv4PacketInfo, &true);
    Ok(v6.or(v4)?)
}

/// Sends an answer from the address that the question was sent to. A host with several addresses would
/// otherwise answer from the one that its routing table prefers, and the asker would not know it.
pub(crate) fn answer(
    socket: RawFd,
    bytes: &[u8],
    to: SocketAddr,
    from: Option<Destination>,
) -> io::Result<()> {
    let parts = [IoSlice::new(bytes)];
    let to = SockaddrStorage::from(to);
    let send = |control: &[ControlMessage<'_>]| {
        let flags = MsgFlags::MSG_DONTWAIT;
        nix::sys::socket::sendmsg(socket, &parts, control, flags, Some(&to))
    };
    match from {
        Some(Destination::V4(mut info)) => {
            // The address alone: the way back is the routing table's to choose (ip(7), IP_PKTINFO).
            info.ipi_ifindex = 0;
            info.ipi_spec_dst = info.ipi_addr;
            send(&[ControlMessage::Ipv4PacketInfo(&info)])?;
        }
        Some(Destination::V6(mut info)) => {
            // A link-local address means nothing without its interface (RFC 4007, section 6).
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            if !address.is_unicast_link_local() {
                info.ipi6_ifindex = 0;
            }
            send(&[ControlMessage::Ipv6PacketInfo(&info)])?;
        }
        None => {
            send(&[])?;
        }
    }
    Ok(())
}

/// Takes the next packet out of the receive queue.
///
/// # Errors
/// `WouldBlock` where the queue is empty; an error that the network reported earlier, once.
pub(crate) fn receive(socket: RawFd, buffer: &mut [u8]) -> io::Result<Arrival> {
    let mut control = nix::cmsg_space!(Timestamps, i32, libc::in_pktinfo, libc::in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(
        socket,
        &mut parts,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let mut arrival = Arrival {
        length: message.bytes,
        source: message.address.as_ref().and_then(socket_address),
        stamp: None,
        ttl: None,
        destination: None,
    };
    // The control messages are extras: where they do not fit or parse, the packet still counts.
    for control in message.cmsgs().into_iter().flatten() {
        match control {
            ControlMessageOwned::ScmTimestampsns(stamps) => arrival.stamp = wall(stamps.system),
            ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => {
                arrival.ttl = u8::try_from(ttl).ok();
            }
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                arrival.destination = Some(Destination::V4(info));
            }
            // On a dual-stack socket an IPv4 packet has this one, with a mapped address.
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                arrival.destination = Some(Destination::V6(info));
            }
            _ => {}
        }
    }
    Ok(arrival)
}

/// Takes the next message out of the error queue (`MSG_ERRQUEUE`, recv(2)).
///
/// # Errors
/// `WouldBlock` where the queue is empty.
pub(crate) fn receive_notice(socket: RawFd, buffer: &mut [u8]) -> io::Result<Notice> {
    let mut control = nix::cmsg_space!(Timestamps, [u8; 64], [u8; 64]);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(
        socket,
        &mut parts,
        Some(&mut control),
        MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
    )?;
    let (mut stamp, mut error) = (None, None);
    for control in message.cmsgs().into_iter().flatten() {
        match control {
            ControlMessageOwned::ScmTimestampsns(stamps) => stamp = wall(stamps.system),
            ControlMessageOwned::Ipv4RecvErr(found, from) => {
                let from = from.map(|from| u32::from_be(from.sin_addr.s_addr));
                error = Some((
                    found,
                    from.map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits))),
                ));
            }
            ControlMessageOwned::Ipv6RecvErr(found, from) => {
                error = Some((found, from.map(|from| from.sin6_addr.s6_addr.into())));
            }
            _ => {}
        }
    }
    let Some((error, from)) = error else {
        return Ok(Notice::Other);
    };
    let origin = match (error.ee_origin, stamp) {
        (libc::SO_EE_ORIGIN_TIMESTAMPING, Some(at)) => {
            return Ok(Notice::Transmitted {
                key: error.ee_data,
                at,
            });
        }
        (libc::SO_EE_ORIGIN_LOCAL, _) => Origin::Local,
        (libc::SO_EE_ORIGIN_ICMP, _) => Origin::Icmp,
        (libc::SO_EE_ORIGIN_ICMP6, _) => Origin::Icmpv6,
        _ => return Ok(Notice::Other),
    };
    Ok(Notice::Reported {
        length: message.bytes,
        report: Report {
            origin,
            kind: error.ee_type,
            code: error.ee_code,
            mtu: error.ee_info,
            from,
            at: stamp,
        },
    })
}

/// `asm-generic/socket.h`; not in the libc crate.
const SO_MEMINFO: libc::c_int = 55;

/// How many arrived packets this socket has dropped since it was opened, for want of buffer space.
///
/// It is the counter that `SO_RXQ_OVFL` attaches to received packets (socket(7)); asked for directly,
/// it also knows of drops after the last packet that fitted.
#[allow(unsafe_code)]
pub(crate) fn own_drops(socket: &impl AsFd) -> io::Result<u32> {
    let mut info = [0_u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the pointers are to live, writable memory, and `length` is the size of `info` in bytes;
    // the kernel writes at most that many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(info[libc::SK_MEMINFO_DROPS as usize])
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sets a socket option whose value is an array of words, such as an ICMP filter.
#[allow(unsafe_code)]
pub(crate) fn set_words<const N: usize>(
    socket: &impl AsFd,
    level: libc::c_int,
    option: libc::c_int,
    words: [u32; N],
) -> io::Result<()> {
    // SAFETY: the pointer is to `words`, which outlives the call, and the length is its size in bytes.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            words.as_ptr().cast(),
            size_of_val(&words) as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `SO_MAX_PACING_RATE` (socket(7)), which counts bytes a second.
pub(crate) fn set_max_pacing_rate(socket: &impl AsFd, rate: BitRate) -> io::Result<()> {
    let option = (libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE);
    set(socket, option, rate.as_bps() / 8)
}

/// `SO_RCVLOWAT` (socket(7)): a receiver sleeps until so many bytes are there.
pub(crate) fn wake_at(socket: &impl AsFd, bytes: i32) -> io::Result<()> {
    set(socket, (libc::SOL_SOCKET, libc::SO_RCVLOWAT), bytes)
}

/// Has packets go out whole or not at all, whatever path MTU this host has learnt before
/// (`IP_PMTUDISC_PROBE`, ip(7); `IPV6_MTU_DISCOVER` and `IPV6_DONTFRAG`, RFC 3542, section 11.2).
pub(crate) fn never_fragment(socket: &impl AsFd, peer: &IpAddr) -> io::Result<()> {
    match peer {
        IpAddr::V4(_) => {
            let option = (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
            set(socket, option, libc::IP_PMTUDISC_PROBE)
        }
        IpAddr::V6(_) => {
            let option = (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER);
            set(socket, option, libc::IPV6_PMTUDISC_PROBE)?;
            set(socket, (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG), 1_i32)
        }
    }
}

/// Has the runtime watch the socket's queue and its error queue.
#[allow(unsafe_code)]
pub(crate) fn watch(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    let interest = Interest::READABLE | Interest::ERROR;
    // SAFETY: a `Socket` owns its descriptor, always returns the same one, and closes it when it is
    // dropped, which is after the `AsyncFd` has taken it off the watch.
    Ok(unsafe { AsyncFd::register_with_interest(socket, interest) }?)
}

/// Sets an option, named by its level and number, that takes a whole number.
#[allow(unsafe_code)]
fn set<T: Into<i128> + Copy>(
    socket: &impl AsFd,
    (level, option): (libc::c_int, libc::c_int),
    value: T,
) -> io::Result<()> {
    // SAFETY: `value` is a whole number without padding; the kernel reads as many bytes as it has, and it
    // outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether a send failed only because this host had no room for the packet just then.
pub(crate) fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    match address.family()? {
        nix::sys::socket::AddressFamily::Inet => address
            .as_sockaddr_in()
            .map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4))),
        nix::sys::socket::AddressFamily::Inet6 => address
            .as_sockaddr_in6()
            .map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))),
        _ => None,
    }
}

/// A kernel time stamp; all zero stands for "none" (Documentation/networking/timestamping.rst).
fn wall(stamp: TimeSpec) -> Option<SystemTime> {
    let seconds = u64::try_from(stamp.tv_sec()).ok()?;
    let nanos = u32::try_from(stamp.tv_nsec()).ok()?;
    (seconds, nanos)
        .ne(&(0, 0))
        .then(|| SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos)))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    /// A socket that sends to itself.
    fn own(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.connect(socket.local_addr().unwrap()).unwrap();
        socket
    }

    #[test]
    fn a_packet_tells_its_sender_its_length_and_its_ttl() {
        for address in ["127.0.0.1", "::1"] {
            let socket = own(address);
            receive_ttl(&socket).unwrap();
            socket.send(b"abc").unwrap();
            let mut buffer = [0; 8];
            let arrival = receive(socket.as_raw_fd(), &mut buffer).unwrap();
            assert_eq!(buffer[..arrival.length], *b"abc");
            assert_eq!(arrival.source, socket.local_addr().ok());
            assert_eq!(arrival.ttl, Some(64));
            let empty = receive(socket.as_raw_fd(), &mut buffer).unwrap_err();
            assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_as_our_own_drop() {
        let socket = own("127.0.0.1");
        assert_eq!(own_drops(&socket).unwrap(), 0);
        socket2::SockRef::from(&socket)
            .set_recv_buffer_size(2048)
            .unwrap();
        for _ in 0..100 {
            socket.send(&[0; 1000]).unwrap();
        }
        let mut received = 0;
        while receive(socket.as_raw_fd(), &mut [0; 1000]).is_ok() {
            received += 1;
        }
        assert!(received < 100);
        assert_eq!(own_drops(&socket).unwrap(), 100 - received);
    }

    #[test]
    fn a_departure_is_told_with_its_number() {
        let socket = own("127.0.0.1");
        stamp_transmission(&socket).unwrap();
        let before = SystemTime::now();
        for key in 0..3 {
            socket.send(b"x").unwrap();
            let notice = receive_notice(socket.as_raw_fd(), &mut [0; 64]).unwrap();
            let Notice::Transmitted { key: told, at } = notice else {
                panic!("not a departure: {notice:?}");
            };
            assert_eq!(told, key);
            assert!(at >= before);
        }
    }
}
