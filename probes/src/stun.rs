//! The address that the far end sees: a STUN binding request (RFC 8489).
//!
//! It tells whether addresses are translated on the way, and whether UDP passes to the port that video
//! conferences use.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use messnetz_metric::{Failure, FailureReason, Micros};
use serde::Serialize;
use tokio::net::UdpSocket;

use crate::datagram::Peer;
use crate::failure::from_io;
use crate::random;

/// The port that IANA assigned to STUN over UDP.
pub const PORT: u16 = 3478;

/// The magic cookie (RFC 8489, section 5).
const COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();

const HEADER: usize = 20;

/// Message types (RFC 8489, section 18.2, with the class bits of figure 3).
const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const ERROR: u16 = 0x0111;

/// Attributes (RFC 8489, section 18.3).
const MAPPED_ADDRESS: u16 = 0x0001;
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// What we call ourselves (RFC 8489, section 14.14). It also makes the request as long as the longest answer.
const SOFTWARE: &[u8] = b"\x80\x22\x00\x1cmessnetz asks for its address";

/// Attributes below this one must be understood by whoever answers (RFC 8489, section 14).
const OPTIONAL: u16 = 0x8000;

/// After so many failed calls in a row the server's socket is given up.
const FAILURES_IN_A_ROW: u32 = 10;

/// Longest request that is read.
const LONGEST_REQUEST: usize = 1024;

/// What names a request: nobody else can answer it.
type Transaction = [u8; 12];

/// How this machine looks from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mapped {
    /// The address that the far end saw.
    pub address: SocketAddr,
    /// The round trip.
    #[serde(rename = "time_us")]
    pub time: Micros,
}

/// Asks once.
///
/// # Errors
/// [`FailureReason::Timeout`] and [`FailureReason::Refused`] as the network answers;
/// [`FailureReason::Protocol`] where the server answers with an error.
pub async fn ask(server: &Peer) -> Result<Mapped, Failure> {
    let attempt = format!("asking {} for our address by STUN", server.address);
    let transaction = random::octets(&attempt)?;
    let start = Instant::now();
    let answer = server
        .ask(&attempt, &question(transaction), |bytes| {
            Answer::decode(bytes, transaction)
        })
        .await?;
    match answer {
        Answer::Mapped(address) => Ok(Mapped {
            address,
            time: start.elapsed().into(),
        }),
        Answer::Error(code) => {
            let detail = format_args!("{attempt}: error {code}");
            Err(Failure::new(FailureReason::Protocol, detail))
        }
    }
}

/// Answers binding requests of those who are allowed, until the socket fails for good.
///
/// No answer is longer than its request, so that a forged sender gets no more than was sent in his name:
/// a request without any attribute stays unanswered.
///
/// # Errors
/// Where the socket fails again and again.
pub async fn serve(
    socket: UdpSocket,
    is_allowed: impl Fn(IpAddr) -> bool,
) -> Result<Infallible, Failure> {
    let mut buffer = [0; LONGEST_REQUEST];
    let mut failures = 0;
    loop {
        let served = async {
            let (length, source) = socket.recv_from(&mut buffer).await?;
            let request = buffer.get(..length).unwrap_or_default();
            let asked = is_allowed(source.ip()).then(|| response(request, source));
            if let Some(answer) = asked.flatten() {
                socket.send_to(&answer, source).await?;
            }
            Ok(())
        };
        match served.await {
            Ok(()) => failures = 0,
            Err(_) if failures < FAILURES_IN_A_ROW => failures += 1,
            Err(error) => return Err(from_io("serving STUN", &error)),
        }
    }
}

/// The answer to a binding request (RFC 8489, section 6.3.1); `None` for what is none, or must not be
/// answered.
fn response(request: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let (header, body) = request.split_at_checked(HEADER)?;
    let is_request = number(header)? == REQUEST
        && header.get(4..8)? == COOKIE
        && usize::from(number(header.get(2..)?)?) == body.len();
    let transaction = *header.get(8..)?.first_chunk()?;
    let mut rest = body;
    while let Some((name, _, left)) = attribute(rest) {
        if name < OPTIONAL {
            return None;
        }
        rest = left;
    }
    let host = match source.ip().to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let mask = mask(transaction);
    let family = if host.len() == 4 { 1 } else { 2 };
    let port = source.port() ^ number(&mask)?;
    let masked: Vec<u8> = host.iter().zip(mask).map(|(a, b)| a ^ b).collect();
    let length = (4 + masked.len() as u16).to_be_bytes();
    let attribute = [
        &XOR_MAPPED_ADDRESS.to_be_bytes()[..],
        &length,
        &[0, family],
        &port.to_be_bytes(),
        &masked,
    ];
    let answer = message(SUCCESS, transaction, &attribute.concat());
    (is_request && answer.len() <= request.len()).then_some(answer)
}

fn question(transaction: Transaction) -> Vec<u8> {
    message(REQUEST, transaction, SOFTWARE)
}

fn message(kind: u16, transaction: Transaction, attributes: &[u8]) -> Vec<u8> {
    let length = (attributes.len() as u16).to_be_bytes();
    let kind = kind.to_be_bytes();
    [&kind, &length, &COOKIE[..], &transaction, attributes].concat()
}

/// What a server says to a binding request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The address that it saw.
    Mapped(SocketAddr),
    /// An error, with its code.
    Error(u16),
}

impl Answer {
    /// The answer that `bytes` are, if they are one to the request of this name (RFC 8489, section 6.3).
    /// An address behind XOR is preferred, since some routers rewrite the other one.
    #[must_use]
    pub fn decode(bytes: &[u8], transaction: Transaction) -> Option<Self> {
        let (header, body) = bytes.split_at_checked(HEADER)?;
        let kind = number(header)?;
        let length = usize::from(number(header.get(2..)?)?);
        let is_ours = header.get(4..8)? == COOKIE && header.get(8..)? == transaction;
        if !is_ours || length != body.len() || !matches!(kind, SUCCESS | ERROR) {
            return None;
        }
        let mut plain = None;
        let mut rest = body;
        while let Some((name, value, left)) = attribute(rest) {
            match (kind, name) {
                (ERROR, ERROR_CODE) => return error_code(value).map(Self::Error),
                (SUCCESS, XOR_MAPPED_ADDRESS) => {
                    return address(value, mask(transaction)).map(Self::Mapped);
                }
                (SUCCESS, MAPPED_ADDRESS) => plain = address(value, [0; 16]),
                _ => {}
            }
            rest = left;
        }
        plain.map(Self::Mapped)
    }
}

/// The first attribute, and what follows it: each ends at a multiple of four octets (RFC 8489, section 14).
fn attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(4)?;
    let (name, length) = (number(head)?, usize::from(number(head.get(2..)?)?));
    let value = rest.get(..length)?;
    let left = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((name, value, left))
}

/// What addresses are masked with (RFC 8489, section 14.2).
fn mask(transaction: Transaction) -> [u8; 16] {
    let mut mask = [0; 16];
    let (cookie, rest) = mask.split_at_mut(COOKIE.len());
    cookie.copy_from_slice(&COOKIE);
    rest.copy_from_slice(&transaction);
    mask
}

fn number(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.first_chunk()?))
}

/// RFC 8489, section 14.8: hundreds, then the rest.
fn error_code(value: &[u8]) -> Option<u16> {
    let (class, number) = (*value.get(2)? & 7, *value.get(3)?);
    (number < 100).then(|| u16::from(class) * 100 + u16::from(number))
}

/// RFC 8489, sections 14.1 and 14.2.
fn address(value: &[u8], mask: [u8; 16]) -> Option<SocketAddr> {
    let (head, host) = value.split_at_checked(4)?;
    let port = number(head.get(2..)?)? ^ number(&mask)?;
    let unmasked = |host: &[u8]| -> Vec<u8> {
        let pairs = host.iter().zip(mask);
        pairs.map(|(byte, mask)| byte ^ mask).collect()
    };
    let ip = match (head.get(1)?, host.len()) {
        (1, 4) => IpAddr::V4(Ipv4Addr::from(*unmasked(host).first_chunk::<4>()?)),
        (2, 16) => IpAddr::V6(Ipv6Addr::from(*unmasked(host).first_chunk::<16>()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Binding;
    use proptest::prelude::*;
    use std::time::Duration;
    use tokio::net::UdpSocket;

    /// RFC 5769, section 2.2: a response over IPv4, up to its mapped address.
    const TRANSACTION: Transaction = [
        0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
    ];
    const NAME: &[u8] = b"\x80\x22\x00\x0btest vector\x20";
    const V4: &[u8] = b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43";
    /// Section 2.3: over IPv6.
    const V6: &[u8] = b"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9";

    fn decoded(kind: u16, attributes: &[&[u8]]) -> Option<Answer> {
        let bytes = message(kind, TRANSACTION, &attributes.concat());
        Answer::decode(&bytes, TRANSACTION)
    }

    #[test]
    fn the_vectors_of_rfc_5769_are_read() {
        for (attribute, expected) in [
            (V4, "192.0.2.1:32853"),
            (V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
        ] {
            let mapped = Answer::Mapped(expected.parse().unwrap());
            assert_eq!(decoded(SUCCESS, &[NAME, attribute]), Some(mapped));
        }
    }

    #[test]
    fn an_address_in_the_clear_counts_only_without_a_masked_one() {
        let plain: &[u8] = b"\x00\x01\x00\x08\x00\x01\x00\x50\x0a\x00\x00\x01";
        let mapped = |text: &str| Some(Answer::Mapped(text.parse().unwrap()));
        assert_eq!(decoded(SUCCESS, &[plain]), mapped("10.0.0.1:80"));
        assert_eq!(decoded(SUCCESS, &[plain, V4]), mapped("192.0.2.1:32853"));
    }

    #[test]
    fn an_error_is_told_with_its_code() {
        let error: &[u8] = b"\x00\x09\x00\x06\x00\x00\x04\x14no\x00\x00";
        assert_eq!(decoded(ERROR, &[error]), Some(Answer::Error(420)));
    }

    #[test]
    fn what_answers_another_request_is_foreign() {
        let mut bytes = message(SUCCESS, TRANSACTION, V4);
        assert!(Answer::decode(&bytes, TRANSACTION).is_some());
        bytes[8] ^= 1;
        assert_eq!(Answer::decode(&bytes, TRANSACTION), None);
        assert_eq!(Answer::decode(&question(TRANSACTION), TRANSACTION), None);
        assert_eq!(decoded(SUCCESS, &[NAME]), None);
        // An attribute that is longer than the message.
        assert_eq!(decoded(SUCCESS, &[b"\x00\x20\xff\xff\x00"]), None);
    }

    #[tokio::test]
    async fn a_server_tells_the_address_that_it_sees() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let socket = UdpSocket::bind(local).await.unwrap();
            let peer = Peer {
                address: socket.local_addr().unwrap(),
                binding: Binding::any(),
                deadline: Duration::from_secs(10),
            };
            tokio::spawn(serve(socket, |address| address.is_loopback()));
            let mapped = ask(&peer).await.unwrap();
            assert_eq!(mapped.address.ip(), peer.address.ip());
        }
    }

    #[tokio::test]
    async fn who_is_not_allowed_gets_no_answer() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let peer = Peer {
            address: socket.local_addr().unwrap(),
            binding: Binding::any(),
            deadline: Duration::from_millis(100),
        };
        tokio::spawn(serve(socket, |_| false));
        let failure = ask(&peer).await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::Timeout);
    }

    #[test]
    fn no_answer_is_longer_than_its_request() {
        let source = "[2001:db8::1]:9".parse().unwrap();
        let bare = message(REQUEST, TRANSACTION, &[]);
        assert_eq!(response(&bare, source), None);
        let asked = question(TRANSACTION);
        let answer = response(&asked, source).unwrap();
        assert!(answer.len() <= asked.len());
        let mapped = Answer::decode(&answer, TRANSACTION);
        assert_eq!(mapped, Some(Answer::Mapped(source)));
    }

    #[test]
    fn what_must_be_understood_and_is_not_stays_unanswered() {
        let source = "192.0.2.1:9".parse().unwrap();
        let asked = message(
            REQUEST,
            TRANSACTION,
            &[b"\x00\x06\x00\x04user", SOFTWARE].concat(),
        );
        assert_eq!(response(&asked, source), None);
        let answer = message(SUCCESS, TRANSACTION, SOFTWARE);
        assert_eq!(response(&answer, source), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(noise in prop::collection::vec(any::<u8>(), 0..80), kind: bool) {
            let _ = Answer::decode(&noise, TRANSACTION);
            let _ = response(&noise, "192.0.2.1:9".parse().unwrap());
            let _ = response(&message(REQUEST, TRANSACTION, &noise), "[::1]:9".parse().unwrap());
            let _ = decoded(if kind { SUCCESS } else { ERROR }, &[&noise]);
        }
    }
}
