//! What an iperf3 peer sends over the control connection: a cookie, a signal, parameters, results.

use messnetz_probes::iperf3::codec::{
    COOKIE_OCTETS, Cookie, DatagramHead, Inbox, MAX_PARAMETERS, MAX_RESULTS, framed,
};
use messnetz_probes::iperf3::{Parameters, Results};

/// As stock iperf3 3.12 sends them, and what a datagram begins with.
const SEEDS: [&[u8]; 5] = [
    br#"{"tcp":true,"omit":0,"time":1,"num":0,"blockcount":0,"parallel":2,"len":131072,"pacing_timer":1000,"client_version":"3.12"}"#,
    br#"{"udp":true,"omit":1,"time":10,"parallel":1,"bidirectional":true,"window":65536,"len":1460,"bandwidth":1048576,"TOS":16,"congestion":"cubic","udp_counters_64bit":1}"#,
    br#"{"cpu_util_total":10.3,"cpu_util_user":0.5,"cpu_util_system":9.8,"sender_has_retransmits":18446744073709551615,"congestion_used":"bbr","streams":[{"id":1,"bytes":398458880,"retransmits":-1,"jitter":0.000012,"errors":3,"packets":100,"start_time":0,"end_time":1.005082}]}"#,
    b"ronss2gogxgpoo2vdg33jwt4o4mmgnbsddxc\0\x00\x00\x00\x02{}",
    b"\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x03",
];

pub(crate) const WORDS: &[&str] = &[
    "\"parallel\":",
    "\"time\":",
    "\"len\":",
    "\"reverse\":",
    "\"streams\":",
    "\"end_time\":",
    "18446744073709551615",
    "-1",
    "1e300",
    "4294967296",
    "null",
    "[",
    "{",
    "}",
    "]",
    ",",
    "\u{0}",
    "messnetz",
];

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    SEEDS.map(<[u8]>::to_vec).into()
}

/// Reads the input as everything that it could be. What is understood is understood again as it is written,
/// and no document is longer than what is taken.
pub(crate) fn run(bytes: &[u8]) -> String {
    let mut inbox = Inbox::default();
    let greeting = bytes.split_first_chunk::<COOKIE_OCTETS>();
    let cookie = greeting.is_some_and(|(octets, rest)| {
        inbox.push(rest);
        Cookie::parse(*octets).is_ok_and(|cookie| {
            assert_eq!(cookie.can_wait(), octets.starts_with(b"messnetz"));
            true
        })
    });
    let document = inbox.document(MAX_PARAMETERS).map(|document| {
        let length = document.map(|document| document.len());
        assert!(length.is_none_or(|length| length <= MAX_PARAMETERS));
        length.is_some()
    });
    // Without the length that was announced, which would make every answer a new one.
    let document = document.map_err(|_| "too long");
    let head = DatagramHead::parse(true, bytes).is_some();
    let parameters = Parameters::parse(bytes).map(|parameters| {
        let again = Parameters::parse(&parameters.document());
        assert_eq!(again.as_ref(), Ok(&parameters));
        (parameters.protocol, parameters.flow)
    });
    let results = Results::parse(bytes).map(|results| {
        let written = results.document();
        let mut again = Inbox::default();
        again.push(&framed(&written));
        if written.len() <= MAX_RESULTS {
            assert_eq!(again.document(MAX_RESULTS), Ok(Some(written.clone())));
        }
        let again = Results::parse(&written).expect("what was written is read");
        assert_eq!(again.streams, results.streams);
        results.streams.len().min(4)
    });
    let understood = if parameters.is_ok() || results.is_ok() {
        "ok "
    } else {
        ""
    };
    // Without what it quotes and where that stood, which would make every answer a new one.
    let short = |error: String| {
        let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
        let words: Vec<&str> = error.split(' ').filter(plain).skip(6).take(4).collect();
        words.join(" ")
    };
    let parameters = parameters.map_err(|error| short(error.to_string()));
    let results = results.map_err(|error| short(error.to_string()));
    format!("{understood}{cookie} {document:?} {head} {parameters:?} {results:?}")
}
