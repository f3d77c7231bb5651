//! Which of an agent's numbers are missing, and which of its epochs went on beside one another. Pure.

use messnetz_metric::UnixMillis;
use serde::Serialize;

use crate::store::Run;

/// Numbers that did not come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Where the agent measured.
    pub site: String,
    /// The epoch.
    pub epoch: u64,
    /// The first number that is missing.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// When the newest sample before it was measured; absent where nothing came before it.
    #[serde(rename = "after_unix_ms")]
    pub after: Option<UnixMillis>,
    /// When the oldest sample after it was measured.
    #[serde(rename = "before_unix_ms")]
    pub before: Option<UnixMillis>,
}

/// One epoch of an agent's numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Epoch {
    /// Where the agent measured.
    pub site: String,
    /// The epoch.
    pub epoch: u64,
    /// How many batches came.
    pub batches: u64,
    /// When the first of them was received.
    #[serde(rename = "began_at_unix_ms")]
    pub began_at: UnixMillis,
    /// When the last of them was received.
    #[serde(rename = "received_at_unix_ms")]
    pub received_at: UnixMillis,
    /// Whether it went on after a later one had begun: two boxes may have the same key.
    pub beside_a_later: bool,
}

/// The gaps between an agent's runs, which come by site, epoch and number.
#[must_use]
pub fn gaps(runs: &[Run]) -> Vec<Gap> {
    let befores = std::iter::once(None).chain(runs.iter().map(Some));
    befores
        .zip(runs)
        .filter_map(|(before, run)| {
            let before = before.filter(|it| it.site == run.site && it.epoch == run.epoch);
            let from = before.map_or(1, |before| before.last.saturating_add(1));
            (from < run.first).then(|| Gap {
                site: run.site.clone(),
                epoch: run.epoch,
                from,
                to: run.first - 1,
                after: before.and_then(|before| before.last_at),
                before: run.first_at,
            })
        })
        .collect()
}

/// The epochs of an agent, from its runs.
#[must_use]
pub fn epochs(runs: &[Run]) -> Vec<Epoch> {
    let mut epochs: Vec<Epoch> = Vec::new();
    for run in runs {
        let batches = run.last.saturating_sub(run.first).saturating_add(1);
        match epochs.last_mut() {
            Some(last) if last.site == run.site && last.epoch == run.epoch => {
                last.batches = last.batches.saturating_add(batches);
                last.began_at = last.began_at.min(run.began_at);
                last.received_at = last.received_at.max(run.received_at);
            }
            _ => epochs.push(Epoch {
                site: run.site.clone(),
                epoch: run.epoch,
                batches,
                began_at: run.began_at,
                received_at: run.received_at,
                beside_a_later: false,
            }),
        }
    }
    // Backwards, each against the earliest begin of those after it at its site.
    let mut later: Option<(String, UnixMillis)> = None;
    for epoch in epochs.iter_mut().rev() {
        let begins = later.take().filter(|(site, _)| *site == epoch.site);
        let begins = begins.map(|(_, begins)| begins);
        epoch.beside_a_later = begins.is_some_and(|begins| epoch.received_at > begins);
        let earliest = begins.map_or(epoch.began_at, |begins| begins.min(epoch.began_at));
        later = Some((epoch.site.clone(), earliest));
    }
    epochs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(epoch: u64, numbers: (u64, u64), received: (i64, i64)) -> Run {
        Run {
            site: "XX-100001/main".to_owned(),
            epoch,
            first: numbers.0,
            last: numbers.1,
            first_at: Some(UnixMillis(received.0 - 10)),
            last_at: Some(UnixMillis(received.1 - 1)),
            began_at: UnixMillis(received.0),
            received_at: UnixMillis(received.1),
        }
    }

    #[test]
    fn a_gap_has_its_numbers_and_the_times_between_which_it_lies() {
        let runs = [
            run(1, (1, 4), (100, 140)),
            run(1, (7, 9), (200, 220)),
            run(2, (3, 3), (300, 300)),
        ];
        let told: Vec<_> = gaps(&runs)
            .into_iter()
            .map(|gap| (gap.epoch, gap.from, gap.to, gap.after, gap.before))
            .collect();
        let at = |ms| Some(UnixMillis(ms));
        let expected = [(1, 5, 6, at(139), at(190)), (2, 1, 2, None, at(290))];
        assert_eq!(told, expected);
        assert_eq!(gaps(&[run(1, (1, u64::MAX), (1, 2))]), []);
    }

    #[test]
    fn an_epoch_that_goes_on_after_a_later_one_began_is_beside_it() {
        let told = |runs: &[Run]| -> Vec<(u64, u64, bool)> {
            let told = epochs(runs).into_iter();
            told.map(|it| (it.epoch, it.batches, it.beside_a_later))
                .collect()
        };
        let after = [run(1, (1, 4), (100, 140)), run(2, (1, 2), (150, 160))];
        assert_eq!(told(&after), [(1, 4, false), (2, 2, false)]);
        let beside = [
            run(1, (1, 4), (100, 140)),
            run(1, (6, 6), (500, 500)),
            run(2, (1, 2), (150, 160)),
            run(3, (1, 1), (170, 170)),
        ];
        assert_eq!(told(&beside), [(1, 5, true), (2, 2, false), (3, 1, false)]);
    }
}
