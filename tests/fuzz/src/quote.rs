//! What an ICMP error quotes of a packet.

use messnetz_probes::path::Quote;

/// Time exceeded over IPv4, with the error's own header, and over IPv6, as the kernel hands them over.
const SEEDS: [&[u8]; 2] = [
    b"\x45\xc0\x00\x58\x00\x00\x00\x00\x40\x01\x00\x00\x0a\x01\x00\x02\x0a\x01\x00\x01\
      \x0b\x00\x00\x00\x00\x00\x00\x00\
      \x45\xb8\x00\x3c\x00\x00\x40\x00\x01\x11\x00\x00\x0a\x01\x00\x01\x0a\x03\x00\x02\
      \x9c\x40\x82\x9a\x00\x28\x00\x00\xff\xf8\x00\x07",
    b"\x03\x00\x00\x00\x00\x00\x00\x00\
      \x6b\x80\x00\x00\x00\x14\x11\x01\xfd\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xfd\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\
      \x9c\x40\x82\x9a\x00\x14\x00\x00\xff\xf8\x00\x07",
];

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    SEEDS.map(<[u8]>::to_vec).into()
}

/// Reads the input as an error of both protocols. What is quoted is never more than came in.
pub(crate) fn run(bytes: &[u8]) -> String {
    let [v4, v6] = [Quote::in_ipv4(bytes), Quote::in_ipv6(bytes)].map(|quote| {
        quote.map(|quote| {
            assert!(quote.dscp < 64);
            assert!(bytes.ends_with(quote.data));
            (quote.protocol, quote.data.is_empty())
        })
    });
    let understood = if v4.is_some() || v6.is_some() {
        "ok "
    } else {
        ""
    };
    format!("{understood}{v4:?} {v6:?}")
}
