//! Whether somebody answers at all.

use std::net::IpAddr;
use std::time::Duration;

use messnetz_metric::Failure;
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};

use crate::Binding;
use crate::failure::from_io;
use crate::random;

/// Types of an echo reply: RFC 792, and RFC 4443, section 4.2.
const REPLY_V4: u8 = 0;
const REPLY_V6: u8 = 129;

/// Whether `target` answers one echo request within `timeout`; no route to it is a "no", too.
///
/// It says nothing about times: for those there is [`super::measure`].
///
/// # Errors
/// [`messnetz_metric::FailureReason::Permission`] where this process may not open an ICMP socket, and
/// what else keeps this host from asking.
pub async fn is_up(target: IpAddr, binding: &Binding, timeout: Duration) -> Result<bool, Failure> {
    let attempt = format!("asking whether {target} is up");
    let kind = match target {
        IpAddr::V4(_) => ICMP::V4,
        IpAddr::V6(_) => ICMP::V6,
    };
    let mut config = Config::builder().kind(kind);
    if let Some(interface) = binding.name() {
        config = config.interface(interface);
    }
    let client = Client::new(&config.build()).map_err(|e| from_io(&attempt, &e))?;
    let identifier = PingIdentifier(u16::from_be_bytes(random::octets(&attempt)?));
    let mut pinger = client.pinger(target, identifier).await;
    pinger.timeout(timeout);
    match pinger.ping(PingSequence(0), &[0; 8]).await {
        Ok((answer, _)) => Ok(is_reply(&answer)),
        Err(SurgeError::IOError(error)) => match error.kind() {
            std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
                Ok(false)
            }
            _ => Err(from_io(&attempt, &error)),
        },
        Err(_) => Ok(false),
    }
}

/// Whether it is the target's own reply, and not somebody's word that it cannot be reached.
fn is_reply(answer: &IcmpPacket) -> bool {
    match answer {
        IcmpPacket::V4(packet) => packet.get_icmp_type().0 == REPLY_V4,
        IcmpPacket::V6(packet) => packet.get_icmpv6_type().0 == REPLY_V6,
    }
}
