//! How long samples are kept, and taking out what is older.

use std::sync::Arc;
use std::time::Duration;

use messnetz_metric::UnixMillis;
use serde::Deserialize;

use super::Collector;
use super::run::RunError;
use crate::clock;
use crate::store::Removed;

const DAY_MS: i64 = 24 * 3_600_000;

/// Fewest days that samples are kept: a school year is judged as a whole, by samples, and a month later as well.
const LEAST_DAYS: u32 = 400;

/// How often is looked for what has become too old.
const PRUNE_EVERY: Duration = Duration::from_hours(24);

/// How long after its start a collector looks first: what waits in the boxes comes before.
const FIRST_AFTER: Duration = Duration::from_mins(10);

/// How long what was measured is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Samples, in days; for ever where it is not said.
    raw_days: Option<u32>,
}

impl Retention {
    /// What is wrong with it, if anything.
    pub(super) fn flaw(self) -> Option<String> {
        let days = self.raw_days.filter(|days| *days < LEAST_DAYS)?;
        Some(format!(
            "raw_days = {days} is too few: verdicts of a school year need {LEAST_DAYS}; leave it out to keep all"
        ))
    }

    /// The time before which samples are too old; `None` where none ever is.
    pub(super) fn before(self, now: UnixMillis) -> Option<UnixMillis> {
        let days = i64::from(self.raw_days?);
        Some(UnixMillis(
            now.0.saturating_sub(days.saturating_mul(DAY_MS)),
        ))
    }
}

impl Collector {
    /// The time before which samples are too old to be kept; `None` where all are kept.
    #[must_use]
    pub fn kept_since(&self) -> Option<UnixMillis> {
        self.retention.before(clock::now())
    }

    /// Takes out what is older than this, computed on this thread.
    ///
    /// # Errors
    /// Where the collector's keys are not to be had, or the store fails.
    pub fn prune(&self, before: UnixMillis) -> Result<Removed, RunError> {
        let key = self.receipts()?;
        Ok(self.store().prune(before, clock::now(), key)?)
    }
}

/// Takes out what is too old, again and again.
pub(super) async fn keep_to_it(collector: Arc<Collector>) {
    let mut wait = FIRST_AFTER;
    loop {
        tokio::time::sleep(wait).await;
        wait = PRUNE_EVERY;
        let Some(before) = collector.kept_since() else {
            continue;
        };
        let this = Arc::clone(&collector);
        let pruned = collector.off_the_sockets(move || this.prune(before)).await;
        match pruned {
            Ok(removed) if removed == Removed::default() => {}
            Ok(removed) => tracing::info!(?removed, "samples older than they are kept were pruned"),
            Err(error) => tracing::error!(
                error = &error as &(dyn std::error::Error + 'static),
                "samples could not be pruned, and stay"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_kept_for_a_school_year_at_least_and_for_ever_unless_something_else_is_said() {
        let kept = |raw_days| Retention { raw_days };
        let now = UnixMillis(500 * DAY_MS);
        assert_eq!(kept(None).flaw(), None);
        assert_eq!(kept(None).before(now), None);
        assert_eq!(kept(Some(400)).flaw(), None);
        assert_eq!(kept(Some(400)).before(now), Some(UnixMillis(100 * DAY_MS)));
        assert!(kept(Some(399)).flaw().unwrap().contains("raw_days = 399"));
    }
}
