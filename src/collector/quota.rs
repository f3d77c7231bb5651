//! How much one agent may send. Pure: the time is passed in.
//!
//! Whoever holds an agent's key can send as that agent, so what is signed is bounded too. An allowance grows by
//! a day's amount every day, and holds that of thirty days: what waited through an outage of a month passes at
//! once. What is beyond it is sent away for a while, and lost nowhere.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use messnetz_metric::UnixMillis;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::wire::batch::{Batch, Chunk};
use crate::wire::{AgentId, MAX_BATCH_BYTES, MAX_OBSERVATIONS};

const DAY_MS: u64 = 24 * 3_600_000;

/// For how many days an allowance is held.
const HELD_DAYS: u64 = 30;

/// What one agent may send a day, and thirty times as much at once after it was away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// Batches: the shipped schedule makes one every 30 s, which is 2,880.
    pub batches_a_day: u64,
    /// Observations.
    pub observations_a_day: u64,
    /// Bytes, as they come.
    pub bytes_a_day: u64,
    /// Different series: metric, peer and interface. They do not add up over days.
    pub series_a_day: usize,
}

impl Default for Quota {
    /// This project's own: about three times what the shipped schedule makes of batches, more of the rest.
    fn default() -> Self {
        Self {
            batches_a_day: 8_640,
            observations_a_day: 200_000,
            bytes_a_day: 16 * 1024 * 1024,
            series_a_day: 1_000,
        }
    }
}

impl Quota {
    /// What is wrong with it, if anything: one batch must pass.
    pub(super) fn flaw(&self) -> Option<String> {
        let least = [
            ("batches_a_day", self.batches_a_day, 1),
            (
                "observations_a_day",
                self.observations_a_day,
                u64::from(MAX_OBSERVATIONS),
            ),
            ("bytes_a_day", self.bytes_a_day, MAX_BATCH_BYTES as u64),
            ("series_a_day", self.series_a_day as u64, 1),
        ];
        let (name, _, least) = least
            .into_iter()
            .find(|(_, stated, least)| stated < least)?;
        Some(format!("{name} must be at least {least}"))
    }
}

/// What an agent has sent too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Error)]
pub enum Kind {
    /// Batches.
    #[error("batches")]
    Batches,
    /// Observations.
    #[error("observations")]
    Observations,
    /// Bytes.
    #[error("bytes")]
    Bytes,
    /// Series.
    #[error("series")]
    Series,
}

/// An agent has sent more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "this agent has sent more {kind} than its quota of a day; send the batch again when told, nothing is lost"
)]
pub struct Exceeded {
    /// Of what.
    pub kind: Kind,
    /// When the batch will pass.
    pub wait: Duration,
    /// Whether this is the first time today, so that it is told once.
    pub first_today: bool,
}

/// What one batch takes.
#[derive(Debug)]
pub(super) struct Load {
    amounts: [u64; 3],
    series: HashSet<u64>,
}

/// An allowance, in units times the milliseconds of a day, so that nothing is rounded.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: u128,
}

impl Bucket {
    const fn full(a_day: u64) -> Self {
        Self {
            level: a_day as u128 * (HELD_DAYS * DAY_MS) as u128,
        }
    }

    fn grow(&mut self, a_day: u64, elapsed_ms: u64) {
        let grown = u128::from(a_day) * u128::from(elapsed_ms);
        self.level = (self.level + grown).min(Self::full(a_day).level);
    }

    /// How long until it holds so much; nothing where it does.
    fn lacks(&self, amount: u64, a_day: u64) -> Option<Duration> {
        let lacking = (u128::from(amount) * u128::from(DAY_MS)).checked_sub(self.level)?;
        let wait = lacking.div_ceil(u128::from(a_day.max(1)));
        (wait > 0).then(|| Duration::from_millis(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    fn spend(&mut self, amount: u64) {
        let spent = u128::from(amount) * u128::from(DAY_MS);
        self.level = self.level.saturating_sub(spent);
    }
}

#[derive(Debug)]
struct Account {
    at: UnixMillis,
    buckets: [Bucket; 3],
    /// The day, counted from 1970 in UTC, and what came on it.
    day: i64,
    series: HashSet<u64>,
    told: bool,
}

/// The accounts of all agents since this program started.
#[derive(Debug)]
pub(super) struct Quotas {
    quota: Quota,
    accounts: HashMap<AgentId, Account>,
}

/// Reads what batches take. Hashes differ from start to start, so that nobody can choose series that collide.
#[derive(Debug, Default)]
pub(super) struct Scales(RandomState);

impl Scales {
    /// What this batch takes, whose body was so large.
    pub(super) fn weigh(&self, batch: &Batch, bytes: usize) -> Load {
        let series = batch.chunks().iter().filter_map(Chunk::series);
        Load {
            amounts: [1, u64::from(batch.header().observations), bytes as u64],
            series: series.map(|series| self.0.hash_one(series)).collect(),
        }
    }
}

impl Quotas {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            quota,
            accounts: HashMap::new(),
        }
    }

    const fn a_day(&self) -> [u64; 3] {
        [
            self.quota.batches_a_day,
            self.quota.observations_a_day,
            self.quota.bytes_a_day,
        ]
    }

    /// Takes what a batch needs from its agent's allowance, or nothing of it.
    ///
    /// # Errors
    /// Where the allowance does not hold it.
    pub(super) fn take(
        &mut self,
        agent: &AgentId,
        load: &Load,
        now: UnixMillis,
    ) -> Result<(), Exceeded> {
        let a_day = self.a_day();
        let most = self.quota.series_a_day;
        let today = now.0.div_euclid(DAY_MS.cast_signed());
        let account = self
            .accounts
            .entry(agent.clone())
            .or_insert_with(|| Account {
                at: now,
                buckets: a_day.map(Bucket::full),
                day: today,
                series: HashSet::new(),
                told: false,
            });
        // A clock that was set back gives nothing, and takes nothing.
        let elapsed = u64::try_from(now.0.saturating_sub(account.at.0)).unwrap_or_default();
        account.at = now;
        if account.day != today {
            account.day = today;
            account.series.clear();
            account.told = false;
        }
        let kinds = [Kind::Batches, Kind::Observations, Kind::Bytes];
        let mut lacking: Option<(Duration, Kind)> = None;
        for (((bucket, amount), a_day), kind) in account
            .buckets
            .iter_mut()
            .zip(load.amounts)
            .zip(a_day)
            .zip(kinds)
        {
            bucket.grow(a_day, elapsed);
            if let Some(wait) = bucket.lacks(amount, a_day)
                && lacking.is_none_or(|(longest, _)| wait > longest)
            {
                lacking = Some((wait, kind));
            }
        }
        let new = load.series.difference(&account.series).count();
        if account.series.len() + new > most {
            let tomorrow = (today + 1).saturating_mul(DAY_MS.cast_signed());
            let wait = u64::try_from(tomorrow.saturating_sub(now.0)).unwrap_or_default();
            lacking = Some((Duration::from_millis(wait), Kind::Series));
        }
        if let Some((wait, kind)) = lacking {
            let first_today = !std::mem::replace(&mut account.told, true);
            return Err(Exceeded {
                kind,
                wait,
                first_today,
            });
        }
        for (bucket, amount) in account.buckets.iter_mut().zip(load.amounts) {
            bucket.spend(amount);
        }
        account.series.extend(&load.series);
        Ok(())
    }

    /// Gives back what a batch took that was not stored in the end.
    pub(super) fn give_back(&mut self, agent: &AgentId, load: &Load) {
        let a_day = self.a_day();
        if let Some(account) = self.accounts.get_mut(agent) {
            for ((bucket, amount), a_day) in account.buckets.iter_mut().zip(load.amounts).zip(a_day)
            {
                let level = bucket.level + u128::from(amount) * u128::from(DAY_MS);
                bucket.level = level.min(Bucket::full(a_day).level);
            }
        }
    }
}

#[cfg(test)]
mod tests;
