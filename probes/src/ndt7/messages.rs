//! What the two sides tell each other: measurements as JSON in text messages (ndt7, "Measurements
//! message"). No I/O and no clock.

use messnetz_metric::{Direction, Micros};
use serde::{Deserialize, Deserializer, Serialize};

use crate::tcp_info;

/// The largest number that is believed: what a double, and so JavaScript, holds exactly.
const MAX_NUMBER: u64 = 1 << 53;

/// One measurement of one side. Everything is optional, members that are not known are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Measurement {
    /// What the application counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_info: Option<AppInfo>,
    /// Which connection; sent by the server only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_info: Option<ConnectionInfo>,
    /// Which side measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Which test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
    /// What the measuring side's kernel counted.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "TCPInfo")]
    pub tcp_info: Option<TcpInfo>,
    /// What BBR estimated: there only where the measuring side sends with BBR.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "BBRInfo")]
    pub bbr_info: Option<BbrInfo>,
    /// The congestion control that the measuring side sends with. No member of ndt7: taken over from
    /// its successor msak, since only the sender can tell and BBR is not the only answer.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "CC")]
    pub congestion: Option<String>,
}

impl Measurement {
    /// Reads a text message; `None` where it is no measurement.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The text message.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Strings and numbers always have a JSON form; an empty object is a valid measurement too.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Bytes received and the time it took, as the measuring side's kernel counts them or else its
    /// application; `None` where it told neither.
    #[must_use]
    pub fn received(&self) -> Option<(u64, Micros)> {
        let kernel = self
            .tcp_info
            .and_then(|tcp| tcp.bytes_received.zip(tcp.elapsed_time));
        let application = || {
            self.app_info
                .and_then(|app| app.num_bytes.zip(app.elapsed_time))
        };
        let (bytes, time) = kernel.or_else(application)?;
        Some((bytes, Micros::from_micros(time)))
    }

    /// The congestion control of the measuring side, where it tells.
    #[must_use]
    pub fn congestion(&self) -> Option<String> {
        // A foreign text ends up in reports: no kernel's name is longer (TCP_CA_NAME_MAX).
        let told = self.congestion.as_ref();
        told.map(|name| name.chars().take(16).collect())
            .or_else(|| self.bbr_info.map(|_| "bbr".to_owned()))
    }
}

/// What an application counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AppInfo {
    /// Time since the test began, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    pub elapsed_time: Option<u64>,
    /// Payload bytes sent or received since then.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    pub num_bytes: Option<u64>,
}

/// Which connection is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConnectionInfo {
    /// Address and port of the client, as the server sees it.
    pub client: String,
    /// Address and port of the server.
    pub server: String,
    /// The server's name for the test.
    #[serde(rename = "UUID")]
    pub uuid: String,
}

/// Which side measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The client.
    Client,
    /// The server.
    Server,
    /// Neither: a text that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Which test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Test {
    /// The server sends.
    Download,
    /// The client sends.
    Upload,
    /// Neither: a text that this version does not know.
    #[serde(other)]
    Unknown,
}

impl From<Direction> for Test {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Down => Self::Download,
            Direction::Up => Self::Upload,
        }
    }
}

/// What a kernel counted: bytes, and times in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the names are those of tcp_info::TcpInfo")]
pub struct TcpInfo {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    pub busy_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    pub bytes_acked: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    pub bytes_received: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    pub bytes_sent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    pub bytes_retrans: Option<u64>,
    /// Time since the test began.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    pub elapsed_time: Option<u64>,
    #[serde(
        rename = "MinRTT",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number"
    )]
    pub min_rtt: Option<u64>,
    #[serde(
        rename = "RTT",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number"
    )]
    pub rtt: Option<u64>,
    #[serde(
        rename = "RTTVar",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number"
    )]
    pub rtt_var: Option<u64>,
    #[serde(
        rename = "RWndLimited",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number"
    )]
    pub rwnd_limited: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    pub snd_buf_limited: Option<u64>,
}

impl TcpInfo {
    /// What this kernel counted, `elapsed` into the test.
    #[must_use]
    pub fn new(info: &tcp_info::TcpInfo, elapsed: Micros) -> Self {
        Self {
            busy_time: info.busy_time.map(Micros::as_micros),
            bytes_acked: info.bytes_acked,
            bytes_received: info.bytes_received,
            bytes_sent: info.bytes_sent,
            bytes_retrans: info.bytes_retrans,
            elapsed_time: Some(elapsed.as_micros()),
            min_rtt: info.min_rtt.map(Micros::as_micros),
            rtt: Some(info.rtt.as_micros()),
            rtt_var: Some(info.rtt_var.as_micros()),
            rwnd_limited: info.rwnd_limited.map(Micros::as_micros),
            snd_buf_limited: info.sndbuf_limited.map(Micros::as_micros),
        }
    }
}

/// What BBR estimated; only that it is there matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BbrInfo {}

/// A whole number out of whatever number a peer writes: JavaScript writes fractions, Go writes -1 for
/// "no limit". What is negative or beyond [`MAX_NUMBER`] is not known rather than wrong.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    Ok(number
        .and_then(|number| {
            let fraction = || {
                number
                    .as_f64()
                    .filter(|f| *f >= 0.0)
                    .map(|f| f.round() as u64)
            };
            number.as_u64().or_else(fraction)
        })
        .filter(|&number| number <= MAX_NUMBER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As m-lab/ndt-server 0.22 writes it during an upload, shortened.
    const OF_A_SERVER: &str = r#"{
        "BBRInfo":{"BW":1737599982,"MinRTT":5,"PacingGain":739,"CwndGain":739,"ElapsedTime":26079},
        "ConnectionInfo":{"Client":"10.201.0.2:37530","Server":"10.201.0.1:14480","UUID":"vm_1"},
        "Origin":"server","Test":"upload",
        "TCPInfo":{"State":1,"MaxPacingRate":-1,"BytesAcked":335944,"BytesReceived":430,
                   "MinRTT":5,"RTT":8853,"RTTVar":2050,"BusyTime":24000,"ElapsedTime":26079}}"#;

    #[test]
    fn the_reference_servers_measurement_is_read() {
        let measurement = Measurement::parse(OF_A_SERVER).unwrap();
        assert_eq!(measurement.origin, Some(Origin::Server));
        assert_eq!(measurement.test, Some(Test::Upload));
        assert_eq!(
            measurement.received(),
            Some((430, Micros::from_micros(26079)))
        );
        assert_eq!(measurement.congestion().as_deref(), Some("bbr"));
        let tcp = measurement.tcp_info.unwrap();
        assert_eq!((tcp.rtt, tcp.min_rtt), (Some(8853), Some(5)));
        assert_eq!(tcp.bytes_sent, None);
    }

    #[test]
    fn the_javascript_clients_fractions_are_rounded() {
        let text = r#"{"AppInfo":{"ElapsedTime":250100.6,"NumBytes":8192},"Origin":"client"}"#;
        let app = Measurement::parse(text).unwrap().app_info.unwrap();
        assert_eq!(app.elapsed_time, Some(250_101));
    }

    #[test]
    fn numbers_that_cannot_be_are_not_known() {
        for number in ["-1", "1e300", "18446744073709551615", "null", "-0.5"] {
            let text = format!(r#"{{"TCPInfo":{{"BytesReceived":{number},"ElapsedTime":1}}}}"#);
            assert_eq!(
                Measurement::parse(&text).unwrap().received(),
                None,
                "{number}"
            );
        }
    }

    #[test]
    fn an_unknown_origin_does_not_spoil_a_measurement() {
        let text = r#"{"Origin":"middlebox","Test":"sideload"}"#;
        assert_eq!(
            Measurement::parse(text).unwrap().origin,
            Some(Origin::Unknown)
        );
    }

    #[test]
    fn the_members_are_named_as_the_specification_names_them() {
        let measurement = Measurement {
            tcp_info: Some(TcpInfo {
                min_rtt: Some(1),
                rwnd_limited: Some(2),
                snd_buf_limited: Some(3),
                ..TcpInfo::default()
            }),
            test: Some(Direction::Down.into()),
            ..Measurement::default()
        };
        assert_eq!(
            measurement.to_text(),
            r#"{"Test":"download","TCPInfo":{"MinRTT":1,"RWndLimited":2,"SndBufLimited":3}}"#
        );
    }

    fn any_number() -> impl Strategy<Value = Option<u64>> {
        prop::option::of(0..=MAX_NUMBER)
    }

    fn any_tcp_info() -> impl Strategy<Value = TcpInfo> {
        prop::array::uniform11(any_number()).prop_map(
            |[
                busy_time,
                bytes_acked,
                bytes_received,
                bytes_sent,
                bytes_retrans,
                elapsed_time,
                min_rtt,
                rtt,
                rtt_var,
                rwnd_limited,
                snd_buf_limited,
            ]| TcpInfo {
                busy_time,
                bytes_acked,
                bytes_received,
                bytes_sent,
                bytes_retrans,
                elapsed_time,
                min_rtt,
                rtt,
                rtt_var,
                rwnd_limited,
                snd_buf_limited,
            },
        )
    }

    fn any_measurement() -> impl Strategy<Value = Measurement> {
        let app = prop::option::of((any_number(), any_number()));
        let origin = prop::sample::select(vec![Origin::Client, Origin::Server]);
        let text = prop::option::of(".{0,40}");
        (app, prop::option::of(origin), any_tcp_info(), text).prop_map(
            |(app, origin, tcp_info, text)| Measurement {
                app_info: app.map(|(elapsed_time, num_bytes)| AppInfo {
                    elapsed_time,
                    num_bytes,
                }),
                connection_info: text.clone().map(|uuid| ConnectionInfo {
                    uuid,
                    ..ConnectionInfo::default()
                }),
                origin,
                test: Some(Test::Upload),
                tcp_info: Some(tcp_info),
                bbr_info: text.as_ref().map(|_| BbrInfo {}),
                congestion: text,
            },
        )
    }

    proptest! {
        #[test]
        fn a_measurement_survives_its_text(measurement in any_measurement()) {
            prop_assert_eq!(Measurement::parse(&measurement.to_text()), Some(measurement));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,300}") {
            let _ = Measurement::parse(&text);
        }

        #[test]
        fn no_damaged_measurement_makes_the_parser_panic(
            measurement in any_measurement(), at: prop::sample::Index, by in ".{0,3}",
        ) {
            let text = measurement.to_text();
            let at = at.index(text.len());
            if text.is_char_boundary(at) {
                let damaged = format!("{}{by}{}", &text[..at], &text[at..]);
                let parsed = Measurement::parse(&damaged);
                let _ = parsed.map(|m| (m.received(), m.congestion()));
            }
        }
    }
}
