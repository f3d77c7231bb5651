//! Round trips per minute: draft-ietf-ippm-responsiveness-09.

use std::time::Duration;

use serde::Serialize;

/// Round trips per minute.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Rpm(pub f64);

/// What the draft proposes to call a number of round trips per minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Below 300: a round trip takes 200 ms and more.
    Poor,
    /// Below 1 000.
    Fair,
    /// Up to 6 000.
    Good,
    /// Above: a round trip takes less than 10 ms.
    Excellent,
}

impl Rpm {
    /// Its class.
    #[must_use]
    pub fn class(self) -> Class {
        match self.0 {
            rpm if rpm < 300.0 => Class::Poor,
            rpm if rpm < 1_000.0 => Class::Fair,
            rpm if rpm <= 6_000.0 => Class::Good,
            _ => Class::Excellent,
        }
    }
}

/// How long probes took under load, by part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Latencies {
    /// Fresh connections: from SYN to the established connection.
    pub(super) tcp: Vec<Duration>,
    /// Fresh connections: the TLS handshake, by one round trip.
    pub(super) tls: Vec<Duration>,
    /// Fresh connections: from the request to the answer.
    pub(super) http: Vec<Duration>,
    /// The same on connections that carry the load.
    pub(super) loaded: Vec<Duration>,
}

impl Latencies {
    /// Adds what another interval has brought.
    pub(super) fn extend(&mut self, more: &Self) {
        self.tcp.extend(&more.tcp);
        self.tls.extend(&more.tls);
        self.http.extend(&more.http);
        self.loaded.extend(&more.loaded);
    }

    /// The mean of what fresh and what loaded connections would carry each minute, where `kept` is the share of
    /// each part's smallest samples that counts. `None` where a part has no sample.
    #[must_use]
    pub(super) fn rpm(&self, kept: f64) -> Option<Rpm> {
        let means = self.means(kept);
        let [tcp, tls, http, loaded] = [means.tcp, means.tls, means.http, means.loaded];
        let fresh = per_minute((tcp? + tls? + http?) / 3.0)?;
        Some(Rpm(f64::midpoint(fresh, per_minute(loaded?)?)))
    }

    /// The mean of each part's smallest samples, of which `kept` is the share, in seconds.
    pub(super) fn means(&self, kept: f64) -> Means {
        Means {
            tcp: trimmed_mean(&self.tcp, kept),
            tls: trimmed_mean(&self.tls, kept),
            http: trimmed_mean(&self.http, kept),
            loaded: trimmed_mean(&self.loaded, kept),
        }
    }
}

/// The trimmed mean of each part in seconds; `None` where a part has no sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Means {
    pub(super) tcp: Option<f64>,
    pub(super) tls: Option<f64>,
    pub(super) http: Option<f64>,
    pub(super) loaded: Option<f64>,
}

fn per_minute(seconds: f64) -> Option<f64> {
    (seconds > 0.0).then(|| 60.0 / seconds)
}

/// The mean in seconds of the `kept` share of the smallest of `times`: at least of one. `None` for none.
fn trimmed_mean(times: &[Duration], kept: f64) -> Option<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let count = (sorted.len() as f64 * kept.clamp(0.0, 1.0)).floor() as usize;
    mean(sorted.iter().take(count.max(1)).map(Duration::as_secs_f64))
}

/// The mean; `None` of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| {
        (sum + value, count + 1)
    });
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(times: &[u64]) -> Vec<Duration> {
        times.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn the_trimmed_mean_leaves_out_the_largest_twentieth() {
        let mut times = vec![10; 19];
        times.push(5_000);
        let found = trimmed_mean(&millis(&times), 0.95).unwrap();
        assert!((found - 0.010).abs() < 1e-9, "{found}");
        // Of 39, 37 stay.
        let times: Vec<u64> = (1..=39).collect();
        let found = trimmed_mean(&millis(&times), 0.95).unwrap();
        assert!((found - 0.019).abs() < 1e-9, "{found}");
        assert_eq!(trimmed_mean(&millis(&[7]), 0.95), Some(0.007));
        assert_eq!(trimmed_mean(&[], 0.95), None);
    }

    #[test]
    fn fresh_and_loaded_connections_count_alike() {
        // Fresh: (20 + 40 + 60) / 3 = 40 ms are 1 500 a minute; loaded: 120 ms are 500.
        let latencies = Latencies {
            tcp: millis(&[20]),
            tls: millis(&[40]),
            http: millis(&[60]),
            loaded: millis(&[120]),
        };
        let Rpm(rpm) = latencies.rpm(0.95).unwrap();
        assert!((rpm - 1_000.0).abs() < 1e-6, "{rpm}");
    }

    #[test]
    fn a_part_without_samples_or_of_no_time_has_no_responsiveness() {
        let whole = Latencies {
            tcp: millis(&[20]),
            tls: millis(&[20]),
            http: millis(&[20]),
            loaded: millis(&[20]),
        };
        assert!(whole.rpm(0.95).is_some());
        for lacking in [
            Latencies {
                tls: Vec::new(),
                ..whole.clone()
            },
            Latencies {
                loaded: Vec::new(),
                ..whole.clone()
            },
            Latencies {
                loaded: millis(&[0]),
                ..whole
            },
        ] {
            assert_eq!(lacking.rpm(0.95), None);
        }
    }
}
