//! What a client asks for, and how it is written on the wire.

use std::time::Duration;

use messnetz_metric::BitRate;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::codec::CodecError;
use super::number::Count;

/// Most streams in each direction.
pub const MAX_STREAMS: u8 = 128;

/// The longest test.
pub const MAX_DURATION: Duration = Duration::from_hours(24);

/// The longest time that is left out at the start.
pub const MAX_OMIT: Duration = Duration::from_mins(10);

/// The largest write of a TCP stream, and what ours write where nothing else is asked for.
pub const MAX_TCP_LENGTH: u32 = 1 << 20;

/// What a stock client writes at a time. Where a rate is set, so do ours: a megabyte would come in bursts.
pub const STOCK_TCP_LENGTH: u32 = 128 << 10;

/// The smallest and the largest datagram.
const UDP_LENGTHS: (u32, u32) = (16, 65_507);

/// The largest datagram that is sent where nobody asks for another: it fits into a packet of 1500 octets.
pub const DEFAULT_UDP_LENGTH: u32 = 1460;

/// The rate of datagrams where nobody asks for another, as in stock iperf3.
pub const DEFAULT_UDP_RATE: BitRate = BitRate::from_bps(1 << 20);

/// The largest socket buffer that may be asked for.
const MAX_WINDOW: u32 = 512 << 20;

/// The largest segment that may be asked for.
const MAX_MSS: u16 = 9216;

/// The longest name of a congestion control algorithm that the kernel takes (`TCP_CA_NAME_MAX` - 1).
const MAX_CONGESTION: usize = 15;

/// What carries the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Streams of bytes.
    Tcp,
    /// Numbered datagrams.
    Udp,
}

/// Which way the payload goes, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// From client to server.
    Up,
    /// From server to client ("reverse").
    Down,
    /// Both at one time ("bidirectional").
    Both,
}

/// When a test is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// After this time; written in seconds.
    #[serde(serialize_with = "as_seconds")]
    After(Duration),
    /// Once so many bytes were transferred by all streams of a direction together.
    Bytes(u64),
    /// Once so many blocks of [`Parameters::length`] were transferred.
    Blocks(u64),
}

/// One test, as both sides know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Which way.
    pub flow: Flow,
    /// Streams in each direction: 1 to [`MAX_STREAMS`].
    pub streams: u8,
    /// When it is over.
    pub end: End,
    /// How long data flows before it counts, in whole seconds; written in seconds.
    #[serde(serialize_with = "as_seconds")]
    pub omit: Duration,
    /// Bytes of a write, or octets of a datagram's payload.
    pub length: u32,
    /// The most that each stream sends; `None` for as much as it can.
    #[serde(rename = "rate_bps")]
    pub rate: Option<BitRate>,
    /// Datagrams that are sent in a row at that rate.
    pub burst: u16,
    /// The most that the kernel lets each stream send (`SO_MAX_PACING_RATE`).
    #[serde(rename = "pacing_rate_bps")]
    pub pacing_rate: Option<BitRate>,
    /// The size of the socket buffers, in bytes.
    pub window: Option<u32>,
    /// The largest segment, in bytes.
    pub mss: Option<u16>,
    /// Sends small segments at once (`TCP_NODELAY`).
    pub no_delay: bool,
    /// The congestion control algorithm, by the kernel's name.
    pub congestion: Option<String>,
    /// The octet of the IP header that holds the DSCP.
    pub tos: Option<u8>,
    /// Numbers datagrams with 64 bit.
    pub wide_counters: bool,
}

impl Parameters {
    /// A test of one TCP stream that sends as much as it can for `duration`.
    #[must_use]
    pub fn tcp(flow: Flow, duration: Duration) -> Self {
        Self {
            protocol: Protocol::Tcp,
            flow,
            streams: 1,
            end: End::After(duration),
            omit: Duration::ZERO,
            length: MAX_TCP_LENGTH,
            rate: None,
            burst: 0,
            pacing_rate: None,
            window: None,
            mss: None,
            no_delay: false,
            congestion: None,
            tos: None,
            wide_counters: false,
        }
    }

    /// A test of one UDP stream at `rate`, with counters of 64 bit.
    #[must_use]
    pub fn udp(flow: Flow, duration: Duration, rate: BitRate) -> Self {
        Self {
            protocol: Protocol::Udp,
            length: DEFAULT_UDP_LENGTH,
            rate: Some(rate),
            wide_counters: true,
            ..Self::tcp(flow, duration)
        }
    }

    /// Streams of both directions together.
    #[must_use]
    pub fn all_streams(&self) -> usize {
        let directions = if self.flow == Flow::Both { 2 } else { 1 };
        usize::from(self.streams) * directions
    }

    /// How long the test takes from its start; `None` where bytes end it.
    #[must_use]
    pub fn planned(&self) -> Option<Duration> {
        match self.end {
            End::After(duration) => Some(self.omit + duration),
            End::Bytes(_) | End::Blocks(_) => None,
        }
    }

    /// The bytes of a direction that end the test; `None` where time does.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        match self.end {
            End::After(_) => None,
            End::Bytes(bytes) => Some(bytes),
            End::Blocks(blocks) => Some(blocks.saturating_mul(u64::from(self.length))),
        }
    }

    /// Checks a test before it is asked for, and one that a client asks for.
    ///
    /// # Errors
    /// [`CodecError::Parameter`] for what is outside of the protocol's limits.
    pub fn check(&self) -> Result<(), CodecError> {
        let refuse = |name, value: &dyn std::fmt::Display, allowed| {
            let value = value.to_string();
            Err(CodecError::Parameter {
                name,
                value,
                allowed,
            })
        };
        if !(1..=MAX_STREAMS).contains(&self.streams) {
            return refuse("parallel", &self.streams, "1 to 128");
        }
        match self.end {
            End::After(time) if time.is_zero() || time > MAX_DURATION => {
                return refuse("time", &time.as_secs_f64(), "1 to 86400 s");
            }
            End::Bytes(0) | End::Blocks(0) => return refuse("num", &0, "1 and more"),
            _ => {}
        }
        if self.omit > MAX_OMIT {
            return refuse("omit", &self.omit.as_secs(), "0 to 600 s");
        }
        let (lengths, said) = match self.protocol {
            Protocol::Tcp => (1..=MAX_TCP_LENGTH, "1 to 1048576 bytes"),
            Protocol::Udp => (UDP_LENGTHS.0..=UDP_LENGTHS.1, "16 to 65507 bytes"),
        };
        if !lengths.contains(&self.length) {
            return refuse("len", &self.length, said);
        }
        if let Some(window) = self.window.filter(|window| *window > MAX_WINDOW) {
            return refuse("window", &window, "up to 536870912 bytes");
        }
        if let Some(mss) = self.mss.filter(|mss| *mss > MAX_MSS) {
            return refuse("MSS", &mss, "up to 9216 bytes");
        }
        if let Some(name) = &self.congestion {
            let known = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            if name.is_empty() || name.len() > MAX_CONGESTION || !name.chars().all(known) {
                let shown: String = name.chars().take(20).collect();
                return refuse("congestion", &shown, "names of up to 15 letters");
            }
        }
        Ok(())
    }

    /// Reads what a client asks for. Keys that are not known are left aside, as stock servers do.
    ///
    /// # Errors
    /// Where it is no JSON, or [`Self::check`] refuses it.
    pub fn parse(document: &[u8]) -> Result<Self, CodecError> {
        let written: Written = serde_json::from_slice(document)
            .map_err(|error| CodecError::Json(error.to_string()))?;
        let parameters = Self::try_from(written)?;
        parameters.check()?;
        Ok(parameters)
    }

    /// As a client sends it, without its length.
    #[must_use]
    pub fn document(&self) -> Vec<u8> {
        // Numbers, flags and a checked name: there is nothing that could not be written.
        serde_json::to_vec(&Written::from(self)).unwrap_or_default()
    }
}

fn as_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// The keys of the wire. Flags count as set where their key is there, whatever its value.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Written {
    #[serde(skip_serializing_if = "Flag::is_unset")]
    tcp: Flag,
    #[serde(skip_serializing_if = "Flag::is_unset")]
    udp: Flag,
    #[serde(skip_serializing_if = "Flag::is_unset")]
    sctp: Flag,
    #[serde(skip_serializing_if = "Option::is_none")]
    omit: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blockcount: Option<Count>,
    #[serde(rename = "MSS", skip_serializing_if = "Option::is_none")]
    mss: Option<Count>,
    #[serde(skip_serializing_if = "Flag::is_unset")]
    nodelay: Flag,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel: Option<Count>,
    #[serde(skip_serializing_if = "Flag::is_unset")]
    reverse: Flag,
    #[serde(skip_serializing_if = "Flag::is_unset")]
    bidirectional: Flag,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    len: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bandwidth: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fqrate: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pacing_timer: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<Count>,
    #[serde(rename = "TOS", skip_serializing_if = "Option::is_none")]
    tos: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    congestion: Option<String>,
    #[serde(skip_serializing_if = "Flag::is_unset")]
    udp_counters_64bit: Flag,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_version: Option<String>,
}

/// A key that is there or not.
#[derive(Clone, Copy, Debug, Default)]
struct Flag(bool);

impl Flag {
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks for a reference"
    )]
    const fn is_unset(&self) -> bool {
        !self.0
    }
}

impl Serialize for Flag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A number: versions that read it at all read numbers and booleans alike.
        serializer.serialize_u8(u8::from(self.0))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Ok(Self(true))
    }
}

impl From<&Parameters> for Written {
    fn from(parameters: &Parameters) -> Self {
        let count = |number: u64| Some(Count(Some(number)));
        let (time, num, blocks) = match parameters.end {
            // Stock peers count whole seconds; the client alone ends the test.
            End::After(time) => (time.as_secs() + u64::from(time.subsec_nanos() > 0), 0, 0),
            End::Bytes(bytes) => (0, bytes, 0),
            End::Blocks(blocks) => (0, 0, blocks),
        };
        Self {
            tcp: Flag(parameters.protocol == Protocol::Tcp),
            udp: Flag(parameters.protocol == Protocol::Udp),
            sctp: Flag(false),
            omit: count(parameters.omit.as_secs()),
            time: count(time),
            num: count(num),
            blockcount: count(blocks),
            mss: parameters.mss.and_then(|mss| count(mss.into())),
            nodelay: Flag(parameters.no_delay),
            parallel: count(parameters.streams.into()),
            reverse: Flag(parameters.flow == Flow::Down),
            bidirectional: Flag(parameters.flow == Flow::Both),
            window: parameters.window.and_then(|window| count(window.into())),
            len: count(parameters.length.into()),
            bandwidth: parameters.rate.and_then(|rate| count(rate.as_bps())),
            fqrate: parameters.pacing_rate.and_then(|rate| count(rate.as_bps())),
            pacing_timer: count(1000),
            burst: (parameters.burst > 0)
                .then(|| count(parameters.burst.into()))
                .flatten(),
            tos: parameters.tos.and_then(|tos| count(tos.into())),
            congestion: parameters.congestion.clone(),
            udp_counters_64bit: Flag(parameters.wide_counters),
            client_version: Some(concat!("messnetz ", env!("CARGO_PKG_VERSION")).to_owned()),
        }
    }
}

impl TryFrom<Written> for Parameters {
    type Error = CodecError;

    fn try_from(written: Written) -> Result<Self, CodecError> {
        let outside = |name, allowed| CodecError::Parameter {
            name,
            value: "out of range".to_owned(),
            allowed,
        };
        if written.sctp.0 {
            return Err(CodecError::Parameter {
                name: "sctp",
                value: "true".to_owned(),
                allowed: "tcp and udp",
            });
        }
        let protocol = if written.udp.0 {
            Protocol::Udp
        } else {
            Protocol::Tcp
        };
        let flow = match (written.reverse.0, written.bidirectional.0) {
            (_, true) => Flow::Both,
            (true, false) => Flow::Down,
            (false, false) => Flow::Up,
        };
        // A zero stands for what was not asked for.
        let asked = |count: Option<Count>| count.and_then(|count| count.0).filter(|n| *n > 0);
        let end = match (asked(written.num), asked(written.blockcount)) {
            (Some(bytes), _) => End::Bytes(bytes),
            (None, Some(blocks)) => End::Blocks(blocks),
            (None, None) => End::After(Duration::from_secs(asked(written.time).unwrap_or(10))),
        };
        let length = match (asked(written.len), protocol) {
            (Some(length), _) => {
                u32::try_from(length).map_err(|_| outside("len", "1 to 1048576 bytes"))?
            }
            (None, Protocol::Tcp) => STOCK_TCP_LENGTH,
            (None, Protocol::Udp) => DEFAULT_UDP_LENGTH,
        };
        let streams = u8::try_from(asked(written.parallel).unwrap_or(1))
            .map_err(|_| outside("parallel", "1 to 128"))?;
        let narrow = |count, name, allowed| {
            asked(count)
                .map(|n| u32::try_from(n).map_err(|_| outside(name, allowed)))
                .transpose()
        };
        let short = |count, name, allowed| {
            asked(count)
                .map(|n| u16::try_from(n).map_err(|_| outside(name, allowed)))
                .transpose()
        };
        Ok(Self {
            protocol,
            flow,
            streams,
            end,
            omit: Duration::from_secs(asked(written.omit).unwrap_or(0)),
            length,
            rate: asked(written.bandwidth).map(BitRate::from_bps),
            burst: short(written.burst, "burst", "0 to 1000")?.unwrap_or(0),
            pacing_rate: asked(written.fqrate).map(BitRate::from_bps),
            window: narrow(written.window, "window", "up to 536870912 bytes")?,
            mss: short(written.mss, "MSS", "up to 9216 bytes")?,
            no_delay: written.nodelay.0,
            congestion: written.congestion.filter(|name| !name.is_empty()),
            tos: asked(written.tos)
                .map(|tos| u8::try_from(tos).map_err(|_| outside("TOS", "0 to 255")))
                .transpose()?,
            wide_counters: written.udp_counters_64bit.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOCK: &str = r#"{"tcp":true,"omit":0,"time":1,"num":0,"blockcount":0,"parallel":2,"len":131072,"pacing_timer":1000,"client_version":"3.12"}"#;

    #[test]
    fn what_a_stock_client_sends_is_understood() {
        let parameters = Parameters::parse(STOCK.as_bytes()).unwrap();
        let expected = Parameters {
            streams: 2,
            length: STOCK_TCP_LENGTH,
            ..Parameters::tcp(Flow::Up, Duration::from_secs(1))
        };
        assert_eq!(parameters, expected);
    }

    #[test]
    fn whatever_we_ask_for_is_what_the_server_reads() {
        let all = Parameters {
            flow: Flow::Both,
            streams: 128,
            end: End::Blocks(7),
            omit: Duration::from_secs(3),
            burst: 10,
            pacing_rate: Some(BitRate::from_bps(5_000_000)),
            window: Some(65_536),
            mss: Some(1400),
            no_delay: true,
            congestion: Some("cubic".to_owned()),
            tos: Some(0xb8),
            ..Parameters::udp(Flow::Up, Duration::from_secs(1), DEFAULT_UDP_RATE)
        };
        for parameters in [
            all,
            Parameters::tcp(Flow::Down, Duration::from_secs(10)),
            Parameters {
                end: End::Bytes(1 << 33),
                ..Parameters::tcp(Flow::Up, Duration::from_secs(10))
            },
        ] {
            assert_eq!(Parameters::parse(&parameters.document()), Ok(parameters));
        }
    }

    #[test]
    fn the_wide_counter_is_switched_on_by_its_key_alone() {
        let wide = br#"{"udp":true,"udp_counters_64bit":0,"len":1000}"#;
        assert!(Parameters::parse(wide).unwrap().wide_counters);
        let narrow = Parameters {
            wide_counters: false,
            ..Parameters::udp(Flow::Up, Duration::from_secs(1), DEFAULT_UDP_RATE)
        };
        let text = String::from_utf8(narrow.document()).unwrap();
        assert!(!text.contains("udp_counters_64bit"), "{text}");
    }

    #[test]
    fn what_lies_outside_is_refused_by_name() {
        for (text, name) in [
            (r#"{"parallel":129}"#, "parallel"),
            (r#"{"parallel":1e15}"#, "parallel"),
            (r#"{"time":86401}"#, "time"),
            (r#"{"omit":601}"#, "omit"),
            (r#"{"len":1048577}"#, "len"),
            (r#"{"udp":true,"len":15}"#, "len"),
            (r#"{"udp":true,"len":65508}"#, "len"),
            (r#"{"window":536870913}"#, "window"),
            (r#"{"MSS":9217}"#, "MSS"),
            (r#"{"TOS":256}"#, "TOS"),
            (r#"{"congestion":"../../x"}"#, "congestion"),
            (r#"{"sctp":true}"#, "sctp"),
        ] {
            let refused = Parameters::parse(text.as_bytes());
            assert!(
                matches!(&refused, Err(CodecError::Parameter { name: n, .. }) if *n == name),
                "{text}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_nest_of_brackets_is_refused() {
        for deep in ["[".repeat(16_000), "{\"x\":".repeat(3_000)] {
            assert!(matches!(
                Parameters::parse(deep.as_bytes()),
                Err(CodecError::Json(_))
            ));
        }
    }
}
