//! What comes back over UDP: the address that a STUN server saw, the time of a time server.

use messnetz_probes::{ntp, stun};

/// RFC 5769, sections 2.2 and 2.3, without what we do not read; an address in the clear; an error.
const STUN: [&[u8]; 4] = [
    b"\x01\x01\x00\x1c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\x80\x22\x00\x0btest vector\x20\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43",
    b"\x01\x01\x00\x18\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9",
    b"\x01\x01\x00\x0c\x21\x12\xa4\x42abcdefghijkl\x00\x01\x00\x08\x00\x01\x00\x50\x0a\x00\x00\x01",
    b"\x01\x11\x00\x0c\x21\x12\xa4\x42abcdefghijkl\x00\x09\x00\x06\x00\x00\x04\x14no\x00\x00",
];

/// An answer, and the kiss of death.
const NTP: [&[u8]; 2] = [
    b"\x24\x01\x06\xe8\x00\x00\x00\x10\x00\x00\x00\x20PTB\x00\xee\x00\x00\x00\x00\x00\x00\x00abcdefgh\xee\x00\x00\x01\x00\x00\x00\x00\xee\x00\x00\x01\x00\x00\x10\x00",
    b"\x24\x00\x06\xe8\x00\x00\x00\x10\x00\x00\x00\x20RATE\xee\x00\x00\x00\x00\x00\x00\x00abcdefgh\xee\x00\x00\x01\x00\x00\x00\x00\xee\x00\x00\x01\x00\x00\x10\x00",
];

pub(crate) const WORDS: &[&str] = &["\u{1}\u{1}", "\u{0} \u{0}\u{8}", "RATE", "DENY", "$\u{0}"];

pub(crate) fn stun_seeds() -> Vec<Vec<u8>> {
    STUN.map(<[u8]>::to_vec).into()
}

pub(crate) fn ntp_seeds() -> Vec<Vec<u8>> {
    NTP.map(<[u8]>::to_vec).into()
}

/// Reads an answer to the request that it names itself. To another one it is no answer.
pub(crate) fn stun(bytes: &[u8]) -> String {
    let Some(&transaction) = bytes.get(8..).and_then(|rest| rest.first_chunk()) else {
        return "short".to_owned();
    };
    let mut other = transaction;
    other[0] ^= 1;
    assert_eq!(stun::Answer::decode(bytes, other), None);
    match stun::Answer::decode(bytes, transaction) {
        None => "none".to_owned(),
        Some(stun::Answer::Mapped(address)) => format!("ok {}", address.is_ipv6()),
        Some(stun::Answer::Error(code)) => {
            assert!(code < 800, "three bits of hundreds");
            format!("ok error {}", code / 100)
        }
    }
}

/// Reads an answer to the question that it names itself, as one that took a second.
pub(crate) fn ntp(bytes: &[u8]) -> String {
    let Some(&nonce) = bytes.get(24..).and_then(|rest| rest.first_chunk()) else {
        return "short".to_owned();
    };
    let nonce = u64::from_be_bytes(nonce);
    assert_eq!(ntp::Answer::decode(bytes, !nonce), None);
    let Some(answer) = ntp::Answer::decode(bytes, nonce) else {
        return "none".to_owned();
    };
    let (left, back) = (0xee00_0000 << 32, 0xee00_0001 << 32);
    match answer.compared(left, back) {
        Ok(compared) => {
            assert!((1..=15).contains(&compared.stratum));
            format!("ok {}", compared.offset_us.signum())
        }
        Err(ntp::Refusal::Kiss(_)) => "ok kiss".to_owned(),
        Err(refusal) => format!("ok {refusal:?}"),
    }
}
