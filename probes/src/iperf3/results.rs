//! What each side tells the other at the end.

use messnetz_metric::Micros;
use serde::{Deserialize, Serialize};

use super::codec::CodecError;
use super::number::Count;

/// The CPU time of one side during a test, in percent of one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// All of it.
    pub total: f64,
    /// In the program.
    pub user: f64,
    /// In the kernel on its behalf.
    pub system: f64,
}

/// One side's account of a test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// Its CPU time.
    pub cpu: Cpu,
    /// Whether it counts what it sent again; `None` where it sent nothing.
    pub has_retransmits: Option<bool>,
    /// The congestion control that it used.
    pub congestion: Option<String>,
    /// Its account of each stream.
    pub streams: Vec<StreamResult>,
}

/// One side's account of one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamResult {
    /// The stream's number, see [`stream_id`].
    pub id: u32,
    /// Bytes that it sent or received, without those of the omitted time.
    pub bytes: u64,
    /// Segments sent again; `None` where it received, or cannot tell.
    pub retransmits: Option<u64>,
    /// Interarrival jitter after RFC 1889; zero where it sent.
    pub jitter: Micros,
    /// Datagrams that were lost on the way to it.
    pub lost: u64,
    /// Datagrams sent, or the highest number received.
    pub packets: u64,
    /// Of those lost, how many in the omitted time; `None` where the peer does not say.
    pub omitted_lost: Option<u64>,
    /// Of the datagrams, how many in the omitted time; `None` where the peer does not say.
    pub omitted_packets: Option<u64>,
    /// How long the stream was counted.
    pub elapsed: Micros,
}

/// The number that the `index`th stream has on both sides, counted from 0: 1, 3, 4, 5 and so on.
#[must_use]
pub fn stream_id(index: usize) -> u32 {
    match u32::try_from(index) {
        Ok(0) => 1,
        Ok(index) => index.saturating_add(2),
        Err(_) => u32::MAX,
    }
}

impl Results {
    /// Reads what a peer tells.
    ///
    /// # Errors
    /// [`CodecError::Json`] where it cannot be read.
    pub fn parse(document: &[u8]) -> Result<Self, CodecError> {
        let written: Written = serde_json::from_slice(document)
            .map_err(|error| CodecError::Json(error.to_string()))?;
        Ok(written.into())
    }

    /// As it is told, without its length.
    #[must_use]
    pub fn document(&self) -> Vec<u8> {
        // Numbers and one name of the kernel's: there is nothing that could not be written.
        serde_json::to_vec(&Written::from(self)).unwrap_or_default()
    }

    /// The account of one stream.
    #[must_use]
    pub fn stream(&self, id: u32) -> Option<&StreamResult> {
        self.streams.iter().find(|stream| stream.id == id)
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    cpu_util_total: f64,
    cpu_util_user: f64,
    cpu_util_system: f64,
    sender_has_retransmits: Count,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    congestion_used: Option<String>,
    streams: Vec<WrittenStream>,
}

#[derive(Serialize, Deserialize)]
struct WrittenStream {
    id: u32,
    bytes: Count,
    retransmits: Count,
    /// Seconds.
    jitter: f64,
    errors: Count,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    omitted_errors: Option<Count>,
    packets: Count,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    omitted_packets: Option<Count>,
    #[serde(default)]
    start_time: f64,
    #[serde(default)]
    end_time: f64,
}

/// So many seconds; what is negative, no number or longer than a year is none.
fn micros(seconds: f64) -> Micros {
    const YEAR: f64 = 366.0 * 86_400.0;
    if (0.0..YEAR).contains(&seconds) {
        Micros::from_micros((seconds * 1e6).round() as u64)
    } else {
        Micros::default()
    }
}

fn seconds(micros: Micros) -> f64 {
    micros.as_micros() as f64 / 1e6
}

impl From<Written> for Results {
    fn from(written: Written) -> Self {
        Self {
            cpu: Cpu {
                total: written.cpu_util_total,
                user: written.cpu_util_user,
                system: written.cpu_util_system,
            },
            has_retransmits: written.sender_has_retransmits.0.map(|has| has > 0),
            // A foreign text that is kept: the kernel's names have at most 15 characters.
            congestion: written
                .congestion_used
                .map(|name| name.chars().take(16).collect()),
            streams: written
                .streams
                .into_iter()
                .map(|stream| StreamResult {
                    id: stream.id,
                    bytes: stream.bytes.0.unwrap_or_default(),
                    retransmits: stream.retransmits.0,
                    jitter: micros(stream.jitter),
                    lost: stream.errors.0.unwrap_or_default(),
                    packets: stream.packets.0.unwrap_or_default(),
                    omitted_lost: stream.omitted_errors.and_then(|count| count.0),
                    omitted_packets: stream.omitted_packets.and_then(|count| count.0),
                    elapsed: micros(stream.end_time - stream.start_time),
                })
                .collect(),
        }
    }
}

impl From<&Results> for Written {
    fn from(results: &Results) -> Self {
        Self {
            cpu_util_total: results.cpu.total,
            cpu_util_user: results.cpu.user,
            cpu_util_system: results.cpu.system,
            sender_has_retransmits: Count(results.has_retransmits.map(u64::from)),
            congestion_used: results.congestion.clone(),
            streams: results
                .streams
                .iter()
                .map(|stream| WrittenStream {
                    id: stream.id,
                    bytes: Count(Some(stream.bytes)),
                    retransmits: Count(stream.retransmits),
                    jitter: seconds(stream.jitter),
                    errors: Count(Some(stream.lost)),
                    omitted_errors: stream.omitted_lost.map(|count| Count(Some(count))),
                    packets: Count(Some(stream.packets)),
                    omitted_packets: stream.omitted_packets.map(|count| Count(Some(count))),
                    start_time: 0.0,
                    end_time: seconds(stream.elapsed),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOCK: &str = r#"{"cpu_util_total":10.349153854342957,"cpu_util_user":0.494683544807564,"cpu_util_system":9.8544703095353938,"sender_has_retransmits":18446744073709551615,"congestion_used":"bbr","streams":[{"id":1,"bytes":398458880,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.005082},{"id":3,"bytes":398458880,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.005084}]}"#;

    #[test]
    fn what_a_stock_server_tells_is_understood() {
        let results = Results::parse(STOCK.as_bytes()).unwrap();
        assert_eq!(results.has_retransmits, None);
        assert_eq!(results.congestion.as_deref(), Some("bbr"));
        let stream = results.stream(3).unwrap();
        assert_eq!(stream.bytes, 398_458_880);
        assert_eq!(stream.retransmits, None);
        assert_eq!(stream.elapsed, Micros::from_micros(1_005_084));
        assert_eq!(results.stream(2), None);
    }

    #[test]
    fn what_we_tell_is_what_is_read() {
        let results = Results {
            cpu: Cpu {
                total: 3.5,
                user: 1.0,
                system: 2.5,
            },
            has_retransmits: Some(true),
            congestion: Some("cubic".to_owned()),
            streams: (0..128)
                .map(|index| StreamResult {
                    id: stream_id(index),
                    bytes: u64::MAX - 1,
                    retransmits: Some(7),
                    jitter: Micros::from_micros(12),
                    lost: 3,
                    packets: 1 << 40,
                    omitted_lost: Some(1),
                    omitted_packets: Some(2),
                    elapsed: Micros::from_micros(10_000_001),
                })
                .collect(),
        };
        let document = results.document();
        assert_eq!(Results::parse(&document), Ok(results));
        assert!(document.len() < super::super::codec::MAX_RESULTS / 4);
    }

    #[test]
    fn streams_are_numbered_as_stock_peers_number_them() {
        let ids: Vec<u32> = (0..4).map(stream_id).collect();
        assert_eq!(ids, [1, 3, 4, 5]);
    }

    #[test]
    fn times_that_are_none_are_not_measured() {
        for end in ["-1", "1e300", "null"] {
            let text = STOCK.replace("1.005082", end);
            let results = Results::parse(text.as_bytes());
            let elapsed = results.map(|results| results.streams[0].elapsed);
            assert!(
                elapsed.is_err() || elapsed == Ok(Micros::default()),
                "{end}"
            );
        }
    }
}
